"""Noise families: by hand, their moments and distributions, tails, and that coordinates are independent."""

import back_ends
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jgmm
from jgmm import lanes, mixture, noise
from jgmm.contract import Kernel
from jgmm.engine import cpu, scan
from jgmm.sampling import Source
from jgmm.start import offset_start

CONTAMINATED = {"share": 0.1, "factor": 4.0}
# A noise, its numbers, its law of variance 1, and its fourth moment (None: infinite, or of an infinite variance).
LAWS = [
    ("gaussian", {}, stats.norm(), 3.0),
    ("uniform", {}, stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)), 1.8),
    ("laplace", {}, stats.laplace(scale=np.sqrt(0.5)), 6.0),
    ("student", {"df": 2.5}, stats.t(2.5, scale=np.sqrt(0.5 / 2.5)), None),
    ("student", {"df": 5.0}, stats.t(5, scale=np.sqrt(3 / 5)), None),
    ("student", {"df": 12.0}, stats.t(12, scale=np.sqrt(10 / 12)), 3.75),
    ("contaminated", CONTAMINATED, None, 3 * (0.9 + 0.1 * 4**4) / (0.9 + 0.1 * 4**2) ** 2),
]


def source(d, runs, numbers):
    """One component about 0 of scale 1, and the numbers of a noise."""
    return Source(np.zeros((1, d, runs), "f"), np.ones((1, runs), "f"), np.ones((1, runs), "f"), numbers)


def draws(name, numbers, *, count, runs=64, d=2):
    """Draws of a noise, (d, runs * count), float64."""
    family = noise.of(name, numbers)
    words = lanes.seed(jax.random.key(11), np.arange(runs), d=d)
    given = source(d, runs, noise.told(family, runs))
    x = cpu.draw(words, given, count, pair=family.pair, draws=family.draws)[1]
    return x.reshape(d, -1).astype(float)


def contaminated_cdf(x):
    narrow = 1 / np.sqrt(0.9 + 0.1 * 16)
    return 0.9 * stats.norm.cdf(x / narrow) + 0.1 * stats.norm.cdf(x / (4 * narrow))


# --- by hand ---


def test_laplace_noise_is_a_logarithm_with_the_last_bit_as_its_sign():
    words = np.array([2**31, 2**31 + 1, 2**30, 2], np.uint32)
    u = ((words >> 1) | 1).astype(float) / 2**31
    expected = -np.log(u) / np.sqrt(2) * np.array([1, -1, 1, 1])
    assert_allclose(noise.laplace_pair(words, words[::-1])[0], expected, rtol=1e-6)


def test_student_noise_is_baileys_formula():
    a, b = (np.array(x, np.uint32) for x in ([2**31, 7, 2**32 - 2**26], [2**30, 2**31 + 2**30, 12345]))
    df = 3.5
    words = (jnp.asarray(x) for x in (a, a[::-1], b, b))
    first, second = noise.student_pair(*words, jnp.float32(1 / df), jnp.float32(df - 2))
    u, s = ((a >> 1) | 1).astype(float) / 2**31, (b.astype(np.int32) + 0.5) / 2**31
    t = np.sqrt(df * (u ** (-2 / df) - 1)) * np.sin(np.pi * s / 2)
    assert_allclose(first, t / np.sqrt(df / (df - 2)), rtol=2e-6)
    assert_allclose(
        second / np.sin(np.pi * s / 2), (t / np.sqrt(df / (df - 2)) / np.sin(np.pi * s / 2))[::-1], rtol=2e-6
    )


def test_the_tails_reach_what_the_docstring_says():
    most = jnp.zeros(1, jnp.uint32)  # the smallest u; and the widest angle, of the largest positive word
    assert abs(float(noise.laplace_pair(most, most)[0][0])) == pytest.approx(15.2, abs=0.05)
    for df, reached in ((3, 1291), (5, 127.3)):
        widest = most + jnp.uint32(2**31 - 1)
        z = float(noise.student_pair(most, most, widest, most, jnp.float32(1 / df), jnp.float32(df - 2))[0][0])
        assert z == pytest.approx(reached, rel=1e-3)
        assert 5e-11 < 2 * stats.t.sf(reached * np.sqrt(df / (df - 2)), df) < 2e-9


def test_contaminated_noise_is_wide_where_the_second_word_is_below_the_share():
    words = np.array([3, 2**29, 2**31 + 9], np.uint32)
    share, narrow, wide = noise.of_contaminated({"share": np.array(0.25), "factor": np.array(4.0)})
    assert_allclose([0.75 * narrow**2 + 0.25 * wide**2, wide / narrow], [1, 4], rtol=1e-12)
    more = np.array([2**30 - 2**8, 2**30 + 2**8, 0], np.uint32)
    told = (jnp.float32(x) for x in (share, narrow, wide))
    first, second = noise.contaminated_pair(*map(jnp.asarray, (words, words, more, more[::-1])), *told)
    plain, other = lanes.normal_pair(words, words)
    assert_allclose(first / plain, [wide, narrow, wide], rtol=1e-5)
    assert_allclose(second / other, [wide, narrow, wide], rtol=1e-5)


# --- laws ---


@pytest.mark.parametrize(("name", "numbers", "law", "fourth"), LAWS)
def test_the_moments_of_many_draws_are_those_of_the_law(name, numbers, law, fourth):
    z = draws(name, numbers, count=16_000)
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, fourth))[: 4 if fourth else 1 if numbers["df"] < 4 else 2]:
        error = (z**power).std() / np.sqrt(z.size)
        assert abs((z**power).mean() - moment) < 4 * error


@pytest.mark.parametrize(("name", "numbers", "law", "fourth"), LAWS)
def test_a_million_draws_are_distributed_as_the_law(name, numbers, law, fourth):
    z = draws(name, numbers, count=8_000).ravel()[:1_000_000]
    assert len(z) == 1_000_000
    assert stats.kstest(z, law.cdf if law else contaminated_cdf).pvalue > 1e-3


@pytest.mark.parametrize(("name", "numbers"), [each[:2] for each in LAWS])
def test_the_coordinates_of_a_sample_are_independent(name, numbers):
    z = draws(name, numbers, count=8_000, d=3)
    ranks = stats.norm.ppf((np.abs(z).argsort(axis=1).argsort(axis=1) + 0.5) / z.shape[1])  # of sizes
    for a, b in (
        (z[0] > 0, z[1] > 0),
        (z[0] > 0, z[2] > 0),
        (ranks[0], ranks[1]),
        (ranks[0], ranks[2]),
        (z[0] > 0, ranks[2]),
    ):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(z.shape[1])


def test_consecutive_draws_of_a_coordinate_are_independent():
    z = draws("student", {"df": 5.0}, count=8_000, runs=64, d=1).reshape(8_000, 64)
    size = np.sign(z) * np.minimum(np.abs(z), 4)
    for function in (np.asarray, np.abs):
        x = function(size)
        assert abs(np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1]) < 4 / np.sqrt(x.size)


# --- every back end, every run ---


def gather(state, sample, params):
    """The sum of the samples."""
    del params
    return state + sample.x[None]


@pytest.mark.parametrize(
    ("name", "d"),
    [
        ("laplace", 3),
        ("student", 3),
        ("contaminated", 3),
        *(pytest.param(name, 40, marks=pytest.mark.slow) for name in ("laplace", "student", "contaminated")),
    ],
)
def test_every_back_end_streams_the_same(name, d):
    family, runs = noise.of(name), 9
    words = lanes.seed(jax.random.key(5), np.arange(runs), d=d)
    kernel = Kernel(gather, pair=family.pair, draws=family.draws)
    problem = kernel, words, np.zeros((1, d, runs), np.float32), {}, source(d, runs, noise.told(family, runs))
    streams = [open_stream(*problem) for open_stream in back_ends.OPENS]
    back_ends.assert_alike(streams)
    drawn = [stream.draw(3) for stream in streams[:3]]
    assert_array_equal(drawn[0], drawn[1])
    assert_array_equal(drawn[0], drawn[2])
    left, x = scan.draw(streams[3].words(), problem[-1], 3, pair=family.pair, draws=family.draws)
    assert_allclose(x, drawn[0], rtol=2e-5, atol=2e-5)
    assert_array_equal(left.s0, streams[0].words().s0)


def test_runs_of_several_numbers_share_a_program_and_are_as_alone():
    df = np.array([2.5, 5.0, 5.0, 30.0])

    def record(ids, numbers):
        batch = jgmm.batch(jax.random.key(1), ids, mixture.simplex(2, 3, separation=4.0))
        start = offset_start(jax.random.key(2), batch, 0.5)
        family = noise.of("student", {"df": numbers})
        return jgmm.run(batch, "lloyd", start, steps=0.05, noise=family, checkpoints=[40]).error.error_sq[-1]

    together = record(range(4), df)
    assert_array_equal(together, [record([i], df[i])[0] for i in range(4)])
    assert together[1] != record([1], 5.5)[0]


# --- bad input ---


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("student", {"df": 2.0}, r"df is 2, expected numbers in \(2, 1e\+06\)"),
        ("contaminated", {"share": 1.5}, "share is 1.5"),
        ("contaminated", {"factor": 0.0}, "factor is 0"),
        ("outliers", {"share": -0.5}, "share is -0.5"),
        ("laplace", {"df": 3.0}, "df is no number of the noise's, expected none"),
        ("cauchy", {}, "noise is 'cauchy', expected one of gaussian"),
    ],
)
def test_a_noise_that_cannot_be_is_refused(name, numbers, message):
    with pytest.raises(ValueError, match=message):
        noise.told(noise.of(name, numbers), 3)
