r"""Streaming Lloyd (Algorithm 1 of the paper): each sample pulls its nearest centre towards itself.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta (x - mu_j)

This is a gradient step on half the squared distance to the nearest centre, so any step size of `steps` can make it.
Told the labels, j is the component that x came from: Lloyd's twin, and the oracle, an algorithm of its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jgmm import loops
from jgmm.contract import Algorithm, Sample

WRITTEN_OUT = 100  # distances of at most so many terms, k d, are one expression; measured with 128 runs on CPU


class State(NamedTuple):
    """The centres are origin + offset; memory is the step size's."""

    origin: Float[Array | np.ndarray, "e d *runs"]
    offset: Float[Array | np.ndarray, "e d *runs"]
    memory: Any = ()


def init(
    start: Float[Array | np.ndarray, "e d *runs"], origin: Float[Array | np.ndarray, "e d *runs"], memory: Any = ()
) -> State:
    """Centres at `start`, held relative to `origin` (the start itself will do where nothing better is known)."""
    return State(origin, start - origin, memory)


def step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample."""
    del params
    return pulled(state, sample.x[None], nearest(state.origin, state.offset, sample.x), move)


def labelled_step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample whose label is known: it goes to the centre of its component."""
    del params
    return pulled(state, sample.x[None], flags(len(state.offset), sample.label), move)


def pulled(state: State, target: Float[Array, "one_or_e d *runs"], gate: Any, move: Callable) -> State:
    """Each estimate is pulled towards its target as its gate says."""
    pull = (target - state.origin) - state.offset  # as `squared_distances` has it, so that registers hold it once
    offset, memory = move(state.memory, state.offset, pull, gate)
    return State(state.origin, offset, memory)


def squared_distances(
    origin: Float[Array | np.ndarray, "k d *runs"],
    offset: Float[Array | np.ndarray, "k d *runs"],
    x: Float[Array, "d *runs"],
) -> Float[Array, "k *runs"]:
    """|x - origin_i - offset_i|^2, by difference, never by expansion."""
    # Written out, a small sum stays in registers: 10 to 40 % of a step at k d <= 100, since `flags` keeps its readers
    # apart.
    k, d = offset.shape[:2]
    unroll = d if k * d <= WRITTEN_OUT else 1
    term = lambda j: ((x[None, j] - origin[:, j]) - offset[:, j]) ** 2  # noqa: E731
    return loops.over_coordinates(d, term, jnp.zeros_like(offset[:, 0]), unroll=unroll)


def nearest(
    origin: Float[Array | np.ndarray, "k d *runs"],
    offset: Float[Array | np.ndarray, "k d *runs"],
    x: Float[Array, "d *runs"],
) -> Bool[Array, "k *runs"]:
    """A flag for the centre that is closest to x; the lowest index wins a tie."""

    def closer(i, best):
        distance, winner = best
        wins = distances[i] < distance
        return jnp.where(wins, distances[i], distance), jnp.where(wins, i, winner)

    # The argmin as a loop: XLA's on a CPU, along an axis that is not the last, is 4 times slower.
    distances = squared_distances(origin, offset, x)
    first = distances[0], jnp.zeros(distances[0].shape, jnp.int32)
    _, winner = loops.repeat(1, len(distances), closer, first)
    return flags(len(distances), winner)


def flags(count: int, index: Int[Array, "*runs"]) -> Bool[Array, "count *runs"]:
    """Set in the row that `index` says.

    A loop: fused into the update, the comparison would be made again for every coordinate, and at k = 2 the
    distances with it (half of the update's time at d = k = 2).
    """
    return loops.rows(count, lambda i: index == i, jnp.zeros(index.shape, bool))


def no_params(mixture: Any, component: Any, numbers: dict) -> dict:
    """Nothing is to be known but the step size."""
    del mixture, component, numbers
    return {}


def all_of_them(k: int) -> int:
    """An estimate for each component."""
    return k


def any_mixture(mixture: Any) -> None:
    """Nothing is asked of it."""


_WORDS = "streaming Lloyd: each sample moves the nearest centre"
LLOYD = Algorithm(init, step, labelled_step, no_params, all_of_them, any_mixture, (), _WORDS)
_WORDS = "the oracle: each sample moves the centre of the component that it came from"
ORACLE = Algorithm(init, labelled_step, None, no_params, all_of_them, any_mixture, (), _WORDS)
