r"""A jaxpr followed on single numbers of a run: array code becomes a list of operations.

Every array (*shape, runs) is held as `shape` nodes (`operations`): an operation on arrays becomes one on each entry,
loops of known length are written out, and moving data about (`moves`) costs nothing. What mixes runs, or has no rule,
is refused by name. What is known while tracing stays an array of NumPy (`known`).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import numpy as np

from jgmm import elementary
from jgmm.contract import Refused
from jgmm.engine import moves
from jgmm.engine.known import PLAIN, SAME, bind, computed_now, is_known, now
from jgmm.engine.moves import MOVES
from jgmm.engine.nodes import NodeArray, each
from jgmm.engine.operations import FLOATS, Body, Node, Operations
from jgmm.jaxprs import CALLS, Equation, Jaxpr, called, scan_operands, scan_trips

MARK = "sum_over_shares"  # the name of the call that `loops.over_coordinates` leaves in a jaxpr
UNTIL = "each_run_until_done"  # that of `loops.until_done`
SCATTERS = {"scatter-add": "add", "scatter-mul": "mul"}
AT_INDICES = ("dynamic_slice", "dynamic_update_slice", "gather", "scatter", *SCATTERS)
REDUCTIONS = {"reduce_sum": "add", "reduce_prod": "mul", "reduce_max": "max", "reduce_min": "min"}
REDUCTIONS |= {"reduce_and": "and", "reduce_or": "or"}
CUMULATIVE = {"cumsum": "add", "cumprod": "mul", "cummax": "max", "cummin": "min"}
ELEMENTARY = ("exp", "log", "tanh", "pow", "expm1", "log1p", "logistic")


class Follower:
    """Evaluates jaxprs on object arrays of nodes; what is known while tracing stays a NumPy array."""

    def __init__(self, operations: Operations):
        self.operations = operations
        self.each_until_done = False  # whether a while loop is that of `loops.until_done`

    def call(self, function: Callable, *arguments: Any) -> Any:
        """function(*arguments), pytrees whose leaves are `NodeArray`s; results alike."""
        leaves, tree = jax.tree.flatten(arguments, is_leaf=lambda x: isinstance(x, NodeArray))

        def flat(*arrays: Any) -> Any:
            return function(*jax.tree.unflatten(tree, arrays))

        closed, out = jax.make_jaxpr(flat, return_shape=True)(*(x.aval() for x in leaves))
        results = self.evaluate(closed.jaxpr, closed.consts, [x.nodes for x in leaves])
        shapes, tree_of_results = jax.tree.flatten(out)
        arrays = [
            NodeArray(self.nodes(x, s.dtype), str(s.dtype), not s.shape) for x, s in zip(results, shapes, strict=True)
        ]
        return jax.tree.unflatten(tree_of_results, arrays)

    def evaluate(self, jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        """The results of a jaxpr."""
        values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

        def read(name: Any) -> Any:
            # A literal has a value. (Its class is of jax.extend, whose import takes Pallas.)
            return np.asarray(name.val, name.aval.dtype) if hasattr(name, "val") else values[name]

        for equation in jaxpr.eqns:
            results = self._equation(equation, [read(name) for name in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(name) for name in jaxpr.outvars]

    def nodes(self, x: Any, dtype: Any) -> np.ndarray:
        """As an object array of nodes, without a run axis. Raises Refused if runs differ."""
        if not is_known(x):
            return x
        values = np.asarray(x)
        if values.ndim:
            first = np.broadcast_to(values[..., :1], values.shape)
            if not np.array_equal(values, first, equal_nan=values.dtype.kind == "f"):
                raise Refused(f"an array of shape {values.shape} is not the same for every run")
            values = values[..., 0]
        return each(lambda v: self.operations.number(v, str(np.dtype(dtype))), values)

    def _operands(self, equation: Equation, operands: list[Any]) -> list[np.ndarray]:
        """All operands as nodes."""
        return [self.nodes(x, v.aval.dtype) for x, v in zip(operands, equation.invars, strict=True)]

    def _equation(self, equation: Equation, operands: list[Any]) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        if name in CALLS:
            if params.get("name") == MARK:
                return [each(self.operations.total, self.nodes(operands[0], equation.invars[0].aval.dtype))]
            if params.get("name") == UNTIL:
                return self._until(equation, operands)
            return self.evaluate(*called(equation), operands)
        if name == "while" and self.each_until_done:
            return self._while(equation, operands)
        if name == "scan":
            return self._scan(equation, operands)
        if name == "cond":
            return self._cond(equation, operands)
        if computed_now(equation, operands):
            return now(equation, operands)
        if name in SAME:
            return operands
        if name == "unstack":
            return moves.unstack(operands[0], equation)
        if name in MOVES:
            return [MOVES[name](operands[0], equation)]
        if name in ("concatenate", "stack"):
            return [moves.join(equation, self._operands(equation, operands))]
        if name in AT_INDICES:
            return [self._at_indices(equation, operands)]
        if name in REDUCTIONS or name in CUMULATIVE or name in ("argmax", "argmin"):
            return [self._along(equation, operands[0])]
        return [self._elementwise(equation, operands)]

    # --- an operation on each entry ---

    def _elementwise(self, equation: Equation, operands: list[Any]) -> np.ndarray:
        arrays = self._operands(equation, operands)
        name, params = equation.primitive.name, equation.params
        dtype, apply = str(equation.outvars[0].aval.dtype), self.operations.apply
        if name in PLAIN and not (name == "div" and dtype[0] != "f"):
            return each(lambda *x: apply(name, *x), *arrays)
        rules: dict[str, Callable] = {
            "select_n": self._choose,
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
            return each(rules[name], *arrays)
        if name in ELEMENTARY:
            return self._called(getattr(elementary, name), arrays, equation)
        raise Refused(f"the operation {name} has no rule")

    def _called(self, function: Callable, arrays: list[np.ndarray], equation: Equation) -> np.ndarray:
        """A function of arrays of one shape, on each entry."""
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
        dtypes = [str(v.aval.dtype) for v in equation.invars]
        whole = [NodeArray(np.broadcast_to(x, shape), t, False) for x, t in zip(arrays, dtypes, strict=True)]
        return self.call(function, *whole).nodes

    def _choose(self, which: Node, *cases: Node) -> Node:
        """The case of this number; of a flag, the second where it is set."""
        chosen = cases[0]
        for i, case in enumerate(cases[1:], 1):
            hit = which
            if which.dtype != "bool":
                hit = self.operations.apply("eq", which, self.operations.number(i, which.dtype))
            chosen = self.operations.apply("select", hit, case, chosen)
        return chosen

    def _power(self, x: Node, y: int) -> Node:
        """x^y by squares, the lowest binary digit of |y| first."""
        apply, digits, square, power = self.operations.apply, abs(y), x, None
        while digits:
            if digits % 2:
                power = square if power is None else apply("mul", power, square)
            digits //= 2
            square = apply("mul", square, square) if digits else square
        one = self.operations.number(1, x.dtype)
        return one if power is None else apply("div", one, power) if y < 0 else power

    def _remainder(self, x: Node, by: Node) -> Node:
        if by.op != "number" or by.dtype in FLOATS or by.number() <= 0:
            raise Refused("rem by anything but a known positive integer has no rule")
        return self.operations.apply("rem", x, by)

    def _sign(self, x: Node) -> Node:
        apply, number = self.operations.apply, self.operations.number
        zero = number(0, x.dtype)
        below = apply("select", apply("lt", x, zero), number(-1, x.dtype), x)  # 0 and NaN are their own
        return apply("select", apply("gt", x, zero), number(1, x.dtype), below)

    # --- loops and branches ---

    def _scan(self, equation: Equation, operands: list[Any]) -> list[Any]:
        """Written out: its length is known."""
        inner = equation.params["jaxpr"]
        constants, carry, sequences = scan_operands(equation, operands)
        carried = len(carry)
        rows: list[list[Any]] = []
        for i in scan_trips(equation):
            results = self.evaluate(inner.jaxpr, inner.consts, [*constants, *carry, *(_row(x, i) for x in sequences)])
            carry = results[:carried]
            outputs = zip(results[carried:], inner.jaxpr.outvars[carried:], strict=True)
            rows.append([self.nodes(x, v.aval.dtype) for x, v in outputs])
        if equation.params["reverse"]:
            rows.reverse()
        return [*carry, *(np.stack(column) for column in zip(*rows, strict=True))]

    def _cond(self, equation: Equation, operands: list[Any]) -> list[Any]:
        """Where it is not known which: every branch, and of each result the one that is meant."""
        which, *given = operands
        branches = equation.params["branches"]
        if is_known(which):
            branch = branches[min(max(int(which), 0), len(branches) - 1)]
            return self.evaluate(branch.jaxpr, branch.consts, given)
        results = [self.evaluate(branch.jaxpr, branch.consts, given) for branch in branches]
        return [
            each(self._choose, which, *(self.nodes(x, name.aval.dtype) for x in cases))
            for name, cases in zip(equation.outvars, zip(*results, strict=True), strict=True)
        ]

    def _until(self, equation: Equation, operands: list[Any]) -> list[Any]:
        """A loop whose runs wait for each other, and do nothing else together."""
        if self.each_until_done:
            raise Refused("a loop until all runs are done is in another")
        self.each_until_done = True
        try:
            return self.evaluate(*called(equation), operands)
        finally:
            self.each_until_done = False

    def _while(self, equation: Equation, operands: list[Any]) -> list[Any]:
        """A loop of `loops.until_done`: an operation whose body is a list of its own."""
        params, operation = equation.params, self.operations
        operands = operands[params["cond_nconsts"] :]
        constants, carry = operands[: params["body_nconsts"]], operands[params["body_nconsts"] :]
        types = [v.aval.dtype for v in equation.outvars]
        carry = [self.nodes(x, t) for x, t in zip(carry, types, strict=True)]
        inner = params["body_jaxpr"]
        carried, given = _Inputs(operation, "carry"), _Inputs(operation, "given")
        results = self.evaluate(
            inner.jaxpr,
            inner.consts,
            [*(x if is_known(x) else given.of(x) for x in constants), *map(carried.of, carry)],
        )
        body = Body([node for x, t in zip(results, types, strict=True) for node in self.nodes(x, t).ravel()])
        left = iter(operation.repeated(body, carried.stand_for, given.stand_for))
        return [each(lambda _: next(left), x) for x in carry]

    # --- indices, and axes ---

    def _at_indices(self, equation: Equation, operands: list[Any]) -> np.ndarray:
        """What is read or written at known indices."""
        name = equation.primitive.name
        data = {"dynamic_slice": [0], "gather": [0], "dynamic_update_slice": [0, 1]}.get(name, [0, 2])
        where = [x for i, x in enumerate(operands) if i not in data]
        if not all(map(is_known, where)):
            raise Refused(f"{name} at an index that is data")
        arrays = [self.nodes(operands[i], equation.invars[i].aval.dtype) for i in data]
        if name.startswith("dynamic"):
            return moves.window(equation, arrays, where)
        if name in SCATTERS:
            op = SCATTERS[name]
            return moves.scatter(equation, arrays, where[0], lambda old, new: self.operations.apply(op, old, new))
        return moves.gather(equation, arrays, lambda numbers: bind(equation, [numbers[0], where[0], *numbers[1:]]))

    def _along(self, equation: Equation, x: np.ndarray) -> np.ndarray:
        """Along axes that are not the runs, in the order of the entries."""
        name, params = equation.primitive.name, equation.params
        axes = (params["axis"],) if "axis" in params else tuple(params["axes"])
        if x.ndim in axes:
            raise Refused(f"{name} goes over runs")
        if name in CUMULATIVE:
            return self._cumulated(CUMULATIVE[name], x, axes[0], params["reverse"])
        kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
        rows = np.transpose(x, (*kept, *axes)).reshape(*(x.shape[axis] for axis in kept), -1)
        out = np.empty(rows.shape[:-1], object)
        for index in np.ndindex(out.shape):
            entries = list(rows[index])
            if name in REDUCTIONS:
                out[index] = reduce(lambda a, b: self.operations.apply(REDUCTIONS[name], a, b), entries)
            else:
                out[index] = self._best(name, entries, str(params["index_dtype"]))
        return out

    def _cumulated(self, op: str, x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        order = -1 if reverse else 1
        rows = [np.moveaxis(x, axis, 0)[i, ...] for i in range(x.shape[axis])][::order]
        for i in range(1, len(rows)):
            rows[i] = each(lambda a, b: self.operations.apply(op, a, b), rows[i - 1], rows[i])
        return np.moveaxis(np.stack(rows[::order]), 0, axis)

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


class _Inputs:
    """Inputs of a loop's body, and the nodes outside that they stand for."""

    def __init__(self, operations: Operations, name: str):
        self.operations, self.name = operations, name
        self.stand_for: list[Node] = []

    def of(self, x: np.ndarray) -> np.ndarray:
        """An input for each entry."""
        return each(self._one, x)

    def _one(self, node: Node) -> Node:
        self.stand_for.append(node)
        return self.operations.input((self.name, len(self.stand_for) - 1), node.dtype)


def _row(x: Any, i: int) -> Any:
    """Row i of a sequence: an array, of one node where it is one."""
    row = x[i]
    if not isinstance(row, Node):
        return row
    out = np.empty((), object)
    out[()] = row
    return out
