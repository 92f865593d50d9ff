"""Lengths of Gaussian vectors: their law, and what of it is decided without a logarithm."""

import decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from jgmm import lanes, radius, threefry

RUNS = 20_000
KEYS = threefry.fold_in(np.array([[3], [4]], np.uint32), np.arange(RUNS, dtype=np.uint32))


def refusal(z, degrees):
    """H, in 50 digits."""
    with decimal.localcontext(prec=50):
        b = decimal.Decimal(degrees) / 2 - decimal.Decimal(1) / 3
        y = decimal.Decimal(float(z)) / (9 * b).sqrt()
        return float(3 * b * (y - y**2 / 2 + y**3 / 3 - (1 + y).ln()))


@pytest.mark.parametrize("degrees", [3, 20, 1000, 10**9])
def test_the_series_is_what_marsaglia_and_tsang_compare_with(degrees):
    of = radius.numbers(np.array(float(degrees)))
    z = np.linspace(-1, 1, 21) * radius.NEAR / of.slope
    z = z[(np.abs(z) < 7) & (z != 0)]
    assert_allclose(radius.series(z, of), [refusal(x, degrees) for x in z], rtol=1e-7)


@pytest.mark.parametrize("degrees", [3, 4, 20, 1000, 10**6])
def test_what_is_accepted_without_a_logarithm_would_be_with_it(degrees):
    of = radius.numbers(np.array(float(degrees)))
    for z in np.linspace(-6.5, 6.5, 53):
        y = of.slope * z
        threshold = refusal(z, degrees) if y > -1 else np.inf
        for u in (1e-9, 1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 1.0):
            if radius.plain(z, u, of):
                assert u == 1 or -np.log1p(-u) > threshold


@pytest.mark.parametrize("degrees", [3, 4, 20, 1000, 10**6])
def test_lengths_of_starts_are_on_their_law(degrees):
    found = radius.drawn(KEYS, np.full((1, RUNS), float(degrees)))[0]
    assert stats.kstest(found, stats.chi(degrees).cdf).pvalue > 1e-4


@pytest.mark.parametrize("degrees", [3, 4, 20, 1000, 10**6])
def test_so_are_those_of_a_stream(degrees):
    words, z, of = proposals(degrees)
    _, found = jax.jit(radius.draw)(words, z, of)
    assert stats.kstest(np.asarray(found, float), stats.chi(degrees).cdf).pvalue > 1e-4


def naive(z, u, degrees, more):
    """Of each run the first proposal that is accepted, with H as it is written; more(): the next proposals and u."""
    b = degrees / 2 - 1 / 3
    kept, done = np.full(z.shape, np.nan), np.zeros(z.shape, bool)
    while not done.all():
        y = np.asarray(z, float) / np.sqrt(9 * b)
        with np.errstate(invalid="ignore", divide="ignore"):
            refused = np.where(y > -1, 3 * b * (y - y**2 / 2 + y**3 / 3 - np.log1p(y)), np.inf)
        accepted = -np.log1p(-u) > refused
        kept = np.where(accepted & ~done, z, kept)
        done |= accepted
        z, u = more()
    return np.sqrt(2 * b) * (1 + kept / np.sqrt(9 * b)) ** 1.5


def naive_words(words):
    """The next proposals of lanes, and their uniform numbers, again and again."""

    def more():
        nonlocal words
        words, first = lanes.next_bits(words)
        words, second = lanes.next_bits(words)
        words, bits = lanes.next_bits(words)
        return lanes.normal_pair(first, second)[0], lanes.label_word(bits) * 2.0**-31 + 2.0**-32

    return more


@pytest.mark.parametrize("degrees", [3, 4, 20])
def test_a_run_of_a_stream_keeps_the_proposal_that_is_accepted_and_no_other(degrees):
    words, z, of = proposals(degrees)
    words = lanes.LaneState(*map(np.asarray, words))
    after, bits = lanes.next_bits(words)
    u = lanes.label_word(bits) * 2.0**-31 + 2.0**-32
    expected = naive(np.asarray(z)[None], u, degrees, naive_words(after))[0]
    found = np.asarray(jax.jit(radius.draw)(words, z, of)[1], float)
    assert np.mean(~np.isclose(found, expected, rtol=1e-5)) < 2e-4  # float32 decides otherwise of few
    assert np.mean(~np.asarray(radius.plain(z, u[0].astype(np.float32), of))) > 2e-3  # those that need the logarithm


@pytest.mark.parametrize("degrees", [3, 4, 20])
def test_so_does_a_run_of_starts(degrees):
    more = naive_words(lanes.LaneState(*threefry.bits(KEYS, 4).reshape(4, 1, -1)))
    expected = naive(*more(), degrees, more)
    assert_allclose(radius.drawn(KEYS, np.full((1, RUNS), float(degrees))), expected, rtol=1e-12)


def test_the_law_of_one_degree_more_is_told_apart_from_it():
    words, z, of = proposals(20)
    _, found = radius.draw(words, z, of)
    assert stats.kstest(np.asarray(found, float), stats.chi(21).cdf).pvalue < 1e-9


def test_a_run_waits_for_others_and_draws_as_if_it_were_alone():
    words, z, of = proposals(3)
    many_words, many = radius.draw(words, z, of)
    refused = np.flatnonzero(~np.asarray(radius.plain(z, 1e-3, of)))[:5]
    for run in (0, *refused):
        one = slice(run, run + 1)
        own_words, own = radius.draw(
            lanes.LaneState(*(w[:, one] for w in words)), z[one], radius.Numbers(*(x[one] for x in of))
        )
        assert own[0] == many[run]
        assert [w[0, 0] for w in own_words] == [w[0, run] for w in many_words]


def test_few_degrees_of_freedom_are_refused():
    with pytest.raises(ValueError, match="degrees of freedom are 2, expected at least 3"):
        radius.numbers(np.array([5, 2]))


def proposals(degrees):
    """Words, first proposals and numbers of RUNS runs, float32."""
    words = lanes.LaneState(*threefry.bits(KEYS, 12).reshape(4, 3, RUNS))
    words, bits = lanes.next_bits(words)
    z = lanes.normal_pair(bits[:1], bits[1:2])[0][0]
    of = radius.numbers(np.full(RUNS, float(degrees)))
    own = lanes.LaneState(*(jnp.asarray(w[2:]) for w in words))
    return own, z, radius.Numbers(*(x.astype(np.float32) for x in of))
