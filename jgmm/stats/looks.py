"""The level of each look at growing data, such that all looks together keep one level."""

from . import checks


def look_level(look: int, alpha: float = 0.05) -> float:
    """The level of the look-th look at growing data: alpha / (look (look + 1)), look = 1, 2, ...

    1/(j(j+1)) = 1/j - 1/(j+1), so J looks use alpha J/(J+1) < alpha together, for every J. By the union bound the
    chance of any false verdict is below alpha, and the number of looks need not be declared in advance.
    """
    if look < 1:
        raise ValueError(f"looks count from 1, got {look}")
    checks.inside_0_1("alpha", alpha)
    return alpha / (look * (look + 1))
