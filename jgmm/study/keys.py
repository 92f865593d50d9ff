"""The random keys of a study, and a canary: draws kept beside its results, to notice where others are drawn."""

import hashlib
from typing import NamedTuple

import jax
import numpy as np

from jgmm import lanes, mixture, threefry
from jgmm.engine import machine
from jgmm.engine.runs import run_keys


class Keys(NamedTuple):
    """One key for each kind of draw."""

    mixture: jax.Array  # means that are drawn for each run
    lanes: jax.Array  # samples
    start: jax.Array  # directions of offsets, first bases of Algorithm 2


def study_keys(seed: int) -> Keys:
    """The keys of a study: `jax.random.split(jax.random.key(seed), 3)`, whatever generator JAX was told to use."""
    words = threefry.fold_in(np.array([[0], [seed]], np.uint32), np.arange(3, dtype=np.uint32))
    with machine.on_host():
        return Keys(*map(threefry.keys, words.T))


def canary(seed: int) -> list[int]:
    """Six integers that a study draws, and a digest of means: a study with another canary must not be extended."""
    with jax.enable_x64(False), machine.on_host():
        keys = study_keys(seed)
        words = lanes.seed(keys.lanes, np.arange(2, dtype=np.uint32), d=2)
        for _ in range(3):
            words, bits = lanes.next_bits(words)
        means = [mixture.simplex(k, 9, separation=3.0).means for k in (3, 4, 10)]
        means.append(mixture.symmetric(3, separation=3.0).means)
        means.append(mixture.box(run_keys(keys.mixture, range(1)), 3, 2, side=10.0).means)
        normals = lanes.normal_pair(*bits[:2])
    digest = hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in (*means, *normals))).digest()
    return [*(int(x) for x in bits.ravel()[:6]), int.from_bytes(digest[:4], "little")]
