r"""Mini-batches: a step is taken once for b samples, with the mean of their pulls.

    mu_i <- mu_i + eta (1/b) sum_t g_it (y_t - mu_i)       t over the batch; g_it: gates, 0 or 1 or a share

Every pull is from where the estimate was before the batch. This is stochastic gradient descent with a batch's mean
gradient (of half the squared distance: Bottou and Bengio 1995). Mini-batch k-means (Sculley 2010; Tang and Monteleoni
2016, arXiv 1610.04900) moves a centre by eta times the mean pull of *its* n_i samples in the batch: that is b/n_i times
ours, k times where components are equal, so their eta is ours over k. With steps of 1/n_i the two are one: a centre is
then the mean of the samples that it has won, all of a batch assigned at once.

An algorithm whose step is not one of pulls says itself how it takes a batch (`OwnBatches`). A step size's t counts
batches. b = 1 takes another way, the step of a sample (`engine.together`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jgmm import doors
from jgmm.steps import Rule


class Memory(NamedTuple):
    """What a rule remembers, and what has been gathered since the last step; hits: None for rules that do not count."""

    inner: Any
    total: Float[Array | np.ndarray, "e d *runs"]
    hits: Float[Array | np.ndarray, "e *runs"] | None = None


class OwnBatches(NamedTuple):
    """How an algorithm takes in batches, where that is not a step of the mean pull.

    begin(memory, offset) -> memory: nothing gathered. memory: the step size's, whose place it takes.
    gather(state, sample, params, move) -> state: takes in a sample; nothing but the memory changes, and move is of no
        use.
    take(state, params, move, share) -> state: the step of a batch, after which nothing is gathered. share: 1/b.
    """

    begin: Callable[..., Any]
    gather: Callable[..., Any]
    take: Callable[..., Any]


def check(algorithm: Any, size: int, estimates: int) -> int:
    """The size of a batch. Raises ValueError for one that the algorithm (`contract.Algorithm`) does not take."""
    size = doors.whole("batch_size", size)
    if size > 1 and "batch" in (refused := dict(algorithm.refuses)):
        raise ValueError(f"batch is {size}, which this algorithm does not take: {refused['batch']}")
    if size < (least := algorithm.least_batch(estimates)):
        raise ValueError(f"batch is {size}: expected at least {least}, the samples that a step of this algorithm needs")
    return size


def begin(rule: Rule, inner: Any, offset: Float[Array | np.ndarray, "e d *runs"]) -> Memory:
    """Nothing gathered. inner: what the rule remembers at the start."""
    return Memory(inner, np.zeros_like(offset), None if rule.of_batch is None else np.zeros_like(offset[:, 0]))


def gather(memory: Memory, offset: Array, pull: Array, gate: Array | None) -> tuple[Array, Memory]:
    """In the place of a move: estimates stay, and the pull is added."""
    if gate is None:
        total, hit = memory.total + pull, jnp.ones_like(pull[:, 0])
    elif gate.dtype == bool:
        total = jnp.where(gate[:, None], memory.total + pull, memory.total)
        hit = jnp.where(gate, jnp.ones_like(pull[:, 0]), 0)
    else:
        total, hit = memory.total + gate[:, None] * pull, gate
    return offset, Memory(memory.inner, total, None if memory.hits is None else memory.hits + hit)


def take(
    rule: tuple[Callable, Callable | None],
    numbers: dict[str, Array],
    memory: Memory,
    offset: Array,
    share: Float[Array, "*runs"],
) -> tuple[Array, Memory]:
    """The step of a batch: new offsets, and nothing gathered. rule: its `apply` and `of_batch`; share: 1/b."""
    apply, of_batch = rule
    if of_batch is None:
        offset, inner = apply(numbers, memory.inner, offset, share[None, None] * memory.total, None)
        return offset, Memory(inner, jnp.zeros_like(memory.total))
    offset, inner = of_batch(numbers, memory.inner, offset, memory.total, memory.hits)
    return offset, Memory(inner, jnp.zeros_like(memory.total), jnp.zeros_like(memory.total[:, 0]))
