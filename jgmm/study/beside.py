"""Tables of what is measured beside errors, at the last checkpoint: a component's error, and where estimates ended.

    components.csv    a row for each cell and component, the heaviest first: its squared error
    states.csv        a row for each cell and state: how many estimates the components hold, as "2+1+0", over all runs

The interval of a state's share is exact by the binomial law. A study with neither has neither file.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from jgmm.study import heavy, measured
from jgmm.study.read import CellData
from jgmm.study.summary import limits, mean_and_error, proportion

HOLDS = "holds"
NOT_FINITE = "not finite"
WRITTEN_OUT = 12  # components whose estimates are told one by one


class ComponentRow(NamedTuple):
    """A row of components.csv."""

    cell: str
    part: str
    rank: int
    weight: float
    scale: float
    error_sq_ok_mean: float
    error_sq_ok_se: float
    error_sq_ok_low: float | None
    error_sq_ok_high: float | None
    runs_ok: int


class StateRow(NamedTuple):
    """A row of states.csv."""

    cell: str
    part: str
    state: str
    in_state: int
    runs: int
    share: float
    low: float
    high: float
    error_sq_mean: float
    error_sq_se: float


def components(data: Sequence[CellData]) -> list[ComponentRow]:
    """The errors of each component, of the cells that store them."""
    return [row for item in data if measured.RANKS in item.cell.measures for row in _components(item)]


def _components(item: CellData) -> list[ComponentRow]:
    order = np.argsort(-np.array(item.cell.weights), kind="stable")
    entries = measured.measure(measured.RANKS).entries(measured.RANKS, item.cell.k)
    rows = []
    for rank, (component, name) in enumerate(zip(order, entries, strict=True), 1):
        errors = item.values[name][item.ok, -1].astype(float)
        weight, scale = item.cell.weights[component], item.cell.scales[component]
        mean, error = mean_and_error(errors)
        ends = limits(errors)
        if heavy.without_variance(item.cell):
            error, ends = math.nan, (None, None)
        numbers = (mean, error, *ends, int(item.ok.sum()))
        rows.append(ComponentRow(item.id, item.cell.part, rank, weight, scale, *numbers))
    return rows


def states(data: Sequence[CellData]) -> list[StateRow]:
    """Where the estimates ended, of the cells that store it; the most frequent state of each first."""
    return [row for item in data if HOLDS in item.cell.measures for row in _states(item)]


def _states(item: CellData) -> list[StateRow]:
    names = states_of(item)
    errors = item.values["error_sq"][:, -1].astype(float)
    rows = []
    for name, count in sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])):
        there = np.array([other == name for other in names])
        mean, error = mean_and_error(errors[there])
        error = math.nan if heavy.without_variance(item.cell) else error
        share = proportion(there)
        numbers = (count, len(names), share.value, share.low, share.high, mean, error)
        rows.append(StateRow(item.id, item.cell.part, name, *numbers))
    return rows


def states_of(item: CellData, index: int = -1) -> list[str]:
    """The state of every run at a checkpoint, the last by default."""
    entries = measured.measure(HOLDS).entries(HOLDS, item.cell.k)
    at = index % len(item.samples)
    counts = np.stack([item.values[name][:, at].astype(int) for name in entries])
    return [name_of(run, item.cell.estimates) for run in counts.T]


def name_of(counts: Sequence[int] | np.ndarray, estimates: int) -> str:
    """ "2+1+0": how many estimates each component holds, the most first; "1x2+98x1+1x0" of many components."""
    held = sorted((int(count) for count in counts), reverse=True)
    if sum(held) < estimates:
        return NOT_FINITE
    if len(held) <= WRITTEN_OUT:
        return "+".join(map(str, held))
    return "+".join(f"{len(list(same))}x{count}" for count, same in groupby(held))
