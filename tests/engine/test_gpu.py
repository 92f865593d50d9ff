"""The back end of NVIDIA's cards without one: its PTX, executed on NumPy (`ptx`), has the CPU's bits."""

import re
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import golden
import jax
import jax.numpy as jnp
import numpy as np
import ptx
import pytest
from numpy.testing import assert_array_equal

from jgmm import loops, steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.contract import Kernel
from jgmm.engine import columns, cpu, gpu, threads


@pytest.fixture(autouse=True)
def strict(strict):
    """As all tests have it, but for optax, which is not."""
    with jax.numpy_dtype_promotion("standard"):
        yield


open_stream = partial(gpu.open, launcher=ptx.launcher)


def problem(algorithm, d, k, count, *, dtype=np.float32, **options):
    """What a back end opens: runs that differ in everything."""
    return golden.given(golden.Case(algorithm, d, k, dtype=dtype, options=options), count)


def same_bits(one, other, live=None):
    """Words and states of two streams."""
    for name in ("words", "state"):
        pairs = zip(*(jax.tree.leaves(getattr(stream, name)()) for stream in (one, other)), strict=True)
        for a, b in pairs:
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            a, b = (x[..., :live] if x.ndim else x for x in (a, b))
            assert a.tobytes() == b.tobytes()


@pytest.mark.slow
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
    given = problem(kernel, d, k, 9)
    here, there = open_stream(*given), cpu.open(*given)
    for stream in (here, there):
        stream.advance(2, block=3)
        stream.advance(1, block=4)
    same_bits(here, there)


@SHARES
def test_several_totals_one_after_another_are_the_cpus(shares):
    given = problem(pca.POWER, 9, 2, 9)
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


# --- whether there is a card that will do, and what it is told ---


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
