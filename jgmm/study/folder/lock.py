"""One writer a folder: whoever runs a study or writes its report holds the folder's lock.

The lock is the operating system's, on the file `.lock`: it ends with the process, however that ends, so none is ever
stale. The file says who holds it. Workers of a cluster write tiles under the lock of the process that sent them.
"""

import contextlib
import os
import socket
import time
from pathlib import Path

from jgmm.study.folder import files

try:
    import fcntl
except ImportError:  # a system that has other locks
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
WORDS = 0.5  # seconds in which a new holder has said who it is


class Lock:
    """The right to write in a folder; `warning` says why there can be none, where there can be none."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.warning: str | None = None
        self._file: int | None = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error) -> None:
        self.release()

    def take(self) -> None:
        """Take it, unless it is taken already; the folder is made if need be.

        Raises ValueError if another holds it (who, and since when), or the folder cannot be written.
        """
        if self._file is not None or self.warning:
            return
        try:
            files.make_root(self.folder)
            number = files.open_lock(self.folder / NAME)
        except OSError as error:
            raise ValueError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        try:
            if fcntl is None:
                raise OSError("this system has no flock")
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(number)
            os.close(number)
            raise ValueError(
                f"{self.folder} is in use by {holder}: expected one command at a time in a folder, or another --out"
            ) from None
        except OSError as error:
            os.close(number)
            self.warning = (
                f"{self.folder} cannot be locked ({error.strerror or error}): nobody else may write there now"
            )
            return
        self._file = number
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        try:
            files.say_in_lock(number, f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
        except OSError as error:
            self.release()
            raise ValueError(f"{self.folder} cannot be written: {error.strerror or error}") from None

    def release(self) -> None:
        """Let go of it."""
        number, self._file = self._file, None
        if number is not None:
            try:
                with contextlib.suppress(OSError):  # an old word in a file that nobody holds misleads nobody
                    files.say_in_lock(number, "")
                fcntl.flock(number, fcntl.LOCK_UN)  # a child that was forked has the file open, too
            finally:
                os.close(number)


def holding(lock: Lock | None, folder: Path) -> contextlib.AbstractContextManager[Lock]:
    """The lock that a caller keeps, or the folder's own, let go in the end."""
    return contextlib.nullcontext(lock) if lock else Lock(folder)


def _holder(number: int) -> str:
    """Who says that it holds the lock."""
    until = time.monotonic() + WORDS
    while not (said := os.pread(number, 200, 0)) and time.monotonic() < until:
        time.sleep(0.02)
    return said.decode("utf-8", "replace").strip() or "another process"
