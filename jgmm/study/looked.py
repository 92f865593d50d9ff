"""What a look judges, and which of a study's own claims were first judged after an earlier look at the same folder.

The level of looks, sum_j 0.05/(j(j+1)) < 0.05, is that of claims that were written before the first look. Another
claim on runs that were looked at is one more look, so a bound that is tried after another costs its share. But whoever
chooses a bound with the runs in sight may choose among many, and no number of looks counts those: such a verdict says
so (`late`), and is about these runs alone.
"""

from collections.abc import Iterable, Mapping, Sequence

from jgmm.study.cell import Cell
from jgmm.study.claim_spec import Claim


def key(part: str, claim: Claim) -> str:
    """What a look keeps of a claim: on which part it is, and what it bounds; its name and source decide nothing."""
    return f"{part}: {claim.bounds}"


def claims(cells: Iterable[Cell]) -> list[str]:
    """The claims that these cells are held against."""
    return sorted({key(cell.part, cell.claim) for cell in cells if cell.claim is not None})


def late(cells: Iterable[Cell], looks: Sequence[Mapping]) -> dict[str, int]:
    """The claims that the first look did not judge, each with the number of the last look before the first that did.

    looks: those before, oldest first. Looks of versions that kept no claims judged what the folder has.
    """
    judged: list[tuple[int, list[str]]] = [(int(look["look"]), look["claims"]) for look in looks if "claims" in look]
    found = {}
    for claim in claims(cells):
        before = []
        for number, of_look in judged:
            if claim in of_look:
                break
            before.append(number)
        if before:
            found[claim] = before[-1]
    return found
