"""The reference back end: folds are plain loops, samples have their law, devices exchange nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import lanes, mixture
from jgmm.algorithms.lloyd import LLOYD
from jgmm.contract import Kernel
from jgmm.engine import scan
from jgmm.engine.together import ready
from jgmm.start import offset_start

KEY, RUNS = jax.random.key(1), 16


def setup(d=3):
    mix = mixture.replicate(mixture.given(np.arange(2 * d).reshape(2, d), weights=[0.3, 0.7], scales=[1.0, 2.0]), RUNS)
    return jax.tree.map(jnp.asarray, (lanes.seed(KEY, np.arange(RUNS), d=d), mix))


def walk(state, sample):
    """A step whose order shows: a leaky sum of samples and labels."""
    return 0.5 * state + sample.x + sample.label[None].astype(jnp.float32)


@pytest.mark.parametrize("fold", [scan.fold_one_by_one, scan.fold_together])
@pytest.mark.parametrize(("count", "block"), [(0, 5), (1, 1), (15, 16), (16, 16), (17, 16), (100, 5)])
def test_a_fold_is_the_plain_loop_whatever_the_block(count, block, fold):
    words, mix = setup()
    zero = jnp.zeros((3, RUNS))
    drawn = scan.draw_block(words, mix, block=max(count, 1))[1]
    expected = np.zeros((3, RUNS))
    for t in range(count):
        expected = 0.5 * expected + np.asarray(drawn.x[:, t]) + np.asarray(drawn.label[t])[None]
    after, state = jax.jit(lambda w, s, n: fold(walk, w, s, mix, n, block=block))(words, zero, jnp.int32(count))
    assert_allclose(state, expected, rtol=1e-5, atol=1e-5)  # float32 against float64
    for a, b in zip(after, scan.skip(words, jnp.int32(count)), strict=True):
        assert_array_equal(a, b)


def test_the_numbers_of_a_stream_are_those_that_are_drawn_alone():
    words, mix = setup()
    after, x = scan.draw(words, mix, 40)
    stream = scan.open(Kernel(lambda s, sample, params: walk(s, sample)), words, np.zeros((3, RUNS), "f"), {}, mix)
    stream.advance(40)
    expected = np.zeros((3, RUNS))
    labels = scan.draw_block(words, mix, block=40)[1].label
    for t in range(40):
        expected = 0.5 * expected + x[:, t] + np.asarray(labels[t])[None]
    assert x.shape == (3, 40, RUNS)
    assert_allclose(stream.state(), expected, rtol=1e-5, atol=1e-5)
    for a, b in zip(after, stream.words(), strict=True):
        assert_array_equal(a, b)


def test_samples_have_their_labels_mean_and_scale():
    words, mix = setup(d=2)
    samples = jax.jit(lambda w: scan.draw_block(w, mix, block=4000))(words)[1]
    label, x = np.asarray(samples.label), np.asarray(samples.x)
    for i, (weight, scale) in enumerate(((0.3, 1.0), (0.7, 2.0))):
        mine = label == i
        n = mine.sum()
        assert abs(mine.mean() - weight) < 4 * np.sqrt(0.21 / mine.size)
        for j in range(2):
            values = x[j][mine]
            assert abs(values.mean() - (2 * i + j)) < 4 * scale / np.sqrt(n)
            assert abs(values.std() - scale) < 4 * scale / np.sqrt(2 * n)


def test_blocks_end_as_they_are_told():
    words, mix = setup()
    kernel = Kernel(lambda s, sample, params: s + sample.x, lambda s, params: jnp.floor(s) * params["sign"][None])
    params = {"sign": np.linspace(-1, 1, RUNS).astype("f")}
    stream = scan.open(kernel, words, np.zeros((3, RUNS), "f"), params, mix)
    stream.advance(3, block=7)
    _, x = scan.draw(words, mix, 21)
    expected = np.zeros((3, RUNS), "f")
    for block in range(3):
        for t in range(7):
            expected = expected + x[:, 7 * block + t]
        expected = np.floor(expected) * params["sign"]
    assert_allclose(stream.state(), expected, atol=1e-4)


def held(runs=40, ids=None):
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=3.0))
    found = ready(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=0.1, twin=True)
    return scan.open(found.kernel, batch.words, found.state, found.params, batch.mixture)


def test_the_compiled_stream_exchanges_nothing_between_devices():
    stream = held()
    static = {"kernel": stream._kernel, "mesh": stream._mesh, "tile": 32, "draw": 16}
    assert stream._mesh.size == 2
    text = scan._advance.lower(stream._carry, *stream._given, np.int32(5), **static).compile().as_text()
    assert "while" in text
    for exchange in ("all-reduce", "all-gather", "all-to-all", "collective", "send(", "recv("):
        assert exchange not in text


def test_what_is_the_same_array_is_laid_once():
    stream = held()
    assert stream._carry[1].centres.origin is stream._given[1].means
    assert stream._carry[1].centres.offset is stream._carry[1].twin.offset


def test_runs_that_ended_keep_what_they_had(monkeypatch):
    monkeypatch.setattr(scan, "WORTH_CUTTING", -1.0)
    monkeypatch.setattr(scan, "LEAST_WIDTH", 32)
    stream = held(300)
    stream.advance(20)
    found = [stream.state().centres.offset]
    for live, width in ((100, 128), (30, 64)):
        stream.advance(20, live=live)
        assert stream._width == width
        found.append(stream.state().centres.offset)
        assert found[-1].shape == (3, 4, 300)
        assert_array_equal(found[-1][..., width:], found[-2][..., width:])
        assert (found[-1][..., :live] != found[-2][..., :live]).any(axis=(0, 1)).all()


def test_loops_of_known_length_are_written_out_to_the_same_numbers():
    def step(x, y):
        def body(i, carry):
            return carry[0] + x[i] * carry[1], jax.jit(jnp.tanh)(carry[1])

        total, y = jax.lax.fori_loop(0, 3, body, (jnp.zeros_like(y), y))
        return total, jax.lax.scan(lambda c, row: (c + row, c * row), y, x, reverse=True)

    x, y = jnp.arange(6.0).reshape(3, 2), jnp.array([0.3, 0.7])
    for a, b in zip(jax.tree.leaves(scan.written_out(step)(x, y)), jax.tree.leaves(step(x, y)), strict=True):
        assert_allclose(a, b, rtol=1e-6)
    assert "scan" in str(jax.make_jaxpr(step)(x, y))
    assert "scan" not in str(jax.make_jaxpr(scan.written_out(step))(x, y))


def test_a_tile_keeps_its_state_within_the_bytes_given():
    widths = {(2, 2): 128, (5, 4): 128, (5, 5): 64, (5, 10): 32, (20, 100): 32}
    assert {shape: scan.tile_width(*shape) for shape in widths} == widths


def test_widths_are_few():
    assert [scan.ladder(runs, 2) for runs in (1, 128, 129, 300, 1000)] == [128, 128, 256, 512, 1024]


@pytest.mark.parametrize("devices", [[], "cpu", [3]])
def test_devices_are_jaxs(devices):
    words, mix = setup()
    with pytest.raises(ValueError, match="devices is .*, expected a list of some of jax.devices"):
        scan.draw(words, mix, 3, devices=devices)


def test_what_a_gpu_would_be_given_draws_the_same_bits_and_moves_the_centres_alike():
    """On a CPU: everything written out, whole blocks, then the rest."""
    batch = jgmm.batch(KEY, range(RUNS), mixture.simplex(3, 5, separation=3.0, weights=[0.2, 0.3, 0.5]))
    found = ready(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=0.05, twin=True)
    params = jax.tree.map(jnp.asarray, found.params)
    step = lambda s, x: found.kernel.step(s, x, params)  # noqa: E731
    words, state, mixed = jax.tree.map(jnp.asarray, (batch.words, found.state, batch.mixture))
    (words, state), (others, expected) = (
        jax.jit(lambda w, s, fold=fold: fold(step, w, s, mixed, jnp.int32(75), block=16))(words, state)
        for fold in (scan.fold_together, scan.fold_one_by_one)
    )
    for a, b in zip(words, others, strict=True):
        assert_array_equal(a, b)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=2e-6)  # some hundred float32 roundings
