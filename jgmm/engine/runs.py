"""Many independent runs: which they are, what they sample, and the bits that they draw.

A run is addressed by (key, run id); what it does never depends on the runs beside it, on the machine, or on how its
stream is cut into calls. All arrays are NumPy, the runs last.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Integer, Key

from jgmm import doors, lanes, threefry
from jgmm.engine import machine
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture, check_whole

as_mixture: Callable[..., Mixture] = Mixture  # of NumPy arrays, which JAX takes for its own
as_words: Callable[..., LaneState] = LaneState


class Batch(NamedTuple):
    """Runs ready to stream."""

    run_ids: Integer[np.ndarray, "runs"]
    mixture: Mixture
    words: LaneState

    def __repr__(self) -> str:
        k, d, runs = self.mixture.means.shape
        ids = f"{self.run_ids[0]}" + (f" to {self.run_ids[-1]}" if runs > 1 else "")
        scales, weights = (_span(values) for values in (self.mixture.scales, self.mixture.weights))
        return f"Batch: {runs} runs, of ids {ids}\n{k} components in {d} dimensions, scales {scales}, weights {weights}"


def _span(values: Array | np.ndarray) -> str:
    """The least and the largest of some numbers, or the one that they all are."""
    low, high = f"{np.min(values):.4g}", f"{np.max(values):.4g}"
    return low if low == high else f"{low} to {high}"


def run_keys(key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray) -> Key[Array, "runs"]:
    """A key for each run: `fold_in(key, run_id)`. Raises ValueError as `batch` does for either."""
    doors.keys("key", key)
    ids = doors.run_ids("run_ids", run_ids)
    with machine.on_host():
        return threefry.keys(threefry.fold_in(threefry.words(key)[:, None], ids))


def batch(key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray, mixture: Mixture) -> Batch:
    """The runs with these ids, each with its own mixture (a run axis) or all with the same (none).

    key: of threefry. run_ids: whole numbers of 32 bits; one that comes again is the same run again, so that its draws
    can be streamed side by side under different mixtures and rates.
    Raises ValueError for another key or ids, or for a mixture that none of its builders would give or whose run axis
    does not have one entry a run.
    """
    doors.keys("key", key)
    ids = doors.run_ids("run_ids", run_ids)
    check_whole(mixture)
    own = as_mixture(*(np.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype)) for x in mixture))
    if own.means.ndim == 2:
        own = as_mixture(*(np.broadcast_to(x[..., None], (*x.shape, len(ids))) for x in own))
    if own.means.shape[-1] != len(ids):
        raise ValueError(f"the mixture has {own.means.shape[-1]} runs, expected {len(ids)}")
    return Batch(ids, own, lanes.seed(key, ids, d=own.means.shape[1]))


def normals(key: Key[Array, ""], run_ids: Integer[np.ndarray, "runs"], *, k: int, d: int) -> np.ndarray:
    """k x d standard normals for each run, of the run's own: (k, d, runs), float32.

    From the words of `fold_in(key, run_id)`: the first half gives radii, the second angles (`lanes.normal_pair`).
    """
    half = (k * d + 1) // 2
    bits = threefry.bits(threefry.fold_in(threefry.words(key)[:, None], run_ids), 2 * half)
    pair = lanes.normal_pair(bits[:half], bits[half:])
    return np.concatenate(pair)[: k * d].reshape(k, d, len(run_ids))
