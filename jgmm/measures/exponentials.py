r"""exp and ln of NumPy's float64 by + - * / alone: the formulas and coefficients of `elementary`.

NumPy's own, and a C library's, may differ by a last bit from machine to machine.
"""

import math

import numpy as np
from jaxtyping import Float

from jgmm.formats import DOUBLE
from jgmm.ordered import LEAST, MOST


def exp(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """e^x = 2^n (1 + r + r^2 P(r)), x = n ln 2 + r."""
    high, low = DOUBLE.ln2
    clipped = np.clip(x, LEAST, MOST)  # NaN stays NaN
    n = np.rint(clipped / math.log(2))
    r = (clipped - n * high) - n * low
    power = np.where(np.isnan(n), 0, n).astype(np.int32)
    return np.ldexp(1 + (r + (r * r) * _polynomial(r, DOUBLE.p)), power)


def log(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """ln x = e ln 2 + f + f^2 Q(f), x = 2^e (1 + f); -infinity at 0, NaN below."""
    high, low = DOUBLE.ln2
    mantissa, exponent = np.frexp(x)
    small = mantissa < math.sqrt(0.5)
    f = np.where(small, 2 * mantissa, mantissa) - 1
    e = (exponent - small).astype(float)
    value = (((f * f) * _polynomial(f, DOUBLE.q) + e * low) + f) + e * high
    edge = np.where(x == 0, -np.inf, np.where(x > 0, np.inf, np.nan))
    return np.where((x > 0) & (x < np.inf), value, edge)


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
