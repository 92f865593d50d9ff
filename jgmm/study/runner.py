"""Run the cells of a study and store them.

Run r of every cell draws the same bits (they depend on the seed and r alone), so cells are compared on common random
numbers, and cells that differ after their start share it: it is computed once.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jgmm import lloyd, mixture, trials
from jgmm.mixture import Mixture
from jgmm.study import spec, store
from jgmm.study.spec import Cell, Study


class Keys(NamedTuple):
    """What each is used for."""

    mixture: jax.Array
    lanes: jax.Array
    start: jax.Array


class Report(NamedTuple):
    """What `run` did."""

    computed: int
    reused: int
    samples: int
    seconds: float


Progress = Callable[[str, int, int], None]  # (cell's name, samples consumed by now, samples in all)


def study_keys(seed: int) -> Keys:
    """The keys of a study."""
    return Keys(*jax.random.split(jax.random.key(seed), 3))


def build_mixture(cell: Cell, key: jax.Array, run_ids: Sequence[int], folder: Path = Path()) -> Mixture:
    """The mixture of a cell, a run axis where it is drawn for each run. Raises ValueError if it cannot be built."""
    weights, scales = cell.weights, np.array(cell.scales)
    if cell.layout in ("box", "symmetric-box"):
        make = mixture.symmetric_box if cell.layout == "symmetric-box" else partial(mixture.box, k=cell.k)
        drawn = trials.run_keys(key, run_ids)
        return make(drawn, d=cell.d, side=cell.side, separation=cell.separation, weights=weights, scales=scales)
    if cell.layout == "simplex":
        return mixture.simplex(cell.k, cell.d, separation=cell.separation, weights=weights, scales=scales)
    if cell.layout == "symmetric":
        return mixture.symmetric(cell.d, separation=cell.separation, weights=weights, scales=scales)
    return mixture.given(np.load(folder / cell.layout), weights=weights, scales=scales)


def run(
    study: Study,
    out: Path,
    environment: dict,
    *,
    spec_folder: Path = Path(),
    fresh: bool = False,
    progress: Progress = lambda name, done, total: None,
) -> Report:
    """Compute what `out` lacks of the study's cells. Everything is checked before anything is written."""
    started = time.perf_counter()
    cells = spec.cells(study, spec_folder)
    run_ids = range(study.runs)
    keys = study_keys(study.seed)
    mixtures = {}
    for cell in cells:
        if cell.mixture_fields() not in mixtures:
            mixtures[cell.mixture_fields()] = build_mixture(cell, keys.mixture, run_ids, spec_folder)
    store.claim(out, study, environment, fresh=fresh)
    for layout in {cell.layout for cell in cells if cell.layout_hash}:
        (out / layout).parent.mkdir(parents=True, exist_ok=True)
        (out / layout).write_bytes((spec_folder / layout).read_bytes())

    missing = [cell for cell in cells if not stored_runs(out, cell, study)]
    groups = [list(group) for group in _grouped(missing)]
    total = study.runs * (sum(group[0].seeding.n for group in groups if group[0].seeding) + _streamed(missing))
    meter = _Meter(progress, total)
    for group in groups:
        first = group[0]
        meter.name = first.part
        batch = trials.batch(keys.lanes, run_ids, mixtures[first.mixture_fields()])
        batch, start, seeded = _start(first, keys.start, batch, meter, out, study)
        for cell in group:
            meter.name = f"{cell.part} n={cell.n}"
            record = _stream(cell, batch, start, meter)
            store.write_table(_path(out, cell, study), _table(cell, batch, record, seeded))
    return Report(len(missing), len(cells) - len(missing), total, time.perf_counter() - started)


def stored_runs(out: Path, cell: Cell, study: Study) -> bool:
    """Whether the folder holds all runs of the cell."""
    path = _path(out, cell, study)
    try:
        return path.is_file() and pq.ParquetFile(path).metadata.num_rows == study.runs * (1 + len(cell.checkpoints))
    except pa.ArrowInvalid:
        return False


def replay(study: Study, cell: Cell, run_id: int, *, spec_folder: Path = Path(), checkpoints: int = 40) -> pa.Table:
    """One run alone, its errors at many checkpoints; the last row is the stored one."""
    keys = study_keys(study.seed)
    built = build_mixture(cell, keys.mixture, [run_id], spec_folder)
    batch = trials.batch(keys.lanes, [run_id], built)
    meter = _Meter(lambda name, done, total: None, 1)
    batch, start, seeded = _start(cell, keys.start, batch, meter, None, study)
    steps = {max(1, cell.n * i // checkpoints) for i in range(1, checkpoints + 1)} if cell.checkpoints else ()
    dense = cell.model_copy(update={"checkpoints": tuple(sorted({*steps, *cell.checkpoints}))})
    return _table(dense, batch, _stream(dense, batch, start, meter), seeded)


class _Meter:
    """Adds up the samples consumed."""

    def __init__(self, progress: Progress, total: int):
        self.progress, self.total, self.done, self.name = progress, total, 0, ""

    def __call__(self, samples: int) -> None:
        self.done += samples
        self.progress(self.name, self.done, self.total)


def _grouped(cells: list[Cell]):
    """Cells that share a start, in the order of the first of each."""
    order = list(dict.fromkeys(cell.start_fields() for cell in cells))
    key = lambda cell: order.index(cell.start_fields())  # noqa: E731
    return (group for _, group in itertools.groupby(sorted(cells, key=key), key=key))


def _streamed(cells: list[Cell]) -> int:
    return sum(cell.n for cell in cells if cell.algorithm != "seeding")


def _path(out: Path, cell: Cell, study: Study) -> Path:
    return out / "cells" / f"{cell.identifier(study.seed, study.x64)}.parquet"


def _start(cell: Cell, key: jax.Array, batch: trials.Batch, meter: _Meter, out: Path | None, study: Study):
    """The batch behind its start, the starting centres, and what each run's seeding came to (None without one)."""
    if cell.seeding is None:
        offset = 0.0 if cell.start == "truth" else float(cell.start)
        return batch, trials.offset_start(key, batch, offset), None
    batch, found, example = trials.seed_centres(key, batch, **cell.seeding.model_dump(), progress=meter)
    real = slice(batch.num_runs)
    seeded = {
        "components": np.asarray(found.num_components)[real],
        "subspace_distance": trials.measure_subspace(found.basis, batch),
    }
    if out is not None:
        truth, start = np.asarray(batch.mixture.means[..., 0]), np.asarray(found.means[..., 0])
        path = out / "examples" / f"{cell.identifier(study.seed, study.x64)}.parquet"
        store.write_table(path, _example_table(truth, start, example, np.asarray(found.basis[..., 0])))
    return batch, found.means, seeded


def _example_table(truth: np.ndarray, start: np.ndarray, example: trials.GraphExample, basis: np.ndarray) -> pa.Table:
    """The first run's means, starting centres and graph points: coordinates x0, ... and projections u0, ..."""
    blocks = [("mean", truth, np.arange(len(truth))), ("start", start, np.arange(len(start)))]
    blocks.append(("point", example.points, example.component))
    points = np.concatenate([values for _, values, _ in blocks])
    columns = {
        "kind": np.concatenate([np.full(len(values), kind) for kind, values, _ in blocks]),
        "component": np.concatenate([component for *_, component in blocks]),
        **{f"x{j}": points[:, j] for j in range(points.shape[1])},
        **{f"u{j}": (points @ basis)[:, j] for j in range(basis.shape[1])},
    }
    return pa.table(columns)


def _stream(cell: Cell, batch: trials.Batch, start: jax.Array, meter: _Meter) -> trials.Record:
    if cell.algorithm == "seeding":
        error = trials.measure_starts(start, batch)
        return trials.Record(np.array([cell.n]), type(error)(*(x[None] for x in error)), np.asarray(start))
    if cell.algorithm == "em":
        assert cell.rate is not None
        assert cell.beta is not None
        return trials.run_em(
            batch, start[0], rate=cell.rate, beta=cell.beta, checkpoints=cell.checkpoints, progress=meter
        )
    rate = lloyd.inverse_count() if cell.rate is None else cell.rate
    return trials.run_lloyd(batch, start, rate=rate, checkpoints=cell.checkpoints, progress=meter)


def _table(cell: Cell, batch: trials.Batch, record: trials.Record, seeded: dict | None) -> pa.Table:
    """One row for each (run, checkpoint), sorted by run."""
    real = slice(batch.num_runs)
    checkpoints = len(record.samples)
    size = checkpoints * batch.num_runs
    means = np.asarray(batch.mixture.means)[..., real]
    per_run = {
        "realised_separation": np.asarray(mixture.separation(batch.mixture))[real],
        "largest_mean": np.sqrt((means**2).sum(axis=1)).max(axis=0),
        **(seeded or {}),
    }
    fixed = {
        **cell.model_dump(include={"part", "algorithm", "k", "d", "separation", "sigma", "n", "rate", "rate_name"}),
        "start": str(cell.start),
        "beta": cell.beta,
        "layout": cell.layout,
        "weights": list(cell.weights),
        "scales": list(cell.scales),
        "block": cell.seeding and cell.seeding.block,
        "graph_points": cell.seeding and cell.seeding.graph_points,
        "neighbors": cell.seeding and cell.seeding.neighbors,
        "seeding_n": cell.seeding and cell.seeding.n,
    }
    columns = {name: _constant(value, size) for name, value in fixed.items()}
    columns["run"] = np.repeat(np.asarray(batch.run_ids)[real].astype(np.int64), checkpoints)
    columns["samples"] = np.tile(record.samples.astype(np.int64), batch.num_runs)
    columns |= {name: values.T.reshape(-1) for name, values in record.error._asdict().items()}
    columns |= {name: np.repeat(values, checkpoints) for name, values in per_run.items()}
    return pa.table(columns)


def _constant(value, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size, pa.float64())
    return pa.array([value] * size)
