"""The squared error that no number of samples removes: the squared distance of Lloyd's fixed point from the means.

See docs/theory.md, "Where Lloyd settles: a simplex" and "Where Lloyd settles: unequal weights".
"""

import math
from functools import lru_cache

import numpy as np

from jgmm.theory import lloyd, overlap
from jgmm.theory.situation import Situation


def floor(situation: Situation) -> float | None:
    """The floor of nearest-centre updates, summed over the centres; None if not known.

    It is known, exactly, for a simplex with equal weights and for a pair with any weights.
    """
    if situation.common_separation is None:
        return None
    return _floor_at(situation, situation.common_separation)


def floor_accuracy(situation: Situation) -> float:
    """How far a measured floor may be from `floor`: part of the start may be left, and the rate itself shifts the mean.

    The shift is estimated by the separation that samples see (`overlap.seen`).
    """
    exact, step, separation = floor(situation), situation.step, situation.common_separation
    if exact is None or step is None or step.varies or separation is None:
        return math.inf
    rate = step.fastest()
    left = math.exp(situation.n * math.log1p(-min(situation.weights) * rate))
    near = _floor_at(situation, overlap.seen(situation, separation, rate / (2 - rate)))
    return math.inf if near is None else 2 * left * exact + overlap.CAUTION * abs(near - exact)


def _floor_at(situation: Situation, separation: float) -> float | None:
    k, weights, scales = situation.k, situation.weights, situation.scales
    if not situation.hard or k < 2 or len(set(scales)) > 1:
        return None
    if situation.equal:
        return _simplex_floor(k, separation, scales[0])
    if k > 2:
        return None  # the first order in the overlaps is off by up to 3 times at C = 3, and still by 10 % at C = 6
    return _pair_floor(separation, weights, scales[0])


@lru_cache(maxsize=4096)
def _simplex_floor(k: int, separation: float, sigma: float) -> float:
    return float(lloyd.simplex_floor(k, separation, sigma=sigma))


@lru_cache(maxsize=4096)
def _pair_floor(separation: float, weights: tuple[float, ...], sigma: float) -> float | None:
    try:
        fixed = lloyd.lloyd_pair_fixed_points(separation, weights, sigma=sigma)
    except ValueError:
        return None
    return float(np.sum((fixed - np.array([0.5, -0.5]) * separation * sigma) ** 2))
