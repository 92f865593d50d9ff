"""The stream in one launch: interpreted on a CPU, lowered for a GPU, chosen with a reason. None of it runs on a GPU."""

import json
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import kernels, lanes, lloyd, loops, mixture, rates, trials
from jgmm import stream as streams
from jgmm import threads as sharing

KEY = jax.random.key(0)
CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # some hundred float32 roundings: a fused multiply-add here and not there
needs_mosaic = pytest.mark.skipif(
    kernels.version(jax.__version__) < kernels.OLDEST_JAX, reason="Mosaic GPU needs JAX 0.11"
)


def uneven(k, d):
    weights = np.arange(1, k + 1) / (k * (k + 1) / 2)
    means = 3 * np.random.default_rng(0).normal(size=(k, d))
    return mixture.given(means, weights=weights, scales=np.linspace(0.5, 1.0, k))


def stream(algorithm, batch, counts, kernel, threads=1):
    """(lane state, state) after these calls."""
    carry = batch.lanes, algorithm.state
    static = {"step": algorithm.step, "block": 16, "tile": None, "mesh": batch.mesh}
    for count in counts:
        given = algorithm.parameters, batch.mixture, jnp.int32(count)
        carry = trials._advance(carry, *given, kernel=kernel, threads=threads, **static)
    return carry


def assert_equal_bits_and_close_states(found, expected):
    for a, b in zip(jax.tree.leaves(found[0]), jax.tree.leaves(expected[0]), strict=True):
        assert_array_equal(a, b)
    for a, b in zip(jax.tree.leaves(found[1]), jax.tree.leaves(expected[1]), strict=True):
        assert_allclose(a, b, **CLOSE)


@needs_mosaic
@pytest.mark.parametrize(("d", "k"), [(2, 2), (1, 3), (3, 1)])
def test_the_kernel_streams_as_the_scan_path_does_and_split_launches_are_one(d, k):
    batch = trials.batch(KEY, range(256), uneven(k, d), devices=jax.devices()[:1])
    start = trials.offset_start(KEY, batch, 0.5)[::-1]  # estimates in another order than the components
    algorithm = trials.lloyd_algorithm(batch, start, rate=0.05, twin=True)
    expected = stream(algorithm, batch, [101], "scan")
    assert_equal_bits_and_close_states(together := stream(algorithm, batch, [101], "interpreted"), expected)
    for a, b in zip(
        *map(jax.tree.leaves, (stream(algorithm, batch, [0, 40, 61], "interpreted"), together)), strict=True
    ):
        assert_array_equal(a, b)
    assert_array_equal(together[1].centres.origin, algorithm.state.centres.origin)


ALGORITHMS = {
    "soft": {"gate": "soft", "rate": 0.05},
    "labelled": {"gate": "labelled", "rate": 0.05},
    "averaged": {"rate": 0.05, "burn": np.full(40, 30)},
    "polynomial": {"rate": rates.polynomial(1.0, 0.7), "twin": True},
    "1/n": {"rate": lloyd.inverse_count()},
    "adam": {"rate": optax.adam(0.05)},
}


@needs_mosaic
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_runs_in_the_kernel_on_two_devices(name):
    batch = trials.batch(KEY, range(40), uneven(2, 2))  # dead runs behind the 40, and half a program on each device
    start = trials.offset_start(KEY, batch, 0.5)[::-1]
    with jax.numpy_dtype_promotion("standard"):  # optax
        algorithm = trials.lloyd_algorithm(batch, start, **ALGORITHMS[name])
        found, expected = (stream(algorithm, batch, [60], kernel) for kernel in ("interpreted", "scan"))
    assert_equal_bits_and_close_states(found, expected)


@needs_mosaic
@pytest.mark.parametrize("threads", [1, 2])
def test_em_runs_in_the_kernel(threads):
    batch = trials.batch(KEY, range(40), mixture.symmetric(3, separation=3.0))
    algorithm = trials.em_algorithm(batch, trials.offset_start(KEY, batch, 0.5)[1], rate=0.05, twin=True)
    expected = stream(algorithm, batch, [60], "scan")
    assert_equal_bits_and_close_states(stream(algorithm, batch, [60], "interpreted", threads), expected)


@needs_mosaic
@pytest.mark.parametrize(("d", "k", "threads"), [(7, 2, 4), (4, 3, 2)])
def test_a_run_over_several_threads_streams_as_one_over_one(d, k, threads):
    batch = trials.batch(KEY, range(70), uneven(k, d), devices=jax.devices()[:1])
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5)[::-1], rate=0.05, twin=True)
    expected = stream(algorithm, batch, [60], "scan")
    assert_equal_bits_and_close_states(stream(algorithm, batch, [60], "interpreted", threads), expected)


@needs_mosaic
@pytest.mark.parametrize("name", ["soft", "1/n"])
def test_what_looks_at_all_coordinates_does_so_over_threads(name):
    batch = trials.batch(KEY, range(40), uneven(2, 3), devices=jax.devices()[:1])
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5), **ALGORITHMS[name])
    expected = stream(algorithm, batch, [60], "scan")
    assert_equal_bits_and_close_states(stream(algorithm, batch, [60], "interpreted", 2), expected)


@needs_mosaic
def test_a_flag_in_one_thread_is_seen_by_all_threads_of_its_run():
    from jgmm import fused

    def flags(carry, _given, _count):
        with loops.over_threads(4):
            return (loops.any_coordinate(carry[0] > 0).astype(jnp.float32),)

    one_thread = jnp.array([[[0.0, 1, 0, 0, 1, 1]]])  # three runs over two threads each
    found = fused.launch(flags, (one_thread,), jnp.zeros(6), jnp.int32(0), threads=2, interpret=True)
    assert_array_equal(found[0], [[[1, 1, 0, 0, 1, 1]]])


@pytest.mark.parametrize(("d", "threads"), [(2, 1), (3, 2), (5, 2), (7, 4), (10, 4), (50, 16), (100, 32)])
def test_what_is_spread_over_threads_is_joined_again(d, threads):
    rng = np.random.default_rng(0)
    for share, size in ((sharing.coordinates(d, threads), d), (sharing.lanes(d, threads), lanes.num_lanes(d))):
        x = jnp.asarray(rng.normal(size=(3, size, 6)), jnp.float32)
        spread = sharing.spread(x, threads, share, 1)
        assert spread.shape == (3, len(share.source), 6 * threads)
        assert_array_equal(sharing.join(spread, threads, share, 1), x)
        held = np.unique(share.source[share.source != sharing.NOBODY])
        assert_array_equal(held, np.arange(size))  # nothing is left out
    assert_array_equal(sharing.spread(jnp.arange(3.0), 2, None), jnp.array([0.0, 0, 1, 1, 2, 2]))


def test_three_coordinates_on_two_threads_by_hand():
    assert_array_equal(sharing.coordinates(3, 2).source, [[0, 1], [2, sharing.NOBODY]])  # pairs (0, 2) and (1, -)
    assert_array_equal(sharing.lanes(3, 2).source, [[0, 0], [1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("d", "k", "twin", "threads"), [(2, 2, 1, 1), (10, 5, 0, 1), (20, 5, 0, 2), (50, 10, 1, 16), (100, 20, 0, 32)]
)
def test_the_threads_of_a_run_depend_on_its_shape_alone(d, k, twin, threads):
    for runs in (4, 200):
        batch = trials.batch(KEY, range(runs), mixture.given(np.eye(k, d)))
        algorithm = trials.lloyd_algorithm(batch, batch.mixture.means, rate=0.1, twin=bool(twin))
        assert trials.choose_kernel(algorithm, batch, "interpreted").threads == threads


@pytest.mark.parametrize(
    ("d", "k", "twin", "numbers"),
    # for each pair of coordinates two lanes of four words, twice a mean and an offset (and a twin's) of each centre;
    # the label's lane, k - 1 steps of the weights, k scales, a rate
    [(10, 5, False, 5 * (8 + 2 * 10) + 14), (10, 5, True, 5 * (8 + 2 * 15) + 14), (3, 2, False, 2 * (8 + 2 * 4) + 8)],
)
def test_what_a_run_holds_by_hand(d, k, twin, numbers, monkeypatch):
    monkeypatch.setattr(kernels, "_impossible", lambda *_: None)
    monkeypatch.setattr(trials, "_obstacle", lambda *_: None)
    batch = trials.batch(KEY, range(4), mixture.given(np.eye(k, d)))
    algorithm = trials.lloyd_algorithm(batch, batch.mixture.means, rate=0.1, twin=twin)
    assert f"a thread a run, {numbers} numbers in each;" in trials.choose_kernel(algorithm, batch, "auto").reason


@needs_mosaic
@pytest.mark.parametrize("method", ["block", "oja"])
def test_the_power_iteration_runs_in_the_kernel(method):
    batch = trials.batch(KEY, range(40), mixture.simplex(2, 3, separation=9.0))
    sizes = {"n": 300, "block": 37, "graph_points": 40, "neighbors": 3, "method": method}
    (there, found, _), (here, expected, _) = (
        trials.seed_centres(KEY, batch, **sizes, kernel=kernel) for kernel in ("interpreted", "scan")
    )
    for a, b in zip(there.lanes, here.lanes, strict=True):
        assert_array_equal(a, b)
    assert_allclose(found.basis, expected.basis, atol=1e-4)
    assert_allclose(found.means, expected.means, atol=1e-3)


@needs_mosaic
@pytest.mark.parametrize("devices", [1, 2])
def test_programs_without_a_live_run_stop_and_the_others_stream_on(devices):
    batch = trials.batch(KEY, range(512), uneven(2, 2), devices=jax.devices()[:devices])
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5), rate=0.05, twin=True)
    carry, given = (batch.lanes, algorithm.state), (algorithm.parameters, batch.mixture, jnp.int32(40))
    static = {"step": algorithm.step, "block": 16, "tile": None, "mesh": batch.mesh, "kernel": "interpreted"}
    whole = trials._advance(carry, *given, **static)
    for live, streamed in [(0, 0), (1, 128), (300, 384), (512, 512)]:  # a program has 128 runs
        part = trials._advance(carry, *given, jnp.int32(live), **static)
        for found, new, old in zip(*map(jax.tree.leaves, (part, whole, carry)), strict=True):
            assert_array_equal(found[..., :streamed], new[..., :streamed])
            assert_array_equal(found[..., streamed:], old[..., streamed:])


@needs_mosaic
def test_power_iteration_stops_where_no_run_is_live():
    batch = trials.batch(KEY, range(256), uneven(2, 3), devices=jax.devices()[:1])
    carry = batch.lanes, jnp.broadcast_to(jnp.eye(3, 2)[..., None], (3, 2, 256))
    counts = jnp.int32(2), jnp.int32(20)
    words, basis = trials._power_blocks(
        carry, batch.mixture, counts, jnp.int32(100), draw=16, kernel="interpreted", mesh=batch.mesh
    )
    for found, old in zip((*words, basis), (*carry[0], carry[1]), strict=True):
        assert_array_equal(found[..., 128:], old[..., 128:])
        assert (
            (np.asarray(found[..., :128]) != np.asarray(old[..., :128])).any(axis=(0, *range(1, found.ndim - 1))).all()
        )


@needs_mosaic
def test_the_records_are_those_of_the_scan_path():
    batch = trials.batch(KEY, range(40), uneven(2, 2))
    run = partial(trials.run_lloyd, batch, trials.offset_start(KEY, batch, 0.5), rate=0.05, checkpoints=[7, 50])
    fused, scanned = run(twin=True, kernel="interpreted"), run(twin=True, kernel="scan")
    for a, b in zip(jax.tree.leaves(fused[:-1]), jax.tree.leaves(scanned[:-1]), strict=True):
        assert_allclose(a, b, **CLOSE)
    assert fused.kernel.kernel == "interpreted"
    assert scanned.kernel == kernels.Choice("scan", "asked for")


@needs_mosaic
@pytest.mark.parametrize("devices", [1, 2])
def test_the_kernel_is_lowered_for_a_gpu_with_and_without_shards(devices):
    batch = trials.batch(KEY, range(256), uneven(2, 2), devices=jax.devices()[:devices])
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5), rate=0.05, twin=True)
    carry, given = (batch.lanes, algorithm.state), (algorithm.parameters, batch.mixture, jnp.int32(100))
    static = {"step": algorithm.step, "block": 16, "tile": None, "kernel": "fused", "mesh": batch.mesh}
    traced = trials._advance.trace(carry, *given, **static)
    assert "mosaic_gpu" in traced.lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize("platform", ["scan", "gpu"])
def test_the_scan_path_of_a_gpu_draws_the_same_bits_and_moves_the_centres_alike(platform):
    """What a GPU would be given, on a CPU: everything written out, whole blocks, then the rest."""
    batch = trials.batch(KEY, range(32), uneven(3, 5), devices=jax.devices()[:1])
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5), rate=0.05, twin=True)
    expected = stream(algorithm, batch, [75], "scan")
    fold = streams.fold if platform == "scan" else streams.fold_together
    step = lambda s, x: algorithm.step(s, x, algorithm.parameters)  # noqa: E731
    go = jax.jit(lambda words, state, n: fold(step, words, state, batch.mixture, n, block=16))
    assert_equal_bits_and_close_states(go(batch.lanes, algorithm.state, jnp.int32(75)), expected)


def test_importing_jgmm_and_streaming_on_a_cpu_imports_no_pallas():
    look = "; import sys, json; print(json.dumps([name for name in sys.modules if 'pallas' in name]))"
    stream = (
        "import jax, jgmm; from jgmm import mixture, trials; mix = mixture.simplex(2, 2, separation=5.0);"
        "batch = trials.batch(jax.random.key(0), range(4), mix);"
        "trials.run_lloyd(batch, batch.mixture.means, rate=0.1, checkpoints=[3])"
    )
    found, alone = (
        json.loads(subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout)
        for c in (stream + look, "import jax" + look)
    )
    assert found == alone


def gpu(capability="9.0", version="PJRT C API cuda 13000", kind="NVIDIA H100"):
    client = SimpleNamespace(platform_version=version)
    return SimpleNamespace(platform="gpu", device_kind=kind, compute_capability=capability, client=client)


def held(numbers, pairs=1):
    return kernels.Held(each_pair=numbers - 20, others=20, pairs=pairs)


TOLD = {"device": gpu(), "held": held(150), "runs": 4096, "dtype": np.float32}


@needs_mosaic
@pytest.mark.parametrize(
    ("change", "kernel", "reason"),
    [
        ({}, "fused", "a thread a run, 150 numbers in each"),
        ({"runs": 16}, "fused", "go faster there"),
        ({"held": held(300)}, "fused", "a thread a run, 300 numbers in each, some in local memory"),
        ({"held": held(60, pairs=8)}, "fused", "2 threads a run, 180 numbers"),
        ({"held": held(60, pairs=10)}, "fused", "4 threads a run, 140 numbers"),
        ({"held": held(5000)}, "scan", "5000 numbers"),
        ({"device": jax.devices("cpu")[0]}, "scan", "a CPU"),
        ({"device": gpu(capability="8.0")}, "scan", "compute capability is 8.0"),
        ({"device": gpu(capability="10.0")}, "fused", "many samples a launch"),
        ({"device": gpu(version="rocm 6.0", kind="MI300")}, "scan", "MI300, no NVIDIA"),
        ({"dtype": np.float64}, "scan", "float64"),
        ({"obstacle": "the operation sort has no form in registers"}, "scan", "sort"),
    ],
)
def test_the_kernel_is_chosen_by_device_shape_and_algorithm(change, kernel, reason):
    found = kernels.choose("auto", **{**TOLD, **change})
    assert found.kernel == kernel
    assert reason in found.reason


def test_an_old_jax_scans(monkeypatch):
    monkeypatch.setattr(jax, "__version__", "0.10.2")
    assert kernels.choose("auto", **TOLD) == kernels.Choice("scan", "JAX is 0.10.2, older than 0.11")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("fused", "kernel is 'fused', but the device is a CPU"), ("quick", "'quick', expected one of")],
)
def test_a_kernel_that_cannot_be_is_refused(wanted, message):
    with pytest.raises(ValueError, match=message):
        kernels.choose(wanted, **{**TOLD, "device": jax.devices("cpu")[0]})
    batch = trials.batch(KEY, range(4), uneven(2, 2))
    with pytest.raises(ValueError, match=message):
        trials.run_lloyd(batch, batch.mixture.means, rate=0.1, checkpoints=[3], kernel=wanted)


def test_centres_without_an_origin_in_the_means_are_not_fused():
    batch = trials.batch(KEY, range(4), uneven(2, 2))
    algorithm = trials.lloyd_algorithm(batch, batch.mixture.means, rate=0.1)
    assert trials._no_origin(algorithm, batch) is None
    moved = algorithm.state.centres._replace(origin=algorithm.state.centres.origin + 1)
    assert "not held relative" in trials._no_origin(algorithm._replace(state=trials.State(moved)), batch)


def test_what_registers_cannot_do_is_told():
    batch = trials.batch(KEY, range(4), uneven(2, 2))
    algorithm = trials.lloyd_algorithm(batch, batch.mixture.means, rate=0.1)

    def step(state, sample, parameters):
        return state._replace(centres=state.centres._replace(offset=jnp.sort(state.centres.offset, axis=0)))

    if kernels.version(jax.__version__) >= kernels.OLDEST_JAX:
        assert "sort" in trials._obstacle(algorithm._replace(step=step), batch, 1)
        assert trials._obstacle(algorithm, batch, 1) is None
