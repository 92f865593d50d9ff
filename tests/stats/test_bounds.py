"""A mean against the shape of a bound: what is caught, and how often a truth is contradicted."""

import numpy as np
import pytest
from draws import correlated_runs
from numpy.testing import assert_allclose

from jgmm import stats

SIZES = np.array([4096.0, 16384.0, 65536.0, 262144.0, 1048576.0])
K = np.array([2.0, 3.0, 5.0, 8.0, 12.0])
STUDIES = 400


def log_law(n):
    return 7.5 * np.log(3 * n) / n


def test_the_gap_is_the_difference_of_two_slopes_and_its_interval_a_contrasts():
    rng = np.random.default_rng(0)
    errors, bound = correlated_runs(rng, 1 / SIZES, 40), SIZES**-0.8
    check = stats.against_bound(SIZES, errors, bound, 0.05)
    slope = np.polyfit(np.log(SIZES), np.log(errors.mean(axis=1)), 1)[0]
    assert_allclose([check.slope, check.bound, check.gap], [slope, -0.8, slope + 0.8], rtol=1e-12)
    interval = stats.contrast_interval(errors, stats.slope_weights(SIZES), 1 - 0.05 / 5)  # end to end, and 4 neighbours
    assert_allclose([check.low, check.high], [interval.low + 0.8, interval.high + 0.8], rtol=1e-12)
    assert_allclose(check.local, np.diff(np.log(errors.mean(axis=1))) / np.diff(np.log(SIZES)), rtol=1e-12)


def test_the_order_of_sizes_and_constants_do_not_matter():
    errors = correlated_runs(np.random.default_rng(1), 1 / SIZES, 40)
    check = stats.against_bound(SIZES, errors, 1 / SIZES, 0.05)
    again = stats.against_bound(SIZES[::-1], errors[::-1], 700 / SIZES[::-1], 0.05)
    assert again.kind == check.kind
    assert_allclose([*again[1:6], *again.local], [*check[1:6], *check.local], rtol=1e-9, atol=1e-12)


def test_runs_that_cannot_tell_are_inconclusive():
    check = stats.against_bound(SIZES, np.ones((5, 4)), SIZES, 0.05)
    assert (check.kind, check.low, check.high) == ("inconclusive", -np.inf, np.inf)


# how often


def kinds(truth, bound, runs, x=SIZES, studies=STUDIES):
    """What is said in each of many studies, at the level of a first look."""
    rng = np.random.default_rng(0)
    level = stats.look_level(1)
    return [stats.against_bound(x, correlated_runs(rng, truth, runs), bound, level).kind for _ in range(studies)]


def share(answers, kind):
    return answers.count(kind) / len(answers)


def test_a_bound_of_the_true_shape_is_tight_and_hardly_ever_contradicted():
    answers = kinds(log_law(SIZES), 20 * log_law(SIZES), runs=1000)
    assert share(answers, "tight") > 0.95
    assert share(answers, "contradicted") + share(answers, "loose") <= 0.05


def test_few_runs_are_inconclusive_not_wrong():
    answers = kinds(log_law(SIZES), log_law(SIZES), runs=16)
    assert share(answers, "inconclusive") > 0.6
    assert share(answers, "contradicted") + share(answers, "loose") <= 0.05


@pytest.mark.parametrize(
    ("truth", "bound", "x", "kind"),
    [
        (log_law(SIZES), 100 / SIZES, SIZES, "contradicted"),  # it lacks the logarithm
        (log_law(SIZES), log_law(SIZES) * np.log(SIZES), SIZES, "loose"),  # one logarithm too many
        (K**2, K**3, K, "loose"),
        (K**2, K, K, "contradicted"),
        (1 / SIZES + 5e-6, 10 / SIZES, SIZES, "contradicted"),  # it lacks a floor
    ],
)
def test_another_shape_is_told(truth, bound, x, kind):
    assert share(kinds(truth, bound, runs=1000, x=x, studies=50), kind) == 1


def test_an_error_that_stops_falling_at_the_largest_sizes_is_contradicted_though_it_fell_fast_before():
    truth = np.array([1.0, 1 / 64, 1 / 1024, 1 / 1300, 1 / 1400])
    assert np.log(truth[-1]) / np.log(SIZES[-1] / SIZES[0]) < -1  # end to end the bound's slope is met
    assert share(kinds(truth, SIZES**-1.0, runs=256, studies=50), "contradicted") == 1
