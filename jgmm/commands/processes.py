"""Processes on this machine that compute tasks, each with a core or a card: an executor of which one may die.

A card is given to a process by CUDA_VISIBLE_DEVICES, which the driver reads when JAX starts there.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, TypeVar

import jax

from jgmm.engine import choose

T = TypeVar("T")


def cards() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each of this machine's cards on which streams would run."""
    if choose.obstacle("gpu"):
        return []
    number = len(jax.local_devices())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (visible.split(",") if visible else [str(i) for i in range(number)])[:number]


class Processes(Executor):
    """Processes on this machine, started anew and not forked; one that dies costs the task that it was at.

    Each thread of a pool has a process of its own, which it starts when it has a task and none. cards: where there are
    some, each process has one to itself, and there are no more processes than cards; else they have the CPU.
    """

    def __init__(self, number: int, cards: Sequence[str] = ()):
        self._threads = ThreadPoolExecutor(min(number, len(cards)) if cards else number)
        self._cards = list(cards)  # that no process has
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
            if worker.card is not None:
                self._cards.append(worker.card)
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
            card = self._cards.pop(0) if self._cards else None
            process = context.Process(target=_serve, args=(its, card), daemon=True)
            process.start()
            its.close()  # so that ours ends when the process does
            self._workers.append(_Worker(process, ours, card))
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
    """A process, the connection over which it gets tasks and sends what they return or raise, and its card, if any."""

    process: SpawnProcess
    connection: Connection
    card: str | None


def _serve(connection: Connection, card: str | None) -> None:
    """Do tasks until the connection ends, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the command decides
    if card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card
    elif not os.environ.get("JAX_PLATFORMS"):
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
