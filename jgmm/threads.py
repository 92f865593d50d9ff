r"""A run over several threads: which of its coordinates each of them holds, and arrays arranged so.

Coordinates are drawn in pairs (j, half + j), half = ceil(d / 2), so pairs are dealt out: thread s holds the pairs
s, s + S, s + 2 S, ..., with their lanes, their rows of every array, and its own copy of what has no coordinates (the
label's lane too: the copies draw the same labels). Its coordinates are in the order that a run of fewer dimensions
would have them, first those of the pairs' first halves. Where there is no pair, or no second half, it holds zeros.

The threads of a run are neighbours: entry r S + s of a last axis is thread s of run r.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

NOBODY = -1


class Share(NamedTuple):
    """What of an axis each thread holds: `source[slot, thread]` is an index of the axis, or NOBODY."""

    source: np.ndarray


def coordinates(d: int, threads: int) -> Share:
    """The coordinates 0 to d - 1."""
    pairs = _pairs(d, threads)
    second = np.where(pairs == NOBODY, d, pairs + (d + 1) // 2)
    return Share(np.concatenate([pairs, np.where(second < d, second, NOBODY)]))


def lanes(d: int, threads: int) -> Share:
    """The lanes of `lanes.num_lanes(d)`: the label's for all, then the first and the second of each pair."""
    pairs = _pairs(d, threads)
    first, second = (np.where(pairs == NOBODY, NOBODY, pairs + begin) for begin in (1, 1 + (d + 1) // 2))
    return Share(np.concatenate([np.zeros((1, threads), int), first, second]))


def _pairs(d: int, threads: int) -> np.ndarray:
    half = (d + 1) // 2
    pairs = np.arange(-(-half // threads) * threads).reshape(-1, threads)
    return np.where(pairs < half, pairs, NOBODY)


def spread(x: Array, threads: int, share: Share | None, axis: int = 0) -> Array:
    """x (*shape, runs) for threads: (*shape, runs * threads), the shared axis cut down to a thread's slots."""
    if share is None:
        return jnp.repeat(x, threads, axis=-1)
    taken = jnp.take(x, np.maximum(share.source, 0), axis=axis)  # slots and threads where the axis was
    kept = (share.source != NOBODY).reshape(*share.source.shape, *[1] * (taken.ndim - axis - 2))
    ordered = jnp.moveaxis(jnp.where(kept[(None,) * axis], taken, jnp.zeros((), x.dtype)), axis + 1, -1)
    return ordered.reshape(*ordered.shape[:-2], -1)


def join(x: Array, threads: int, share: Share | None, axis: int = 0) -> Array:
    """What `spread` has spread, each number from the first thread that holds it."""
    each = x.reshape(*x.shape[:-1], -1, threads)
    if share is None:
        return each[..., 0]
    size = share.source.max() + 1
    where = [np.argwhere(share.source == index)[0] for index in range(size)]
    slots, holders = np.array(where).T
    return jnp.moveaxis(each, -1, axis + 1)[(*[slice(None)] * axis, slots, holders)]
