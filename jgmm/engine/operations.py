r"""The list of operations that a step becomes: each is on single numbers of a run, and two equal ones are one.

What is computed must not depend on a compiler, so the list says all of it:

* A product that is an operand of a sum becomes one fused multiply-add: a * b + c, a * b - c and c - a * b round once.
  Where both operands are products, the first is fused. Another use of the product computes it by itself.
* Operations on constants are computed at once, as IEEE 754 has them. Nothing is reordered: (a + b) + c stays.
* `total` is the sum over the shares of a run's coordinates (`program`), whose order is a function of the shape.

The operations are + - * / sqrt, fma, comparisons, selects, conversions and those of integers: IEEE 754 and two's
complement define every one to the last bit.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

FLOATS = ("float32", "float64")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
MIXED = -1  # the tag of what depends on several coordinates


class Node:
    """An operation, an input or a number.

    tag: the coordinate (of a share) that it depends on, MIXED for several, None for none. depth: how many totals lie
    on the longest way to it.
    """

    __slots__ = ("args", "data", "depth", "dtype", "op", "tag")

    def __init__(self, op: str, args: tuple["Node", ...], dtype: str, data: Any, tag: int | None, depth: int):
        self.op, self.args, self.dtype, self.data, self.tag, self.depth = op, args, dtype, data, tag, depth

    def number(self) -> Any:
        """A number's value, a NumPy scalar."""
        return np.frombuffer(self.data, self.dtype)[0]

    def __repr__(self) -> str:
        return f"{self.op}:{self.dtype}[{self.number() if self.op == 'number' else self.data}]"


class Body:
    """What a loop does to the numbers that it carries, of inputs ("carry", i) and ("given", i): a node for each."""

    def __init__(self, results: Sequence[Node]):
        self.results = tuple(results)

    def __repr__(self) -> str:
        return "; ".join(lines(self.results))


class Operations:
    """All nodes of a list; two that are equal are one."""

    def __init__(self) -> None:
        self._nodes: dict[tuple, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        """All nodes, each after its operands."""
        return iter(self._nodes.values())

    def _node(self, op: str, args: tuple[Node, ...], dtype: str, data: Any = None, tag: int | None = None) -> Node:
        key = (op, tuple(map(id, args)), dtype, data)
        node = self._nodes.get(key)
        if node is not None:
            return node
        depth = 0
        for arg in args:
            tag = arg.tag if tag is None or tag == arg.tag else tag if arg.tag is None else MIXED
            depth = max(depth, arg.depth)
        if op == "total":
            tag, depth = None, depth + 1
        node = self._nodes[key] = Node(op, args, dtype, data, tag, depth)
        return node

    def number(self, value: Any, dtype: str) -> Node:
        """A constant."""
        return self._node("number", (), dtype, np.asarray(value).astype(dtype).tobytes())

    def input(self, name: tuple, dtype: str, tag: int | None = None) -> Node:
        """A number that the list is given: `name` says which."""
        return self._node("input", (), dtype, name, tag)

    def total(self, part: Node) -> Node:
        """The sum of `part` over the shares of a run."""
        return self._node("total", (part,), part.dtype)

    def repeated(self, body: "Body", carry: Sequence[Node], given: Sequence[Node]) -> list[Node]:
        """What the body's loop leaves of each carried number. The first of them is a flag, set where a run is done."""
        loop = self._node("repeat", (*carry, *given), carry[0].dtype, body)
        return [self._node("item", (loop,), node.dtype, i) for i, node in enumerate(carry)]

    def apply(self, op: str, *args: Node, dtype: str | None = None) -> Node:
        """The operation of this name (JAX's); dtype: the result's, where it is not the operands'.

        Raises ValueError for one that has no rule.
        """
        kind = args[-1].dtype if op == "select" else args[0].dtype
        dtype = dtype or ("bool" if op in COMPARISONS else kind)
        if all(arg.op == "number" for arg in args):
            value = _fold(op, args, dtype)
            if value is not None:
                return self.number(value, dtype)
        if op in ("add", "sub") and kind in FLOATS:
            return self._sum(op, *args)
        if op == "select":
            return self._select(*args)
        if op == "neg" and args[0].op == "neg":
            return args[0].args[0]
        if (op in ("mul", "div") and _is(args[1], 1)) or (op == "bitcast" and kind == dtype):
            return args[0]
        if op == "mul" and _is(args[0], 1):
            return args[1]
        if op == "convert" and kind == dtype:
            return args[0]
        if op not in RULES:
            raise ValueError(f"the operation {op} has no rule")
        return self._node(op, args, dtype)

    def _sum(self, op: str, first: Node, second: Node) -> Node:
        """A sum or difference; with a product in it, fused: (sign of the product, sign of the term) is its data."""
        less = -1 if op == "sub" else 1
        product = _product(first)
        if product is not None:
            return self._fma(*product, second, less)
        product = _product(second)
        if product is not None:
            sign, a, b = product
            return self._fma(sign * less, a, b, first, 1)
        if op == "sub" and _is(second, 0) and not np.signbit(second.number()):  # -0 - -0 is 0
            return first
        return self._node(op, (first, second), first.dtype)

    def _fma(self, sign: int, a: Node, b: Node, term: Node, of_term: int) -> Node:
        return self._node("fma", (a, b, term), term.dtype, (sign, of_term))

    def _select(self, condition: Node, yes: Node, no: Node) -> Node:
        if condition.op == "number":
            return yes if condition.number() else no
        return yes if yes is no else self._node("select", (condition, yes, no), yes.dtype)


RULES = {"add", "sub", "mul", "div", "neg", "abs", "sqrt", "max", "min", "floor", "ceil", "select", "rem", *COMPARISONS}
RULES |= {
    "and",
    "or",
    "xor",
    "not",
    "shift_left",
    "shift_right_logical",
    "shift_right_arithmetic",
    "convert",
    "bitcast",
}


def _is(node: Node, value: float) -> bool:
    return node.op == "number" and node.dtype in FLOATS and bool(node.number() == value)


def _product(node: Node) -> tuple[int, Node, Node] | None:
    """Sign and factors, where it is a product or a product's negative."""
    sign, inner = (-1, node.args[0]) if node.op == "neg" else (1, node)
    return (sign, inner.args[0], inner.args[1]) if inner.op == "mul" else None


_BINARY: dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
# The second where it is beyond the first, or no number (as `emit` writes it: of 0 and -0 the first).
_BINARY |= {"max": lambda a, b: b if b > a or b != b else a, "min": lambda a, b: b if b < a or b != b else a}
_BINARY |= {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal}
_BINARY |= {"gt": np.greater, "ge": np.greater_equal, "and": np.bitwise_and, "or": np.bitwise_or}
_BINARY |= {"xor": np.bitwise_xor, "shift_left": np.left_shift}
_UNARY = {"neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "not": np.invert, "floor": np.floor, "ceil": np.ceil}


def _fold(op: str, args: tuple[Node, ...], dtype: str) -> Any:
    """The operation on numbers, by NumPy; None where it is left to be computed."""
    values = [arg.number() for arg in args]
    with np.errstate(all="ignore"):
        if op in _BINARY and not (op == "div" and dtype not in FLOATS):
            return _BINARY[op](*values)
        if op in _UNARY:
            return _UNARY[op](*values)
        if op == "bitcast":
            return values[0].view(dtype)
        if op == "convert" and not (args[0].dtype in FLOATS and dtype not in FLOATS):
            return values[0].astype(dtype)
    return None


def ordered(results: Iterable[Node]) -> list[Node]:
    """All nodes that are needed, operands first."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(results))]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(x, False) for x in reversed(node.args)]
    return order


def lines(results: Sequence[Node]) -> list[str]:
    """A list in words, a line for each operation, and one for which of them are the results."""
    numbers: dict[int, int] = {}
    written = []
    for node in ordered(results):
        numbers[id(node)] = len(numbers)
        written.append(f"{node.op} {node.dtype} {node.data} {[numbers[id(x)] for x in node.args]}")
    return [*written, repr([numbers[id(node)] for node in results])]
