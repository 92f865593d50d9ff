r"""Means, and functions of means, with their standard errors.

n independent runs have the values v_r, the mean m, and s^2 = sum (v_r - m)^2 / (n - 1). The standard error of m is
s / sqrt(n). That of g(m) is |g'(m)| s / sqrt(n), by the delta method.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks

ROUNDING = 1e-6  # the least relative standard error: runs that agree exactly still carry float32's rounding


class Mean(NamedTuple):
    """An estimate, its standard error, and the number of runs that it is made of."""

    value: float
    standard_error: float
    runs: int


class Difference(NamedTuple):
    """A comparison of two paired samples (a difference or a ratio) and the correlation of the two in a pair."""

    value: float
    standard_error: float
    correlation: float


def mean(values: ArrayLike) -> Mean:
    """The mean of values (runs,) and s / sqrt(n), which is nan for one run."""
    v = checks.one_axis(values, 1)
    error = v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.nan
    return Mean(float(v.mean()), float(error), len(v))


def root_mean(squares: ArrayLike) -> Mean:
    """sqrt(m) of squares (runs,), with the error se(m) / (2 sqrt(m)) by the delta method; both are 0 if m is."""
    v = checks.one_axis(squares, 1)
    if v.min() < 0:
        raise ValueError(f"squares are at least 0, got {v.min()}")
    m = mean(v)
    root = np.sqrt(m.value)
    return Mean(float(root), float(m.standard_error / (2 * root)) if root > 0 else m.standard_error, m.runs)


def relative_deviation(values: ArrayLike) -> Mean:
    """s / m of values (runs,), with its jackknife standard error (Efron and Stein 1981).

    To leave run r out lessens the sum by v_r, and the sum of squares by n/(n-1) (v_r - m)^2. The error is nan below
    three runs, or if only one run is above 0. It makes no good interval: two errors to either side cover 88, 91, 62 %
    at 64 runs of chi^2_1, chi^2_4 and lognormal errors.
    """
    v = checks.finite(checks.one_axis(values, 2))
    if v.min() < 0 or not v.any():
        raise ValueError(f"values are at least 0, one of them above, got {v.min()} to {v.max()}")
    n, m = len(v), v.mean()
    squares = (v - m) ** 2
    value = float(np.sqrt(squares.sum() / (n - 1)) / m)
    if n < 3 or np.count_nonzero(v) < 2:
        return Mean(value, np.nan, n)
    means = (n * m - v) / (n - 1)
    without = np.sqrt(np.maximum(squares.sum() - n / (n - 1) * squares, 0) / (n - 2)) / means
    return Mean(value, float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())), n)


def paired_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """mean(a - b) of two samples (runs,) whose runs share their random numbers."""
    first, second = checks.pair(a, b)
    d = mean(first - second)
    return Difference(d.value, d.standard_error, _correlation(first, second))


def ratio(a: ArrayLike, b: ArrayLike) -> Difference:
    """R = mean(a) / mean(b) of paired runs, with sd(a - R b) / (sqrt(n) |mean(b)|) by the delta method."""
    first, second = checks.pair(a, b)
    if second.mean() == 0:
        raise ValueError("the denominator has mean 0")
    value = first.mean() / second.mean()
    error = mean(first - value * second).standard_error / abs(second.mean())
    return Difference(float(value), float(error), _correlation(first, second))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation coefficient; nan if one of the two is constant."""
    first, second = a - a.mean(), b - b.mean()
    size = np.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / size, -1, 1)) if size > 0 else np.nan
