"""`jgmm run`: simulate what is missing, report, and say what came out."""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
from rich.console import Console

from jgmm import terminal
from jgmm.commands import prepare
from jgmm.commands.closing import print_closing
from jgmm.commands.words import runs_of
from jgmm.process import Stopped, Stopper, fault
from jgmm.report.hook import page_of
from jgmm.report.write import write_report
from jgmm.report.written import Written
from jgmm.study import missing, ownership, plan, spec
from jgmm.study import run as runner
from jgmm.study.folder.lock import Lock
from jgmm.study.spec import Study

UNFINISHED = 3  # the exit status


def run(
    study: Study, out: Path, *, spec_folder: Path, fresh: bool, back_end: str = "auto", stopper: Stopper | None = None
) -> int:
    """Simulate what is missing in `out`, report, and print the verdicts.

    0 done, 1 the simulation is wrong (a twin is away from its exact mean), 3 unfinished, 130 interrupted.
    """
    page_of(study)  # the study is one that its page is for, before anything is computed
    stopper = Stopper() if stopper is None else stopper
    console = Console(stderr=True, soft_wrap=True)
    started = time.perf_counter()
    with Lock(out) as lock:  # one for both: nobody comes between the runs and their report
        done = _simulate(console, study, out, spec_folder, fresh, back_end, stopper, lock)
        if isinstance(done, int):
            return done
        written = _report(console, done, out, spec_folder, stopper, lock)
        if isinstance(written, int):
            return written
    for line in written.back_ends:
        terminal.say(console, f"back end {line}")
    print_closing(written)
    terminal.say(console, f"{out / 'report.html'}  ({time.perf_counter() - started:.1f} s in all)")
    prepare.tell_of_code()
    return written.status


def _simulate(
    console: Console,
    study: Study,
    out: Path,
    spec_folder: Path,
    fresh: bool,
    back_end: str,
    stopper: Stopper,
    lock: Lock,
) -> runner.Report | int:
    """Compute what is missing; what was done, or the exit status of a command that ends here."""
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind}"
    terminal.say(console, f": {runs_of(study)} on {device}, seed {study.seed} -> {out}", lead=study.name)
    stopper.last_words = lambda: _say_left(console, study, out, spec_folder)
    try:
        with terminal.ProgressBar(console) as progress:
            done = runner.run_study(
                study,
                out,
                environment(),
                spec_folder=spec_folder,
                fresh=fresh,
                back_end=back_end,
                progress=progress,
                stop=stopper.asked,
                lock=lock,
            )
    except Stopped:
        stopper.last_words()
        return stopper.status
    except OSError as error:
        console.print(f"jgmm: {fault(error)}; finished tiles are stored, the same command goes on", markup=False)
        return UNFINISHED
    for note in (*done.ignored, *done.failures):
        terminal.say(console, note, style="yellow")
    seconds = f"{done.samples:.3g} samples in {done.seconds:.1f} s"
    console.print(f"runs of cells: {done.computed} computed, {done.reused} reused, {done.left} left; {seconds}")
    if done.left:
        console.print(f"unfinished: {done.left} runs of cells are missing; the same command goes on")
        return UNFINISHED
    return done


def _report(
    console: Console, done: runner.Report, out: Path, spec_folder: Path, stopper: Stopper, lock: Lock
) -> Written | int:
    """Write the report; what it says, or the exit status of a command that ends here."""
    kept = f"all runs are stored, jgmm report {out} makes the report"
    stopper.last_words = lambda: console.print(f"stopped: {kept}", highlight=False, markup=False)
    timing = {"seconds": round(done.seconds, 2), "samples": done.samples} if done.computed else None
    try:
        return write_report(out, ownership.load(out, trust=True), spec_folder, timing=timing, lock=lock)
    except OSError as error:
        console.print(f"jgmm: {fault(error)}; {kept}", markup=False)
        return UNFINISHED


def _say_left(console: Console, study: Study, out: Path, spec_folder: Path) -> None:
    """How much of the study is stored, for somebody who has stopped it."""
    cells = spec.named_cells(study, spec_folder)
    stored = missing.stored(out, cells).cells
    wanted = missing.wanted_runs(study, cells, stored)
    left, total = plan.num_runs(missing.to_do(cells, stored, wanted)), sum(wanted.values())
    stored_now = f"stopped: {total - left} of {total} runs of cells are stored in {out}"
    terminal.say(console, f"{stored_now}; the same command goes on from them")


def environment() -> dict:
    """What a result was made with."""
    packages = {name: version(name) for name in ("jgmm", "jax", "jaxlib", "optax", "numpy", "scipy")}
    devices = jax.devices()
    device = {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}
    return {"python": sys.version.split()[0], "packages": packages, "device": device}
