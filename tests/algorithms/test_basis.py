"""Oja's rule and block power iteration as algorithms: plain loops with NumPy's QR, and what they find."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import subspace_angles

import jgmm
from jgmm import mixture
from jgmm.algorithms import basis
from jgmm.engine import cpu
from jgmm.start import offset_start

KEY, RUNS, N, SIZE = jax.random.key(11), 4, 120, 12
LARGEST = 1.5  # scale


@pytest.fixture(scope="module")
def drawn():
    """Runs of means off the origin, their start, and the samples that they will take in, (n, d, runs)."""
    means = np.array([[3.0, 0, 0, 0, 0], [0, 4.0, 0, 0, 0], [0, 0, 0, 2.0, 2.0]])
    batch = jgmm.batch(KEY, range(RUNS), mixture.given(means, scales=[0.5, LARGEST, 0.7]))
    _, x = cpu.draw(batch.words, batch.mixture, N)
    return batch, offset_start(KEY, batch, 1.0), np.moveaxis(x, 1, 0).astype(float)


def test_a_start_is_an_orthonormal_basis_of_its_span(drawn):
    _, start, _ = drawn
    found = basis.begin(start, start, (), {})
    for run in range(RUNS):
        rows = found.offset[..., run]
        assert_allclose(rows @ rows.T, np.eye(3), atol=1e-6)
        assert np.sin(subspace_angles(rows.T, start[..., run].T)).max() < 1e-5
    assert not found.origin.any()


def by_qr(start, samples, move):
    """Bases (e, d) of each run by NumPy's QR, the signs as Gram-Schmidt has them."""
    found = []
    for run in range(start.shape[-1]):
        rows = basis.begin(start[..., run : run + 1], start[..., run : run + 1], (), {}).offset[..., 0].astype(float)
        for x in samples[..., run]:
            q, upper = np.linalg.qr(move(rows, x).T)
            rows = (q * np.sign(np.diag(upper))).T
        found.append(rows)
    return np.stack(found, axis=-1)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_oja_is_the_plain_loop(back_end, drawn):
    batch, start, samples = drawn
    found = jgmm.run(batch, "oja", start, steps=0.02, checkpoints=[N], back_end=back_end)
    expected = by_qr(start, samples, lambda u, x: u + 0.02 * np.outer(u @ x, x) / LARGEST**2)
    assert_allclose(found.centres, expected, atol=2e-4)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_block_power_is_the_plain_loop(back_end, drawn):
    batch, start, samples = drawn
    found = jgmm.run(batch, "power", start, steps=basis.no_step(), checkpoints=[N], batch_size=SIZE, back_end=back_end)
    blocks = samples.reshape(N // SIZE, SIZE, *samples.shape[1:])
    expected = by_qr(start, blocks, lambda u, x: u @ x.T @ x)
    assert_allclose(found.centres, expected, atol=2e-4)


def test_oja_with_batches_takes_their_mean(drawn):
    batch, start, samples = drawn
    found = jgmm.run(batch, "oja", start, steps=0.3, checkpoints=[N], batch_size=SIZE)
    blocks = samples.reshape(N // SIZE, SIZE, *samples.shape[1:])
    expected = by_qr(start, blocks, lambda u, x: u + 0.3 * u @ x.T @ x / SIZE / LARGEST**2)
    assert_allclose(found.centres, expected, atol=2e-4)


def test_errors_are_sines_of_angles_to_the_span_of_the_means(drawn):
    batch, start, _ = drawn
    found = jgmm.run(batch, "oja", start, steps=0.02, checkpoints=[N])
    for run in range(RUNS):
        truth = np.asarray(batch.mixture.means[..., run], float)
        sines = np.sin(subspace_angles(found.centres[..., run].T, truth.T))
        assert_allclose(found.error.error_sq[-1, run], (sines**2).sum(), rtol=1e-3, atol=1e-6)
        assert_allclose(found.error.error_max[-1, run], sines.max(), rtol=1e-3, atol=1e-3)


def test_the_error_of_block_power_is_that_of_its_last_block():
    """E sum sin^2 = (d - k) sigma^2 k/B to first order: sigma^2/(lambda_j B) for each of d - k coordinates of each of k
    directions, lambda_j = w |mu|^2 + sigma^2, all over (1 - (sigma^2/lambda)^2) (docs/theory.md, block power).
    """
    d, k, size, runs, length = 8, 2, 400, 256, 4.0
    means = length * np.eye(d)[:k]
    batch = jgmm.batch(KEY, range(runs), mixture.given(means))
    record = jgmm.run(
        batch, "power", offset_start(KEY, batch, 0.5), steps=basis.no_step(), checkpoints=[10 * size], batch_size=size
    )
    eigenvalue = length**2 / k + 1
    expected = k * (d - k) / (eigenvalue * size) / (1 - eigenvalue**-2)
    errors = record.error.error_sq[-1]
    assert abs(errors.mean() - expected) < 4 * errors.std() / np.sqrt(runs) + 0.03 * expected  # first order in 1/B


def test_a_block_has_as_many_samples_as_directions(drawn):
    batch, start, _ = drawn
    with pytest.raises(ValueError, match="batch is 2: expected at least 3"):
        jgmm.run(batch, "power", start, steps=basis.no_step(), checkpoints=[4], batch_size=2)
    with pytest.raises(ValueError, match="the mixture has k = 3, expected at most d = 2"):
        basis.check(mixture.simplex(3, 2, separation=3.0))
