"""The least possible constant of a bound's term: the largest ratio of error to term over the cells tried."""

from typing import NamedTuple

import numpy as np
from scipy import special

from jgmm import stats
from jgmm.study import regime, settings, summary
from jgmm.study.read import CellData
from jgmm.study.verdicts.exponents import AT_FLOOR
from jgmm.study.verdicts.finding import Constant
from jgmm.study.verdicts.floors import floor_share, measured_floor

HALF = 0.5  # an error whose floor is a larger share than this is compared with the floor term


class Ratio(NamedTuple):
    """A cell's errors or displacements, and the logarithm of the term that they are compared with."""

    values: np.ndarray  # squared errors (runs,), or displacements (runs, p); their mean's squared length is the floor
    log_term: float
    item: CellData


def ratios(inside: list[CellData], settled: list[CellData]) -> dict[str, list[Ratio]]:
    """The cells that are compared with each term: with the variance term above the floor, with the floor term on it.

    inside: cells whose errors count. settled: cells whose measured floors count.
    """
    by_term: dict[str, list[Ratio]] = {}

    def add(term: str, values: np.ndarray, log_term: float | None, item: CellData) -> None:
        if log_term is not None:
            by_term.setdefault(term, []).append(Ratio(values, log_term, item))

    for item in inside:
        if item.ok.sum() < summary.FEW or stats.mean_interval(item.error_sq) is None:
            continue
        share, variance = floor_share(item), regime.variance(item)
        if variance and not share > AT_FLOOR:
            add("variance", item.error_sq, float(np.log(variance)), item)
        elif share > HALF and measured_floor(item) is None:
            add("floor", item.error_sq, regime.log_floor(item), item)
    for item in settled:
        vectors = summary.floor_vectors(item)
        if vectors is not None and measured_floor(item) is not None:
            add("floor", vectors, regime.log_floor(item), item)
    return by_term


def constant(term: str, rows: list[Ratio], level: float) -> Constant:
    """The largest ratio, with an interval that is simultaneous over the cells at this level."""
    scaled = []
    for values, log_term, item in rows:
        interval = _interval(values, level / len(rows))
        with np.errstate(over="ignore"):  # at a large separation the floor term underflows: no constant is enough
            scale = np.exp(-log_term)
        scaled.append((*(value * scale for value in interval), settings.where(item.cell)))
    value, _, _, where = max(scaled)
    low, high = (max(row[i] for row in scaled) for i in (1, 2))
    return Constant(term, float(value), float(low), float(high), where, len(rows))


def _interval(values: np.ndarray, level: float) -> stats.Interval:
    """The interval of a mean error (from 0 to infinity where the runs cannot tell), or of a floor, by Student's t."""
    if values.ndim == 1:
        return stats.mean_interval(values, 1 - level) or stats.Interval(float(values.mean()), 0.0, np.inf)
    mean = stats.squared_length(values)
    reach = float(special.stdtrit(mean.runs - 1, 1 - level / 2)) * mean.standard_error
    return stats.Interval(mean.value, mean.value - reach, mean.value + reach)
