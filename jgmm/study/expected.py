"""What theory says of a stored cell: exact or first-order laws with their accuracy, floors, bounds, oracles.

A law is printed only where it is known; `accuracy` is what its own approximation may be off by (first order in the
rate, overlap, blocks that are not long, float32), so that a verdict does not hold that against the simulation. A law
that may be off by more than a tenth of itself is not printed.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm import theory
from jgmm.study.read import CellData, points
from jgmm.study.spec import Cell
from jgmm.theory import labelled, overlap

FLOAT32 = 1e-5  # relative: what rounding may do to a mean squared error
WORST = 0.1  # a law that may be off by more than this share is not printed


class Law(NamedTuple):
    """Expected squared error and sum of distances at a checkpoint; None where no law is known."""

    error_sq: float | None
    accuracy: float | None
    error_sum: float | None
    exact: bool = True  # False: to first order in something; `accuracy` is then more than what rounding does


UNKNOWN = Law(None, None, None)


# Quadratures are done once for the many cells and checkpoints that share them.


@lru_cache(maxsize=4096)
def _simplex_floor(k: int, separation: float, sigma: float) -> float:
    return float(theory.simplex_floor(k, separation, sigma=sigma))


@lru_cache(maxsize=4096)
def _pair_floor(separation: float, weights: tuple[float, float], sigma: float) -> float | None:
    try:
        fixed = theory.lloyd_pair_fixed_points(separation, weights, sigma=sigma)
    except ValueError:
        return None
    return float(np.sum((fixed - np.array([0.5, -0.5]) * separation * sigma) ** 2))


@lru_cache(maxsize=4096)
def _information(separation: float, sigma: float, d: int, n: int, free: int) -> float:
    return float(theory.cramer_rao(n=n, separation=separation, sigma=sigma, d=d, free=free))


def law(item: CellData, index: int) -> Law:
    """The law of a cell's checkpoint, given its runs' starts."""
    cell, samples = item.cell, int(item.samples[index])
    if not item.ok.any():
        return UNKNOWN
    if cell.start_only:
        return _seeding(item)
    if cell.algorithm == "oracle":
        return _accept(item, _oracle(item, samples), 0.0)
    start_sq = float(item.values["error_sq"][item.ok, 0].astype(float).mean())
    if cell.average:
        if cell.rate is None or samples == 0 or not equal(cell):
            return UNKNOWN  # each centre's own start is known in the mean only
        alone = _averaged(item, samples)
    elif item.twin is None:
        return UNKNOWN
    else:
        alone = float(item.twin["twin_mean_sq"][item.ok, index].astype(float).mean())
    if samples == 0:
        return _accept(item, alone, 0.0)
    if _far(item, start_sq):
        return UNKNOWN
    try:
        return _stream(item, alone, samples, start_sq)
    except ValueError:  # no fixed point, or none that quadrature finds
        return UNKNOWN


def equal(cell: Cell) -> bool:
    """Whether all components have one weight and one scale."""
    return len(set(cell.weights)) == 1 and len(set(cell.scales)) == 1


def pair(cell: Cell) -> bool:
    """Whether the mixture is a symmetric pair with equal weights and scales."""
    return cell.k == 2 and equal(cell) and cell.layout in ("symmetric", "simplex")


def _far(item: CellData, start_sq: float) -> bool:
    """Whether centres start so far from the truth (C/4) that samples are misassigned on the way, and centres lost."""
    cell = item.cell
    estimates = 1 if cell.algorithm == "em" else cell.k
    largest = math.sqrt(start_sq / estimates) / max(cell.scales)
    if not isinstance(cell.start, str):
        largest = max(largest, cell.start)
    lost = bool((item.values["lost"][item.ok, 0] > 0).any())
    return lost or largest > float(item.realised_separation.min()) / 4


def _accept(item: CellData, value: float, accuracy: float, distance: float | None = None) -> Law:
    """The law, if it is a number that float32 can have measured, and known well enough.

    Samples and means are rounded to 2^-23 of the largest mean, which is noise beside sigma where that is far out.
    """
    grain = float(item.largest_mean.max()) * 2.0**-23 / min(item.cell.scales)
    accuracy += (FLOAT32 + grain * grain / 6) * abs(value)
    held = value == 0 or 1e-30 < abs(value) < 1e30  # not nan, not infinite, not where squares leave float32
    if not held or not accuracy <= WORST * abs(value):
        return UNKNOWN
    return Law(value, accuracy, distance, exact=accuracy <= 10 * FLOAT32 * abs(value))


def _stream(item: CellData, alone: float, samples: int, start_sq: float) -> Law:
    """The twin's law (`alone`), and what overlap adds to it. Raises ValueError where nothing rests near the truth."""
    cell = item.cell
    closest, widest = float(item.realised_separation.min()), float(item.realised_separation.max())
    if not math.isfinite(closest):  # one component
        return _accept(item, alone, 0.0)
    if cell.algorithm == "soft" and len(set(cell.scales)) > 1:
        return UNKNOWN  # a narrow component's posterior is lost at once where its centre is off by a few of its sigma
    if equal(cell) and (cell.layout in ("symmetric", "simplex") or (cell.k == 2 and widest < closest * (1 + 1e-6))):
        found = overlap.symmetric(cell, closest, samples, start_sq=start_sq)
        accuracy = found.accuracy
        if isinstance(cell.start, str):  # Algorithm 2 errs in directions of its own
            accuracy += overlap.uneven(cell, closest, samples, start_sq=start_sq)
        value = alone + found.change
    else:
        value, accuracy = alone, overlap.most(cell, closest, samples, start_sq=start_sq)
    return _accept(item, value, accuracy, _distance(cell, samples) if accuracy < FLOAT32 * value else None)


def _distance(cell: Cell, samples: int) -> float | None:
    """The sum of distances of settled Lloyd centres that never take a wrong sample."""
    if cell.algorithm != "lloyd" or cell.rate is None or cell.average or not equal(cell):
        return None
    if theory.contraction(rate=cell.rate, weight=cell.weights[0]) ** samples > 1e-6:
        return None
    return cell.k * float(theory.stationary_distance(rate=cell.rate, sigma=cell.scales[0], d=cell.d))


def _averaged(item: CellData, samples: int) -> float:
    cell = item.cell
    return _over_components(item, lambda weight: overlap.stream_law(cell, samples, weight, 1.0, True))


def _oracle(item: CellData, samples: int) -> float:
    return _over_components(item, lambda weight: labelled.inverse_count(samples, weight=weight, initial=0))


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
    """Algorithm 2, given that its graph found the components: to first order in 1/B and 1/k0 (theory 4.7).

    What that leaves out: 1/(B w) and 1/(k0 w) to second order; that power is finite: the gap to sigma^2, and the blocks
    that there were; a component that no sample of the last block is of; and points of two components that are nearer
    each other than their neighbours (about sigma), whose components are then found as one and a piece of another.
    """
    cell, sizes = item.cell, item.cell.seeding
    if item.example is None or sizes is None or not equal(cell) or sizes.method != "block":
        return UNKNOWN
    means, sigma, light = points(item.example, "mean", "x", cell.d), cell.scales[0], min(cell.weights)
    known = {"sigma": sigma, "block": sizes.block, "graph_points": sizes.graph_points}
    value = float(np.sum(theory.seeding_error_sq(means, np.array(cell.weights), **known)))
    signal = np.linalg.eigvalsh((means.T * np.array(cell.weights)) @ means)
    fall = sigma**2 / (sigma**2 + float(signal[signal > 1e-9 * signal.max()].min()))  # of what is no signal, a block
    size_sq = float(np.sum(means**2))
    blocks = (sizes.n - sizes.graph_points) // sizes.block
    c = float(item.realised_separation.min())
    near = cell.k * (cell.k - 1) / 2 * (sizes.graph_points * light) ** 2 * float(stats.norm.sf((c - 1) / math.sqrt(2)))
    accuracy = (2 / sizes.block + 1 / sizes.graph_points) / light * value
    accuracy += fall ** (1 if cell.layout.endswith("box") else 2) * value  # a box: the means of the first run are taken
    accuracy += size_sq * (
        cell.d * fall ** (2 * blocks) + float(theory.lost_component_probability(cell.k, block=sizes.block))
    )
    accuracy += near * cell.k * (c * sigma) ** 2
    return _accept(item, value, accuracy)


def floor(item: CellData) -> float | None:
    """The squared displacement of Lloyd's fixed point, which no number of samples removes; None where unknown.

    Exact: theory 4.3 for equal weights, `theory.lloyd_pair_fixed_points` for a pair of others.
    """
    return None if item.cell.start_only else _floor_at(item.cell, item.cell.separation)


def _floor_at(cell: Cell, separation: float) -> float | None:
    if cell.algorithm != "lloyd" or cell.k < 2 or len(set(cell.scales)) > 1:
        return None
    if cell.layout not in ("simplex", "symmetric"):
        return None
    if equal(cell):
        return _simplex_floor(cell.k, separation, cell.scales[0])
    if cell.k > 2 or min(cell.weights) == 0:
        return None  # the first order (theory 4.3) is off by up to 3 at C = 3, and still by 10 % at C = 6
    return _pair_floor(separation, cell.weights, cell.scales[0])


def floor_accuracy(item: CellData) -> float:
    """What a stored floor may be off by: what is left of the way from the start, and the rate's own shift.

    The shift is what fluctuations do to the separation that samples see (`overlap.seen`).
    """
    cell, exact = item.cell, floor(item)
    if exact is None or cell.rate is None:
        return math.inf
    left = math.exp(cell.n * math.log1p(-min(cell.weights) * cell.rate))
    near = _floor_at(cell, overlap.seen(cell, cell.separation, cell.rate / (2 - cell.rate)))
    return math.inf if near is None else 2 * left * exact + overlap.CAUTION * abs(near - exact)


def bound(item: CellData, samples: int) -> float | None:
    """The theorem that the cell is held against, at the end of a run, with unit constants; None elsewhere.

    For tables and figures: every constant is hidden, so the sum of the terms decides nothing (`regime`).
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
    if cell.start_only or samples == 0 or samples * min(cell.weights) < 20:
        return None
    if cell.algorithm == "em":  # one mean from all samples, their signs known
        return cell.scales[0] ** 2 * cell.d / samples
    pairs = zip(cell.weights, cell.scales, strict=True)
    return float(sum(_mean_of_own(samples, w) * s**2 * cell.d for w, s in pairs))


@lru_cache(maxsize=4096)
def _mean_of_own(samples: int, weight: float) -> float:
    """E(1/n; n > 0) of a component's n samples: components of one weight share it."""
    return float(labelled.inverse_count(samples, weight=weight, initial=0).noise)


def cramer_rao(item: CellData, samples: int) -> float | None:
    """The least error of unbiased estimates from unlabelled samples; known for the symmetric pair."""
    cell = item.cell
    if not pair(cell) or samples == 0 or cell.start_only or cell.separation > 40:
        return None
    free = 1 if cell.algorithm == "em" else 2
    return _information(cell.separation, cell.scales[0], cell.d, 1, free) / samples
