"""How sums of terms grow, whatever their constants are."""

import numpy as np
from numpy.testing import assert_allclose

from jgmm import stats
from jgmm.study.verdicts import sums


def test_of_one_term_both_curves_are_the_term():
    logs = np.array([[1.0], [3.0], [2.0]])
    shapes = sums.shapes(logs)
    assert_allclose(shapes.upper, [0, 2, 1])
    assert_allclose(shapes.lower, [0, 2, 1])
    assert shapes.single


def test_by_hand_with_two_terms():
    shapes = sums.shapes(np.array([[0.0, 0.0], [1.0, -1.0], [1.5, 1.0]]))
    assert_allclose(shapes.upper, [0, 1, 3])
    assert_allclose(shapes.lower, [0, -1, -0.5])
    assert not shapes.single


def test_no_sum_outgrows_one_curve_or_falls_behind_the_other():
    rng = np.random.default_rng(0)
    x = np.geomspace(1, 100, 5)
    weights = [stats.slope_weights(x), *stats.neighbour_weights(x)]
    for _ in range(300):
        logs = np.cumsum(rng.normal(0, 0.5, (5, 3)), axis=0)  # all of them count
        shapes = sums.shapes(logs)
        assert sums.in_play(logs).all()
        total = np.log(np.exp(logs) @ rng.gamma(0.3, 1, 3))
        for weight in weights:
            assert weight @ shapes.lower - 1e-12 <= weight @ total <= weight @ shapes.upper + 1e-12


def test_a_term_far_below_another_does_not_count():
    logs = np.array([[0.0, -20.0], [-1.0, -20.0], [-2.0, -20.0]])
    shapes = sums.shapes(logs)
    assert_allclose(shapes.upper, [0, -1, -2])
    assert shapes.single


def test_a_term_counts_in_a_step_at_either_end_of_which_it_is_large():
    logs = np.array([[0.0, -20.0], [-16.0, -20.0], [-40.0, -20.0]])
    assert_allclose(sums.shapes(logs).upper, [0, 0, 0])
    assert_allclose(sums.shapes(logs).lower, [0, -16, -40])
