"""Online EM with sufficient statistics: by hand, a plain NumPy loop on the statistics, its averages, one component."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import jgmm
from jgmm import mixture, named, steps
from jgmm.algorithms import online
from jgmm.contract import Sample
from jgmm.engine import choose, cpu, together
from jgmm.start import offset_start

KEY, RUNS, N = jax.random.key(4), 5, 150
SCHEDULE = steps.polynomial(1.0, 0.6, 20.0)


def half(memory, offset, pull, gate):
    """A step size of 1/2."""
    assert gate is None
    return offset + 0.5 * pull, memory


def test_one_component_by_hand():
    """p = 1, gamma = 1/2: mu = (0 + 4)/2 = 2, sigma^2 d = (2 + 16)/2 - 4 = 5 from sigma^2 d = 2 and |x|^2 = 16."""
    state = online.OnlineState(jnp.zeros((1, 2)), jnp.zeros((1, 2)), (), jnp.ones(1), jnp.ones(1))
    after = online.step(state, Sample(jnp.array([4.0, 0.0]), None), {}, half)
    assert_allclose(after.offset, [[2, 0]])
    assert_allclose(after.weights, [1])
    assert_allclose(after.variances, [2.5])


def test_a_batch_by_hand():
    """p = 1, gamma = 1/2, x = (4, 0) and (0, 2): s1 = (1, 1/2), s2 = (2 + 10)/2 = 6 and sigma^2 d = 6 - 5/4."""
    state = online.OnlineState(jnp.zeros((1, 2)), jnp.zeros((1, 2)), (), jnp.ones(1), jnp.ones(1))
    state = state._replace(memory=online.nothing((), state.offset))
    for x in ([4.0, 0.0], [0.0, 2.0]):
        state = online.gather(state, Sample(jnp.array(x), None), {}, half)
    assert_allclose(state.offset, [[0, 0]])
    after = online.take(state, {}, half, jnp.float32(1 / 2))
    assert_allclose(after.offset, [[1, 0.5]])
    assert_allclose(after.weights, [1])
    assert_allclose(after.variances, [4.75 / 2])
    assert not any(np.any(x) for x in after.memory)


def test_weights_by_hand():
    """A sample half way between two alike belongs to each by half: nothing but the means and variances moves."""
    means = jnp.array([[1.0], [-1.0]])
    state = online.OnlineState(means, jnp.zeros((2, 1)), (), jnp.array([0.5, 0.5]), jnp.ones(2))
    after = online.step(state, Sample(jnp.array([0.0]), None), {}, half)
    assert_allclose(after.weights, [0.5, 0.5])
    assert_allclose(after.offset, [[-0.5], [0.5]])  # g = 1/2
    assert_allclose(after.variances, [0.75, 0.75])  # (1/2)(1 + 1/2)


@pytest.fixture(scope="module")
def drawn():
    """Runs of unequal weights and scales, their start, and the samples that they will take in, (n, d, runs)."""
    mixed = mixture.simplex(3, 4, separation=3.0, weights=[0.5, 0.3, 0.2], scales=[1.0, 1.5, 0.7])
    batch = jgmm.batch(KEY, range(RUNS), mixed)
    _, x = cpu.draw(batch.words, batch.mixture, N)
    return batch, offset_start(KEY, batch, 0.5), np.moveaxis(x, 1, 0).astype(float)


def statistics(start, samples, spread=1.2, scale=1.5, size=1):
    """Weights, means and variances after each batch, by the recursion on s0, s1 and s2 in float64."""
    k, d, runs = start.shape
    w, mu, var = np.full((k, runs), 1 / k), start.astype(float), np.full((k, runs), (spread * scale) ** 2)
    s0, s1, s2 = w, w[:, None] * mu, w * (d * var + (mu**2).sum(axis=1))
    found = []
    for t in range(len(samples) // size):
        x, rate = samples[t * size : (t + 1) * size, None], (t + 20) ** -0.6
        density = w * var ** (-d / 2) * np.exp(-((x - mu) ** 2).sum(axis=2) / (2 * var))
        p = density / density.sum(axis=1, keepdims=True)
        s0 = s0 + rate * (p.mean(axis=0) - s0)
        s1 = s1 + rate * ((p[:, :, None] * x).mean(axis=0) - s1)
        s2 = s2 + rate * ((p * (x**2).sum(axis=2)).mean(axis=0) - s2)
        w, mu = s0, s1 / s0[:, None]
        var = (s2 / s0 - (mu**2).sum(axis=1)) / d
        found.append((w, mu, var))
    return found


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
@pytest.mark.parametrize(("burn", "size"), [(None, 1), (50, 1), (None, 6), (10, 6)])
def test_it_is_the_plain_loop_on_statistics(burn, size, back_end, drawn):
    batch, start, samples = drawn
    ready = together.ready(batch, online.ONLINE, start, steps=SCHEDULE, average=burn, spread=1.2, batch_size=size)
    stream, _ = choose.opened(back_end, ready.kernel, batch.words, ready.state, ready.params, batch.mixture)
    stream.advance(N // size, block=None if size == 1 else size)
    state = together.estimate(stream.state())
    every = statistics(start, samples, size=size)
    w, mu, var = (np.mean(x[burn:], axis=0) if burn else x[-1] for x in zip(*every, strict=True))
    assert_allclose(state.origin + state.offset, mu, atol=5e-5)
    found = online.readout(state, {})
    assert_allclose(found["weights"], w, atol=1e-5)
    assert_allclose(found["scales"], np.sqrt(var), rtol=2e-5)
    assert_allclose(found["weights"].sum(axis=0), 1, rtol=1e-5)


def test_it_finds_weights_and_scales_that_it_was_not_told():
    mixed = mixture.simplex(2, 3, separation=5.0, weights=[0.7, 0.3], scales=[1.0, 0.5])
    batch = jgmm.batch(KEY, range(64), mixed)
    start = offset_start(KEY, batch, 0.5)
    ready = together.ready(batch, online.ONLINE, start, steps=SCHEDULE, average=2000)
    stream, _ = choose.opened("cpu", ready.kernel, batch.words, ready.state, ready.params, batch.mixture)
    stream.advance(10_000)
    found = online.readout(together.estimate(stream.state()), {})
    for name, truth, information in (
        ("weights", [0.7, 0.3], np.full(2, 0.21)),  # n times the variance of a share, with labels known
        ("scales", [1.0, 0.5], np.array([1 / (2 * 3 * 0.7), 0.25 / (2 * 3 * 0.3)])),
    ):
        error = found[name].mean(axis=1) - truth
        assert (np.abs(error) < 4 * found[name].std(axis=1) / 8 + 0.002).all(), name
        # Separate components: the variance is that of labelled samples, 8,000 of them (and what the steps still add).
        spread = found[name].var(axis=1) / (information / 8000)
        assert (spread > 0.5).all(), name
        assert (spread < 2.0).all(), name


def test_a_constant_of_a_paper_is_refused():
    refused = dict(named.load("algorithm", "online-em").refuses)
    assert {"paper", "1/n", "adam"} <= set(refused)
    assert "batch" not in refused
