"""Cells whose squared errors have no variance: their means have no standard error, however many runs there are.

A squared error grows like the square of a sample. Where the noise has no fourth moment (Student's with df <= 4) its
variance is infinite, unless the algorithm moves by a bounded length whatever the sample (`Algorithm.bounded`).
Distances and shares have a variance. A labelled twin follows its samples, whatever its algorithm does.
"""

from collections.abc import Iterable

from jgmm.study import expected, measured, settings
from jgmm.study.cell import Cell

SQUARES = ("error_sq", "from_means_sq", "from_estimates_sq", "from_structure_sq", "scales_sq", measured.LIKELIHOOD)


def tails(cell: Cell) -> bool:
    """Whether the noise has no fourth moment."""
    return not cell.disturbed.fourth(dict(cell.noise_numbers))


def without_variance(cell: Cell, quantity: str | None = None) -> bool:
    """Whether a quantity of the cell's runs, the squared error by default, has no variance."""
    name = "error_sq" if quantity is None else quantity
    square = name.startswith(SQUARES)
    return square and tails(cell) and not cell.record.bounded and not cell.start_only and expected.of_means(cell)


def sentence(cells: Iterable[Cell]) -> str | None:
    """A line on the cells whose squared errors have no variance; None where all have."""
    every = list(cells)
    found = [cell for cell in every if without_variance(cell)]
    if not found:
        return None
    noises = dict.fromkeys(
        ", ".join([cell.noise, *(f"{settings.heading(n)} = {x:g}" for n, x in cell.noise_numbers)]) for cell in found
    )
    return (
        f"In {len(found)} of {len(every)} cells squared errors have no variance, since the noise has no fourth moment"
        f" ({'; '.join(noises)}): their means have no standard error and no interval, and nothing is concluded from"
        " them. error_sum has a variance."
    )
