"""Executes PTX, NVIDIA's virtual machine code, on NumPy: what `jgmm.engine.gpu` launches can so be run without a GPU.

Semantics are those of NVIDIA's "Parallel Thread Execution ISA", for what LLVM writes of these kernels; what else there
is, raises NotImplementedError. All threads run together, a register a vector over them, held as unsigned bits. Warps
may part at a branch, and then go on one after the other; the threads of a warp may not, since nothing here would
bring them together again before a shuffle.

What an instruction computes is in `ptx_arithmetic`.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from ptx_arithmetic import ARITHMETIC, COMPARISONS, JOINS, WHOLE

WARP = 32
BUFFER_BITS = 40  # an address is (1 + number of the buffer) 2^40 + byte: null, and what is close to it, is nowhere
BITS = (8, 16, 32, 64)
TYPES = {f"{kind}{bits}": np.dtype(f"{char}{bits // 8}") for kind, char in ("bu", "uu", "si") for bits in BITS}
TYPES |= {"f32": np.dtype("f4"), "f64": np.dtype("f8"), "pred": np.dtype("?")}


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
    """Some warps, and the place in the program where they are."""

    registers: dict[str, np.ndarray]  # unsigned integers or booleans, one for each thread
    buffers: Sequence[np.ndarray]  # bytes
    here: int


def launcher(text: str, columns: int, results: Sequence) -> Callable:
    """In the place of `gpu.launcher`: launches a kernel on NumPy, on so many threads in blocks of a warp.

    results: the rows and the dtype of each (`threads.Rows`). What the kernel does not write is seen: it is NaN, or the
    largest integer.
    """

    def launch(*given: np.ndarray) -> list[np.ndarray]:
        buffers = [np.array(x).reshape(-1).view(np.uint8) for x in given]
        sizes = [x.rows * columns * np.dtype(x.dtype).itemsize for x in results]
        written = [np.full(size, 255, np.uint8) for size in sizes]
        run(text, [*buffers, *written], programs=columns // WARP, threads=WARP)
        return [bits.view(x.dtype).reshape(x.rows, columns) for bits, x in zip(written, results, strict=True)]

    return launch


Act = Callable[[Threads, np.ndarray | None], None]  # in the threads of a mask, all by default


def run(text: str, buffers: Sequence[np.ndarray], programs: int, threads: int = 128) -> None:
    """Run the kernel in `text` over a grid of so many programs; `buffers` (flat bytes) are its parameters, in order.

    What it writes is in the buffers then. Raises NotImplementedError for an instruction that is not known here,
    IndexError for an access outside a buffer, RuntimeError where the threads of a warp part at a branch.
    """
    kernel = parse(text)
    if len(buffers) != len(kernel.parameters):
        raise ValueError(f"{len(buffers)} buffers, expected {len(kernel.parameters)}: the kernel's parameters")
    if any(buffer.dtype != np.uint8 or buffer.ndim != 1 for buffer in buffers):
        raise ValueError("a buffer is not a flat array of bytes")
    acts = [translate(statement) for statement in kernel.statements]
    every = np.arange(programs * threads, dtype=np.uint32)
    known = {"%tid.x": every % threads, "%ctaid.x": every // threads, "%ntid.x": threads, "%nctaid.x": programs}
    known |= {
        "%warp": every // threads * -(-threads // WARP) + every % threads // WARP,
        "%laneid": every % threads % WARP,
    }
    registers = {name: np.broadcast_to(np.asarray(value, np.uint32), every.shape) for name, value in known.items()}
    for i, name in enumerate(kernel.parameters):
        registers[name] = np.full(every.shape, i + 1, np.uint64) << np.uint64(BUFFER_BITS)
    waiting = [Threads(registers, buffers, 0)]
    with np.errstate(all="ignore"):
        while waiting:
            waiting += _until_they_part(waiting.pop(), kernel, acts)


def _until_they_part(some: Threads, kernel: Kernel, acts: Sequence[Act]) -> list[Threads]:
    """Run these warps until their end, or until they part: those that jump, and those that do not."""
    registers, buffers, here = some
    while here < len(acts):
        statement = kernel.statements[here]
        where = _where(registers, statement)
        here += 1
        if statement.name.split(".")[0] not in ("bra", "ret", "exit"):
            acts[here - 1](some, where)
            continue
        to = kernel.labels[statement.operands[0]] if statement.operands else len(acts)
        if where is None or where.all():
            here = to
        elif where.any():
            warps = registers["%warp"]
            if np.intersect1d(warps[where], warps[~where]).size:
                raise RuntimeError(f"the threads of a warp part at {statement.name} {', '.join(statement.operands)}")
            return [
                Threads({name: x[mine] for name, x in registers.items()}, buffers, place)
                for mine, place in ((where, to), (~where, here))
            ]
    return []


def _where(registers: dict[str, np.ndarray], statement: Statement) -> np.ndarray | None:
    if statement.guard is None:
        return None
    return ~registers[statement.guard] if statement.negated else registers[statement.guard]


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


def read(operand: str, kind: np.dtype) -> Callable[[Threads], np.ndarray]:
    """An operand as this type; a register of another width is cut, or filled up with zeros."""
    if operand.startswith("%"):
        return partial(_register, operand, kind)
    if re.fullmatch(r"0[fF][0-9a-fA-F]{8}", operand):
        bits: np.ndarray = np.array(int(operand[2:], 16), np.uint32)
    elif re.fullmatch(r"0[dD][0-9a-fA-F]{16}", operand):
        bits = np.array(int(operand[2:], 16), np.uint64)
    elif re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", operand):
        bits = np.array(int(operand.rstrip("U"), 0) % 2**64, np.uint64)
    else:
        raise NotImplementedError(f"cannot read the operand {operand!r}")
    return lambda some: np.broadcast_to(_as(bits, kind), some.registers["%tid.x"].shape)


def _register(name: str, kind: np.dtype, some: Threads) -> np.ndarray:
    if name not in some.registers:
        raise NotImplementedError(f"{name} is read before it is written, or is not known here")
    return _as(some.registers[name], kind)


def _as(bits: np.ndarray, kind: np.dtype) -> np.ndarray:
    return bits.astype(bool) if kind == TYPES["pred"] else bits.astype(f"u{kind.itemsize}", copy=False).view(kind)


def keep(some: Threads, name: str, found: np.ndarray, where: np.ndarray | None) -> None:
    """Write a register in the threads of `where`, all by default."""
    bits = found if found.dtype == bool else found.view(f"u{found.dtype.itemsize}")
    if where is not None:
        bits = np.where(where, bits, some.registers.get(name, np.zeros_like(bits)))
    some.registers[name] = bits


# --- instructions ---


def translate(statement: Statement) -> Act:
    """Raises NotImplementedError for an instruction without a meaning here."""
    name, operands = statement.name, statement.operands
    parts = name.split(".")
    base, kinds = parts[0], [TYPES[part] for part in parts if part in TYPES]
    if base in ("bra", "ret", "exit"):
        return lambda some, where: None
    if parts[:3] == ["shfl", "sync", "bfly"] or parts[:3] == ["shfl", "sync", "idx"]:
        return _shuffle(operands, parts[2])
    if name == "vote.sync.all.pred":
        return _vote(operands)
    if parts[:2] == ["ld", "param"]:
        return _apply(lambda a: a, [partial(_register, operands[1].strip("[] "), kinds[0])], operands[0])
    if parts[:2] in (["ld", "global"], ["st", "global"]) and len(kinds) == 1:
        return _memory(operands, kinds[0], store=base == "st")
    if base == "mov" and len(kinds) == 1 and "{" in "".join(operands[:2]):
        return _halves(operands, kinds[0])
    if base == "cvta":
        return _apply(lambda a: a, [read(operands[1], kinds[0])], operands[0])
    if base == "cvt" and len(kinds) == 2:
        return _apply(
            partial(_convert, kinds[0], _rounding(statement, parts)), [read(operands[1], kinds[1])], operands[0]
        )
    if base == "setp" and parts[1] in COMPARISONS and len(kinds) == 1:
        return _compare(statement, parts, kinds[0])
    if base == "selp" and len(kinds) == 1:
        given = [read(x, kind) for x, kind in zip(operands[1:], [kinds[0], kinds[0], TYPES["pred"]], strict=True)]
        return _apply(lambda a, b, p: np.where(p, a, b), given, operands[0])
    key = ".".join(part for part in parts if part not in TYPES)
    if key in ARITHMETIC and len(kinds) == 1:
        return _apply(ARITHMETIC[key], [read(x, kinds[0]) for x in operands[1:]], operands[0])
    raise NotImplementedError(f"the PTX instruction {name} is not known here")


def _apply(function: Callable, given: Sequence[Callable], target: str) -> Act:
    return lambda some, where: keep(some, target, function(*(get(some) for get in given)), where)


def _rounding(statement: Statement, parts: list[str]) -> str | None:
    rest = [part for part in parts[1:] if part not in TYPES]
    if len(rest) > 1 or not set(rest) <= {"rn", *WHOLE}:
        raise NotImplementedError(f"the PTX instruction {statement.name} is not known here")
    return rest[0] if rest else None


def _convert(to: np.dtype, rounding: str | None, a: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f" and rounding in WHOLE:
        whole = WHOLE[rounding](a)
        if to.kind == "f":
            return whole.astype(to)
        # A GPU stops at the type's ends, and makes 0 of what is no number.
        ends = np.iinfo(to)
        inside = np.nan_to_num(np.clip(whole.astype(np.float64), ends.min, ends.max))
        return np.where(whole >= 2.0 ** (ends.bits - (to.kind == "i")), ends.max, inside.astype(to)).astype(to)
    return a.astype(to)


def _compare(statement: Statement, parts: list[str], kind: np.dtype) -> Act:
    """setp p|q, a, b, c: p is the comparison joined with c, q its opposite joined with c."""
    rest = [part for part in parts[2:] if part not in TYPES]
    if len(rest) > 1 or not set(rest) <= set(JOINS):
        raise NotImplementedError(f"the PTX instruction {statement.name} is not known here")
    count = 3 if rest else 2
    targets, given = statement.operands[:-count], statement.operands[-count:]
    first, second = (read(x, kind) for x in given[:2])
    third = read(given[2], TYPES["pred"]) if rest else None

    def act(some: Threads, where: np.ndarray | None) -> None:
        holds = COMPARISONS[parts[1]](first(some), second(some))
        for name, found in zip(targets, (holds, ~holds), strict=False):
            keep(some, name, found if third is None else JOINS[rest[0]](found, third(some)), where)

    return act


def _shuffle(operands: tuple[str, ...], how: str) -> Act:
    """shfl.sync d, a, lane, 31, mask: a of another lane of the warp. All lanes must be there."""
    if len(operands) != 5 or operands[3:] != ("31", "-1"):
        raise NotImplementedError("shfl.sync with a predicate, or within parts of a warp")
    target, *_ = operands
    source, given = (read(x, TYPES["b32"]) for x in operands[1:3])

    def act(some: Threads, where: np.ndarray | None) -> None:
        lane, place = some.registers["%laneid"], np.arange(len(some.registers["%laneid"]))
        other = (lane ^ given(some) if how == "bfly" else given(some)) % WARP
        keep(some, target, source(some)[place - lane + other], where)

    return act


def _vote(operands: tuple[str, ...]) -> Act:
    """vote.sync.all d, a, mask: whether a is set in all lanes of the warp. All lanes must be there."""
    if operands[2:] != ("-1",):
        raise NotImplementedError("vote.sync within parts of a warp")
    flag = read(operands[1], TYPES["pred"])

    def act(some: Threads, where: np.ndarray | None) -> None:
        _, warp = np.unique(some.registers["%warp"], return_inverse=True)
        unset = np.bincount(warp, weights=~flag(some))
        keep(some, operands[0], unset[warp] == 0, where)

    return act


def _halves(operands: tuple[str, ...], kind: np.dtype) -> Act:
    """mov {low, high}, whole, and mov whole, {low, high}."""
    half = np.dtype(f"u{kind.itemsize // 2}")
    bits = 8 * half.itemsize
    names = [x.strip() for x in "".join(operands).partition("{")[2].partition("}")[0].split(",")]
    if operands[0].startswith("{"):
        whole = read(operands[1], kind)

        def split(some: Threads, where: np.ndarray | None) -> None:
            for i, name in enumerate(names):
                if name != "_":
                    keep(some, name, (whole(some) >> np.asarray(i * bits, kind)).astype(half), where)

        return split
    low, high = (read(x, half) for x in names)
    return _apply(lambda a, b: a.astype(kind) | b.astype(kind) << np.asarray(bits, kind), [low, high], operands[0])


def _memory(operands: tuple[str, ...], kind: np.dtype, *, store: bool) -> Act:
    """One number, or the several of a vector, between registers and a buffer."""
    listed, place = operands[::-1] if store else operands
    found = re.fullmatch(r"\[\s*(%\w+)\s*(?:\+\s*(-?\d+))?\s*\]", place)
    if found is None:
        raise NotImplementedError(f"cannot read the address {place!r}")
    base, ahead = read(found[1], TYPES["s64"]), int(found[2] or 0)
    names = [x.strip() for x in listed.strip("{}").split(",")]
    values = [read(name, kind) for name in names] if store else []

    def act(some: Threads, where: np.ndarray | None) -> None:
        first = base(some) + ahead
        there = np.ones(len(first), bool) if where is None else where
        for i, name in enumerate(names):
            buffer, index = _locate(some.buffers, (first + i * kind.itemsize)[there], kind)
            if store:
                buffer[index] = values[i](some).view(buffer.dtype)[there]
            else:
                read_ = np.zeros(len(first), buffer.dtype)
                read_[there] = buffer[index]
                keep(some, name, read_, where)

    return act


def _locate(buffers: Sequence[np.ndarray], address: np.ndarray, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The buffer, as numbers of this width, and which of them."""
    number = int(address[0] >> BUFFER_BITS) - 1 if len(address) else 0
    offset = address - (number + 1 << BUFFER_BITS)
    if not 0 <= number < len(buffers) or (offset % kind.itemsize).any():
        raise IndexError(f"an access to {address[0]:#x}, which is in no buffer or not aligned")
    buffer = buffers[number]
    if (offset < 0).any() or (offset + kind.itemsize > len(buffer)).any():
        raise IndexError(f"an access to bytes {offset.min()} to {offset.max()} of buffer {number} of {len(buffer)}")
    return buffer.view(f"u{kind.itemsize}"), offset // kind.itemsize
