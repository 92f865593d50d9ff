r"""Block power iteration in any dimension, simulated exactly in a few coordinates (`reduction` says of which kind).

There are p axes that span the true means, and r that span, with them, the r directions of the basis U.

    coordinates    p of the means | r of the basis
    a sample       p + r normals: x^T U needs no others
    a block        S U = sum x (x^T U): in these coordinates as it stands. Beyond them it is sum sigma z w^T, w = U^T x,
                   z a standard normal vector of m = d - p - r dimensions that nobody else has looked at. Given the w,
                   that is Gaussian, and what matters of it, its r x r inner products, are Wishart's of m degrees of
                   freedom about M = sum sigma^2 w w^T (sigma of the sample's component)
    its end        L A, M = L L^T, is a factor of these: A is lower triangular, standard normals below its diagonal,
                   chi variables of m, m - 1, ... m - r + 1 degrees of freedom on it (Bartlett 1933). So S U has r more
                   coordinates, axes are turned back to p + r (`reduction.triangular`), and the basis is orthonormalised

A sample costs nothing that depends on d, and the rest is drawn once a block. The basis begins in the order in which its
directions hold the means: M is then what a Cholesky factor in float32 is good for, a matrix whose rows differ in size
rather than in direction.

The derivation is in docs/theory.md, "The same law at any dimension".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jgmm import lanes, loops, ordered, radius
from jgmm.algorithms import pca
from jgmm.contract import Kernel, Noise, Sample
from jgmm.engine import reduction
from jgmm.engine.runs import Batch, as_mixture, as_words
from jgmm.lanes import LaneState
from jgmm.sampling import Sampling

SPARE = radius.LEAST - 1  # dimensions beyond the means' and twice the basis', at least


class State(NamedTuple):
    """An orthonormal basis in p + r coordinates, and what the block has accumulated. c = p + r, t = r (r + 1) / 2."""

    words: Any  # of the lane that factors are drawn from, four of shape (runs,); first, so that their loop is, too
    basis: Float[Array, "r c *runs"]
    product: Float[Array, "r c *runs"]
    beyond: Float[Array, "t *runs"]  # of M the lower triangle, row by row


class Numbers(NamedTuple):
    """What the kernel is told, arrays over the runs."""

    scales: Any  # of the components, (k, runs)
    lengths: radius.Numbers  # of each diagonal entry, (r, runs)


def step(state: State, sample: Sample, params: Numbers) -> State:
    """Take in one sample."""
    along = pca.coefficients(state.basis, sample.x)
    own = reduction.of_label(params.scales, sample.label)[None] * along
    squares = jnp.stack([own[i] * own[j] for i in range(len(own)) for j in range(i + 1)])
    product = state.product + along[:, None] * sample.x[None]
    return state._replace(product=product, beyond=state.beyond + squares)


def end(state: State, params: Numbers) -> State:
    """U <- QR(S U) with what S U is beyond its coordinates, and empty sums."""
    r, c = state.product.shape[:2]
    rank = c - r
    if rank < 0:
        raise ValueError(f"there are {c} coordinates, expected at least {r}, the directions")
    words, factor = _bartlett(state.words, params.lengths)
    own = _product(_cholesky(state.beyond, r), factor)
    outside = jnp.concatenate([state.product[:, rank:], own], axis=1)
    outside = reduction.triangular(jnp.zeros_like(outside), outside)[:, :r]
    basis = pca.orthonormalize(jnp.concatenate([state.product[:, :rank], outside], axis=1), loops.add_up)
    return State(words, basis, jnp.zeros_like(state.product), jnp.zeros_like(state.beyond))


KERNEL = Kernel(step, end)
_state: Callable[..., State] = State  # of NumPy arrays


def _cholesky(packed: Float[Array, "t *runs"], r: int) -> Float[Array, "r r *runs"]:
    """The lower triangle L of M = L L^T; where M, but for rounding, has no more rank, a column of zeros."""
    zero = jnp.zeros_like(packed[0])
    lower = [[zero] * r for _ in range(r)]
    for j in range(r):
        for i in range(j, r):
            left = packed[i * (i + 1) // 2 + j]
            for c in range(j):
                left = left - lower[i][c] * lower[j][c]
            if i == j:
                there = left > 0
                size = jnp.sqrt(jnp.where(there, left, 0))
                inverse = jnp.where(there, 1 / jnp.where(there, size, 1), 0)
                lower[i][j] = size
            else:
                lower[i][j] = left * inverse
    return jnp.stack([jnp.stack(row) for row in lower])


def _bartlett(words: Any, of: radius.Numbers) -> tuple[Any, Float[Array, "r r *runs"]]:
    """The lower triangle A, from a run's one lane: lengths first, and then normals row by row."""
    lane, lengths = radius.draw_each(LaneState(*(word[None] for word in words)), of)
    r = len(lengths)
    normals: list[Any] = []
    while len(normals) < r * (r - 1) // 2:
        lane, first = lanes.next_bits(lane)
        lane, second = lanes.next_bits(lane)
        normals += [z[0].astype(lengths.dtype) for z in lanes.normal_pair(first, second)]
    left, zero = iter(normals), jnp.zeros_like(lengths[0])
    rows = [[*(next(left) for _ in range(i)), lengths[i], *[zero] * (r - 1 - i)] for i in range(r)]
    return tuple(word[0] for word in lane), jnp.stack([jnp.stack(row) for row in rows])


def _product(a: Float[Array, "r r *runs"], b: Float[Array, "r r *runs"]) -> Float[Array, "r r *runs"]:
    """The product of two lower triangles."""
    zero = jnp.zeros_like(a[0, 0])

    def entry(i: int, j: int) -> Any:
        total = zero
        for c in range(j, i + 1):
            total = total + a[i, c] * b[c, j]
        return total

    return jnp.stack([jnp.stack([entry(i, j) for j in range(len(a))]) for i in range(len(a))])


# --- runs, as NumPy arrays ---


def prepared(batch: Batch) -> Batch:
    """Runs of `runs.batch(..., d=...)` in the coordinates that Algorithm 2 goes on in: k more than the means' axes.

    Raises ValueError if d leaves fewer than SPARE dimensions beyond the means' and twice the basis'.
    """
    assert batch.space is not None
    k, rank = len(batch.mixture.means), batch.space.rank
    if batch.space.d.min() < (least := rank + 2 * k + SPARE):
        raise ValueError(
            f"d is {batch.space.d.min()}, expected at least {least} for Algorithm 2 in a reduced dimension"
        )
    means = np.asarray(batch.mixture.means)
    axes = reduction.axes(means, rank)
    turned = np.zeros((k, rank + k, means.shape[-1]))
    for mean, into in zip(means.astype(np.float64), turned, strict=True):
        into[: len(axes)] = [ordered.dot(axis, mean) for axis in axes]
    mixture = as_mixture(turned.astype(means.dtype), *batch.mixture[1:])
    return batch._replace(mixture=mixture, words=reduction.lanes_for(batch.words, rank + k))


def opened(key: Key[Array, ""], batch: Batch) -> tuple[Kernel, State, Numbers]:
    """The kernel, its state and what it is told, for runs that are `prepared`: a uniformly random basis."""
    assert batch.space is not None
    means, _, scales = map(np.asarray, batch.mixture)
    k, c, _ = means.shape
    whole = batch._replace(mixture=batch.mixture._replace(means=means[:, : c - k]))
    basis = _graded(ordered.span(reduction.directions(key, whole, k), tolerance=0.0), batch).astype(means.dtype)
    degrees = batch.space.d[None] - c - np.arange(k)[:, None]
    lengths = radius.Numbers(*(x.astype(means.dtype) for x in radius.numbers(degrees)))
    beyond = np.zeros((k * (k + 1) // 2, means.shape[-1]), means.dtype)
    words = tuple(np.asarray(word) for word in batch.space.words)
    return KERNEL, _state(words, basis, np.zeros_like(basis), beyond), Numbers(scales, lengths)


def _graded(basis: Float[np.ndarray, "r c runs"], batch: Batch) -> Float[np.ndarray, "r c runs"]:
    """The same span's basis: first the direction that holds most of the means' moment, last the one with least."""
    means, weights = (np.asarray(x, np.float64) for x in batch.mixture[:2])
    inside = np.array([[ordered.dot(row, mean) for mean in means] for row in basis])  # (r, k, runs)
    inside = inside * np.sqrt(weights)[None]
    values, vectors = ordered.eigenvectors(np.array([[ordered.dot(a, b) for b in inside] for a in inside]))
    order = np.argsort(-values, axis=0, kind="stable")
    vectors = np.take_along_axis(vectors, order[:, None], axis=0)
    return np.stack([ordered.dot(basis, row[:, None]) for row in vectors])


def stood(batch: Batch, after: Batch, own: Any) -> Batch:
    """The batch behind Algorithm 2, its means in the axes that they span.

    after: as `prepared`, its lanes as they then stand; own: of the lane that lengths are drawn from.
    """
    assert batch.space is not None
    means, rank = np.asarray(after.mixture.means), batch.space.rank
    mixture = as_mixture(means[:, :rank], *batch.mixture[1:])
    words = reduction.lanes_after(batch.words, means.shape[1], after.words)
    space = batch.space._replace(words=as_words(*(np.asarray(word) for word in own)))
    return batch._replace(mixture=mixture, words=words, space=space)


def check(method: str, noise: Noise, sampling: Sampling) -> None:
    """Raises ValueError for what Algorithm 2 is not reduced for."""
    if method != "block":
        raise ValueError(f"method is {method!r}, expected 'block' where the dimension is reduced")
    if not noise.gaussian:
        raise ValueError(f"noise is {noise.words}, expected Gaussian noise where the dimension is reduced")
    if not sampling.plain:
        raise ValueError("sampling is not plain, expected independent spherical samples where the dimension is reduced")
