"""What a stream is compared with: the least error that is possible with labels, and without.

See docs/theory.md, "Information".
"""

from functools import lru_cache

from jgmm.theory import em, labelled
from jgmm.theory.situation import Situation

LEAST_SAMPLES = 20  # expected of every component: below that one may have had none
FARTHEST = 40  # separation, beyond which the information is that of labels to all digits


def oracle(situation: Situation) -> float | None:
    """The squared error of the mean of each component's own samples, summed; None where one may have had none.

    Exact. The one mean of a symmetric pair is the mean of all samples, their signs known.
    """
    if situation.samples * min(situation.weights) < LEAST_SAMPLES:
        return None
    if situation.tied:
        return situation.scales[0] ** 2 * situation.d / situation.samples
    pairs = zip(situation.weights, situation.scales, strict=True)
    return float(sum(_mean_inverse_count(situation.samples, w) * s**2 * situation.d for w, s in pairs))


def cramer_rao(situation: Situation) -> float | None:
    """The least squared error of unbiased estimates without labels; known for a pair of equal weights and scales."""
    separation = situation.common_separation
    if situation.k != 2 or not situation.equal or separation is None:
        return None
    if situation.samples == 0 or separation > FARTHEST:
        return None
    return _of_one_sample(separation, situation.scales[0], situation.d, situation.estimates) / situation.samples


@lru_cache(maxsize=4096)  # components of one weight share it
def _mean_inverse_count(samples: int, weight: float) -> float:
    """E(1/n; n > 0), n the samples of a component."""
    return float(labelled.inverse_count(samples, weight=weight, initial=0).noise)


@lru_cache(maxsize=4096)
def _of_one_sample(separation: float, sigma: float, d: int, free: int) -> float:
    return float(em.cramer_rao(n=1, separation=separation, sigma=sigma, d=d, free=free))
