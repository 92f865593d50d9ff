"""Streams as 64-bit ARM computes them: cross-compiled here, linked by a cross compiler, run by an emulator of its CPU.

On Debian: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"""

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from jgmm.engine import cpu, native
from jgmm.engine.blocks import Layout

TOOLS = ("qemu-aarch64", "aarch64-linux-gnu-gcc")
TARGET = native.Target("aarch64-unknown-linux-gnu", "cortex-a72", "", 4)


def missing() -> list[str]:
    """The tools that are not there."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


class Stream(cpu.Stream):
    """A stream of the CPU's back end, on one core, whose functions are those of `Code`, kept in this folder."""

    def __init__(self, *given: Any, folder: Path, **how: Any):
        super().__init__(*given, cores=1, code=lambda where, target: Code(where, folder), **how)

    def scratch(self, *sizes: Any) -> list[np.ndarray]:
        arrays = super().scratch(*sizes)
        self.code.arrays = [*self.arrays.values(), *arrays]
        return arrays


class Code:
    """stream and draw of a program, each a process of an emulated ARM."""

    def __init__(self, where: Layout, folder: Path):
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        self.arrays: list[np.ndarray] = []
        self._folder = folder
        (folder / "program.o").write_bytes(native.assemble(native.module(where, TARGET), TARGET))
        arrays = len(where.rows) + len(native.SCRATCH)
        self._link("stream", arrays, 3)
        self._link("draw", arrays, 2)

    def stream(self, *given: int) -> None:
        self._run("stream", given[:-3], given[-3:])

    def draw(self, *given: int) -> None:
        self._run("draw", given[:-2], given[-2:])

    def _link(self, function: str, arrays: int, numbers: int) -> None:
        def several(word: str, count: int) -> str:
            return ", ".join(word.format(i) for i in range(count))

        told = {"FUNCTION": function, "HOW_MANY_ARRAYS": arrays, "HOW_MANY_NUMBERS": numbers}
        told |= {"POINTERS": several("void *", arrays), "ARRAYS": several("a[{}]", arrays)}
        told |= {"COUNTS": several("int64_t", numbers), "NUMBERS": several("n[{}]", numbers)}
        sources = [Path(__file__).with_name("main.c"), self._folder / "program.o"]
        options = ["-static", "-O1", "-o", self._folder / function, *(f"-D{name}={x}" for name, x in told.items())]
        subprocess.run([TOOLS[1], *options, *sources, "-lm"], check=True)

    def _run(self, function: str, pointers: tuple[int, ...], numbers: tuple[int, ...]) -> None:
        parts = [self._behind(pointer) for pointer in pointers]
        given = [np.array(numbers, "<i8").tobytes()]
        for pointer, size in parts:
            given += [np.array(size, "<i8").tobytes(), ctypes.string_at(pointer, size)]
        done = subprocess.run(
            [TOOLS[0], self._folder / function], input=b"".join(given), capture_output=True, check=True
        )
        left = done.stdout
        for pointer, size in parts:
            ctypes.memmove(pointer, left[:size], size)
            left = left[size:]
        assert not left

    def _behind(self, pointer: int) -> tuple[int, int]:
        """The pointer, and the bytes from there to the end of its array."""
        for x in self.arrays:
            if x.ctypes.data <= pointer < x.ctypes.data + x.nbytes:
                return pointer, x.ctypes.data + x.nbytes - pointer
        raise AssertionError("a pointer to no array")
