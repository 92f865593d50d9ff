"""Sines of the angles between a basis and the means' span: by hand, SciPy's angles, fewer and more vectors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import subspace_angles

from jgmm import subspace
from jgmm.mixture import Mixture


def mixed(means, weights=None):
    k = len(means)
    weights = np.full((k, *means.shape[2:]), 1 / k) if weights is None else weights
    return Mixture(means.astype(np.float32), np.asarray(weights, np.float32), np.ones(weights.shape, np.float32))


def test_an_angle_by_hand():
    means = np.array([[[3.0], [0.0], [0.0]], [[-3.0], [0.0], [0.0]]])
    basis = np.array([[[0.6], [0.8], [0.0]], [[0.0], [0.0], [1.0]]], np.float32)
    found = subspace.errors(np.zeros_like(basis), basis, mixed(means))
    assert_allclose(found.error_sq, [0.64], rtol=1e-6)
    assert_allclose(found.error_sum, [0.8], rtol=1e-6)
    assert_allclose(found.error_max, [0.8], rtol=1e-6)
    assert found.lost.tolist() == [1]  # 53 degrees away: nearer to outside


@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_they_are_scipys_principal_angles_to_the_leading_directions(r):
    rng = np.random.default_rng(r)
    k, d, runs = 3, 6, 5
    means, weights = rng.normal(size=(k, d, runs)), rng.dirichlet(np.ones(k), runs).T
    basis = np.stack([np.linalg.qr(rng.normal(size=(d, r)))[0].T for _ in range(runs)], axis=-1).astype(np.float32)
    origin = np.float32(0.5) * basis
    found = subspace.errors(origin, basis - origin, mixed(means, weights))
    for run in range(runs):
        truth = means[..., run].astype(np.float32).astype(float)
        moment = (truth.T * weights[:, run]) @ truth
        directions = np.linalg.eigh(moment)[1][:, ::-1][:, : min(r, k)]
        sines = np.sin(subspace_angles(basis[..., run].T.astype(float), directions))
        assert_allclose(found.error_sq[run], (sines**2).sum(), rtol=1e-4, atol=1e-6)
        assert_allclose(found.error_sum[run], sines.sum(), rtol=1e-4, atol=1e-4)
        assert_allclose(found.error_max[run], sines.max(), rtol=1e-4, atol=1e-4)
        assert found.lost[run] == (sines**2 >= 0.5).sum()


def test_a_run_alone_has_the_errors_that_it_has_among_others():
    rng = np.random.default_rng(8)
    means, basis = rng.normal(size=(3, 5, 4)), rng.normal(size=(2, 5, 4)).astype(np.float32)
    together = subspace.errors(np.zeros_like(basis), basis, mixed(means))
    alone = subspace.errors(np.zeros_like(basis[..., 2:3]), basis[..., 2:3], mixed(means[..., 2:3]))
    for one, other in zip(together, alone, strict=True):
        assert one[2] == other[0]
