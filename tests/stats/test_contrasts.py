"""Slopes and ratios of means that share their runs."""

import many_studies  # benchmarks/many_studies.py: verdicts on thousands of studies at once
import numpy as np
import pytest
import scipy.stats
from draws import squared_errors, within_binomial
from numpy.testing import assert_allclose

from jgmm import stats

SLOPE = np.arange(-2.0, 3.0) / 10
STEP = np.array([0.0, 0.0, 0.0, -1.0, 1.0])


def test_weights_give_the_exponent_of_a_power():
    x = np.array([3.0, 5.0, 20.0, 21.0])
    assert_allclose(stats.slope_weights(x) @ np.log(7 * x**-1.4), -1.4, rtol=1e-13)
    assert_allclose(stats.neighbour_weights(x) @ np.log(7 * x**-1.4), [-1.4] * 3, rtol=1e-13)
    y = np.random.default_rng(0).normal(size=4)
    assert_allclose(stats.slope_weights(x) @ y, np.polyfit(np.log(x), y, 1)[0], rtol=1e-12)


def test_local_exponents_of_an_exact_law():
    x = np.array([8.0, 2.0, 4.0])
    local = stats.local_exponents(x, np.array([1.0, 2.0, 3.0])[None] / x[:, None] ** 1.5)
    assert_allclose(local.x, [np.sqrt(8), np.sqrt(32)], rtol=1e-14)
    assert_allclose(local.exponent, [-1.5, -1.5], rtol=1e-13)
    assert_allclose(local.standard_error, 0, atol=1e-14)  # runs that share one factor have no error in the exponent


def test_a_contrast_by_loop():
    values = np.random.default_rng(0).chisquare(4, (5, 9)) * np.arange(1.0, 6.0)[:, None]
    interval = stats.contrast_interval(values, SLOPE)
    without = np.array([SLOPE @ np.log(np.delete(values, r, axis=1).mean(axis=1)) for r in range(9)])
    error = np.sqrt(8 * without.var())
    skewness = np.abs(scipy.stats.skew(without))
    z = scipy.stats.norm.ppf(0.975)
    reach = scipy.stats.t.ppf(0.975, 8) * error * (1 + skewness * (2 * z**2 + 1) / (6 * z * 3))
    value = SLOPE @ np.log(values.mean(axis=1))
    assert_allclose(interval, [value, value - reach, value + reach], rtol=1e-9)


def test_a_common_factor_drops_out_and_so_do_cells_of_no_weight():
    values = np.random.default_rng(1).chisquare(4, (5, 9))
    interval = stats.contrast_interval(values, STEP)
    assert_allclose(stats.contrast_interval(7 * values, STEP), interval)
    values[:3] = 0
    assert stats.contrast_interval(values, STEP) == interval


def test_runs_that_agree_but_for_float32_have_its_resolution():
    shared = np.random.default_rng(17).chisquare(4, 100)
    interval = stats.contrast_interval(np.outer(np.arange(1, 6), shared), SLOPE)
    assert interval.high - interval.low == pytest.approx(2e-6 * np.abs(SLOPE).sum(), rel=1e-6)


def test_runs_that_cannot_tell_have_no_interval_or_the_whole_line():
    rng = np.random.default_rng(2)
    few, zero, rare = rng.chisquare(4, (5, 4)), rng.chisquare(4, (5, 64)), rng.chisquare(4, (5, 64))
    zero[4] = 0
    rare[4, 0] = 1e5
    for values in (few, zero, rare):
        assert stats.contrast_interval(values, SLOPE) is None
    line = stats.contrast_or_line(few, SLOPE)
    assert line == (SLOPE @ np.log(few.mean(axis=1)), -np.inf, np.inf)
    some = rng.chisquare(4, (5, 64))
    assert stats.contrast_or_line(some, SLOPE, 0.9) == stats.contrast_interval(some, SLOPE, 0.9)


@pytest.mark.parametrize("runs", [5, 16, 64])
@pytest.mark.parametrize("family", ["chi2_1", "chi2_4", "lognormal"])
def test_the_interval_of_a_contrast_covers_for_skewed_errors(family, runs):
    values = many_studies.FAMILIES[family](np.random.default_rng(runs), (3000, 5, runs))
    for contrast in (SLOPE, STEP):
        differences, parts = stats.contrast_parts(values, contrast)
        # The delta method's t interval: 89 % of chi2_1's at 5 runs.
        assert 0.93 - 0.012 <= np.mean(np.abs(differences) <= stats.student_reach(parts, 0.025)) <= 0.97 + 0.008


def test_local_exponents_cover_the_truth():
    rng = np.random.default_rng(6)
    x, hits = np.array([16.0, 64.0, 128.0]), []
    for _ in range(1000):
        local = stats.local_exponents(x, squared_errors(rng, 1 / x, 200, shared=True))
        hits.append(np.abs(local.exponent + 1) <= 1.96 * local.standard_error)
    for column in np.transpose(hits):
        assert within_binomial(column, slack=0.005)


def test_a_mean_of_values_of_both_signs_has_a_logarithm_where_it_is_far_above_0():
    values = np.random.default_rng(0).normal(size=(2, 100))
    exponent = np.array([-1.0, 1.0]) / np.log(2)
    assert stats.contrast_interval(values + 0.3, exponent) is None  # three standard errors
    assert stats.contrast_interval(values - 3, exponent) is None
    interval = stats.contrast_interval(values + np.array([[2.0], [4.0]]), exponent)
    assert interval.low < 1 < interval.high
    assert interval.high - interval.low < 0.4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.contrast_interval(np.ones((5, 9)), [1, 0, 0, 0, 0]), "sum to 0"),
        (lambda: stats.contrast_interval(np.ones((4, 9)), SLOPE), r"shape \(4, 9\)"),
        (lambda: stats.contrast_interval(np.full((5, 9), np.inf), SLOPE), "values are finite"),
        (lambda: stats.contrast_interval(np.ones((5, 9)), SLOPE, 0.0), "level"),
        (lambda: stats.local_exponents([1.0], np.ones((1, 5))), "at least 2 different positive sizes"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
