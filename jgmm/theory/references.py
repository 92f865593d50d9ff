"""The least errors that are possible with labels and without, for comparison with a stream's.

See docs/theory.md, "Information".
"""

from functools import lru_cache

from jgmm.theory import em, labelled
from jgmm.theory.situation import Situation

LEAST_SAMPLES = 20  # samples expected of every component: with fewer it may have none
FARTHEST = 40  # the separation beyond which samples have the information of labelled ones to all digits


def oracle(situation: Situation) -> float | None:
    """The exact squared error of the means of the components' own samples, summed; None if a component may have none.

    The one mean of a symmetric pair is the mean of all samples with their signs.
    """
    if situation.samples * min(situation.weights) < LEAST_SAMPLES:
        return None
    if situation.tied:
        return situation.scales[0] ** 2 * situation.d / situation.samples
    pairs = zip(situation.weights, situation.scales, strict=True)
    return float(sum(_mean_inverse_count(situation.samples, w) * s**2 * situation.d for w, s in pairs))


def cramer_rao(situation: Situation) -> float | None:
    """The least squared error of unbiased estimates without labels; None but for a pair of equal weights and scales."""
    separation = situation.common_separation
    if situation.k != 2 or not situation.equal or separation is None:
        return None
    if situation.samples == 0 or separation > FARTHEST:
        return None
    return _of_one_sample(separation, situation.scales[0], situation.d, situation.estimates) / situation.samples


@lru_cache(maxsize=4096)
def _mean_inverse_count(samples: int, weight: float) -> float:
    """E(1/n; n > 0) for the number n of a component's samples."""
    return float(labelled.inverse_count(samples, weight=weight, initial=0).noise)


@lru_cache(maxsize=4096)
def _of_one_sample(separation: float, sigma: float, d: int, free: int) -> float:
    return float(em.cramer_rao(n=1, separation=separation, sigma=sigma, d=d, free=free))
