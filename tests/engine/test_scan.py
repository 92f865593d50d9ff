"""The reference back end: it is a plain loop, samples have their law, devices exchange nothing."""

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


def walk(state, sample, params):
    """A step whose order shows: a leaky sum of samples and labels."""
    del params
    return 0.5 * state + sample.x + sample.label[None].astype(jnp.float32)


def by_hand(words, mix, n):
    """The lanes behind the next n samples, and those samples (d, n, runs) with their labels (n, runs)."""
    d, half, steps = mix.means.shape[1], (mix.means.shape[1] + 1) // 2, lanes.thresholds(np.asarray(mix.weights))
    means, scales, runs = np.asarray(mix.means), np.asarray(mix.scales), np.arange(mix.means.shape[-1])
    x, labels = [], []
    for _ in range(n):
        words, bits = lanes.next_bits(words)
        bits = np.asarray(bits)
        label = (lanes.label_word(bits[0]) > steps).sum(axis=0)
        noise = np.concatenate(lanes.normal_pair(bits[1 : 1 + half], bits[1 + half :]))[:d]
        x.append(means[label, :, runs].T + scales[label, runs] * noise)
        labels.append(label)
    return words, np.stack(x, axis=1), np.stack(labels)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("calls", [(1,), (17,), (3, 0, 14)])
def test_a_stream_is_the_plain_loop(calls, d):
    words, mix = setup(d)
    stream = scan.open(Kernel(walk), words, np.zeros((d, RUNS), "f"), {}, mix)
    for count in calls:
        stream.advance(count)
    after, x, labels = by_hand(jax.tree.map(np.asarray, words), mix, sum(calls))
    expected = np.zeros((d, RUNS))
    for t in range(sum(calls)):
        expected = 0.5 * expected + x[:, t] + labels[t]
    assert_allclose(stream.state(), expected, rtol=1e-6, atol=1e-6)
    again, drawn = scan.draw(words, mix, sum(calls))
    assert_allclose(drawn, x, rtol=1e-6, atol=1e-6)
    for a, b, c in zip(stream.words(), again, after, strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, c)


def test_samples_have_their_labels_mean_and_scale():
    words, mix = setup(d=2)
    _, x, label = by_hand(jax.tree.map(np.asarray, words), mix, 4000)
    assert_allclose(scan.draw(words, mix, 4000)[1], x, rtol=1e-6, atol=1e-6)
    for i, (weight, scale) in enumerate(((0.3, 1.0), (0.7, 2.0))):
        chosen = label == i
        n = chosen.sum()
        assert abs(chosen.mean() - weight) < 4 * np.sqrt(0.21 / chosen.size)
        for j in range(2):
            values = x[j][chosen]
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


def held(runs=40):
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=3.0))
    found = ready(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=0.1, twin=True)
    return scan.open(found.kernel, batch.words, found.state, found.params, batch.mixture)


def test_the_compiled_stream_exchanges_nothing_between_devices():
    stream = held()
    assert stream.mesh.size == 2
    counts = np.int32(1), np.int32(5)
    lowered = scan.advanced.lower(stream.carry, stream.given, *counts, kernel=stream.kernel, mesh=stream.mesh)
    text = lowered.compile().as_text()
    assert "while" in text
    for exchange in ("all-reduce", "all-gather", "all-to-all", "collective", "send(", "recv("):
        assert exchange not in text


def test_what_is_the_same_array_is_laid_once():
    stream = held()
    assert stream.carry[1].centres.origin is stream.given[1].means
    assert stream.carry[1].centres.offset is stream.carry[1].twin.offset


def test_widths_are_few():
    assert [scan.ladder(runs, 2) for runs in (1, 128, 129, 300, 1000)] == [128, 128, 256, 512, 1024]


@pytest.mark.parametrize("devices", [[], "cpu", [3]])
def test_devices_are_jaxs(devices):
    words, mix = setup()
    with pytest.raises(ValueError, match="devices is .*, expected a list of some of jax.devices"):
        scan.draw(words, mix, 3, devices=devices)
