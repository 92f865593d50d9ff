"""The promise: what a run computes depends on (random seed, run id, cell) alone, to the last bit.

Every machine that is here reproduces `golden.json`: code of any vector width, of CPUs that lack what this one has, of
64-bit ARM, and NumPy, operation by operation. Graphics cards do in `test_gpu`.
"""

import contextlib
import ctypes
from functools import lru_cache, partial
from typing import Any

import golden
import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
import numpy_list
import pytest
import run as arm
from numpy.testing import assert_array_equal

from jgmm.contract import Kernel
from jgmm.engine import cpu, environment, native

# --- the table ---


def lesser_targets():
    """Kinds of this processor that lack something, by name, with the width of their vectors."""
    host, features = native.host(), llvm.get_host_cpu_features()
    if not host.triple.startswith("x86_64"):
        return {"no extensions": (host._replace(cpu="generic", features=""), 4)}
    found = {"without FMA": (host._replace(cpu="x86-64-v2", features="", widest=4), 4)}
    if features.get("avx2") and features.get("fma"):
        found["without AVX-512"] = (host._replace(cpu="x86-64-v3", features="", widest=8), 8)
    return found


MACHINES: dict[str, Any] = {f"vectors of {width}": partial(cpu.open, width=width) for width in (4, 8, 16)}
MACHINES |= {"NumPy": numpy_list.open}
LESSER = {name: partial(cpu.open, target=t, width=width) for name, (t, width) in lesser_targets().items()}
FEW = ("adam", "subnormal numbers", "float64", "em, shares")  # of which lesser machines' code is quickly made


@pytest.mark.parametrize("name", golden.CASES)
def test_every_machine_reproduces_the_table(name):
    found = {machine: golden.digests(name, open_stream) for machine, open_stream in MACHINES.items()}
    assert found == dict.fromkeys(MACHINES, golden.table()[name])


@pytest.mark.parametrize("name", [pytest.param(x, marks=() if x in FEW else pytest.mark.slow) for x in golden.CASES])
def test_so_do_lesser_machines(name):
    found = {machine: golden.digests(name, open_stream) for machine, open_stream in LESSER.items()}
    assert found == dict.fromkeys(LESSER, golden.table()[name])


@pytest.mark.slow
@pytest.mark.skipif(arm.missing() != [], reason=f"not installed: {', '.join(arm.missing())}")
@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("name", golden.CASES)
def test_so_does_arm(name, width, tmp_path):
    assert golden.digests(name, partial(arm.Stream, width=width, folder=tmp_path)) == golden.table()[name]


def test_the_table_has_every_case_and_no_other():
    assert list(golden.table()) == list(golden.CASES)
    assert len({row["state"] for row in golden.table().values()}) == len(golden.CASES)


def test_the_lesser_machines_lack_what_they_are_said_to():
    if not native.host().triple.startswith("x86_64"):
        pytest.skip("names of x86")
    stream = cpu.open(*golden.given(golden.CASES["lloyd and its twin"]), width=16)

    def text(target):
        made = llvm.Target.from_triple(target.triple).create_target_machine(target.cpu, target.features, opt=2)
        return made.emit_assembly(llvm.parse_assembly(str(native.module(stream.where, target))))

    few = {name: text(target) for name, (target, _) in lesser_targets().items()}
    assert "fmaf" in few["without FMA"]
    assert "vfmadd" not in few["without FMA"]
    assert "vfmadd" in few.get("without AVX-512", "vfmadd")
    assert not any("zmm" in each for each in few.values())


# --- subnormal numbers, and a caller that flushes them ---


@lru_cache
def environment_of_this_thread():
    """(read, write) of the word that says how this thread rounds, and what it flushes."""
    made = ir.Module("environment")
    made.triple = native.host().triple
    kind = ir.IntType(32) if made.triple.startswith("x86") else ir.IntType(64)
    read = ir.Function(made, ir.FunctionType(kind, []), "read")
    b = ir.IRBuilder(read.append_basic_block())
    b.ret(environment.read(b, made.triple))
    write = ir.Function(made, ir.FunctionType(ir.VoidType(), [kind]), "write")
    b = ir.IRBuilder(write.append_basic_block())
    environment.write(b, write.args[0])
    b.ret_void()
    found = native.link(native.assemble(made, native.host()), "read", "write")
    word = ctypes.c_uint32 if kind.width == 32 else ctypes.c_uint64
    return ctypes.CFUNCTYPE(word)(found["read"]), ctypes.CFUNCTYPE(None, word)(found["write"]), found


@contextlib.contextmanager
def caller(word):
    """This thread with this word, which is still there at the end; None: as it is."""
    read, write, _ = environment_of_this_thread()
    before = read()
    try:
        if word is not None:
            write(word)
        yield
        kept = read()
    finally:
        write(before)
    assert kept & ~0x3F == (before if word is None else word) & ~0x3F  # the lowest bits tell what has happened


# Flushing what is subnormal, both given and made, and rounding towards -infinity.
UNLIKE_IEEE = 0xBFC0 if native.host().triple.startswith("x86") else 1 << 24 | 2 << 22


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("word", [None, UNLIKE_IEEE], ids=["as usual", "unlike IEEE"])
def test_numbers_below_the_smallest_normal_one_are_kept_and_all_are_rounded_to_nearest(word, cores):
    def halve(state, sample, params):
        del sample
        return state * params

    given = golden.given(golden.CASES["lloyd and its twin"], 40)
    usual = cpu.open(*given)
    usual.advance(40)
    begin = (np.arange(1, 41) * 2.0**-131).astype(np.float32)
    one = cpu.open(Kernel(halve), given.words, begin, np.full(40, 0.5, np.float32), given.mixture, cores=cores)
    two = cpu.open(*given, cores=cores)
    with caller(word):
        one.advance(18)
        two.advance(40)
    assert_array_equal(one.state().view(np.int32), np.arange(1, 41))
    assert golden.digest((two.words(), two.state())) == golden.digest((usual.words(), usual.state()))
