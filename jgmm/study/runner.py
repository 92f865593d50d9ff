"""Run the cells of a study and store them: what is missing, in tasks, here or by any `concurrent.futures.Executor`.

A task (see `plan`) is computed by `work.work`, which writes tiles and returns receipts; how the work is cut, and who
does it, has no effect on results.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pyarrow.parquet as pq

from jgmm.study import inference, plan, spec, store
from jgmm.study.plan import Piece, Task
from jgmm.study.spec import Cell, Study
from jgmm.study.tables import rows_per_run
from jgmm.study.work import Receipt, Stopped, build_mixture, canary, pilot, replay, study_keys, work

__all__ = ["Report", "Stopped", "canary", "pilot", "replay", "rows_per_run", "run_study", "samples_of", "study_keys"]

Progress = Callable[[str, int, int], None]  # (cells done and what runs, samples consumed by now, samples in all)


class Report(NamedTuple):
    """What `run_study` did, in runs of cells; `left` of them are missing, and why."""

    computed: int
    reused: int
    left: int
    samples: int
    seconds: float
    ignored: list[str]
    failures: list[str]


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
            if not whole or _precision(there[0].path, named[name], runs) <= study.precision:
                break
    return found


def _precision(path: Path, cell: Cell, runs: int) -> float:
    """The relative standard error of the squared error at the last checkpoint, over the good ones of the first runs."""
    table = pq.read_table(path, columns=["error_sq", *(["components"] if cell.seeding else [])])
    each = rows_per_run(cell)
    values = table["error_sq"].to_numpy()[each - 1 : each * runs : each].astype(float)
    if cell.seeding:
        values = values[table["components"].to_numpy()[: each * runs : each] == cell.k]
    if len(values) < 2 or not values.mean() > 0:
        return np.inf
    found = inference.mean(values)
    return found.standard_error / found.value


def _compute(study, out, todo, wanted, executor, meter, pieces) -> tuple[list[Receipt], list[str], int]:
    """Do these pieces, here or by the executor, and join what is then whole."""
    devices = jax.devices()
    here = {"devices": len(devices), "gpu": devices[0].platform == "gpu"} if executor is None else {"devices": 1}
    tasks = plan.tasks(todo, **here)
    meter.expect(sum(samples_of(task) for task in tasks))
    stored = pieces
    receipts: list[Receipt] = []
    failures: list[str] = []
    whole = {name for name, runs in wanted.items() if not store.missing(pieces.get(name, []), runs)}
    meter.cells = (len(whole), len(wanted))
    payloads = [(study, out.absolute(), task, wanted) for task in tasks]

    def take(found: list[Receipt]) -> None:
        receipts.extend(found)
        for name, low, high in found:
            path = out / "tiles" / f"{name}.{low}-{high}.parquet"
            path = out / "cells" / f"{name}.parquet" if (low, high) == (0, wanted[name]) else path
            stored[name] = sorted([*stored.get(name, []), store.Stored(path, low, high)], key=lambda p: p.low)
            _join_if_whole(out, name, stored, wanted[name])
            if not store.missing(stored[name], wanted[name]):
                whole.add(name)
        meter.cells = (len(whole), len(wanted))

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
    """Samples that a task consumes, the power iteration of its seeding included."""
    streamed = sum(p.cell.n * (p.high - p.low) for p in task.pieces if p.cell.algorithm != "seeding")
    cell, low, high = task.pieces[0]
    if cell.seeding is None:
        return streamed
    sizes = cell.seeding
    return streamed + (sizes.n - sizes.graph_points) // sizes.block * sizes.block * (high - low)


def _join_if_whole(out: Path, name: str, pieces: dict[str, list[store.Stored]], runs: int) -> None:
    mine = pieces.get(name, [])
    if mine and not store.missing(mine, runs):
        # Runs beyond what is wanted (of an earlier, larger round) stay.
        until = next(i for i, piece in enumerate(mine) if piece.high >= runs)
        pieces[name] = [store.join(out, name, mine[: until + 1]), *mine[until + 1 :]]


class _Meter:
    """Adds up the samples consumed, and stops when asked."""

    def __init__(self, progress: Progress, stop: Callable[[], bool]):
        self.progress, self.stop = progress, stop
        self.total = self.done = self.before = 0
        self.name = ""
        self.cells = (0, 0)  # done, in all

    def expect(self, samples: int) -> None:
        self.before = self.done
        self.total = self.done + samples

    @property
    def done_now(self) -> int:
        return self.done - self.before

    def __call__(self, samples: int) -> None:
        self.done += samples
        self.progress(f"{self.cells[0]} of {self.cells[1]} cells; {self.name}", self.done, self.total)
        if self.stop():
            raise Stopped
