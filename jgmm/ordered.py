r"""Sums in a written order, and the little linear algebra that is made of them: NumPy, elementwise along the runs.

What is kept of a run may depend neither on the runs beside it nor on the machine. The reductions of BLAS, LAPACK and
XLA add in an order of the processor's, NumPy's own in one that depends on how many runs there are. Here arrays are
added one after another, by + - * / and square roots, which IEEE 754 defines to the last bit.

    ln, exp,       in decimal numbers of 40 digits (libmpdec), then rounded: a C library's, or NumPy's, which has one a
    power          width of vectors, may be an ulp off, and so another on another machine
    span           Gram-Schmidt, the longest remainder first, twice (Giraud, Langou, Rozloznik 2005)
    eigenvalues    Jacobi's rotations, row by row (Golub and Van Loan 2013, section 8.5)
"""

import decimal
import math
from collections.abc import Iterable
from functools import lru_cache, reduce
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

DIGITS = decimal.Context(prec=40)  # whatever the caller's are: a double rounding shows in one number of 1e23
LEAST, MOST = -746.0, 710.0  # e to such powers is 0, and infinite, in float64
SWEEPS = 10  # of Jacobi's rotations, whatever they meet: convergence is quadratic, and 20 x 20 takes 6 to 7


def ln(x: float) -> float:
    """The natural logarithm in float64; -infinity of 0. Raises ValueError for a negative number or NaN."""
    return _logarithm(float(x), 1)


def log2(x: float) -> float:
    """As `ln`, of base 2: whole for powers of 2."""
    return _logarithm(float(x), 2)


def ln_each(x: Float[np.ndarray, "*shape"]) -> np.ndarray:
    """`ln` of every number, in float64: for arrays that hold few different ones."""
    values, place = np.unique(x, return_inverse=True)
    return np.array([ln(value) for value in values]).reshape(-1)[place].reshape(np.shape(x))


@lru_cache(maxsize=4096)
def exp(x: float) -> float:
    """e^x in float64; infinity and 0 where it leaves the floats."""
    x = float(x)
    if not LEAST <= x <= MOST:  # NaN stays NaN
        return 0.0 if x < LEAST else math.inf if x > MOST else x
    return float(DIGITS.exp(decimal.Decimal(x)))


@lru_cache(maxsize=4096)
def power(x: float, y: float) -> float:
    """x^y in float64, for finite numbers; infinity and 0 where it leaves the floats, also 0 to a negative power.

    Raises ValueError for a negative number to a power that is not whole.
    """
    x, y = float(x), float(y)
    if x < 0 and not y.is_integer():
        raise ValueError(f"{x:g} to the power {y:g}: expected a number of at least 0, or a whole power")
    sign = -1.0 if x < 0 and y % 2 else 1.0
    if y == 0:
        return 1.0
    if x == 0:
        return 0.0 if y > 0 else math.inf
    exponent = y * ln(abs(x))  # about, to see whether a float holds it
    if not LEAST <= exponent <= MOST:
        return sign * (0.0 if exponent < LEAST else math.inf)
    return sign * float(DIGITS.power(decimal.Decimal(abs(x)), decimal.Decimal(y)))


@lru_cache(maxsize=4096)
def _logarithm(x: float, base: int) -> float:
    if not x >= 0:
        raise ValueError(f"the logarithm of {x:g}: expected a number of at least 0")
    exact: Any = DIGITS.ln(decimal.Decimal(x))
    return float(exact if base == 1 else DIGITS.divide(exact, DIGITS.ln(decimal.Decimal(base))))


def add_up(terms: Iterable[np.ndarray]) -> np.ndarray:
    """terms[0] + terms[1] + ..., in this order: the sum along an array's first axis, at least one term.

    A run that has left the floats has a sum that is not finite, without a warning.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return reduce(np.add, terms)


def dot(a: Float[np.ndarray, "terms *shape"], b: Float[np.ndarray, "terms *shape"]) -> Float[np.ndarray, "*shape"]:
    """a[0] b[0] + a[1] b[1] + ..., in this order."""
    return add_up(x * y for x, y in zip(a, b, strict=True))


def mean(rows: Float[np.ndarray, "n *shape"]) -> Float[np.ndarray, "*shape"]:
    """(rows[0] + rows[1] + ...) / n, added in this order; for many short rows."""
    return np.add.accumulate(rows)[-1] / len(rows)


def span(vectors: Float[np.ndarray, "k d *runs"], *, tolerance: float) -> Float[np.ndarray, "r d *runs"]:
    """An orthonormal basis of what the k vectors span, in float64; then zeros, r = min(k, d) in all.

    A remainder shorter than `tolerance` times the longest vector is taken for rounding.
    """
    remainders = np.array(vectors, np.float64)
    k, d = remainders.shape[:2]
    basis = np.zeros((min(k, d), *remainders.shape[1:]))
    least = None
    for c in range(len(basis)):
        lengths_sq = np.stack([dot(vector, vector) for vector in remainders])
        longest = lengths_sq.argmax(axis=0)[None]
        length_sq = np.take_along_axis(lengths_sq, longest, axis=0)[0]
        least = tolerance**2 * length_sq if least is None else least
        vector = np.take_along_axis(remainders, longest[:, None], axis=0)[0]
        for _ in range(2):
            for earlier in basis[:c]:
                vector = vector - earlier * dot(earlier, vector)[None]
        size = np.sqrt(dot(vector, vector))
        is_new = (length_sq > least) & (size > 0)
        basis[c] = np.where(is_new[None], vector / np.where(is_new, size, 1)[None], 0)
        remainders = np.stack([vector - basis[c] * dot(basis[c], vector)[None] for vector in remainders])
    return basis


def eigenvalues(matrix: Float[np.ndarray, "n n *runs"]) -> Float[np.ndarray, "n *runs"]:
    """The eigenvalues of symmetric matrices, in float64 and in no order."""
    return eigenvectors(matrix)[0]


def eigenvectors(
    matrix: Float[np.ndarray, "n n *runs"],
) -> tuple[Float[np.ndarray, "n *runs"], Float[np.ndarray, "n n *runs"]]:
    """The eigenvalues of symmetric matrices, in no order, and the vector of each in a row; in float64."""
    a = np.array(matrix, np.float64)
    n = len(a)
    vectors = np.zeros_like(a)
    vectors[range(n), range(n)] = 1
    pairs = list(combinations(range(n), 2))
    for p, q in pairs * SWEEPS:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            theta = (a[q, q] - a[p, p]) / (2 * a[p, q])
            tangent = np.copysign(1, theta) / (np.abs(theta) + np.sqrt(theta * theta + 1))
        tangent = np.where(a[p, q] == 0, 0, tangent)
        cosine = 1 / np.sqrt(tangent * tangent + 1)
        sine = tangent * cosine
        for rows in (a, vectors):
            rows[p], rows[q] = (
                cosine[None] * rows[p] - sine[None] * rows[q],
                sine[None] * rows[p] + cosine[None] * rows[q],
            )
        a[:, p], a[:, q] = cosine[None] * a[:, p] - sine[None] * a[:, q], sine[None] * a[:, p] + cosine[None] * a[:, q]
    return np.stack([a[i, i] for i in range(n)]), vectors
