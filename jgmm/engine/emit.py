r"""A list of operations as LLVM IR: for vectors of runs, or for single numbers (a GPU's thread).

No operation carries a fast-math flag, so every target computes what is written. A result is emitted where it is stored,
together with the operations that it needs: a value that waits for its use costs a register. A value that takes at most
AGAIN operations is computed anew for each use. No optimising pass of LLVM follows.
"""

from collections.abc import Callable, Iterable, Sequence

import llvmlite.ir as ir
import numpy as np

from jgmm.engine.operations import COMPARISONS, FLOATS, Body, Node, ordered

AGAIN = 2
I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
TYPES = {"float32": ir.FloatType(), "float64": ir.DoubleType(), "bool": I1}
TYPES |= {f"{sign}int{bits}": ir.IntType(bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}
_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

Source = Callable[[tuple], ir.Value]  # the IR value of an input, by its name: loaded where it is asked for


class Emitter:
    """Writes at `builder`. width: runs of a vector; None for single numbers."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder, width: int | None):
        self.module, self.b, self.width = module, builder, width

    def type(self, dtype: str) -> ir.Type:
        """Of a value."""
        return TYPES[dtype] if self.width is None else ir.VectorType(TYPES[dtype], self.width)

    def constant(self, value: float, dtype: str) -> ir.Constant:
        """A number, the same for every run."""
        plain = float(value) if dtype in FLOATS else int(value)
        return ir.Constant(self.type(dtype), plain if self.width is None else [plain] * self.width)

    def get(self, wanted: Node, source: Source, values: "Values") -> ir.Value:
        """The value of a node. values: what has one already; it gets more of them."""
        computed: dict[int, ir.Value] = {}
        stack = [wanted]
        while stack:
            node = stack[-1]
            if id(node) in computed or (value := values.find(node)) is not None:
                computed.setdefault(id(node), values.find(node))
                stack.pop()
            elif node.op == "number":
                computed[id(node)] = self.constant(node.number(), node.dtype)
            elif node.op == "input":
                computed[id(node)] = value = source(node.data)
                values.keep(node, value)
            else:
                needs = values.needs(node)
                waiting = [arg for arg in reversed(needs) if id(arg) not in computed]
                if waiting:
                    stack += waiting
                    continue
                value = (
                    computed[id(needs[0])]
                    if needs != node.args
                    else self._compute(node, [computed[id(x)] for x in needs])
                )
                computed[id(node)] = value
                values.keep(node, value)
        return computed[id(wanted)]

    def call(self, name: str, args: Sequence[ir.Value], result: ir.Type | None = None) -> ir.Value:
        """An intrinsic of LLVM, its types in its name."""
        kinds = [result, args[0].type] if result is not None else [args[0].type]
        full = ".".join(["llvm", name, *map(_type_name, kinds)])
        function = self.module.globals.get(full)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(result or args[0].type, [a.type for a in args]), full)
        return self.b.call(function, args)

    def _compute(self, node: Node, x: list[ir.Value]) -> ir.Value:
        b, op = self.b, node.op
        kind = node.args[-1].dtype if op == "select" else node.args[0].dtype
        real = kind in FLOATS
        if op == "fma":
            product, term = node.data
            return self.call("fma", [b.fneg(x[0]) if product < 0 else x[0], x[1], b.fneg(x[2]) if term < 0 else x[2]])
        if op == "repeat":
            return self._repeat(node.data, x)
        if op == "item":
            return x[0][node.data]
        if op in ("add", "sub", "mul"):
            return getattr(b, ("f" if real else "") + op)(*x)
        if op == "div":
            return b.fdiv(*x)
        if op == "rem":
            return b.srem(*x) if kind.startswith("int") else b.urem(*x)
        if op in COMPARISONS:
            return self._compare(op, kind, *x)
        if op in ("max", "min"):
            return self._extreme(node, x)
        if op == "select":
            return b.select(*x)
        if op in ("sqrt", "floor", "ceil"):
            return self.call(op, x)
        if op == "abs":
            return (
                self.call("fabs", x)
                if real
                else b.select(self._compare("lt", kind, x[0], self.constant(0, kind)), b.neg(x[0]), x[0])
            )
        if op == "neg":
            return b.fneg(x[0]) if real else b.neg(x[0])
        if op == "bitcast":
            to = self.type(node.dtype)
            return x[0] if to == x[0].type else b.bitcast(x[0], to)
        if op == "convert":
            return self._convert(x[0], kind, node.dtype)
        simple = {"and": b.and_, "or": b.or_, "xor": b.xor, "not": b.not_, "shift_left": b.shl}
        simple |= {"shift_right_logical": b.lshr, "shift_right_arithmetic": b.ashr}
        return simple[op](*x)

    def _repeat(self, body: Body, x: list[ir.Value]) -> list[ir.Value]:
        """What a loop carries in the end: it goes round until every run is done, and the body keeps what is."""
        b, count, before = self.b, len(body.results), self.b.block
        head, inside, after = (b.function.append_basic_block(name) for name in ("until", "again", "done"))
        b.branch(head)
        b.position_at_end(head)
        carried = [b.phi(value.type) for value in x[:count]]
        for phi, value in zip(carried, x[:count], strict=True):
            phi.add_incoming(value, before)
        b.cbranch(self.all_set(carried[0]), after, inside)
        b.position_at_end(inside)
        _, uses, cost = counted(body.results)
        values, of = Values(uses, cost, everything=True), {"carry": carried, "given": x[count:]}
        results = [self.get(node, lambda name: of[name[0]][name[1]], values) for node in body.results]
        for phi, value in zip(carried, results, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        return carried

    def all_set(self, flag: ir.Value) -> ir.Value:
        """Whether a flag is set in all runs that take the same branches."""
        if self.width is None:
            return flag
        bits = self.b.bitcast(flag, ir.IntType(self.width))
        return self.b.icmp_unsigned("==", bits, ir.Constant(bits.type, -1))

    def _compare(self, op: str, kind: str, a: ir.Value, c: ir.Value) -> ir.Value:
        if kind in FLOATS:
            return (self.b.fcmp_unordered if op == "ne" else self.b.fcmp_ordered)(_SIGNS[op], a, c)
        return (self.b.icmp_signed if kind.startswith("int") else self.b.icmp_unsigned)(_SIGNS[op], a, c)

    def _extreme(self, node: Node, x: list[ir.Value]) -> ir.Value:
        """The second where it is beyond the first, or is NaN: one instruction of x86, but for the NaN."""
        (a, c), kind = x, node.args[0].dtype
        beyond = self.b.select(self._compare("gt" if node.op == "max" else "lt", kind, c, a), c, a)
        if kind not in FLOATS or node.args[1].op == "number":
            return beyond
        return self.b.select(self.b.fcmp_unordered("uno", c, c), c, beyond)

    def _convert(self, x: ir.Value, kind: str, dtype: str) -> ir.Value:
        b, to = self.b, self.type(dtype)
        if kind == "bool":
            return b.select(x, self.constant(1, dtype), self.constant(0, dtype))
        if dtype == "bool":
            return self._compare("ne", kind, x, self.constant(0, kind))
        signed = kind.startswith("int")
        if kind in FLOATS and dtype in FLOATS:
            return b.fpext(x, to) if dtype == "float64" else b.fptrunc(x, to)
        if dtype in FLOATS:
            return b.sitofp(x, to) if signed else b.uitofp(x, to)
        if kind in FLOATS:  # saturating: the plain one says nothing of what does not fit
            return self.call("fptosi.sat" if dtype.startswith("int") else "fptoui.sat", [x], to)
        before, after = (TYPES[t].width for t in (kind, dtype))
        return (
            x if before == after else b.trunc(x, to) if after < before else b.sext(x, to) if signed else b.zext(x, to)
        )


class Values:
    """Values that have been computed, by node. `inside` adds a layer, for a block after which its values are gone.

    uses, cost: of each node, as `counted` gives them. missing: coordinates that a share lacks; sums leave them out.
    """

    def __init__(self, uses: dict[int, int], cost: dict[int, int], *, everything: bool = False):
        self._uses, self._cost, self._everything = uses, cost, everything
        self._layers: list[dict[int, ir.Value]] = [{}]
        self.missing: frozenset[int] = frozenset()

    def inside(self, *, everything: bool = False) -> "Values":
        """A layer above this one. everything: it keeps every value."""
        layer = Values(self._uses, self._cost, everything=everything or self._everything)
        layer._layers, layer.missing = [{}, *self._layers], self.missing
        return layer

    def find(self, node: Node) -> ir.Value:
        """Its value, or None."""
        for layer in self._layers:
            value = layer.get(id(node))
            if value is not None:
                return value
        return None

    def put(self, node: Node, value: ir.Value) -> None:
        """Keep this value."""
        self._layers[0][id(node)] = value

    def keep(self, node: Node, value: ir.Value) -> None:
        """Keep a value if it is used again and costs more than computing it again."""
        if self._everything or (self._uses.get(id(node), 0) > 1 and self._cost[id(node)] > AGAIN):
            self.put(node, value)

    def needs(self, node: Node) -> tuple[Node, ...]:
        """The operands; of a sum whose last term is of a missing coordinate, the sum before that term alone."""
        if self.missing and node.op in ("fma", "add"):
            term, before = node.args[:-1], node.args[-1:]
            if node.op == "add":
                term, before = (node.args[1:], node.args[:1]) if node.args[1].tag in self.missing else (term, before)
            if any(x.tag in self.missing for x in term) and node.tag not in self.missing:
                return before
            if any(x.tag in self.missing for x in term) and before[0].op == "number":
                return before
        return node.args


def counted(results: Iterable[Node]) -> tuple[list[Node], dict[int, int], dict[int, int]]:
    """All nodes that are needed, operands first; how often each is used; and what each costs from what is loaded."""
    results = list(results)
    order = ordered(results)
    uses: dict[int, int] = {}
    cost: dict[int, int] = {}
    for node in results:
        uses[id(node)] = uses.get(id(node), 0) + 1
    for node in order:
        cost[id(node)] = min(1000, 1 + sum(cost[id(x)] for x in node.args)) if node.args else 0
        for x in node.args:
            uses[id(x)] = uses.get(id(x), 0) + 1
    return order, uses, cost


def _type_name(kind: ir.Type) -> str:
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_type_name(kind.element)}"
    return {ir.FloatType(): "f32", ir.DoubleType(): "f64"}.get(kind) or f"i{kind.width}"


def loop(
    b: ir.IRBuilder,
    count: ir.Value,
    body: Callable[[ir.Value, list], Sequence],
    carry: Sequence = (),
    *,
    first: ir.Value | None = None,
) -> list:
    """carry <- body(i, carry) for i = first (0), ..., count - 1, all of the count's type."""
    before = b.block
    head, inside, after = (b.function.append_basic_block(name) for name in ("head", "body", "end"))
    b.branch(head)
    b.position_at_end(head)
    i = b.phi(count.type)
    i.add_incoming(ir.Constant(count.type, 0) if first is None else first, before)
    moving = [b.phi(value.type) for value in carry]
    for phi, value in zip(moving, carry, strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_signed("<", i, count), inside, after)
    b.position_at_end(inside)
    after_trip = body(i, moving)
    i.add_incoming(b.add(i, ir.Constant(count.type, 1)), b.block)
    for phi, value in zip(moving, after_trip, strict=True):
        phi.add_incoming(value, b.block)
    b.branch(head)
    b.position_at_end(after)
    return moving


def number(value: int) -> ir.Constant:
    """A trip count or an index."""
    return ir.Constant(I64, int(np.int64(value)))
