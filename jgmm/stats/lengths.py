r"""The squared length |E v|^2 of a mean vector, from runs v_r of shape (p,).

With m = E v, S the covariance of v and mbar the sample mean, |mbar|^2 has the bias tr(S)/n. The mean of v_r . v_q over
all pairs of different runs has no bias. It is a U-statistic with the variance (Hoeffding 1948)

    4 m'Sm / n + 2 tr(S^2) / (n (n-1)).

Both terms are estimated from the sample, and both estimates are corrected for bias. mbar'S mbar is too large by
tr(S^2)/n. The square of the sample covariance has a trace too large by (tr(S^2) + tr(S)^2)/(n-1); that correction is
exact for normal runs (Bai and Saranadasa 1996). Without it the error would be twice too large at p = n.
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
    r"""The unbiased estimate of |E v|^2 from vectors (runs, p), three or more. It may be negative.

    A negative estimate of m'Sm counts as 0. Where E v = 0 the standard error is therefore too large, by 1.3 times in
    the root mean square.
    """
    moments = _moments(vectors)
    n = moments.runs
    along = max(moments.along - moments.square / n, 0.0)
    variance = 4 * along / n + 2 * moments.square / (n * (n - 1))
    return Mean(moments.value, float(np.sqrt(variance)), n)


def length_tails(vectors: ArrayLike, low: float, high: float, tail: float) -> Tails | None:
    """Test whether |E v|^2 is between low and high, as `mean_tails` does, at level 2 `tail`.

    The standard error is that of an estimate whose true length is `low` or `high`. The error of `squared_length` is
    itself small where the estimate is small: a t test with it would exclude a truth above the estimate 100 times too
    often. With true squared length L, and r the variance along m, the estimate's variance and third cumulant are

        4 L r / n + 2 tr(S^2) / n^2,      24 L r^2 / n^2 + 8 tr(S^3) / n^3.

    tr(S^2)^2 / tr(S) replaces tr(S^3). The skewness g of the two widens the upper tail by 1 + g (z^2 - 1) / (6 z)
    (Cornish and Fisher 1937). None where too few runs carry sum |v - mbar|^2 (`knows_variance`).
    """
    moments = _moments(vectors)
    checks.inside_0_1("tail", tail)
    if not knows_variance(moments.runs, moments.effective):
        return None
    return Tails(_chance(moments, low, -1, tail), _chance(moments, high, 1, tail))


class _Moments(NamedTuple):
    """Moments of the vectors."""

    value: float  # the mean of v_r . v_q over pairs
    length: float  # |mbar|^2
    along: float  # mbar'S mbar
    trace: float  # tr(S)
    square: float  # tr(S^2), without bias
    effective: float  # how many runs carry sum |v - mbar|^2
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
    """The chance of a sample as short as this one (sign -1), or as long (1), if the true squared length is `length`."""
    n, z = moments.runs, normal_quantile(tail)
    along = max(moments.along / max(moments.length, 1e-300), moments.square / moments.trace)
    error = np.sqrt(4 * max(length, 0.0) * along / n + 2 * moments.square / n**2)
    third = 24 * max(length, 0.0) * along**2 / n**2 + 8 * moments.square**2 / moments.trace / n**3
    wider = 1 + third / error**3 * (z**2 - 1) / (6 * z) if sign > 0 and z > 1 else 1.0
    return float(special.stdtr(n - 1, -sign * (moments.value - length) / (error * wider)))
