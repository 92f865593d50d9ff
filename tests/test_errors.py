"""Errors under the best matching, subspace distance, means with their standard errors."""

from itertools import permutations

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import linear_sum_assignment

from jgmm import errors


def error(estimates, means):
    estimates = np.asarray(estimates)
    return errors.centre_errors(estimates, np.zeros_like(estimates), means)


def test_errors_by_hand():
    found = error(jnp.array([[10.0, 3.0], [0.0, 4.0]]), jnp.array([[0.0, 0.0], [10.0, 0.0]]))
    assert_allclose([found.error_sq, found.error_sum, found.error_max, found.lost], [25, 7, 4, 0])


def test_two_estimates_on_one_mean_lose_the_other():
    found = error(jnp.array([[0.0], [0.5]]), jnp.array([[0.0], [10.0]]))
    assert int(found.lost) == 1
    assert_allclose(found.error_sq, 9.5**2)


def test_the_matching_is_optimal_and_blind_to_order():
    rng = np.random.default_rng(0)
    for k in (1, 2, 5, 8):
        for _ in range(10):
            a, b = rng.normal(size=(2, k, 3)).astype(np.float32)
            cost = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
            rows, columns = linear_sum_assignment(cost)
            found = error(jnp.asarray(a), jnp.asarray(b))
            assert_allclose(found.error_sq, cost[rows, columns].sum(), rtol=1e-5)
            assert_allclose(
                error(jnp.asarray(a[rng.permutation(k)]), jnp.asarray(b)).error_sq, found.error_sq, rtol=1e-5
            )


def test_an_origin_at_the_mean_keeps_small_errors_at_1e4():
    mean = jnp.full((1, 2), 1e4)
    found = errors.centre_errors(mean, jnp.full((1, 2), 1e-6), mean)
    assert_allclose(found.error_sq, 2e-12, rtol=1e-5)


def test_a_centre_that_is_not_finite_shows():
    found = error(jnp.array([[jnp.nan], [0.0]]), jnp.array([[0.0], [1.0]]))
    assert np.isnan(found.error_sq)
    assert int(found.lost) == 1  # nothing is near the first component


def test_errors_do_not_depend_on_the_runs_beside_them():
    rng = np.random.default_rng(7)
    origin, offset, means = rng.normal(size=(3, 5, 3, 4000)).astype(np.float32)
    together = errors.centre_errors(origin, offset, means)
    assert (together.lost > 0).sum() > 100  # matched by the Hungarian algorithm, the others not
    for width in (1, 3, 32):
        few = errors.centre_errors(*(x[..., 1000 : 1000 + width] for x in (origin, offset, means)))
        for mine, all_of_them in zip(few, together, strict=True):
            assert mine.tobytes() == all_of_them[1000 : 1000 + width].tobytes()


def test_a_pairs_error_is_up_to_sign():
    means = jnp.array([[1.0, 2.0], [-1.0, -2.0]])
    for sign in (1, -1):
        found = errors.centre_errors(sign * means[:1], jnp.array([[0.3, 0.4]]), means)
        assert_allclose([found.error_sq, found.error_sum, found.error_max, found.lost], [0.25, 0.5, 0.5, 0], rtol=1e-6)


def test_fewer_estimates_than_components_are_matched_to_the_nearest_that_are_apart():
    means = jnp.array([[0.0], [10.0], [20.0]])
    found = error(jnp.array([[19.0], [1.0]]), means)
    assert_allclose([found.error_sq, found.lost], [2, 0])
    found = error(jnp.array([[0.0], [1.0]]), means)
    assert_allclose([found.error_sq, found.lost], [81, 1])


def test_of_more_estimates_than_components_each_component_has_one_and_the_others_do_not_count():
    means = jnp.array([[0.0], [10.0]])
    found = error(jnp.array([[9.0], [2.0], [30.0], [-1.0]]), means)
    assert_allclose([found.error_sq, found.error_sum, found.error_max, found.lost], [2, 2, 1, 0])
    found = error(jnp.array([[4.0], [30.0], [-40.0]]), means)  # the nearest to both
    assert_allclose([found.error_sq, found.lost], [16 + 400, 1])


def test_the_matching_of_more_estimates_than_components_is_the_best_of_all():
    rng = np.random.default_rng(5)
    for e, k in ((3, 1), (4, 3), (6, 4)):
        estimates, means = rng.normal(size=(e, 3)), rng.normal(size=(k, 3))
        cost = ((estimates[:, None] - means[None]) ** 2).sum(axis=-1)
        best = min(sum(cost[i, c] for c, i in enumerate(chosen)) for chosen in permutations(range(e), k))
        assert_allclose(error(estimates, means).error_sq, best)
        component = errors.match(cost).component
        assert set(component) == set(range(k))
        left = set(range(e)) - set(errors.pairs(cost).estimate)
        assert all(component[i] == cost[i].argmin() for i in left)


@pytest.mark.parametrize("spread", [0.02, 3.0])
def test_errors_of_many_runs_are_each_runs_own(spread):
    means = np.random.default_rng(2).normal(0, 1, (4, 3, 50)).astype(np.float32)
    moves = np.random.default_rng(3).normal(0, spread, (4, 3, 50)).astype(np.float32)
    many = errors.centre_errors(means, moves, means)
    for run in range(50):
        alone = errors.centre_errors(means[..., run], moves[..., run], means[..., run])
        assert_array_equal([x[run] for x in many], alone)
    assert (many.lost > 0).any() == (spread > 1)  # with and without the Hungarian algorithm


def test_errors_of_estimates_that_are_not_numbers_do_not_hurt_the_others():
    means = (np.eye(3)[..., None] * np.ones(2)).astype(np.float32)
    moves = np.zeros((3, 3, 2), np.float32)
    moves[0, 0, 0] = np.nan
    found = errors.centre_errors(means, moves, means)
    assert_allclose(found.error_sq[1], 0)
    assert not np.isfinite(found.error_sq[0])


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0])
def test_subspace_distance_is_the_sine_of_the_angle(angle):
    basis = jnp.array([[np.cos(angle), np.sin(angle), 0.0], [0.0, 0.0, 1.0]], jnp.float32)
    means = jnp.array([[5.0, 0.0, 0.0], [-5.0, 0.0, 3.0]])
    assert_allclose(errors.subspace_distance(basis, means), np.sin(angle), atol=1e-6)
    assert_allclose(
        errors.subspace_distance(basis, jnp.array([[2.0, 0.0, 0.0], [-2.0, 0, 0]])), np.sin(angle), atol=1e-6
    )


def test_estimate_is_the_mean_with_its_standard_error():
    found = errors.estimate(np.array([1.0, 2.0, 3.0, 6.0]))
    assert_allclose(found.mean, 3)
    assert_allclose(found.standard_error, np.std([1, 2, 3, 6], ddof=1) / 2)
    assert found.runs == 4
