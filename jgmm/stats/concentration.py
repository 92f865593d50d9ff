"""How many runs carry a mean, and how many its variance? Where they are few, no interval is to be trusted.

A rare failure that no run has seen, or one run, leaves a standard error that knows nothing of it: of 256 runs that each
fail with chance 1/256, the t interval covers in 60 %.
"""

import numpy as np
from numpy.typing import ArrayLike

from . import checks

LEAST_RUNS = 5  # for an interval of a mean of squared errors: fewer leave it open upwards by orders of magnitude
EVENTS = 10  # runs that carry a variance, for an interval made of it: 10 equal ones know it to a third


def carried_by_few(values: ArrayLike) -> bool:
    """Whether the largest 2 % of the runs (at least one) hold more than half of sum |v|, and 5 means each.

    Such a mean is the rate of a rare failure times its size: its s / sqrt(n) is not to be believed, and an exponent
    fitted to it is the failure's. Of a lognormal with sigma = 1 the largest 2 % hold 15 %, of a chi-square with one
    degree of freedom 13 %. Raises ValueError without runs.
    """
    v = np.sort(np.abs(checks.one_axis(values, 1)))
    largest = v[len(v) - max(1, int(np.ceil(0.02 * len(v)))) :]
    return bool(largest.sum() > 0.5 * v.sum() and largest.mean() > 5 * v.mean())


def effective_runs(values: ArrayLike) -> float:
    """How many runs carry the variance: Kish's effective number of the squares (v - m)^2; 0 if all runs are equal.

    It is j if j of many runs deviate by the same and the others not at all, and n/3 for normal runs. Raises ValueError
    without runs.
    """
    v = checks.one_axis(values, 1)
    return effective_number((v - v.mean()) ** 2)


def effective_number(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2 of weights of at least 0 (Kish 1965); 0 if all are 0."""
    squares = float(weights @ weights)
    return float(weights.sum() ** 2 / squares) if squares > 0 else 0.0


def knows_variance(runs: int, effective: float) -> bool:
    """Whether enough runs, `effective` of them, carry a variance for an interval: EVENTS, or a quarter of the runs."""
    return runs >= LEAST_RUNS and effective >= min(EVENTS, runs / 4)
