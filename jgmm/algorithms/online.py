r"""Online EM for the weights, means and scales of k components (Cappe and Moulines 2009, arXiv 0712.4273).

    p_i ~ w_i sigma_i^-d exp(-|x - mu_i|^2/(2 sigma_i^2)),   sum_i p_i = 1
    s_i <- s_i + gamma_t (p_i (1, x, |x|^2) - s_i);  w_i = s0_i, mu_i = s1_i/s0_i, sigma_i^2 = (s2_i/s0_i - |mu_i|^2)/d

What is kept are the parameters that the statistics s have, which the same recursion moves. Divided by its new s0,

    w_i <- w_i + gamma (p_i - w_i),  g = gamma p_i/w_i,  mu_i <- mu_i + g (x - mu_i),
    d sigma_i^2 <- (1 - g) (d sigma_i^2 + g |x - mu_i|^2)      mu_i as before; nothing cancels (West 1979)

A batch of b samples has one step, of the mean of their p_i (1, x, |x|^2), each p_i at the parameters before the batch
(Nguyen, Forbes and McLachlan 2020, arXiv 1902.03335):

    P_i, T_i, Q_i = (1/b) sum_t p_it (1, x_t - mu_i, |x_t - mu_i|^2)
    w_i' = w_i + gamma (P_i - w_i),  mu_i <- mu_i + gamma T_i/w_i'
    d sigma_i^2 <- ((1 - gamma) w_i d sigma_i^2 + gamma Q_i)/w_i' - |gamma T_i/w_i'|^2

gamma_t is the study's step size: { scale = 1, power = 0.6, shift = 200 } is theirs, t^-0.6, from the 200th sample on. A
first step of 1 would forget the start for one sample, and with a shift of 20 a run in thirty lost a component at C = 4.
Every component starts with the weight 1/k and with the scale `spread` sigma, sigma the largest; an average is one of
all parameters (theirs, and of the variances, not the scales).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jgmm import elementary, loops
from jgmm.algorithms.lloyd import squared_distances
from jgmm.batches import OwnBatches
from jgmm.contract import Algorithm, Sample
from jgmm.mixture import Mixture


class OnlineState(NamedTuple):
    """All parameters; means as origin + offset."""

    origin: Float[Array | np.ndarray, "k d *runs"]
    offset: Float[Array | np.ndarray, "k d *runs"]
    memory: Any
    weights: Float[Array | np.ndarray, "k *runs"]
    variances: Float[Array | np.ndarray, "k *runs"]


class Gathered(NamedTuple):
    """What a step size remembers, and what a batch's samples have added up to: of p, p (x - mu) and p |x - mu|^2."""

    inner: Any
    shares: Float[Array | np.ndarray, "k *runs"]
    pulls: Float[Array | np.ndarray, "k d *runs"]
    squares: Float[Array | np.ndarray, "k *runs"]


def begin(start: Array | np.ndarray, origin: Array | np.ndarray, memory: Any, params: dict) -> OnlineState:
    """Means at `start`; weights and variances as `params` says."""
    return OnlineState(origin, start - origin, memory, params["weights"], params["variances"])


def step(state: OnlineState, sample: Sample, params: dict, move: Callable) -> OnlineState:
    """Take in one sample."""
    del params
    origin, offset, _, weights, variances = state
    d = offset.shape[1]
    distances = squared_distances(origin, offset, sample.x)
    share = _posterior(distances, weights, variances, d)
    rate, memory = _rate(state.memory, offset, move)
    now = weights + rate * (share - weights)
    gain = loops.rows(len(now), lambda i: rate[i] * share[i] / now[i], now[0])
    pull = (sample.x[None] - origin) - offset
    spread = (1 - gain) * (variances + gain * (distances * (1 / d)))
    return OnlineState(origin, offset + gain[:, None] * pull, memory, now, spread)


def _rate(memory: Any, offset: Any, move: Callable) -> tuple[Float[Array, "k *runs"], Any]:
    """The step size's number, from the move of a unit."""
    moved, memory = move(memory, jnp.zeros_like(offset), jnp.ones_like(offset), None)
    return moved[:, 0], memory


def nothing(memory: Any, offset: Array | np.ndarray) -> Gathered:
    """Of a batch: nothing yet."""
    return Gathered(memory, np.zeros_like(offset[:, 0]), np.zeros_like(offset), np.zeros_like(offset[:, 0]))


def gather(state: OnlineState, sample: Sample, params: dict, move: Callable) -> OnlineState:
    """Take in a sample of a batch."""
    del params, move
    origin, offset, (inner, shares, pulls, squares), weights, variances = state
    distances = squared_distances(origin, offset, sample.x)
    share = _posterior(distances, weights, variances, offset.shape[1])
    pull = (sample.x[None] - origin) - offset
    memory = Gathered(inner, shares + share, pulls + share[:, None] * pull, squares + share * distances)
    return state._replace(memory=memory)


def take(state: OnlineState, params: dict, move: Callable, share: Float[Array, "*runs"]) -> OnlineState:
    """The step of a batch."""
    del params
    origin, offset, (inner, shares, pulls, squares), weights, variances = state
    rate, inner = _rate(inner, offset, move)
    d, part = offset.shape[1], rate * share[None]
    now = weights + (part * shares - rate * weights)
    gain = loops.rows(len(now), lambda i: part[i] / now[i], now[0])
    moved = gain[:, None] * pulls
    kept = loops.rows(len(now), lambda i: (weights[i] - rate[i] * weights[i]) / now[i], now[0])
    moved_sq = loops.over_coordinates(d, lambda j: moved[:, j] ** 2, jnp.zeros_like(now))
    spread = kept * variances + (gain * squares - moved_sq) * (1 / d)
    empty = Gathered(inner, jnp.zeros_like(shares), jnp.zeros_like(pulls), jnp.zeros_like(squares))
    return OnlineState(origin, offset + moved, empty, now, spread)


def _posterior(distances: Float[Array, "k *runs"], weights: Any, variances: Any, d: int) -> Float[Array, "k *runs"]:
    """The probability of each component. A weight is 2^e m: m is a factor, and takes no logarithm."""
    m, e = elementary.split(weights)
    exponent = (e * math.log(2) - 0.5 * (distances / variances)) - (d / 2) * elementary.log_of_normal(variances)
    most = loops.repeat(1, len(e), lambda i, x: jnp.where(exponent[i] > x, exponent[i], x), exponent[0])
    share = m * elementary.exp_of_negative(exponent - most[None])
    one = 1 / loops.add_up(len(share), lambda i: share[i], jnp.zeros_like(most))
    # A loop, so that the share is made once for each centre and not for each of its coordinates.
    return loops.rows(len(share), lambda i: share[i] * one, most)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """weights: 1/k, and variances: (spread sigma)^2, at the start, (k, runs)."""
    del component
    scales = np.asarray(mixture.scales, np.float64)
    variances = np.broadcast_to((numbers["spread"] * scales.max(axis=0)) ** 2, scales.shape)
    dtype = np.asarray(mixture.means).dtype
    return {"weights": np.full(scales.shape, 1 / len(scales), dtype), "variances": variances.astype(dtype)}


def readout(state: OnlineState, params: dict) -> dict[str, np.ndarray]:
    """weights and scales, (k, runs)."""
    del params
    return {"weights": np.asarray(state.weights), "scales": np.sqrt(np.asarray(state.variances))}


_SCHEDULE = "expected a schedule, as { scale = 1, power = 0.6, shift = 200 }, or a small number"
ONLINE = Algorithm(
    step,
    words="online EM of weights, means and scales, by sufficient statistics",
    init=begin,
    params=params,
    numbers=(("spread", 1.0),),
    refuses=tuple((name, _SCHEDULE) for name in ("paper", "seed", "best", "1/n", "adam")),
    readout=readout,
    own_batches=OwnBatches(nothing, gather, take),
    version=2,  # the first took a logarithm of each weight
)
