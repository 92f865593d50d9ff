r"""A program as machine code of this process: written as LLVM IR, compiled, kept in the folder of machine code, linked.

No pass of LLVM's optimiser goes over the IR: what is written is what runs.
"""

import ctypes
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import llvmlite.ir as ir

from jgmm.engine import cache, environment, program
from jgmm.engine.blocks import Blocks, Layout
from jgmm.engine.consume import Consume, consume_all
from jgmm.engine.emit import I64, TYPES, Emitter, loop, number

SCRATCH = ("x", "labels", "parts", "own", "ahead")  # arrays of a worker, which hold nothing between calls
KEPT = 64  # programs that a process keeps linked


class Target(NamedTuple):
    """The machine that code is made for."""

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
    # For CPUs that are said to prefer it, LLVM would make two vectors of 256 bits of each of 512.
    words = features.flatten() + (",-prefer-256-bit" if wide == 16 else "")
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), words, wide)


class Code(NamedTuple):
    """The functions of a program: pointers to the arrays and the scratch, the strip, and counts.

    stream(..., strip, blocks, samples of each), draw(..., strip, samples).
    """

    stream: Callable
    draw: Callable
    tracker: Any  # while it lives, the functions do


_codes: "OrderedDict[str, Code]" = OrderedDict()  # by key, the most recently used last
_linking = threading.Lock()
_links = itertools.count()


def code(where: Layout, target: Target) -> Code:
    """The functions of a program: of this process, or from the folder of machine code, or compiled now."""
    form = repr((where.width, where.room, where.rows, sorted(where.flat), where.block))
    parts = (program.text(where.program), form, *map(str, target), llvmlite.__version__, str(llvm.llvm_version_info))
    key = cache.key_of(cache.version(), *parts)
    with _linking:
        functions = _codes.pop(key, None) or _linked(key, where, target)
        _codes[key] = functions
        while len(_codes) > KEPT:
            _codes.popitem(last=False)
    return functions


@lru_cache
def _linker() -> Any:
    target = host()
    machine = llvm.Target.from_triple(target.triple)
    return llvm.create_lljit_compiler(machine.create_target_machine(cpu=target.cpu, features=target.features, jit=True))


def _linked(key: str, where: Layout, target: Target) -> Code:
    image = cache.load(key)
    if image is None:
        image = assemble(module(where, target), target)
        cache.store(key, image)
    pointers = [ctypes.c_void_p] * (len(where.rows) + len(SCRATCH))
    stream, draw = (ctypes.CFUNCTYPE(None, *pointers, *[ctypes.c_int64] * count) for count in (3, 2))
    tracker = link(image, "stream", "draw")
    return Code(stream(tracker["stream"]), draw(tracker["draw"]), tracker)


def link(image: bytes, *names: str) -> Any:
    """The addresses of an object file's functions by name, in this process for as long as what is returned lives."""
    # The process has fma and the like, which code calls where the processor has no instruction for them.
    library = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    for name in names:
        library = library.export_symbol(name)
    return library.link(_linker(), f"jgmm {next(_links)}")  # a name stays taken after its library is gone


def assemble(ir_module: ir.Module, target: Target) -> bytes:
    """An object file."""
    parsed = llvm.parse_assembly(str(ir_module))
    parsed.verify()
    machine = llvm.Target.from_triple(target.triple)
    # The default code model addresses by 64 bits. Where a process is large, as with CUDA in it, sections are linked
    # more than 2 GiB apart; the small model's 32 bits do not reach so far, and LLVM then ends the process.
    options = {"opt": 2, "reloc": "pic"}
    return machine.create_target_machine(cpu=target.cpu, features=target.features, **options).emit_object(parsed)


# --- what is written ---


def module(where: Layout, target: Target) -> ir.Module:
    """The functions of `Code` as IR."""
    whole = ir.Module("jgmm")
    whole.triple = target.triple
    _function(whole, where, "stream", _stream, counts=2)
    _function(whole, where, "draw", lambda write, samples: write.draw(samples, samples), counts=1)
    return whole


def _function(whole: ir.Module, where: Layout, name: str, body: Callable, *, counts: int) -> None:
    """name(pointers to the arrays and to the scratch, strip, counts): the body on one strip."""
    dtypes = dict.fromkeys(("means", "scales", "x", "parts", "own", "ahead"), where.program.dtype)
    dtypes |= {"words": "uint32", "thresholds": "int32", "labels": "int32", "numbers": "float32"}
    for i, leaf in enumerate(where.program.leaves):
        dtypes[f"leaf{i}"] = "uint8" if leaf.dtype == "bool" else leaf.dtype
    names = [*where.rows, *SCRATCH]
    kinds = [TYPES[dtypes[n]] if n in where.flat else ir.VectorType(TYPES[dtypes[n]], where.width) for n in names]
    arguments = [*(kind.as_pointer() for kind in kinds), *[I64] * (1 + counts)]
    function = ir.Function(whole, ir.FunctionType(ir.VoidType(), arguments), name)
    for pointer in function.args[: len(names)]:
        pointer.add_attribute("noalias")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    leave = environment.enter(b, whole.triple)
    pointers = dict(zip(names, function.args, strict=False))
    strip, *numbers = function.args[len(names) :]
    at_strip = {n: b.gep(pointers[n], [b.mul(strip, number(rows))], inbounds=True) for n, rows in where.rows.items()}
    body(Blocks(Emitter(whole, b, where.width), where, at_strip, {n: pointers[n] for n in SCRATCH}), *numbers)
    leave()
    b.ret_void()


def _stream(write: Blocks, blocks: ir.Value, samples: ir.Value) -> None:
    """Blocks of samples, drawn some together, and behind each block the program's end."""
    b, together = write.b, number(write.where.block)

    def some(i: ir.Value, _: ir.Value) -> tuple:
        left = b.sub(samples, b.mul(i, together))
        count = b.select(b.icmp_signed("<", left, together), left, together)
        write.draw(count, together)
        consume_all(write, count, together)
        return ()

    def block(*_: ir.Value) -> tuple:
        loop(b, b.sdiv(b.add(samples, b.sub(together, number(1))), together), some)
        if write.program.end is not None:
            Consume(write, write.program.end).emit()
        return ()

    loop(b, blocks, block)
