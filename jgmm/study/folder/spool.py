"""Arrays of checkpoints and runs that are filled in one order and read in the other, in memory that does not grow.

A stream gives all runs of a checkpoint; a cell's file holds all checkpoints of a run; a summary wants all runs of a
checkpoint again. What a spool has room for stays in memory. What is more lies in one file that has no name, checkpoint
after checkpoint, gone when it is closed or its process ends, however that ends.
"""

import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jgmm.study.folder import files

ROOM = 2**24  # bytes of a spool that stay in memory


class Spool:
    """Arrays that live and end together."""

    def __init__(self, folder: Path | None):
        """folder: of the file, if one is needed; None: keep everything in memory."""
        self.folder, self.room, self.end = folder, ROOM, 0
        self.file: BinaryIO | None = None

    def array(self, checkpoints: int, runs: int, dtype: Any) -> "Spooled | np.ndarray":
        """An array (checkpoints, runs), to be filled."""
        size = checkpoints * runs * np.dtype(dtype).itemsize
        if self.folder is None or size <= self.room:
            self.room -= size
            return np.empty((checkpoints, runs), dtype)
        if self.file is None:
            self.file = files.scratch(self.folder)
            weakref.finalize(self, self.file.close)  # with the last of its arrays, if not before
        place, self.end = self.end, self.end + size
        return Spooled(self, self.file, place, (checkpoints, runs), np.dtype(dtype))

    def close(self) -> None:
        """Let go of the file; its arrays cannot be read any more."""
        if self.file is not None:
            self.file.close()


class Spooled:
    """An array (checkpoints, runs) in a spool's file: what of it is asked for is read then."""

    def __init__(self, spool: Spool, file: BinaryIO, place: int, shape: tuple[int, int], dtype: np.dtype):
        self.spool, self.file, self.place, self.shape, self.dtype = spool, file, place, shape, dtype

    def __setitem__(self, at: tuple[int, slice] | int, values: np.ndarray) -> None:
        """array[checkpoint] = runs, or array[checkpoint, low:high] = some of them."""
        checkpoint, where = at if isinstance(at, tuple) else (at, slice(None))
        low, high, _ = where.indices(self.shape[1])
        data = np.ascontiguousarray(np.broadcast_to(values, high - low), self.dtype).tobytes()
        files.put(self.file, self._place(checkpoint, low), data)

    def __getitem__(self, at: Any) -> np.ndarray:
        """array[checkpoint], all runs; or array[:, low:high], all checkpoints of some."""
        if not isinstance(at, tuple):
            return self._read(at, 0, self.shape[1])
        everything, where = at
        low, high, step = where.indices(self.shape[1])
        if everything != slice(None) or step != 1:
            raise IndexError(f"index is {at}, expected a checkpoint, or all checkpoints of runs in a row")
        found = np.empty((self.shape[0], high - low), self.dtype)
        for checkpoint in range(self.shape[0]):
            found[checkpoint] = self._read(checkpoint, low, high)
        return found

    def _place(self, checkpoint: int, run: int) -> int:
        return self.place + (checkpoint % self.shape[0] * self.shape[1] + run) * self.dtype.itemsize

    def _read(self, checkpoint: int, low: int, high: int) -> np.ndarray:
        size = (high - low) * self.dtype.itemsize
        self.file.seek(self._place(checkpoint, low))
        return np.frombuffer(self.file.read(size), self.dtype, high - low)


class ByRun:
    """A spooled array as (runs, checkpoints), read a checkpoint at a time: by_run[which runs, checkpoint]."""

    def __init__(self, kept: Spooled):
        self.kept, self.shape = kept, kept.shape[::-1]

    def __getitem__(self, at: tuple[Any, int]) -> np.ndarray:
        which, checkpoint = at
        return self.kept[int(checkpoint)][which]


def all_finite(values: "ByRun | np.ndarray") -> np.ndarray:
    """Which runs (the first axis) are finite at every checkpoint."""
    finite = np.ones(values.shape[0], bool)
    for checkpoint in range(values.shape[1]):
        finite &= np.isfinite(values[:, checkpoint])
    return finite
