"""Write what docs/*.md say of the code: the text between `<!-- generated: NAME -->` and `<!-- end -->`.

    python docs/generate.py          from the repository's root, after a change of a key, a record or a column

Keys come from the models of a spec, records from their tables, columns from the data dictionary, signatures and
docstrings from the sources. A test holds the committed pages equal to what this would write.
"""

import importlib
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jgmm import named, rates, steps
from jgmm.algorithms import ALGORITHMS
from jgmm.mixture import LAYOUTS
from jgmm.noise import NOISES
from jgmm.study import limits
from jgmm.study.folder import columns, dictionary
from jgmm.theory.bounds import THEOREMS

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))
signatures, spec_keys = map(importlib.import_module, ("signatures", "spec_keys"))  # beside this file
table = spec_keys.table
MARKED = re.compile(r"(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLE = ("examples/your_algorithm/trimmed.py", "examples/your_algorithm/study.toml")


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
    """The table THEOREMS; a list, since norms are written with what divides the columns of a table."""
    entries = []
    for theorem in THEOREMS.values():
        about, hidden = ", ".join(theorem.algorithms) or "the start alone", ", ".join(theorem.hidden)
        said = f"**Theorem {theorem.number}**, about {about}; hidden in the paper: {hidden}."
        entries.append(f"{said}\n\n```text\n{theorem.statement}\n```")
    return "\n\n".join(entries)


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


def measures() -> str:
    """The columns of what a spec measures beside, with the names of the quantities that they hold."""
    rows = []
    for name, words in dictionary.MEASURED_COLUMNS.items():
        each = named.load("measure", name).each
        quantities = f"`{name}`" if each is None else f"`{each}1`, ..."
        rows.append([f"`{name}`", "list" if each else "float", quantities, words])
    return table(["column", "type", "quantities", "meaning"], rows)


def source(path: str) -> str:
    """A file of the repository, as a block."""
    language = {"py": "python"}.get(path.rpartition(".")[2], path.rpartition(".")[2])
    return f"```{language}\n{(DOCS.parent / path).read_text(encoding='utf-8')}```"


# --- pages ---

SECTIONS: dict[str, Callable[[], str]] = {
    "algorithms": algorithms,
    "step sizes": step_sizes,
    "layouts": partial(worded, LAYOUTS),
    "noises": partial(worded, NOISES),
    "theorems": theorems,
    "limits": most,
    "files": files,
    "measures": measures,
    **{f"spec {model}": partial(spec_keys.of, model) for model in spec_keys.MODELS},
    **{f"columns {file}": partial(columns_of, file) for file in dictionary.COLUMNS},
    **{f"source {path}": partial(source, path) for path in EXAMPLE},
    **{f"api {name}": partial(signatures.of, name) for name in signatures.PLACES if name != "algorithms"},
}


def filled(page: str) -> str:
    """The text of a page, its marked sections made anew."""

    def section(found: re.Match) -> str:
        name = found[2]
        return f"{found[1]}\n{SECTIONS[name]()}\n\n{found[3]}"

    return MARKED.sub(section, page)


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
