"""A cell's claim (`claim_spec`): the terms of its bound, and whether its regime holds there."""

import math
from collections.abc import Iterable
from functools import lru_cache

from jgmm import expressions
from jgmm.study import names
from jgmm.study.cell import Cell
from jgmm.study.claim_spec import Claim, comparisons


def unmet(cell: Cell, separation: float | None = None) -> list[tuple[str, str]]:
    """The comparisons of its claim's regime that do not hold in a cell, each with the numbers that it has.

    separation: what to take in place of the one that the cell asks for.
    """
    assert cell.claim is not None
    numbers = names.of_cell(cell, separation)
    return [
        (each.text, ", ".join(f"{name} = {numbers[name]:.3g}" for name in each.names))
        for each in comparisons(cell.claim.regime)
        if not each.holds(numbers)
    ]


@lru_cache(maxsize=8192)
def log_terms(cell: Cell) -> tuple[float, ...]:
    """ln of each term of its claim's bound in a cell, with a constant of 1. Raises ValueError as `check`."""
    assert cell.claim is not None
    numbers = names.of_cell(cell)
    logs = []
    for i, text in enumerate(cell.claim.bound):
        formula = expressions.parse(text, _of_term(i, cell.claim))
        formula.check_names(numbers, _of_term(i, cell.claim))
        try:
            logs.append(formula.log_value(**{name: numbers[name] for name in formula.names}))
        except ValueError as error:
            raise ValueError(f"{_of_term(i, cell.claim)} {error}") from None
    return tuple(logs)


def bound(cell: Cell) -> float:
    """The sum of the terms with constants of 1: for tables and figures, decides nothing."""
    logs = log_terms(cell)
    most = max(logs)
    return math.exp(min(most, 700.0)) * sum(math.exp(log - most) for log in logs)


def forecast(cells: Iterable[Cell]) -> list[str]:
    """A line on each claim of these cells: in how many its regime holds, and which of its terms is the largest."""
    by_claim: dict[Claim, list[Cell]] = {}
    for cell in cells:
        if cell.claim is not None:
            by_claim.setdefault(cell.claim, []).append(cell)
    lines = []
    for claim, own in by_claim.items():
        inside = [log_terms(cell) for cell in own if not unmet(cell)]
        said = f"{claim.name}: its regime holds in {len(inside)} of {len(own)} cells"
        if len(claim.bound) > 1:
            first = [logs.index(max(logs)) for logs in inside]
            each = ", ".join(f"{text} in {first.count(i)}" for i, text in enumerate(claim.bound))
            said += f"; the largest term, with constants of 1, is {each}"
        lines.append(said)
    return lines


def check(cell: Cell) -> None:
    """Raises ValueError, in a line, for a name that the cell has no number of, or, where the regime holds, a term that
    is not above 0.
    """
    assert cell.claim is not None
    numbers = names.of_cell(cell)
    for comparison in comparisons(cell.claim.regime):
        for side in comparison.sides:
            side.check_names(numbers, "claim.regime is")
    try:
        outside = unmet(cell)
    except ValueError as error:
        raise ValueError(f"claim.regime is {error}") from None
    if not outside:
        log_terms(cell)


def _of_term(index: int, claim: Claim) -> str:
    return "claim.bound is" if len(claim.bound) == 1 else f"claim.bound[{index}] is"
