"""The sentences about a bound's findings and constants."""

import numpy as np

from jgmm.study.verdicts.finding import ABOVE_TERM, FLOOR_AXIS, Constant, Finding
from jgmm.study.verdicts.phrases import cells
from jgmm.theory.bounds import Theorem

WORST_FIRST = (
    "contradicted",
    "exceeds",
    "few samples",
    "floor term",
    "between terms",
    "loose",
    "inconclusive",
    "tight",
)


def headline(findings: list[Finding]) -> tuple[str, str]:
    """The kind of a verdict that rests on these findings, and the words that follow "Theorem 1"."""
    kinds = {finding.kind for finding in findings}

    def axes(kind: str) -> str:
        return " and ".join(dict.fromkeys(finding.axis for finding in findings if finding.kind == kind))

    if not findings:
        return "inconclusive", ": inconclusive: no axis with three sizes and means that can be trusted"
    if "contradicted" in kinds:
        return "contradicted", f" is contradicted in {axes('contradicted')}"
    if "few samples" in kinds:
        return "inconclusive", f": inconclusive: it asks for more samples than were tried in {axes('few samples')}"
    if "loose" in kinds:
        gaps = ", ".join(dict.fromkeys(_gap(finding) for finding in _loosest(findings)))
        return "consistent, loose", f" is consistent with what was tried, loose by {gaps}"
    if "inconclusive" in kinds:
        return "inconclusive", f": inconclusive: too few runs to tell in {axes('inconclusive')}"
    if "floor term" in kinds:
        return "consistent", " is consistent with what was tried: its floor term covers the error"
    if "between terms" in kinds:
        return "consistent", " is consistent with what was tried: no growth that its terms together would not allow"
    return "consistent, tight", f" is consistent with what was tried, tight in {axes('tight')} up to its constants"


def _loosest(findings: list[Finding]) -> list[Finding]:
    """For each axis its loosest finding, if it has a loose one."""
    loosest: dict[str, Finding] = {}
    for finding in findings:
        if finding.kind == "loose" and (finding.axis not in loosest or finding.gap < loosest[finding.axis].gap):
            loosest[finding.axis] = finding
    return list(loosest.values())


def _gap(finding: Finding) -> str:
    """How loose a bound is: "k^1.01 [0.99, 1.02]"."""
    if finding.axis == FLOOR_AXIS:
        return f"{_fall(finding.bound)} against {_fall(finding.measured)} in the floor"
    return f"{finding.axis}^{-finding.gap:.2f} [{-finding.high:.2f}, {-finding.low:.2f}]"


def _fall(rate: float) -> str:
    """exp(-rate C^2); a positive rate is written as a divisor of C^2."""
    return f"exp(-C^2/{1 / rate:.3g})" if rate > 0 else f"exp({-rate:.3g} C^2)"


def along_axes(findings: list[Finding], theorem: Theorem) -> str:
    """What was measured along each axis."""
    axes = dict.fromkeys(finding.axis for finding in findings)
    return "; ".join(_along([finding for finding in findings if finding.axis == axis], theorem) for axis in axes)


def _along(findings: list[Finding], theorem: Theorem) -> str:
    """What was measured along one axis: its worst setting, and how the others came out."""
    worst = min(findings, key=lambda finding: (WORST_FIRST.index(finding.kind), -abs(finding.gap)))
    beside = elsewhere(worst, findings)
    if worst.axis == FLOOR_AXIS:
        law = "" if np.isnan(worst.law) else f": its law's secant is {_fall(worst.law)}"
        return (
            f"from {worst.over} the floor falls by {_fall(worst.measured)} end to end (a secant, no law{law}), the"
            f" floor term by {_fall(worst.bound)}{beside}"
        )
    kind = worst.kind
    if kind in ABOVE_TERM:
        kind = "faster than the variance term"
    if worst.kind == "few samples":
        kind += f" (with fewer samples than {theorem.samples_words})"
    if worst.kind == "floor term":
        kind += " (but stays below the floor term with constant 1)"
    measured, term = f"{worst.axis}^{round(worst.measured, 3):g}", f"{worst.axis}^{round(worst.bound, 3):g}"
    return f"in {worst.axis} {kind}: measured {measured}, variance term {term}{beside}"


def elsewhere(worst: Finding, findings: list[Finding]) -> str:
    """The setting that was told, and what the other settings came to."""
    if len(findings) == 1:
        return ""
    others = ", ".join(sorted({finding.kind for finding in findings} - {worst.kind}))
    said = [worst.setting, *([f"elsewhere {others}"] if others else [])]
    least, most = (end(findings, key=lambda finding: finding.measured) for end in (min, max))
    axis = worst.axis
    if axis == FLOOR_AXIS:
        ends = f"from {_fall(least.measured)} ({least.setting}) to {_fall(most.measured)} ({most.setting})"
    else:
        ends = " to ".join(f"{axis}^{round(end.measured, 3):g} at {end.setting}" for end in (least, most))
    return f" ({'; '.join([*said, f'{len(findings)} series, {ends}'])})"


def constant_words(constant: Constant, findings: list[Finding]) -> str:
    """The sentence on the least constant of a term; no constant is enough if the error grows faster than the term."""
    value = f"{constant.value:.3g} [{constant.low:.3g}, {constant.high:.3g}] ({constant.where})"
    of_floor = constant.term == "floor"
    axes = [f.axis for f in findings if f.kind in ABOVE_TERM and (f.axis == FLOOR_AXIS) == of_floor]
    if axes:
        what = "floor" if of_floor else "error"
        where = " and ".join(dict.fromkeys(axes)).replace(FLOOR_AXIS, "C")
        return (
            f"No constant of the {constant.term} term would do: {what} / term grows with {where}, and reaches {value}"
            f" in the {cells(constant.cells)} tried."
        )
    return f"The least constant of the {constant.term} term is {value}, over {cells(constant.cells)}."
