"""Intervals and tails of a mean; how often they cover is in `test_skewed` for errors, here for differences."""

import coverage  # benchmarks/coverage.py: the coverage of what is printed
import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from jgmm import stats
from jgmm.stats import skewed


def test_runs_of_both_signs_without_skewness_have_students_interval_and_tails():
    v = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    test = scipy.stats.ttest_1samp(v, 0.3)
    assert_allclose(stats.mean_interval(v, 0.9)[1:], test.confidence_interval(0.9), rtol=1e-13)
    low, high = stats.mean_tails(v, 0.3, 0.3, 0.025)
    assert_allclose([low, high], [test.pvalue / 2, 1 - test.pvalue / 2], rtol=1e-12)


def test_squared_errors_have_the_limits_and_tails_of_a_gamma_law():
    v = np.random.default_rng(0).chisquare(4, 9)
    assert_allclose(stats.mean_interval(v, 0.9), [v.mean(), *skewed.limits(skewed.shape(v), 0.05)], rtol=1e-13)
    tails = skewed.tails(skewed.cautious_shape(v), np.array(3.0), np.array(5.0), 0.001)
    assert stats.mean_tails(v, 3.0, 5.0, 0.001) == tails


def test_an_interval_has_the_units_of_its_runs():
    v = np.random.default_rng(0).chisquare(4, 9)
    assert_allclose(stats.mean_interval(1e-3 * v), np.multiply(stats.mean_interval(v), 1e-3), rtol=1e-7)


def test_many_nearly_normal_runs_have_students_interval():
    v = np.random.default_rng(0).normal(10, 1, 4000)
    plain = stats.mean(v)
    ends = plain.value + np.array([-1, 1]) * 1.96 * plain.standard_error
    assert_allclose(stats.mean_interval(v)[1:], ends, rtol=2e-4)


def test_runs_that_cannot_tell_have_no_interval_and_no_tails():
    rng = np.random.default_rng(0)
    rare = np.where(np.arange(300) < 3, 1000.0, rng.chisquare(4, 300))
    signed = np.where(np.arange(300) < 3, 1.0, 1e-9 * rng.normal(size=300))
    for v in ([1.0], [1.0, 2.0, 3.0, 4.0], np.zeros(50), [0.0, *np.ones(20)], rare, signed, -rare):
        assert stats.mean_interval(v) is None
        assert stats.mean_tails(v, 1.0, 1.0, 0.025) is None


def test_runs_that_agree_have_the_interval_of_float32s_rounding():
    low, high = stats.mean_interval(np.full(20, 0.3))[1:]
    assert 0.3 * (1 - 1e-4) < low < 0.3 < high < 0.3 * (1 + 1e-4)


@pytest.mark.parametrize("runs", [8, 64])
def test_the_interval_of_a_difference_of_pairs_covers(runs):
    shares = coverage.difference_covers("chi2_4", runs, 1000, np.random.default_rng(runs))
    assert 0.93 - 0.02 <= shares["covered"] <= 0.97 + 0.014  # 93 to 97 %, and 2.5 standard errors of 1000 studies
    assert shares["printed"] > 0.8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.mean_interval([]), "at least 1 runs"),
        (lambda: stats.mean_interval([1.0, np.inf, 2.0]), "finite, got inf"),
        (lambda: stats.mean_interval(np.ones(9), 1.0), r"level lies in \(0, 1\), got 1"),
        (lambda: stats.mean_tails(np.ones(9), 1, 1, 0.0), r"tail lies in \(0, 1\), got 0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
