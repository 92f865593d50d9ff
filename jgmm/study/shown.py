"""Quotes of a user's text in messages: short, on one line, without control characters."""

import reprlib
from typing import Any

from jgmm.study import limits

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = limits.SHOWN
_repr.maxlevel = 4


def value(x: Any) -> str:
    """repr(x), cut in the middle if it is long."""
    if isinstance(x, int) and abs(x) >= 10**limits.SHOWN:  # Python may refuse to print it
        return f"a whole number of {x.bit_length()} bits"
    whole = text(_repr.repr(x))
    return whole if len(whole) <= 2 * limits.SHOWN else f"{whole[: limits.SHOWN]} ... {whole[-limits.SHOWN // 2 :]}"


def path(x: Any) -> str:
    """A path in quotes, cut only if it is very long."""
    return text(repr(str(x)) if len(str(x)) <= 4 * limits.SHOWN else value(str(x)))


def key(x: Any) -> str:
    """A key of a table as TOML writes it: without quotes where possible."""
    plain = isinstance(x, int) or (isinstance(x, str) and x.replace("_", "").replace("-", "").isalnum() and x.isascii())
    return str(x) if plain and len(str(x)) <= limits.SHOWN else value(x)


def text(x: Any) -> str:
    """str(x) with control characters and line ends escaped, as in a Python string."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(x))
