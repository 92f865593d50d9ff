"""Step sizes: what they do to the estimates, by hand and against optax; one program for all numbers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import mixture, rates, steps
from jgmm.algorithms.lloyd import LLOYD, ORACLE
from jgmm.engine import run, scan
from jgmm.engine.together import ready
from jgmm.start import offset_start

KEY = jax.random.key(21)
SHAPE = (2, 1, 1)


@pytest.fixture(autouse=True)
def strict():
    """JAX as it is, in place of the other tests' strictness: optax promotes dtypes and ranks."""


def walk(size, pulls, hits, offset=((0.0,), (10.0,))):
    """Offsets (2, 1) of one run after samples that are `pulls` away from the estimate that each hits."""
    numbers = {name: jnp.asarray(x) for name, x in steps.check(size, SHAPE, np.float32).items()}
    offset = jnp.asarray(offset, jnp.float32)[..., None]
    memory = size.rule.init(numbers, offset)
    apply = jax.jit(size.rule.apply)
    for pull, hit in zip(pulls, hits, strict=True):
        gate = jnp.arange(2)[:, None] == hit
        offset, memory = apply(numbers, memory, offset, jnp.full(SHAPE, pull, jnp.float32), gate)
    return np.asarray(offset)[..., 0]


def test_a_constant_rate_by_hand():
    assert_allclose(walk(steps.constant(0.5), [2.0, 4.0], [0, 1]), [[1.0], [12.0]])


def test_a_polynomial_by_hand():
    size = steps.polynomial(2.0, 0.5, 4.0)  # 1, 2/sqrt(5), ...
    assert_allclose(walk(size, [1.0, 1.0, 1.0], [0, 1, 0]), [[1 + 2 / 6**0.5], [10 + 2 / 5**0.5]], rtol=1e-6)


def test_inverse_counts_make_an_estimate_the_mean_of_its_samples():
    offset, seen = np.array([0.0, 10.0]), [(0, 1.0), (0, 2.0), (1, 12.0), (0, 3.0)]
    size = steps.inverse_count(1)
    numbers = {name: jnp.asarray(x) for name, x in steps.check(size, SHAPE, np.float32).items()}
    here = jnp.asarray(offset, jnp.float32)[:, None, None]
    memory = size.rule.init(numbers, here)
    for hit, x in seen:
        here, memory = size.rule.apply(numbers, memory, here, x - here, jnp.arange(2)[:, None] == hit)
    assert_allclose(here[:, 0, 0], [(0 + 1 + 2 + 3) / 4, (10 + 12) / 2], rtol=1e-6)


def test_a_share_counts_as_a_sample_of_one_over_n_where_it_is_positive():
    size = steps.inverse_count(1)
    counts = jnp.ones((2, 1), jnp.int32)
    moved, counts = size.rule.apply({}, counts, jnp.zeros(SHAPE), jnp.ones(SHAPE), jnp.array([[0.5], [0.0]]))
    assert_allclose(moved[:, 0, 0], [0.25, 0.0])
    assert_array_equal(counts, [[2], [1]])


def test_what_is_not_hit_is_left_as_it_is_whatever_its_pull():
    for size in (
        steps.constant(0.5),
        steps.polynomial(1.0, 0.5),
        steps.inverse_count(),
        steps.scheduled(lambda t: 0.5),
    ):
        moved = walk(size, [np.inf], [0], offset=((0.0,), (-0.0,)))
        assert moved[1, 0] == 0
        assert np.signbit(moved[1, 0])


def test_shares_and_no_gate_at_all_scale_the_step():
    numbers = {"rate": jnp.full(1, 0.5)}
    apply = partial(steps.CONSTANT.apply, numbers, (), jnp.zeros(SHAPE), jnp.ones(SHAPE))
    assert_allclose(apply(jnp.array([[0.2], [1.0]]))[0][:, 0, 0], [0.1, 0.5])
    assert_allclose(apply(None)[0][:, 0, 0], [0.5, 0.5])


PULLS, HITS = [1.0, -2.0, 0.5, 3.0, 1.0] * 4, [0, 1, 1, 0, 1] * 4


@pytest.mark.parametrize(
    ("ours", "optaxs"),
    [
        (steps.constant(0.2), optax.sgd(0.2)),
        (steps.adam(0.1), optax.adam(0.1)),
        (steps.polynomial(0.5, 0.7, 2.0), optax.sgd(lambda t: 0.5 / (t + 2.0) ** 0.7)),
        (steps.scheduled(lambda t: 0.5 / (t + 2.0)), optax.sgd(lambda t: 0.5 / (t + 2.0))),
    ],
    ids=["constant", "adam", "polynomial", "scheduled"],
)
def test_a_step_size_is_the_optax_transformation_of_its_name(ours, optaxs):
    assert_allclose(walk(ours, PULLS, HITS), walk(steps.from_optax(optaxs), PULLS, HITS), rtol=1e-5)


@pytest.mark.parametrize(
    "given", [optax.adam(0.1), optax.sgd(0.1, momentum=0.9), optax.sgd(rates.polynomial(1.0, 0.7)), steps.adam(0.1)]
)
def test_any_optax_transformation_drives_the_centres(given):
    batch = jgmm.batch(KEY, range(2), mixture.given([[0.0], [10.0]], scales=0.01))
    start = batch.mixture.means + np.float32(1)
    found = jgmm.run(batch, LLOYD, start, steps=given, checkpoints=[400])
    assert_allclose(found.displacement, np.zeros((2, 1, 2)), atol=0.2)


def small_batch(runs=3):
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=3.0))
    return batch, offset_start(KEY, batch, 0.5)


@pytest.mark.parametrize(
    ("many", "one"),
    [
        (np.array([0.01, 0.05, 0.2]), lambda i: [0.01, 0.05, 0.2][i]),
        (steps.adam([0.01, 0.05, 0.2]), lambda i: steps.adam([0.01, 0.05, 0.2][i])),
        (
            rates.Polynomial(np.array([1.0, 2.0, 0.5]), np.array([0.7, 1.0, 0.6]), np.array([4.0, 9.0, 2.0])),
            lambda i: rates.polynomial([1.0, 2.0, 0.5][i], [0.7, 1.0, 0.6][i], [4.0, 9.0, 2.0][i]),
        ),
        (steps.inverse_count([1, 0, 5]), lambda i: steps.inverse_count([1, 0, 5][i])),
    ],
    ids=["constant", "adam", "polynomial", "1/n"],
)
def test_a_number_for_each_run_and_one_program_for_all(many, one):
    batch, start = small_batch()
    together = jgmm.run(batch, LLOYD, start, steps=many, checkpoints=[50], back_end="scan")
    before = scan.advanced._cache_size()
    for i in range(3):
        alone = jgmm.run(batch, LLOYD, start, steps=one(i), checkpoints=[50], back_end="scan")
        assert_array_equal(together.centres[..., i], alone.centres[..., i])
    assert scan.advanced._cache_size() == before


def test_a_schedule_is_its_loop():
    batch, start = small_batch()
    schedule = rates.Polynomial(np.array([1.0, 2.0, 0.5]), np.array([0.7, 1.0, 0.6]), np.array([4.0, 9.0, 2.0]))
    together = jgmm.run(batch, LLOYD, start, steps=schedule, checkpoints=[50])
    for i in range(3):
        one = rates.Polynomial(*(numbers[i] for numbers in schedule))
        alone = jgmm.run(batch, LLOYD, start, steps=optax.sgd(one), checkpoints=[50])
        assert_allclose(together.displacement[..., i], alone.displacement[..., i], atol=2e-5)


def test_the_oracle_forgets_its_start_at_the_first_sample_of_its_own():
    batch, start = small_batch(30)
    ends = [
        jgmm.run(batch, ORACLE, first, steps=steps.inverse_count(0), checkpoints=[2]).displacement
        for first in (start, start + np.float32(3))
    ]
    untouched = (ends[0] == (start - batch.mixture.means)).all(axis=1)
    assert 0.3 < untouched.mean() < 0.6  # (2/3)^2 of the centres see none of two samples
    gap = np.abs(ends[0] - ends[1]).max(axis=1)
    assert_allclose(gap[untouched], 3, rtol=1e-5)
    assert gap[~untouched].max() < 1e-5


def test_rules_of_one_kind_are_equal():
    assert steps.constant(0.1).rule == steps.of(0.2).rule
    assert steps.adam(0.1).rule == steps.adam(0.2).rule
    given = optax.sgd(0.1, momentum=0.9)
    assert steps.from_optax(given).rule == steps.of(given).rule
    assert hash(steps.from_optax(given).rule) == hash(steps.of(given).rule)
    assert steps.constant(0.1).rule != steps.polynomial(0.1, 1.0).rule
    batch, start = small_batch()
    one, other = (ready(batch, LLOYD, start, steps=rate, twin=True) for rate in (0.1, 0.3))
    assert one.kernel == other.kernel
    assert hash(one.kernel) == hash(other.kernel)


def test_transformations_that_mix_runs_are_refused():
    batch, start = small_batch()
    mixing = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    with pytest.raises(ValueError, match="mixes runs"):
        run.run(batch, LLOYD, start, steps=mixing, checkpoints=[10])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steps.check(steps.constant(1.5), SHAPE, np.float32), "rate is 1.5"),
        (lambda: steps.check(steps.polynomial(2.0, 0.5, 1.0), SHAPE, np.float32), "rate starts at 2"),
        (lambda: steps.check(steps.polynomial(1.0, 1.5, 1.0), SHAPE, np.float32), "power at most 1.5"),
        (lambda: steps.scheduled(lambda t: t * 1.0 + 2.0), "gives 2.0 at 0"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
