"""What a verdict says, one idea a sentence: the headline, what was found, what was tried, constants, conditions.

The sentences are those of the verdict itself, in its order, sorted by what they are about; none is lost. The terminal
and the page show the same ones.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from jgmm.report.numbers import number
from jgmm.study import settings
from jgmm.study.curves import FitRow
from jgmm.study.verdicts import Verdict

TRIED = ("Tried: ", "Started ")
CONSTANTS = ("The least constant of ", "No constant of ")
CONVERGES = ("Runs converge ", "From where they converge ")
FOUND = ("Held against its bound ", "With constants of 1 ", "At k = ", *CONVERGES)  # beside exponents
RESCALED = " in other units: "  # beside what was tried too
_SENTENCE_ENDS = re.compile(r"(?<=[.]) (?=[A-Z0-9])")


class Claim(NamedTuple):
    """A verdict in sentences. `kind` is its word, as "consistent, loose"; `colour` the class that its box has.

    conditions: which cells count, and what was left out.
    """

    verdict: Verdict
    headline: str
    found: list[str]
    tried: list[str]
    constants: list[str]
    conditions: list[str]

    @property
    def kind(self) -> str:
        """How it came out."""
        return self.verdict.verdict

    @property
    def title(self) -> str:
        """Theorem 1, or a claim of the study's own by its name."""
        name = self.verdict.theorem
        return f"Theorem {name}" if name[:1].isdigit() else name

    @property
    def colour(self) -> str:
        """The first word of the kind."""
        return self.kind.split()[0].rstrip(",")

    @property
    def tested(self) -> str:
        """How often the study was looked at, and all that shares the level."""
        verdict = self.verdict
        count = _counted(len(verdict.findings), "comparison")
        if any(finding.axis != "success" for finding in verdict.findings):
            count += ", each over all its sizes and between neighbours"
        if verdict.constants:
            count += f", and {_counted(len(verdict.constants), 'constant')} over all cells compared"
        alone = "Other verdicts, and the laws together, have each a level of that size."
        return f"Look {verdict.look}, level {verdict.level:.3g} over {count}. {alone}"


def claim(verdict: Verdict) -> Claim:
    """Sort the sentences of a verdict."""
    headline, *others = sentences(verdict.sentence)
    sorted_into: dict[str, list[str]] = {"found": [], "tried": [], "constants": [], "conditions": []}
    for i, sentence in enumerate(others):
        along_axes = i == 0 and not sentence.startswith(TRIED) and bool(verdict.findings)
        if along_axes:
            sorted_into["found"] += clauses(sentence)
        elif sentence.startswith(FOUND):
            sorted_into["found"].append(" ".join(clauses(sentence)))
        elif sentence.startswith(TRIED):
            sorted_into["tried"].append(sentence.removeprefix(TRIED[0]))
        elif RESCALED in sentence:
            sorted_into["tried"].append(sentence)
        elif sentence.startswith(CONSTANTS):
            sorted_into["constants"].append(sentence)
        else:
            sorted_into["conditions"].append(sentence)
    return Claim(verdict, headline, **sorted_into)


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph."""
    return _SENTENCE_ENDS.split(paragraph)


def clauses(sentence: str) -> list[str]:
    """A sentence for each clause between semicolons; those in parentheses stay."""
    depth, parts = 0, [""]
    for character in sentence.rstrip("."):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == ";" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [f"{part.strip()[:1].upper()}{part.strip()[1:]}." for part in parts]


def exponents(fits: Iterable[FitRow]) -> list[str]:
    """A line for each part and axis: the plain slope with its 95 % interval, the law's and the bound's beside it."""
    by_axis: dict[tuple[str, str], list[FitRow]] = {}
    for fit in fits:
        by_axis.setdefault((fit.part, fit.axis), []).append(fit)
    return [f"{part}, in {settings.heading(axis)}: {_slopes(axis, own)}." for (part, axis), own in by_axis.items()]


def _slopes(axis: str, fits: list[FitRow]) -> str:
    """The slope of one series; the least and the largest of several."""
    axis = settings.heading(axis)
    ends = {fit.slope: fit for fit in (min(fits, key=_slope), max(fits, key=_slope))}.values()
    told = []
    for fit in ends:
        beside = [f"{name} {number(value, 3)}" for name, value in (("law", fit.law), ("bound", fit.bound))]
        known = [words for words in beside if not words.endswith(" ")]
        where = f"at {fit.setting}" if len(fits) > 1 else ""
        interval = f"[{number(fit.slope_low, 3)}, {number(fit.slope_high, 3)}]"
        told.append(" ".join(filter(None, [f"{axis}^{number(fit.slope, 3)} {interval}", where, *_in_brackets(known)])))
    return (f"{len(fits)} series, " if len(fits) > 1 else "") + " to ".join(told)


def _slope(fit: FitRow) -> float:
    return fit.slope


def _in_brackets(words: list[str]) -> list[str]:
    return [f"({', '.join(words)})"] if words else []


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
