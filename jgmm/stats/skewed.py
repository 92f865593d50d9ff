r"""How sure is the mean of a few skewed errors?

A squared error is a sum of squares of (nearly) Gaussian coordinates, so a gamma law of some shape kappa: coefficient of
variation 1/sqrt(kappa), skewness 2/sqrt(kappa). Student's t takes it for normal: of 22 true laws of chi^2_4 errors it
contradicts one or more in 15 % of the studies of 8 runs that should do so in 2.5 %.

With m the mean of n gamma runs of mean mu, two facts (Lukacs 1955) make an exact test of mu, were kappa known:

    m / mu ~ Gamma(n kappa) / (n kappa),      independent of v_r / m, and so of every estimate of kappa.

Kappa is estimated twice, once from the small runs and once from the large ones,

    log kappa - psi(kappa) = n/(n-1) (log m - mean log v)      maximum likelihood, nearly unbiased by the n/(n-1),
    kappa = m^2/s^2 - 1/n                                      moments,

and the lesser counts: errors with a longer tail than a gamma law's show it in the second, small ones in the first. Its
own uncertainty is taken for that of a chi-square of nu degrees of freedom over nu, as the variance's is in Student's t:

    nu = 2 (n-1) kappa^2 (psi'(kappa) - 1/kappa),      nu = (n-1) kappa / (1 + kappa).

Runs whose skewness g exceeds a gamma law's by e = max(0, g - 2 s/m) widen the interval by the first term of the
studentised mean's Edgeworth series (Hall 1992, section 2.6), z being the normal quantile of the tail:

    1 + e (2 z^2 + 1) / (6 z sqrt(n)).

A long tail need not show in few runs. So a test (`shape(cautious=True)`) of runs whose logarithms do not forbid a
lognormal law, by a likelihood below e^-2 of the gamma law's, takes that law's coefficient of variation and skewness
where they are larger. Measured levels and coverage: benchmarks/coverage.py.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

ROUNDING = 1e-5  # the least relative spread of a run: errors that agree exactly still carry float32's rounding
FORBIDDEN = 2.0  # log of the likelihood ratio by which a gamma law excludes a lognormal one
Z = np.linspace(-6, 6, 25)  # of the quadrature over kappa's uncertainty: the trapezoid converges exponentially
WEIGHTS = np.exp(-(Z**2) / 2) / np.exp(-(Z**2) / 2).sum()
CHANCES = special.ndtr(Z)


class Shape(NamedTuple):
    """Of samples, (...): their means, gamma shapes, the degrees of freedom of these, skewness beyond gamma's."""

    mean: np.ndarray
    kappa: np.ndarray
    freedom: np.ndarray
    excess: np.ndarray
    runs: int


def shape(values: np.ndarray, cautious: bool = False) -> Shape:
    """Of values (..., runs), all above 0, two runs or more; cautious: a lognormal law is reckoned with."""
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    relative = values / mean[..., None]
    logs = np.log(relative)
    variance = np.maximum(relative.var(axis=-1, ddof=1), ROUNDING**2)
    skewness = ((relative - 1) ** 3).mean(axis=-1) / variance**1.5
    small = _likelihood(np.maximum(-logs.mean(axis=-1) * n / (n - 1), ROUNDING**2 / 2))
    large = np.maximum(1 / variance - 1 / n, 1 / n)  # s^2 / m^2 is at most n, for one run that is not 0
    # psi'(x) - 1/x = 1/(2 x^2) for large x, where the difference would cancel.
    information = np.where(small > 1e4, 0.5, small**2 * (special.zeta(2, small) - 1 / small))
    first = small < large
    kappa = np.where(first, small, large)
    freedom = (n - 1) * np.where(first, 2 * information, large / (1 + large))
    excess = np.maximum(skewness - 2 * np.sqrt(variance), 0)
    if cautious:
        spread = np.maximum(logs.var(axis=-1, ddof=1), ROUNDING**2)
        gamma = small * np.log(small) - special.gammaln(small) + small * logs.mean(axis=-1) - small
        lognormal = -(np.log(2 * np.pi * spread * (n - 1) / n) + 1) / 2
        open_ = n * (lognormal - gamma) > -FORBIDDEN
        squared = np.expm1(np.minimum(spread, 20))  # of the coefficient of variation
        kappa = np.where(open_, np.minimum(kappa, 1 / squared), kappa)
        excess = np.where(open_, np.maximum(excess, (squared + 1) * np.sqrt(squared)), excess)
    return Shape(mean, kappa, freedom, excess, n)


def _likelihood(gap: np.ndarray) -> np.ndarray:
    """The kappa with log kappa - psi(kappa) = gap: Minka's start (2002) is within 1.5 %, two Newton steps in 1e-8."""
    kappa = (3 - gap + np.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(2):
        slope = 1 / kappa - special.zeta(2, kappa)
        step = (np.log(kappa) - special.digamma(kappa) - gap) / slope
        kappa = np.where(kappa > 1e4, kappa, kappa - step)  # beyond, the start is right to 1e-4 and the step cancels
    return kappa


def tails(found: Shape, low: np.ndarray, high: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Chances of a mean as low as found if the true one is `low` or more, and as high if it is `high` or less.

    Compared with `tail` they make a test of that level: the widening for skewness is made for it.
    """
    z = -special.ndtri(tail)
    wider = 1 + found.excess * (2 * z**2 + 1) / (6 * z * np.sqrt(found.runs))
    half = found.freedom[..., None] / 2
    share = special.gammaincinv(half, CHANCES) / half
    a = np.maximum(found.runs * (found.kappa / wider**2)[..., None] * share, 1e-300)
    below = special.gammainc(a, a * (found.mean / low)[..., None]) @ WEIGHTS
    # P(Gamma(a)/a > u) falls again where a is small, since nearly all its mass is at 0; greatest near a u = 0.43.
    u = (found.mean / high)[..., None]
    b = np.maximum(a, 0.43 / u)
    above = special.gammaincc(b, b * u) @ WEIGHTS
    return below, above


def limits(found: Shape, tail: float) -> tuple[float, float]:
    """The least and the greatest mean that `tails` does not reject at `tail`, for one sample; inf: any may be."""

    def reach(side: int) -> float:
        def beyond(log_ratio: float) -> float:
            mean = found.mean * np.exp(log_ratio)
            return float(np.log(max(float(tails(found, mean, mean, tail)[side]), 1e-300) / tail))

        far = (1.0, -1.0)[side] * min(1.0, 8 * ROUNDING + 8 / np.sqrt(found.runs * float(found.kappa)))
        while beyond(far) > 0 and abs(far) < 100:
            far *= 2
        if abs(far) >= 100:
            return float("inf") if side == 0 else 0.0
        return float(found.mean * np.exp(optimize.brentq(beyond, 0.0, far, xtol=1e-9)))

    return reach(1), reach(0)
