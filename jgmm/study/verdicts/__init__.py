"""Verdicts: one sentence on what a study says about each theorem.

    consistent, tight      along every axis the error grows as the bound's term does, within the margin
    consistent, loose      along some axis the term grows faster than the error, or falls more slowly
    consistent             the error is below the bound's floor term, so the other term cannot be seen
    contradicted           no constants make the bound hold, if the error goes on as over the range tried
    inconclusive           too few runs, sizes or samples
    out of the theorem's regime

A grid is finite and constants are hidden, so a theorem is at best consistent with what was tried. The sentence says
what that was. Each term of a bound has its own constant. Only cells that meet the theorem's conditions count
(`regime`).

    errors       a theorem that bounds an error: exponents, floors, constants, basin
    claims       a claim of a spec's own: growth against every sum of its terms (sums)
    success      a theorem about starts: how many are near
    laws         the exact laws against the simulation
    finding      the records; words, phrases: their sentences

Level. The j-th look at growing data tests at 0.05/(j(j+1)), split evenly over a theorem's comparisons and constants.
The sum over all looks is below 0.05, so a study may be looked at and grown again and again, without a plan of the
looks. (A confidence sequence would be wider at the first looks.) That is the level of claims written before the first
look; of a claim that came later the sentence says so (`jgmm.study.looked`).
"""

from collections.abc import Mapping
from types import MappingProxyType

from jgmm import stats
from jgmm.study import looked
from jgmm.study.claim_spec import Claim
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.verdicts import claims, errors, success
from jgmm.study.verdicts.finding import OUT, Constant, Finding, Verdict
from jgmm.study.verdicts.floors import FloorFit, floor_fits
from jgmm.study.verdicts.laws import LawVerdict, law_verdict
from jgmm.theory.bounds import THEOREMS, Theorem

__all__ = [
    "OUT",
    "Constant",
    "Finding",
    "FloorFit",
    "LawVerdict",
    "Verdict",
    "floor_fits",
    "law_verdict",
    "verdicts",
]


def verdicts(
    study: Study, data: list[CellData], look: int, late: Mapping[str, int] = MappingProxyType({})
) -> list[Verdict]:
    """A verdict for each theorem that the study's cells test, and each sharpness (beta) of the updates; then for each
    claim of the study's own, and each algorithm that it is made of.

    late: claims that were first judged after an earlier look, and which (`jgmm.study.looked`); their sentences say so.
    """
    groups: dict[tuple[int, float | None], list[CellData]] = {}
    for item in data:
        if isinstance(item.cell.theorem, int):
            groups.setdefault((item.cell.theorem, item.cell.beta), []).append(item)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], group[0][1] or 0))
    on_theorems = [_verdict(study, THEOREMS[number], beta, items, look) for (number, beta), items in ordered]
    return [*on_theorems, *_on_claims(study, data, look, late)]


def _on_claims(study: Study, data: list[CellData], look: int, late: Mapping[str, int]) -> list[Verdict]:
    """The verdicts on a study's own claims."""
    level = stats.look_level(look)
    groups: dict[tuple[Claim, str], list[CellData]] = {}
    for item in data:
        if item.cell.claim is not None:
            groups.setdefault((item.cell.claim, item.cell.algorithm), []).append(item)
    concluded = []
    for (claim, algorithm), items in groups.items():
        alone = sum(other == claim for other, _ in groups) == 1
        conclusion = claims.conclude(claim, study, items, level)
        after = [late[key] for item in items if (key := looked.key(item.cell.part, claim)) in late]
        concluded.append(
            Verdict(
                theorem=claim.name if alone else f"{claim.name} ({algorithm})",
                verdict=conclusion.kind,
                sentence=" ".join([conclusion.sentence, *([claims.after(max(after))] if after else [])]),
                statement=claim.statement,
                level=level,
                look=look,
                findings=conclusion.findings,
                constants=conclusion.constants,
            )
        )
    return concluded


def _verdict(study: Study, theorem: Theorem, beta: float | None, items: list[CellData], look: int) -> Verdict:
    """The verdict on one theorem, from the cells with this sharpness."""
    level = stats.look_level(look)
    if theorem.of_start:
        conclusion = success.conclude(theorem, items, level)
    else:
        conclusion = errors.conclude(theorem, study, items, level)
    return Verdict(
        theorem=f"{theorem.number}" if beta in (None, theorem.beta) else f"{theorem.number} (beta = {beta:g})",
        verdict=conclusion.kind,
        sentence=conclusion.sentence,
        statement=theorem.statement,
        level=level,
        look=look,
        findings=conclusion.findings,
        constants=conclusion.constants,
    )
