r"""Control variates: a twin, a quantity of the same run whose expectation is known, lessens the variance of a mean.

With z = twin - twin_mean, E z = 0, the mean of v - c z has the expectation of v for every c. The c of least variance is
the slope of v on z. The controlled mean is the intercept of that regression, with the intercept's standard error
(Lavenberg and Welch 1981):

    se^2 = S^2 (1/n + zbar^2 / sum (z_r - zbar)^2),      S^2 = residual sum of squares / (n - 2).

The expectation `twin_mean` is one number, or one for each run (exact conditional means). If z does not vary, c = 0.
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
    """The controlled mean of values (runs,), three or more, with a twin (runs,); the plain mean if z does not vary."""
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
    """v - c (twin - twin_mean) of each run, with the c of `controlled`."""
    v, z, c, _ = _regression(values, twin, twin_mean)
    return v - c * z


def controls(values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, events: int = EVENTS) -> bool:
    """Whether `events` runs or more carry the controlled values' variance, and that variance is more than rounding."""
    left = controlled_values(values, twin, twin_mean)
    return effective_runs(left) >= events and bool(left.std() > ROUNDING * np.abs(values).max())


def controlled_interval(
    values: ArrayLike, twin: ArrayLike, twin_mean: ArrayLike, level: float = 0.95
) -> Interval | None:
    """The controlled mean and its confidence limits: Student's t of n - 2 degrees of freedom, widened for skewness.

    None where too few runs carry the variance that is left (`controls`): use the plain mean's interval there. If run
    and twin differ in rare runs only (a misassigned sample), the sample has few of those or none. The standard error of
    `controlled` then comes from the others: at C = 8 its interval covers 3, 9, 25, 56 % at 5, 16, 64, 256 runs. With
    the plain interval in its place 93 to 97 % are covered (benchmarks/coverage.py).
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
    """v, z = twin - twin_mean, the slope of v on z, and sum (z - zbar)^2. The last two are 0 if z is constant."""
    v, t = checks.one_axis(values, 3), checks.one_axis(twin, 3)
    expected = np.asarray(twin_mean, float)
    if len(v) != len(t) or expected.shape not in ((), v.shape):
        raise ValueError(f"values, twin and twin_mean have as many runs, got {len(v)}, {len(t)} and {expected.shape}")
    z = t - expected
    centred = z - z.mean()
    spread = float(centred @ centred)
    size = np.finfo(float).eps * (np.abs(t).max() + np.abs(expected).max())  # z that rounding alone may make
    if spread <= len(z) * (4 * size) ** 2:
        return v, z, 0.0, 0.0
    return v, z, float(centred @ (v - v.mean()) / spread), spread
