"""Curves along one axis of a grid: exponents fitted to them, and how they compare with the bound's and the law's.

A curve is the cells of a part that differ along one numeric axis (and those walked together with it), three values or
more. Exponents are those of the plain mean squared error over runs whose seeding succeeded, the runs that all cells of
the curve have; run r shares its bits over the cells, and the covariance of that is kept.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jgmm.stats import inference
from jgmm.study import expected as laws
from jgmm.study import regime
from jgmm.study import summary as analysis
from jgmm.study.read import CellData
from jgmm.study.spec import Study

MARGIN = 0.03  # exponents that differ by less are called equal
NO_POWERS = ("separation", "start", "average", "beta")  # axes along which no error is a power: exp(-C^2/4)/C^4, say
WORDS = {"n": "N", "separation": "C"}


class Curve(NamedTuple):
    """Cells along an axis, by size."""

    part: str
    axis: str
    setting: str
    x: np.ndarray
    items: list[CellData]


class Fit(NamedTuple):
    """A row of fits.csv: what the sizes say about an exponent; law and bound are slopes over the same sizes.

    `exponent` is that of `family` (nan limits: none fits); `slope` is the plain one, end to end.
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
    runs: int  # good in every cell
    kept: float  # the least share of a cell's runs that are


class Comparison(NamedTuple):
    """Measured against bound along an axis. gap = measured - bound exponent, between neighbours and end to end."""

    kind: str  # tight | loose | contradicted | inconclusive
    slope: float
    bound: float
    gap: float
    low: float
    high: float
    local: np.ndarray
    local_low: np.ndarray
    local_high: np.ndarray


def curves(study: Study, data: list[CellData]) -> list[Curve]:
    """Every curve of a study: each numeric axis with three values or more, at each setting of the others."""
    found = []
    for part in study.part:
        mine = [(item, dict(item.cell.axes)) for item in data if item.cell.part == part.name]
        names = dict.fromkeys(name for _, point in mine for name in point)
        varying = [name for name in names if len({point.get(name) for _, point in mine}) > 1]
        for axis in varying:
            if axis in part.together[1:]:
                continue
            moving = {axis, *(part.together if axis in part.together else ())}
            groups: dict[tuple, list[tuple[CellData, dict]]] = {}
            for item, point in mine:
                rest = tuple(pair for pair in item.cell.axes if pair[0] not in moving)
                groups.setdefault(rest, []).append((item, point))
            shown = [name for name in varying if name not in moving]
            shown += [name for name in ("k", "d", "separation", "n") if name in names and name not in varying]
            found += [_curve(part.name, axis, group, shown) for group in groups.values() if _numeric(group, axis)]
    return found


def _numeric(group: list[tuple[CellData, dict]], axis: str) -> bool:
    values = [point.get(axis) for _, point in group]
    return len(set(values)) >= 3 and all(isinstance(value, (int, float)) for value in values)


def _curve(part: str, axis: str, group: list[tuple[CellData, dict]], shown: list[str]) -> Curve:
    group = sorted(group, key=lambda pair: pair[1][axis])
    point = group[0][1]
    setting = " ".join(f"{WORDS.get(name, name)}={_short(point[name])}" for name in shown if name in point)
    return Curve(part, axis, setting, np.array([p[axis] for _, p in group], float), [item for item, _ in group])


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def usable(curve: Curve) -> bool:
    """Whether exponents mean anything on this curve."""
    return why_not(curve) is None


def why_not(curve: Curve) -> str | None:
    """Why a curve has no exponent, or None.

    Sizes and means are positive (an error of exactly 0 has no logarithm), FEW runs or more are good in every cell,
    and no mean is carried by a few of them.
    """
    if not (curve.x > 0).all():
        return "0 is among its sizes"
    if _runs(curve).sum() < analysis.FEW:
        return f"fewer than {analysis.FEW} runs are good in all its cells"
    means = values(curve).mean(axis=1)
    if not ((means > 0).all() and np.isfinite(means).all()):
        return "a mean error is exactly 0"
    return "a mean is carried by a few runs" if _carried(curve) else None


def _carried(curve: Curve) -> bool:
    return any(inference.carried_by_few(item.error_sq) for item in curve.items)


def _runs(curve: Curve) -> np.ndarray:
    """Which runs are good in every cell (of those that all have)."""
    common = min(len(item.ok) for item in curve.items)
    return np.logical_and.reduce([item.ok[:common] for item in curve.items])


def values(curve: Curve) -> np.ndarray:
    """Squared errors at the last checkpoint, shape (sizes, runs)."""
    good = _runs(curve)
    return np.stack([item.values["error_sq"][: len(good), -1][good].astype(float) for item in curve.items])


def known(curve: Curve, what: str) -> np.ndarray | None:
    """The law, or the bound's variance term (its constant 1: the shape counts); None unless known at every size.

    Along the separation the variance term does not move: there a bound is its floor, which errors of few samples hide.
    """
    if what == "law":
        numbers = [laws.law(item, len(item.samples) - 1).error_sq for item in curve.items]
    elif curve.axis == "separation":
        return None
    else:
        numbers = [regime.variance(item) for item in curve.items]
    return None if any(number is None for number in numbers) else np.array(numbers, float)


def slope_weights(x: np.ndarray) -> np.ndarray:
    """w with w . y the least-squares slope of y on log x."""
    centred = np.log(x) - np.log(x).mean()
    return centred / (centred @ centred)


def fit(curve: Curve) -> Fit | None:
    """The fitted exponent of a curve, law and bound beside it; None where it has none (`usable`, `NO_POWERS`).

    The slope agrees with the law's if its interval reaches it, within what the law itself may be off by: the sigmas of
    a curve share their bits, and what is left of an interval then is rounding.
    """
    if curve.axis in NO_POWERS or not usable(curve):
        return None
    errors = values(curve)
    found = inference.fit(curve.x, errors)
    law, bound = known(curve, "law"), known(curve, "bound")
    weights = slope_weights(curve.x)
    law_slope = float(weights @ np.log(law)) if law is not None else np.nan
    bound_slope = float(weights @ np.log(bound)) if bound is not None else np.nan
    slope, low, high = _contrast(errors, weights, 0.05)
    said = "no law"
    if law is not None:
        known_to = [laws.law(item, len(item.samples) - 1).accuracy or 0.0 for item in curve.items]
        within = float(np.abs(weights) @ (np.array(known_to) / law))
        said = "agrees with the law" if low - within <= law_slope <= high + within else "off the law"
    return Fit(
        part=curve.part,
        setting=curve.setting,
        quantity="error_sq",
        axis=WORDS.get(curve.axis, curve.axis),
        exponent=found.exponent,
        low=found.low,
        high=found.high,
        law=law_slope,
        bound=bound_slope,
        verdict=said,
        family=found.family,
        chi2_df=found.chi2_df,
        ols=found.ols_exponent,
        slope=slope,
        slope_low=low,
        slope_high=high,
        sizes=len(curve.x),
        runs=errors.shape[1],
        kept=float(min(item.ok.mean() for item in curve.items)),
    )


def against_bound(x: np.ndarray, errors: np.ndarray, bound: np.ndarray, level: float) -> Comparison:
    """Does the measured error (sizes, runs) grow faster along x than the bound's shape, slower, or as fast?

    Gaps between measured and bound exponents, end to end and between each two neighbours, get simultaneous intervals
    (`inference.contrast_interval`, Bonferroni over all of them). Contradicted: the end-to-end gap, or that of the two
    largest sizes, is above MARGIN. Loose: the end-to-end gap is below -MARGIN. Tight: it is within the margin. Else
    inconclusive, as where the runs cannot tell.

    Runs so rare that the sample has none (lost centres) are taken to carry the same share of the mean at every size:
    no sample tells that they carry more of it at the small ones.
    """
    order = np.argsort(x)
    x, errors, bound = x[order], errors[order], bound[order]
    steps = np.diff(np.log(x))
    neighbours = (np.eye(len(x))[1:] - np.eye(len(x))[:-1]) / steps[:, None]
    contrasts = np.concatenate([slope_weights(x)[None], neighbours])
    shapes = contrasts @ np.log(bound)
    found = [_contrast(errors, contrast, level / len(contrasts)) for contrast in contrasts]
    low, high = (np.array([getattr(f, end) for f in found]) - shapes for end in ("low", "high"))
    if low[0] > MARGIN or low[-1] > MARGIN:
        kind = "contradicted"
    elif high[0] < -MARGIN:
        kind = "loose"
    elif low[0] >= -MARGIN and high[0] <= MARGIN:
        kind = "tight"
    else:
        kind = "inconclusive"
    local = np.array([f.value for f in found[1:]])
    slope, gap = found[0].value, found[0].value - float(shapes[0])
    return Comparison(kind, slope, float(shapes[0]), gap, float(low[0]), float(high[0]), local, low[1:], high[1:])


def _contrast(errors: np.ndarray, contrast: np.ndarray, level: float) -> inference.Interval:
    """A contrast of log means with its interval, the whole line where the runs cannot tell."""
    found = inference.contrast_interval(errors, contrast, 1 - level)
    if found is not None:
        return found
    return inference.Interval(float(contrast @ np.log(errors.mean(axis=1))), -np.inf, np.inf)


RARE = 0.01  # the share of runs, and
HEAVY = 100  # how many times the mean of the others, of the rare runs that few runs may have missed: see `against_law`
TOGETHER = 0.25  # of the level, for all means together


class LawCheck(NamedTuple):
    """Measured means against laws, all cells at once."""

    agrees: bool | None  # None: no cell could be tested, or the only ones off are `short`
    cells: int  # tested
    largest: float  # gap beyond the law's own accuracy, in standard errors
    worst: int | None  # which: the least likely
    chance: float  # of a gap like the worst's, by itself, its side given
    untested: int
    short: list[int]  # so far below their law that runs too rare for this sample may carry it
    enough: int  # runs that would not have missed those
    together: inference.Mean | None  # measured / law, the mean over cells


def against_law(samples: list[np.ndarray], law: ArrayLike, accuracy: ArrayLike, level: float) -> LawCheck:
    """Is every mean what its law says, within the law's own accuracy? True laws are contradicted with chance `level`.

    samples: for each cell its runs (runs,), nan where a run is not good, or vectors (good runs, p) whose squared length
    of the mean the law gives. Three quarters of the level are split over cells and sides (Bonferroni: whatever the
    cells share), with the tails of `inference.mean_tails` and `length_tails`, which hold for skewed errors and few
    runs. TOGETHER of it tests the mean over cells of measured / law in the runs that all share: laws that are all a
    little off show there first.

    No sample can tell that a rarer run, with a lost centre say, does not carry the mean. What is assumed is that runs
    which lift the mean to 1 + RARE HEAVY = 2 times that of the others, or more, happen at a rate of RARE at least. Then
    ln(tail)/ln(1 - RARE) runs miss them with chance `tail` only; with fewer, a mean below half of its law is `short`,
    not off.
    """
    law, accuracy = np.asarray(law, float), np.asarray(accuracy, float)
    tail = level * (1 - (TOGETHER if len(samples) > 1 else 0)) / (2 * max(len(samples), 1))
    tested, missed, short, off = [], [], [], False
    gaps: dict[int, float] = {}
    chances: dict[int, float] = {}
    for i, (sample, low, high) in enumerate(zip(samples, law - accuracy, law + accuracy, strict=True)):
        vectors = sample.ndim == 2
        good = sample if vectors else sample[np.isfinite(sample)]
        if len(good) < inference.LEAST_RUNS:
            continue
        found = (inference.length_tails if vectors else inference.mean_tails)(good, low, high, tail)
        if found is None:
            continue
        tested.append(i)
        measured = inference.squared_length(good) if vectors else inference.mean(good)
        beyond = max(measured.value - high, low - measured.value, 0.0)
        gaps[i] = beyond / max(measured.standard_error, 1e-300) if beyond else 0.0
        chances[i] = min(found)
        if not vectors and _missed(measured, low, tail):
            missed.append(i)
            if found.low < tail:
                short.append(i)
            off |= found.high < tail
        else:
            off |= min(found) < tail
    means = [i for i in tested if samples[i].ndim == 1]
    together = None
    # Too low together is what all are that no unseen run may carry: to leave out others that are low errs on the safe
    # side. Too high is what all are.
    for side, some in ((0, [i for i in means if i not in missed]), (1, means)):
        together = _together([samples[i] / law[i] for i in some])
        if together is not None:
            within = float(np.mean(accuracy[some] / law[some]))
            found = inference.mean_tails(together, 1 - within, 1 + within, level * TOGETHER / 2)
            off |= found is not None and found[side] < level * TOGETHER / 2
    return LawCheck(
        agrees=False if off else None if short or not tested else True,
        cells=len(tested),
        largest=max(gaps.values(), default=0.0),
        worst=min(tested, key=lambda i: (chances[i], -gaps[i]), default=None),
        chance=min(chances.values(), default=1.0),
        untested=len(samples) - len(tested),
        short=short,
        enough=runs_for_rare(tail),
        together=None if together is None else inference.mean(together),
    )


def runs_for_rare(tail: float) -> int:
    """The runs that miss one which happens at rate RARE with chance `tail`."""
    return int(np.ceil(np.log(tail) / np.log1p(-RARE)))


def _missed(measured: inference.Mean, law: float, tail: float) -> bool:
    return law > (1 + RARE * HEAVY) * measured.value and measured.runs < runs_for_rare(tail)


def _together(ratios: list[np.ndarray]) -> np.ndarray | None:
    """The mean over cells in every run that all have; None for one cell, or too few such runs."""
    if len(ratios) < 2:
        return None
    common = min(len(ratio) for ratio in ratios)
    every = np.mean([ratio[:common] for ratio in ratios], axis=0)
    every = every[np.isfinite(every)]
    return every if len(every) >= inference.LEAST_RUNS else None
