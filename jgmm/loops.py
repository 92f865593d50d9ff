"""Short loops over components and coordinates, in the place of JAX's reductions.

A loop says in which order it adds, so a run's bits do not depend on the runs beside it. `over_coordinates` also tells a
back end which sums go over the coordinates of a run, so that it can deal these out. Under XLA on a CPU, reductions
along an axis that is not the last are scalar, and 4 times slower than a loop. Other back ends write loops out.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

State = TypeVar("State")


@jax.jit
def sum_over_shares(part: Array) -> Array:
    """A mark in a jaxpr, by its name: `engine.follow` puts the sum over the shares of a run's coordinates there."""
    return part


def over_coordinates(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """`add_up` over the coordinates of a run: over all of them, also where a back end deals them out to shares."""
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
    return lax.fori_loop(0, count, lambda i, stack: stack.at[i].set(row(i)), start)


def until_done(
    body: Callable[[State, Any], tuple[Bool[Array, "*runs"], State]],
    done: Bool[Array, "*runs"],
    carry: State,
    given: Any = (),
) -> State:
    """done, carry <- body(carry, given) for the runs that are not done, until all are. Arrays have the runs last.

    A run that is done waits for the others, and keeps what it carries: how often it goes round depends on it alone.
    body: a function of a module, of arrays of any runs; what else it needs is in `given`.
    """
    return each_run_until_done(done, carry, given, body=body)


@partial(jax.jit, static_argnames="body")
def each_run_until_done(done, carry, given, *, body):
    """`until_done`; a mark in a jaxpr, by its name, that the loop's one look at all runs is whether they are done."""

    def waiting(state):
        return jnp.logical_not(jnp.all(state[0]))

    def again(state):
        done, carry = state
        now_done, after = body(carry, given)
        kept = jax.tree.map(lambda old, new: jnp.where(done, old, new), carry, after)
        return done | now_done, kept

    return lax.while_loop(waiting, again, (done, carry))[1]
