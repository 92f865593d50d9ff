r"""Streaming EM for two balanced components at +mu and -mu (Algorithm 3 of the paper), in the tanh form.

    p(+|x) - p(-|x) = tanh(beta <x, mu> / sigma^2),      mu <- mu + eta (tanh(.) x - mu)

beta = 1 is the posterior, so EM; beta = 2 is what denominators of sigma^2 in place of 2 sigma^2 make of it (the seed);
beta -> infinity is Lloyd. The ratio of exponentials would be 0 / 0 for d of several hundred; the tanh never is. The
centre is held as origin + offset, as in `lloyd`. Arrays may carry trailing run axes.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jgmm.loops import over_coordinates


class EMState(NamedTuple):
    """All that the next step needs. The mean is origin + offset; the other component's is its negative."""

    origin: Float[Array, "d *runs"]
    offset: Float[Array, "d *runs"]


def init(start: Float[Array, "d *runs"], origin: Float[Array, "d *runs"]) -> EMState:
    """The mean at `start`, held relative to `origin`."""
    return EMState(origin=origin, offset=start - origin)


def step(
    state: EMState,
    x: Float[Array, "d *runs"],
    *,
    rate: Float[Array, "*runs"],
    beta: Float[Array, "*runs"],
    scale: Float[Array, "*runs"],
) -> EMState:
    """Take in one sample; `scale` is the standard deviation sigma that the posterior assumes."""
    origin, offset = state
    inner = over_coordinates(len(x), lambda j: x[j] * (origin[j] + offset[j]), jnp.zeros_like(x[0]))
    side = jnp.tanh(beta * inner / scale**2)
    return _pull(state, side[None] * x, rate)


def labelled_step(
    state: EMState,
    x: Float[Array, "d *runs"],
    label: Int[Array, "*runs"],
    component: Int[Array, "*runs"],
    *,
    rate: Float[Array, "*runs"],
) -> EMState:
    """Take in one sample whose side is known: +x where it came from the `component` that the mean stands for."""
    side = jnp.where(component == label, 1, -1).astype(x.dtype)
    return _pull(state, side[None] * x, rate)


def _pull(state: EMState, target: Float[Array, "d *runs"], rate: Float[Array, "*runs"]) -> EMState:
    origin, offset = state
    return EMState(origin, offset + rate[None] * ((target - origin) - offset))
