r"""What overlap does to the law of a stream, to first order in the rate, and what that may be off by.

Far apart, centres obey the law of centres that get only the samples of their own component (`labelled`). Where
components overlap, half the difference of two centres and half their sum relax and fluctuate at rates of their own
(`modes.pair_modes`), and the fixed point moves. With more than two centres, the changes of all pairs are added up. A
mode of relaxation J and noise V changes a squared error by

    kept    (a_J - a_1) start        what is left of the start
    noise   V b_J - b_1              a_J, b_J of `labelled`
    moved   (bias + sum pull V b_J / J_parallel)^2 (1 - drift)^2      the mean, outward

Accuracy. All this is linear about the fixed point. Where a centre's squared error is e a coordinate, the squared
distance of two centres is longer by 2 e (d - 1) across it (the boundary between them is tilted, and passes nearer to
the means), and their midpoint fluctuates by e/2 along it. Of EM's one mean and its mirror image the distance is longer
by 4 e (d - 1). Samples see the separation as

    C_eff^2 = C^2 / ((1 + 2 e (d - 1)/C^2) (1 + e/2)),     misassignments grow about like exp(d eta/8) (Lloyd).

The difference between the changes at C_eff and at C tells how wrong the linear theory is. CAUTION times that, mode by
mode, is added to the law's accuracy. So are the changes themselves times how far the mean still is from its fixed
point, and times eta, since only their first order is known. Changes by several pairs add up only while they are small:
their square, relative to the error, is added too. No simulation was off by more (benchmarks/calibration.py). See
docs/theory.md, "What overlap changes".
"""

import math
from functools import lru_cache
from typing import NamedTuple

from scipy import special

from jgmm.theory import lloyd
from jgmm.theory.modes import pair_modes
from jgmm.theory.situation import Situation, StepLaw

CAUTION = 2.0
NEGLIGIBLE = 1e-6  # by how much a mode differs from a labelled centre's and is taken for that


class Overlap(NamedTuple):
    """The change of a squared error by overlap, in squared units of the data, and what that may be off by."""

    change: float
    accuracy: float


def symmetric(situation: Situation, step: StepLaw) -> Overlap:
    """For components of one weight and scale, all as far apart (a pair or a simplex).

    Raises ValueError where the centres have no fixed point of their own.
    """
    weight, separation, start_sq = _one_weight(situation), situation.separation, situation.start_sq
    plain = _effect(situation, step, separation, weight, start_sq)
    settled, began = _spreads(situation, step, weight)
    noisy = _effect(situation, step, seen(situation, separation, settled), weight, start_sq)
    # What the first steps of a schedule left behind is remembered as a start is.
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
    if situation.k > 2:  # pairs are not alone: their changes to second order, relative to all centres' error
        base = step.mode(situation.samples, weight, 1.0, situation.burn)
        alone = float(base.kept) * start_sq + float(base.noise) * situation.k * situation.d * situation.scales[0] ** 2
        accuracy += CAUTION * linear * (linear + plain.moved) / alone
        accuracy += 0 if situation.hard else plain.moved  # whose fixed point is that of pairs alone
    return Overlap(sum(plain.kept) + sum(plain.noise) + plain.moved, accuracy)


def uneven(situation: Situation, step: StepLaw) -> float:
    """What a start's squared error may change by where its directions are not uniform: as if it were in one mode."""
    weight = _one_weight(situation)
    modes = pair_modes(situation.separation, beta=_beta(situation))
    base = step.mode(situation.samples, weight, 1.0, situation.burn)
    slow = [step.mode(situation.samples, weight, mode.relaxation, situation.burn) for mode in modes[1:]]
    return max(float(abs(law.kept - base.kept)) for law in slow) * situation.start_sq * max(1.0, situation.k / 2)


def most(situation: Situation, step: StepLaw) -> float:
    """The largest change that overlap may make where components differ in weight, scale or distance.

    Every pair is taken as close as the closest, and its changes as many times larger as its weights differ: a heavy
    component's samples that a light one's centre wins count so many times more to that. Raises as `symmetric`.
    """
    weights = [w for w in situation.weights if w > 0]
    heavy, light = max(weights), min(weights)
    scale = max(situation.scales)
    largest, nearest = 0.0, situation.separation
    for weight in {heavy, light}:
        settled, began = _spreads(situation, step, weight)
        near = seen(situation, situation.separation, settled + began)
        if not situation.hard:  # the boundary stands nearer the light component
            near -= 2 * math.log(heavy / light) / (_beta(situation) * near)
        effect = _effect(situation, step, near, weight, situation.start_sq)
        largest = max(largest, sum(map(abs, effect.kept)) + effect.raw + heavy / light * effect.moved)
        nearest = min(nearest, near)
    pull = (situation.k - 1) * (heavy / light + 1) * math.exp(-(nearest**2) / 8) / math.sqrt(2 * math.pi)
    total = CAUTION * heavy / light * largest + situation.k * (pull * scale) ** 2
    if len(weights) < situation.k:  # a centre without samples of its own moves by every one of others' that it wins
        won = situation.samples * float(special.ndtr(-nearest / 2))
        total += won * (step.fastest() * scale) ** 2 * (situation.separation**2 + situation.d)
    return total


def seen(situation: Situation, separation: float, spread: float) -> float:
    """C_eff: the separation that samples see where each centre's error is `spread` a coordinate, in sigma^2."""
    tied = situation.tied
    longer = (4 if tied else 2) * spread * (situation.d - 1) / separation**2
    return separation / math.sqrt((1 + longer) * (1 + (1 if tied else 0.5) * spread))


def _one_weight(situation: Situation) -> float:
    """The share of samples that move an estimate: all of them where one mean stands for both of a pair."""
    return 1.0 if situation.tied else situation.weights[0]


def _beta(situation: Situation) -> float:
    if situation.sharpness is None:
        raise ValueError("sharpness is None, expected a number: overlap does nothing where labels are known")
    return situation.sharpness


def _spreads(situation: Situation, step: StepLaw, weight: float) -> tuple[float, float]:
    """A coordinate's squared error by noise, and by the start (the first steps of a schedule are like one)."""
    settled = float(step.mode(situation.samples, weight, 1.0).noise)
    began = situation.start_sq / (situation.estimates * situation.d * max(situation.scales) ** 2)
    if step.varies:
        began += step.fastest() / (2 - step.fastest())
    return settled, began


@lru_cache(maxsize=4096)
def _simplex_displacement(k: int, separation: float) -> float:
    return float(lloyd.simplex_displacement(k, separation))


class _Effect(NamedTuple):
    """What overlap changes, a number for each mode in lists."""

    kept: list[float]
    noise: list[float]
    moved: float
    young: list[float]  # J and V times noise that nothing has forgotten yet: what `noise` comes to be
    raw: float  # the size of all changes of noise, where in `noise` V and J cancel
    astray: float  # how far the mean still is from its fixed point, relative to the half separation


def _effect(situation: Situation, step: StepLaw, separation: float, weight: float, start_sq: float) -> _Effect:
    """What overlap at this separation would change, of a start of this squared error."""
    tied, k, d, samples, burn = situation.tied, situation.k, situation.d, situation.samples, situation.burn
    modes = pair_modes(separation, beta=_beta(situation))
    pairs = 1 if tied else k * (k - 1) / 2
    scale_sq = max(situation.scales) ** 2
    base = step.mode(samples, weight, 1.0, burn)
    kept, noise, young, raw, pull = [], [], [], 0.0, 0.0
    directions = [(modes.parallel, 1), (modes.across, d - 1)] + ([] if tied else [(modes.shift, 1)])
    for mode, count in directions:
        if abs(1 - mode.relaxation) + abs(1 - mode.noise) < NEGLIGIBLE:
            mode = mode._replace(relaxation=1.0, noise=1.0)  # whose law is computed already
        law = step.mode(samples, weight, mode.relaxation, burn)
        kept.append(pairs * count * float(law.kept - base.kept) * start_sq / (situation.estimates * d))
        noise.append(pairs * count * float(mode.noise * law.noise - base.noise) * scale_sq)
        size, fresh = pairs * count * float(law.noise) * scale_sq, float(law.kept)
        young += [size * fresh * mode.relaxation, size * fresh * mode.noise]
        raw += size * (abs(1 - mode.noise) + fresh * abs(1 - mode.relaxation))
        raw += pairs * count * float(abs(law.noise - base.noise)) * scale_sq
        # Of the variance of the centres half is that of their difference, half that of their sum.
        last = step.mode(samples, weight, mode.relaxation)
        pull += count * mode.pull * mode.noise * float(last.noise) / (1 if tied else 2)
    outward = modes.bias + pull / modes.parallel.relaxation
    forgotten = 1 - float(step.mode(samples, weight, modes.parallel.relaxation, burn).drift)
    share = math.sqrt(pairs)  # of the pairs' displacements, along the simplex' radius
    if k > 2 and situation.hard:
        outward += _simplex_displacement(k, separation) / share - modes.bias
    astray = abs(modes.bias) * (1 - forgotten) / (separation / 2)
    moved = situation.estimates * (share * outward * forgotten) ** 2 * scale_sq
    return _Effect(kept, noise, moved, young, raw, astray)
