"""Many independent runs: which they are, what they sample, and the bits that they draw.

A run is addressed by (key, run id); what it does never depends on the runs beside it, on the machine, or on how its
stream is cut into calls. All arrays are NumPy, the runs last.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, Key

from jgmm import doors, lanes, machine
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture, check_whole

as_mixture: Callable[..., Mixture] = Mixture  # of NumPy arrays, which JAX takes for its own
as_words: Callable[..., LaneState] = LaneState


class Batch(NamedTuple):
    """Runs ready to stream."""

    run_ids: Integer[np.ndarray, "runs"]
    mixture: Mixture
    words: LaneState


def run_keys(key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray) -> Key[Array, "runs"]:
    """A key for each run: `fold_in(key, run_id)`. Raises ValueError as `batch` does for either."""
    doors.keys("key", key)
    with machine.on_host():
        return jax.vmap(partial(jax.random.fold_in, key))(jnp.asarray(doors.run_ids("run_ids", run_ids)))


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
    held = as_mixture(*(np.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype)) for x in mixture))
    if held.means.ndim == 2:
        held = as_mixture(*(np.broadcast_to(x[..., None], (*x.shape, len(ids))) for x in held))
    if held.means.shape[-1] != len(ids):
        raise ValueError(f"the mixture has {held.means.shape[-1]} runs, expected {len(ids)}")
    with machine.on_host():
        words = _seed(key, jnp.asarray(_padded(ids)), d=held.means.shape[1])
    return Batch(ids, held, as_words(*(np.asarray(x)[..., : len(ids)] for x in words)))


_seed = jax.jit(lanes.seed, static_argnames="d")


def _padded(ids: np.ndarray) -> np.ndarray:
    """Some more ids behind these, so that few programs serve all numbers of runs: 64 times a power of two."""
    width = 64 * 2 ** (-(-len(ids) // 64) - 1).bit_length()
    return np.concatenate([ids, np.broadcast_to(ids[-1:], (width - len(ids),))])


@partial(jax.jit, static_argnames=("k", "d"))
def _normals(key, run_ids, *, k, d):
    """k x d standard normals for each run."""
    return jax.vmap(lambda run: jax.random.normal(jax.random.fold_in(key, run), (k, d)), out_axes=-1)(run_ids)


def normals(key: Key[Array, ""], run_ids: Integer[np.ndarray, "runs"], *, k: int, d: int) -> np.ndarray:
    """k x d standard normals for each run, of the run's own: (k, d, runs)."""
    with machine.on_host():
        return np.asarray(_normals(key, jnp.asarray(_padded(run_ids)), k=k, d=d))[..., : len(run_ids)]
