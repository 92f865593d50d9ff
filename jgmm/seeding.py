r"""From graph points to starting centres (Algorithm 2 of the paper, its second half), for one run.

    nu = U^T x for each graph point,   a graph that joins each nu to its nearest neighbours (in either direction),
    its connected components,   the k largest:   mu_i = U mean(nu in component i)

Shapes are fixed and nothing depends on the data but a loop's length, so `vmap` runs it for many.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int


class Seeding(NamedTuple):
    """Starting centres, and how they came about."""

    means: Float[Array, "k d *runs"]
    num_components: Int[Array, "*runs"]  # of the graph; a run has succeeded where it is k
    basis: Float[Array, "d r *runs"]


def project(basis: Float[Array, "d r"], points: Float[Array, "n d"]) -> Float[Array, "n r"]:
    """U^T x of each point."""
    return jnp.sum(points[:, :, None] * basis[None], axis=1)


def neighbor_graph(points: Float[Array, "n r"], *, neighbors: int) -> Bool[Array, "n n"]:
    """Which points are joined: one is among the nearest `neighbors` of the other."""
    n = len(points)
    distances = jnp.sum((points[:, None] - points[None]) ** 2, axis=-1)
    distances = jnp.where(jnp.eye(n, dtype=bool), jnp.inf, distances)
    _, nearest = lax.top_k(-distances, neighbors)
    directed = jnp.any(nearest[:, :, None] == jnp.arange(n)[None, None], axis=1)
    return directed | directed.T


def components(graph: Bool[Array, "n n"]) -> Int[Array, "n"]:
    """The lowest index in each point's connected component: labels spread to neighbours, then jump to their label's."""
    n = len(graph)
    reach = graph | jnp.eye(n, dtype=bool)

    def spread(carry):
        labels, _ = carry
        lowest = jnp.min(jnp.where(reach, labels[None], n), axis=1)
        jumped = lowest[lowest]
        return jumped, jnp.any(jumped != labels)

    labels = jnp.arange(n, dtype=jnp.int32)
    return lax.while_loop(lambda carry: carry[1], spread, (labels, jnp.asarray(True)))[0]


def component_of_rank(labels: Int[Array, "n"], *, k: int) -> tuple[Int[Array, "n"], Int[Array, ""]]:
    """Rank of each point's component by size (0 the largest, k and beyond lumped as k), and how many there are.

    Of two components of one size the one that holds the lower index comes first.
    """
    n = len(labels)
    sizes = jnp.sum(labels[None] == jnp.arange(n)[:, None], axis=1, dtype=jnp.int32)
    _, roots = lax.top_k(sizes, k)
    mine = labels[:, None] == roots[None]
    rank = jnp.where(jnp.any(mine, axis=1), jnp.argmax(mine, axis=1).astype(jnp.int32), k)
    return rank, jnp.sum(sizes > 0, dtype=jnp.int32)


def centres(
    basis: Float[Array, "d r"], points: Float[Array, "n d"], *, k: int, neighbors: int
) -> tuple[Seeding, Int[Array, "n"]]:
    """Starting centres from the graph points, and each point's component (as in `component_of_rank`).

    A graph with fewer than k components leaves some centres without one: these start at the mean of all points.
    """
    projected = project(basis, points)
    rank, count = component_of_rank(components(neighbor_graph(projected, neighbors=neighbors)), k=k)
    members = (rank[None] == jnp.arange(k)[:, None]).astype(projected.dtype)
    size = jnp.sum(members, axis=1)
    sums = jnp.sum(members[:, :, None] * projected[None], axis=1)
    means = jnp.where(size[:, None] > 0, sums / jnp.maximum(size, 1)[:, None], jnp.mean(projected, axis=0)[None])
    return Seeding(jnp.sum(basis[None] * means[:, None], axis=-1), count, basis), rank


def random_basis(key: jax.Array, *, d: int, r: int) -> Float[Array, "d r"]:
    """A uniformly random r-dimensional frame (normal columns, to be orthonormalised)."""
    return jax.random.normal(key, (d, r))
