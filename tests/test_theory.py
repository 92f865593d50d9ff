"""Bounds and laws against hand values, tables, identities and a small simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm import theory


def test_the_bias_of_the_pair_is_tabulated():
    expected = [0.395593, 0.166631, 0.0586136, 0.0169814, 0.00400827, 7.64309e-4, 1.42905e-5]
    assert_allclose(theory.lloyd_bias([1, 2, 3, 4, 5, 6, 8]), expected, rtol=1e-5)
    assert_allclose(theory.lloyd_bias(3, sigma=7.0), 7 * 0.0586136, rtol=1e-5)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (3, [0.2464, 0.0912, 0.02747, 0.001294]),
        (5, [0.3575, 0.1413, 0.04493, 0.002270]),
        (10, [0.5275, 0.2277, 0.07839, 0.004446]),
    ],
)
def test_the_displacement_of_the_simplex_is_tabulated(k, expected):
    assert_allclose(theory.simplex_displacement(k, [2, 3, 4, 6]), expected, rtol=5e-4)  # four digits were printed


def test_two_points_are_a_simplex():
    c = np.array([1.0, 2.5, 6.0])
    assert_allclose(theory.simplex_displacement(2, c), theory.lloyd_bias(c), rtol=1e-8)
    assert_allclose(theory.simplex_floor(2, c), 2 * theory.lloyd_bias(c) ** 2, rtol=1e-8)


def test_first_order_displacement_is_outward_and_exact_for_the_pair():
    found = theory.first_order_displacement([[6.0, 0.0], [-6.0, 0.0]], [0.5, 0.5], sigma=4.0)
    assert_allclose(found, [[theory.lloyd_bias(3, sigma=4.0), 0], [-theory.lloyd_bias(3, sigma=4.0), 0]], atol=1e-12)


def test_unequal_weights_kill_a_cancellation():
    found = theory.first_order_displacement([[3.0], [-3.0]], [0.7, 0.3], sigma=1.0)
    assert abs(found[1, 0]) > 3 * theory.lloyd_bias(6)


def test_information_is_tabulated():
    found = theory.em_information([1, 2, 3, 4, 6])
    assert_allclose(found.parallel, [0.343, 0.734, 0.916, 0.978, 0.9992], atol=5e-4)
    assert_allclose(found.perpendicular, [0.204, 0.550, 0.803, 0.931, 0.9959], atol=1e-3)


def test_the_fixed_point_of_em():
    expected = [0.3048, 0.2006, 0.1283, 0.0464, 0.01383, 0.00333, 6.4e-4, 1.2e-5]
    assert_allclose(theory.em_fixed_point_bias([1, 1.5, 2, 3, 4, 5, 6, 8], beta=2), expected, rtol=2e-2)
    assert_allclose(theory.em_fixed_point_bias([1, 2, 4], beta=1), 0, atol=1e-9)


def test_the_pair_law_is_tabulated():
    totals = [theory.lloyd_pair_law(c, rate=0.02, d=5).error_sq for c in (4, 3, 2)]
    assert_allclose(totals, [0.0520, 0.0584, 0.0911], atol=6e-5)
    assert_allclose(theory.lloyd_pair_law(2, rate=0.02, d=5).shift, -0.0043, atol=5e-5)
    assert_allclose(theory.em_mean_shift(2, rate=0.02, d=5), -0.0139, atol=5e-5)
    modes = theory.lloyd_pair_relaxation(np.array([2.0, 3.0, 4.0, 6.0]))
    assert_allclose(modes.shift, [0.218, 0.298, 0.391, 0.487], atol=6e-4)
    assert_allclose(modes.rotation, [0.293, 0.417, 0.473, 0.499], atol=6e-4)


def test_far_apart_the_pair_law_is_the_separated_one():
    far = theory.lloyd_pair_law(20, rate=1e-4, d=7, sigma=3.0)
    assert_allclose(far.error_sq, theory.stationary_sq(rate=1e-4, sigma=3.0, d=7), rtol=1e-4)


def test_s1_is_tabulated():
    call = {"rate": 0.05, "weight": 0.2, "sigma": 1.0, "d": 3}
    start = (
        15.6895 - (1 - theory.contraction(rate=0.05, weight=0.2)) * theory.stationary_sq(rate=0.05, sigma=1.0, d=3)
    ) / (theory.contraction(rate=0.05, weight=0.2))
    found = theory.lloyd_error_sq(samples=np.array([1, 30, 100, 300]), start_sq=start, **call)
    assert_allclose(found, [15.6895, 8.897, 2.299, 0.1202], rtol=1e-3)


def test_s1_agrees_with_a_small_simulation():
    rng = np.random.default_rng(0)
    rate, weight, d, runs = 0.1, 0.3, 2, 40_000
    e = np.full((runs, d), 1.5)
    for _ in range(25):
        hit = rng.random(runs) < weight
        e = np.where(hit[:, None], (1 - rate) * e + rate * rng.normal(size=(runs, d)), e)
    squares = (e**2).sum(axis=1)
    law = theory.lloyd_error_sq(samples=25, rate=rate, weight=weight, sigma=1.0, d=d, start_sq=4.5)
    assert abs(squares.mean() - law) < 4 * squares.std() / np.sqrt(runs)


def test_the_seeds_logged_errors_are_s2():
    rate = 15 * np.log2(3 * 978004) / 978004
    assert_allclose(5 * theory.stationary_distance(rate=rate, sigma=10, d=10), 1.9797, rtol=1e-4)
    squares = np.random.default_rng(1).chisquare(10, 100_000)
    expected = np.sqrt(squares).mean() * np.sqrt(0.01 / 1.99)
    assert_allclose(theory.stationary_distance(rate=0.01, sigma=1, d=10), expected, rtol=2e-3)


def test_the_law_given_a_count_settles_at_s1():
    settled = theory.centre_given_count_variance(count=10**6, rate=0.01, sigma=2.0)
    assert_allclose(5 * settled, theory.stationary_sq(rate=0.01, sigma=2.0, d=5))
    assert_allclose(theory.centre_given_count_variance(count=1, rate=0.01, sigma=2.0), (0.01 * 2) ** 2)


def test_em_settles_at_half_the_rate_by_hand():
    assert_allclose(theory.em_stationary_sq(rate=0.02, sigma=2.0, d=5), 0.01 * 4 * 5)


def test_em_error_runs_from_its_start_to_half_the_rate():
    call = {
        "rate": 1e-3,
        "separation": 2.0,
        "sigma": 2.0,
        "d": 4,
        "start_sq_parallel": 3.0,
        "start_sq_perpendicular": 5.0,
    }
    assert_allclose(theory.em_error_sq(samples=0, **call), 8.0)
    assert_allclose(theory.em_error_sq(samples=10**6, **call), theory.em_stationary_sq(rate=1e-3, sigma=2.0, d=4))


def test_theorem_1s_floor_is_tabulated():
    huge = {"n": 1e30, "k": 5, "d": 10, "sigma": 1.0, "mean_norm": 0.0}
    found = [theory.theorem1_bound(separation=c, **huge) for c in (3.0, 4.0, 6.0)]
    assert_allclose(found, [568, 355, 57], rtol=1e-2)
    assert theory.theorem2_bound(separation=3.0, **huge) == found[0]


def test_bounds_by_hand():
    assert_allclose(theory.theorem3_bound(separation=16.84267459163545, sigma=100), 84.21337295817725)
    assert_allclose(
        theory.theorem7_bound(n=100, d=2, sigma=3, mean_norm=10, constant=2), 1 + 2 * 2 * 9 * np.log(100) / 100
    )
    bound = theory.theorem1_bound(
        n=100, k=2, d=3, sigma=1, separation=50.0, mean_norm=10, bias_exponent=2, bias_constant=3, constant=0.5
    )
    assert_allclose(bound, 3 * 100 / 1e4 + 0.5 * 8 * 3 * np.log(100) / 100)
    assert_allclose(theory.theorem1_separation(5), 1.684267459163545)
    assert_allclose(theory.theorem2_separation(5), 1.2686362411795196)


def test_seeding_error_at_high_signal():
    means = 1e4 * np.eye(5, 10)
    found = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=10.0, block=23, graph_points=80)
    assert_allclose(found, 100 * (25 / 23 + 5 * theory._mean_inverse_count(80, np.array([0.2]))[0]), rtol=1e-3)
    assert 11.8**2 < found[0] < 13.5**2
    assert_allclose(theory.lost_component_probability(5, block=23), 0.0295, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.stationary_sq(rate=1.0, sigma=1, d=1), "rate is 1"),
        (lambda: theory.stationary_sq(rate=0.1, sigma=0, d=1), "sigma is 0"),
        (lambda: theory.theorem7_bound(n=0, d=1, sigma=1, mean_norm=1), "n is 0"),
        (lambda: theory.simplex_displacement(1, 2.0), "k is 1"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
