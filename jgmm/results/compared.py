r"""Cells of two folders beside each other: differences and ratios of means, with standard errors.

With pairs a_r, b_r of runs that share their random numbers the standard error of mean(b) - mean(a) is that of the mean
of b_r - a_r, and that of R = mean(b)/mean(a) follows from b_r - R a_r (`stats.paired_difference`, `stats.ratio`).
Without pairs

    se(b - a)^2 = se(a)^2 + se(b)^2,      (se(R)/R)^2 = (se(a)/mean(a))^2 + (se(b)/mean(b))^2    (the delta method).
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jgmm import stats
from jgmm.report.results import Results
from jgmm.results import outcomes
from jgmm.study import ownership, settings
from jgmm.study.read import CellData

SUMS = ("error_sq", "error_sum")  # quantities that are sums over an algorithm's estimates


class Pairing(NamedTuple):
    """Whether runs of two folders share their random numbers, and why, in words."""

    common: bool
    words: str


class Compared(NamedTuple):
    """A cell of one folder and a cell of another: means at the last checkpoint, the second less and over the first.

    axis: on which the two differ, with their values there; "" where on none. runs: pairs, or the runs of both where
    they are not paired. Errors that are sums over centres are those of one estimate.
    """

    setting: str
    axis: str
    first: str
    second: str
    first_cell: str
    second_cell: str
    first_mean: float
    first_se: float
    second_mean: float
    second_se: float
    difference: float
    difference_se: float
    ratio: float
    ratio_se: float
    correlation: float  # of two runs of a pair; NaN without pairs
    runs: int
    pairing: str


def pairing(folders: tuple[Path, Path], seeds: tuple[int, int]) -> Pairing:
    """Run i has the same random numbers in two folders that have one seed and the same generators."""
    canaries = [ownership.environment(folder).get("canary") for folder in folders]
    if seeds[0] != seeds[1]:
        return Pairing(False, f"independent runs: seeds {seeds[0]} and {seeds[1]}")
    if canaries[0] != canaries[1]:
        return Pairing(False, "independent runs: other versions drew them")
    return Pairing(True, f"the same runs in pairs: seed {seeds[0]}")


def compare(first: Results, second: Results, quantity: str, pairs: Pairing) -> list[Compared]:
    """As `Opened.compare`. Raises ValueError where no two cells agree on all axes or on all but one."""
    outcomes.check(quantity, [*first.data, *second.data])
    found = matched(first.data, second.data)
    if not found:
        raise ValueError(
            f"no cell of {first.study.name!r} agrees with one of {second.study.name!r} on all axes but one: expected"
            " studies that have a setting in common"
        )
    names = settings.varying(item.cell for match in found for item in (match.first, match.second))
    return [_compared(match, [name for name in names if name != match.axis], quantity, pairs) for match in found]


class Match(NamedTuple):
    """A cell of each folder, and the axis on which they differ; "" where on none."""

    first: CellData
    second: CellData
    axis: str


def matched(first: list[CellData], second: list[CellData]) -> list[Match]:
    """Cells that agree on every axis; for those that have no such partner, pairs that differ on one axis.

    An axis that only one of two cells has (the sharpness of EM, beside Lloyd) is no difference.
    """
    places = {id(item): {"algorithm": item.cell.algorithm, **settings.place(item.cell)} for item in (*first, *second)}
    partner = {tuple(places[id(item)].items()): item for item in second}
    found = [Match(item, partner[key], "") for item in first if (key := tuple(places[id(item)].items())) in partner]
    taken = {id(item) for match in found for item in (match.first, match.second)}
    for a in (item for item in first if id(item) not in taken):
        for b in (item for item in second if id(item) not in taken):
            axes = _differing(places[id(a)], places[id(b)])
            if len(axes) == 1 and a.cell.start_only == b.cell.start_only:
                found.append(Match(a, b, axes[0]))
    return found


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The axes that both have, with other values."""
    return [name for name, value in a.items() if name in b and b[name] != value]


def _compared(match: Match, names: list[str], quantity: str, pairs: Pairing) -> Compared:
    """Two cells compared; in pairs where their runs share random numbers."""
    items = (match.first, match.second)
    values = [outcomes.values(item, quantity) for item in items]
    values = [v / item.cell.estimates if quantity in SUMS else v for v, item in zip(values, items, strict=True)]
    shares = outcomes.is_outcome(quantity, match.first)
    good = [(item.ok | shares) & np.isfinite(v) for v, item in zip(values, items, strict=True)]
    if pairs.common:
        both = min(map(len, values))
        together = good[0][:both] & good[1][:both]
        good = [together, together]
        values = [v[:both] for v in values]
    a, b = (v[kept] for v, kept in zip(values, good, strict=True))
    first, second = _mean(a), _mean(b)
    difference, ratio = _in_pairs(a, b) if pairs.common else _apart(first, second)
    axis = match.axis
    texts = [settings.text(_value(item, axis)) if axis else "" for item in items]
    return Compared(
        setting=settings.words(match.second.cell, names),
        axis=axis,
        first=texts[0],
        second=texts[1],
        first_cell=match.first.id,
        second_cell=match.second.id,
        first_mean=first.value,
        first_se=first.standard_error,
        second_mean=second.value,
        second_se=second.standard_error,
        difference=difference.value,
        difference_se=difference.standard_error,
        ratio=ratio.value,
        ratio_se=ratio.standard_error,
        correlation=difference.correlation,
        runs=len(a) if pairs.common else len(a) + len(b),
        pairing=pairs.words,
    )


def _value(item: CellData, axis: str) -> Any:
    """A cell's value on an axis, or its algorithm."""
    return item.cell.algorithm if axis == "algorithm" else settings.place(item.cell)[axis]


def _mean(values: np.ndarray) -> stats.Mean:
    """The mean of the good runs; NaN where there are none."""
    return stats.mean(values) if len(values) else stats.Mean(math.nan, math.nan, 0)


UNKNOWN = stats.Difference(math.nan, math.nan, math.nan)


def _in_pairs(a: np.ndarray, b: np.ndarray) -> tuple[stats.Difference, stats.Difference]:
    """Difference and ratio, b to a, of runs in pairs."""
    if len(a) < 2:
        return UNKNOWN, UNKNOWN
    return stats.paired_difference(b, a), stats.ratio(b, a) if a.any() else UNKNOWN


def _apart(a: stats.Mean, b: stats.Mean) -> tuple[stats.Difference, stats.Difference]:
    """Difference and ratio, b to a, of independent means."""
    gap = stats.Difference(b.value - a.value, math.hypot(a.standard_error, b.standard_error), math.nan)
    if not (a.value and b.value):
        return gap, UNKNOWN
    ratio = b.value / a.value
    relative = math.hypot(a.standard_error / a.value, b.standard_error / b.value)
    return gap, stats.Difference(ratio, abs(ratio) * relative, math.nan)
