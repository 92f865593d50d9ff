r"""Streaming EM for two balanced components at +mu and -mu (Algorithm 3 of the paper), in the tanh form.

    p(+|x) - p(-|x) = tanh(beta <x, mu> / sigma^2),      mu <- mu + eta (tanh(.) x - mu)

beta = 1 is the posterior, so EM; beta = 2 is what denominators of sigma^2 in place of 2 sigma^2 make of it (the course
project); beta -> infinity is Lloyd. The ratio of exponentials would be 0 / 0 for d of several hundred; the tanh never
is. There is one estimate, of either mean; the other component's is its negative.

On one component at 0 the fit has a component too many (Dwivedi et al. 2020, Annals of Statistics 48(6)): mu goes to 0,
but slowly, since the posteriors tell it nothing of its length to first order.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jgmm import elementary, rates
from jgmm.algorithms.lloyd import pulled
from jgmm.contract import Algorithm, Sample, State, Turning
from jgmm.loops import over_coordinates
from jgmm.mixture import Mixture
from jgmm.theory import expected, twins


def step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample. params: sharpness, beta / sigma^2."""
    x, (origin, offset) = sample.x, (state.origin[0], state.offset[0])
    inner = over_coordinates(len(x), lambda j: x[j] * (origin[j] + offset[j]), jnp.zeros_like(x[0]))
    side = elementary.tanh(params["sharpness"] * inner)
    return pulled(state, (side[None] * x)[None], None, move)


def labelled_step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample whose side is known: +x where it came from the `component` that the mean stands for."""
    side = jnp.where(params["component"] == sample.label, 1, -1).astype(sample.x.dtype)
    return pulled(state, (side[None] * sample.x)[None], None, move)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """component: which of the two the estimate stands for; sharpness: beta / sigma^2, computed in float64."""
    scale = np.asarray(mixture.scales[0], np.float64)
    sharpness = (numbers["beta"] / scale**2).astype(np.asarray(mixture.means).dtype)
    return {"component": component[0], "sharpness": sharpness}


def one(k: int) -> int:
    """1: the mean of either component; the other's is its negative."""
    del k
    return 1


def check(mixture: Mixture) -> None:
    """Raises ValueError unless the mixture is a balanced pair of one scale at +m and -m, or one component at 0."""
    means, weights, scales = (np.asarray(x) for x in mixture)
    if len(means) == 1 and not means.any():
        return
    balanced = len(means) == 2 and (means[0] == -means[1]).all() and (weights[0] == weights[1]).all()
    if not (balanced and (scales[0] == scales[1]).all()):
        raise ValueError(
            f"the mixture has k = {len(means)}, weights {np.ravel(weights[:, ..., 0] if weights.ndim > 1 else weights)}"
            ", expected two balanced components of one scale at +m and -m (algorithm = 'soft' takes any)"
        )


def paper_step(n: float | int, k: int) -> float:
    """3 ln(n) / n."""
    del k
    return rates.paper_em(n)


def sharpness(numbers: dict) -> float:
    """beta."""
    return numbers["beta"]


_OF_LLOYD = "it is of centres that get the samples of one component each, expected 'paper', a number or a formula"
EM = Algorithm(
    step,
    words="streaming EM, mu <- mu + eta (tanh(beta <x, mu>/sigma^2) x - mu)",
    twin=labelled_step,
    params=params,
    estimates=one,
    check=check,
    numbers=(("beta", 1.0),),
    paper_step=paper_step,
    paper_formula="3 ln(N)/N",
    refuses=tuple((name, _OF_LLOYD) for name in ("seed", "best")),
    twin_law=twins.one_of_all,
    law=expected.streaming_em,
    turning=Turning(),
    sharpness=sharpness,
)
