"""From stored cells to a summary: means with standard errors, exact laws and bounds beside them, fitted exponents.

Runs whose seeding failed (its graph did not give k components, or the start has lost one) are in `runs` and in the
plain means; the `_ok` columns leave them out, and `runs_ok` counts the rest. Means of squares are otherwise carried by
a few runs.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from jgmm import theory
from jgmm.study.spec import Cell, Study

QUANTITIES = ("error_sq", "error_sum", "error_max")
RESAMPLES = 2000
NEGLIGIBLE = 1e-2  # overlap below this share of the variance leaves the law of separated centres


class CellData(NamedTuple):
    """A stored cell; arrays are (runs, checkpoints), per-run ones (runs,)."""

    cell: Cell
    id: str
    samples: np.ndarray
    values: dict[str, np.ndarray]
    ok: np.ndarray
    realised_separation: np.ndarray
    largest_mean: np.ndarray
    example: pa.Table | None


class Fit(NamedTuple):
    """One fitted exponent: of the measured means, and of law and bound fitted the same way."""

    part: str
    setting: str
    quantity: str
    axis: str
    exponent: float
    low: float
    high: float
    law: float
    bound: float
    verdict: str


def read(folder: Path, cell: Cell, study: Study) -> CellData:
    """A cell from its file. Raises ValueError if it is not there."""
    name = cell.identifier(study.seed, study.x64)
    path = folder / "cells" / f"{name}.parquet"
    if not path.is_file():
        raise ValueError(f"{folder} lacks cell {name} of part {cell.part!r}: expected a finished study (jgmm run)")
    table = pq.read_table(path)
    samples = np.unique(table["samples"])
    shape = (-1, len(samples))
    values = {name: table[name].to_numpy().astype(float).reshape(shape) for name in (*QUANTITIES, "lost")}
    first = {name: table[name].to_numpy().reshape(shape)[:, 0] for name in ("realised_separation", "largest_mean")}
    ok = np.isfinite(values["error_sq"]).all(axis=1)
    if "components" in table.column_names:
        ok &= (table["components"].to_numpy().reshape(shape)[:, 0] == cell.k) & (values["lost"][:, 0] == 0)
    example = folder / "examples" / f"{name}.parquet"
    return CellData(
        cell, name, samples, values, ok, **first, example=pq.read_table(example) if example.is_file() else None
    )


def summarize(data: list[CellData]) -> list[dict[str, Any]]:
    """A row for each (cell, checkpoint)."""
    return [_row(item, index) for item in data for index in range(len(item.samples))]


def _row(item: CellData, index: int) -> dict[str, Any]:
    cell, samples = item.cell, int(item.samples[index])
    row: dict[str, Any] = {
        "cell": item.id,
        **cell.model_dump(include={"part", "algorithm", "k", "d", "layout", "separation", "sigma", "n"}),
        **cell.model_dump(include={"rate", "rate_name", "beta"}),
        "start": str(cell.start),
        "block": cell.seeding.block if cell.seeding else None,
        "graph_points": cell.seeding.graph_points if cell.seeding else None,
        "samples": samples,
        "runs": len(item.ok),
        "runs_ok": int(item.ok.sum()),
        "runs_lost": int((item.values["lost"][:, index] > 0).sum()),
        "realised_separation": float(item.realised_separation.mean()),
    }
    for name in QUANTITIES:
        values = item.values[name][:, index]
        row[f"{name}_mean"], row[f"{name}_se"] = mean_and_error(values)
        row[f"{name}_ok_mean"], row[f"{name}_ok_se"] = mean_and_error(values[item.ok])
    for level in (5, 50, 95):
        row[f"error_sq_q{level:02}"] = float(np.quantile(item.values["error_sq"][:, index], level / 100))
    row["law_error_sq"], row["law_error_sum"] = law(item, samples)
    row["floor_error_sq"] = floor(item)
    row["bound_error_sq"] = bound(item, samples)
    row |= _theorem3(item, index)
    return row


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """The mean, and sample standard deviation / sqrt(n) (NaN below two values)."""
    if len(values) == 0:
        return math.nan, math.nan
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def law(item: CellData, samples: int) -> tuple[float | None, float | None]:
    """What theory expects of error_sq and error_sum, given the runs' mean start; None where no law is known."""
    cell = item.cell
    equal = len(set(cell.weights)) == 1 and len(set(cell.scales)) == 1
    if not equal:
        return None, None
    sigma, k, d = cell.scales[0], cell.k, cell.d
    if cell.algorithm == "seeding":
        return _seeding_law(item, sigma), None
    if cell.rate is None:
        return None, None
    start_sq = float(item.values["error_sq"][item.ok, 0].mean())
    if cell.algorithm == "em":
        return _em_law(item, samples, start_sq, sigma)
    forgotten = 1 - theory.contraction(rate=cell.rate, weight=1 / k) ** samples
    large_c = theory.lloyd_error_sq(
        samples=samples, rate=cell.rate, weight=1 / k, sigma=sigma, d=d, start_sq=start_sq / k
    )
    if cell.layout == "symmetric":
        finite = theory.lloyd_pair_law(cell.separation, rate=cell.rate, d=d, sigma=sigma).error_sq
        excess = finite - theory.stationary_sq(rate=cell.rate, sigma=sigma, d=d)
    elif cell.layout == "simplex":
        excess = theory.simplex_displacement(k, cell.separation, sigma=sigma) ** 2
        if excess > NEGLIGIBLE * theory.stationary_sq(rate=cell.rate, sigma=sigma, d=d):
            return None, None  # the floor is known, the variance about it is not
    else:
        excess = 0.0
    settled = forgotten > 1 - 1e-6 and excess == 0
    distance = k * theory.stationary_distance(rate=cell.rate, sigma=sigma, d=d) if settled else None
    return float(k * (large_c + forgotten * excess)), None if distance is None else float(distance)


def _em_law(item: CellData, samples: int, start_sq: float, sigma: float) -> tuple[float | None, float | None]:
    cell = item.cell
    if cell.beta == 1 and cell.layout == "symmetric":
        along = start_sq / cell.d
        value = theory.em_error_sq(
            samples=samples,
            rate=cell.rate,
            separation=cell.separation,
            sigma=sigma,
            d=cell.d,
            start_sq_parallel=along,
            start_sq_perpendicular=start_sq - along,
        )
        return float(value), None
    if item.realised_separation.min() > 12:  # every posterior is 0 or 1 to 1e-8: the labels are known
        value = theory.lloyd_error_sq(
            samples=samples, rate=cell.rate, weight=1, sigma=sigma, d=cell.d, start_sq=start_sq
        )
        return float(value), None
    return None, None


def _seeding_law(item: CellData, sigma: float) -> float | None:
    cell = item.cell
    if item.example is None or cell.seeding is None:
        return None
    means = points(item.example, "mean", "x", cell.d)
    per_centre = theory.seeding_error_sq(
        means, np.array(cell.weights), sigma=sigma, block=cell.seeding.block, graph_points=cell.seeding.graph_points
    )
    return float(np.sum(per_centre))


def floor(item: CellData) -> float | None:
    """k delta_k(C)^2, the part of Lloyd's error that no number of samples removes; None where it is not known."""
    cell = item.cell
    equal = len(set(cell.weights)) == 1 and len(set(cell.scales)) == 1
    if cell.algorithm != "lloyd" or not equal or cell.layout not in ("simplex", "symmetric") or cell.k < 2:
        return None
    return float(theory.simplex_floor(cell.k, cell.separation, sigma=cell.scales[0]))


def points(example: pa.Table, kind: str, axis: str, count: int) -> np.ndarray:
    """Coordinates of an example's means, starts or graph points: axis "x" or "u"."""
    mask = np.asarray(example["kind"]) == kind
    return np.stack([example[f"{axis}{j}"].to_numpy()[mask] for j in range(count)], axis=1)


def bound(item: CellData, samples: int) -> float | None:
    """Theorem 1 (Lloyd) or 7 (EM) at the end of a run, with unit constants; None elsewhere."""
    cell = item.cell
    if cell.algorithm == "seeding" or samples != cell.n:
        return None
    sigma, mean_norm = max(cell.scales), float(np.sqrt((item.largest_mean**2).mean()))
    if cell.algorithm == "em":
        return float(theory.theorem7_bound(n=cell.n, d=cell.d, sigma=sigma, mean_norm=mean_norm))
    separation = float(item.realised_separation.min())
    return float(
        theory.theorem1_bound(n=cell.n, k=cell.k, d=cell.d, sigma=sigma, separation=separation, mean_norm=mean_norm)
    )


def _theorem3(item: CellData, index: int) -> dict[str, float | None]:
    if item.cell.algorithm != "seeding":
        return {"theorem3_bound": None, "theorem3_passed": None, "theorem3_low": None, "theorem3_high": None}
    limit = float(theory.theorem3_bound(separation=item.cell.separation, sigma=max(item.cell.scales)))
    fraction, low, high = proportion(item.values["error_max"][:, index] <= limit)
    return {"theorem3_bound": limit, "theorem3_passed": fraction, "theorem3_low": low, "theorem3_high": high}


def proportion(hits: np.ndarray) -> tuple[float, float, float]:
    """The fraction of hits, with its 95 % Wilson interval."""
    interval = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return float(hits.mean()), float(interval.low), float(interval.high)


def fits(data: list[CellData]) -> list[Fit]:
    """The exponent in N of the final squared error, for each setting with three horizons or more."""
    groups: dict[str, list[CellData]] = {}
    for item in data:
        if item.cell.algorithm != "seeding" and item.cell.rate_name == "paper":
            fixed = item.cell.model_copy(update={"n": 0, "rate": None, "checkpoints": ()})
            groups.setdefault(fixed.model_dump_json(), []).append(item)
    return [_fit(group) for group in groups.values() if len(group) >= 3]


def _fit(group: list[CellData]) -> Fit:
    """Weighted least squares of log mean against log n; the interval by bootstrap over runs.

    Run r shares its bits over the horizons, so whole runs are drawn. Law and bound are fitted with the same weights: a
    law of log(3N)/N is no power, and the exponent that a power fit gives it is the one to compare with.
    """
    group = sorted(group, key=lambda item: item.cell.n)
    ok = np.logical_and.reduce([item.ok for item in group])
    errors = np.stack([item.values["error_sq"][ok, -1] for item in group])
    n = np.array([item.cell.n for item in group], float)
    means = errors.mean(axis=1)
    weights = means**2 / errors.var(axis=1, ddof=1)
    centred = np.log(n) - np.average(np.log(n), weights=weights)
    combination = weights * centred / (weights * centred**2).sum()  # slope = combination . log(means)
    runs = errors.shape[1]
    draws = np.random.default_rng(0).integers(0, runs, (RESAMPLES, runs))
    counts = np.stack([np.bincount(draw, minlength=runs) for draw in draws])
    slopes = np.log(counts @ errors.T / runs) @ combination
    low, high = np.quantile(slopes, [0.025, 0.975])
    laws = [law(item, item.cell.n)[0] for item in group]
    bounds = [bound(item, item.cell.n) for item in group]
    law_slope = float(combination @ np.log(np.array(laws, float))) if None not in laws else math.nan
    bound_slope = float(combination @ np.log(np.array(bounds, float))) if None not in bounds else math.nan
    verdict = (
        "no law" if math.isnan(law_slope) else "agrees with the law" if low <= law_slope <= high else "off the law"
    )
    cell = group[0].cell
    setting = f"k={cell.k} d={cell.d} C={cell.separation:g} sigma={cell.sigma:g}"
    exponent = float(combination @ np.log(means))
    return Fit(cell.part, setting, "error_sq", "n", exponent, float(low), float(high), law_slope, bound_slope, verdict)
