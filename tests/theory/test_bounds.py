"""Bounds and conditions of the theorems, by hand and term by term."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm import theory
from jgmm.theory import THEOREMS


def test_theorem_1s_floor_is_tabulated():
    huge = {"n": 1e30, "k": 5, "d": 10, "sigma": 1.0, "mean_norm": 0.0}
    found = [theory.theorem1_bound(separation=c, **huge) for c in (3.0, 4.0, 6.0)]
    assert_allclose(found, [568, 355, 57], rtol=1e-2)


def test_bounds_by_hand():
    assert_allclose(theory.theorem3_bound(separation=16.84267459163545, sigma=100), 84.21337295817725)
    seventh = theory.theorem7_bound(n=100, d=2, sigma=3, mean_norm=10, bias_exponent=2, bias_constant=3, constant=0.5)
    assert_allclose(seventh, 3 * 100 / 1e4 + 0.5 * 2 * 9 * np.log(100) / 100, rtol=1e-12)
    plain = theory.theorem7_bound(n=100, d=2, sigma=3, mean_norm=10)
    assert_allclose(plain, 1 + 2 * 9 * np.log(100) / 100, rtol=1e-12)
    call = {"n": 100, "k": 2, "d": 3, "sigma": 3, "separation": 4.0, "mean_norm": 10}
    brackets = 8 * 9 * (3 * np.log(100) / 100 + np.exp(-2) * 18)
    bound = theory.theorem1_bound(**call, bias_exponent=2, bias_constant=3, constant=0.5)
    assert_allclose(bound, 3 * 100 / 1e4 + 0.5 * brackets, rtol=1e-12)
    assert_allclose(theory.theorem1_bound(**call), 1 + brackets, rtol=1e-12)
    assert_allclose(theory.theorem1_separation(5), 1.684267459163545)
    assert_allclose(theory.theorem2_separation(5), 1.2686362411795196)


ASKED = {"n": 900, "k": 3, "d": 4, "sigma": 2.0, "separation": 5.0, "mean_norm": 7.0}


@pytest.mark.parametrize("number", [1, 2, 7])
def test_the_terms_of_a_theorem_add_up_to_its_bound(number):
    theorem = THEOREMS[number]
    terms = 7.0**2 / 900 + theorem.variance(n=900, k=3, d=4, sigma=2.0)
    if theorem.log_floor is not None:
        terms += math.exp(theorem.log_floor(k=3, separation=5.0, sigma=2.0))
    assert_allclose(theorem.bound(**ASKED), terms, rtol=1e-12)


def test_conditions_of_the_theorems_by_hand():
    """Separations at k = 5, samples at k = 2, d = 3, steps at N = 1000, k = 4."""
    separations = {number: theorem.separation(5) for number, theorem in THEOREMS.items()}
    assert separations == pytest.approx({1: 1.684267459163545, 2: 1.2686362411795196, 3: 1.684267459163545, 7: 4})
    asked = {number: t.samples(k=2, d=3) for number, t in THEOREMS.items() if t.samples is not None}
    assert asked == pytest.approx({1: 216 * math.log(3), 2: 216 * math.log(6), 3: 216 * math.log(3)})
    rates = {number: t.step(n=1000, k=4) for number, t in THEOREMS.items() if t.step is not None}
    lloyd = 12 * math.log(3000) / 1000
    assert rates == pytest.approx({1: lloyd, 2: lloyd, 7: 3 * math.log(1000) / 1000})


def test_a_theorem_stands_under_its_number():
    assert all(theorem.number == number for number, theorem in THEOREMS.items())


@pytest.mark.parametrize(
    ("algorithm", "streams", "seeded", "number"),
    [
        ("lloyd", True, True, 1),
        ("lloyd", True, False, 2),
        ("em", True, True, 7),  # of EM there is one theorem, whatever the start
        ("em", True, False, 7),
        ("lloyd", False, True, 3),
        ("soft", False, True, 3),
    ],
)
def test_a_study_is_about_the_theorem_of_its_algorithm_and_start(algorithm, streams, seeded, number):
    assert theory.theorem_about(algorithm, streams=streams, seeded=seeded).number == number


def test_no_theorem_is_about_an_algorithm_that_none_names_nor_a_start_of_another_kind():
    assert theory.theorem_about("soft", streams=True, seeded=True) is None
    assert theory.theorem_about("lloyd", streams=False, seeded=False) is None
