r"""A block of a stream as IR for vectors of runs: what a CPU does with the lists of `program`.

    draw      the labels' words; then a pair of coordinates at a time, its lanes in registers for the whole block
    consume   a sample at a time: the sums over coordinates, then what needs them

Centres stay in memory and are loaded where they are used. The shares of a run are written out one after another where
that is little, and are a loop where it is not: the code then does not grow with d.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np

from jgmm.engine.emit import AGAIN, Emitter, Held, counted, loop, number
from jgmm.engine.operations import Node
from jgmm.engine.program import Leaf, Piece, Program, deal

WRITTEN_OUT = 3000  # operations of all shares, at most, that are written out
SKIPPED = 8  # coordinates, at least, of a row that is passed over where no run of the vector moves it
CARRIED = 24  # numbers of a run that move, at most, for them to stay in registers
FEW_ROWS = 6  # whose gates stay in registers while a coordinate of all of them moves
TOGETHER = 10  # sums that are under way at once, at most: their registers
FEW_MEANS = 5  # that stay in registers while a pair is drawn


class Layout(NamedTuple):
    """Where the numbers of a run are: rows of vectors, an array for each kind.

    room: of a share's coordinates (its list has as many, or one less where there is one share). rows: of each array, by
    name.
    flat: arrays whose rows are one number, the same for all runs of a vector.
    """

    program: Program
    width: int
    room: int
    rows: dict[str, int]
    flat: frozenset[str]

    def place(self, slot: int, share: Any = 0, row: int = 0, of: int = 1) -> Any:
        """The row of a coordinate: (row of `of`, slot) of a share."""
        inner = row * self.room + slot
        return share * of * self.room + inner


def layout(program: Program, width: int, flat: frozenset[str]) -> Layout:
    """For vectors of so many runs."""
    room = 2 * -(-program.half // program.shares)
    k, whole = program.k, program.shares * room
    rows = {"words": 4 * (1 + 2 * program.half), "means": k * whole, "thresholds": max(k - 1, 1), "scales": k}
    for i, leaf in enumerate(program.leaves):
        if leaf.alias is None:
            rows[f"leaf{i}"] = leaf_rows(leaf, whole)
    return Layout(program, width, room, rows, flat)


def leaf_rows(leaf: Leaf, whole: int) -> int:
    """How many numbers of a run it holds, so many to a row of coordinates."""
    return int(np.prod(leaf.shape)) if leaf.axis is None else leaf.shape[0] * whole


class Blocks:
    """Writes blocks of a stream at a builder. pointers: of each array of the layout, at the strip's first row."""

    def __init__(self, emitter: Emitter, where: Layout, pointers: dict[str, Any], scratch: dict[str, Any]):
        self.e, self.b, self.where, self.program = emitter, emitter.b, where, where.program
        self.pointers, self.scratch = pointers, scratch
        self.dtypes = {"words": "uint32", "thresholds": "int32", "labels": "int32"}
        self.dtypes |= {f"leaf{i}": leaf.dtype for i, leaf in enumerate(self.program.leaves)}
        dealt = deal(self.program.d, self.program.shares)
        self.missing = [frozenset(np.flatnonzero(dealt[:, s] < 0).tolist()) for s in range(self.program.shares)]

    # --- memory ---

    def at(self, base: Any, row: Any) -> Any:
        return self.b.gep(base, [number(row) if isinstance(row, int) else row], inbounds=True)

    def load(self, name: str, row: Any) -> Any:
        """A row of an array; of a flat one the number, for every run."""
        found = self._load(name, row)
        if self.dtypes.get(name) != "bool":
            return found
        return self.b.icmp_unsigned("!=", found, ir.Constant(found.type, [0] * self.where.width))

    def _load(self, name: str, row: Any) -> Any:
        base = self.pointers[name]
        if name not in self.where.flat:
            return self.b.load(self.at(base, row), align=self._align(name))
        one = self.b.load(self.at(base, row))
        vector = ir.VectorType(one.type, self.where.width)
        first = self.b.insert_element(ir.Constant(vector, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.where.width), [0] * self.where.width)
        return self.b.shuffle_vector(first, first, mask)

    def store(self, value: Any, name: str, row: Any) -> None:
        if self.dtypes.get(name) == "bool":  # a byte in memory
            value = self.b.zext(value, ir.VectorType(ir.IntType(8), self.where.width))
        self.b.store(value, self.at(self.pointers[name], row), align=self._align(name))

    def _align(self, name: str) -> int:
        size = np.dtype(self.dtypes.get(name, self.program.dtype)).itemsize
        return min(64, size * self.where.width)

    def keep(self, value: Any, name: str, row: Any) -> None:
        """Into the scratch."""
        self.b.store(value, self.at(self.scratch[name], row), align=self._align(name))

    def kept(self, name: str, row: Any) -> Any:
        """From the scratch."""
        return self.b.load(self.at(self.scratch[name], row), align=self._align(name))

    # --- drawing ---

    def _once(self, piece: Piece, names: Sequence[tuple], source: Callable) -> list[Any]:
        held = self._held(piece.results.values())
        return [self.e.get(piece.results[name], source, held) for name in names]

    def _held(self, results: Any) -> Held:
        _, uses, cost = counted(results)
        return Held(uses, cost)

    def _next(self, words: Sequence[Any]) -> tuple[list[Any], Any]:
        names = [("word", q) for q in range(4)]
        *after, bits = self._once(self.program.next_bits, [*names, ("bits",)], lambda name: words[name[1]])
        return after, bits

    def draw(self, here: Any, stride: Any, into: str) -> None:
        """The next `here` samples: coordinate c of sample t in the scratch at c * stride + t, label words at t."""
        half, lanes = self.program.half, 1 + 2 * self.program.half
        places = [number(q * lanes) for q in range(4)]

        def label(t: Any, words: list) -> list[Any]:
            after, bits = self._next(words)
            word = self._once(self.program.label_word, [("label word",)], lambda _: bits)[0]
            self.keep(word, "labels", t)
            return after

        self._put(loop(self.b, here, label, [self.load("words", p) for p in places]), places)
        loop(self.b, number(half), lambda j, _: self._pair(j, here, stride, into))

    def _put(self, words: Sequence[Any], places: Sequence[Any]) -> None:
        for word, place in zip(words, places, strict=True):
            self.store(word, "words", place)

    def _pair(self, j: Any, here: Any, stride: Any, into: str) -> tuple:
        """Two coordinates of all samples of the block."""
        b, program, room = self.b, self.program, self.where.room
        lanes, k, shares = 1 + 2 * program.half, program.k, program.shares
        share, slot = (b.urem(j, number(shares)), b.udiv(j, number(shares))) if shares > 1 else (number(0), j)
        slots = [slot, b.add(slot, number(room // 2))]
        rows = [
            [b.add(b.mul(b.add(b.mul(share, number(k)), number(i)), number(room)), c) for i in range(k)] for c in slots
        ]
        targets = [b.add(b.mul(share, number(room)), c) for c in slots]
        firsts = [b.add(j, number(1)), b.add(j, number(1 + program.half))]
        places = [b.add(first, number(q * lanes)) for first in firsts for q in range(4)]
        early = {}
        if k <= FEW_MEANS:
            early = {
                (name, i): self.load("means", rows[c][i])
                for c, name in enumerate(("mean", "other mean"))
                for i in range(k)
            }
        early |= {("threshold", i): self.load("thresholds", i) for i in range(k - 1)}

        def sample(t: Any, words: list) -> list[Any]:
            first, a = self._next(words[:4])
            second, c = self._next(words[4:])

            def source(name: tuple) -> Any:
                if name in early:
                    return early[name]
                if name[0] in ("mean", "other mean"):
                    return self.load("means", rows[name[0] == "other mean"][name[1]])
                if name[0] == "bits":
                    return (a, c)[name[1]]
                return self.kept("labels", t) if name[0] == "label word" else self.load("scales", name[1])

            for target, x in zip(targets, self._once(program.pair, [("x", 0), ("x", 1)], source), strict=True):
                self.keep(x, into, b.add(b.mul(target, stride), t))
            return [*first, *second]

        self._put(loop(b, here, sample, [self.load("words", p) for p in places]), places)
        return ()

    # --- consuming ---

    def consume(self, piece: Piece, stride: Any = None, t: Any = None) -> None:
        """A step, or an end: everything that moves, from its value before."""
        _Consume(self, piece, stride, t).emit()

    def consume_all(self, here: Any, stride: Any) -> None:
        """The steps of a block's samples. Little that moves is in registers meanwhile."""
        names = list(self.program.step.results)
        if self.program.shares > 1 or len(names) > CARRIED:

            def in_memory(t: Any, _: list) -> tuple:
                self.consume(self.program.step, stride, t)
                return ()

            loop(self.b, here, in_memory)
            return
        rows = [int(np.ravel_multi_index(index, self._shape(n))) if index else 0 for _, n, index in names]

        def one(t: Any, values: list) -> list[Any]:
            before = dict(zip(names, values, strict=True))
            step = _Consume(self, self.program.step, stride, t)
            step.before, step.after = before, dict(before)
            step.emit()
            return list(step.after.values())

        start = [self.load(f"leaf{name[1]}", row) for name, row in zip(names, rows, strict=True)]
        for name, row, value in zip(names, rows, loop(self.b, here, one, start), strict=True):
            self.store(value, f"leaf{name[1]}", row)

    def _shape(self, n: int) -> tuple[int, ...]:
        """Of a leaf's rows, where there is one share."""
        leaf = self.program.leaves[n]
        return leaf.shape if leaf.axis is None else (leaf.shape[0], self.where.room)


class _Consume:
    """One piece of a program on one sample."""

    def __init__(self, blocks: Blocks, piece: Piece, stride: Any, t: Any):
        self.blocks, self.b, self.e, self.program = blocks, blocks.b, blocks.e, blocks.program
        self.stride, self.t = stride, t
        self.before: dict[tuple, Any] | None = None  # what moves, where it is in registers; then `after` gets results
        self.after: dict[tuple, Any] = {}
        self.results = [(name, node) for name, node in piece.results.items() if node.op != "input" or node.data != name]
        self.plan = plan(self.program, piece)
        self.order, uses, cost = counted(node for _, node in self.results)
        self.shared = Held(uses, cost)
        self.each = [self.shared.inside() for _ in blocks.missing]  # a share's own values, where shares are written out
        for held, missing in zip(self.each, blocks.missing, strict=True):
            held.missing = missing
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

    def source(self, share: Any) -> Callable:
        """Inputs, those of this share."""

        def get(name: tuple) -> Any:
            kind, blocks = name[0], self.blocks
            if kind == "x":
                row = self._row(name[1], share, 0, 1)
                return blocks.kept("x", self.b.add(self.b.mul(_value(row), self.stride), self.t))
            if kind == "label":
                word = blocks.kept("labels", self.t)
                there = lambda n: word if n[0] == "label word" else blocks.load("thresholds", n[1])  # noqa: E731
                return blocks._once(self.program.label, [("label",)], there)[0]
            if kind == "means":
                i, slot = name[1]
                return blocks.load("means", self._row(slot, share, i, self.program.k))
            if self.before is not None and name in self.before:
                return self.before[name]
            _, n, index = name
            return blocks.load(f"leaf{n}", self.row_of(n, index, share))

        return get

    def row_of(self, n: int, index: tuple[int, ...], share: Any) -> Any:
        """Where an entry of a leaf is."""
        leaf = self.program.leaves[n]
        if leaf.axis is None:
            return int(np.ravel_multi_index(index, leaf.shape)) if leaf.shape else 0
        return self._row(index[1], share, index[0], leaf.shape[0])

    def _row(self, slot: int, share: Any, row: int, of: int) -> Any:
        inner, room = row * self.blocks.where.room + slot, self.blocks.where.room
        if isinstance(share, int):
            return share * of * room + inner
        return self.b.add(self.b.mul(share, number(of * room)), number(inner))

    def emit(self) -> None:
        for stage, totals in enumerate(self.plan.totals):
            self._totals(stage, totals)
        if self.program.shares == 1:
            self._rows(self.results, 0, self.shared.inside())
            return
        own = [(name, node) for name, node in self.results if self.program.leaves[name[1]].axis is not None]
        rest = [(name, node) for name, node in self.results if self.program.leaves[name[1]].axis is None]
        # What all shares need of what is about to change.
        outside = self.source(0)
        for node in self._frontier([node for _, node in own]):
            self.shared.put(node, self.e.get(node, outside, self.shared))
        values = [self.e.get(node, outside, self.shared) for _, node in rest]
        self._own_rows(own)
        for (name, _), value in zip(rest, values, strict=True):
            self.blocks.store(value, f"leaf{name[1]}", self.row_of(name[1], name[2], 0))

    def _own_rows(self, own: Sequence[tuple[tuple, Node]]) -> None:
        """What shares own: a row that can be passed over by itself, for all shares; then all others, share by share."""
        last, shares = len(self.plan.totals), self.program.shares
        groups, pins = _grouped(own, self.moving, self.program)
        rest: list[tuple[tuple, Node]] = []
        for row in groups:
            results = [result for group in row for result in group]
            condition = None if pins else self._skipped(row, shares)
            if condition is None or condition.tag is not None:
                rest += results
                continue
            hit = self.e.get(condition, self.source(0), self.shared)
            with self._where_any(hit):
                self._shares(last, partial(self._whole_row, results))
        if rest:
            self._shares(last, lambda share, held: self._rows(rest, share, held))

    def _whole_row(self, results: Sequence[tuple[tuple, Node]], share: Any, held: Held) -> None:
        self._rows(results, share, held.inside(), ask=False)

    def _where_any(self, hit: Any) -> Any:
        """A block that is passed over where no run of the vector has this flag."""
        bits = self.b.bitcast(hit, ir.IntType(self.blocks.where.width))
        return self.b.if_then(self.b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)))

    def _frontier(self, results: Sequence[Node]) -> list[Node]:
        """Nodes of no coordinate that those of one use directly, but inputs that stay and numbers."""
        found: dict[int, Node] = {}
        order, *_ = counted(results)
        for node in order:
            for arg in node.args if node.tag is not None else ():
                if (
                    arg.tag is None
                    and arg.op not in ("number", "total")
                    and (arg.op != "input" or id(arg) in self.moving)
                ):
                    found[id(arg)] = arg
        for node in results:
            if node.tag is None and node.op not in ("number", "total"):
                found[id(node)] = node
        return list(found.values())

    def _shares(self, stage: int, body: Callable[[Any, Held], None]) -> None:
        """body for each share: written out, or a loop over those that lack the same coordinates.

        What a later stage needs of a share's own is kept: in registers, or from loop to loop in the scratch.
        """
        missing, low = self.blocks.missing, 0
        while low < len(missing):
            high = low
            while high < len(missing) and missing[high] == missing[low]:
                high += 1

            def one(share: Any, _: Any, lacks: frozenset = missing[low]) -> tuple:
                held = self.shared.inside()
                held.missing = lacks
                for i, (node, first) in enumerate(self.plan.kept):
                    if first < stage and stage in self.plan.needed[i] and node.tag not in lacks:
                        held.put(node, self.blocks.kept("own", self._own_row(share, i)))
                body(share, held)
                source = self.source(share)
                for i, (node, first) in enumerate(self.plan.kept):
                    if first == stage and node.tag not in lacks:
                        self.blocks.keep(self.e.get(node, source, held), "own", self._own_row(share, i))
                return ()

            if self.plan.whole:
                for share in range(low, high):
                    body(share, self.each[share])
            else:
                loop(self.b, number(high), one, first=number(low))
            low = high

    def _own_row(self, share: Any, i: int) -> Any:
        return self.b.add(self.b.mul(share, number(len(self.plan.kept))), number(i))

    def _totals(self, stage: int, totals: Sequence[Node]) -> None:
        """The sums of the shares' parts: of pairs, of pairs of pairs, and so on."""
        shares = self.program.shares
        if shares == 1:
            for node, value in zip(totals, self._parts(totals, self.source(0), self.shared), strict=True):
                self.shared.put(node, value)
            return
        parts: dict[tuple[int, int], Any] = {}

        def part(share: Any, held: Held) -> None:
            for i, value in enumerate(self._parts(totals, self.source(share), held)):
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

    def _parts(self, totals: Sequence[Node], source: Callable, held: Held) -> list[Any]:
        """The parts of sums, some side by side: a term of each, then the next, so that a coordinate is loaded once."""
        values: list[Any] = []
        for low in range(0, len(totals), TOGETHER):
            chains = [_chain(node.args[0]) for node in totals[low : low + TOGETHER]]
            if len({len(chain) for chain in chains}) == 1:
                for sums in zip(*chains, strict=True):
                    here = held.inside(everything=True)
                    for node in sums:
                        held.put(node, self.e.get(node, source, here))
            values += [self.e.get(node.args[0], source, held) for node in totals[low : low + TOGETHER]]
        return values

    def _rows(self, results: Sequence[tuple[tuple, Node]], share: Any, held: Held, *, ask: bool = True) -> None:
        """Results of a share, each stored as soon as nothing else needs what it replaces.

        ask: whether a row may be passed over where nothing of it changes.
        """
        results = [(name, node) for name, node in results if not self._lacks(name, held)]
        source = self.source(share)
        groups, pins = _grouped(results, self.moving, self.program)
        for node in pins:
            held.put(node, self.e.get(node, source, held))
        plain: list[list[tuple]] = []
        for row in groups:
            condition = self._skipped(row) if ask else None
            if condition is None:
                plain += row
                continue
            hit = self.e.get(condition, source, held)
            with self._where_any(hit):
                self._store(row, share, source, held.inside())
        selected = all(
            node.op == "select" for group in plain for _, node in group
        )  # soft updates take twice as long so
        if self.program.k > FEW_ROWS or not selected:
            self._store(plain, share, source, held)
            return
        # A coordinate at a time, which is then loaded once for all rows.
        place = lambda group: group[0][0][2][1:]  # noqa: E731
        for _, same in groupby(sorted(plain, key=lambda group: (place(group), group[0][0][2])), place):
            self._store(list(same), share, source, held.inside(everything=True))

    def _lacks(self, name: tuple, held: Held) -> bool:
        leaf = self.program.leaves[name[1]]
        return leaf.axis is not None and name[2][leaf.axis] in held.missing

    def _store(self, row: Sequence[Sequence[tuple]], share: Any, source: Callable, held: Held) -> None:
        for group in row:
            values = [self.e.get(node, source, held) for _, node in group]
            for (name, _), value in zip(group, values, strict=True):
                if self.before is not None:
                    self.after[name] = value
                    continue
                self.blocks.store(value, f"leaf{name[1]}", self.row_of(name[1], name[2], share))

    def _skipped(self, row: Sequence[Sequence[tuple]], shares: int = 1) -> Node | None:
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
    found = [node]
    while found[-1].op in ("fma", "add"):
        rest = found[-1].args[2] if found[-1].op == "fma" else found[-1].args[0]
        if rest.op not in ("fma", "add"):
            break
        found.append(rest)
    return found[::-1]


def _grouped(
    results: Sequence[tuple[tuple, Node]], moving: set[int], program: Program
) -> tuple[list[list[list[tuple[tuple, Node]]]], list[Node]]:
    """Rows of groups of results that are stored together, and what must have a value before anything is stored.

    A group holds the results at one index of leaves that need each other's values (a centre's coordinate, and its
    average's). What several groups need of what changes is computed first.
    """
    order, *_ = counted(node for _, node in results)
    reach = _reach(order, [[i] for i in range(len(results))], results)
    together: dict[int, int] = {}

    def find(leaf: int) -> int:
        while together.get(leaf, leaf) != leaf:
            leaf = together[leaf]
        return leaf

    for node in order:
        mask = reach[id(node)]
        if id(node) in moving and mask.bit_count() <= len(program.leaves) and mask.bit_count() > 1:
            names = [results[i][0] for i in range(len(results)) if mask >> i & 1]
            if len({name[2] for name in names}) == 1:
                for name in names[1:]:
                    together[find(name[1])] = find(names[0][1])
    groups: dict[tuple, list[int]] = {}
    for i, (name, _) in enumerate(results):
        groups.setdefault((find(name[1]), name[2]), []).append(i)
    reach = _reach(order, list(groups.values()), results)
    pins: dict[int, Node] = {}
    direct = {id(node) for _, node in results}
    users: dict[int, list[Node]] = {}
    for node in order:
        for arg in node.args:
            users.setdefault(id(arg), []).append(node)
    for node in order:
        mask = reach[id(node)]
        if id(node) not in moving or mask.bit_count() < 2:
            continue
        if id(node) in direct or any(reach[id(user)] != mask for user in users.get(id(node), [])):
            pins[id(node)] = node
    rows: dict[tuple, list[list[tuple[tuple, Node]]]] = {}
    for (leaf, index), members in groups.items():
        rows.setdefault((leaf, index[:1]), []).append([results[i] for i in members])
    return list(rows.values()), list(pins.values())


def _reach(
    order: Sequence[Node], groups: Sequence[Sequence[int]], results: Sequence[tuple[tuple, Node]]
) -> dict[int, int]:
    """For each node the groups that need it, as bits."""
    reach: dict[int, int] = {}
    for bit, members in enumerate(groups):
        for i in members:
            node = results[i][1]
            reach[id(node)] = reach.get(id(node), 0) | 1 << bit
    for node in reversed(order):
        mask = reach.get(id(node), 0)
        reach[id(node)] = mask
        for arg in node.args if node.op != "total" else ():
            reach[id(arg)] = reach.get(id(arg), 0) | mask
    return reach


def _value(row: Any) -> Any:
    return number(row) if isinstance(row, int) else row


class Plan(NamedTuple):
    """How a piece is gone through.

    totals: stage by stage, those that can be added up once the ones before are known. whole: the shares are written out
    one after another. kept: values of a share's own that a later stage needs, with the stage that computes them;
    needed: in which stages. Empty where shares are written out.
    """

    totals: list[list[Node]]
    whole: bool
    kept: list[tuple[Node, int]]
    needed: list[set[int]]


def plan(program: Program, piece: Piece) -> Plan:
    """For any piece of a program."""
    order, _, cost = counted(piece.results.values())
    totals = [node for node in order if node.op == "total"]
    stages = [[node for node in totals if node.depth == depth] for depth in sorted({node.depth for node in totals})]
    if program.shares == 1 or program.shares * len(order) <= WRITTEN_OUT:
        return Plan(stages, True, [], [])
    first: dict[int, int] = {}
    found: dict[int, tuple[Node, int]] = {}
    needed: dict[int, set[int]] = {}
    ends = [[node.args[0] for node in stage] for stage in stages] + [list(piece.results.values())]
    for stage, results in enumerate(ends):
        mine = [node for node in _until_totals(results) if node.tag is not None]
        for node in mine:
            first.setdefault(id(node), stage)
        wanted = [arg for node in mine if first[id(node)] == stage for arg in node.args] + results
        for node in wanted:
            if first.get(id(node), stage) < stage and cost[id(node)] > AGAIN and node.dtype == program.dtype:
                found[id(node)] = node, first[id(node)]
                needed.setdefault(id(node), set()).add(stage)
    return Plan(stages, False, list(found.values()), [needed[key] for key in found])


def _until_totals(results: Sequence[Node]) -> list[Node]:
    """What is needed once the totals are known."""
    seen: dict[int, Node] = {}
    stack = list(results)
    while stack:
        node = stack.pop()
        if id(node) not in seen and node.op != "total":
            seen[id(node)] = node
            stack += node.args
    return list(seen.values())


def scratch_rows(program: Program) -> dict[str, int]:
    """Rows of scratch for the parts of sums, and for shares' own values."""
    plans = [plan(program, piece) for piece in (program.step, program.end) if piece is not None]
    parts = [len(totals) for each in plans for totals in each.totals]
    own = [len(each.kept) for each in plans]
    return {"parts": max(1, *parts, 0) * program.shares, "own": max(1, *own) * program.shares}
