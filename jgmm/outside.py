"""Algorithms, step sizes, noises and pages that are not jgmm's, named "module:NAME" in a spec.

    load          the value that has this name; its module may lie in one of some folders
    name          the name of a value: "module:NAME" where a module has it, else "here:" and a digest of its source
    digest        of the source behind a name (see `sources`)
    files         those sources, to be kept beside results

A value that no module holds (it was made in a notebook, or by a function) runs in the process that made it. Workers and
other processes cannot have it: they refuse its name, and say why.
"""

import contextlib
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from jgmm import doors, sources

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
HERE = "here:"
FOLDER = "code"  # of a study's folder, where the sources behind its names are kept
_values: dict[str, Any] = {}  # of this process, by the names that begin with HERE


def named(text: Any) -> bool:
    """Whether this is the name of something outside: a text with a colon that has a name's form."""
    return isinstance(text, str) and (text.startswith(HERE) or NAME.fullmatch(text) is not None)


def foreign(text: Any) -> bool:
    """Whether the name's module is not jgmm's: to load it is to run somebody else's code."""
    return named(text) and not text.startswith("jgmm.")


def load(name: str, what: str = "value") -> Any:
    """The value of this name. Raises ValueError if its module cannot be imported, or does not have it.

    what: what it is to be, for the message.
    """
    if name.startswith(HERE):
        if name not in _values:
            raise ValueError(
                f"{what} is {name!r}, which lived in the process that ran it alone: expected module:NAME, of a module"
                " that can be imported"
            )
        return _values[name]
    if not NAME.fullmatch(name):
        raise doors.bad(what, name, "module:NAME")
    module, _, value = name.partition(":")
    try:
        return getattr(_imported(module), value)
    except _Another:
        raise
    except Exception as error:  # whatever a module of somebody's raises when it is imported
        told = " ".join(f"{type(error).__name__}: {error}".split())
        expected = "expected a module that can be imported, and a name in it"
        raise ValueError(f"{what} is {name!r}, {expected} ({told})") from None


class _Another(ValueError):
    """A module that is there already has the name of one that is meant."""


_folders: ContextVar[tuple[Path, ...]] = ContextVar("_folders", default=())


@contextlib.contextmanager
def beside(*folders: Path) -> Iterator[None]:
    """What is named outside jgmm is also sought in these folders; nothing else is."""
    before = _folders.set(folders)
    try:
        yield
    finally:
        _folders.reset(before)


def _imported(name: str) -> ModuleType:
    """A module, from one of the folders if it lies there.

    While it is imported the folders stand last among the places where modules are sought: none of theirs takes the
    place of an installed one. Raises ValueError if another module has its name.
    """
    first = name.partition(".")[0]
    places = [folder.resolve() / f"{first}.py" for folder in _folders.get()]
    meant = next((path for path in places if path.is_file()), None)
    if name not in sys.modules:
        _import(name, [str(path.parent) for path in places if path.parent.is_dir()])
    module = sys.modules[name]
    top = sys.modules[first]
    if meant is not None and not _same(top, meant):
        raise _Another(
            f"{meant} is not the module {first!r} that is imported from {sources.path(top)}: expected another name, or"
            " another process"
        )
    return module


def _same(module: ModuleType, file: Path) -> bool:
    """Whether a module is the one in this file, or has the same source."""
    place = sources.path(module)
    return place is not None and (place == file or sources.source(module) == file.read_bytes())


def _import(name: str, folders: list[str]) -> None:
    """Import a module that may lie in one of these folders, and write nothing there."""
    writes = sys.dont_write_bytecode
    sys.path += folders
    sys.dont_write_bytecode = writes or bool(folders)
    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    finally:
        sys.dont_write_bytecode = writes
        for folder in folders:
            sys.path.remove(folder)


def name(value: Any) -> str:
    """The name of a value, under which `load` gives it again (in this process, if it begins with "here:").

    Raises ValueError if its source cannot be told from another's.
    """
    homes = {getattr(part, "__module__", None) for part in (value if isinstance(value, tuple) else (value,))}
    places = [
        f"{module.__name__}:{attribute}"
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType) and module.__name__ != "__main__" and sources.path(module) is not None
        for attribute, attribute_value in list(vars(module).items())
        if attribute_value is value
    ]
    places.sort(key=lambda place: place.partition(":")[0] not in homes)  # where it was made first
    for place in places:
        if NAME.fullmatch(place):
            return place
    place = f"{HERE}{sources.digest_of_value(value)}"
    _values[place] = value
    return place


KEYS = ("algorithm", "layout", "noise", "rate", "report")  # of a spec, whose values may be names


def names_in(table: Any) -> list[str]:
    """The names of what stands outside jgmm in a spec's table, in the order of the spec."""
    if isinstance(table, Mapping):
        own = [value for key in KEYS if key in table for value in _listed(table[key]) if foreign(value)]
        return list(dict.fromkeys([*own, *(name for value in table.values() for name in names_in(value))]))
    if isinstance(table, list):
        return list(dict.fromkeys(name for value in table for name in names_in(value)))
    return []


def check_trust(spec: str, where: object) -> None:
    """Raises ValueError if the study.toml of a folder, read from `where`, names what stands outside jgmm."""
    if names := names_in(tomllib.loads(spec)):
        raise ValueError(
            f"{where} names code of its own ({', '.join(names)}): expected --trust (or trust=True), which imports it"
            " from the folder and runs it"
        )


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def digest(name: str) -> str:
    """Digits that stand for the source behind a name: two sources that differ are two algorithms."""
    if name.startswith(HERE):
        return name.removeprefix(HERE)
    return sources.digest_of_module(_module_of(name))


def files(name: str) -> dict[str, bytes]:
    """The sources behind a name that a folder of results keeps, by file name: those of modules of one file."""
    if name.startswith(HERE):
        return {}
    texts = sources.of_module(_module_of(name))
    return {f"{module}.py": text for module, text in texts.items() if "." not in module}


def _module_of(name: str) -> str:
    """The module of a name, imported if it was not."""
    return importlib.import_module(name.partition(":")[0]).__name__
