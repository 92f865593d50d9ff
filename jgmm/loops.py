"""Short loops over components and coordinates: loops indeed on a CPU, written out for a GPU.

On a CPU, XLA's reductions along an axis that is not the last are scalar, 4 times slower than a loop, and a loop's carry
is never fused into (and computed again by) each of its readers. On a GPU every trip of a loop launches its kernels
again. The order of the additions is the same, so a run's bits do not depend on what is beside it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

State = TypeVar("State")

_written_out = ContextVar("written_out", default=False)
_whole_d: ContextVar[int | None] = ContextVar("whole_d", default=None)  # set where a thread holds some coordinates


@contextmanager
def written_out() -> Iterator[None]:
    """What is traced here has its short loops written out."""
    before = _written_out.set(True)
    try:
        yield
    finally:
        _written_out.reset(before)


@contextmanager
def over_threads(d: int) -> Iterator[None]:
    """What is traced here holds some of a run's d coordinates: what is to be added up over its threads is marked."""
    before = _whole_d.set(d)
    try:
        yield
    finally:
        _whole_d.reset(before)


def dimensions(x: Array) -> int:
    """The dimensions of a run of which x holds all coordinates, or a thread's."""
    return _whole_d.get() or len(x)


@jax.jit
def sum_over_shares(part: Array) -> Array:
    """A mark in a jaxpr, by its name: `engine.program` puts the sum over the shares of a run's coordinates there."""
    return part


@jax.jit
def sum_over_threads(part: Array) -> Array:
    """A mark in a jaxpr, by its name: `registers` puts the sum over a run's threads in its place."""
    return part


def over_coordinates(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """`add_up` over the coordinates of a run, all of them where a thread holds but some."""
    part = add_up(count, term, zero, unroll=unroll)
    return sum_over_shares(part) if _whole_d.get() is None else sum_over_threads(part)


def any_coordinate(flags: Bool[Array, "k d *runs"]) -> Bool[Array, "k one *runs"]:
    """Whether a flag is set at any coordinate of a run, all of them where a thread holds but some."""
    found = jnp.any(flags, axis=1, keepdims=True)
    add_up = sum_over_shares if _whole_d.get() is None else sum_over_threads
    return add_up(found.astype(jnp.float32)) > 0


def repeat(low: int, high: int, body: Callable[..., State], start: State, *, unroll: int = 1) -> State:
    """state <- body(i, state) for i = low, ..., high - 1."""
    if not _written_out.get():
        return lax.fori_loop(low, high, body, start, unroll=unroll)
    for i in range(low, high):
        start = body(i, start)
    return start


def add_up(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """zero + term(0) + ... + term(count - 1), in this order."""
    return repeat(0, count, lambda j, total: total + term(j), zero, unroll=unroll)


def rows(count: int, row: Callable[..., Shaped[Array, "*shape"]], zero: Shaped[Array, "*shape"]) -> Array:
    """row(0), ..., row(count - 1) stacked; `zero` has their shape and dtype."""
    if _written_out.get():
        return jnp.stack([row(i) for i in range(count)])
    start = jnp.zeros((count, *zero.shape), zero.dtype)
    return lax.fori_loop(0, count, lambda i, found: found.at[i].set(row(i)), start)
