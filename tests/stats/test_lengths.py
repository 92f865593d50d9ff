"""The squared length of a mean vector: unbiased, its error, and its tails."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm import stats


def shifted_runs(rng, n):
    """Vectors whose mean is (0.5, 0, -0.2), of squared length 0.29."""
    return rng.gamma(2.0, 1.0, (n, 3)) - [1.5, 2.0, 2.2]


def centred_runs(rng, n):
    return rng.normal(size=(n, 8)) * np.arange(1, 9)


def test_a_squared_length_is_the_mean_over_pairs():
    v = np.random.default_rng(0).normal(size=(6, 3)) + 1
    pairs = [v[i] @ v[j] for i in range(6) for j in range(6) if i != j]
    assert_allclose(stats.squared_length(v).value, np.mean(pairs), rtol=1e-13)
    assert_allclose(stats.squared_length(np.ones((5, 4))), [4, 0, 5], atol=1e-14)


def test_its_error_is_the_formulas_by_the_covariance_matrix():
    n, p = 9, 3
    v = shifted_runs(np.random.default_rng(1), n) + 2
    m, s = v.mean(axis=0), np.cov(v.T)
    square = (n - 1) ** 2 / ((n - 2) * (n + 1)) * (np.trace(s @ s) - np.trace(s) ** 2 / (n - 1))
    variance = 4 * (m @ s @ m - square / n) / n + 2 * square / (n * (n - 1))
    assert_allclose(stats.squared_length(v).standard_error, np.sqrt(variance), rtol=1e-12)
    wide = np.concatenate([v, np.zeros((n, 20))], axis=1)  # more dimensions than runs: the other Gram matrix
    assert_allclose(stats.squared_length(wide), stats.squared_length(v), rtol=1e-11)
    assert p < n < 20 + p


def test_the_tails_of_a_length_meet_at_the_sample_and_fall_away_from_it():
    v = shifted_runs(np.random.default_rng(2), 40) + 2
    value = stats.squared_length(v).value
    assert_allclose(stats.length_tails(v, value, value, 0.025), [0.5, 0.5], rtol=1e-12)
    lows = [stats.length_tails(v, length, 100.0, 0.025).low for length in (value, 1.1 * value, 1.5 * value)]
    highs = [stats.length_tails(v, 0.0, length, 0.025).high for length in (value, 0.9 * value, 0.5 * value)]
    assert lows == sorted(lows, reverse=True)
    assert highs == sorted(highs, reverse=True)


def test_vectors_that_cannot_tell_have_no_tails():
    rng = np.random.default_rng(3)
    rare = np.where(np.arange(300)[:, None] < 3, 100.0, rng.normal(size=(300, 2)))
    for vectors in (rng.normal(size=(4, 2)), rare):
        assert stats.length_tails(vectors, 1.0, 1.0, 0.025) is None


def test_the_error_of_a_squared_length_is_never_small_at_zero():
    rng = np.random.default_rng(2)
    values, errors = np.transpose([stats.squared_length(centred_runs(rng, 100))[:2] for _ in range(1200)])
    stated = np.sqrt(np.mean(errors**2)) / values.std()
    assert 0.95 < stated < 1.4  # the first term is clipped at 0, so its noise adds; the docstring says 1.3
    assert np.min(errors) > 0.7 * values.std()  # the trace of 100 runs is noisy itself


@pytest.mark.parametrize(("length", "draw"), [(0.29, shifted_runs), (0.0, centred_runs)])
def test_a_squared_length_has_no_bias_even_at_zero(length, draw):
    rng = np.random.default_rng(3)
    values = np.array([stats.squared_length(draw(rng, 12)).value for _ in range(4000)])
    assert abs(values.mean() - length) < 3.5 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_a_squared_length_is_held_against_its_law_at_its_level(noise):
    """Below, at and above the noise: tr(S)/n is noise^2 of the law. The t test: 13 % are "below" at 1/4 %."""
    rng = np.random.default_rng(8)
    for runs in (8, 64):
        vectors = np.array([1.0, 0, 0, 0]) + noise * np.sqrt(runs / 4) * rng.standard_normal((400, runs, 4))
        tails = np.array([stats.length_tails(v, 1.0, 1.0, 0.025) for v in vectors])
        assert (tails < 0.025).mean(axis=0).max() <= 0.025 + 2.5 * np.sqrt(0.025 / 400)
        assert stats.length_tails(vectors[0], 1.0 + 40 * noise**2, 100.0, 0.025).low < 0.025
        assert stats.length_tails(vectors[0] + 8 * noise, 0, 1.0, 0.025).high < 0.025


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.squared_length([1.0, 2.0, 3.0]), "shape"),
        (lambda: stats.squared_length(np.ones((2, 3))), "at least 3 runs"),
        (lambda: stats.length_tails(np.ones((9, 3)), 1, 1, 1.0), "tail"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
