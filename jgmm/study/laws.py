"""What theory says of a stored cell: exact or first-order laws with their accuracy, floors, bounds, oracles.

A law is printed only where it is known; `accuracy` is what its own approximation may be off by (first order in the
rate, overlap left out, float32), so that a verdict does not hold that against the simulation.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm import labelled, theory
from jgmm.study.cells import CellData, points
from jgmm.study.spec import Cell

FLOAT32 = 1e-5  # relative: what rounding may do to a mean squared error
WORST = 0.1  # a law that may be off by more than this share is not printed


class Law(NamedTuple):
    """Expected squared error and sum of distances at a checkpoint; None where no law is known."""

    error_sq: float | None
    accuracy: float | None
    error_sum: float | None


UNKNOWN = Law(None, None, None)


# Quadratures are done once for the many cells and checkpoints that share them.


@lru_cache(maxsize=4096)
def _pair_law(separation: float, rate: float, d: int, sigma: float) -> theory.PairLaw:
    return theory.lloyd_pair_law(separation, rate=rate, d=d, sigma=sigma)


@lru_cache(maxsize=4096)
def _slowest(separation: float) -> float:
    return float(min(theory.lloyd_pair_relaxation(separation)))


@lru_cache(maxsize=4096)
def _simplex_floor(k: int, separation: float, sigma: float) -> float:
    return float(theory.simplex_floor(k, separation, sigma=sigma))


@lru_cache(maxsize=4096)
def _information(separation: float, sigma: float, d: int, n: int, free: int) -> float:
    return float(theory.cramer_rao(n=n, separation=separation, sigma=sigma, d=d, free=free))


def law(item: CellData, index: int) -> Law:
    """The law of a cell's checkpoint, given its runs' starts."""
    cell, samples = item.cell, int(item.samples[index])
    if not item.ok.any():
        return UNKNOWN
    if cell.algorithm == "seeding":
        return _seeding(item)
    if cell.algorithm == "oracle":
        return _oracle(item, samples)
    if cell.average:
        return _averaged(item, samples)
    if item.twin is None:
        return UNKNOWN
    separated = float(item.twin["twin_mean_sq"][item.ok, index].astype(float).mean())
    start_sq = float(item.values["error_sq"][item.ok, 0].astype(float).mean())
    if isinstance(cell.start, float) and cell.start > float(item.realised_separation.min()) / 4:
        return UNKNOWN  # so far from the truth that samples are misassigned on the way, and centres lost
    if samples == 0:
        return _accept(separated, FLOAT32 * separated, None)
    if cell.algorithm == "em":
        return _em(item, samples, start_sq)
    if cell.algorithm == "soft":
        return _soft(item, separated, samples, start_sq)
    return _lloyd(item, separated, samples, start_sq)


def equal(cell: Cell) -> bool:
    """Whether all components have one weight and one scale."""
    return len(set(cell.weights)) == 1 and len(set(cell.scales)) == 1


def pair(cell: Cell) -> bool:
    """Whether the mixture is a symmetric pair with equal weights and scales."""
    return cell.k == 2 and equal(cell) and cell.layout in ("symmetric", "simplex")


def _accept(value: float, accuracy: float, distance: float | None) -> Law:
    if not math.isfinite(value) or accuracy > WORST * abs(value):
        return UNKNOWN
    return Law(value, accuracy, distance)


def _lloyd(item: CellData, separated: float, samples: int, start_sq: float) -> Law:
    """The twin's law where samples are hardly ever misassigned; the stationary law of a pair at any separation."""
    cell = item.cell
    if pair(cell) and cell.rate is not None and cell.separation < 12:
        finite = _pair_law(cell.separation, cell.rate, cell.d, cell.scales[0]).error_sq
        alone = theory.stationary_sq(rate=cell.rate, sigma=cell.scales[0], d=cell.d)
        left = (1 - cell.rate * _slowest(cell.separation)) ** samples
        kept = (1 - cell.rate / 2) ** samples
        value = separated + 2 * (1 - kept) * float(finite - alone)
        # First order in the rate (theory 4.4: 1 to 2 % at 0.02); the slowest mode's memory of the start and the floor.
        memory = abs(left**2 - kept**2) * start_sq + 2 * left * abs(float(finite - alone))
        return _accept(value, (cell.rate + FLOAT32) * value + memory, None)
    missed = _overlap(item)
    accuracy = (missed + FLOAT32) * separated + _floor_size(item)
    distance = None
    if cell.rate is not None and equal(cell) and missed < 1e-6:
        kept = theory.contraction(rate=cell.rate, weight=cell.weights[0]) ** samples
        if kept < 1e-6:
            distance = cell.k * float(theory.stationary_distance(rate=cell.rate, sigma=cell.scales[0], d=cell.d))
    return _accept(separated, accuracy, distance)


def _overlap(item: CellData) -> float:
    """About how much overlap changes variances, relatively: k C phi(C/2) (theory 4.4 has f m for a pair)."""
    c = float(item.realised_separation.min())
    return item.cell.k * c * float(stats.norm.pdf(c / 2)) if math.isfinite(c) else 0.0


def _floor_size(item: CellData) -> float:
    """About the squared displacement that overlap causes: k^2 times that of a pair, or more for unequal weights."""
    c = float(item.realised_separation.min())
    if not math.isfinite(c):
        return 0.0
    lopsided = max(item.cell.weights) / max(min(item.cell.weights), 1e-9)
    shift = float(stats.norm.pdf(c / 2)) * (lopsided + 1)
    return item.cell.k**2 * shift**2 * max(item.cell.scales) ** 2


def _em(item: CellData, samples: int, start_sq: float) -> Law:
    cell = item.cell
    sigma, d, rate = cell.scales[0], cell.d, cell.rate
    assert rate is not None
    separation = float(item.realised_separation.min())
    if separation > 12:  # every posterior is 0 or 1 to 1e-8: the labels are known
        value = theory.lloyd_error_sq(samples=samples, rate=rate, weight=1, sigma=sigma, d=d, start_sq=start_sq)
        return _accept(float(value), FLOAT32 * float(value), None)
    if cell.layout != "symmetric":
        return UNKNOWN
    along = start_sq / d
    parts = {"start_sq_parallel": along, "start_sq_perpendicular": start_sq - along}
    known = {"samples": samples, "rate": rate, "sigma": sigma, "d": d, "separation": separation}
    value = float(theory.em_error_sq(**known, **parts))
    if cell.beta != 1:
        # theory 4.6: another fixed point; about it the variance has no known law but for large separations.
        beta = cell.beta or 1.0
        bias = float(theory.em_fixed_point_bias(separation, beta=beta, sigma=sigma)) ** 2 if beta > 1 else 0.0
        return _accept(value + bias, (_overlap(item) + 2 * rate) * value + 0.3 * bias, None)
    settled = float(theory.em_stationary_sq(rate=rate, sigma=sigma, d=d))
    # First order in the rate, and linear in the start: seen within 2 rate, and within a tenth of what is left of it.
    return _accept(value, (2 * rate + FLOAT32) * value + 0.1 * abs(value - settled), None)


def _soft(item: CellData, separated: float, samples: int, start_sq: float) -> Law:
    cell = item.cell
    if cell.beta == 1 and cell.rate is not None and equal(cell):
        settled = float(theory.soft_stationary_sq(rate=cell.rate, sigma=cell.scales[0], d=cell.d, k=cell.k))
        kept = float(np.mean([labelled.constant(samples, rate=cell.rate, weight=w).kept for w in cell.weights]))
        slow = math.sqrt(kept)  # overlap slows the modes (theory 4.5): allow half the speed
        return _accept(max(separated, settled), (2 * cell.rate + FLOAT32) * settled + slow * (start_sq + settled), None)
    return _accept(separated, (_overlap(item) + FLOAT32) * separated + _floor_size(item), None)


def _averaged(item: CellData, samples: int) -> Law:
    cell = item.cell
    if cell.rate is None or samples == 0 or not equal(cell):
        return UNKNOWN  # each centre's own start is known in the mean only
    rate, burn = cell.rate, round(cell.n * (1 - cell.average))
    value = _over_components(item, lambda weight: labelled.averaged(samples, rate=rate, weight=weight, burn=burn))
    return _accept(value, (_overlap(item) * 2 + FLOAT32) * value + _floor_size(item), None)


def _oracle(item: CellData, samples: int) -> Law:
    value = _over_components(item, lambda weight: labelled.inverse_count(samples, weight=weight, initial=0))
    return _accept(value, FLOAT32 * value, None)


def _over_components(item: CellData, law_of_weight: Callable[[float], labelled.Law]) -> float:
    """The sum of a labelled law over components; of the starts only the mean over runs and centres is used."""
    cell = item.cell
    start_sq = float(item.values["error_sq"][item.ok, 0].astype(float).mean()) / cell.k
    value = 0.0
    for weight, scale in zip(cell.weights, cell.scales, strict=True):
        found = law_of_weight(weight) if weight else labelled.untouched(item.samples[-1])
        value += float(found.kept) * start_sq + float(found.noise) * scale**2 * cell.d
    return value


def _seeding(item: CellData) -> Law:
    cell = item.cell
    if item.example is None or cell.seeding is None or not equal(cell) or cell.seeding.method != "block":
        return UNKNOWN
    means = points(item.example, "mean", "x", cell.d)
    sizes = {"block": cell.seeding.block, "graph_points": cell.seeding.graph_points}
    per_centre = theory.seeding_error_sq(means, np.array(cell.weights), sigma=cell.scales[0], **sizes)
    # First order in 1/B and 1/k0: printed beside the figure, but never held against it.
    return Law(float(np.sum(per_centre)), math.inf, None)


def floor(item: CellData) -> float | None:
    """The squared displacement of Lloyd's fixed point, which no number of samples removes; None where unknown.

    Exact: theory 4.3 for equal weights, `theory.lloyd_pair_fixed_points` for a pair of others.
    """
    cell = item.cell
    if cell.algorithm != "lloyd" or cell.k < 2 or len(set(cell.scales)) > 1:
        return None
    if cell.layout not in ("simplex", "symmetric"):
        return None
    if equal(cell):
        return _simplex_floor(cell.k, cell.separation, cell.scales[0])
    if cell.k > 2 or min(cell.weights) == 0:
        return None  # the first order (theory 4.3) is off by up to 3 at C = 3, and still by 10 % at C = 6
    try:
        fixed = theory.lloyd_pair_fixed_points(cell.separation, cell.weights, sigma=cell.scales[0])
    except ValueError:
        return None
    half = cell.separation * cell.scales[0] / 2
    return float((fixed[0] - half) ** 2 + (fixed[1] + half) ** 2)


def floor_accuracy(item: CellData) -> float:
    """What a stored floor may be off by: what is left of the way from the start, and the rate's own shift.

    The shift of a pair is theory 4.4's; for a simplex it is taken k times as large, in each of the k centres.
    """
    cell, exact = item.cell, floor(item)
    if exact is None or cell.rate is None:
        return math.inf
    left = math.exp(cell.n * math.log1p(-min(cell.weights) * cell.rate))
    pair_law = _pair_law(cell.separation, cell.rate, cell.d, cell.scales[0])
    shift = abs(float(pair_law.shift)) * (cell.k if cell.k > 2 or not equal(cell) else 1)
    return 2 * left * exact + 2 * math.sqrt(exact * cell.k) * shift


def bound(item: CellData, samples: int) -> float | None:
    """The theorem that the cell is held against, at the end of a run, with unit constants; None elsewhere.

    For tables and figures: every constant is hidden, so the sum of the terms decides nothing (`claims`).
    """
    cell = item.cell
    if cell.theorem not in (1, 2, 7) or samples != cell.n:
        return None
    sigma, mean_norm = max(cell.scales), float(np.sqrt((item.largest_mean.astype(float) ** 2).mean()))
    if cell.theorem == 7:
        return float(theory.theorem7_bound(n=cell.n, d=cell.d, sigma=sigma, mean_norm=mean_norm))
    separation = min(float(item.realised_separation.min()), 1e6)  # infinite for one component
    known = {"n": cell.n, "k": cell.k, "d": cell.d, "sigma": sigma, "mean_norm": mean_norm}
    return float(theory.theorem1_bound(**known, separation=separation))


def oracle(item: CellData, samples: int) -> float | None:
    """The labelled oracle: the mean of each component's own samples, exact; None before all are likely seen."""
    cell = item.cell
    if cell.algorithm == "seeding" or samples == 0 or samples * min(cell.weights) < 20:
        return None
    if cell.algorithm == "em":  # one mean from all samples, their signs known
        return cell.scales[0] ** 2 * cell.d / samples
    pairs = zip(cell.weights, cell.scales, strict=True)
    return float(sum(labelled.inverse_count(samples, weight=w, initial=0).noise * s**2 * cell.d for w, s in pairs))


def cramer_rao(item: CellData, samples: int) -> float | None:
    """The least error of unbiased estimates from unlabelled samples; known for the symmetric pair."""
    cell = item.cell
    if not pair(cell) or samples == 0 or cell.algorithm == "seeding" or cell.separation > 40:
        return None
    free = 1 if cell.algorithm == "em" else 2
    return _information(cell.separation, cell.scales[0], cell.d, 1, free) / samples
