"""The verdict on a theorem about starts: the share of starts within C sigma/20, for the best sizes of Algorithm 2.

The constants in C, B and k0 and the polynomial in 1 - 1/poly(k) are hidden, so failures never contradict the theorem.
Sizes succeed if the share of starts within the limit, by its interval, is above SUCCESS and above 1 - 1/k.
"""

from typing import NamedTuple

import numpy as np

from jgmm import stats
from jgmm.study import regime, summary
from jgmm.study.grid import SeedingSizes
from jgmm.study.read import CellData
from jgmm.study.verdicts import phrases
from jgmm.study.verdicts.finding import OUT, Conclusion, Finding
from jgmm.theory.bounds import Theorem

SUCCESS = 0.9  # the share of starts asked for where 1 - 1/k is less: one half, at k = 2, would say nothing
LOOSE = 0.8  # a cell is loose if enough of its starts are within this share of the limit
SLACK = 1.25  # the verdict is loose if starts at the largest separation are more than so many times nearer than asked


class Trial(NamedTuple):
    """A cell in the theorem's regime, with its finding."""

    item: CellData
    finding: Finding


class Share(NamedTuple):
    """The share of a cell's starts within the limit, as a number and in words."""

    value: float
    words: str


class Threshold(NamedTuple):
    """The separation from which on starts succeed, for one choice of sizes."""

    separation: float
    sizes: str
    ratio: float  # the quantile of the largest distance over the limit, at the largest separation
    share: str  # the least share within the limit, from that separation on


def conclude(theorem: Theorem, items: list[CellData], level: float) -> Conclusion:
    """The conclusion from these cells; `level` is split over those in the theorem's regime."""
    unmet = [regime.unmet(item) for item in items]
    inside = [item for item, reasons in zip(items, unmet, strict=True) if not reasons]
    if not inside:
        return Conclusion(OUT, f"Theorem {theorem.number}: {OUT}: {phrases.reasons(unmet)}.", [], [])
    each = level / len(inside)
    trials = [Trial(item, finding(theorem.number, item, each)) for item in inside]
    of_k = {k: [trial for trial in trials if trial.item.cell.k == k] for k in sorted({i.cell.k for i in inside})}
    best = {k: threshold(of_this_k) for k, of_this_k in of_k.items()}
    kind, sentences = _headline(theorem, best)
    runs = phrases.span([len(item.ok) for item in inside])
    sentences.append(f"Tried: {phrases.cells(len(inside))} of {runs} runs, {_all_sizes(inside)}.")
    sentences += [_reached(theorem, k, reached) for k, reached in best.items() if reached is not None]
    for k, reached in best.items():
        if reached is None:
            sentences += _missed(k, [trial.item for trial in of_k[k]], len(inside), each)
    sentences.append(
        f"1 - 1/poly(k) hides a polynomial: 1 - 1/k would ask for {1 - 1 / min(best):.3g} at k = {min(best)}, and"
        f" {SUCCESS:g} is asked for here where that is more."
    )
    failed = sum(trial.finding.kind == "fails" for trial in trials)
    if failed:
        sentences.append(
            f"In {failed} of {phrases.cells(len(trials))} fewer are within: C, B or k0 are too small there."
        )
    if theorem.samples is not None:
        sentences.append(phrases.samples(theorem, inside))
    sentences += phrases.outside(unmet)
    return Conclusion(kind, " ".join(sentences), [trial.finding for trial in trials], [])


def _headline(theorem: Theorem, best: dict[int, Threshold | None]) -> tuple[str, list[str]]:
    """The kind of the verdict, and its first sentence."""
    missing = ", ".join(f"k = {k}" for k, reached in best.items() if reached is None)
    if missing:
        start = f"Theorem {theorem.number}: inconclusive: no sizes tried are seen to put"
        return "inconclusive", [f"{start} enough starts within C sigma/20 for {missing}."]
    ratio = max(reached.ratio for reached in best.values() if reached is not None)
    slack = 1 / max(ratio, 1e-30)
    loose = slack > SLACK
    by = f"loose by {slack:.3g} times" if loose else "tight"
    sentences = [f"Theorem {theorem.number} is consistent with what was tried, {by} at the largest C."]
    return "consistent, loose" if loose else "consistent, tight", sentences


def _reached(theorem: Theorem, k: int, reached: Threshold) -> str:
    """The sentence on the separation from which on enough starts are near."""
    times = reached.separation / max(theorem.separation(k), 1e-9)
    return (
        f"At k = {k}, {asked_share(k):.3g} of the starts or more are within from C = {reached.separation:.3g} on"
        f" ({times:.3g} times {theorem.separation_words}; {reached.sizes}); the least share is {reached.share}."
    )


def _missed(k: int, items: list[CellData], tested: int, level: float) -> list[str]:
    """Sentences on the largest share, and on the runs that it takes to show a success."""
    largest = max((share(item) for item in items), key=lambda share: share.value)
    sentences = [f"At k = {k} the largest share is {largest.words}."]
    runs = least_runs(asked_share(k), level)
    if runs > min(len(item.ok) for item in items):
        sentences.append(
            f"With {phrases.cells(tested)} tested at once it takes {runs} runs, all within, to see"
            f" {asked_share(k):.3g}."
        )
    return sentences


def asked_share(k: int) -> float:
    """The share of starts that must be within the limit."""
    return max(SUCCESS, 1 - 1 / k)


def least_runs(target: float, level: float) -> int:
    """The least n for which n hits of n are a success: their exact interval begins at (level/2)^(1/n), above target."""
    return int(np.log(level / 2) / np.log(target)) + 1


def finding(number: int, item: CellData, level: float) -> Finding:
    """A quantile of the largest distance, over the limit C sigma/20, with its order-statistic interval.

    The quantile is that of the share asked for. A cell succeeds (the share's interval is above the share asked for)
    exactly if the quantile's upper limit is within the limit: both intervals are the same tail of the binomial law.
    """
    cell, limit = item.cell, regime.near(item.cell.separation, max(item.cell.scales))
    largest = item.values["error_max"][:, -1].astype(float)
    target = asked_share(cell.k)
    hits = int((largest <= limit).sum())
    interval = stats.proportion(hits, len(largest), 1 - level)
    value, low, high = (distance / limit for distance in summary.quantile(largest, target, 1 - level))
    if interval.low > target:
        kind = "loose" if high < LOOSE else "tight"
    else:
        kind = "fails" if interval.high < target else "inconclusive"
    sizes = _seeding(item)
    return Finding(
        theorem=str(number),
        part=cell.part,
        axis="success",
        setting=f"k={cell.k} d={cell.d} C={cell.separation:.3g}",
        kind=kind,
        measured=value,
        bound=1.0,
        gap=value - 1,
        low=low,
        high=high,
        detail=(
            f"B={sizes.block} k0={sizes.graph_points} N0={sizes.n} {sizes.method}: {hits} of {len(largest)} runs within"
            f" C sigma/20 [{interval.low:.4f}, {interval.high:.4f}], wanted {target:.3g}"
        ),
        over=f"{target:.3g} of starts",
        runs=int(item.ok.sum()),
        kept=float(item.ok.mean()),
    )


def threshold(trials: list[Trial]) -> Threshold | None:
    """The least separation such that it and all larger ones succeed, for the best sizes; None if there is none."""
    by_sizes: dict[tuple[int, SeedingSizes], list[Trial]] = {}
    for trial in trials:
        by_sizes.setdefault((trial.item.cell.d, _seeding(trial.item)), []).append(trial)
    thresholds = []
    for same in by_sizes.values():
        same = sorted(same, key=lambda trial: -trial.item.cell.separation)
        succeeding = []
        for trial in same:
            if trial.finding.kind not in ("loose", "tight"):
                break
            succeeding.append(trial.item)
        if succeeding:
            least = min((share(item) for item in succeeding), key=lambda share: share.value)
            last = succeeding[-1]
            ratio = same[0].finding.measured
            thresholds.append(Threshold(last.cell.separation, _sizes(last), ratio, least.words))
    return min(thresholds, key=lambda t: (t.separation, t.ratio), default=None)


def share(item: CellData) -> Share:
    """The share of a cell's starts within C sigma/20, with its own 95 % interval in the words."""
    limit = regime.near(item.cell.separation, max(item.cell.scales))
    hits = item.values["error_max"][:, -1] <= limit  # nan for a failed start, which is then no hit
    interval = summary.proportion(hits)
    where = f"C = {item.cell.separation:.3g}, {_sizes(item)}"
    bounds = f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"
    return Share(interval.value, f"{bounds} ({int(hits.sum())} of {len(hits)}; {where})")


def _seeding(item: CellData) -> SeedingSizes:
    """The sizes of Algorithm 2 in a cell; every cell in the regime of a theorem about starts has them."""
    assert item.cell.seeding is not None
    return item.cell.seeding


def _sizes(item: CellData) -> str:
    sizes = _seeding(item)
    return f"B = {sizes.block}, k0 = {sizes.graph_points}, N0 = {sizes.n}"


def _all_sizes(items: list[CellData]) -> str:
    """The spans of these cells' sizes, Algorithm 2's included."""
    starts = [_seeding(item) for item in items]
    blocks, points, samples = (
        phrases.span(values)
        for values in ([s.block for s in starts], [s.graph_points for s in starts], [s.n for s in starts])
    )
    return f"{phrases.sizes(items)}, B {blocks}, k0 {points}, N0 {samples}"
