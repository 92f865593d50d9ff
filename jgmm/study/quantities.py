"""Quantities: what a figure, a fit or a claim may be about. Each has a name, and a number for every run and checkpoint.

A part of a spec names one (`quantity`), by default the squared error. `names` are those that a cell's runs store.
"""

import difflib

import numpy as np

from jgmm.study import shown
from jgmm.study.cell import Cell
from jgmm.study.read import QUANTITIES, CellData

DEFAULT = QUANTITIES[0]


def names(cell: Cell) -> list[str]:
    """The quantities that the runs of a cell store."""
    del cell
    return [*QUANTITIES, "lost"]


def check(cell: Cell, name: str) -> None:
    """Raises ValueError, naming those that there are, unless the cell's runs store this quantity."""
    known = names(cell)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"quantity is {shown.value(name)}: expected one of {', '.join(known)}{hint}")


def values(item: CellData, name: str = DEFAULT, index: int = -1) -> np.ndarray:
    """The quantity of every run at a checkpoint, (runs,), in float64; runs that are not good (`item.ok`) included.

    index: of the checkpoint, the last by default. Raises ValueError as `check`.
    """
    check(item.cell, name)
    index = index % len(item.samples)
    return np.asarray(item.values[name][:, index], float)
