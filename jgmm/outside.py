"""Algorithms, step sizes, noises and pages that are not jgmm's, named "module:NAME" in a spec.

    load          the value that has this name; its module may lie in one of some folders
    name          the name of a value: "module:NAME" where a module has it, else "here:" and a digest of its source
    digest        of the source behind a name: of its module, and of those beside it that it uses
    files         those sources, to be kept beside results

A value that no module holds (it was made in a notebook, or by a function) runs in the process that made it. Workers and
other processes cannot have it: they refuse its name, and say why.
"""

import ast
import contextlib
import hashlib
import importlib
import re
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jgmm import doors

NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
HERE = "here:"
FOLDER = "code"  # of a study's folder, where the sources behind its names are kept
_values: dict[str, Any] = {}  # of this process, by the names that begin with HERE
_installed = tuple({Path(sysconfig.get_path(key)) for key in ("stdlib", "purelib", "platlib")})


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
    if meant is not None and (_path(top) is None or (_path(top) != meant and _source(top) != meant.read_bytes())):
        raise _Another(
            f"{meant} is not the module {first!r} that is imported from {_path(top)}: expected another name, or another"
            " process"
        )
    return module


def _import(name: str, folders: list[str]) -> None:
    sys.path += folders
    importlib.invalidate_caches()
    try:
        importlib.import_module(name)
    finally:
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
        if isinstance(module, ModuleType) and module.__name__ != "__main__" and _path(module) is not None
        for attribute, held in list(vars(module).items())
        if held is value
    ]
    places.sort(key=lambda place: place.partition(":")[0] not in homes)  # where it was made first
    for place in places:
        if NAME.fullmatch(place):
            return place
    digest = hashlib.sha256()
    _add(digest.update, value, frozenset())
    made = f"{HERE}{digest.hexdigest()[:12]}"
    _values[made] = value
    return made


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
    """Twelve digits of the SHA-256 of the source behind a name: two sources that differ are two algorithms.

    Of the module, and of all that it uses which lies beside it or in the same package (not: what is installed).
    """
    if name.startswith(HERE):
        return name.removeprefix(HERE)
    found = hashlib.sha256()
    for module, source in sorted(_sources(name).items()):
        found.update(f"{module}\0{len(source)}\0".encode() + source)
    return found.hexdigest()[:12]


def files(name: str) -> dict[str, bytes]:
    """The sources behind a name that a folder of results keeps, by file name: those of modules of one file."""
    if name.startswith(HERE):
        return {}
    return {f"{module}.py": source for module, source in _sources(name).items() if "." not in module}


def _sources(name: str) -> dict[str, bytes]:
    """The source of the module that a name is in, and of those that it uses of the same folder or package."""
    first = importlib.import_module(name.partition(":")[0])
    root, package = _path(first), first.__name__.partition(".")[0]
    found: dict[str, bytes] = {}
    left = [first]
    while left:
        module = left.pop()
        path = _path(module)
        if module.__name__ in found or path is None or root is None:
            continue
        beside = path.parent == root.parent and not any(root.is_relative_to(folder) for folder in _installed)
        if beside or module.__name__.partition(".")[0] == package:
            found[module.__name__] = _source(module)
            left += _used(module)
    return found


def _used(module: ModuleType) -> list[ModuleType]:
    """The modules that a module's import statements name, of those that have been imported."""
    package, names = (module.__package__ or "").split("."), []
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return [sys.modules[name] for name in names if isinstance(sys.modules.get(name), ModuleType)]


def _path(module: ModuleType) -> Path | None:
    """Where a module's source lies; None for one that has none."""
    place = getattr(module, "__file__", None)
    return Path(place).resolve() if isinstance(place, str) and place.endswith(".py") else None


_read: dict[int, tuple[Any, bytes]] = {}  # by the identity of a module's __spec__, which a reload replaces


def _source(module: ModuleType) -> bytes:
    """A module's source as it was when it was first asked for: what was edited since is not what runs."""
    spec, path = module.__spec__, _path(module)
    assert path is not None
    if _read.get(id(spec), (None,))[0] is not spec:
        _read[id(spec)] = (spec, path.read_bytes())
    return _read[id(spec)][1]


def _add(update: Callable[[bytes], object], value: Any, seen: frozenset[int]) -> None:
    """Put what decides what a value does into a digest: code and its constants, globals, and what functions close over.

    A function of a module that can be imported is known by its name.
    """
    where, what = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    imported = isinstance(where, str) and where != "__main__" and isinstance(what, str) and "<" not in what
    if isinstance(value, (bool, int, float, complex, str, bytes, type(None))):
        update(repr(value).encode() + b"\0")
    elif id(value) in seen:
        update(b"again\0")
    elif imported and callable(value):
        update(f"{where}:{what}\0".encode())
    elif isinstance(value, ModuleType):
        update(f"{value.__name__}\0".encode())
    else:
        update(f"{type(value).__qualname__}\0".encode())
        for part in _parts(value):
            _add(update, part, seen | {id(value)})


def _parts(value: Any) -> list:
    """What a value is made of. Raises ValueError for one that cannot be taken apart."""
    if isinstance(value, CodeType):
        return [value.co_code, *value.co_names, *value.co_consts]
    if isinstance(value, FunctionType):
        used = [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, *cells, *used]
    if isinstance(value, (tuple, list)):
        return [len(value), *value]
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return [str(value.dtype), str(value.shape), value.tobytes()]
    if hasattr(value, "__dict__"):
        return [vars(value)]
    raise ValueError(f"{doors.told(value)} has no source to know it by: expected a value of a module, as module:NAME")
