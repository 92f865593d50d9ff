"""Streaming Lloyd, streaming EM and block power iteration: by hand, limits, NumPy loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from jgmm import em, lloyd, pca, rates


def start(centres, optimizer):
    centres = jnp.asarray(centres, jnp.float32)
    return lloyd.init(centres, centres, optimizer)


def centres(state):
    return np.asarray(state.origin + state.offset)


def test_only_the_nearest_centre_moves():
    state = lloyd.step(start([[0, 0], [10, 0]], optax.sgd(0.5)), jnp.array([8.0, 4.0]), optax.sgd(0.5))
    assert_allclose(centres(state), [[0, 0], [9, 2]])


def test_the_lowest_index_wins_a_tie():
    state = lloyd.step(start([[-1, 0], [1, 0], [1, 0]], optax.sgd(0.5)), jnp.zeros(2), optax.sgd(0.5))
    assert_allclose(centres(state), [[-0.5, 0], [1, 0], [1, 0]])


def test_a_constant_rate_is_sgd():
    rng = np.random.default_rng(3)
    mean, data = rng.normal(size=(3, 2, 5)).astype(np.float32), rng.normal(size=(40, 2, 5)).astype(np.float32)
    each = jnp.array([0.01, 0.1, 0.2, 0.5, 0.9], jnp.float32)  # a rate for each run
    ours, sgd = start(mean, each), start(mean, optax.sgd(each[None, None]))
    for x in data:
        ours, sgd = lloyd.step(ours, jnp.asarray(x), each), lloyd.step(sgd, jnp.asarray(x), optax.sgd(each[None, None]))
    assert_allclose(centres(ours), centres(sgd), atol=1e-6)  # 40 float32 roundings


def test_lloyd_is_the_plain_loop():
    rng = np.random.default_rng(0)
    k, d, runs, rate = 4, 3, 16, 0.1
    mean = rng.normal(size=(k, d, runs)).astype(np.float32)
    data = rng.normal(size=(60, d, runs)).astype(np.float32) * 2
    each = jnp.full(runs, rate)
    step = jax.jit(partial(lloyd.step, optimizer=each))
    state = start(mean, each)
    expected = mean.astype(float)
    for x in data:
        state = step(state, jnp.asarray(x))
        for r in range(runs):
            i = ((x[:, r] - expected[:, :, r]) ** 2).sum(axis=1).argmin()
            expected[i, :, r] += rate * (x[:, r] - expected[i, :, r])
    assert_allclose(centres(state), expected, atol=2e-5)  # 60 float32 roundings


def test_the_origin_changes_nothing_but_rounding():
    rng = np.random.default_rng(1)
    mean, x = rng.normal(size=(3, 2)).astype(np.float32), jnp.array([0.3, -0.2])
    here = lloyd.step(lloyd.init(jnp.asarray(mean), jnp.zeros((3, 2)), optax.sgd(0.3)), x, optax.sgd(0.3))
    there = lloyd.step(lloyd.init(jnp.asarray(mean), jnp.asarray(mean) + 1, optax.sgd(0.3)), x, optax.sgd(0.3))
    assert_allclose(centres(here), centres(there), atol=1e-6)


def test_a_float32_centre_far_out_does_not_lose_small_moves():
    far = jnp.full((1, 1), 1e4, jnp.float32)
    state, optimizer = lloyd.init(far, far, optax.sgd(1e-6)), optax.sgd(1e-6)
    step = jax.jit(partial(lloyd.step, optimizer=optimizer))
    for _ in range(100):
        state = step(state, jnp.array([1e4 + 1]))
    assert_allclose(state.offset, [[1e-4]], rtol=1e-3)
    assert float((far + jnp.float32(1e-6))[0, 0]) == 1e4  # what a centre without an origin would do


@pytest.mark.parametrize(
    "optimizer", [optax.adam(0.1), optax.sgd(0.1, momentum=0.9), optax.sgd(rates.polynomial(1.0, 0.7))]
)
def test_any_optax_transformation_drives_the_centres(optimizer):
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters promote
        state = start([[0.0], [10.0]], optimizer)
        step = jax.jit(partial(lloyd.step, optimizer=optimizer))
        for _ in range(200):
            state = step(state, jnp.array([9.0]))
    assert_allclose(centres(state)[1], [9.0], atol=0.2)


def test_inverse_counts_make_each_centre_the_mean_of_its_samples():
    optimizer = lloyd.inverse_count(initial=1)
    state = start([[0.0], [10.0]], optimizer)
    for x in (1.0, 2.0, 12.0, 3.0):
        state = lloyd.step(state, jnp.array([x]), optimizer)
    assert_allclose(centres(state), [[(0 + 1 + 2 + 3) / 4], [(10 + 12) / 2]])


def test_rates_by_hand():
    assert_allclose(rates.paper(1e3, 5), 15 * np.log(3000) / 1000)
    assert_allclose(rates.seed(1e3, 5), 15 * np.log2(3000) / 1000)
    assert_allclose(rates.paper_em(2e4), 1.4855e-3, rtol=1e-4)
    assert_allclose(rates.polynomial(2.0, 0.5, shift=4.0)(12), 0.5)
    with pytest.raises(ValueError, match=r"rate is 1\.5.*expected a number in \(0, 1\)"):
        rates.check_rate(1.5)


def em_step(state, x, *, rate=0.1, beta=1.0, scale=1.0):
    runs = state.offset.shape[1:]
    full = partial(jnp.full, runs)
    return em.step(state, x, rate=full(rate), beta=full(beta), scale=full(scale))


def test_em_by_hand():
    state = em_step(em.EMState(jnp.zeros(2), jnp.array([1.0, 0.0])), jnp.array([0.5, 2.0]), rate=0.5, scale=2.0)
    side = np.tanh(0.5 / 4)
    assert_allclose(state.offset, [0.5 + 0.25 * side, side], rtol=1e-6)


@pytest.mark.parametrize(("beta", "denominator"), [(1.0, 2.0), (2.0, 1.0)])
def test_the_tanh_is_the_ratio_of_exponentials(beta, denominator):
    mu, x, sigma = np.array([0.7, -0.3]), np.array([0.4, 1.1]), 1.3
    plus, minus = (np.exp(-((x - s * mu) ** 2).sum() / (denominator * sigma**2)) for s in (1, -1))
    expected = 0.9 * mu + 0.1 * (2 * plus / (plus + minus) - 1) * x
    state = em_step(
        em.EMState(jnp.zeros(2), jnp.asarray(mu, jnp.float32)), jnp.asarray(x, jnp.float32), beta=beta, scale=sigma
    )
    assert_allclose(state.offset, expected, rtol=1e-6)


def test_em_with_infinite_beta_is_lloyd_on_the_pair():
    rng = np.random.default_rng(2)
    mu = jnp.asarray(rng.normal(size=3), jnp.float32)
    for x in rng.normal(size=(20, 3)).astype(np.float32):
        soft = em_step(em.EMState(jnp.zeros(3), mu), jnp.asarray(x), beta=1e9).offset
        hard = lloyd.step(start(jnp.stack([mu, -mu]), optax.sgd(0.1)), jnp.asarray(x), optax.sgd(0.1))
        side = 1 if (x * np.asarray(mu)).sum() > 0 else -1
        moved = centres(hard)[0] if side > 0 else -centres(hard)[1]
        assert_allclose(soft, moved, rtol=1e-5, atol=1e-6)


def test_em_does_not_overflow_far_out():
    state = em_step(em.EMState(jnp.full(300, 1e4), jnp.zeros(300)), jnp.full(300, -1e4), scale=1.0)
    assert_allclose(state.offset, np.zeros(300), atol=1e-2)


def test_power_iteration_accumulates_the_second_moment_times_the_basis():
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(6, 2)))[0].astype(np.float32)
    data = rng.normal(size=(40, 6)).astype(np.float32)
    state = pca.init(jnp.asarray(basis))
    for x in data:
        state = pca.step(state, jnp.asarray(x))
    assert_allclose(state.product, data.T @ data @ basis, rtol=1e-4, atol=1e-4)


def test_orthonormalize_agrees_with_qr():
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(7, 3, 5)).astype(np.float32)
    ours = np.asarray(pca.orthonormalize(jnp.asarray(vectors)))
    for r in range(5):
        q, upper = np.linalg.qr(vectors[:, :, r])
        assert_allclose(ours[:, :, r], q * np.sign(np.diag(upper)), atol=1e-5)
        assert_allclose(ours[:, :, r].T @ ours[:, :, r], np.eye(3), atol=1e-6)


def test_nearly_parallel_columns_stay_orthogonal():
    vectors = jnp.array([[1.0, 1.0], [1e-4, 0.0], [0.0, 1e-4]])
    q = np.asarray(pca.orthonormalize(vectors))
    assert_allclose(q.T @ q, np.eye(2), atol=1e-6)


def test_a_column_of_zeros_stays_finite():
    assert np.isfinite(pca.orthonormalize(jnp.zeros((4, 2)))).all()


def test_blocks_of_power_iteration_find_the_dominant_subspace():
    rng = np.random.default_rng(5)
    data = rng.normal(size=(4000, 5)).astype(np.float32) * np.array([10, 8, 1, 1, 1], np.float32)
    state = pca.init(jnp.eye(5)[:, 2:4] + 0.1)
    step = jax.jit(lambda s, block: jax.lax.scan(lambda s, x: (pca.step(s, x), None), s, block)[0])
    for block in data.reshape(8, 500, 5):
        state = pca.end_block(step(state, jnp.asarray(block)))
    outside = np.asarray(state.basis)[2:]
    assert np.abs(outside).max() < 0.02  # about sqrt(1/(64 x 500)), a few times


@pytest.mark.parametrize("kernel", ["lloyd", "em", "pca"])
def test_vmap_over_trailing_runs_agrees_but_for_fused_multiply_adds(kernel):
    rng = np.random.default_rng(6)
    k, d, runs = 3, 4, 16
    a = jnp.asarray(rng.normal(size=(k, d, runs)), jnp.float32)
    x = jnp.asarray(rng.normal(size=(d, runs)), jnp.float32)
    rate = jnp.full(runs, 0.1)
    if kernel == "lloyd":
        state = lloyd.LloydState(a, 0.1 * a, optax.sgd(0.1).init(a))
        call = lambda s, x, r: lloyd.step(s, x, optax.sgd(0.1))  # noqa: E731
    elif kernel == "em":
        state = em.EMState(a[0], 0.1 * a[0])
        call = lambda s, x, r: em.step(s, x, rate=r, beta=r * 0 + 1, scale=r * 0 + 1)  # noqa: E731
    else:
        state = pca.init(jnp.moveaxis(a, 0, 1))
        call = lambda s, x, r: pca.step(s, x)  # noqa: E731
    together = jax.jit(call)(state, x, rate)
    mapped = jax.jit(jax.vmap(call, in_axes=-1, out_axes=-1))(state, x, rate)
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(mapped), strict=True):
        assert_allclose(one, other, rtol=1e-6, atol=1e-6)  # an fma may be taken in one and not in the other


def test_float32_agrees_with_float64(x64):
    rng = np.random.default_rng(7)
    mean, data = rng.normal(size=(3, 2, 8)) * 5, rng.normal(size=(200, 2, 8)) * 5
    found = []
    for dtype in (jnp.float32, jnp.float64):
        origin = jnp.asarray(mean, dtype)
        state = lloyd.init(origin, origin, optax.sgd(0.05))
        found.append(
            jax.lax.scan(lambda s, x: (lloyd.step(s, x, optax.sgd(0.05)), None), state, jnp.asarray(data, dtype))[
                0
            ].offset
        )
    assert found[0].dtype == jnp.float32
    assert found[1].dtype == jnp.float64
    assert_allclose(found[0], found[1], atol=1e-5)  # 200 steps of float32 rounding at size 5
