r"""Exact laws of centres that only ever get their own samples: the labelled twin and the labelled oracle.

A centre starts e_0 from its mean and is touched with probability w (its component's weight) per sample,
e <- (1 - eta) e + eta xi, xi ~ N(0, sigma^2 I_d). Whatever the separation, after t samples

    E e_t = m_t e_0,        E|e_t|^2 = a_t |e_0|^2 + b_t sigma^2 d

given e_0, with a_t (`kept`), b_t (`noise`) and m_t (`drift`) below; t may be an array. Where components overlap,
centres are pulled back J times as fast in some directions (`relaxation`, of `modes.pair_modes`). Of these a^J and m^J
are kept, and the noise is that of as much less forgetting, to first order in the rate. Functions raise ValueError for a
weight outside (0, 1], a rate outside (0, 1), a relaxation that is not positive, or a negative count. See
docs/theory.md, "Labelled centres".
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm.rates import Polynomial


class Law(NamedTuple):
    """E|e_t|^2 = kept |e_0|^2 + noise sigma^2 d, and E e_t = drift e_0: pure numbers, shaped like the sample counts."""

    kept: np.ndarray
    noise: np.ndarray
    drift: np.ndarray


def untouched(samples) -> Law:
    """The centre of a component that sends no samples (weight 0) stays where it started."""
    samples = np.asarray(samples)
    return Law(np.ones(samples.shape), np.zeros(samples.shape), np.ones(samples.shape))


def constant(samples, *, rate: float, weight: float, relaxation: float = 1.0) -> Law:
    """A constant rate: a = q^t, b = (1 - q^t) eta / (2 - eta), m = (1 - w eta)^t, q = 1 - w eta (2 - eta)."""
    samples = _check(samples, weight, relaxation)
    _check_rate(rate)
    times = samples * relaxation
    kept, forgotten = _power(-weight * rate * (2 - rate), times)
    return Law(kept, forgotten * rate / (2 - rate) / relaxation, _power(-weight * rate, times)[0])


def polynomial(samples, *, schedule: Polynomial, weight: float, relaxation: float = 1.0) -> Law:
    """A schedule eta_t: a_t = prod q_s, b_t = sum_s w eta_s^2 prod_(u > s) q_u, m_t = prod (1 - w eta_s)."""
    samples = _check(samples, weight, relaxation)
    rate = schedule(np.arange(samples.max(initial=0), dtype=float))
    with np.errstate(divide="ignore"):  # a first rate of 1 with weight 1 forgets the start: log 0
        shrink = relaxation * np.log1p(-weight * rate * (2 - rate))
        drift = relaxation * np.log1p(-weight * rate)
    remaining = np.concatenate([[0.0], np.cumsum(np.maximum(shrink, -1e3))])
    drifted = np.concatenate([[0.0], np.cumsum(np.maximum(drift, -1e3))])

    def noise(t):
        return np.sum(weight * rate[:t] ** 2 * np.exp(remaining[t] - remaining[1 : t + 1]))

    each = np.array([noise(t) for t in samples.ravel()]).reshape(samples.shape)
    return Law(np.exp(remaining[samples]), each, np.exp(drifted[samples]))


def inverse_count(samples, *, weight: float, initial: int) -> Law:
    """Steps of 1/n_i, the start counted as `initial` samples (MacQueen 1967; 0: the oracle, the mean of its samples).

    With n ~ Binomial(t, w): a = E(i/(n + i))^2, b = E n/(n + i)^2, m = E i/(n + i); for i = 0 a centre that has had no
    sample is still at its start, a = m = P(n = 0), b = E(1/n; n > 0).
    """
    samples = _check(samples, weight)

    def one(t):
        # All but 1e-15 of the binomial: memory stays flat in t.
        low, high = (int(x) for x in stats.binom.ppf([1e-15, 1 - 1e-15], t, weight))
        n = np.arange(max(low - 5, 0), min(high + 5, t) + 1)
        chance = stats.binom.pmf(n, t, weight)
        total = np.maximum(n + initial, 1)
        share = np.where(n + initial > 0, initial / total, 1.0)
        # Sums of NumPy, not products of a linear algebra library: these numbers are stored beside each twin's.
        return np.sum(chance * share**2), np.sum(chance * n / total**2), np.sum(chance * share)

    values = np.array([one(int(t)) for t in samples.ravel()]).reshape(-1, 3).T
    return Law(*(value.reshape(samples.shape) for value in values))


def averaged(samples, *, rate: float, weight: float, burn: int, relaxation: float = 1.0) -> Law:
    """The mean of the iterates after the first `burn` at a constant rate; the last iterate until there is one.

    E|sum e_t|^2 = sum_t E|e_t|^2 (1 + 2 sum_(j <= T - t) r^j), r = 1 - w eta J, since E(e_(t+j) | e_t) = r^j e_t.
    """
    samples = _check(samples, weight, relaxation)
    _check_rate(rate)
    decay = -weight * rate * relaxation

    def one(stop):
        t = np.arange(min(burn + 1, stop), stop + 1)
        law = constant(t, rate=rate, weight=weight, relaxation=relaxation)
        left = stop - t
        reach = 1 + 2 * (1 + decay) * -np.expm1(left * np.log1p(decay)) / -decay
        size = len(t)
        return np.sum(law.kept * reach) / size**2, np.sum(law.noise * reach) / size**2, law.drift.mean()

    values = np.array([one(int(t)) for t in samples.ravel()]).reshape(-1, 3).T
    return Law(*(value.reshape(samples.shape) for value in values))


def _power(less, times) -> tuple[np.ndarray, np.ndarray]:
    """(1 + less)^times, and by how much that is less than 1."""
    exponent = times * np.log1p(less)
    return np.exp(exponent), -np.expm1(exponent)


def _check(samples, weight, relaxation=1.0) -> np.ndarray:
    samples = np.asarray(samples, np.int64)
    if not relaxation > 0:
        raise ValueError(f"relaxation is {relaxation}, expected a positive number")
    if (samples < 0).any():
        raise ValueError(f"samples is {samples}, expected counts that are not negative")
    if not 0 < weight <= 1:
        raise ValueError(f"weight is {weight}, expected a number in (0, 1]")
    return samples


def _check_rate(rate) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate}, expected a number in (0, 1)")
