r"""Arrays of runs as strips, and back: what the CPU's code reads and writes.

A strip is as many runs as a vector holds. Its numbers are rows of vectors, (strips, rows, width); where all runs of
every strip have the same bits a row is one number, (strips, rows). Coordinates are dealt out to the shares of a run
(`program.deal`), each with room for as many as any has.
"""

from typing import Any

import numpy as np

from jgmm.engine.blocks import Layout
from jgmm.engine.program import Leaf, deal

ALIGNED = 64  # bytes: the widest vector


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros at an address that vectors may be loaded from."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.zeros(size + ALIGNED, np.uint8)
    return whole[-whole.ctypes.data % ALIGNED :][:size].view(dtype).reshape(shape)


def lay(x: np.ndarray, width: int) -> np.ndarray:
    """(rows, runs) -> (strips, rows, width), the last run again where a strip is not full."""
    rows, runs = x.shape
    full, left = divmod(runs, width)
    out = zeros((full + (left > 0), rows, width), x.dtype)
    out[:full] = np.moveaxis(x[:, : full * width].reshape(rows, full, width), 1, 0)
    if left:
        out[full, :, :left], out[full, :, left:] = x[:, full * width :], x[:, -1:]
    return out


def gather(x: np.ndarray, runs: int) -> np.ndarray:
    """(strips, rows, width) -> (rows, runs)."""
    return np.moveaxis(x, 0, 1).reshape(x.shape[1], -1)[:, :runs]


def flat(x: np.ndarray, width: int) -> np.ndarray | None:
    """(rows, runs) -> (strips, rows), where all runs of each strip have the same bits; else None."""
    runs = x.shape[-1]
    starts = np.arange(0, runs, width)
    if x.strides[-1] != 0:
        bits = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")
        if (bits != bits[:, np.arange(runs) // width * width]).any():
            return None
    out = zeros((len(starts), len(x)), x.dtype)
    out[...] = x[:, starts].T
    return out


def rows_of(x: np.ndarray, leaf: Leaf, where: Layout) -> np.ndarray:
    """A leaf (..., runs) as rows (rows, runs); coordinates as (shares, e, room), those that a share lacks 0."""
    program = where.program
    if leaf.axis is None or (program.shares == 1 and where.room == program.d):
        return x.reshape(-1, x.shape[-1])
    dealt = deal(program.d, program.shares)
    out = np.zeros((program.shares, len(x), where.room, x.shape[-1]), x.dtype)
    for slot, share in np.argwhere(dealt >= 0):
        out[share, :, slot] = x[:, dealt[slot, share]]
    return out.reshape(-1, x.shape[-1])


def leaf_of(rows: np.ndarray, leaf: Leaf, where: Layout) -> np.ndarray:
    """The leaf that `rows_of` has made rows of."""
    if leaf.axis is None:
        return rows.reshape(*leaf.shape, -1)
    program = where.program
    dealt = deal(program.d, program.shares)
    whole = rows.reshape(program.shares, leaf.shape[0], where.room, -1)
    out = np.empty((*leaf.shape, rows.shape[-1]), rows.dtype)
    for slot, share in np.argwhere(dealt >= 0):
        out[:, dealt[slot, share]] = whole[share, :, slot]
    return out
