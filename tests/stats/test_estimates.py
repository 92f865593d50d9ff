"""Means, ratios and differences: by hand, and by loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import stats


def test_a_mean_by_hand():
    assert_allclose(stats.mean([1.0, 2.0, 3.0, 6.0]), [3.0, np.sqrt(14 / 3 / 4), 4], rtol=1e-14)
    assert np.isnan(stats.mean([5.0]).standard_error)


def test_a_root_mean_by_hand():
    root = stats.root_mean([9.0, 9.0, 25.0, 57.0])  # mean 25, squared deviations 256, 256, 0, 1024
    assert_allclose(root, [5.0, np.sqrt(1536 / 3 / 4) / 10, 4], rtol=1e-14)
    assert_array_equal(stats.root_mean([0.0, 0.0]), [0, 0, 2])


def test_a_relative_deviation_is_its_jackknife_by_loop():
    v = np.array([1.0, 2.0, 3.0, 6.0, 11.0])
    without = np.array([np.delete(v, i).std(ddof=1) / np.delete(v, i).mean() for i in range(5)])
    deviation = stats.relative_deviation(v)
    assert_allclose(deviation, [v.std(ddof=1) / v.mean(), np.sqrt(4 * without.var()), 5], rtol=1e-13)
    assert_allclose(stats.relative_deviation(7 * v), deviation, rtol=1e-13)
    assert np.isnan(stats.relative_deviation([0.0, 0.0, 1.0]).standard_error)


def test_a_difference_and_a_ratio_by_hand():
    a, b = [2.0, 4.0, 9.0], [1.0, 2.0, 3.0]
    assert_allclose(stats.paired_difference(a, b), [3, np.sqrt(7 / 3), np.corrcoef(a, b)[0, 1]], rtol=1e-13)
    # R = 2.5; a - R b = -0.5, -1, 1.5, variance 1.75
    assert_allclose(stats.ratio(a, b)[:2], [2.5, np.sqrt(1.75 / 3) / 2], rtol=1e-13)
    assert np.isnan(stats.paired_difference(a, [1.0, 1.0, 1.0]).correlation)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.mean([]), "at least 1 runs"),
        (lambda: stats.mean([[1.0]]), "one axis"),
        (lambda: stats.root_mean([1.0, -1.0]), "at least 0, got -1"),
        (lambda: stats.relative_deviation([1.0]), "at least 2"),
        (lambda: stats.relative_deviation([1.0, -1.0]), "at least 0"),
        (lambda: stats.relative_deviation([1.0, np.inf]), "finite, got inf"),
        (lambda: stats.paired_difference([1.0, 2.0], [1.0, 2.0, 3.0]), "got 2 and 3"),
        (lambda: stats.ratio([1.0, 2.0], [-1.0, 1.0]), "mean 0"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
