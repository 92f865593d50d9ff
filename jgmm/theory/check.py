"""Checks of what enters a formula."""

import numpy as np


def check(**values):
    """Raises ValueError, naming the value, for what is out of range.

    A rate lies in (0, 1), a separation is not negative, k is at least 1, anything else is positive; NaN never is.
    """
    for name, value in values.items():
        array = np.asarray(value)
        allowed, expected = {
            "rate": ((array > 0) & (array < 1), "a number in (0, 1)"),
            "separation": (array >= 0, "a number that is not negative"),
            "k": (array >= 1, "at least 1"),
        }.get(name, (array > 0, "a positive number"))
        if not np.all(allowed):
            raise ValueError(f"{name} is {value}, expected {expected}")
