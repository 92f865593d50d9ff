"""A study is run from Python, and what its folder then holds is opened."""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from jgmm.results import notebook
from jgmm.results.opened import Opened
from jgmm.study import ownership
from jgmm.study import run as runner
from jgmm.study.folder.lock import Lock
from jgmm.study.meter import Progress
from jgmm.study.spec import Study


def nothing(name: str, done: int, total: int) -> None:
    """Tell nobody."""


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
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    lock: Lock | None = None,
) -> Opened:
    """Compute what `out` lacks of the study's cells, and open it. What can be checked is checked before it writes.

    What is refused later, as a step that a back end cannot take, leaves nothing where no run is stored. What was
    done is `done` of what is returned (computed, reused, left, ...). A study with a precision goes through its rounds
    until every cell has it or is at the cap.

    executor: anything that speaks `concurrent.futures.Executor` (a process pool, loky, a Dask client's
    `get_executor()`), its workers on the same file system; by default this process, on all of its devices. A process
    pool must not fork: `ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn"))`. What its workers
    could not do is told in `failures`; what they have stored is kept, and the same call goes on from it.
    Tasks are sized for a worker with one CPU device, or with what the executor's attribute `hardware` says, as
    (1, True): so many devices, and whether these are GPUs.
    spec_folder: where files of means and modules lie that the study names. fresh: replace the study in `out`.
    back_end: auto, cpu, gpu or scan (see `engine.choose`); what was taken, and why, is told in backends.csv.
    share: (3, 16) computes the third of sixteen shares of what is left. Each share has a folder of its own, and
    `jgmm.merge` joins them. Which runs are a share's depends on the cell, the run and 16 alone (see `study.share`).
    progress: told (cells done and what runs, samples consumed, samples in all); left out, a notebook shows a line, and
    nobody is told elsewhere. stop: asked now and then. lock: the folder's, if it is to be held when this ends;
    otherwise it is taken and released.
    Raises ValueError for an argument of another kind, a cell or back end that cannot run, a pool that forks, a share
    of a study with a precision, a folder that cannot be used, or that somebody else writes in; Stopped when `stop()`
    turns true.
    """
    if progress is None:
        progress = notebook.Line() if notebook.in_notebook() else nothing
    done = runner.run_study(
        study,
        out,
        environment,
        executor=executor,
        spec_folder=spec_folder,
        fresh=fresh,
        back_end=back_end,
        share=share,
        progress=progress,
        stop=stop,
        lock=lock,
    )
    return Opened(Path(out), ownership.load(Path(out), trust=True), done)
