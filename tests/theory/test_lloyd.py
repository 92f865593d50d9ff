"""Laws of streaming Lloyd against tables, hand values, identities, a population iteration and a small simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

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


def test_far_apart_the_displacement_of_the_simplex_is_that_of_its_pairs_added_up():
    """By symmetry the k - 1 pulls of b(C) along unit vectors 60 degrees apart sum to sqrt(k (k-1)/2) b(C)."""
    k, c = 5, 12.0
    pairs = np.sqrt(k * (k - 1) / 2) * theory.lloyd_bias(c)
    assert_allclose(theory.simplex_displacement(k, c), pairs, rtol=1e-3)  # overlaps of three


def test_far_apart_fixed_points_of_unequal_weights_are_those_of_the_first_order():
    """w_i delta_i = (w_i + w_j) phi(C/2) - w_j C Q(C/2), outward: for equal weights b(C), much more for others."""
    c, weights = 11.0, np.array([0.7, 0.3])
    density, tail = stats.norm.pdf(c / 2), stats.norm.sf(c / 2)
    outward = (density - weights[::-1] * c * tail) / weights
    found = theory.lloyd_pair_fixed_points(c, weights) - np.array([c, -c]) / 2
    assert_allclose(found, outward * [1, -1], rtol=1e-3)
    assert abs(found[1]) > 3 * theory.lloyd_bias(c)


def test_two_fixed_points_of_very_unequal_weights_belong_to_the_truth():
    """Other roots of the same equations have both centres on the heavy component: 22.3 and 30.6 at C = 6 and 7."""

    def floor(separation, weights):
        fixed = theory.lloyd_pair_fixed_points(separation, weights)
        return np.sum((fixed - np.array([0.5, -0.5]) * separation) ** 2)

    assert_allclose([floor(6, [0.98, 0.02]), floor(7, [0.98, 0.02])], [0.0672, 0.00151], rtol=1e-3)
    assert_allclose(floor(8, [0.99, 0.01]), 1.438e-4, rtol=1e-3)
    assert_allclose(
        theory.lloyd_pair_fixed_points(6, [0.02, 0.98]), -theory.lloyd_pair_fixed_points(6, [0.98, 0.02])[::-1]
    )
    with pytest.raises(ValueError, match=r"separation is 5 at weights \[0.98, 0.02\], expected a larger one"):
        theory.lloyd_pair_fixed_points(5, [0.98, 0.02])


def _population_lloyd(separation, weights, iterations):
    """Lloyd's map on a grid of the line, from the true means on."""
    s = separation / 2
    x = np.linspace(-s - 9, s + 9, 4001)
    density = weights[0] * stats.norm.pdf(x - s) + weights[1] * stats.norm.pdf(x + s)
    first, second = s, -s
    for _ in range(iterations):
        near = np.clip((x - (first + second) / 2) / (x[1] - x[0]) + 0.5, 0, 1)  # a grid cell is cut by the boundary
        first = (near * density) @ x / (near @ density)
        second = ((1 - near) * density) @ x / ((1 - near) @ density)
    return first, second


@pytest.mark.parametrize("minor", [0.5, 0.3, 0.02])
@pytest.mark.parametrize("separation", [2.0, 5.8, 7.0])
def test_fixed_points_are_where_a_long_population_iteration_ends(minor, separation):
    first, second = _population_lloyd(separation, [1 - minor, minor], 200)
    if second > 0:
        with pytest.raises(ValueError, match="expected a larger one"):
            theory.lloyd_pair_fixed_points(separation, [1 - minor, minor])
    else:
        assert_allclose(theory.lloyd_pair_fixed_points(separation, [1 - minor, minor]), [first, second], atol=5e-5)


def test_fixed_points_move_smoothly_with_the_separation_once_there_are_any():
    found = [theory.lloyd_pair_fixed_points(c, [0.9, 0.1]) - [c / 2, -c / 2] for c in np.arange(4.0, 8.0, 0.02)]
    assert np.abs(np.diff(found, axis=0)).max() < 0.03
    assert np.all(np.diff(np.sum(np.square(found), axis=1)) < 0)


def test_a_pair_has_no_fixed_points_at_a_separation_that_is_no_length():
    for separation in (0.0, 1e20, np.inf, np.nan):
        with pytest.raises(ValueError, match="separation is"):
            theory.lloyd_pair_fixed_points(separation, [0.5, 0.5])


def test_fixed_points_of_equal_pairs_are_the_known_ones_and_of_others_are_fixed():
    for separation in (2.0, 4.0):
        fixed = theory.lloyd_pair_fixed_points(separation, [0.5, 0.5], sigma=3.0)
        bias = theory.lloyd_bias(separation, sigma=3.0)
        assert_allclose(fixed, [1.5 * separation + bias, -1.5 * separation - bias], rtol=1e-10)
    rng = np.random.default_rng(5)
    sides = np.where(rng.random(2_000_000) < 0.7, 1.5, -1.5)
    x = sides + rng.standard_normal(len(sides))
    fixed = theory.lloyd_pair_fixed_points(3.0, [0.7, 0.3])
    above = x > fixed.mean()
    assert_allclose([x[above].mean(), x[~above].mean()], fixed, atol=5e-3)
    threshold = fixed.mean()
    tail, density = stats.norm.sf(threshold - np.array([1.5, -1.5])), stats.norm.pdf(threshold - np.array([1.5, -1.5]))
    above = np.array([0.7, 0.3]) @ (np.array([1.5, -1.5]) * tail + density) / (np.array([0.7, 0.3]) @ tail)
    assert_allclose(fixed[0], above, rtol=1e-9)
    with pytest.raises(ValueError, match="two positive numbers"):
        theory.lloyd_pair_fixed_points(3.0, [1.0, 0.0])


def test_the_pair_law_is_tabulated():
    totals = [theory.lloyd_pair_law(c, rate=0.02, d=5).error_sq for c in (4, 3, 2)]
    assert_allclose(totals, [0.0520, 0.0584, 0.0911], atol=6e-5)
    assert_allclose(theory.lloyd_pair_law(2, rate=0.02, d=5).shift, -0.0043, atol=5e-5)


def test_the_pair_law_by_hand():
    f, b = 0.24197072451914337, 0.16663094117  # phi(1), and b(2) = 2 phi(1) - 2 Q(1)
    m = 1 + b
    law = theory.lloyd_pair_law(2.0, rate=0.04, d=3, sigma=3.0)
    assert_allclose(law.bias, 3 * b, rtol=1e-6)
    assert_allclose(law.variance_parallel, 9 * 0.01 * (2 - m**2) * (1 + 1 / (1 - 2 * f * m)), rtol=1e-6)
    assert_allclose(law.variance_transverse, 9 * 0.01 * 2 * (1 + 1 / (1 - 2 * f / m)), rtol=1e-6)
    parts = (law.bias + law.shift) ** 2 + law.variance_parallel + law.variance_transverse
    assert_allclose(law.error_sq, parts, rtol=1e-12)
    assert_allclose(law.shift, 3 * 2 * theory.lloyd_pair_law(2.0, rate=0.02, d=3).shift, rtol=1e-12)


def test_far_apart_the_pair_law_is_the_separated_one():
    far = theory.lloyd_pair_law(20, rate=1e-4, d=7, sigma=3.0)
    assert_allclose(far.error_sq, theory.stationary_sq(rate=1e-4, sigma=3.0, d=7), rtol=1e-4)


def test_s1_is_tabulated():
    found = theory.lloyd_error_sq(
        samples=np.array([1, 30, 100, 300]), rate=0.05, weight=0.2, sigma=1.0, d=3, start_sq=16.0
    )
    assert_allclose(found, [15.6895, 8.897, 2.299, 0.1202], rtol=2e-4)  # as printed; 16 is what t = 1 started from


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


def test_s2_is_the_mean_of_a_chi():
    exact = np.sqrt(0.1 / 1.9)
    assert_allclose(theory.stationary_distance(rate=0.1, sigma=3, d=1), 3 * exact * np.sqrt(2 / np.pi), rtol=1e-12)
    assert_allclose(theory.stationary_distance(rate=0.1, sigma=3, d=2), 3 * exact * np.sqrt(np.pi / 2), rtol=1e-12)


def test_the_law_given_counts_averages_to_s1():
    """Given its n samples a centre is (1 - eta)^n of its start, with the variance below; n is binomial."""
    rate, weight, t, d = 0.1, 0.3, 12, 2
    counts = np.arange(t + 1)
    chances = stats.binom.pmf(counts, t, weight)
    variance = 1.5**2 * rate / (2 - rate) * (1 - (1 - rate) ** (2 * counts))
    expected = chances @ ((1 - rate) ** (2 * counts) * 4.5 + d * variance)
    found = theory.lloyd_error_sq(samples=t, rate=rate, weight=weight, sigma=1.5, d=d, start_sq=4.5)
    assert_allclose(found, expected, rtol=1e-12)
