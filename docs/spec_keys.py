"""The keys of a spec as tables, read from its models: what each takes and means, its unit, default and an example."""

from typing import Any

from jgmm.algorithms import ALGORITHMS
from jgmm.study import claim_spec, parts, schema
from jgmm.study.grid import AXES

TABLES = {"mixture": parts.MixtureSpec, "stream": parts.StreamSpec, "seeding": parts.SeedingSpec, "em": parts.EMSpec}
TABLES["claim"] = claim_spec.ClaimSpec
MODELS = {"study": schema.Study, "part": parts.Part, **TABLES}


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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
    noise = {"df": "student", "share": "contaminated", "factor": "contaminated"}.get(key, "gaussian")
    made = [parts.Part(algorithm=name, mixture=parts.MixtureSpec(layout=layout, noise=[noise])) for name in ALGORITHMS]
    return [part.algorithm for part in made if (model, key) not in part.idle()]


def of(model: str) -> str:
    """The keys of a table of a spec."""
    axes = set(AXES.values()) | {("part", "numbers")}
    rows = []
    for name, key in keys(model).items():
        takes = kind(key).removeprefix("list of ") if (model, name) in axes else kind(key)
        default = "" if key.get("default") is None else f"`{toml(key['default'])}`"
        row = [f"`{name}`", key["description"], takes, key["unit"], default, f"`{name} = {key['examples'][0]}`"]
        if model in TABLES:
            users = used_by(model, name)
            row += [
                "yes" if (model, name) in axes else "",
                "all" if len(users) == len(ALGORITHMS) else ", ".join(users),
            ]
        rows.append(row)
    headings = ["key", "meaning", "takes", "unit", "default", "example"]
    return table([*headings, "axis", "algorithms"] if model in TABLES else headings, rows)
