"""From stored cells to a summary: a row for each (cell, checkpoint), everything with its Monte-Carlo standard error.

Runs whose seeding failed (its graph did not give k components, or the start has lost one) are in `runs` and in the
plain means; the `_ok` columns leave them out, and `runs_ok` counts the rest. Laws, floors and bounds stand in `laws`.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from jgmm import stats, theory
from jgmm.study import expected as laws
from jgmm.study import settings
from jgmm.study.folder.spool import all_finite
from jgmm.study.read import QUANTITIES, TWINS, CellData
from jgmm.study.spec import Cell

FEW = 8  # good runs: a mean over fewer is marked and never concluded from

TEST_EVENTS = 30  # runs that carry the variance of controlled errors, for a test: its tails are further out than 95 %


def summarize(item: CellData) -> list[dict[str, Any]]:
    """A row for each checkpoint of a cell."""
    return [_row(item, index) for index in range(len(item.samples))]


def _row(item: CellData, index: int) -> dict[str, Any]:
    cell, samples = item.cell, int(item.samples[index])
    last = index == len(item.samples) - 1
    row: dict[str, Any] = {
        "cell": item.id,
        **cell.model_dump(include={"part", "algorithm", "k", "d", "layout", "separation", "sigma", "n"}),
        **cell.model_dump(include={"rate", "rate_name", "beta", "average"}),
        "theorem": str(cell.theorem),
        "start": str(cell.start),
        "weights": " ".join(f"{weight:.6g}" for weight in cell.weights),
        "side": cell.side if cell.placed is not None and cell.placed.drawn else None,
        "scales": " ".join(f"{scale:.6g}" for scale in cell.scales),  # in the units of the data
        "block": cell.seeding.block if cell.seeding else None,
        "graph_points": cell.seeding.graph_points if cell.seeding else None,
        "seeding_n": cell.seeding.n if cell.seeding else None,
        "neighbors": cell.seeding.neighbors if cell.seeding else None,
        "method": cell.seeding.method if cell.seeding else None,
        "noise": cell.noise,
        "samples": samples,
        "runs": len(item.ok),
        "runs_ok": int(item.ok.sum()),
        "few": bool(item.ok.sum() < FEW),
        "kept": float(item.ok.mean()),  # the share of runs that the _ok columns are over
        "runs_not_finite": int((~all_finite(item.values["error_sq"])).sum()),
        "runs_graph_failed": 0 if item.components is None else int((item.components != cell.k).sum()),
        "runs_lost": int((item.values["lost"][:, index] > 0).sum()),
        "realised_separation": float(item.realised_separation.mean()),
    }
    for name in QUANTITIES:
        values = item.values[name][:, index].astype(float)
        row[f"{name}_mean"], row[f"{name}_se"] = mean_and_error(values)
        row[f"{name}_ok_mean"], row[f"{name}_ok_se"] = mean_and_error(values[item.ok])
    good = item.values["error_sq"][item.ok, index].astype(float)
    row["error_sq_ok_low"], row["error_sq_ok_high"] = limits(good) if last else (None, None)
    root = stats.root_mean(good) if len(good) > 1 else stats.Mean(math.nan, math.nan, len(good))
    row["rmse"], row["rmse_se"] = root.value, root.standard_error
    row |= _controlled(item, index)
    everyone = item.values["error_sq"][:, index].astype(float)
    for level in (5, 50, 95):
        found = quantile(everyone, level / 100)
        row[f"error_sq_q{level:02}"] = found.value
        if level == 50:
            row["error_sq_q50_low"], row["error_sq_q50_high"] = found.low, found.high
    row["carried_by_few"] = bool(len(good) > 1 and stats.carried_by_few(good))
    law = laws.law(item, index)
    row["law_error_sq"], row["law_accuracy"], row["law_error_sum"] = law.error_sq, law.accuracy, law.error_sum
    row["law_exact"] = None if law.error_sq is None else law.exact
    row["floor_error_sq"] = laws.floor(item)
    row["floor_measured"], row["floor_se"] = _floor(item) if last else (None, None)
    row["bound_error_sq"] = laws.bound(item, samples)
    row["oracle_error_sq"], row["cramer_rao"] = laws.oracle(item, samples), laws.cramer_rao(item, samples)
    row |= _theorem3(item, index)
    row["converged"], row["converged_low"], row["converged_high"] = converged(item, index)
    return row


def converged(item: CellData, index: int) -> stats.Interval:
    """The share of all runs whose centres are each within half the separation of their own mean, with its interval."""
    reach = item.realised_separation * max(item.cell.scales) / 2
    near = (item.values["error_max"][:, index] < reach) & (item.values["lost"][:, index] == 0)
    return proportion(near)


def _controlled(item: CellData, index: int) -> dict[str, float | None]:
    """The mean with the twin as control variate, by how much its variance is less, and the twin against its own law.

    No controlled mean where so few runs differ from their twins that its error is not known: see `controlled_interval`.
    """
    names = ("error_sq_controlled", "error_sq_controlled_se", "variance_factor", "twin_gap")
    if item.twin is None or item.ok.sum() < 3:
        return dict.fromkeys(names)
    values = item.values["error_sq"][item.ok, index].astype(float)
    twin, expected = (item.twin[name][item.ok, index].astype(float) for name in TWINS)
    found: stats.Controlled | tuple = (None,) * 4
    if stats.controls(values, twin, expected):
        found = stats.controlled(values, twin, expected)
    away = stats.mean(twin - expected)
    error = math.hypot(away.standard_error, 1e-6 * abs(expected.mean()))  # float32 rounds the twin
    gap = away.value / error if error else 0.0
    return dict(zip(names, (*found[:2], found[3], gap), strict=True))


def law_sample(item: CellData) -> np.ndarray:
    """Squared errors of every run at the last checkpoint, nan where it is not good, to hold against a law.

    Less c (twin - its exact mean), if enough runs carry what is left of the variance and that is less than half.
    """
    found = np.where(item.ok, item.values["error_sq"][:, -1].astype(float), np.nan)
    if item.twin is None or item.ok.sum() < 3:
        return found
    twin, expected = (item.twin[name][item.ok, -1].astype(float) for name in TWINS)
    controlled = stats.controlled_values(found[item.ok], twin, expected)
    enough = stats.controls(found[item.ok], twin, expected, TEST_EVENTS)
    if enough and controlled.var() < found[item.ok].var() / 2:
        found[item.ok] = controlled
    return found


def floor_vectors(item: CellData) -> np.ndarray | None:
    """Displacements of the good runs with the twin's taken off (coefficient 1: unbiased in every coordinate)."""
    if item.displacement is None:
        return None
    twin = 0.0 if item.twin_displacement is None else item.twin_displacement[item.ok]
    return item.displacement[item.ok] - twin


def _floor(item: CellData) -> tuple[float | None, float | None]:
    vectors = floor_vectors(item)
    if vectors is None or len(vectors) < 3:
        return None, None
    found = stats.squared_length(vectors)
    return found.value, found.standard_error


def limits(values: np.ndarray) -> tuple[float | None, float | None]:
    """The mean's 95 % limits, where the runs can tell."""
    found = stats.mean_interval(values) if len(values) else None
    return (None, None) if found is None else (found.low, found.high)


def quantile(values: np.ndarray, probability: float, level: float = 0.95) -> stats.Interval:
    """A quantile of all runs; one that is not finite is worse than any that is, and infinite where it decides."""
    finite = np.isfinite(values)
    if finite.all():
        return stats.quantile(values, probability, level)
    most = float(values[finite].max(initial=0.0))
    found = stats.quantile(np.where(finite, values, 4 * most + 1), probability, level)
    return stats.Interval(*(value if value <= most else math.inf for value in found))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean, and sample standard deviation / sqrt(n) (NaN below two values, or where one is not finite)."""
    if len(values) == 0:
        return math.nan, math.nan
    if not np.isfinite(values).all():
        return float(values.mean()), math.nan
    found = stats.mean(values)
    return found.value, found.standard_error


def _theorem3(item: CellData, index: int) -> dict[str, float | None]:
    if not item.cell.start_only:
        return dict.fromkeys(("theorem3_bound", "theorem3_passed", "theorem3_low", "theorem3_high"))
    limit = float(theory.theorem3_bound(separation=item.cell.separation, sigma=max(item.cell.scales)))
    passed = item.values["error_max"][:, index] <= limit
    share = proportion(passed)
    return {
        "theorem3_bound": limit,
        "theorem3_passed": share.value,
        "theorem3_low": share.low,
        "theorem3_high": share.high,
    }


def proportion(hits: np.ndarray) -> stats.Interval:
    """The share of runs that are hits, with its interval, of 95 % at least."""
    return stats.proportion(int(np.sum(hits)), len(hits))


class Paired(NamedTuple):
    """Two algorithms on the same streams: errors of one centre, their difference and ratio."""

    setting: str
    first: str
    second: str
    n: int
    difference: float
    difference_se: float
    ratio: float
    ratio_se: float
    correlation: float
    labelled: (
        float | None
    )  # the ratio if every label were known: what step sizes and samples for each centre make of it


def per_centre(item: CellData) -> np.ndarray:
    """Squared error of one centre in every run at the last checkpoint: EM has one estimate, the others k."""
    return item.values["error_sq"][:, -1].astype(float) / centres(item)


def centres(item: CellData) -> int:
    """How many estimates an error sums over."""
    return item.cell.estimates


def name_of(cell: Cell) -> str:
    """An algorithm and its step, in a few words."""
    words = [cell.algorithm]
    if cell.record.own_step is None and not cell.start_only:
        words.append(cell.rate_name if cell.rate_name != "given" else f"{cell.rate:g}")
    if cell.beta is not None and cell.beta != 1:
        words.append(f"beta {cell.beta:g}")
    if cell.average:
        words.append(f"average {cell.average:g}")
    return " ".join(words)


def paired(data: list[CellData]) -> list[Paired]:
    """Each cell against the first that has the same mixture, N and start but another algorithm or step."""
    groups: dict[tuple, list[CellData]] = {}
    for item in data:
        if not item.cell.start_only:
            groups.setdefault((*item.cell.start_fields(), item.cell.n), []).append(item)
    found = []
    own = ("layout", "n", "rate", "average", "beta")  # in the names and the column beside it
    shown = [name for name in settings.varying(item.cell for item in data) if name not in own]
    told = [
        name for name in settings.every(item.cell for item in data) if name in ("k", "d", "separation", "sigma", *shown)
    ]
    for group in groups.values():
        first = group[0]
        for other in group[1:]:
            a, b = per_centre(first), per_centre(other)
            both = slice(min(len(a), len(b)))
            good = first.ok[both] & other.ok[both]
            if name_of(other.cell) == name_of(first.cell) or good.sum() < 3:
                continue
            a, b = a[both][good], b[both][good]
            gap = stats.paired_difference(b, a)
            ratio = stats.ratio(b, a) if a.any() else (math.nan,) * 3  # to errors that are all exactly 0
            cell = other.cell
            setting = settings.words(cell, told)
            names = (setting, name_of(first.cell), name_of(cell), cell.n)
            found.append(Paired(*names, *gap[:2], *ratio, _labelled_ratio(first, other)))
    return found


def _labelled_ratio(first: CellData, second: CellData) -> float | None:
    """Of one centre's errors with every label known, the second's over the first's; None where it has no law."""
    known = [
        None
        if item.twin is None
        else float(item.twin["twin_mean_sq"][item.ok, -1].astype(float).mean()) / centres(item)
        for item in (first, second)
    ]
    return known[1] / known[0] if known[0] and known[1] else None
