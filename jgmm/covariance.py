r"""Covariances other than spherical, the same for all components, as a spec's `covariance` says them.

    x = mu_i + sigma_i A z,      z of independent coordinates, each of mean 0 and variance 1

    spherical                    A = I
    [m_1, ..., m_d]              A = diag(m): sigma_i m_c is the standard deviation of coordinate c
    { ratio = 10.0 }             A = diag(m), m a geometric ladder: m_d/m_1 = ratio, and the mean of m^2 is 1
    { rank = 2, factor = 3.0 }   A = I + (factor - 1) V^T V: along the r rows of V the standard deviation is
                                 factor sigma_i, across them sigma_i. For Gaussian noise that is a sphere plus a
                                 Gaussian of rank r: A z ~ z + sqrt(factor^2 - 1) V^T u

V has the first sines of a discrete sine transform, V_jc = sqrt(2/(d + 1)) sin(pi j c/(d + 1)), j = 1, ..., r, which are
orthonormal. The first has a part along (1, ..., 1), where a symmetric pair lies.
All numbers are rounded to float32: what a machine's pow and sin differ in is lost there.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jgmm import doors

LARGEST = 1e3  # ratio or factor


class Covariance(NamedTuple):
    """A, as its parts: the multiplier of each coordinate, and what is added along some directions.

    spread: m, (d,). directions: V, (r, d). excess: factor - 1.
    """

    spread: Float[np.ndarray, "d"]
    directions: Float[np.ndarray, "r d"]
    excess: float = 0.0

    @property
    def variance(self) -> float:
        """The trace of A A^T: d for a sphere. The squared error of a mean of samples is in proportion to it."""
        rank = len(self.directions)
        return float(np.sum(self.spread.astype(float) ** 2) + rank * ((1 + self.excess) ** 2 - 1))

    @property
    def matrix(self) -> np.ndarray:
        """A, (d, d)."""
        return np.diag(self.spread.astype(float)) + self.excess * self.directions.T.astype(float) @ self.directions


def spread(multipliers: Sequence[float] | np.ndarray) -> Covariance:
    """A standard deviation for each coordinate, in multiples of the scale. Raises ValueError unless all are above 0."""
    values = doors.numbers("covariance", multipliers, ("d",), low=0, high=LARGEST)
    return Covariance(values.astype(np.float32), np.zeros((0, len(values)), np.float32))


def ladder(d: int, *, ratio: float) -> Covariance:
    """Standard deviations in a geometric progression, the last `ratio` times the first, their mean square 1.

    Raises ValueError for a ratio outside [1, 1000].
    """
    d, ratio = doors.whole("d", d), doors.number("ratio", ratio, 1, LARGEST, closed=True)
    steps = ratio ** (np.arange(d) / max(d - 1, 1))
    return spread(steps / np.sqrt(np.mean(steps**2)))


def low_rank(d: int, *, rank: int, factor: float) -> Covariance:
    """A sphere that is `factor` times as wide along `rank` directions.

    Raises ValueError for a rank above d, or a factor outside [1, 1000].
    """
    d, rank = doors.whole("d", d), doors.whole("rank", rank)
    factor = doors.number("factor", factor, 1, LARGEST, closed=True)
    if rank > d:
        raise ValueError(f"rank is {rank}, expected at most d = {d}")
    j, c = np.arange(1, rank + 1)[:, None], np.arange(1, d + 1)[None]
    directions = np.sqrt(2 / (d + 1)) * np.sin(np.pi * j * c / (d + 1))
    return Covariance(np.ones(d, np.float32), directions.astype(np.float32), factor - 1)


RULES: dict[tuple[str, ...], Callable[..., Covariance]] = {
    ("ratio",): ladder,
    ("rank", "factor"): low_rank,
}  # by their numbers


def named(value: object) -> tuple[tuple[str, float], ...]:
    """What a spec says of a covariance as names and numbers; none: spherical. Raises ValueError for no such rule."""
    if value == "spherical":
        return ()
    if isinstance(value, list):
        return tuple((str(i), float(x)) for i, x in enumerate(value))
    assert isinstance(value, dict)
    for names in RULES:
        if set(value) == set(names):
            return tuple((name, float(value[name])) for name in names)
    expected = " or ".join(" and ".join(names) for names in RULES)
    raise ValueError(f"covariance has the numbers {', '.join(map(str, value))}: expected {expected}")


def of(d: int, numbers: dict[str, float]) -> Covariance:
    """The covariance of these names and numbers, as `named` gives them. Raises ValueError for numbers out of range."""
    rule = RULES.get(tuple(numbers))
    if rule is None:
        if len(numbers) != d:
            raise ValueError(f"covariance is {list(numbers.values())}: expected d = {d} numbers")
        return spread(list(numbers.values()))
    return rule(d, **{name: int(x) if name == "rank" and x == int(x) else x for name, x in numbers.items()})
