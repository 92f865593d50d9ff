"""One task: some runs of some cells, from their mixtures and starts to the tiles that are stored.

Run r of every cell draws the same bits (they depend on the seed and r alone), so cells are compared on common random
numbers, and cells that differ after their start share it: it is computed once.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pyarrow as pa

from jgmm import lanes, mixture, named, outside, steps, threefry
from jgmm import start as starts
from jgmm.contract import Choice
from jgmm.engine import machine, together
from jgmm.engine import run as engine
from jgmm.engine.run import Record, Segment
from jgmm.engine.runs import Batch, as_mixture, as_words, batch, run_keys
from jgmm.errors import CentreError
from jgmm.mixture import Mixture
from jgmm.study import means as layouts
from jgmm.study import plan, tables
from jgmm.study.folder import parquet, store
from jgmm.study.folder.spool import Spool
from jgmm.study.meter import Meter
from jgmm.study.plan import Piece, Task
from jgmm.study.schema import of_file
from jgmm.study.spec import Cell, MixtureFields, Study


class Keys(NamedTuple):
    """What each is used for."""

    mixture: jax.Array
    lanes: jax.Array
    start: jax.Array


class Driven(NamedTuple):
    """What computed some runs: on which device, by which back ends and why."""

    device: str
    back_end: Choice | None  # of the stream; None where a cell has none
    seeding: Choice | None  # of the power iteration; None where a cell has no seeding


class Receipt(NamedTuple):
    """What a task stored of a cell."""

    cell: str
    low: int
    high: int
    driven: Driven


def study_keys(seed: int) -> Keys:
    """The keys of a study: `jax.random.split(jax.random.key(seed), 3)`."""
    words = threefry.fold_in(np.array([[0], [seed]], np.uint32), np.arange(3, dtype=np.uint32))
    with machine.on_host():
        return Keys(*map(threefry.keys, words.T))


def canary(seed: int) -> list[int]:
    """A few of the integers that a study draws, and a digest of means: what draws others must not extend it."""
    with jax.enable_x64(False), machine.on_host():
        keys = study_keys(seed)
        words = lanes.seed(keys.lanes, np.arange(2, dtype=np.uint32), d=2)
        for _ in range(3):
            words, bits = lanes.next_bits(words)
        means = [mixture.simplex(k, 9, separation=3.0).means for k in (3, 4, 10)]
        means.append(mixture.symmetric(3, separation=3.0).means)
        means.append(mixture.box(run_keys(keys.mixture, range(1)), 3, 2, side=10.0).means)
        normals = lanes.normal_pair(*bits[:2])
    digest = hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in (*means, *normals))).digest()
    return [*(int(x) for x in bits.ravel()[:6]), int.from_bytes(digest[:4], "little")]


def build_mixture(cell: Cell | MixtureFields, key: jax.Array, run_ids: Sequence[int], folder: Path = Path()) -> Mixture:
    """The mixture of a cell, a run axis where it is drawn for each run. Raises ValueError if it cannot be built."""
    weights, scales = cell.weights, np.array(cell.scales)
    if not of_file(cell.layout):
        layout = named.load("layout", cell.layout)
        return layout.build(
            cell.k,
            cell.d,
            keys=run_keys(key, run_ids) if layout.drawn else None,
            separation=cell.separation,
            side=cell.side,
            weights=weights,
            scales=scales,
        )
    found = layouts.read(folder / cell.layout)
    if found.digest != cell.layout_hash:
        raise ValueError(
            f"{folder / cell.layout} holds other means than a moment ago: expected digest {cell.layout_hash}"
        )
    return mixture.given(found.values, weights=weights, scales=scales)


class _Found(NamedTuple):
    """Some runs of a cell, and what computed them."""

    rows: tables.Rows
    driven: Driven


def work(
    study: Study,
    out: Path,
    task: Task,
    meter: Meter | None = None,
    *,
    back_end: str = "auto",
) -> list[Receipt]:
    """Compute a task and store it; what is finished is stored even when it is stopped half way.

    back_end: auto, cpu, gpu or scan (`engine.choose`). Raises ValueError if it cannot be.
    """
    found: dict[Cell, list[_Found]] = {}
    kept = Spool(out / "tiles")
    try:
        with jax.enable_x64(study.x64), machine.on_host(), outside.beside(out / outside.FOLDER):
            for piece in task.pieces:
                for name, _ in piece.cell.sources:
                    outside.load(name)
            _compute_task(study, out, task, found, meter or Meter(), back_end, kept)
    finally:
        receipts = _store(study, out, found)
        kept.close()
    return receipts


def replay(
    study: Study,
    cell: Cell,
    run_id: int,
    *,
    spec_folder: Path = Path(),
    checkpoints: int = 40,
    back_end: str = "auto",
) -> pa.Table:
    """One run alone, its errors at many checkpoints; the last row is the stored one if the back end is the same."""
    steps = {max(1, cell.n * i // checkpoints) for i in range(1, checkpoints + 1)} if cell.checkpoints else ()
    dense = cell.model_copy(update={"checkpoints": tuple(sorted({*steps, *cell.checkpoints}))})
    piece = Piece(dense, run_id, run_id + 1)
    return tables.run_table(_alone(study, piece, spec_folder, back_end).rows)


class Pilot(NamedTuple):
    """Squared errors of a few runs of a cell at its last checkpoint, the seconds they took once compiled, by what."""

    error_sq: np.ndarray
    seconds: float
    driven: Driven


def pilot(study: Study, cell: Cell, runs: int, folder: Path, *, back_end: str = "auto") -> Pilot:
    """A few runs of a cell; nothing is stored."""
    _alone(study, Piece(cell, 0, runs), folder, back_end)
    started = time.perf_counter()
    found = _alone(study, Piece(cell, 0, runs), folder, back_end)
    seconds = time.perf_counter() - started
    return Pilot(found.rows.errors["error_sq"][-1].astype(float), seconds, found.driven)


def _alone(study: Study, piece: Piece, folder: Path, back_end: str) -> _Found:
    """A piece that nothing is streamed beside; nothing is stored."""
    found: dict[Cell, list[_Found]] = {}
    with jax.enable_x64(study.x64), machine.on_host():
        keys = study_keys(study.seed)
        start = _seed_range(study, None, folder, [piece], keys, Meter(), back_end) if piece.cell.seeding else None
        _stream_pack(study, folder, [piece], keys, start, found, Meter(), back_end, Spool(None))
    return found[piece.cell][0]


def _store(study: Study, out: Path, found: dict[Cell, list[_Found]]) -> list[Receipt]:
    """Neighbouring runs of a cell go into one file."""
    receipts = []
    for cell, parts in found.items():
        name = cell.identifier(study.seed, study.x64)
        runs: list[list[_Found]] = []
        here = -1
        for part in sorted(parts, key=lambda part: part.rows.piece.low):
            if part.rows.piece.low != here:
                runs.append([])
            runs[-1].append(part)
            here = part.rows.piece.high
        for pieces in runs:
            low, high = pieces[0].rows.piece.low, pieces[-1].rows.piece.high
            # Rows are made as they are written: they take twenty times the memory of what they are made from.
            made = (table for piece in pieces for table in tables.run_tables(piece.rows))
            store.write_runs(out, name, low, high, made)
            receipts.append(Receipt(name, low, high, pieces[0].driven))
    return receipts


def _compute_task(study: Study, out: Path, task: Task, found: dict, meter: Meter, back_end: str, kept: Spool) -> None:
    devices = jax.devices()
    keys = study_keys(study.seed)
    seeded = task.pieces[0].cell.seeding is not None
    first = task.pieces[0].cell
    gpu = machine.on_gpu()
    longest = 10**9 if seeded else max(piece.cell.n for piece in task.pieces)
    width = plan.pack_width(first.k, first.d, longest, devices=len(devices), gpu=gpu)
    chunks = [
        Piece(piece.cell, low, min(low + width, piece.high))
        for piece in task.pieces
        for low in range(piece.low, piece.high, width)
    ]
    if not seeded:
        for pack in _packed(chunks, width):
            _stream_pack(study, out, pack, keys, None, found, meter, back_end, kept)
        return
    for low in sorted({piece.low for piece in chunks}):
        mine = [piece for piece in chunks if piece.low == low]
        start = _seed_range(study, out, out, mine, keys, meter, back_end)
        programs: dict[tuple, list[Piece]] = {}
        for piece in mine:
            programs.setdefault(piece.cell.program_fields(), []).append(piece)
        for pieces in programs.values():
            for pack in _packed(sorted(pieces, key=lambda p: -p.cell.n), width):
                _stream_pack(study, out, pack, keys, start, found, meter, back_end, kept)


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
    back_end: Choice  # of the power iteration


DRAWN_BYTES = 2**26  # of mixtures that are kept for the cells that share them
_drawn: OrderedDict[tuple, Mixture] = OrderedDict()  # the last one used at its end
_drawing = threading.Lock()


def _drawn_mixture(fields: MixtureFields, seed: int, low: int, high: int, folder: Path, *, x64: bool) -> Mixture:
    """The mixture of these runs as NumPy arrays with a run axis, drawn once for all cells that share it.

    x64: what is asked of JAX here, so that float32's are not taken for float64's.
    """
    assert x64 == jax.config.read("jax_enable_x64")
    key = (fields, seed, low, high, folder, x64)
    with _drawing:
        found = _drawn.pop(key, None)
    found = _draw_mixture(fields, seed, low, high, folder) if found is None else found
    with _drawing:
        _drawn[key] = found
        while sum(map(_mixture_bytes, _drawn.values())) > DRAWN_BYTES:
            _drawn.popitem(last=False)
    return found


def _mixture_bytes(mixed: Mixture) -> int:
    """What it holds: one that is the same in every run holds a run."""
    return sum(x.nbytes for x in map(np.asarray, mixed) if x.strides[-1])


def _draw_mixture(fields: MixtureFields, seed: int, low: int, high: int, folder: Path) -> Mixture:
    built = build_mixture(fields, study_keys(seed).mixture, range(low, high), folder)
    runs = high - low
    spread = lambda x: np.broadcast_to(np.asarray(x)[..., None], (*x.shape, runs))  # noqa: E731
    return as_mixture(*(map(np.asarray, built) if built.means.ndim == 3 else map(spread, built)))


def _seed_range(
    study: Study, out: Path | None, folder: Path, pieces: list[Piece], keys: Keys, meter: Meter, back_end: str
) -> _Start:
    """The start of these runs; the first run's graph goes to `out` as an example."""
    cell, low, high = pieces[0]
    assert cell.seeding is not None
    meter.begin(cell.part)
    mixed = _drawn_mixture(cell.mixture_fields(), study.seed, low, high, folder, x64=study.x64)
    runs = batch(keys.lanes, range(low, high), mixed)
    asked = {**cell.seeding.model_dump(), "noise": cell.disturbed}
    runs, found, example = starts.seed(keys.start, runs, **asked, back_end=back_end, progress=meter)
    per_run = {
        "components": found.num_components,
        "subspace_distance": starts.measure_subspace(found.basis, runs),
    }
    if low == 0 and out is not None:
        truth, start = np.asarray(mixed.means)[..., 0], found.means[..., 0]
        table = tables.example_table(truth, start, example, found.basis[..., 0])
        for piece in pieces:
            parquet.write_table(out / "examples" / f"{piece.cell.identifier(study.seed, study.x64)}.parquet", table)
    return _Start(runs.words, found.means, per_run, found.back_end)


def _stream_pack(
    study,
    out,
    pack: list[Piece],
    keys: Keys,
    start: _Start | None,
    found: dict,
    meter: Meter,
    back_end: str,
    kept: Spool,
) -> None:
    """Stream the pieces of a pack side by side, as so many runs, and keep what they leave."""
    first = pack[0].cell
    meter.begin(first.part if first.start_only else f"{first.part} n={first.n}")
    mixtures = [_drawn_mixture(p.cell.mixture_fields(), study.seed, p.low, p.high, out, x64=study.x64) for p in pack]
    ids = np.concatenate([np.arange(p.low, p.high, dtype=np.uint32) for p in pack])
    mixed = as_mixture(*(np.concatenate(values, axis=-1) for values in zip(*mixtures, strict=True)))
    if start is None:
        runs = batch(keys.lanes, ids, mixed)
        offsets = [0.0 if p.cell.start == "truth" else float(p.cell.start) for p in pack]
        means = starts.offset_start(keys.start, runs, np.repeat(offsets, [p.high - p.low for p in pack]))
    else:
        runs = Batch(ids, mixed, as_words(*(np.concatenate([word] * len(pack), axis=-1) for word in start.words)))
        means = np.concatenate([start.means] * len(pack), axis=-1)
    per_run = start.per_run if start else {}
    if first.start_only:
        errors = _start_errors(pack, runs, means)
        left = [tables.start_rows(*each, per_run) for each in zip(pack, mixtures, errors, strict=True)]
        drove: list[Choice | None] = [None] * len(pack)
    else:
        records = _simulate(pack, runs, means, meter, back_end, kept)
        left = [tables.rows(*each, per_run) for each in zip(pack, mixtures, records, strict=True)]
        drove = [record.back_end for record in records]
    for piece, rows, back_end_of in zip(pack, left, drove, strict=True):
        driven = Driven(jax.devices()[0].device_kind, back_end_of, start.back_end if start else None)
        found.setdefault(piece.cell, []).append(_Found(rows, driven))


def _start_errors(pack: list[Piece], runs: Batch, start: np.ndarray) -> list[CentreError]:
    """The errors of the starts of each piece, whose runs stand side by side."""
    error = starts.measure(start[: pack[0].cell.estimates], runs)
    edges = np.cumsum([0, *(piece.high - piece.low for piece in pack)])
    return [CentreError(*(x[low:high] for x in error)) for low, high in pairwise(edges)]


def _simulate(
    pack: list[Piece], runs: Batch, start: np.ndarray, meter: Meter, back_end: str, kept: Spool
) -> list[Record]:
    cells = [piece.cell for piece in pack]
    sizes = [piece.high - piece.low for piece in pack]
    cell = cells[0]

    def each(values) -> np.ndarray:
        return np.repeat(np.array(values, float), sizes)

    algorithm = cell.record
    ready = together.ready(
        runs,
        algorithm,
        start[: cell.estimates],
        steps=_step_size(cells, each),
        noise=cell.disturbed,
        twin=cell.has_twin,
        average=np.repeat([round(c.n * (1 - c.average)) for c in cells], sizes) if cell.average else None,
        **{name: each([c.chosen[name] for c in cells]) for name in cell.chosen},
    )
    segments = [Segment(size, c.checkpoints) for size, c in zip(sizes, cells, strict=True)]
    return engine.simulate(ready, runs, segments, back_end=back_end, progress=meter, keep=kept.array)


def _step_size(cells: list[Cell], each: Callable) -> steps.StepSize:
    """The step size of cells of one kind, each run with its own cell's numbers."""
    rule, numbers = cells[0].step_size
    return steps.StepSize(rule, {name: each([cell.step_size.numbers[name] for cell in cells]) for name in numbers})
