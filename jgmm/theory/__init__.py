r"""What theorems state and what is exactly true: bounds and laws, in float64, without JAX.

Bounds are those of Raghunathan, Jain and Krishnaswamy, "Learning Mixture of Gaussians with Streaming Data" (NeurIPS
2017), as transcribed at second hand; their hidden constants are arguments, 1 by default. Laws are derived for this
project (by hand, checked by quadrature or simulation). All logarithms are natural. Symbols:

    C separation = min |mu_i - mu_j| / sigma,   eta rate,   w weight of a component,   sigma standard deviation,
    s = C/2,   phi and Q the normal density and upper tail,   samples t,   horizon n

Lengths (means, errors, sigma) share one unit, their squares its square; C, eta, w and probabilities are pure numbers.
Arguments broadcast. Functions raise ValueError for a rate outside (0, 1), a negative separation, k < 1, and for n, d,
sigma, or another size that is not positive.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import integrate, optimize, special, stats


class PairLaw(NamedTuple):
    """Stationary law of one centre of streaming Lloyd on a symmetric pair."""

    bias: np.ndarray  # outward, of the fixed point
    shift: np.ndarray  # of the mean from the fixed point, of order eta
    variance_parallel: np.ndarray
    variance_transverse: np.ndarray  # summed over the d - 1 directions
    error_sq: np.ndarray


class Mode(NamedTuple):
    """A direction in which estimates of a symmetric pair move, about their fixed point, in units of sigma.

    A sample moves its mean by -eta w J times where it is, and its noise is that of a labelled centre times V.
    """

    relaxation: float  # J
    noise: float  # V
    pull: float  # of the mean along the separation, per unit of this mode's variance


class PairModes(NamedTuple):
    """The linear theory of a symmetric pair: half the difference of its centres, and half their sum (the shift)."""

    bias: float  # of the fixed point, outward
    parallel: Mode
    across: Mode  # each of the d - 1 directions: the boundary turns
    shift: Mode  # along the separation; across it, centres that shift together relax as labelled ones do


class EMInformation(NamedTuple):
    """Fisher information of mu in units of 1/sigma^2, along the separation and across it."""

    parallel: np.ndarray
    perpendicular: np.ndarray


# --- bounds ---


def theorem1_bound(*, n, k, d, sigma, separation, mean_norm, bias_exponent=1.0, bias_constant=1.0, constant=1.0):
    """E sum_i |mu_i^N - mu_i*|^2 <= max|mu*|^2 / N^a + O(k^3) (sigma^2 d ln N / N + exp(-C^2/8) (C^2 + k) sigma^2).

    mean_norm is max|mu*|. Theorem 1, second hand; the exponent a and both constants are hidden in the paper.
    """
    _check(n=n, k=k, d=d, sigma=sigma, separation=separation)
    noise = sigma**2 * d * np.log(n) / n
    floor = np.exp(-(separation**2) / 8) * (separation**2 + k) * sigma**2
    return bias_constant * mean_norm**2 / n**bias_exponent + constant * k**3 * (noise + floor)


def theorem2_bound(**arguments):
    """Theorem 2: Theorem 1's bound (same arguments) for the streaming phase alone, from a start within C sigma/20."""
    return theorem1_bound(**arguments)


def theorem1_separation(k, *, constant=1.0):
    """(k ln k)^(1/4): the separation that Theorems 1 and 3 ask for, second hand; its constant is hidden."""
    _check(k=k)
    return constant * (k * np.log(k)) ** 0.25


def theorem2_separation(k, *, constant=1.0):
    """sqrt(ln k): the separation that Theorem 2 asks for, second hand; its constant is hidden."""
    _check(k=k)
    return constant * np.sqrt(np.log(k))


def theorem3_bound(*, separation, sigma):
    """max_i |mu_i^0 - mu_i*| <= C sigma / 20 with probability 1 - 1/poly(k). Theorem 3, second hand."""
    _check(sigma=sigma, separation=separation)
    return separation * sigma / 20


def theorem7_bound(*, n, d, sigma, mean_norm, bias_exponent=1.0, bias_constant=1.0, constant=1.0):
    """E|mu^N - mu*|^2 <= |mu*|^2 / N^a + O(1) (ln N / N) d sigma^2. Theorem 7 (C >= 4), second hand."""
    _check(n=n, d=d, sigma=sigma)
    return bias_constant * mean_norm**2 / n**bias_exponent + constant * d * sigma**2 * np.log(n) / n


def seed_theorem1_curve(*, n, k, d, sigma, separation, mean_norm):
    """Theorem 1 as the seed document typed it: max|mu|/N, not squared, and k^3 on the variance alone."""
    _check(n=n, k=k, d=d, sigma=sigma, separation=separation)
    floor = np.exp(-(separation**2) / 8) * (separation**2 + k) * sigma**2
    return mean_norm / n + k**3 * sigma**2 * d * np.log(n) / n + floor


def seed_theorem7_curve(*, n, d, sigma, mean_norm):
    """Theorem 7 as the seed document typed it: |mu|/N, not squared."""
    _check(n=n, d=d, sigma=sigma)
    return mean_norm / n + np.log(n) / n * d * sigma**2


# --- streaming Lloyd, well separated (no sample misassigned): exact ---


def contraction(*, rate, weight):
    """q = 1 - w eta (2 - eta): the factor of |e|^2's transient per sample."""
    _check(rate=rate, weight=weight)
    return 1 - weight * rate * (2 - rate)


def lloyd_error_sq(*, samples, rate, weight, sigma, d, start_sq):
    """(S1) E|e_t|^2 = q^t |e_0|^2 + (1 - q^t) eta sigma^2 d / (2 - eta), for one centre."""
    remaining = contraction(rate=rate, weight=weight) ** samples
    return remaining * start_sq + (1 - remaining) * stationary_sq(rate=rate, sigma=sigma, d=d)


def stationary_sq(*, rate, sigma, d):
    """E|e|^2 = eta sigma^2 d / (2 - eta) of one centre, whatever its weight."""
    _check(rate=rate, sigma=sigma, d=d)
    return rate / (2 - rate) * sigma**2 * d


def stationary_distance(*, rate, sigma, d):
    """(S2) E|e| = sigma sqrt(eta/(2 - eta)) sqrt(2) Gamma((d+1)/2) / Gamma(d/2) of one centre."""
    _check(rate=rate, sigma=sigma, d=d)
    return sigma * np.sqrt(2 * rate / (2 - rate)) * np.exp(special.gammaln((d + 1) / 2) - special.gammaln(d / 2))


def centre_given_count_variance(*, count, rate, sigma):
    """Variance per coordinate of a centre after `count` samples of its own; its mean is (1 - eta)^count e_0."""
    _check(rate=rate, sigma=sigma)
    return sigma**2 * rate / (2 - rate) * (1 - (1 - rate) ** (2 * count))


def averaged_sq(*, rate, weight, sigma, d, window):
    """E|average of `window` stationary iterates|^2 = sigma^2 d (2 - w eta) / (w window (2 - eta)), for long windows."""
    _check(rate=rate, weight=weight, sigma=sigma, d=d, window=window)
    return sigma**2 * d / (weight * window) * (2 - weight * rate) / (2 - rate)


def oracle_sq(*, n, weight, sigma, d):
    """Mean of a component's own samples: sigma^2 d E(1/n_i), to second order sigma^2 d / (N w) (1 + (1-w)/(N w))."""
    _check(n=n, weight=weight, sigma=sigma, d=d)
    return sigma**2 * d / (n * weight) * (1 + (1 - weight) / (n * weight))


# --- streaming Lloyd, any separation ---


def lloyd_bias(separation, *, sigma=1.0):
    """b(C) = sigma (2 phi(C/2) - C Q(C/2)): the fixed points of a symmetric pair lie this far outside the means."""
    _check(separation=separation, sigma=sigma)
    c = np.asarray(separation, float)
    return sigma * (2 * stats.norm.pdf(c / 2) - c * stats.norm.sf(c / 2))


def simplex_displacement(k, separation, *, sigma=1.0):
    """delta_k(C): outward displacement of the fixed points of a regular simplex with equal weights.

    sigma sqrt(k/(k-1)) times the integral over u > C/sqrt(2) of 1 - E_g Phi(g + u)^(k-1), g standard normal.
    """
    _check(separation=separation, sigma=sigma)
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
    """Where Lloyd's centres of a pair at +-C/2 settle for any weights, shape (2,), along the separation: exact.

    m_1 = E(x | x > t), m_2 = E(x | x < t), t = (m_1 + m_2)/2, x ~ w_1 N(s, 1) + w_2 N(-s, 1). These equations may have
    several roots. The one meant is where t -> (m_1 + m_2)/2 leads from the truth, t = 0: conditional means grow with
    t, so the iterates never turn back and never pass a root. Raises ValueError for weights that are not two positive
    numbers with sum 1, or where a centre comes to lie nearer the other's mean: no fixed point belongs to the truth.
    """
    _check(separation=separation, sigma=sigma)
    weights = np.asarray(weights, float)
    if weights.shape != (2,) or not (weights > 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError(f"weights are {weights}, expected two positive numbers with sum 1")
    s = float(separation) / 2
    if not 0 < s < 1e6:
        raise ValueError(f"separation is {separation}, expected a positive number below 2e6")

    def means(t):
        above = [weights[0] * special.ndtr(s - t), weights[1] * special.ndtr(-s - t)]
        below = [weights[0] * special.ndtr(t - s), weights[1] * special.ndtr(t + s)]
        spread = weights[0] * _density(t - s) + weights[1] * _density(t + s)
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


def first_order_displacement(means, weights, *, sigma):
    """Displacements (k, d) of Lloyd's fixed points from general means (k, d), to first order in the overlaps.

    w_i delta_i = sum_j u_ij sigma (-(w_i + w_j) phi(C_ij/2) + w_j C_ij Q(C_ij/2)), u_ij the unit vector from i to j.
    """
    _check(sigma=sigma)
    means, weights = np.asarray(means, float), np.asarray(weights, float)
    gaps = means[None] - means[:, None]
    distances = np.linalg.norm(gaps, axis=-1)
    np.fill_diagonal(distances, np.inf)
    c = distances / sigma
    tail = np.where(np.isinf(c), 0, np.where(np.isinf(c), 0, c) * stats.norm.sf(c / 2))
    pull = -(weights[:, None] + weights[None]) * stats.norm.pdf(c / 2) + weights[None] * tail
    return sigma * np.sum(gaps / distances[..., None] * pull[..., None], axis=1) / weights[:, None]


def lloyd_pair_law(separation, *, rate, d, sigma=1.0):
    """Stationary law of each centre of a symmetric pair, to first order in eta, for C > 0 (the pair turns freely at 0).

    variance along    (eta/4) (1 + s^2 - m^2) (1 + 1/(1 - 2fm))
    variance across   (eta/4) (d - 1) (1 + 1/(1 - 2f/m))
    shift             (eta f/4) ((1 + s^2 - m^2)/(1 - 2fm) - (d - 1)/(m^2 (1 - 2f/m)))
    """
    _check(rate=rate, d=d, sigma=sigma)
    if not np.all(np.asarray(separation) > 0):
        raise ValueError(f"separation is {separation}, expected a positive number")
    f, m = _pair_moments(separation)
    spread = 1 + (np.asarray(separation, float) / 2) ** 2 - m**2
    parallel = rate / 4 * spread * (1 + 1 / (1 - 2 * f * m))
    transverse = rate / 4 * (d - 1) * (1 + 1 / (1 - 2 * f / m))
    shift = rate * f / 4 * (spread / (1 - 2 * f * m) - (d - 1) / (m**2 * (1 - 2 * f / m)))
    bias = lloyd_bias(separation)
    error_sq = (bias + shift) ** 2 + parallel + transverse
    return PairLaw(bias * sigma, shift * sigma, parallel * sigma**2, transverse * sigma**2, error_sq * sigma**2)


# --- updates of any sharpness on a symmetric pair, to first order in the rate ---


def pair_modes(separation, *, beta=math.inf):
    """Soft updates (beta) and Lloyd (beta = inf) of both centres of a pair, or EM of its one mean, linearised.

    Of mu_i <- mu_i + eta p_i (x - mu_i), p_1 - p_2 = T = tanh(beta <x - v, u>), u = (mu_1 - mu_2)/2 and
    v = (mu_1 + mu_2)/2 move by (eta/2) (T (x - v) - u) and (eta/2) (x - v - T u); EM is u at the rate eta, v = 0. They
    rest at u = m e, v = 0, m = E x T with T = tanh(beta m x), x ~ N(s, 1) along e (for Lloyd m = s + b(C)). With
    S = sech^2(beta m x) = 1 - T^2 the derivatives of the mean moves there, and the covariances of the moves, are

        along     J = 1 - beta E x^2 S      V = E x^2 T^2 - m^2                   pull  -beta^2 E x^3 T S
        across    J = 1 - beta E S          V = E T^2                             pull  -beta^2 E x T S
        shift     J = 1 - beta m^2 E S      V = 1 + s^2 - 2 m^2 + m^2 E T^2       pull  beta m E S - beta^2 m^2 E x T S

    and J = V = 1 for a shift across. The pull is half the second derivative of the move of u along e: fluctuations
    move the mean by the sum of pull times variance, over J of `parallel`. beta = 1 has J = V (theory 4.5: the
    information identity), beta = inf the modes of theory 4.4. Raises ValueError for a separation that is not positive,
    or a beta so small that the centres fall together (beta (1 + s^2) <= 1).
    """
    if not 0 < separation < 1e6:
        raise ValueError(f"separation is {separation}, expected a positive number below 1e6")
    if not beta > 0:
        raise ValueError(f"beta is {beta}, expected a positive number")
    s = float(separation) / 2
    if beta * s > 1e4:  # as Lloyd, to 1e-8
        f, b = _density(s), float(lloyd_bias(2 * s))
        m = s + b
        spread = 1 - 2 * s * b - b * b  # 1 + s^2 - m^2
        return PairModes(b, Mode(1, spread, 0), Mode(1 - 2 * f / m, 1, -f / m**2), Mode(1 - 2 * f * m, spread, f))
    bias = float(em_fixed_point_bias(2 * s, beta=beta))
    m = s + bias
    if not m > 0:
        raise ValueError(f"beta is {beta} at separation {separation:g}, expected above 1/(1 + C^2/4): no fixed point")
    x, weights = _grid(s, beta * m)
    t, rest = np.tanh(beta * m * x), _sech_sq(beta * m * x)

    def mean(values):
        return float(weights @ values)

    flat, turned = mean(rest), mean(x * t * rest)
    spread = mean(x * x * t * t) - m * m
    return PairModes(
        bias,
        Mode(1 - beta * mean(x * x * rest), spread, -(beta**2) * mean(x**3 * t * rest)),
        Mode(1 - beta * flat, 1 - flat, -(beta**2) * turned),
        Mode(
            1 - beta * m * m * flat,
            1 + (s - m) * (s + m) - m * m * flat,
            beta * m * flat - (beta * m) ** 2 * turned,
        ),
    )


# --- streaming EM for a symmetric pair ---


def em_information(separation):
    """I_perp = E tanh(s x), I_par = 1 - E x^2 sech^2(s x), x ~ N(s, 1)."""

    def parallel(s):
        return 1 - _gaussian_mean(lambda x: x**2 * _sech_sq(s * x), s)

    def perpendicular(s):
        return _gaussian_mean(lambda x: np.tanh(s * x), s)

    _check(separation=separation)
    s = np.asarray(separation, float) / 2
    return EMInformation(np.vectorize(parallel, otypes=[float])(s), np.vectorize(perpendicular, otypes=[float])(s))


def em_stationary_sq(*, rate, sigma, d):
    """E|mu - mu*|^2 = (eta/2) sigma^2 d, to first order in eta, at every separation."""
    _check(rate=rate, sigma=sigma, d=d)
    return rate / 2 * sigma**2 * d


def em_fixed_point_bias(separation, *, beta, sigma=1.0):
    """m - s for the stable root m >= 0 of m = E[x tanh(beta m x)], x ~ N(s, 1); C = separation = 2s.

    0 for beta = 1; near b(C) for beta = 2; b(C) as beta grows; -s (both centres in one place) for beta (1 + s^2) <= 1.
    Raises ValueError for a beta that is not positive, or beyond 1e4.
    """
    _check(separation=separation, sigma=sigma, beta=beta)
    if not beta <= 1e4:
        raise ValueError(f"beta is {beta}, expected at most 1e4")

    def one(c):
        s = c / 2
        if beta * (1 + s**2) <= 1:
            return -s
        if beta == 1:
            return 0.0
        x, weights = _grid(s, beta * (s + 2))

        def gap(bias):  # without the cancellation of E x and s
            m = s + bias
            return -weights @ (x * 2 / (1 + np.exp(np.clip(2 * beta * m * x, -700, 700)))) - bias

        low = s * 1e-9 - s if beta < 1 else -s / 2 if s > 0 else 1e-3
        return optimize.brentq(gap, low, 2, xtol=1e-15, rtol=1e-14)

    return sigma * np.vectorize(one, otypes=[float])(separation)


def cramer_rao(*, n, separation, sigma, d, free):
    """Least squared error of unbiased estimates of a balanced pair from n unlabelled samples (Cramer 1946, Rao 1945).

    sigma^2/n (1/I_par + (d-1)/I_perp) for the one mean of a pair known to be symmetric (free = 1); for two free means
    (free = 2) summed over both, 2 sigma^2/n (1/I_par + (d-1)/I_perp + 1/(1 - s^2 (1 - I_perp)) + d - 1).
    Raises ValueError for another `free`, and where the separation is 0 (no information).
    """
    _check(n=n, separation=separation, sigma=sigma, d=d)
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


def soft_stationary_sq(*, rate, sigma, d, k):
    """E sum_i |mu_i - mu_i*|^2 = k (eta/2) sigma^2 d of soft updates (beta = 1), to first order in eta, any mixture.

    The update is eta sigma^2 times the score, so drift and noise are both the Fisher information (the information
    identity), and the Lyapunov equation gives the covariance (eta/2) sigma^2 I: theory 4.5 for k components.
    """
    _check(rate=rate, sigma=sigma, d=d, k=k)
    return k * rate / 2 * sigma**2 * d


# --- seeding ---


def seeding_error_sq(means, weights, *, sigma, block, graph_points):
    """E|mu_i^0 - mu_i*|^2 = sigma^2 ((d - k) l_i / B + k E(1/n_i)) of each centre, given the right components.

    l_i = mu_i^T (sum_j w_j mu_j mu_j^T + sigma^2 I)^-1 mu_i (1/w_i at high signal), n_i the component's graph points,
    Binomial(graph_points, w_i) given n_i >= 1. For d < k the projection loses nothing: 0 for d - k, and d for k.
    """
    means, weights = np.asarray(means, float), np.asarray(weights, float)
    _check(sigma=sigma, block=block, graph_points=graph_points)
    k, d = means.shape
    moment = (means.T * weights) @ means + sigma**2 * np.eye(d)
    leverage = np.einsum("id,de,ie->i", means, np.linalg.inv(moment), means)
    lost, kept = max(d - k, 0), min(d, k)
    return sigma**2 * (lost * leverage / block + kept * _mean_inverse_count(graph_points, weights))


def lost_component_probability(k, *, block):
    """k (1 - 1/k)^B, capped at 1: a component is absent from the last block of the power iteration (union bound)."""
    _check(k=k, block=block)
    return np.minimum(1.0, k * (1 - 1 / np.asarray(k, float)) ** block)


def power_iteration_tan_sq(eigenvalue, *, block, sigma, d, k):
    """E tan^2 = (d - k) sigma^2 / (lambda B) / (1 - (sigma^2/lambda)^2) per direction, for any number of blocks.

    eigenvalue: lambda > sigma^2, one of sum_j w_j mu_j mu_j^T + sigma^2 I. Raises ValueError if it is not, or d < k.
    """
    _check(k=k, block=block, sigma=sigma)
    _check_spectrum(eigenvalue, sigma=sigma, d=d, k=k)
    return (d - k) * sigma**2 / (eigenvalue * block) / (1 - (sigma**2 / eigenvalue) ** 2)


def batch_pca_tan_sq(eigenvalue, *, n, sigma, d, k):
    """E tan^2 = (d - k) sigma^2 lambda / ((lambda - sigma^2)^2 N): all samples at once (Anderson 1963).

    eigenvalue and errors as in `power_iteration_tan_sq`.
    """
    _check(n=n, k=k, sigma=sigma)
    _check_spectrum(eigenvalue, sigma=sigma, d=d, k=k)
    return (d - k) * sigma**2 * eigenvalue / ((eigenvalue - sigma**2) ** 2 * n)


def _density(z):
    """phi(z) of a number."""
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _pair_moments(separation):
    """f = phi(s) and m = s + b(C)."""
    s = np.asarray(separation, float) / 2
    return stats.norm.pdf(s), s + lloyd_bias(2 * s)


def _gaussian_mean(function, centre):
    """E f(x), x ~ N(centre, 1)."""
    integrand = lambda z: function(centre + z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)  # noqa: E731
    return integrate.quad(integrand, -12, 12, points=[np.clip(-centre, -12, 12)], epsabs=1e-13, limit=400)[0]


def _grid(centre, steepness):
    """Nodes x and weights with weights . f(x) = E f(x), x ~ N(centre, 1), for f smooth on the scale 1/steepness.

    Trapezes are exact to exp(-2 pi a/h) for a function whose poles are a from the line: pi/2/steepness of a tanh.
    """
    step = 0.15 / max(1.0, steepness)
    z = step * np.arange(-math.ceil(10 / step), math.ceil(10 / step) + 1)
    return centre + z, step * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _sech_sq(x):
    small = np.exp(-2 * np.abs(x))
    return 4 * small / (1 + small) ** 2


def _mean_inverse_count(total, weights):
    """E(1/n), n ~ Binomial(total, w), given n >= 1."""
    counts = np.arange(1, int(total) + 1)
    chances = stats.binom.pmf(counts[None], int(total), np.asarray(weights)[:, None])
    return (chances / counts).sum(axis=1) / chances.sum(axis=1)


def _check_spectrum(eigenvalue, *, sigma, d, k):
    if not np.all(np.asarray(eigenvalue) > np.asarray(sigma) ** 2):
        raise ValueError(f"eigenvalue is {eigenvalue}, expected above sigma^2 = {sigma**2}")
    if not np.all(np.asarray(d) >= k):
        raise ValueError(f"d is {d}, expected at least k = {k}")


def _check(**values):
    """Each value by its name: a rate in (0, 1), a separation >= 0, k >= 1, anything else positive. NaN fails."""
    for name, value in values.items():
        array = np.asarray(value)
        allowed, expected = {
            "rate": ((array > 0) & (array < 1), "a number in (0, 1)"),
            "separation": (array >= 0, "a number that is not negative"),
            "k": (array >= 1, "at least 1"),
        }.get(name, (array > 0, "a positive number"))
        if not np.all(allowed):
            raise ValueError(f"{name} is {value}, expected {expected}")
