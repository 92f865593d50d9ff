r"""How many runs an inconclusive verdict would need.

A finding is inconclusive while its interval holds a limit at which its kind changes: the margins -M and M of a gap
between exponents, or 1 for a distance over its limit. An interval's width falls like 1/sqrt(runs). So with the value
g, its distance r to the end of the interval on the side of the limit t, and the present runs n, that end is at t with

    n (r / |g - t|)^2 runs.

It is an estimate: g moves by about as much as r, and a further look is tested at a smaller level.
"""

import math
from typing import NamedTuple

from jgmm.stats import bounds
from jgmm.study.verdicts import floors
from jgmm.study.verdicts.finding import FLOOR_AXIS, Finding, Verdict

MOST = 10**9  # runs; where more are needed, the value is at its limit


class Needed(NamedTuple):
    """What an inconclusive verdict lacks: on which axes, the runs of each cell so far, and those that would tell.

    needed: None where no number of runs can be told.
    """

    theorem: str
    axes: list[str]
    runs: int
    needed: int | None


def of_verdict(verdict: Verdict) -> Needed | None:
    """What a verdict needs; None where runs are not what it lacks."""
    open_ = [finding for finding in verdict.findings if finding.kind == "inconclusive"]
    if verdict.verdict != "inconclusive" or not open_:
        return None
    each = [runs_needed(finding) for finding in open_]
    known = [number for number in each if number is not None]
    needed = max(known) if len(known) == len(each) else None
    return Needed(verdict.theorem, sorted({finding.axis for finding in open_}), min(f.runs for f in open_), needed)


def runs_needed(finding: Finding) -> int | None:
    """The runs of each cell with which a finding would be of another kind; None where that cannot be told."""
    margin = floors.MARGIN if finding.axis == FLOOR_AXIS else bounds.MARGIN
    share = finding.axis == "success"
    value, limits = (finding.measured, [1.0]) if share else (finding.gap, [-margin, margin])
    times = 0.0
    for limit in limits:
        reach = value - finding.low if value > limit else finding.high - value
        times = max(times, (reach / abs(value - limit)) ** 2 if value != limit else math.inf)
    needed = finding.runs * times
    return math.ceil(needed) if needed < MOST else None
