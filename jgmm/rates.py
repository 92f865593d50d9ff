r"""Step sizes of streaming Lloyd and streaming EM.

    paper       eta = 3 k ln(3N) / N     Lloyd, constant over a run, depends on its horizon N
    paper EM    eta = 3 ln(N) / N
    seed        the paper's with log2 in place of ln: 1.44 times larger
    1/n         1 / n_i, n_i counting the samples that centre i has won (MacQueen 1967)
    polynomial  c / (t + t_0)^a

Constant rates are numbers; the others are optax schedules or transformations.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int


def paper(n: float, k: int) -> float:
    """3 k ln(3n) / n, Algorithm 1 of the paper."""
    return 3 * k * np.log(3 * n) / n


def paper_em(n: float) -> float:
    """3 ln(n) / n, Algorithm 3 of the paper."""
    return 3 * np.log(n) / n


def seed(n: float, k: int) -> float:
    """3 k log2(3n) / n: the seed document's logarithm."""
    return 3 * k * np.log2(3 * n) / n


def check_rate(rate: float, *, why: str = "") -> float:
    """The rate. Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate:g}{why}, expected a number in (0, 1)")
    return rate


def polynomial(scale: float, power: float, *, shift: float = 1.0) -> Callable[[Int[Array, ""]], Array]:
    """The schedule scale / (t + shift)^power, t = 0, 1, ...; for `optax.sgd`."""

    def schedule(count):
        return scale / (count + shift) ** power

    return schedule


class InverseCountState(NamedTuple):
    """How many samples each centre stands for."""

    counts: Int[Array, "k one *runs"]


def inverse_count(initial: int = 1) -> optax.GradientTransformation:
    """Steps of 1 / n_i, n_i the samples won by centre i with its start counted as `initial` of them.

    Each centre is then the mean of its samples, the start weighing `initial` (MacQueen 1967). Gradients have shape
    (k, d, *runs); a centre has won where its gradient is not zero.
    """

    def init(params):
        return InverseCountState(jnp.full_like(params[:, :1], initial, dtype=jnp.int32))

    def update(updates, state, params=None):
        del params
        won = jnp.any(updates != 0, axis=1, keepdims=True)
        counts = state.counts + won
        return -updates / counts.astype(updates.dtype), InverseCountState(counts)

    return optax.GradientTransformation(init, update)
