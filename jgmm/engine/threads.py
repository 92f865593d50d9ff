r"""A stream as IR for single numbers: what a thread of a GPU does with the lists of `program`.

A run is S neighbouring threads, one for each share of its coordinates; a warp holds 32 / S runs. A thread reads its
numbers into registers, takes in all samples of a call, and writes those that have changed; nothing of a sample goes
through memory. Every thread of a run draws the label by itself. A `total` is a butterfly of shuffles: a thread adds the
numbers of partners that are 1, 2, 4, ... threads away, in the order in which `consume` adds on a CPU.

A coordinate that a share lacks is 0 in memory, and a select leaves its term out of sums over coordinates. The threads
of a warp take the same branches, so that all of them meet at every shuffle.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import llvmlite.ir as ir
import numpy as np

from jgmm.engine.emit import I1, I32, I64, TYPES, Emitter, Values, counted, loop, number
from jgmm.engine.operations import Node
from jgmm.engine.program import Leaf, Piece, Program, deal

TRIPLE = "nvptx64-nvidia-cuda"
KERNEL = "kernel"
THREADS = 32  # of a block: a warp, so that few runs are on many multiprocessors
COUNTS = 4  # blocks, samples of each, whether an end comes behind each, live runs
I8 = ir.IntType(8)
LEAST = 2.0**-100  # nothing beside a number that is drawn, but a number where that is 0
FEW = 16  # means of a share


class Rows(NamedTuple):
    """An array on the card: so many numbers of each thread, and of which kind."""

    rows: int
    dtype: str


def pairs_of(program: Program) -> int:
    """Pairs of coordinates of a share."""
    return -(-program.half // program.shares)


def leaf_shape(leaf: Leaf, program: Program) -> tuple[int, ...]:
    """Of a thread's part of it."""
    return leaf.shape if leaf.axis is None else (leaf.shape[0], len(deal(program.d, program.shares)))


def given(program: Program) -> dict[str, Rows]:
    """The arrays that a kernel reads, in the order of its pointers; then come the counts, and `moved` for results."""
    k, slots = program.k, len(deal(program.d, program.shares))
    rows = {"words": Rows(4 * (1 + 2 * pairs_of(program)), "uint32"), "means": Rows(k * slots, program.dtype)}
    rows |= {"thresholds": Rows(max(program.labels - 1, 1), "int32"), "scales": Rows(k, program.dtype)}
    rows |= {"numbers": Rows(program.numbers, "float32")} if program.numbers else {}
    for i, leaf in enumerate(program.leaves):
        if leaf.alias is None:
            dtype = "uint8" if leaf.dtype == "bool" else leaf.dtype
            rows[f"leaf{i}"] = Rows(int(np.prod(leaf_shape(leaf, program))), dtype)
    return rows


def moved(program: Program) -> dict[str, Rows]:
    """The arrays that a stream changes."""
    leaves = [f"leaf{i}" for i, leaf in enumerate(program.leaves) if leaf.moves]
    return {name: given(program)[name] for name in ("words", *leaves)}


def drawn(program: Program) -> dict[str, Rows]:
    """The arrays that drawing writes; of x the rows of one sample."""
    return {"words": given(program)["words"], "x": Rows(len(deal(program.d, program.shares)), program.dtype)}


def at_once(program: Program) -> int:
    """How many samples a turn of the loop takes in: two where a sample is so little that drawing it waits for itself.

    Measured by NVIDIA's assembler for an H100: at (2, 2) a sample is then 105 instructions, not 116, and a warp that is
    alone waits for 136 cycles, not 205; at (5, 3) it is 300 for 312; beyond, twice the code is not worth it.
    """
    return 2 if given(program)["means"].rows <= FEW else 1


def stream(program: Program) -> ir.Module:
    """A kernel that takes in samples."""
    thread = _Thread(program, moved(program))
    blocks, samples, ends = thread.counts
    b, names = thread.b, list(moved(program))

    def sample(_: ir.Value, carry: list) -> list:
        values = thread.unpacked(names, carry)
        values["words"], x, word = thread.sample(values["words"])
        return thread.packed(names, thread.after(program.step, values, x, word))

    def end(_: ir.Value, carry: list) -> list:
        values = thread.unpacked(names, carry)
        return thread.packed(names, thread.after(program.end, values) if program.end is not None else values)

    def several(_: ir.Value, carry: list) -> list:
        for _ in range(at_once(program)):
            carry = sample(None, carry)
        return carry

    def stretch(carry: list) -> list:
        together = ir.Constant(I32, at_once(program))
        if at_once(program) > 1:
            carry = loop(b, b.udiv(samples, together), several, carry)
        return loop(b, b.urem(samples, together) if at_once(program) > 1 else samples, sample, carry)

    carry = thread.packed(names, thread.values)
    if program.end is None:
        carry = stretch(carry)
    else:
        carry = loop(b, blocks, lambda _, carry: loop(b, ends, end, stretch(carry)), carry)
    thread.write(thread.unpacked(names, carry))
    return thread.module


def drawing(program: Program) -> ir.Module:
    """A kernel that writes samples: slot c of sample t in the row t * slots + c."""
    thread = _Thread(program, drawn(program))
    slots = drawn(program)["x"].rows

    def sample(t: ir.Value, words: list) -> list:
        words, x, _ = thread.sample(words)
        for c, value in enumerate(x):
            row = thread.b.add(thread.b.mul(thread.b.zext(t, I64), number(slots)), number(c))
            thread.b.store(value, thread.place(thread.results["x"], row))
        return words

    thread.write({"words": loop(thread.b, thread.counts[1], sample, thread.values["words"])})
    return thread.module


class Numbers(Emitter):
    """Single numbers of a thread. has: for each coordinate that some share lacks, whether this one has it."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder, shares: int):
        super().__init__(module, builder, None)
        self.shares = shares
        self.has: dict[int, ir.Value] = {}
        self.small_roots = False  # whether all that a root is taken of is as `root` wants it

    def _compute(self, node: Node, x: list[ir.Value]) -> ir.Value:
        if node.op == "total":
            return self._total(x[0])
        if node.op == "sqrt" and self.small_roots and node.dtype == "float32":
            return root(self, x[0])
        value = super()._compute(node, x)
        for slot, has in self.has.items():
            without = _left_out(node, slot)
            value = value if without is None else self.b.select(has, value, x[without])
        return value

    def all_set(self, flag: ir.Value) -> ir.Value:
        """Whether a flag is set in all threads of the warp, which go on together."""
        name = "llvm.nvvm.vote.all.sync"
        function = self.module.globals.get(name) or ir.Function(self.module, ir.FunctionType(I1, [I32, I1]), name)
        return self.b.call(function, [ir.Constant(I32, -1), flag])

    def _total(self, part: ir.Value) -> ir.Value:
        distance = 1
        while distance < self.shares:
            part = self.b.fadd(part, self._partner(part, distance))
            distance *= 2
        return part

    def _partner(self, x: ir.Value, distance: int) -> ir.Value:
        """The value of the thread whose number differs in this bit."""
        b = self.b
        if x.type == TYPES["float32"]:
            return b.bitcast(self._shuffled(b.bitcast(x, I32), distance), x.type)
        bits = b.bitcast(x, I64)
        low, high = (self._shuffled(b.trunc(w, I32), distance) for w in (bits, b.lshr(bits, number(32))))
        return b.bitcast(b.or_(b.shl(b.zext(high, I64), number(32)), b.zext(low, I64)), x.type)

    def _shuffled(self, word: ir.Value, distance: int) -> ir.Value:
        name = "llvm.nvvm.shfl.sync.bfly.i32"
        function = self.module.globals.get(name) or ir.Function(self.module, ir.FunctionType(I32, [I32] * 4), name)
        return self.b.call(function, [ir.Constant(I32, -1), word, ir.Constant(I32, distance), ir.Constant(I32, 31)])


def _left_out(node: Node, slot: int) -> int | None:
    """Which operand a sum over coordinates is where this one is left out; None for what is no sum."""
    values = Values({}, {})
    values.missing = frozenset([slot])
    needs = values.needs(node)
    return None if len(needs) == len(node.args) else [id(arg) for arg in node.args].index(id(needs[0]))


def root(e: Emitter, x: ir.Value) -> ir.Value:
    """sqrt(x) as IEEE 754 has it, for 0 and for numbers from 2^-60 to 2^60, without the branch that `sqrt.rn` has.

    The card's own guess at 1 / sqrt(x) is within 2^-22.9 of it (NVIDIA, PTX ISA). g = x y and h = y / 2 are made better
    by a step of Goldschmidt's, and g by what x - g^2 has left (Markstein 1990). Whatever a guess within 4 units in the
    last place is, the result is that of one rounding: tried for all numbers in [1, 4), which times powers of 4 are all.
    """
    b = e.b

    def real(value: float) -> ir.Value:
        return e.constant(value, "float32")

    def fma(*args: ir.Value) -> ir.Value:
        return e.call("fma", args)

    name = "llvm.nvvm.rsqrt.approx.ftz.f"
    guess = e.module.globals.get(name) or ir.Function(e.module, ir.FunctionType(x.type, [x.type]), name)
    y = b.call(guess, [b.fadd(x, real(LEAST))])
    g, h = b.fmul(x, y), b.fmul(y, real(0.5))
    left = fma(b.fneg(h), g, real(0.5))
    g, h = fma(g, left, g), fma(h, left, h)
    return fma(fma(b.fneg(g), g, x), h, g)


class _Thread:
    """The function of a kernel while it is written: where a thread's numbers are, and the lists applied to them.

    given: arrays that it reads, as values in registers (`values`). results: pointers to the arrays that it writes.
    """

    def __init__(self, program: Program, results: dict[str, Rows]):
        self.program, self.given, self.slots = program, given(program), len(deal(program.d, program.shares))
        self.module = ir.Module("jgmm")
        self.module.triple = TRIPLE
        kinds = [TYPES[rows.dtype] for rows in self.given.values()]
        kinds += [I32, *(TYPES[rows.dtype] for rows in results.values())]
        pointers = [ir.PointerType(kind, addrspace=1) for kind in kinds]
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), pointers), KERNEL)
        function.calling_convention = "ptx_kernel"
        # Without these ptxas leaves registers for more warps, and has a warp wait for its own results.
        for name, value in (("maxntidx", THREADS), ("minctasm", 1)):
            self.module.add_named_metadata("nvvm.annotations", [function, name, ir.Constant(I32, value)])
        for argument in function.args:
            argument.add_attribute("noalias")
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.e = Numbers(self.module, self.b, program.shares)
        self.results = dict(zip(results, function.args[len(self.given) + 1 :], strict=True))
        self._numbers()
        self.counts = self._counts(function.args[len(self.given)])
        self.values = {
            name: [self.b.load(self.place(pointer, row)) for row in range(rows.rows)]
            for (name, rows), pointer in zip(self.given.items(), function.args, strict=False)
        }
        self.bools = {f"leaf{i}" for i, leaf in enumerate(program.leaves) if leaf.dtype == "bool"}
        for name in self.bools & set(self.values):
            self.values[name] = [self.b.icmp_unsigned("!=", x, ir.Constant(I8, 0)) for x in self.values[name]]

    def _numbers(self) -> None:
        """Read which thread this is, of how many; the first run of its block; which coordinates it has."""
        b, shares = self.b, self.program.shares

        def special(name: str) -> ir.Value:
            kind = ir.FunctionType(I32, [])
            return b.call(ir.Function(self.module, kind, f"llvm.nvvm.read.ptx.sreg.{name}"), [])

        size, block, thread = special("ntid.x"), special("ctaid.x"), special("tid.x")
        first = b.mul(block, size)
        self.me, self.threads = b.zext(b.add(first, thread), I64), b.zext(b.mul(special("nctaid.x"), size), I64)
        self.first_run = b.udiv(first, ir.Constant(I32, shares))
        share = b.and_(thread, ir.Constant(I32, shares - 1))
        for slot, holds in enumerate(deal(self.program.d, shares) >= 0):
            if not holds.all():
                flags = sum(1 << s for s in range(shares) if holds[s])
                bit = b.lshr(ir.Constant(I32, flags), share)
                self.e.has[slot] = b.trunc(bit, I1)

    def _counts(self, pointer: ir.Value) -> tuple[ir.Value, ...]:
        """Trip counts; all 0 in a block of threads whose runs have all ended, which writes the numbers that it read."""
        b = self.b
        *counts, live = (b.load(b.gep(pointer, [number(i)])) for i in range(COUNTS))
        runs = b.icmp_signed("<", self.first_run, live)
        return tuple(b.select(runs, count, ir.Constant(I32, 0)) for count in counts)

    def place(self, pointer: ir.Value, row: ir.Value) -> ir.Value:
        """Where this thread's number of a row is."""
        row = number(row) if isinstance(row, int) else row
        return self.b.gep(pointer, [self.b.add(self.b.mul(row, self.threads), self.me)])

    def write(self, results: dict[str, list]) -> None:
        """The results, and the end of the kernel."""
        for name, values in results.items():
            for row, value in enumerate(values):
                value = self.b.zext(value, I8) if name in self.bools else value
                self.b.store(value, self.place(self.results[name], row))
        self.b.ret_void()

    def packed(self, names: Sequence[str], values: dict[str, list]) -> list:
        """The arrays of these names as one list of numbers."""
        return [value for name in names for value in values[name]]

    def unpacked(self, names: Sequence[str], values: Sequence) -> dict[str, list]:
        """What `packed` has packed."""
        waiting = iter(values)
        return {name: [next(waiting) for _ in range(self.given[name].rows)] for name in names}

    def sample(self, words: Sequence) -> tuple[list, list, ir.Value]:
        """The words behind the next sample, the sample, and its label word."""
        program, pairs = self.program, pairs_of(self.program)
        self.e.small_roots = program.small_roots
        lanes = 1 + 2 * pairs
        after, bits = list(words), []
        names = [*(("word", q) for q in range(4)), ("bits",)]
        # The label's lane, then those of the pairs; and for further words those of the pairs again.
        for lane in (*range(lanes), *list(range(1, lanes)) * (program.draws - 1)):
            of_lane = {("word", q): word for q, word in enumerate(after[lane::lanes])}
            *after[lane::lanes], word = self._results(program.next_bits, names, of_lane.__getitem__)
            bits.append(word)
        (word,) = self._results(program.label_word, [("label word",)], lambda _: bits[0])
        x: list[ir.Value] = [None] * self.slots
        for j in range(pairs):
            places = [slot for slot in (j, pairs + j) if slot < self.slots]
            names = [("x", i) for i in range(len(places))]
            for slot, value in zip(places, self._results(program.pair, names, self._pair(j, bits, word)), strict=True):
                x[slot] = value
        self.e.small_roots = False
        return after, x, word

    def _pair(self, j: int, bits: Sequence, word: ir.Value) -> Callable:
        """The inputs of a pair of coordinates."""
        pairs = pairs_of(self.program)

        def source(name: tuple) -> ir.Value:
            if name[0] == "bits":
                return bits[1 + j + name[1] * pairs]
            if name[0] == "label word":
                return word
            if name[0] in ("mean", "other mean"):
                return self.values["means"][name[1] * self.slots + j + (name[0] == "other mean") * pairs]
            return self.values[f"{name[0]}s"][name[1]]  # thresholds, scales, numbers

        return source

    def after(
        self, piece: Piece, before: dict[str, list], x: Sequence = (), word: ir.Value | None = None
    ) -> dict[str, list]:
        """What moves, after a list has been applied to what was before."""

        def label(name: tuple) -> ir.Value:
            return word if name[0] == "label word" else self.values["thresholds"][name[1]]

        def source(name: tuple) -> ir.Value:
            if name[0] == "x":
                return x[name[1]]
            if name[0] == "label":
                return self._results(self.program.label, [("label",)], label)[0]
            if name[0] == "means":
                i, slot = name[1]
                return self.values["means"][i * self.slots + slot]
            leaf = f"leaf{name[1]}"
            return (before[leaf] if leaf in before else self.values[leaf])[self._row(name)]

        after = {name: list(values) for name, values in before.items()}
        names = list(piece.results)
        for name, value in zip(names, self._results(piece, names, source), strict=True):
            after[f"leaf{name[1]}"][self._row(name)] = value
        return after

    def _row(self, name: tuple) -> int:
        """Of an entry of a leaf, ("leaf", number, index)."""
        shape = leaf_shape(self.program.leaves[name[1]], self.program)
        return int(np.ravel_multi_index(name[2], shape)) if shape else 0

    def _results(self, piece: Piece, names: Sequence[tuple], source: Callable) -> list[ir.Value]:
        """The values of a list's results. Every value stays at hand: ptxas decides what is in a register."""
        _, uses, cost = counted(piece.results[name] for name in names)
        values = Values(uses, cost, everything=True)
        return [self.e.get(piece.results[name], source, values) for name in names]
