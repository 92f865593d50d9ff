"""Trimmed Lloyd: a sample moves its nearest centre, unless it is farther from it than `reach` standard deviations.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta (x - mu_j)   if |x - mu_j|^2 <= reach^2 sigma_j^2 d

One file is a streaming algorithm: a step, the same step with every label known, what the step is told, and the record
that `study.toml` names. Arrays have the runs last; a step treats every run apart and every coordinate alike.
"""

import numpy as np

from jgmm.algorithms.lloyd import flags, nearest, pulled, squared_distances
from jgmm.contract import Algorithm


def step(state, sample, params, move):
    """Take in one sample."""
    won = nearest(state.origin, state.offset, sample.x)
    return pulled(state, sample.x[None], within(won, state, sample, params), move)


def labelled_step(state, sample, params, move):
    """Take in one sample whose component is known."""
    won = flags(len(state.offset), sample.label)
    return pulled(state, sample.x[None], within(won, state, sample, params), move)


def within(won, state, sample, params):
    """The flags that are set, but those of centres too far from the sample."""
    distances = squared_distances(state.origin, state.offset, sample.x)
    return won & (distances <= params["limit"])


def params(mixture, component, numbers):
    """limit: reach^2 sigma_i^2 d of each component, (k, runs)."""
    scales = np.asarray(mixture.scales, np.float64)
    limit = numbers["reach"][None] ** 2 * scales**2 * mixture.means.shape[1]
    return {"limit": limit.astype(mixture.means.dtype)}


TRIMMED = Algorithm(
    step,
    words="trimmed Lloyd: each sample moves the nearest centre, unless it is far from it",
    twin=labelled_step,
    params=params,
    numbers=(("reach", 2.0),),
)
