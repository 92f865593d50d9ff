"""Words of JAX's threefry keys, in NumPy: the integers of `jax.random.fold_in` and `bits`, and no program to compile.

They are those of JAX_THREEFRY_PARTITIONABLE, its default: word i of a key depends on the key and i alone, so fewer
words are the first of more. Keys are arrays (2, *shape) of uint32 here.

    threefry2x32    Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", 20 rounds
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, UInt32

GENERATOR = "threefry2x32"  # by name: JAX's default is the user's to set
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = np.uint32(0x1BD11BDA)
TOGETHER = 2**15  # words: what a round goes over stays in a core's cache


def words(keys: Key[Array, "*shape"]) -> UInt32[np.ndarray, "2 *shape"]:
    """The two words of each of JAX's keys."""
    return np.moveaxis(np.asarray(jax.random.key_data(keys)), -1, 0)


def keys(words: UInt32[np.ndarray, "2 *shape"]) -> Key[Array, "*shape"]:
    """JAX's keys of these words."""
    last: Any = np.moveaxis(words, 0, -1)
    return jax.random.wrap_key_data(last, impl=GENERATOR)


def fold_in(
    keys: UInt32[np.ndarray, "2 *#shape"], data: UInt32[np.ndarray, "*#shape"]
) -> UInt32[np.ndarray, "2 *#shape"]:
    """A key for each whole number of `data`; axes of length 1 are spread.

    Those of 0, 1, ... n - 1 are `jax.random.split(key, n)`.
    """
    return np.stack(encrypted(keys, np.zeros(1, np.uint32), data))


def bits(keys: UInt32[np.ndarray, "2 runs"], count: int) -> UInt32[np.ndarray, "count runs"]:
    """The first words of each key."""
    rows_of_words = np.empty((count, keys.shape[1]), np.uint32)
    rows = max(1, TOGETHER // keys.shape[1])
    for low in range(0, count, rows):
        index = np.arange(low, min(low + rows, count), dtype=np.uint32)[:, None]
        first, second = encrypted(keys[:, None], np.zeros(1, np.uint32), index)
        np.bitwise_xor(first, second, out=rows_of_words[low : low + rows])
    return rows_of_words


def encrypted(keys: np.ndarray, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cipher: two words become two others."""
    parts = keys[0], keys[1], keys[0] ^ keys[1] ^ PARITY
    shape = np.broadcast_shapes(keys.shape[1:], high.shape, low.shape)
    a, b, room = np.empty(shape, np.uint32), np.empty(shape, np.uint32), np.empty(shape, np.uint32)
    np.add(high, parts[0], out=a)
    np.add(low, parts[1], out=b)
    for turn in range(5):
        for by in ROTATIONS[turn % 2]:
            a += b
            np.right_shift(b, 32 - by, out=room)
            b <<= by
            b |= room
            b ^= a
        a += parts[(turn + 1) % 3]
        b += parts[(turn + 2) % 3] + np.uint32(turn + 1)
    return a, b
