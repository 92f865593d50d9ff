"""The verdict on a spec's own claim: the quantity that it bounds against its terms, along every axis that has a limit.

    contradicted    along an axis, toward its limit, the quantity outgrows every sum of the terms (`sums`)
    loose           it falls behind every sum of them
    tight           it grows as the term does that is the largest at the limit, with constants of 1
    between terms   none of these: it may be one term here and another there
    inconclusive    too few runs to exclude that it outgrows them all

Each curve's comparison has one interval, simultaneous over all comparisons and constants of the verdict. What is left
over each term is read off the same interval, since a term is known exactly. Cells outside the regime do not count.
"""

from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.stats.bounds import MARGIN
from jgmm.study import claim as claims
from jgmm.study import curves, heavy, quantities, summary
from jgmm.study.claim_spec import Claim
from jgmm.study.curves import Curve
from jgmm.study.read import CellData
from jgmm.study.regime import Reason
from jgmm.study.spec import Study
from jgmm.study.verdicts import constants, phrases, sums, units, words
from jgmm.study.verdicts.constants import Ratio
from jgmm.study.verdicts.finding import OUT, Conclusion, Constant, Finding

UPWARD = ("n", "k", "d", "separation", "sigma", "batch", "seeding.n")  # axes on which bounds are for large sizes
DOWNWARD = ("rate", "w_min")  # and for small ones
SUM = "sum"


class Left(NamedTuple):
    """What is left of the growth along a curve when a term's is taken off, with its simultaneous interval."""

    exponent: float
    low: float
    high: float


class Compared(NamedTuple):
    """A curve's finding, and what is left over each term."""

    finding: Finding
    left: list[Left]


class Evidence(NamedTuple):
    """The cells with which a study tests a claim."""

    unmet: list[list[Reason]]  # for each cell what does not hold of the regime
    inside: list[CellData]  # cells where it holds
    lines: list[Curve]  # curves of these along an axis with a limit, that can be compared
    idle: list[str]  # axes without a limit


def conclude(claim: Claim, study: Study, items: list[CellData], level: float) -> Conclusion:
    """The conclusion from these cells; `level` is split over all comparisons and constants."""
    found = evidence(claim, study, items)
    if not found.inside:
        out = OUT.replace("theorem", "claim")
        return Conclusion(OUT, f"{title(claim)}: {out}: {phrases.reasons(found.unmet)}.", [], [])
    rows = ratios(claim, units.once(found.inside))
    each = level / max(len(found.lines) + len(rows), 1)
    compared = [compare(claim, curve, each) for curve in found.lines]
    findings = [each.finding for each in compared]
    least = [constants.constant(term, of_term, each) for term, of_term in rows.items()]
    kind, head = words.headline(findings)
    sentences = [f"{title(claim)}{head}."]
    if findings:
        sentences.append(f"{phrases.sentence(along_axes(compared))}.")
    sentences += _largest(claim, found.inside)
    runs = phrases.span([len(item.ok) for item in found.inside])
    sentences.append(f"Tried: {phrases.cells(len(found.inside))} of {runs} runs, {phrases.sizes(found.inside)}.")
    sentences += [phrases.started(found.inside), *units.sentences(found.inside)]
    sentences += [_constant_words(claim, constant, compared) for constant in least]
    sentences += _left_out(claim, found, rows)
    sentences += phrases.outside(found.unmet)
    return Conclusion(kind, " ".join(sentences), findings, least)


def title(claim: Claim) -> str:
    """What a sentence calls the claim."""
    return "The claim" if claim.name == "claim" else phrases.sentence(claim.name)


def after(look: int) -> str:
    """The sentence on a claim that was first judged after this look."""
    return (
        f"It was claimed after look {look} at these runs: the level is that of claims written before the first look, so"
        " this tells how these runs lie to it, and runs of another seed would test it."
    )


def evidence(claim: Claim, study: Study, items: list[CellData]) -> Evidence:
    """Sort the cells."""
    unmet = [_unmet(item, claim) for item in items]
    inside = [item for item, reasons in zip(items, unmet, strict=True) if not reasons]
    lines = [*curves.curves(study, inside), *curves.of_weights(study, inside)]
    idle = list(dict.fromkeys(curve.axis for curve in lines if curve.axis not in (*UPWARD, *DOWNWARD)))
    usable = [curve for curve in lines if curve.axis not in idle and _why_not(claim, curve) is None]
    return Evidence(unmet, inside, usable, idle)


def _unmet(item: CellData, claim: Claim) -> list[Reason]:
    separation = float(item.realised_separation.min())
    reasons = [Reason(f"{text} does not hold", has) for text, has in claims.unmet(item.cell, separation)]
    if not quantities.has(item, claim.on):
        reasons.append(Reason("there is no cell of twice its step", f"rate = {item.cell.rate}"))
    return reasons


def _why_not(claim: Claim, curve: Curve) -> str | None:
    """Why a curve cannot be compared; None if it can."""
    if any(heavy.without_variance(item.cell, claim.on) for item in curve.items):
        return "what is bounded has no variance in one of its cells"
    if not (curve.x > 0).all():
        return "0 is among its sizes"
    if curves.good_in_all(curve.items).sum() < summary.FEW:
        return f"fewer than {summary.FEW} runs are good in all its cells"
    each = values(claim, curve)
    if not (np.isfinite(each).all() and (each.mean(axis=1) > 0).all()):
        return "a mean is 0"
    if not all(stats.above_0(row) for row in each):
        return "a mean is not above 0 for sure"
    return "a mean is carried by a few runs" if any(stats.carried_by_few(row) for row in each) else None


def values(claim: Claim, curve: Curve) -> np.ndarray:
    """What the claim bounds, of the runs that are good in every cell of a curve, (sizes, runs)."""
    good = curves.good_in_all(curve.items)
    return np.stack([quantities.values(item, claim.on)[: len(good)][good] for item in curve.items])


# --- growth ---


def compare(claim: Claim, curve: Curve, level: float) -> Compared:
    """Compare what the claim bounds with its terms along a curve."""
    down = curve.axis in DOWNWARD
    toward = slice(None, None, -1 if down else 1)  # sizes in the direction of the limit
    x = (1 / curve.x if down else curve.x)[toward]
    items = curve.items[toward]
    errors = values(claim, curve)[toward]
    logs = np.array([claims.log_terms(item.cell) for item in items])
    shape = sums.shapes(logs)
    measured = stats.growth(x, errors, level)
    above, below = measured.against(shape.upper), measured.against(shape.lower)
    by_term = [measured.against(of_term) for of_term in logs.T]
    largest = by_term[int(logs[-1].argmax())]
    kind, shown = "between terms", largest
    if above.kind == "contradicted" or shape.single:
        kind, shown = above.kind, above
    elif above.high > MARGIN:
        kind, shown = "inconclusive", above  # it may outgrow all
    elif below.kind == "loose":
        kind, shown = "loose", below
    elif largest.kind == "tight":
        kind = "tight"
    axis = curves.WORDS.get(curve.axis, curve.axis)
    axis = f"(1/{axis})" if down else axis
    left = [Left(each.gap, each.low, each.high) for each in by_term]
    local = ", ".join(f"{exponent:+.3f}" for exponent in shown.local)
    runs, kept = phrases.kept(curve.items)
    finding = Finding(
        theorem=claim.name,
        part=curve.part,
        axis=axis,
        setting=curve.setting,
        kind=kind,
        measured=shown.slope,
        bound=shown.bound,
        gap=shown.gap,
        low=shown.low,
        high=shown.high,
        detail=phrases.joined(
            f"left over {_left(axis, left)}", f"local exponents {local}", phrases.kept_words(curve.items)
        ),
        law=_law(claim, curve, down=down),
        over=f"{axis} {phrases.span(x)}",
        runs=runs,
        kept=kept,
    )
    return Compared(finding, left)


def _law(claim: Claim, curve: Curve, *, down: bool) -> float:
    """The exponent of the exact law along the curve; nan if none is known for what is bounded."""
    law = curves.law(curve) if claim.on == quantities.DEFAULT else None
    slope = np.nan if law is None else float(stats.slope_weights(curve.x) @ np.log(law))
    return -slope if down else slope


def _left(axis: str, left: list[Left]) -> str:
    """What is left over each term: "N^-0.01 [-0.03, 0.01]"."""
    many = len(left) > 1
    return ", ".join(
        f"{axis}^{each.exponent:.2f} [{each.low:.2f}, {each.high:.2f}]{f' (term {i})' if many else ''}"
        for i, each in enumerate(left, 1)
    )


def along_axes(compared: list[Compared]) -> str:
    """What was measured along each axis: its worst setting, and how the others came out."""
    return "; ".join(
        _along([each for each in compared if each.finding.axis == axis])
        for axis in dict.fromkeys(each.finding.axis for each in compared)
    )


def _along(compared: list[Compared]) -> str:
    worst = min(compared, key=lambda each: (words.WORST_FIRST.index(each.finding.kind), -abs(each.finding.gap)))
    finding = worst.finding
    beside = words.elsewhere(finding, [each.finding for each in compared])
    measured, bound = (f"{finding.axis}^{round(value, 3):g}" for value in (finding.measured, finding.bound))
    against = f", bound {bound}" if finding.kind != "between terms" else ""
    left = _left(finding.axis, worst.left)
    return f"in {finding.axis} {finding.kind}: measured {measured}{against}, left over {left}{beside}"


# --- constants ---


def ratios(claim: Claim, inside: list[CellData]) -> dict[str, list[Ratio]]:
    """The cells and logarithms that each term's least constant is over, and the sum's where there are several terms."""
    rows: dict[str, list[Ratio]] = {}
    for item in inside:
        if heavy.without_variance(item.cell, claim.on):
            continue
        measured = quantities.values(item, claim.on)[item.ok]
        if len(measured) < summary.FEW or not np.isfinite(measured).all() or stats.mean_interval(measured) is None:
            continue
        logs = np.array(claims.log_terms(item.cell))
        for text, log in zip(claim.bound, logs, strict=True):
            rows.setdefault(text, []).append(Ratio(measured, float(log), item))
        if len(logs) > 1:
            rows.setdefault(SUM, []).append(Ratio(measured, float(np.logaddexp.reduce(logs)), item))
    return rows


def _constant_words(claim: Claim, constant: Constant, compared: list[Compared]) -> str:
    """The sentence on a least constant; no constant is enough where what is bounded outgrows the term."""
    value = f"{constant.value:.3g} [{constant.low:.3g}, {constant.high:.3g}] ({constant.where})"
    index = claim.bound.index(constant.term) if constant.term in claim.bound else None
    what = "all terms with one constant" if index is None else constant.term
    alone = " alone" if index is not None and len(claim.bound) > 1 else ""
    axes = [
        each.finding.axis
        for each in compared
        if each.finding.kind == "contradicted"
        and (index is None or len(claim.bound) == 1 or each.left[index].low > MARGIN)  # one term: it is the bound
    ]
    if axes:
        where, count = " and ".join(dict.fromkeys(axes)), phrases.cells(constant.cells)
        return (
            f"No constant of {what}{alone} would do: {claim.on} / term grows with {where}, and reaches {value} in the"
            f" {count} tried."
        )
    return f"The least constant of {what}{alone} is {value}, over {phrases.cells(constant.cells)}."


# --- which term, and what is left out ---


def _largest(claim: Claim, inside: list[CellData]) -> list[str]:
    """A sentence on where each term is the largest, and where one is too small to count."""
    if len(claim.bound) == 1:
        return []
    logs = np.array([claims.log_terms(item.cell) for item in inside])
    first = logs.argmax(axis=1)
    where = []
    for i, text in enumerate(claim.bound):
        own = [item for item, largest in zip(inside, first, strict=True) if largest == i]
        sizes = f" ({phrases.sizes(own)})" if own else ""
        where.append(f"{text} in {len(own)}{sizes}")
    said = [f"With constants of 1 the largest term is, of {phrases.cells(len(inside))}, {', '.join(where)}."]
    small = (~sums.in_play(logs)).sum(axis=0)
    if small.any():
        each = ", ".join(f"{text} in {count}" for text, count in zip(claim.bound, small, strict=True) if count)
        said.append(f"Terms below {sums.NEGLIGIBLE:g} of the largest excuse no growth: {each}.")
    return said


def _left_out(claim: Claim, found: Evidence, rows: dict[str, list[Ratio]]) -> list[str]:
    """Sentences on the axes and cells that do not count, each with the reason."""
    said = []
    tails = [item for item in units.once(found.inside) if heavy.without_variance(item.cell, claim.on)]
    few = len(units.once(found.inside)) - len(tails) - len(next(iter(rows.values()), []))
    if found.idle:
        axes = " and ".join(curves.WORDS.get(axis, axis) for axis in found.idle)
        said.append(f"Along {axes} a bound has no limit: nothing is compared there.")
    if tails:
        said.append(f"In {phrases.cells(len(tails))} {claim.on} has no variance: nothing is concluded from them.")
    if few:
        said.append(f"In {phrases.cells(few)} so few runs are good, or carry the mean, that there is no interval.")
    kept = phrases.kept_words(found.inside)
    return [*said, f"Means are over good runs: {kept}."] if kept else said
