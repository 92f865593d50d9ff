r"""A sample, or a block's end, taken in: the list of a step as IR for vectors of runs.

First come the sums over coordinates, then what needs them. Centres stay in memory and are loaded where they are used.
The shares of a run are written out one after another where that is little, and are a loop where it is not: the code
then does not grow with d.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import llvmlite.ir as ir
import numpy as np

from jgmm.engine import ahead
from jgmm.engine.blocks import Blocks
from jgmm.engine.emit import Values, counted, loop, number
from jgmm.engine.operations import Node
from jgmm.engine.plan import Result, Row, grouped, plan
from jgmm.engine.program import Piece

SKIPPED = 8  # coordinates, at least, of a row that is passed over where no run of the vector moves it
CARRIED = 24  # numbers of a run that move, at most, for them to stay in registers
FEW_ROWS = 6  # whose gates stay in registers while a coordinate of all of them moves
TOGETHER = 10  # sums that are under way at once, at most: their registers


def consume_all(blocks: Blocks, count: ir.Value, stride: ir.Value) -> None:
    """The steps of a block's samples, one after another. What moves is in registers meanwhile, if it is little."""
    program, found = blocks.program, ahead.ahead(blocks.where)
    ahead.compute(blocks, found, count)
    step = found.rest
    names = list(step.results)
    if program.shares > 1 or len(names) > CARRIED:

        def in_memory(t: ir.Value, _: list) -> tuple:
            Consume(blocks, step, stride, t).emit()
            return ()

        loop(blocks.b, count, in_memory)
        return

    def shape(n: int) -> tuple[int, ...]:  # of a leaf's rows
        leaf = program.leaves[n]
        return leaf.shape if leaf.axis is None else (leaf.shape[0], blocks.where.room)

    rows = [int(np.ravel_multi_index(index, shape(n))) if index else 0 for _, n, index in names]

    def in_registers(t: ir.Value, values: list) -> list[ir.Value]:
        one = Consume(blocks, step, stride, t)
        one.before = dict(zip(names, values, strict=True))
        one.after = dict(one.before)
        one.emit()
        return list(one.after.values())

    start = [blocks.load(f"leaf{name[1]}", row) for name, row in zip(names, rows, strict=True)]
    for name, row, value in zip(names, rows, loop(blocks.b, count, in_registers, start), strict=True):
        blocks.store(value, f"leaf{name[1]}", row)


class Consume:
    """A step on sample t of a block, or an end (no t): everything that moves, from its value before.

    stride: rows from a coordinate to the next one's in the scratch.
    """

    def __init__(self, blocks: Blocks, piece: Piece, stride: ir.Value | None = None, t: ir.Value | None = None):
        self.blocks, self.b, self.e, self.program = blocks, blocks.b, blocks.e, blocks.program
        self.stride, self.t = stride, t
        self.before: dict[tuple, ir.Value] | None = (
            None  # what moves, where it is in registers; then `after` gets results
        )
        self.after: dict[tuple, ir.Value] = {}
        self.results = [(name, node) for name, node in piece.results.items() if node.op != "input" or node.data != name]
        self.plan = plan(self.program, piece)
        self.order, uses, cost = counted(node for _, node in self.results)
        self.shared = Values(uses, cost)
        self.each = [self.shared.inside() for _ in blocks.missing]  # a share's own values, where shares are written out
        for values, missing in zip(self.each, blocks.missing, strict=True):
            values.missing = missing
        self.moving = self._find_moving()

    def _find_moving(self) -> set[int]:
        """Nodes whose value changes when something is stored."""
        moving: set[int] = set()
        for node in self.order:
            if node.op == "input" and node.data[0] == "leaf":
                changes = self.program.leaves[node.data[1]].moves
            else:
                changes = node.op != "total" and any(id(arg) in moving for arg in node.args)
            if changes:
                moving.add(id(node))
        return moving

    def source(self, share: ir.Value) -> Callable:
        """The values of inputs, by name: those of this share."""

        def get(name: tuple) -> ir.Value:
            kind, blocks = name[0], self.blocks
            if kind == "x":
                row = self._row(name[1], share, 0, 1)
                return blocks.kept("x", self.b.add(self.b.mul(_value(row), self.stride), self.t))
            if kind == "label":
                of_word = partial(self._of_label, blocks.kept("labels", self.t))
                return blocks.results(self.program.label, [("label",)], of_word)[0]
            if kind == "ahead":
                return ahead.value(blocks, name[1], self.t)
            if kind == "means":
                i, slot = name[1]
                return blocks.load("means", self._row(slot, share, i, self.program.k))
            if self.before is not None and name in self.before:
                return self.before[name]
            _, n, index = name
            return blocks.load(f"leaf{n}", self.row_of(n, index, share))

        return get

    def _of_label(self, word: ir.Value, name: tuple) -> ir.Value:
        return word if name[0] == "label word" else self.blocks.load("thresholds", name[1])

    def row_of(self, n: int, index: tuple[int, ...], share: ir.Value) -> ir.Value:
        """Where an entry of a leaf is."""
        leaf = self.program.leaves[n]
        if leaf.axis is None:
            return int(np.ravel_multi_index(index, leaf.shape)) if leaf.shape else 0
        return self._row(index[1], share, index[0], leaf.shape[0])

    def _row(self, slot: int, share: ir.Value, row: int, of: int) -> ir.Value:
        inner, room = row * self.blocks.where.room + slot, self.blocks.where.room
        if isinstance(share, int):
            return share * of * room + inner
        return self.b.add(self.b.mul(share, number(of * room)), number(inner))

    def emit(self) -> None:
        """Write it all."""
        for stage, totals in enumerate(self.plan.totals):
            self._totals(stage, totals)
        if self.program.shares == 1:
            self._rows(self.results, 0, self.shared.inside())
            return
        own = [(name, node) for name, node in self.results if self.program.leaves[name[1]].axis is not None]
        others = [(name, node) for name, node in self.results if self.program.leaves[name[1]].axis is None]
        # What all shares need of what is about to change.
        outside = self.source(0)
        for node in self._frontier([node for _, node in own]):
            self.shared.put(node, self.e.get(node, outside, self.shared))
        values = [self.e.get(node, outside, self.shared) for _, node in others]
        self._own_rows(own)
        for (name, _), value in zip(others, values, strict=True):
            self.blocks.store(value, f"leaf{name[1]}", self.row_of(name[1], name[2], 0))

    def _own_rows(self, own: Sequence[Result]) -> None:
        """What shares own: a row that can be passed over by itself, for all shares; then all others, share by share."""
        last, shares = len(self.plan.totals), self.program.shares
        groups, pins = grouped(own, self.moving, self.program)
        others: list[Result] = []
        for row in groups:
            results = [result for group in row for result in group]
            condition = None if pins else self._skipped(row, shares)
            if condition is None or condition.tag is not None:
                others += results
                continue
            hit = self.e.get(condition, self.source(0), self.shared)
            with self._where_any(hit):
                self._shares(last, partial(self._whole_row, results))
        if others:
            self._shares(last, partial(self._rows, others))

    def _whole_row(self, results: Sequence[Result], share: ir.Value, values: Values) -> None:
        self._rows(results, share, values.inside(), ask=False)

    def _where_any(self, hit: ir.Value) -> ir.Value:
        """A block that is passed over where no run of the vector has this flag."""
        bits = self.b.bitcast(hit, ir.IntType(self.blocks.where.width))
        return self.b.if_then(self.b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)))

    def _frontier(self, results: Sequence[Node]) -> list[Node]:
        """What no coordinate is in and what coordinates need directly, but inputs that stay and numbers."""
        frontier: dict[int, Node] = {}
        order, *_ = counted(results)
        for node in order:
            for arg in node.args if node.tag is not None else ():
                if (
                    arg.tag is None
                    and arg.op not in ("number", "total")
                    and (arg.op != "input" or id(arg) in self.moving)
                ):
                    frontier[id(arg)] = arg
        for node in results:
            if node.tag is None and node.op not in ("number", "total"):
                frontier[id(node)] = node
        return list(frontier.values())

    def _shares(self, stage: int, body: Callable[[ir.Value, Values], None]) -> None:
        """body for each share: written out, or a loop over those that lack the same coordinates.

        What a later stage needs of a share's own is kept: in registers, or from loop to loop in the scratch.
        """
        missing, low = self.blocks.missing, 0
        while low < len(missing):
            high = low
            while high < len(missing) and missing[high] == missing[low]:
                high += 1

            def one(share: ir.Value, _: ir.Value, lacks: frozenset = missing[low]) -> tuple:
                values = self.shared.inside()
                values.missing = lacks
                for i, (node, first) in enumerate(self.plan.kept):
                    if first < stage and stage in self.plan.needed[i] and node.tag not in lacks:
                        values.put(node, self.blocks.kept("own", self._own_row(share, i)))
                body(share, values)
                source = self.source(share)
                for i, (node, first) in enumerate(self.plan.kept):
                    if first == stage and node.tag not in lacks:
                        self.blocks.keep(self.e.get(node, source, values), "own", self._own_row(share, i))
                return ()

            if self.plan.whole:
                for share in range(low, high):
                    body(share, self.each[share])
            else:
                loop(self.b, number(high), one, first=number(low))
            low = high

    def _own_row(self, share: ir.Value, i: int) -> ir.Value:
        return self.b.add(self.b.mul(share, number(len(self.plan.kept))), number(i))

    def _totals(self, stage: int, totals: Sequence[Node]) -> None:
        """The sums of the shares' parts: of pairs, of pairs of pairs, and so on."""
        shares = self.program.shares
        if shares == 1:
            for node, value in zip(totals, self._parts(totals, self.source(0), self.shared), strict=True):
                self.shared.put(node, value)
            return
        parts: dict[tuple[int, int], ir.Value] = {}

        def part(share: ir.Value, values: Values) -> None:
            for i, value in enumerate(self._parts(totals, self.source(share), values)):
                if self.plan.whole:
                    parts[i, share] = value
                else:
                    row = self.b.add(self.b.mul(share, number(len(totals))), number(i))
                    self.blocks.keep(value, "parts", row)

        self._shares(stage, part)
        for i, node in enumerate(totals):
            terms = [parts.get((i, s)) or self.blocks.kept("parts", number(s * len(totals) + i)) for s in range(shares)]
            while len(terms) > 1:
                terms = [self.b.fadd(terms[j], terms[j + 1]) for j in range(0, len(terms), 2)]
            self.shared.put(node, terms[0])

    def _parts(self, totals: Sequence[Node], source: Callable, values: Values) -> list[ir.Value]:
        """A share's parts of sums, some side by side: a term of each, then the next, so that a coordinate is loaded
        once."""
        parts: list[ir.Value] = []
        for low in range(0, len(totals), TOGETHER):
            chains = [_chain(node.args[0]) for node in totals[low : low + TOGETHER]]
            if len({len(chain) for chain in chains}) == 1:
                for sums in zip(*chains, strict=True):
                    of_term = values.inside(everything=True)
                    for node in sums:
                        values.put(node, self.e.get(node, source, of_term))
            parts += [self.e.get(node.args[0], source, values) for node in totals[low : low + TOGETHER]]
        return parts

    def _rows(self, results: Sequence[Result], share: ir.Value, values: Values, *, ask: bool = True) -> None:
        """Results of a share, each stored as soon as nothing else needs what it replaces.

        ask: whether a row may be passed over where nothing of it changes.
        """
        results = [(name, node) for name, node in results if not self._lacks(name, values)]
        source = self.source(share)
        groups, pins = grouped(results, self.moving, self.program)
        for node in pins:
            values.put(node, self.e.get(node, source, values))
        plain: Row = []
        for row in groups:
            condition = self._skipped(row) if ask else None
            if condition is None:
                plain += row
                continue
            hit = self.e.get(condition, source, values)
            with self._where_any(hit):
                self._store(row, share, source, values.inside())
        selected = all(node.op == "select" for group in plain for _, node in group)
        if self.program.k > FEW_ROWS or not selected:
            self._store(plain, share, source, values)
            return
        # A coordinate at a time, which is then loaded once for all rows. (Soft updates take twice as long so.)
        by_coordinate = sorted(plain, key=lambda group: (_coordinate(group), group[0][0][2]))
        for _, same in groupby(by_coordinate, _coordinate):
            self._store(list(same), share, source, values.inside(everything=True))

    def _lacks(self, name: tuple, values: Values) -> bool:
        """Whether it is an entry of a coordinate that this share does not have."""
        leaf = self.program.leaves[name[1]]
        return leaf.axis is not None and name[2][leaf.axis] in values.missing

    def _store(self, row: Row, share: ir.Value, source: Callable, values: Values) -> None:
        """The results of each group together: all of them computed, then all stored.

        A group is stored once the next is computed. Where no store is between an old number's load and the store of a
        choice between it and a new one, LLVM makes a masked store, for which AMD's Zen 3 takes some 12 cycles.
        """
        waiting: list[tuple[tuple, ir.Value]] = []
        for group in row:
            computed = [(name, self.e.get(node, source, values)) for name, node in group]
            self._put(waiting, share)
            waiting = computed
        self._put(waiting, share)

    def _put(self, computed: Sequence[tuple[tuple, ir.Value]], share: ir.Value) -> None:
        """Results into memory, or among what moves in registers."""
        for name, value in computed:
            if self.before is not None:
                self.after[name] = value
                continue
            self.blocks.store(value, f"leaf{name[1]}", self.row_of(name[1], name[2], share))

    def _skipped(self, row: Row, shares: int = 1) -> Node | None:
        """The condition without which nothing of the row changes, where it pays to ask."""
        flat = [(name, node) for group in row for name, node in group]
        if self.before is not None or len(flat) * shares < SKIPPED or any(node.op != "select" for _, node in flat):
            return None
        first = flat[0][1].args[0]
        same = all(
            node.args[0] is first and node.args[2].op == "input" and node.args[2].data == name for name, node in flat
        )
        return first if same and 2 * self.program.k > self.blocks.where.width else None


def _chain(node: Node) -> list[Node]:
    """A sum term by term, the first first; the sum alone where it is none."""
    sums = [node]
    while sums[-1].op in ("fma", "add"):
        before = sums[-1].args[2] if sums[-1].op == "fma" else sums[-1].args[0]
        if before.op not in ("fma", "add"):
            break
        sums.append(before)
    return sums[::-1]


def _coordinate(group: Sequence[Result]) -> tuple:
    """Which coordinate the results of a group are of."""
    return group[0][0][2][1:]


def _value(row: ir.Value) -> ir.Value:
    return number(row) if isinstance(row, int) else row
