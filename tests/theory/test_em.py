"""Laws of streaming EM on a pair against tables, quadratures and small simulations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from jgmm import theory


def test_information_is_tabulated():
    found = theory.em_information([1, 2, 3, 4, 6])
    assert_allclose(found.parallel, [0.343, 0.734, 0.916, 0.978, 0.9992], atol=5e-4)
    assert_allclose(found.perpendicular, [0.204, 0.550, 0.803, 0.931, 0.9959], atol=1e-3)


def test_the_fixed_point_of_em():
    expected = [0.3048, 0.2006, 0.1283, 0.0464, 0.01383, 0.00333, 6.4e-4, 1.2e-5]
    assert_allclose(theory.em_fixed_point_bias([1, 1.5, 2, 3, 4, 5, 6, 8], beta=2), expected, rtol=2e-2)
    assert_allclose(theory.em_fixed_point_bias([0, 0.1, 1, 2, 4], beta=1), 0, atol=1e-9)
    assert_allclose(theory.em_fixed_point_bias([2, 14], beta=0.01), [-1, -7])  # both centres fall to the middle
    flat = 3.5 + theory.em_fixed_point_bias(7, beta=0.3)
    assert_allclose(stats.norm(3.5).expect(lambda x: x * np.tanh(0.3 * flat * x)), flat, rtol=1e-6)
    pinned = theory.em_fixed_point_bias(0, beta=2)  # two components in one place: m = E[x tanh(2 m x)] all the same
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    assert_allclose(weights @ (nodes * np.tanh(2 * pinned * nodes)) / weights.sum(), pinned, rtol=1e-5)
    assert_allclose(theory.em_fixed_point_bias([1, 2, 4], beta=1000), theory.lloyd_bias([1, 2, 4]), rtol=1e-4)
    assert_allclose(theory.em_fixed_point_bias(2, beta=2, sigma=3.0), 3 * 0.1283, rtol=1e-3)


def test_em_settles_at_half_the_rate():
    """A NumPy streaming EM at C = 4, 4000 runs; c = 4 standard errors."""
    rng = np.random.default_rng(3)
    rate, d, runs = 0.05, 3, 4000
    truth = np.array([2.0, 0, 0])
    mean = np.tile(truth, (runs, 1))
    for _ in range(200):
        x = np.where(rng.random(runs) < 0.5, 1, -1)[:, None] * truth + rng.normal(size=(runs, d))
        mean += rate * (np.tanh((x * mean).sum(axis=1))[:, None] * x - mean)
    squares = ((mean - truth) ** 2).sum(axis=1)
    law = theory.em_stationary_sq(rate=rate, sigma=1, d=d)
    standard_error = squares.std() / np.sqrt(runs)
    assert abs(squares.mean() - law) < 4 * standard_error + rate * law  # the law is to first order in the rate


def test_em_settles_at_half_the_rate_by_hand():
    assert_allclose(theory.em_stationary_sq(rate=0.02, sigma=2.0, d=5), 0.01 * 4 * 5)
    assert_allclose(theory.em_stationary_sq(rate=0.02, sigma=2.0, d=5, k=3), 3 * 0.01 * 4 * 5)


def test_the_cramer_rao_bound_is_the_oracle_far_apart_and_more_nearby():
    far = {"n": 100, "separation": 30.0, "sigma": 2.0, "d": 5}
    assert_allclose(theory.cramer_rao(**far, free=1), 4 * 5 / 100)
    assert_allclose(theory.cramer_rao(**far, free=2), 4 * 4 * 5 / 100)  # two means, half of the samples each
    near = {**far, "separation": 2.0}
    assert theory.cramer_rao(**near, free=1) > 1.3 * theory.cramer_rao(**far, free=1)
    assert theory.cramer_rao(**near, free=2) > 2 * theory.cramer_rao(**near, free=1)


@pytest.mark.parametrize("separation", [2.0, 4.0])
def test_the_cramer_rao_bound_is_the_inverse_of_the_score_covariance(separation):
    rng = np.random.default_rng(4)
    s, size = separation / 2, 400_000
    mean = np.array([s, 0.0])
    signs = rng.choice([-1, 1], size)
    x = signs[:, None] * mean + rng.standard_normal((size, 2))
    first = 1 / (1 + np.exp(-2 * s * x[:, 0]))
    scores = np.concatenate([first[:, None] * (x - mean), (1 - first)[:, None] * (x + mean)], axis=1)
    information = scores.T @ scores / size
    assert_allclose(
        np.trace(np.linalg.inv(information)),
        theory.cramer_rao(n=1, separation=separation, sigma=1, d=2, free=2),
        rtol=0.02,
    )
    one = np.tanh(s * x[:, 0])[:, None] * x - mean
    assert_allclose(
        np.trace(np.linalg.inv(one.T @ one / size)),
        theory.cramer_rao(n=1, separation=separation, sigma=1, d=2, free=1),
        rtol=0.02,
    )


def test_a_fit_with_one_component_too_many_has_the_mean_of_its_law():
    assert_allclose(theory.em_overspecified_sq(rate=0.01, sigma=2.0, d=[1, 3, 10, 43]), [0, 0, 0.14, 0.8])
    law = theory.em_overspecified_law(rate=0.01, sigma=2.0, d=10)
    assert_allclose(law.mean(), 0.14)
    assert_allclose(law.var(), 0.14 * 2 * 0.01 * 4)  # of a gamma: its mean times its scale
    with pytest.raises(ValueError, match="d is 3, expected more than 3"):
        theory.em_overspecified_law(rate=0.01, sigma=1.0, d=3)


def test_the_drift_and_the_noise_of_a_fit_with_one_component_too_many():
    """E x tanh <x, mu> - mu = -|mu|^2 mu and its second moment |mu|^2 I + mu mu', by quadrature in two dimensions."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    mass = np.outer(weights, weights) / weights.sum() ** 2
    mu = 0.01
    pulled = x * np.tanh(x * mu) - mu, y * np.tanh(x * mu)
    assert_allclose((mass * pulled[0]).sum(), -(mu**3), rtol=1e-3)
    assert_allclose((mass * pulled[0] ** 2).sum(), 2 * mu**2, rtol=2e-3)
    assert_allclose((mass * pulled[1] ** 2).sum(), mu**2, rtol=2e-3)
