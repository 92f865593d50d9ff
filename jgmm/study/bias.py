r"""The bias that a constant step leaves: what twice the step does to the mean estimate, run by run on the same samples.

    D(eta)         the displacements of the centres from the means, in the span of the means
    bias           D(2 eta) - D(eta), along the direction u in which the largest step moves the mean
    left           R(2 eta) - R(eta), likewise, where R(eta) = 2 D(eta) - D(2 eta)    (Richardson, Romberg)

If E D(eta) = D* + b eta^p, where D* is the limit for small steps and need not be known, the bias has the mean
(2^p - 1) b eta^p, which is b eta for p = 1, and left / bias is 2 - 2^p: 0 for p = 1, .59 for p = 1/2. Runs of both
steps see the same samples, so what the samples do to both averages cancels. Where the odd and the even runs do not
agree on u (a cosine below 0.9), it is that of the odd ones, and the bias is of the even ones: of mean 0 if there is
none.

Cells that differ in their constant step alone are a ladder; a cell has a bias where there is one of twice its step.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.study import expected, measured, settings
from jgmm.study.cell import Cell, StepSetting
from jgmm.study.read import CellData
from jgmm.study.summary import FEW, limits, mean_and_error

AGREED = 0.9  # the cosine of two directions that are one
SAME = 1e-6  # relative: steps that differ by less are one


class BiasRow(NamedTuple):
    """A row of bias.csv."""

    cell: str
    part: str
    setting: str
    rate: float
    bias: float
    bias_se: float
    bias_low: float | None
    bias_high: float | None
    law: float | None
    left: float | None
    left_se: float | None
    runs_ok: int


class Rung(NamedTuple):
    """A cell of a ladder: what twice its step adds, (runs,), and what of that is left, where there is four times it."""

    item: CellData
    bias: np.ndarray  # nan where a run is not good in both cells
    left: np.ndarray | None  # nan where it is not in all three


def beside(data: list[CellData]) -> list[CellData]:
    """The cells, those that are about their bias with it among their values; good are runs that both cells have."""
    found = {rung.item.id: rung for ladder in ladders(data) for rung in ladder}
    return [_with(item, found[item.id]) if item.id in found else item for item in data]


def _with(item: CellData, rung: Rung) -> CellData:
    if not _about(item.cell):
        return item
    values = np.full((len(item.ok), len(item.samples)), np.nan)
    values[: len(rung.bias), -1] = rung.bias
    ok = item.ok & np.isfinite(values[:, -1]) if np.isfinite(values[1::2, -1]).any() else item.ok
    return item._replace(values={**item.values, measured.BIAS: values}, ok=ok)


def _about(cell: Cell) -> bool:
    return measured.BIAS in (cell.quantity, None if cell.claim is None else cell.claim.on)


def ladders(data: Iterable[CellData]) -> list[list[Rung]]:
    """The rungs of every ladder, by step."""
    alike: dict[Cell, list[CellData]] = {}
    for item in data:
        if item.displacement is not None and item.cell.rate is not None:
            alike.setdefault(_but_step(item.cell), []).append(item)
    found = [_rungs(sorted(items, key=lambda item: item.cell.rate or 0.0)) for items in alike.values()]
    return [rungs for rungs in found if rungs]


def _but_step(cell: Cell) -> Cell:
    """The cell but for its step size."""
    return cell.model_copy(update={"rate": None, "rate_name": "", "step": StepSetting(None), "axes": ()})


def _rungs(items: list[CellData]) -> list[Rung]:
    """The rungs of cells sorted by step."""
    pairs = [(item, double) for item in items if (double := _twice(item, items)) is not None]
    if not pairs or _good(*pairs[-1]).sum() < FEW:
        return []
    turned = _directions(*pairs[-1])
    return [_rung(turned, item, double, _twice(double, items)) for item, double in pairs]


def _twice(item: CellData, items: list[CellData]) -> CellData | None:
    """The cell of twice the step."""
    assert item.cell.rate is not None
    wanted = 2 * item.cell.rate
    return next((each for each in items if math.isclose(each.cell.rate or 0.0, wanted, rel_tol=SAME)), None)


def _good(*items: CellData) -> np.ndarray:
    common = min(len(item.ok) for item in items)
    return np.logical_and.reduce([item.ok[:common] for item in items])


def _displacements(*items: CellData) -> list[np.ndarray]:
    common = min(len(item.ok) for item in items)
    return [item.displacement[:common] for item in items if item.displacement is not None]


def _directions(item: CellData, double: CellData) -> np.ndarray:
    """For even and for odd runs the unit vector along the mean move, (2, k r); nan for odd ones if they disagree."""
    good = _good(item, double)
    small, large = _displacements(item, double)
    moved, odd = large - small, np.arange(len(good)) % 2 == 1
    of_odd, of_even, of_all = (_unit(moved[good & some].mean(axis=0)) for some in (odd, ~odd, odd | ~odd))
    if of_odd @ of_even >= AGREED:
        return np.stack([of_all, of_all])
    return np.stack([of_odd, np.full_like(of_odd, np.nan)])


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else vector


def _rung(turned: np.ndarray, item: CellData, double: CellData, again: CellData | None) -> Rung:
    bias = _projected(turned, (-1, item), (1, double))
    left = None if again is None else _projected(turned, (-2, item), (3, double), (-1, again))
    return Rung(item, bias, left)


def _projected(turned: np.ndarray, *terms: tuple[int, CellData]) -> np.ndarray:
    """A sum of displacements, each with its factor, along each run's direction, (runs,)."""
    items = [item for _, item in terms]
    good = _good(*items)
    total = sum(factor * each for (factor, _), each in zip(terms, _displacements(*items), strict=True))
    along = turned[np.arange(len(good)) % 2]
    return np.where(good, (total * along).sum(axis=1), np.nan)


def rows(data: list[CellData]) -> list[BiasRow]:
    """What twice the step does, at every step of every ladder that is about it."""
    of_bias = [item for item in data if _about(item.cell)]
    varying = settings.varying(item.cell for item in of_bias)
    return [_row(rung, [name for name in varying if name != "rate"]) for each in ladders(of_bias) for rung in each]


def _row(rung: Rung, axes: list[str]) -> BiasRow:
    cell, values = rung.item.cell, rung.bias[np.isfinite(rung.bias)]
    assert cell.rate is not None
    left = None
    if rung.left is not None:
        both = np.isfinite(rung.left[: len(rung.bias)]) & np.isfinite(rung.bias[: len(rung.left)])
        if both.sum() >= FEW and rung.bias[: len(both)][both].any():
            left = stats.ratio(rung.left[: len(both)][both], rung.bias[: len(both)][both])
    return BiasRow(
        rung.item.id,
        cell.part,
        settings.words(cell, axes),
        cell.rate,
        *mean_and_error(values),
        *limits(values),
        expected.step_bias(cell),
        None if left is None else left.value,
        None if left is None else left.standard_error,
        len(values),
    )


def sentences(found: list[BiasRow]) -> list[str]:
    """A sentence on each ladder."""
    by_ladder: dict[tuple[str, str], list[BiasRow]] = {}
    for row in found:
        by_ladder.setdefault((row.part, row.setting), []).append(row)
    return [_sentence(own) for own in by_ladder.values()]


def _sentence(own: list[BiasRow]) -> str:
    ends = " to ".join(f"{row.bias:.3g} ± {row.bias_se:.2g} at rate {row.rate:g}" for row in (own[0], own[-1]))
    sure = [row for row in own if row.left is not None and row.left_se is not None]
    said = f"{own[0].part}: twice the step moves the mean estimate by {ends}"
    if not sure or abs(own[-1].bias) < 3 * own[-1].bias_se:
        return f"{said}."
    best = min(sure, key=lambda row: row.left_se or math.inf)
    return (
        f"{said}; of that 2 avg(eta) - avg(2 eta) leaves {best.left:.2f} ± {best.left_se:.2f} at rate {best.rate:g}"
        " (0 of a bias like eta, 0.59 of one like its root)."
    )
