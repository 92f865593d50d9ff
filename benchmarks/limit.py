"""`limit.c` compiled for this machine, as a Python function."""

import ctypes
import subprocess
import tempfile
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from jgmm import lanes

SOURCE = Path(__file__).with_name("limit.c")
FLAGS = ["-O3", "-march=native", "-std=gnu11", "-fno-math-errno", "-fPIC", "-shared", "-pthread"]


@lru_cache
def library(k, d, compiler="cc"):
    """The program for these sizes. Raises OSError or CalledProcessError where there is no C compiler or it fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"limit-{k}-{d}.so"
        call = [compiler, *FLAGS, f"-DK={k}", f"-DD={d}", str(SOURCE), "-o", str(path)]
        subprocess.run(call, check=True, capture_output=True, text=True)
        return ctypes.CDLL(str(path))


def _vectors(values, width, dtype):
    """(..., runs) -> (groups, ..., width), in whole vectors at an address that they may be loaded from."""
    values = np.asarray(values, dtype)
    groups = -(-values.shape[-1] // width)
    values = np.concatenate([values, np.repeat(values[..., -1:], groups * width - values.shape[-1], axis=-1)], axis=-1)
    split = np.moveaxis(values.reshape(*values.shape[:-1], groups, width), -2, 0)
    room = np.empty(split.nbytes + 64, np.uint8)
    place = room[-room.ctypes.data % 64 :][: split.nbytes].view(dtype).reshape(split.shape)
    place[...] = split
    return place


class Limit:
    """Runs that stream by the C program; their words and centres go on from call to call."""

    def __init__(self, words, means, weights, scale, rate, threads):
        """words (4, lanes, runs), means (k, d, runs), weights (k), scale and rate (runs): the centres start there."""
        self.k, self.d, self.runs = means.shape
        self.stream = library(self.k, self.d).stream
        self.threads = threads
        vectors = partial(_vectors, width=library(self.k, self.d).width())
        steps = lanes.thresholds(np.asarray(weights, np.float32)[:, None]) + 1  # below, where jgmm asks: at most
        steps = np.broadcast_to(steps, (len(steps), self.runs))
        self.words, self.centres = vectors(words, dtype=np.uint32), vectors(means, dtype=np.float32)
        self.given = (
            vectors(means, dtype=np.float32),
            vectors(steps, dtype=np.int32),
            vectors(scale, dtype=np.float32),
            vectors(rate, dtype=np.float32),
        )

    def __call__(self, n):
        """Centres of shape (runs, k, d) after n more samples."""
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (self.words, self.centres, *self.given)]
        error = self.stream(*pointers, ctypes.c_long(len(self.centres)), ctypes.c_long(n), ctypes.c_int(self.threads))
        if error:
            raise OSError(error, "no thread could be started")
        return np.moveaxis(np.moveaxis(self.centres, 0, -2).reshape(self.k, self.d, -1)[..., : self.runs], -1, 0).copy()
