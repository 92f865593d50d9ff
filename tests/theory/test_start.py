"""The error of a start by Algorithm 2, by hand and in limits."""

import numpy as np
from numpy.testing import assert_allclose
from scipy import stats

from jgmm import theory


def inverse_count(total, weight):
    """E(1/n), n ~ Binomial(total, weight), given n >= 1."""
    n = np.arange(1, total + 1)
    chances = stats.binom.pmf(n, total, weight)
    return chances @ (1 / n) / chances.sum()


def test_inverse_counts_of_two_points_by_hand():
    """In one dimension nothing is lost to the projection: the error is that of the means of the graph's points."""
    found = theory.seeding_error_sq([[9.0], [-9.0]], [0.3, 0.7], sigma=2.0, block=10, graph_points=2)
    expected = [(2 * w * (1 - w) + w**2 / 2) / (1 - (1 - w) ** 2) for w in (0.3, 0.7)]
    assert_allclose(found, 4 * np.array(expected), rtol=1e-12)


def test_seeding_error_at_high_signal():
    means = 1e4 * np.eye(5, 10)
    found = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=10.0, block=23, graph_points=80)
    assert_allclose(found, 100 * (25 / 23 + 5 * inverse_count(80, 0.2)), rtol=1e-3)
    assert_allclose(np.sqrt(found), 11.90, rtol=1e-3)
    assert_allclose(theory.lost_component_probability(5, block=23), 0.0295, atol=1e-4)
    assert theory.lost_component_probability(50, block=1) == 1.0


def test_coordinates_in_which_all_means_are_0_need_not_be_given():
    means, how = 3.0 * np.eye(2, 6), {"sigma": 3.0, "block": 10, "graph_points": 40}
    whole, short = theory.seeding_error_sq(means, [0.25, 0.75], **how), means[:, :3]
    assert_allclose(theory.seeding_error_sq(short, [0.25, 0.75], d=6, **how), whole, rtol=1e-12)


def test_seeding_at_low_signal_loses_less():
    means = np.eye(2, 6) * 3.0  # weights .25 and .75, sigma 3: l = 1 / (w + 1)
    found = theory.seeding_error_sq(means, [0.25, 0.75], sigma=3.0, block=10, graph_points=40)
    inverse = np.array([inverse_count(40, 0.25), inverse_count(40, 0.75)])
    assert_allclose(found, 9 * (4 / np.array([1.25, 1.75]) / 10 + 2 * inverse), rtol=1e-12)


def test_seeding_in_fewer_dimensions_than_centres_has_all_the_noise_and_no_more():
    means = [[9.0], [-9.0]]
    found = theory.seeding_error_sq(means, [0.5, 0.5], sigma=1.0, block=10, graph_points=40)
    assert_allclose(found, [inverse_count(40, 0.5)] * 2, rtol=1e-12)
