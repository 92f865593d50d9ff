"""Quantities of stored cells: what a figure, a fit or a claim may be about, a number for every run and checkpoint.

`names` are those of a cell (see `measured`); a part of a spec names the one that its figures are about.
"""

import numpy as np

from jgmm.study import measured, read
from jgmm.study.cell import Cell
from jgmm.study.read import QUANTITIES, CellData

DEFAULT = QUANTITIES[0]


def names(cell: Cell) -> list[str]:
    """The quantities that the runs of a cell store."""
    others = measured.aliases(cell.k) if measured.RANKS in cell.measures else ()
    paired = [measured.BIAS] if cell.displacement and cell.rate is not None else []
    return [*read.quantities(cell), *paired, *others]


def check(cell: Cell, name: str) -> None:
    """Raises ValueError, naming those that there are, unless the cell's runs store this quantity."""
    measured.check(name, names(cell), cell.k)


def has(item: CellData, name: str | None = None) -> bool:
    """Whether the cell has this quantity, its own by default: a bias it has if there is a cell of twice its step."""
    name = item.cell.quantity if name is None else name
    return name != measured.BIAS or name in item.values


def values(item: CellData, name: str | None = None, index: int = -1) -> np.ndarray:
    """The quantity of every run at a checkpoint, (runs,), in float64; runs that are not good (`item.ok`) included.

    name: by default the cell's own. index: of the checkpoint, the last by default. Raises ValueError as `check`.
    """
    name = item.cell.quantity if name is None else name
    check(item.cell, name)
    stored = measured.aliases(item.cell.k).get(name, name)
    return np.asarray(item.values[stored][:, index % len(item.samples)], float)
