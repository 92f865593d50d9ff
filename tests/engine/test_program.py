"""A step as a list: how coordinates are dealt out and summed by hand, what is alike, what a step may return."""

import golden
import jax
import jax.numpy as jnp
import numpy as np
import numpy_list
import optax
import pytest
from numpy.testing import assert_array_equal

from jgmm import steps
from jgmm.algorithms import em, lloyd, pca
from jgmm.contract import Kernel, Refused
from jgmm.engine import build, cpu, program
from jgmm.lanes import LaneState
from jgmm.loops import over_coordinates, sum_over_shares
from jgmm.mixture import Mixture

RUNS = 5


def mixture(k, d, runs=RUNS):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(k, d, runs)).astype(np.float32)
    return Mixture(means, np.full((k, runs), 1 / k, np.float32), np.ones((k, runs), np.float32))


def made(step, state, d, params=(), end=None, k=2, shares=None):
    return build.program(Kernel(step, end), state, params, mixture(k, d), shares=shares)


def streamed(step, state, d, params=(), count=1, k=2, shares=None):
    """The state after some samples: the CPU's, which NumPy's must be."""
    lanes = 1 + 2 * ((d + 1) // 2)
    words = LaneState(*np.random.default_rng(1).integers(0, 2**32, (4, lanes, RUNS), np.uint32))
    found = []
    for open_stream in (cpu.open, numpy_list.open):
        stream = open_stream(Kernel(step), words, state, params, mixture(k, d), shares=shares)
        stream.advance(count)
        found.append(stream.state())
    jax.tree.map(assert_array_equal, *found)
    return found[0]


# --- dealing ---


@pytest.mark.parametrize(
    ("d", "count", "by_hand"),
    [
        (1, 1, [[0]]),
        (3, 1, [[0], [1], [2]]),
        (4, 2, [[0, 1], [2, 3]]),
        (5, 2, [[0, 1], [2, -1], [3, 4], [-1, -1]]),
        (6, 2, [[0, 1], [2, -1], [3, 4], [5, -1]]),
        (7, 4, [[0, 1, 2, 3], [4, 5, 6, -1]]),
    ],
)
def test_pairs_of_coordinates_are_dealt_out(d, count, by_hand):
    assert program.deal(d, count).tolist() == by_hand


# --- sums over coordinates ---


def add_up(state, sample, params):
    """The sum of the coordinates of the params."""
    del sample
    row = params[0]
    return state + over_coordinates(len(row), lambda j: row[j], jnp.zeros_like(row[0])) - state


BIG = 2.0**24
TERMS = np.array([1, 1, BIG, 1, -BIG, 3, 1], np.float32)  # its sums differ from order to order


def by_hand(c, count):
    """The sum of seven numbers over so many shares, written out."""
    zero = np.float32(0)
    if count == 1:
        return ((((((zero + c[0]) + c[1]) + c[2]) + c[3]) + c[4]) + c[5]) + c[6]
    if count == 2:  # pairs 0 4, 1 5, 2 6, and 3
        return ((((zero + c[0]) + c[2]) + c[4]) + c[6]) + (((zero + c[1]) + c[3]) + c[5])
    return ((c[0] + c[4]) + (c[1] + c[5])) + ((c[2] + c[6]) + c[3])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_sum_over_coordinates_is_that_of_shares_and_of_pairs_of_them(count):
    others = {n: by_hand(TERMS, n) for n in (1, 2, 4)}
    assert len(set(others.values())) == 3
    terms = np.repeat(TERMS[None, :, None], RUNS, axis=-1)
    terms[..., 3] = terms[:, ::-1, 0]  # a run apart
    found = streamed(add_up, np.zeros(RUNS, np.float32), 7, terms, shares=count)
    assert_array_equal(found[[0, 1, 2, 4]], np.full(4, others[count]))
    assert found[3] == by_hand(TERMS[::-1], count)


@pytest.mark.parametrize("count", [2, 4])
def test_a_coordinate_that_a_share_lacks_adds_nothing_not_even_a_zero(count):
    def ones(state, sample, params):
        """d, and -0 where each term is -0 (0 would make it 0)."""
        x = sample.x
        whole = over_coordinates(len(x), lambda j: (x[j] - x[j]) + 1, jnp.zeros_like(x[0]))
        return state[0] + whole, over_coordinates(len(x), lambda j: params[0, j], jnp.full_like(x[0], -0.0))

    zeros = np.zeros(RUNS, np.float32)
    params = np.full((1, 5, RUNS), -0.0, np.float32)
    whole, nothing = streamed(ones, (zeros, zeros), 5, params, shares=count)
    assert_array_equal(whole, np.full(RUNS, 5, np.float32))
    assert np.signbit(nothing).all()


def test_sums_that_need_sums_wait_for_them():
    def variance(state, sample, params):
        del sample
        row = params[0]
        mean = over_coordinates(len(row), lambda j: row[j], jnp.zeros_like(row[0])) / 6
        return state + over_coordinates(len(row), lambda j: (row[j] - mean) ** 2, jnp.zeros_like(row[0]))

    row = np.repeat(np.arange(6, dtype=np.float32)[None, :, None], RUNS, axis=-1)
    assert_array_equal(streamed(variance, np.zeros(RUNS, np.float32), 6, row), np.full(RUNS, 17.5, np.float32))


# --- how many shares ---


def test_the_shares_are_a_function_of_the_shape_alone():
    counts = []
    for d in (2, 10, 20, 50, 100):
        given = [golden.given(golden.Case(lloyd.LLOYD, d, 10), runs) for runs in (3, 40)]
        few, many = (build.program(x.kernel, x.state, x.params, x.mixture).shares for x in given)
        assert few == many
        counts.append(few)
    assert counts == [1, 2, 4, 16, 32]


def first_apart(state, sample, params):
    return state.at[:, 0].add(params[None] * sample.x[None, 0])


def reversed_order(state, sample, params):
    return state + params[None, None] * sample.x[None, ::-1]


def weighted(state, sample, params):
    return state + params[None, None] * (sample.x * jnp.arange(len(sample.x), dtype=jnp.float32)[:, None])[None]


def neighbours(state, sample, params):
    return state.at[:, 1:].add(params[None, None] * (sample.x[1:] * sample.x[:-1])[None])


def summed_elsewhere(state, sample, params):
    return state + params[None, None] * sample.x.sum(axis=0)[None, None]


def from_a_number(state, sample, params):
    row = sample.x
    return state + params[None, None] * over_coordinates(len(row), lambda j: row[j], params)[None, None]


def counts_of_coordinates(state, sample, params):
    x = sample.x
    above = jnp.zeros(x.shape[1:], jnp.int32)
    for row in x:
        above = above + (row > 0).astype(jnp.int32)
    return state + params[None, None] * sum_over_shares(above).astype(state.dtype)[None, None]


APART = [first_apart, reversed_order, weighted, neighbours, summed_elsewhere, from_a_number, counts_of_coordinates]


@pytest.mark.parametrize("step", APART, ids=lambda step: step.__name__)
def test_coordinates_that_are_not_treated_alike_are_one_share(step):
    state, params = np.zeros((1, 9, RUNS), np.float32), np.full(RUNS, 0.5, np.float32)
    assert made(step, state, 9, params, shares=4).shares == 1
    streamed(step, state, 9, params, count=3)


def alike(state, sample, params):
    x = sample.x
    return (
        state
        + params[None, None]
        * x[None]
        * over_coordinates(len(x), lambda j: x[j] * x[j], jnp.zeros_like(x[0]))[None, None]
    )


def test_those_that_are_are_several():
    state, params = np.zeros((1, 9, RUNS), np.float32), np.full(RUNS, 0.5, np.float32)
    assert made(alike, state, 9, params, shares=4).shares == 4
    streamed(alike, state, 9, params, count=3)


@pytest.mark.parametrize(
    "case", [golden.Case(lloyd.LLOYD, 40, 10), golden.Case(em.EM, 67, 2), golden.Case(pca.POWER, 61, 3)]
)
def test_the_algorithms_treat_coordinates_alike(case):
    given = golden.given(case, 2)
    assert build.program(given.kernel, given.state, given.params, given.mixture).shares > 1


# --- what is told, and what moves ---


def test_what_a_step_returns_as_it_came_is_an_input_only():
    given = golden.given(golden.Case(lloyd.LLOYD, 3, 2))
    found = build.program(given.kernel, given.state, given.params, given.mixture)
    origin, offset = found.state
    assert (origin.moves, origin.alias, origin.axis) == (False, "means", 1)
    assert (offset.moves, offset.alias, offset.axis) == (True, None, 1)
    assert {name[1] for name in found.step.results} == {1}


def test_everything_moves_from_its_value_before():
    def exchange(state, sample, params):
        del sample, params
        return (state[1], state[0] + state[2], state[2] * 2)

    a, b, c = (np.arange(i, i + RUNS, dtype=np.float32) for i in (0, 10, 20))
    for count, expected in ((1, (b, a + c, 2 * c)), (2, (a + c, b + 2 * c, 4 * c))):
        for x, y in zip(streamed(exchange, (a, b, c), 2, count=count), expected, strict=True):
            assert_array_equal(x, y)


def test_what_is_forgotten_is_read_before():
    def emptied(state, sample, params):
        del sample, params
        return (jnp.zeros_like(state[0]), state[1] + state[0])

    kept = np.arange(26 * RUNS, dtype=np.float32).reshape(2, 13, RUNS)  # more than registers hold
    gone, total = streamed(emptied, tuple(kept), 2)
    assert_array_equal(gone, np.zeros((13, RUNS)))
    assert_array_equal(total, kept.sum(axis=0))


def test_coordinates_of_centres_move_from_their_values_before():
    def turn(state, sample, params):
        del sample, params
        return state[::-1] + state

    state = np.arange(2 * 3 * RUNS, dtype=np.float32).reshape(2, 3, RUNS)
    assert_array_equal(streamed(turn, state, 3), state[::-1] + state)


def test_numbers_that_are_the_same_for_all_runs_stay_so():
    def count(state, sample, params):
        del sample
        return state + params

    found = streamed(count, np.int32(3), 2, np.int32(2), count=4)
    assert (found.shape, found.dtype, int(found)) == ((), np.int32, 11)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint32, np.int32])
def test_states_of_other_kinds(kind):
    def other(state, sample, params):
        del params
        return (
            (state != (sample.x[0] > 0).astype(kind)).astype(kind)
            if kind is bool
            else state * 3 + sample.label.astype(kind)
        )

    found = streamed(other, np.arange(RUNS).astype(kind), 2, count=9)
    assert found.dtype == kind
    assert len(set(found.tolist())) > 1


def test_the_same_kernel_is_the_same_program_and_text():
    given = golden.given(golden.Case(lloyd.LLOYD, 3, 2), 3)
    other = golden.given(golden.Case(lloyd.LLOYD, 3, 2, seed=1), 8)
    one, two = (build.program(x.kernel, x.state, x.params, x.mixture) for x in (given, other))
    assert one is two
    again = build.program(given.kernel, given.state, given.params, given.mixture, shares=one.shares)
    assert again is not one
    assert program.text(again) == program.text(one)
    wider = golden.given(golden.Case(lloyd.LLOYD, 4, 2), 3)
    assert program.text(build.program(wider.kernel, wider.state, wider.params, wider.mixture)) != program.text(one)


# --- what a step may not ---


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda s, x, p: s[:1], r"the step returns .*\(1, 3, 7\).* in the place of .*\(2, 3, 7\)"),
        (lambda s, x, p: s.astype(jnp.int32), "the step returns .*int32.* in the place of .*float32"),
        (lambda s, x, p: (s, s), "the step returns a PyTreeDef.*, expected the state's"),
        (lambda s, x, p: s.sum(axis=1), "the step returns .* in the place of"),
    ],
)
def test_a_step_that_returns_another_state_is_told(step, words):
    with pytest.raises(ValueError, match=words):
        made(step, np.zeros((2, 3, RUNS), np.float32), 3)


def test_one_that_mixes_runs_is_refused_by_name():
    with pytest.raises(Refused, match="reduce_sum goes over runs"):
        made(lambda s, x, p: s - s.sum(), np.zeros((2, 3, RUNS), np.float32), 3)


@pytest.mark.parametrize("mixing", [optax.clip_by_global_norm(1.0), optax.normalize_by_update_norm()])
def test_a_transformation_that_mixes_runs_is_refused_by_name(mixing):
    given = golden.given(golden.Case(lloyd.LLOYD, 3, 2), RUNS)
    move = steps.from_optax(optax.chain(mixing, optax.sgd(0.1))).rule

    def step(state, sample, params):
        del params
        return lloyd.step(state, sample, {}, lambda *told: move.apply({}, *told))

    memory = move.init({}, given.state.centres.offset)
    with pytest.raises(Refused, match="goes over runs"), jax.numpy_dtype_promotion("standard"):
        made(step, given.state.centres._replace(memory=memory), 3)
