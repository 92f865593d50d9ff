r"""The error of a start by Algorithm 2: a power iteration by blocks, and a mean of the graph points of each component.

See docs/theory.md, "The start by Algorithm 2".
"""

import numpy as np
from scipy import stats

from jgmm.theory.check import check


def seeding_error_sq(means, weights, *, sigma, block, graph_points):
    """E|mu_i^0 - mu_i*|^2 = sigma^2 ((d - k) l_i / B + k E(1/n_i)) of each centre, given the right components.

    l_i = mu_i^T (sum_j w_j mu_j mu_j^T + sigma^2 I)^-1 mu_i (1/w_i at high signal), n_i the component's graph points,
    Binomial(graph_points, w_i) given n_i >= 1. For d < k the projection loses nothing: 0 for d - k, and d for k.
    """
    means, weights = np.asarray(means, float), np.asarray(weights, float)
    check(sigma=sigma, block=block, graph_points=graph_points)
    k, d = means.shape
    moment = (means.T * weights) @ means + sigma**2 * np.eye(d)
    leverage = np.einsum("id,de,ie->i", means, np.linalg.inv(moment), means)
    lost, kept = max(d - k, 0), min(d, k)
    return sigma**2 * (lost * leverage / block + kept * _mean_inverse_count(graph_points, weights))


def lost_component_probability(k, *, block):
    """k (1 - 1/k)^B, capped at 1: a component is absent from the last block of the power iteration (union bound)."""
    check(k=k, block=block)
    return np.minimum(1.0, k * (1 - 1 / np.asarray(k, float)) ** block)


def _mean_inverse_count(total, weights):
    """E(1/n), n ~ Binomial(total, w), given n >= 1."""
    counts = np.arange(1, int(total) + 1)
    chances = stats.binom.pmf(counts[None], int(total), np.asarray(weights)[:, None])
    return (chances / counts).sum(axis=1) / chances.sum(axis=1)
