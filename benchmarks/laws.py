r"""What the squared error of a stream must be: no contender is timed for work that it did not do.

The components lie so far apart that every sample moves its own component's centre, from the true mean on. A centre that
has taken N samples in has the error V(N) chi^2_d sigma^2, with

    V(N) = eta / (2 - eta) (1 - (1 - eta)^(2 N))     at a constant rate eta
    V(N) = N / (N + 1)^2                             at the rate 1 / (N + 1), the mean counted as a sample

and N is binomial, n samples of probability w. With n the first tends to the stationary law eta / (2 - eta) d sigma^2; a
short call is checked against its own n all the same. The variance of a run's error is at most the sum over the
centres of 2 d E V^2 + d^2 Var V (the N of two centres are negatively associated).
"""

import numpy as np
from scipy import stats

RARE = 1e-6  # a right contender is called wrong as rarely as this


def constant_rate(rate):
    """V at a constant rate."""
    return lambda count: rate / (2 - rate) * (1 - (1 - rate) ** (2 * count))


def running_mean(count):
    """V at the rate 1 / (N + 1)."""
    return count / (count + 1) ** 2


def error_over_law(name, centres, means, *, factor, weights, n, scale=1.0, d=None):
    """Mean squared error of centres (runs, k, d) after n samples a run, over its law, V being `factor`.

    d: the dimensions, where the centres have other coordinates. Raises RuntimeError if it is further from 1 than a
    tenth, and than chance takes it.
    """
    runs, d = len(centres), d or centres.shape[-1]
    mean, variance = 0.0, 0.0
    for weight in weights:
        first, second = _moments(factor, weight, n)
        mean += d * first
        variance += 2 * d * second + d**2 * (second - first**2)
    ratio = float(np.sum((centres - means[None]) ** 2, axis=(1, 2), dtype=np.float64).mean() / scale**2 / mean)
    freedom = 2 * runs * mean**2 / variance  # of the chi-square with this mean and variance
    low, high = stats.chi2.ppf(RARE, freedom) / freedom, stats.chi2.isf(RARE, freedom) / freedom
    low, high = min(0.9, low), max(1.1, high)
    if not low <= ratio <= high:
        raise RuntimeError(f"{name}: mean squared error / law is {ratio:.3f}, expected {low:.3f} to {high:.3f}")
    return ratio


def _moments(factor, weight, n):
    """E V and E V^2."""
    width = 12 * np.sqrt(n * weight * (1 - weight)) + 12
    count = np.arange(max(0, int(n * weight - width)), min(n, int(n * weight + width)) + 1)
    chance = stats.binom.pmf(count, n, weight)
    return chance @ factor(count), chance @ factor(count) ** 2
