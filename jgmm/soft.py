r"""Soft updates for k components of known weights and scales: the general form of streaming EM.

    p_i ~ w_i sigma_i^-d exp(-beta |x - mu_i|^2 / (2 sigma_i^2)),   sum_i p_i = 1,   mu_i <- mu_i + eta p_i (x - mu_i)

beta = 1 is the posterior; beta -> infinity is streaming Lloyd, at the same rate. For two balanced components that are
kept at +mu and -mu, half the difference of the two moves is `em.step` at the rate eta / 2. States are those of `lloyd`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jgmm import lloyd, loops
from jgmm.lloyd import LloydState, Optimizer
from jgmm.loops import dimensions, over_coordinates


def posterior(
    origin: Float[Array, "k d *runs"],
    offset: Float[Array, "k d *runs"],
    x: Float[Array, "d *runs"],
    *,
    weights: Float[Array, "k *runs"],
    scales: Float[Array, "k *runs"],
    beta: Float[Array, "*runs"],
) -> Float[Array, "k *runs"]:
    """The probability of each component, given the sample; sums to 1."""
    distances = over_coordinates(
        len(x), lambda j: ((x[None, j] - origin[:, j]) - offset[:, j]) ** 2, jnp.zeros_like(offset[:, 0])
    )
    prior = jnp.log(weights) - dimensions(x) * jnp.log(scales)
    exponent = prior - beta[None] * distances / (2 * scales**2)
    share = jnp.exp(exponent - jnp.max(exponent, axis=0)[None])
    return share / loops.add_up(len(share), lambda i: share[i], jnp.zeros_like(share[0]))[None]


def step(
    state: LloydState,
    x: Float[Array, "d *runs"],
    optimizer: Optimizer,
    *,
    weights: Float[Array, "k *runs"],
    scales: Float[Array, "k *runs"],
    beta: Float[Array, "*runs"],
) -> LloydState:
    """Take in one sample."""
    gates = posterior(state.origin, state.offset, x, weights=weights, scales=scales, beta=beta)
    whole = lloyd.height(optimizer, x)
    # A loop, so that the product is made once for each centre and not for each of its coordinates.
    return lloyd.update(state, x, loops.rows(len(gates), lambda i: gates[i] * whole, whole), optimizer)
