"""What a kernel's `pair` makes of random bits is what samples hold, on every back end."""

import back_ends
import jax
import jax.numpy as jnp
import numpy as np
import numpy_list
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import elementary, lanes
from jgmm.contract import Kernel, Refused
from jgmm.engine import cpu, gpu, scan
from jgmm.mixture import Mixture

ROOT_12 = np.float32(np.sqrt(12))


def uniform_pair(a, b):
    """Uniform numbers of mean 0 and variance 1."""
    return ROOT_12 * (lanes.uniform(a) - np.float32(0.5)), ROOT_12 * (lanes.uniform(b) - np.float32(0.5))


def laplace_pair(a, b):
    """Laplace's law of variance 1: a logarithm, a sign, and roots of numbers that are far from 1."""
    size = [-elementary.log(jnp.maximum(lanes.uniform(x), np.float32(2**-25))) for x in (a, b)]
    far = [jnp.sqrt(s * s * np.float32(2**-90)) * np.float32(2**45 * np.sqrt(0.5)) for s in size]
    return tuple(jnp.where(x & 1 == 0, z, -z) for x, z in zip((a, b), far, strict=True))


def gather(state, sample, params):
    """The sum of the samples, and of their squares."""
    del params
    return state[0] + sample.x[None], state[1] + (sample.x * sample.x)[None]


def given(d, k, runs, pair):
    rng = np.random.default_rng(3)
    means = rng.normal(size=(k, d, runs)).astype(np.float32)
    parts = rng.integers(1, 4, size=(k, runs))
    scales = rng.uniform(0.5, 2.0, size=(k, runs)).astype(np.float32)
    mixed = Mixture(means, (parts / parts.sum(axis=0)).astype(np.float32), scales)
    words = lanes.seed(jax.random.key(5), np.arange(runs), d=d)
    return Kernel(gather, pair=pair), words, (np.zeros((1, d, runs), np.float32),) * 2, {}, mixed


def by_hand(words, mixed, n):
    """The next n samples with uniform noise, (d, n, runs): multiply-adds rounded once."""
    d, runs = mixed.means.shape[1:]
    half, every = (d + 1) // 2, np.arange(runs)
    found = []
    for _ in range(n):
        words, bits = lanes.next_bits(words)
        label = (lanes.label_word(bits[0]) > lanes.thresholds(mixed.weights)).sum(axis=0)
        noise = np.concatenate(uniform_pair(bits[1 : 1 + half], bits[1 + half :]))[:d]
        scale = np.broadcast_to(mixed.scales[label, every], noise.shape)
        found.append(numpy_list.fma(scale, noise, mixed.means[label, :, every].T))
    return words, np.stack(found, axis=1)


@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 2), (4, 3), (40, 2)])
def test_samples_are_the_mean_and_the_scale_times_what_the_pair_gives(d, k):
    _, words, _, _, mixed = given(d, k, 21, uniform_pair)
    after, expected = by_hand(words, mixed, 5)
    left, x = cpu.draw(words, mixed, 5, pair=uniform_pair)
    assert_array_equal(x, expected)
    left_by_scan, other = scan.draw(words, mixed, 5, pair=uniform_pair)
    assert_allclose(other, expected, rtol=1e-6, atol=1e-6)
    for a, b, c in zip(left, left_by_scan, after, strict=True):
        assert_array_equal(a, c)
        assert_array_equal(b, c)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("pair", [uniform_pair, laplace_pair])
def test_every_back_end_streams_the_same(pair, d):
    problem = given(d, 2, 9, pair)
    streams = [open_stream(*problem) for open_stream in back_ends.OPENS]
    back_ends.assert_alike(streams)
    drawn = [stream.draw(3) for stream in streams[:3]]
    assert_array_equal(drawn[0], drawn[1])
    assert_array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(("pair", "fourth"), [(uniform_pair, 1.8), (laplace_pair, 6.0), (lanes.normal_pair, 3.0)])
def test_the_moments_of_many_draws_are_those_of_the_law(pair, fourth):
    runs, n = 64, 20_000
    still = Mixture(np.zeros((1, 2, runs), "f"), np.ones((1, runs), "f"), np.ones((1, runs), "f"))
    words = lanes.seed(jax.random.key(6), np.arange(runs), d=2)
    z = cpu.draw(words, still, n, pair=pair)[1].reshape(2, -1).astype(float)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, fourth)):
        error = (z**power).std() / np.sqrt(z.size)
        assert abs((z**power).mean() - moment) < 4 * error
    assert abs((z[0] * z[1]).mean()) < 4 / np.sqrt(z.shape[1])


@pytest.mark.parametrize("give", [lambda u, v: u, lambda u, v: (u, v[0])])
def test_a_pair_that_gives_something_else_is_refused(give):
    problem = given(2, 2, 4, lambda a, b: give(lanes.uniform(a), lanes.uniform(b)))
    with pytest.raises(Refused, match="the pair gives"):
        cpu.open(*problem)


def sines(a, b):
    return jnp.sin(lanes.uniform(a)), lanes.uniform(b)


def of_another_run(a, b):
    return lanes.uniform(a)[..., ::-1], lanes.uniform(b)


@pytest.mark.parametrize(
    ("pair", "message"),
    [(sines, "the operation sin has no rule"), (of_another_run, "rev moves numbers from one run to another")],
)
def test_a_pair_that_cannot_be_followed_is_refused_with_the_reason(pair, message):
    problem = given(2, 2, 4, pair)
    for open_stream in (cpu.open, gpu.open):
        with pytest.raises(Refused, match=message):
            open_stream(*problem)
