r"""A jaxpr followed on single numbers of a run: array code becomes a list of operations.

Every array (*shape, runs) is held as `shape` nodes (`operations`): an operation on arrays becomes one on each entry,
loops of known length are written out, and moving data about costs nothing. What mixes runs, or has no rule, is refused
by name. What is known while tracing stays an array of NumPy.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from jgmm import elementary
from jgmm.contract import Refused
from jgmm.engine.jaxprs import CALLS, called, scan_operands, scan_trips
from jgmm.engine.operations import COMPARISONS, FLOATS, Node, Operations

RUNS = 7  # of the traced arrays: only that there are some
MARK = "sum_over_shares"  # the name of the call that `loops.over_coordinates` leaves in a jaxpr


_SAME = ("copy", "copy_p", "stop_gradient", "optimization_barrier", "reshard", "pvary", "pcast", "mesh_cast")
_SCATTERS = {"scatter-add": "add", "scatter-mul": "mul"}
_REDUCTIONS = {"reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min"}
_REDUCTIONS |= {"reduce_and": "and", "reduce_or": "or"}
_PLAIN = {"add", "sub", "mul", "div", "neg", "abs", "sqrt", "max", "min", "floor", "ceil", "and", "or", "xor", "not"}
_PLAIN |= {"shift_left", "shift_right_logical", "shift_right_arithmetic", *COMPARISONS}
_ELEMENTARY = ("exp", "log", "tanh", "pow", "expm1", "log1p", "logistic")


class Follower:
    """Evaluates jaxprs on object arrays of nodes; what is known while tracing stays a NumPy array."""

    def __init__(self, operations: Operations):
        self.operations = operations

    def call(self, function: Callable, *arguments: Any) -> Any:
        """function(*arguments), pytrees whose leaves are `Held`; results alike."""
        leaves, tree = jax.tree.flatten(arguments, is_leaf=lambda x: isinstance(x, Held))
        shapes = [x.aval() for x in leaves]
        closed, out = jax.make_jaxpr(lambda *flat: function(*jax.tree.unflatten(tree, flat)), return_shape=True)(
            *shapes
        )
        found = self.evaluate(closed.jaxpr, closed.consts, [x.at for x in leaves])
        shapes, tree = jax.tree.flatten(out)
        held = [Held(self.nodes(x, s.dtype), str(s.dtype), not s.shape) for x, s in zip(found, shapes, strict=True)]
        return jax.tree.unflatten(tree, held)

    def evaluate(self, jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        known: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

        def read(name: Any) -> Any:
            # A literal has a value. (Its class is of jax.extend, whose import takes Pallas.)
            return np.asarray(name.val, _dtype(name)) if hasattr(name, "val") else known[name]

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(name) for name in equation.invars])
            known.update(zip(equation.outvars, found, strict=True))
        return [read(name) for name in jaxpr.outvars]

    def nodes(self, x: Any, dtype: Any) -> np.ndarray:
        """As an object array of nodes, without a run axis. Raises Refused if runs differ."""
        if isinstance(x, np.ndarray) and x.dtype == object:
            return x
        values = np.asarray(x)
        if values.ndim and not np.array_equal(values, _spread_first(values), equal_nan=values.dtype.kind == "f"):
            raise Refused(f"an array of shape {values.shape} is not the same for every run")
        values = values[..., 0] if values.ndim else values
        return each(lambda v: self.operations.number(v, str(np.dtype(dtype))), values)

    def _equation(self, equation: Any, operands: list[Any]) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        if name in CALLS:
            if params.get("name") == MARK:
                return [each(self.operations.total, self.nodes(operands[0], equation.invars[0].aval.dtype))]
            return self.evaluate(*called(equation), operands)
        if name == "scan":
            return self._scan(equation, operands)
        if name == "cond":
            return self._cond(equation, operands)
        if all(map(_known, operands)) and (name in _EXACT or not _of_floats(equation)):
            return _now(equation, operands)
        if name in _SAME:
            return operands
        if name == "unstack":
            return _unstack(operands[0], equation)
        if name in _MOVES:
            return (
                [_MOVES[name](operands[0], equation)]
                if name not in ("concatenate", "stack")
                else [self._concatenate(equation, operands)]
            )
        if name in ("dynamic_slice", "dynamic_update_slice", "gather", "scatter", *_SCATTERS):
            return [self._index(equation, operands)]
        if name in _REDUCTIONS or name in ("argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin"):
            return [self._reduce(equation, operands[0])]
        return [self._elementwise(equation, operands)]

    def _elementwise(self, equation: Any, operands: list[Any]) -> np.ndarray:
        held = [self.nodes(x, v.aval.dtype) for x, v in zip(operands, equation.invars, strict=True)]
        name, params, out = equation.primitive.name, equation.params, equation.outvars[0].aval
        dtype, apply = str(out.dtype), self.operations.apply
        if name in _PLAIN and not (name == "div" and dtype[0] != "f"):
            return each(lambda *x: apply(name, *x), *held)
        rules: dict[str, Callable] = {
            "select_n": lambda c, no, *rest: self._choose(c, no, *rest),
            "convert_element_type": lambda x: apply("convert", x, dtype=dtype),
            "bitcast_convert_type": lambda x: apply("bitcast", x, dtype=dtype),
            "square": lambda x: apply("mul", x, x),
            "integer_pow": lambda x: self._power(x, params["y"]),
            "rsqrt": lambda x: apply("div", self.operations.number(1, dtype), apply("sqrt", x)),
            "sign": self._sign,
            "rem": self._remainder,
            "clamp": lambda low, x, high: apply("min", apply("max", x, low), high),
            "is_finite": lambda x: apply("lt", apply("abs", x), self.operations.number(np.inf, x.dtype)),
        }
        if name in rules:
            return each(rules[name], *held)
        if name in _ELEMENTARY:
            return self._called(getattr(elementary, name), held, equation)
        raise Refused(f"the operation {name} has no rule")

    def _called(self, function: Callable, held: list[np.ndarray], equation: Any) -> np.ndarray:
        """A function of arrays of one shape, on each entry."""
        shape = np.broadcast_shapes(*(x.shape for x in held))
        whole = [np.broadcast_to(x, shape) for x in held]
        dtypes = [str(v.aval.dtype) for v in equation.invars]
        return self.call(function, *(Held(x, t, False) for x, t in zip(whole, dtypes, strict=True))).at

    def _choose(self, which: Node, *cases: Node) -> Node:
        found = cases[0]
        for i, case in enumerate(cases[1:], 1):
            hit = (
                which
                if which.dtype == "bool"
                else self.operations.apply("eq", which, self.operations.number(i, which.dtype))
            )
            found = self.operations.apply("select", hit, case, found)
        return found

    def _power(self, x: Node, y: int) -> Node:
        """x^y by squares, the lowest binary digit of |y| first."""
        apply, rest, square, found = self.operations.apply, abs(y), x, None
        while rest:
            if rest % 2:
                found = square if found is None else apply("mul", found, square)
            rest //= 2
            square = apply("mul", square, square) if rest else square
        one = self.operations.number(1, x.dtype)
        return one if found is None else apply("div", one, found) if y < 0 else found

    def _remainder(self, x: Node, by: Node) -> Node:
        if by.op != "number" or by.dtype in FLOATS or by.number() <= 0:
            raise Refused("rem by anything but a known positive integer has no rule")
        return self.operations.apply("rem", x, by)

    def _sign(self, x: Node) -> Node:
        apply, number = self.operations.apply, self.operations.number
        zero = number(0, x.dtype)
        below = apply("select", apply("lt", x, zero), number(-1, x.dtype), x)  # 0 and NaN are their own
        return apply("select", apply("gt", x, zero), number(1, x.dtype), below)

    def _scan(self, equation: Any, operands: list[Any]) -> list[Any]:
        """Written out: its length is known."""
        params, inner = equation.params, equation.params["jaxpr"]
        constants, carry, sequences = scan_operands(equation, operands)
        carried = len(carry)
        rows: list[list[Any]] = []
        for i in scan_trips(equation):
            found = self.evaluate(inner.jaxpr, inner.consts, [*constants, *carry, *(_row(x, i) for x in sequences)])
            carry = found[:carried]
            rows.append(
                [
                    self.nodes(x, v.aval.dtype)
                    for x, v in zip(found[carried:], inner.jaxpr.outvars[carried:], strict=True)
                ]
            )
        if params["reverse"]:
            rows.reverse()
        return [*carry, *(np.stack(column) for column in zip(*rows, strict=True))]

    def _cond(self, equation: Any, operands: list[Any]) -> list[Any]:
        """Where it is not known which: every branch, and of each result the one that is meant."""
        which, *given = operands
        branches = equation.params["branches"]
        if _known(which):
            branch = branches[min(max(int(which), 0), len(branches) - 1)]
            return self.evaluate(branch.jaxpr, branch.consts, given)
        found = [self.evaluate(branch.jaxpr, branch.consts, given) for branch in branches]
        out = []
        for name, cases in zip(equation.outvars, zip(*found, strict=True), strict=True):
            out.append(each(self._choose, which, *(self.nodes(x, _dtype(name)) for x in cases)))
        return out

    def _concatenate(self, equation: Any, operands: list[Any]) -> np.ndarray:
        stack = equation.primitive.name == "stack"
        axis = equation.params["axis" if stack else "dimension"]
        _last_stays(axis != equation.outvars[0].aval.ndim - 1, equation.primitive.name)
        held = [self.nodes(x, v.aval.dtype) for x, v in zip(operands, equation.invars, strict=True)]
        return np.stack(held, axis=axis) if stack else np.concatenate(held, axis=axis)

    def _index(self, equation: Any, operands: list[Any]) -> np.ndarray:
        """What is read or written at indices: which entry is where is found by moving their numbers."""
        name = equation.primitive.name
        one, two = ("dynamic_slice", "gather"), ("dynamic_update_slice",)
        of_data = [0] if name in one else [0, 1] if name in two else [0, 2]
        data = [operands[i] for i in of_data]
        where = [x for i, x in enumerate(operands) if i not in of_data]
        if not all(map(_known, where)):
            raise Refused(f"{name} at an index that is data")
        if name.startswith("dynamic"):
            return self._window(equation, data, where)
        avals = [v.aval for v in (equation.invars[:1] if len(data) == 1 else equation.invars[::2])]
        nodes: list[Node] = []
        numbered = []
        for x, aval in zip(data, avals, strict=True):
            _last_stays(aval.shape[-1:] == (RUNS,), name)
            at = self.nodes(x, aval.dtype)
            ids = np.arange(len(nodes), len(nodes) + at.size, dtype=np.int32).reshape(*at.shape, 1) * RUNS
            numbered.append(np.broadcast_to(ids + np.arange(RUNS, dtype=np.int32), aval.shape).astype(np.int32))
            nodes += list(at.ravel())
        if name in _SCATTERS:
            return self._scatter(equation, numbered, where[0], nodes)
        which = _moved(_bind(equation, [numbered[0], where[0], *numbered[1:]]), nodes, name)
        return each(lambda i: nodes[i], which)

    def _window(self, equation: Any, data: list[Any], where: list[Any]) -> np.ndarray:
        """A slice at known places, read or written; like XLA, inside the array."""
        x = self.nodes(data[0], equation.invars[0].aval.dtype)
        whole = equation.invars[0].aval.shape
        sizes = equation.params["slice_sizes"] if len(data) == 1 else equation.invars[1].aval.shape
        _last_stays(sizes[-1] == whole[-1], equation.primitive.name)
        lows = [min(max(int(i), 0), n - size) for i, n, size in zip(where, whole, sizes, strict=True)]
        place = tuple(slice(low, low + size) for low, size in zip(lows[:-1], sizes[:-1], strict=True))
        if len(data) == 1:
            return x[place]
        out = x.copy()
        out[place] = self.nodes(data[1], equation.invars[1].aval.dtype)
        return out

    def _scatter(self, equation: Any, numbered: list[np.ndarray], where: Any, nodes: list[Node]) -> np.ndarray:
        """One that adds or multiplies: found by where a plain one would write."""
        keys = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        with jax.ensure_compile_time_eval():
            found = np.asarray(lax.scatter(numbered[0], where, numbered[1], **{k: equation.params[k] for k in keys}))
        which, size = _moved(found, nodes, equation.primitive.name), numbered[0][..., 0].size
        own = np.arange(size).reshape(which.shape)
        op = _SCATTERS[equation.primitive.name]

        def both(mine: int, there: int) -> Node:
            return nodes[mine] if mine == there else self.operations.apply(op, nodes[mine], nodes[there])

        return each(both, own, which)

    def _reduce(self, equation: Any, x: np.ndarray) -> np.ndarray:
        """In the order of the entries."""
        name, params, apply = equation.primitive.name, equation.params, self.operations.apply
        axes = (params["axis"],) if "axis" in params else tuple(params["axes"])
        if x.ndim in axes:
            raise Refused(f"{name} goes over runs")
        if name.startswith("cum"):
            op = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}[name]
            rows = [np.moveaxis(x, axes[0], 0)[i, ...] for i in range(x.shape[axes[0]])]
            rows = rows[:: -1 if params["reverse"] else 1]
            for i in range(1, len(rows)):
                rows[i] = each(lambda a, b: apply(op, a, b), rows[i - 1], rows[i])
            return np.moveaxis(np.stack(rows[:: -1 if params["reverse"] else 1]), 0, axes[0])
        rest = tuple(axis for axis in range(x.ndim) if axis not in axes)
        ordered = np.transpose(x, (*rest, *axes)).reshape(*(x.shape[axis] for axis in rest), -1)
        out = np.empty(ordered.shape[:-1], object)
        for index in np.ndindex(out.shape):
            entries = list(ordered[index])
            if name in _REDUCTIONS:
                out[index] = reduce(lambda a, b: apply(_REDUCTIONS[name], a, b), entries)
            else:
                out[index] = self._best(name, entries, str(params["index_dtype"]))
        return out

    def _best(self, name: str, entries: list[Node], dtype: str) -> Node:
        """Where the largest or smallest is, the first of equals; NaN is beyond all."""
        apply, number = self.operations.apply, self.operations.number
        best, where = entries[0], number(0, dtype)
        for i, entry in enumerate(entries[1:], 1):
            better = apply("gt" if name == "argmax" else "lt", entry, best)
            if entry.dtype in FLOATS:
                better = apply("or", better, apply("and", apply("ne", entry, entry), apply("eq", best, best)))
            best, where = apply("select", better, entry, best), apply("select", better, number(i, dtype), where)
        return where


def _dtype(name: Any) -> Any:
    return name.aval.dtype


class Held(NamedTuple):
    """An array over runs as nodes, or (scalar) a number that is the same for all."""

    at: np.ndarray
    dtype: str
    scalar: bool

    def last(self) -> "Held":
        """Of an array of rows the last one, as an array of one."""
        return self._replace(at=self.at[-1:])

    def aval(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(() if self.scalar else (*self.at.shape, RUNS), self.dtype)


def each(function: Callable, *arrays: np.ndarray) -> np.ndarray:
    """function of each entry, as an object array."""
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    out = np.empty(shape, object)
    flat = [np.broadcast_to(x, shape).ravel().tolist() for x in arrays]
    out.ravel()[:] = list(map(function, *flat)) if out.ndim else None
    if not out.ndim:
        out[()] = function(*(x[0] for x in flat))
    return out


def _spread_first(values: np.ndarray) -> np.ndarray:
    return np.broadcast_to(values[..., :1], values.shape)


def _known(x: Any) -> bool:
    return not (isinstance(x, np.ndarray) and x.dtype == object)


def _now(equation: Any, operands: list[Any]) -> list[Any]:
    """What is known while tracing."""
    found = _bind(equation, operands)
    return [np.asarray(x) for x in found] if equation.primitive.multiple_results else [np.asarray(found)]


def _of_floats(equation: Any) -> bool:
    return any(np.dtype(name.aval.dtype).kind in "fc" for name in equation.outvars)


def _bind(equation: Any, operands: list[Any]) -> Any:
    simple = _NUMPY.get(equation.primitive.name)
    if simple is not None:
        return simple(operands, equation)
    with jax.ensure_compile_time_eval(), jax.default_device(jax.local_devices(backend="cpu")[0]):
        return jax.tree.map(np.asarray, equation.primitive.bind(*operands, **equation.params))


def _cut(operands: list[Any], equation: Any) -> np.ndarray:
    """dynamic_slice, as XLA has it: indices are moved inside."""
    x, sizes = operands[0], equation.params["slice_sizes"]
    lows = [min(max(int(i), 0), n - size) for i, n, size in zip(operands[1:], x.shape, sizes, strict=True)]
    return x[tuple(slice(low, low + size) for low, size in zip(lows, sizes, strict=True))]


def _numpy(function: Callable) -> Callable:
    return lambda operands, equation: np.asarray(function(*operands), equation.outvars[0].aval.dtype)


# The most frequent: JAX itself takes 20 times as long for so little, two thirds of all tracing.
_NUMPY: dict[str, Callable[[list[Any], Any], np.ndarray]] = {
    "dynamic_slice": _cut,
    "convert_element_type": lambda x, e: np.asarray(x[0]).astype(e.params["new_dtype"]),
    "broadcast_in_dim": lambda x, e: _broadcast(np.asarray(x[0]), e.params),
    "squeeze": lambda x, e: np.squeeze(np.asarray(x[0]), axis=tuple(e.params["dimensions"])),
    "add": _numpy(np.add),
    "sub": _numpy(np.subtract),
    "mul": _numpy(np.multiply),
    "lt": _numpy(np.less),
    "select_n": lambda x, e: (
        np.where(x[0], x[2], x[1]).astype(e.outvars[0].aval.dtype) if len(x) == 3 else _bind_slow(x, e)
    ),
}


def _bind_slow(operands: list[Any], equation: Any) -> np.ndarray:
    return np.choose(operands[0], operands[1:])


def _broadcast(x: np.ndarray, params: dict) -> np.ndarray:
    sizes = dict(zip(params["broadcast_dimensions"], x.shape, strict=True))
    return np.broadcast_to(x.reshape([sizes.get(axis, 1) for axis in range(len(params["shape"]))]), params["shape"])


def _moved(numbers: np.ndarray, nodes: list[Node], name: str) -> np.ndarray:
    """Which entry is where. Raises Refused if a run would hold another's."""
    if numbers.shape[-1:] != (RUNS,) or (numbers < 0).any() or (numbers % RUNS != np.arange(RUNS)).any():
        raise Refused(f"{name} moves numbers from one run to another")
    which = numbers // RUNS
    if (which != which[..., :1]).any() or (which >= len(nodes)).any():
        raise Refused(f"{name} moves numbers of one run otherwise than those of another")
    return which[..., 0]


def _row(x: Any, i: int) -> Any:
    return x[i] if (isinstance(x, np.ndarray) and x.dtype != object) or not isinstance(x[i], Node) else _zero_d(x[i])


def _zero_d(node: Node) -> np.ndarray:
    out = np.empty((), object)
    out[()] = node
    return out


def _last_stays(kept: bool, name: str) -> None:
    if not kept:
        raise Refused(f"{name} moves numbers from one run to another")


def _spread(x: np.ndarray, equation: Any) -> np.ndarray:
    shape, dims = equation.params["shape"], equation.params["broadcast_dimensions"]
    before = equation.invars[0].aval.shape
    if not before:
        return np.broadcast_to(x, shape[:-1]) if shape else x
    _last_stays(dims[-1] == len(shape) - 1, "broadcast_in_dim")
    sizes = dict(zip(dims[:-1], before[:-1], strict=True))
    return np.broadcast_to(x.reshape([sizes.get(axis, 1) for axis in range(len(shape) - 1)]), shape[:-1])


def _reshape(x: np.ndarray, equation: Any) -> np.ndarray:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    _last_stays(not before or (bool(after) and before[-1] == after[-1]), equation.primitive.name)
    return x.reshape(after[:-1])


def _transpose(x: np.ndarray, equation: Any) -> np.ndarray:
    order = equation.params["permutation"]
    _last_stays(order[-1] == x.ndim, "transpose")
    return x.transpose(order[:-1])


def _slice(x: np.ndarray, equation: Any) -> np.ndarray:
    low, high, strides = (equation.params[name] for name in ("start_indices", "limit_indices", "strides"))
    strides = strides or (1,) * len(low)
    _last_stays(low[-1] == 0 and high[-1] == equation.invars[0].aval.shape[-1] and strides[-1] == 1, "slice")
    return x[tuple(map(slice, low[:-1], high[:-1], strides[:-1]))]


def _unstack(x: np.ndarray, equation: Any) -> list[np.ndarray]:
    _last_stays(equation.params["axis"] != x.ndim, "unstack")
    rows = np.moveaxis(x, equation.params["axis"], 0)
    return [rows[i, ...] for i in range(len(rows))]


def _rev(x: np.ndarray, equation: Any) -> np.ndarray:
    _last_stays(x.ndim not in equation.params["dimensions"], "rev")
    return np.flip(x, equation.params["dimensions"])


_MOVES: dict[str, Callable] = {"broadcast_in_dim": _spread, "reshape": _reshape, "squeeze": _reshape, "slice": _slice}
_MOVES |= {"expand_dims": _reshape, "transpose": _transpose, "rev": _rev, "concatenate": None, "stack": None}  # type: ignore[dict-item]
# Of floats that are known JAX itself computes these: they have one result on every machine.
_EXACT = {*_NUMPY, *_MOVES, *_PLAIN, *_SAME, "iota", "square", "sign", "clamp", "round", "split", "pad"}
_EXACT |= {"dynamic_update_slice", "gather", "scatter", "bitcast_convert_type", "reduce_max", "reduce_min"}
