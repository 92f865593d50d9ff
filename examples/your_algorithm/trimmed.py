"""Trimmed Lloyd: a sample moves its nearest centre, unless it is far from it.

    j = argmin_i |x - mu_i|,      mu_j <- mu_j + eta (x - mu_j)   if |x - mu_j|^2 <= reach^2 sigma_j^2 d

This file is a whole streaming algorithm: its step, what the step is told, and the record that `study.toml` names.
Arrays have the runs last; a step treats every run apart and every coordinate alike.
"""

import numpy as np

from jgmm.algorithms.lloyd import labelled_step, nearest, pulled, squared_distances
from jgmm.contract import Algorithm
from jgmm.theory import twins


def step(state, sample, params, move):
    """Take in one sample."""
    near = squared_distances(state.origin, state.offset, sample.x) <= params["limit"]
    won = nearest(state.origin, state.offset, sample.x) & near
    return pulled(state, sample.x[None], won, move)


def params(mixture, component, numbers):
    """limit: reach^2 sigma_i^2 d of each component, (k, runs)."""
    limit = numbers["reach"][None] ** 2 * np.square(mixture.scales, dtype=float) * mixture.means.shape[1]
    return {"limit": limit.astype(mixture.means.dtype)}


TRIMMED = Algorithm(
    step,
    words="trimmed Lloyd: each sample moves the nearest centre, unless it is far from it",
    params=params,
    numbers=(("reach", 2.0),),  # axes of a study, with their defaults
    # The twin, a control variate whose mean is known exactly: Lloyd told every label, which leaves no sample out.
    twin=labelled_step,
    twin_law=twins.each_its_own,
    bounded=True,  # a sample that lies far from every centre moves none: errors have a variance under any noise
)
