"""How many runs carry a mean, and how many carry its variance? If only a few do, no interval can be trusted.

A rare failure may appear in no run, or in one. The standard error then says nothing about it: with 256 runs that fail
with chance 1/256 each, the t interval covers the mean in 60 % of studies.
"""

import numpy as np
from numpy.typing import ArrayLike

from . import checks

LEAST_RUNS = 5  # for an interval of a mean of squared errors: with fewer its upper end is orders of magnitude too far
EVENTS = 10  # runs that must carry a variance before an interval uses it: 10 equal ones give it to a third


def carried_by_few(values: ArrayLike) -> bool:
    """Whether the largest 2 % of the runs (at least one) have more than half of sum |v|, and exceed 5 means on average.

    Such a mean is the rate of a rare failure times its size. Its s / sqrt(n) is too small, and an exponent fitted to it
    is the failure's. The largest 2 % have 15 % of the sum for a lognormal law with sigma = 1, and 13 % for a chi-square
    law with one degree of freedom.
    """
    v = np.sort(np.abs(checks.one_axis(values, 1)))
    largest = v[len(v) - max(1, int(np.ceil(0.02 * len(v)))) :]
    return bool(largest.sum() > 0.5 * v.sum() and largest.mean() > 5 * v.mean())


def effective_runs(values: ArrayLike) -> float:
    """How many runs carry the variance: Kish's effective number of the squares (v - m)^2; 0 if all runs are equal.

    It is n/3 for normal runs. It is j if j of many runs deviate equally from the mean and the others do not.
    """
    v = checks.one_axis(values, 1)
    return effective_number((v - v.mean()) ** 2)


def effective_number(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2 of weights w >= 0 (Kish 1965); 0 if all are 0."""
    squares = float(weights @ weights)
    return float(weights.sum() ** 2 / squares) if squares > 0 else 0.0


def knows_variance(runs: int, effective: float) -> bool:
    """Whether enough runs carry the variance for an interval: `effective` is EVENTS, or a quarter of the runs."""
    return runs >= LEAST_RUNS and effective >= min(EVENTS, runs / 4)
