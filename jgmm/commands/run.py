"""`jgmm run`: simulate what is missing, report, and say what came out."""

import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
from rich.console import Console

from jgmm import terminal
from jgmm.commands import executors
from jgmm.commands.finish import UNFINISHED, finish
from jgmm.commands.words import runs_of
from jgmm.process import Stopped, Stopper, fault
from jgmm.report.hook import page_of
from jgmm.study import missing, ownership, plan, refine, spec
from jgmm.study import run as runner
from jgmm.study.folder.lock import Lock
from jgmm.study.share import Share, checked, part_of
from jgmm.study.spec import Study


class How(NamedTuple):
    """How a study is computed; nothing of it changes a result.

    executor, keep_programs: what `executors.opened` takes. share: (3, 16) computes the third of sixteen shares.
    """

    fresh: bool = False
    back_end: str = "auto"
    executor: str | None = None
    keep_programs: bool = True
    share: tuple[int, int] | None = None


def run(study: Study, out: Path, *, spec_folder: Path, how: How, stopper: Stopper | None = None) -> int:
    """Simulate what is missing in `out`, report, and print the verdicts; a share makes no report.

    0 done, 1 the simulation is wrong (a twin is away from its exact mean), 3 unfinished, 130 interrupted.
    """
    page_of(study)  # the study is one that its page is for, before anything is computed
    stopper = Stopper() if stopper is None else stopper
    console = Console(stderr=True, soft_wrap=True)
    started = time.perf_counter()
    with Lock(out) as lock:  # one for both: nobody comes between the runs and their report
        done = _simulate(console, study, out, spec_folder, how, stopper, lock)
        if isinstance(done, int):
            return done
        if how.share is not None:
            _say_share(console, done, out, how.share)
            return 0
        timing = {"seconds": round(done.seconds, 2), "samples": done.samples} if done.computed else None
        return finish(console, out, spec_folder, lock=lock, stopper=stopper, started=started, timing=timing)


def _simulate(
    console: Console, study: Study, out: Path, spec_folder: Path, how: How, stopper: Stopper, lock: Lock
) -> runner.Report | int:
    """Compute what is missing; what was done, or the exit status of a command that ends here."""
    share = checked(how.share, study)
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind}" if how.executor is None else how.executor
    part = f", share {share}" if share is not None else ""
    terminal.say(console, f": {runs_of(study)} on {device}, seed {study.seed}{part} -> {out}", lead=study.name)
    stopper.last_words = lambda: _say_left(console, study, out, spec_folder, share)
    try:
        with (
            executors.opened(
                how.executor, keep_programs=how.keep_programs, back_end=how.back_end, hear=stopper.check
            ) as executor,
            terminal.ProgressBar(console) as progress,
        ):
            if executor is not None and executor.hardware.gpu:
                terminal.say(console, f"tasks are sized for workers with {executor.hardware.devices} x GPU")
            done = runner.run_study(
                study,
                out,
                environment(),
                executor=executor,
                spec_folder=spec_folder,
                fresh=how.fresh,
                back_end=how.back_end,
                share=share,
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
    for line in refine.words(ownership.continued(out, study)):
        terminal.say(console, line)
    seconds = f"{done.samples:.3g} samples in {done.seconds:.1f} s"
    console.print(f"runs of cells: {done.computed} computed, {done.reused} reused, {done.left} left; {seconds}")
    if done.left:
        console.print(f"unfinished: {done.left} runs of cells are missing; the same command goes on")
        return UNFINISHED
    return done


def _say_share(console: Console, done: runner.Report, out: Path, share: tuple[int, int]) -> None:
    """That a share is complete, and what makes a study of all of them."""
    number, count = share
    runs = done.computed + done.reused
    own = f"-{number}-of-{count}"
    study = out.with_name(out.name.removesuffix(own))
    merge = f"{study}-*-of-{count} --out {study}" if out.name.endswith(own) else "DIR... --out DIR"
    complete = f"share {number} of {count} is complete: {runs} runs of cells in {out}"
    terminal.say(console, f"{complete}; when all {count} are: jgmm merge {merge}")


def _say_left(console: Console, study: Study, out: Path, spec_folder: Path, share: Share | None) -> None:
    """How much of the study, or of the share, is stored, for somebody who has stopped it."""
    study = ownership.continued(out, study)
    cells = spec.named_cells(study, spec_folder)
    stored = missing.stored(out, cells).cells
    wanted = missing.wanted_runs(study, cells, stored)
    left = plan.num_runs(part_of(share, missing.to_do(cells, stored, wanted)))
    total = plan.num_runs(part_of(share, missing.to_do(cells, {}, wanted)))
    stored_now = f"stopped: {total - left} of {total} runs of cells are stored in {out}"
    terminal.say(console, f"{stored_now}; the same command goes on from them")


def environment() -> dict:
    """What a result was made with."""
    packages = {name: version(name) for name in ("jgmm", "jax", "jaxlib", "optax", "numpy", "scipy")}
    devices = jax.devices()
    device = {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}
    return {"python": sys.version.split()[0], "packages": packages, "device": device}
