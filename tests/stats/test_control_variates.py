"""Means with a control variate, and when they are not to be trusted."""

import coverage  # benchmarks/coverage.py: the coverage of what is printed
import numpy as np
import pytest
import scipy.stats
from draws import within_binomial
from numpy.testing import assert_allclose

from jgmm import stats


def test_a_control_variate_by_hand():
    # z = -1, 0, 1, 4 with mean 1; slope (2*1 + 1*0 + 0 + 3*5) / 14; the intercept's error is linregress's.
    v, twin = np.array([1.0, 2.0, 2.0, 7.0]), np.array([0.0, 1.0, 2.0, 5.0])
    controlled, line = stats.controlled(v, twin, 1.0), scipy.stats.linregress(twin - 1, v)
    assert_allclose(controlled.coefficient, 17 / 14, rtol=1e-14)
    assert_allclose(controlled[:2], [line.intercept, line.intercept_stderr], rtol=1e-13)
    assert_allclose(controlled.variance_factor, v.var(ddof=1) / 4 / line.intercept_stderr**2, rtol=1e-13)
    assert_allclose(stats.controlled_values(v, twin, 1.0), v - 17 / 14 * (twin - 1), rtol=1e-14)
    assert_allclose(stats.controlled_values(v, twin, np.ones(4)).mean(), controlled.value, rtol=1e-14)


def test_a_twin_that_does_not_vary_controls_nothing():
    v = np.array([1.0, 2.0, 4.0])
    controlled = stats.controlled(v, np.full(3, 0.3), 0.1 + 0.2)
    assert_allclose(controlled, [*stats.mean(v)[:2], 0, 1], rtol=1e-14)
    moving = np.array([0.1, 0.7, 1e6])
    assert stats.controlled(v, moving + 0.1, moving).coefficient == 0


def test_runs_that_equal_their_twins_are_not_controlled():
    rng = np.random.default_rng(10)
    twin = rng.chisquare(4, 200)
    assert not stats.controls(twin * (1 + 1e-8 * rng.normal(size=200)), twin, 4.0)  # rounding alone is left
    assert stats.controls(twin + 0.1 * rng.normal(size=200), twin, 4.0)
    assert stats.controlled_interval(twin, twin, 4.0) is None
    rare = twin + np.where(np.arange(200) < 12, 1.0, 0.0)  # 12 runs differ
    assert stats.controls(rare, twin, 4.0)
    assert not stats.controls(rare, twin, 4.0, events=30)


def test_the_interval_of_nearly_normal_runs_is_the_regressions():
    rng = np.random.default_rng(11)
    twin = rng.chisquare(4, 2000)
    values = twin + rng.normal(size=2000)
    interval, estimate = stats.controlled_interval(values, twin, 4.0), stats.controlled(values, twin, 4.0)
    assert interval.value == estimate.value
    assert interval.high - interval.value == pytest.approx(1.961 * estimate.standard_error, rel=3e-3)
    assert interval.value - interval.low == pytest.approx(interval.high - interval.value, rel=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.7, 0.99])
def test_the_controlled_mean_is_covered_by_students_t(correlation):
    rng = np.random.default_rng(4)
    n, hits = 12, []
    for _ in range(800):
        centre = rng.normal(size=n)  # a conditional mean for each run
        twin = centre + rng.normal(size=n)
        values = 3 + correlation * (twin - centre) + np.sqrt(1 - correlation**2) * rng.normal(size=n)
        estimate = stats.controlled(values, twin, centre)
        hits.append(abs(estimate.value - 3) <= scipy.stats.t.ppf(0.975, n - 2) * estimate.standard_error)
    assert within_binomial(hits)  # exact for normal runs


@pytest.mark.parametrize("rate", [0.5, 0.01, 0.001])
def test_rare_misassignments_leave_no_controlled_interval_that_does_not_cover(rate):
    rng = np.random.default_rng(9)
    for runs in (5, 64, 256):
        shares = coverage.controlled_covers(rate, runs, 150, rng)
        # The error of `controlled` alone covers 4, 18, 50 % at a rate of 0.001.
        assert 0.93 - 0.042 <= shares["covered"] <= 0.97 + 0.03
        assert shares["controlled"] == 0 or rate == 0.5
    assert rate < 0.5 or shares["controlled"] > 0.9  # and where they are common, there is one


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.controlled([1.0, 2.0], [1.0, 2.0], 0.0), "at least 3"),
        (lambda: stats.controlled([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0]), "as many runs"),
        (lambda: stats.controlled_interval([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0.0, 1.0), "level"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
