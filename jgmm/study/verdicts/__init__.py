"""One sentence per theorem: what a study says about it, at a level that stays valid however often one looks.

    consistent, tight      the terms' shapes are the error's along every axis tried, to within the margin
    consistent, loose      a term grows faster, or falls more slowly, along an axis
    consistent             the error is below the bound's floor term, which hides the other
    contradicted           no constants could make the bound hold on over the range tried
    inconclusive           too few runs, sizes or samples to tell
    out of the theorem's regime

A grid is finite and constants are hidden: a theorem is at best consistent with what was tried, and what was tried is
said. `claims` has the terms that an error is compared with, each with a constant of its own, and the regime: cells
outside speak neither for a theorem nor against it. Nothing is written in: exponents come from `curves.against_bound`,
means and laws from `curves.against_law`, the rest from the cells.

Level: the j-th look at growing data tests at 0.05/(j(j+1)) in all, split evenly over a theorem's comparisons and
constants. The sum over any number of looks is below 0.05, so a study may be looked at and grown, also without a plan:
looks that are not declared are why this and not a split over declared ones; a confidence sequence would be wider at the
first looks.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm import theory
from jgmm.stats import inference
from jgmm.study import curves, settings
from jgmm.study import expected as laws
from jgmm.study import regime as claims
from jgmm.study import summary as analysis
from jgmm.study.curves import Curve
from jgmm.study.read import CellData
from jgmm.study.spec import Study

GROUPS = 24  # of runs, for the jackknife of a floor's logarithm
LEAST_CONVERGING = 100  # runs for a word on the basin: of 71 that all converge the exact interval begins below 95 %
AXES = ("n", "k", "d", "sigma")  # that variance terms are about
AT_FLOOR = 0.05  # of an error: with more of it in its floor it bends by more than the margin within a decade of N
HALF = 0.5  # of an error: with more of it in its floor the floor term is the right one
SAME = 1e-4  # relatively: more than float32 rounds a squared error, less than one sample in another centre moves it
SUCCESS = 0.9  # of starts, where 1 - 1/k asks for less: at k = 2 it asks for one half, which says nothing
OUT = "out of the theorem's regime"
STATEMENTS = {
    1: "E sum |mu_i - mu_i*|^2 <= max|mu*|^2/N^a + O(k^3)(sigma^2 d ln N/N + exp(-C^2/8)(C^2 + k) sigma^2)",
    2: "Theorem 1's error for the streaming phase alone, from a start within C sigma/20, for C of order sqrt(ln k)",
    3: "max |mu_i^0 - mu_i*| <= C sigma/20 with probability 1 - 1/poly(k), for C of order (k ln k)^(1/4)",
    7: "E |mu - mu*|^2 <= |mu*|^2/N^a + O(1)(ln N/N) d sigma^2 for streaming EM, C >= 4, start within C sigma/20",
}


class Finding(NamedTuple):
    """One comparison that a verdict rests on; `bound` is the exponent of the term that the axis is about.

    kind: tight, loose, contradicted, inconclusive. Or the error grows faster than the variance term, but is below the
    floor term ("floor term"), or the theorem asks for more samples ("few samples"), or is not about these updates
    ("exceeds"). Of Theorem 3 also: fails.
    """

    theorem: str
    part: str
    axis: str
    setting: str
    kind: str
    measured: float
    bound: float
    gap: float
    low: float
    high: float
    detail: str
    law: float = np.nan  # the exact law's own, where it is known
    over: str = ""  # which sizes
    runs: int = 0  # good in every cell
    kept: float = 1.0  # the least share of a cell's runs that are


class Constant(NamedTuple):
    """The largest error / term over the cells where that term is the right one, with its simultaneous interval."""

    term: str
    value: float
    low: float
    high: float
    where: str
    cells: int


class Verdict(NamedTuple):
    """A sentence about a theorem."""

    theorem: str
    verdict: str
    sentence: str
    statement: str
    level: float
    look: int
    findings: list[Finding]
    constants: list[Constant]


class LawVerdict(NamedTuple):
    """The exact laws beside the simulation; `agrees` is None where too few runs could tell."""

    agrees: bool | None
    sentence: str


def verdicts(study: Study, data: list[CellData], look: int) -> list[Verdict]:
    """A verdict for each theorem that the study's cells are held against."""
    level = inference.look_level(look)
    found = []
    groups = {(item.cell.theorem, item.cell.beta) for item in data if isinstance(item.cell.theorem, int)}
    for theorem, beta in sorted(groups, key=lambda group: (group[0], group[1] or 0)):
        mine = [item for item in data if (item.cell.theorem, item.cell.beta) == (theorem, beta)]
        made = _third(mine, level) if theorem == 3 else _bounded(theorem, study, mine, level)
        name = f"{theorem}" if beta in (None, 1) else f"{theorem} (beta = {beta:g})"
        statement = STATEMENTS[theorem]
        found.append(Verdict(name, made.kind, made.sentence, statement, level, look, made.findings, made.constants))
    return found


class _Made(NamedTuple):
    """What there is to say about a theorem."""

    kind: str
    sentence: str
    findings: list[Finding]
    constants: list[Constant]


# --- Theorems 1, 2 and 7: an error and the terms of its bound ---


def _bounded(theorem: int, study: Study, mine: list[CellData], level: float) -> _Made:
    reasons = [claims.outside(item) for item in mine]
    conditions = [{reason.condition for reason in found} for found in reasons]
    other = mine[0].cell.beta not in (None, 1)  # the same for all
    inside = [item for item, found in zip(mine, conditions, strict=True) if found <= {claims.BETA}]
    settled = [item for item, found in zip(mine, conditions, strict=True) if _settles(item, found)]
    lines = [c for c in curves.curves(study, inside) if c.axis in AXES and curves.usable(c)]
    above = [_above_floor(curve) for curve in lines]
    compared = [curve for curve in above if len(curve.x) >= 3]
    fallen = _floor_curves(study, settled)
    floors = [floor for floor in fallen if len(floor.curve.x) >= 3]
    terms = _ratios(inside, settled)
    each = level / max(len(compared) + len(floors) + len(terms), 1)
    findings = [_finding(theorem, curve, each, other) for curve in compared]
    findings += [_floor_finding(theorem, floor, each) for floor in floors]
    constants = [_constant(term, rows, each) for term, rows in terms.items()]
    if not inside and not settled:
        kind, words = OUT, [f"Theorem {theorem}: {OUT}."]
    elif other:
        updates = f"updates with beta = {mine[0].cell.beta:g}, as the seed document prints them, are not its algorithm"
        kind, words = OUT, [f"Theorem {theorem}: {OUT}: {updates}."]
        if findings:
            words.append(f"Held against its bound all the same: {_all_told(findings)}.")
    else:
        kind, said = _conclude(findings)
        words = [f"Theorem {theorem}{said}."]
        words += [f"{_sentence(_all_told(findings))}."] if findings else []
    if inside or settled:
        words += _tried(mine, inside, settled)
        words += [_constant_words(constant, findings) for constant in constants]
        words += _silent(inside, lines, above, fallen, floors)
    words += _basin(mine)
    count = sum(bool(found) for found in reasons)
    if count:
        words.append(f"{count} of {len(mine)} cells are out of its regime: {claims.told(reasons)}.")
    return _Made(kind, " ".join(words), findings, constants)


def _settles(item: CellData, conditions: set[str]) -> bool:
    """Whether a cell's mean displacement is that of the fixed point that the algorithm has as N grows.

    The paper's step goes to 0 with N, so that limit is where any small constant step settles.
    """
    known = item.displacement is not None and item.cell.theorem in (1, 2) and item.cell.rate is not None
    return known and conditions <= {claims.STEP}


def _above_floor(curve: Curve) -> Curve:
    """The sizes whose error is not, by more than AT_FLOOR of it, the floor that no number of samples removes."""
    keep = [i for i, item in enumerate(curve.items) if not _floor_share(item) > AT_FLOOR]
    return curve._replace(x=curve.x[keep], items=[curve.items[i] for i in keep])


def _floor_share(item: CellData) -> float:
    """The floor over the mean error: measured, or its exact law; nan where neither is known."""
    measured = _measured_floor(item)
    floor = laws.floor(item) if measured is None else measured.value
    mean = item.error_sq.mean() if item.ok.any() else 0.0
    return float(floor / mean) if floor is not None and mean > 0 else np.nan


def _finding(theorem: int, curve: Curve, level: float, other: bool) -> Finding:
    term = np.array([claims.variance(item) for item in curve.items], float)
    found = curves.against_bound(curve.x, curves.values(curve), term, level)
    kind = found.kind
    if kind == "contradicted":
        kind = "exceeds" if other else _may_contradict(theorem, curve, level)
    axis = curves.WORDS.get(curve.axis, curve.axis)
    local = ", ".join(f"{exponent:+.3f}" for exponent in found.local)
    detail = f"measured {axis}^{found.slope:.3f}, term {axis}^{found.bound:.3f}; local exponents {local}"
    law = curves.known(curve, "law")
    slope = np.nan if law is None else float(curves.slope_weights(curve.x) @ np.log(law))
    numbers = (found.slope, found.bound, found.gap, found.low, found.high, _joined(detail, _kept_words(curve.items)))
    over = f"{axis} {_span(curve.x)}"
    return Finding(str(theorem), curve.part, axis, curve.setting, kind, *numbers, slope, over, *_kept(curve.items))


def _may_contradict(theorem: int, curve: Curve, level: float) -> str:
    """What an error that grows faster than the variance term says, at sizes where the theorem binds it."""
    if theorem in (1, 2):
        means = curves.values(curve).mean(axis=1)
        floors = np.array([claims.log_floor(item) for item in curve.items])
        if (floors[-2:] >= np.log(means[-2:])).all():
            return "floor term"  # which covers the error with constant 1, whatever the other term does
    keep = [i for i, item in enumerate(curve.items) if claims.enough_samples(item)]
    if len(keep) == len(curve.items):
        return "contradicted"
    if len(keep) < 3:
        return "few samples"
    rest = curve._replace(x=curve.x[keep], items=[curve.items[i] for i in keep])
    term = np.array([claims.variance(item) for item in rest.items], float)
    again = curves.against_bound(rest.x, curves.values(rest), term, level)
    return "contradicted" if again.kind == "contradicted" else "few samples"


def _conclude(findings: list[Finding]) -> tuple[str, str]:
    """The verdict's kind and the head of its sentence."""
    kinds = {finding.kind for finding in findings}

    def of(kind: str) -> str:
        return " and ".join(dict.fromkeys(finding.axis for finding in findings if finding.kind == kind))

    if not findings:
        return "inconclusive", ": inconclusive: no axis with three sizes and means that can be trusted"
    if "contradicted" in kinds:
        return "contradicted", f" is contradicted in {of('contradicted')}"
    if "few samples" in kinds:
        return "inconclusive", f": inconclusive: it asks for more samples than were tried in {of('few samples')}"
    if "loose" in kinds:
        by = ", ".join(dict.fromkeys(_by(finding) for finding in _widest(findings)))
        return "consistent, loose", f" is consistent with what was tried, loose by {by}"
    if "inconclusive" in kinds:
        return "inconclusive", f": inconclusive: too few runs to tell in {of('inconclusive')}"
    if "floor term" in kinds:
        return "consistent", " is consistent with what was tried: its floor term covers the error"
    return "consistent, tight", f" is consistent with what was tried, tight in {of('tight')} up to its constants"


def _widest(findings: list[Finding]) -> list[Finding]:
    """The largest gap of each axis that is loose."""
    loose = [finding for finding in findings if finding.kind == "loose"]
    return [
        min((f for f in loose if f.axis == axis), key=lambda f: f.gap) for axis in dict.fromkeys(f.axis for f in loose)
    ]


def _by(finding: Finding) -> str:
    if finding.axis == "exp(-C^2)":
        return f"{_fall(finding.bound)} against {_fall(finding.measured)} in the floor"
    return f"{finding.axis}^{-finding.gap:.2f} [{-finding.high:.2f}, {-finding.low:.2f}]"


def _fall(rate: float) -> str:
    return f"exp(-C^2/{1 / rate:.3g})" if rate > 0 else f"exp({-rate:.3g} C^2)"


def _all_told(findings: list[Finding]) -> str:
    return "; ".join(_told(findings, axis) for axis in dict.fromkeys(finding.axis for finding in findings))


def _told(findings: list[Finding], axis: str) -> str:
    """What was found along an axis, at its worst setting, and over which sizes."""
    mine = [finding for finding in findings if finding.axis == axis]
    order = ("contradicted", "exceeds", "few samples", "floor term", "loose", "inconclusive", "tight")
    worst = min(mine, key=lambda f: (order.index(f.kind), -abs(f.gap)))
    others = {f.kind for f in mine} - {worst.kind}
    elsewhere = f" ({worst.setting}; elsewhere {', '.join(sorted(others))})" if others else ""
    if axis == "exp(-C^2)":
        law = "" if np.isnan(worst.law) else f": its law's secant is {_fall(worst.law)}"
        return (
            f"from {worst.over} the floor falls by {_fall(worst.measured)} end to end (a secant, no law{law}), the"
            f" floor term by {_fall(worst.bound)}{elsewhere}"
        )
    faster = {
        "few samples": f" (with fewer samples than {claims.SAMPLES.get(int(worst.theorem), '')})",
        "floor term": " (but stays below the floor term with constant 1)",
    }.get(worst.kind, "")
    grows = worst.kind in ("contradicted", "exceeds", "few samples", "floor term")
    kind = "faster than the variance term" + faster if grows else worst.kind
    numbers = f"measured {axis}^{round(worst.measured, 3):g}, variance term {axis}^{round(worst.bound, 3):g}"
    return f"in {axis} {kind}: {numbers}{elsewhere}"


def _tried(mine: list[CellData], inside: list[CellData], settled: list[CellData]) -> list[str]:
    """What the verdict rests on: cells, sizes, runs, and how many samples of those that are asked for."""
    ids = {item.id for item in (*inside, *settled)}
    counted = [item for item in mine if item.id in ids]
    runs = _span([len(item.ok) for item in counted])
    words = [f"Tried: {_cells(len(counted))} of {runs} runs, {_ranges(counted)}."]
    part = sorted(
        {item.cell.start for item in inside if item.cell.theorem == 1 and item.cell.start != "seeding"}, key=str
    )
    if part:
        count = sum(item.cell.start != "seeding" for item in inside)
        words.append(f"In {_cells(count)} the start is within C sigma/20, as Theorem 3 promises of Algorithm 2.")
    elsewhere = [item for item in settled if item.id not in {i.id for i in inside}]
    if elsewhere:
        words.append(
            f"In {_cells(len(elsewhere))} the step is not the paper's: only their floors count, since fixed points are"
            " where the paper's step, which falls with N, leads to."
        )
    asked = claims.SAMPLES.get(int(mine[0].cell.theorem))
    if inside and asked:
        count = sum(claims.enough_samples(item) for item in inside)
        words.append(f"N >= {asked} with constant 1 (its own is hidden) holds in {count} of {_cells(len(inside))}.")
    return words


def _silent(
    inside: list[CellData],
    lines: list[Curve],
    above: list[Curve],
    fallen: list["FloorCurve"],
    floors: list["FloorCurve"],
) -> list[str]:
    """What was left out, and why."""
    words = []
    hidden = sum(len(a.items) - len(b.items) for a, b in zip(lines, above, strict=True))
    if hidden:
        words.append(f"In {_cells(hidden)} more than {AT_FLOOR:.0%} of the error is its floor: no exponents there.")
    between = sum(AT_FLOOR < _floor_share(item) <= HALF for item in inside)
    if between:
        words.append(
            f"In {_cells(between)} {AT_FLOOR:.0%} to {HALF:.0%} of the error is its floor: they count for neither"
            " constant."
        )
    carried = [i for i in inside if i.ok.sum() >= analysis.FEW and inference.carried_by_few(i.error_sq)]
    if carried:
        words.append(
            f"In {len(carried)} of {_cells(len(inside))} the mean is carried by a few runs with lost centres:"
            " no exponent was fitted there."
        )
    few = sum(item.ok.sum() < analysis.FEW for item in inside)
    if few:
        words.append(f"In {_cells(few)} fewer than {analysis.FEW} runs are good: no exponent was fitted there.")
    exact = [i for i in inside if i.ok.sum() >= analysis.FEW and not i.error_sq.any()]
    if exact:
        words.append(f"In {_cells(len(exact))} every error is exactly 0, which has no exponent.")
    if len(floors) < len(fallen):
        words.append(
            f"{len(fallen) - len(floors)} of {len(fallen)} floors stand above their noise at fewer than three C."
        )
    kept = _kept_words(inside)
    return [*words, f"Means are over good runs: {kept}."] if kept else words


def _kept(items: list[CellData]) -> tuple[int, float]:
    """Runs that are good in every cell, and the least share of a cell's runs that is."""
    common = min(len(item.ok) for item in items)
    good = np.logical_and.reduce([item.ok[:common] for item in items])
    return int(good.sum()), float(min(item.ok.mean() for item in items))


def _kept_words(items: list[CellData]) -> str:
    """Where means leave runs out; nothing where they do not."""
    worst = min(items, key=lambda item: item.ok.mean(), default=None)
    if worst is None or worst.ok.all():
        return ""
    return f"{worst.ok.sum()} of {len(worst.ok)} runs are good in the worst cell ({_where(worst)})"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _where(item: CellData) -> str:
    return settings.where(item.cell)


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _span(values: Iterable[float]) -> str:
    """Its ends: 2 to 16, or 12 alone."""
    ends = min(values), max(values)
    return " to ".join(f"{value:.7g}" for value in dict.fromkeys(ends))


def _ranges(items: list[CellData]) -> str:
    """The sizes of these cells."""
    sizes: dict[str, list[float]] = {
        "N": [i.cell.n for i in items],
        "k": [i.cell.k for i in items],
        "d": [i.cell.d for i in items],
    }
    sizes |= {"C": [round(i.cell.separation, 3) for i in items], "sigma": [i.cell.sigma for i in items]}
    if all(item.cell.start_only for item in items):
        del sizes["N"]
    return ", ".join(f"{name} {_span(values)}" for name, values in sizes.items())


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


class _Ratio(NamedTuple):
    """A measured error or floor (of runs, or displacements of runs) and ln of the term that it is held against."""

    values: np.ndarray
    log_term: float
    item: CellData


def _ratios(inside: list[CellData], settled: list[CellData]) -> dict[str, list[_Ratio]]:
    """Errors and variance terms of cells above their floors, floors and floor terms of the others."""
    found: dict[str, list[_Ratio]] = {}
    for item in inside:
        if item.ok.sum() < analysis.FEW or inference.mean_interval(item.error_sq) is None:
            continue
        share, variance = _floor_share(item), claims.variance(item)
        if variance and not share > AT_FLOOR:
            found.setdefault("variance", []).append(_Ratio(item.error_sq, float(np.log(variance)), item))
        elif share > HALF and _measured_floor(item) is None:
            found.setdefault("floor", []).append(_Ratio(item.error_sq, claims.log_floor(item), item))
    for item in settled:
        vectors = analysis.floor_vectors(item)
        if vectors is not None and _measured_floor(item) is not None:
            found.setdefault("floor", []).append(_Ratio(vectors, claims.log_floor(item), item))
    return found


def _constant(term: str, rows: list[_Ratio], level: float) -> Constant:
    """The largest ratio, each with an interval at level / cells: the least constant over the cells tried."""
    ends = []
    for values, log_term, item in rows:
        value, low, high = _interval(values, level / len(rows))
        with np.errstate(over="ignore"):  # the floor term underflows far out: then no constant would do
            scale = np.exp(-log_term)
        ends.append((value * scale, low * scale, high * scale, _where(item)))
    worst = max(ends)
    lows, highs = ([row[i] for row in ends] for i in (1, 2))
    return Constant(term, float(worst[0]), float(max(lows)), float(max(highs)), worst[3], len(rows))


def _interval(values: np.ndarray, level: float) -> inference.Interval:
    """Of a mean error, open where the runs cannot tell; of the squared length of a mean displacement Student's t."""
    if values.ndim == 1:
        return inference.mean_interval(values, 1 - level) or inference.Interval(float(values.mean()), 0.0, np.inf)
    mean = inference.squared_length(values)
    reach = float(stats.t.ppf(1 - level / 2, mean.runs - 1)) * mean.standard_error
    return inference.Interval(mean.value, mean.value - reach, mean.value + reach)


def _constant_words(constant: Constant, findings: list[Finding]) -> str:
    value = f"{constant.value:.3g} [{constant.low:.3g}, {constant.high:.3g}] ({constant.where})"
    grows = ("contradicted", "exceeds", "few samples", "floor term")
    axes = [f.axis for f in findings if f.kind in grows and (f.axis == "exp(-C^2)") == (constant.term == "floor")]
    what = "floor" if constant.term == "floor" else "error"
    if axes:
        where = " and ".join(dict.fromkeys(axes)).replace("exp(-C^2)", "C")
        return (
            f"No constant of the {constant.term} term would do: {what} / term grows with {where}, and reaches {value}"
            f" in the {_cells(constant.cells)} tried."
        )
    return f"The least constant of the {constant.term} term is {value}, over {_cells(constant.cells)}."


def _basin(items: list[CellData]) -> list[str]:
    """From how far away 95 % of runs or more (the low end of the interval) converge, where starts were tried."""
    told, few = [], []
    for separation in sorted({item.cell.separation for item in items}):
        mine = [i for i in items if i.cell.separation == separation and isinstance(i.cell.start, float)]
        starts = sorted({i.cell.start for i in mine})
        if len(starts) < 3:
            continue
        if min(len(i.ok) for i in mine) < LEAST_CONVERGING:
            few.append(f"{separation:g}")
            continue
        far = None
        for start in starts:
            here = [i for i in mine if i.cell.start == start]
            if any(analysis.converged(i, len(i.samples) - 1).low < 0.95 for i in here):
                break
            far = float(start)
        if far is None:
            told.append(f"none of those tried at C = {separation:g}")
        else:
            told.append(f"{far:g}{' or more' if far == starts[-1] else ''} at C = {separation:g}")
    words = []
    if told:
        words.append(f"Runs converge (95 % of them or more) from starts up to {', '.join(told)}, in units of sigma.")
    if few:
        words.append(f"From where they converge at C = {', '.join(few)} takes {LEAST_CONVERGING} runs to tell.")
    return words


# --- floors ---


class FloorCurve(NamedTuple):
    """A curve along the separation, of the cells whose floor stands above its noise, and where it does not."""

    curve: Curve
    unseen: list[float]


def _floor_curves(study: Study, items: list[CellData]) -> list[FloorCurve]:
    """The curves along the separation whose cells recorded displacements."""
    found = []
    if all(item.displacement is None for item in items):
        return []
    for curve in curves.curves(study, items):
        if curve.axis != "separation" or any(item.displacement is None for item in curve.items):
            continue
        parted: dict[bool, list[CellData]] = {True: [], False: []}
        for item in curve.items:
            parted[_measured_floor(item) is not None].append(item)
        x = np.array([item.cell.separation for item in parted[True]])
        unseen = [item.cell.separation for item in parted[False]]
        found.append(FloorCurve(curve._replace(x=x, items=parted[True]), unseen))
    return found


def _measured_floor(item: CellData) -> inference.Mean | None:
    """The squared mean displacement; None unless it is 4 standard errors above 0.

    With two runs or more in each group of the jackknife.
    """
    vectors = analysis.floor_vectors(item)
    if vectors is None or len(vectors) < 2 * GROUPS:
        return None
    found = inference.squared_length(vectors)
    return found if found.value > 4 * found.standard_error else None


def floor_logs(items: list[CellData]) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the floors (squared mean displacements), and their covariance by a jackknife over groups of runs.

    The groups are those of runs that all cells share, so that what common random numbers correlate is kept.
    """
    common = min(len(item.ok) for item in items)
    good = np.logical_and.reduce([item.ok[:common] for item in items])
    group = np.arange(good.sum()) * GROUPS // max(good.sum(), 1)
    vectors = []
    for item in items:
        every = np.zeros((len(item.ok), 0)) if item.displacement is None else item.displacement
        twin = 0.0 if item.twin_displacement is None else item.twin_displacement
        vectors.append((every - twin)[:common][good])

    def logs(keep: np.ndarray) -> np.ndarray:
        lengths = np.array([inference.squared_length(v[keep]).value for v in vectors])
        return np.log(np.maximum(lengths, np.finfo(float).tiny))

    whole = logs(np.ones(good.sum(), bool))
    without = np.stack([logs(group != g) for g in range(GROUPS)])
    centred = without - without.mean(axis=0)
    return whole, centred.T @ centred * (GROUPS - 1) / GROUPS


def _floor_finding(theorem: int | str, floor: FloorCurve, level: float) -> Finding:
    """-d log floor / d C^2 between neighbours and end to end, against the bound's: 1/D of exp(-C^2/D)."""
    curve, unseen = floor
    logs, covariance = floor_logs(curve.items)
    u = curve.x**2
    steps = np.diff(u)
    bounds = np.array([claims.log_floor(item) for item in curve.items])
    ends = np.zeros((1, len(u)))
    ends[0, [0, -1]] = np.array([1.0, -1.0]) / (u[-1] - u[0])
    neighbours = (np.eye(len(u))[:-1] - np.eye(len(u))[1:]) / steps[:, None]
    contrast = np.concatenate([ends, neighbours])
    falls, bound_falls = contrast @ logs, contrast @ bounds
    errors = np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance, contrast))
    quantile = float(stats.t.ppf(1 - level / (2 * len(contrast)), GROUPS - 1))
    gaps = bound_falls - falls  # above 0: the measured floor falls more slowly than the bound's
    low, high = gaps - quantile * errors, gaps + quantile * errors
    margin = 0.01  # of 1/D: at D = 8 from 7.4 to 8.7
    if low[0] > margin or low[-1] > margin:
        kind = "contradicted"
    elif high[0] < -margin:
        kind = "loose"
    elif low[0] > -margin and high[0] < margin:
        kind = "tight"
    else:
        kind = "inconclusive"
    exact = [laws.floor(item) for item in curve.items]
    law, secant = "", np.nan
    if all(value is not None and value > 0 for value in exact):
        exact_logs = np.log(np.array(exact, float))
        law, secant = f", exact law {_divisors(exact_logs, u)}", float((contrast @ exact_logs)[0])
    detail = f"D of exp(-C^2/D) between neighbours: measured {_divisors(logs, u)}{law}, bound {_divisors(bounds, u)}"
    if unseen:
        detail += f"; without C = {', '.join(f'{c:g}' for c in unseen)}, where the floor is not above its noise"
    numbers = (float(falls[0]), float(bound_falls[0]), float(gaps[0]), float(low[0]), float(high[0]))
    detail = _joined(detail, _kept_words(curve.items))
    over, kept = f"C = {_span(curve.x)}", _kept(curve.items)
    return Finding(str(theorem), curve.part, "exp(-C^2)", curve.setting, kind, *numbers, detail, secant, over, *kept)


class FloorFit(NamedTuple):
    """1/D of exp(-C^2/D) along a curve: end to end with its 95 % interval, of the law, and of the bound's floor."""

    part: str
    setting: str
    measured: float
    low: float
    high: float
    law: float
    bound: float
    detail: str
    sizes: int
    runs: int


def floor_fits(study: Study, data: list[CellData]) -> list[FloorFit]:
    """How floors fall with C^2 on every curve that recorded displacements, whatever theorem it is held against."""
    found = []
    for floor in _floor_curves(study, data):
        curve = floor.curve
        if len(curve.x) < 3:
            continue
        finding = _floor_finding("", floor, 0.05 * len(curve.x))  # level / (1 + neighbours) of it: 5 % for the whole
        ends = (finding.measured, finding.bound - finding.high, finding.bound - finding.low, finding.law)
        sizes = (len(curve.x), finding.runs)
        found.append(FloorFit(curve.part, curve.setting, *ends, finding.bound, finding.detail, *sizes))
    return found


def _divisors(logs: np.ndarray, u: np.ndarray) -> str:
    return " ".join(f"{divisor:.3g}" for divisor in -np.diff(u) / np.diff(logs))


# --- Theorem 3 ---


def _third(mine: list[CellData], level: float) -> _Made:
    """Success of the seeding, for the best sizes of each (k, C).

    The constants in C, B and k0 and the polynomial in 1 - 1/poly(k) are hidden: failures at sizes tried never
    contradict, and success is a share with its interval, held against SUCCESS or 1 - 1/k, whichever asks for more.
    """
    reasons = [claims.outside(item) for item in mine]
    inside = [item for item, found in zip(mine, reasons, strict=True) if not found]
    if not inside:
        sentence = f"Theorem 3: {OUT}: {claims.told(reasons)}."
        return _Made(OUT, sentence, [], [])
    findings = [_success(item, level / len(inside)) for item in inside]
    paired = list(zip(inside, findings, strict=True))
    best = {k: _threshold([pair for pair in paired if pair[0].cell.k == k]) for k in sorted({i.cell.k for i in inside})}
    held = {k: found for k, found in best.items() if found is not None}
    if len(held) == len(best):
        slack = 1 / max(max(found.ratio for found in held.values()), 1e-30)
        kind = "consistent, loose" if slack > 1.25 else "consistent, tight"
        by = f"loose by {slack:.3g} times at the largest C" if slack > 1.25 else "tight at the largest C"
        words = [f"Theorem 3 is consistent with what was tried, {by}."]
    else:
        kind = "inconclusive"
        missing = ", ".join(f"k = {k}" for k in best if k not in held)
        words = [
            f"Theorem 3: inconclusive: no sizes tried are seen to put enough starts within C sigma/20 for {missing}."
        ]
    words.append(f"Tried: {_cells(len(inside))} of {_span([len(i.ok) for i in inside])} runs, {_seedings(inside)}.")
    for k, found in held.items():
        words.append(
            f"At k = {k}, {_target(k):.3g} of the starts or more are within from C = {found.separation:.3g} on"
            f" ({found.separation / max(float(theory.theorem1_separation(k)), 1e-9):.3g} times (k ln k)^(1/4);"
            f" {found.sizes}); the least share is {found.share}."
        )
    for k in best:
        if k not in held:
            words.append(f"At k = {k} the largest share is {_largest(paired, k)}.")
            runs = _least_runs(_target(k), level / len(inside))
            if runs > min(len(i.ok) for i in inside if i.cell.k == k):
                words.append(
                    f"With {_cells(len(inside))} tested at once it takes {runs} runs, all within, to see"
                    f" {_target(k):.3g}."
                )
    words.append(
        f"1 - 1/poly(k) hides a polynomial: 1 - 1/k would ask for {1 - 1 / min(best):.3g} at k = {min(best)}, and"
        f" {SUCCESS:g} is asked for here where that is more."
    )
    failed = sum(finding.kind == "fails" for finding in findings)
    if failed:
        words.append(f"In {failed} of {_cells(len(findings))} fewer are within: C, B or k0 are too small there.")
    count = sum(claims.enough_samples(item) for item in inside)
    words.append(
        f"N0 >= {claims.SAMPLES[3]} with constant 1 (its own is hidden) holds in {count} of {_cells(len(inside))}."
    )
    out = sum(bool(found) for found in reasons)
    if out:
        words.append(f"{out} of {len(mine)} cells are out of its regime: {claims.told(reasons)}.")
    return _Made(kind, " ".join(words), findings, [])


def _target(k: int) -> float:
    return max(SUCCESS, 1 - 1 / k)


def _least_runs(target: float, level: float) -> int:
    """The runs of which all must be hits for the exact interval, from (level/2)^(1/n) on, to lie above target."""
    return int(np.log(level / 2) / np.log(target)) + 1


def _seedings(items: list[CellData]) -> str:
    """The sizes of these seedings."""
    sizes = [item.cell.seeding for item in items]
    spans = {"B": "block", "k0": "graph_points", "N0": "n"}
    return ", ".join(
        [_ranges(items), *(f"{name} {_span([getattr(s, field) for s in sizes])}" for name, field in spans.items())]
    )


def _largest(paired: list[tuple[CellData, Finding]], k: int) -> str:
    """The largest share of starts within C sigma/20 that some sizes gave."""
    return max((_within(item) for item, _ in paired if item.cell.k == k), key=lambda share: share[0])[1]


def _within(item: CellData) -> tuple[float, str]:
    """The share of a cell's starts within C sigma/20, and the words for it, with its own 95 % interval."""
    limit = float(theory.theorem3_bound(separation=item.cell.separation, sigma=max(item.cell.scales)))
    hits = item.values["error_max"][:, -1] <= limit  # of a failed seeding it may be no number: not within
    share = analysis.proportion(hits)
    where = f"C = {item.cell.separation:.3g}, {_sizes(item)}"
    words = f"{share.value:.3g} [{share.low:.3g}, {share.high:.3g}] ({int(hits.sum())} of {len(hits)}; {where})"
    return share.value, words


def _sizes(item: CellData) -> str:
    sizes = item.cell.seeding
    assert sizes is not None
    return f"B = {sizes.block}, k0 = {sizes.graph_points}, N0 = {sizes.n}"


class Threshold(NamedTuple):
    """From which separation on the seeding succeeds, with which sizes, its least share there, and how far within."""

    separation: float
    sizes: str
    ratio: float
    share: str


def _threshold(paired: list[tuple[CellData, Finding]]) -> Threshold | None:
    """The least C from which on every larger C tried succeeds, for the best of the sizes; None if there is none."""
    groups: dict[tuple, list[tuple[CellData, Finding]]] = {}
    for item, finding in paired:
        groups.setdefault((item.cell.d, item.cell.seeding), []).append((item, finding))
    found = []
    for mine in groups.values():
        mine = sorted(mine, key=lambda pair: -pair[0].cell.separation)
        within = []
        for item, finding in mine:
            if finding.kind not in ("loose", "tight"):
                break
            within.append(item)
        if within:
            least = min((_within(item) for item in within), key=lambda share: share[0])[1]
            found.append(Threshold(within[-1].cell.separation, _sizes(within[-1]), mine[0][1].measured, least))
    return min(found, key=lambda t: (t.separation, t.ratio)) if found else None


def _success(item: CellData, level: float) -> Finding:
    """The quantile of the largest distance over C sigma/20, with its order-statistic interval.

    Hits are seen to be more than wanted just where the interval's upper end is one of them (both are the binomial law's
    tail at the same level), so that a success has its interval, and ends within the limit.
    """
    cell = item.cell
    limit = float(theory.theorem3_bound(separation=cell.separation, sigma=max(cell.scales)))
    largest = item.values["error_max"][:, -1].astype(float)
    target = _target(cell.k)
    hits = int((largest <= limit).sum())
    share = inference.proportion(hits, len(largest), 1 - level)
    value, low, high = (x / limit for x in analysis.quantile(largest, target, 1 - level))
    if share.low > target:
        kind = "loose" if high < 0.8 else "tight"
    elif share.high < target:
        kind = "fails"
    else:
        kind = "inconclusive"
    sizes = cell.seeding
    assert sizes is not None
    detail = (
        f"B={sizes.block} k0={sizes.graph_points} N0={sizes.n} {sizes.method}: {hits} of {len(largest)} runs within"
        f" C sigma/20 [{share.low:.4f}, {share.high:.4f}], wanted {target:.3g}"
    )
    setting = f"k={cell.k} d={cell.d} C={cell.separation:.3g}"
    numbers = (value, 1.0, value - 1, low, high, detail)
    kept = (int(item.ok.sum()), float(item.ok.mean()))
    return Finding("3", cell.part, "success", setting, kind, *numbers, np.nan, f"{target:.3g} of starts", *kept)


# --- laws ---


def law_verdict(data: list[CellData], look: int) -> LawVerdict | None:
    """Do all cells agree with their exact laws at the last checkpoint (floors included)? None where no law is known."""
    names, samples, expected, accuracy = [], [], [], []
    for item in data:
        law = laws.law(item, len(item.samples) - 1)
        if law.error_sq is not None and law.accuracy is not None and np.isfinite(law.accuracy):
            names.append((item, ""))
            samples.append(analysis.law_sample(item))
            expected.append(law.error_sq)
            accuracy.append(law.accuracy)
        exact, vectors = laws.floor(item), analysis.floor_vectors(item)
        if exact is not None and vectors is not None:
            names.append((item, "floor, "))
            samples.append(vectors)
            expected.append(exact)
            accuracy.append(laws.floor_accuracy(item))
    if not names:
        return None
    check = curves.against_law(samples, expected, accuracy, inference.look_level(look))
    untold = f"have fewer than {inference.LEAST_RUNS} good runs, runs without any error, or are carried by a few."
    if check.worst is None:
        return LawVerdict(None, f"Not tested: all {check.untested} means with a known law {untold}")

    def where(index: int) -> str:
        item, what = names[index]
        cell = item.cell
        return f"{what}{cell.part}, k={cell.k} d={cell.d} C={cell.separation:g} N={cell.n}"

    largest = f"{check.largest:.2g} standard errors ({where(check.worst)})"
    if check.agrees is False:
        said = f"{check.cells} means have a known law, the worst is off by {largest}: simulation or law is wrong there."
    elif check.short:
        said = (
            f"{check.cells - len(check.short)} of {check.cells} means with a known law agree with it."
            f" {len(check.short)} are below half of theirs ({where(check.short[0])}): the law is wrong, or runs as rare"
            f" as 1 in {1 / curves.RARE:g} carry the mean, which {check.enough} runs would show."
        )
    else:
        said = f"All {check.cells} means with a known law agree with it: the least likely is off by {largest}"
        # Few or skewed runs stray by many standard errors: what that says is its probability.
        said += f", which has probability {min(2 * check.chance, 1):.1g}." if check.largest else "."
    if check.together is not None:
        ratio = check.together
        said += f" Over all of them measured / law is {ratio.value:.4g} ± {ratio.standard_error:.1g}."
    alone = sum(not what and _same_as_twin(item) for item, what in names)
    if alone:
        said += (
            f" In {alone} of {len(names)} estimate and twin agree in every run, as if every label were known: of these"
            " it is the labelled law that is tested, not what overlap does."
        )
    if check.untested:
        said += f" {check.untested} more {untold}"
    return LawVerdict(check.agrees, said)


def _same_as_twin(item: CellData) -> bool:
    """Whether every good run ends where it would with all labels known, but for rounding."""
    if item.twin is None:
        return False
    twin = item.twin["twin_error_sq"][item.ok, -1].astype(float)
    return bool(np.allclose(item.error_sq, twin, rtol=SAME, atol=0))
