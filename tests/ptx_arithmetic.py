"""What PTX instructions compute, on arrays of NumPy of the instruction's type: for `ptx`.

Every result is rounded once, as IEEE 754 has it, so that bits can be compared:

    + - * / sqrt   NumPy's are
    fma            `numpy_list.fma` is

but for rsqrt.approx, of which a GPU says no more than how far off it may be: here it is off by up to 4 units in the
last place, which is more than that, and by another number for each argument.
"""

import operator
from functools import partial

import numpy as np
from numpy_list import fma


def _wide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of twice the width."""
    double = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
    return a.astype(double) * b.astype(double)


def _shift(a: np.ndarray, by: np.ndarray, *, left: bool) -> np.ndarray:
    """By an unsigned 32-bit number; from the width on, nothing but zeros or the sign is left."""
    bits = 8 * a.dtype.itemsize
    amount = by.view(f"u{by.dtype.itemsize}").astype(np.uint64) & 0xFFFFFFFF
    inside = np.minimum(amount, bits - 1).astype(a.dtype)
    moved = a << inside if left else a >> inside
    return np.where((amount >= bits) & (left or a.dtype.kind == "u"), a.dtype.type(0), moved)


def _funnel(low: np.ndarray, high: np.ndarray, by: np.ndarray, *, left: bool) -> np.ndarray:
    """Of 64 bits, shifted by `by` modulo 32, the upper word (left) or the lower one (right)."""
    both, amount = high.astype(np.uint64) << 32 | low, (by & 31).astype(np.uint64)
    return (both << amount >> 32 if left else both >> amount).astype(np.uint32)


def _lookup(a: np.ndarray, b: np.ndarray, c: np.ndarray, table: np.ndarray) -> np.ndarray:
    """lop3: bit by bit, the table's bit at 4 a + 2 b + c."""
    found = np.zeros_like(a)
    for i in range(8):
        if int(table.flat[0]) >> i & 1:
            found |= (a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c)
    return found


def _guess(a: np.ndarray) -> np.ndarray:
    """1 / sqrt(a), and some units in its last place."""
    scattered = a.view(np.uint32) * np.uint32(2654435761) >> np.uint32(20)
    return (
        (1 / np.sqrt(a.astype(np.float64))).astype(np.float32).view(np.int32) + (scattered % 9).astype(np.int32) - 4
    ).view(np.float32)


ARITHMETIC = {
    **dict.fromkeys(("add", "add.rn"), operator.add),
    **dict.fromkeys(("sub", "sub.rn"), operator.sub),
    **dict.fromkeys(("mul.rn", "mul.lo"), operator.mul),
    **{"mul.wide": _wide, "mad.lo": lambda a, b, c: a * b + c, "fma.rn": fma, "div.rn": operator.truediv},
    **{"rcp.rn": lambda a: 1 / a, "rsqrt.approx.ftz": _guess},
    **{"neg": operator.neg, "abs": np.abs, "sqrt.rn": np.sqrt},
    **{
        "min": np.fmin,
        "max": np.fmax,
        "min.NaN": np.minimum,
        "max.NaN": np.maximum,
    },  # of a number and a NaN the number
    **{"and": operator.and_, "or": operator.or_, "xor": operator.xor, "not": operator.invert, "mov": lambda a: a},
    **{"shl": partial(_shift, left=True), "shr": partial(_shift, left=False)},
    **{"shf.l.wrap": partial(_funnel, left=True), "shf.r.wrap": partial(_funnel, left=False), "lop3": _lookup},
}
COMPARISONS = {"eq": operator.eq, "ne": lambda a, b: (a < b) | (a > b), "lt": operator.lt, "le": operator.le}
COMPARISONS |= {"gt": operator.gt, "ge": operator.ge}
COMPARISONS |= {"lo": operator.lt, "ls": operator.le, "hi": operator.gt, "hs": operator.ge}
# The unordered ones hold where a number is NaN.
COMPARISONS |= {"equ": lambda a, b: ~((a < b) | (a > b)), "neu": operator.ne, "ltu": lambda a, b: ~(a >= b)}
COMPARISONS |= {"leu": lambda a, b: ~(a > b), "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b)}
COMPARISONS |= {"num": lambda a, b: (a == a) & (b == b), "nan": lambda a, b: (a != a) | (b != b)}
JOINS = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}
WHOLE = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
