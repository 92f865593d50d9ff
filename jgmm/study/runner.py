"""Run the cells of a study and store them.

Run r of every cell draws the same bits (they depend on the seed and r alone), so cells are compared on common random
numbers, and cells that differ after their start share it: it is computed once. A task (see `plan`) is computed by
`work`, which writes tiles and returns receipts; any `concurrent.futures.Executor` can do that elsewhere.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
import pyarrow as pa
import pyarrow.parquet as pq

from jgmm import labelled, lanes, lloyd, mixture, rates, trials
from jgmm.mixture import Mixture
from jgmm.study import inference, plan, spec, store
from jgmm.study.plan import Piece, Task
from jgmm.study.spec import Cell, Study


class Keys(NamedTuple):
    """What each is used for."""

    mixture: jax.Array
    lanes: jax.Array
    start: jax.Array


class Receipt(NamedTuple):
    """What a task stored of a cell."""

    cell: str
    low: int
    high: int


class Report(NamedTuple):
    """What `run_study` did, in runs of cells; `left` of them are missing, and why."""

    computed: int
    reused: int
    left: int
    samples: int
    seconds: float
    ignored: list[str]
    failures: list[str]


class Stopped(Exception):
    """Somebody asked to stop; what is finished is stored."""


Progress = Callable[[str, int, int], None]  # (what runs, samples consumed by now, samples in all)


def study_keys(seed: int) -> Keys:
    """The keys of a study."""
    return Keys(*jax.random.split(jax.random.key(seed), 3))


def canary(seed: int) -> list[int]:
    """A few of the integers that a study draws: another installation that draws others must not extend it."""
    words = lanes.seed(study_keys(seed).lanes, jax.numpy.arange(2, dtype=jax.numpy.uint32), d=2)
    for _ in range(3):
        words, bits = lanes.next_bits(words)
    return [int(x) for x in np.asarray(bits).ravel()[:6]]


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


def rows_per_run(cell: Cell) -> int:
    """Rows of a run: its start and its checkpoints, or its start alone."""
    return 1 + len(cell.checkpoints)


def run_study(
    study: Study,
    out: Path,
    environment: dict | None = None,
    *,
    executor: Executor | None = None,
    spec_folder: Path = Path(),
    fresh: bool = False,
    progress: Progress = lambda name, done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Compute what `out` lacks of the study's cells. Everything is checked before anything is written.

    executor: anything that speaks `concurrent.futures.Executor` (a process pool, loky, a Dask client's
    `get_executor()`), its workers on the same file system; by default this process, on all of its devices. A study
    with a precision goes through its rounds until every cell has it or is at the cap.
    Raises ValueError for a cell that cannot run or a folder that cannot be used, Stopped when `stop()` turns true.
    """
    started = time.perf_counter()
    cells = spec.cells(study, spec_folder)
    check_mixtures(study, cells, spec_folder)
    study = store.claim(out, study, {"canary": canary(study.seed), **(environment or {})}, fresh=fresh)
    for layout in {cell.layout for cell in cells if cell.layout_hash}:
        if not (out / layout).exists() or (out / layout).read_bytes() != (spec_folder / layout).read_bytes():
            (out / layout).parent.mkdir(parents=True, exist_ok=True)
            (out / layout).write_bytes((spec_folder / layout).read_bytes())
    named = {cell.identifier(study.seed, study.x64): cell for cell in cells}
    expected = {name: rows_per_run(cell) for name, cell in named.items()}
    done = store.scan(out, expected)
    pieces = done.cells
    meter = _Meter(progress, stop)
    reused = computed = samples = 0
    failures: list[str] = []
    for first, wanted in enumerate(_rounds(study, out, named, pieces)):
        todo = [
            Piece(named[name], low, high)
            for name, runs in wanted.items()
            for low, high in store.missing(pieces.get(name, []), runs)
        ]
        missing = sum(piece.high - piece.low for piece in todo)
        reused += sum(wanted.values()) - missing if first == 0 else 0
        for name, runs in wanted.items():
            _join_if_whole(out, name, pieces, runs)
        receipts, failed, consumed = _compute(study, out, todo, wanted, executor, meter, pieces)
        samples += consumed
        computed += sum(receipt.high - receipt.low for receipt in receipts)
        failures += failed
        if failed:
            break
    target = _targets(study, out, named, pieces) if not failures else dict.fromkeys(named, study.runs)
    left = sum(h - low for name, runs in target.items() for low, h in store.missing(pieces.get(name, []), runs))
    return Report(computed, reused, left, samples, time.perf_counter() - started, done.ignored, failures)


def check_mixtures(study: Study, cells: Sequence[Cell], spec_folder: Path = Path()) -> None:
    """Raises ValueError if a mixture cannot be drawn for the first runs."""
    keys = study_keys(study.seed)
    for cell in {cell.mixture_fields(): cell for cell in cells}.values():
        build_mixture(cell, keys.mixture, range(min(study.runs, 64)), spec_folder)


def _rounds(study: Study, out: Path, named: dict[str, Cell], pieces: dict[str, list[store.Stored]]):
    """How many runs each cell should have, again and again until all have them."""
    while True:
        wanted = _targets(study, out, named, pieces)
        yield wanted
        if _targets(study, out, named, pieces) == wanted:
            return


def _targets(study: Study, out: Path, named: dict[str, Cell], pieces: dict) -> dict[str, int]:
    """The runs that each cell should have, from what is stored: the first declared round at which it is precise."""
    if study.precision is None:
        return dict.fromkeys(named, study.runs)
    found = {}
    for name in named:
        there = pieces.get(name, [])
        for runs in study.rounds():
            found[name] = runs
            whole = bool(there) and there[0].low == 0 and there[0].high >= runs
            if not whole or _precision(there[0].path, runs) <= study.precision:
                break
    return found


def _precision(path: Path, runs: int) -> float:
    """The relative standard error of the squared error at the last checkpoint, controlled where there is a twin."""
    last = relevant_rows(path, ("error_sq", "twin_error_sq", "twin_mean_sq"), runs)
    value, error = controlled_mean(*last)
    return error / abs(value) if value else np.inf


def relevant_rows(path: Path, columns: Sequence[str], runs: int) -> list[np.ndarray | None]:
    """Columns of the first `runs` runs at the last checkpoint."""
    table = pq.read_table(path, columns=[*columns, "run", "samples"])
    keep = (table["run"].to_numpy() < runs) & (table["samples"].to_numpy() == table["samples"].to_numpy().max())
    arrays = [table[name].to_numpy(zero_copy_only=False)[keep].astype(float) for name in columns]
    return [None if np.isnan(array).all() else array for array in arrays]


def controlled_mean(values, twin, twin_mean) -> tuple[float, float]:
    """`inference.controlled`, or the plain mean where there is no twin."""
    if twin is None or twin_mean is None:
        plain = inference.mean(values)
        return plain.value, plain.standard_error
    found = inference.controlled(values, twin, twin_mean)
    return found.value, found.standard_error


def _compute(study, out, todo, wanted, executor, meter, pieces) -> tuple[list[Receipt], list[str], int]:
    """Do these pieces, here or by the executor, and join what is then whole."""
    devices = jax.devices()
    here = {"devices": len(devices), "gpu": devices[0].platform == "gpu"} if executor is None else {"devices": 1}
    tasks = plan.tasks(todo, **here)
    meter.expect(sum(samples_of(task) for task in tasks))
    stored = pieces
    receipts: list[Receipt] = []
    failures: list[str] = []
    payloads = [(study, out.absolute(), task, wanted) for task in tasks]

    def take(found: list[Receipt]) -> None:
        receipts.extend(found)
        for name, low, high in found:
            path = out / "tiles" / f"{name}.{low}-{high}.parquet"
            path = out / "cells" / f"{name}.parquet" if (low, high) == (0, wanted[name]) else path
            stored[name] = sorted([*stored.get(name, []), store.Stored(path, low, high)], key=lambda p: p.low)
            _join_if_whole(out, name, stored, wanted[name])

    if executor is None:
        for study_, out_, task, wanted_ in payloads:
            take(work(study_, out_, task, wanted_, meter))
    else:
        futures: dict[Future, Task] = {executor.submit(work, *payload): payload[2] for payload in payloads}
        try:
            for future in as_completed(futures):
                task = futures[future]
                if future.exception() is not None:
                    failures.append(f"{len(task.pieces)} pieces from {task.pieces[0].cell.part}: {future.exception()}")
                else:
                    take(future.result())
                    meter.name = task.pieces[0].cell.part
                    meter(samples_of(task))
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return receipts, failures, meter.done_now


def samples_of(task: Task) -> int:
    """Samples that a task consumes, seeding included."""
    streamed = sum(p.cell.n * (p.high - p.low) for p in task.pieces if p.cell.algorithm != "seeding")
    first = task.pieces[0]
    return streamed + (first.cell.seeding.n * (first.high - first.low) if first.cell.seeding else 0)


def _join_if_whole(out: Path, name: str, pieces: dict[str, list[store.Stored]], runs: int) -> None:
    mine = pieces.get(name, [])
    if mine and not store.missing(mine, runs):
        # Runs beyond what is wanted (of an earlier, larger round) stay.
        until = next(i for i, piece in enumerate(mine) if piece.high >= runs)
        pieces[name] = [store.join(out, name, mine[: until + 1]), *mine[until + 1 :]]


# --- one task ---


def work(study: Study, out: Path, task: Task, wanted: dict[str, int], meter: Callable | None = None) -> list[Receipt]:
    """Compute a task and store it; what is finished is stored even when it is stopped half way."""
    if jax.config.jax_enable_x64 != study.x64:
        jax.config.update("jax_enable_x64", study.x64)
    found: dict[Cell, list[tuple[int, pa.Table]]] = {}
    try:
        _compute_task(study, out, task, found, meter or _nothing)
    finally:
        receipts = _store(study, out, found, wanted)
    return receipts


def _store(study: Study, out: Path, found: dict, wanted: dict[str, int]) -> list[Receipt]:
    """Neighbouring runs of a cell go into one file."""
    receipts = []
    for cell, parts in found.items():
        name, rows = cell.identifier(study.seed, study.x64), rows_per_run(cell)
        runs: list[tuple[int, list[pa.Table]]] = []
        here = -1
        for low, table in sorted(parts, key=lambda part: part[0]):
            if low != here:
                runs.append((low, []))
            runs[-1][1].append(table)
            here = low + table.num_rows // rows
        for low, tables in runs:
            stored = store.write_runs(out, name, low, pa.concat_tables(tables), rows, wanted[name])
            receipts.append(Receipt(name, stored.low, stored.high))
    return receipts


def _compute_task(study: Study, out: Path, task: Task, found: dict, meter: Callable) -> None:
    devices = jax.devices()
    keys = study_keys(study.seed)
    seeded = task.pieces[0].cell.seeding is not None
    first = task.pieces[0].cell
    gpu = devices[0].platform == "gpu"
    longest = 10**9 if seeded else max(piece.cell.n for piece in task.pieces)
    width = plan.pack_width(first.k, first.d, longest, devices=len(devices), gpu=gpu)
    chunks = [
        Piece(piece.cell, low, min(low + width, piece.high))
        for piece in task.pieces
        for low in range(piece.low, piece.high, width)
    ]
    if not seeded:
        for pack in _packed(chunks, width):
            _stream_pack(study, out, pack, keys, None, found, meter)
        return
    for low in sorted({piece.low for piece in chunks}):
        mine = [piece for piece in chunks if piece.low == low]
        start = _seed_range(study, out, out, mine, keys, meter)
        programs: dict[tuple, list[Piece]] = {}
        for piece in mine:
            programs.setdefault(piece.cell.program_fields(), []).append(piece)
        for pieces in programs.values():
            for pack in _packed(sorted(pieces, key=lambda p: -p.cell.n), width):
                _stream_pack(study, out, pack, keys, start, found, meter)


def _packed(pieces: Sequence[Piece], width: int) -> list[list[Piece]]:
    """Pieces in a row (the longest streams first) as packs of at most `width` runs."""
    packs: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if not packs or piece.high - piece.low > room:
            packs.append([])
            room = width
        packs[-1].append(piece)
        room -= piece.high - piece.low
    return packs


class _Start(NamedTuple):
    """What seeding left for a range of runs: NumPy arrays, runs last."""

    words: lanes.LaneState
    means: np.ndarray
    per_run: dict[str, np.ndarray]


@lru_cache(maxsize=1024)
def _drawn_mixture(cell: Cell, seed: int, low: int, high: int, folder: Path) -> Mixture:
    """The mixture of these runs as NumPy arrays with a run axis."""
    built = build_mixture(cell, study_keys(seed).mixture, range(low, high), folder)
    runs = high - low
    spread = lambda x: np.broadcast_to(np.asarray(x)[..., None], (*x.shape, runs))  # noqa: E731
    return Mixture(*(map(np.asarray, built) if built.means.ndim == 3 else map(spread, built)))


def _mixture_of(cell: Cell, seed: int, low: int, high: int, folder: Path) -> Mixture:
    """`_drawn_mixture`, drawn once for all cells that share it."""
    bare = cell.model_copy(update={**dict.fromkeys(("part", "algorithm"), ""), "theorem": "", "n": 0, "rate": None})
    bare = bare.model_copy(update={"checkpoints": (), "start": "", "seeding": None, "beta": None, "schedule": None})
    bare = bare.model_copy(update={"axes": (), "rate_name": "", "adam": None, "average": 0.0, "displacement": False})
    return _drawn_mixture(bare, seed, low, high, folder)


def _seed_range(
    study: Study, out: Path | None, folder: Path, pieces: list[Piece], keys: Keys, meter: Callable
) -> _Start:
    """The start of these runs; the first run's graph goes to `out` as an example."""
    cell, low, high = pieces[0]
    assert cell.seeding is not None
    meter_name(meter, cell.part)
    mixed = _mixture_of(cell, study.seed, low, high, folder)
    batch = trials.batch(keys.lanes, range(low, high), mixed)
    sizes = cell.seeding.model_dump()
    batch, found, example = trials.seed_centres(keys.start, batch, **sizes, progress=meter)
    real = slice(high - low)
    per_run = {
        "components": np.asarray(found.num_components)[real],
        "subspace_distance": trials.measure_subspace(found.basis, batch),
    }
    if low == 0 and out is not None:
        truth, start = np.asarray(batch.mixture.means[..., 0]), np.asarray(found.means[..., 0])
        table = _example_table(truth, start, example, np.asarray(found.basis[..., 0]))
        for piece in pieces:
            store.write_table(out / "examples" / f"{piece.cell.identifier(study.seed, study.x64)}.parquet", table)
    words = lanes.LaneState(*(np.asarray(word)[..., real] for word in batch.lanes))
    return _Start(words, np.asarray(found.means)[..., real], per_run)


def meter_name(meter: Callable, name: str) -> None:
    """Tell a meter what runs now."""
    if isinstance(meter, _Meter):
        meter.name = name


def _stream_pack(study, out, pack: list[Piece], keys: Keys, start: _Start | None, found: dict, meter) -> None:
    """Stream the pieces of a pack side by side and keep their tables."""
    first = pack[0].cell
    meter_name(meter, first.part if first.algorithm == "seeding" else f"{first.part} n={first.n}")
    mixtures = [_mixture_of(p.cell, study.seed, p.low, p.high, out) for p in pack]
    ids = np.concatenate([np.arange(p.low, p.high, dtype=np.uint32) for p in pack])
    mixed = Mixture(*(np.concatenate(values, axis=-1) for values in zip(*mixtures, strict=True)))
    width = trials.ladder(len(ids), len(jax.devices()))
    if start is None:
        batch = trials.batch(keys.lanes, ids, mixed, width=width)
        offsets = [0.0 if p.cell.start == "truth" else float(p.cell.start) for p in pack]
        means = trials.offset_start(keys.start, batch, np.repeat(offsets, [p.high - p.low for p in pack]))
    else:
        words = lanes.LaneState(*(np.concatenate([word] * len(pack), axis=-1) for word in start.words))
        batch = trials.lay_out(ids, mixed, words, width=width)
        means = trials.lay_like(np.concatenate([start.means] * len(pack), axis=-1), batch)
    records = _simulate(pack, batch, means, meter)
    for piece, record, mine in zip(pack, records, mixtures, strict=True):
        table = _table(piece, mine, record, start.per_run if start else {})
        found.setdefault(piece.cell, []).append((piece.low, table))


def _simulate(pack: list[Piece], batch: trials.Batch, start: jax.Array, meter) -> list[trials.Record]:
    cells = [piece.cell for piece in pack]
    sizes = [piece.high - piece.low for piece in pack]
    cell = cells[0]
    if cell.algorithm == "seeding":
        error = trials.measure_starts(start, batch)
        edges = np.cumsum([0, *sizes])
        return [trials.start_record(c.n, error, slice(a, b)) for c, a, b in zip(cells, edges, edges[1:], strict=False)]

    def each(values) -> np.ndarray:
        return np.repeat(np.array(values, float), sizes)

    if cell.algorithm == "em":
        rate, beta = each([c.rate for c in cells]), each([c.beta for c in cells])
        algorithm = trials.em_algorithm(batch, start[0], rate=rate, beta=beta, twin=True)
    else:
        burn = np.repeat([round(c.n * (1 - c.average)) for c in cells], sizes) if cell.average else None
        algorithm = trials.lloyd_algorithm(
            batch,
            start,
            rate=_rate(cells, each),
            gate={"lloyd": "nearest", "soft": "soft", "oracle": "labelled"}[cell.algorithm],
            beta=each([c.beta for c in cells]) if cell.algorithm == "soft" else 1.0,
            burn=burn,
            twin=has_twin(cell),
        )
    segments = [trials.Segment(size, c.checkpoints) for size, c in zip(sizes, cells, strict=True)]
    return trials.simulate(algorithm, batch, segments, progress=meter)


def _rate(cells: list[Cell], each: Callable):
    first = cells[0]
    if first.adam:
        return _adam(first.adam)
    if first.schedule:
        return rates.Polynomial(*(each(values) for values in zip(*(c.schedule for c in cells), strict=True)))
    if first.rate is None:
        return _inverse_count(0 if first.algorithm == "oracle" else 1)
    return each([c.rate for c in cells])


@lru_cache
def _inverse_count(initial: int) -> optax.GradientTransformation:
    return lloyd.inverse_count(initial)


@lru_cache
def _adam(rate: float) -> optax.GradientTransformation:
    return optax.adam(rate)


def has_twin(cell: Cell) -> bool:
    """Whether the cell's twin has a known mean: not under Adam, averages, or for the oracle (which is a twin)."""
    return cell.algorithm in ("lloyd", "soft", "em") and not cell.adam and not cell.average


@lru_cache(maxsize=512)
def twin_law(cell: Cell, weight: float) -> labelled.Law:
    """The law of the cell's twin (the oracle's own) at its checkpoints, 0 included, for a component of this weight."""
    samples = np.array([0, *cell.checkpoints])
    if cell.algorithm == "em":
        assert cell.rate is not None
        return labelled.constant(samples, rate=cell.rate, weight=1.0)
    if cell.schedule:
        return labelled.polynomial(samples, schedule=rates.Polynomial(*cell.schedule), weight=weight)
    if cell.rate is None:
        return labelled.inverse_count(samples, weight=weight, initial=0 if cell.algorithm == "oracle" else 1)
    return labelled.constant(samples, rate=cell.rate, weight=weight)


def _twin_columns(cell: Cell, record: trials.Record) -> dict[str, np.ndarray]:
    """The twin's squared error, and its exact mean given each run's start; shape (checkpoints, runs)."""
    assert record.twin_sq is not None
    if cell.algorithm == "em":
        law = twin_law(cell, 1.0)
        expected = law.kept[:, None] * record.start_sq[None] + law.noise[:, None] * cell.scales[0] ** 2 * cell.d
        return {"twin_error_sq": record.twin_sq, "twin_mean_sq": expected}
    expected = np.zeros(record.twin_sq.shape)
    for component, (weight, scale) in enumerate(zip(cell.weights, cell.scales, strict=True)):
        if weight:
            law = twin_law(cell, weight)
            kept, noise = law.kept, law.noise
        else:
            kept, noise = np.ones(len(expected)), np.zeros(len(expected))
        start_sq = np.where(record.component == component, record.start_sq, 0).sum(axis=0)
        expected += kept[:, None] * start_sq[None] + noise[:, None] * scale**2 * cell.d
    return {"twin_error_sq": record.twin_sq, "twin_mean_sq": expected}


def span(means: np.ndarray) -> np.ndarray:
    """An orthonormal basis (d, r) of the differences of the means (k, d): mean displacements lie in it."""
    centred = means - means.mean(axis=0)
    _, sizes, directions = np.linalg.svd(np.asarray(centred, float), full_matrices=False)
    return directions[sizes > 1e-6 * max(sizes[0], 1e-300)].T


def _displacements(cell: Cell, mixed: Mixture, record: trials.Record) -> dict[str, np.ndarray]:
    """Of each component's centre in the means' span, shape (runs, k r): the estimate's, the twin's less its mean."""
    basis = span(np.asarray(mixed.means)[..., 0])
    order = np.argsort(record.component, axis=0)

    def coordinates(vectors: np.ndarray) -> np.ndarray:
        projected = np.einsum("kdr,db->kbr", vectors, basis)
        return np.take_along_axis(projected, order[:, None], axis=0)

    found = {"displacement": coordinates(record.displacement)}
    if record.twin_displacement is not None:
        drift = np.array([twin_law(cell, weight).drift[-1] if weight else 1.0 for weight in cell.weights])
        expected = drift[:, None, None] * coordinates(record.start_displacement)
        found["twin_displacement"] = coordinates(record.twin_displacement) - expected
    return {name: np.moveaxis(value, -1, 0).reshape(value.shape[-1], -1) for name, value in found.items()}


def replay(study: Study, cell: Cell, run_id: int, *, spec_folder: Path = Path(), checkpoints: int = 40) -> pa.Table:
    """One run alone, its errors at many checkpoints; the last row is the stored one."""
    steps = {max(1, cell.n * i // checkpoints) for i in range(1, checkpoints + 1)} if cell.checkpoints else ()
    dense = cell.model_copy(update={"checkpoints": tuple(sorted({*steps, *cell.checkpoints}))})
    keys = study_keys(study.seed)
    piece = Piece(dense, run_id, run_id + 1)
    start = None
    if cell.seeding:
        start = _seed_range(study, None, spec_folder, [piece], keys, _nothing)
    tables: dict[Cell, list] = {}
    _stream_pack(study, spec_folder, [piece], keys, start, tables, _nothing)
    return tables[dense][0][1]


def pilot(study: Study, cell: Cell, runs: int, folder: Path) -> tuple[np.ndarray, float]:
    """Squared errors of a few runs of a cell at its last checkpoint, and the seconds they took once compiled."""
    keys = study_keys(study.seed)
    seconds = 0.0
    for _ in range(2):
        tables: dict[Cell, list] = {}
        started = time.perf_counter()
        start = _seed_range(study, None, folder, [Piece(cell, 0, runs)], keys, _nothing) if cell.seeding else None
        _stream_pack(study, folder, [Piece(cell, 0, runs)], keys, start, tables, _nothing)
        seconds = time.perf_counter() - started
    return tables[cell][0][1]["error_sq"].to_numpy()[rows_per_run(cell) - 1 :: rows_per_run(cell)].astype(
        float
    ), seconds


def _nothing(samples: int) -> None:
    """No meter."""


class _Meter:
    """Adds up the samples consumed, and stops when asked."""

    def __init__(self, progress: Progress, stop: Callable[[], bool]):
        self.progress, self.stop = progress, stop
        self.total = self.done = self.before = 0
        self.name = ""

    def expect(self, samples: int) -> None:
        self.before = self.done
        self.total = self.done + samples

    @property
    def done_now(self) -> int:
        return self.done - self.before

    def __call__(self, samples: int) -> None:
        self.done += samples
        self.progress(self.name, self.done, self.total)
        if self.stop():
            raise Stopped


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


# Parquet names a list's elements so: a table that was read again must be the one that was written.
ELEMENT = pa.field("element", pa.float64())
FIXED = ("part", "algorithm", "k", "d", "separation", "sigma", "n", "rate", "rate_name", "average", "beta", "layout")


def _table(piece: Piece, mixed: Mixture, record: trials.Record, per_run: dict[str, np.ndarray]) -> pa.Table:
    """One row for each (run, checkpoint), sorted by run."""
    cell, runs = piece.cell, piece.high - piece.low
    checkpoints = len(record.samples)
    size = checkpoints * runs
    seeding = cell.seeding.model_dump() if cell.seeding else dict.fromkeys(spec.SeedingSizes.model_fields)
    fixed = {name: getattr(cell, name) for name in FIXED}
    fixed |= {"start": str(cell.start), "seeding_n": seeding.pop("n"), **seeding}
    columns = {name: _constant(value, size) for name, value in fixed.items()}
    for name in ("weights", "scales"):
        values = pa.array(np.tile(getattr(cell, name), size))
        columns[name] = pa.FixedSizeListArray.from_arrays(values, type=pa.list_(ELEMENT, cell.k))
    columns["run"] = np.repeat(np.arange(piece.low, piece.high, dtype=np.int64), checkpoints)
    columns["samples"] = np.tile(record.samples.astype(np.int64), runs)
    columns |= {name: values.T.reshape(-1) for name, values in record.error._asdict().items()}
    twins = _twin_columns(cell, record) if record.twin_sq is not None else {}
    for name in ("twin_error_sq", "twin_mean_sq"):
        columns[name] = twins[name].T.reshape(-1).astype(float) if twins else pa.nulls(size, pa.float64())
    means = np.asarray(mixed.means, float)
    largest = np.sqrt((means**2).sum(axis=1)).max(axis=0)
    separations = _closest(means) / np.asarray(mixed.scales).max(axis=0)
    per_run = {"realised_separation": separations, "largest_mean": largest, **per_run}
    columns |= {name: np.repeat(values, checkpoints) for name, values in per_run.items()}
    if cell.displacement:
        last = np.arange(size) % checkpoints == checkpoints - 1
        for name, values in _displacements(cell, mixed, record).items():
            columns[name] = _sparse_lists(values, last)
    return pa.table(columns)


def _closest(means: np.ndarray) -> np.ndarray:
    """The smallest distance between two means of each run; infinite for one."""
    pairs = [np.sum((means[i] - means[j]) ** 2, axis=0) for i in range(len(means)) for j in range(i)]
    return np.sqrt(np.min(pairs, axis=0)) if pairs else np.full(means.shape[-1], np.inf)


def _sparse_lists(values: np.ndarray, where: np.ndarray) -> pa.Array:
    """A list for each place that is `where`, null elsewhere."""
    lengths = np.where(where, values.shape[1], 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(values.reshape(-1)), pa.list_(ELEMENT), mask=pa.array(~where)
    )


def _constant(value, size: int) -> pa.Array:
    if value is None:
        return pa.nulls(size, pa.float64())
    return pa.repeat(pa.scalar(value), size)
