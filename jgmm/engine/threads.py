r"""A stream as IR for single numbers: what a thread of a GPU does with the lists of `program`.

A run is S neighbouring threads, one for each share, 32 / S runs a warp. A thread reads its numbers into registers,
takes in all samples of a call, and writes what has moved; nothing of a sample goes through memory. Every share draws
the label by itself. A `total` is a butterfly of shuffles: partners are 1, 2, 4, ... away, so that it adds as `blocks`
does.

What a share lacks of the coordinates is 0 in memory, and in a sum over coordinates its term is left out by a select.
The threads of a warp take the same branches, so that all of them meet at every shuffle.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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
    """What a kernel reads, in the order of its pointers; then come the counts, and `moved` once more, for results."""
    k, slots = program.k, len(deal(program.d, program.shares))
    found = {"words": Rows(4 * (1 + 2 * pairs_of(program)), "uint32"), "means": Rows(k * slots, program.dtype)}
    found |= {"thresholds": Rows(max(k - 1, 1), "int32"), "scales": Rows(k, program.dtype)}
    for i, leaf in enumerate(program.leaves):
        if leaf.alias is None:
            dtype = "uint8" if leaf.dtype == "bool" else leaf.dtype
            found[f"leaf{i}"] = Rows(int(np.prod(leaf_shape(leaf, program))), dtype)
    return found


def moved(program: Program) -> dict[str, Rows]:
    """What a stream changes."""
    leaves = [f"leaf{i}" for i, leaf in enumerate(program.leaves) if leaf.moves]
    return {name: given(program)[name] for name in ("words", *leaves)}


def drawn(program: Program) -> dict[str, Rows]:
    """What drawing changes and gives: of x the rows of one sample."""
    return {"words": given(program)["words"], "x": Rows(len(deal(program.d, program.shares)), program.dtype)}


def at_once(program: Program) -> int:
    """How many samples a turn of the loop takes in: two where they are so little that one's draw waits for itself.

    Measured by NVIDIA's assembler for an H100: at (2, 2) a sample is then 105 instructions, not 116, and a warp that is
    alone waits for 136 cycles, not 205; at (5, 3) it is 300 for 312; beyond, twice the code is not worth it.
    """
    return 2 if given(program)["means"].rows <= FEW else 1


def stream(program: Program) -> ir.Module:
    """A kernel that takes in samples."""
    thread = _Thread(program, moved(program))
    blocks, samples, ends = thread.counts
    b, names = thread.b, list(moved(program))

    def sample(_: Any, carry: list) -> list:
        held = thread.unpacked(names, carry)
        held["words"], x, word = thread.sample(held["words"])
        return thread.packed(names, thread.after(program.step, held, x, word))

    def end(_: Any, carry: list) -> list:
        held = thread.unpacked(names, carry)
        return thread.packed(names, thread.after(program.end, held) if program.end is not None else held)

    def several(_: Any, carry: list) -> list:
        for _ in range(at_once(program)):
            carry = sample(None, carry)
        return carry

    def stretch(carry: list) -> list:
        together = ir.Constant(I32, at_once(program))
        if at_once(program) > 1:
            carry = loop(b, b.udiv(samples, together), several, carry)
        return loop(b, b.urem(samples, together) if at_once(program) > 1 else samples, sample, carry)

    carry = thread.packed(names, thread.held)
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

    def sample(t: Any, words: list) -> list:
        words, x, _ = thread.sample(words)
        for c, value in enumerate(x):
            row = thread.b.add(thread.b.mul(thread.b.zext(t, I64), number(slots)), number(c))
            thread.b.store(value, thread.place(thread.results["x"], row))
        return words

    thread.write({"words": loop(thread.b, thread.counts[1], sample, thread.held["words"])})
    return thread.module


class Numbers(Emitter):
    """Single numbers of a thread. there: for each coordinate that some share lacks, whether this one has it."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder, shares: int):
        super().__init__(module, builder, None)
        self.shares = shares
        self.there: dict[int, Any] = {}
        self.small_roots = False  # whether all that a root is taken of is as `root` wants it

    def _compute(self, node: Node, x: list[Any]) -> Any:
        if node.op == "total":
            return self._total(x[0])
        if node.op == "sqrt" and self.small_roots and node.dtype == "float32":
            return root(self, x[0])
        found = super()._compute(node, x)
        for slot, there in self.there.items():
            rest = _left_out(node, slot)
            found = found if rest is None else self.b.select(there, found, x[rest])
        return found

    def _total(self, part: Any) -> Any:
        distance = 1
        while distance < self.shares:
            part = self.b.fadd(part, self._partner(part, distance))
            distance *= 2
        return part

    def _partner(self, x: Any, distance: int) -> Any:
        """The value of the thread whose number differs in this bit."""
        b = self.b
        if x.type == TYPES["float32"]:
            return b.bitcast(self._shuffled(b.bitcast(x, I32), distance), x.type)
        bits = b.bitcast(x, I64)
        low, high = (self._shuffled(b.trunc(w, I32), distance) for w in (bits, b.lshr(bits, number(32))))
        return b.bitcast(b.or_(b.shl(b.zext(high, I64), number(32)), b.zext(low, I64)), x.type)

    def _shuffled(self, word: Any, distance: int) -> Any:
        name = "llvm.nvvm.shfl.sync.bfly.i32"
        there = self.module.globals.get(name) or ir.Function(self.module, ir.FunctionType(I32, [I32] * 4), name)
        return self.b.call(there, [ir.Constant(I32, -1), word, ir.Constant(I32, distance), ir.Constant(I32, 31)])


def _left_out(node: Node, slot: int) -> int | None:
    """Which operand a sum over coordinates is where this one is left out; None for what is no sum."""
    values = Values({}, {})
    values.missing = frozenset([slot])
    needs = values.needs(node)
    return None if len(needs) == len(node.args) else [id(arg) for arg in node.args].index(id(needs[0]))


def root(e: Emitter, x: Any) -> Any:
    """sqrt(x) as IEEE 754 has it, for 0 and for numbers from 2^-60 to 2^60, without the branch that `sqrt.rn` has.

    The card's own guess at 1 / sqrt(x) is within 2^-22.9 of it (NVIDIA, PTX ISA). g = x y and h = y / 2 are made better
    by a step of Goldschmidt's, and g by what x - g^2 has left (Markstein 1990). Whatever a guess within 4 units in the
    last place is, the result is that of one rounding: tried for all numbers in [1, 4), which times powers of 4 are all.
    """
    b, real = e.b, lambda value: e.constant(value, "float32")
    fma = lambda *args: e.call("fma", args)  # noqa: E731
    name = "llvm.nvvm.rsqrt.approx.ftz.f"
    guess = e.module.globals.get(name) or ir.Function(e.module, ir.FunctionType(x.type, [x.type]), name)
    y = b.call(guess, [b.fadd(x, real(LEAST))])
    g, h = b.fmul(x, y), b.fmul(y, real(0.5))
    left = fma(b.fneg(h), g, real(0.5))
    g, h = fma(g, left, g), fma(h, left, h)
    return fma(fma(b.fneg(g), g, x), h, g)


class _Thread:
    """The function of a kernel, as far as all have it: where a thread's numbers are, and the lists on them."""

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
        self.held = {
            name: [self.b.load(self.place(pointer, row)) for row in range(rows.rows)]
            for (name, rows), pointer in zip(self.given.items(), function.args, strict=False)
        }
        self.bools = {f"leaf{i}" for i, leaf in enumerate(program.leaves) if leaf.dtype == "bool"}
        for name in self.bools & set(self.held):
            self.held[name] = [self.b.icmp_unsigned("!=", x, ir.Constant(I8, 0)) for x in self.held[name]]

    def _numbers(self) -> None:
        """Which thread this is, of how many; the first run of its block; which coordinates it has."""
        b, shares = self.b, self.program.shares
        special = lambda name: b.call(  # noqa: E731
            ir.Function(self.module, ir.FunctionType(I32, []), f"llvm.nvvm.read.ptx.sreg.{name}"), []
        )
        size, block, mine = special("ntid.x"), special("ctaid.x"), special("tid.x")
        first = b.mul(block, size)
        self.me, self.threads = b.zext(b.add(first, mine), I64), b.zext(b.mul(special("nctaid.x"), size), I64)
        self.first_run = b.udiv(first, ir.Constant(I32, shares))
        share = b.and_(mine, ir.Constant(I32, shares - 1))
        for slot, holds in enumerate(deal(self.program.d, shares) >= 0):
            if not holds.all():
                flags = sum(1 << s for s in range(shares) if holds[s])
                bit = b.lshr(ir.Constant(I32, flags), share)
                self.e.there[slot] = b.trunc(bit, I1)

    def _counts(self, pointer: Any) -> tuple[Any, ...]:
        """Trip counts; none in a block of threads whose runs have all ended, which writes what it has read."""
        b = self.b
        *counts, live = (b.load(b.gep(pointer, [number(i)])) for i in range(COUNTS))
        runs = b.icmp_signed("<", self.first_run, live)
        return tuple(b.select(runs, count, ir.Constant(I32, 0)) for count in counts)

    def place(self, pointer: Any, row: Any) -> Any:
        """Where this thread's number of a row is."""
        row = number(row) if isinstance(row, int) else row
        return self.b.gep(pointer, [self.b.add(self.b.mul(row, self.threads), self.me)])

    def write(self, found: dict[str, list]) -> None:
        """The results, and the end of the kernel."""
        for name, values in found.items():
            for row, value in enumerate(values):
                value = self.b.zext(value, I8) if name in self.bools else value
                self.b.store(value, self.place(self.results[name], row))
        self.b.ret_void()

    def packed(self, names: Sequence[str], held: dict[str, list]) -> list:
        """The arrays of these names as one list of numbers."""
        return [value for name in names for value in held[name]]

    def unpacked(self, names: Sequence[str], values: Sequence) -> dict[str, list]:
        """What `packed` has packed."""
        rest = iter(values)
        return {name: [next(rest) for _ in range(self.given[name].rows)] for name in names}

    def sample(self, words: Sequence) -> tuple[list, list, Any]:
        """The words behind the next sample, the sample, and its label word."""
        program, pairs = self.program, pairs_of(self.program)
        self.e.small_roots = program.small_roots
        lanes = 1 + 2 * pairs
        after, bits = list(words), []
        names = [*(("word", q) for q in range(4)), ("bits",)]
        for lane in range(lanes):
            mine = {("word", q): word for q, word in enumerate(words[lane::lanes])}
            *after[lane::lanes], found = self._found(program.next_bits, names, mine.__getitem__)
            bits.append(found)
        (word,) = self._found(program.label_word, [("label word",)], lambda _: bits[0])
        x: list[Any] = [None] * self.slots
        for j in range(pairs):
            places = [slot for slot in (j, pairs + j) if slot < self.slots]
            names = [("x", i) for i in range(len(places))]
            for slot, value in zip(places, self._found(program.pair, names, self._pair(j, bits, word)), strict=True):
                x[slot] = value
        self.e.small_roots = False
        return after, x, word

    def _pair(self, j: int, bits: Sequence, word: Any) -> Callable:
        """The inputs of a pair of coordinates."""
        pairs = pairs_of(self.program)

        def source(name: tuple) -> Any:
            if name[0] == "bits":
                return bits[1 + j + name[1] * pairs]
            if name[0] == "label word":
                return word
            if name[0] in ("mean", "other mean"):
                return self.held["means"][name[1] * self.slots + j + (name[0] == "other mean") * pairs]
            return self.held[f"{name[0]}s"][name[1]]  # thresholds, scales

        return source

    def after(self, piece: Piece, held: dict[str, list], x: Sequence = (), word: Any = None) -> dict[str, list]:
        """What moves, after this list."""

        def label(name: tuple) -> Any:
            return word if name[0] == "label word" else self.held["thresholds"][name[1]]

        def source(name: tuple) -> Any:
            if name[0] == "x":
                return x[name[1]]
            if name[0] == "label":
                return self._found(self.program.label, [("label",)], label)[0]
            if name[0] == "means":
                i, slot = name[1]
                return self.held["means"][i * self.slots + slot]
            leaf = f"leaf{name[1]}"
            return (held[leaf] if leaf in held else self.held[leaf])[self._row(name)]

        found = {name: list(values) for name, values in held.items()}
        names = list(piece.results)
        for name, value in zip(names, self._found(piece, names, source), strict=True):
            found[f"leaf{name[1]}"][self._row(name)] = value
        return found

    def _row(self, name: tuple) -> int:
        """Of an entry of a leaf, ("leaf", number, index)."""
        shape = leaf_shape(self.program.leaves[name[1]], self.program)
        return int(np.ravel_multi_index(name[2], shape)) if shape else 0

    def _found(self, piece: Piece, names: Sequence[tuple], source: Callable) -> list[Any]:
        """The values of a list's results. All that is computed is kept: it is ptxas that deals out registers."""
        _, uses, cost = counted(piece.results[name] for name in names)
        values = Values(uses, cost, everything=True)
        return [self.e.get(piece.results[name], source, values) for name in names]
