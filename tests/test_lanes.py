"""xoshiro128++, uniforms, labels and normals."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jgmm
from jgmm import lanes, mixture
from jgmm.contract import Kernel
from jgmm.engine import scan
from jgmm.engine.runs import run_keys
from jgmm.start import offset_start, seed

# The first outputs for the state 1, 2, 3, 4, as the reference C code of Blackman and Vigna prints them.
PUBLISHED = [641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732, 1355841295, 495546011, 621204420]


def reference(state, count):
    """The published algorithm in whole numbers."""
    mask, out = 2**32 - 1, []
    s = list(state)

    def rotate(x, by):
        return ((x << by) | (x >> (32 - by))) & mask

    for _ in range(count):
        out.append((rotate((s[0] + s[3]) & mask, 7) + s[0]) & mask)
        t = (s[1] << 9) & mask
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 11)
    return out


def words(state, count):
    state = lanes.LaneState(*(jnp.full((1,), s, jnp.uint32) for s in state))
    out = []
    for _ in range(count):
        state, bits = lanes.next_bits(state)
        out.append(int(bits[0]))
    return out


def test_the_generator_gives_the_published_sequence():
    assert words((1, 2, 3, 4), 10) == PUBLISHED == reference((1, 2, 3, 4), 10)


def test_the_generator_follows_the_reference_from_a_full_state():
    state = (0x9E3779B9, 0xDEADBEEF, 0xFFFFFFFF, 0x80000001)
    assert words(state, 50) == reference(state, 50)


def test_a_runs_lanes_do_not_depend_on_the_runs_beside_it():
    key = jax.random.key(3)
    many = lanes.seed(key, jnp.arange(20), d=4)
    alone = lanes.seed(key, jnp.array([7, 13]), d=4)
    for a, b in zip(many, alone, strict=True):
        assert_array_equal(a[:, [7, 13]], b)
    assert len(np.unique(np.asarray(many.s0))) == many.s0.size


def test_lanes_are_the_words_of_the_runs_keys():
    key, ids = jax.random.key(3), np.array([[0, 5], [2**32 - 1, 7]], np.uint32)
    found = np.stack(lanes.seed(key, ids, d=4))
    assert found.shape == (4, 5, 2, 2)
    for place, run in np.ndenumerate(ids):
        assert_array_equal(
            found[(..., *place)], jax.random.bits(jax.random.fold_in(key, jnp.uint32(run)), (4, 5), jnp.uint32)
        )


def test_keys_of_another_generator_are_refused():
    mixed = mixture.symmetric(2, separation=3.0)
    runs = jgmm.batch(jax.random.key(0), range(2), mixed)
    sizes = {"n": 100, "block": 20, "graph_points": 20, "neighbors": 3}
    key = jax.random.key(0, impl="rbg")
    for call in (
        lambda: jgmm.batch(key, range(2), mixed),
        lambda: run_keys(key, range(2)),
        lambda: offset_start(key, runs, 0.5),
        lambda: seed(key, runs, **sizes),
        lambda: mixture.box(key[None], 2, 2, side=9.0),
        lambda: mixture.symmetric_box(key[None], 2, side=9.0),
    ):
        with pytest.raises(ValueError, match=r"keys? is of key<rbg>, expected .* of threefry"):
            call()


@pytest.mark.parametrize(("d", "expected"), [(1, 3), (2, 3), (3, 5), (10, 11)])
def test_lanes_of_a_sample(d, expected):
    assert lanes.num_lanes(d) == expected


def box_muller(a, b):
    """The exact function of the bits, in float64 (the sign convention is a quadrant's)."""
    u = ((a >> 1) | 1).astype(np.float32).astype(float) / 2.0**31  # float32 keeps 24 of the 31 bits
    radius = np.sqrt(-2 * np.log(u))
    turn = (((b << 2) & 0xFFFFFFFF).astype(np.uint32).view(np.int32).astype(float) * 2.0**-32 + 2.0**-33) * np.pi / 2
    quadrant = (b >> 30).astype(int)
    # quadrants 0, 1, 2, 3 in the order of the two top bits; each a quarter turn on
    return radius, turn, quadrant


def test_normals_are_the_exact_function_of_the_bits_to_single_precision():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**32, (2, 200_000), dtype=np.uint32)
    first, second = (np.asarray(z, float) for z in lanes.normal_pair(jnp.asarray(a), jnp.asarray(b)))
    radius, turn, quadrant = box_muller(a, b)
    assert_allclose(np.hypot(first, second), radius, rtol=3e-7)  # float32's unit, a few times
    along, across = np.cos(turn) * radius, np.sin(turn) * radius
    odd = quadrant % 2 == 1
    assert_allclose(np.abs(first), np.abs(np.where(odd, across, along)), rtol=5e-7, atol=1e-9)
    assert_allclose(np.abs(second), np.abs(np.where(odd, along, across)), rtol=5e-7, atol=1e-9)


def test_numpys_normals_are_those_of_the_stream_to_rounding():
    a, b = np.random.default_rng(4).integers(0, 2**32, (2, 3, 100_000), dtype=np.uint32)
    for mine, streams in zip(lanes.normal_pair(a, b), jax.jit(lanes.normal_pair)(a, b), strict=True):
        assert isinstance(mine, np.ndarray)
        assert mine.dtype == np.float32
        # The polynomials' last roundings, a few units in all; an absolute one where a sine is near its zero.
        assert_allclose(mine, streams, rtol=5e-7, atol=1e-12)


def test_numpys_normals_fuse_nothing():
    """Each operation rounded by itself, as whole numbers and float64 show it for a few words."""

    def rounded(x):
        return float(np.float32(x))  # of a product or sum in float64: exact enough not to be rounded twice

    def horner(x, terms):
        value = rounded(rounded(float(terms[0]) * x) + float(terms[1]))
        for term in terms[2:]:
            value = rounded(rounded(value * x) + float(term))
        return value

    for a, b in np.random.default_rng(5).integers(0, 2**32, (200, 2), dtype=np.uint32):
        word = np.float32((int(a) >> 1) | 1).view(np.int32) - 0x3F3504F3
        m = rounded(float(((word & 0x7FFFFF) + np.int32(0x3F3504F3)).view(np.float32)) - 1)
        octaves = rounded(float((word >> 23) - 31) * float(lanes.OCTAVE))
        radius = rounded(np.sqrt(max(rounded(rounded(m * horner(m, lanes.LOG)) + octaves), 0.0)))
        turn = np.float32(np.array((int(b) << 2) % 2**32, np.uint32).view(np.int32))
        t = rounded(rounded(float(turn) * 2.0**-32) + 2.0**-33)
        y = rounded(t * t)
        sine, cosine = rounded(t * horner(y, lanes.SINE)), horner(y, lanes.COSINE)
        along, across = ((cosine, sine), (-sine, cosine), (-cosine, -sine), (sine, -cosine))[int(b) >> 30]
        pair = lanes.normal_pair(np.array([a]), np.array([b]))
        assert [float(z[0]) for z in pair] == [rounded(radius * along), rounded(radius * across)]


def test_every_machine_has_these_normals_and_thresholds():
    words = np.arange(2**16, dtype=np.uint32) * np.uint32(0x9E3779B9)
    pair = b"".join(z.tobytes() for z in lanes.normal_pair(words, words[::-1]))
    assert hashlib.sha256(pair).hexdigest()[:12] == "3c9d86d5e68d"
    shares = (words % np.uint32(1000))[:7000].reshape(7, 1000).astype(float)
    weights = (shares / shares.sum(axis=0)).astype(np.float32)  # sums of whole numbers
    assert hashlib.sha256(lanes.thresholds(weights).tobytes()).hexdigest()[:12] == "5ca2522e39c5"


def test_extreme_bits_give_finite_normals_and_a_tail_beyond_six():
    a = jnp.array([0, 1, 2**31, 2**32 - 1, 2**32 - 2], jnp.uint32)
    for b in (0, 2**30, 2**31, 2**32 - 1):
        pair = lanes.normal_pair(a, jnp.full(5, b, jnp.uint32))
        assert np.isfinite(pair).all()
        assert_allclose(np.hypot(*pair)[0], np.sqrt(2 * np.log(2**31)), rtol=1e-6)


def test_the_four_quadrants_cover_the_circle():
    b = jnp.arange(4, dtype=jnp.uint32) << 30
    first, second = lanes.normal_pair(jnp.full(4, 2**30, jnp.uint32), b)
    angles = np.sort(np.degrees(np.arctan2(np.asarray(second), np.asarray(first))) % 360)
    assert_allclose(np.diff(angles), 90, atol=1e-3)


def test_normals_have_the_normal_law():
    bits = jax.random.bits(jax.random.key(5), (2, 4_000_000), jnp.uint32)
    z = np.concatenate(lanes.normal_pair(bits[0], bits[1])).astype(float)
    n = len(z)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96), (6, 15, 10170)):
        assert abs((z**power).mean() - moment) < 4 * np.sqrt(variance / n)
    for limit in (2.0, 4.0, 4.5):
        chance = 2 * stats.norm.sf(limit)
        assert abs((np.abs(z) > limit).mean() - chance) < 4 * np.sqrt(chance / n)
    first, second = z[: n // 2], z[n // 2 :]
    assert abs((first * second).mean()) < 4 / np.sqrt(n / 2)
    assert abs((first**2 * second**2).mean() - 1) < 4 * np.sqrt(8 / (n / 2))


def test_thresholds_by_hand():
    steps = lanes.thresholds(jnp.array([0.25, 0.0, 0.5, 0.25, 0.0]))
    assert_array_equal(steps, np.array([2**29, 2**29, 3 * 2**29, 2**31]) - 1)


# Rounded to float32, all of these add up to more than 1 before their last: cumulated weights must not pass 2^31.
OVERFULL = [(0.6, 0.4, 0), (1 / 3, 2 / 3, 0), (0.2, 0.3, 0.5, 0), (1 / 3, 2 / 3 - 1e-9, 1e-9)]


def extreme_weights(k, count):
    """Even weights and such as span 12 decades, some without some components, in any order: (count, k)."""
    rng = np.random.default_rng(k)
    weights = 10.0 ** (rng.uniform(-12, 0, (count, k)) * rng.integers(0, 2, (count, 1)))
    weights[rng.random((count, k)) < 0.3 * rng.integers(0, 3, (count, 1))] = 0
    weights[np.arange(count), rng.integers(k, size=count)] = rng.random(count) + 0.1
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_are_whole_units_off_by_what_is_stated(dtype):
    for k in (1, 2, 3, 4, 24):
        given = [w for w in (*OVERFULL, [0.0, 1.0], [1.0, 0.0]) if len(w) == k]
        weights = np.array([*given, *extreme_weights(k, 500)], dtype)
        with jax.enable_x64(dtype == np.float64):
            steps = np.asarray(jax.jit(lanes.thresholds)(jnp.asarray(weights.T)))
            mine = lanes.thresholds(weights.T)
            alone = lanes.thresholds(weights[0])
        assert (type(mine), mine.dtype) == (np.ndarray, np.int32)
        assert_array_equal(mine, steps)
        assert_array_equal(alone, steps[:, 0])
        assert steps.dtype == np.int32
        ends = np.zeros((len(weights), 1), np.int64)
        units = np.diff(np.concatenate([ends, steps.T.astype(np.int64) + 1, ends + 2**31], axis=1), axis=1)
        assert (units >= 0).all()
        assert not units[weights == 0].any()
        exact = weights.astype(float) * 2.0**31
        off, largest = abs(units - exact), weights.argmax(axis=1)[:, None]
        lacking = abs(2.0**31 - exact.sum(axis=1))
        assert (np.take_along_axis(off, largest, 1)[:, 0] <= (k - 1) / 2 + lacking + 1e-5).all()
        np.put_along_axis(off, largest, 0, 1)
        assert (off <= 0.5).all()


LABELS = [*OVERFULL[:3], (0.98, 0.02), (0.0, 0.5, 0.0, 0.5, 0.0), (1e-5, 0.99999), (1 / 3, 2 / 3 - 1e-5, 1e-5)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_of_a_stream_have_the_frequencies_of_extreme_weights(dtype):
    n, runs, k = 10_000, 16 * len(LABELS), 5
    with jax.enable_x64(dtype == np.float64):
        weights = np.zeros((k, runs))
        for i, given in enumerate(LABELS):  # filled up with zeros: components that must never come
            weights[: len(given), i * 16 : (i + 1) * 16] = np.array(given)[:, None]
        given = (np.zeros((k, 1, runs)), weights, np.ones_like(weights))
        mixed = mixture.Mixture(*(x.astype(dtype) for x in given))
        words = lanes.seed(jax.random.key(11), np.arange(runs, dtype=np.uint32), d=1)

        def count(seen, sample, params):
            index = jnp.arange(k, dtype=jnp.int32)[:, None]
            return seen + (sample.label[None] == index).astype(jnp.int32)

        stream = scan.open(Kernel(count), words, np.zeros((k, runs), np.int32), {}, mixed)
        stream.advance(n)
        seen = stream.state().reshape(k, len(LABELS), 16).sum(axis=-1).T
    for given, counts in zip(LABELS, seen, strict=True):
        chances = np.array([*given, *[0.0] * (k - len(given))])
        assert counts.sum() == 16 * n
        assert not counts[chances == 0].any()
        expected = chances * counts.sum()
        # Of 20 counts none is beyond 4 standard errors, and one more where Poisson's tail is longer than a normal's.
        assert (abs(counts - expected) <= 4 * np.sqrt(expected * (1 - chances)) + 1).all()


def test_a_component_without_weight_is_never_chosen_at_either_end():
    bits = jnp.array([0, 1, 2**31, 2**32 - 1], jnp.uint32)[:, None]
    for weights, expected in (([0.0, 1.0, 0.0], 1), ([1.0, 0.0, 0.0], 0), ([0.0, 0.0, 1.0], 2)):
        steps = lanes.thresholds(jnp.array(weights, jnp.float32)[:, None])
        index = jnp.arange(3, dtype=jnp.int32)[:, None]
        assert_array_equal(lanes.choose(lanes.label_word(bits), steps, index), np.full((4, 1), expected))


def test_choose_agrees_with_indexing():
    rng = np.random.default_rng(1)
    weights = np.array([[0.1, 0.25, 0.65], [0.4, 0.3, 0.3]]).T.astype(np.float32)
    bits = rng.integers(0, 2**32, (1000, 2), dtype=np.uint32)
    options = rng.normal(size=(3, 2)).astype(np.float32)
    steps = lanes.thresholds(jnp.asarray(weights))
    label = (bits[:, None] / 2**32 >= np.cumsum(weights, axis=0)[None, :-1]).sum(axis=1)
    chosen = lanes.choose(lanes.label_word(jnp.asarray(bits)), steps, jnp.asarray(options))
    expected = np.stack([options[label[:, r], r] for r in range(2)], axis=-1)
    assert_array_equal(chosen, expected)


def test_uniforms_fill_the_unit_interval_without_its_end():
    values = lanes.uniform(jnp.array([0, 255, 256, 2**32 - 1], jnp.uint32))
    assert_array_equal(values, np.array([0, 0, 2**-24, 1 - 2**-24], np.float32))
