"""Noise families by name: what a sample differs from its mean by. To add one: a function of two words, and a record."""

import numpy as np

from jgmm import lanes
from jgmm.contract import Noise

WIDTH = np.float32(np.sqrt(12))  # of the uniform law of variance 1
MIDDLE = np.float32(0.5 - 2.0**-25)  # of the 2^24 numbers that `lanes.uniform` gives


def uniform_pair(a, b):
    """Two numbers uniform in [-sqrt(3), sqrt(3)], from the top 24 bits of each word."""
    return (lanes.uniform(a) - MIDDLE) * WIDTH, (lanes.uniform(b) - MIDDLE) * WIDTH


NOISES: dict[str, Noise] = {
    "gaussian": Noise(lanes.normal_pair, "Gaussian noise", gaussian=True),
    "uniform": Noise(uniform_pair, "uniform noise"),
}
