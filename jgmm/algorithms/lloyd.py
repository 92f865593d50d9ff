r"""Streaming Lloyd (Algorithm 1 of the paper): each sample pulls its nearest centre towards itself.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta (x - mu_j)

This is a gradient step on half the squared distance to the nearest centre, so any step size of `steps` can make it.
Told the labels, j is the component that x came from: Lloyd's twin, and the oracle, an algorithm of its own.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jgmm import loops, steps
from jgmm.contract import Algorithm, Sample, State, Turning
from jgmm.theory import expected, floors, twins

WRITTEN_OUT = 100  # distances of at most so many terms, k d, are one expression; measured with 128 runs on CPU


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

    def gap_sq(j):
        return ((x[None, j] - origin[:, j]) - offset[:, j]) ** 2

    unroll = d if k * d <= WRITTEN_OUT else 1
    return loops.over_coordinates(d, gap_sq, jnp.zeros_like(offset[:, 0]), unroll=unroll)


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


def own_means() -> steps.StepSize:
    """1 / n_i: each estimate is the mean of its samples, and forgets its start at the first of them."""
    return steps.inverse_count(0)


def labels_known(numbers: dict) -> None:
    """None: no sample is ever given to another component's estimate."""
    del numbers


LLOYD = Algorithm(
    step,
    words="streaming Lloyd, each sample moves the nearest centre",
    twin=labelled_step,
    twin_law=twins.each_its_own,
    law=expected.stream,
    turning=Turning(),
    floor=floors.floor,
)
ORACLE = Algorithm(
    labelled_step,
    words="labelled oracle, the mean of each component's own samples",
    own_step=own_means,
    law=expected.stream,
    turning=Turning(),
    sharpness=labels_known,
)
