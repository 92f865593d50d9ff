"""The back end of NVIDIA's cards without one: its PTX, executed on NumPy (`ptx`), has the CPU's bits."""

import re
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import golden
import jax
import jax.numpy as jnp
import llvmlite.ir as ir
import numpy as np
import ptx
import pytest
from numpy.testing import assert_array_equal

from jgmm import loops, mixture, steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.contract import Kernel
from jgmm.engine import build, cache, columns, cpu, gpu, runs, threads, together


@pytest.fixture(autouse=True)
def strict(strict):
    """As all tests have it, but for optax, which is not."""
    with jax.numpy_dtype_promotion("standard"):
        yield


open_stream = partial(gpu.open, launcher=ptx.launcher)


def problem(algorithm, d, k, count, *, steps=0.05, dtype=np.float32, **options):
    """What `engine.choose.opened` is given: runs that differ in everything."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(k, d, count)).astype(dtype) * 2
    weights = rng.uniform(1, 2, size=(k, count)).astype(dtype)
    scales = rng.uniform(0.5, 1.5, size=(k, count)).astype(dtype)
    if algorithm is em.EM:
        means, weights, scales = np.stack([means[0], -means[0]]), np.ones((2, count), dtype), scales[[0, 0]]
    mixed = mixture.Mixture(means, (weights / weights.sum(axis=0)).astype(dtype), scales)
    made = runs.batch(jax.random.key(0), np.arange(count), mixed)
    e = algorithm.estimates(k)
    start = (means[:e][::-1] + rng.normal(size=(e, d, count)) / 2).astype(dtype)
    ready = together.ready(made, algorithm, start, steps=steps, **options)
    return ready.kernel, made.words, ready.state, ready.params, made.mixture


def pca_problem(kernel, d, k, count):
    """Bases on the same runs."""
    _, words, _, _, mixed = problem(lloyd.LLOYD, d, k, count)
    basis = np.random.default_rng(2).normal(size=(k, d, count)).astype(np.float32)
    if kernel is pca.POWER:
        return kernel, words, pca.PowerState(basis, np.zeros_like(basis)), {}, mixed
    params = {"log_d": np.float32(np.log(max(d, 3))), "gap": np.full(count, 2.0, np.float32)}
    return kernel, words, pca.OjaState(basis, np.int32(0)), {**params, "shift": np.full(count, 9.0, np.float32)}, mixed


def same_bits(one, other, live=None):
    """Words and states of two streams."""
    for name in ("words", "state"):
        pairs = zip(*(jax.tree.leaves(getattr(stream, name)()) for stream in (one, other)), strict=True)
        for a, b in pairs:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            a, b = (x[..., :live] if x.ndim else x for x in (a, b))
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", golden.CASES)
def test_a_card_reproduces_the_table(name):
    assert golden.digests(name, open_stream) == golden.table()[name]


STREAMS = {
    "Lloyd and its twin": lambda: problem(lloyd.LLOYD, 2, 2, 70, twin=True),
    "Adam, averaged": lambda: problem(lloyd.LLOYD, 3, 2, 33, steps=steps.adam(0.01), average=np.arange(33)),
    "soft": lambda: problem(soft.SOFT, 5, 3, 33),
    "four threads a run": lambda: problem(lloyd.LLOYD, 20, 10, 9),
}


@pytest.mark.parametrize("name", STREAMS)
def test_every_bit_is_the_cpus(name):
    given = STREAMS[name]()
    here, there = open_stream(*given), cpu.open(*given)
    for count in (1, 11):
        here.advance(count)
        there.advance(count)
        same_bits(here, there)


SHARES = pytest.mark.parametrize("shares", [2, 4])  # over as many threads, where one would do
SHARED = {  # with 2 threads a run, and with 4, some lack a coordinate
    "Lloyd and its twin": lambda: problem(lloyd.LLOYD, 9, 2, 19, twin=True),
    "EM": lambda: problem(em.EM, 9, 2, 19),
    "soft": lambda: problem(soft.SOFT, 10, 3, 19),
    "Adam": lambda: problem(lloyd.LLOYD, 9, 2, 9, steps=steps.adam(0.01)),
}


@pytest.mark.parametrize("name", SHARED)
@SHARES
def test_so_are_those_of_runs_over_several_threads(name, shares):
    given = SHARED[name]()
    here, there = open_stream(*given, shares=shares), cpu.open(*given, shares=shares)
    assert here.program.shares == shares
    for stream in (here, there):
        stream.advance(9)
    same_bits(here, there)


ENDS = [(pca.POWER, 5, 3), (pca.OJA, 4, 2)]


@pytest.mark.parametrize(("kernel", "d", "k"), ENDS)
def test_so_are_those_of_blocks_with_an_end(kernel, d, k):
    given = pca_problem(kernel, d, k, 9)
    here, there = open_stream(*given), cpu.open(*given)
    for stream in (here, there):
        stream.advance(2, block=3)
        stream.advance(1, block=4)
    same_bits(here, there)


@SHARES
def test_several_totals_one_after_another_are_the_cpus(shares):
    given = pca_problem(pca.POWER, 9, 2, 9)
    here, there = open_stream(*given, shares=shares), cpu.open(*given, shares=shares)
    for stream in (here, there):
        stream.advance(2, block=3)
    same_bits(here, there)


@SHARES
def test_the_terms_of_coordinates_that_a_thread_lacks_are_left_out(shares):
    def step(state, sample, params):
        ones = loops.over_coordinates(len(sample.x), lambda j: (sample.x[j] - sample.x[j]) + 1, jnp.zeros_like(params))
        return state + ones

    _, words, _, _, mixed = problem(lloyd.LLOYD, 9, 2, 5)
    stream = open_stream(Kernel(step), words, np.zeros(5, np.float32), np.zeros(5, np.float32), mixed, shares=shares)
    stream.advance(3)
    assert_array_equal(stream.state(), np.full(5, 27.0, np.float32))


def test_flags_and_counts_are_held_too():
    def step(state, sample, params):
        flag, count, far = state
        above = (sample.x[0] > params) | flag.astype(bool)
        return above.astype(flag.dtype), count + sample.label, jnp.where(above, far, far - 1)

    _, words, _, _, mixed = problem(lloyd.LLOYD, 3, 3, 40)
    zeros = np.zeros(40, np.int32)
    here, there = (
        open_stream(Kernel(step), words, (zeros.astype(t), zeros, zeros), np.float32(1), mixed)
        for t in (bool, np.int32)
    )
    for stream in (here, there):
        stream.advance(5)
    assert here.state()[0].dtype == bool
    for a, b in zip(here.state(), there.state(), strict=True):
        assert_array_equal(a, b)
    assert 0 < here.state()[0].sum() < 40


def test_float64_too(x64):
    given = problem(lloyd.LLOYD, 3, 2, 9, dtype=np.float64, twin=True)
    here, there = open_stream(*given), cpu.open(*given)
    for stream in (here, there):
        stream.advance(5)
    assert here.state().centres.offset.dtype == np.float64
    same_bits(here, there)


@SHARES
def test_float64_over_several_threads(x64, shares):
    given = problem(lloyd.LLOYD, 9, 2, 5, dtype=np.float64)
    here, there = open_stream(*given, shares=shares), cpu.open(*given, shares=shares)
    for stream in (here, there):
        stream.advance(3)
    same_bits(here, there)


def test_runs_that_are_not_live_stay_as_they_are_but_for_those_of_a_warp():
    given = problem(lloyd.LLOYD, 2, 2, 100)
    here, there = open_stream(*given), cpu.open(*given)
    begin = open_stream(*given)
    here.advance(9, live=40)
    there.advance(9)
    same_bits(here, there, live=40)
    for a, b in zip(here.words(), begin.words(), strict=True):
        assert_array_equal(a[:, 64:], b[:, 64:])
        assert (a[:, :40] != b[:, :40]).any(axis=0).all()


def test_cards_share_the_runs():
    given = problem(lloyd.LLOYD, 3, 2, 83, twin=True)
    one, two, begin = (open_stream(*given, devices=jax.devices()[:1] * n) for n in (1, 2, 1))
    for stream in (one, two, begin):
        stream.advance(5)
    for stream in (one, two):
        stream.advance(3, live=50)
    assert [card.runs for card in two._cards] == [41, 42]
    before, after = begin.words(), two.words()
    assert all((a[:, 41 + 32 :] == b[:, 41 + 32 :]).all() for a, b in zip(before, after, strict=True))
    same_bits(one, two, live=50)
    assert_array_equal(one.draw(3)[..., :50], two.draw(3)[..., :50])


def test_few_widths_serve_all_numbers_of_runs():
    counts = range(1, 4097)
    widths = [columns.columns_for(count) for count in counts]
    assert all(
        count <= width < count * 9 / 8 + 32 and width % 32 == 0 for count, width in zip(counts, widths, strict=True)
    )
    assert len(set(widths)) <= 50
    assert columns.columns_for(65_536) == 65_536


@pytest.mark.parametrize(("d", "k"), [(2, 2), (5, 3)])
def test_samples_drawn_are_the_cpus_and_leave_the_lanes_behind_them(d, k):
    given = problem(lloyd.LLOYD, d, k, 33)
    here, there = open_stream(*given), cpu.open(*given)
    for _ in range(2):
        x = here.draw(7)
        assert x.shape == (d, 7, 33)
        assert x.tobytes() == np.ascontiguousarray(there.draw(7)).tobytes()
    same_bits(here, there)


@SHARES
def test_so_are_those_that_several_threads_draw(shares):
    given = problem(lloyd.LLOYD, 9, 2, 5)
    here, there = open_stream(*given, shares=shares), cpu.open(*given, shares=shares)
    assert here.draw(4).tobytes() == np.ascontiguousarray(there.draw(4)).tobytes()


# --- the text ---


def text_of(given):
    kernel, _, state, params, mixed = given
    return gpu.ptx(build.program(kernel, state, params, mixed))


@pytest.mark.parametrize("name", ["soft", "Adam, averaged", "four threads a run"])
def test_every_operation_on_floats_says_how_it_rounds_and_none_flushes(name):
    names = re.findall(r"^\s*(?:@!?%\w+ )?([a-z][\w.]*)", text_of(STREAMS[name]()), flags=re.MULTILINE)
    # The guess that `threads.root` makes right is the only one.
    assert {x for x in names if ".ftz" in x or ".approx" in x or ".full" in x} == {"rsqrt.approx.ftz.f32"}
    rounded = [x for x in names if re.fullmatch(r"(add|sub|mul|fma|div|sqrt)(\.\w+)*\.f(32|64)", x)]
    assert {x.split(".")[1] for x in rounded} == {"rn"}
    assert {x.split(".")[0] for x in rounded} >= {"add", "sub", "mul", "fma"}


def test_a_sample_is_one_block_without_a_branch():
    text = text_of(problem(lloyd.LLOYD, 9, 3, 4, twin=True))
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
    given = problem(lloyd.LLOYD, 3, 2, 5)
    cache.configure(tmp_path / "code")
    gpu._texts.clear()
    try:
        text = text_of(given)
        (entry,) = (tmp_path / "code").iterdir()
        gpu._texts.clear()
        monkeypatch.setattr(gpu, "assembled", lambda made: "made anew")
        assert text_of(given) == text
        entry.write_bytes(b"broken")
        assert text_of(given) == text
        gpu._texts.clear()
        assert text_of(given) == "made anew"
    finally:
        gpu._texts.clear()
        cache.configure(None)


# --- may it be? ---


class Device(NamedTuple):
    platform: str = "gpu"
    device_kind: str = "NVIDIA H100"
    compute_capability: str = "9.0"
    version: str = "PJRT C API cuda 13000"

    @property
    def client(self):
        return SimpleNamespace(platform_version=self.version)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device("cpu", "cpu"), "a CPU, not an NVIDIA GPU"),
        (Device(device_kind="MI300", version="rocm 60300"), "MI300, not an NVIDIA GPU"),
        (Device("tpu", "TPU v5"), "TPU v5, not an NVIDIA GPU"),
        (Device(device_kind="P100", compute_capability="6.0"), "P100 has compute capability 6.0, expected 7.0 or more"),
    ],
)
def test_what_is_no_such_card_is_told(device, words):
    assert words in gpu.available(device)


def test_a_card_is_tried_once(monkeypatch):
    launched = []

    def launcher(*given):
        launched.append(given)
        return ptx.launcher(*given)

    monkeypatch.setattr(jax, "device_put", lambda x, device=None: x)
    for _ in range(2):
        assert gpu.available(Device(), launcher) is None
    assert len(launched) == 1


def test_a_jax_without_the_call_for_ptx_is_told(monkeypatch):
    def refuse(*_):
        raise RuntimeError("No registered implementation for custom call\nand more")

    monkeypatch.setattr(jax, "device_put", lambda x, device=None: x)
    told = gpu.available(Device(), refuse)
    assert re.fullmatch(r"JAX [\d.]+ has no custom call for PTX here \(No registered .* custom call\)", told)


def test_what_a_launch_is_told():
    """The call that XLA knows, by name, with 32-bit sizes; lowered for a card that need not be there."""
    launch = gpu.launcher("text of a kernel", 64, (threads.Rows(3, "uint32"), threads.Rows(2, "float32")))
    shape = jax.ShapeDtypeStruct((3, 64), jnp.uint32)
    told = launch.trace(shape).lower(lowering_platforms=("cuda",)).as_text()
    assert '@"__gpu$xla.gpu.ptx"' in told or "@__gpu$xla.gpu.ptx" in told
    for part in ("grid_x = 2 : i32", "block_x = 32 : i32", 'kernel_data = "text of a kernel"', 'kernel_type = "ptx"'):
        assert part in told
