r"""The uncertainty of the mean of a few skewed errors.

A squared error is a sum of squares of (nearly) Gaussian coordinates. Its law is about a gamma law of some shape kappa,
with the coefficient of variation 1/sqrt(kappa) and the skewness 2/sqrt(kappa). Student's t assumes a normal law: a test
at 2.5 % of 22 true laws of chi^2_4 errors contradicts one or more of them in 15 % of studies of 8 runs.

If kappa were known, the mean m of n gamma variables v_r would give an exact test of their expectation mu (Lukacs 1955):

    m / mu ~ Gamma(n kappa) / (n kappa),      independent of v_r / m, and so of every estimate of kappa.

Kappa is estimated twice, and the smaller estimate is used:

    log kappa - psi(kappa) = n/(n-1) (log m - mean log v)      maximum likelihood, nearly unbiased by the n/(n-1)
    kappa = m^2/s^2 - 1/n                                      moments

The first is sensitive to values much smaller than a gamma law's, the second to values much larger. The uncertainty of
kappa is that of a chi-square variable of nu degrees of freedom over nu, as Student's t has it for the variance. nu is

    2 (n-1) kappa^2 (psi'(kappa) - 1/kappa)   for the first,      (n-1) kappa / (1 + kappa)   for the second.

If the skewness g of the values exceeds a gamma law's, the excess max(0, g - 2 s/m) widens the interval as in `student`.

A long tail need not show in few runs. So a test (`cautious_shape`) also considers a lognormal law: it uses that law's
coefficient of variation and skewness where they are larger. It does not if the gamma law's likelihood is more than e^2
times the lognormal law's. Measured levels and coverage: benchmarks/coverage.py.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from .student import widening

ROUNDING = 1e-5  # the least relative spread of a run: errors that agree exactly still carry float32's rounding
FORBIDDEN = 2.0  # log of the likelihood ratio by which a gamma law excludes a lognormal one
Z = np.linspace(-6, 6, 25)  # of the quadrature over kappa's uncertainty: the trapezoid converges exponentially
WEIGHTS = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()
CHANCES = special.ndtr(Z)


class Shape(NamedTuple):
    """The laws that samples (..., runs) are taken to have; every array has the shape (...)."""

    mean: np.ndarray
    kappa: np.ndarray  # of the gamma law
    freedom: np.ndarray  # nu, the degrees of freedom of the estimate of kappa
    excess: np.ndarray  # skewness beyond the gamma law's
    runs: int


def shape(values: np.ndarray) -> Shape:
    """The gamma law of values (..., runs), all above 0, of two runs or more."""
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    relative = values / mean[..., None]
    variance = np.maximum(relative.var(axis=-1, ddof=1), ROUNDING**2)
    skewness = ((relative - 1) ** 3).mean(axis=-1) / variance**1.5
    small = _most_likely(np.log(relative))
    large = np.maximum(1 / variance - 1 / n, 1 / n)  # s^2 / m^2 is at most n, for one run that is not 0
    # psi'(x) - 1/x = 1/(2 x^2) for large x, where the difference would cancel.
    information = np.where(small > 1e4, 0.5, small**2 * (special.zeta(2, small) - 1 / small))
    first = small < large
    kappa = np.where(first, small, large)
    freedom = (n - 1) * np.where(first, 2 * information, large / (1 + large))
    return Shape(mean, kappa, freedom, np.maximum(skewness - 2 * np.sqrt(variance), 0), n)


def cautious_shape(values: np.ndarray) -> Shape:
    """As `shape`, but with a lognormal law's spread and skewness where these are larger and the runs allow that law."""
    gamma = shape(values)
    n = gamma.runs
    logs = np.log(values / gamma.mean[..., None])
    kappa = _most_likely(logs)
    spread = np.maximum(logs.var(axis=-1, ddof=1), ROUNDING**2)
    mean_log = logs.mean(axis=-1)
    gamma_likelihood = kappa * np.log(kappa) - special.gammaln(kappa) + kappa * mean_log - kappa
    lognormal_likelihood = -(np.log(2 * np.pi * spread * (n - 1) / n) + 1) / 2
    possible = n * (lognormal_likelihood - gamma_likelihood) > -FORBIDDEN
    squared = np.expm1(np.minimum(spread, 20))  # of the lognormal law's coefficient of variation
    skewness = (squared + 1) * np.sqrt(squared)
    return gamma._replace(
        kappa=np.where(possible, np.minimum(gamma.kappa, 1 / squared), gamma.kappa),
        excess=np.where(possible, np.maximum(gamma.excess, skewness), gamma.excess),
    )


def _most_likely(logs: np.ndarray) -> np.ndarray:
    """The kappa with log kappa - psi(kappa) = n/(n-1) times the mean of -log(v/m); logs: log(v/m).

    Minka's start (2002) is within 1.5 %, two Newton steps later it is within 1e-8.
    """
    n = logs.shape[-1]
    gap = np.maximum(-logs.mean(axis=-1) * n / (n - 1), ROUNDING**2 / 2)
    kappa = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(2):
        slope = 1 / kappa - special.zeta(2, kappa)
        step = (np.log(kappa) - special.digamma(kappa) - gap) / slope
        kappa = np.where(kappa > 1e4, kappa, kappa - step)  # beyond, the start is right to 1e-4 and the step cancels
    return kappa


def tails(sample: Shape, low: np.ndarray, high: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """The chances of a mean as low as the sample's if the true mean is `low`, and as high if it is `high`.

    A test compares them with `tail`, for which the sample's skewness widens them.
    """
    wider = widening(sample.excess, sample.runs, tail)
    half = sample.freedom[..., None] / 2
    share = special.gammaincinv(half, CHANCES) / half
    a = np.maximum(sample.runs * (sample.kappa / wider**2)[..., None] * share, 1e-300)
    below = special.gammainc(a, a * (sample.mean / low)[..., None]) @ WEIGHTS
    # P(Gamma(a)/a > u) falls again where a is small, since nearly all its mass is at 0; greatest near a u = 0.43.
    u = (sample.mean / high)[..., None]
    b = np.maximum(a, 0.43 / u)
    above = special.gammaincc(b, b * u) @ WEIGHTS
    return below, above


def limits(sample: Shape, tail: float) -> tuple[float, float]:
    """The least and the greatest mean that `tails` does not reject at `tail`, for one sample.

    0 or inf if no mean within 100 units of the logarithm is rejected.
    """
    return _limit(sample, tail, above=1), _limit(sample, tail, above=0)


def _limit(sample: Shape, tail: float, above: int) -> float:
    """One limit: the lower one if `above` is 1, where the sample's mean is just not too high; else the upper one."""

    def beyond(log_ratio: float) -> float:
        mean = sample.mean * np.exp(log_ratio)
        return float(np.log(max(float(tails(sample, mean, mean, tail)[above]), 1e-300) / tail))

    direction = -1.0 if above else 1.0
    far = direction * min(1.0, 8 * ROUNDING + 8 / np.sqrt(sample.runs * float(sample.kappa)))
    while beyond(far) > 0 and abs(far) < 100:
        far *= 2
    if abs(far) >= 100:
        return 0.0 if above else float("inf")
    return float(sample.mean * np.exp(optimize.brentq(beyond, 0.0, far, xtol=1e-9)))
