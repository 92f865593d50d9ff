r"""How far estimated centres are from the true means, and means over runs with their standard errors.

Errors are taken under the best matching pi of estimates to components, argmin_pi sum_i |mu_i - mu*_pi(i)|^2, found by
the Hungarian algorithm. Functions are for one run (`vmap` them with `in_axes=-1`) but `centre_errors` and
`pair_errors`, which take many.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from jgmm.loops import add_up


class CentreError(NamedTuple):
    """Distances between estimates and means under the best matching, in the units of the data."""

    error_sq: Float[Array | np.ndarray, "*runs"]  # sum over centres of the squared distance
    error_sum: Float[Array | np.ndarray, "*runs"]  # sum over centres of the distance
    error_max: Float[Array | np.ndarray, "*runs"]  # the largest distance
    lost: Int[Array | np.ndarray, "*runs"]  # components that are nearest to no estimate


class Estimate(NamedTuple):
    """A mean over runs with its Monte-Carlo standard error."""

    mean: np.ndarray
    standard_error: np.ndarray
    runs: int


def squared_distances(
    origin: Float[Array, "k d"], offset: Float[Array, "k d"], means: Float[Array, "k d"]
) -> Float[Array, "k k"]:
    """|origin_i + offset_i - mean_j|^2. Where an origin is a mean, nothing is lost to rounding."""
    return jnp.sum(((origin[:, None] - means[None]) + offset[:, None]) ** 2, axis=-1)


def best_match(distances_sq: Float[Array, "k k"]) -> Int[Array, "k"]:
    """Component of each estimate: the permutation with the least sum."""
    largest = jnp.finfo(distances_sq.dtype).max / len(distances_sq) ** 2
    cost = jnp.nan_to_num(distances_sq, nan=largest, posinf=largest)
    rows, columns = optax.assignment.hungarian_algorithm(cost)
    return jnp.zeros_like(columns).at[rows].set(columns)


def centre_error(origin: Float[Array, "k d"], offset: Float[Array, "k d"], means: Float[Array, "k d"]) -> CentreError:
    """The error of the centres origin + offset."""
    return _of_one_run(centre_errors, origin, offset, means)


def centre_errors(
    origin: Float[Array, "k d runs"], offset: Float[Array, "k d runs"], means: Float[Array, "k d runs"]
) -> CentreError:
    """The errors of many runs; the Hungarian algorithm runs only where two estimates share a nearest mean.

    Sums are loops: XLA's reductions add in an order that depends on how many runs there are.
    """
    k, d = means.shape[:2]
    distances_sq = add_up(
        d,
        lambda j: ((origin[:, None, j] - means[None, :, j]) + offset[:, None, j]) ** 2,
        jnp.zeros((k, k, means.shape[2]), means.dtype),
    )
    component = jnp.arange(k, dtype=jnp.int32)
    # argmin by hand: XLA's (JAX 0.12, CPU) fails on the layout of this one.
    least = distances_sq == jnp.min(distances_sq, axis=1, keepdims=True)
    nearest = jnp.min(jnp.where(least, component[None, :, None], k - 1), axis=1)
    hit = jnp.any(nearest[:, None] == component[None, :, None], axis=0)
    lost = k - jnp.sum(hit, axis=0, dtype=jnp.int32)
    # If every estimate has its own nearest mean, that is the best matching: no term of the sum can be smaller.
    match = lax.cond(
        jnp.any(lost > 0),
        lambda: jax.vmap(best_match, in_axes=-1, out_axes=-1)(distances_sq).astype(jnp.int32),
        lambda: nearest,
    )
    matched = jnp.take_along_axis(distances_sq, match[:, None], axis=1)[:, 0]
    distances = jnp.sqrt(matched)
    total, total_distance = (add_up(k, lambda i, x=x: x[i], jnp.zeros_like(x[0])) for x in (matched, distances))
    return CentreError(total, total_distance, jnp.max(distances, axis=0), lost)


def pair_errors(
    origin: Float[Array, "d runs"], offset: Float[Array, "d runs"], means: Float[Array, "2 d runs"]
) -> CentreError:
    """Errors of the one estimate mu of a symmetric pair, up to sign: min(|mu - mu*|, |mu + mu*|), of many runs."""

    def distance_sq(mean):
        return add_up(len(offset), lambda j: ((origin[j] - mean[j]) + offset[j]) ** 2, jnp.zeros_like(offset[0]))

    error_sq = jnp.minimum(distance_sq(means[0]), distance_sq(means[1]))
    distance = jnp.sqrt(error_sq)
    return CentreError(error_sq, distance, distance, jnp.zeros(distance.shape, jnp.int32))


def pair_error(origin: Float[Array, "d"], offset: Float[Array, "d"], means: Float[Array, "2 d"]) -> CentreError:
    """`pair_errors` of one run."""
    return _of_one_run(pair_errors, origin, offset, means)


def _of_one_run(errors: Callable, *arrays: Array) -> CentreError:
    return jax.tree.map(lambda x: x[0], errors(*(x[..., None] for x in arrays)))


def subspace_distance(basis: Float[Array, "d r"], means: Float[Array, "k d"]) -> Float[Array, ""]:
    """sin of the largest angle between a direction in the span of the means and the span of the orthonormal basis."""
    _, sizes, directions = jnp.linalg.svd(means, full_matrices=False)
    tolerance = 10 * jnp.finfo(means.dtype).eps * max(means.shape) * sizes[0]
    span = jnp.where((sizes > tolerance)[:, None], directions, 0).T
    inside = jnp.matmul(basis, jnp.matmul(basis.T, span, precision="highest"), precision="highest")
    return jnp.linalg.norm(span - inside, ord=2)


def estimate(values: Float[Array | np.ndarray, "*shape runs"]) -> Estimate:
    """Mean over the last axis, and sample standard deviation / sqrt(runs); in float64 on the host."""
    measured = np.asarray(values, np.float64)
    runs = measured.shape[-1]
    spread = measured.std(axis=-1, ddof=1) if runs > 1 else np.full(measured.shape[:-1], np.inf)
    return Estimate(measured.mean(axis=-1), spread / np.sqrt(runs), runs)
