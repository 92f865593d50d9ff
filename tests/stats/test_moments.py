"""Batches of runs, their log means and covariance, bootstrap replicas, and Hotelling's test."""

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from jgmm.stats import moments


def test_batches_drop_no_run():
    v = np.random.default_rng(0).normal(size=(3, 23))
    means, sizes = moments.batches(v, 5), moments.batch_sizes(23, 5)
    by_loop = [[part.mean() for part in np.array_split(row, 5)] for row in v]
    assert_allclose(means, by_loop, rtol=1e-13)
    assert_array_equal(sizes, [5, 5, 5, 4, 4])
    assert_allclose(means @ sizes / 23, v.mean(axis=1), rtol=1e-13)
    assert_array_equal(moments.batches(v, 30), v)


def test_log_means_and_their_covariance_by_numpy():
    v = np.random.default_rng(1).gamma(4, 1, (3, 20))
    known = moments.log_moments(np.arange(3.0), v, np.ones(20, int))
    relative = v / v.mean(axis=1, keepdims=True)
    covariance = np.cov(relative) / 20 + 1e-12 * np.eye(3)
    assert_allclose(known.covariance, covariance, rtol=1e-12)
    assert_allclose(known.y, np.log(v.mean(axis=1)) + np.diag(covariance) / 2, rtol=1e-13)
    assert_allclose(known.weights, 1 / np.diag(covariance), rtol=1e-12)
    assert (known.freedom, known.full) == (19, True)


def test_a_covariance_of_few_runs_is_its_diagonal():
    v = np.random.default_rng(1).gamma(4, 1, (3, 8))
    known = moments.log_moments(np.arange(3.0), v, np.ones(8, int))
    assert not known.full
    assert_array_equal(known.covariance, np.diag(np.diag(known.covariance)))


def test_a_run_is_resampled_in_all_cells_together():
    v = np.random.default_rng(2).gamma(4, 1, (1, 30)) * np.array([[1.0], [5.0]])
    replicas = moments.resample(v, np.ones(30, int), 500)
    assert_allclose(replicas[:, 1] - replicas[:, 0], np.log(5), rtol=1e-12)
    # The bootstrap's variance is s^2 (B-1)/B / B; 500 resamples know it to 6 %.
    assert_allclose(np.exp(replicas[:, 0]).var(), v[0].var() / 30, rtol=0.2)
    assert_array_equal(replicas, moments.resample(v, np.ones(30, int), 500))


def test_batches_of_more_runs_weigh_more_in_a_resample():
    replicas = moments.resample(np.array([[1.0, 2.0]]), np.array([3, 1]), 200)
    assert_allclose(np.unique(np.exp(replicas)), [1, (3 * 1 + 1 * 2) / 4, 2], rtol=1e-12)


def known_to(freedom, full):
    return moments.Moments(logs=np.zeros(2), y=np.zeros(2), covariance=np.eye(2), freedom=freedom, full=full)


def test_hotellings_test_is_an_f_test():
    rng = np.random.default_rng(3)
    covariance, residuals = np.cov(rng.normal(size=(3, 9))), rng.normal(size=3)
    square = residuals @ np.linalg.inv(covariance) @ residuals / 3
    f, p_value = moments.hotelling(residuals, covariance, known_to(20, full=True))
    assert_allclose([f, p_value], [square * 18 / 20, scipy.stats.f.sf(square * 18 / 20, 3, 18)], rtol=1e-10)
    f, p_value = moments.hotelling(residuals, covariance, known_to(20, full=False))
    assert_allclose([f, p_value], [square, scipy.stats.f.sf(square, 3, 20)], rtol=1e-10)


def test_directions_without_variance_are_left_out():
    one = moments.hotelling(np.array([2.0]), np.array([[1.0]]), known_to(20, full=True))
    two = moments.hotelling(np.array([2.0, 0.3]), np.diag([1.0, 1e-17]), known_to(20, full=True))
    assert_allclose(one, two, rtol=1e-12)
    assert moments.hotelling(np.array([1e-8]), np.zeros((1, 1)), known_to(20, full=True)) == (0, 1)
    assert moments.hotelling(np.array([1e-3]), np.zeros((1, 1)), known_to(20, full=True)) == (np.inf, 0)


def test_bad_input_is_named():
    for values, count in ((np.ones(3), 5), (np.ones((3, 0)), 5), (np.ones((3, 4)), 0)):
        with pytest.raises(ValueError, match="shape"):
            moments.batches(values, count)
