"""What plots and comparisons may be about: what every run stores, and what happens to a run or does not.

    converged     every centre is within half the separation of its own mean (as in summary.csv)
    2+1+0         the end state in which the components hold so many estimates (as in states.csv; `holds` is measured)

The mean of an outcome is a share of all runs, those that are not good included; its interval is exact.
"""

from collections.abc import Sequence

import numpy as np

from jgmm import doors
from jgmm.study import beside, quantities, summary
from jgmm.study.read import CellData

CONVERGED = "converged"


def check(name: str, items: Sequence[CellData]) -> None:
    """Raises ValueError, naming what there is, unless it is a quantity or an outcome of every cell."""
    first, *others = ([*_stored(item), CONVERGED] for item in items)
    common = [each for each in first if all(each in other for other in others)]
    # A state that no run of a cell ends in is one that it might have ended in.
    states = dict.fromkeys(state for item in items if _has_states(item) for state in beside.states_of(item))
    doors.choice("quantity", name, [*common, *(states if all(map(_has_states, items)) else ())])


def _stored(item: CellData) -> list[str]:
    return [name for name in quantities.names(item.cell) if name != "lost" and quantities.has(item, name)]


def _has_states(item: CellData) -> bool:
    return beside.HOLDS in item.cell.measures


def is_outcome(name: str, item: CellData) -> bool:
    """Whether it is 0 or 1 of a run, and its mean a share."""
    return name not in _stored(item)


def values(item: CellData, name: str, index: int = -1) -> np.ndarray:
    """Of every run at a checkpoint, (runs,), float64: the quantity, or 1 where the outcome is the run's and 0 else."""
    if not is_outcome(name, item):
        return quantities.values(item, name, index)
    if name == CONVERGED:
        return summary.near(item, index).astype(float)
    return np.array([state == name for state in beside.states_of(item, index)], float)
