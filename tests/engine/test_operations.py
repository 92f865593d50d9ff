"""The list of operations: what is fused, joined and folded, and what each operation is, to the bit."""

import golden
import jax.numpy as jnp
import numpy as np
import numpy_list
import pytest
from jax import lax
from numpy.testing import assert_array_equal

from jgmm.contract import Kernel
from jgmm.engine import cpu
from jgmm.engine.operations import MIXED, Operations


@pytest.fixture
def ops():
    return Operations()


def inputs(ops, names, dtype="float32"):
    return [ops.input((name,), dtype) for name in names]


# --- what is fused ---


@pytest.mark.parametrize(
    ("written", "signs"),
    [
        (lambda f, ab, c: f("add", ab, c), (1, 1)),  # a b + c
        (lambda f, ab, c: f("add", c, ab), (1, 1)),
        (lambda f, ab, c: f("sub", ab, c), (1, -1)),  # a b - c
        (lambda f, ab, c: f("sub", c, ab), (-1, 1)),  # c - a b
        (lambda f, ab, c: f("add", f("neg", ab), c), (-1, 1)),
        (lambda f, ab, c: f("add", c, f("neg", ab)), (-1, 1)),
        (lambda f, ab, c: f("sub", f("neg", ab), c), (-1, -1)),
        (lambda f, ab, c: f("sub", c, f("neg", ab)), (1, 1)),
    ],
)
def test_a_product_that_feeds_a_sum_is_rounded_with_it(ops, written, signs):
    a, b, c = inputs(ops, "abc")
    node = written(ops.apply, ops.apply("mul", a, b), c)
    assert (node.op, node.data, node.args) == ("fma", signs, (a, b, c))


def test_of_two_products_the_first_is_the_fused_one(ops):
    a, b, c, d = inputs(ops, "abcd")
    first, second = ops.apply("mul", a, b), ops.apply("mul", c, d)
    assert ops.apply("add", first, second).args == (a, b, second)
    assert ops.apply("sub", first, second).args == (a, b, second)
    assert ops.apply("add", second, first).args == (c, d, first)


def test_a_product_that_is_used_twice_is_fused_and_computed(ops):
    a, b, c = inputs(ops, "abc")
    product = ops.apply("mul", a, b)
    assert ops.apply("add", product, c).op == "fma"
    assert ops.apply("max", product, c).args == (product, c)


@pytest.mark.parametrize("between", ["abs", "sqrt"])
def test_what_is_done_with_a_product_first_keeps_it_apart(ops, between):
    a, b, c = inputs(ops, "abc")
    assert ops.apply("add", ops.apply(between, ops.apply("mul", a, b)), c).op == "add"


def test_products_of_integers_are_not_fused(ops):
    a, b, c = inputs(ops, "abc", "int32")
    assert ops.apply("add", ops.apply("mul", a, b), c).op == "add"


# --- what is joined, and what is not ---


def test_equal_operations_are_one(ops):
    a, b = inputs(ops, "ab")
    assert ops.apply("add", a, b) is ops.apply("add", a, b)
    assert ops.number(1, "float32") is ops.number(1.0, "float32")
    assert ops.number(1, "float32") is not ops.number(1, "float64")
    assert ops.number(0.0, "float32") is not ops.number(-0.0, "float32")


def test_nothing_is_reordered(ops):
    a, b, c = inputs(ops, "abc")
    assert ops.apply("add", a, b) is not ops.apply("add", b, a)
    left = ops.apply("add", ops.apply("add", a, b), c)
    assert left.args == (ops.apply("add", a, b), c)
    assert left is not ops.apply("add", a, ops.apply("add", b, c))
    one = ops.number(1, "float32")
    assert ops.apply("add", ops.apply("add", a, one), one).args[0].args == (a, one)


# --- what is known ---

SAME = [("sub", 0.0), ("mul", 1.0), ("div", 1.0)]
NOT_THE_SAME = [("add", 0.0), ("add", -0.0), ("sub", -0.0), ("mul", 0.0), ("mul", -1.0), ("div", -1.0), ("div", 0.0)]


@pytest.mark.parametrize(("op", "number"), SAME)
def test_what_changes_no_number_is_left_out(ops, op, number):
    (a,) = inputs(ops, "a")
    assert ops.apply(op, a, ops.number(number, "float32")) is a


@pytest.mark.parametrize(("op", "number"), NOT_THE_SAME)
def test_what_changes_a_zero_or_nan_is_computed(ops, op, number):
    (a,) = inputs(ops, "a")
    assert ops.apply(op, a, ops.number(number, "float32")).op == op


def test_twice_negative_is_itself_and_once_is_not(ops):
    (a,) = inputs(ops, "a")
    assert ops.apply("neg", ops.apply("neg", a)) is a
    assert ops.apply("mul", ops.number(1, "float32"), a) is a
    assert ops.apply("sub", ops.number(0, "float32"), a).op == "sub"  # of 0 it is 0, not -0


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("op", "numbers", "expected"),
    [
        ("add", (-0.0, 0.0), 0.0),
        ("add", (-0.0, -0.0), -0.0),
        ("sub", (0.0, 0.0), 0.0),
        ("mul", (-0.0, 2.0), -0.0),
        ("div", (1.0, -0.0), -INF),
        ("div", (0.0, 0.0), NAN),
        ("sub", (INF, INF), NAN),
        ("sqrt", (-1.0,), NAN),
        ("sqrt", (-0.0,), -0.0),
        ("neg", (0.0,), -0.0),
        ("max", (NAN, 1.0), NAN),
        ("max", (1.0, NAN), NAN),
        ("max", (0.0, -0.0), 0.0),
        ("max", (-0.0, 0.0), -0.0),  # neither is beyond the other: the first
        ("min", (NAN, 1.0), NAN),
        ("min", (-0.0, 0.0), -0.0),
        ("min", (0.0, -0.0), 0.0),
        ("add", (1.0, 2.0**-24), 1.0),
        ("mul", (2.0**-126, 0.5), 2.0**-127),
        ("lt", (NAN, 1.0), False),
        ("ne", (NAN, NAN), True),
        ("eq", (0.0, -0.0), True),
    ],
)
def test_numbers_are_folded_as_they_would_be_computed(ops, op, numbers, expected):
    node = ops.apply(op, *(ops.number(x, "float32") for x in numbers))
    assert node.op == "number"
    assert_array_equal(node.number(), np.array(expected, node.dtype))
    assert np.signbit(node.number()) == np.signbit(expected) or np.isnan(expected)


def test_a_choice_that_is_known_is_made(ops):
    a, b = inputs(ops, "ab")
    flag = ops.input(("f",), "bool")
    assert ops.apply("select", ops.number(True, "bool"), a, b) is a
    assert ops.apply("select", ops.number(False, "bool"), a, b) is b
    assert ops.apply("select", flag, a, a) is a
    assert ops.apply("select", flag, a, b).args == (flag, a, b)


def test_integers_are_of_twos_complement(ops):
    most, one = ops.number(2**31 - 1, "int32"), ops.number(1, "int32")
    assert ops.apply("add", most, one).number() == -(2**31)
    assert ops.apply("bitcast", ops.number(-1, "int32"), dtype="uint32").number() == 2**32 - 1
    assert ops.apply("bitcast", ops.number(1, "float32"), dtype="int32").number() == 0x3F800000


def test_an_operation_without_a_rule_is_named(ops):
    with pytest.raises(ValueError, match="the operation erf has no rule"):
        ops.apply("erf", *inputs(ops, "a"))


# --- coordinates and totals ---


def test_a_node_knows_its_coordinate_and_how_many_totals_it_waits_for(ops):
    first, second, none = (
        ops.input(("x", 0), "float32", 0),
        ops.input(("x", 1), "float32", 1),
        ops.input("r", "float32"),
    )
    assert [n.tag for n in (first, none, ops.apply("add", first, none))] == [0, None, 0]
    both = ops.apply("add", first, second)
    assert both.tag == MIXED
    total = ops.total(both)
    assert (total.tag, total.depth, both.depth) == (None, 1, 0)
    assert ops.total(ops.apply("mul", total, first)).depth == 2


# --- each operation, compiled and on NumPy ---

EDGES = np.array([0, 1, 1.5, 2.5, 3e9, 2.0**-127, 1e-45, 3.4e38, 2.0**24 + 2, INF, NAN, 255.5, 127.0], np.float32)
FLOATS = np.concatenate([EDGES, -EDGES])
WORDS = np.array([0, 1, 2, 7, 31, 2**31 - 1, -1, -2, -(2**31), 12345, -99], np.int32)
A, B = (x.ravel() for x in np.meshgrid(FLOATS, FLOATS))
M, N = (np.resize(x.ravel(), A.shape) for x in np.meshgrid(WORDS, WORDS))


def unsigned(x):
    return lax.bitcast_convert_type(x, jnp.uint32)


EACH = {
    "add": lambda a, b, i, j: a + b,
    "sub": lambda a, b, i, j: a - b,
    "mul": lambda a, b, i, j: a * b,
    "div": lambda a, b, i, j: a / b,
    "fma": lambda a, b, i, j: a * b + a,
    "fma, less the term": lambda a, b, i, j: a * b - b,
    "fma, less the product": lambda a, b, i, j: b - a * a,
    "fma, less both": lambda a, b, i, j: -(a * b) - a,
    "neg": lambda a, b, i, j: -a,
    "abs": lambda a, b, i, j: abs(a),
    "sqrt": lambda a, b, i, j: jnp.sqrt(a),
    "floor": lambda a, b, i, j: jnp.floor(a),
    "ceil": lambda a, b, i, j: jnp.ceil(a),
    "max": lambda a, b, i, j: lax.max(a, b),
    "min": lambda a, b, i, j: lax.min(a, b),
    "max of a number": lambda a, b, i, j: lax.max(a, jnp.zeros_like(a)),
    "lt": lambda a, b, i, j: a < b,
    "le": lambda a, b, i, j: a <= b,
    "gt": lambda a, b, i, j: a > b,
    "ge": lambda a, b, i, j: a >= b,
    "eq": lambda a, b, i, j: a == b,
    "ne": lambda a, b, i, j: a != b,
    "select": lambda a, b, i, j: jnp.where(i < j, a, b),
    "as integers": lambda a, b, i, j: a.astype(jnp.int32),
    "as floats": lambda a, b, i, j: i.astype(jnp.float32),
    "from unsigned": lambda a, b, i, j: unsigned(i).astype(jnp.float32),
    "to unsigned": lambda a, b, i, j: abs(a).astype(jnp.uint32),
    "as a flag": lambda a, b, i, j: i.astype(bool),
    "from a flag": lambda a, b, i, j: (a < b).astype(jnp.float32),
    "narrow": lambda a, b, i, j: i.astype(jnp.int8),
    "bits": lambda a, b, i, j: lax.bitcast_convert_type(i, jnp.float32),
    "integers": lambda a, b, i, j: i * j + i - j,
    "largest integers": lambda a, b, i, j: lax.max(i, j) + lax.min(i, j),
    "largest unsigned": lambda a, b, i, j: lax.max(unsigned(i), unsigned(j)),
    "abs of integers": lambda a, b, i, j: abs(i) - (-j),
    "order of integers": lambda a, b, i, j: (i < j) | (unsigned(i) > unsigned(j)),
    "and, or, xor, not": lambda a, b, i, j: (i & j) ^ (i | ~j),
    "flags": lambda a, b, i, j: ((a < b) & ~(i < j)) ^ (i == j),
    "shift left": lambda a, b, i, j: i << (j & 31),
    "shift right": lambda a, b, i, j: i >> (j & 31),
    "shift right, unsigned": lambda a, b, i, j: lax.shift_right_logical(i, j & 31),
    "sign": lambda a, b, i, j: jnp.sign(a),
    "powers": lambda a, b, i, j: a**3 + lax.integer_pow(b, -2),
    "clamp": lambda a, b, i, j: lax.clamp(jnp.float32(-1), a, jnp.float32(2)),
    "rest": lambda a, b, i, j: lax.rem(i, jnp.full_like(i, 7)),
    "finite": lambda a, b, i, j: jnp.isfinite(a),
}


def all_of_them(state, sample, params):
    del state, sample
    return {name: function(*params) for name, function in EACH.items()}


@pytest.fixture(scope="module")
def results():
    """What compiled code, NumPy by the list, and JAX itself make of each."""
    runs, d = len(A), 2
    words = np.arange(4 * 3 * runs, dtype=np.uint32).reshape(4, 3, runs)
    ones = np.ones((1, d, runs), np.float32)
    mixture = golden.Mixture(ones, np.ones((1, runs), np.float32), ones[:, 0])
    with np.errstate(all="ignore"):
        known = {name: np.asarray(function(*map(jnp.asarray, (A, B, M, N)))) for name, function in EACH.items()}
    state = {name: np.zeros_like(x) for name, x in known.items()}
    found = []
    for open_stream in (cpu.open, numpy_list.open):
        stream = open_stream(Kernel(all_of_them), golden.LaneState(*words), state, (A, B, M, N), mixture)
        stream.advance(1)
        found.append(stream.state())
    return *found, known


@pytest.mark.parametrize("name", EACH)
def test_an_operation_is_the_same_compiled_and_on_numpy(results, name):
    compiled, by_list, _ = (each[name] for each in results)
    assert compiled.dtype == by_list.dtype
    assert_array_equal(compiled, by_list)
    if compiled.dtype.kind == "f":
        there = ~np.isnan(compiled)
        assert_array_equal(np.signbit(compiled[there]), np.signbit(by_list[there]))


# XLA on a CPU counts subnormal numbers as zeros, and does not fuse what is one operation after another.
OTHERWISE = {"fma", "fma, less the term", "fma, less the product", "fma, less both", "powers"}


@pytest.mark.parametrize("name", sorted(EACH.keys() - OTHERWISE))
def test_an_operation_is_what_jax_has_it_to_be(results, name):
    compiled, _, known = (each[name] for each in results)
    normal = np.ones(A.shape, bool)
    for x in (A, B, known, compiled, M.view(np.float32)):
        normal &= (abs(x) >= 2.0**-126) | (x == 0) if x.dtype == np.float32 else True
    assert_array_equal(compiled[normal], known[normal])
