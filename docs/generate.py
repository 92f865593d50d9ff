"""Write what docs/*.md say of the code: the text between `<!-- generated: NAME -->` and `<!-- end -->`.

    python docs/generate.py          from the repository's root, after a change of a key, a record or a column

Keys come from the models of a spec, records from their tables, columns from the data dictionary, signatures and
docstrings from the sources. A test holds the committed pages equal to what this would write; the API's sections are
empty there, and MkDocs fills them at each build (`on_page_markdown`).
"""

import importlib
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jgmm
from jgmm import named, rates, steps
from jgmm.algorithms import ALGORITHMS
from jgmm.mixture import LAYOUTS
from jgmm.noise import NOISES
from jgmm.study import limits, parts, schema
from jgmm.study.folder import columns, dictionary
from jgmm.study.grid import AXES
from jgmm.theory.bounds import THEOREMS

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
signatures = importlib.import_module("signatures")  # beside this file, whichever way it is run
MARKED = re.compile(r"(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TABLES = {"mixture": parts.MixtureSpec, "stream": parts.StreamSpec, "seeding": parts.SeedingSpec, "em": parts.EMSpec}
MODELS = {"study": schema.Study, "part": parts.Part, **TABLES}


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# --- keys of a spec ---


def keys(model: str) -> dict[str, dict[str, Any]]:
    """The JSON schema of each key of a table; of tables and parts inside it none."""
    properties = MODELS[model].model_json_schema()["properties"]
    return {key: value for key, value in properties.items() if "description" in value}


def kind(key: dict[str, Any]) -> str:
    """The values that a key takes, in words."""
    if options := key.get("anyOf", []):
        return " or ".join(dict.fromkeys(kind(option) for option in options if option.get("type") != "null"))
    if "const" in key or "enum" in key:
        return ", ".join(f"`{toml(value)}`" for value in key.get("enum", [key.get("const")]))
    if key["type"] == "array":
        return f"list of {kind(key['items'])}"
    if key["type"] == "object":
        return f"table of {kind(key['additionalProperties'])}"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}[key["type"]]
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    ends = [(sign, key[name]) for name, sign in signs.items() if name in key and key[name] != 2**31]
    said = [f"{sign} {'2^32' if end == 2**32 else format(end, 'g')}" for sign, end in ends]
    return f"{words} {', '.join(said)}".strip()


def toml(value: Any) -> str:
    """A value as a TOML file has it; a list of one as the value alone."""
    if isinstance(value, list):
        return toml(value[0]) if len(value) == 1 else f"[{', '.join(map(toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else "{}" if value == {} else f"{value:g}"


def used_by(model: str, key: str) -> list[str]:
    """The algorithms to which the key of a table means something."""
    layout = {"side": "box", "layout_hash": "means.npy"}.get(key, "symmetric")
    made = [parts.Part(algorithm=name, mixture=parts.MixtureSpec(layout=layout)) for name in ALGORITHMS]
    return [part.algorithm for part in made if (model, key) not in part.idle()]


def spec(model: str) -> str:
    """The keys of a table of a spec."""
    axes = set(AXES.values()) | {("part", "numbers")}
    rows = []
    for name, key in keys(model).items():
        takes = kind(key).removeprefix("list of ") if (model, name) in axes else kind(key)
        default = "" if key.get("default") is None else f"`{toml(key['default'])}`"
        row = [f"`{name}`", takes, key["unit"], default, f"`{name} = {key['examples'][0]}`", key["description"]]
        if model in TABLES:
            users = used_by(model, name)
            row.insert(1, "yes" if (model, name) in axes else "")
            row.append("all" if len(users) == len(ALGORITHMS) else ", ".join(users))
        rows.append(row)
    headings = ["takes", "unit", "default", "example", "meaning"]
    return table(["key", "axis", *headings, "algorithms"] if model in TABLES else ["key", *headings], rows)


# --- records ---


def algorithms() -> str:
    """The table ALGORITHMS."""
    rows = []
    for name in ALGORITHMS:
        record = named.load("algorithm", name)
        own = ", ".join(f"{number} = {default:g}" for number, default in record.numbers)
        paper = "its own" if record.own_step else record.paper_formula
        refused = ", ".join(f"`{refused}`" for refused, _ in record.refuses)
        yes = ["yes" if has else "" for has in (record.twin, record.law)]
        rows.append([f"`{name}`", record.words, own, paper, refused, *yes])
    return table(["name", "what it does", "numbers", 'step of `"paper"`', "refuses", "twin", "law"], rows)


def worded(records: dict[str, Any]) -> str:
    """Records that have no more to tell than their words."""
    rows = [[f"`{name}`", record.words.replace("{side:g}", "`side`")] for name, record in records.items()]
    return table(["name", "what it is"], rows)


def step_sizes() -> str:
    """The tables rates.NAMED and STEP_SIZES."""
    rows = [[f'`"{name}"`', (function.__doc__ or "").strip()] for name, function in rates.NAMED.items()]
    for name, rule in steps.STEP_SIZES.items():
        values = [(number, "..." if default is None else f"{default:g}") for number, default in rule.numbers]
        numbers = ", ".join(f"{number} = {value}" for number, value in values)
        by_name = all(default is not None for _, default in rule.numbers)
        rows.append([f'`"{name}"`' if by_name else f"`{{ {numbers} }}`", rule.words])
    return table(["`rate`", "step size"], rows)


def theorems() -> str:
    """The table THEOREMS."""
    rows = []
    for theorem in THEOREMS.values():
        about, hidden = ", ".join(theorem.algorithms) or "the start", ", ".join(theorem.hidden)
        rows.append([str(theorem.number), f"`{theorem.statement}`", about, hidden])
    return table(["theorem", "statement", "about", "hidden in the paper"], rows)


def most() -> str:
    """The limits, with the reasons beside them."""
    lines = Path(limits.__file__).read_text(encoding="utf-8").splitlines()
    said = [found.groups() for line in lines if (found := re.fullmatch(r"([A-Z_]+) = .+?  # (.+)", line))]
    rows = [[f"`{name}`", f"{getattr(limits, name):,}", why] for name, why in said]
    return table(["limit", "most", "of what, and why"], rows)


# --- files ---


def files() -> str:
    """The files of a study's folder."""
    return table(["file", "what it is"], [[f"`{name}`", words] for name, words in dictionary.FILES.items()])


def columns_of(file: str) -> str:
    """The columns of a file, of those in Parquet with their types."""
    types = {field.name: str(field.type).split("<")[0] for field in columns.cells(x64=False)}
    if file.startswith("summary"):
        types = {name: str(columns.SUMMARY.get(name, columns.REAL)) for name in dictionary.SUMMARY_COLUMNS}
    typed = file.startswith(("cells", "summary"))
    rows = [[f"`{name}`", *([types[name]] if typed else []), words] for name, words in dictionary.COLUMNS[file].items()]
    return table(["column", *(["type"] if typed else []), "meaning"], rows)


# --- pages ---

SECTIONS: dict[str, Callable[[], str]] = {
    "algorithms": algorithms,
    "step sizes": step_sizes,
    "layouts": partial(worded, LAYOUTS),
    "noises": partial(worded, NOISES),
    "theorems": theorems,
    "limits": most,
    "files": files,
    **{f"spec {model}": partial(spec, model) for model in MODELS},
    **{f"columns {file}": partial(columns_of, file) for file in dictionary.COLUMNS},
    **{f"api {name}": partial(signatures.of, name) for name in jgmm.__all__},
}


def filled(page: str, *, late: bool) -> str:
    """The text of a page, its marked sections made anew: the API's if it is late, that is, at a build."""

    def section(found: re.Match) -> str:
        name = found[2]
        return f"{found[1]}\n{SECTIONS[name]()}\n\n{found[3]}" if late or not name.startswith("api ") else found[0]

    return MARKED.sub(section, page)


def on_page_markdown(markdown: str, **_: object) -> str:
    """MkDocs's hook: the text of a page."""
    return filled(markdown, late=True)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(filled(path.read_text(encoding="utf-8"), late=False), encoding="utf-8")
