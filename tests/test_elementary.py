"""Elementary functions: by hand, at the edges of IEEE 754, and against longer numbers over every float32.

The arithmetic is NumPy's, one operation of the jaxpr after the other: IEEE's, with subnormal numbers, which XLA on a
CPU flushes. It is run with multiply-adds fused and without.
"""

import re
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import elementary

WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "rsqrt": lambda x: 1 / np.sqrt(x),
}
ONE_ARGUMENT = sorted(REFERENCES)
FLOATS = [np.float32, np.float64]
ALLOWED = {
    *("add", "sub", "mul", "div", "neg", "abs", "sqrt", "min", "max", "eq", "ne", "lt", "le", "gt", "ge"),
    *("and", "or", "xor", "not", "shift_left", "shift_right_logical", "shift_right_arithmetic"),
    *("select_n", "convert_element_type", "bitcast_convert_type", "broadcast_in_dim", "jit"),
}
NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "min": np.minimum,
    "max": np.maximum,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "shift_left": np.left_shift,
    "shift_right_arithmetic": np.right_shift,
    "select_n": lambda which, no, yes: np.where(which, yes, no),
}
HALVES = (np.arange(-20, 20) + 0.5) * np.log(2)  # where n changes
BREAKS = [
    ("exp", HALVES),
    ("expm1", HALVES),
    ("logistic", HALVES),
    ("tanh", HALVES / 2),
    ("log", np.sqrt(0.5) * 2.0 ** np.arange(-20, 20)),
    ("log1p", np.sqrt(0.5) * 2.0 ** np.arange(20) - 1),
]


@cache
def program(name, dtype):
    """The function's operations in order, calls written out, and how often each result is used."""
    with jax.enable_x64(dtype == np.float64):
        shapes = [jax.ShapeDtypeStruct((2,), dtype)] * (2 if name == "pow" else 1)
        closed = jax.make_jaxpr(getattr(elementary, name))(*shapes)
    operations, names = [], iter(range(10**6))

    def walk(jaxpr, arguments):
        known = dict(zip(jaxpr.invars, arguments, strict=True))

        def read(x):
            return np.asarray(x.val, x.aval.dtype) if hasattr(x, "val") else known[x]

        for equation in jaxpr.eqns:
            inputs = [read(x) for x in equation.invars]
            if equation.primitive.name in ("jit", "pjit"):
                results = walk(equation.params["jaxpr"].jaxpr, inputs)
            else:
                results = [next(names)]
                dtype = equation.outvars[0].aval.dtype
                operations.append((results[0], equation.primitive.name, inputs, dtype))
            known.update(zip(equation.outvars, results, strict=True))
        return [read(x) for x in jaxpr.outvars]

    arguments = [next(names) for _ in shapes]
    (result,) = walk(closed.jaxpr, arguments)
    used = [x for _, _, inputs, _ in operations for x in inputs if isinstance(x, int)]
    return arguments, operations, result, {x: used.count(x) for x in used}


def label(x):
    """The name of a result; none of a constant."""
    return x if isinstance(x, int) else None


def evaluate(name, *values, fused=None):
    """The function in NumPy. fused: None, or which operand of a sum is joined first where both are products."""
    arguments, operations, result, uses = program(name, values[0].dtype)
    known, products = dict(zip(arguments, values, strict=True)), {}

    def read(x):
        return known[x] if isinstance(x, int) else x

    with np.errstate(all="ignore"):
        for out, operation, inputs, dtype in operations:
            numbers = [read(x) for x in inputs]
            if operation == "convert_element_type":
                if dtype.kind == "i" and numbers[0].dtype.kind == "f":
                    assert (np.abs(numbers[0]) <= 2.0 ** (np.finfo(values[0].dtype).nmant + 1)).all()
                known[out] = numbers[0].astype(dtype)
            elif operation == "bitcast_convert_type":
                known[out] = numbers[0].view(dtype)
            elif operation == "broadcast_in_dim":
                known[out] = numbers[0]
            elif fused is not None and operation in ("add", "sub") and dtype.kind == "f":
                once = [i for i in (fused, 1 - fused) if uses.get(label(inputs[i])) == 1 and inputs[i] in products]
                for i in once[:1]:
                    first, second = products[inputs[i]]
                    numbers = [x.astype(WIDE[dtype]) for x in numbers]
                    numbers[i] = first.astype(WIDE[dtype]) * second
                known[out] = NUMPY[operation](*numbers).astype(dtype)
            else:
                if operation == "mul" and dtype.kind == "f":
                    products[out] = numbers
                known[out] = NUMPY[operation](*numbers)
    return known[result]


def errors(found, exact):
    """In units in the last place of the exact result; infinite where NaN or a sign is not what it should be."""
    kind = np.finfo(found.dtype)
    beyond = WIDE[found.dtype](2) ** kind.maxexp  # infinity, as a number: what is nearly so may be rounded either way
    finite = np.clip(exact, -beyond, beyond)
    with np.errstate(invalid="ignore"):
        unit = np.ldexp(WIDE[found.dtype](1), np.maximum(np.frexp(finite)[1], kind.minexp + 1) - kind.nmant - 1)
        off = np.abs(np.clip(found.astype(unit.dtype), -beyond, beyond) - finite) / unit
        wrong = (np.signbit(found) != np.signbit(exact)) & ~np.isnan(exact)
    return np.where(wrong | (np.isnan(found) != np.isnan(exact)), np.inf, np.where(np.isnan(exact), 0, off))


def power(x, y):
    """The reference, in longer numbers."""
    with np.errstate(all="ignore"):
        return np.power(x.astype(WIDE[x.dtype]), y.astype(WIDE[x.dtype]))


def worst(name, *values, fused=None):
    with np.errstate(all="ignore"):
        exact = power(*values) if name == "pow" else REFERENCES[name](values[0].astype(WIDE[values[0].dtype]))
    return errors(evaluate(name, *values, fused=fused), exact).max()


def every(step, start=0):
    """Float32 numbers of all sizes, the NaNs and infinities too: each `step`-th word."""
    return np.arange(start, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)


def doubles(count):
    """float64 numbers: any words, and such as the functions do something with."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    sizes = np.exp2(rng.uniform(-60, 10, count)) * rng.choice([-1, 1], count)
    return np.concatenate(
        [words, sizes, rng.uniform(-3, 3, count), 1 + sizes * 2.0**-10, rng.uniform(-760, 760, count)]
    )


def bases(dtype, count):
    """x and y of x^y: any words; results of all sizes from bases of all sizes, near 1 and from [1/2, 2]; schedules."""
    rng = np.random.default_rng(1)
    kind = np.finfo(dtype)
    words = rng.integers(0, 2**64, (2, count), dtype=np.uint64)
    words = (words >> np.uint64(64 - kind.bits)).astype(f"u{kind.bits // 8}").view(dtype)
    large = 2.0 ** rng.uniform(kind.minexp - 10, kind.maxexp - 1, count)
    near = 1 + rng.choice([-1, 1], count) * np.exp2(-rng.uniform(1, kind.nmant - 1, count))
    x = np.concatenate([large, near, rng.uniform(0.5, 2, count), rng.uniform(0.5, 2, count)]).astype(dtype)
    with np.errstate(divide="ignore"):
        y = rng.uniform(kind.minexp - kind.nmant - 5, kind.maxexp + 5, 4 * count) / np.log2(x.astype(WIDE[x.dtype]))
    y[-count:] = rng.integers(-500, 500, count)
    schedule = np.exp(rng.uniform(0, 21, count)), -rng.uniform(0, 1, count)
    with np.errstate(all="ignore"):
        return [
            np.concatenate([w, z.astype(dtype), s.astype(dtype)])
            for w, z, s in zip(words, (x, y), schedule, strict=True)
        ]


def of(name, values, dtype=np.float32):
    return evaluate(name, np.array(values, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_values_by_hand(dtype):
    assert_array_equal(of("exp", [0.0, -0.0], dtype), [1, 1])
    assert_array_equal(of("expm1", [0.0], dtype), [0])
    assert_array_equal(of("log", [1.0], dtype), [0])
    assert_array_equal(of("log1p", [0.0], dtype), [0])
    assert_array_equal(of("tanh", [0.0, 30.0, -30.0], dtype), [0, 1, -1])
    assert_array_equal(of("logistic", [0.0, 50.0], dtype), [0.5, 1])
    assert_array_equal(of("rsqrt", [4.0, 1.0], dtype), [0.5, 1])
    x, y = np.array([2, 2, 4, 9, 0.5, 10, 3, 7.0], dtype), np.array([10, -3, 0.5, 1, 3, 2, 0, 1], dtype)
    assert_array_equal(evaluate("pow", x, y), [1024, 0.125, 2, 9, 0.125, 100, 1, 7])


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_edges_of_one_argument_are_those_of_ieee(dtype):
    kind = np.finfo(dtype)
    tiny, small, large = kind.smallest_subnormal, kind.tiny, kind.max
    inf, nan = np.inf, np.nan
    edges = {
        "exp": ([-inf, -large, tiny, -tiny, large, inf, nan], [0, 0, 1, 1, inf, inf, nan]),
        "expm1": ([-inf, -large, -0.0, tiny, -tiny, small, inf, nan], [-1, -1, -0.0, tiny, -tiny, small, inf, nan]),
        "log": ([-inf, -1, -tiny, -0.0, 0, inf, nan], [nan, nan, nan, -inf, -inf, inf, nan]),
        "log1p": ([-inf, -2, -1, -0.0, tiny, -tiny, inf, nan], [nan, nan, -inf, -0.0, tiny, -tiny, inf, nan]),
        "tanh": ([-inf, -large, -tiny, -0.0, 0, tiny, inf, nan], [-1, -1, -tiny, -0.0, 0, tiny, 1, nan]),
        "logistic": ([-inf, -large, -0.0, tiny, large, inf, nan], [0, 0, 0.5, 0.5, 1, 1, nan]),
        "rsqrt": ([-1, -0.0, 0, inf, nan], [nan, -inf, inf, 0, nan]),
    }
    for name, (x, expected) in edges.items():
        found = of(name, x, dtype)
        assert_array_equal(found, np.array(expected, dtype), err_msg=name)
        signed = ~np.isnan(found)
        assert_array_equal(np.signbit(found[signed]), np.signbit(np.array(expected)[signed]), err_msg=name)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_edges_of_powers_are_those_of_ieee(dtype):
    kind = np.finfo(dtype)
    special = [
        0,
        kind.smallest_subnormal,
        kind.tiny,
        0.3,
        0.5,
        1,
        1 + kind.eps,
        2,
        2.5,
        3,
        1e9,
        kind.max,
        np.inf,
        np.nan,
    ]
    whole = [2.0**kind.nmant - 1, 2.0**kind.nmant + 1, 2.0 ** (kind.nmant + 1), 2.0 ** (kind.nmant + 1) + 2]
    special = np.array([*special, *whole], dtype)
    x, y = (z.ravel() for z in np.meshgrid(np.append(special, -special), np.append(special, -special)))
    with np.errstate(all="ignore"):
        expected = power(x, y)  # C99's pow has all the special cases
    assert (errors(evaluate("pow", x, y), expected) <= elementary.ERRORS["pow"][kind.bits // 64]).all()


def test_subnormal_results_are_rounded_once():
    x = np.linspace(-104.5, -87, 10_001, dtype=np.float32)
    exact = np.exp(x.astype(float))
    found = of("exp", x)
    assert np.unique(found[found < 2.0**-126]).size > 1000
    assert (np.abs(found - exact) <= 2.0**-149 * (0.5 + exact / 2.0**-127)).all()
    assert found[0] == 0
    assert 0 < of("logistic", [-100.0])[0] < 2.0**-126


@pytest.mark.parametrize("fused", [None, 0, 1])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_the_error_is_what_is_stated(name, fused):
    assert worst(name, every(8191), fused=fused) <= elementary.ERRORS[name][0]


@pytest.mark.parametrize("fused", [None, 0, 1])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_the_error_in_float64_is_what_is_stated(name, fused):
    assert worst(name, doubles(20_000), fused=fused) <= elementary.ERRORS[name][1]


@pytest.mark.parametrize("fused", [None, 0, 1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_error_of_powers_is_what_is_stated(dtype, fused):
    assert worst("pow", *bases(dtype, 30_000), fused=fused) <= elementary.ERRORS["pow"][dtype == np.float64]


@pytest.mark.long
@pytest.mark.parametrize("fused", [None, 0, 1])
@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_the_error_over_every_float32_is_what_is_stated(name, fused):
    size = 2**18
    for first in range(0, 2**32, size):
        x = np.arange(first, first + size, dtype=np.uint64).astype(np.uint32).view(np.float32)
        assert worst(name, x, fused=fused) <= elementary.ERRORS[name][0], x[0]


@pytest.mark.long
@pytest.mark.parametrize("fused", [None, 0, 1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_error_of_many_powers_is_what_is_stated(dtype, fused):
    assert worst("pow", *bases(dtype, 3_000_000), fused=fused) <= elementary.ERRORS["pow"][dtype == np.float64]


@pytest.mark.parametrize("name", [*ONE_ARGUMENT, "pow"])
def test_as_xla_runs_them_the_error_is_what_is_stated(name):
    function = getattr(elementary, name)
    values = bases(np.float32, 20_000) if name == "pow" else [every(65_537)]
    with np.errstate(all="ignore"):
        exact = power(*values) if name == "pow" else REFERENCES[name](values[0].astype(float))
    found = np.asarray(jax.jit(function)(*map(jnp.asarray, values)))
    flushed = np.abs(exact) < 2.0**-126  # subnormal numbers are zeros there
    for x in values:
        flushed |= (np.abs(x) < 2.0**-126) & (x != 0)
    assert (~flushed).mean() > 0.5
    assert errors(found, exact)[~flushed].max() <= elementary.ERRORS[name][0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_tanh_is_odd_to_the_bit(dtype):
    x = every(65_537) if dtype == np.float32 else doubles(10_000)
    x = x[~np.isnan(x)]
    assert_array_equal(of("tanh", -x, dtype), -of("tanh", x, dtype))


@pytest.mark.parametrize("fused", [None, 0])
@pytest.mark.parametrize(("name", "breaks"), BREAKS)
def test_they_never_fall_where_one_formula_takes_over_from_another(name, breaks, fused):
    near = (breaks.astype(np.float32).view(np.int32)[:, None] + np.arange(-3000, 3001)).astype(np.int32)
    near = np.sort(near.view(np.float32), axis=1)
    found = evaluate(name, near, fused=fused)
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [*ONE_ARGUMENT, "pow"])
def test_only_what_every_machine_computes_alike_is_used(name, dtype):
    _, operations, _, _ = program(name, dtype)
    assert {operation for _, operation, _, _ in operations} <= ALLOWED
    assert len(operations) > 1


@pytest.mark.parametrize("name", [*ONE_ARGUMENT, "pow"])
def test_float32_stays_among_32_bits_where_float64_is_on(name):
    shapes = [jax.ShapeDtypeStruct((2,), np.float32)] * (2 if name == "pow" else 1)
    function = getattr(elementary, name)
    with jax.enable_x64(True):
        wide = jax.make_jaxpr(lambda *x: function(*x))(*shapes)
    assert not {"f64[", "i64[", "u64["} & set(re.findall(r"[fiu]\d+\[", str(wide)))


def test_powers_take_integers_and_spread_numbers():
    count = jnp.arange(1, 5, dtype=jnp.int32)
    power = jax.jit(elementary.pow)
    found = power(jnp.float32(0.5), count)
    assert found.dtype == jnp.float32
    assert_array_equal(found, 0.5 ** np.arange(1, 5))
    assert_array_equal(power(jnp.array([1.0, 2.0, 3.0]), jnp.float32(2)), [1, 4, 9])


@pytest.mark.parametrize("name", [*ONE_ARGUMENT, "pow"])
def test_other_numbers_are_refused(name):
    for dtype in (jnp.float16, jnp.bfloat16):
        x = jnp.ones(3, dtype)
        with pytest.raises(ValueError, match=f"dtype is {x.dtype}, expected float32 or float64"):
            getattr(elementary, name)(*[x] * (2 if name == "pow" else 1))


# --- for some numbers alone ---


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_logarithm_of_normal_numbers_is_the_logarithm(dtype):
    rng = np.random.default_rng(3)
    kind = np.finfo(dtype)
    exponents = rng.integers(kind.minexp, kind.maxexp, 20_000)
    x = np.ldexp(rng.uniform(1, 2, 20_000).astype(dtype), exponents).astype(dtype)
    x = np.append(x, np.array([kind.tiny, kind.max, 1, np.sqrt(0.5), np.sqrt(2)], dtype))
    assert_array_equal(evaluate("log_of_normal", x, fused=0), evaluate("log", x, fused=0))


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_number_is_split_in_a_power_of_2_and_a_factor(dtype):
    with jax.enable_x64(dtype == np.float64):
        m, e = elementary.split(jnp.array([1, 0.75, 0.7, 1.5, 80, 0.003], dtype))
    assert m.dtype == e.dtype == dtype
    assert_array_equal(e, [0, 0, -1, 1, 6, -8])
    assert_array_equal(m, np.array([1, 0.75, 1.4, 0.75, 1.25, 0.768], dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_exponential_of_negative_numbers_is_the_exponential_as_far_as_it_is_normal(dtype):
    rng = np.random.default_rng(4)
    lowest = np.log(float(np.finfo(dtype).tiny))
    x = np.append(rng.uniform(lowest, 0, 20_000), [0, -1e-30, 0.999999 * lowest]).astype(dtype)
    assert_array_equal(evaluate("exp_of_negative", x, fused=0), evaluate("exp", x, fused=0))
    far = np.array([1.01 * lowest, 2 * lowest, -np.inf], dtype)
    assert_allclose(evaluate("exp_of_negative", far, fused=0) / np.finfo(dtype).tiny, 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fused", [0, 1])
def test_expm1_of_positive_numbers_is_expm1_to_the_bit(dtype, fused):
    rng = np.random.default_rng(6)
    near = np.exp(rng.uniform(np.log(1e-30), np.log(64), 20_000))
    x = np.concatenate([rng.uniform(0, 64, 20_000), near, [0, 64, 2.0**-23, 2.0**-52, 0.5]]).astype(dtype)
    assert_array_equal(evaluate("expm1_of_positive", x, fused=fused), evaluate("expm1", x, fused=fused))
