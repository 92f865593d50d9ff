"""Intervals by the binomial law, for a quantile and for a share of runs: exact for any distribution of the runs."""

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import checks
from .intervals import Interval


def quantile(values: ArrayLike, probability: float, level: float = 0.95) -> Interval:
    """The sample quantile of values (runs,) between two order statistics (David and Nagaraja 2003, chapter 7).

    With B ~ Binomial(n, p):  P(v_(l) <= q <= v_(u)) >= P(l <= B <= u - 1) >= level. B is a whole number, so the
    interval covers more often than its level: a median at 95 % in 96.9 % with 6 runs, 99.2 % with 8, 96.7 % with 64.
    Both ends are nan where n is too small for l >= 1 and u <= n (a median at 95 %: below 6 runs).
    """
    v = np.sort(checks.one_axis(values, 1))
    checks.inside_0_1("probability", probability)
    checks.inside_0_1("level", level)
    tail = (1 - level) / 2
    low, high = _binomial_quantile(tail, len(v), probability), _binomial_quantile(1 - tail, len(v), probability) + 1
    reached = low >= 1 and high <= len(v)
    ends = (v[low - 1], v[high - 1]) if reached else (np.nan, np.nan)
    return Interval(float(np.quantile(v, probability)), float(ends[0]), float(ends[1]))


def _binomial_quantile(chance: float, n: int, probability: float) -> int:
    """The least b with P(B <= b) >= chance."""
    return bisect_left(range(n + 1), chance, key=lambda b: special.bdtr(b, n, probability))


def proportion(hits: int, n: int, level: float = 0.95) -> Interval:
    """hits / n and its exact interval (Clopper and Pearson 1934), which has width at 0 of n and at n of n too.

    It covers at least at its level, whatever the true share. Wilson's interval covers at its level on average over
    shares, but 85 % at 16 runs of probability 0.99 (benchmarks/coverage.py).
    """
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"hits lie in 0..n and n is at least 1, got {hits} of {n}")
    checks.inside_0_1("level", level)
    tail = (1 - level) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betainccinv(hits + 1, n - hits, tail)) if hits < n else 1.0
    return Interval(hits / n, low, high)
