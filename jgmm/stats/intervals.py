"""The interval of a mean over runs, and how likely the mean is to be what a law says."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import checks, skewed
from .concentration import LEAST_RUNS, carried_by_few, effective_runs, knows_variance
from .student import student_reach, widened_error


class Interval(NamedTuple):
    """An estimate between its two confidence limits."""

    value: float
    low: float
    high: float


class Tails(NamedTuple):
    """Of a hypothesis that the truth lies in a range: how likely a sample is to be as low, and to be as high."""

    low: float  # as low as this sample, if the truth is the low end of the range
    high: float  # as high, if it is the high end


def around(value: float, reach: float) -> Interval:
    """The interval from value - reach to value + reach."""
    return Interval(float(value), float(value - reach), float(value + reach))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """The mean of values (runs,) between its confidence limits; None where the runs cannot tell.

    Squared errors (all above 0) are taken for gamma runs of unknown shape, as in `skewed`: right for sums of squared
    Gaussians, chi^2_1 included, and near enough for a lognormal with sigma = 1 (covered: 93.5 to 97 % at 5 to 256 runs,
    benchmarks/coverage.py). Runs of both signs (differences, control variates) get Student's t, widened for their
    skewness.

    None: fewer than LEAST_RUNS; a mean that few runs carry (`carried_by_few`; of both signs, a variance that few runs
    carry: `knows_variance`); runs of 0 among positive ones, which no gamma law has; runs that are all 0. Raises
    ValueError without runs, for values that are not finite, or a level outside (0, 1).
    """
    v = checks.finite(checks.one_axis(values, 1))
    checks.inside_0_1("level", level)
    tail = (1 - level) / 2
    if not _can_tell(v):
        return None
    if v.min() < 0:
        return around(v.mean(), float(student_reach(v, tail)))
    low, high = skewed.limits(skewed.shape(v), tail)
    return Interval(float(v.mean()), low, high) if np.isfinite(high) else None


def mean_tails(values: ArrayLike, low: float, high: float, tail: float) -> Tails | None:
    """Is the mean between low and high (which may be equal)? Outside at level 2 `tail` if one tail is below `tail`.

    As `mean_interval`, and None where it is; but errors are not taken for gamma runs where they may be lognormal
    (`skewed.cautious_shape`): tails of 1e-4 need that, an interval of 95 % does not. Raises ValueError as it does.
    """
    v = checks.finite(checks.one_axis(values, 1))
    checks.inside_0_1("tail", tail)
    if not _can_tell(v):
        return None
    if v.min() < 0:
        gaps = np.array([low - v.mean(), v.mean() - high]) / float(widened_error(v, tail))
        return Tails(*(float(p) for p in special.stdtr(len(v) - 1, -gaps)))
    shape = skewed.cautious_shape(v)
    below, above = skewed.tails(shape, np.maximum(low, 1e-300), np.maximum(high, 1e-300), tail)
    return Tails(float(below), float(above))


def _can_tell(v: np.ndarray) -> bool:
    """Whether these runs allow an interval of their mean."""
    if v.min() < 0:
        return knows_variance(len(v), effective_runs(v))
    return len(v) >= LEAST_RUNS and v.min() > 0 and not carried_by_few(v)
