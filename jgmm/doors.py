"""Checks of the arguments of public functions: a ValueError names the argument, its value and what was expected.

Each check returns the value in its plain form (an int, a NumPy array, a Path). Needs no JAX.
"""

import operator
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 60  # characters of a value in a message


def quoted(value: Any) -> str:
    """The value in a message: on one line, shortened."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and np.ndim(value):
        return f"an array of {value.dtype}, shape {value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({type(value).__name__})"


def bad(name: str, value: Any, expected: str) -> ValueError:
    """The error to raise: "NAME is VALUE, expected ..."."""
    return ValueError(f"{name} is {quoted(value)}, expected {expected}")


def whole(name: str, value: Any, least: int = 1, below: int = 2**31) -> int:
    """A whole number, as an int; 1e4 counts as 10000."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    try:
        number = None if isinstance(plain, bool) else operator.index(plain)
    except TypeError:
        number = None
    if number is None or not least <= number < below:
        raise bad(name, value, f"a whole number of at least {least}" + (f", below {below}" if below < 2**31 else ""))
    return number


def wholes(name: str, values: Any, least: int = 1) -> tuple[int, ...]:
    """Whole numbers, as a tuple."""
    listed = _listed(values)
    if listed is None:
        raise bad(name, values, "a list of whole numbers")
    return tuple(whole(f"{name}[{i}]", value, least) for i, value in enumerate(listed))


def number(name: str, value: Any, low: float = -np.inf, high: float = np.inf, *, closed: bool = False) -> float:
    """A finite number between low and high (inclusive if `closed`)."""
    return float(numbers(name, value, (), low=low, high=high, closed=closed))


def numbers(
    name: str, value: Any, *shapes: tuple, low: float = -np.inf, high: float = np.inf, closed: bool = False
) -> np.ndarray:
    """Finite numbers in the range, as a float64 array of one of these shapes. A letter or None means any length."""
    span = _span(low, high, closed)
    wanted = f"{span}{'' if shapes == ((),) else ' of shape ' + ' or '.join(map(_shape, shapes))}"
    try:
        array = np.asarray(value)
    except Exception:  # a foreign object's __array__ may raise anything
        raise bad(name, value, wanted) from None
    if array.dtype.kind not in "iuf" and not (array.dtype.name == "bfloat16" or array.size == 0):
        raise bad(name, value, wanted)
    if not any(_fits(array.shape, shape) for shape in shapes):
        raise ValueError(f"{name} is {quoted(value)} of shape {array.shape}, expected {wanted}")
    array = array.astype(float)
    inside = (array >= low) & (array <= high) if closed else (array > low) & (array < high)
    wrong = ~(inside & np.isfinite(array))
    if wrong.any():
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
        where = f"{name}[{', '.join(map(str, at))}]" if array.ndim else name
        raise ValueError(f"{where} is {np.atleast_1d(array)[at]:g}, expected {span}")
    return array


def floats(name: str, value: Any, shape: tuple) -> Any:
    """An array (NumPy, JAX or traced) of floating-point numbers of this shape.

    A letter means any length from 1, an ellipsis at the end any further axes.
    """
    wanted = tuple(size for size in shape if size is not ...)
    actual: Any = getattr(value, "shape", None)
    actual = actual if isinstance(actual, tuple) else ()
    actual = actual[: len(wanted)] if len(wanted) < len(shape) else actual
    if not _fits(actual, wanted) or 0 in actual or "float" not in str(getattr(value, "dtype", "")):
        raise bad(
            name, value, f"an array of floating-point numbers of shape {_shape(shape).replace('Ellipsis', '...')}"
        )
    return value


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of these words."""
    if not (isinstance(value, str) and value in options):
        raise bad(name, value, "one of " + ", ".join(map(repr, options)))
    return value


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, (bool, np.bool_)):
        raise bad(name, value, "True or False")
    return bool(value)


def called(name: str, value: Any) -> Any:
    """A callable, or None."""
    if value is not None and not callable(value):
        raise bad(name, value, "a function, or None")
    return value


def kind(name: str, value: Any, wanted: type, how: str) -> Any:
    """An object of this type; `how` says how to make one."""
    if not isinstance(value, wanted):
        raise bad(name, value, f"a {wanted.__name__} ({how})")
    return value


def path(name: str, value: Any) -> Path:
    """A path, or a string with a path."""
    if not isinstance(value, (str, PathLike)) or not isinstance(fspath(value), str) or "\0" in fspath(value):
        raise bad(name, value, "a path: a string or a pathlib.Path")
    return Path(value)


def keys(name: str, value: Any, ndim: int = 0) -> Any:
    """A typed key of JAX's threefry generator, or an array of keys. Other generators would give other draws."""
    dtype, expected = str(getattr(value, "dtype", "")), "a key" if ndim == 0 else "an array of keys, one for each run"
    if not dtype.startswith("key<"):
        raise bad(name, value, f"{expected} of jax.random.key (a legacy one becomes one by jax.random.wrap_key_data)")
    if dtype != "key<fry>":
        raise ValueError(
            f"{name} is of {dtype}, expected {expected} of threefry: jax.random.key(..., impl='threefry2x32')"
        )
    if value.ndim != ndim or 0 in value.shape:
        raise ValueError(f"{name} has shape {value.shape}, expected {expected}")
    return value


def run_ids(name: str, value: Any) -> np.ndarray:
    """Whole numbers of 32 bits, at least one, as an array of uint32. The same number gives the same draws."""
    expected = "whole numbers from 0 to 2**32 - 1, of at least one run, in one dimension"
    listed = value if isinstance(value, np.ndarray) else _listed(value)
    if listed is None:
        raise bad(name, value, expected)
    try:
        array = np.asarray(listed)
    except Exception:
        raise bad(name, value, expected) from None
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
        raise bad(name, value, f"{expected}, and no mask")
    wrong = (array < 0) | (array >= 2**32)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"{name}[{at}] is {array[at]}, expected {expected}")
    return array.astype(np.uint32)


def _listed(values: Any) -> list | None:
    """The elements of a sized collection; None for text, iterators and other objects."""
    if isinstance(values, (str, bytes, dict)) or not isinstance(values, Iterable) or not hasattr(values, "__len__"):
        return None
    try:
        return list(values)
    except TypeError:  # an array of no dimension
        return None


def _fits(shape: tuple, wanted: tuple) -> bool:
    return len(shape) == len(wanted) and all(
        not isinstance(want, int) or size == want for size, want in zip(shape, wanted, strict=True)
    )


def _shape(shape: tuple) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ("," if len(shape) == 1 else "") + ")"


def _span(low: float, high: float, closed: bool) -> str:
    ends = "[]" if closed else "()"
    if np.isinf(low) and np.isinf(high):
        return "finite numbers"
    if np.isinf(high) and low == 0:
        return "non-negative finite numbers" if closed else "positive finite numbers"
    return f"numbers in {ends[0]}{low:g}, {high:g}{ends[1]}"
