"""Run the cells of a study and store them: what is missing, in tasks, by this process or an executor's workers.

A task (see `plan`) is computed by `work.work`, which writes tiles and returns receipts. How the work is cut, and who
does it, has no effect on results.
"""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax

from jgmm import doors, outside
from jgmm.engine import choose, machine
from jgmm.process import Stopped
from jgmm.study import bias, keys, missing, ownership, plan, preflight, read, refine, spec, work
from jgmm.study import means as files_of_means
from jgmm.study.executors import GPU_THREADS, Do, Hardware, by_workers, in_this_process, of_workers
from jgmm.study.folder import records
from jgmm.study.folder.lock import Lock, holding
from jgmm.study.folder.spool import Spool
from jgmm.study.inventory import Inventory
from jgmm.study.job import Receipt
from jgmm.study.meter import Meter, Progress
from jgmm.study.share import Share, checked
from jgmm.study.spec import Study

__all__ = ["Report", "Stopped", "run_study"]


class Report(NamedTuple):
    """What `run_study` did, in runs of cells (of a share, in its own); `left` of them are missing, and why."""

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
    share: tuple[int, int] | None = None,
    progress: Progress = lambda name, done, total: None,
    stop: Callable[[], bool] = lambda: False,
    lock: Lock | None = None,
) -> Report:
    """Compute what `out` lacks of the cells, and say what was done: as `jgmm.run_study`, which then opens `out`."""
    started = time.perf_counter()
    out, spec_folder, fresh = doors.path("out", out), doors.path("spec_folder", spec_folder), doors.flag("fresh", fresh)
    _check_kinds(study, environment, back_end, progress, stop)
    names = outside.names_in(study.model_dump(exclude_none=True))
    preflight.check_executor(executor, names)
    study = spec.changed(study)  # a copy that somebody changed is held to what a spec is
    own_share = checked(share, study)
    named = spec.named_cells(study, spec_folder)
    preflight.check_mixtures(study, named.values(), spec_folder)
    if executor is None:
        choose.choose(back_end)
    devices, gpu = _hardware(executor)
    preflight.check_plan(study, named.values(), devices=devices, gpu=gpu)
    means = files_of_means.contents(study, spec_folder)
    with outside.beside(spec_folder, spec_folder / outside.FOLDER):
        code = {file: source for name in names for file, source in outside.files(name).items()}
    study = files_of_means.at_home(study, spec_folder)
    ownership.check(out, fresh=fresh)
    made = ownership.not_there(out)
    with holding(lock, out) as own_lock:
        own_lock.take()
        with ownership.undoing(out, made, means):
            made_with = {"canary": keys.canary(study.seed), **(environment or {})}
            study = ownership.claim(out, study, made_with, fresh=fresh, code=code)
            notes = files_of_means.keep(means, out)
            meter = Meter(progress, stop)
            report = _round(study, out, own_share, executor, meter, back_end)
            while report.left == 0 and (further := _refined(study, out)) is not None:
                study = ownership.claim(out, further, made_with, fresh=False, code=code)
                report = _joined(report, _round(study, out, own_share, executor, meter, back_end))
        warnings = [own_lock.warning] if own_lock.warning else []
        return report._replace(seconds=time.perf_counter() - started, ignored=[*warnings, *notes, *report.ignored])


def _round(
    study: Study, out: Path, share: Share | None, executor: Executor | None, meter: Meter, back_end: str
) -> Report:
    """Compute what is missing of the cells that the study has now."""
    do = partial(work.work, study, out.absolute(), back_end=back_end)
    return _run(study, Inventory(out, spec.named_cells(study, out), share), do, executor, meter)


def _refined(study: Study, out: Path) -> Study | None:
    """The study with the values that its stored runs ask for next; None where it refines no axis, or is done."""
    if not any(part.refine for part in study.part):
        return None
    cells = spec.named_cells(study, out)
    done = missing.stored(out, cells)
    spool = Spool(out)
    return refine.grown(study, bias.beside([read.read(out, cell, study, done, spool) for cell in cells.values()]))


def _joined(first: Report, then: Report) -> Report:
    """What two rounds did; the second has what is reused of the first, and all samples."""
    return then._replace(
        computed=first.computed + then.computed,
        reused=first.reused,
        ignored=list(dict.fromkeys([*first.ignored, *then.ignored])),
    )


def _check_kinds(study: object, environment: object, back_end: object, progress: object, stop: object) -> None:
    """Raises ValueError for arguments of `run_study` of another kind."""
    doors.kind("study", study, Study, "of jgmm.Study(...)")
    doors.choice("back_end", back_end, choose.NAMES)
    if environment is not None:
        doors.kind("environment", environment, dict, "of names and what JSON can hold")
    for name, function in (("progress", progress), ("stop", stop)):
        if not callable(function):
            raise doors.bad(name, function, "a function")


def _hardware(executor: Executor | None) -> Hardware:
    """What a task is computed on: a worker's hardware, or all devices of this process."""
    return of_workers(executor) if executor is not None else Hardware(len(jax.devices()), machine.on_gpu())


def _run(study: Study, inventory: Inventory, do: Do, executor: Executor | None, meter: Meter) -> Report:
    """Compute what is missing, round by round; the folder is locked by us."""
    inventory.want(study)
    reused = inventory.num_wanted() - plan.num_runs(inventory.to_do())
    computed, unfinished = 0, True
    failures: list[str] = []
    while unfinished:
        for name in inventory.wanted:
            inventory.join(name)
        runs, failures = _compute(inventory, do, executor, meter)
        computed += runs
        unfinished = not failures and inventory.want(study)
    if failures:
        inventory.scan()
    return Report(
        computed=computed,
        reused=reused,
        left=plan.num_runs(inventory.to_do()),
        samples=meter.done,
        seconds=0.0,
        ignored=inventory.ignored,
        failures=failures,
    )


def _compute(inventory: Inventory, do: Do, executor: Executor | None, meter: Meter) -> tuple[int, list[str]]:
    """Compute what is to do of a round; how many runs of cells were, and a line for each way in which some were not."""
    devices, gpu = _hardware(executor)
    tasks = plan.tasks(inventory.to_do(), devices=devices, gpu=gpu)
    meter.expect(sum(map(plan.samples_of, tasks)))
    meter.cells = (inventory.num_whole(), len(inventory.wanted))
    computed = 0

    def take(receipts: list[Receipt]) -> None:
        nonlocal computed
        computed += sum(receipt.high - receipt.low for receipt in receipts)
        records.record_back_ends(inventory.out, receipts)
        inventory.add(receipts)
        meter.cells = (inventory.num_whole(), len(inventory.wanted))

    failures: list[str] = []
    if executor is not None:
        failures = by_workers(executor, do, tasks, meter, take)
    else:
        in_this_process(do, tasks, meter, take, threads=GPU_THREADS if gpu else 1)
    return computed, failures
