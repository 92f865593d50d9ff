"""How floors fall with the separation, compared with a bound's floor term.

A floor is the error that no number of samples removes. Its measurement is the squared length of a mean displacement:
the centres' from the truth, less their labelled twins'. Its logarithm is compared along C^2: a fall of exp(-C^2/D) has
the rate 1/D, between neighbours and end to end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from jgmm import stats
from jgmm.study import curves, expected, regime, summary
from jgmm.study.curves import Curve
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.verdicts import phrases
from jgmm.study.verdicts.finding import FLOOR_AXIS, Finding

GROUPS = 24  # of runs, for the jackknife of a floor's logarithm
LEAST_SIZES = 3  # separations that a curve of floors must have
STANDARD_ERRORS = 4  # a floor counts as measured if it is so many above 0
MARGIN = 0.01  # rates 1/D that differ by less are called equal: D from 7.4 to 8.7 equals 8


class FloorCurve(NamedTuple):
    """Cells along the separation whose floors are above their noise, and the separations where floors are not."""

    curve: Curve
    unseen: list[float]


class Falls(NamedTuple):
    """Rates of fall with C^2: the first entry is end to end, the others are between neighbours."""

    measured: np.ndarray
    bound: np.ndarray
    gap: np.ndarray  # bound - measured; above 0 the measured floor falls more slowly than the bound's
    low: np.ndarray
    high: np.ndarray
    law: float  # the exact law's rate end to end; nan if not known
    detail: str


class FloorFit(NamedTuple):
    """Rates 1/D of exp(-C^2/D) along a curve, end to end: measured with its 95 % interval, of the law, of the bound."""

    part: str
    setting: str
    measured: float
    low: float
    high: float
    law: float
    bound: float
    detail: str
    sizes: int
    runs: int


def floor_curves(study: Study, items: list[CellData]) -> list[FloorCurve]:
    """The curves along the separation, if all their cells recorded displacements."""
    by_curve = []
    for curve in curves.curves(study, items):
        if curve.axis != "separation" or any(item.displacement is None for item in curve.items):
            continue
        seen = [item for item in curve.items if measured_floor(item) is not None]
        unseen = [item.cell.separation for item in curve.items if measured_floor(item) is None]
        separations = np.array([item.cell.separation for item in seen])
        by_curve.append(FloorCurve(curve._replace(x=separations, items=seen), unseen))
    return by_curve


def long_enough(floor: FloorCurve) -> bool:
    """Whether enough floors are above their noise to compare their fall."""
    return len(floor.curve.x) >= LEAST_SIZES


def measured_floor(item: CellData) -> stats.Mean | None:
    """The squared length of the mean displacement; None unless it is STANDARD_ERRORS above 0.

    None also if the jackknife has fewer than two good runs a group.
    """
    vectors = summary.floor_vectors(item)
    if vectors is None or len(vectors) < 2 * GROUPS:
        return None
    squared = stats.squared_length(vectors)
    return squared if squared.value > STANDARD_ERRORS * squared.standard_error else None


def floor_share(item: CellData) -> float:
    """The floor, measured or else by its exact law, over the mean error; nan if neither is known."""
    measured = measured_floor(item)
    floor = expected.floor(item) if measured is None else measured.value
    mean = item.error_sq.mean() if item.ok.any() else 0.0
    return float(floor / mean) if floor is not None and mean > 0 else np.nan


def floor_logs(items: list[CellData]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the floors, and their covariance by a jackknife over groups of runs.

    The groups are the same in all cells, of the runs that are good in all of them: so the covariance includes the
    correlation of cells that share a run's random numbers.
    """
    good = curves.good_in_all(items)
    group = np.arange(good.sum()) * GROUPS // max(good.sum(), 1)
    vectors = []
    for item in items:
        assert item.displacement is not None
        twin = 0.0 if item.twin_displacement is None else item.twin_displacement
        vectors.append((item.displacement - twin)[: len(good)][good])

    def logs(keep: np.ndarray) -> np.ndarray:
        lengths = np.array([stats.squared_length(v[keep]).value for v in vectors])
        return np.log(np.maximum(lengths, np.finfo(float).tiny))

    whole = logs(np.ones(good.sum(), bool))
    without = np.stack([logs(group != g) for g in range(GROUPS)])
    centred = without - without.mean(axis=0)
    return whole, centred.T @ centred * (GROUPS - 1) / GROUPS


def falls(floor: FloorCurve, level: float) -> Falls:
    """The rates at which the floors of a curve fall with C^2, with simultaneous intervals at this level."""
    items = floor.curve.items
    logs, covariance = floor_logs(items)
    squares = floor.curve.x**2
    bounds = np.array([regime.log_floor_beside(item) for item in items])
    ends = np.zeros((1, len(squares)))
    ends[0, [0, -1]] = np.array([1.0, -1.0]) / (squares[-1] - squares[0])
    neighbours = (np.eye(len(squares))[:-1] - np.eye(len(squares))[1:]) / np.diff(squares)[:, None]
    contrast = np.concatenate([ends, neighbours])
    measured, bound = contrast @ logs, contrast @ bounds
    errors = np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance, contrast))
    quantile = float(special.stdtrit(GROUPS - 1, 1 - level / (2 * len(contrast))))
    gap = bound - measured
    exact = [expected.floor(item) for item in items]
    law, law_words = np.nan, ""
    if all(value is not None and value > 0 for value in exact):
        exact_logs = np.log(np.array(exact, float))
        law, law_words = float((contrast @ exact_logs)[0]), f", exact law {_divisors(exact_logs, squares)}"
    detail = (
        f"D of exp(-C^2/D) between neighbours: measured {_divisors(logs, squares)}{law_words},"
        f" bound {_divisors(bounds, squares)}"
    )
    if floor.unseen:
        unseen = ", ".join(f"{separation:g}" for separation in floor.unseen)
        detail += f"; without C = {unseen}, where the floor is not above its noise"
    detail = phrases.joined(detail, phrases.kept_words(items))
    return Falls(measured, bound, gap, gap - quantile * errors, gap + quantile * errors, law, detail)


def _divisors(logs: ArrayLike, squares: np.ndarray) -> str:
    """D of exp(-C^2/D) between neighbours."""
    return " ".join(f"{divisor:.3g}" for divisor in -np.diff(squares) / np.diff(logs))


def kind_of(fall: Falls) -> str:
    """The kind of the finding; contradicted if the floor falls more slowly end to end or at the largest separations."""
    if fall.low[0] > MARGIN or fall.low[-1] > MARGIN:
        return "contradicted"
    if fall.high[0] < -MARGIN:
        return "loose"
    return "tight" if fall.low[0] > -MARGIN and fall.high[0] < MARGIN else "inconclusive"


def finding(number: int, floor: FloorCurve, level: float) -> Finding:
    """Compare the floors of a curve with the floor term of Theorem `number`."""
    curve, fall = floor.curve, falls(floor, level)
    runs, kept = phrases.kept(curve.items)
    return Finding(
        theorem=str(number),
        part=curve.part,
        axis=FLOOR_AXIS,
        setting=curve.setting,
        kind=kind_of(fall),
        measured=float(fall.measured[0]),
        bound=float(fall.bound[0]),
        gap=float(fall.gap[0]),
        low=float(fall.low[0]),
        high=float(fall.high[0]),
        detail=fall.detail,
        law=fall.law,
        over=f"C = {phrases.span(curve.x)}",
        runs=runs,
        kept=kept,
    )


def floor_fits(study: Study, data: list[CellData]) -> list[FloorFit]:
    """The rates of fall along every curve that recorded displacements, whatever theorem the study tests."""
    fits = []
    for floor in floor_curves(study, data):
        if not long_enough(floor):
            continue
        curve = floor.curve
        fall = falls(floor, 0.05 * len(curve.x))  # `falls` divides by the number of contrasts: 5 % for each
        fits.append(
            FloorFit(
                part=curve.part,
                setting=curve.setting,
                measured=float(fall.measured[0]),
                low=float(fall.bound[0] - fall.high[0]),
                high=float(fall.bound[0] - fall.low[0]),
                law=fall.law,
                bound=float(fall.bound[0]),
                detail=fall.detail,
                sizes=len(curve.x),
                runs=phrases.kept(curve.items)[0],
            )
        )
    return fits
