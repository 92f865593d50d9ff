"""Layouts of mixtures, and what is not one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import mixture


def test_realised_separation_by_hand():
    mix = mixture.given([[0.0, 0.0], [3.0, 4.0], [30.0, 0.0]], scales=[1.0, 2.0, 0.5])
    assert_allclose(mixture.separation(mix), 5 / 2)


@pytest.mark.parametrize(("k", "d"), [(2, 1), (3, 5), (5, 4), (10, 12)])
def test_a_simplex_has_all_distances_equal(k, d):
    mix = mixture.simplex(k, d, separation=3.0, scales=2.0)
    gaps = np.linalg.norm(np.asarray(mix.means)[:, None] - np.asarray(mix.means)[None], axis=-1)
    assert_allclose(gaps[~np.eye(k, dtype=bool)], 6.0, rtol=1e-5)
    assert_allclose(mixture.separation(mix), 3.0, rtol=1e-5)


def test_a_simplex_by_hand():
    mix = mixture.simplex(3, 4, separation=2.0, scales=3.0)
    assert_allclose(mix.means, [[3, np.sqrt(3), 0, 0], [-3, np.sqrt(3), 0, 0], [0, -2 * np.sqrt(3), 0, 0]], rtol=1e-7)
    assert_array_equal(mixture.simplex(2, 1, separation=4.0).means, [[2.0], [-2.0]])


def test_a_simplex_takes_nothing_from_a_linear_algebra_library(monkeypatch):
    before = np.asarray(mixture.simplex(6, 7, separation=3.0).means)
    for name in ("svd", "qr", "eigh", "norm"):
        monkeypatch.setattr(np.linalg, name, None)
    assert_array_equal(mixture.simplex(6, 7, separation=3.0).means, before)


def test_the_pair_is_symmetric():
    mix = mixture.symmetric(7, separation=4.0, scales=0.5)
    assert_array_equal(mix.means[0], -mix.means[1])
    assert_allclose(mixture.separation(mix), 4.0, rtol=1e-6)


def test_boxes_keep_their_distance_and_depend_on_their_own_key():
    keys = jax.random.split(jax.random.key(0), 40)
    mix = mixture.box(keys, 3, 2, side=10.0, separation=4.0)
    assert np.asarray(mixture.separation(mix)).min() >= 4.0
    assert np.asarray(mix.means).min() >= 0
    assert np.asarray(mix.means).max() <= 10
    assert_array_equal(mixture.box(keys[7:8], 3, 2, side=10.0, separation=4.0).means[..., 0], mix.means[..., 7])
    pair = mixture.symmetric_box(keys, 2, side=10.0, separation=4.0)
    assert_array_equal(pair.means[0], -pair.means[1])
    assert np.asarray(mixture.separation(pair)).min() >= 4.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.given(np.zeros((0, 2))), r"shape \(0, 2\)"),
        (lambda: mixture.given([[np.nan]]), r"means\[0, 0\] is nan, expected finite"),
        (lambda: mixture.given([[0.0]], scales=0.0), "scales is 0, expected positive"),
        (lambda: mixture.given([[0.0], [1.0]], weights=[0.5, 0.6]), r"sum 1\.1"),
        (lambda: mixture.given([[0.0], [1.0]], weights=[1.5, -0.5]), "non-negative"),
        (
            lambda: mixture.given([[0.0], [1.0]], weights=[1.0]),
            r"weights is \[1.0\] of shape \(1,\), expected finite numbers of shape \(2,\)",
        ),
        (lambda: mixture.simplex(4, 2, separation=1.0), "at least k - 1 = 3"),
        (lambda: mixture.simplex(0, 2, separation=1.0), "k is 0"),
        (lambda: mixture.symmetric(0, separation=1.0), "d is 0"),
        (lambda: mixture.symmetric(2, separation=-1.0), "separation is -1"),
        (
            lambda: mixture.box(jax.random.split(jax.random.key(0), 2), 5, 2, side=1.0, separation=9.0),
            "separation is 9",
        ),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_closest_means_by_hand():
    means = np.array([[[0.0, 0.0]], [[3.0, 9.0]], [[-2.0, 1.0]]])  # three in one dimension, two runs
    assert_array_equal(mixture.closest(jnp.asarray(means, jnp.float32)), [2.0, 1.0])
    assert_array_equal(mixture.closest(jnp.zeros((1, 4))), np.inf)


def test_boxes_are_drawn_some_runs_at_a_time_which_changes_nothing(monkeypatch):
    keys = jax.random.split(jax.random.key(3), 70)
    whole = mixture.box(keys, 3, 2, side=10.0, separation=4.0)
    monkeypatch.setattr(mixture, "DRAWN", 1)
    assert mixture.drawn_together(3, 2) == 32
    for a, b in zip(whole, mixture.box(keys, 3, 2, side=10.0, separation=4.0), strict=True):
        assert_array_equal(a, b)


def test_a_draw_of_many_wide_boxes_takes_a_few_times_what_it_keeps():
    k, d = 10, 500
    runs = mixture.drawn_together(k, d)
    keys = jax.random.split(jax.random.key(0), runs)
    how = {"propose": mixture.proposed, "k": k, "d": d, "max_tries": 10}
    used = mixture._draw.lower(keys, 1.0, 0.1, **how).compile().memory_analysis()
    assert used.temp_size_in_bytes < 8 * used.output_size_in_bytes  # all pairs of means at once would take 2 k times
    assert used.output_size_in_bytes <= 2**23
