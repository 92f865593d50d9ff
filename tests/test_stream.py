"""Folds over a stream: any block size, any cutting, the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import lanes, mixture, stream

RUNS = 16


def setup(d=3):
    mix = mixture.replicate(mixture.given(np.arange(2 * d).reshape(2, d), weights=[0.3, 0.7], scales=[1.0, 2.0]), RUNS)
    return lanes.seed(jax.random.key(1), jnp.arange(RUNS), d=d), mix


def walk(state, sample):
    """A step whose order shows: a leaky sum of samples and labels."""
    return 0.5 * state + sample.x + sample.label[None].astype(jnp.float32)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
@pytest.mark.parametrize("block", [1, 5, 16])
def test_a_fold_is_the_plain_loop_whatever_the_block(count, block):
    words, mix = setup()
    zero = jnp.zeros((3, RUNS))
    drawn = stream.draw(words, mix, block=max(count, 1))[1]
    expected = np.zeros((3, RUNS))
    for t in range(count):
        expected = 0.5 * expected + np.asarray(drawn.x[:, t]) + np.asarray(drawn.label[t])[None]
    after, state = jax.jit(lambda w, s, n: stream.fold(walk, w, s, mix, n, block=block))(words, zero, jnp.int32(count))
    assert_allclose(state, expected, rtol=1e-5, atol=1e-5)  # float32 against float64
    for a, b in zip(after, stream.skip(words, jnp.int32(count)), strict=True):
        assert_array_equal(a, b)


def test_block_size_and_cutting_do_not_change_a_bit():
    words, mix = setup()
    zero = jnp.zeros((3, RUNS))
    results = []
    for block, cuts in ((16, [100]), (16, [1, 37, 62]), (5, [50, 50]), (32, [99, 1])):
        fold = jax.jit(lambda w, s, n, block=block: stream.fold(walk, w, s, mix, n, block=block))
        carry = (words, zero)
        for count in cuts:
            carry = fold(*carry, jnp.int32(count))
        results.append(carry)
    for other in results[1:]:
        for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(other), strict=True):
            assert_array_equal(a, b)


def test_samples_have_their_labels_mean_and_scale():
    words, mix = setup(d=2)
    samples = jax.jit(lambda w: stream.draw(w, mix, block=4000))(words)[1]
    label, x = np.asarray(samples.label), np.asarray(samples.x)
    for i, (weight, scale) in enumerate(((0.3, 1.0), (0.7, 2.0))):
        mine = label == i
        n = mine.sum()
        assert abs(mine.mean() - weight) < 4 * np.sqrt(0.21 / mine.size)
        for j in range(2):
            values = x[j][mine]
            assert abs(values.mean() - (2 * i + j)) < 4 * scale / np.sqrt(n)
            assert abs(values.std() - scale) < 4 * scale / np.sqrt(2 * n)


def test_given_data_is_consumed_in_order():
    data = jnp.arange(6.0).reshape(3, 2)
    assert_allclose(
        stream.fold_data(lambda s, x: 0.5 * s + x, jnp.zeros(2), data), [0.25 * 0 + 0.5 * 2 + 4, 0.25 + 1.5 + 5]
    )
