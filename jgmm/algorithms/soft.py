r"""Soft updates for k components of known weights and scales: the general form of streaming EM.

    p_i ~ w_i sigma_i^-d exp(-beta |x - mu_i|^2 / (2 sigma_i^2)),   sum_i p_i = 1,   mu_i <- mu_i + eta p_i (x - mu_i)

beta = 1 is the posterior, and the step is gradient EM's (Balakrishnan, Wainwright and Yu 2017): the gradient of ln p(x)
is p_i (x - mu_i) / sigma_i^2, here without 1/sigma_i^2, so that eta has no unit. beta -> infinity is streaming Lloyd,
at the same rate. For two balanced components that are kept at +mu and -mu, half the difference of the two moves is
`em.step` at the rate eta / 2. An estimate knows the weight and the scale of the component that its start was
matched to.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jgmm import elementary, loops, ordered
from jgmm.algorithms.em import sharpness
from jgmm.algorithms.lloyd import labelled_step, pulled, squared_distances
from jgmm.contract import Algorithm, Sample, State, Turning
from jgmm.mixture import Mixture
from jgmm.theory import expected, twins


def step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample."""
    return pulled(state, sample.x[None], posterior(state.origin, state.offset, sample.x, params), move)


def posterior(
    origin: Float[Array | np.ndarray, "k d *runs"],
    offset: Float[Array | np.ndarray, "k d *runs"],
    x: Float[Array, "d *runs"],
    params: dict,
) -> Float[Array, "k *runs"]:
    """The probability of each component, given the sample; sums to 1. params: those of `params`."""
    distances = squared_distances(origin, offset, x)
    exponent = params["prior"] - params["sharpness"] * distances
    share = elementary.exp(exponent - jnp.max(exponent, axis=0)[None])
    whole = loops.add_up(len(share), lambda i: share[i], jnp.zeros_like(share[0]))
    # A loop, so that the share is made once for each centre and not for each of its coordinates.
    return loops.rows(len(share), lambda i: share[i] / whole, whole)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """prior: ln(w_i) - d ln(sigma_i), and sharpness: beta / (2 sigma_i^2), (k, runs); computed in float64."""
    del component  # estimates stand in the order of the components
    means, weights, scales = (np.asarray(x) for x in mixture)
    # A component of weight 0 has a share of 0.
    prior = ordered.ln_each(weights) - means.shape[1] * ordered.ln_each(scales)
    sharpness = numbers["beta"][None] / (2 * scales.astype(np.float64) ** 2)
    return {"prior": prior.astype(means.dtype), "sharpness": sharpness.astype(means.dtype)}


def check(mixture: Mixture) -> None:
    """Raises ValueError for a component of weight 0, which has no posterior."""
    if not (np.asarray(mixture.weights) > 0).all():
        raise ValueError("the mixture has a component of weight 0, expected positive weights for soft updates")


def of_one_scale(mixture: Mixture) -> bool:
    """Whether what distances to all estimates have in common is in no posterior."""
    scales = np.asarray(mixture.scales)
    return bool((scales == scales[:1]).all())


def of_more_dimensions(params: dict, mixture: Mixture, more: np.ndarray) -> dict:
    """The prior less the logarithms of the scales for so many more dimensions."""
    if of_one_scale(mixture):
        return params
    prior = params["prior"].astype(np.float64) - more[None] * ordered.ln_each(np.asarray(mixture.scales))
    return params | {"prior": prior.astype(params["prior"].dtype)}


TURNING = Turning(of_one_scale, of_more_dimensions)
SOFT = Algorithm(
    step,
    words="soft updates, mu_i <- mu_i + eta p_i (x - mu_i)",
    twin=labelled_step,
    params=params,
    check=check,
    numbers=(("beta", 1.0),),
    refuses=(("1/n", "its centres win no whole samples; { scale = k, power = 1, shift = k } is its like"),),
    twin_law=twins.each_its_own,
    law=expected.stream,
    turning=TURNING,
    sharpness=sharpness,
)
