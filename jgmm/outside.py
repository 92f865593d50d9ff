"""Algorithms, step sizes, noises, layouts and pages that are not jgmm's: a spec names them as "module:NAME".

    load          the value with a name; its module may be in one of the folders of `beside`
    name          the name of a value: "module:NAME" if a module has it, else "here:" and a digest of its source
    digest        a digest of the source of a name's value (see `sources`)
    files         that source, to be kept beside results
    blame         where an error passed through it

A value made in a notebook or by a function is in no module. It runs in the process that made it; workers and other
processes refuse its name, and say why.
"""

import contextlib
import importlib
import re
import sys
import tomllib
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from jgmm import doors, sources

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
HERE = "here:"
FOLDER = "code"  # the folder in a study's folder that keeps the sources of what the study names
_values: dict[str, Any] = {}  # this process's values, by the names that begin with HERE
_modules: set[str] = set()  # not jgmm's, that a name has had imported


def named(text: Any) -> bool:
    """Whether a text has the form of a name: "module:NAME" or "here:DIGEST"."""
    return isinstance(text, str) and (text.startswith(HERE) or NAME.fullmatch(text) is not None)


def foreign(text: Any) -> bool:
    """Whether this is a name whose module is not jgmm's. Loading it runs somebody else's code."""
    return named(text) and not text.startswith("jgmm.")


def load(name: str, what: str = "value") -> Any:
    """The value of this name. Raises ValueError if its module cannot be imported, or does not have it.

    what: the kind of value, for the message.
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
    if foreign(name):
        _modules.add(module)
    try:
        return getattr(_imported(module), value)
    except _Another:
        raise
    except Exception as error:  # a user's module may raise anything when it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        expected = "expected a module that can be imported, and a name in it"
        raise ValueError(f"{what} is {name!r}, {expected} ({reason})") from None


def blame(fault: BaseException) -> str | None:
    """Where an error came last through a module that a name had imported: "FILE:LINE, in FUNCTION"; None if nowhere."""
    passed = [
        f"{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(fault.__traceback__)
        if frame.f_globals.get("__name__") in _modules
    ]
    return passed[-1] if passed else None


class _Another(ValueError):
    """Another module of this name is imported already."""


_folders: ContextVar[tuple[Path, ...]] = ContextVar("_folders", default=())


@contextlib.contextmanager
def beside(*folders: Path) -> Iterator[None]:
    """Within this block modules of names are also sought in these folders."""
    before = _folders.set(folders)
    try:
        yield
    finally:
        _folders.reset(before)


def _imported(name: str) -> ModuleType:
    """The module of this name, also sought in the folders of `beside`, after all other places.

    So a module in a folder never takes the place of an installed one. Raises ValueError if a folder has the module but
    another one of its name was imported.
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
    """Whether a module comes from this file, or has the same source."""
    place = sources.path(module)
    return place is not None and (place == file or sources.source(module) == file.read_bytes())


def _import(name: str, folders: list[str]) -> None:
    """Import a module that may be in one of these folders, without writing bytecode there."""
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
    """The name by which `load` gives this value again. A name that begins with "here:" holds in this process alone.

    Raises ValueError if the value has no source to make a digest of.
    """
    homes = {getattr(part, "__module__", None) for part in (value if isinstance(value, tuple) else (value,))}
    places = [
        f"{module.__name__}:{attribute}"
        for module in list(sys.modules.values())
        if isinstance(module, ModuleType) and module.__name__ != "__main__" and sources.path(module) is not None
        for attribute, attribute_value in list(vars(module).items())
        if attribute_value is value
    ]
    places.sort(key=lambda place: place.partition(":")[0] not in homes)  # the module that made it comes first
    for place in places:
        if NAME.fullmatch(place):
            return place
    place = f"{HERE}{sources.digest_of_value(value)}"
    _values[place] = value
    return place


KEYS = ("algorithm", "layout", "noise", "rate", "report")  # the keys of a spec whose values may be names


def names_in(table: Any) -> list[str]:
    """The names in a spec's table whose modules are not jgmm's, in the order of the spec."""
    if isinstance(table, Mapping):
        own = [value for key in KEYS if key in table for value in _listed(table[key]) if foreign(value)]
        return list(dict.fromkeys([*own, *(name for value in table.values() for name in names_in(value))]))
    if isinstance(table, list):
        return list(dict.fromkeys(name for value in table for name in names_in(value)))
    return []


def check_trust(spec: str, where: object) -> None:
    """Raises ValueError if a study.toml, read from the folder `where`, has names whose modules are not jgmm's."""
    if names := names_in(tomllib.loads(spec)):
        raise ValueError(
            f"{where} names code of its own ({', '.join(names)}): expected --trust (or trust=True), which imports it"
            " from the folder and runs it"
        )


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def digest(name: str) -> str:
    """A digest of the source of a name's value. Two sources that differ are two algorithms."""
    if name.startswith(HERE):
        return name.removeprefix(HERE)
    return sources.digest_of_module(_module_of(name))


def files(name: str) -> dict[str, bytes]:
    """The sources that a folder of results keeps for a name, by file name: those of modules that are in no package."""
    if name.startswith(HERE):
        return {}
    texts = sources.of_module(_module_of(name))
    return {f"{module}.py": text for module, text in texts.items() if "." not in module}


def _module_of(name: str) -> str:
    """The module of a name; it is imported if needed."""
    return importlib.import_module(name.partition(":")[0]).__name__
