"""Who computes a study's tasks: this process, or the workers of any `concurrent.futures.Executor`.

Each task is done by one call of `do`, and what it returns is given to `take`, one task at a time.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, as_completed, wait
from typing import NamedTuple, Protocol

from jgmm import doors
from jgmm.process import Stopped
from jgmm.study import plan
from jgmm.study.job import Receipt
from jgmm.study.meter import Meter
from jgmm.study.plan import Task

HEARING_SECONDS = 0.5  # between looks whether to stop, while workers compute
GPU_THREADS = 6  # of this process that compute tasks: a program is compiled for seconds, and streams for one

Take = Callable[[list[Receipt]], None]


class Hardware(NamedTuple):
    """What a task is computed on, for which it is sized: so many CPU devices, or so many cards."""

    devices: int = 1
    gpu: bool = False


def of_workers(executor: Executor) -> Hardware:
    """What a worker of this executor has: its attribute `hardware`, if it has one, else a CPU device.

    Raises ValueError for an attribute that is no pair of a number of devices and whether these are GPUs.
    """
    hardware = getattr(executor, "hardware", Hardware())
    if not isinstance(hardware, tuple) or len(hardware) != 2:
        raise doors.bad("executor.hardware", hardware, "a pair as (1, True): of devices, and whether these are GPUs")
    devices, gpu = hardware
    return Hardware(doors.whole("executor.hardware[0]", devices), doors.flag("executor.hardware[1]", gpu))


class Do(Protocol):
    """Computes a task, as `work.work` does; a worker's meter would tell nobody, so it gets none."""

    def __call__(self, task: Task, meter: Meter | None = None) -> list[Receipt]: ...


def in_this_process(do: Do, tasks: Sequence[Task], meter: Meter, take: Take, *, threads: int) -> None:
    """Compute the tasks in so many threads: while one compiles, another's stream is on the device.

    Tasks of the same programs stay in a thread, so that they are compiled once. If one fails the others stop, and its
    error is raised.
    """
    groups: dict[tuple, list[Task]] = {}
    for task in tasks:
        groups.setdefault(plan.program(task) if threads > 1 else (), []).append(task)
    taking = threading.Lock()

    def compute(group: list[Task]) -> None:
        try:
            for task in group:
                receipts = do(task, meter)
                with taking:
                    take(receipts)
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


def by_workers(executor: Executor, do: Do, tasks: Sequence[Task], meter: Meter, take: Take) -> list[str]:
    """Have the executor's workers compute the tasks; a line for each reason for which some were not computed."""
    futures: dict[Future, Task] = {}
    lost: dict[str, list[int]] = {}  # runs of cells in each task that was not computed, by the reason

    def lose(error: BaseException, tasks: Iterable[Task]) -> None:
        said = (str(error).strip().splitlines() or [""])[0]
        why = f"{type(error).__name__}: {said}".removesuffix(": ")
        lost.setdefault(why, []).extend(plan.num_runs(task.pieces) for task in tasks)

    try:
        for i, task in enumerate(tasks):
            try:
                futures[executor.submit(do, task)] = task
            except Exception as error:  # the executor is shut down or broken, or the task cannot be sent
                lose(error, tasks[i:])
                break
        waiting = set(futures)
        if waiting:
            meter.begin("waiting for workers")
        while waiting:
            done, waiting = wait(waiting, timeout=HEARING_SECONDS, return_when=FIRST_COMPLETED)
            meter(0)  # which hears whether to stop
            for future in done:
                task = futures[future]
                try:
                    receipts = future.result()
                except Exception as error:
                    lose(error, [task])
                    continue
                take(receipts)
                meter.begin(task.pieces[0].cell.part)
                meter(plan.samples_of(task))
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [f"{sum(runs)} runs of cells in {len(runs)} tasks were not computed ({why})" for why, runs in lost.items()]
