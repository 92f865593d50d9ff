"""Curves along one axis of a grid, and the exponents fitted to them.

A curve is three cells or more of a part that differ along one numeric axis (and along axes that are walked together
with it). Exponents are fitted to the mean squared error at the last checkpoint, over the runs that are good in all
cells of the curve. Run r shares its random numbers over the cells, and the fit uses that covariance.
"""

from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.study import expected, heavy, quantities, regime
from jgmm.study.parts import Part
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.summary import FEW

NO_POWERS = (
    "separation",
    "start",
    "estimates",
    "average",
    "beta",
)  # axes along which no error is a power: exp(-C^2/4)/C^4, say
WORDS = {"n": "N", "separation": "C"}


class Curve(NamedTuple):
    """Cells along an axis, sorted by size."""

    part: str
    axis: str
    setting: str
    x: np.ndarray  # (sizes,)
    items: list[CellData]


class FitRow(NamedTuple):
    """A row of fits.csv: the exponent along a curve, and the slopes of law and bound over the same sizes.

    `exponent` is the fitted family's; its limits are nan if no family fits. `slope` is the least-squares slope of log
    error in log size.
    """

    part: str
    setting: str
    quantity: str
    axis: str
    exponent: float
    low: float
    high: float
    law: float
    bound: float
    verdict: str
    family: str
    chi2_df: float
    ols: float
    slope: float
    slope_low: float
    slope_high: float
    sizes: int
    runs: int  # how many are good in every cell
    kept: float  # the least share of good runs in a cell


def curves(study: Study, data: list[CellData]) -> list[Curve]:
    """Every curve of a study: each numeric axis with three values or more, at each setting of the others."""
    return [
        curve
        for part in study.part
        for curve in _of_part(part, [item for item in data if item.cell.part == part.name and quantities.has(item)])
    ]


def _of_part(part: Part, items: list[CellData]) -> list[Curve]:
    points = [dict(item.cell.axes) for item in items]
    names = dict.fromkeys(name for point in points for name in point)
    varying = [name for name in names if len({point.get(name) for point in points}) > 1]
    lines = []
    for axis in varying:
        if axis in part.together[1:]:  # walked with the first of these, whose curve they share
            continue
        moving = {axis, *(part.together if axis in part.together else ())}
        shown = [name for name in varying if name not in moving]
        shown += [name for name in ("k", "d", "separation", "n") if name in names and name not in varying]
        groups: dict[tuple, list[CellData]] = {}
        for item in items:
            fixed = tuple(pair for pair in item.cell.axes if pair[0] not in moving)
            groups.setdefault(fixed, []).append(item)
        lines += [_curve(part.name, axis, group, shown) for group in groups.values() if _is_curve(group, axis)]
    return lines


def of_weights(study: Study, data: list[CellData]) -> list[Curve]:
    """Curves along the least weight, w_min: where a part has three lists of weights or more that differ in it."""
    lines = []
    for part in study.part:
        groups: dict[tuple, list[CellData]] = {}
        for item in data:
            if item.cell.part == part.name and "weights" not in part.together and quantities.has(item):
                fixed = tuple(pair for pair in item.cell.axes if pair[0] != "weights")
                groups.setdefault(fixed, []).append(item)
        for group in groups.values():
            by_size = sorted(((_least_weight(item), item) for item in group), key=lambda pair: pair[0])
            sizes = [size for size, _ in by_size]
            if len(set(sizes)) == len(sizes) >= 3:
                point = dict(group[0].cell.axes)
                shown = [name for name in ("k", "d", "separation", "n") if name in point]
                setting = " ".join(f"{WORDS.get(name, name)}={_short(point[name])}" for name in shown)
                lines.append(Curve(part.name, "w_min", setting, np.array(sizes), [item for _, item in by_size]))
    return lines


def _least_weight(item: CellData) -> float:
    return min(weight for weight in item.cell.weights if weight)


def _is_curve(group: list[CellData], axis: str) -> bool:
    sizes = [dict(item.cell.axes).get(axis) for item in group]
    return len(set(sizes)) >= 3 and all(isinstance(size, (int, float)) for size in sizes)


def _curve(part: str, axis: str, group: list[CellData], shown: list[str]) -> Curve:
    by_size = sorted(((dict(item.cell.axes)[axis], item) for item in group), key=lambda pair: pair[0])
    items = [item for _, item in by_size]
    point = dict(items[0].cell.axes)
    setting = " ".join(f"{WORDS.get(name, name)}={_short(point[name])}" for name in shown if name in point)
    return Curve(part, axis, setting, np.array([size for size, _ in by_size], float), items)


def _short(value: str | int | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def usable(curve: Curve) -> bool:
    """Whether the curve has an exponent."""
    return why_not(curve) is None


def why_not(curve: Curve) -> str | None:
    """Why a curve has no exponent; None if it has one.

    It has one if its sizes and means are positive, FEW runs or more are good in every cell, and no mean is carried by a
    few of them.
    """
    if curve.axis in dict(curve.items[0].cell.numbers):
        return "its axis is a number of the algorithm's own, in which no power is claimed"
    if any(heavy.without_variance(item.cell, item.cell.quantity) for item in curve.items):
        return "squared errors have no variance in one of its cells"
    if not (curve.x > 0).all():
        return "0 is among its sizes"
    if good_in_all(curve.items).sum() < FEW:
        return f"fewer than {FEW} runs are good in all its cells"
    means = values(curve).mean(axis=1)
    if not ((means > 0).all() and np.isfinite(means).all()):
        return "a mean is not above 0" if (values(curve) < 0).any() else "a mean error is exactly 0"
    carried = any(stats.carried_by_few(quantities.values(item)[item.ok]) for item in curve.items)
    return "a mean is carried by a few runs" if carried else None


def good_in_all(items: list[CellData]) -> np.ndarray:
    """Which runs are good in every cell, of those that every cell has, shape (runs,)."""
    common = min(len(item.ok) for item in items)
    return np.logical_and.reduce([item.ok[:common] for item in items])


def quantity(curve: Curve) -> str:
    """What the curve is of: its cells are of one part."""
    return curve.items[0].cell.quantity


def values(curve: Curve) -> np.ndarray:
    """What the curve is of, at the last checkpoint, of the runs that are good in every cell, shape (sizes, runs)."""
    good = good_in_all(curve.items)
    return np.stack([quantities.values(item)[: len(good)][good] for item in curve.items])


def law(curve: Curve) -> np.ndarray | None:
    """The law of the squared error at each size, (sizes,); None unless it is known at all sizes."""
    return None if quantity(curve) != quantities.DEFAULT else _if_all_known([each.error_sq for each in _laws(curve)])


def variance_term(curve: Curve) -> np.ndarray | None:
    """The bound's variance term at each size, with constant 1, or all terms of a claim; None unless known at all sizes.

    None along the separation, where this term is constant: only the bound's floor depends on it.
    """
    if curve.items[0].cell.claim is not None:
        return _if_all_known([regime.claimed(item) for item in curve.items])
    if curve.axis == "separation" or quantity(curve) != quantities.DEFAULT:
        return None
    return _if_all_known([regime.variance(item) for item in curve.items])


def _if_all_known(numbers: list[float | None]) -> np.ndarray | None:
    return None if any(number is None for number in numbers) else np.array(numbers, float)


def _laws(curve: Curve) -> list[expected.Law]:
    """The law of each cell at its last checkpoint."""
    return [expected.law(item, len(item.samples) - 1) for item in curve.items]


def fit(curve: Curve) -> FitRow | None:
    """The fitted exponent of a curve, with law and bound; None if it has no exponent (`usable`, `NO_POWERS`)."""
    if curve.axis in NO_POWERS or not usable(curve):
        return None
    errors = values(curve)
    fitted = stats.fit_exponent(curve.x, errors)
    weights = stats.slope_weights(curve.x)
    slope = stats.contrast_or_line(errors, weights)
    laws, term = law(curve), variance_term(curve)
    return FitRow(
        part=curve.part,
        setting=curve.setting,
        quantity=quantity(curve),
        axis=WORDS.get(curve.axis, curve.axis),
        exponent=fitted.exponent,
        low=fitted.low,
        high=fitted.high,
        law=np.nan if laws is None else float(weights @ np.log(laws)),
        bound=np.nan if term is None else float(weights @ np.log(term)),
        verdict="no law" if laws is None else _beside_law(curve, laws, slope),
        family=fitted.family,
        chi2_df=fitted.chi2_df,
        ols=fitted.ols_exponent,
        slope=slope.value,
        slope_low=slope.low,
        slope_high=slope.high,
        sizes=len(curve.x),
        runs=errors.shape[1],
        kept=float(min(item.ok.mean() for item in curve.items)),
    )


def _beside_law(curve: Curve, laws: np.ndarray, slope: stats.Interval) -> str:
    """Whether the slope's interval includes the law's slope, allowing for the law's accuracy.

    Cells that differ in sigma alone share their bits: their interval is as narrow as rounding.
    """
    weights = stats.slope_weights(curve.x)
    accuracies = np.array([each.accuracy or 0.0 for each in _laws(curve)])
    within = float(np.abs(weights) @ (accuracies / laws))
    agrees = slope.low - within <= float(weights @ np.log(laws)) <= slope.high + within
    return "agrees with the law" if agrees else "off the law"
