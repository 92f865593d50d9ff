r"""Streaming EM for two components at +mu and -mu of known weights, which may differ, in the tanh form.

    p(+|x) - p(-|x) = tanh(beta <x, mu> / sigma^2 + ln(w/(1 - w)) / 2),      mu <- mu + eta (tanh(.) x - mu)

w is the weight of the component that the estimate stands for. With w = 1/2 it is `em.step`; with beta = 1 the posterior
(Weinberger and Bresler 2022, arXiv 2103.15653, study its three rates). As in `em`, one estimate is kept.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jgmm import elementary, ordered
from jgmm.algorithms import em
from jgmm.algorithms.lloyd import pulled
from jgmm.contract import Sample, State
from jgmm.loops import over_coordinates
from jgmm.mixture import Mixture


def step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample. params: sharpness, beta / sigma^2; tilt, ln(w/(1 - w)) / 2."""
    x, (origin, offset) = sample.x, (state.origin[0], state.offset[0])
    inner = over_coordinates(len(x), lambda j: x[j] * (origin[j] + offset[j]), jnp.zeros_like(x[0]))
    side = elementary.tanh(params["sharpness"] * inner + params["tilt"])
    return pulled(state, (side[None] * x)[None], None, move)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of `em.params`, and tilt, computed in float64."""
    weights = np.asarray(mixture.weights, np.float64)
    own = np.take_along_axis(weights, component, axis=0)[0]
    other = np.take_along_axis(weights, 1 - component, axis=0)[0]
    tilt = (ordered.ln_each(own) - ordered.ln_each(other)) / 2
    return {**em.params(mixture, component, numbers), "tilt": tilt.astype(np.asarray(mixture.means).dtype)}


def check(mixture: Mixture) -> None:
    """Raises ValueError unless the mixture is a pair of one scale at +m and -m, neither of weight 0."""
    means, weights, scales = (np.asarray(x) for x in mixture)
    pair = len(means) == 2 and (means[0] == -means[1]).all() and (scales[0] == scales[1]).all()
    if not (pair and (weights > 0).all()):
        raise ValueError(
            f"the mixture has k = {len(means)}, weights {np.ravel(weights[:, ..., 0] if weights.ndim > 1 else weights)}"
            ", expected two components of one scale at +m and -m, both of some weight (algorithm = 'soft' takes any)"
        )


UNBALANCED = em.EM._replace(
    step=step,
    words="streaming EM of known weights, mu <- mu + eta (tanh(beta <x, mu>/sigma^2 + ln(w/(1 - w))/2) x - mu)",
    params=params,
    check=check,
    law=None,
)
