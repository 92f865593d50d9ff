"""Noise families by name. To add one: a function of two words of random bits, and a record here."""

from jgmm import lanes
from jgmm.contract import Noise

NOISES: dict[str, Noise] = {
    "gaussian": Noise(lanes.normal_pair, "Gaussian noise", gaussian=True),
}
