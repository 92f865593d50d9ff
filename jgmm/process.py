"""A command and the process that it runs in: a signal stops it, and a reader of its output who leaves does not.

    Stopper    hears SIGINT and SIGTERM, and asks the work to stop
    Output     a text stream whose writes cannot fail

Only the standard library is imported, so that signals are heard before JAX is. They set a flag: an exception that
Python raises in the middle of an import may be swallowed there.
"""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO, TypeVar

PATIENCE = 2.0  # seconds that work which was asked to stop has to do so
READER_LEFT = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO}  # of a pipe, a terminal, a descriptor

T = TypeVar("T")


class Stopped(Exception):
    """Somebody has asked to stop. What is finished is stored."""


class Stopper:
    """The first SIGINT or SIGTERM asks the work to stop at its next chance; the second ends the process at once.

    last_words(): called before the process is ended, where the work does not stop.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.last_words: Callable[[], None] = lambda: say("jgmm: stopped")
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stopper":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._ask)
            except ValueError:  # not in the main thread: whoever owns it stops us
                continue
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL)
        say("jgmm: stopping: what is finished is being stored (once more to stop at once)")

    def asked(self) -> bool:
        """Whether somebody has asked."""
        return self.signal is not None

    def check(self) -> None:
        """Raises Stopped if somebody has asked."""
        if self.asked():
            raise Stopped

    @property
    def status(self) -> int:
        """The exit status of what was stopped."""
        return 130 if self.signal == signal.SIGINT else 3

    def watch(self, work: Callable[[], T]) -> T:
        """Call work() in a thread of its own; what it returns or raises.

        Python hears a signal only while it runs Python, and compiling takes seconds: this thread is free to hear it.
        Where work goes on for PATIENCE seconds after it was asked to stop, `last_words` are said and the process ends:
        files are written under temporary names until they are whole, so none is left damaged.
        """
        answer: Future[T] = Future()

        def do() -> None:
            try:
                answer.set_result(work())
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=do, daemon=True).start()
        while not (self.asked() or answer.done()):
            wait([answer], timeout=0.2)
        if not answer.done():
            wait([answer], timeout=PATIENCE)
        if not answer.done():
            self.last_words()
            _leave(self.status)
        return answer.result()


class Output:
    """A text stream whose writes cannot fail: what comes after its reader has left, or its disk is full, is dropped.

    fault: why text was dropped; None where the reader has left, which is no fault.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.fault: str | None = None
        self._plain = {} if _has(stream, "±") else {ord("±"): "+-"}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write what can be written."""
        self._try(lambda: self._stream.write(text.translate(self._plain)))
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if error.errno not in READER_LEFT:
                self.fault = self.fault or error.strerror or str(error)
            self._to_nowhere()
        except ValueError:  # closed
            pass

    def _to_nowhere(self) -> None:
        """Send what is buffered, and what still comes, to no one: a flush at exit would fail again."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass


@contextmanager
def outputs() -> Iterator[Output]:
    """Make standard output and error `Output`s, whose characters degrade to what their encoding has; yields the first.

    A standard descriptor that is closed is opened on nothing: otherwise the next file that is opened would take its
    number, and what is meant for a terminal would be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
    before = sys.stdout, sys.stderr
    replaced = [Output(stream if stream is not None else io.StringIO()) for stream in before]
    for output in replaced:
        if hasattr(output, "reconfigure"):
            output.reconfigure(errors="replace")
    sys.stdout, sys.stderr = replaced  # type: ignore[assignment]
    try:
        yield replaced[0]
    finally:
        for output in replaced:
            output.flush()
        sys.stdout, sys.stderr = before


def _has(stream: TextIO, character: str) -> bool:
    """Whether a stream's encoding has a character."""
    try:
        character.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fault(error: OSError) -> str:
    """What went wrong, and with which file, in a line."""
    what = f"{error.filename}: " if error.filename else ""
    return f"{what}{error.strerror or error}"


def say(line: str) -> None:
    """A line on standard error, also from a signal's handler, which may have interrupted a writer there."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode(errors="replace"))


def _leave(status: int) -> NoReturn:
    """End the process while a thread of it still works."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
