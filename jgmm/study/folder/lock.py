"""One writer at a time in a folder: whoever runs a study or writes its report holds the folder's lock.

The lock is the operating system's (flock), on the file `.lock`. It ends with its process, so it is never stale. The
file's text says who holds it. Workers of a cluster write tiles under the lock of the process that sent them.
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
    fcntl = None  # type: ignore[assignment]  # Windows

NAME = ".lock"
WORDS = 0.5  # seconds that a new holder has to write who it is


class Lock:
    """The right to write in a folder. If the file system has no locks, `warning` says so and nothing is locked."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.warning: str | None = None
        self._file: int | None = None

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error) -> None:
        self.release()

    def take(self) -> None:
        """Take the lock, unless this object has it; make the folder if it does not exist.

        Raises ValueError if another process holds it (it says which, since when) or the folder cannot be written.
        """
        if self._file is not None or self.warning:
            return
        try:
            files.make_root(self.folder)
            descriptor = files.open_lock(self.folder / NAME)
        except OSError as error:
            raise ValueError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        try:
            if fcntl is None:
                raise OSError("this system has no flock")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise ValueError(
                f"{self.folder} is in use by {holder}: expected one command at a time in a folder, or another --out"
            ) from None
        except OSError as error:
            os.close(descriptor)
            self.warning = (
                f"{self.folder} cannot be locked ({error.strerror or error}): nobody else may write there now"
            )
            return
        if not files.same(descriptor, self.folder / NAME):  # who held it has removed it, with a study that was refused
            os.close(descriptor)
            self.take()
            return
        self._file = descriptor
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        try:
            files.write_in_lock(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
        except OSError as error:
            self.release()
            raise ValueError(f"{self.folder} cannot be written: {error.strerror or error}") from None

    def release(self) -> None:
        """Release the lock, if it is held."""
        descriptor, self._file = self._file, None
        if descriptor is not None:
            try:
                with contextlib.suppress(OSError):  # the name of an old holder misleads nobody while the lock is free
                    files.write_in_lock(descriptor, "")
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: a forked child has the file open too
            finally:
                os.close(descriptor)


def holding(lock: Lock | None, folder: Path) -> contextlib.AbstractContextManager[Lock]:
    """The caller's lock, which outlasts the block, or else a new lock of the folder, which the block's end releases."""
    return contextlib.nullcontext(lock) if lock else Lock(folder)


def _holder(descriptor: int) -> str:
    """Who holds the lock, as its file says."""
    until = time.monotonic() + WORDS
    while not (text := os.pread(descriptor, 200, 0)) and time.monotonic() < until:
        time.sleep(0.02)
    return text.decode("utf-8", "replace").strip() or "another process"
