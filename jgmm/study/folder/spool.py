"""Arrays (checkpoints, runs) that may be larger than memory: written checkpoint by checkpoint, read also by runs.

A stream gives all runs of one checkpoint. A cell's file has all checkpoints of one run after another. A summary reads
all runs of one checkpoint. A spool keeps arrays in memory up to ROOM bytes, and further arrays in one file without a
name, checkpoint after checkpoint.
"""

import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jgmm.study.folder import files

ROOM = 2**24  # bytes that a spool keeps in memory


class Spool:
    """Arrays that share a file and are closed together."""

    def __init__(self, folder: Path | None, room: int | None = None):
        """folder: where the file is made, if one is needed; None: keep everything in memory. room: in place of ROOM."""
        self.folder, self.room, self.end = folder, ROOM if room is None else room, 0
        self.file: BinaryIO | None = None

    def array(self, checkpoints: int, runs: int, dtype: Any) -> "Spooled | np.ndarray":
        """An empty array (checkpoints, runs)."""
        size = checkpoints * runs * np.dtype(dtype).itemsize
        if self.folder is None or size <= self.room:
            self.room -= size
            return np.empty((checkpoints, runs), dtype)
        if self.file is None:
            self.file = files.scratch(self.folder)
            weakref.finalize(self, self.file.close)  # at the latest when the last array is gone
        start, self.end = self.end, self.end + size
        return Spooled(self, self.file, start, (checkpoints, runs), np.dtype(dtype))

    def close(self) -> None:
        """Close the file; its arrays cannot be read any more."""
        if self.file is not None:
            self.file.close()


class Spooled:
    """An array (checkpoints, runs) in a spool's file. Each access reads or writes one part of it."""

    def __init__(self, spool: Spool, file: BinaryIO, start: int, shape: tuple[int, int], dtype: np.dtype):
        self.spool, self.file, self.start, self.shape, self.dtype = spool, file, start, shape, dtype

    def __setitem__(self, at: tuple[int, slice] | int, values: np.ndarray) -> None:
        """array[checkpoint] = values of all runs, or array[checkpoint, low:high] = values of some runs."""
        checkpoint, runs = at if isinstance(at, tuple) else (at, slice(None))
        low, high, _ = runs.indices(self.shape[1])
        data = np.ascontiguousarray(np.broadcast_to(values, high - low), self.dtype).tobytes()
        files.write_at(self.file, self._offset(checkpoint, low), data)

    def __getitem__(self, at: Any) -> np.ndarray:
        """array[checkpoint] reads all runs, array[:, low:high] all checkpoints of some runs."""
        if not isinstance(at, tuple):
            return self._read(at, 0, self.shape[1])
        checkpoints, runs = at
        low, high, step = runs.indices(self.shape[1])
        if checkpoints != slice(None) or step != 1:
            raise IndexError(f"index is {at}, expected a checkpoint, or all checkpoints of runs in a row")
        values = np.empty((self.shape[0], high - low), self.dtype)
        for checkpoint in range(self.shape[0]):
            values[checkpoint] = self._read(checkpoint, low, high)
        return values

    def _offset(self, checkpoint: int, run: int) -> int:
        return self.start + (checkpoint % self.shape[0] * self.shape[1] + run) * self.dtype.itemsize

    def _read(self, checkpoint: int, low: int, high: int) -> np.ndarray:
        size = (high - low) * self.dtype.itemsize
        self.file.seek(self._offset(checkpoint, low))
        return np.frombuffer(self.file.read(size), self.dtype, high - low)


class ByRun:
    """A transposed spooled array, (runs, checkpoints). One checkpoint is read at a time: by_run[runs, i]."""

    def __init__(self, array: Spooled):
        self.array, self.shape = array, array.shape[::-1]

    def __getitem__(self, at: tuple[Any, int]) -> np.ndarray:
        runs, checkpoint = at
        return self.array[int(checkpoint)][runs]


def all_finite(values: "ByRun | np.ndarray") -> np.ndarray:
    """Which runs (the first axis) are finite at every checkpoint."""
    finite = np.ones(values.shape[0], bool)
    for checkpoint in range(values.shape[1]):
        finite &= np.isfinite(values[:, checkpoint])
    return finite
