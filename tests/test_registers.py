"""Steps on vectors in registers: the very numbers of the array code, run by run, or a refusal."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import em, kernels, lanes, lloyd, loops, mixture, pca, registers, soft, stream

RUNS = 8


def on_vectors(function, *arguments):
    """function(*arguments) by way of vectors, as arrays again."""
    flat, tree = jax.tree.flatten(arguments)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), flat)
    closed = jax.make_jaxpr(lambda *x: jax.tree.leaves(function(*jax.tree.unflatten(tree, x))))(*shapes)
    split = [registers.entries(x.shape[:-1], lambda *i, x=x: x[i]) if x.ndim else x for x in flat]
    found = registers.evaluate(closed, split, runs=RUNS)
    joined = [joined_again(x, like) for x, like in zip(found, closed.out_avals, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(jax.eval_shape(function, *arguments)), joined)


def joined_again(value, like):
    if not like.shape:
        return value
    spread = registers.vectors(registers.as_entries(value, RUNS), runs=RUNS)
    return jnp.stack(spread).reshape(like.shape)


def assert_same(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def problem(d, k, seed=0):
    rng = np.random.default_rng(seed)
    means = jnp.asarray(3 * rng.normal(size=(k, d, RUNS)), jnp.float32)
    weights = jnp.asarray(rng.dirichlet(np.ones(k), RUNS).T, jnp.float32)
    mix = mixture.Mixture(means, weights, jnp.asarray(rng.uniform(0.5, 2, (k, RUNS)), jnp.float32))
    offset = jnp.asarray(rng.normal(size=(k, d, RUNS)), jnp.float32)
    return mix, lanes.seed(jax.random.key(seed), jnp.arange(RUNS), d=d), offset


SHAPES = [(1, 3), (2, 2), (3, 2), (2, 1)]  # (d, k)


@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_a_sample_is_the_same_to_the_last_bit(d, k):
    mix, words, _ = problem(d, k)
    draw = partial(stream.draw_together, block=3)
    steps = lanes.thresholds(mix.weights)
    with jax.disable_jit():  # operation by operation: nothing is contracted into a fused multiply-add
        expected = draw(words, mix, steps)
    assert_same(on_vectors(draw, words, mix, steps), expected)
    assert_array_equal(expected[1].label, jax.jit(partial(stream.draw, block=3))(words, mix)[1].label)
    assert_allclose(expected[1].x, jax.jit(partial(stream.draw, block=3))(words, mix)[1].x, rtol=2e-6, atol=2e-6)


def steps(d, k):
    """Steps of additions and multiplications, and what they are called with."""
    mix, _, offset = problem(d, k, seed=1)
    rate = jnp.linspace(0.1, 0.9, RUNS)
    x, label = mix.means[0] + 0.5, jnp.arange(RUNS, dtype=jnp.int32) % k
    component = jnp.broadcast_to(jnp.arange(k, dtype=jnp.int32)[::-1, None], (k, RUNS))
    state, basis = lloyd.LloydState(mix.means, offset, ()), jnp.moveaxis(mix.means, 0, 1)
    yield lloyd.step, (state, x, rate)
    yield lloyd.labelled_step, (state, x, label, component, rate)
    for optimizer in (lloyd.inverse_count(), optax.sgd(0.1, momentum=0.9)):
        driven = state._replace(optimizer=optimizer.init(offset))
        yield partial(lloyd.step, optimizer=optimizer), (driven, x)
    yield lambda s, x: pca.step(pca.step(s, x), x + 1), (pca.init(basis), x)
    yield pca.oja_step, (pca.OjaState(basis, rate, rate, jnp.int32(3)), x)


@pytest.mark.parametrize("written_out", [nullcontext, loops.written_out])
@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_every_hard_step_is_the_same_to_the_last_bit(d, k, written_out):
    for step, arguments in steps(d, k):
        with jax.disable_jit():
            expected = step(*arguments)
        with written_out():
            found = on_vectors(step, *arguments)
        assert_same(found, expected)


@pytest.mark.parametrize(("d", "k"), SHAPES)
def test_other_steps_are_the_same_but_for_how_exp_tanh_and_division_round(d, k):
    mix, _, offset = problem(d, k, seed=1)
    rate, x = jnp.linspace(0.1, 0.9, RUNS), mix.means[0] + 0.5
    known = {"weights": mix.weights, "scales": mix.scales, "beta": rate}
    state, one = lloyd.LloydState(mix.means, offset, ()), em.EMState(mix.means[0], offset[0])
    for step, arguments in (
        (lambda s, x, r, known: soft.step(s, x, r, **known), (state, x, rate, known)),
        (lambda s, x, r: em.step(s, x, rate=r, beta=r, scale=r), (one, x, rate)),
        (lambda v: pca.end_block(pca.init(v)._replace(product=v)), (jnp.moveaxis(mix.means, 0, 1),)),
    ):
        found, expected = on_vectors(step, *arguments), step(*arguments)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "optimizer", [optax.adam(0.1), lloyd.scheduled(lambda t: 1 / (t.astype("float32") + 2) ** 0.7)]
)
def test_a_power_is_an_exponential_of_a_logarithm(optimizer):
    mix, _, offset = problem(2, 2)
    state = lloyd.LloydState(mix.means, offset, optimizer.init(offset))
    step = partial(lloyd.step, optimizer=optimizer)
    with jax.numpy_dtype_promotion("standard"):
        found, expected = on_vectors(step, state, mix.means[0]), step(state, mix.means[0])
    assert_allclose(found.offset, expected.offset, rtol=3e-6)


def test_the_lowest_index_wins_a_tie():
    origin = jnp.zeros((3, 1, RUNS))
    offset = jnp.broadcast_to(jnp.array([-1.0, 1.0, 1.0])[:, None, None], (3, 1, RUNS))
    moved = on_vectors(
        lambda o, x, rate: lloyd.step(lloyd.LloydState(origin, o, ()), x, rate).offset,
        *(offset, jnp.zeros((1, RUNS)), jnp.full(RUNS, 0.5)),
    )
    assert_array_equal(moved[:, 0], jnp.broadcast_to(jnp.array([-0.5, 1, 1])[:, None], (3, RUNS)))


def test_a_loop_whose_length_is_data_stays_a_loop_and_holds_what_moves_only():
    def add(count, x, y):
        return lax.fori_loop(0, count, lambda i, xy: (xy[0] + xy[1], xy[1]), (x, y))

    x, y = jnp.ones((2, RUNS)), jnp.arange(2.0 * RUNS).reshape(2, RUNS)
    assert_same(on_vectors(add, jnp.int32(3), x, y), (x + 3 * y, y))
    traced = jax.make_jaxpr(lambda n, x, y: on_vectors(add, n, x, y))(jnp.int32(3), x, y)
    loop = next(e for e in traced.eqns if e.primitive.name == "while")
    assert sum(v.aval.shape == (RUNS,) for v in loop.outvars) == 2  # the two entries of x
    assert sum(v.aval.shape == () for v in loop.outvars) == 1  # where it is, not where it ends


def test_scatters_that_add_and_multiply_change_their_rows_alone():
    x, y = jnp.arange(3.0 * RUNS).reshape(3, RUNS), 2 + jnp.arange(1.0 * RUNS)
    for change in (lambda x, y: x.at[1].add(y), lambda x, y: x.at[1].multiply(y)):
        with jax.numpy_dtype_promotion("standard"):
            assert_same(on_vectors(change, x, y), change(x, y))


def test_no_integer_is_bitcast_to_an_integer():
    """Mosaic's forgets the sign: the angle of a normal would be read as a large positive number."""
    mix, words, _ = problem(2, 2)
    draw = partial(stream.draw_together, block=1)
    traced = jax.make_jaxpr(lambda w, m, s: on_vectors(draw, w, m, s))(words, mix, lanes.thresholds(mix.weights))
    casts = [e for e in traced.eqns if e.primitive.name == "bitcast_convert_type"]
    kinds = [{v.aval.dtype.kind == "f" for v in (e.invars[0], e.outvars[0])} for e in casts]
    assert kinds  # the logarithm looks into a float
    assert all(kind == {False, True} for kind in kinds)


def test_a_signed_select_has_its_sign_set():
    """Mosaic's may have lost it: the twin of streaming EM would move by 4e9 where it should by -1."""
    x = jnp.arange(RUNS, dtype=jnp.int32)
    choose = lambda x: jnp.where(x == 2, 1, -1).astype(jnp.float32)  # noqa: E731
    assert_same(on_vectors(choose, x), choose(x))
    traced = jax.make_jaxpr(lambda x: on_vectors(choose, x))(x)
    names = [e.primitive.name for e in traced.eqns]
    after = traced.eqns[names.index("select_n") + 1 :][:2]
    assert [e.outvars[0].aval.dtype for e in after] == [jnp.uint32, jnp.int32]


@pytest.mark.parametrize("power", [-3, -1, 0, 1, 2, 5])
def test_whole_powers_are_written_as_those_that_mosaic_has(power):
    x = jnp.linspace(-2, 2, RUNS)
    assert_allclose(on_vectors(lambda x: lax.integer_pow(x, power), x), lax.integer_pow(x, power), rtol=1e-6)
    traced = jax.make_jaxpr(lambda x: on_vectors(lambda x: lax.integer_pow(x, power), x))(x)
    assert all(e.params["y"] == -1 or e.params["y"] > 1 for e in traced.eqns if e.primitive.name == "integer_pow")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[..., ::-1], "one run to another"),
        (lambda x: jnp.sum(x, axis=-1, keepdims=True) + x, "over runs"),
        (lambda x: x - x[:, :1], "run"),
        (lambda x: x[np.arange(RUNS) % 3, np.arange(RUNS)][None] + x, "otherwise than those of another"),
        (lambda x: jnp.sort(x, axis=0), "sort"),
        (lambda x: x + jnp.arange(RUNS, dtype=x.dtype)[None], "the same for every run"),
        (lambda x: x[(x[0, 0] > 0).astype(jnp.int32)][None] + x, "run"),
    ],
)
def test_what_mixes_runs_or_has_no_rule_is_refused(function, message):
    with pytest.raises(kernels.NotOnVectors, match=message):
        on_vectors(function, jnp.ones((3, RUNS)))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[1:3, ::2],
        lambda x: lax.slice(x, (1, 0, 0), (4, 3, 2), (2, 1, 1)),
        lambda x: x[:, 1:2].squeeze(1),
        lambda x: jnp.broadcast_to(x[:, None], (4, 5, 3, 2)),
        lambda x: lax.broadcast_in_dim(x[0, 0], (3, 2, 4), (1,)),
        lambda x: jnp.broadcast_to(x[1, 2, 0], (2, 3)),
    ],
)
def test_what_numpy_does_while_tracing_is_what_jax_does(function, monkeypatch):
    x = np.arange(24, dtype=np.int32).reshape(4, 3, 2)
    closed = jax.make_jaxpr(function)(x)
    assert any(equation.primitive.name in registers.NUMPY for equation in closed.jaxpr.eqns)
    monkeypatch.setattr(registers.machine, "on_host", None)  # not asked
    (found,) = registers.evaluate(closed, [x], runs=2)
    assert_array_equal(found, function(jnp.asarray(x)), strict=True)
