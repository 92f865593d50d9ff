"""The promise: what a run computes depends on (random seed, run id, cell) alone, to the last bit.

Every machine that is here reproduces `golden.json`: code of any vector width, of CPUs that lack what this one has, of
64-bit ARM, and NumPy, operation by operation. Graphics cards do in `test_gpu`.
"""

import contextlib
import ctypes
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, NamedTuple

import golden
import jax
import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
import numpy_list
import pytest
import run as arm
from numpy.testing import assert_array_equal

from jgmm import steps
from jgmm.algorithms import em, lloyd
from jgmm.contract import Kernel
from jgmm.engine import blocks, cpu, environment, native

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


# --- the machine without a compiler ---


def exact(a, b, c):
    """a b + c of rationals, to the nearest float32: its neighbours in float64 tell which."""
    value = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(value))
    others = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]

    def far(x):  # of two as near, the one whose last bit is 0
        return abs(Fraction(float(x)) - value), int(x.view(np.int32)) & 1

    return min((x for x in (near, *others) if np.isfinite(x)), key=far)


def test_multiply_adds_of_numpy_are_rounded_once():
    rng = np.random.default_rng(0)
    size = 3000

    def numbers(low, high, lowest, highest):
        return (rng.integers(low, high, size) * 2.0 ** rng.integers(lowest, highest, size)).astype(np.float32)

    a, b = (numbers(1, 2**24, -80, 10) for _ in range(2))
    c = (-a * b * (1 + numbers(-3, 4, -25, 0))).astype(np.float32)  # so that much is lost
    c[::3] = numbers(-4, 5, -149, -148)[::3]  # so that the result may be subnormal
    expected = np.array([exact(*x) for x in zip(a, b, c, strict=True)], np.float32)
    assert_array_equal(numpy_list.fma(a, b, c), expected)
    assert (a * b + c != expected).any()


def test_one_that_float64_would_round_twice_is_rounded_once():
    # 1 + 2^-23 + 2^-24 - 2^-70: float64 makes of it what is halfway between two float32.
    numbers = 2.0**-12 * (1 + 2.0**-23), 2.0**-12 * (1 - 2.0**-23), 1 + 2.0**-23
    a, b, c = (np.array([x], np.float32) for x in numbers)
    assert (a.astype(np.float64) * b + c).astype(np.float32)[0] == 1 + 2.0**-22
    assert numpy_list.fma(a, b, c)[0] == c == exact(a[0], b[0], c[0])


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (1 + 2.0**-52, 1 + 2.0**-52, -1 - 2.0**-51, 2.0**-104),
        (1 + 2.0**-52, 1 - 2.0**-52, -1, -(2.0**-104)),
        (2.0**-27, 2.0**-27 + 2.0**-79, 1 + 2.0**-52, 1 + 2.0**-52),
        (2.0**-53, 1 + 2.0**-52, 1, 1 + 2.0**-52),
        (2.0**-53, 1, 1, 1),
        (2.0**-26 * (1 + 2.0**-52), 2.0**-27 * (1 - 2.0**-52), 1 + 2.0**-52, 1 + 2.0**-52),  # not to the even
        (np.inf, 1, -np.inf, np.nan),
        (np.inf, -1, 1, -np.inf),
    ],
)
def test_so_are_those_of_float64(a, b, c, expected):
    with np.errstate(invalid="ignore"):
        found = numpy_list.fma(*(np.array([x], np.float64) for x in (a, b, c)))
    assert_array_equal(found, [expected])


# --- company, calls, blocks, strips, threads ---


class Cut(NamedTuple):
    """A way to go through the same samples."""

    runs: slice = slice(None)
    calls: tuple[int, ...] = (40,)
    width: int | None = None
    block: int = blocks.BLOCK
    cores: int = 2
    resumed: bool = False  # each call by a stream of its own, from what the one before has left
    live: int | None = None


MOST = 257
COMPANY = (1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 83, 96, 129, 257)
CUTS = {f"the first {n} runs": Cut(slice(0, n)) for n in COMPANY}
CUTS |= {f"the last {n} runs": Cut(slice(MOST - n, None)) for n in (1, 5, 33, 100)}
CUTS |= {f"vectors of {width}": Cut(slice(30, 90), width=width) for width in (4, 8, 16)}
CUTS |= {f"calls of {calls}": Cut(slice(0, 33), calls) for calls in ((1,) * 40, (16, 24), (17, 0, 6, 17))}
CUTS |= {f"blocks of {n}": Cut(slice(0, 17), block=n) for n in (3, 64)}
CUTS |= {f"{n} threads": Cut(slice(0, 129), (20, 20), cores=n) for n in (1, 2, 3)}
CUTS |= {"resumed": Cut(slice(3, 40), (9, 31), resumed=True), "grown": Cut(slice(0, 129), (9, 31), 8, resumed=True)}
CUTS |= {"those that are live": Cut(slice(0, 96), (30, 10), live=21)}
KERNELS = {
    "one share": golden.Case(lloyd.LLOYD, 3, 3, options={"steps": steps.polynomial(0.5, 0.7, 3.0), "twin": True}),
    "four shares": golden.Case(em.EM, 67, 2, options={"average": 10}),
}


@lru_cache
def whole(name):
    """All runs, and where they are after all samples."""
    given = golden.given(KERNELS[name], MOST)
    stream = cpu.open(*given)
    stream.advance(40)
    return given, (stream.words(), stream.state())


def some(tree, runs):
    """The arrays of some of the runs."""
    return jax.tree.map(lambda x: x[..., runs] if np.ndim(x) else x, tree)


def assert_same_bits(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_run_has_the_same_bits_however_all_is_cut(kernel, cut):
    given, expected = whole(kernel)
    how = CUTS[cut]
    given = golden.Given(given.kernel, *some(given[1:], how.runs))
    open_stream = partial(cpu.open, width=how.width, block=how.block, cores=how.cores)
    stream = open_stream(*given)
    for count in how.calls:
        stream.advance(count, live=how.live)
        if how.resumed:
            given = given._replace(words=stream.words(), state=stream.state())
            stream = open_stream(*given)
    live = slice(0, how.live)
    assert_same_bits(some((stream.words(), stream.state()), live), some(some(expected, how.runs), live))


@pytest.mark.parametrize("kernel", KERNELS)
def test_runs_with_numbers_of_their_own_have_the_bits_of_those_that_share_them(kernel):
    given = some(whole(kernel)[0], slice(0, 33))
    given = golden.Given(whole(kernel)[0].kernel, *some(given[1:], slice(0, 33)))

    def first(x):
        return np.broadcast_to(x[..., :1], x.shape) if np.ndim(x) else x

    shared = given._replace(mixture=jax.tree.map(first, given.mixture), params=jax.tree.map(first, given.params))
    shared = shared._replace(state=jax.tree.map(first, given.state))
    one = cpu.open(*shared, width=8)
    odd = np.arange(33) % 8 == 5

    def other(x, mine):
        return np.where(odd, mine, x) if np.ndim(x) else x

    own = golden.Given(given.kernel, given.words, *jax.tree.map(other, tuple(shared[2:]), tuple(given[2:])))
    two = cpu.open(*own, width=8)
    assert {"means", "thresholds", "scales"} <= one.where.flat
    assert not two.where.flat & {"means", "scales"}
    for stream in (one, two):
        stream.advance(25)
    assert_same_bits(some((one.words(), one.state()), ~odd), some((two.words(), two.state()), ~odd))


def test_code_that_was_let_go_is_linked_again(monkeypatch):
    given, _ = whole("one share")
    given = golden.Given(given.kernel, *some(given[1:], slice(0, 5)))
    monkeypatch.setattr(native, "KEPT", 1)
    found = []
    for width in (4, 8, 4):
        stream = cpu.open(*given, width=width)
        stream.advance(3)
        found.append(stream.state())
    assert_same_bits(found[1:], found[:-1])


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

    whole_given, expected = whole("one share")
    given = golden.Given(whole_given.kernel, *some(whole_given[1:], slice(0, 40)))
    begin = (np.arange(1, 41) * 2.0**-131).astype(np.float32)
    one = cpu.open(Kernel(halve), given.words, begin, np.full(40, 0.5, np.float32), given.mixture, cores=cores)
    two = cpu.open(*given, cores=cores)
    with caller(word):
        one.advance(18)
        two.advance(40)
    assert_array_equal(one.state().view(np.int32), np.arange(1, 41))
    assert_same_bits((two.words(), two.state()), some(expected, slice(0, 40)))
