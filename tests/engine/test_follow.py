"""Jaxprs followed on single numbers of a run: held to JAX itself, in a written order, refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import numpy_list
import optax
import pytest
from jax import lax
from numpy.testing import assert_array_equal

from jgmm import elementary
from jgmm.contract import Refused
from jgmm.engine.follow import Follower
from jgmm.engine.nodes import RUNS, NodeArray, each
from jgmm.engine.operations import Operations
from jgmm.engine.program import Piece


def nodes(function, *arrays):
    """The results' nodes for arrays like these, runs last (or numbers); and what was followed."""
    operations = Operations()
    given = []
    for n, x in enumerate(arrays):
        at = np.empty(x.shape[:-1], object)
        for index in np.ndindex(at.shape):
            at[index] = operations.input((n, index), str(x.dtype))
        given.append(NodeArray(at, str(x.dtype), not x.ndim))
    return Follower(operations).call(function, *given)


def followed(function, *arrays):
    """function(*arrays) by NumPy, from the list."""
    held, tree = jax.tree.flatten(nodes(function, *arrays), is_leaf=lambda x: isinstance(x, NodeArray))
    results = {(n, index): x.nodes[index] for n, x in enumerate(held) for index in np.ndindex(x.nodes.shape)}
    with np.errstate(all="ignore"):
        values = numpy_list.Lists(1, np.zeros((1, 1), bool)).results(
            Piece(results),
            lambda name: np.atleast_2d(arrays[name[0]][name[1]] if arrays[name[0]].ndim else arrays[name[0]]),
        )
    runs = max(x.shape[-1] for x in arrays if x.ndim)
    out = []
    for n, x in enumerate(held):
        whole = np.empty((*x.nodes.shape, runs), x.dtype)
        for index in np.ndindex(x.nodes.shape):
            whole[index] = values[n, index][0]
        out.append(whole[..., 0] if x.scalar else whole)
    return jax.tree.unflatten(tree, out)


# Whole numbers, so that sums have one result in any order.
RNG = np.random.default_rng(0)
A = RNG.integers(-9, 9, (3, 4, RUNS)).astype(np.float32)
B = RNG.integers(-9, 9, (4, RUNS)).astype(np.float32)
N = RNG.integers(-9, 9, (3, 4, RUNS)).astype(np.int32)


def counted(a):
    def body(carry, row):
        count, total = carry
        return (count + 1, total * 2 + row), total - row

    return lax.scan(body, (jnp.int32(0), jnp.zeros_like(a[0])), a)


def backwards(a):
    return lax.scan(lambda carry, row: (carry * 2 + row, carry), jnp.zeros_like(a[0]), a, reverse=True)


ARRAYS = {
    "broadcast": lambda a, b, n: a + b[None],
    "a number for all": lambda a, b, n: a * 3 - jnp.ones_like(a),
    "reshape": lambda a, b, n: a.reshape(12, -1)[5:9].reshape(2, 2, -1),
    "transpose": lambda a, b, n: a.transpose(1, 0, 2) + b[:, None],
    "squeeze": lambda a, b, n: a[1:2].squeeze(0),
    "slice": lambda a, b, n: a[::2, 1:4:2],
    "reverse": lambda a, b, n: a[::-1] - jnp.flip(a, axis=1),
    "concatenate": lambda a, b, n: jnp.concatenate([a, b[None], a[:1]]),
    "stack": lambda a, b, n: jnp.stack([b, a[0]], axis=1),
    "stack numbers": lambda a, b, n: jnp.stack([b[0], a[0, 1], b[2]]),
    "gather": lambda a, b, n: a[jnp.array([2, 0, 2])],
    "gather from behind": lambda a, b, n: a[:, -1] + b[jnp.array([-2, 1, 0])],
    "dynamic slice": lambda a, b, n: lax.dynamic_slice_in_dim(a, 2, 2, axis=1),
    "dynamic slice, moved inside": lambda a, b, n: lax.dynamic_slice_in_dim(a, 9, 2, axis=0),
    "unstack": lambda a, b, n: [row + b for row in a] + list(b),
    "set": lambda a, b, n: a.at[1].set(b).at[0, 2].set(b[1]),
    "add at": lambda a, b, n: a.at[:, 1].add(b[:3]).at[jnp.array([0, 2])].add(b[None]),
    "multiply at": lambda a, b, n: a.at[2].multiply(b),
    "sum": lambda a, b, n: a.sum(axis=0) + a.sum(axis=(0, 1))[None],
    "product": lambda a, b, n: n.prod(axis=1),
    "largest": lambda a, b, n: a.max(axis=1)[:, None] - a.min(axis=0)[None],
    "any and all": lambda a, b, n: jnp.any(a > 3, axis=0) ^ jnp.all(n > -5, axis=0),
    "cumulated": lambda a, b, n: jnp.cumsum(a, axis=1) + jnp.cumsum(n, axis=0).astype(jnp.float32),
    "cumulated backwards": lambda a, b, n: lax.cumsum(a, axis=0, reverse=True) + lax.cummax(a, axis=1, reverse=True),
    "cumulated products": lambda a, b, n: jnp.cumprod(n, axis=1) + lax.cummin(n, axis=0),
    "the first smallest": lambda a, b, n: jnp.argmin(jnp.floor(a / 8), axis=0),
    "the first largest": lambda a, b, n: jnp.argmax(jnp.floor(a / 8), axis=1),
    "scan": lambda a, b, n: counted(a),
    "scan backwards": lambda a, b, n: backwards(a),
    "loop": lambda a, b, n: lax.fori_loop(0, 3, lambda i, x: x * 2 + a[i], b),
    "which": lambda a, b, n: lax.select_n(jnp.clip(n, 0, 2), a, -a, 2 * a),
    "where": lambda a, b, n: jnp.where(a > b[None], a, 0),
    "known": lambda a, b, n: (
        a * jnp.array([1.0, 2, 4])[:, None, None] + jnp.arange(4, dtype=jnp.float32)[None, :, None]
    ),
    "functions": lambda a, b, n: jax.nn.relu(a) + jax.jit(lambda x: x + 1)(a) + jax.checkpoint(jnp.abs)(a),
    "vmap": lambda a, b, n: jax.vmap(lambda row: row * row[0][None])(a),
    "gradient": lambda a, b, n: jax.vjp(lambda x: (x - b[None]) ** 3, a)[1](jnp.ones_like(a))[0],
    "a pytree": lambda a, b, n: {"a": (a, b), "n": -n},
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_what_jax_makes_of_them(name):
    found, expected = followed(ARRAYS[name], A, B, N), ARRAYS[name](*map(jnp.asarray, (A, B, N)))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        assert_array_equal(one, np.asarray(other))


@pytest.mark.parametrize("find", [jnp.argmin, jnp.argmax])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_nan_is_beyond_all(find, at):
    a = A[:, 0].copy()
    a[at, :3] = np.nan
    assert_array_equal(followed(lambda x: find(x, axis=0), a), find(jnp.asarray(a), axis=0))


def test_sums_are_in_the_order_of_the_entries():
    a = np.ones((4, RUNS), np.float32) * np.array([1, 2.0**24, 1, -(2.0**24)], np.float32)[:, None]
    by_hand = ((a[0] + a[1]) + a[2]) + a[3]
    assert by_hand[0] == 0
    assert_array_equal(followed(lambda x: x.sum(axis=0), a), by_hand)
    assert_array_equal(followed(lambda x: jnp.cumsum(x, axis=0)[-1], a), by_hand)
    assert followed(lambda x: x[::-1].sum(axis=0), a)[0] == 2


def test_a_power_is_of_squares():
    x = np.array([[1 + 2.0**-12] * RUNS], np.float32)
    square = x * x
    assert_array_equal(followed(lambda x: x**5, x), x * (square * square))
    assert_array_equal(followed(lambda x: x**-2, x), 1 / square)


def test_loops_are_written_out():
    ((count, total), rows) = nodes(counted, A)
    assert count.nodes[()].op == "number"
    assert (total.nodes.shape, rows.nodes.shape) == ((4,), (3, 4))


FUNCTIONS = {
    "exp": jnp.exp,
    "log": jnp.log,
    "tanh": jnp.tanh,
    "expm1": jnp.expm1,
    "log1p": jnp.log1p,
    "logistic": jax.nn.sigmoid,
    "rsqrt": lax.rsqrt,
    "pow": lambda x: x ** jnp.full_like(x, 0.7),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_those_of_elementary(name):
    x = np.linspace(0.01, 5, 4 * RUNS, dtype=np.float32).reshape(4, RUNS)
    ours = getattr(elementary, name)
    expected = followed((lambda y: ours(y, jnp.full_like(y, 0.7))) if name == "pow" else ours, x)
    found = followed(FUNCTIONS[name], x)
    assert found.tobytes() == expected.tobytes()
    np.testing.assert_allclose(found, FUNCTIONS[name](x), rtol=1e-6)


def test_a_number_that_is_known_has_our_functions_too():
    def scaled(x):
        return x[0] * jnp.exp(jnp.float32(0.3))

    assert "exp" not in {node.op for node in nodes(scaled, B).nodes.ravel()}
    np.testing.assert_allclose(followed(scaled, B), B[0] * np.exp(np.float32(0.3)), rtol=1e-6)


# --- what is refused, by its name ---

REFUSED = {
    "slice moves numbers, of roll": lambda a: jnp.roll(a, 1, axis=-1),
    "sort": lambda a: jnp.sort(a, axis=-1),
    "concatenate moves numbers": lambda a: jnp.concatenate([a, a], axis=-1),
    "stack moves numbers|concatenate moves numbers": lambda a: jnp.stack([a, a], axis=-1),
    "sort has no rule": lambda a: jnp.sort(a, axis=0),
    "reduce_sum goes over runs": lambda a: a.sum(axis=-1, keepdims=True) + a,
    "reduce_max goes over runs": lambda a: a - a.max(),
    "argmin goes over runs": lambda a: jnp.argmin(a, axis=-1),
    "cumsum goes over runs": lambda a: jnp.cumsum(a, axis=-1),
    "rev moves numbers": lambda a: a[:, :, ::-1],
    "slice moves numbers": lambda a: a + a[:, :, 2:3],
    "dynamic_slice moves numbers": lambda a: lax.dynamic_slice_in_dim(a, 1, 2, axis=2),
    "gather moves numbers": lambda a: a[:, :, jnp.array([1, 0, 2, 3, 4, 5, 6])],
    "scatter moves numbers": lambda a: a.at[:, :, 1].set(0),
    "transpose moves numbers": lambda a: a.transpose(2, 0, 1),
    "reshape moves numbers": lambda a: a.reshape(3, -1),
    "is not the same for every run": lambda a: a * jnp.arange(7, dtype=jnp.float32)[None, None],
    "dot_general": lambda a: jnp.einsum("kdr,kdr->kr", a, a),
    "erf has no rule": lambda a: lax.erf(a),
    "sin has no rule": lambda a: jnp.sin(a),
    "sin has no rule, of what is known": lambda a: a + jnp.sin(jnp.float32(0.3)),
    "div has no rule": lambda a: lax.div(a.astype(jnp.int32), jnp.int32(3)),
    "while has no rule": lambda a: lax.while_loop(lambda x: x[0, 0, 0] < 3, lambda x: x + 1, a),
    "rem by anything but a known positive integer has no rule": lambda a: lax.rem(a, jnp.full_like(a, 3)),
    "an index that is data": lambda a, n: lax.dynamic_slice_in_dim(a, n, 1),
    "goes over runs": lambda a: optax.clip_by_global_norm(1.0).update(a, optax.EmptyState())[0],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_mixes_runs_or_has_no_rule_is_named(name):
    with pytest.raises(Refused, match=name.partition(",")[0]):
        nodes(REFUSED[name], A, *[np.int32(3)] * (REFUSED[name].__code__.co_argcount - 1))


def test_of_branches_that_depend_on_data_each_result_is_chosen():
    def either(a, n):
        return lax.cond(n % 4 == 3, lambda x: x + 1, lambda x: -x, a)

    for n in (2, 3, 7):
        assert_array_equal(followed(either, A, np.int32(n)), either(A, np.int32(n)))


# --- entries ---


def test_each_goes_over_entries():
    out = each(lambda a, b: (a, b), np.array([[1], [2]]), np.array([3, 4]))
    assert out.tolist() == [[(1, 3), (1, 4)], [(2, 3), (2, 4)]]
    assert each(lambda a: a + 1, np.array(1))[()] == 2
