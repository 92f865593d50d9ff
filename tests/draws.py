"""Errors drawn from laws whose means are known, and how near a coverage is to its level."""

import numpy as np


def correlated_runs(rng, means, runs, cv=0.3):
    """Runs (means, runs) with these means, correlated between cells as common random numbers make them."""
    shape = 1 / cv**2
    shared = rng.gamma(shape, 1 / shape, runs)
    own = rng.gamma(shape, 1 / shape, (len(means), runs))
    return means[:, None] * (0.5 * shared[None] + 0.5 * own)


def squared_errors(rng, law, runs, *, shared=False):
    """Gamma runs with coefficient of variation 1/2; of many runs, 400 means of equally many, which have a gamma law.

    Shared: half of the variance is common to the cells of a run.
    """
    batch = max(1, runs // 400)
    size = len(law), runs // batch
    if not shared:
        return law[:, None] * rng.gamma(4 * batch, 1, size) / (4 * batch)
    return law[:, None] * (rng.gamma(2 * batch, 1, size) + rng.gamma(2 * batch, 1, size[1])) / (4 * batch)


def within_binomial(hits, expected=0.95, *, c=3.0, slack=0.0):
    """Whether a coverage is within c binomial standard errors of what is expected, and some slack."""
    return abs(np.mean(hits) - expected) <= c * np.sqrt(expected * (1 - expected) / len(hits)) + slack
