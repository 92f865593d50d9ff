"""Layouts of mixtures, and what is not one."""

import hashlib
import tracemalloc

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
    assert_array_equal(mixture.closest(means), [2.0, 1.0])
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
    tracemalloc.start()
    try:
        means = mixture.box(keys, k, d, side=9.0, separation=1.0).means
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 6 * means.nbytes  # all pairs of means at once would take k times more
    assert means.nbytes <= 2**23


# --- what is drawn ---


def by_hand(key, k, d, side, least):
    """The means of one run's box, a number at a time, and how many tries they took."""
    side, least = np.float32(side), np.float32(least)
    for count in range(1000):
        words = np.asarray(jax.random.bits(jax.random.fold_in(key, count), (k, d), jnp.uint32))
        means = [[np.float32(int(word) // 2**8 / 2**24) * side for word in row] for row in words]
        gaps = []
        for i in range(k):
            for j in range(i):
                total = np.float32(0)
                for a, b in zip(means[i], means[j], strict=True):
                    total = total + (a - b) * (a - b)
                gaps.append(np.sqrt(total))
        if min(gaps) >= least:
            return np.array(means), count + 1
    raise AssertionError("too close")


def test_a_box_is_the_first_try_whose_means_are_apart():
    keys = jax.random.split(jax.random.key(5), 30)
    means = mixture.box(keys, 4, 2, side=10.0, separation=2.0, scales=2.0).means
    found = [by_hand(key, 4, 2, 10.0, 4.0) for key in keys]
    assert max(tries for _, tries in found) > 8  # so that several are made at once
    assert_array_equal(means, np.stack([mine for mine, _ in found], axis=-1))


def test_a_run_draws_the_same_box_in_any_company():
    keys = jax.random.split(jax.random.key(6), 50)
    for make in (
        lambda keys: mixture.box(keys, 4, 3, side=10.0, separation=5.0),
        lambda keys: mixture.symmetric_box(keys, 3, side=10.0, separation=18.0),
    ):
        whole = make(keys).means
        for some in (slice(1), slice(30, 31), slice(7, 24)):
            assert_array_equal(make(keys[some]).means, whole[..., some])


def test_a_float64_box_is_the_float32_box_with_more_digits(x64):
    keys = jax.random.split(jax.random.key(7), 30)
    wide = mixture.box(keys, 3, 2, side=1.0).means
    with jax.enable_x64(False):
        narrow = mixture.box(keys, 3, 2, side=1.0).means
    assert (wide.dtype, narrow.dtype) == (np.float64, np.float32)
    assert_array_equal(np.floor(wide * 2**24) * 2.0**-24, narrow)
    words = np.asarray(jax.random.bits(jax.random.fold_in(keys[0], 0), (2, 3, 2), jnp.uint32)).astype(object)
    assert_array_equal(wide[..., 0], ((words[0] * 2**32 + words[1]) // 2**11).astype(float) * 2.0**-53)


def test_boxes_have_their_law():
    runs = 20_000
    free = mixture.box(jax.random.split(jax.random.key(8), runs), 2, 3, side=10.0).means.astype(float)
    for power, moment, variance in ((1, 1 / 2, 1 / 12), (2, 1 / 3, 4 / 45)):
        off = ((free / 10) ** power).mean(axis=-1) - moment
        assert (abs(off) < 4.5 * np.sqrt(variance / runs)).all()
    apart = mixture.box(jax.random.split(jax.random.key(9), runs), 2, 3, side=10.0, separation=6.0).means
    expected = np.random.default_rng(0).uniform(0, 10, (2, 3, 10 * runs))
    gaps = [np.linalg.norm(means[0] - means[1], axis=0) for means in (apart.astype(float), expected)]
    gaps[1] = gaps[1][gaps[1] >= 6]
    assert gaps[0].min() >= np.float32(6)
    error = np.sqrt(sum(each.var() / each.size for each in gaps))
    assert abs(gaps[0].mean() - gaps[1].mean()) < 4 * error


def test_what_all_runs_share_is_held_once():
    box = mixture.box(jax.random.split(jax.random.key(0), 5), 3, 2, side=10.0)
    spread = mixture.replicate(mixture.simplex(3, 2, separation=4.0), 5)
    assert all(x.strides[-1] == 0 for x in (box.weights, box.scales, *spread))
    assert all(x.dtype == np.float32 for x in (*box, *spread))


def test_what_is_too_close_is_told_as_it_was_drawn():
    keys = jax.random.split(jax.random.key(1), 3)
    drawn = [mixture.box(keys, 2, 1, side=1.0).means]  # the first tries
    most = np.abs(drawn[0][0] - drawn[0][1]).min()
    with pytest.raises(ValueError, match=rf"but 1 draws of 2 means .* came no further apart than {most:.4g}: expected"):
        mixture.box(keys, 2, 1, side=1.0, separation=0.99, max_tries=1)


@pytest.mark.parametrize(
    ("make", "digest"),
    [
        (lambda keys: mixture.box(keys, 4, 3, side=10.0, separation=4.0), ("2aed529962c8", "1f72feb550e6")),
        (lambda keys: mixture.symmetric_box(keys, 5, side=10.0, separation=8.0), ("e5fae42d6f78", "e59e00c52484")),
        (lambda keys: mixture.simplex(7, 9, separation=3.0, scales=0.7), ("6667c4e88f09", "bb01dda4c64c")),
        (lambda keys: mixture.symmetric(7, separation=3.0, scales=0.7), ("129dfa6656b1", "7aada0085ab6")),
    ],
)
@pytest.mark.parametrize("wide", [False, True])
def test_every_machine_draws_these_bits(make, digest, wide):
    keys = jax.random.split(jax.random.key(2026), 40)
    with jax.enable_x64(wide):
        mixed = make(keys)
        found = b"".join(x.tobytes() for x in (*mixed, mixture.separation(mixed)))
    assert hashlib.sha256(found).hexdigest()[:12] == digest[wide]
