r"""Contrasts of log means: sum_i c_i log m_i with sum_i c_i = 0, over cells i that share their runs.

m_i is the mean of values[i, r] over runs r. Examples are the slope of log m in log x, the exponent between two
neighbouring sizes, and the logarithm of a ratio. A factor that all cells have in common drops out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .concentration import LEAST_RUNS, carried_by_few
from .estimates import ROUNDING
from .intervals import Interval, around
from .student import student_reach

SURE = 6.0  # standard errors that a mean of values of both signs is above 0, before its logarithm is taken


class LocalExponents(NamedTuple):
    """Exponents between neighbouring sizes, each at the geometric midpoint of the two; arrays (sizes - 1,)."""

    x: np.ndarray
    exponent: np.ndarray
    standard_error: np.ndarray


def slope_weights(x: np.ndarray) -> np.ndarray:
    """The contrast (sizes,) that is the least-squares slope in log x."""
    centred = np.log(x) - np.log(x).mean()
    return centred / (centred @ centred)


def neighbour_weights(x: np.ndarray) -> np.ndarray:
    """The contrasts (sizes - 1, sizes) that are the exponents between neighbours, for sizes in ascending order."""
    one = np.eye(len(x))
    return (one[1:] - one[:-1]) / np.diff(np.log(x))[:, None]


def contrast_interval(values: ArrayLike, contrast: ArrayLike, level: float = 0.95) -> Interval | None:
    """sum_i c_i log m_i and its confidence limits, for values (cells, runs) and a contrast (cells,).

    The interval is Student's t with the jackknife's error over runs (Efron and Stein 1981), which keeps the covariance
    of cells that share their runs. It is widened for the skewness of the runs' pseudo-values, and covers 95 to 97 %
    from 5 runs on (benchmarks/coverage.py). With the delta method's error it would exclude the truth 3 to 9 times too
    often, at 8 and 16 runs of chi^2_1 or lognormal errors, or in cells of unequal shapes.

    None where the runs cannot tell: fewer than LEAST_RUNS, a mean that is not above 0 for sure, or one that few runs
    carry.
    """
    v, c = np.asarray(values, float), np.asarray(contrast, float)
    if v.ndim != 2 or c.shape != (len(v),) or abs(c.sum()) > 1e-9 * np.abs(c).sum():
        raise ValueError(f"contrasts sum to 0, one for each of (cells, runs), got {c} for shape {v.shape}")
    if not np.isfinite(v).all():
        raise ValueError("values are finite")
    checks.inside_0_1("level", level)
    used = v[c != 0]
    if v.shape[1] < LEAST_RUNS or not all(map(above_0, used)) or any(carried_by_few(row) for row in used):
        return None
    value, parts = contrast_parts(used, c[c != 0])
    reach = max(float(student_reach(parts, (1 - level) / 2)), ROUNDING * float(np.abs(c).sum()))
    return around(float(value), reach)


def above_0(values: np.ndarray) -> bool:
    """Whether the mean of values (runs,) has a logarithm: some are above 0, and none below; or the mean is by far."""
    if (values >= 0).all():
        return bool((values > 0).any())
    return bool(values.mean() > SURE * values.std(ddof=1) / np.sqrt(len(values)))


def contrast_or_line(values: np.ndarray, contrast: np.ndarray, level: float = 0.95) -> Interval:
    """As `contrast_interval`, but from -inf to inf where that gives None."""
    interval = contrast_interval(values, contrast, level)
    if interval is not None:
        return interval
    means = values.mean(axis=1)
    middle = contrast @ np.log(means) if (means > 0).all() else np.nan
    return Interval(float(middle), -np.inf, np.inf)


def contrast_parts(values: np.ndarray, contrast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The contrast (...) of values (..., cells, runs), and its centred jackknife pseudo-values (..., runs)."""
    n = values.shape[-1]
    m = values.mean(axis=-1)
    without = contrast @ np.log((n * m[..., None] - values) / (n - 1))
    return np.log(m) @ contrast, (n - 1) * (without.mean(axis=-1, keepdims=True) - without)


def local_exponents(x: ArrayLike, values: ArrayLike) -> LocalExponents:
    """log(m[i+1]/m[i]) / log(x[i+1]/x[i]) for two sizes (sizes,) or more, which are sorted, and values (sizes, runs).

    By the delta method var(log m[i+1] - log m[i]) = var_r(v[i+1]/m[i+1] - v[i]/m[i]) / n. The difference is taken run
    by run, so that the covariance of the two cells counts.
    """
    sizes, v = checks.by_size(x, values, 2)
    m = v.mean(axis=1)
    steps = np.diff(np.log(sizes))
    relative = np.diff(v / m[:, None], axis=0)
    return LocalExponents(
        x=np.sqrt(sizes[1:] * sizes[:-1]),
        exponent=np.diff(np.log(m)) / steps,
        standard_error=relative.std(axis=1, ddof=1) / np.sqrt(v.shape[1]) / steps,
    )
