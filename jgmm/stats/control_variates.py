r"""Control variates: less variance from a twin, a quantity of the same run whose expectation is known.

With z = twin - its expectation, E z = 0, the mean of v - c z has the expectation of v whatever c is. The c of least
variance is the slope of v on z, and the controlled mean the intercept of that regression, with the intercept's
standard error (Lavenberg and Welch 1981):

    se^2 = S^2 (1/n + zbar^2 / sum (z_r - zbar)^2),      S^2 = residual sum of squares / (n - 2).

The expectation `twin_mean` is a number, or one for each run (exact conditional means). A twin that does not vary about
it controls nothing: then c = 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .concentration import EVENTS, effective_runs
from .estimates import ROUNDING
from .intervals import Interval, around
from .student import student_reach, t_quantile


class Controlled(NamedTuple):
    """A mean with a control variate; variance_factor is the plain variance over the controlled one."""

    value: float
    standard_error: float
    coefficient: float
    variance_factor: float


def controlled(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike) -> Controlled:
    """The controlled mean of values (runs,) by a twin (runs,); the plain mean by a twin that controls nothing.

    Raises ValueError below three runs or for different lengths.
    """
    v, z, c, spread = _regression(values, twin, twin_mean)
    n = len(v)
    if spread == 0:
        return Controlled(float(v.mean()), float(v.std(ddof=1) / np.sqrt(n)), 0.0, 1.0)
    residuals = v - v.mean() - c * (z - z.mean())
    variance = (residuals @ residuals) / (n - 2) * (1 / n + z.mean() ** 2 / spread)
    plain = v.var(ddof=1) / n
    factor = plain / variance if variance > 0 else (np.inf if plain > 0 else 1.0)
    return Controlled(float(v.mean() - c * z.mean()), float(np.sqrt(variance)), c, float(factor))


def controlled_values(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike) -> np.ndarray:
    """v - c (twin - twin_mean) of each run, with the c of `controlled`; raises as it does."""
    v, z, c, _ = _regression(values, twin, twin_mean)
    return v - c * z


def controls(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, events: int = EVENTS) -> bool:
    """Whether `events` runs or more carry what the twin leaves of the variance, and it is more than rounding."""
    left = controlled_values(values, twin, twin_mean)
    return effective_runs(left) >= events and bool(left.std() > ROUNDING * np.abs(values).max())


def controlled_interval(
    values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, level: float = 0.95
) -> Interval | None:
    """The controlled mean between its limits: Student's t of n - 2 degrees of freedom, widened for skewness.

    None where the twin does not control (`controls`): take the plain mean's interval there. A twin that differs in rare
    runs only (a misassigned sample) leaves few or none of them in the sample, and the error of `controlled` is that of
    the runs without: at C = 8 it covers 3, 9, 25, 56 % at 5, 16, 64, 256 runs. (A rule of three for the unseen runs
    would need their size, which none of the others tells.) Covered with the plain interval in its place: 93 to 97 %
    (benchmarks/coverage.py). Raises ValueError as `controlled` does, or for a level outside (0, 1).
    """
    estimate = controlled(values, twin, twin_mean)
    checks.inside_0_1("level", level)
    if not controls(values, twin, twin_mean):
        return None
    left = controlled_values(values, twin, twin_mean)
    n, tail = len(left), (1 - level) / 2
    wider = float(student_reach(left, tail)) / (t_quantile(tail, n - 1) * left.std(ddof=1) / np.sqrt(n))
    return around(estimate.value, t_quantile(tail, n - 2) * wider * estimate.standard_error)


def _regression(
    values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """v, z = twin - twin_mean, the slope of v on z, and sum (z - zbar)^2; the last two are 0 for a constant z."""
    v, t = checks.one_axis(values, 3), checks.one_axis(twin, 3)
    expected = np.asarray(twin_mean, float)
    if len(v) != len(t) or expected.shape not in ((), v.shape):
        raise ValueError(f"values, twin and twin_mean have as many runs, got {len(v)}, {len(t)} and {expected.shape}")
    z = t - expected
    centred = z - z.mean()
    spread = float(centred @ centred)
    size = np.finfo(float).eps * (np.abs(t).max() + np.abs(expected).max())  # what rounding alone may leave
    if spread <= len(z) * (4 * size) ** 2:
        return v, z, 0.0, 0.0
    return v, z, float(centred @ (v - v.mean()) / spread), spread
