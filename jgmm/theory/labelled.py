r"""Exact laws of centres that get only the samples of their own components: the labelled twin and the labelled oracle.

A centre starts at distance e_0 from its mean. Each sample moves it with probability w, its component's weight:
e <- (1 - eta) e + eta xi, xi ~ N(0, sigma^2 I_d). At every separation, given e_0, after t samples

    E e_t = m_t e_0,        E|e_t|^2 = a_t |e_0|^2 + b_t sigma^2 d.

The functions give a_t (`kept`), b_t (`noise`) and m_t (`drift`), for a number of samples t or an array of them.

Where components overlap, centres relax J times as fast in some directions (`relaxation`, see `modes.pair_modes`). In
such a direction replace a_t by a_t^J and m_t by m_t^J. The noise b_t becomes (1 - a_t^J) eta/(2 - eta)/J at a constant
rate. All to first order in eta. See docs/theory.md, "Labelled centres".
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm.rates import Polynomial


class Law(NamedTuple):
    """E|e_t|^2 = kept |e_0|^2 + noise sigma^2 d, and E e_t = drift e_0. Shapes are those of the sample counts."""

    kept: np.ndarray
    noise: np.ndarray
    drift: np.ndarray


def untouched(samples) -> Law:
    """The centre of a component of weight 0 stays where it started."""
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
    """Steps of 1/n (MacQueen 1967): the mean of a centre's n samples and its start, counted i = `initial` times.

    With n ~ Binomial(t, w): a = E(i/(n + i))^2, b = E n/(n + i)^2, m = E i/(n + i). i = 0 is the oracle: the start is
    left with the first sample, so a = m = P(n = 0), b = E(1/n; n > 0).
    """
    samples = _check(samples, weight)

    def one(t):
        # All but 1e-15 of the binomial: memory stays flat in t.
        low, high = (int(x) for x in stats.binom.ppf([1e-15, 1 - 1e-15], t, weight))
        n = np.arange(max(low - 5, 0), min(high + 5, t) + 1)
        chance = stats.binom.pmf(n, t, weight)
        total = np.maximum(n + initial, 1)
        share = np.where(n + initial > 0, initial / total, 1.0)
        # NumPy's sums are the same on every machine, a linear algebra library's products are not. These are stored.
        return np.sum(chance * share**2), np.sum(chance * n / total**2), np.sum(chance * share)

    values = np.array([one(int(t)) for t in samples.ravel()]).reshape(-1, 3).T
    return Law(*(value.reshape(samples.shape) for value in values))


def averaged(samples, *, rate: float, weight: float, burn: int, relaxation: float = 1.0) -> Law:
    """The mean of the iterates after the first `burn`, at a constant rate; the last iterate as long as there are none.

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
    """(1 + less)^times, and 1 less that power."""
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
