"""A study's spec: reads TOML, checks it, and gives the study and its cells. A malformed spec is refused without JAX.

A spec is one grid, or several `[[part]]`s that share its name, runs and seed. Every list is a grid axis; the axes that
`together` names are walked in step instead of crossed. From Python, `Study(name="mine", mixture={"k": 2}, ...)` takes
the same tables, and there algorithms, noises and step sizes may be values in place of names.
"""

import difflib
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from jgmm import outside
from jgmm.study import limits, shown
from jgmm.study.cell import ENGINE, Cell, MixtureFields, SeedingSizes, StepSetting
from jgmm.study.fields import of_file
from jgmm.study.folder import seal
from jgmm.study.grid import cells, named_cells
from jgmm.study.schema import ROUNDS_GROW, Study

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
    """A preset's TOML. Raises ValueError for a name that no preset has."""
    names = presets()
    if name not in names:
        raise ValueError(f"{shown.value(name)} is no preset, expected one of {', '.join(names)}")
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
    if spec in presets():
        return parse(preset(spec), source=spec, folder=Path.cwd(), default_name=spec)
    path, source = Path(spec), shown.text(spec)
    text = _read(path, spec)
    if seal.LINE in text and not trust:
        outside.check_trust(text, source)
    return parse(text, source=source, folder=path.parent, default_name=path.stem)


def _read(path: Path, spec: str) -> str:
    """The text of the file that a spec names. Raises ValueError for what is no file of UTF-8, or is too long."""
    try:
        if not path.is_file():
            names = presets()
            near = difflib.get_close_matches(spec, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{shown.value(spec)} is neither a preset ({', '.join(names)}) nor a TOML file{hint}")
        with path.open("rb") as file:
            content = file.read(limits.SPEC_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{shown.value(spec)}: cannot be read: {error.strerror or error}") from None
    source = shown.text(spec)
    if len(content) > limits.SPEC_BYTES:
        raise ValueError(f"{source}: is longer than a spec may be, {limits.SPEC_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: is not UTF-8 (byte {error.start}), as TOML is") from None


# A bare or quoted key and its dot, too often: an array's numbers have commas between them.
KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:{KEY}){{{limits.KEY_PARTS}}}""", re.ASCII)


def parse(text: str, *, source: str, folder: Path, default_name: str) -> Study:
    """The study that a TOML text describes. Raises ValueError as `load`.

    source: what messages call the text. folder: where its files of means and its modules lie. default_name: of a study
    whose text gives none.
    """
    table = _table(text, source)
    if "name" not in table:
        table["name"] = default_name
        if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]*", default_name) or len(default_name) > limits.NAME:
            raise ValueError(
                f"{source}: its file's name is no name for a study: expected a key name, of letters, digits and _ . -"
            )
    with outside.beside(folder, folder / outside.FOLDER):
        for name in outside.names_in(table):
            outside.load(name)
        study = _validated(table, f"{source}: ")
    parts = []
    for part in study.part:
        if of_file(part.mixture.layout):
            place = str(folder / part.mixture.layout)
            part = part.model_copy(update={"mixture": part.mixture.model_copy(update={"layout": place})})
        parts.append(part)
    return study.model_copy(update={"part": parts})


def _table(text: str, source: str) -> dict[str, Any]:
    """The table that a TOML text holds. Raises ValueError for text that is too long, or no TOML."""
    if max(text.count(","), text.count("\n")) > limits.SPEC_VALUES or len(text) > limits.SPEC_BYTES:
        raise ValueError(f"{source}: has more lines or commas than a spec may, {limits.SPEC_VALUES}")
    if LONG_KEY.search(text):
        raise ValueError(f"{source}: a dotted key has more than {limits.KEY_PARTS} parts")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not TOML: {shown.text(error)}") from None
    except (RecursionError, ValueError) as error:  # a number of thousands of digits, say
        why = "nested too deep" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise ValueError(f"{source}: cannot be read: {why}") from None
    table.pop("environment", None)  # of a study.toml: what it was made with, not what it is
    return table


def changed(study: Study, **changes: Any) -> Study:
    """The study with other values, checked as a spec is. Raises ValueError, one line a fault."""
    return _validated({**study.model_dump(exclude_none=True), **changes}, "")


def _validated(table: dict, source: str) -> Study:
    """The study of a table. Raises ValueError, a line for each of the first faults, each behind the source's name."""
    try:
        return Study(**table)
    except ValueError as error:
        raise ValueError("\n".join(f"{source}{line}" for line in str(error).splitlines())) from None
