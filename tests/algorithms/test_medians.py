"""Streaming k-medians: by hand, a limit, a plain NumPy loop, and the median that it finds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import gamma

import jgmm
from jgmm import mixture, steps
from jgmm.algorithms import medians
from jgmm.contract import Sample, begin
from jgmm.engine import cpu
from jgmm.start import offset_start


def moved(centres, x, *, rate, length=1.0, step=medians.step, label=0):
    centres = jnp.asarray(centres, jnp.float32)
    move = partial(steps.CONSTANT.apply, {"rate": jnp.float32(rate)})
    known = {"length": jnp.float32(length)}
    state = step(begin(centres, centres), Sample(jnp.asarray(x, jnp.float32), jnp.int32(label)), known, move)
    return np.asarray(state.origin + state.offset)


def test_the_nearest_centre_moves_by_the_rate_times_the_length():
    assert_array_equal(moved([[0, 0], [10, 0]], [3, 4], rate=0.5, length=2.0), np.array([[0.6, 0.8], [10, 0]], "f"))


def test_a_sample_on_its_centre_leaves_it():
    assert_array_equal(moved([[1, 2], [5, 5]], [1, 2], rate=0.5), np.array([[1, 2], [5, 5]], np.float32))


def test_a_labelled_sample_moves_its_components_centre_however_far():
    found = moved([[10, 0], [0, 0]], [0, 0], rate=0.5, step=medians.labelled_step, label=0)
    assert_array_equal(found, np.array([[9.5, 0], [0, 0]], np.float32))


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_it_is_the_plain_loop(back_end, drawn):
    batch, start, samples = drawn
    found = jgmm.run(batch, "medians", start, steps=0.1, checkpoints=[len(samples)], back_end=back_end, length=0.5)
    expected = np.array(start, float)
    for x in samples:
        for r in range(x.shape[1]):
            away = x[:, r] - expected[:, :, r]
            j = (away**2).sum(axis=1).argmin()
            expected[j, :, r] += 0.1 * 0.5 * 2.0 * away[j] / np.sqrt((away[j] ** 2).sum())
    assert_allclose(found.centres, expected, atol=1e-4)


@pytest.fixture(scope="module")
def drawn():
    """Runs of two scales, their start, and the samples that they will take in, (n, d, runs)."""
    key = jax.random.key(5)
    mixed = mixture.simplex(3, 4, separation=4.0, scales=[1.0, 2.0, 1.5])
    batch = jgmm.batch(key, range(5), mixed)
    _, x = cpu.draw(batch.words, batch.mixture, 150)
    return batch, offset_start(key, batch, 0.5), np.moveaxis(x, 1, 0).astype(float)


def test_the_rate_has_no_unit():
    key = jax.random.key(6)
    found = []
    for unit in (1.0, 8.0):
        batch = jgmm.batch(key, range(3), mixture.simplex(3, 4, separation=4.0, scales=unit))
        start = offset_start(key, batch, 0.5)
        found.append(jgmm.run(batch, "medians", start, steps=0.1, checkpoints=[100]).centres / unit)
    assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-5)


def test_its_average_has_the_asymptotic_variance_of_the_geometric_median():
    """One spherical Gaussian component: n E|e|^2 -> d (1/d) / (E[(1 - 1/d)/|z|])^2, z ~ N(0, I_d) (Cardot et al.)."""
    d, n, runs = 5, 20_000, 256
    key = jax.random.key(7)
    batch = jgmm.batch(key, range(runs), mixture.given(np.zeros((1, d))))
    record = jgmm.run(
        batch, "medians", offset_start(key, batch, 0.0), steps=0.05, checkpoints=[n], average=1000, back_end="cpu"
    )
    mean_inverse = gamma((d - 1) / 2) / (np.sqrt(2) * gamma(d / 2))
    expected = 1 / ((1 - 1 / d) * mean_inverse) ** 2 / (n - 1000)
    errors = record.error.error_sq[-1]
    assert abs(errors.mean() - expected) < 4 * errors.std() / np.sqrt(runs) + 0.01 * expected
