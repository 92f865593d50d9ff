r"""What the theorems state: their bounds term by term, and their conditions.

    Theorems 1, 2    A max|mu*|^2/N^a + c_v k^3 sigma^2 d ln N/N + c_f k^3 exp(-C^2/8) (C^2 + k) sigma^2
    Theorem 3        max_i |mu_i^0 - mu_i*| <= C sigma/20 with probability 1 - 1/poly(k)
    Theorem 7        A |mu*|^2/N^a    + c_v sigma^2 d ln N/N

The paper is Raghunathan, Jain and Krishnaswamy, "Learning Mixture of Gaussians with Streaming Data" (NeurIPS 2017), as
transcribed at second hand. Constants that it hides are arguments, 1 by default. Symbols: N samples, k components in d
dimensions with standard deviation sigma, C = min |mu_i* - mu_j*| / sigma. All logarithms are natural. See
docs/theory.md, "What the theorems state".

To add a theorem: add a record to THEOREMS.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jgmm import rates
from jgmm.theory.check import check


def theorem1_bound(*, n, k, d, sigma, separation, mean_norm, bias_exponent=1.0, bias_constant=1.0, constant=1.0):
    """E sum_i |mu_i^N - mu_i*|^2 <= max|mu*|^2 / N^a + O(k^3) (sigma^2 d ln N / N + exp(-C^2/8) (C^2 + k) sigma^2).

    mean_norm is max|mu*|. The paper hides the exponent a and both constants. Theorem 2 has the same bound for the
    stream alone, from a start within C sigma/20.
    """
    check(n=n, k=k, d=d, sigma=sigma, separation=separation)
    noise = sigma**2 * d * np.log(n) / n
    floor = np.exp(-(separation**2) / 8) * (separation**2 + k) * sigma**2
    return bias_constant * mean_norm**2 / n**bias_exponent + constant * k**3 * (noise + floor)


def theorem1_separation(k):
    """(k ln k)^(1/4): the separation that Theorems 1 and 3 need, up to a hidden constant."""
    check(k=k)
    return (k * np.log(k)) ** 0.25


def theorem2_separation(k):
    """sqrt(ln k): the separation that Theorem 2 needs, up to a hidden constant."""
    check(k=k)
    return np.sqrt(np.log(k))


def theorem3_bound(*, separation, sigma):
    """C sigma/20: the start is at most so far from every mean, with probability 1 - 1/poly(k)."""
    check(sigma=sigma, separation=separation)
    return separation * sigma / 20


def theorem7_bound(*, n, d, sigma, mean_norm, bias_exponent=1.0, bias_constant=1.0, constant=1.0):
    """E|mu^N - mu*|^2 <= |mu*|^2 / N^a + O(1) (ln N / N) d sigma^2, for C >= 4."""
    check(n=n, d=d, sigma=sigma)
    return bias_constant * mean_norm**2 / n**bias_exponent + constant * d * sigma**2 * np.log(n) / n


class Theorem(NamedTuple):
    """A theorem: what it is about, the terms of its bound, and its conditions.

    Functions take their arguments by name, and every hidden constant is 1. A field is None if the theorem has no such
    term or condition.
    """

    number: int
    paper: str
    statement: str
    hidden: tuple[str, ...]  # constants without a value in the paper, as the statement names them
    algorithms: tuple[str, ...]  # as specs name them; empty if the theorem is about the start alone
    of_start: bool  # whether it is about the start alone, before any sample is streamed
    bound: Callable[..., float] | None  # (n, k, d, sigma, separation, mean_norm) -> the sum of all terms, for figures
    variance: Callable[..., float] | None  # (n, k, d, sigma) -> the term that falls with n
    log_floor: Callable[..., float] | None  # (k, separation, sigma) -> ln of the term that no number of samples reduces
    separation: Callable[[int], float]  # k -> the separation that it needs
    separation_words: str
    samples: Callable[..., float] | None  # (k, d) -> how many samples it needs
    samples_words: str
    samples_of: tuple[str, ...]  # the numbers that must be so large: "N" (the stream's), "N0" (Algorithm 2's)
    start: str  # "seeding or near" (by Algorithm 2, or within C sigma/20), "near" (within C sigma/20), or "any"
    step: Callable[..., float] | None  # (n, k) -> the step size of the paper's algorithm
    beta: float | None  # the sharpness of its algorithm's updates; None for an algorithm that has none
    equal_weights: bool  # whether it needs equal weights


def _variance_of_1(*, n, k, d, sigma):
    return k**3 * _variance_of_7(n=n, k=k, d=d, sigma=sigma)


def _variance_of_7(*, n, k, d, sigma):
    del k
    return sigma**2 * d * math.log(n) / n


def _log_floor_of_1(*, k, separation, sigma):
    # The term itself would underflow at C = 80.
    return 3 * math.log(k) - separation**2 / 8 + math.log(separation**2 + k) + 2 * math.log(sigma)


def _bound_of_7(*, n, k, d, sigma, separation, mean_norm):
    del k, separation
    return theorem7_bound(n=n, d=d, sigma=sigma, mean_norm=mean_norm)


def _samples_of_1(*, k, d):
    return float(k) ** 3 * float(d) ** 3 * math.log(d)


def _samples_of_2(*, k, d):
    return float(k) ** 3 * float(d) ** 3 * math.log(k * d)


def _separation_of_7(k):
    del k
    return 4.0


def _step_of_7(*, n, k):
    del k
    return rates.paper_em(n)


_PAPER = "Raghunathan, Jain and Krishnaswamy, NeurIPS 2017"

THEOREMS: dict[int, Theorem] = {
    1: Theorem(
        number=1,
        paper=_PAPER,
        statement=(
            "E sum |mu_i - mu_i*|^2 <= max|mu*|^2/N^a + O(k^3)(sigma^2 d ln N/N + exp(-C^2/8)(C^2 + k) sigma^2) for"
            " streaming Lloyd with step 3 k ln(3N)/N behind Algorithm 2, equal weights, C of order (k ln k)^(1/4) and"
            " N, N0 of order k^3 d^3 ln d or more"
        ),
        hidden=("a", "O(k^3)"),
        algorithms=("lloyd",),
        of_start=False,
        bound=theorem1_bound,
        variance=_variance_of_1,
        log_floor=_log_floor_of_1,
        separation=theorem1_separation,
        separation_words="(k ln k)^(1/4)",
        samples=_samples_of_1,
        samples_words="k^3 d^3 ln d",
        samples_of=("N", "N0"),
        start="seeding or near",
        step=rates.paper,
        beta=None,
        equal_weights=True,
    ),
    2: Theorem(
        number=2,
        paper=_PAPER,
        statement=(
            "Theorem 1's error for the streaming phase alone, from a start within C sigma/20, for equal"
            " weights, C of order sqrt(ln k) and N of order k^3 d^3 ln(k d) or more"
        ),
        hidden=("a", "O(k^3)", "the constant of sqrt(ln k)"),
        algorithms=("lloyd",),
        of_start=False,
        bound=theorem1_bound,
        variance=_variance_of_1,
        log_floor=_log_floor_of_1,
        separation=theorem2_separation,
        separation_words="sqrt(ln k)",
        samples=_samples_of_2,
        samples_words="k^3 d^3 ln(k d)",
        samples_of=("N",),
        start="near",
        step=rates.paper,
        beta=None,
        equal_weights=True,
    ),
    3: Theorem(
        number=3,
        paper=_PAPER,
        statement=(
            "max |mu_i^0 - mu_i*| <= C sigma/20 with probability 1 - 1/poly(k) for starts by Algorithm 2, equal"
            " weights, C of order (k ln k)^(1/4) and N0 of order k^3 d^3 ln d or more"
        ),
        hidden=("the polynomial", "the constant of (k ln k)^(1/4)", "those of Algorithm 2's sizes"),
        algorithms=(),
        of_start=True,
        bound=None,
        variance=None,
        log_floor=None,
        separation=theorem1_separation,
        separation_words="(k ln k)^(1/4)",
        samples=_samples_of_1,
        samples_words="k^3 d^3 ln d",
        samples_of=("N0",),
        start="any",
        step=None,
        beta=None,
        equal_weights=True,
    ),
    7: Theorem(
        number=7,
        paper=_PAPER,
        statement=(
            "E |mu - mu*|^2 <= |mu*|^2/N^a + O(1)(ln N/N) d sigma^2 for streaming EM with step 3 ln(N)/N on a"
            " symmetric pair, C >= 4, start within C sigma/20"
        ),
        hidden=("a", "O(1)"),
        algorithms=("em",),
        of_start=False,
        bound=_bound_of_7,
        variance=_variance_of_7,
        log_floor=None,
        separation=_separation_of_7,
        separation_words="4",
        samples=None,
        samples_words="",
        samples_of=(),
        start="near",
        step=_step_of_7,
        beta=1.0,
        equal_weights=False,  # a symmetric pair always has them
    ),
}


def theorem_about(algorithm: str, *, streams: bool, seeded: bool) -> Theorem | None:
    """The theorem about this algorithm; if there are several, the one with the same kind of start; None if none.

    streams: whether samples are streamed at all; seeded: whether the start is by Algorithm 2.
    """
    about = [
        theorem
        for theorem in THEOREMS.values()
        if theorem.of_start != streams and (seeded if theorem.of_start else algorithm in theorem.algorithms)
    ]
    fitting = [theorem for theorem in about if (theorem.start == "seeding or near") == seeded]
    return next(iter(fitting or about), None)
