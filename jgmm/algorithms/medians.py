r"""Streaming k-medians: each sample pulls its nearest centre towards itself, by a step of one length.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta l (x - mu_j) / |x - mu_j|

A gradient step on the distance to the nearest centre: the geometric median of one component (Cardot, Cenac and Zitt
2013, "Efficient and fast estimation of the geometric median in Hilbert spaces with an averaged stochastic gradient
algorithm", Bernoulli 19(1)), and of several (Cardot, Cenac and Monnez 2012, arXiv 1101.4316). l = `length` sigma, sigma
the largest scale, makes eta a number without a unit: theirs is eta sigma. A sample on its centre leaves it as it is.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jgmm.algorithms.lloyd import flags, nearest
from jgmm.contract import Algorithm, Sample, State
from jgmm.loops import over_coordinates
from jgmm.mixture import Mixture


def step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample. params: length, in units of the data."""
    return _pulled(state, sample.x, nearest(state.origin, state.offset, sample.x), params, move)


def labelled_step(state: State, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample whose label is known: it goes to the centre of its component."""
    return _pulled(state, sample.x, flags(len(state.offset), sample.label), params, move)


def _pulled(state: State, x: Float[Array, "d *runs"], gate: Array, params: dict, move: Callable) -> State:
    away = (x[None] - state.origin) - state.offset
    square = over_coordinates(away.shape[1], lambda j: away[:, j] * away[:, j], jnp.zeros_like(away[:, 0]))
    share = params["length"][None] / jnp.maximum(jnp.sqrt(square), jnp.finfo(square.dtype).tiny)
    offset, memory = move(state.memory, state.offset, share[:, None] * away, gate)
    return State(state.origin, offset, memory)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """length: of a pull, in units of the data, (runs,)."""
    del component
    scale = np.asarray(mixture.scales, np.float64).max(axis=0)
    return {"length": (numbers["length"] * scale).astype(np.asarray(mixture.means).dtype)}


_LENGTH = "expected a number or a schedule: a pull of one length has no such rate"
MEDIANS = Algorithm(
    step,
    words="streaming k-medians, each sample moves the nearest centre by a step of one length",
    twin=labelled_step,
    params=params,
    numbers=(("length", 1.0),),
    refuses=(("1/n", _LENGTH), ("best", _LENGTH)),
    bounded=True,
)
