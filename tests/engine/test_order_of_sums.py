"""No program of the reference back end holds a sum that a compiler may reorder, so a run's bits are its own.

The programs are walked, operation by operation.
"""

from functools import partial

import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jgmm
from jgmm import lanes, mixture, rates, sampling, start, steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.engine import scan
from jgmm.engine.together import ready

KEY = jax.random.key(0)
INSIDE = {"jit", "pjit", "while", "cond", "scan", "shard_map", "closed_call", "custom_jvp_call", "custom_vjp_call"}
_MOVES = """
    broadcast_in_dim reshape transpose squeeze unstack slice dynamic_slice dynamic_update_slice concatenate stack pad
    gather scatter copy iota rev select_n split device_put convert_element_type bitcast_convert_type
    stop_gradient optimization_barrier copy_p pvary expand_dims
"""
MOVES = frozenset(_MOVES.split())
_ELEMENTWISE = """
    add sub mul div neg sqrt rsqrt square integer_pow pow exp log log1p tanh max min abs sign floor round clamp
    erf_inv is_finite add_any eq ne lt le gt ge eq_to le_to lt_to
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
COMPARISONS = {"reduce_max", "reduce_min", "argmax", "argmin", "reduce_or", "reduce_and"}  # exact in any order


@pytest.fixture(autouse=True)
def strict():
    """optax promotes, and so does the study layer; the kernels are held to it elsewhere."""


def inner(value):
    """The jaxprs in a parameter of an operation."""
    if hasattr(value, "eqns"):
        yield value
    elif hasattr(value, "jaxpr"):
        yield value.jaxpr
    elif isinstance(value, tuple | list):
        for each in value:
            yield from inner(each)


def reorderable(jaxpr):
    """Operations on floats that are neither elementwise, nor move numbers, nor compare them."""
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        below = [each for value in equation.params.values() for each in inner(value)]
        if name in INSIDE and below:
            for each in below:
                yield from reorderable(each)
        floats = [x for x in (*equation.invars, *equation.outvars) if jnp.issubdtype(x.aval.dtype, jnp.floating)]
        if floats and name not in INSIDE | MOVES | ELEMENTWISE | COMPARISONS:
            yield name


def found_in(function, *args, **static):
    whole = function if hasattr(function, "trace") else jax.jit(partial(function, **static))
    return set(reorderable(whole.trace(*args, **(static if whole is function else {})).jaxpr.jaxpr))


@pytest.mark.parametrize(
    ("planted", "name"),
    [
        (lambda x: jnp.sum(x, axis=0), "reduce_sum"),
        (lambda x: x.mean(), "reduce_sum"),
        (lambda x: jnp.prod(x, axis=0), "reduce_prod"),
        (lambda x: jnp.dot(x, x), "dot_general"),
        (lambda x: jnp.einsum("ij,ij->j", x, x), "dot_general"),
        (lambda x: jnp.cumsum(x, axis=0), "cumsum"),
        (lambda x: x.at[jnp.array([0, 0])].add(1.0), "scatter-add"),
        (lambda x: jnp.linalg.svd(x)[1], "svd"),
        (lambda x: jnp.linalg.qr(x)[0], "qr"),
        (lambda x: jnp.linalg.eigh(x)[1], "eigh"),
        (lambda x: jax.nn.softmax(x, axis=0), "reduce_sum"),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, s: s + jax.jit(jnp.sum)(s), x), "reduce_sum"),
        (lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (2, 1), (1, 1), "VALID"), "reduce_window_sum"),
    ],
)
def test_a_planted_sum_is_found(planted, name):
    assert name in found_in(planted, jnp.ones((3, 3)))


def test_whole_numbers_and_comparisons_are_exact_in_any_order():
    assert not found_in(lambda x: (x > 0).sum() + x.argmax() + (x == x.max()).any(), jnp.ones(5))


SIMPLEX, PAIR = mixture.simplex(3, 4, separation=3.0), mixture.symmetric(3, separation=3.0)
WIDE = mixture.simplex(4, 40, separation=3.0)
SCHEDULE = rates.polynomial(1.0, 0.7, 5.0)
STREAMS = {
    "lloyd": (lloyd.LLOYD, SIMPLEX, {"steps": 0.05, "twin": True}),
    "wide": (lloyd.LLOYD, WIDE, {"steps": 0.05, "twin": True}),
    "polynomial": (lloyd.LLOYD, SIMPLEX, {"steps": SCHEDULE, "twin": True}),
    "1/n": (lloyd.LLOYD, SIMPLEX, {"steps": steps.inverse_count(), "twin": True}),
    "adam": (lloyd.LLOYD, SIMPLEX, {"steps": steps.adam(0.01)}),
    "momentum": (lloyd.LLOYD, SIMPLEX, {"steps": optax.sgd(0.01, momentum=0.9)}),
    "averaged": (lloyd.LLOYD, SIMPLEX, {"steps": 0.05, "average": 10}),
    "soft": (soft.SOFT, SIMPLEX, {"steps": 0.05, "beta": 1.0, "twin": True}),
    "oracle": (lloyd.ORACLE, SIMPLEX, {"steps": steps.inverse_count(0)}),
    "em": (em.EM, PAIR, {"steps": 0.05, "twin": True}),
}


def found_in_stream(stream):
    given = stream.carry, stream.given, np.int32(2), np.int32(5)
    return found_in(scan.advanced, *given, kernel=stream.kernel, mesh=stream.mesh)


@pytest.mark.parametrize("name", STREAMS)
def test_the_stream_of_an_algorithm_adds_in_a_written_order(name):
    algorithm, mixed, more = STREAMS[name]
    batch = jgmm.batch(KEY, range(3), mixed)
    begin = start.offset_start(KEY, batch, 0.5)[: algorithm.estimates(len(mixed.means))]
    found = ready(batch, algorithm, begin, **more)
    assert not found_in_stream(scan.open(found.kernel, batch.words, found.state, found.params, batch.mixture))


@pytest.mark.parametrize("kernel", [pca.POWER, pca.OJA])
def test_power_iteration_adds_in_a_written_order(kernel):
    assert not found_in_stream(scan.open(*golden.given(golden.Case(kernel, 4, 3), 3)))
    assert not found_in(pca.orthonormalize, jnp.ones((3, 4, 5)))


def test_what_is_drawn_outside_a_stream_adds_in_a_written_order():
    batch = jgmm.batch(KEY, range(3), SIMPLEX)
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("runs",))
    assert not found_in(scan.drawn, batch.words, sampling.source(batch.mixture), n=24, pair=lanes.normal_pair, mesh=one)
