"""Streaming Lloyd, EM, soft updates, oracles, power iteration and Oja's rule: by hand, limits, NumPy loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import algorithms, mixture, named, steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.contract import Sample, begin


def move_by(rule, numbers):
    return partial(rule.apply, {name: jnp.asarray(x, jnp.float32) for name, x in numbers.items()})


def constant(rate):
    return move_by(steps.CONSTANT, {"rate": rate})


def sample(*x, label=0):
    return Sample(jnp.array(x, jnp.float32), jnp.int32(label))


def start(centres, memory=()):
    centres = jnp.asarray(centres, jnp.float32)
    return begin(centres, centres, memory)


def centres(state):
    return np.asarray(state.origin + state.offset)


# --- streaming Lloyd ---


def test_only_the_nearest_centre_moves():
    state = lloyd.step(start([[0, 0], [10, 0]]), sample(8, 4), {}, constant(0.5))
    assert_allclose(centres(state), [[0, 0], [9, 2]])


def test_the_lowest_index_wins_a_tie():
    state = lloyd.step(start([[-1, 0], [1, 0], [1, 0]]), sample(0, 0), {}, constant(0.5))
    assert_allclose(centres(state), [[-0.5, 0], [1, 0], [1, 0]])


def test_a_centre_that_is_not_hit_is_not_moved_by_zero():
    state = start([[0.0], [3e38], [1e20]])._replace(offset=jnp.array([[0.0], [3e38], [-0.0]], jnp.float32))
    moved = lloyd.step(state, sample(-1), {}, constant(0.5)).offset  # the second pull is infinite
    assert_array_equal(moved, np.array([[-0.5], [3e38], [0.0]], np.float32))
    assert np.signbit(moved[2, 0])


def test_lloyd_is_the_plain_loop():
    rng = np.random.default_rng(0)
    k, d, runs, rate = 4, 3, 16, 0.1
    mean = rng.normal(size=(k, d, runs)).astype(np.float32)
    data = rng.normal(size=(60, d, runs)).astype(np.float32) * 2
    step = jax.jit(lambda s, x: lloyd.step(s, Sample(x, None), {}, constant(np.full(runs, rate))))
    state = start(mean)
    expected = mean.astype(float)
    for x in data:
        state = step(state, jnp.asarray(x))
        for r in range(runs):
            i = ((x[:, r] - expected[:, :, r]) ** 2).sum(axis=1).argmin()
            expected[i, :, r] += rate * (x[:, r] - expected[i, :, r])
    assert_allclose(centres(state), expected, atol=2e-5)  # 60 float32 roundings


def test_the_origin_changes_nothing_but_rounding():
    rng = np.random.default_rng(1)
    mean = jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)
    here = lloyd.step(begin(mean, jnp.zeros((3, 2))), sample(0.3, -0.2), {}, constant(0.3))
    there = lloyd.step(begin(mean, mean + 1), sample(0.3, -0.2), {}, constant(0.3))
    assert_allclose(centres(here), centres(there), atol=1e-6)


def test_a_float32_centre_far_out_does_not_lose_small_moves():
    far = jnp.full((1, 1), 1e4, jnp.float32)
    state = begin(far, far)
    step = jax.jit(lambda s: lloyd.step(s, sample(1e4 + 1), {}, constant(1e-6)))
    for _ in range(100):
        state = step(state)
    assert_allclose(state.offset, [[1e-4]], rtol=1e-3)
    assert float((far + jnp.float32(1e-6))[0, 0]) == 1e4  # what a centre without an origin would do


def test_a_labelled_sample_moves_its_components_centre_however_far():
    moved = lloyd.labelled_step(start([[10.0, 0.0], [0.0, 0.0]]), sample(0, 2, label=0), {}, constant(0.5))
    assert_allclose(centres(moved), [[5, 1], [0, 0]])


def test_float32_agrees_with_float64(x64):
    rng = np.random.default_rng(7)
    mean, data = rng.normal(size=(3, 2, 8)) * 5, rng.normal(size=(200, 2, 8)) * 5
    found = []
    for dtype in (jnp.float32, jnp.float64):
        move = partial(steps.CONSTANT.apply, {"rate": jnp.full(8, 0.05, dtype)})
        origin = jnp.asarray(mean, dtype)

        def each(state, x, move=move):
            return lloyd.step(state, Sample(x, None), {}, move), None

        found.append(jax.lax.scan(each, begin(origin, origin), jnp.asarray(data, dtype))[0].offset)
    assert found[0].dtype == jnp.float32
    assert found[1].dtype == jnp.float64
    assert_allclose(found[0], found[1], atol=1e-5)  # 200 steps of float32 rounding at size 5


# --- streaming EM ---


def em_params(scale=1.0, beta=1.0, component=0):
    mixed = mixture.Mixture(np.ones((2, 1, 1), np.float32), None, np.full((2, 1), scale, np.float32))
    found = em.params(mixed, np.array([[component]]), {"beta": np.array([beta])})
    return {name: jnp.asarray(x[0]) for name, x in found.items()}


def em_step(mean, x, *, rate=0.1, **known):
    origin = jnp.zeros((1, len(mean)))
    state = lloyd.State(origin, jnp.asarray(mean, jnp.float32)[None])
    return np.asarray(em.step(state, sample(*x), em_params(**known), constant(rate)).offset[0])


def test_em_by_hand():
    side = np.tanh(0.5 / 4)
    assert_allclose(em_step([1.0, 0.0], [0.5, 2.0], rate=0.5, scale=2.0), [0.5 + 0.25 * side, side], rtol=1e-6)


@pytest.mark.parametrize(("beta", "denominator"), [(1.0, 2.0), (2.0, 1.0)])
def test_the_tanh_is_the_ratio_of_exponentials(beta, denominator):
    mu, x, sigma = np.array([0.7, -0.3]), np.array([0.4, 1.1]), 1.3
    plus, minus = (np.exp(-((x - s * mu) ** 2).sum() / (denominator * sigma**2)) for s in (1, -1))
    expected = 0.9 * mu + 0.1 * (2 * plus / (plus + minus) - 1) * x
    assert_allclose(em_step(mu, x, beta=beta, scale=sigma), expected, rtol=1e-6)


def test_em_with_infinite_beta_is_lloyd_on_the_pair():
    rng = np.random.default_rng(2)
    mu = rng.normal(size=3).astype(np.float32)
    for x in rng.normal(size=(20, 3)).astype(np.float32):
        hard = lloyd.step(start(np.stack([mu, -mu])), sample(*x), {}, constant(0.1))
        moved = centres(hard)[0] if (x * mu).sum() > 0 else -centres(hard)[1]
        assert_allclose(em_step(mu, x, beta=1e9), moved, rtol=1e-5, atol=1e-6)


def test_em_does_not_overflow_far_out():
    state = lloyd.State(jnp.full((1, 300), 1e4), jnp.zeros((1, 300)))
    moved = em.step(state, sample(*[-1e4] * 300), em_params(), constant(0.1))
    assert_allclose(moved.offset[0], np.zeros(300), atol=1e-2)


@pytest.mark.parametrize(("component", "expected"), [(0, [2.0, -0.5]), (1, [-1.0, 0.5])])
def test_a_labelled_em_step_takes_the_samples_true_side(component, expected):
    state = lloyd.State(jnp.array([[1.0, 0.0]]), jnp.zeros((1, 2)))
    moved = em.labelled_step(state, sample(-3, 1, label=1), em_params(component=component), constant(0.5))
    assert_allclose(centres(moved)[0], expected)


def test_em_is_for_a_balanced_pair_alone():
    em.check(mixture.symmetric(3, separation=3.0))
    for mixed in (
        mixture.simplex(3, 2, separation=3.0),
        mixture.symmetric(3, separation=3.0, weights=[0.4, 0.6]),
        mixture.symmetric(3, separation=3.0, scales=[1.0, 2.0]),
        mixture.given([[1.0, 0.0], [-1.0, 0.5]]),
    ):
        with pytest.raises(ValueError, match="expected two balanced components"):
            em.check(mixed)


# --- soft updates ---


def soft_params(weights=(0.5, 0.5), scales=(1.0, 1.0), beta=1.0, d=2):
    arrays = (np.zeros((len(weights), d, 1)), np.array(weights)[:, None], np.array(scales)[:, None])
    mixed = mixture.Mixture(*(x.astype(np.float32) for x in arrays))
    found = soft.params(mixed, np.zeros((1, 1), np.int32), {"beta": np.array([beta])})
    return {name: jnp.asarray(x[:, 0]) for name, x in found.items()}


def posterior(means, x, **known):
    means = jnp.asarray(means, jnp.float32)
    return soft.posterior(means, jnp.zeros_like(means), sample(*x).x, soft_params(d=len(x), **known))


def test_a_posterior_by_hand():
    found = posterior([[0.0], [2.0]], [0.0])
    assert_allclose(found, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))], rtol=1e-6)


def test_posteriors_know_weights_and_scales():
    means, x = np.array([[0.0, 0.0], [1.0, 2.0], [-1.0, 0.5]]), np.array([0.3, 0.4])
    weights, scales, beta = np.array([0.5, 0.3, 0.2]), np.array([1.0, 0.5, 2.0]), 1.7
    expected = weights / scales**2 * np.exp(-beta * ((x - means) ** 2).sum(axis=1) / (2 * scales**2))
    found = posterior(means, x, weights=weights, scales=scales, beta=beta)
    assert_allclose(found, expected / expected.sum(), rtol=1e-5)


def test_a_component_without_weight_has_no_share():
    assert_array_equal(posterior([[0.0], [2.0]], [2.0], weights=(1.0, 0.0)), np.array([1, 0], np.float32))


def test_a_far_sample_in_many_dimensions_has_a_posterior():
    assert_allclose(posterior(np.stack([np.ones(500), -np.ones(500)]), [1e3] * 500), [1.0, 0.0])


@pytest.mark.slow
def test_soft_updates_with_a_large_beta_are_lloyds():
    hard = sharp = start([[0.0, 0.0], [3.0, 1.0]])
    for x in np.random.default_rng(0).normal(1.5, 1.0, (30, 2)):
        hard = lloyd.step(hard, sample(*x), {}, constant(0.1))
        sharp = soft.step(sharp, sample(*x), soft_params(beta=1e6), constant(0.1))
    assert_allclose(sharp.offset, hard.offset, rtol=1e-5)


def test_the_symmetric_pair_is_em_at_half_the_rate():
    here, rate = np.array([0.8, -0.3], np.float32), 0.2
    for x in np.random.default_rng(1).normal(0, 1.5, (20, 2)):
        moved = centres(soft.step(start([here, -here]), sample(*x), soft_params(), constant(rate)))
        here = em_step(here, x, rate=rate / 2)
        assert_allclose((moved[0] - moved[1]) / 2, here, atol=1e-6)


# --- block power iteration and Oja's rule ---


def test_power_iteration_accumulates_the_second_moment_times_the_basis():
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(6, 2)))[0].astype(np.float32).T
    data = rng.normal(size=(40, 6)).astype(np.float32)
    state = pca.PowerState(jnp.asarray(basis), jnp.zeros((2, 6)))
    for x in data:
        state = pca.power_step(state, sample(*x), {})
    assert_allclose(state.product, (data.T @ data @ basis.T).T, rtol=1e-4, atol=1e-4)
    ended = pca.power_end(state, {})
    assert_array_equal(ended.product, np.zeros((2, 6)))
    assert_allclose(np.abs(ended.basis), np.abs(np.linalg.qr(data.T @ data @ basis.T)[0].T), atol=1e-5)


def test_orthonormalize_agrees_with_qr():
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(3, 7, 5)).astype(np.float32)
    ours = np.asarray(pca.orthonormalize(jnp.asarray(vectors)))
    for r in range(5):
        q, upper = np.linalg.qr(vectors[:, :, r].T)
        assert_allclose(ours[:, :, r].T, q * np.sign(np.diag(upper)), atol=1e-5)
        assert_allclose(ours[:, :, r] @ ours[:, :, r].T, np.eye(3), atol=1e-6)


def test_nearly_parallel_vectors_stay_orthogonal():
    q = np.asarray(pca.orthonormalize(jnp.array([[1.0, 1e-4, 0.0], [1.0, 0.0, 1e-4]])))
    assert_allclose(q @ q.T, np.eye(2), atol=1e-6)


def test_a_vector_of_zeros_stays_finite():
    assert np.isfinite(pca.orthonormalize(jnp.zeros((2, 4)))).all()


def test_blocks_of_power_iteration_find_the_dominant_subspace():
    rng = np.random.default_rng(5)
    data = rng.normal(size=(4000, 5)).astype(np.float32) * np.array([10, 8, 1, 1, 1], np.float32)
    state = pca.PowerState(jnp.eye(5)[2:4] + 0.1, jnp.zeros((2, 5)))

    def each(state, x):
        return pca.power_step(state, Sample(x, None), {}), None

    step = jax.jit(lambda s, block: jax.lax.scan(each, s, block)[0])
    for block in data.reshape(8, 500, 5):
        state = pca.power_end(step(state, jnp.asarray(block)), {})
    assert np.abs(np.asarray(state.basis)[:, 2:]).max() < 0.02  # about sqrt(1/(64 x 500)), a few times


def test_ojas_step_by_hand():
    known = {"log_d": jnp.float32(np.log(3)), "gap": jnp.float32(np.log(3)), "shift": jnp.float32(2.0)}
    moved = pca.oja_step(pca.OjaState(jnp.array([[1.0, 0.0, 0.0]]), jnp.int32(0)), sample(1, 2, 0), known)
    assert_allclose(moved.basis, [[1.5, 1.0, 0.0]])  # rate ln 3 / (ln 3 * 2) = 1/2, x^T u = 1
    assert int(moved.seen) == 1


# --- all of them ---


@pytest.mark.parametrize("name", [*algorithms.ALGORITHMS, "a power kernel"])
def test_vmap_over_trailing_runs_agrees_but_for_fused_multiply_adds(name):
    rng = np.random.default_rng(6)
    k, d, runs = 3, 4, 16
    a, x = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((k, d, runs), (d, runs)))
    label, rate = jnp.arange(runs, dtype=jnp.int32) % k, jnp.full(runs, 0.1)
    if name == "a power kernel":
        state, known = pca.PowerState(a, a), {}

        def call(state, x, label, known, rate):
            return pca.power_step(state, Sample(x, label), known)

    else:
        algorithm = named.load("algorithm", name)
        mixed = mixture.Mixture(np.asarray(a), np.full((k, runs), 1 / 3, np.float32), np.ones((k, runs), np.float32))
        e = algorithm.estimates(k)
        numbers = {name: np.full(runs, value) for name, value in algorithm.numbers}
        known = algorithm.params(mixed, np.zeros((e, runs), np.int32), numbers)
        state = algorithm.init(a[:e], 0.1 * a[:e], (), known)

        def call(s, x, label, known, rate):
            return algorithm.step(s, Sample(x, label), known, partial(steps.CONSTANT.apply, {"rate": rate}))

    together = jax.jit(call)(state, x, label, known, rate)
    mapped = jax.jit(jax.vmap(call, in_axes=-1, out_axes=-1))(state, x, label, known, rate)
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(mapped), strict=True):
        assert_allclose(one, other, rtol=1e-6, atol=2e-6)  # an fma may be taken in one and not in the other


def test_an_algorithm_is_a_value():
    for name in algorithms.ALGORITHMS:
        assert named.load("algorithm", name) == named.load("algorithm", name)
        assert hash(named.load("algorithm", name)) == hash(named.load("algorithm", name))
        assert named.load("algorithm", name).words
    assert named.load("algorithm", "jgmm.algorithms.em:EM") is em.EM


@pytest.mark.parametrize("name", ["loyd", "no_such_module:X", "jgmm.rates:paper", "a:b:c", ""])
def test_a_name_that_is_no_algorithm_is_refused(name):
    with pytest.raises(ValueError, match=r"algorithm.* expected"):
        named.load("algorithm", name)
