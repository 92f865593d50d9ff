r"""The error of a start by Algorithm 2: a block power iteration, then the mean of each component's graph points.

See docs/theory.md, "The start by Algorithm 2".
"""

import numpy as np
from scipy import stats

from jgmm.theory.check import check


def seeding_error_sq(means, weights, *, sigma, block, graph_points, d=None):
    """E|mu_i^0 - mu_i*|^2 = sigma^2 ((d - k) l_i / B + k E(1/n_i)) of each centre, given that the graph is right.

    l_i = mu_i^T (sum_j w_j mu_j mu_j^T + sigma^2 I)^-1 mu_i, which is 1/w_i at high signal. n_i is the number of the
    component's graph points: Binomial(graph_points, w_i), given n_i >= 1. For d < k the projection loses nothing, so
    d - k is replaced by 0, and k by d. d: the dimension, where the means are 0 in further coordinates; None: they are
    not.
    """
    means, weights = np.asarray(means, float), np.asarray(weights, float)
    k, coordinates = means.shape
    d = coordinates if d is None else d
    check(sigma=sigma, block=block, graph_points=graph_points, d=d)
    moment = (means.T * weights) @ means + sigma**2 * np.eye(coordinates)
    leverage = np.einsum("id,de,ie->i", means, np.linalg.inv(moment), means)
    lost, kept = max(d - k, 0), min(d, k)
    return sigma**2 * (lost * leverage / block + kept * _mean_inverse_count(graph_points, weights))


def lost_component_probability(k, *, block):
    """min(1, k (1 - 1/k)^B): the union bound on the chance that the last block has no sample of some component."""
    check(k=k, block=block)
    return np.minimum(1.0, k * (1 - 1 / np.asarray(k, float)) ** block)


def _mean_inverse_count(total, weights):
    """E(1/n | n >= 1) for n ~ Binomial(total, w)."""
    counts = np.arange(1, int(total) + 1)
    chances = stats.binom.pmf(counts[None], int(total), np.asarray(weights)[:, None])
    return (chances / counts).sum(axis=1) / chances.sum(axis=1)
