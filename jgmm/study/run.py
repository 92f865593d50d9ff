"""Run the cells of a study and store them: what is missing, in tasks, here or by any `concurrent.futures.Executor`.

A task (see `plan`) is computed by `work.work`, which writes tiles and returns receipts; how the work is cut, and who
does it, has no effect on results.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, as_completed, wait
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jgmm import doors, outside, reach, start, stats
from jgmm.engine import choose, machine
from jgmm.mixture import Mixture, drawn_together
from jgmm.process import Stopped
from jgmm.study import means as layouts
from jgmm.study import ownership, plan, spec
from jgmm.study.folder import parquet, records, store
from jgmm.study.folder.lock import Lock, holding
from jgmm.study.meter import Meter, Progress
from jgmm.study.plan import Piece, Task
from jgmm.study.spec import Cell, Study
from jgmm.study.work import Driven, Receipt, build_mixture, canary, pilot, replay, study_keys, work

__all__ = ["Driven", "Report", "Stopped", "canary", "pilot", "replay", "run_study", "samples_of", "study_keys"]

CHECKED_RUNS = 4096  # whose mixtures are drawn before anything is written, by the program that draws a task's
HEARING_SECONDS = 0.5  # between looks whether to stop, while others work
GPU_THREADS = 6  # that compute tasks: a program is compiled for seconds, and streams for one

Pieces = dict[str, list[store.Stored]]  # what is stored of each cell


class Report(NamedTuple):
    """What `run_study` did, in runs of cells; `left` of them are missing, and why."""

    computed: int
    reused: int
    left: int
    samples: int
    seconds: float
    ignored: list[str]
    failures: list[str]

    def __str__(self) -> str:
        said = [f"runs of cells: {self.computed} computed, {self.reused} reused, {self.left} left"]
        said += self.failures
        if self.left:
            said.append("what is stored is kept; the same call goes on from it")
        return "\n".join(said)


def run_study(
    study: Study,
    out: Path | str,
    environment: dict | None = None,
    *,
    executor: Executor | None = None,
    spec_folder: Path | str = Path(),
    fresh: bool = False,
    back_end: str = "auto",
    progress: Progress = lambda name, done, total: None,
    stop: Callable[[], bool] = lambda: False,
    lock: Lock | None = None,
) -> Report:
    """Compute what `out` lacks of the study's cells. Everything is checked before anything is written.

    executor: anything that speaks `concurrent.futures.Executor` (a process pool, loky, a Dask client's
    `get_executor()`), its workers on the same file system; by default this process, on all of its devices. A process
    pool must not fork: `ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn"))`. What its workers
    could not do is told in the report's failures; what they have stored is kept, and the same call goes on from it.
    A study with a precision goes through its rounds until every cell has it or is at the cap. back_end: auto,
    cpu, gpu or scan (see `engine.choose`); what was taken, and why, is told in backends.csv.
    lock: the folder's, if it is to be held when this ends; otherwise it is taken and let go.
    Raises ValueError for an argument of another kind, a cell or back end that cannot run, a pool that forks, a folder
    that cannot be used, or that somebody else writes in, Stopped when `stop()` turns true.
    """
    started = time.perf_counter()
    doors.kind("study", study, Study, "of jgmm.Study(...)")
    out, spec_folder, fresh = doors.path("out", out), doors.path("spec_folder", spec_folder), doors.flag("fresh", fresh)
    doors.choice("back_end", back_end, choose.NAMES)
    if environment is not None:
        doors.kind("environment", environment, dict, "of names and what JSON can hold")
    for name, function in (("progress", progress), ("stop", stop)):
        if not callable(function):
            raise doors.bad(name, function, "a function")
    check_executor(executor)
    names = outside.names_in(study.model_dump(exclude_none=True))
    if executor is not None:
        check_for_workers(names)
    study = spec.changed(study)  # a copy that somebody changed is held to what a spec is
    named = spec.named_cells(study, spec_folder)
    check_mixtures(study, named.values(), spec_folder)
    if executor is None:
        choose.choose(back_end)
    check_plan(study, named.values(), here=executor is None)
    means = layouts.contents(study, spec_folder)
    with outside.beside(spec_folder, spec_folder / outside.FOLDER):
        code = {file: source for name in names for file, source in outside.files(name).items()}
    study = layouts.at_home(study, spec_folder)
    ownership.check(out, fresh=fresh)
    with holding(lock, out) as held:
        held.take()
        study = ownership.claim(
            out, study, {"canary": canary(study.seed), **(environment or {})}, fresh=fresh, code=code
        )
        notes = layouts.keep(means, out)
        done = _run(study, out, spec.named_cells(study, out), executor, back_end, Meter(progress, stop))
        told = [held.warning] if held.warning else []
        return done._replace(seconds=time.perf_counter() - started, ignored=[*told, *notes, *done.ignored])


def _run(study, out, named, executor, back_end, meter) -> Report:
    """Compute what is missing; the folder is ours."""
    done = stored(out, named, aside=True)
    pieces = done.cells
    wanted = wanted_runs(study, named, pieces)
    reused = sum(wanted.values()) - num_runs(to_do(named, pieces, wanted))
    computed = 0
    while True:
        for name, runs in wanted.items():
            _join_if_whole(out, name, pieces, runs)
        todo = to_do(named, pieces, wanted)
        receipts, failures = _compute(study, out, todo, wanted, executor, back_end, meter, pieces)
        computed += sum(receipt.high - receipt.low for receipt in receipts)
        more = wanted_runs(study, named, pieces)
        if failures or more == wanted:
            break
        wanted = more
    if failures:
        pieces = stored(out, named).cells  # a worker that failed may have stored a part of its task
    left = num_runs(to_do(named, pieces, wanted))
    return Report(computed, reused, left, meter.done, 0.0, done.ignored, failures)


def stored(out: Path, named: Mapping[str, Cell], *, aside: bool = False) -> store.Done:
    """What the folder holds of these cells; aside: see `store.scan`."""
    return store.scan(out, {name: cell.rows for name, cell in named.items()}, aside=aside)


def to_do(named: Mapping[str, Cell], pieces: Pieces, wanted: Mapping[str, int]) -> list[Piece]:
    """The runs that are missing of those wanted."""
    return [
        Piece(named[name], low, high)
        for name, runs in wanted.items()
        for low, high in store.missing(pieces.get(name, []), runs)
    ]


def num_runs(pieces: Iterable[Piece]) -> int:
    """Runs of cells in these pieces."""
    return sum(piece.high - piece.low for piece in pieces)


def check_mixtures(study: Study, cells: Iterable[Cell], spec_folder: Path = Path()) -> None:
    """Raises ValueError if the first runs' mixtures cannot be drawn, or a cell is beyond floating point (`reach`)."""
    alike: dict[tuple, dict[tuple, Cell]] = {}
    for cell in cells:
        alike.setdefault(cell.mixture_fields(), {})[cell.algorithm, cell.start, cell.seeding, cell.rate] = cell
    with jax.enable_x64(study.x64), machine.on_host():
        keys = study_keys(study.seed)
        for same in alike.values():
            cell = next(iter(same.values()))
            runs, together = min(study.runs, CHECKED_RUNS), drawn_together(cell.k, cell.d)
            try:
                for low in range(0, runs, together):
                    mixed = build_mixture(cell, keys.mixture, range(low, min(low + together, runs)), spec_folder)
                    for cell in same.values():
                        cell.record.check(mixed)
                        _check_reach(cell, mixed)
            except ValueError as error:
                raise ValueError(f"part {cell.part!r}: {error}") from None


def _check_reach(cell: Cell, mixed: Mixture) -> None:
    """Raises ValueError if floating point cannot hold the cell's start, steps or seeding."""
    means, scales = np.asarray(mixed.means), np.asarray(mixed.scales)
    offset = cell.start if isinstance(cell.start, float) else 0.0
    reach.check_start("start", offset, means=means, scales=scales)
    if cell.seeding is not None:
        start.check_power(mixed, block=cell.seeding.block)
    if cell.rate is not None:
        reach.check_rate(cell.rate, offset=1.0 if cell.seeding else offset, dtype=means.dtype)


def check_executor(executor: Executor | None) -> None:
    """Raises ValueError for what takes no work, and a process pool that forks.

    JAX runs threads here, whose locks a copy would wait for.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise doors.bad("executor", executor, "a concurrent.futures.Executor, or None")
    context = getattr(executor, "_mp_context", None)  # of a ProcessPoolExecutor; there is no public name
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor is a process pool that forks, in which JAX would hang: expected"
            ' ProcessPoolExecutor(..., mp_context=multiprocessing.get_context("spawn"))'
        )


def check_for_workers(names: Iterable[str]) -> None:
    """Raises ValueError for a name that only this process knows."""
    for name in names:
        if name.startswith(outside.HERE):
            raise ValueError(
                f"executor is given, but {name} is a value that only this process has: expected one that a module has"
                " under a name, as module:NAME"
            )


def check_plan(study: Study, cells: Iterable[Cell], *, here: bool) -> None:
    """Raises ValueError if the largest of the study's rounds is more than can be planned, here or for an executor."""
    rounds = [0, *study.rounds()]
    most = max(after - before for before, after in pairwise(rounds))
    devices = len(jax.devices()) if here else 1
    plan.check([Piece(cell, 0, most) for cell in cells], devices=devices, gpu=here and machine.on_gpu())


def wanted_runs(study: Study, named: Mapping[str, Cell], pieces: Pieces) -> dict[str, int]:
    """The runs that each cell should have, from what is stored: the first declared round at which it is precise."""
    if study.precision is None:
        return dict.fromkeys(named, study.runs)
    found = {}
    for name in named:
        there = pieces.get(name, [])
        held = there[0].high if there and there[0].low == 0 else 0
        errors, good = _last_errors(there[0].path, named[name]) if held >= study.runs else (np.zeros(0), np.zeros(0))
        for runs in study.rounds():
            found[name] = runs
            if held < runs or _precision(errors[:runs][good[:runs]]) <= study.precision:
                break
    return found


def _last_errors(path: Path, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Every run's squared error at the last checkpoint, and which runs have a good seeding."""
    table = parquet.read(path, ["error_sq", "components"])
    values = table["error_sq"].to_numpy()[cell.rows - 1 :: cell.rows].astype(float)
    if cell.seeding is None:
        return values, np.ones(len(values), bool)
    return values, table["components"].to_numpy()[:: cell.rows] == cell.k


def _precision(values: np.ndarray) -> float:
    """The relative standard error of their mean."""
    if len(values) < 2 or not values.mean() > 0:
        return np.inf
    found = stats.mean(values)
    return found.standard_error / found.value


def _compute(study, out, todo, wanted, executor, back_end, meter, pieces) -> tuple[list[Receipt], list[str]]:
    """Do these pieces, here or by the executor, and join what is then whole."""
    gpu = executor is None and machine.on_gpu()
    tasks = plan.tasks(todo, devices=len(jax.devices()) if executor is None else 1, gpu=gpu)
    meter.expect(sum(samples_of(task) for task in tasks))
    receipts: list[Receipt] = []
    failures: list[str] = []
    whole = {name for name, runs in wanted.items() if not store.missing(pieces.get(name, []), runs)}
    meter.cells = (len(whole), len(wanted))
    payloads = [(study, out.absolute(), task) for task in tasks]

    def take(found: list[Receipt]) -> None:
        receipts.extend(found)
        records.record_back_ends(out, found)
        for name, low, high, _ in found:
            made = store.Stored(store.tile(out, name, low, high), low, high)
            pieces[name] = sorted([*pieces.get(name, []), made], key=lambda p: p.low)
            _join_if_whole(out, name, pieces, wanted[name])
            if not store.missing(pieces[name], wanted[name]):
                whole.add(name)
        meter.cells = (len(whole), len(wanted))

    if executor is None:
        _here(payloads, back_end, meter, take, threads=GPU_THREADS if gpu else 1)
    else:
        failures = _by_executor(executor, payloads, back_end, meter, take)
    return receipts, failures


def _by_executor(
    executor: Executor, payloads: Sequence[tuple], back_end: str, meter: Meter, take: Callable
) -> list[str]:
    """Have the tasks computed elsewhere; a line for each way in which some were not."""
    futures: dict[Future, Task] = {}
    lost: dict[str, list[int]] = {}  # runs of cells in each task, by why

    def lose(why: BaseException, tasks: Iterable[Task]) -> None:
        said = (str(why).strip().splitlines() or [""])[0]
        lost.setdefault(f"{type(why).__name__}: {said}".removesuffix(": "), []).extend(
            num_runs(task.pieces) for task in tasks
        )

    try:
        for i, payload in enumerate(payloads):
            try:
                futures[executor.submit(work, *payload, back_end=back_end)] = payload[2]
            except Exception as error:  # shut down, broken, or it cannot be sent
                lose(error, (payload[2] for payload in payloads[i:]))
                break
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=HEARING_SECONDS, return_when=FIRST_COMPLETED)
            meter(0)  # which hears whether to stop
            for future in done:
                task = futures[future]
                try:
                    found = future.result()
                except Exception as error:
                    lose(error, [task])
                    continue
                take(found)
                meter.begin(task.pieces[0].cell.part)
                meter(samples_of(task))
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [f"{sum(runs)} runs of cells in {len(runs)} tasks were not computed ({why})" for why, runs in lost.items()]


def _here(payloads: Sequence[tuple], back_end: str, meter: Meter, take: Callable, *, threads: int) -> None:
    """Compute the tasks in this process, in so many threads: one compiles while another's stream is on the device.

    Tasks of the same programs stay in a thread, so that they are compiled once. If one fails the others stop, and it is
    raised.
    """
    groups: dict[tuple, list[tuple]] = {}
    for payload in payloads:
        groups.setdefault(plan.program(payload[2]) if threads > 1 else (), []).append(payload)
    taking = threading.Lock()

    def compute(group: list[tuple]) -> None:
        try:
            for study, out, task in group:
                found = work(study, out, task, meter, back_end=back_end)
                with taking:
                    take(found)
        except BaseException:
            meter.halted = True
            raise

    if threads == 1:
        for group in groups.values():
            compute(group)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(compute, group) for group in groups.values()]
        errors = [error for error in (future.exception() for future in as_completed(futures)) if error is not None]
    if errors:  # that some were stopped says less than why
        raise min(errors, key=lambda error: isinstance(error, Stopped))


def samples_of(task: Task) -> int:
    """Samples that a task consumes, the power iteration of its seeding included."""
    streamed = sum(p.cell.n * (p.high - p.low) for p in task.pieces)
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
