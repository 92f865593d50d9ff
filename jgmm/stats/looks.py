"""Looking at growing data again and again, at a level that holds over all looks together."""

from . import checks


def look_level(look: int, alpha: float = 0.05) -> float:
    """The level of the look-th look at growing data: alpha / (look (look + 1)), look = 1, 2, ...

    1/(j(j+1)) = 1/j - 1/(j+1), so J looks spend alpha J/(J+1) < alpha together, whatever J is: by the union bound the
    chance of any false verdict stays below alpha, and nobody needs to declare the number of looks in advance. Raises
    ValueError for look < 1 or alpha outside (0, 1).
    """
    if look < 1:
        raise ValueError(f"looks count from 1, got {look}")
    checks.inside_0_1("alpha", alpha)
    return alpha / (look * (look + 1))
