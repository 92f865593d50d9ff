r"""The back end of CPUs: a program compiled for this machine's vectors, strips of runs over all cores.

A strip is as many runs as a vector holds; a core takes it through all samples of a call, so that its centres stay in
the first cache, and Python's lock is not held. No result depends on the width, the strips or the threads.
"""

import ctypes
import hashlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import llvmlite
import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
from jaxtyping import Float

from jgmm import doors, lanes
from jgmm.contract import Kernel
from jgmm.engine import blocks, cache, emit, environment, follow, machine, operations, program
from jgmm.engine.blocks import Blocks, Layout
from jgmm.engine.emit import I64, TYPES, Emitter, loop, number
from jgmm.engine.program import Leaf, Program, deal
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture

BLOCK = 16  # samples that are drawn together, at most
BLOCK_BYTES = 2**14  # of them, at most: half a first cache
_words: Callable[..., LaneState] = LaneState  # of NumPy arrays, which JAX takes for its own

SCRATCH = ("x", "labels", "parts", "own")
NARROWEST = 4  # runs of a vector: what every target has
CALL = 2**24  # numbers (k d) that a call goes through, about: a fraction of a second, after which it can be stopped
ALIGNED = 64
KEPT = 64  # programs that a process keeps compiled


class Target(NamedTuple):
    """What code is made for."""

    triple: str
    cpu: str
    features: str
    widest: int  # numbers of 32 bits in a vector


@lru_cache
def host() -> Target:
    """This machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    wide = 16 if features.get("avx512f") else 8 if features.get("avx2") else 4
    # Of vectors of 512 bits LLVM makes two of 256, where some CPUs are said to prefer them.
    words = features.flatten() + (",-prefer-256-bit" if wide == 16 else "")
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), words, wide)


def width_for(runs: int, cores: int, widest: int) -> int:
    """Runs of a strip: the widest vectors, or narrower ones where few runs would leave cores without a strip."""
    width = widest
    while width > NARROWEST and runs <= width // 2 * cores:
        width //= 2
    return width


# --- code ---


def module(where: Layout, target: Target) -> ir.Module:
    """stream(arrays ..., strip, blocks, samples of each) and draw(arrays ..., strip, samples) of a program."""
    made = ir.Module("jgmm")
    made.triple = target.triple
    _function(made, where, "stream")
    _function(made, where, "draw")
    return made


def array_names(where: Layout) -> list[str]:
    """In the order of the functions' pointers; then come those of SCRATCH."""
    return list(where.rows)


def block_size(where: Layout) -> int:
    """Samples that are drawn together."""
    size = where.program.shares * where.room * where.width * np.dtype(where.program.dtype).itemsize
    return int(min(BLOCK, max(2, BLOCK_BYTES // size)))


def _function(made: ir.Module, where: Layout, name: str) -> None:
    program, width = where.program, where.width
    dtypes = dict.fromkeys(("means", "scales", "x", "parts", "own"), program.dtype)
    dtypes |= {"words": "uint32", "thresholds": "int32", "labels": "int32"}
    dtypes |= {f"leaf{i}": "uint8" if leaf.dtype == "bool" else leaf.dtype for i, leaf in enumerate(program.leaves)}
    names = [*array_names(where), *SCRATCH]
    kinds = [TYPES[dtypes[n]] if n in where.flat else ir.VectorType(TYPES[dtypes[n]], width) for n in names]
    counts = [I64] * (3 if name == "stream" else 2)
    function = ir.Function(made, ir.FunctionType(ir.VoidType(), [*(t.as_pointer() for t in kinds), *counts]), name)
    for argument in function.args[: len(names)]:
        argument.add_attribute("noalias")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    leave = environment.enter(b, made.triple)
    pointers = dict(zip(names, function.args, strict=False))
    strip, *rest = function.args[len(names) :]
    here = {n: b.gep(pointers[n], [b.mul(strip, number(rows))], inbounds=True) for n, rows in where.rows.items()}
    write = Blocks(Emitter(made, b, width), where, here, {n: pointers[n] for n in SCRATCH})
    if name == "draw":
        write.draw(rest[0], rest[0], "x")
    else:
        _stream(write, *rest)
    leave()
    b.ret_void()


def _stream(write: Blocks, blocks: Any, samples: Any) -> None:
    b, together = write.b, number(block_size(write.where))

    def drawn(i: Any, _: Any) -> tuple:
        left = b.sub(samples, b.mul(i, together))
        here = b.select(b.icmp_signed("<", left, together), left, together)
        write.draw(here, together, "x")
        write.consume_all(here, together)
        return ()

    def block(*_: Any) -> tuple:
        loop(b, b.sdiv(b.add(samples, b.sub(together, number(1))), together), drawn)
        if write.program.end is not None:
            write.consume(write.program.end)
        return ()

    loop(b, blocks, block)


def assemble(made: ir.Module, target: Target) -> bytes:
    """An object file. No pass over what is written: it is what runs."""
    parsed = llvm.parse_assembly(str(made))
    parsed.verify()
    found = llvm.Target.from_triple(target.triple)
    return found.create_target_machine(cpu=target.cpu, features=target.features, opt=2, reloc="pic").emit_object(parsed)


class Code(NamedTuple):
    """Functions of this process."""

    stream: Callable
    draw: Callable
    keep: Any


_codes: "OrderedDict[str, Code]" = OrderedDict()
_linking = threading.Lock()
_links = itertools.count()


@lru_cache
def _written() -> str:
    """A digest of what writes code: another version makes it anew."""
    found = hashlib.blake2b(digest_size=16)
    for source in (blocks, emit, environment, follow, operations, program):
        found.update(Path(str(source.__file__)).read_bytes())
    found.update(Path(__file__).read_bytes())
    return found.hexdigest()


def code(where: Layout, target: Target) -> Code:
    """The functions of a program, compiled or taken from the folder."""
    form = repr((where.width, where.room, where.rows, sorted(where.flat), block_size(where)))
    parts = (program.text(where.program), form, *map(str, target), llvmlite.__version__, str(llvm.llvm_version_info))
    key = cache.key_of(_written(), *parts)
    with _linking:
        found = _codes.pop(key, None) or _link(key, where, target)
        _codes[key] = found
        while len(_codes) > KEPT:
            _codes.popitem(last=False)
    return found


@lru_cache
def _jit() -> Any:
    target = host()
    made = llvm.Target.from_triple(target.triple)
    return llvm.create_lljit_compiler(made.create_target_machine(cpu=target.cpu, features=target.features, jit=True))


def _link(key: str, where: Layout, target: Target) -> Code:
    image = cache.load(key)
    if image is None:
        image = assemble(module(where, target), target)
        cache.store(key, image)
    # Of the process: fma and the like, where a processor has no instruction for them.
    library = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    name = f"jgmm {next(_links)}"  # one that is gone keeps its name
    tracker = library.export_symbol("stream").export_symbol("draw").link(_jit(), name)
    pointers = [ctypes.c_void_p] * (len(array_names(where)) + len(SCRATCH))
    stream, draw = (
        ctypes.CFUNCTYPE(None, *pointers, *[ctypes.c_int64] * count)(tracker[name])
        for name, count in (("stream", 3), ("draw", 2))
    )
    return Code(stream, draw, tracker)


# --- arrays ---


def _room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros at an address that vectors may be loaded from."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.zeros(size + ALIGNED, np.uint8)
    return whole[-whole.ctypes.data % ALIGNED :][:size].view(dtype).reshape(shape)


def lay(x: np.ndarray, width: int) -> np.ndarray:
    """(rows, runs) -> (strips, rows, width), the last run again where a strip is not full."""
    rows, runs = x.shape
    strips = -(-runs // width)
    out = _room((strips, rows, width), x.dtype)
    full = runs // width
    out[:full] = np.moveaxis(x[:, : full * width].reshape(rows, full, width), 1, 0)
    if full < strips:
        left = runs - full * width
        out[full, :, :left], out[full, :, left:] = x[:, full * width :], x[:, -1:]
    return out


def taken(x: np.ndarray, runs: int) -> np.ndarray:
    """What `lay` has laid."""
    return np.moveaxis(x, 0, 1).reshape(x.shape[1], -1)[:, :runs]


def _flat(x: np.ndarray, width: int) -> np.ndarray | None:
    """(strips, rows), where all runs of each strip of `width` have the same bits."""
    runs = x.shape[-1]
    starts = np.arange(0, runs, width)
    first = np.ascontiguousarray(x[:, starts])
    if x.strides[-1] != 0:
        bits = (
            x.view(f"u{x.dtype.itemsize}")
            if x.flags.c_contiguous
            else np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}")
        )
        if (bits != bits[:, np.arange(runs) // width * width]).any():
            return None
    out = _room((len(starts), len(x)), x.dtype)
    out[...] = first.T
    return out


def rows_of(x: np.ndarray, leaf: Leaf, where: Layout) -> np.ndarray:
    """A leaf as rows: (shares, e, room, runs) where it holds coordinates."""
    if leaf.axis is None:
        return x.reshape(-1, x.shape[-1])
    program = where.program
    if program.shares == 1 and where.room == program.d:
        return x.reshape(-1, x.shape[-1])
    dealt = deal(program.d, program.shares)
    out = np.zeros((program.shares, len(x), where.room, x.shape[-1]), x.dtype)
    for slot, share in np.argwhere(dealt >= 0):
        out[share, :, slot] = x[:, dealt[slot, share]]
    return out.reshape(-1, x.shape[-1])


def leaf_of(rows: np.ndarray, leaf: Leaf, where: Layout) -> np.ndarray:
    """What `rows_of` has put in rows."""
    if leaf.axis is None:
        return rows.reshape(*leaf.shape, -1)
    program = where.program
    dealt = deal(program.d, program.shares)
    whole = rows.reshape(program.shares, leaf.shape[0], where.room, -1)
    out = np.empty((*leaf.shape, rows.shape[-1]), rows.dtype)
    for slot, share in np.argwhere(dealt >= 0):
        out[:, dealt[slot, share]] = whole[share, :, slot]
    return out


def _mixture_leaf(program: Program) -> Leaf:
    return Leaf((program.k, program.d), program.dtype, 1, False, None, False)


class Stream:
    """Some runs on this machine's cores, between calls."""

    def __init__(
        self,
        kernel: Kernel,
        words: LaneState,
        state: Any,
        params: Any,
        mixture: Mixture,
        *,
        width: int | None = None,
        target: Target | None = None,
    ):
        self.runs = mixture.means.shape[-1]
        self.program = program.program(kernel, state, params, mixture)
        self.cores = machine.cores()
        target = target or host()
        width = width or width_for(self.runs, self.cores, target.widest)
        leaves, self._tree = jax.tree.flatten(state)
        given = leaves + jax.tree.leaves(params)
        plain = blocks.layout(self.program, width, frozenset())
        self._laid, flat = self._lay(words, given, mixture, plain)
        self.where = plain._replace(flat=frozenset(flat))
        told = zip(self.program.state, leaves, strict=True)
        self._unmoved = [None if leaf.moves else np.asarray(x) for leaf, x in told]
        self._code = code(self.where, target)

    def _lay(
        self, words: LaneState, given: list, mixture: Mixture, where: Layout
    ) -> tuple[dict[str, np.ndarray], list[str]]:
        k, width, weights = self.program.k, where.width, np.asarray(mixture.weights)
        rows = {"words": np.concatenate([np.asarray(w) for w in words])}
        rows["means"] = rows_of(np.asarray(mixture.means), _mixture_leaf(self.program), where)
        # There is a row where none is needed: a pointer has to point.
        rows["thresholds"] = lanes.thresholds(weights) if k > 1 else np.zeros((1, self.runs), np.int32)
        rows["scales"] = np.asarray(mixture.scales)
        for i, (x, leaf) in enumerate(zip(given, self.program.leaves, strict=True)):
            if leaf.alias is None:
                whole = np.asarray(x) if not leaf.scalar else np.broadcast_to(np.asarray(x), (self.runs,))
                rows[f"leaf{i}"] = rows_of(whole, leaf, where)
        laid, flat = {}, []
        for name, x in rows.items():
            moves = name == "words" or (name.startswith("leaf") and self.program.leaves[int(name[4:])].moves)
            same = None if moves else _flat(x, width)
            flat += [name] if same is not None else []
            laid[name] = lay(x, width) if same is None else same
        return laid, flat

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`count` more samples of each of the first `live` runs (None: all); with an end, blocks of `block` samples."""
        width = self.where.width
        strips = -(-min(self.runs, self.runs if live is None else live) // width)
        each = max(64, CALL // (self.program.k * self.program.d + 16))
        together = each if block is None else max(1, each // block)  # of a call, so that it can be stopped in between
        stopped = threading.Event()
        scratch = self._scratch()
        pointers = [self._laid[name].ctypes.data for name in array_names(self.where)]

        def go(worker: int, strip: int) -> None:
            here = [*pointers, *(x[worker].ctypes.data for x in scratch)]
            for low in range(0, count, together):
                if stopped.is_set():
                    return
                some = min(together, count - low)
                self._code.stream(*here, strip, *((1, some) if block is None else (some, block)))

        _share(go, strips, self.cores, stopped)

    def _scratch(self, samples: int | None = None, places: int | None = None) -> list[np.ndarray]:
        width, dtype = self.where.width, self.program.dtype
        samples = block_size(self.where) if samples is None else samples
        whole = self.program.shares * self.where.room
        shapes = [((whole * samples, width), dtype), ((samples, width), np.int32)]
        shapes += [((rows, width), dtype) for rows in blocks.scratch_rows(self.program).values()]
        return [_room((places or self.cores, *shape), t) for shape, t in shapes]

    def draw(self, count: int) -> np.ndarray:
        """The next `count` samples of every run, (d, count, runs)."""
        strips = self._laid["words"].shape[0]
        scratch = self._scratch(count, strips)
        pointers = [self._laid[name].ctypes.data for name in array_names(self.where)]

        def go(worker: int, strip: int) -> None:
            del worker
            self._code.draw(*pointers, *(x[strip].ctypes.data for x in scratch), strip, count)

        _share(go, strips, self.cores, threading.Event())
        x = scratch[0].reshape(strips, -1, count, self.where.width)
        leaf = Leaf((1, self.program.d), self.program.dtype, 1, False, None, False)
        flat = np.moveaxis(x, 0, 2).reshape(x.shape[1], -1)
        coordinates = leaf_of(flat, leaf, self.where)[0]
        return coordinates.reshape(self.program.d, count, -1)[..., : self.runs]

    def words(self) -> LaneState:
        """The lanes as they are."""
        return _words(*np.split(taken(self._laid["words"], self.runs), 4))

    def state(self) -> Any:
        """The kernel's state as it is, NumPy arrays."""
        found = []
        for i, (leaf, before) in enumerate(zip(self.program.state, self._unmoved, strict=True)):
            if not leaf.moves:
                found.append(before)
                continue
            x = leaf_of(taken(self._laid[f"leaf{i}"], self.runs), leaf, self.where)
            found.append(x[..., 0].copy() if leaf.scalar else x)
        return jax.tree.unflatten(self._tree, found)


_pool: list[ThreadPoolExecutor] = []


def _share(go: Callable[[int, int], None], strips: int, workers: int, stopped: threading.Event) -> None:
    """go(worker, strip) for all strips, a worker after the other strip it can get."""
    rest = iter(range(strips))
    lock = threading.Lock()

    def work(worker: int) -> None:
        while not stopped.is_set():
            with lock:
                strip = next(rest, None)
            if strip is None:
                return
            go(worker, strip)

    if workers == 1 or strips == 1:
        work(0)
        return
    with lock:
        if not _pool:
            _pool.append(ThreadPoolExecutor(workers, "jgmm"))
    try:  # whatever interrupts, wherever: nobody works on
        futures = [_pool[0].submit(work, worker) for worker in range(min(workers, strips))]
        for future in futures:
            future.result()
    finally:
        stopped.set()


open = Stream


def draw(
    words: LaneState, mixture: Mixture, n: int, *, pair: Callable = lanes.normal_pair
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next n samples of every run, and those samples; NumPy. pair: see `contract.Kernel`."""
    stream = Stream(program.STILL._replace(pair=pair), words, (), {}, mixture)
    x = stream.draw(doors.whole("n", n))
    return stream.words(), x
