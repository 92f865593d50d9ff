r"""Streaming Lloyd (Algorithm 1 of the paper): each sample pulls its nearest centre towards itself.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta (x - mu_j)

This is a gradient step on half the squared distance to the nearest centre, so any `optax.GradientTransformation` can
make it, or a constant rate, which is `optax.sgd(rate)` with a tenth less to do. A centre is held as origin + offset:
with the origin near the place where the centre will settle, float32 moves of 1e-7 are not lost beside coordinates of
1e4. Every array may carry trailing run axes; a run never sees another.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from jgmm import loops

WRITTEN_OUT = 100  # distances of at most so many terms, k d, are one expression; measured with 128 runs on CPU


Optimizer = optax.GradientTransformation | Float[Array, "*runs"]  # or a constant rate for each run


class LloydState(NamedTuple):
    """All that the next step needs. The centres are origin + offset."""

    origin: Float[Array, "k d *runs"]
    offset: Float[Array, "k d *runs"]
    optimizer: PyTree


def init(start: Float[Array, "k d *runs"], origin: Float[Array, "k d *runs"], optimizer: Optimizer) -> LloydState:
    """Centres at `start`, held relative to `origin` (the start itself will do where nothing better is known)."""
    offset = start - origin
    return LloydState(origin=origin, offset=offset, optimizer=optimizer_state(optimizer, offset))


def optimizer_state(optimizer: Optimizer, offset: Float[Array, "k d *runs"]) -> PyTree:
    """What the optimizer starts from; a constant rate needs nothing."""
    return optimizer.init(offset) if isinstance(optimizer, optax.GradientTransformation) else ()


def nearest(
    origin: Float[Array, "k d *runs"],
    offset: Float[Array, "k d *runs"],
    x: Float[Array, "d *runs"],
    height: Float[Array, "*runs"],
) -> Float[Array, "k *runs"]:
    """`height` for the centre that is closest to x, 0 for the others; the lowest index wins a tie."""

    def closer(i, best):
        distance, winner = best
        wins = distances[i] < distance
        return jnp.where(wins, distances[i], distance), jnp.where(wins, i, winner)

    # Distances by difference, never by expansion; sum and argmin as loops (DESIGN: 4 times faster on CPU). Written out,
    # a small sum stays in registers: 10 to 40 % of a step at k d <= 100, since `_gates` keeps its readers apart.
    k, d = offset.shape[:2]
    zero = jnp.zeros_like(offset[:, 0])
    unroll = d if k * d <= WRITTEN_OUT else 1
    term = lambda j: ((x[None, j] - origin[:, j]) - offset[:, j]) ** 2  # noqa: E731
    distances = loops.over_coordinates(d, term, zero, unroll=unroll)
    first = distances[0], jnp.zeros(distances[0].shape, jnp.int32)
    _, winner = loops.repeat(1, k, closer, first)
    return _gates(k, lambda i: winner == i, height)


def _gates(k: int, hit: Callable[..., Bool[Array, "*runs"]], height: Float[Array, "*runs"]) -> Float[Array, "k *runs"]:
    """`height` in the rows i where hit(i), 0 elsewhere.

    A loop: fused into the update, the comparison would be made again for every coordinate, and at k = 2 the
    distances with it (half of the update's time at d = k = 2).
    """
    return loops.rows(k, lambda i: jnp.where(hit(i), height, 0), height)


def update(
    state: LloydState,
    x: Float[Array, "d *runs"],
    gates: Float[Array, "k *runs"],
    optimizer: Optimizer,
) -> LloydState:
    """Pull each centre towards the sample with the weight that its gate gives it.

    gates: from 0 to 1 for an optax transformation; for a constant rate they are the step sizes, from 0 to the rate.
    """
    pull = (x[None] - state.origin) - state.offset  # as `nearest` has it, so that registers hold it once
    if isinstance(optimizer, optax.GradientTransformation):
        updates, after = optimizer.update(gates[:, None] * -pull, state.optimizer, state.offset)
        return LloydState(state.origin, optax.apply_updates(state.offset, updates), after)
    return LloydState(state.origin, state.offset + gates[:, None] * pull, state.optimizer)


def height(optimizer: Optimizer, x: Float[Array, "d *runs"]) -> Float[Array, "*runs"]:
    """A whole gate: 1, or the constant rate itself."""
    return jnp.ones_like(x[0]) if isinstance(optimizer, optax.GradientTransformation) else optimizer


def step(state: LloydState, x: Float[Array, "d *runs"], optimizer: Optimizer) -> LloydState:
    """Take in one sample."""
    return update(state, x, nearest(state.origin, state.offset, x, height(optimizer, x)), optimizer)


def labelled_step(
    state: LloydState,
    x: Float[Array, "d *runs"],
    label: Int[Array, "*runs"],
    component: Int[Array, "k *runs"],
    optimizer: Optimizer,
) -> LloydState:
    """Take in one sample whose label is known: it goes to the centre whose `component` it came from (the twin)."""
    gates = _gates(len(component), lambda i: component[i] == label, height(optimizer, x))
    return update(state, x, gates, optimizer)


class AverageState(NamedTuple):
    """The mean of the offsets that a state has had, and how many it has had."""

    mean: Float[Array, "k d *runs"]
    seen: Int[Array, "*runs"]


def average(state: AverageState, offset: Float[Array, "k d *runs"], burn: Int[Array, "*runs"]) -> AverageState:
    """Take in the next iterate: Polyak and Ruppert's average of those after the first `burn` (until then, the last)."""
    seen = state.seen + 1
    counted = jnp.maximum(seen - burn, 1).astype(offset.dtype)
    return AverageState(state.mean + (offset - state.mean) / counted[None, None], seen)


def scheduled(rate: Callable[[Int[Array, ""]], Array]) -> optax.GradientTransformation:
    """Steps of rate(t), t = 0, 1, ... samples seen; rates broadcast against (k, d, *runs)."""

    def init(params):
        del params
        return jnp.zeros((), jnp.int32)

    def update(updates, count, params=None):
        del params
        return -jnp.asarray(rate(count)).astype(updates.dtype) * updates, count + 1

    return optax.GradientTransformation(init, update)


class InverseCountState(NamedTuple):
    """How many samples each centre stands for."""

    counts: Int[Array, "k one *runs"]


def inverse_count(initial: int = 1) -> optax.GradientTransformation:
    """Steps of 1 / n_i, n_i the samples won by centre i with its start counted as `initial` of them.

    Each centre is then the mean of its samples, the start weighing `initial` (MacQueen 1967); 0 forgets the start.
    Gradients have shape (k, d, *runs); a centre has won where its gradient is not zero.
    """

    def init(params):
        return InverseCountState(jnp.full_like(params[:, :1], initial, dtype=jnp.int32))

    def update(updates, state, params=None):
        del params
        won = loops.any_coordinate(updates != 0)
        counts = state.counts + won.astype(state.counts.dtype)
        return -updates / jnp.maximum(counts, 1).astype(updates.dtype), InverseCountState(counts)

    return optax.GradientTransformation(init, update)
