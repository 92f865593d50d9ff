"""Algorithms compared on the same streams: the same runs under another algorithm, or another step size."""

import math
from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.study import heavy, settings
from jgmm.study.read import CellData
from jgmm.study.spec import Cell

ALWAYS = {"k", "d", "separation", "sigma"}  # axes that a pair's setting names also where they do not vary
OWN = {
    "layout",
    "n",
    "rate",
    "batch",
    "average",
    "beta",
}  # axes that it never names: in an algorithm's name, or a column


class Paired(NamedTuple):
    """Two algorithms on the same streams: the second's error of one centre less and over the first's."""

    setting: str
    first: str
    second: str
    n: int
    difference: float
    difference_se: float
    ratio: float
    ratio_se: float
    correlation: float
    labelled: float | None  # the ratio if every label were known: what step sizes and samples a centre make of it


def _per_centre(item: CellData) -> np.ndarray:
    """Squared error of one centre in every run at the last checkpoint: EM has one estimate, the others k."""
    return item.values["error_sq"][:, -1].astype(float) / item.cell.matched


def name_of(cell: Cell) -> str:
    """An algorithm and its step, in a few words."""
    words = [cell.algorithm]
    if cell.record.own_step is None and not cell.start_only:
        words.append(cell.rate_name if cell.rate_name != "given" else f"{cell.rate:g}")
    if cell.beta is not None and cell.beta != 1:
        words.append(f"beta {cell.beta:g}")
    if cell.batch > 1:
        words.append(f"batch {cell.batch}")
    if cell.average:
        words.append(f"average {cell.average:g}")
    words += [f"{name} {value:g}" for name, value in cell.numbers]
    return " ".join(words)


def paired(data: list[CellData]) -> list[Paired]:
    """Each cell against the first that has the same mixture, N and start but another algorithm or step."""
    groups: dict[tuple, list[CellData]] = {}
    for item in data:
        if not item.cell.start_only:
            groups.setdefault((*item.cell.start_fields(), item.cell.n), []).append(item)
    own = OWN | {name for item in data for name, _ in item.cell.numbers}
    varying = set(settings.varying(item.cell for item in data)) - own
    axes = [axis for axis in settings.every(item.cell for item in data) if axis in {*ALWAYS, *varying}]
    both = [(first, second) for first, *others in groups.values() for second in others]
    pairs = [_pair(first, second, axes) for first, second in both]
    return [pair for pair in pairs if pair is not None]


def _pair(first: CellData, second: CellData, axes: list[str]) -> Paired | None:
    """Two cells compared; None if they are of one name, or have too few good runs in common.

    axes: of the setting that is told.
    """
    a, b = _per_centre(first), _per_centre(second)
    both = slice(min(len(a), len(b)))
    good = first.ok[both] & second.ok[both]
    if name_of(second.cell) == name_of(first.cell) or good.sum() < 3:
        return None
    a, b = a[both][good], b[both][good]
    gap = stats.paired_difference(b, a)
    ratio, ratio_se, correlation = stats.ratio(b, a) if a.any() else (math.nan,) * 3  # to errors that are exactly 0
    if any(heavy.without_variance(item.cell) for item in (first, second)):
        gap, ratio_se, correlation = gap._replace(standard_error=math.nan), math.nan, math.nan
    return Paired(
        setting=settings.words(second.cell, axes),
        first=name_of(first.cell),
        second=name_of(second.cell),
        n=second.cell.n,
        difference=gap.value,
        difference_se=gap.standard_error,
        ratio=ratio,
        ratio_se=ratio_se,
        correlation=correlation,
        labelled=_labelled_ratio(first, second),
    )


def _labelled_ratio(first: CellData, second: CellData) -> float | None:
    """The second's error of one centre over the first's, with every label known; None where one has no twin."""
    means = [
        None
        if item.twin is None
        else float(item.twin["twin_mean_sq"][item.ok, -1].astype(float).mean()) / item.cell.matched
        for item in (first, second)
    ]
    return means[1] / means[0] if means[0] and means[1] else None
