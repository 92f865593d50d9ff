"""Quantiles and shares of runs, by the binomial law."""

import numpy as np
import pytest
import scipy.stats
from draws import within_binomial
from numpy.testing import assert_allclose

from jgmm import stats


def test_the_median_of_ten_lies_between_the_second_and_the_ninth():
    # P(2 <= B <= 8) = 0.9785 for B ~ Binomial(10, 1/2), and 3..7 would be 0.89: the table in every textbook.
    assert_allclose(stats.quantile(np.arange(10.0, 0, -1), 0.5), [5.5, 2, 9], rtol=1e-14)


def test_no_interval_where_order_statistics_cannot_reach_the_level():
    # The median of n lies outside all n runs with chance 2^(1-n): 1/16 for 5 runs, 1/32 for 6.
    for n in (1, 2, 3, 5):
        assert np.isnan(stats.quantile(np.arange(float(n)), 0.5)[1:]).all()
    assert_allclose(stats.quantile(np.arange(6.0), 0.5), [2.5, 0, 5])
    assert_allclose(stats.quantile(np.arange(5.0), 0.5, level=0.9), [2, 0, 4])
    assert np.isnan(stats.quantile(np.arange(50.0), 0.95)[1:]).all()  # the greatest of 50 is below it in 8 %


def test_a_share_has_width_at_both_corners():
    # None of 1000 is likelier than 2.5 % while (1 - p)^1000 > 0.025.
    assert_allclose(stats.proportion(0, 1000), [0, 0, 1 - 0.025**0.001], rtol=1e-12)
    assert_allclose(stats.proportion(1000, 1000), [1, 0.025**0.001, 1], rtol=1e-12)
    by_scipy = scipy.stats.binomtest(7, 20).proportion_ci(0.9, method="exact")
    assert_allclose(stats.proportion(7, 20, 0.9), [0.35, *by_scipy], rtol=1e-9)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9])
def test_the_order_statistics_are_the_binomial_laws_quantiles(probability):
    for n in (6, 64, 300, 5000):
        for level in (0.9, 0.95, 0.999):
            interval = stats.quantile(np.arange(n) + 1.0, probability, level)  # the i-th of them is i
            low, high = scipy.stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], n, probability)
            reached = low >= 1 and high + 1 <= n
            assert_allclose(interval[1:], [low, high + 1] if reached else [np.nan, np.nan])


@pytest.mark.parametrize("n", [1, 5, 16, 64, 256])
def test_a_share_is_covered_at_least_as_often_as_said_whatever_it_is(n):
    # Exactly, by the binomial law. Wilson's interval: 85 % at 16 runs of probability 0.99.
    intervals = np.array([stats.proportion(hits, n) for hits in range(n + 1)])
    for p in (1e-4, 0.01, 0.1, 0.3, 0.5, 0.77, 0.9, 0.99, 0.9999):
        inside = (intervals[:, 1] <= p) & (p <= intervals[:, 2])
        assert scipy.stats.binom.pmf(np.arange(n + 1), n, p) @ inside >= 0.95 - 1e-12


@pytest.mark.parametrize(("probability", "n"), [(0.5, 30), (0.9, 100), (0.1, 50)])
def test_quantile_intervals_cover(probability, n):
    rng, law = np.random.default_rng(5), scipy.stats.gamma(0.7)
    truth = law.ppf(probability)
    intervals = [stats.quantile(law.rvs(n, random_state=rng), probability) for _ in range(300)]
    low, high = scipy.stats.binom.ppf([0.025, 0.975], n, probability)
    exact = scipy.stats.binom.cdf(high, n, probability) - scipy.stats.binom.cdf(low - 1, n, probability)
    assert 0.95 <= exact < 0.99
    assert within_binomial([interval.low <= truth <= interval.high for interval in intervals], exact)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.quantile([1.0], 1.0), "probability"),
        (lambda: stats.quantile([1.0], 0.5, 0.0), "level"),
        (lambda: stats.quantile([], 0.5), "at least 1"),
        (lambda: stats.proportion(3, 2), "got 3 of 2"),
        (lambda: stats.proportion(1, 2, 1.0), "level"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
