"""A reduced dimension: the same law as in all dimensions, at a cost that does not depend on them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jgmm
from jgmm import errors, mixture, radius, steps
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD
from jgmm.algorithms.soft import SOFT
from jgmm.engine import reduction, together
from jgmm.engine.run import Segment, simulate
from jgmm.start import offset_start
from jgmm.theory import labelled

KEY = jax.random.key(5)
STARTS = jax.random.key(6)
WEIGHTS = {2: (0.7, 0.3), 3: (0.5, 0.3, 0.2), 5: (0.4, 0.2, 0.2, 0.1, 0.1)}
SCALES = {2: (1.0, 2.0), 3: (1.0, 0.5, 2.0), 5: (1.0, 0.5, 2.0, 1.0, 1.0)}
EQUAL = {k: (1.0,) * k for k in SCALES}

# --- axes are turned ---

turned = jax.jit(reduction.triangular)


def test_a_vector_of_3_and_4_becomes_one_of_5_and_takes_the_others_with_it():
    low = jnp.array([[3.0, 4.0, 0.0], [1.0, 2.0, 0.0]])[..., None]
    found = turned(jnp.zeros_like(low), low)[..., 0]
    assert_allclose(found, [[5.0, 0.0, 0.0], [2.2, 0.4, 0.0]], atol=1e-6)


@pytest.mark.parametrize("small", [1.0, 1e-4, 0.0])
def test_inner_products_stay_as_they_were(small):
    with jax.enable_x64(True):
        random = np.random.default_rng(1)
        high = np.tril(random.normal(size=(7, 4, 4)).transpose(1, 2, 0).copy(), 0) if small < 1 else np.zeros((4, 4, 7))
        high = np.where(np.tril(np.ones((4, 4)))[..., None] > 0, high, 0)
        high = np.concatenate([high, np.zeros((4, 1, 7))], axis=1)
        low = small * random.normal(size=(4, 5, 7))
        after = high + np.asarray(turned(jnp.asarray(high), jnp.asarray(low)))
        before = high + low
        products = (np.einsum("adr,bdr->abr", x, x) for x in (before, after))
        assert_allclose(*products, rtol=1e-12, atol=1e-13)
        assert (after * (np.triu(np.ones((4, 5)), 1)[..., None] > 0) == 0).all()


def test_a_vector_that_lies_in_the_span_of_others_has_nothing_of_its_own():
    low = jnp.array([[0.0, 0.0, 0.0], [1e-30, 2.0, 0.0], [0.0, 4.0, 0.0]])[..., None]
    low = jnp.concatenate([low, jnp.zeros((3, 1, 1))], axis=1)
    found = np.asarray(turned(jnp.zeros_like(low), low))[..., 0]
    assert_allclose(found @ found.T, np.asarray(low)[..., 0] @ np.asarray(low)[..., 0].T, atol=1e-6)


def test_a_start_given_in_all_coordinates_keeps_its_distances():
    k, d, runs = 3, 30, 5
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(k, d, separation=3.0), d=d)
    random = np.random.default_rng(2)
    start = batch.mixture.means + random.normal(size=(k, d, runs)).astype(np.float32)
    for twin, vectors in ((False, 3), (True, 6)):
        made, begin = reduction.prepared(batch, LLOYD, start, steps.constant(0.1), twin=twin)
        assert made.mixture.means.shape == begin.shape == (k, 2 + vectors + 1, runs)
        assert (begin[:, -1] == 0).all()
        before = errors.squared_distances(start, np.zeros_like(start), batch.mixture.means)
        after = errors.squared_distances(begin, np.zeros_like(begin), made.mixture.means)
        assert_allclose(after, before, rtol=2e-6)


def test_a_start_in_another_order_begins_as_a_triangle_with_the_same_inner_products():
    k, d, runs = 3, 30, 5
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(k, k, separation=30.0), d=d)
    start = offset_start(STARTS, batch, 2.0)
    states = []
    for order in ([0, 1, 2], [2, 0, 1]):
        made, begin = reduction.prepared(batch, LLOYD, start[order], steps.constant(0.1), twin=True)
        ready = together.ready(made, LLOYD, begin, steps=0.1, twin=True)
        for part in (ready.state.centres, ready.state.twin):
            rows = part.origin[:, 2:]
            assert not rows[np.triu(np.ones((k, 7), bool), 1)].any()
            states.append(np.einsum("ids,jds->ijs", rows, rows))
    for other in states[1:]:
        assert_allclose(other, states[0], atol=1e-5)


def test_starts_are_as_far_as_asked_and_in_directions_of_all_dimensions():
    batch = jgmm.batch(KEY, range(4000), mixture.simplex(3, 3, separation=3.0), d=50)
    moves = offset_start(STARTS, batch, 2.0)
    moves[:, :3] -= batch.mixture.means
    assert_allclose(np.sqrt((moves**2).sum(axis=1)), 2, rtol=1e-6)
    for cosine in ((moves[0] * moves[1]).sum(axis=0) / 4, (moves[1] * moves[2]).sum(axis=0) / 4, moves[2, 0] / 2):
        square = stats.beta(0.5, 49 / 2)  # the law of the square of one coordinate of a direction in 50 dimensions
        assert stats.kstest(cosine**2, square.cdf).pvalue > 1e-4


# --- the same law ---


def measured(name, k, d, *, runs, rate, reduced, seed, twin=False, scales=None, separation=2.0, counts=(3, 30, 300)):
    """Errors of each centre, and the largest, at some counts of samples: rows (counts x numbers, runs)."""
    key = jax.random.fold_in(KEY, seed)
    coordinates = k if reduced else d
    made = mixture.symmetric(coordinates, separation=separation)
    if name != "em":
        made = mixture.simplex(k, coordinates, separation=separation, weights=WEIGHTS[k], scales=scales or SCALES[k])
    batch = jgmm.batch(key, range(runs), made, d=d if reduced else None)
    start = offset_start(jax.random.fold_in(STARTS, seed), batch, 1.0)
    rows = []
    for count in counts:
        record = jgmm.run(
            batch, name, start[: 1 if name == "em" else k], steps=rate, twin=twin, checkpoints=[count], back_end="cpu"
        )
        own = np.sqrt((record.displacement**2).sum(axis=1))
        rows += [*own, record.error.error_max[-1], record.error.error_sq[-1]]
        rows += [] if record.twin_sq is None else [record.twin_sq[-1]]
    return np.round(rows, 4)  # a centre that no sample has hit is where it was, up to rounding


def least(name, k, d, **how):
    """The least p-value of two-sample Kolmogorov-Smirnov tests, a number each."""
    pair = [measured(name, k, d, reduced=reduced, seed=seed, **how) for seed, reduced in enumerate((False, True))]
    return min(stats.ks_2samp(*rows).pvalue for rows in zip(*pair, strict=True))


def test_lloyds_errors_have_the_law_of_all_dimensions():
    assert least("lloyd", 2, 20, runs=4000, rate=0.1, counts=(30,)) > 1e-4


def test_one_degree_of_freedom_too_many_is_caught(monkeypatch):
    of = radius.numbers
    monkeypatch.setattr(radius, "numbers", lambda degrees: of(degrees + 1))
    assert least("lloyd", 2, 20, runs=4000, rate=0.1, counts=(30,)) < 1e-6


class Cut(reduction.Step):
    """A step that drops the new axis in place of turning axes."""

    def __call__(self, state, sample, params):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reduction, "triangular", lambda high, low: low.at[:, -1].set(0))
            return super().__call__(state, sample, params)


def test_axes_that_are_not_turned_back_are_caught(monkeypatch):
    monkeypatch.setattr(reduction, "Step", Cut)
    assert least("lloyd", 2, 20, runs=4000, rate=0.1, counts=(30,)) < 1e-6


CASES = {
    "lloyd, 2": ("lloyd", 2, 20, {"rate": 0.1}),
    "lloyd, 3": ("lloyd", 3, 20, {"rate": 0.1}),
    "lloyd and its twin, 3": ("lloyd", 3, 60, {"rate": 0.05, "twin": True}),
    "lloyd, 5": ("lloyd", 5, 20, {"rate": 0.1}),
    "lloyd, 5, in 60": ("lloyd", 5, 60, {"rate": 0.1}),
    "lloyd, 1/n": ("lloyd", 3, 60, {"rate": steps.inverse_count(1)}),
    "lloyd, momentum": ("lloyd", 2, 60, {"rate": optax.sgd(0.05, momentum=0.8)}),
    "oracle": ("oracle", 3, 20, {"rate": steps.inverse_count(0)}),
    "soft, 3": ("soft", 3, 20, {"rate": 0.1}),
    "soft of one scale, 3": ("soft", 3, 60, {"rate": 0.1, "scales": EQUAL[3]}),
    "soft, 5": ("soft", 5, 60, {"rate": 0.05}),
    "em": ("em", 2, 20, {"rate": 0.1}),
    "em and its twin": ("em", 2, 60, {"rate": 0.05, "twin": True}),
}


ONCE_A_CI = ("lloyd, 3", "soft, 3", "em")  # of these, the others taking minutes


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow if x in ONCE_A_CI else pytest.mark.long) for x in CASES]
)
def test_every_algorithms_errors_have_the_law_of_all_dimensions(name):
    algorithm, k, d, how = CASES[name]
    assert least(algorithm, k, d, runs=20_000, **how) > 1e-4 / 20


@pytest.mark.parametrize("d", [1000, pytest.param(10**6, marks=pytest.mark.slow)])
def test_the_error_of_separated_centres_is_on_its_law(d):
    k, rate, sigma = 3, 0.02, 3.0
    apart = 12 + 2 * (2 * rate * d) ** 0.5  # far more than the centres' own errors
    batch = jgmm.batch(KEY, range(256), mixture.simplex(k, k, separation=apart, scales=sigma), d=d)
    counts = [1, 100, 1000]
    found = jgmm.run(batch, LLOYD, offset_start(STARTS, batch, 2.0), steps=rate, checkpoints=counts)
    for index, t in enumerate([0, *counts]):
        law = labelled.constant(t, rate=rate, weight=1 / k)
        expected = k * (law.kept * 4 * sigma**2 + law.noise * sigma**2 * d)
        of = errors.estimate(found.error.error_sq[index])
        assert abs(of.mean - expected) <= 4 * of.standard_error + 1e-5 * expected


@pytest.mark.slow
@pytest.mark.parametrize("d", [1000, 10**6])
def test_streaming_em_is_on_its_law(d):
    rate = 0.02 / d  # so that the errors are within what the law is first order in
    batch = jgmm.batch(KEY, range(256), mixture.symmetric(2, separation=4.0), d=d)
    start = offset_start(STARTS, batch, (rate / 2 * d) ** 0.5)[:1]
    found = jgmm.run(batch, EM, start, steps=rate, checkpoints=[20_000])
    of = errors.estimate(found.error.error_sq[-1])
    assert abs(of.mean - rate / 2 * d) < 4 * of.standard_error + 0.01 * rate / 2 * d


@pytest.mark.parametrize("rate", [1e-9, 1e-7])
def test_float32_does_not_stall(rate):
    d, n = 10**6, 100_000
    batch = jgmm.batch(KEY, range(256), mixture.simplex(2, 2, separation=12.0), d=d)
    settled = rate / 2 * d
    for share in (0.0, 9.0):
        start = offset_start(STARTS, batch, (share * settled) ** 0.5)
        found = jgmm.run(batch, LLOYD, start, steps=rate, checkpoints=[n], back_end="cpu")
        moved = found.error.error_sq[1].astype(float) - found.error.error_sq[0]
        law = labelled.constant(n, rate=rate, weight=0.5)
        expected = 2 * ((law.kept - 1) * share * settled + law.noise * d)
        of = errors.estimate(moved)
        assert abs(of.mean - expected) < 4 * of.standard_error + 0.01 * abs(expected)


# --- what is refused ---


def small_batch(d=100, **how):
    batch = jgmm.batch(KEY, range(3), mixture.simplex(2, 2, separation=3.0), d=d, **how)
    return batch, offset_start(STARTS, batch, 0.5)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"steps": steps.adam(0.01)}, "treats coordinates each by itself"),
        ({"steps": optax.clip(0.1)}, "treats coordinates each by itself"),
        ({"steps": 0.1, "average": 3}, "average is given, expected None where the dimension is reduced"),
        ({"steps": 0.1, "noise": "uniform"}, "noise is uniform noise, expected Gaussian noise"),
    ],
)
def test_what_does_not_turn_is_refused(how, message):
    batch, start = small_batch()
    with pytest.raises(ValueError, match=message), jax.numpy_dtype_promotion("standard"):
        jgmm.run(batch, LLOYD, start, checkpoints=[3], **how)


def test_measures_of_all_coordinates_are_refused():
    batch, start = small_batch()
    batch, start = reduction.prepared(batch, LLOYD, start, steps.of(0.1), twin=False)
    segments = [Segment(3, [3], measures=("holds",))]
    ready = together.ready(batch, LLOYD, start, steps=0.1)
    with pytest.raises(ValueError, match="segments have measures, expected none where the dimension is reduced"):
        simulate(ready, batch, segments)


def test_an_algorithm_that_says_nothing_of_directions_is_refused():
    batch, start = small_batch()
    with pytest.raises(ValueError, match="does not say that it treats all directions alike"):
        jgmm.run(batch, LLOYD._replace(turning=None), start, steps=0.1, checkpoints=[3])


def test_a_dimension_that_cannot_be_reduced_is_refused():
    batch, start = small_batch(d=7)
    with pytest.raises(ValueError, match="d is 7, expected at least 8 for a reduced dimension"):
        jgmm.run(batch, LLOYD, start, steps=0.1, twin=True, checkpoints=[3])
    with pytest.raises(ValueError, match="d is 1, expected numbers in"):
        small_batch(d=1)


@pytest.mark.parametrize(
    "transformation", [optax.sgd(0.1), optax.sgd(0.1, momentum=0.9), optax.sgd(0.1, nesterov=True, momentum=0.5)]
)
def test_transformations_that_turn_with_the_gradients_are_taken(transformation):
    assert steps.turns(steps.of(transformation).rule) is None


# --- what a step is told ---


def test_a_prior_is_that_of_all_dimensions():
    made = mixture.simplex(3, 20, separation=3.0, weights=WEIGHTS[3], scales=SCALES[3])
    whole = jgmm.batch(KEY, range(2), made)
    reduced = jgmm.batch(KEY, range(2), made, d=20)
    start = offset_start(STARTS, whole, 0.5)
    begun, begin = reduction.prepared(reduced, SOFT, start, steps.constant(0.1), twin=False)
    priors = [
        together.ready(batch, SOFT, at, steps=0.1).params.own["prior"] for batch, at in ((whole, start), (begun, begin))
    ]
    assert_allclose(*priors, rtol=1e-6)


def test_a_run_does_not_depend_on_the_dimension_of_the_others():
    run = partial(jgmm.run, algorithm=LLOYD, steps=0.1, checkpoints=[40], back_end="cpu")
    made = mixture.simplex(2, 2, separation=3.0)
    both = jgmm.batch(KEY, [4, 9], made, d=np.array([100, 10**6]))
    alone = jgmm.batch(KEY, [9], made, d=10**6)
    found = [run(batch, start=offset_start(STARTS, batch, 0.5)).error.error_sq for batch in (both, alone)]
    assert_array_equal(found[0][:, 1:], found[1])
