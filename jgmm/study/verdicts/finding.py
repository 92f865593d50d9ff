"""What a verdict is made of: findings, one for each comparison, and constants, one for each term of a bound."""

from typing import NamedTuple

import numpy as np

OUT = "out of the theorem's regime"
FLOOR_AXIS = "exp(-C^2)"  # the axis of findings about floors: they are compared by how they fall with C^2
ABOVE_TERM = ("contradicted", "exceeds", "few samples", "floor term")  # kinds of an error that grows faster than a term


class Finding(NamedTuple):
    """One comparison that a verdict rests on.

    `kind` says how it came out.

        tight, loose, contradicted, inconclusive    as in a verdict
        floor term      the error grows faster than the variance term, but lies below the floor term
        few samples     it grows faster where the theorem asks for more samples than were taken
        exceeds         it grows faster, but the updates are not those that the theorem is about
        fails           too few starts lie within the theorem's limit
    """

    theorem: str
    part: str
    axis: str
    setting: str
    kind: str
    measured: float  # exponent of the error, or of the floor, along the axis
    bound: float  # exponent of the bound's term
    gap: float  # measured - bound for an error, bound - measured for a floor, which falls
    low: float  # simultaneous interval of the gap
    high: float
    detail: str
    law: float = np.nan  # exponent of the exact law, where it is known
    over: str = ""  # the sizes compared, in words
    runs: int = 0  # runs that are good in every cell
    kept: float = 1.0  # the least share of a cell's runs that are good


class Constant(NamedTuple):
    """The largest error / term over the cells where that term is the right one, with its simultaneous interval."""

    term: str
    value: float
    low: float
    high: float
    where: str
    cells: int


class Conclusion(NamedTuple):
    """What the cells of one theorem say about it."""

    kind: str
    sentence: str
    findings: list[Finding]
    constants: list[Constant]


class Verdict(NamedTuple):
    """A sentence about a theorem, with what it rests on."""

    theorem: str
    verdict: str
    sentence: str
    statement: str
    level: float
    look: int
    findings: list[Finding]
    constants: list[Constant]
