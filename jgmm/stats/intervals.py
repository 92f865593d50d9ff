"""The confidence interval of a mean over runs, and a test of whether the mean lies in a given range."""

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
    """The two p values of the hypothesis that the truth lies in a range."""

    low: float  # the chance of a sample as low as this one, if the truth is the low end of the range
    high: float  # the chance of a sample as high, if the truth is the high end


def around(value: float, reach: float) -> Interval:
    """The interval from value - reach to value + reach."""
    return Interval(float(value), float(value - reach), float(value + reach))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """The mean of values (runs,) and its confidence limits; None where the runs cannot tell.

    Values that are all above 0 (squared errors) are treated as gamma variables of unknown shape (`skewed`). This is
    right for sums of squared Gaussians, chi^2_1 included, and near enough for a lognormal law with sigma = 1: 93.5 to
    97 % are covered at 5 to 256 runs (benchmarks/coverage.py). Values of both signs (differences, controlled values)
    get Student's t, widened for their skewness.

    None for fewer than LEAST_RUNS, for a value of exactly 0, which no gamma law has, and for a mean that few runs carry
    (`carried_by_few`). None for values of both signs if few runs carry their variance (`knows_variance`).
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
    """Test whether the mean is between low and high (which may be equal), at level 2 `tail`.

    The mean is outside if one of the two tails is below `tail`. The laws are those of `mean_interval`, and None means
    the same. One thing differs: values that may be lognormal are not treated as gamma variables
    (`skewed.cautious_shape`). Tails of 1e-4 need that; an interval of 95 % does not.
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
    """Whether the mean of these runs can have an interval (see `mean_interval`)."""
    if v.min() < 0:
        return knows_variance(len(v), effective_runs(v))
    return len(v) >= LEAST_RUNS and v.min() > 0 and not carried_by_few(v)
