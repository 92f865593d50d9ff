"""Laws and bounds of a stored cell: its rows become a `Situation`, which `jgmm.theory` answers."""

import math

import numpy as np

from jgmm import errors
from jgmm.study import regime
from jgmm.study.cell import Cell
from jgmm.study.read import QUANTITIES, CellData, points
from jgmm.theory import expected, floors, references
from jgmm.theory.bounds import THEOREMS
from jgmm.theory.expected import FLOAT32, UNKNOWN, WORST, Law
from jgmm.theory.modes import outward_shift
from jgmm.theory.situation import Situation

__all__ = ["FLOAT32", "UNKNOWN", "WORST", "Law", "bound", "cramer_rao", "floor", "floor_accuracy", "law", "oracle"]


def situation(item: CellData, samples: int) -> Situation:
    """The arguments of a law, for a cell after this number of samples."""
    cell = item.cell
    scale = max(cell.scales)
    start_sq = float(item.values["error_sq"][item.ok, 0].astype(float).mean()) if item.ok.any() else math.nan
    reach = math.sqrt(start_sq / cell.matched) / scale
    if not isinstance(cell.start, str):
        reach = max(reach, cell.start)
    lost = bool((item.values["lost"][item.ok, 0] > 0).any())
    return Situation(
        k=cell.k,
        d=cell.d,
        weights=cell.weights,
        scales=cell.scales,
        separation=float(item.realised_separation.min()),
        widest=float(item.realised_separation.max()),
        common_separation=cell.separation if cell.placed is not None and cell.placed.equidistant else None,
        largest_mean=float(item.largest_mean.max()),
        estimates=cell.estimates,
        sharpness=None if cell.start_only else cell.record.sharpness(cell.chosen),
        step=None if cell.start_only else cell.step_law,
        samples=samples,
        n=cell.n,
        burn=cell.burn if cell.average else None,
        start_sq=start_sq,
        start_reach=math.inf if lost else reach,
        random_start=not isinstance(cell.start, str),
    )


def law(item: CellData, index: int) -> Law:
    """The law of a cell's checkpoint, given the starts of its runs."""
    cell = item.cell
    if not item.ok.any():
        return UNKNOWN
    at_checkpoint = situation(item, int(item.samples[index]))
    if cell.start_only:
        return _start(item, at_checkpoint) if cell.of_gaussians else UNKNOWN
    if cell.record.law is None or not cell.of_gaussians or cell.fitted is not None:
        return UNKNOWN
    if cell.average and cell.estimates != cell.k:  # laws of averages are those of k estimates
        return UNKNOWN
    if cell.average or cell.record.twin is None:
        alone = expected.with_labels(at_checkpoint)
    elif item.twin is None:
        return UNKNOWN
    else:
        alone = float(item.twin["twin_mean_sq"][item.ok, index].astype(float).mean())
    return UNKNOWN if alone is None else cell.record.law(at_checkpoint, alone)


def _start(item: CellData, at_start: Situation) -> Law:
    cell, sizes = item.cell, item.cell.seeding
    if item.example is None or sizes is None or sizes.method != "block":
        return UNKNOWN
    means = points(item.example, "mean", "x")
    of_start = expected.StartSizes(samples=sizes.n, block=sizes.block, graph_points=sizes.graph_points)
    fixed = cell.placed is None or not cell.placed.drawn
    return expected.started_by_algorithm2(at_start, of_start, means, fixed=fixed)


def floor(item: CellData) -> float | None:
    """The squared displacement of the fixed point, which no number of samples removes; None if not known."""
    cell = item.cell
    if cell.start_only or cell.record.floor is None or not cell.of_gaussians or cell.fitted is not None:
        return None
    return cell.record.floor(situation(item, cell.n))


def floor_accuracy(item: CellData) -> float:
    """How far the cell's measured floor may be from `floor`."""
    return floors.floor_accuracy(situation(item, item.cell.n))


def step_bias(cell: Cell) -> float | None:
    """The length of what twice a cell's constant step adds to the mean displacements of a pair, to first order in it.

    None unless it is known: two centres of equal weights and scales, of an algorithm that has laws.
    """
    pair = cell.k == cell.estimates == 2 and len(set(cell.weights)) == len(set(cell.scales)) == 1
    known = pair and cell.of_gaussians and cell.fitted is None and cell.batch == 1 and cell.record.law is not None
    sharpness = cell.record.sharpness(cell.chosen)
    if not known or cell.rate is None or sharpness is None:
        return None
    shift = outward_shift(cell.separation, rate=cell.rate, d=cell.d, beta=sharpness)
    return math.sqrt(2) * abs(shift) * max(cell.scales)


def oracle(item: CellData, samples: int) -> float | None:
    """The exact error of the labelled oracle, the means of each component's samples; None if one may have no sample."""
    cell = item.cell
    if cell.dwell or cell.drift or cell.fitted is not None or not of_means(cell):
        return None
    at_checkpoint = situation(item, samples)
    if cell.covariance:
        at_checkpoint = at_checkpoint._replace(scales=tuple(math.sqrt(x) for x in cell.variances))
    return references.oracle(at_checkpoint)


def cramer_rao(item: CellData, samples: int) -> float | None:
    """The least error of unbiased estimates from unlabelled samples; known for a pair of equal weights and scales."""
    known = item.cell.of_gaussians and item.cell.fitted is None and of_means(item.cell)
    return references.cramer_rao(situation(item, samples)) if known else None


def of_means(cell: Cell) -> bool:
    """Whether errors are distances from the means."""
    return cell.record.measure is errors.of_centres


def bound(item: CellData, samples: int) -> float | None:
    """The bound of the cell's theorem or claim at a run's end, with constants of 1; None before, and without a bound.

    It is for tables and figures. The constants are hidden, so this sum of terms decides nothing (`regime`).
    """
    cell = item.cell
    if samples == cell.n and cell.claim is not None:
        return regime.claimed(item) if cell.claim.on == QUANTITIES[0] else None
    theorem = THEOREMS.get(cell.theorem) if isinstance(cell.theorem, int) else None
    if theorem is None or theorem.bound is None or samples != cell.n:
        return None
    mean_norm = float(np.sqrt((item.largest_mean.astype(float) ** 2).mean()))
    separation = min(float(item.realised_separation.min()), 1e6)  # infinite for one component
    sigma = max(cell.scales)
    return float(theorem.bound(n=cell.n, k=cell.k, d=cell.d, sigma=sigma, separation=separation, mean_norm=mean_norm))
