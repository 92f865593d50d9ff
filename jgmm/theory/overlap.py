r"""What overlap does to the law of a stream, to first order in the rate, and what that may be off by.

Far apart, every centre obeys the law of its labelled twin (`labelled`). Where components overlap, half the difference
of two centres and half their sum relax and fluctuate in their own ways (`theory.pair_modes`) and the fixed point moves;
of more centres than two the changes of all pairs are added up. A mode of relaxation J and noise V changes a squared
error by

    kept    (a_J - a_1) start        what is left of the start
    noise   V b_J - b_1              a_J, b_J of `labelled`
    moved   (bias + sum pull V b_J / J_parallel)^2 (1 - drift)^2      the mean, outward

Accuracy. All this is linear about the fixed point. But where a centre's error is e a coordinate, the gap between two
centres is longer by 2 e (d - 1) across it (so the boundary between them is tilted, nearer to the means) and their
midpoint fluctuates by e/2 along it; of EM's one mean and its mirror image the gap is 4 e (d - 1) longer. Samples see
the separation as

    C_eff^2 = C^2 / ((1 + 2 e (d - 1)/C^2) (1 + e/2)),     misassignments grow about like exp(d eta/8) (Lloyd).

What the changes above would be at C_eff in place of C tells how wrong it is to be linear: CAUTION times the difference,
mode by mode, is added to the law's accuracy; so are the changes themselves times how far the mean still is from its
fixed point, and times eta, since their first order is all that is known. Changes by several pairs add up while they
are small: their square, relative to the error, is added too. No simulation was off by more (benchmarks/calibration.py).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from scipy import special

from jgmm import rates
from jgmm.study.spec import Cell
from jgmm.theory import labelled, lloyd
from jgmm.theory.modes import pair_modes

CAUTION = 2.0
NEGLIGIBLE = 1e-6  # a mode that differs by less from a labelled centre's


class Overlap(NamedTuple):
    """The change of a squared error by overlap, in squared units of the data, and what that may be off by."""

    change: float
    accuracy: float


class _Effect(NamedTuple):
    kept: list[float]
    noise: list[float]
    moved: float
    young: list[float]  # J and V times noise that nothing has forgotten yet: what `noise` comes to be
    raw: float  # noise, with what V and J cancel
    astray: float  # how far the mean is from its fixed point, relative to it


@lru_cache(maxsize=4096)
def _simplex_displacement(k: int, separation: float) -> float:
    return float(lloyd.simplex_displacement(k, separation))


@lru_cache(maxsize=4096)
def stream_law(cell: Cell, samples: int, weight: float, relaxation: float, averages: bool) -> labelled.Law:
    """The labelled law of a mode of the cell's stream; 1/n_i is taken as the schedule that it follows in the mean.

    averages: of the average of iterates where the cell has one, not of the last iterate.
    """
    about = {"weight": weight, "relaxation": relaxation}
    if cell.schedule:
        return labelled.polynomial(samples, schedule=rates.Polynomial(*cell.schedule), **about)
    if cell.rate is None:
        return labelled.polynomial(samples, schedule=rates.Polynomial(1 / weight, 1, 2 / weight), **about)
    if cell.average and averages:
        return labelled.averaged(samples, rate=cell.rate, burn=round(cell.n * (1 - cell.average)), **about)
    return labelled.constant(samples, rate=cell.rate, **about)


def fastest(cell: Cell) -> float:
    """The largest step that the cell's stream takes."""
    if cell.schedule:
        return float(rates.Polynomial(*cell.schedule)(0))
    return 0.5 if cell.rate is None else cell.rate


def symmetric(cell: Cell, separation: float, samples: int, *, start_sq: float) -> Overlap:
    """For components of one weight and scale, all `separation` apart (a pair or a simplex).

    start_sq: the squared error of the start, summed over the estimates, of uniformly random directions.
    Raises ValueError where the centres have no fixed point of their own.
    """
    weight = 1.0 if cell.algorithm == "em" else cell.weights[0]
    there = _effect(cell, separation, samples, weight, start_sq)
    settled, began = _spreads(cell, samples, weight, start_sq)
    lately = _effect(cell, seen(cell, separation, settled), samples, weight, start_sq)
    # What the first steps of a schedule left behind is remembered as a start is.
    spread = began * (1 if cell.algorithm == "em" else cell.k) * cell.d * cell.scales[0] ** 2
    straight = _effect(cell, separation, samples, weight, spread)
    early = _effect(cell, seen(cell, separation, settled + began), samples, weight, spread)
    curved = sum(abs(a - b) for a, b in zip(straight.kept, early.kept, strict=True))
    curved += sum(abs(a - b) for a, b in zip(there.noise, lately.noise, strict=True))
    curved += sum(abs(a - b) for a, b in zip(there.young, lately.young, strict=True))
    curved += abs(there.moved - lately.moved)
    linear = sum(map(abs, there.kept)) + there.raw
    curved += there.astray * (linear + there.moved)
    accuracy = CAUTION * (curved + _rate_now(cell, samples, weight) * (linear + there.moved))
    if cell.k > 2:  # pairs are not alone: their changes to second order, relative to all centres' error
        base = stream_law(cell, samples, weight, 1.0, True)
        alone = float(base.kept) * start_sq + float(base.noise) * cell.k * cell.d * cell.scales[0] ** 2
        accuracy += CAUTION * linear * (linear + there.moved) / alone
        accuracy += 0 if cell.algorithm == "lloyd" else there.moved  # whose fixed point is that of pairs alone
    return Overlap(sum(there.kept) + sum(there.noise) + there.moved, accuracy)


def uneven(cell: Cell, separation: float, samples: int, *, start_sq: float) -> float:
    """What a start's squared error may change by where its directions are not uniform: as if it were in one mode."""
    weight = 1.0 if cell.algorithm == "em" else cell.weights[0]
    modes = pair_modes(separation, beta=_beta(cell))
    base = stream_law(cell, samples, weight, 1.0, True)
    slow = [stream_law(cell, samples, weight, mode.relaxation, True) for mode in modes[1:]]
    return max(float(abs(law.kept - base.kept)) for law in slow) * start_sq * max(1.0, cell.k / 2)


def most(cell: Cell, separation: float, samples: int, *, start_sq: float) -> float:
    """The largest change that overlap may make where components differ in weight, scale or distance.

    Every pair is taken as close as the closest, and its changes as many times larger as its weights differ: a heavy
    component's samples that a light one's centre wins count so many times more to that. Raises as `symmetric`.
    """
    weights = [w for w in cell.weights if w > 0]
    heavy, light = max(weights), min(weights)
    scale = max(cell.scales)
    largest, nearest = 0.0, separation
    for weight in {heavy, light}:
        settled, began = _spreads(cell, samples, weight, start_sq)
        near = seen(cell, separation, settled + began)
        if cell.algorithm == "soft":  # the boundary stands nearer the light component
            near -= 2 * math.log(heavy / light) / (_beta(cell) * near)
        found = _effect(cell, near, samples, weight, start_sq)
        largest = max(largest, sum(map(abs, found.kept)) + found.raw + heavy / light * found.moved)
        nearest = min(nearest, near)
    pull = (cell.k - 1) * (heavy / light + 1) * math.exp(-(nearest**2) / 8) / math.sqrt(2 * math.pi)
    total = CAUTION * heavy / light * largest + cell.k * (pull * scale) ** 2
    if len(weights) < cell.k:  # a centre without samples of its own moves by every one of others' that it wins
        won = samples * float(special.ndtr(-nearest / 2))
        total += won * (fastest(cell) * scale) ** 2 * (separation**2 + cell.d)
    return total


def seen(cell: Cell, separation: float, spread: float) -> float:
    """C_eff: the separation that samples see where each centre's error is `spread` a coordinate, in sigma^2."""
    tied = cell.algorithm == "em"
    longer = (4 if tied else 2) * spread * (cell.d - 1) / separation**2
    return separation / math.sqrt((1 + longer) * (1 + (1 if tied else 0.5) * spread))


def _spreads(cell: Cell, samples: int, weight: float, start_sq: float) -> tuple[float, float]:
    """A coordinate's squared error by noise, and by the start (the first steps of a schedule are like one)."""
    estimates = 1 if cell.algorithm == "em" else cell.k
    settled = float(stream_law(cell, samples, weight, 1.0, False).noise)
    began = start_sq / (estimates * cell.d * max(cell.scales) ** 2)
    if cell.rate is None:
        began += fastest(cell) / (2 - fastest(cell))
    return settled, began


def _beta(cell: Cell) -> float:
    return math.inf if cell.algorithm == "lloyd" else cell.beta or 1.0


def _rate_now(cell: Cell, samples: int, weight: float) -> float:
    if cell.schedule:
        return float(rates.Polynomial(*cell.schedule)(samples))
    return 1 / (weight * samples + 2) if cell.rate is None else cell.rate


def _effect(cell: Cell, separation: float, samples: int, weight: float, start_sq: float) -> _Effect:
    """What overlap at this separation would change."""
    tied = cell.algorithm == "em"
    modes = pair_modes(separation, beta=_beta(cell))
    pairs = 1 if tied else cell.k * (cell.k - 1) / 2
    estimates = 1 if tied else cell.k
    scale_sq = max(cell.scales) ** 2
    law_of: Callable = lambda relaxation, averages: stream_law(cell, samples, weight, relaxation, averages)  # noqa: E731
    base = law_of(1.0, True)
    kept, noise, young, raw, pull = [], [], [], 0.0, 0.0
    directions = [(modes.parallel, 1), (modes.across, cell.d - 1)] + ([] if tied else [(modes.shift, 1)])
    for mode, count in directions:
        if abs(1 - mode.relaxation) + abs(1 - mode.noise) < NEGLIGIBLE:
            mode = mode._replace(relaxation=1.0, noise=1.0)  # so that its law is at hand
        law = law_of(mode.relaxation, True)
        kept.append(pairs * count * float(law.kept - base.kept) * start_sq / (estimates * cell.d))
        noise.append(pairs * count * float(mode.noise * law.noise - base.noise) * scale_sq)
        here, fresh = pairs * count * float(law.noise) * scale_sq, float(law.kept)
        young += [here * fresh * mode.relaxation, here * fresh * mode.noise]
        raw += here * (abs(1 - mode.noise) + fresh * abs(1 - mode.relaxation))
        raw += pairs * count * float(abs(law.noise - base.noise)) * scale_sq
        # Of the variance of the centres half is that of their difference, half that of their sum.
        pull += count * mode.pull * mode.noise * float(law_of(mode.relaxation, False).noise) / (1 if tied else 2)
    outward = modes.bias + pull / modes.parallel.relaxation
    forgotten = 1 - float(law_of(modes.parallel.relaxation, True).drift)
    share = math.sqrt(pairs)  # of the pairs' displacements, along the simplex' radius
    if cell.k > 2 and cell.algorithm == "lloyd":
        outward += _simplex_displacement(cell.k, separation) / share - modes.bias
    astray = abs(modes.bias) * (1 - forgotten) / (separation / 2)
    return _Effect(kept, noise, estimates * (share * outward * forgotten) ** 2 * scale_sq, young, raw, astray)
