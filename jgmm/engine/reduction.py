r"""The same law at any dimension: a stream in d dimensions, simulated exactly in a few coordinates.

Noise is spherical, so axes may be turned at will, and anew for each sample. There are p axes that span the true means,
and q axes that span, with them, the q vectors of d numbers that an algorithm keeps (estimates, their twins, momenta).
Whatever else a sample has is at right angles to all of these: what matters of it is its length, a chi variable of
d - p - q degrees of freedom, and its direction becomes one more axis. So a sample is p + q normals and a length.

    coordinates    p of the means | q of the vectors | 1 new
    a step         the algorithm's own; afterwards every vector may have a share of the new axis
    brought back   the q vectors have q + 1 coordinates behind p: axes are turned so that vector i has none behind i

The lower triangle that remains is a factor of the vectors' inner products. Turning is a rotation for each row, that of
(a, t) onto (r, 0), r = |(a, t)|, a vector's own coordinate and what it has behind it; of another vector (a', t')

    a' <- a' + (<t, t'> - (r - a) a') / r,    t' <- t' - (t / r) (a' + <t, t'> / (r + a)),    r - a = |t|^2 / (r + a)

which is no more than the small change that a small t makes: at a rate of 1e-9 a sample changes a vector's length by
1e-9 of it, and float32 would lose that. For the same reason a number of the triangle is origin + offset, of which the
step moves the offset, and after each sample the origin takes what it can hold.

The derivation is in docs/theory.md, "The same law at any dimension".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jgmm import doors, loops, ordered, radius, threefry
from jgmm import steps as sizes
from jgmm.contract import Algorithm, Sample, State
from jgmm.engine.runs import Batch, as_mixture, as_words, normals
from jgmm.lanes import LaneState

SPARE = radius.LEAST  # dimensions beyond the means' and the vectors', at least


class Numbers(NamedTuple):
    """What a reduced step is told, arrays over the runs."""

    scales: Any  # of the components, (k, runs)
    inverse: Any  # 1 / scales
    length: radius.Numbers


# --- a step, traced ---


def left_out(scale: Any, length: Any) -> tuple[Any, Any]:
    """The new coordinate while a step goes on, and what it is multiplied by afterwards: the length only then.

    A vector has 0 there, so it adds the same to all squared distances. At d = 1e6 it would hide what differs.
    """
    return scale, length


def taken_in(scale: Any, length: Any) -> tuple[Any, Any]:
    """The new coordinate as it is, for a step in which it matters."""
    return scale * length, jnp.ones_like(length)


@dataclass(frozen=True)
class Step:
    """A step of `together` in the coordinates above. new: `left_out` or `taken_in`."""

    step: Callable[..., Any]
    new: Callable[..., tuple[Any, Any]]

    def __call__(self, state: Any, sample: Sample, params: Any) -> Any:
        numbers = params.reduced
        scale, inverse = (of_label(x, sample.label) for x in (numbers.scales, numbers.inverse))
        words = LaneState(*(word[None] for word in state.words))
        words, length = radius.draw(words, sample.x[-1] * inverse, numbers.length)
        coordinate, times = self.new(scale, length)
        after = self.step(state, Sample(jnp.concatenate([sample.x[:-1], coordinate[None]]), sample.label), params)
        return brought_back(after._replace(words=tuple(word[0] for word in words)), times)


def of_label(values: Float[Array, "k *runs"], label: Int[Array, "*runs"]) -> Float[Array, "*runs"]:
    """The number of each run's label."""
    chosen = values[0]
    for i in range(1, len(values)):
        chosen = jnp.where(label == i, values[i], chosen)
    return chosen


def brought_back(state: Any, times: Float[Array, "*runs"]) -> Any:
    """The state behind a step, its vectors in p + q coordinates again. times: see `left_out`."""
    parts = _parts(state)
    e, d = parts[0].offset.shape[:2]
    vectors = [part.offset for part in parts] + [x for part in parts for x in momenta(part)]
    low, rank = jnp.concatenate(vectors), d - 1 - e * len(vectors)
    if rank < 0:
        raise ValueError(f"there are {d} coordinates, expected more than {e * len(vectors)}, the vectors")
    high = jnp.concatenate([part.origin[:, rank:] for part in parts])
    high = jnp.concatenate([high, jnp.zeros((len(low) - len(high), *high.shape[1:]), high.dtype)])
    behind = jnp.concatenate([low[:, rank:-1], low[:, -1:] * times[None, None]], axis=1)
    behind = triangular(high, behind)
    sums = high + behind
    left = (high - sums) + behind  # what the sum has lost
    rows = [slice(e * n, e * n + e) for n in range(len(vectors))]
    moved = []
    for part, own in zip(parts, rows, strict=False):
        origin = jnp.concatenate([part.origin[:, :rank], sums[own]], axis=1)
        offset = jnp.concatenate([part.offset[:, :rank], left[own]], axis=1)
        moved.append(part._replace(origin=origin, offset=offset))
    others = iter([jnp.concatenate([low[own, :rank], behind[own]], axis=1) for own in rows[len(parts) :]])
    moved = [_with_momenta(part, others) for part in moved]
    return state._replace(centres=moved[0], twin=moved[1] if len(moved) > 1 else None)


def _parts(state: Any) -> list[State]:
    return [part for part in (state.centres, state.twin) if part is not None]


def momenta(part: State) -> list[Any]:
    """What a step size remembers of vectors."""
    return [x for x in jax.tree.leaves(part.memory) if np.shape(x) == np.shape(part.offset)]


def _with_momenta(part: State, values: Iterator[Any]) -> State:
    def put(x):
        return next(values) if x.shape == part.offset.shape else x

    return part._replace(memory=jax.tree.map(put, part.memory))


def triangular(high: Float[Array, "n m *runs"], low: Float[Array, "n m *runs"]) -> Float[Array, "n m *runs"]:
    """The low parts of the vectors high + low after axes are turned: row i has nothing behind i, in either.

    high must have nothing there before.
    """
    if len(low) == 0:
        return low
    whole = high + low
    own, behind = whole[0, 0], whole[0, 1:]
    square = _sum(behind * behind)
    size = jnp.sqrt(own * own + square)
    turns = size > 0  # else the vector lies in the span of those before it
    size = jnp.where(own < 0, -size, size)  # near `own`, so that axes turn as little as they can
    over_size = jnp.where(turns, 1 / jnp.where(turns, size, 1), 0)
    over_total = jnp.where(turns, 1 / jnp.where(turns, size + own, 1), 0)
    change = square * over_total
    first = jnp.concatenate([(low[0, 0] + change)[None], jnp.zeros_like(behind)])
    others, along = whole[1:, 0], _sum(jnp.moveaxis(behind[None] * whole[1:, 1:], 1, 0))
    column = low[1:, 0] + (along - change[None] * others) * over_size[None]
    turned = others + along * over_total[None]
    rest = low[1:, 1:] - (behind * over_size[None])[None] * turned[:, None]
    rest = triangular(high[1:, 1:], rest)
    return jnp.concatenate([first[None], jnp.concatenate([column[:, None], rest], axis=1)])


def _sum(terms: Float[Array, "n *shape"]) -> Float[Array, "*shape"]:
    return loops.add_up(len(terms), lambda i: terms[i], jnp.zeros_like(terms[0]))


def laid(state: Any, rank: int) -> Any:
    """A state, of NumPy arrays, as a reduced stream begins: behind the means' axes all of a vector is its origin.

    A triangle again: the centres may stand in another order than when they became one.
    """

    def triangle(origin: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        placed = np.zeros_like(origin)
        placed[:, : len(origin)] = _factor((origin + offset).astype(np.float64))
        return placed, np.zeros_like(offset)

    return _moved(state, rank, triangle)


def shown(state: Any, rank: int) -> Any:
    """A reduced state with its origins at the means again, as NumPy arrays: what errors are computed of."""
    return _moved(state, rank, lambda origin, offset: (np.zeros_like(origin), origin + offset))


def _moved(state: Any, rank: int, change: Callable) -> Any:
    def each(part: State) -> State:
        origin, offset = np.array(part.origin), np.array(part.offset)
        origin[:, rank:], offset[:, rank:] = change(origin[:, rank:], offset[:, rank:])
        return part._replace(origin=origin, offset=offset)

    return state._replace(centres=each(state.centres), twin=None if state.twin is None else each(state.twin))


# --- runs, as NumPy arrays ---


def prepared(
    batch: Batch, algorithm: Algorithm, start: Float[np.ndarray, "e s runs"], size: sizes.StepSize, *, twin: bool
) -> tuple[Batch, np.ndarray]:
    """A batch and its start as they are, or of `runs.batch(..., d=...)` in the coordinates that its step goes on in.

    Raises ValueError for a start of another shape, for an algorithm or a step size for which turning the axes turns not
    only the result (`refusal`), and if d leaves fewer than SPARE dimensions beyond the means' and the vectors'.
    """
    if batch.space is None:
        return batch, start
    rank, means = batch.space.rank, np.asarray(batch.mixture.means)
    why = refusal(algorithm, size)
    if why:
        raise ValueError(f"the dimension is reduced, but {why}")
    doors.floats("start", start, ("e", "s", means.shape[-1]))
    vectors = num_vectors(size, len(start), twin=twin)
    if rank + vectors + 1 > len(batch.words.s0) - 1:
        raise ValueError(
            f"a step keeps {vectors} vectors, expected at most {4 * len(means)} where the dimension is reduced"
        )
    least = rank + vectors + SPARE
    if batch.space.d.min() < least:
        raise ValueError(f"d is {batch.space.d.min()}, expected at least {least} for a reduced dimension")
    begin = np.zeros((len(start), max(start.shape[1], means.shape[1]), start.shape[2]))
    begin[:, : start.shape[1]] = start
    truth = np.zeros((len(means), *begin.shape[1:]))
    truth[:, : means.shape[1]] = means
    along = axes(truth.astype(means.dtype), rank)
    d = rank + vectors + 1
    turned, at = (np.zeros((len(x), d, x.shape[-1])) for x in (truth, begin))
    for x, to in ((truth, turned), (begin, at)):
        for row, into in zip(x, to, strict=True):
            into[: len(along)] = [ordered.dot(axis, row) for axis in along]
    left = begin
    for _ in range(2):
        for axis in along:
            left = np.stack([row - axis * ordered.dot(axis, row)[None] for row in left])
    at[:, rank : rank + len(left)] = _factor(left)
    mixture = as_mixture(turned.astype(means.dtype), *batch.mixture[1:])
    return batch._replace(mixture=mixture, words=lanes_for(batch.words, d)), at.astype(means.dtype)


def num_vectors(size: sizes.StepSize, estimates: int, *, twin: bool) -> int:
    """Vectors of d numbers that a step keeps: estimates, and what its step size remembers of each."""
    small = np.zeros((estimates, 2, 1), np.float32)
    memory = size.rule.init({name: np.ones(1, np.float32) for name in size.numbers}, small)
    each = 1 + sum(np.shape(x) == small.shape for x in jax.tree.leaves(memory))
    return estimates * each * (2 if twin else 1)


def refusal(algorithm: Algorithm, size: sizes.StepSize) -> str | None:
    """Why a step cannot go on in turned axes, if it cannot."""
    if algorithm.turning is None:
        return "the algorithm does not say that it treats all directions alike (`turning`): expected its own dimension"
    if isinstance(size.rule.apply, sizes.Transformed):
        return sizes.turns(size.rule)
    return None


def _factor(rows: Float[np.ndarray, "n d runs"]) -> Float[np.ndarray, "n n runs"]:
    """The lower triangle whose rows have the inner products of these."""
    axes: list[np.ndarray] = []
    lower = np.zeros((len(rows), len(rows), rows.shape[-1]))
    for i, row in enumerate(rows):
        for _ in range(2):
            for j, axis in enumerate(axes):
                share = ordered.dot(axis, row)
                lower[i, j] += share
                row = row - axis * share[None]
        size = np.sqrt(ordered.dot(row, row))
        lower[i, i] = size
        axes.append(np.where(size > 0, row / np.where(size > 0, size, 1), 0))
    return lower


def axes(means: Float[np.ndarray, "k d runs"], rank: int) -> Float[np.ndarray, "p d runs"]:
    """An orthonormal basis of what the means span, at most `rank` directions, in float64; zeros where it is less."""
    tolerance = 10 * float(np.finfo(means.dtype).eps) * max(means.shape[:2])
    return ordered.span(means, tolerance=tolerance)[:rank]


def lanes_for(words: LaneState, d: int) -> LaneState:
    """Of a batch's lanes those of a sample in d coordinates."""
    own = _places(words, d)
    return as_words(*(word[own] for word in words))


def lanes_after(words: LaneState, d: int, own: LaneState) -> LaneState:
    """A batch's lanes, those of a sample in d coordinates standing where `own` says."""
    places, after = _places(words, d), [np.array(word) for word in words]
    for word, moved in zip(after, own, strict=True):
        word[places] = moved
    return as_words(*after)


def _places(words: LaneState, d: int) -> list[int]:
    """Where in a batch's lanes those of a sample in d coordinates are."""
    half, whole = (d + 1) // 2, len(words.s0) // 2
    return [0, *range(1, 1 + half), *range(1 + whole, 1 + whole + half)]


def numbers(batch: Batch) -> Numbers:
    """What a step of a prepared batch is told."""
    assert batch.space is not None
    scales = np.asarray(batch.mixture.scales)
    of = radius.numbers(batch.space.d + 1 - batch.mixture.means.shape[1])
    inverse = (1 / scales.astype(np.float64)).astype(scales.dtype)
    return Numbers(scales, inverse, radius.Numbers(*(x.astype(scales.dtype) for x in of)))


def directions(key: Key[Array, ""], batch: Batch, k: int) -> Float[np.ndarray, "k s runs"]:
    """k standard normal vectors of d dimensions for each run, as s coordinates, in float64.

    The coordinates are those of the mixture's means, and of axes that the k vectors themselves span: normals, and on
    the diagonal lengths (Bartlett 1933).
    """
    assert batch.space is not None
    r = batch.mixture.means.shape[1]
    beyond = batch.space.d - r
    drawn = normals(key, batch.run_ids, k=k, d=r + k).astype(np.float64)
    if (beyond == 0).all():
        return drawn[:, :r]
    keys = threefry.fold_in(threefry.fold_in(threefry.words(key)[:, None], batch.run_ids), np.ones(1, np.uint32))
    lengths = radius.drawn(keys, beyond[None] - np.arange(k)[:, None])
    for i in range(k):
        drawn[i, r + i] = lengths[i]
        drawn[i, r + i + 1 :] = 0
    return drawn
