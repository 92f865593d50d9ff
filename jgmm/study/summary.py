"""From stored cells to a summary: a row for each cell and checkpoint, every mean with its Monte-Carlo standard error.

A run is good if its start has not failed (Algorithm 2's graph has k components, and no centre is lost) and its errors
are finite. The plain means are over all runs; `_ok` columns are over the good ones, which `runs_ok` counts.
"""

import math
from typing import Any

import numpy as np

from jgmm import stats, theory
from jgmm.study import expected as laws
from jgmm.study import heavy, measured, quantities, settings
from jgmm.study.cell import Cell
from jgmm.study.folder.spool import all_finite
from jgmm.study.read import QUANTITIES, TWINS, CellData

FEW = 8  # good runs: a mean over fewer is marked, and nothing is concluded from it
TEST_EVENTS = 30  # runs, at least, that must carry the variance of controlled errors for a test of them


def summarize(item: CellData) -> list[dict[str, Any]]:
    """A row for each checkpoint of a cell."""
    return [_row(item, index) for index in range(len(item.samples))]


def _row(item: CellData, index: int) -> dict[str, Any]:
    """The row of a checkpoint. Its keys, in this order, are the columns of summary.csv."""
    good = item.values["error_sq"][item.ok, index].astype(float)
    row = {
        "cell": item.id,
        **_setting(item.cell),
        "samples": int(item.samples[index]),
        **_counts(item, index),
        "realised_separation": float(item.realised_separation.mean()),
        **_means(item, index),
        **_controlled(item, index),
        **_quantiles(item.values["error_sq"][:, index].astype(float)),
        "carried_by_few": bool(len(good) > 1 and stats.carried_by_few(good)),
        **_twin(item, index),
        **_of_theory(item, index),
        **_theorem3(item, index),
        **dict(zip(("converged", "converged_low", "converged_high"), converged(item, index), strict=True)),
        **_measured(item, index),
    }
    return {**row, **_no_errors(item.cell)}


def _no_errors(cell: Cell) -> dict[str, float | None]:
    """The columns that say how uncertain a mean is of what has no variance: empty (`heavy`)."""
    unknown: dict[str, float | None] = {}
    if heavy.tails(cell):  # of the twin, too
        names = ("error_sq_controlled", "error_sq_controlled_se", "variance_factor", "twin_gap")
        unknown |= {**dict.fromkeys(names), "twin_error_sq_ok_se": None}
    if heavy.without_variance(cell):
        unknown |= dict.fromkeys(("error_sq_se", "error_sq_ok_se", "rmse_se"), math.nan)
        unknown |= dict.fromkeys(("error_sq_ok_low", "error_sq_ok_high"))
    if heavy.without_variance(cell, cell.quantity):
        unknown |= {"quantity_ok_se": math.nan, "quantity_ok_low": None, "quantity_ok_high": None}
    beside = [name for name in measured.numbers() if name in cell.measures and heavy.without_variance(cell, name)]
    return {**unknown, **{f"{name}_ok_se": math.nan for name in beside}}


def _measured(item: CellData, index: int) -> dict[str, Any]:
    """The quantity that the cell's figures are about, and every measure that is a number; None where it is not."""
    last = index == len(item.samples) - 1
    row: dict[str, Any] = {"quantity": item.cell.quantity}
    row |= {"quantity_ok_mean": math.nan, "quantity_ok_se": math.nan, "quantity_ok_low": None, "quantity_ok_high": None}
    if quantities.has(item) and (last or item.cell.quantity != measured.BIAS):
        good = quantities.values(item, index=index)[item.ok]
        row["quantity_ok_mean"], row["quantity_ok_se"] = mean_and_error(good)
        row["quantity_ok_low"], row["quantity_ok_high"] = limits(good) if last else (None, None)
    for name in measured.numbers():
        stored = name in item.values
        pair = mean_and_error(item.values[name][item.ok, index].astype(float)) if stored else (None, None)
        row[f"{name}_ok_mean"], row[f"{name}_ok_se"] = pair
    return row


def _setting(cell: Cell) -> dict[str, Any]:
    """What the cell is set to."""
    sizes = cell.seeding
    return {
        **cell.model_dump(include={"part", "algorithm", "k", "d", "layout", "separation", "sigma", "n"}),
        **cell.model_dump(include={"rate", "rate_name", "beta", "average"}),
        "theorem": str(cell.theorem) if cell.claim is None else cell.claim.name,
        "start": str(cell.start),
        "weights": " ".join(f"{weight:.6g}" for weight in cell.weights),
        "side": cell.side if cell.placed is not None and cell.placed.drawn else None,
        "scales": " ".join(f"{scale:.6g}" for scale in cell.scales),  # in the units of the data
        "block": sizes.block if sizes else None,
        "graph_points": sizes.graph_points if sizes else None,
        "seeding_n": sizes.n if sizes else None,
        "neighbors": sizes.neighbors if sizes else None,
        "method": sizes.method if sizes else None,
        "noise": cell.noise,
        "batch": cell.batch,
        "head": cell.head or None,
        "numbers": settings.numbers(cell),
    }


def _counts(item: CellData, index: int) -> dict[str, Any]:
    """How many runs there are, how many are good, and why the others are not."""
    return {
        "runs": len(item.ok),
        "runs_ok": int(item.ok.sum()),
        "few": bool(item.ok.sum() < FEW),
        "kept": float(item.ok.mean()),  # the share of runs that the _ok columns are over
        "runs_not_finite": int((~all_finite(item.values["error_sq"])).sum()),
        "runs_graph_failed": 0 if item.components is None else int((item.components != item.cell.k).sum()),
        "runs_lost": int((item.values["lost"][:, index] > 0).sum()),
    }


def _means(item: CellData, index: int) -> dict[str, float | None]:
    """Means over all runs and over the good ones, and the root of the mean square."""
    row: dict[str, float | None] = {}
    for name in QUANTITIES:
        values = item.values[name][:, index].astype(float)
        row[f"{name}_mean"], row[f"{name}_se"] = mean_and_error(values)
        row[f"{name}_ok_mean"], row[f"{name}_ok_se"] = mean_and_error(values[item.ok])
    good = item.values["error_sq"][item.ok, index].astype(float)
    last = index == len(item.samples) - 1
    row["error_sq_ok_low"], row["error_sq_ok_high"] = limits(good) if last else (None, None)
    root = stats.root_mean(good) if len(good) > 1 else stats.Mean(math.nan, math.nan, len(good))
    row["rmse"], row["rmse_se"] = root.value, root.standard_error
    return row


def _quantiles(values: np.ndarray) -> dict[str, float]:
    """Quantiles over all runs; of the median also an interval."""
    low, median, high = (quantile(values, probability) for probability in (0.05, 0.5, 0.95))
    return {
        "error_sq_q05": low.value,
        "error_sq_q50": median.value,
        "error_sq_q50_low": median.low,
        "error_sq_q50_high": median.high,
        "error_sq_q95": high.value,
    }


def _of_theory(item: CellData, index: int) -> dict[str, Any]:
    """Laws, floors, bounds and references beside the means; the floor is measured at the last checkpoint alone."""
    samples, last = int(item.samples[index]), index == len(item.samples) - 1
    law = laws.law(item, index)
    floor, floor_se = _floor(item) if last else (None, None)
    return {
        "law_error_sq": law.error_sq,
        "law_accuracy": law.accuracy,
        "law_error_sum": law.error_sum,
        "law_exact": None if law.error_sq is None else law.exact,
        "floor_error_sq": laws.floor(item),
        "floor_measured": floor,
        "floor_se": floor_se,
        "bound_error_sq": laws.bound(item, samples),
        "oracle_error_sq": laws.oracle(item, samples),
        "cramer_rao": laws.cramer_rao(item, samples),
    }


def converged(item: CellData, index: int) -> stats.Interval:
    """The share of all runs whose centres are each `near` their own mean, with its interval."""
    return proportion(near(item, index))


def near(item: CellData, index: int) -> np.ndarray:
    """Of each run whether its centres are each within half the separation of their own mean, (runs,)."""
    reach = item.realised_separation * max(item.cell.scales) / 2
    return (item.values["error_max"][:, index] < reach) & (item.values["lost"][:, index] == 0)


def _controlled(item: CellData, index: int) -> dict[str, float | None]:
    """The mean with the twin as control variate, by how much its variance is less, and the twin against its own law.

    No controlled mean where so few runs differ from their twins that its error is not known (`stats.controls`).
    """
    row: dict[str, float | None] = dict.fromkeys(
        ("error_sq_controlled", "error_sq_controlled_se", "variance_factor", "twin_gap")
    )
    if item.twin is None or item.ok.sum() < 3:
        return row
    values = item.values["error_sq"][item.ok, index].astype(float)
    twin, expected = (item.twin[name][item.ok, index].astype(float) for name in TWINS)
    if stats.controls(values, twin, expected):
        mean = stats.controlled(values, twin, expected)
        row["error_sq_controlled"], row["error_sq_controlled_se"] = mean.value, mean.standard_error
        row["variance_factor"] = mean.variance_factor
    away = stats.mean(twin - expected)
    error = math.hypot(away.standard_error, 1e-6 * abs(expected.mean()))  # float32 rounds the twin
    row["twin_gap"] = away.value / error if error else 0.0
    return row


def _twin(item: CellData, index: int) -> dict[str, float | None]:
    """The mean of the twin's squared error over good runs, with its standard error."""
    names = ("twin_error_sq_ok_mean", "twin_error_sq_ok_se")
    if item.twin is None:
        return dict.fromkeys(names)
    return dict(zip(names, mean_and_error(item.twin[TWINS[0]][item.ok, index].astype(float)), strict=True))


def law_sample(item: CellData) -> np.ndarray:
    """Squared errors of every run at the last checkpoint, nan where it is not good, to hold against a law.

    Less c (twin - its exact mean) where that halves the variance at least, and enough runs carry what is left of it.
    """
    errors = np.where(item.ok, item.values["error_sq"][:, -1].astype(float), np.nan)
    if item.twin is None or item.ok.sum() < 3:
        return errors
    twin, expected = (item.twin[name][item.ok, -1].astype(float) for name in TWINS)
    controlled = stats.controlled_values(errors[item.ok], twin, expected)
    enough = stats.controls(errors[item.ok], twin, expected, TEST_EVENTS)
    if enough and controlled.var() < errors[item.ok].var() / 2:
        errors[item.ok] = controlled
    return errors


def floor_vectors(item: CellData) -> np.ndarray | None:
    """Displacements of the good runs with the twin's taken off (coefficient 1: unbiased in every coordinate)."""
    if item.displacement is None:
        return None
    twin = 0.0 if item.twin_displacement is None else item.twin_displacement[item.ok]
    return item.displacement[item.ok] - twin


def _floor(item: CellData) -> tuple[float | None, float | None]:
    """The measured floor with its standard error: the squared length of the mean displacement."""
    vectors = floor_vectors(item)
    if vectors is None or len(vectors) < 3:
        return None, None
    length_sq = stats.squared_length(vectors)
    return length_sq.value, length_sq.standard_error


def limits(values: np.ndarray) -> tuple[float | None, float | None]:
    """The limits of a 95 % interval of the mean; None where so few runs, or so skewed ones, give none."""
    interval = stats.mean_interval(values) if len(values) and np.isfinite(values).all() else None
    return (None, None) if interval is None else (interval.low, interval.high)


def quantile(values: np.ndarray, probability: float, level: float = 0.95) -> stats.Interval:
    """A quantile of all runs; one that is not finite is worse than any that is, and infinite where it decides."""
    finite = np.isfinite(values)
    if finite.all():
        return stats.quantile(values, probability, level)
    most = float(values[finite].max(initial=0.0))
    interval = stats.quantile(np.where(finite, values, 4 * most + 1), probability, level)
    return stats.Interval(*(value if value <= most else math.inf for value in interval))


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean, and sample standard deviation / sqrt(n) (NaN below two values, or where one is not finite)."""
    if len(values) == 0:
        return math.nan, math.nan
    if not np.isfinite(values).all():
        return float(values.mean()), math.nan
    mean = stats.mean(values)
    return mean.value, mean.standard_error


def _theorem3(item: CellData, index: int) -> dict[str, float | None]:
    """Theorem 3's bound on the largest distance, and the share of runs that meet it; None behind a stream."""
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
