"""`--executor`: whose workers compute the tasks of a study.

    processes:N         N processes on this machine, each with a core; on a machine with cards each with one of these,
                        and no more processes than cards
    dask:ADDRESS        the workers of a running Dask scheduler, as dask:tcp://10.0.0.1:8786
    dask:slurm:JOBS     so many jobs (1 if none is said) of slurm, pbs, lsf, sge, htcondor, oar or moab, as the
                        configuration of dask-jobqueue describes a job

Workers write what they compute into the study's folder themselves: they need the same file system.

Dask's workers are asked once, when the executor is opened, what they have; if there is none, the first to come is
waited for. Tasks are sized for a card if every worker that is there has one, else for a CPU device: a card makes short
work of a task that is too small for it, while a core would take hours for a card's.
"""

import contextlib
import functools
import importlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from unittest import mock

import jax

from jgmm.commands import prepare
from jgmm.commands.processes import Processes, cards
from jgmm.engine import machine
from jgmm.study.executors import Hardware

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
HEARING_SECONDS = 0.5  # between looks whether to stop, while there is no worker
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
def opened(
    text: str | None,
    *,
    keep_programs: bool = True,
    back_end: str = "auto",
    hear: Callable[[], None] = lambda: None,
) -> Iterator["Prepared | None"]:
    """The executor, closed at the end: at once where the block raises, else when its work is done. None for None.

    keep_programs: whether workers keep what they compile. back_end: what it is asked for; "cpu" leaves cards alone.
    hear: called now and then while there is no worker; it may raise. Raises ValueError, a line, if the executor cannot
    be had.
    """
    if text is None:
        yield None
        return
    asked = parse(text)
    if asked.kind == "processes":
        own = cards() if back_end != "cpu" else []
        with Processes(asked.number, own) as pool:
            yield Prepared(pool, keep_programs, Hardware(1, gpu=bool(own)))
        return
    with contextlib.ExitStack() as stack:
        client = _dask(asked, stack)
        hardware = ask(client, keep_programs, hear) if back_end != "cpu" else Hardware()
        yield Prepared(client.get_executor(), keep_programs, hardware)


def leave_memory() -> None:
    """Have JAX, which has not started, take no memory of a card before it needs it: the workers do."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def ask(client: Any, keep_programs: bool, hear: Callable[[], None]) -> Hardware:
    """What every worker of a Dask client has at least, once there is one. Raises ValueError if none can tell."""
    while not (told := client.run(told_by_worker, keep_programs, on_error="return")):
        hear()
        time.sleep(HEARING_SECONDS)
    known = [Hardware(*each) for each in told.values() if not isinstance(each, BaseException)]
    if not known:
        error = next(iter(told.values()))
        said = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(f"--executor: no worker can compute ({type(error).__name__}: {said})")
    return least(known)


def least(known: Sequence[Hardware]) -> Hardware:
    """The least of what workers have: cards only if all have cards, and as many devices as each has."""
    gpu = all(each.gpu for each in known)
    return Hardware(min(each.devices for each in known if each.gpu == gpu), gpu)


def told_by_worker(keep_programs: bool) -> tuple[int, bool]:
    """What the process that this is called in has: how many devices, and whether streams would run on cards."""
    _prepare(keep_programs)
    return len(jax.devices()), machine.on_gpu()


def _dask(asked: Asked, stack: contextlib.ExitStack) -> Any:
    """A Dask client, which the stack closes; with it the jobs that were sent."""
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
    return client


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


class Prepared(Executor):
    """Another executor, whose processes set JAX up before their first task; it is closed by whoever opened it.

    hardware: what each of its workers has at least.
    """

    def __init__(self, executor: Executor, keep_programs: bool, hardware: Hardware):
        self._executor, self._keep_programs = executor, keep_programs
        self.hardware = hardware

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
