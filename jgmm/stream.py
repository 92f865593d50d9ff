r"""Fold a step over a stream: draw a block of samples, consume it, forget it.

A sample drawn in the step that uses it would be drawn k times (XLA fuses the draw into the k distances), so a block is
drawn first. The block size, and how a stream is cut into folds, have no effect on the results: a fold that ends
inside a block advances the lanes by the samples consumed, no more. Knows no algorithm.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jgmm import lanes, loops, tiling
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture

State = TypeVar("State")


class Sample(NamedTuple):
    """A sample and the component that it came from. Algorithms that may not know the label do not take it."""

    x: Float[Array, "d *runs"]
    label: Int[Array, "*runs"]


def draw(state: LaneState, mixture: Mixture, *, block: int) -> tuple[LaneState, Sample]:
    """The next `block` samples of every run: x of shape (d, block, *runs), label of shape (block, *runs).

    Coordinates come first, a pair at a time: the bits, the two normals and the k means of a pair then stay in the first
    caches for the whole block (at d = 100, k = 20 a quarter of the time of all coordinates together).
    """
    d = mixture.means.shape[1]
    half = (d + 1) // 2
    # Zero, but the compiler does not know. Where it is added, nothing is a constant, or the same on every trip:
    # - coefficients are loaded, not put into the code again for each vector (a third of the instructions on x86);
    # - the k - 1 comparisons of a label stay where they are used (kept as bytes, a select takes twice as long);
    # - a single pair is a loop too, whose radius is computed once and not for each of its normals.
    zero = jnp.minimum(mixture.weights.reshape(-1)[0], 0)
    none = zero.astype(jnp.int32)
    coefficients = jax.tree.map(lambda values: values + zero.astype(jnp.float32), lanes.COEFFICIENTS)
    steps = lanes.thresholds(mixture.weights)
    first, label_bits = _words(jax.tree.map(lambda words: words[:1], state), block)
    word = lanes.label_word(label_bits[:, 0])
    scale = lanes.choose(word, steps, mixture.scales)
    index = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)

    def pair(j, carry):
        x, rest = carry
        mine, bits = _words(jax.tree.map(lambda words: words[:, j], rest), block)
        rest = jax.tree.map(lambda words, new: words.at[:, j].set(new), rest, mine)
        word_here = word + none * j

        def coordinate(j, normal):
            return lanes.choose(word_here, steps, mixture.means[:, j]) + scale * normal.astype(scale.dtype)

        normals = lanes.normal_pair(bits[:, 0], bits[:, 1], coefficients)
        x = x.at[j].set(coordinate(j, normals[0]))
        # An odd d leaves half of its last pair unused.
        return x.at[half + j].set(coordinate(jnp.minimum(half + j, d - 1), normals[1])), rest

    rest = jax.tree.map(lambda words: words[1:].reshape(2, half, *words.shape[1:]), state)
    x = jnp.zeros((2 * half, *word.shape), scale.dtype)
    x, rest = lax.fori_loop(0, half + none, pair, (x, rest))
    rest = jax.tree.map(lambda words: words.reshape(2 * half, *words.shape[2:]), rest)
    state = jax.tree.map(lambda label, others: jnp.concatenate([label, others]), first, rest)
    return state, Sample(x[:d], lanes.choose(word, steps, index))


def draw_together(state: LaneState, mixture: Mixture, steps: Array, *, block: int) -> tuple[LaneState, Sample]:
    """`draw`, all coordinates at once: for registers, and few kernels on a GPU. `steps`: the weights' `thresholds`.

    The same bits; samples differ by fused multiply-adds at most.
    """
    d = mixture.means.shape[1]
    half = (d + 1) // 2
    state, bits = _words(state, block)
    word = lanes.label_word(bits[:, 0])
    normals = jnp.concatenate(lanes.normal_pair(bits[:, 1 : 1 + half], bits[:, 1 + half :]), axis=1)[:, :d]
    scale = lanes.choose(word, steps, mixture.scales)
    centre = lanes.choose(word[:, None], steps[:, None], mixture.means)
    x = centre + scale[:, None] * normals.astype(scale.dtype)
    index = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)
    return state, Sample(jnp.moveaxis(x, 1, 0), lanes.choose(word, steps, index))


def _words(state: LaneState, count: int) -> tuple[LaneState, Any]:
    """The next `count` words of every lane; several steps a trip cut the traffic of the state."""
    step: Any = lambda words, _: lanes.next_bits(words)  # noqa: E731
    return lax.scan(step, state, None, length=count, unroll=4)


def fold(
    step: Callable[[State, Sample], State],
    lane_state: LaneState,
    state: State,
    mixture: Mixture,
    count: Int[Array, ""] | int,
    *,
    block: int = tiling.BLOCK,
    draw: Callable[..., tuple[LaneState, Sample]] = draw,
) -> tuple[LaneState, State]:
    """Feed the next `count` samples of every run to `step`, one at a time. `count` is traced: one program for any."""

    def consume(index, carry):
        words, state = carry
        ahead, samples = draw(words, mixture, block=block)
        here = jnp.minimum(block, count - index * block)
        state = lax.fori_loop(0, here, lambda i, s: step(s, Sample(samples.x[:, i], samples.label[i])), state)
        words = jax.tree.map(lambda new, old: jnp.where(here == block, new, old), ahead, words)
        return words, state

    lane_state, state = lax.fori_loop(0, (count + block - 1) // block, consume, (lane_state, state))
    return skip(lane_state, count % block), state


def fold_together(
    step: Callable[[State, Sample], State],
    lane_state: LaneState,
    state: State,
    mixture: Mixture,
    count: Int[Array, ""] | int,
    *,
    block: int = tiling.BLOCK,
) -> tuple[LaneState, State]:
    """`fold` in few kernels for a GPU: 2 and a counter for a sample of streaming Lloyd, 17 for a block of 16.

    Loops over components and coordinates are written out, and whole blocks have a trip count that is known: of any
    other loop the host must read the condition after each trip.
    """
    draw = partial(draw_together, steps=lanes.thresholds(mixture.weights))

    def consume(_, carry):
        words, state = carry
        words, samples = draw(words, mixture, block=block)
        each = lambda i, s: step(s, Sample(samples.x[:, i], samples.label[i]))  # noqa: E731
        return words, lax.fori_loop(0, block, each, state)

    with loops.written_out():
        words, state = lax.fori_loop(0, count // block, consume, (lane_state, state))
        return fold(step, words, state, mixture, count % block, block=block, draw=draw)


def fold_one_by_one(
    step: Callable[[State, Sample], State],
    lane_state: LaneState,
    state: State,
    mixture: Mixture,
    steps: Int[Array, "k_less_1 *runs"],
    count: Int[Array, ""] | int,
) -> tuple[LaneState, State]:
    """`fold`, but a sample is drawn when it is consumed: for `registers`, where nothing is fused into its readers."""

    def one(_, carry):
        words, state = carry
        words, samples = draw_together(words, mixture, steps, block=1)
        return words, step(state, Sample(samples.x[:, 0], samples.label[0]))

    return lax.fori_loop(0, count, one, (lane_state, state))


def skip(lane_state: LaneState, count: Int[Array, ""] | int) -> LaneState:
    """The lanes after `count` samples that nobody looks at."""
    return lax.fori_loop(0, count, lambda _, words: lanes.next_bits(words)[0], lane_state)


def fold_data(step: Callable[[State, Array], State], state: State, data: Float[Array, "n d *runs"]) -> State:
    """Feed given samples to `step`, one at a time."""
    return lax.scan(lambda s, x: (step(s, x), None), state, data)[0]
