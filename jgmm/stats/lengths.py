r"""The squared length |E v|^2 of a mean vector, from runs v_r of shape (p,).

With m = E v, S the covariance of v and mbar the sample mean, |mbar|^2 has the bias tr(S)/n. The mean of v_r . v_q over
all pairs of different runs has none. It is a U-statistic, of variance (Hoeffding 1948)

    4 m'Sm / n + 2 tr(S^2) / (n (n-1)).

Both terms are estimated from the sample. In m'Sm the sample mean adds tr(S^2)/n, and in tr(S^2) the sample covariance
adds (tr(S^2) + tr(S)^2)/(n-1); both are taken off, the second exactly for normal runs (Bai and Saranadasa 1996):
without that, p = n would double the error.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from . import checks
from .concentration import effective_number, knows_variance
from .estimates import Mean
from .intervals import Tails
from .student import normal_quantile


def squared_length(vectors: ArrayLike) -> Mean:
    r"""|E v|^2 of vectors (runs, p), without bias, so that it may be negative; its standard error as in the module.

    The estimate of m'Sm counts as 0 where it is below, which leaves the error too large where E v = 0: 1.3 times in the
    root mean square. Raises ValueError for another shape or fewer than three runs.
    """
    moments = _moments(vectors)
    n = moments.runs
    along = max(moments.along - moments.square / n, 0.0)
    variance = 4 * along / n + 2 * moments.square / (n * (n - 1))
    return Mean(moments.value, float(np.sqrt(variance)), n)


def length_tails(vectors: ArrayLike, low: float, high: float, tail: float) -> Tails | None:
    """Is |E v|^2 between low and high? As `mean_tails`, with the standard error that the length in question has.

    The error of `squared_length` is small where the length came out short: its t test would exclude lengths above the
    truth 100 times too often. For a length L, r being the variance along m, variance and third cumulant are

        4 L r / n + 2 tr(S^2) / n^2,      24 L r^2 / n^2 + 8 tr(S^3) / n^3,

    with tr(S^2)^2 / tr(S) in the place of tr(S^3), and the upper tail is widened by the skewness g of these (Cornish
    and Fisher 1937): 1 + g (z^2 - 1) / (6 z). None where too few runs carry sum |v - mbar|^2 (`knows_variance`). Raises
    ValueError as `squared_length` does, or for a tail outside (0, 1).
    """
    moments = _moments(vectors)
    checks.inside_0_1("tail", tail)
    if not knows_variance(moments.runs, moments.effective):
        return None
    return Tails(_chance(moments, low, -1, tail), _chance(moments, high, 1, tail))


class _Moments(NamedTuple):
    """Of the vectors, what value and variance are made of."""

    value: float  # the mean over pairs
    length: float  # |mbar|^2
    along: float  # mbar'S mbar
    trace: float  # tr(S)
    square: float  # tr(S^2), without bias
    effective: float  # runs that carry sum |v - mbar|^2
    runs: int


def _moments(vectors: ArrayLike) -> _Moments:
    v = np.asarray(vectors, float)
    if v.ndim != 2 or len(v) < 3:
        raise ValueError(f"vectors have shape (runs, p) with at least 3 runs, got {v.shape}")
    n = len(v)
    total = v.sum(axis=0)
    centred = v - total / n
    gram = centred.T @ centred if v.shape[1] <= n else centred @ centred.T  # the same trace and trace of the square
    trace = np.trace(gram) / (n - 1)
    square = (n - 1) ** 2 / ((n - 2) * (n + 1)) * ((gram**2).sum() / (n - 1) ** 2 - trace**2 / (n - 1))
    return _Moments(
        value=float((total @ total - (v * v).sum()) / (n * (n - 1))),
        length=float(total @ total) / n**2,
        along=float(np.var(centred @ (total / n), ddof=1)),
        trace=float(trace),
        square=max(float(square), 0.0),
        effective=effective_number((centred**2).sum(axis=1)),
        runs=n,
    )


def _chance(moments: _Moments, length: float, sign: int, tail: float) -> float:
    """Of a sample as short as this one (sign -1), or as long (1), if the true squared length is this."""
    n, z = moments.runs, normal_quantile(tail)
    along = max(moments.along / max(moments.length, 1e-300), moments.square / moments.trace)
    error = np.sqrt(4 * max(length, 0.0) * along / n + 2 * moments.square / n**2)
    third = 24 * max(length, 0.0) * along**2 / n**2 + 8 * moments.square**2 / moments.trace / n**3
    wider = 1 + third / error**3 * (z**2 - 1) / (6 * z) if sign > 0 and z > 1 else 1.0
    return float(special.stdtr(n - 1, -sign * (moments.value - length) / (error * wider)))
