"""`--executor`: whose workers compute the tasks of a study.

    processes:N         N processes on this machine, each with a core
    dask:ADDRESS        the workers of a running Dask scheduler, as dask:tcp://10.0.0.1:8786
    dask:slurm:JOBS     so many jobs (1 if none is said) of slurm, pbs, lsf, sge, htcondor, oar or moab, as the
                        configuration of dask-jobqueue describes a job

Workers write what they compute into the study's folder themselves: they need the same file system.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import jax

from jgmm.commands import prepare
from jgmm.engine import machine

SYSTEMS = {
    "htcondor": "HTCondorCluster",
    "lsf": "LSFCluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "slurm": "SLURMCluster",
}  # and the class of dask-jobqueue that sends jobs there
MOST = 1000  # processes, or jobs
PATIENCE = "20s"  # that a scheduler has to answer
EXPECTED = (
    "processes:N, dask:tcp://HOST:PORT of a running scheduler, or dask:SYSTEM:JOBS with one of the systems "
    + ", ".join(SYSTEMS)
)
T = TypeVar("T")


class Asked(NamedTuple):
    """What --executor asks for: processes, a scheduler's address, or jobs of a queueing system."""

    kind: str  # "processes", "address", "jobs"
    where: str = ""
    number: int = 1


def parse(text: str) -> Asked:
    """What the text asks for. Raises ValueError, a line, if that is nothing of the kind."""
    kind, _, rest = text.partition(":")
    if kind == "processes":
        return Asked("processes", number=_number(text, rest))
    if kind == "dask" and "://" in rest:
        return Asked("address", rest)
    system, colon, jobs = rest.partition(":")
    if kind == "dask" and system in SYSTEMS:
        return Asked("jobs", system, _number(text, jobs) if colon else 1)
    raise ValueError(f"--executor is {text!r}, expected {EXPECTED}")


def _number(text: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and 1 <= int(digits) <= MOST):
        raise ValueError(f"--executor is {text!r}, expected a whole number from 1 to {MOST} in place of {digits!r}")
    return int(digits)


@contextlib.contextmanager
def opened(text: str | None, *, keep_programs: bool = True) -> Iterator[Executor | None]:
    """The executor, closed at the end: at once where the block raises, else when its work is done. None for None.

    keep_programs: whether workers keep what they compile. Raises ValueError, a line, if it cannot be had.
    """
    if text is None:
        yield None
        return
    asked = parse(text)
    if asked.kind == "processes":
        with Processes(asked.number) as pool:
            yield Prepared(pool, keep_programs)
        return
    with contextlib.ExitStack() as stack:
        executor = _dask(asked, stack)
        yield Prepared(executor, keep_programs)


def _dask(asked: Asked, stack: contextlib.ExitStack) -> Executor:
    """The executor of a Dask client, which the stack closes; with it the jobs that were sent."""
    distributed = _needed("distributed", "dask")
    jobqueue = _needed("dask_jobqueue", "jobqueue") if asked.kind == "jobs" else None
    try:
        scheduler: Any = asked.where
        if jobqueue is not None:
            scheduler = stack.enter_context(getattr(jobqueue, SYSTEMS[asked.where])())
            scheduler.scale(jobs=asked.number)
        client = stack.enter_context(distributed.Client(scheduler, timeout=PATIENCE, set_as_default=False))
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"the scheduler at {asked.where}" if asked.kind == "address" else f"dask-jobqueue for {asked.where}"
        raise ValueError(f"--executor: {what} cannot be used ({said})") from None
    return client.get_executor()


def _needed(module: str, extra: str) -> ModuleType:
    """A module that an extra of jgmm installs. Raises ValueError, a line that names the extra, if it is not there."""
    try:
        # dask_jobqueue, when it is imported, takes SIGINT for itself (it is the command's), which fails in this thread.
        with mock.patch.object(signal, "signal"):
            return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"--executor needs {module} ({error}), which jgmm's extra {extra} installs: in a clone of jgmm,"
            f" pip install '.[{extra}]'"
        ) from None


class Processes(Executor):
    """Processes on the CPU of this machine, started anew and not forked; one that dies costs the task that it was at.

    Each thread of a pool has a process of its own, which it starts when it has a task and none.
    """

    def __init__(self, number: int):
        self._threads = ThreadPoolExecutor(number)
        self._own = threading.local()
        self._workers: list[_Worker] = []
        self._starting = threading.Lock()
        self._stopped = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """As any executor's. A task whose process dies raises RuntimeError, which says how it ended."""
        return self._threads.submit(self._do, fn, args, kwargs)

    def _do(self, fn: Callable[..., T], args: tuple, kwargs: dict) -> T:
        worker = getattr(self._own, "worker", None)
        if worker is None:
            worker = self._own.worker = self._start()
        try:
            worker.connection.send((fn, args, kwargs))
            done, answer = worker.connection.recv()
        except (EOFError, OSError):
            self._own.worker = None
            worker.process.join()
            raise RuntimeError(f"a process ended, {_how(worker.process.exitcode)}") from None
        if not done:
            raise answer
        return answer

    def _start(self) -> "_Worker":
        with self._starting:
            if self._stopped:
                raise RuntimeError("the processes were stopped")
            context = multiprocessing.get_context("spawn")
            ours, its = context.Pipe()
            process = context.Process(target=_serve, args=(its,), daemon=True)
            process.start()
            its.close()  # so that ours ends when the process does
            self._workers.append(_Worker(process, ours))
            return self._workers[-1]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As any executor's; the processes end when they have nothing to do."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers if wait else ():
            worker.connection.close()
            worker.process.join()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Wait for the tasks; where the block has raised, kill the processes instead."""
        with self._starting:
            self._stopped = kind is not None
        for worker in self._workers if self._stopped else ():
            worker.process.kill()
        self.shutdown(cancel_futures=self._stopped)


class _Worker(NamedTuple):
    """A process, and the connection over which it gets tasks and sends what they return or raise."""

    process: SpawnProcess
    connection: Connection


def _serve(connection: Connection) -> None:
    """Do tasks until the connection ends, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the command decides
    if not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")  # a card is not for several processes
    with contextlib.suppress(EOFError, OSError):
        while True:
            fn, args, kwargs = connection.recv()
            try:
                answer = True, fn(*args, **kwargs)
            except Exception as error:
                answer = False, error
            connection.send(answer)


def _how(exit_code: int | None) -> str:
    """How a process ended, by its exit code: a negative one is that of a signal."""
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"exit status {exit_code}"


class Prepared(Executor):
    """Another executor, whose processes set JAX up before their first task; it is closed by whoever opened it."""

    def __init__(self, executor: Executor, keep_programs: bool):
        self._executor, self._keep_programs = executor, keep_programs

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """As the other's."""
        return self._executor.submit(_prepared, self._keep_programs, fn, *args, **kwargs)


def _prepared(keep_programs: bool, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    _prepare(keep_programs)
    return fn(*args, **kwargs)


@functools.lru_cache
def _prepare(keep_programs: bool) -> None:
    """Set JAX up, once in a process; where it has started it stays as it is."""
    with contextlib.suppress(RuntimeError):
        machine.prepare(devices=1, cache=prepare.folder_of_programs() if keep_programs else None)
