"""Floors of Lloyd's algorithm: known where they are exact, and what a measured one may be off by."""

import math

import numpy as np
import pytest
from situations import constant, situation

from jgmm import theory
from jgmm.theory import floors
from jgmm.theory.situation import StepLaw


def test_the_floor_of_equal_weights_is_the_simplex_displaced():
    told = situation(samples=9, k=5, separation=4.0, scales=(3.0,) * 5)
    assert floors.floor(told) == pytest.approx(5 * (3 * 0.04493) ** 2, rel=1e-3)


def test_the_floor_of_an_unequal_pair_is_that_of_its_fixed_points():
    told = situation(samples=9, separation=6.0, weights=(0.98, 0.02), scales=(2.0, 2.0))
    fixed = theory.lloyd_pair_fixed_points(6.0, [0.98, 0.02], sigma=2.0)
    assert floors.floor(told) == pytest.approx(np.sum((fixed - [6.0, -6.0]) ** 2))
    assert floors.floor(told._replace(common_separation=5.0)) is None  # no fixed point belongs to the truth


@pytest.mark.parametrize(
    "told",
    [
        {"sharpness": 1.0},  # soft updates rest at the means
        {"k": 3, "weights": (0.5, 0.3, 0.2)},
        {"scales": (1.0, 2.0)},
        {"weights": (1.0, 0.0)},
        {"common": False},
        {"k": 1, "separation": math.inf},
    ],
    ids=str,
)
def test_no_floor_where_none_is_exact(told):
    about = situation(samples=9, **told)
    assert floors.floor(about) is None
    assert floors.floor_accuracy(about) == math.inf


def test_a_measured_floor_is_off_by_the_way_that_is_left_and_by_the_rate():
    """The distance left is (1 - w eta)^N of the start's, which counts twice in the square."""
    exact = floors.floor(situation(samples=9))
    early, late, slow = (
        floors.floor_accuracy(situation(samples=n, step=constant(rate)))
        for n, rate in ((100, 0.02), (10**6, 0.02), (10**6, 0.01))
    )
    assert early - late == pytest.approx(2 * (1 - 0.5 * 0.02) ** 100 * exact)
    assert 0.01 * exact < late < exact
    assert late == pytest.approx(2 * slow, rel=0.1)  # the rate's own shift is of its order


def test_a_floor_measured_with_steps_that_fall_may_be_off_by_anything():
    falling = situation(samples=10**6, step=StepLaw("polynomial", (4.0, 1.0, 20.0)))
    assert floors.floor_accuracy(falling) == math.inf
