r"""Step sizes of streaming Lloyd and streaming EM.

    paper       eta = 3 k ln(3N) / N     Lloyd, constant over a run, depends on its horizon N
    paper EM    eta = 3 ln(N) / N
    seed        the paper's with log2 in place of ln: 1.44 times larger
    1/n         1 / n_i, n_i counting the samples that centre i has won (MacQueen 1967)
    polynomial  c / (t + t_0)^a

Constant rates are numbers, polynomial ones an optax schedule; 1/n is an optax transformation, `lloyd.inverse_count`.
Needs no JAX.
"""

import math
from collections.abc import Callable


def paper(n: float, k: int) -> float:
    """3 k ln(3n) / n, Algorithm 1 of the paper."""
    return 3 * k * math.log(3 * n) / n


def paper_em(n: float) -> float:
    """3 ln(n) / n, Algorithm 3 of the paper."""
    return 3 * math.log(n) / n


def seed(n: float, k: int) -> float:
    """3 k log2(3n) / n: the seed document's logarithm."""
    return 3 * k * math.log2(3 * n) / n


def check_rate(rate: float, *, why: str = "") -> float:
    """The rate. Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate:g}{why}, expected a number in (0, 1)")
    return rate


def polynomial(scale: float, power: float, *, shift: float = 1.0) -> Callable:
    """The schedule scale / (t + shift)^power, t = 0, 1, ...; for `optax.sgd`."""

    def schedule(count):
        return scale / (count + shift) ** power

    return schedule
