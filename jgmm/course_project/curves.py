"""The curve that the course project drew for Theorem 1."""

import numpy as np


def theorem1_as_drawn(*, n, k, d, sigma, separation, mean_norm):
    """Theorem 1 as the course project typed it: max|mu|/N, not squared, and k^3 on the variance alone."""
    floor = np.exp(-(separation**2) / 8) * (separation**2 + k) * sigma**2
    return mean_norm / n + k**3 * sigma**2 * d * np.log(n) / n + floor
