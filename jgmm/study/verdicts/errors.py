"""The verdict on a theorem that bounds an error: its variance term against errors, its floor term against floors.

Cells outside the theorem's regime do not count, with two exceptions. A cell with another step size than the paper's
counts for floors, since a floor is the limit as the step goes to 0. A cell with other updates than the theorem's is
compared with the bound all the same, but the verdict stays out of the regime.
"""

from typing import NamedTuple

from jgmm import stats
from jgmm.study import regime, summary
from jgmm.study.curves import Curve
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.verdicts import basin, constants, exponents, floors, phrases, units, words
from jgmm.study.verdicts.finding import OUT, Conclusion, Finding
from jgmm.study.verdicts.floors import FloorCurve
from jgmm.theory.bounds import Theorem


class Evidence(NamedTuple):
    """The cells with which a study tests a theorem, sorted by what they count for."""

    items: list[CellData]
    unmet: list[list[regime.Reason]]  # for each cell the theorem's conditions that it does not meet
    inside: list[CellData]  # cells whose errors count
    settled: list[CellData]  # cells whose floors count
    lines: list[Curve]  # curves of cells inside, along an axis that the variance term depends on
    above: list[Curve]  # the same curves without cells that are on their floor
    floors: list[FloorCurve]  # curves of settled cells, along the separation

    @property
    def compared(self) -> list[Curve]:
        """The curves with enough sizes above the floor."""
        return [curve for curve in self.above if len(curve.x) >= exponents.LEAST_SIZES]

    @property
    def compared_floors(self) -> list[FloorCurve]:
        """The curves of floors with enough separations above the noise."""
        return [floor for floor in self.floors if floors.long_enough(floor)]


def evidence(study: Study, items: list[CellData]) -> Evidence:
    """Sort the cells that test one theorem."""
    unmet = [regime.unmet(item) for item in items]
    conditions = [{reason.condition for reason in reasons} for reasons in unmet]
    inside = [item for item, names in zip(items, conditions, strict=True) if names <= {regime.UPDATES}]
    settled = [item for item, names in zip(items, conditions, strict=True) if names <= {regime.STEP} and _settles(item)]
    lines = exponents.lines(study, inside)
    above = [exponents.above_floor(curve) for curve in lines]
    return Evidence(items, unmet, inside, settled, lines, above, floors.floor_curves(study, settled))


def _settles(item: CellData) -> bool:
    """Whether the cell has a constant step, measured a floor, and its theorem has a floor term."""
    return item.displacement is not None and item.cell.rate is not None and regime.log_floor(item) is not None


def conclude(theorem: Theorem, study: Study, items: list[CellData], level: float) -> Conclusion:
    """The conclusion from these cells; `level` is split over all comparisons and constants."""
    cells = evidence(study, items)
    by_term = constants.ratios(units.once(cells.inside), units.once(cells.settled))
    comparisons = len(cells.compared) + len(cells.compared_floors) + len(by_term)
    each = level / max(comparisons, 1)
    findings = [exponents.finding(theorem.number, curve, each) for curve in cells.compared]
    findings += [floors.finding(theorem.number, floor, each) for floor in cells.compared_floors]
    least = [constants.constant(term, rows, each) for term, rows in by_term.items()]
    kind, sentences = _headline(theorem, cells, findings)
    if cells.inside or cells.settled:
        sentences += _tried(theorem, cells)
        sentences += [words.constant_words(constant, findings) for constant in least]
        sentences += _left_out(cells)
    sentences += basin.sentences(items)
    sentences += phrases.outside(cells.unmet)
    return Conclusion(kind, " ".join(sentences), findings, least)


def _headline(theorem: Theorem, cells: Evidence, findings: list[Finding]) -> tuple[str, list[str]]:
    """The kind of the verdict, and its first sentences."""
    name = f"Theorem {theorem.number}"
    if not cells.inside and not cells.settled:
        return OUT, [f"{name}: {OUT}."]
    measured = words.along_axes(findings, theorem)
    if not regime.own_updates(cells.items[0]):  # all cells of a verdict have the same beta
        beta = f"{cells.items[0].cell.beta:g}"
        sentences = [
            f"{name}: {OUT}: updates with beta = {beta}, as the course project prints them, are not its algorithm."
        ]
        return OUT, [*sentences, f"Held against its bound all the same: {measured}."] if findings else sentences
    kind, head = words.headline(findings)
    sentences = [f"{name}{head}."]
    return kind, [*sentences, f"{phrases.sentence(measured)}."] if findings else sentences


def _tried(theorem: Theorem, cells: Evidence) -> list[str]:
    """Sentences on the cells, sizes, runs and samples that the verdict rests on."""
    inside = {item.id for item in cells.inside}
    counted = [item for item in cells.items if item.id in inside | {item.id for item in cells.settled}]
    runs = phrases.span([len(item.ok) for item in counted])
    sentences = [f"Tried: {phrases.cells(len(counted))} of {runs} runs, {phrases.sizes(counted)}."]
    sentences += [phrases.started(counted), *units.sentences(counted)]
    near = sum(regime.starts_near_instead(item) for item in cells.inside)
    if near:
        sentences.append(
            f"In {phrases.cells(near)} a start within C sigma/20, Theorem 2's kind, stands for Algorithm 2's: Theorem 3"
            " promises one."
        )
    floors_alone = sum(item.id not in inside for item in cells.settled)
    if floors_alone:
        sentences.append(
            f"In {phrases.cells(floors_alone)} the step is not the paper's: only their floors count, since fixed points"
            " are where the paper's step, which falls with N, leads to."
        )
    if cells.inside and theorem.samples is not None:
        sentences.append(phrases.samples(theorem, cells.inside))
    return sentences


def _left_out(cells: Evidence) -> list[str]:
    """Sentences on the cells, curves and runs that do not count, each with the reason."""
    inside, sentences = cells.inside, []
    enough = [item for item in inside if item.ok.sum() >= summary.FEW]
    hidden = sum(len(a.items) - len(b.items) for a, b in zip(cells.lines, cells.above, strict=True))
    between = sum(exponents.AT_FLOOR < floors.floor_share(item) <= constants.HALF for item in inside)
    carried = sum(stats.carried_by_few(item.error_sq) for item in enough)
    exact = sum(not item.error_sq.any() for item in enough)
    few = len(inside) - len(enough)
    unseen = len(cells.floors) - len(cells.compared_floors)
    at_floor, half = f"{exponents.AT_FLOOR:.0%}", f"{constants.HALF:.0%}"
    if hidden:
        sentences.append(
            f"In {phrases.cells(hidden)} more than {at_floor} of the error is its floor: no exponents there."
        )
    if between:
        sentences.append(
            f"In {phrases.cells(between)} {at_floor} to {half} of the error is its floor: they count for neither"
            " constant."
        )
    if carried:
        sentences.append(
            f"In {carried} of {phrases.cells(len(inside))} the mean is carried by a few runs with lost centres:"
            " no exponent was fitted there."
        )
    if few:
        sentences.append(
            f"In {phrases.cells(few)} fewer than {summary.FEW} runs are good: no exponent was fitted there."
        )
    if exact:
        sentences.append(f"In {phrases.cells(exact)} every error is exactly 0, which has no exponent.")
    if unseen:
        sentences.append(f"{unseen} of {len(cells.floors)} floors stand above their noise at fewer than three C.")
    kept = phrases.kept_words(inside)
    return [*sentences, f"Means are over good runs: {kept}."] if kept else sentences
