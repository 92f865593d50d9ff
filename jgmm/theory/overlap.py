r"""How overlap changes the law of a stream, to first order in the rate, and the accuracy of that.

Without overlap, centres obey the law of centres that get only the samples of their own component (`labelled`). With
overlap, half the difference of two centres and half their sum relax and fluctuate at rates of their own
(`modes.pair_modes`), and the fixed point moves. The changes of all pairs of centres add up. A mode of relaxation J and
noise V changes the squared error by

    kept    (a_J - a_1) start        what is left of the start
    noise   V b_J - b_1              a_J, b_J of `labelled`
    moved   (bias + sum pull V b_J / J_parallel)^2 (1 - drift)^2      the mean, outward

Accuracy. The theory is linear about the fixed point. Centres with errors see another separation, C_eff (`seen`). The
accuracy is CAUTION times the sum of

    the difference between the changes at C_eff and at C, mode by mode
    the changes times how far the mean still is from its fixed point
    the changes times eta, since only their first order is known
    for more than two centres, the square of the changes over the error, since only small changes add up

No simulation was off by more (benchmarks/calibration.py). See docs/theory.md, "What overlap changes".
"""

import math
from functools import lru_cache
from typing import NamedTuple

from scipy import special

from jgmm.theory import lloyd
from jgmm.theory.modes import pair_modes
from jgmm.theory.situation import Situation, StepLaw

CAUTION = 2.0
NEGLIGIBLE = 1e-6  # a mode that differs from a labelled centre's by less is replaced by it


class Overlap(NamedTuple):
    """The change of a squared error by overlap, and its accuracy, both in squared units of the data."""

    change: float
    accuracy: float


def symmetric(situation: Situation, step: StepLaw) -> Overlap:
    """The change for components of equal weights, scales and distances (a pair or a simplex).

    Raises ValueError where the centres have no fixed point of their own.
    """
    weight, separation, start_sq = _one_weight(situation), situation.separation, situation.start_sq
    plain = _effect(situation, step, separation, weight, start_sq)
    settled, began = _spreads(situation, step, weight)
    noisy = _effect(situation, step, seen(situation, separation, settled), weight, start_sq)
    # A schedule's first, large steps leave an error that is forgotten as a start is.
    spread = began * situation.estimates * situation.d * situation.scales[0] ** 2
    straight = _effect(situation, step, separation, weight, spread)
    early = _effect(situation, step, seen(situation, separation, settled + began), weight, spread)
    curved = sum(abs(a - b) for a, b in zip(straight.kept, early.kept, strict=True))
    curved += sum(abs(a - b) for a, b in zip(plain.noise, noisy.noise, strict=True))
    curved += sum(abs(a - b) for a, b in zip(plain.young, noisy.young, strict=True))
    curved += abs(plain.moved - noisy.moved)
    linear = sum(map(abs, plain.kept)) + plain.raw
    curved += plain.astray * (linear + plain.moved)
    accuracy = CAUTION * (curved + step.now(situation.samples, weight) * (linear + plain.moved))
    if situation.k > 2:  # the changes by several pairs add up to first order only
        base = step.mode(situation.samples, weight, 1.0, situation.burn)
        alone = float(base.kept) * start_sq + float(base.noise) * situation.k * situation.d * situation.scales[0] ** 2
        accuracy += CAUTION * linear * (linear + plain.moved) / alone
        accuracy += 0 if situation.hard else plain.moved  # only the pair's fixed point is known for soft updates
    return Overlap(sum(plain.kept) + sum(plain.noise) + plain.moved, accuracy)


def uneven(situation: Situation, step: StepLaw) -> float:
    """How much more the start's part may change if its directions are not uniform: as if all of it were in one mode."""
    weight = _one_weight(situation)
    modes = pair_modes(situation.separation, beta=_beta(situation))
    base = step.mode(situation.samples, weight, 1.0, situation.burn)
    slow = [step.mode(situation.samples, weight, mode.relaxation, situation.burn) for mode in modes[1:]]
    return max(float(abs(law.kept - base.kept)) for law in slow) * situation.start_sq * max(1.0, situation.k / 2)


def most(situation: Situation, step: StepLaw) -> float:
    """An upper bound on the change where components differ in weight, scale or distance.

    Take every pair at the least distance, and multiply its change by the ratio of the larger to the smaller weight,
    because a heavy component's misassigned samples move a light component's centre by that factor more. Raises
    ValueError as `symmetric` does.
    """
    weights = [w for w in situation.weights if w > 0]
    heavy, light = max(weights), min(weights)
    scale = max(situation.scales)
    largest, nearest = 0.0, situation.separation
    for weight in {heavy, light}:
        settled, began = _spreads(situation, step, weight)
        near = seen(situation, situation.separation, settled + began)
        if not situation.hard:  # the boundary is nearer to the light component
            near -= 2 * math.log(heavy / light) / (_beta(situation) * near)
        effect = _effect(situation, step, near, weight, situation.start_sq)
        largest = max(largest, sum(map(abs, effect.kept)) + effect.raw + heavy / light * effect.moved)
        nearest = min(nearest, near)
    pull = (situation.k - 1) * (heavy / light + 1) * math.exp(-(nearest**2) / 8) / math.sqrt(2 * math.pi)
    total = CAUTION * heavy / light * largest + situation.k * (pull * scale) ** 2
    if len(weights) < situation.k:  # every sample that the centre of an absent component wins moves it away
        won = situation.samples * float(special.ndtr(-nearest / 2))
        total += won * (step.fastest() * scale) ** 2 * (situation.separation**2 + situation.d)
    return total


def seen(situation: Situation, separation: float, spread: float) -> float:
    """C_eff: the separation that samples see if each centre's squared error is `spread` a coordinate, in sigma^2.

    C_eff^2 = C^2 / ((1 + 2 e (d - 1)/C^2) (1 + e/2)) with e the spread; for one tied mean 4 e and e replace 2 e and
    e/2.
    """
    tied = situation.tied
    longer = (4 if tied else 2) * spread * (situation.d - 1) / separation**2
    return separation / math.sqrt((1 + longer) * (1 + (1 if tied else 0.5) * spread))


def _one_weight(situation: Situation) -> float:
    """The share of samples that move an estimate: all of them if one mean stands for both of a pair."""
    return 1.0 if situation.tied else situation.weights[0]


def _beta(situation: Situation) -> float:
    if situation.sharpness is None:
        raise ValueError("sharpness is None, expected a number: overlap does nothing where labels are known")
    return situation.sharpness


def _spreads(situation: Situation, step: StepLaw, weight: float) -> tuple[float, float]:
    """The squared error of one coordinate by noise, and by the start and a schedule's first steps, in sigma^2."""
    settled = float(step.mode(situation.samples, weight, 1.0).noise)
    began = situation.start_sq / (situation.estimates * situation.d * max(situation.scales) ** 2)
    if step.varies:
        began += step.fastest() / (2 - step.fastest())
    return settled, began


@lru_cache(maxsize=4096)
def _simplex_displacement(k: int, separation: float) -> float:
    return float(lloyd.simplex_displacement(k, separation))


class _Effect(NamedTuple):
    """The changes by overlap; lists have an entry for each mode."""

    kept: list[float]
    noise: list[float]
    moved: float
    young: list[float]  # J and V times the noise, times the share of the start that is left
    raw: float  # the sizes of the changes of noise by V and by J, which may cancel in `noise`
    astray: float  # how far the mean still is from its fixed point, over half the separation


def _effect(situation: Situation, step: StepLaw, separation: float, weight: float, start_sq: float) -> _Effect:
    """The changes by overlap at this separation, for a start with this squared error."""
    tied, k, d, samples, burn = situation.tied, situation.k, situation.d, situation.samples, situation.burn
    modes = pair_modes(separation, beta=_beta(situation))
    pairs = 1 if tied else k * (k - 1) / 2
    scale_sq = max(situation.scales) ** 2
    base = step.mode(samples, weight, 1.0, burn)
    kept, noise, young, raw, pull = [], [], [], 0.0, 0.0
    directions = [(modes.parallel, 1), (modes.across, d - 1)] + ([] if tied else [(modes.shift, 1)])
    for mode, count in directions:
        if abs(1 - mode.relaxation) + abs(1 - mode.noise) < NEGLIGIBLE:
            mode = mode._replace(relaxation=1.0, noise=1.0)  # its law is in the cache
        law = step.mode(samples, weight, mode.relaxation, burn)
        kept.append(pairs * count * float(law.kept - base.kept) * start_sq / (situation.estimates * d))
        noise.append(pairs * count * float(mode.noise * law.noise - base.noise) * scale_sq)
        size, fresh = pairs * count * float(law.noise) * scale_sq, float(law.kept)
        young += [size * fresh * mode.relaxation, size * fresh * mode.noise]
        raw += size * (abs(1 - mode.noise) + fresh * abs(1 - mode.relaxation))
        raw += pairs * count * float(abs(law.noise - base.noise)) * scale_sq
        # Half of the centres' variance is their difference's, half their sum's.
        last = step.mode(samples, weight, mode.relaxation)
        pull += count * mode.pull * mode.noise * float(last.noise) / (1 if tied else 2)
    outward = modes.bias + pull / modes.parallel.relaxation
    forgotten = 1 - float(step.mode(samples, weight, modes.parallel.relaxation, burn).drift)
    share = math.sqrt(pairs)  # the sum of the pairs' displacements along the simplex' radius
    if k > 2 and situation.hard:
        outward += _simplex_displacement(k, separation) / share - modes.bias
    astray = abs(modes.bias) * (1 - forgotten) / (separation / 2)
    moved = situation.estimates * (share * outward * forgotten) ** 2 * scale_sq
    return _Effect(kept, noise, moved, young, raw, astray)
