"""The records of a verdict: findings, one for each comparison, and constants, one for each term of a bound."""

from typing import NamedTuple

import numpy as np

OUT = "out of the theorem's regime"
FLOOR_AXIS = "exp(-C^2)"  # the axis of findings about floors, whose fall with C^2 is compared
ABOVE_TERM = ("contradicted", "exceeds", "few samples", "floor term")  # the kinds where an error outgrows a term


class Finding(NamedTuple):
    """One comparison that a verdict rests on; `kind` is its outcome.

    tight, loose, contradicted, inconclusive    as in a verdict
    floor term      the error grows faster than the variance term, but is below the floor term
    few samples     it grows faster, but in cells with fewer samples than the theorem asks for
    between terms   it grows like no single term of a claim, and like some sum of them
    exceeds         it grows faster, but the updates are not the theorem's
    fails           too few starts are within the theorem's limit
    """

    theorem: str
    part: str
    axis: str
    setting: str
    kind: str
    measured: float  # exponent of the error, or of the floor, along the axis
    bound: float  # exponent of the bound's term
    gap: float  # measured - bound for an error; bound - measured for a floor, since it falls
    low: float  # simultaneous interval of the gap
    high: float
    detail: str
    law: float = np.nan  # exponent of the exact law; nan if not known
    over: str = ""  # the sizes compared, in words
    runs: int = 0  # how many runs are good in every cell
    kept: float = 1.0  # the least share of good runs in a cell


class Constant(NamedTuple):
    """The largest error / term over the cells that are compared with that term, with its simultaneous interval."""

    term: str
    value: float
    low: float
    high: float
    where: str
    cells: int


class Conclusion(NamedTuple):
    """A verdict before it has its theorem, level and look."""

    kind: str
    sentence: str
    findings: list[Finding]
    constants: list[Constant]


class Verdict(NamedTuple):
    """A sentence about a theorem, and the findings and constants that it rests on."""

    theorem: str
    verdict: str
    sentence: str
    statement: str
    level: float
    look: int
    findings: list[Finding]
    constants: list[Constant]

    def __repr__(self) -> str:
        return f"Theorem {self.theorem}: {self.verdict} (look {self.look}, level {self.level:.3g})\n{self.sentence}"
