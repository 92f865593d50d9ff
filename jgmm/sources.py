"""The source of a user's code and its digest: of modules, or of a value that is in no module.

A module's source includes that of the modules that it imports, directly or not, from its own folder or package. It does
not include installed modules: their versions are kept beside results.
"""

import ast
import hashlib
import sys
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jgmm import doors

DIGITS = 12  # of a SHA-256
_installed = tuple({Path(sysconfig.get_path(key)) for key in ("stdlib", "purelib", "platlib")})


def of_module(name: str) -> dict[str, bytes]:
    """The source of an imported module, and of the modules that count with it, by module name."""
    first = sys.modules[name]
    root, package = path(first), name.partition(".")[0]
    sources: dict[str, bytes] = {}
    left = [first]
    while left:
        module = left.pop()
        place = path(module)
        if module.__name__ in sources or place is None or root is None:
            continue
        beside = place.parent == root.parent and not any(root.is_relative_to(folder) for folder in _installed)
        if beside or module.__name__.partition(".")[0] == package:
            sources[module.__name__] = source(module)
            left += _imported_by(module)
    return sources


def digest_of_module(name: str) -> str:
    """A digest of the source of an imported module and of the modules that count with it."""
    digest = hashlib.sha256()
    for module, text in sorted(of_module(name).items()):
        digest.update(f"{module}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()[:DIGITS]


def digest_of_value(value: Any) -> str:
    """A digest of a value that is in no module: of its code, constants and closures.

    Raises ValueError for a value that cannot be taken apart.
    """
    digest = hashlib.sha256()
    _add(digest.update, value, frozenset())
    return digest.hexdigest()[:DIGITS]


def path(module: ModuleType) -> Path | None:
    """The file of a module's source; None if it has none."""
    place = getattr(module, "__file__", None)
    return Path(place).resolve() if isinstance(place, str) and place.endswith(".py") else None


_read: dict[int, tuple[Any, bytes]] = {}  # by the identity of a module's __spec__, which a reload replaces


def source(module: ModuleType) -> bytes:
    """A module's source as it was when first asked for: later edits of the file do not run."""
    spec, place = module.__spec__, path(module)
    assert place is not None
    if _read.get(id(spec), (None,))[0] is not spec:
        _read[id(spec)] = (spec, place.read_bytes())
    return _read[id(spec)][1]


def _imported_by(module: ModuleType) -> list[ModuleType]:
    """The imported modules that a module's import statements name."""
    package, names = (module.__package__ or "").split("."), []
    for node in ast.walk(ast.parse(source(module))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return [sys.modules[name] for name in names if isinstance(sys.modules.get(name), ModuleType)]


def _add(update: Callable[[bytes], object], value: Any, seen: frozenset[int]) -> None:
    """Add a value to a digest: its code, with the constants, globals and closures that the code uses.

    A function of a module that can be imported adds its name alone.
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
    """The parts of a value. Raises ValueError for a value that cannot be taken apart."""
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
    raise ValueError(f"{doors.quoted(value)} has no source to know it by: expected a value of a module, as module:NAME")
