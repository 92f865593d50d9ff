"""One sentence per theorem: what a study says about it, at a level that stays valid however often one looks.

The verdict is one of: holds and tight; holds, loose by (what); contradicted; inconclusive; out of the theorem's regime.
It is computed from comparisons of exponents (`curves.against_bound`), of means with laws (`curves.against_law`), of
floors with exp(-C^2/8), and of success rates with 1 - 1/k; nothing is written in.

Level: the j-th look at growing data tests at 0.05/(j(j+1)) in all, split evenly over a theorem's comparisons. The sum
over any number of looks is below 0.05, so a study may be looked at and grown, also without a plan: looks that are not
declared are why this and not a split over declared ones; a confidence sequence would be wider at the first looks.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from jgmm import theory
from jgmm.study import analysis, curves, inference, laws
from jgmm.study.cells import CellData
from jgmm.study.curves import Comparison, Curve
from jgmm.study.spec import Study

GROUPS = 24  # of runs, for the jackknife of a floor's logarithm
LEAST_CONVERGING = 100  # runs for a word on the basin: of 73 that all converge the Wilson interval begins below 95 %
LEAST_RUNS = 8  # good ones, to hold a mean against its law
OUT = "out of the theorem's regime"
STATEMENTS = {
    1: "E sum |mu_i - mu_i*|^2 <= max|mu*|^2/N^a + O(k^3)(sigma^2 d ln N/N + exp(-C^2/8)(C^2 + k) sigma^2)",
    2: "Theorem 1's error for the streaming phase alone, from a start within C sigma/20, for C of order sqrt(ln k)",
    3: "max |mu_i^0 - mu_i*| <= C sigma/20 with probability 1 - 1/poly(k), for C of order (k ln k)^(1/4)",
    7: "E |mu - mu*|^2 <= |mu*|^2/N^a + O(1)(ln N/N) d sigma^2 for streaming EM, C >= 4, start within C sigma/20",
}


class Finding(NamedTuple):
    """One comparison that a verdict rests on."""

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


class Constant(NamedTuple):
    """The largest measured / bound over cells, with its simultaneous interval: the least constant that would do."""

    value: float
    low: float
    high: float
    cell: str


class Verdict(NamedTuple):
    """A sentence about a theorem."""

    theorem: str
    verdict: str
    sentence: str
    statement: str
    level: float
    look: int
    findings: list[Finding]
    constant: Constant | None


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
        inside = [item for item in mine if laws.in_regime(item) is None]
        if theorem == 3:
            found.append(_third(mine, inside, level, look))
        else:
            found.append(_bounded(theorem, study, mine, inside, level, look))
    return found


def _bounded(theorem, study: Study, mine: list[CellData], inside: list[CellData], level: float, look: int) -> Verdict:
    """Theorems 1, 2 and 7: an error and the shape of its bound."""
    beta = mine[0].cell.beta
    name = f"Theorem {theorem}" + (f", updates with beta = {beta:g} (not EM's)," if beta not in (None, 1) else "")
    made: dict[str, Any] = {
        "theorem": f"{theorem}" + (f" (beta = {beta:g})" if beta not in (None, 1) else ""),
        "statement": STATEMENTS[theorem],
        "level": level,
        "look": look,
    }
    outside = [why for item in mine if (why := laws.in_regime(item))]
    if not inside:
        return Verdict(**made, verdict=OUT, sentence=f"{name}: {OUT}: {outside[0]}.", findings=[], constant=None)
    usable = [c for c in curves.curves(study, inside) if c.axis != "separation" and curves.usable(c)]
    known = [(c, curves.known(c, "bound")) for c in usable]
    compared = [(c, b) for c, b in known if b is not None]
    fallen = _floor_curves(study, inside)
    floors = [floor for floor in fallen if len(floor.curve.x) >= 3]
    count = max(len(compared) + len(floors), 1)
    findings = [
        _finding(theorem, c, curves.against_bound(c.x, curves.values(c), b, level / count)) for c, b in compared
    ]
    findings += [_floor_finding(theorem, c, level / count) for c in floors]
    constant = _constant(inside, level)
    kind, sentence = _conclude(findings, constant)
    words = [f"{name} {sentence}" if kind != "inconclusive" else f"{name}: {sentence}"]
    carried = [item for item in mine if item.ok.sum() > 2 and inference.carried_by_few(item.error_sq)]
    if carried:
        words.append(
            f"In {len(carried)} of {len(mine)} cells the mean is carried by a few runs with lost centres:"
            " no exponent was fitted there."
        )
    if len(floors) < len(fallen):
        words.append(
            f"{len(fallen) - len(floors)} of {len(fallen)} floors stand above their noise at fewer than three C."
        )
    words += _basin(mine)
    if outside:
        words.append(f"{len(outside)} of {len(mine)} cells are out of its regime ({outside[0]}).")
    return Verdict(**made, verdict=kind, sentence=" ".join(words), findings=findings, constant=constant)


def _basin(items: list[CellData]) -> list[str]:
    """From how far away 95 % of runs or more (the low end of Wilson's interval) converge, where starts were tried."""
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


def _finding(theorem, curve: Curve, found: Comparison) -> Finding:
    axis = curves.WORDS.get(curve.axis, curve.axis)
    local = ", ".join(f"{exponent:+.3f}" for exponent in found.local)
    detail = f"measured {axis}^{found.slope:.3f}, bound {axis}^{found.bound:.3f}; local exponents {local}"
    numbers = (found.slope, found.bound, found.gap, found.low, found.high)
    return Finding(str(theorem), curve.part, axis, curve.setting, found.kind, *numbers, detail)


def _conclude(findings: list[Finding], constant: Constant | None) -> tuple[str, str]:
    """The verdict's kind and its sentence, from what was found along each axis."""
    if not findings:
        return "inconclusive", "inconclusive: no axis with three sizes and a mean that can be trusted."
    kinds = {finding.kind for finding in findings}
    told = "; ".join(_told(findings, axis) for axis in dict.fromkeys(finding.axis for finding in findings))
    factor = "" if constant is None else f" {_constant_words(constant)}"
    if "contradicted" in kinds:
        return "contradicted", f"is contradicted: {told}.{factor}"
    if "loose" in kinds:
        by = ", ".join(dict.fromkeys(_by(f) for f in _widest(findings)))
        return "holds, loose", f"holds, loose by {by}: {told}.{factor}"
    if "inconclusive" in kinds:
        return "inconclusive", f"inconclusive with so few runs: {told}.{factor}"
    return "holds and tight", f"holds and is tight up to its constant: {told}.{factor}"


def _widest(findings: list[Finding]) -> list[Finding]:
    """The largest gap of each axis that is loose."""
    loose = [finding for finding in findings if finding.kind == "loose"]
    return [
        min((f for f in loose if f.axis == axis), key=lambda f: f.gap) for axis in dict.fromkeys(f.axis for f in loose)
    ]


def _by(finding: Finding) -> str:
    if finding.axis == "exp(-C^2)":
        return f"exp(-C^2/{1 / finding.bound:.3g}) against exp(-C^2/{1 / finding.measured:.3g}) in the floor"
    return f"{finding.axis}^{-finding.gap:.2f} [{-finding.high:.2f}, {-finding.low:.2f}]"


def _told(findings: list[Finding], axis: str) -> str:
    """What was found along an axis, over its settings."""
    mine = [finding for finding in findings if finding.axis == axis]
    order = ("contradicted", "loose", "inconclusive", "tight")
    worst = min(mine, key=lambda f: (order.index(f.kind), -abs(f.gap)))
    if axis == "exp(-C^2)":
        return (
            f"the floor falls as exp(-C^2/{1 / worst.measured:.3g}), the bound's as exp(-C^2/{1 / worst.bound:.3g})"
            " (8, slowed by its factor C^2 + k)"
        )
    said = (
        f"in {axis} {worst.kind}: measured {axis}^{round(worst.measured, 3):g}, bound {axis}^{round(worst.bound, 3):g}"
    )
    others = {f.kind for f in mine} - {worst.kind}
    return said + (f" (elsewhere {', '.join(sorted(others))})" if others else "")


def _constant_words(constant: Constant) -> str:
    least = f"the least constant that would do is {constant.value:.3g} [{constant.low:.3g}, {constant.high:.3g}]."
    if constant.low > 1:
        return f"Unit constants would be too small: {least}"
    if constant.high < 1:
        return f"With unit constants the bound is {1 / constant.high:.3g} times the error or more; {least}"
    return f"Unit constants are about right: {least}"


def _constant(items: list[CellData], level: float) -> Constant | None:
    """max over cells of measured / bound, each with an interval at level / cells."""
    rows = []
    for item in items:
        bound = laws.bound(item, int(item.samples[-1]))
        if bound is None or item.ok.sum() < 3:
            continue
        found = inference.mean(item.error_sq)
        quantile = float(stats.t.ppf(1 - level / (2 * len(items)), found.runs - 1))
        value, reach = found.value / bound, quantile * found.standard_error / bound
        rows.append((value, value - reach, value + reach, item.id))
    if not rows:
        return None
    worst = max(rows)
    return Constant(worst[0], max(row[1] for row in rows), max(row[2] for row in rows), worst[3])


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
            parted[_seen(item)].append(item)
        x = np.array([item.cell.separation for item in parted[True]])
        unseen = [item.cell.separation for item in parted[False]]
        found.append(FloorCurve(curve._replace(x=x, items=parted[True]), unseen))
    return found


def _seen(item: CellData) -> bool:
    """Whether a floor is 4 standard errors above 0, with two runs or more in each group of the jackknife."""
    vectors = analysis.floor_vectors(item)
    if vectors is None or len(vectors) < 2 * GROUPS:
        return False
    found = inference.squared_length(vectors)
    return found.value > 4 * found.standard_error


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


def floor_bound(item: CellData) -> float:
    """k^3 exp(-C^2/8) (C^2 + k) sigma^2, the floor in Theorem 1's bound with unit constants."""
    cell = item.cell
    c, sigma = cell.separation, max(cell.scales)
    return cell.k**3 * float(np.exp(-(c**2) / 8)) * (c**2 + cell.k) * sigma**2


def _floor_finding(theorem, floor: FloorCurve, level: float) -> Finding:
    """-d log floor / d C^2 between neighbours and end to end, against the bound's: 1/D of exp(-C^2/D)."""
    curve, unseen = floor
    logs, covariance = floor_logs(curve.items)
    u = curve.x**2
    steps = np.diff(u)
    bounds = np.log([floor_bound(item) for item in curve.items])
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
    law = ""
    if all(value is not None for value in exact):
        law = f", exact law {_divisors(np.log(np.array(exact, float)), u)}"
    detail = f"D of exp(-C^2/D) between neighbours: measured {_divisors(logs, u)}{law}, bound {_divisors(bounds, u)}"
    if unseen:
        detail += f"; without C = {', '.join(f'{c:g}' for c in unseen)}, where the floor is not above its noise"
    numbers = (float(falls[0]), float(bound_falls[0]), float(gaps[0]), float(low[0]), float(high[0]))
    return Finding(str(theorem), curve.part, "exp(-C^2)", curve.setting, kind, *numbers, detail)


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
        exact = np.array([laws.floor(item) for item in curve.items], float)  # None becomes nan
        law = -float(np.log(exact[-1] / exact[0]) / (curve.x[-1] ** 2 - curve.x[0] ** 2))
        runs = min(len(item.ok) for item in curve.items)
        ends = (finding.measured, finding.bound - finding.high, finding.bound - finding.low)
        found.append(FloorFit(curve.part, curve.setting, *ends, law, finding.bound, finding.detail, len(curve.x), runs))
    return found


def _divisors(logs: np.ndarray, u: np.ndarray) -> str:
    return " ".join(f"{divisor:.3g}" for divisor in -np.diff(u) / np.diff(logs))


# --- Theorem 3 ---


def _third(mine: list[CellData], inside: list[CellData], level: float, look: int) -> Verdict:
    """Success of the seeding: its (1 - 1/k)-quantile against C sigma/20, for the best sizes of each (k, C)."""
    made: dict[str, Any] = {"theorem": "3", "statement": STATEMENTS[3], "level": level, "look": look}
    if not inside:
        why = laws.in_regime(mine[0])
        return Verdict(**made, verdict=OUT, sentence=f"Theorem 3: {OUT}: {why}.", findings=[], constant=None)
    findings = [_success(item, level / len(inside)) for item in inside]
    paired = list(zip(inside, findings, strict=True))
    best = {
        k: _threshold(k, [pair for pair in paired if pair[0].cell.k == k]) for k in sorted({i.cell.k for i in inside})
    }
    held = {k: found for k, found in best.items() if found is not None}
    failed = sum(finding.kind == "contradicted" for finding in findings)
    tail = f" In {failed} of {len(findings)} cells it fails: C, B or k0 are too small there." if failed else ""
    if len(inside) < len(mine):
        tail += f" {len(mine) - len(inside)} of {len(mine)} cells are out of its regime (C below (k ln k)^(1/4))."
    if len(held) == len(best):
        slack = 1 / max(found.ratio for found in held.values())
        kind = "holds, loose" if slack > 1.25 else "holds and tight"
        by = (
            f"loose by {slack:.3g} times at the largest C"
            if kind == "holds, loose"
            else "and is tight at the largest C"
        )
        froms = ", ".join(f"C = {found.separation:.3g} (k = {k}; {found.sizes})" for k, found in held.items())
        factors = [found.separation / max(float(theory.theorem1_separation(k)), 1e-9) for k, found in held.items()]
        scale = f"{min(factors):.3g} to {max(factors):.3g} times (k ln k)^(1/4)"
        sentence = f"Theorem 3 holds, {by}, with the best sizes tried from {froms} on: {scale}.{tail}"
    elif held:
        kind = "inconclusive"
        missing = ", ".join(f"k = {k}" for k in best if k not in held)
        seen = ", ".join(map(str, held))
        sentence = f"Theorem 3: inconclusive: it holds for k = {seen}, with no size tried for {missing}.{tail}"
    elif all(finding.kind == "contradicted" for finding in findings):
        kind, sentence = (
            "contradicted",
            f"Theorem 3 is contradicted at every size tried (its constants are hidden).{tail}",
        )
    else:
        kind, sentence = "inconclusive", f"Theorem 3: inconclusive with so few runs.{tail}"
    return Verdict(**made, verdict=kind, sentence=sentence, findings=findings, constant=None)


class Threshold(NamedTuple):
    """From which separation on the seeding succeeds, with which sizes, and its quantile there at the largest one."""

    separation: float
    sizes: str
    ratio: float


def _threshold(k: int, paired: list[tuple[CellData, Finding]]) -> Threshold | None:
    """The least C from which on every larger C tried succeeds, for the best of the sizes; None if there is none."""
    groups: dict[str, list[tuple[CellData, Finding]]] = {}
    for item, finding in paired:
        sizes = item.cell.seeding
        assert sizes is not None
        groups.setdefault(f"B = {sizes.block}, k0 = {sizes.graph_points}", []).append((item, finding))
    found = []
    for sizes_text, mine in groups.items():
        least = None
        for item, finding in sorted(mine, key=lambda pair: -pair[0].cell.separation):
            if finding.kind not in ("loose", "tight"):
                break
            least = item.cell.separation
        if least is not None:
            largest = max(mine, key=lambda pair: pair[0].cell.separation)
            found.append(Threshold(least, sizes_text, largest[1].measured))
    return min(found, key=lambda t: (t.separation, t.ratio)) if found else None


def _success(item: CellData, level: float) -> Finding:
    """The quantile of the largest distance over C sigma/20, with its order-statistic interval."""
    cell = item.cell
    limit = float(theory.theorem3_bound(separation=cell.separation, sigma=max(cell.scales)))
    largest = item.values["error_max"][:, -1].astype(float)
    largest = np.where(np.isfinite(largest), largest, np.inf)
    target = 1 - 1 / max(cell.k, 2)
    hits = int((largest <= limit).sum())
    share = inference.proportion(hits, len(largest), 1 - level)
    finite = np.minimum(largest, 1e30)
    quantile = inference.quantile(finite, target, 1 - level)
    value, low, high = (x / limit for x in quantile)
    if share.low > target:
        kind = "loose" if high < 0.8 else "tight"
    elif share.high < target:
        kind = "contradicted"
    else:
        kind = "inconclusive"
    sizes = cell.seeding
    assert sizes is not None
    detail = (
        f"B={sizes.block} k0={sizes.graph_points} N0={sizes.n} {sizes.method}: {hits} of {len(largest)} runs within"
        f" C sigma/20 [{share.low:.4f}, {share.high:.4f}], wanted {target:.3g}"
    )
    setting = f"k={cell.k} d={cell.d} C={cell.separation:.3g}"
    return Finding("3", cell.part, "success", setting, kind, value, 1.0, value - 1, low, high, detail)


# --- laws ---


def law_verdict(data: list[CellData], look: int) -> LawVerdict | None:
    """Do all cells agree with their exact laws at the last checkpoint (floors included)? None where no law is known."""
    names, measured, errors, expected, accuracy, freedom = [], [], [], [], [], []
    left_out = 0

    def take(item: CellData, found: inference.Mean, law: float, off: float, what: str) -> None:
        names.append((item, what))
        measured.append(found.value)
        errors.append(found.standard_error)
        expected.append(law)
        accuracy.append(off)
        freedom.append(found.runs - 1)

    for item in data:
        law = laws.law(item, len(item.samples) - 1)
        trusted = item.ok.sum() >= LEAST_RUNS and not inference.carried_by_few(item.error_sq)
        if law.error_sq is not None and law.accuracy is not None and np.isfinite(law.accuracy):
            left_out += not trusted
            if trusted:
                take(item, inference.mean(item.error_sq), law.error_sq, law.accuracy, "")
        exact, vectors = laws.floor(item), analysis.floor_vectors(item)
        if exact is not None and vectors is not None:
            left_out += not trusted
            if trusted:
                take(item, inference.squared_length(vectors), exact, laws.floor_accuracy(item), "floor, ")
    untold = f"have fewer than {LEAST_RUNS} good runs, or are carried by a few."
    if not names:
        return LawVerdict(None, f"Not tested: all {left_out} means with a known law {untold}") if left_out else None
    check = curves.against_law(measured, errors, expected, accuracy, freedom, inference.look_level(look))
    worst, what = names[check.worst][0].cell, names[check.worst][1]
    where = f"{what}{worst.part}, k={worst.k} d={worst.d} C={worst.separation:g} N={worst.n}"
    if check.agrees:
        said = (
            f"All {check.cells} means with a known law agree with it: the largest gap is {check.largest:.2g} standard"
            f" errors ({where})."
        )
    else:
        said = (
            f"{check.cells} means have a known law and the worst is {check.largest:.2g} standard errors off ({where}):"
            " simulation or law is wrong there."
        )
    if left_out:
        said += f" {left_out} more {untold}"
    return LawVerdict(check.agrees, said)
