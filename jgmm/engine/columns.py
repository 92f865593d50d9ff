r"""Arrays of runs as columns, a thread's numbers each, and back: what a card's kernels read and write.

A run is as many neighbouring threads as it has shares, in each of whose columns are its coordinates (`program.deal`)
and lanes; what is no coordinate is in all of them. What a share lacks is 0.
"""

from collections.abc import Sequence

import numpy as np

from jgmm import lanes
from jgmm.engine import threads
from jgmm.engine.program import Leaf, Program, deal
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Source, source


def spread(x: np.ndarray, leaf: Leaf, program: Program) -> np.ndarray:
    """A leaf (..., runs) as rows of a number for each thread, (rows, runs * shares)."""
    shares, runs = program.shares, x.shape[-1]
    if leaf.axis is None:
        return np.repeat(x.reshape(-1, runs), shares, axis=-1)
    dealt = deal(program.d, shares)
    of_shares = np.where((dealt >= 0)[..., None], x[:, dealt], np.zeros((), x.dtype))  # (e, slots, shares, runs)
    return np.moveaxis(of_shares, 2, 3).reshape(-1, runs * shares)


def gather(rows: np.ndarray, leaf: Leaf, program: Program) -> np.ndarray:
    """The leaf that `spread` has spread."""
    shares = program.shares
    if leaf.axis is None:
        return rows[:, ::shares].reshape(*leaf.shape, -1)
    dealt = deal(program.d, shares)
    of_shares = np.moveaxis(rows.reshape(leaf.shape[0], len(dealt), -1, shares), 3, 2)
    out = np.empty((*leaf.shape, of_shares.shape[-1]), rows.dtype)
    out[:, dealt[dealt >= 0]] = of_shares[:, dealt >= 0]
    return out


def _lanes(program: Program) -> np.ndarray:
    """Which lane of a run each of a share's is, -1 for none: (1 + 2 pairs, shares). All have the label's."""
    pairs = np.arange(threads.pairs_of(program) * program.shares).reshape(-1, program.shares)
    first, second = (np.where(pairs < program.half, pairs + low, -1) for low in (1, 1 + program.half))
    return np.concatenate([np.zeros((1, program.shares), int), first, second])


def spread_words(words: LaneState, program: Program) -> np.ndarray:
    """The lanes of each thread, (4 * lanes, runs * shares)."""
    lane = _lanes(program)
    of_shares = np.stack([np.asarray(word)[lane] for word in words])  # (4, lanes, shares, runs)
    of_shares = np.where((lane >= 0)[None, ..., None], of_shares, np.uint32(0))
    return np.moveaxis(of_shares, 2, 3).reshape(4 * len(lane), -1)


def gather_words(rows: np.ndarray, program: Program) -> LaneState:
    """The lanes that `spread_words` has spread."""
    lane = _lanes(program)
    of_shares = np.moveaxis(rows.reshape(4, len(lane), -1, program.shares), 3, 2)
    out = np.empty((4, 1 + 2 * program.half, of_shares.shape[-1]), rows.dtype)
    out[:, lane[lane >= 0]] = of_shares[:, lane >= 0]
    return LaneState(*out)


def columns_for(count: int) -> int:
    """So many threads and up to an eighth more, whole warps: few programs of XLA's then serve all numbers of runs.

    What is too much has no samples to take in.
    """
    step = max(threads.THREADS, 2 ** max(0, (count - 1).bit_length() - 4))
    return -(-count // step) * step


def arrays(words: LaneState, leaves: Sequence, mixture: Mixture | Source, program: Program) -> dict[str, np.ndarray]:
    """What a kernel reads, by `threads.given`: `columns_for` the threads, the last run again at the end."""
    runs, mixture = mixture.means.shape[-1], source(mixture)
    of_components = Leaf((program.k,), program.dtype, None, False, None, False)
    thresholds = lanes.thresholds(np.asarray(mixture.weights)) if program.labels > 1 else np.zeros((1, runs), np.int32)
    rows = {
        "words": spread_words(words, program),
        "means": spread(np.asarray(mixture.means), program.means, program),
        "thresholds": spread(thresholds, of_components, program),
        "scales": spread(np.asarray(mixture.scales), of_components, program),
    }
    rows |= {"numbers": spread(np.asarray(mixture.numbers), of_components, program)} if program.numbers else {}
    for i, (x, leaf) in enumerate(zip(leaves, program.leaves, strict=True)):
        if leaf.alias is None:
            rows[f"leaf{i}"] = spread(np.broadcast_to(np.asarray(x), (*leaf.shape, runs)), leaf, program)
    run = np.minimum(np.arange(columns_for(runs * program.shares) // program.shares), runs - 1)
    column = (run[:, None] * program.shares + np.arange(program.shares)).ravel()
    kinds = threads.given(program)
    return {name: x[:, column].astype(kinds[name].dtype) for name, x in rows.items()}
