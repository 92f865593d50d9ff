r"""Student's t, widened for skewness.

The studentised mean of n runs of skewness g has the Edgeworth series (Hall 1992, section 2.6)

    P(sqrt(n) (m - mu) / s <= z) = Phi(z) + g (2 z^2 + 1) phi(z) / (6 sqrt(n)) + ...

Its first term multiplies the limit z by 1 + g (2 z^2 + 1) / (6 z sqrt(n)). Quantiles come from scipy.special, since
importing scipy.stats takes longer than importing everything else.
"""

import numpy as np
from scipy import special


def t_quantile(tail: float, freedom: float) -> float:
    """The number that Student's t exceeds with chance `tail`."""
    return float(-special.stdtrit(freedom, tail))


def normal_quantile(tail: float) -> float:
    """The number that a standard normal exceeds with chance `tail`."""
    return float(-special.ndtri(tail))


def widening(skewness: np.ndarray, runs: int, tail: float) -> np.ndarray:
    """1 + g (2 z^2 + 1) / (6 z sqrt(n)), the factor by which skewness g >= 0 widens an interval."""
    z = normal_quantile(tail)
    return 1 + skewness * (2 * z**2 + 1) / (6 * z * np.sqrt(runs))


def widened_error(values: np.ndarray, tail: float) -> np.ndarray:
    """s / sqrt(n) of values (..., runs), widened by their own skewness |g|."""
    return student_reach(values, tail) / t_quantile(tail, values.shape[-1] - 1)


def student_reach(values: np.ndarray, tail: float) -> np.ndarray:
    """Half the width of the interval of a mean with `tail` on either side: t s / sqrt(n), widened by the skewness |g|.

    The mean is over the last axis of values (..., runs).
    """
    n = values.shape[-1]
    centred = values - values.mean(axis=-1, keepdims=True)
    variance = np.maximum((centred**2).mean(axis=-1), np.finfo(float).tiny)
    skewness = np.abs(((centred / np.sqrt(variance)[..., None]) ** 3).mean(axis=-1))  # 0 where all runs are equal
    return t_quantile(tail, n - 1) * widening(skewness, n, tail) * np.sqrt(variance / (n - 1))
