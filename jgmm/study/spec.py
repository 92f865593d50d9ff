"""A study's spec: TOML in, checked and resolved cells out. What is malformed is told without JAX.

A spec is one grid, or several `[[part]]`s that share its name, runs and seed. Every list is a grid axis; the axes that
`together` names are walked in step instead of crossed. From Python, `Study(name="mine", mixture={"k": 2}, ...)` takes
what a TOML file holds, and algorithms, noises and step sizes as values.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jgmm import outside
from jgmm.study import limits, shown
from jgmm.study.cell import ENGINE, Cell, MixtureFields, SeedingSizes, StepSetting
from jgmm.study.folder import seal
from jgmm.study.grid import cells, named_cells
from jgmm.study.schema import (
    ROUNDS_GROW,
    TABLES,
    EMSpec,
    MixtureSpec,
    Part,
    SeedingSpec,
    StreamSpec,
    Study,
    listed_lists,
    of_file,
)

__all__ = [
    "ENGINE",
    "ROUNDS_GROW",
    "Cell",
    "MixtureFields",
    "SeedingSizes",
    "StepSetting",
    "Study",
    "cells",
    "changed",
    "load",
    "named_cells",
    "parse",
    "preset",
    "presets",
]

PRESETS = resources.files("jgmm.study") / "presets"


def presets() -> dict[str, str]:
    """The first comment line of each preset that ships with the package, by name."""
    files = sorted((f for f in PRESETS.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): _first_line(f.read_text(encoding="utf-8")) for f in files}


def preset(name: str) -> str:
    """A preset's TOML. Raises ValueError for the name of none."""
    known = presets()
    if name not in known:
        raise ValueError(f"{shown.value(name)} is no preset, expected one of {', '.join(known)}")
    return (PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def _first_line(text: str) -> str:
    return text.splitlines()[0].lstrip("# ")


def load(spec: str, *, trust: bool = False) -> Study:
    """The study that a preset's name or a TOML file's path stands for; files and modules that it names lie beside it.

    trust: whether the study.toml of a folder may name code that lies in that folder; it is imported.
    Raises ValueError, one line a fault, for an unknown preset, a file that cannot be read, malformed TOML, unknown
    keys and values outside their range.
    """
    spec = str(spec)
    known = presets()
    if spec in known:
        return parse(preset(spec), source=spec, folder=Path.cwd(), default_name=spec)
    path, told = Path(spec), shown.text(spec)
    try:
        if not path.is_file():
            near = difflib.get_close_matches(spec, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{shown.value(spec)} is neither a preset ({', '.join(known)}) nor a TOML file{hint}")
        with path.open("rb") as file:
            content = file.read(limits.SPEC_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{shown.value(spec)}: cannot be read: {error.strerror or error}") from None
    if len(content) > limits.SPEC_BYTES:
        raise ValueError(f"{told}: is longer than a spec may be, {limits.SPEC_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{told}: is not UTF-8 (byte {error.start}), as TOML is") from None
    if seal.LINE in text and not trust:
        outside.check_trust(text, told)
    return parse(text, source=told, folder=path.parent, default_name=path.stem)


# A bare or quoted key and its dot, too often: an array's numbers have commas between them.
KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:{KEY}){{{limits.KEY_PARTS}}}""", re.ASCII)


def parse(text: str, *, source: str, folder: Path, default_name: str) -> Study:
    """The study that this TOML text describes, its files of means sought in `folder`. Raises ValueError as `load`."""
    if max(text.count(","), text.count("\n")) > limits.SPEC_VALUES or len(text) > limits.SPEC_BYTES:
        raise ValueError(f"{source}: has more lines or commas than a spec may, {limits.SPEC_VALUES}")
    if LONG_KEY.search(text):
        raise ValueError(f"{source}: a dotted key has more than {limits.KEY_PARTS} parts")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not TOML: {shown.text(error)}") from None
    except (RecursionError, ValueError) as error:  # a number of thousands of digits, say
        told = "nested too deep" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise ValueError(f"{source}: cannot be read: {told}") from None
    table.pop("environment", None)  # of a study.toml: what it was made with, not what it is
    if "name" not in table:
        table["name"] = default_name
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]*", default_name) or len(default_name) > limits.NAME:
            raise ValueError(
                f"{source}: its file's name is no name for a study: expected a key name, of letters, digits and _ . -"
            )
    with outside.beside(folder, folder / outside.FOLDER):
        for name in outside.names_in(table):
            outside.load(name)
        study = _made(table, f"{source}: ")
    parts = []
    for part in study.part:
        if of_file(part.mixture.layout):
            place = str(folder / part.mixture.layout)
            part = part.model_copy(update={"mixture": part.mixture.model_copy(update={"layout": place})})
        parts.append(part)
    return study.model_copy(update={"part": parts})


def changed(study: Study, **changes: Any) -> Study:
    """The study with other values, checked as a spec is. Raises ValueError, one line a fault."""
    return _made({**study.model_dump(exclude_none=True), **changes}, "")


def _made(table: dict, source: str) -> Study:
    try:
        return Study.model_validate(table)
    except ValidationError as error:
        faults = _faults(error, table)
    more = [f"and {len(faults) - limits.FAULTS} more"] if len(faults) > limits.FAULTS else []
    raise ValueError("\n".join(f"{source}{fault}" for fault in [*faults[: limits.FAULTS], *more]))


WORDS = {  # pydantic's, and ours
    "Value error, ": "",
    "Input should be": "expected",
    "less than or equal to": "at most",
    "greater than or equal to": "at least",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "a text",
    "a valid list": "a list",
    "List should have": "expected",
    "String should": "expected to",
    "Value should": "expected to",
    " after validation": "",
}


def _faults(error: ValidationError, table: dict) -> list[str]:
    """A line for each key at fault, with what any of its forms would expect; beyond those told, only counted."""
    found: dict[str, list[str]] = {}
    for item in error.errors(include_url=False, include_context=False):
        where = _place(item["loc"], table)
        said = found.setdefault(where, [])
        if len(found) > limits.FAULTS:
            continue
        message = str(item["msg"])
        for theirs, ours in WORDS.items():
            message = message.replace(theirs, ours)
        if item["type"] == "extra_forbidden":
            message = f": unknown key{_near(where)}"
        elif item["type"] in ("model_type", "dict_type") and said:
            continue  # that it is no table either
        elif item["type"] == "value_error":
            message = f" {message}"
        else:
            message = f" is {shown.value(item['input'])}: {message}"
        if said and message not in said:
            message = f" or {message.rpartition(': ')[2].strip().removeprefix('expected ')}"
        if message not in said:
            said.append(message)
    # A table that fits no form is told by what is wrong inside it.
    inside = {where.rpartition(".")[0] for where in found if "." in where}
    lines = (f"{where}{''.join(said)}" for where, said in found.items() if where not in inside)
    return [line.strip() for text in lines for line in text.split("\n")]


def _place(loc: tuple, table: dict) -> str:
    """Where in the spec a fault lies, as its writer would say it: no names of types, no 0 for a value alone."""
    here: Any = table
    steps = list(loc)
    if steps[:1] == ["part"] and len(steps) > 1 and isinstance(table.get("part", []), list):
        own = table.get("part", [{}])
        mine = own[steps[1]] if steps[1] < len(own) and isinstance(own[steps[1]], dict) else {}
        table_or_key = mine.get(steps[2]) if len(steps) > 2 else None
        inside = not isinstance(table_or_key, dict) or len(steps) == 3 or steps[3] in table_or_key
        if len(steps) > 2 and (steps[2] not in mine or not inside):
            steps = steps[2:]  # of what the parts share
    path: list = []
    passed = False
    for step in steps:
        if path[-1:] in (["weights"], ["scales"]) and not passed and listed_lists(here) != here:
            passed = True  # one list of weights is a list of such lists by now
        elif (isinstance(here, Mapping) and step in here) or (
            isinstance(here, list) and isinstance(step, int) and step < len(here)
        ):
            path.append(step)
            here = here[step]
    if loc and not path:
        path = [loc[-1]]
    return ".".join(map(shown.key, path))


def _near(where: str) -> str:
    """A hint at the key that was meant: in its own table, or the table that has one of this name."""
    *above, key = where.split(".")
    table = next((name for name in reversed(above) if name in TABLES), "")
    models: dict[str, type[BaseModel]] = {"mixture": MixtureSpec, "stream": StreamSpec}
    models |= {"seeding": SeedingSpec, "em": EMSpec}
    mine: dict[str, Any] = models[table].model_fields if table else {**Part.model_fields, **Study.model_fields}
    near = difflib.get_close_matches(key, mine, n=1)
    if near:
        return f", expected {near[0]!r}?"
    elsewhere = [f"{name}.{key}" for name, model in models.items() if key in model.model_fields]
    top = [key] if table and key in {**Part.model_fields, **Study.model_fields} else []
    known = [*elsewhere, *top] or [
        f"{name}.{close}" for name, m in models.items() for close in difflib.get_close_matches(key, m.model_fields, n=1)
    ]
    return f", expected {' or '.join(known)}?" if known else ""
