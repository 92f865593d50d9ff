r"""Where the numbers of runs are while the CPU's code streams them, and how a block of samples is drawn.

Arrays are rows of vectors, a strip's one after another (`Layout`, `strips`). A block of samples is drawn a pair of
coordinates at a time, its lanes in registers for the whole block, into a scratch; `consume` then takes in one sample
after another.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import llvmlite.ir as ir
import numpy as np

from jgmm.engine.emit import Emitter, Values, counted, loop, number
from jgmm.engine.program import Leaf, Piece, Program, deal

BLOCK = 16  # samples that are drawn together, at most
BLOCK_BYTES = 2**14  # of them, at most: half a first cache
FEW_MEANS = 5  # that stay in registers while a pair is drawn


class Layout(NamedTuple):
    """Where the numbers of a run are: rows of vectors, an array for each kind.

    width: runs of a vector. room: coordinates that a share has room for (it has as many, or one less where there is one
    share). block: samples that are drawn together. rows: of each array, by name. flat: arrays whose rows are one
    number, the same for all runs of a vector.
    """

    program: Program
    width: int
    room: int
    block: int
    rows: dict[str, int]
    flat: frozenset[str]


def layout(program: Program, width: int, block: int = BLOCK) -> Layout:
    """For vectors of so many runs, and at most so many samples together; no array is flat."""
    room = 2 * -(-program.half // program.shares)
    k, whole = program.k, program.shares * room
    rows = {"words": 4 * (1 + 2 * program.half), "means": k * whole, "thresholds": max(program.labels - 1, 1)}
    rows |= {"scales": k} | ({"numbers": program.numbers} if program.numbers else {})
    for i, leaf in enumerate(program.leaves):
        if leaf.alias is None:
            rows[f"leaf{i}"] = _leaf_rows(leaf, whole)
    sample_bytes = whole * width * np.dtype(program.dtype).itemsize
    block = int(min(block, max(2, BLOCK_BYTES // sample_bytes)))
    return Layout(program, width, room, block, rows, frozenset())


def _leaf_rows(leaf: Leaf, whole: int) -> int:
    """How many numbers of a run it holds, so many to a row of coordinates."""
    return int(np.prod(leaf.shape)) if leaf.axis is None else leaf.shape[0] * whole


class Blocks:
    """Writes the drawing of blocks at a builder, and what reads and writes the arrays.

    arrays: pointers to each array of the layout, at the strip's first row. scratch: to those of `native.SCRATCH`.
    """

    def __init__(self, emitter: Emitter, where: Layout, arrays: dict[str, ir.Value], scratch: dict[str, ir.Value]):
        self.e, self.b, self.where, self.program = emitter, emitter.b, where, where.program
        self.arrays, self.scratch = arrays, scratch
        self.dtypes = {"words": "uint32", "thresholds": "int32", "labels": "int32", "numbers": "float32"}
        self.dtypes |= {f"leaf{i}": leaf.dtype for i, leaf in enumerate(self.program.leaves)}
        dealt = deal(self.program.d, self.program.shares)
        self.missing = [frozenset(np.flatnonzero(dealt[:, s] < 0).tolist()) for s in range(self.program.shares)]

    # --- memory ---

    def at(self, base: ir.Value, row: ir.Value) -> ir.Value:
        """The address of a row."""
        return self.b.gep(base, [number(row) if isinstance(row, int) else row], inbounds=True)

    def load(self, name: str, row: ir.Value) -> ir.Value:
        """A row of an array; of a flat one the number, for every run."""
        value = self._load(name, row)
        if self.dtypes.get(name) != "bool":
            return value
        return self.b.icmp_unsigned("!=", value, ir.Constant(value.type, [0] * self.where.width))

    def _load(self, name: str, row: ir.Value) -> ir.Value:
        base = self.arrays[name]
        if name not in self.where.flat:
            return self.b.load(self.at(base, row), align=self._align(name))
        return self.everywhere(self.b.load(self.at(base, row)))

    def everywhere(self, one: ir.Value) -> ir.Value:
        """A number for every run."""
        vector = ir.VectorType(one.type, self.where.width)
        first = self.b.insert_element(ir.Constant(vector, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.where.width), [0] * self.where.width)
        return self.b.shuffle_vector(first, first, mask)

    def store(self, value: ir.Value, name: str, row: ir.Value) -> None:
        """Into a row of an array."""
        if self.dtypes.get(name) == "bool":  # a byte in memory
            value = self.b.zext(value, ir.VectorType(ir.IntType(8), self.where.width))
        self.b.store(value, self.at(self.arrays[name], row), align=self._align(name))

    def _align(self, name: str) -> int:
        size = np.dtype(self.dtypes.get(name, self.program.dtype)).itemsize
        return min(64, size * self.where.width)

    def keep(self, value: ir.Value, name: str, row: ir.Value) -> None:
        """Into a row of the scratch."""
        self.b.store(value, self.at(self.scratch[name], row), align=self._align(name))

    def kept(self, name: str, row: ir.Value) -> ir.Value:
        """A row of the scratch."""
        return self.b.load(self.at(self.scratch[name], row), align=self._align(name))

    # --- drawing ---

    def results(self, piece: Piece, names: Sequence[tuple], source: Callable) -> list[ir.Value]:
        """The values of a list's results, of inputs from `source`."""
        _, uses, cost = counted(piece.results.values())
        values = Values(uses, cost)
        return [self.e.get(piece.results[name], source, values) for name in names]

    def _next(self, words: Sequence[ir.Value]) -> tuple[list[ir.Value], ir.Value]:
        """A lane's words, one step on, and its bits."""
        names = [("word", q) for q in range(4)]
        *after, bits = self.results(self.program.next_bits, [*names, ("bits",)], lambda name: words[name[1]])
        return after, bits

    def draw(self, count: ir.Value, stride: ir.Value) -> None:
        """The next samples, into the scratch: coordinate c of sample t at c * stride + t of `x`, its label's word at t.

        All label words come first, then a pair of coordinates at a time.
        """
        half, lanes = self.program.half, 1 + 2 * self.program.half
        places = [number(q * lanes) for q in range(4)]

        def label(t: ir.Value, words: list) -> list[ir.Value]:
            after, bits = self._next(words)
            (word,) = self.results(self.program.label_word, [("label word",)], lambda _: bits)
            self.keep(word, "labels", t)
            return after

        self._put(loop(self.b, count, label, [self.load("words", p) for p in places]), places)
        loop(self.b, number(half), lambda j, _: self._pair(j, count, stride))

    def _put(self, words: Sequence[ir.Value], places: Sequence[ir.Value]) -> None:
        for word, place in zip(words, places, strict=True):
            self.store(word, "words", place)

    def _pair(self, j: ir.Value, count: ir.Value, stride: ir.Value) -> tuple:
        """The pair j of coordinates of all samples of the block."""
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
        early |= {("threshold", i): self.load("thresholds", i) for i in range(program.labels - 1)}
        early |= {("number", i): self.load("numbers", i) for i in range(program.numbers)}

        def sample(t: ir.Value, words: list) -> list[ir.Value]:
            first, second = words[:4], words[4:]
            bits: list[ir.Value] = []
            for _ in range(program.draws):
                first, a = self._next(first)
                second, c = self._next(second)
                bits += [a, c]

            def source(name: tuple) -> ir.Value:
                if name in early:
                    return early[name]
                if name[0] in ("mean", "other mean"):
                    return self.load("means", rows[name[0] == "other mean"][name[1]])
                if name[0] == "bits":
                    return bits[name[1]]
                return self.kept("labels", t) if name[0] == "label word" else self.load("scales", name[1])

            for target, x in zip(targets, self.results(program.pair, [("x", 0), ("x", 1)], source), strict=True):
                self.keep(x, "x", b.add(b.mul(target, stride), t))
            return [*first, *second]

        self._put(loop(b, count, sample, [self.load("words", p) for p in places]), places)
        return ()
