"""Cells that are one experiment in other units: sigma alone differs, and run by run errors over sigma^2 agree.

Runs draw the same bits in every cell, so a step that knows no length gives all of them one path, scaled. Such cells say
no more than one of them.
"""

import numpy as np

from jgmm.study import settings
from jgmm.study.read import CellData

ROUNDING = 1e-4  # relative: 6e-7 is seen in float32; a sample given to another centre changes an error by more


def experiments(items: list[CellData]) -> list[list[CellData]]:
    """The cells, those of one experiment in a list; in the order of their first."""
    found: list[list[CellData]] = []
    by_place: dict[tuple, list[list[CellData]]] = {}
    for item in items:
        alike = by_place.setdefault(_place(item), [])
        same = next((group for group in alike if _rescaled(group[0], item)), None)
        if same is None:
            same = []
            found.append(same)
            alike.append(same)
        same.append(item)
    return found


def once(items: list[CellData]) -> list[CellData]:
    """The first cell of each experiment."""
    return [group[0] for group in experiments(items)]


def sentences(items: list[CellData]) -> list[str]:
    """How many of these cells are one experiment; nothing where each is its own."""
    repeated = [group for group in experiments(items) if len(group) > 1]
    count = sum(map(len, repeated))
    if not repeated:
        return []
    parts = ", ".join(dict.fromkeys(item.cell.part for group in repeated for item in group))
    what = "one experiment" if len(repeated) == 1 else f"{len(repeated)} experiments"
    return [
        f"{count} cells ({parts}) are {what} in other units: sigma alone differs, and errors over sigma^2 agree run by"
        " run but for rounding. For constants and laws each experiment counts once."
    ]


def _place(item: CellData) -> tuple:
    """All that the cell is set to, but for sigma and what is held against it."""
    cell = item.cell
    place = {name: value for name, value in settings.place(cell).items() if name not in ("sigma", "side")}
    return (cell.algorithm, cell.checkpoints, len(item.ok), *place.items())


def _rescaled(one: CellData, other: CellData) -> bool:
    """Whether all good runs of these cells end with one error over sigma^2, but for rounding."""
    if one.cell.sigma == other.cell.sigma or not np.array_equal(one.ok, other.ok):
        return False
    first, second = (item.error_sq / max(item.cell.scales) ** 2 for item in (one, other))
    return bool(np.allclose(first, second, rtol=ROUNDING, atol=0))
