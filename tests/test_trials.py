"""Batches of runs: identity of a run, one program, no exchange between devices, laws."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jgmm import lloyd, metrics, mixture, rates, stream, tiling, trials

KEY = jax.random.key(11)


def batch(ids, mix=None, devices=None):
    return trials.batch(KEY, ids, mix or mixture.simplex(3, 4, separation=3.0), devices=devices)


def lloyd_run(ids, devices=None):
    runs = batch(ids, devices=devices)
    return trials.run_lloyd(runs, trials.offset_start(KEY, runs, 0.5), rate=0.05, checkpoints=[7, 100])


def em_run(ids, devices=None):
    runs = batch(ids, mixture.symmetric(3, separation=2.0), devices)
    return trials.run_em(runs, trials.offset_start(KEY, runs, 0.5)[0], rate=0.05, checkpoints=[7, 100])


def seeded_run(ids, devices=None):
    mix = mixture.box(trials.run_keys(KEY, ids), 3, 5, side=100.0, separation=5.0)
    runs, found, _ = trials.seed_centres(KEY, batch(ids, mix, devices), n=500, block=37, graph_points=40, neighbors=3)
    return trials.run_lloyd(runs, found.means, rate=0.05, checkpoints=[50])


@pytest.mark.parametrize("simulate", [lloyd_run, em_run, seeded_run])
def test_all_runs_together_are_each_run_alone_on_one_device_and_on_two(simulate):
    assert len(jax.devices()) == 2
    together = simulate(range(20))
    for ids, devices in (([17], jax.devices()[:1]), ([3, 19], jax.devices()), (range(20), jax.devices()[:1])):
        alone = simulate(ids, devices=devices)
        for a, b in zip(jax.tree.leaves(alone.error), jax.tree.leaves(together.error), strict=True):
            assert_array_equal(a, b[:, list(ids)])
        assert_array_equal(alone.centres, together.centres[..., list(ids)])


def test_checkpoints_and_block_size_do_not_change_a_bit():
    runs = batch(range(8))
    start = trials.offset_start(KEY, runs, 0.5)
    ends = [
        trials.run_lloyd(runs, start, rate=0.05, checkpoints=checkpoints, block=block).centres
        for checkpoints, block in (([500], 16), ([1, 2, 3, 77, 500], 16), ([500], 7))
    ]
    assert_array_equal(ends[0], ends[1])
    assert_array_equal(ends[0], ends[2])


def test_tiles_of_runs_do_not_change_a_bit():
    runs = batch(range(300))  # 160 on each of two devices: three tiles of 64 overlap
    start = trials.offset_start(KEY, runs, 0.5)
    rate = rates.Polynomial(scale=1.0, power=0.6, shift=10.0)  # its state is a scalar count beside the runs' arrays
    whole, *tiled = (
        trials.run_lloyd(runs, start, rate=rate, checkpoints=[3, 40], twin=True, tile=tile) for tile in (160, 32, 64)
    )
    for other in tiled:
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(other), strict=True):
            assert_array_equal(a, b)


def test_tiles_of_runs_do_not_change_a_bit_of_em():
    runs = batch(range(200), mixture.symmetric(3, separation=2.0))
    start = trials.offset_start(KEY, runs, 0.5)[0]
    whole, *tiled = (
        trials.run_em(runs, start, rate=0.05, checkpoints=[3, 40], twin=True, tile=t) for t in (128, 32, 64)
    )
    for other in tiled:
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(other), strict=True):
            assert_array_equal(a, b)


def test_tiles_of_runs_do_not_change_a_bit_of_the_seeding(monkeypatch):
    mix = mixture.box(trials.run_keys(KEY, range(200)), 3, 5, side=100.0, separation=5.0)
    found = []
    for tile in (128, 32):
        monkeypatch.setattr(tiling, "TILE", tile)
        trials._power_blocks.clear_cache()
        runs = batch(range(200), mix)
        found.append(trials.seed_centres(KEY, runs, n=200, block=37, graph_points=40, neighbors=3)[1])
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)


def test_a_tile_keeps_its_state_within_the_bytes_given():
    widths = {(2, 2): 128, (5, 4): 128, (5, 5): 64, (5, 10): 32, (20, 100): 32}
    assert {shape: tiling.tile_width(*shape) for shape in widths} == widths


def test_the_compiled_stream_exchanges_nothing_between_devices():
    runs = batch(range(40))
    lloyd_twin = trials.lloyd_algorithm(runs, trials.offset_start(KEY, runs, 0.5), rate=0.1, twin=True)
    carry = (runs.lanes, lloyd_twin.state)
    call = {"step": lloyd_twin.step, "block": 16, "tile": 32, "mesh": runs.mesh}
    text = trials._advance.lower(carry, lloyd_twin.parameters, runs.mixture, jnp.int32(5), **call).compile().as_text()
    assert "while" in text
    for exchange in ("all-reduce", "all-gather", "all-to-all", "collective", "send(", "recv("):
        assert exchange not in text


def test_one_shape_compiles_once_whatever_n_rate_scale_and_separation():
    def go(separation, scale, rate, n):
        runs = batch(range(8), mixture.simplex(2, 6, separation=separation, scales=scale))
        trials.run_lloyd(runs, trials.offset_start(KEY, runs, 0.1), rate=rate, checkpoints=[n // 2, n])

    go(3.0, 1.0, 0.1, 50)
    before = trials._advance._cache_size()
    go(5.0, 20.0, 0.01, 700)
    assert trials._advance._cache_size() == before


def test_given_sgd_is_the_default_rate():
    runs = batch(range(4))
    start = trials.offset_start(KEY, runs, 0.5)
    default = trials.run_lloyd(runs, start, rate=0.05, checkpoints=[200])
    given = trials.run_lloyd(runs, start, rate=optax.sgd(0.05), checkpoints=[200])
    assert_allclose(given.centres, default.centres, rtol=1e-5, atol=1e-6)


def test_a_rate_for_each_run():
    runs = batch(range(3))
    start = trials.offset_start(KEY, runs, 0.5)
    each = np.array([0.01, 0.05, 0.2])
    together = trials.run_lloyd(runs, start, rate=each, checkpoints=[100])
    for i, rate in enumerate(each):
        alone = trials.run_lloyd(runs, start, rate=float(rate), checkpoints=[100])
        assert_array_equal(together.centres[..., i], alone.centres[..., i])


def test_macqueens_rate_gives_each_centre_the_mean_of_its_samples():
    runs = batch(range(200), mixture.simplex(2, 3, separation=20.0))
    n, start_sq = 400, 0.25
    found = trials.run_lloyd(runs, trials.offset_start(KEY, runs, 0.5), rate=lloyd.inverse_count(), checkpoints=[n])
    counts = stats.binom(n, 0.5)
    m = np.arange(n + 1)
    law = 2 * (counts.pmf(m) * (start_sq + m * 3) / (m + 1) ** 2).sum()
    measured = metrics.estimate(found.error.error_sq[-1])
    assert abs(measured.mean - law) < 4 * measured.standard_error


def test_the_error_of_separated_centres_is_s1_within_4_standard_errors():
    k, d, n, sigma = 5, 10, 20_000, 3.0
    rate = rates.paper(n, k)
    runs = batch(range(256), mixture.simplex(k, d, separation=12.0, scales=sigma))
    checkpoints = [100, 1000, n]
    found = trials.run_lloyd(runs, trials.offset_start(KEY, runs, 2.0), rate=rate, checkpoints=checkpoints)
    for index, t in enumerate([0, *checkpoints]):
        q = (1 - rate * (2 - rate) / k) ** t
        law = k * (q * 4 * sigma**2 + (1 - q) * rate / (2 - rate) * sigma**2 * d)
        measured = metrics.estimate(found.error.error_sq[index])
        assert abs(measured.mean - law) < 4 * measured.standard_error + 1e-4 * law


def test_settled_centres_are_normal_in_every_direction():
    runs = batch(range(512), mixture.simplex(2, 4, separation=15.0))
    rate = 0.05
    found = trials.run_lloyd(runs, trials.offset_start(KEY, runs, 0.0), rate=rate, checkpoints=[1500])
    truth = np.asarray(mixture.simplex(2, 4, separation=15.0).means)
    gaps = found.centres - truth[:, :, None]
    squares = (gaps**2).sum(axis=1).reshape(-1) / (rate / (2 - rate))
    assert stats.kstest(squares, stats.chi2(4).cdf).pvalue > 1e-4


def test_streaming_em_settles_at_half_the_rate_times_d():
    for separation in (2.0, 4.0):
        runs = batch(range(512), mixture.symmetric(5, separation=separation))
        found = trials.run_em(runs, trials.offset_start(KEY, runs, 0.0)[0], rate=0.005, checkpoints=[3000])
        measured = metrics.estimate(found.error.error_sq[-1])
        law = 0.005 / 2 * 5
        assert abs(measured.mean - law) < 4 * measured.standard_error + 0.01 * law  # the law is to first order


def test_seeding_finds_separated_centres_and_counts_components():
    mix = mixture.box(trials.run_keys(KEY, range(32)), 3, 6, side=1000.0, separation=50.0)
    runs, found, example = trials.seed_centres(
        KEY, batch(range(32), mix), n=5000, block=400, graph_points=60, neighbors=3
    )
    error = trials.measure_starts(found.means, runs)
    good = np.asarray(found.num_components)[:32] == 3
    assert good.mean() > 0.9
    law = 3 * ((6 - 3) * 3 / 400 + 3 * 3 / 60)
    assert abs(np.median(error.error_sq[good]) / law - 1) < 0.5
    assert trials.measure_subspace(found.basis, runs).max() < 0.05
    assert example.points.shape == (60, 6)
    assert sorted(set(example.component.tolist())) <= [0, 1, 2, 3]
    moved = stream.skip(batch(range(32), mix).lanes, jnp.int32(5000))
    for a, b in zip(runs.lanes, moved, strict=True):
        assert_array_equal(a, b)  # the stream goes on right behind its n samples


def test_optimizers_that_mix_runs_are_refused():
    runs = batch(range(4))
    mixing = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    with pytest.raises(ValueError, match="mixes runs"):
        trials.run_lloyd(runs, trials.offset_start(KEY, runs, 0.1), rate=mixing, checkpoints=[10])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, s: trials.run_lloyd(r, s, rate=1.5, checkpoints=[10]), "rate is 1.5"),
        (lambda r, s: trials.run_lloyd(r, s, rate=float("nan"), checkpoints=[10]), "rate is nan"),
        (lambda r, s: trials.run_lloyd(r, s, rate=0.1, checkpoints=[10, 10]), "increasing"),
        (lambda r, s: trials.run_em(r, s[0], rate=0.1, checkpoints=[10]), "two balanced components"),
        (lambda r, s: trials.batch(KEY, [], mixture.symmetric(2, separation=1.0)), "of at least one run"),
        (lambda r, s: trials.seed_centres(KEY, r, n=100, block=2, graph_points=20, neighbors=3), "block is 2"),
        (lambda r, s: trials.seed_centres(KEY, r, n=30, block=20, graph_points=20, neighbors=3), "n is 30"),
        (lambda r, s: trials.seed_centres(KEY, r, n=100, block=20, graph_points=3, neighbors=3), "neighbors 3"),
    ],
)
def test_bad_input_names_the_value(call, message):
    runs = batch(range(2))
    with pytest.raises(ValueError, match=message):
        call(runs, trials.offset_start(KEY, runs, 0.1))


def test_seeding_needs_k_directions():
    runs = batch(range(2), mixture.given(np.arange(6.0).reshape(3, 2)))
    with pytest.raises(ValueError, match="k is 3, expected at most d = 2"):
        trials.seed_centres(KEY, runs, n=100, block=20, graph_points=20, neighbors=3)
