"""What `jgmm run` and `jgmm show` do once JAX is up: simulate, report, and talk to the terminal."""

import math
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from jgmm import stats, terminal
from jgmm.engine import choose, machine
from jgmm.process import Stopped, Stopper, fault
from jgmm.report.numbers import plus_minus
from jgmm.report.write import write_report
from jgmm.report.written import Written
from jgmm.study import ownership, plan, spec
from jgmm.study import run as runner
from jgmm.study.folder.lock import Lock
from jgmm.study.spec import Cell, Study

PLAIN_SECONDS = 60  # between lines of progress where there is no terminal
PILOT_SECONDS = 4.0  # of a dry run's pilot, about
COMPILE_SECONDS = 3.0  # of a program, its start and its errors: measured 2 to 4
SHOWN_WIDTH = 14  # of a column of `jgmm show`
# Of memory, fitted to peaks of 490 to 760 MB (k d from 4 to 5,000, 2,000 to 8,000 runs, 10 to 2,000 checkpoints), right
# within a quarter there: what every study takes, its report included; each coordinate of a pack; each run.
BYTES, BYTES_PER_COORDINATE, BYTES_PER_RUN = 530e6, 150, 200
BYTES_PER_ROW = 40  # of a cell's file, compressed: the presets have 21 to 62, displacements apart


def run(
    study: Study, out: Path, *, spec_folder: Path, fresh: bool, back_end: str = "auto", stopper: Stopper | None = None
) -> int:
    """Simulate what is missing in `out`, report, and print the verdicts.

    0 done, 1 the simulation is wrong (a twin is away from its exact mean), 3 unfinished, 130 interrupted.
    """
    with Lock(out) as lock:  # one for both: nobody comes between the runs and their report
        return _run(study, out, spec_folder, fresh, back_end, stopper or Stopper(), lock)


def _run(study: Study, out: Path, spec_folder: Path, fresh: bool, back_end: str, stopper: Stopper, lock: Lock) -> int:
    console = Console(stderr=True, soft_wrap=True)
    started = time.perf_counter()
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind}"
    _say(console, f": {_runs(study)} on {device}, seed {study.seed} -> {out}", lead=study.name)
    stopper.last_words = lambda: _say_left(console, study, out, spec_folder)
    try:
        with _Meter(console) as progress:
            asked: dict[str, Any] = {"spec_folder": spec_folder, "fresh": fresh, "back_end": back_end, "lock": lock}
            asked |= {"progress": progress, "stop": stopper.asked}
            done = runner.run_study(study, out, environment(), **asked)
    except Stopped:
        stopper.last_words()
        return stopper.status
    except OSError as error:
        console.print(f"jgmm: {fault(error)}; finished tiles are stored, the same command goes on", markup=False)
        return 3
    for note in (*done.ignored, *done.failures):
        _say(console, note, style="yellow")
    seconds = f"{done.samples:.3g} samples in {done.seconds:.1f} s"
    console.print(f"runs of cells: {done.computed} computed, {done.reused} reused, {done.left} left; {seconds}")
    if done.left:
        console.print(f"unfinished: {done.left} runs of cells are missing; the same command goes on")
        return 3
    kept = f"all runs are stored, jgmm report {out} makes the report"
    stopper.last_words = lambda: console.print(f"stopped: {kept}", highlight=False, markup=False)
    stored = ownership.load(out)
    timing = {"seconds": round(done.seconds, 2), "samples": done.samples} if done.computed else None
    try:
        written = write_report(out, stored, spec_folder, timing=timing, lock=lock)
    except OSError as error:
        console.print(f"jgmm: {fault(error)}; {kept}", markup=False)
        return 3
    for line in written.back_ends:
        _say(console, f"back end {line}")
    _print(written)
    _say(console, f"{out / 'report.html'}  ({time.perf_counter() - started:.1f} s in all)")
    return written.status


def dry_run(study: Study, out: Path, *, spec_folder: Path, back_end: str = "auto") -> int:
    """Print what a run would take, from a short pilot; write nothing."""
    choose.choose(back_end)
    console = Console(width=None if sys.stdout.isatty() else 150)
    named = spec.named_cells(study, spec_folder)
    cells = list(named.values())
    runner.check_mixtures(study, cells, spec_folder)
    stored = runner.stored(out, named).cells
    todo = runner.to_do(named, stored, runner.wanted_runs(study, named, stored))
    devices = jax.devices()
    gpu = machine.on_gpu()
    tasks = plan.tasks(todo, devices=len(devices), gpu=gpu)
    samples = sum(runner.samples_of(task) for task in tasks)
    size = sum((p.high - p.low) * _bytes_per_run(p.cell) for p in todo)
    largest = max((cell.k * cell.d for cell in cells), default=1)
    width = max(plan.pack_width(c.k, c.d, c.n, devices=len(devices), gpu=gpu) for c in cells)
    beside = runner.GPU_THREADS if gpu else 1
    longest = max((p.high - p.low for p in todo), default=0)
    memory = (BYTES + BYTES_PER_COORDINATE * beside * width * largest + BYTES_PER_RUN * longest) / 1e9
    pilots = _pilot(study, todo, spec_folder, back_end)
    streams = sum(task.seconds for task in tasks) * (
        float(np.mean([p.slowness for p in pilots.values()])) if pilots else 1.0
    )
    programs = len({p.cell.program_fields() for p in todo})
    seconds = streams + COMPILE_SECONDS * programs + 3
    unfinished = len({piece.cell for piece in todo})
    console.print(f"[bold]{study.name}[/]: {len(cells)} cells x {_runs(study)}, {unfinished} with runs to do")
    if study.precision is not None:
        console.print("below: the next round of runs; the table has what the precision would need")
    console.print(f"samples    {samples:.3g} in {len(tasks)} tasks")
    console.print(f"memory     about {memory:.1f} GB")
    console.print(f"files      {len(cells)} cell files, about {size / 1e6:.1f} MB")
    kind = f"{len(devices)} x {devices[0].device_kind}"
    console.print(
        f"time       about {seconds:.0f} s on {kind} ({streams:.0f} s of streams, {programs} programs to compile)"
    )
    for line in dict.fromkeys(f"{p.driven.back_end}" for p in pilots.values() if p.driven.back_end):
        console.print(f"back end   {line}", markup=False)
    target = study.precision or 0.01
    console.print(f"runs for a relative standard error of {target:g}, from a pilot of each part's least k d:")
    rows = []
    for part, found in pilots.items():
        count = sum(cell.part == part for cell in cells)
        needed = "?" if found.spread is None else f"{math.ceil((found.spread.value / target) ** 2)}"
        spread = plus_minus(*found.spread[:2], digits=3) if found.spread else "no finite errors"
        length = f"{found.n}" + (f" in place of {found.whole_n}" if found.n < found.whole_n else "")
        rows.append((part, count, found.runs, length, spread, needed))
    names = ("part", "cells", "pilot runs", "of samples", "relative sd of a run", "runs")
    dropped = ("pilot runs", "of samples", "cells", "relative sd of a run")
    terminal.table(console, names, rows, dropped=dropped, wrapped=("of samples", "relative sd of a run"))
    console.print("nothing was written")
    return 0


class Pilot(NamedTuple):
    """What a few runs of a part's cell with the least k d (the most spread) showed."""

    runs: int
    n: int
    whole_n: int  # of the cell; the pilot's stream is cut to what a few seconds allow
    spread: stats.Mean | None  # standard deviation of a run's squared error over its mean; None: there is none
    slowness: float  # seconds over those that the plan estimates
    driven: runner.Driven


def _pilot(study: Study, todo: list[plan.Piece], folder: Path, back_end: str) -> dict[str, Pilot]:
    """A pilot for each part, its streams cut to what a few seconds allow."""
    found = {}
    devices, gpu = len(jax.devices()), machine.on_gpu()
    parts = list(dict.fromkeys(piece.cell.part for piece in todo))
    for part in parts:
        cell = min((p.cell for p in todo if p.cell.part == part), key=lambda c: (c.k * c.d, c.n))
        runs = plan.pack_width(cell.k, cell.d, 10**9, devices=devices, gpu=gpu)
        allowed = PILOT_SECONDS / len(parts) * devices / max(plan.cost(cell, runs, seeded=True, gpu=gpu), 1e-12)
        short = _shortened(cell, allowed)
        error, seconds, driven = runner.pilot(study, short, runs, folder, back_end=back_end)
        error = error[np.isfinite(error)]
        known = len(error) > 1 and error.mean() > 0
        spread = stats.relative_deviation(error) if known else None
        slowness = seconds * devices / plan.cost(short, runs, seeded=True, gpu=gpu)
        found[part] = Pilot(runs, short.n, cell.n, spread, slowness, driven)
    return found


def _shortened(cell: Cell, allowed: float) -> Cell:
    """The cell with a shorter stream, if the whole of it is more than a pilot allows."""
    if allowed >= 1 or cell.start_only:
        return cell
    n = max(int(cell.n * allowed), 200)
    return cell.model_copy(update={"n": n, "checkpoints": (n,)})


def show(study: Study, cell: Cell, run_id: int, folder: Path, *, back_end: str = "auto") -> None:
    """Print one run's trajectory."""
    ownership.check_canary(folder, runner.canary(study.seed))
    choose.choose(back_end)
    table = runner.replay(study, cell, run_id, spec_folder=folder, back_end=back_end)
    names = ("samples", "error_sq", "error_sum", "error_max", "lost")
    columns = [np.asarray(table[name]) for name in names]
    rate = cell.rate_name if cell.rate is None else f"{cell.rate:g}"
    print(f"# part {cell.part}, run {run_id}: {cell.algorithm} k={cell.k} d={cell.d} n={cell.n} rate={rate}")
    texts = [[f"{value}" if isinstance(value, int) else f"{value:.7g}" for value in c.tolist()] for c in columns]
    room = shutil.get_terminal_size().columns // SHOWN_WIDTH if sys.stdout.isatty() else len(names)
    if room < len(names):
        print(f"# left out, the terminal being too narrow: {', '.join(names[max(room, 1) :])}")
    for row in zip(*([name, *column] for name, column in zip(names, texts, strict=True)), strict=True):
        print("".join(f"{value:>{SHOWN_WIDTH}}" for value in row[: max(room, 1)]))


def environment() -> dict:
    """What a result was made with."""
    packages = {name: version(name) for name in ("jgmm", "jax", "jaxlib", "optax", "numpy", "scipy")}
    devices = jax.devices()
    device = {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}
    return {"python": sys.version.split()[0], "packages": packages, "device": device}


def _print(written: Written) -> None:
    """The verdicts, and the seed's table or that of the cells."""
    width = None if sys.stdout.isatty() else 150
    console = Console(width=width, highlight=False)
    for note in (*written.ignored, *written.left_out):
        _say(console, note, style="yellow")
    if written.twins and not written.twins.right:
        _say(console, f" - {written.twins.sentence}", lead="wrong")
    if written.conditioning:
        _say(console, f" - {written.conditioning}", lead="runs kept")
    headline = written.headline
    if headline.most is None or len(headline.rows) <= headline.most:
        _say(console, headline.title, style="italic")
        terminal.table(
            console,
            headline.columns,
            headline.rows,
            dropped=headline.dropped,
            wrapped=headline.wrapped,
            elsewhere="the report has them",
        )
        _say(console, headline.caption, style="italic")
    else:
        console.print(f"{len(headline.rows)} cells: see the report")
    for verdict in written.verdicts:
        _say(console, f" - {verdict.sentence}", lead=verdict.verdict)
    if written.laws:
        _say(console, f" - {written.laws.sentence}", lead="exact laws")


def _say(console: Console, text: str, *, lead: str = "", style: str = "") -> None:
    """Print text that may be anybody's, of which neither rich nor the terminal obeys anything; `lead` in bold."""
    console.print(Text.assemble((terminal.clean(lead), "bold"), (terminal.clean(text), style)))


def _runs(study: Study) -> str:
    """How many runs a cell gets, in words."""
    if study.precision is None:
        return f"{study.runs} runs"
    most = f"{study.rounds()[-1]}" + ("" if study.max_runs else f", {spec.ROUNDS_GROW} times as many (--max-runs)")
    return f"{study.runs} runs, more until every precision is {study.precision:g}, at most {most}"


def _bytes_per_run(cell: Cell) -> float:
    """About what a run takes in its cell's file."""
    return BYTES_PER_ROW * cell.rows + (16 * cell.k * min(cell.k - 1, cell.d) if cell.displacement else 0)


def _say_left(console: Console, study: Study, out: Path, spec_folder: Path) -> None:
    named = spec.named_cells(study, spec_folder)
    stored = runner.stored(out, named).cells
    wanted = runner.wanted_runs(study, named, stored)
    left, total = runner.num_runs(runner.to_do(named, stored, wanted)), sum(wanted.values())
    stored_now = f"stopped: {total - left} of {total} runs of cells are stored in {out}"
    _say(console, f"{stored_now}; the same command goes on from them")


class _Meter:
    """A live bar on a terminal, a plain line now and then elsewhere: samples done, samples a second, time left."""

    def __init__(self, console: Console):
        self.console, self.started, self.last = console, time.perf_counter(), time.perf_counter()
        columns = (TextColumn("{task.description:40}"), BarColumn(), TextColumn("{task.fields[what]}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)

    def __enter__(self):
        if self.console.is_terminal:
            self.bar.start()
            self.task = self.bar.add_task("compiling", total=None, what="")
        return self

    def __exit__(self, *error):
        if self.console.is_terminal:
            self.bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        elapsed = time.perf_counter() - self.started
        rate = done / elapsed / 1e6
        what = f"{done / 1e6:,.0f} of {total / 1e6:,.0f} M samples, {rate:.0f} M/s"
        if self.console.is_terminal:
            room = shutil.get_terminal_size().columns > 110
            self.bar.update(self.task, completed=done, total=total, description=name, what=what if room else "")
        elif time.perf_counter() - self.last > PLAIN_SECONDS:
            self.last = time.perf_counter()
            left = f"{elapsed * (total - done) / done:.0f} s left" if done else "compiling"
            self.console.print(f"{name}: {what}, {left}", highlight=False, soft_wrap=True)
