"""The check of a formula's arguments."""

import numpy as np


def check(**values):
    """Raises ValueError, with the name and the value, for an argument out of range.

    A rate lies in (0, 1), a separation is not negative, k is at least 1, and every other argument is positive.
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
