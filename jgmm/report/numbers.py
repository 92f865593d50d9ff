"""How tables and the page write numbers: means with standard errors, intervals, and nothing where there is none."""

import math
from typing import Any


def plus_minus(mean: float, error: float, digits: int = 4) -> str:
    """A mean and its standard error; the mean alone of one run, and a word where there is none."""
    if not math.isfinite(mean):
        return "no good run" if math.isnan(mean) else "not finite"
    return f"{mean:.{digits}g} ± {error:.2g}" if math.isfinite(error) else f"{mean:.{digits}g}"


def number(value: Any, digits: int = 4) -> str:
    """A number for a table; nothing where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "not finite"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def limits(of: Any, digits: int = 4) -> str:
    """The two ends of an interval (a pair, or what has a `low` and a `high`); nothing where there is none."""
    low, high = of if type(of) is tuple else (of.low, of.high)
    if any(value is None or math.isnan(value) for value in (low, high)):
        return ""
    return f"{number(low, digits)} to {number(high, digits)}"


def divisor(rate: float) -> str:
    """D of exp(-C^2/D), from 1/D; nothing where there is none."""
    return "" if rate == 0 or math.isnan(rate) else number(1 / rate)


def factor(value: float | None) -> str:
    """By how much a variance fell. Where no label was ever wrong, what is left of it is rounding."""
    return "" if value is None else f"{value:.3g}" if value < 1e6 else "all of it"
