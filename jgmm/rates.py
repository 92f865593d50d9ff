r"""Step sizes of papers, and the best constant one: numbers and schedules, the same on every machine. Needs no JAX.

    paper            eta = 3 k ln(3N) / N        of streaming Lloyd: constant over a run, it depends on the horizon N
    paper_em         eta = 3 ln(N) / N           of streaming EM
    course_project   eta = 3 k log2(3N) / N      the paper's with another logarithm: 1.44 times larger
    polynomial       c / (t + t_0)^a             t samples seen (Robbins and Monro 1951)
    best_constant    eta = ln(4 N w e_0^2/(sigma^2 d)) / (2 w N)

`steps` has the rules that use these numbers. Logarithms are those of `ordered`.
"""

from collections.abc import Callable
from typing import NamedTuple

from jgmm import ordered


def paper(n: float, k: int) -> float:
    """3 k ln(3n) / n, Algorithm 1 of the paper."""
    return 3 * k * ordered.ln(3 * n) / n


def paper_em(n: float) -> float:
    """3 ln(n) / n, Algorithm 3 of the paper."""
    return 3 * ordered.ln(n) / n


def course_project(n: float, k: int) -> float:
    """3 k log2(3n) / n, as the course project has it."""
    return 3 * k * ordered.log2(3 * n) / n


def check_rate(rate: float, *, why: str = "") -> float:
    """The rate. Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate:g}{why}, expected a number in (0, 1)")
    return rate


class Polynomial(NamedTuple):
    """The schedule scale / (t + shift)^power, t = 0, 1, ... samples seen (Robbins and Monro 1951)."""

    scale: float
    power: float
    shift: float = 1.0

    def __call__(self, count):
        return self.scale / (count + self.shift) ** self.power


def polynomial(scale: float, power: float, shift: float = 1.0) -> Polynomial:
    """The schedule, checked. Raises ValueError unless 0 < power <= 1, shift > 0 and the first step is in (0, 1]."""
    if not (0 < power <= 1 and shift > 0):
        raise ValueError(f"power is {power} and shift {shift}, expected 0 < power <= 1 and shift > 0")
    if not 0 < scale / shift**power <= 1:
        raise ValueError(f"{scale:g}/(t + {shift:g})^{power:g} starts at {scale / shift**power:g}, expected in (0, 1]")
    return Polynomial(scale, power, shift)


def best_constant(n: float, *, start_sq: float, sigma: float, d: int, weight: float) -> float:
    """The constant step with the least error after n samples at large separation, ln(4 n w e0^2/(sigma^2 d)) / (2 w n).

    start_sq is e0^2, a centre's squared starting error. The step minimises exp(-2 w eta n) e0^2 + eta sigma^2 d / 2
    (docs/theory.md, "Labelled centres"). Raises ValueError if the logarithm is not positive: n samples then give
    nothing better than the start.
    """
    inside = 4 * n * weight * start_sq / (sigma**2 * d)
    if not inside > 1:
        raise ValueError(f"start_sq is {start_sq:g} at n = {n}, expected above {sigma**2 * d / (4 * n * weight):g}")
    return ordered.ln(inside) / (2 * weight * n)


class Horizon(NamedTuple):
    """What a named rate may depend on."""

    n: int
    k: int
    d: int
    start: float | None  # the start's distance from the truth, in standard deviations; None: not known
    weight: float  # the lightest component's


def _paper(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The constant step of the paper that states the algorithm: of Lloyd 3 k ln(3N)/N."""
    return paper_step(horizon.n, horizon.k)


def _seed(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The course project's, 3 k log2(3N)/N."""
    del paper_step
    return course_project(horizon.n, horizon.k)


def _best(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The constant step of least error after N samples, for a start that is an offset: ln(4 N w e_0^2/d) / (2 w N)."""
    del paper_step
    if not horizon.start:
        raise ValueError(f"rate is 'best' with start {horizon.start}, expected an offset above 0 to be best for")
    start_sq = horizon.start * horizon.start
    return best_constant(horizon.n, start_sq=start_sq, sigma=1, d=horizon.d, weight=horizon.weight)


# Rates by the names that specs use: functions of a horizon and of the algorithm's own step size in its paper.
NAMED: dict[str, Callable[[Horizon, Callable[..., float]], float]] = {"paper": _paper, "seed": _seed, "best": _best}
