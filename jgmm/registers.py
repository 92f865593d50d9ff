r"""A function of arrays over runs as a function of single vectors, each one number of every run.

A GPU thread that owns a run can keep what the run owns in registers if no array is left: `offset[i, j]` must be a name,
not an address. So this module evaluates a function's jaxpr with every array (*shape, runs) held as `shape` entries,
each a vector (runs,): an operation on arrays becomes one on each entry, loops of known length are written out, loops
whose length is data stay loops, and moving data about costs nothing. The function is the one that the scan path
compiles, so there is one set of formulas.

How entries move is found by moving their numbers: slices, gathers, scatters and the like are evaluated on an array of
integers that says which entry, of which run, is where. A result that holds one run's entry in another run's place is
refused, so the rule that a run never sees another is checked here, not assumed.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from jgmm import machine
from jgmm.kernels import NotOnVectors

CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint")
SAME = ("copy", "copy_p", "stop_gradient", "optimization_barrier", "reshard", "pvary", "pcast", "mesh_cast")
MOVES = (
    *(
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "expand_dims",
        "concatenate",
        "stack",
        "transpose",
        "rev",
        "gather",
        "scatter",
    ),
    *("slice", "dynamic_slice", "dynamic_update_slice"),
)
SCATTERS = {"scatter-mul": operator.mul, "scatter-add": operator.add}
REDUCTIONS = {"reduce_sum": lax.add, "reduce_prod": lax.mul, "reduce_max": lax.max, "reduce_min": lax.min}
REDUCTIONS |= {"reduce_and": lax.bitwise_and, "reduce_or": lax.bitwise_or}
ELEMENTWISE = (
    *("add", "sub", "mul", "div", "rem", "neg", "sign", "abs", "max", "min", "clamp", "square", "integer_pow", "pow"),
    *("sqrt", "rsqrt", "exp", "exp2", "log", "log2", "tanh", "logistic", "sin", "cos", "erf"),
    *("and", "or", "xor", "not", "shift_left", "shift_right_logical", "shift_right_arithmetic"),
    *("eq", "ne", "lt", "le", "gt", "ge", "select_n", "convert_element_type", "bitcast_convert_type"),
)


class Entries(NamedTuple):
    """An array with a run axis: what it holds at each index of its other axes, a vector over runs or one number."""

    at: np.ndarray  # of objects


def entries(shape: tuple[int, ...], get: Callable[..., Any]) -> Entries:
    """The array of this shape (without its runs) that holds get(*index)."""
    at = np.empty(shape, object)
    for index in np.ndindex(shape):
        at[index] = get(*index)
    return Entries(at)


def evaluate(
    closed: core.ClosedJaxpr,
    arguments: Sequence[Any],
    *,
    runs: int,
    marks: Mapping[str, Callable] | None = None,
    settle: Callable[[Any], Any] = lambda vector: vector,
) -> list[Any]:
    """The function's results (flat), arrays with a run axis as `Entries`; scalars and known arrays as they are.

    marks: what stands for an operation on vectors, or a call of a jitted function, of this name
    (`loops.sum_over_threads`).
    settle: what is done to each vector that a loop starts from.
    Raises NotOnVectors where the function mixes runs, or holds an operation that has no rule here.
    """
    return _evaluate(closed.jaxpr, closed.consts, arguments, _Setting(runs, marks or {}, settle))


class _Setting(NamedTuple):
    """What all of an evaluation knows."""

    runs: int
    marks: Mapping[str, Callable]
    settle: Callable[[Any], Any]


def vectors(value: Entries, *, runs: int) -> list[jax.Array]:
    """The entries in row-major order, numbers spread over the runs."""
    return [_vector(x, runs) for x in value.at.ravel()]


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any], setting: _Setting) -> list[Any]:
    known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

    def read(name: Any) -> Any:
        dtype = name.aval.dtype
        return np.asarray(name.val, dtype) if isinstance(name, core.Literal) else known[name]

    for equation in jaxpr.eqns:
        found = _equation(equation, [read(name) for name in equation.invars], setting)
        known.update(zip(equation.outvars, found, strict=True))
    return [read(name) for name in jaxpr.outvars]


def _equation(equation: Any, operands: list[Any], setting: _Setting) -> list[Any]:
    name, params, runs = equation.primitive.name, equation.params, setting.runs
    if name in CALLS:
        if params.get("name") in setting.marks:
            mark, held = setting.marks[params["name"]], as_entries(operands[0], runs)
            return [entries(held.at.shape, lambda *index: mark(_vector(held.at[index], runs)))]
        inner = params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]
        jaxpr, constants = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
        return _evaluate(jaxpr, constants, operands, setting)
    if name == "scan":
        return _scan(equation, operands, setting)
    if name == "while":
        return _while(params, operands, setting)
    if all(_known(x) for x in operands):
        return _now(equation, operands)
    if name in SAME:
        return operands
    if name in MOVES:
        return [_move(equation, operands, runs)]
    if name in SCATTERS:
        return [_combine(equation, operands, runs, SCATTERS[name])]
    if name in REDUCTIONS:
        return [_reduce(params["axes"], operands[0], REDUCTIONS[name])]
    if name in ELEMENTWISE:
        return [_each(equation, operands, setting)]
    raise NotOnVectors(f"the operation {name} has no form in registers")


def _known(x: Any) -> bool:
    return not isinstance(x, (Entries, jax.core.Tracer))


def _now(equation: Any, operands: list[Any]) -> list[Any]:
    """Evaluate what is known while tracing."""
    by_numpy = NUMPY.get(equation.primitive.name)
    if by_numpy is not None and len(operands) == 1:
        return [by_numpy(np.asarray(operands[0]), equation.params)]
    with jax.ensure_compile_time_eval(), machine.on_host():
        found = equation.primitive.bind(*operands, **equation.params)
        return [np.asarray(x) for x in (found if equation.primitive.multiple_results else [found])]


def _broadcast(x: np.ndarray, params: dict) -> np.ndarray:
    sizes = dict(zip(params["broadcast_dimensions"], x.shape, strict=True))
    return np.broadcast_to(x.reshape([sizes.get(axis, 1) for axis in range(len(params["shape"]))]), params["shape"])


def _slice(x: np.ndarray, params: dict) -> np.ndarray:
    strides = params["strides"] or [1] * x.ndim
    return x[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]


# The most frequent: JAX itself takes 20 times as long for so little, two thirds of all tracing.
NUMPY: dict[str, Callable[[np.ndarray, dict], np.ndarray]] = {
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "squeeze": lambda x, params: np.squeeze(x, axis=tuple(params["dimensions"])),
}


def _scan(equation: Any, operands: list[Any], setting: _Setting) -> list[Any]:
    """Written out: its length is known."""
    params, inner = equation.params, equation.params["jaxpr"]
    # What is carried keeps its rank; sequences lose an axis. (How the parameters say it differs between versions.)
    carried = sum(a.aval.ndim == b.aval.ndim for a, b in zip(equation.outvars, inner.jaxpr.outvars, strict=True))
    sliced = sum(a.aval.ndim != b.aval.ndim for a, b in zip(equation.invars, inner.jaxpr.invars, strict=True))
    fixed = len(operands) - carried - sliced
    constants, carry, sequences = operands[:fixed], operands[fixed : fixed + carried], operands[fixed + carried :]
    rows: list[list[Any]] = []
    for i in reversed(range(params["length"])) if params["reverse"] else range(params["length"]):
        mine = [Entries(x.at[i, ...]) if isinstance(x, Entries) else x[i] for x in sequences]
        found = _evaluate(inner.jaxpr, inner.consts, [*constants, *carry, *mine], setting)
        carry = found[:carried]
        rows.append(found[carried:])
    if params["reverse"]:
        rows.reverse()
    held = [[as_entries(x, setting.runs).at for x in column] for column in zip(*rows, strict=True)]
    return [*carry, *(Entries(np.stack(column)) for column in held)]


def _while(params: dict, operands: list[Any], setting: _Setting) -> list[Any]:
    """A loop whose length is data. What it carries unchanged stays outside."""
    runs = setting.runs
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    of_test, of_body = params["cond_nconsts"], params["body_nconsts"]
    test_given, body_given = operands[:of_test], operands[of_test : of_test + of_body]
    start = operands[of_test + of_body :]
    names = body.jaxpr.invars[of_body:]
    moving = [i for i, name in enumerate(names) if body.jaxpr.outvars[i] is not name]
    shapes = {i: as_entries(start[i], runs).at.shape for i in moving if names[i].aval.shape}

    def pack(values: Sequence[Any]) -> list[list[jax.Array]]:
        """Each moving value as a list of vectors, or of one scalar."""
        return [
            vectors(as_entries(x, runs), runs=runs) if i in shapes else [jnp.asarray(x)]
            for i, x in zip(moving, values, strict=True)
        ]

    def unpack(packed: list[list[jax.Array]]) -> list[Any]:
        values = list(start)
        for i, parts in zip(moving, packed, strict=True):
            values[i] = _from_vectors(parts, shapes[i]) if i in shapes else parts[0]
        return values

    def go_on(packed):
        return _evaluate(test.jaxpr, test.consts, [*test_given, *unpack(packed)], setting)[0]

    def once(packed):
        found = _evaluate(body.jaxpr, body.consts, [*body_given, *unpack(packed)], setting)
        return pack([found[i] for i in moving])

    packed = pack([start[i] for i in moving])
    begin = [list(map(setting.settle, x)) if i in shapes else x for i, x in zip(moving, packed, strict=True)]
    return unpack(lax.while_loop(go_on, once, begin))


def _from_vectors(parts: Sequence[Any], shape: tuple[int, ...]) -> Entries:
    rest = iter(parts)
    return entries(shape, lambda *index: next(rest))


def as_entries(x: Any, runs: int) -> Entries:
    """A scalar, or a known array with a run axis, as numbers that are the same for every run.

    Raises NotOnVectors if they are not.
    """
    if isinstance(x, Entries):
        return x
    if not jnp.ndim(x):
        return entries((), lambda: x)
    values = np.asarray(x)
    if values.shape[-1] != runs or (values != values[..., :1]).any():
        raise NotOnVectors(f"an array of shape {values.shape} is not the same for every run")
    return entries(values.shape[:-1], lambda *index: values[*index, 0])


def _vector(x: Any, runs: int) -> jax.Array:
    return x if jnp.ndim(x) else lax.full((runs,), x)


def _each(equation: Any, operands: list[Any], setting: _Setting) -> Any:
    """The operation on each entry; a number is spread over the runs only beside a vector."""
    runs, other = setting.runs, setting.marks.get(equation.primitive.name)
    held = [x if isinstance(x, Entries) or not jnp.ndim(x) else as_entries(x, runs) for x in operands]
    shapes = [x.at.shape for x in held if isinstance(x, Entries)]
    if not shapes:  # scalars that are data
        return _bind(equation, operands)
    shape = np.broadcast_shapes(*shapes)
    held = [Entries(np.broadcast_to(x.at, shape)) if isinstance(x, Entries) else x for x in held]

    def one(*index):
        mine = [x.at[index] if isinstance(x, Entries) else x for x in held]
        if any(jnp.ndim(x) for x in mine):
            mine = [_vector(x, runs) for x in mine]
            if other is not None:
                return other(*mine)
        elif all(_known(x) for x in mine):
            return _now(equation, mine)[0]
        return _bind(equation, mine)

    return entries(shape, one)


def _bind(equation: Any, operands: list[Any]) -> Any:
    """The operation itself, but for what Mosaic (JAX 0.11 and 0.12) lacks or gets wrong.

    * A bitcast between integers is a conversion, which keeps the bits: the bitcast changes nothing there, the sign
      included, so that a later conversion to float reads negative numbers as large ones.
    * The sign of a select between integers is that of its predicate if one of them is a constant: set again.
    * There is no pow(x, y): for x positive it is exp(y log x), off by about y log(x) 1e-7; and of the whole powers
      only y = -1 and y > 1 are there.

    benchmarks/gpu_compile.py executes what comes out.
    """
    primitive, params = equation.primitive, equation.params
    if primitive is lax.bitcast_convert_type_p:
        to = params["new_dtype"]
        if jnp.issubdtype(operands[0].dtype, jnp.integer) and jnp.issubdtype(to, jnp.integer):
            return lax.convert_element_type(operands[0], to)
    if primitive is lax.pow_p:
        base, power = (lax.convert_element_type(x, equation.outvars[0].aval.dtype) for x in operands)
        return lax.exp(power * lax.log(base))
    if primitive is lax.integer_pow_p and params["y"] in (0, 1):
        return operands[0] if params["y"] else lax.full_like(operands[0], 1)
    if primitive is lax.integer_pow_p and params["y"] < -1:
        return lax.integer_pow(lax.integer_pow(operands[0], -params["y"]), -1)
    found = primitive.bind(*operands, **params)
    if primitive is lax.select_n_p and jnp.issubdtype(found.dtype, jnp.signedinteger):
        return lax.convert_element_type(lax.convert_element_type(found, jnp.uint32), found.dtype)
    return found


def _numbers(operands: list[Any], runs: int) -> tuple[list[Any], list[Any]]:
    """Every entry's number, spread over arrays like the operands, and the entries in that order."""
    everything: list[Any] = []
    numbered = []
    for x in operands:
        if isinstance(x, Entries):
            first = len(everything)
            everything.extend(x.at.ravel())
            ids = np.arange(first, len(everything), dtype=np.int32).reshape(*x.at.shape, 1) * runs
            numbered.append(ids + np.arange(runs, dtype=np.int32))
        else:
            numbered.append(x)
    return numbered, everything


def _moved(numbers: np.ndarray, everything: list[Any], runs: int, name: str) -> np.ndarray:
    """Which entry is where. Raises NotOnVectors if a run would hold another's."""
    if numbers.shape[-1:] != (runs,) or (numbers < 0).any() or (numbers % runs != np.arange(runs)).any():
        raise NotOnVectors(f"{name} moves numbers from one run to another")
    which = numbers // runs
    if (which != which[..., :1]).any() or (which >= len(everything)).any():
        raise NotOnVectors(f"{name} moves numbers of one run otherwise than those of another")
    return which[..., 0]


def _move(equation: Any, operands: list[Any], runs: int) -> Entries:
    name = equation.primitive.name
    data, rest = _data(name, operands)
    if isinstance(data[0], jax.core.Tracer):  # a scalar that is data, spread
        return entries(equation.params["shape"][:-1], lambda *index: data[0])
    data = [as_entries(x, runs) for x in data]
    if not all(_known(x) for x in rest):
        raise NotOnVectors(f"{name} at an index that is data")
    numbered, everything = _numbers(data, runs)
    numbers = _now(equation, _ordered(name, numbered, rest))[0]
    which = _moved(numbers, everything, runs, name)
    return entries(which.shape, lambda *index: everything[which[index]])


def _data(name: str, operands: list[Any]) -> tuple[list[Any], list[Any]]:
    """The operands that hold numbers, and those that say where."""
    if name in ("scatter", *SCATTERS):
        return [operands[0], operands[2]], [operands[1]]
    if name == "dynamic_update_slice":
        return operands[:2], operands[2:]
    if name in ("concatenate", "stack"):
        return operands, []
    return operands[:1], operands[1:]


def _ordered(name: str, data: list[Any], rest: list[Any]) -> list[Any]:
    return [data[0], *rest, data[1]] if name in ("scatter", *SCATTERS) else [*data, *rest]


def _combine(equation: Any, operands: list[Any], runs: int, operation: Callable) -> Entries:
    """A scatter that adds or multiplies: found by where a plain one would write."""
    target, where, change = as_entries(operands[0], runs), operands[1], as_entries(operands[2], runs)
    if not _known(where):
        raise NotOnVectors(f"{equation.primitive.name} at an index that is data")
    numbered, everything = _numbers([target, change], runs)
    params = {
        key: equation.params[key] for key in ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    }
    with jax.ensure_compile_time_eval(), machine.on_host():
        numbers = np.asarray(lax.scatter(numbered[0], where, numbered[1], **params))
    which = _moved(numbers, everything, runs, equation.primitive.name)

    def one(*index):
        mine, theirs = target.at[index], everything[which[index]]
        return mine if which[index] < target.at.size else operation(mine, theirs)

    return entries(which.shape, one)


def _reduce(axes: Sequence[int], x: Entries, operation: Callable) -> Entries:
    """In the order of the entries."""
    if x.at.ndim in axes:
        raise NotOnVectors("a reduction over runs")
    rest = tuple(axis for axis in range(x.at.ndim) if axis not in axes)
    ordered = np.transpose(x.at, (*rest, *axes))
    shape = ordered.shape[: len(rest)]
    return entries(shape, lambda *index: reduce(operation, ordered[index].ravel()))
