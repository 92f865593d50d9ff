r"""Streaming Lloyd: its error while it learns, and its fixed points.

If components are far apart no sample is misassigned, and the law of a centre is exact (S1, S2). If they overlap,
centres settle outside the means, at the fixed points of Lloyd's algorithm. Symbols: C = min |mu_i - mu_j| / sigma the
separation, s = C/2, eta the rate, w the weight of a component, t samples, phi and Q the normal density and upper tail.
See docs/theory.md, "Streaming Lloyd, well separated", and the four sections after it.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import integrate, special, stats

from jgmm.theory.check import check
from jgmm.theory.gaussian import density


def contraction(*, rate, weight):
    """q = 1 - w eta (2 - eta): a sample multiplies the start's part of E|e|^2 by it."""
    check(rate=rate, weight=weight)
    return 1 - weight * rate * (2 - rate)


def lloyd_error_sq(*, samples, rate, weight, sigma, d, start_sq):
    """(S1) E|e_t|^2 = q^t |e_0|^2 + (1 - q^t) eta sigma^2 d / (2 - eta) of one centre."""
    remaining = contraction(rate=rate, weight=weight) ** samples
    return remaining * start_sq + (1 - remaining) * stationary_sq(rate=rate, sigma=sigma, d=d)


def stationary_sq(*, rate, sigma, d):
    """E|e|^2 = eta sigma^2 d / (2 - eta) of one centre, whatever its weight."""
    check(rate=rate, sigma=sigma, d=d)
    return rate / (2 - rate) * sigma**2 * d


def stationary_distance(*, rate, sigma, d):
    """(S2) E|e| = sigma sqrt(eta/(2 - eta)) sqrt(2) Gamma((d+1)/2) / Gamma(d/2) of one centre."""
    check(rate=rate, sigma=sigma, d=d)
    return sigma * np.sqrt(2 * rate / (2 - rate)) * np.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))


def lloyd_bias(separation, *, sigma=1.0):
    """b(C) = sigma (2 phi(C/2) - C Q(C/2)): how far outside the means the fixed points of a symmetric pair are."""
    check(separation=separation, sigma=sigma)
    c = np.asarray(separation, float)
    return sigma * (2 * stats.norm.pdf(c / 2) - c * stats.norm.sf(c / 2))


def simplex_displacement(k, separation, *, sigma=1.0):
    """delta_k(C): how far outside the means the fixed points of a regular simplex with equal weights are.

    It is sigma sqrt(k/(k-1)) times the integral over u > C/sqrt(2) of 1 - E_g Phi(g + u)^(k-1), g standard normal.
    """
    check(separation=separation, sigma=sigma)
    if k < 2:
        raise ValueError(f"k is {k}, expected at least 2")
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def one(c):
        def beyond(u):  # 1 - Phi^(k-1), without cancellation
            return weights @ -np.expm1((k - 1) * special.log_ndtr(nodes + u))

        start = c / np.sqrt(2)
        return integrate.quad(beyond, start, start + 20, epsabs=0, epsrel=1e-10, limit=200)[0]

    return sigma * np.sqrt(k / (k - 1)) * np.vectorize(one, otypes=[float])(separation)


def simplex_floor(k, separation, *, sigma=1.0):
    """k delta_k(C)^2: the squared error that no number of samples removes."""
    return k * simplex_displacement(k, separation, sigma=sigma) ** 2


def lloyd_pair_fixed_points(separation, weights, *, sigma=1.0):
    """The exact fixed points, shape (2,), of Lloyd's centres for means at +-C/2 with any weights.

    They solve m_1 = E(x | x > t), m_2 = E(x | x < t), t = (m_1 + m_2)/2 with x ~ w_1 N(s, 1) + w_2 N(-s, 1). There may
    be several roots. This one is the limit of t -> (m_1 + m_2)/2 from the truth, t = 0. Conditional means grow with t,
    so the iterates never turn back and never pass a root. Raises ValueError where a centre comes nearer to the other's
    mean: no fixed point belongs to the truth then.
    """
    check(separation=separation, sigma=sigma)
    weights = np.asarray(weights, float)
    if weights.shape != (2,) or not (weights > 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError(f"weights are {weights}, expected two positive numbers with sum 1")
    s = float(separation) / 2
    if not 0 < s < 1e6:
        raise ValueError(f"separation is {separation}, expected a positive number below 2e6")

    def means(t):
        above = [weights[0] * special.ndtr(s - t), weights[1] * special.ndtr(-s - t)]
        below = [weights[0] * special.ndtr(t - s), weights[1] * special.ndtr(t + s)]
        spread = weights[0] * density(t - s) + weights[1] * density(t + s)
        first = s + (spread - 2 * s * above[1]) / (above[0] + above[1])
        second = -s - (spread - 2 * s * below[0]) / (below[0] + below[1])
        return first, second

    t, step = 0.0, math.inf
    for _ in range(100_000):
        first, second = means(t)
        if not second < 0 < first or abs(step) <= 1e-16 * s:
            break
        step = (first + second) / 2 - t
        t += step
    if not second < 0 < first or abs(step) > 1e-12 * s:
        raise ValueError(
            f"separation is {separation:g} at weights {weights.tolist()}, expected a larger one: Lloyd's map leads a"
            " centre to the other's mean"
        )
    return sigma * np.array([first, second])


class PairLaw(NamedTuple):
    """Stationary law of one centre of streaming Lloyd on a symmetric pair."""

    bias: np.ndarray  # how far outside the mean the fixed point is
    shift: np.ndarray  # the mean's distance from the fixed point, outward, of order eta
    variance_parallel: np.ndarray
    variance_transverse: np.ndarray  # summed over the d - 1 directions
    error_sq: np.ndarray


def lloyd_pair_law(separation, *, rate, d, sigma=1.0):
    """Stationary law of each centre of a symmetric pair, to first order in eta. C > 0: at 0 the pair turns freely.

    See docs/theory.md, "The stationary law of a pair"; f = phi(s), m = s + b(C).
    """
    check(rate=rate, d=d, sigma=sigma)
    if not np.all(np.asarray(separation) > 0):
        raise ValueError(f"separation is {separation}, expected a positive number")
    s = np.asarray(separation, float) / 2
    f, m = stats.norm.pdf(s), s + lloyd_bias(2 * s)
    spread = 1 + s**2 - m**2
    parallel = rate / 4 * spread * (1 + 1 / (1 - 2 * f * m))
    transverse = rate / 4 * (d - 1) * (1 + 1 / (1 - 2 * f / m))
    shift = rate * f / 4 * (spread / (1 - 2 * f * m) - (d - 1) / (m**2 * (1 - 2 * f / m)))
    bias = lloyd_bias(separation)
    error_sq = (bias + shift) ** 2 + parallel + transverse
    return PairLaw(bias * sigma, shift * sigma, parallel * sigma**2, transverse * sigma**2, error_sq * sigma**2)
