"""Executes PTX, NVIDIA's virtual machine code, on NumPy: all threads of a program together, one program after another.

What a compiler made of a kernel can so be run where there is no GPU. Semantics are those of NVIDIA's "Parallel Thread
Execution ISA". It is for kernels whose threads take the same branches: a register is a vector over the threads, held as
unsigned bits, and a barrier has nothing to wait for. Where a GPU may differ in the last bits:

    fma          rounds twice, the first time to float64: another float32 in about one of 2^29
    *.approx     the rounded exact value; a GPU's may be off by a few units in the last place (tanh: by 2^-11)
"""

import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

WARP = 32
BUFFER_BITS = 40  # an address is (1 + number of the buffer) 2^40 + byte: null, and what is close to it, is nowhere
TYPES = {f"{kind}{bits}": np.dtype(f"{char}{bits // 8}") for kind, char in ("bu", "uu", "si") for bits in (16, 32, 64)}
TYPES |= {"f32": np.dtype("f4"), "f64": np.dtype("f8"), "pred": np.dtype("?")}
# Order, memory and synchronisation between threads: nothing to do in lockstep.
NOTHING = ("bar", "barrier", "fence", "membar", "griddepcontrol")


class Statement(NamedTuple):
    """An instruction, as it is written: @!guard name operands."""

    name: str
    operands: tuple[str, ...]
    guard: str | None
    negated: bool


class Kernel(NamedTuple):
    """The one kernel of a text."""

    parameters: tuple[str, ...]
    statements: tuple[Statement, ...]
    labels: dict[str, int]  # -> the statement behind it


class Threads(NamedTuple):
    """What the threads of a program own and share."""

    registers: dict[str, np.ndarray]  # unsigned integers or booleans, one for each thread
    parameters: dict[str, np.ndarray]
    buffers: Sequence[np.ndarray]  # bytes


def run(text: str, buffers: Sequence[np.ndarray], programs: int, threads: int = 128) -> None:
    """Run the kernel in `text` over a grid of so many programs; `buffers` (flat bytes) are its parameters, in order.

    What it writes is in the buffers then. Raises NotImplementedError for an instruction that is not known here,
    IndexError for an access outside a buffer, RuntimeError where threads part at a branch.
    """
    kernel = parse(text)
    if len(buffers) != len(kernel.parameters):
        raise ValueError(f"{len(buffers)} buffers, expected {len(kernel.parameters)}: the kernel's parameters")
    if any(buffer.dtype != np.uint8 or buffer.ndim != 1 for buffer in buffers):
        raise ValueError("a buffer is not a flat array of bytes")
    steps = [translate(statement, kernel.labels) for statement in kernel.statements]
    thread = np.arange(threads, dtype=np.uint32)
    pointers = {name: np.uint64(i + 1) << np.uint64(BUFFER_BITS) for i, name in enumerate(kernel.parameters)}
    for program in range(programs):
        known = {"%tid.x": thread, "%laneid": thread % WARP, "%ctaid.x": program, "%ntid.x": threads}
        known |= {"%nctaid.x": programs, "%tid.y": 0, "%tid.z": 0, "%ctaid.y": 0, "%ctaid.z": 0}
        registers = {name: np.broadcast_to(np.uint32(value), (threads,)) for name, value in known.items()}
        mine = Threads(registers, pointers, buffers)
        here: int | None = 0
        with np.errstate(all="ignore"):
            while here is not None and here < len(steps):
                here = steps[here](mine, here)


# --- text ---


def parse(text: str) -> Kernel:
    """Raises ValueError if the text does not hold exactly one kernel."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/|^\s*\.loc\b[^\n]*", "", text, flags=re.DOTALL | re.MULTILINE)
    entries = list(re.finditer(r"\.entry\s+[\w$]+\s*\((.*?)\)(.*?)\{", text, flags=re.DOTALL))
    if len(entries) != 1:
        raise ValueError(f"the text holds {len(entries)} kernels, expected 1")
    parameters = tuple(re.findall(r"\.param\b[^,]*?([\w$]+)\s*(?:,|$)", entries[0][1].strip()))
    body = text[entries[0].end() :].split(".section")[0]
    statements: list[Statement] = []
    labels: dict[str, int] = {}
    for piece in body.split(";"):
        rest = piece.strip()
        while skipped := re.match(r"(?:([\w$]+):|[{}])\s*", rest):  # a label or a brace
            labels |= {skipped[1]: len(statements)} if skipped[1] else {}
            rest = rest[skipped.end() :]
        found = re.fullmatch(r"(?:@(!?)(%\w+)\s+)?([a-z][\w.:]*)\s*(.*)", rest, flags=re.DOTALL)
        if found:
            operands = tuple(x.strip() for x in re.split(r",(?![^{]*\})|\|", found[4]) if x.strip())
            statements.append(Statement(found[3], operands, found[2], found[1] == "!"))
        elif rest and not rest.startswith("."):
            raise NotImplementedError(f"cannot read {rest!r}")
    return Kernel(parameters, tuple(statements), labels)


# --- values ---


def value(threads: Threads, operand: str, kind: np.dtype) -> np.ndarray:
    """An operand's bits as this type; of another width, they are cut or filled up with zeros."""
    if operand in threads.registers:
        bits = threads.registers[operand]
    elif re.fullmatch(r"0[fF][0-9a-fA-F]{8}", operand):
        bits = np.broadcast_to(np.uint32(int(operand[2:], 16)), width(threads))
    elif re.fullmatch(r"0[dD][0-9a-fA-F]{16}", operand):
        bits = np.broadcast_to(np.uint64(int(operand[2:], 16)), width(threads))
    elif re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", operand):
        bits = np.broadcast_to(np.uint64(int(operand.rstrip("U"), 0) % 2**64), width(threads))
    else:
        raise NotImplementedError(f"cannot read the operand {operand!r}, or it was not written before")
    if kind == TYPES["pred"]:
        return bits.astype(bool)
    unsigned = np.dtype(f"u{kind.itemsize}")
    return bits.astype(unsigned, copy=False).view(kind)


def width(threads: Threads) -> tuple[int, ...]:
    return threads.registers["%tid.x"].shape


def keep(threads: Threads, name: str, found: np.ndarray, where: np.ndarray | None) -> None:
    """Write a register in the threads of `where`, all by default."""
    if name == "_":
        return
    bits = found if found.dtype == bool else found.view(f"u{found.dtype.itemsize}")
    if where is not None:
        bits = np.where(where, bits, threads.registers.get(name, np.zeros_like(bits)))
    threads.registers[name] = bits


# --- arithmetic: arrays of the instruction's type -> an array ---


def _wide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of twice the width."""
    double = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
    return a.astype(double) * b.astype(double)


def _high(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.itemsize != 4:
        raise NotImplementedError("mul.hi of 64 bits")
    return (_wide(a, b) >> 32).astype(a.dtype)


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Of float32: the product is exact in float64."""
    if a.dtype != np.float32:
        raise NotImplementedError("fma of float64")
    return (a.astype(np.float64) * b + c).astype(np.float32)


def _fma_down(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Rounded towards minus infinity."""
    exact = a.astype(np.float64) * b + c
    near = exact.astype(np.float32)
    return np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near)


def _shift(a: np.ndarray, by: np.ndarray, *, left: bool) -> np.ndarray:
    """By an unsigned 32-bit number; from the width on, nothing but zeros or the sign is left."""
    bits = 8 * a.dtype.itemsize
    amount = by.view(f"u{by.dtype.itemsize}").astype(np.uint64) & 0xFFFFFFFF
    inside = np.minimum(amount, bits - 1).astype(a.dtype)
    moved = a << inside if left else a >> inside
    return np.where((amount >= bits) & (left or a.dtype.kind == "u"), a.dtype.type(0), moved)


def _funnel(low: np.ndarray, high: np.ndarray, by: np.ndarray, *, left: bool) -> np.ndarray:
    """Of 64 bits, shifted by `by` modulo 32, the upper word (left) or the lower one (right)."""
    both, amount = high.astype(np.uint64) << 32 | low, (by & 31).astype(np.uint64)
    return (both << amount >> 32 if left else both >> amount).astype(np.uint32)


def _lookup(a: np.ndarray, b: np.ndarray, c: np.ndarray, table: np.ndarray) -> np.ndarray:
    """lop3: the bit of the table that the three bits a, b, c (a the highest) are the number of."""
    found = np.zeros_like(a)
    for index in range(8):
        here = [x if index >> place & 1 else ~x for x, place in ((a, 2), (b, 1), (c, 0))]
        found |= np.where(table[0] >> index & 1, here[0] & here[1] & here[2], 0).astype(a.dtype)
    return found


def _exactly(function: Callable, a: np.ndarray) -> np.ndarray:
    """In float64, then rounded."""
    return function(a.astype(np.float64)).astype(a.dtype)


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype(np.float64) / b).astype(a.dtype)


ARITHMETIC = {
    **dict.fromkeys(("add", "add.rn"), operator.add),
    **dict.fromkeys(("sub", "sub.rn"), operator.sub),
    **dict.fromkeys(("mul", "mul.rn", "mul.lo"), operator.mul),
    **{"mul.wide": _wide, "mul.hi": _high, "mad.lo": lambda a, b, c: a * b + c},
    **{
        "fma.rn": _fma,
        "fma.rm": _fma_down,
        "neg": operator.neg,
        "abs": np.abs,
        "copysign": lambda sign, x: np.copysign(x, sign),
    },
    # Of a number and a NaN the number, but for .NaN.
    **{"min": np.fmin, "max": np.fmax, "min.NaN": np.minimum, "max.NaN": np.maximum},
    **{"and": operator.and_, "or": operator.or_, "xor": operator.xor, "not": operator.invert, "mov": lambda a: a},
    **{"shl": partial(_shift, left=True), "shr": partial(_shift, left=False)},
    **{"shf.l.wrap": partial(_funnel, left=True), "shf.r.wrap": partial(_funnel, left=False), "lop3": _lookup},
    **dict.fromkeys(("div.rn", "div.full", "div.approx"), _quotient),
    **dict.fromkeys(("sqrt.rn", "sqrt.approx"), partial(_exactly, np.sqrt)),
    **dict.fromkeys(("rcp.rn", "rcp.approx"), partial(_exactly, lambda a: 1 / a)),
    "rsqrt.approx": partial(_exactly, lambda a: 1 / np.sqrt(a)),
    "ex2.approx": partial(_exactly, np.exp2),
    "lg2.approx": partial(_exactly, np.log2),
    "tanh.approx": partial(_exactly, np.tanh),
}
COMPARISONS = {"eq": operator.eq, "ne": lambda a, b: (a < b) | (a > b), "lt": operator.lt, "le": operator.le}
COMPARISONS |= {"gt": operator.gt, "ge": operator.ge}
COMPARISONS |= {"lo": operator.lt, "ls": operator.le, "hi": operator.gt, "hs": operator.ge}
# The unordered ones hold where a number is NaN.
COMPARISONS |= {"equ": lambda a, b: ~((a < b) | (a > b)), "neu": operator.ne, "ltu": lambda a, b: ~(a >= b)}
COMPARISONS |= {"leu": lambda a, b: ~(a > b), "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b)}
COMPARISONS |= {"num": lambda a, b: (a == a) & (b == b), "nan": lambda a, b: (a != a) | (b != b)}
JOINS = {"and": operator.and_, "or": operator.or_, "xor": operator.xor}


def _flushed(a: np.ndarray) -> np.ndarray:
    """.ftz: what is below the normal numbers is a zero of its sign."""
    small = np.abs(a) < np.finfo(a.dtype).tiny
    return np.where(small, np.copysign(a.dtype.type(0), a), a)


# --- instructions: (threads, place) -> the next place; None at the end ---


def translate(statement: Statement, labels: dict[str, int]) -> Callable[[Threads, int], int | None]:
    """Raises NotImplementedError for an instruction without a meaning here."""
    name = statement.name.replace("::entry", "")
    parts = name.split(".")
    if parts[0] in ("bra", "ret", "exit"):
        return partial(_jump, statement, labels[statement.operands[0]] if parts[0] == "bra" else None)
    act = _action(statement, parts, [TYPES[part] for part in parts if part in TYPES])

    def step(threads: Threads, here: int) -> int:
        act(threads, _where(threads, statement))
        return here + 1

    return step


def _where(threads: Threads, statement: Statement) -> np.ndarray | None:
    if statement.guard is None:
        return None
    held = value(threads, statement.guard, TYPES["pred"])
    return ~held if statement.negated else held


def _jump(statement: Statement, to: int | None, threads: Threads, here: int) -> int | None:
    where = _where(threads, statement)
    if where is None or where.all():
        return to
    if where.any():
        raise RuntimeError(f"threads part at {statement.name} {', '.join(statement.operands)}")
    return here + 1


def _action(statement: Statement, parts: list[str], kinds: list[np.dtype]) -> Callable:
    """(threads, where) -> None."""
    operands, base = statement.operands, parts[0]
    if base in NOTHING:
        return lambda threads, where: None
    if base == "elect":
        return partial(_elect, operands)
    if parts[:2] == ["shfl", "sync"] and parts[2] in SHUFFLES:
        return partial(_shuffle, operands, SHUFFLES[parts[2]])
    if parts[:2] == ["ld", "param"]:
        return partial(_parameter, operands)
    if parts[:2] in (["ld", "global"], ["st", "global"]) and len(kinds) == 1:
        return partial(_memory, operands, kinds[0], store=base == "st")
    if base == "cvta":
        return partial(_apply, lambda a: a, [kinds[0]], operands, False)
    if base == "cvt" and len(kinds) == 2:
        return partial(_apply, partial(_convert, kinds[0], _rounding(statement, parts)), [kinds[1]], operands, False)
    if base == "setp" and parts[1] in COMPARISONS and len(kinds) == 1:
        return partial(_compare, COMPARISONS[parts[1]], _join(statement, parts), kinds[0], operands)
    if base == "selp" and len(kinds) == 1:
        given = [kinds[0], kinds[0], TYPES["pred"]]
        return partial(_apply, lambda a, b, p: np.where(p, a, b), given, operands, False)
    key = ".".join(part for part in parts if part not in TYPES and part not in ("ftz", "sync"))
    if key in ARITHMETIC and len(kinds) == 1:
        return partial(_apply, ARITHMETIC[key], kinds * (len(operands) - 1), operands, "ftz" in parts)
    raise NotImplementedError(f"the PTX instruction {statement.name} is not known here")


def _apply(
    function: Callable,
    kinds: Sequence[np.dtype],
    operands: tuple[str, ...],
    flush: bool,
    threads: Threads,
    where: np.ndarray | None,
) -> None:
    given = [value(threads, operand, kind) for operand, kind in zip(operands[1:], kinds, strict=True)]
    if flush:
        given = [_flushed(x) for x in given]
    found = function(*given)
    keep(threads, operands[0], _flushed(found) if flush else found, where)


def _rounding(statement: Statement, parts: list[str]) -> str | None:
    """How `cvt` rounds or, .sat, is held in [0, 1]. Raises NotImplementedError for what else it may be told."""
    rest = [part for part in parts[1:] if part not in TYPES]
    if len(rest) > 1 or not set(rest) <= {"rn", "rni", "rzi", "rmi", "rpi", "sat"}:
        raise NotImplementedError(f"the PTX instruction {statement.name} is not known here")
    return rest[0] if rest else None


def _convert(to: np.dtype, rounding: str | None, a: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f" and rounding in ("rni", "rzi", "rmi", "rpi"):
        whole = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}[rounding](a)
        if to.kind == "f":
            return whole.astype(to)
        # A GPU stops at the type's ends, and makes 0 of what is no number.
        ends = np.iinfo(to)
        inside = np.nan_to_num(np.clip(whole.astype(np.float64), ends.min, ends.max))
        return np.where(whole >= 2.0 ** (ends.bits - (to.kind == "i")), ends.max, inside.astype(to)).astype(to)
    if rounding == "sat":
        if a.dtype != to or to.kind != "f":
            raise NotImplementedError(f"cvt.sat from {a.dtype} to {to}")
        return np.clip(np.nan_to_num(a, nan=0), 0, 1).astype(to)
    return a.astype(to)


def _join(statement: Statement, parts: list[str]) -> Callable | None:
    rest = [part for part in parts[2:] if part not in TYPES]
    if not rest:
        return None
    if len(rest) > 1 or rest[0] not in JOINS:
        raise NotImplementedError(f"the PTX instruction {statement.name} is not known here")
    return JOINS[rest[0]]


def _compare(
    comparison: Callable,
    join: Callable | None,
    kind: np.dtype,
    operands: tuple[str, ...],
    threads: Threads,
    where: np.ndarray | None,
) -> None:
    """setp p|q, a, b, c: p is the comparison joined with c, q its opposite joined with c."""
    count = 3 if join else 2
    given = operands[-count:]
    holds = comparison(value(threads, given[0], kind), value(threads, given[1], kind))
    for name, found in zip(operands[:-count], (holds, ~holds), strict=False):
        keep(threads, name, join(found, value(threads, given[2], TYPES["pred"])) if join else found, where)


def _elect(operands: tuple[str, ...], threads: Threads, where: np.ndarray | None) -> None:
    """elect.sync d|p, mask: the first lane of each warp."""
    lane = threads.registers["%laneid"]
    keep(threads, operands[0], np.zeros_like(lane), where)
    keep(threads, operands[1], lane == 0, where)


SHUFFLES = {"idx": lambda lane, given: given, "bfly": lambda lane, given: lane ^ given}  # whose number a lane takes


def _shuffle(operands: tuple[str, ...], whose: Callable, threads: Threads, where: np.ndarray | None) -> None:
    """shfl.sync d, a, lane, 31, mask: a of another lane of the warp."""
    if len(operands) != 5 or operands[3] != "31":
        raise NotImplementedError("shfl.sync with a predicate or within parts of a warp")
    target, source, given = operands[:3]
    thread = np.arange(*width(threads))
    other = thread // WARP * WARP + whose(thread % WARP, value(threads, given, TYPES["u32"]) % WARP)
    keep(threads, target, value(threads, source, TYPES["b32"])[other], where)


def _parameter(operands: tuple[str, ...], threads: Threads, where: np.ndarray | None) -> None:
    pointer = threads.parameters[operands[1].strip("[] ")]
    keep(threads, operands[0], np.broadcast_to(pointer, width(threads)), where)


def _memory(
    operands: tuple[str, ...], kind: np.dtype, threads: Threads, where: np.ndarray | None, *, store: bool
) -> None:
    """One number, or the several of a vector, between registers and a buffer."""
    names, place = operands[::-1] if store else operands
    found = re.fullmatch(r"\[\s*(%\w+)\s*(?:\+\s*(-?\d+))?\s*\]", place)
    if found is None:
        raise NotImplementedError(f"cannot read the address {place!r}")
    first = value(threads, found[1], TYPES["s64"]) + int(found[2] or 0)
    for i, name in enumerate(x.strip() for x in names.strip("{}").split(",")):
        buffer, index = _locate(threads, first + i * kind.itemsize, kind, where)
        if not store:
            read = np.zeros(width(threads), buffer.dtype)
            read[index.there] = buffer[index.place]
            keep(threads, name, read, where)
        else:
            buffer[index.place] = value(threads, name, buffer.dtype)[index.there]


class Index(NamedTuple):
    there: np.ndarray | slice  # the threads
    place: np.ndarray  # their elements of the buffer


def _locate(
    threads: Threads, address: np.ndarray, kind: np.dtype, where: np.ndarray | None
) -> tuple[np.ndarray, Index]:
    there = slice(None) if where is None else where
    mine = address[there]
    number = int(mine[0] >> BUFFER_BITS) - 1 if len(mine) else 0
    offset = mine - (number + 1 << BUFFER_BITS)
    if not 0 <= number < len(threads.buffers) or (offset % kind.itemsize).any():
        raise IndexError(f"an access to {mine[0]:#x}, which is in no buffer or not aligned")
    buffer = threads.buffers[number]
    if (offset < 0).any() or (offset + kind.itemsize > len(buffer)).any():
        raise IndexError(f"an access to bytes {offset.min()} to {offset.max()} of buffer {number} of {len(buffer)}")
    return buffer.view(f"u{kind.itemsize}"), Index(there, offset // kind.itemsize)
