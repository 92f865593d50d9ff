r"""Streaming EM on a symmetric pair: Fisher information of the mean, and fixed points of updates of any sharpness.

Symbols: C separation, s = C/2, eta the rate, beta the sharpness of the updates (1 is EM), I_par and I_perp the Fisher
information along the separation and across it. See docs/theory.md, "Streaming EM", "Information" and "Updates sharper
or blunter than EM's".
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from jgmm.theory import gaussian
from jgmm.theory.check import check
from jgmm.theory.gaussian import grid, sech_sq


class EMInformation(NamedTuple):
    """Fisher information of mu in units of 1/sigma^2, along the separation and across it."""

    parallel: np.ndarray
    perpendicular: np.ndarray


def em_information(separation):
    """I_perp = E tanh(s x), I_par = 1 - E x^2 sech^2(s x), x ~ N(s, 1)."""

    def parallel(s):
        return 1 - gaussian.mean(lambda x: x**2 * sech_sq(s * x), s)

    def perpendicular(s):
        return gaussian.mean(lambda x: np.tanh(s * x), s)

    check(separation=separation)
    s = np.asarray(separation, float) / 2
    return EMInformation(np.vectorize(parallel, otypes=[float])(s), np.vectorize(perpendicular, otypes=[float])(s))


def em_stationary_sq(*, rate, sigma, d, k=1):
    """E sum |mu_i - mu_i*|^2 = k (eta/2) sigma^2 d once k means have settled, to first order in eta, at any separation.

    It holds for the one mean of a symmetric pair (k = 1), and for soft updates with beta = 1 on any mixture. An update
    is eta sigma^2 times the score, so drift and noise are both the Fisher information (the information identity). The
    Lyapunov equation then gives the covariance (eta/2) sigma^2 I.
    """
    check(rate=rate, sigma=sigma, d=d, k=k)
    return k * rate / 2 * sigma**2 * d


LEAST_D = 3  # dimensions up to which balanced EM on one Gaussian settles at 0


def em_overspecified_sq(*, rate, sigma, d):
    """E|mu|^2 = eta (d - 3)/2 sigma^2 of balanced EM on one Gaussian once it has settled, to first order in eta; d > 3.

    |mu|^2/sigma^2 then has the law Gamma((d - 3)/4, scale 2 eta), `em_overspecified_law`. For d <= 3 noise drives mu
    into 0, where it stays, and the mean is 0. The next order was measured: 0.7 eta of the mean, at d of 10 to 40. See
    docs/theory.md, "EM with a component too many".
    """
    check(rate=rate, sigma=sigma, d=d)
    return rate * np.maximum(np.asarray(d) - LEAST_D, 0) / 2 * sigma**2


def em_overspecified_law(*, rate, sigma, d):
    """The law of |mu|^2 of which `em_overspecified_sq` is the mean, as SciPy has it. Raises ValueError for d <= 3."""
    check(rate=rate, sigma=sigma, d=d)
    if not np.all(np.asarray(d) > LEAST_D):
        raise ValueError(f"d is {d}, expected more than {LEAST_D}: with fewer, the settled estimate is 0")
    return stats.gamma((np.asarray(d) - LEAST_D) / 4, scale=2 * rate * sigma**2)


def overspecified_gap(*, rate, d):
    """How fast balanced EM on one Gaussian forgets where it was, a sample: eta^2 (d - 3) min(1, (d - 3)/16).

    The second is the edge of the spectrum of ln|mu|^2, whose drift is eta^2 (d - 3) below its mean and whose variance
    grows by 8 eta^2 a sample; the first the linear decay about the mean.
    """
    return rate**2 * (d - LEAST_D) * min(1.0, (d - LEAST_D) / 16)


def em_fixed_point_bias(separation, *, beta, sigma=1.0):
    """m - s for the stable root m >= 0 of m = E[x tanh(beta m x)], x ~ N(s, 1); C = separation = 2s.

    It is 0 for beta = 1, near b(C) for beta = 2, and b(C) in the limit of large beta. For beta (1 + s^2) <= 1 it is -s:
    both centres are in one place. Raises ValueError for beta > 1e4.
    """
    check(separation=separation, sigma=sigma, beta=beta)
    if not beta <= 1e4:
        raise ValueError(f"beta is {beta}, expected at most 1e4")

    def one(c):
        s = c / 2
        if beta * (1 + s**2) <= 1:
            return -s
        if beta == 1:
            return 0.0
        x, weights = grid(s, beta * (s + 2))

        def gap(bias):  # E[x tanh(beta m x)] - m, without the cancellation of E x and s
            m = s + bias
            return -weights @ (x * 2 / (1 + np.exp(np.clip(2 * beta * m * x, -700, 700)))) - bias

        low = s * 1e-9 - s if beta < 1 else -s / 2 if s > 0 else 1e-3
        return optimize.brentq(gap, low, 2, xtol=1e-15, rtol=1e-14)

    return sigma * np.vectorize(one, otypes=[float])(separation)


def cramer_rao(*, n, separation, sigma, d, free):
    """The least squared error of unbiased estimates of a balanced pair from n unlabelled samples (Cramer, Rao).

    free = 1, for the one mean of a pair known to be symmetric:    sigma^2/n (1/I_par + (d-1)/I_perp)
    free = 2, for two free means, summed over both:
                                2 sigma^2/n (1/I_par + (d-1)/I_perp + 1/(1 - s^2 (1 - I_perp)) + d - 1)

    Raises ValueError for separation 0, where there is no information.
    """
    check(n=n, separation=separation, sigma=sigma, d=d)
    if free not in (1, 2):
        raise ValueError(f"free is {free}, expected 1 or 2 means")
    if not np.all(np.asarray(separation) > 0):
        raise ValueError(f"separation is {separation}, expected a positive number")
    parallel, perpendicular = em_information(separation)
    alone = 1 / parallel + (d - 1) / perpendicular
    if free == 1:
        return sigma**2 / n * alone
    shift = 1 / (1 - (np.asarray(separation, float) / 2) ** 2 * (1 - perpendicular))
    return 2 * sigma**2 / n * (alone + shift + d - 1)
