"""`jgmm run --dry-run`: what a run would take, from its plan and a short pilot of each part. Nothing is written."""

import math
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console

from jgmm import stats, terminal
from jgmm.commands.run import How
from jgmm.commands.words import runs_of
from jgmm.engine import choose, machine
from jgmm.report import write
from jgmm.report.hook import page_of
from jgmm.report.numbers import plus_minus
from jgmm.study import claim, keys, missing, ownership, plan, preflight, replay, spec, verdicts
from jgmm.study.executors import GPU_THREADS
from jgmm.study.job import Driven
from jgmm.study.plan import Piece
from jgmm.study.share import checked, part_of
from jgmm.study.spec import Cell, Study
from jgmm.study.verdicts import needed

PILOT_SECONDS = 4.0  # of all pilots together, about
COMPILE_SECONDS = 3.0  # of a program, its start and its errors, by XLA or for a card: measured 2 to 4
COMPILE_SECONDS_CPU = 1.0  # the same by the CPU's back end: measured 0.4 to 1
REPORT_SECONDS = 3.0
USUAL_PRECISION = 0.01  # relative, that the table of runs is for where the study asks for none
# Of memory, fitted to peaks of 490 to 760 MB (k d from 4 to 5,000, 2,000 to 8,000 runs, 10 to 2,000 checkpoints), right
# within a quarter there: what every study takes, its report included; each coordinate of a pack; each run.
BYTES, BYTES_PER_COORDINATE, BYTES_PER_RUN = 530e6, 150, 200
BYTES_PER_ROW = 40  # of a cell's file, compressed: the presets have 21 to 62, displacements apart
DROPPED = ("pilot runs", "of samples", "cells", "relative sd of a run")  # columns that a narrow terminal leaves out


PLAINLY = How()


class Device(NamedTuple):
    """What the streams would run on."""

    number: int
    kind: str
    gpu: bool


class Forecast(NamedTuple):
    """What a few runs of a part's cell with the least k d (the most spread) tell of the whole.

    whole_n: samples of the cell's stream, which the pilot's `n` cuts to what a few seconds allow. spread: the standard
    deviation of a run's squared error over its mean; None where no two errors are finite. slowness: seconds over those
    that the plan estimates.
    """

    runs: int
    n: int
    whole_n: int
    spread: stats.Mean | None
    slowness: float
    driven: Driven


def dry_run(study: Study, out: Path, *, spec_folder: Path, how: How = PLAINLY) -> int:
    """Print what the run, or a share of it, would take. 0, the exit status.

    Raises ValueError for what the run would refuse before it computes anything, but for a folder that is in use.
    """
    share = checked(how.share, study)
    back_end = choose.choose(how.back_end).name
    page_of(study)
    study = _as_in(out, study, fresh=how.fresh)
    named = spec.named_cells(study, spec_folder)
    cells = list(named.values())
    preflight.check_mixtures(study, cells, spec_folder)
    devices = jax.devices()
    device = Device(len(devices), devices[0].device_kind, machine.on_gpu())
    preflight.check_plan(study, cells, devices=device.number, gpu=device.gpu)
    stored = {} if how.fresh else missing.stored(out, named).cells
    wanted = missing.wanted_runs(study, named, stored)
    todo = part_of(share, missing.to_do(named, stored, wanted))
    forecasts = _forecasts(study, todo, spec_folder, how.back_end, device)
    console = terminal.standard_output()
    unfinished = len({piece.cell for piece in todo})
    console.print(f"[bold]{study.name}[/]: {len(cells)} cells x {runs_of(study)}, {unfinished} with runs to do")
    if share is not None:
        own, whole = (plan.num_runs(part_of(of, missing.to_do(named, {}, wanted))) for of in (share, None))
        console.print(f"share {share}: {own} of {whole} runs of cells, {plan.num_runs(todo)} of them to do")
    if study.precision is not None:
        console.print("below: the next round of runs; the table has what the precision would need")
    _print_costs(console, cells, todo, forecasts, device, back_end)
    if how.executor is not None:
        console.print("workers    were not asked: memory and time are what this machine would take", highlight=False)
    for line in claim.forecast(cells):
        terminal.say(console, line, lead="claim      ")
    _print_runs(console, cells, forecasts, study.precision or USUAL_PRECISION)
    if not how.fresh:
        _print_needed(console, study, out)
    console.print("nothing was written")
    return 0


def _print_needed(console: Console, study: Study, out: Path) -> None:
    """How many runs each inconclusive verdict on the stored runs would need; nothing where not all are stored."""
    if not (out / "study.toml").is_file():
        return
    try:
        results = write.stored(out, study.model_copy(update={"runs": ownership.runs(out)}))
    except ValueError:
        return
    for verdict in write.judge(out, results)[1]:
        lacks = needed.of_verdict(verdict)
        if lacks is None:
            continue
        about = "no number of runs can be told" if lacks.needed is None else f"about {lacks.needed} runs would tell"
        terminal.say(
            console, f": inconclusive in {', '.join(lacks.axes)} at {lacks.runs} runs: {about}", lead=_lead(verdict)
        )


def _lead(verdict: verdicts.Verdict) -> str:
    """What a verdict is about."""
    return f"Theorem {verdict.theorem}" if verdict.theorem[:1].isdigit() else verdict.theorem


def _as_in(out: Path, study: Study, *, fresh: bool) -> Study:
    """The study, with the runs of the folder's. Raises ValueError for a folder that the run would refuse."""
    ownership.check(out, fresh=fresh)
    if fresh or not (out / "study.toml").is_file():
        return study
    return ownership.same_study(out, study, {"canary": keys.canary(study.seed)})


def _forecasts(study: Study, todo: list[Piece], folder: Path, back_end: str, device: Device) -> dict[str, Forecast]:
    """A forecast for each part that has runs to do."""
    parts: dict[str, list[Cell]] = {}
    for piece in todo:
        parts.setdefault(piece.cell.part, []).append(piece.cell)
    forecasts = {}
    for part, cells in parts.items():
        cell = min(cells, key=lambda cell: (cell.k * cell.coordinates, cell.n))
        runs = plan.pack_width(cell.k, cell.coordinates, 10**9, devices=device.number, gpu=device.gpu)
        allowed = PILOT_SECONDS / len(parts) / max(_planned_seconds(cell, runs, device), 1e-12)
        short = _shortened(cell, allowed)
        pilot = replay.pilot(study, short, runs, folder, back_end=back_end)
        finite = pilot.error_sq[np.isfinite(pilot.error_sq)]
        known = len(finite) > 1 and finite.mean() > 0
        forecasts[part] = Forecast(
            runs=runs,
            n=short.n,
            whole_n=cell.n,
            spread=stats.relative_deviation(finite) if known else None,
            slowness=pilot.seconds / _planned_seconds(short, runs, device),
            driven=pilot.driven,
        )
    return forecasts


def _planned_seconds(cell: Cell, runs: int, device: Device) -> float:
    """Seconds that the plan estimates for so many runs of a cell, its start included."""
    return plan.cost(cell, runs, seeded=True, gpu=device.gpu) / device.number


def _shortened(cell: Cell, share: float) -> Cell:
    """The cell with about this share of its stream, if that is less than the whole."""
    if share >= 1 or cell.start_only:
        return cell
    n = max(int(cell.n * share), 200)
    return cell.model_copy(update={"n": n, "checkpoints": (n,)})


def _print_costs(
    console: Console,
    cells: list[Cell],
    todo: list[Piece],
    forecasts: dict[str, Forecast],
    device: Device,
    back_end: str,
) -> None:
    """Samples, memory, files, seconds and back ends."""
    tasks = plan.tasks(todo, devices=device.number, gpu=device.gpu)
    slowness = float(np.mean([each.slowness for each in forecasts.values()])) if forecasts else 1.0
    streams = sum(task.seconds for task in tasks) * slowness
    programs = len({piece.cell.program_fields() for piece in todo})
    compiling = programs * (COMPILE_SECONDS_CPU if back_end == "cpu" else COMPILE_SECONDS)
    seconds = streams + compiling + REPORT_SECONDS
    size = sum((piece.high - piece.low) * _bytes_per_run(piece.cell) for piece in todo)
    console.print(f"samples    {sum(map(plan.samples_of, tasks)):.3g} in {len(tasks)} tasks")
    console.print(f"memory     about {_memory(cells, todo, device) / 1e9:.1f} GB")
    console.print(f"files      {len(cells)} cell files, about {size / 1e6:.1f} MB")
    work = f"{streams:.0f} s of streams, {programs} programs to compile"
    console.print(f"time       about {seconds:.0f} s on {device.number} x {device.kind} ({work})")
    back_ends = (each.driven.back_end for each in forecasts.values())
    for line in dict.fromkeys(str(back_end) for back_end in back_ends if back_end):
        console.print(f"back end   {line}", markup=False)


def _memory(cells: list[Cell], todo: list[Piece], device: Device) -> float:
    """Bytes that the run takes at its peak."""
    largest = max((cell.k * cell.coordinates for cell in cells), default=1)
    width = max(plan.pack_width(c.k, c.coordinates, c.n, devices=device.number, gpu=device.gpu) for c in cells)
    packs = GPU_THREADS if device.gpu else 1  # at a time
    runs = max((piece.high - piece.low for piece in todo), default=0)
    return BYTES + BYTES_PER_COORDINATE * packs * width * largest + BYTES_PER_RUN * runs


def _bytes_per_run(cell: Cell) -> float:
    """About what a run takes in its cell's file."""
    return BYTES_PER_ROW * cell.rows + (16 * cell.k * min(cell.k - 1, cell.d) if cell.displacement else 0)


def _print_runs(console: Console, cells: list[Cell], forecasts: dict[str, Forecast], precision: float) -> None:
    """A table of the runs that a relative standard error would take."""
    console.print(f"runs for a relative standard error of {precision:g}, from a pilot of each part's least k d:")
    rows = []
    for part, forecast in forecasts.items():
        count = sum(cell.part == part for cell in cells)
        length = f"{forecast.n}" + (f" in place of {forecast.whole_n}" if forecast.n < forecast.whole_n else "")
        if forecast.spread is None:
            spread, needed = "no finite errors", "?"
        else:
            spread = plus_minus(forecast.spread.value, forecast.spread.standard_error, digits=3)
            needed = f"{math.ceil((forecast.spread.value / precision) ** 2)}"
        rows.append((part, count, forecast.runs, length, spread, needed))
    names = ("part", "cells", "pilot runs", "of samples", "relative sd of a run", "runs")
    terminal.table(console, names, rows, dropped=DROPPED, wrapped=("of samples", "relative sd of a run"))
