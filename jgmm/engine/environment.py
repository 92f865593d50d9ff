r"""The floating-point environment that code runs in: IEEE 754's default, whatever its thread had before.

A library that was linked with -ffast-math, once loaded, flushes subnormal numbers to zero in every thread that starts
later, and a caller may have chosen another rounding. A function that begins with `enter` rounds to nearest and keeps
subnormal numbers, and leaves its thread's environment as it was.
"""

from collections.abc import Callable

import llvmlite.ir as ir

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
MXCSR = 0x1F80  # of x86: all exceptions masked, and nothing else
FPCR = 0  # of ARM
ALIGNED = 64  # bytes: the widest vector


def enter(b: ir.IRBuilder, triple: str) -> Callable[[], None]:
    """Write the change to the default environment. The function that is returned writes the change back.

    On processors other than x86 and ARM nothing is changed.
    """
    before = read(b, triple)
    if before is None:
        return lambda: None
    write(b, ir.Constant(before.type, MXCSR if before.type == I32 else FPCR))
    return lambda: write(b, before)


def read(b: ir.IRBuilder, triple: str) -> ir.Value | None:
    """The word that holds the environment; None on a processor that is neither x86 nor ARM."""
    kind = triple.partition("-")[0]
    if kind in ("x86_64", "i686"):
        place = _word(b)
        b.call(_intrinsic(b.module, "llvm.x86.sse.stmxcsr", ir.VoidType(), I8.as_pointer()), [_bytes(b, place)])
        return b.load(place)
    if kind in ("aarch64", "arm64"):
        return b.call(_intrinsic(b.module, "llvm.aarch64.get.fpcr", I64), [])
    return None


def write(b: ir.IRBuilder, word: ir.Value) -> None:
    """A word that `read` has read, or one like it."""
    if word.type == I32:
        place = _word(b)
        b.store(word, place)
        b.call(_intrinsic(b.module, "llvm.x86.sse.ldmxcsr", ir.VoidType(), I8.as_pointer()), [_bytes(b, place)])
    else:
        b.call(_intrinsic(b.module, "llvm.aarch64.set.fpcr", ir.VoidType(), I64), [word])


def _word(b: ir.IRBuilder) -> ir.Value:
    """A word in the function's memory.

    In another block than the first, or with less alignment, the vectors beside it would not be aligned, which costs up
    to a quarter of a function's speed, more or less from one call to the next.
    """
    with b.goto_entry_block():
        place = b.alloca(I32)
    place.align = ALIGNED
    return place


def _bytes(b: ir.IRBuilder, place: ir.Value) -> ir.Value:
    return b.bitcast(place, I8.as_pointer())


def _intrinsic(module: ir.Module, name: str, result: ir.Type, *args: ir.Type) -> ir.Function:
    function = module.globals.get(name)
    return function if function is not None else ir.Function(module, ir.FunctionType(result, args), name)
