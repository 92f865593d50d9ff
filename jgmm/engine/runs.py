"""Many independent runs: which they are, what they sample, and the bits that they draw.

A run is addressed by (key, run id); what it does never depends on the runs beside it, on the machine, or on how its
stream is cut into calls. All arrays are NumPy, the runs last.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Integer, Key

from jgmm import doors, lanes, ordered, threefry
from jgmm.engine import machine
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture, check_whole

as_mixture: Callable[..., Mixture] = Mixture  # of NumPy arrays, which JAX takes for its own
as_words: Callable[..., LaneState] = LaneState


class Space(NamedTuple):
    """Of runs whose dimension is reduced (`engine.reduction`): what their arrays do not show."""

    d: Integer[np.ndarray, "runs"]  # the dimension
    rank: int  # axes that the means of any run span, at most
    words: LaneState  # of the lane that lengths are drawn from


class Batch(NamedTuple):
    """Runs ready to stream; space: of a reduced dimension, None: the arrays' is the dimension."""

    run_ids: Integer[np.ndarray, "runs"]
    mixture: Mixture
    words: LaneState
    space: Space | None = None

    def __repr__(self) -> str:
        k, d, runs = self.mixture.means.shape
        ids = f"{self.run_ids[0]}" + (f" to {self.run_ids[-1]}" if runs > 1 else "")
        scales, weights = (_span(values) for values in (self.mixture.scales, self.mixture.weights))
        of = f"{d}" if self.space is None else f"{_span(self.space.d)} (reduced)"
        return (
            f"Batch: {runs} runs, of ids {ids}\n{k} components in {of} dimensions, scales {scales}, weights {weights}"
        )


_space: Callable[..., Space] = Space


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


def batch(
    key: Key[Array, ""],
    run_ids: Sequence[int] | np.ndarray,
    mixture: Mixture,
    *,
    d: int | np.ndarray | None = None,
    rank: int | None = None,
) -> Batch:
    """The runs with these ids, each with its own mixture (a run axis) or all with the same (none).

    key: of threefry. run_ids: whole numbers of 32 bits; one that comes again is the same run again, so that its draws
    can be streamed side by side under different mixtures and rates. d: the dimension (a number, or one for each run),
    of which the means have the first coordinates and 0 in all others: such runs are streamed in a reduced dimension,
    with the same law and at a cost that does not depend on d. rank: how many axes the means of any run span; None: as
    many as those of the one mixture do, or, where every run has its own, k.
    Raises ValueError for another key or ids, for a mixture that none of its builders would give or whose run axis
    does not have one entry a run, or for a d that is less than the mixture has.
    """
    doors.keys("key", key)
    ids = doors.run_ids("run_ids", run_ids)
    check_whole(mixture)
    own = as_mixture(*(np.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype)) for x in mixture))
    if own.means.ndim == 2:
        own = as_mixture(*(np.broadcast_to(x[..., None], (*x.shape, len(ids))) for x in own))
    if own.means.shape[-1] != len(ids):
        raise ValueError(f"the mixture has {own.means.shape[-1]} runs, expected {len(ids)}")
    k, coordinates, runs = own.means.shape
    if d is None:
        return Batch(ids, own, lanes.seed(key, ids, d=coordinates))
    if rank is None:
        rank = min(k, coordinates) if mixture.means.ndim > 2 else _rank(np.asarray(own.means[..., :1]))
    dimension = doors.numbers("d", d, (), (runs,), low=coordinates, high=2**31 - 1, closed=True).astype(np.int64)
    # A lane for each coordinate of a step with twins and momenta, whatever it then keeps, and the last for lengths.
    words = lanes.seed(key, ids, d=rank + 4 * k + 1)
    own_lane, others = (as_words(*(word[part] for word in words)) for part in (-1, slice(0, -1)))
    return Batch(ids, own, others, _space(np.broadcast_to(dimension, (runs,)), rank, own_lane))


def _rank(means: np.ndarray) -> int:
    """How many axes the means of a run span."""
    tolerance = 10 * float(np.finfo(means.dtype).eps) * max(means.shape[:2])
    return max(1, int(ordered.span(means, tolerance=tolerance).any(axis=(1, 2)).sum()))


def repeated(batch: Batch, times: int) -> Batch:
    """The runs of a batch, and again, so many times."""

    def again(x: Array | np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(x)] * times, axis=-1)

    space = batch.space
    if space is not None:
        space = space._replace(d=again(space.d), words=as_words(*map(again, space.words)))
    return Batch(
        again(batch.run_ids), as_mixture(*map(again, batch.mixture)), as_words(*map(again, batch.words)), space
    )


def means_beside(vectors: np.ndarray, batch: Batch) -> np.ndarray:
    """A batch's means, (k, d, runs); of a reduced dimension with 0 in what further coordinates the vectors have."""
    means = np.asarray(batch.mixture.means)
    if batch.space is None or np.ndim(vectors) != 3:
        return means
    more = max(0, np.shape(vectors)[1] - means.shape[1])
    return np.concatenate([means, np.zeros((len(means), more, means.shape[2]), means.dtype)], axis=1)


def normals(key: Key[Array, ""], run_ids: Integer[np.ndarray, "runs"], *, k: int, d: int) -> np.ndarray:
    """k x d standard normals for each run, of the run's own: (k, d, runs), float32.

    From the words of `fold_in(key, run_id)`: the first half gives radii, the second angles (`lanes.normal_pair`).
    """
    half = (k * d + 1) // 2
    bits = threefry.bits(threefry.fold_in(threefry.words(key)[:, None], run_ids), 2 * half)
    pair = lanes.normal_pair(bits[:half], bits[half:])
    return np.concatenate(pair)[: k * d].reshape(k, d, len(run_ids))
