"""A study's spec: TOML in, checked and resolved cells out. Needs no JAX.

A spec is one grid, or several `[[part]]`s that share its name, runs and seed. Every list is a grid axis; the axes that
`together` names are walked in step instead of crossed. Sizes that a spec leaves out are the seed document's: N0 =
int(k^3 d^3 ln(k d)) samples (1,000 at least), blocks of int(d ln d) (k at least), int(10 k ln k) graph points (10 at
least), 3 neighbours. From Python, `Study(name="mine", mixture={"k": 2}, ...)` takes what a TOML file holds.
"""

import difflib
import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from jgmm.study.grid import ENGINE, Cell, MixtureFields, SeedingSizes, cells, named_cells
from jgmm.study.schema import (
    LAYOUTS,
    ROUNDS_GROW,
    EMSpec,
    MixtureSpec,
    Part,
    Schedule,
    SeedingSpec,
    StreamSpec,
    Study,
)

__all__ = [
    "ENGINE",
    "ROUNDS_GROW",
    "Cell",
    "MixtureFields",
    "SeedingSizes",
    "Study",
    "cells",
    "load",
    "named_cells",
    "parse",
    "presets",
]


def presets() -> dict[str, str]:
    """The first comment line of each preset that ships with the package, by name."""
    folder = resources.files("jgmm.study") / "presets"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text().splitlines()[0].lstrip("# ") for f in files}


def load(spec: str) -> Study:
    """The study that a preset's name or a TOML file's path stands for.

    Raises ValueError, one line a fault, for an unknown preset, a file that cannot be read, malformed TOML, unknown
    keys and values outside their range.
    """
    known = presets()
    if spec in known:
        text = (resources.files("jgmm.study") / "presets" / f"{spec}.toml").read_text()
        return parse(text, source=spec, folder=Path.cwd(), default_name=spec)
    path = Path(spec)
    if not path.is_file():
        near = difflib.get_close_matches(spec, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{spec!r} is neither a preset ({', '.join(known)}) nor a TOML file{hint}")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{spec}: cannot be read: {error}") from None
    return parse(text, source=spec, folder=path.parent, default_name=path.stem)


def parse(text: str, *, source: str, folder: Path, default_name: str) -> Study:
    """The study that this TOML text describes. Raises ValueError as `load` does."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not TOML: {error}") from None
    table.pop("environment", None)  # of a study.toml: what it was made with, not what it is
    table.setdefault("name", default_name)
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        raise ValueError("\n".join(f"{source}: {fault}" for fault in _faults(error, "part" in table))) from None
    for part in study.part:
        _check_layout(part, source, folder)
    return study


def _faults(error: ValidationError, has_parts: bool) -> list[str]:
    """A line for each key at fault, with what any of its forms would expect."""
    found: dict[str, list[str]] = {}
    hidden = ("literal[", "constrained", "list[", "float", "int", "function-", "Schedule")
    for item in error.errors():
        where = ".".join(str(x) for x in item["loc"] if not str(x).startswith(hidden))
        where = where if has_parts else where.removeprefix("part.0.")
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), _keys(), n=1)
            found.setdefault(where, []).append("unknown key" + (f", expected {near[0]!r}?" if near else ""))
        elif item["type"] == "missing":
            found.setdefault(where, []).append("missing")
        elif item["type"] == "value_error":
            found.setdefault(where, []).append(str(item["msg"]).removeprefix("Value error, "))
        elif item["type"] not in ("model_type", "dict_type") or not found.get(where):
            message = f"{item['msg'][0].lower()}{item['msg'][1:]}"
            said = found.setdefault(where, [])
            said.append(message if said else f"is {item['input']!r}: {message}")
    # A table that fits no form is told by what is wrong inside it.
    outer = [w for w in found if any(other.startswith(f"{w}.") for other in found)]
    found = {where: list(dict.fromkeys(said)) for where, said in found.items() if where not in outer}
    return [f"{where} {' or '.join(said)}".strip().replace(" unknown", ": unknown") for where, said in found.items()]


def _keys() -> list[str]:
    models = (Study, Part, MixtureSpec, StreamSpec, SeedingSpec, EMSpec, Schedule)
    return sorted({name for model in models for name in model.model_fields})


def _check_layout(part: Part, source: str, folder: Path) -> None:
    layout = part.mixture.layout
    if layout in LAYOUTS or (layout.endswith(".npy") and (folder / layout).is_file()):
        return
    raise ValueError(f"{source}: mixture.layout is {layout!r}, expected one of {', '.join(LAYOUTS)} or a .npy file")
