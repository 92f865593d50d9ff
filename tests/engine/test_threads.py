"""What is written for a thread of a card: PTX that rounds as IEEE 754 has it, and square roots without a branch."""

import re

import golden
import jax
import llvmlite.ir as ir
import numpy as np
import ptx
import pytest
from numpy.testing import assert_array_equal

from jgmm.algorithms import lloyd
from jgmm.engine import build, cache, gpu, threads


@pytest.fixture(autouse=True)
def strict(strict):
    """As all tests have it, but for optax, which is not."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def text_of(case):
    given = golden.given(case, 5)
    return gpu.ptx(build.program(given.kernel, given.state, given.params, given.mixture))


@pytest.mark.parametrize("name", ["soft and its twin", "adam", "lloyd, shares"])
def test_every_operation_on_floats_says_how_it_rounds_and_none_flushes(name):
    names = re.findall(r"^\s*(?:@!?%\w+ )?([a-z][\w.]*)", text_of(golden.CASES[name]), flags=re.MULTILINE)
    # The guess that `threads.root` makes right is the only one.
    assert {x for x in names if ".ftz" in x or ".approx" in x or ".full" in x} == {"rsqrt.approx.ftz.f32"}
    rounded = [x for x in names if re.fullmatch(r"(add|sub|mul|fma|div|sqrt)(\.\w+)*\.f(32|64)", x)]
    assert {x.split(".")[1] for x in rounded} == {"rn"}
    assert {x.split(".")[0] for x in rounded} >= {"add", "sub", "mul", "fma"}


def test_a_sample_is_one_block_without_a_branch():
    text = text_of(golden.Case(lloyd.LLOYD, 9, 3, options={"twin": True}))
    assert len(re.findall(r"\bbra\b", text)) == 2  # out of the loop, and back
    assert "sqrt.rn" not in text


def roots(bits):
    """sqrt of float32 with these bits, as a thread draws it, on NumPy."""
    made = ir.Module("roots")
    made.triple = threads.TRIPLE
    kind = ir.PointerType(ir.FloatType(), addrspace=1)
    function = ir.Function(made, ir.FunctionType(ir.VoidType(), [kind, kind]), "kernel")
    function.calling_convention = "ptx_kernel"
    b = ir.IRBuilder(function.append_basic_block())
    special = (
        ir.Function(made, ir.FunctionType(ir.IntType(32), []), f"llvm.nvvm.read.ptx.sreg.{x}.x") for x in ("tid",)
    )
    given, found = (
        b.gep(x, [b.zext(place, ir.IntType(64))]) for place in [b.call(next(special), [])] for x in function.args
    )
    b.store(threads.root(threads.Numbers(made, b, 1), b.load(given)), found)
    b.ret_void()
    out = np.zeros_like(bits)
    ptx.run(gpu.assembled(made), [bits.view(np.uint8), out.view(np.uint8)], programs=1, threads=len(bits))
    return out


def test_the_root_that_a_draw_takes_is_rounded_right():
    one, four = 0x3F800000, 0x40800000
    edges = [np.arange(x - 2000, x + 2000) for x in (one, 0x40000000, four)]
    every = np.arange(one, four, dtype=np.uint32)
    exact = np.sqrt(every.view(np.float32), dtype=np.float64)
    halfway = np.abs(exact * 2.0**23 % 1 - 0.5)  # above 1, numbers are 2^-23 apart
    bits = np.concatenate(
        [*edges, every[halfway < 3e-6], every[::997], np.arange(0x33800000, 0x42300000, 40_009), [0, 2**31]]
    )
    assert_array_equal(roots(bits.astype(np.uint32)), np.sqrt(bits.astype(np.uint32).view(np.float32)).view(np.uint32))


@pytest.mark.slow
@pytest.mark.parametrize("off", range(-4, 5))
def test_so_is_that_of_every_number_from_1_to_4_whatever_the_guess(off, monkeypatch):
    def guess(a):
        return ((1 / np.sqrt(a.astype(np.float64))).astype(np.float32).view(np.int32) + np.int32(off)).view(np.float32)

    monkeypatch.setitem(ptx.ARITHMETIC, "rsqrt.approx.ftz", guess)
    for low in range(0x3F800000, 0x40800000, 2**20):  # times powers of 4 these are all numbers
        bits = np.arange(low, low + 2**20, dtype=np.uint32)
        assert_array_equal(roots(bits), np.sqrt(bits.view(np.float32)).view(np.uint32))


def test_a_text_is_written_once(tmp_path, monkeypatch):
    case = golden.Case(lloyd.LLOYD, 3, 2)
    cache.configure(tmp_path / "code")
    gpu.texts.clear()
    try:
        text = text_of(case)
        (entry,) = (tmp_path / "code").iterdir()
        gpu.texts.clear()
        monkeypatch.setattr(gpu, "assembled", lambda made: "made anew")
        assert text_of(case) == text
        entry.write_bytes(b"broken")
        assert text_of(case) == text
        gpu.texts.clear()
        assert text_of(case) == "made anew"
    finally:
        gpu.texts.clear()
        cache.configure(None)
