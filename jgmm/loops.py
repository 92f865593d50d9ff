"""Short loops over components and coordinates.

On a CPU, XLA's reductions along an axis that is not the last are scalar, 4 times slower than a loop, and a loop's carry
is never fused into (and computed again by) each of its readers. The order of the additions is written, so a run's bits
do not depend on what is beside it. A back end that has no use for a loop writes it out: its length is known.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Shaped

State = TypeVar("State")


@jax.jit
def sum_over_shares(part: Array) -> Array:
    """A mark in a jaxpr, by its name: `engine.follow` puts the sum over the shares of a run's coordinates there."""
    return part


def over_coordinates(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """`add_up` over the coordinates of a run, all of them where a thread holds but some."""
    return sum_over_shares(add_up(count, term, zero, unroll=unroll))


def repeat(low: int, high: int, body: Callable[..., State], start: State, *, unroll: int = 1) -> State:
    """state <- body(i, state) for i = low, ..., high - 1."""
    return lax.fori_loop(low, high, body, start, unroll=unroll)


def add_up(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """zero + term(0) + ... + term(count - 1), in this order."""
    return repeat(0, count, lambda j, total: total + term(j), zero, unroll=unroll)


def rows(count: int, row: Callable[..., Shaped[Array, "*shape"]], zero: Shaped[Array, "*shape"]) -> Array:
    """row(0), ..., row(count - 1) stacked; `zero` has their shape and dtype."""
    start = jnp.zeros((count, *zero.shape), zero.dtype)
    return lax.fori_loop(0, count, lambda i, found: found.at[i].set(row(i)), start)
