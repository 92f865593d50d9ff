"""EM of known unequal weights: by hand, the balanced limit, a plain NumPy loop, what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import mixture
from jgmm.algorithms import em, unbalanced
from jgmm.contract import Sample, State
from jgmm.engine import cpu
from jgmm.start import offset_start

KEY = jax.random.key(9)


def told(weights, component, scale=1.0, beta=1.0):
    """The params of one run."""
    means = np.array([[1.0], [-1.0]], np.float32)[..., None]
    mixed = mixture.Mixture(means, np.array(weights, np.float32)[:, None], np.full((2, 1), scale, np.float32))
    found = unbalanced.params(mixed, np.array([[component]]), {"beta": np.array([beta])})
    return {name: jnp.asarray(x[0]) for name, x in found.items()}


def test_the_side_is_the_posteriors_by_hand():
    """At <x, mu> = 0 the posterior is the prior: tanh(ln(3)/2) = (0.75 - 0.25) for weights of 3/4 and 1/4."""

    def move(memory, offset, pull, gate):
        assert gate is None
        return offset + 0.5 * pull, memory

    state = State(jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]]))
    for component, side in ((0, 0.5), (1, -0.5)):
        after = unbalanced.step(state, Sample(jnp.array([0.0, 4.0]), None), told([0.75, 0.25], component), move)
        assert_allclose(after.offset, [[1.0, 2.0 * side]], rtol=1e-6)


def runs_of(weights, count=6):
    mixed = mixture.symmetric(3, separation=2.0, weights=weights, scales=1.5)
    batch = jgmm.batch(KEY, range(count), mixed)
    return batch, offset_start(KEY, batch, 0.5)


def test_with_equal_weights_it_is_em():
    batch, start = runs_of([0.5, 0.5])
    found = [
        jgmm.run(batch, name, start[:1], steps=0.05, checkpoints=[200]).centres for name in ("em", "em-unbalanced")
    ]
    assert_array_equal(*found)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
@pytest.mark.parametrize("estimate", [0, 1])
def test_it_is_the_plain_loop(estimate, back_end):
    weights, scale, rate, n = np.array([0.8, 0.2]), 1.5, 0.05, 200
    batch, start = runs_of(weights)
    own = start[estimate : estimate + 1]
    found = jgmm.run(batch, "em-unbalanced", own, steps=rate, checkpoints=[n], back_end=back_end)
    _, samples = cpu.draw(batch.words, batch.mixture, n)
    mu = own[0].astype(float)
    for t in range(n):
        x = samples[:, t].astype(float)
        near, far = (np.exp(-((x - s * mu) ** 2).sum(axis=0) / (2 * scale**2)) for s in (1, -1))
        posterior = weights[estimate] * near / (weights[estimate] * near + weights[1 - estimate] * far)
        mu += rate * ((2 * posterior - 1) * x - mu)
    assert_allclose(found.centres[0], mu, atol=1e-4)


def test_the_true_mean_stays_in_the_mean():
    """E[x tanh(<x, mu>/sigma^2 + tilt)] = mu at the truth, for any weights; with the wrong tilt it is not."""
    mixed = mixture.symmetric(2, separation=1.5, weights=[0.8, 0.2])
    batch = jgmm.batch(KEY, range(64), mixed)
    start = np.asarray(batch.mixture.means[:1])
    drift = jgmm.run(batch, "em-unbalanced", start, steps=1e-4, checkpoints=[2000]).displacement[0] / (2000 * 1e-4)
    spread = drift.std(axis=1) / np.sqrt(64)
    assert (np.abs(drift.mean(axis=1)) < 4 * spread + 0.002).all()


def test_it_is_for_a_pair_at_plus_and_minus_one_mean():
    unbalanced.check(mixture.symmetric(3, separation=3.0, weights=[0.4, 0.6]))
    for mixed in (
        mixture.simplex(3, 2, separation=3.0),
        mixture.symmetric(3, separation=3.0, weights=[0.0, 1.0]),
        mixture.symmetric(3, separation=3.0, scales=[1.0, 2.0]),
        mixture.given([[1.0, 0.0], [-1.0, 0.5]]),
    ):
        with pytest.raises(ValueError, match="expected two components of one scale at"):
            unbalanced.check(mixed)
    with pytest.raises(ValueError, match="expected two balanced components"):
        em.check(mixture.symmetric(3, separation=3.0, weights=[0.4, 0.6]))
