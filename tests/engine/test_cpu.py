"""The back end of CPUs: where numbers lie, what drives them, and that it streams what the reference streams."""

import signal
import time

import jax
import llvmlite.binding as llvm
import numpy as np
import optax
import pytest
import relocations
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import mixture, ordered, start, steps
from jgmm.algorithms import pca
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD, ORACLE
from jgmm.algorithms.soft import SOFT
from jgmm.contract import Kernel
from jgmm.engine import blocks, build, cpu, native, program, scan, strips, together
from jgmm.engine import runs as batches

RUNS = 37
KEY = jax.random.key(3)


def lloyd(d, k, *, algorithm=LLOYD, num_runs=RUNS, **how):
    runs = batches.batch(KEY, np.arange(num_runs), mixture.simplex(k, d, separation=5.0))
    how = {"steps": 0.05, **how}
    ready = together.ready(runs, algorithm, start.offset_start(KEY, runs, 0.5), **how)
    return ready.kernel, runs.words, ready.state, ready.params, runs.mixture


def pair(d, **how):
    runs = batches.batch(KEY, np.arange(RUNS), mixture.symmetric(d, separation=2.0))
    ready = together.ready(runs, EM, start.offset_start(KEY, runs, 0.5)[:1], **{"steps": 0.05, **how})
    return ready.kernel, runs.words, ready.state, ready.params, runs.mixture


def basis(d, r, *, oja=False):
    runs = batches.batch(KEY, np.arange(RUNS), mixture.simplex(r, d, separation=5.0))
    frame = ordered.span(np.random.default_rng(0).normal(size=(r, d, RUNS)), tolerance=0.0).astype(np.float32)
    if not oja:
        return pca.POWER, runs.words, pca.PowerState(frame, np.zeros_like(frame)), {}, runs.mixture
    one = np.ones(RUNS, np.float32)
    params = {"log_d": 2 * one, "gap": one, "shift": 40 * one}
    return pca.OJA, runs.words, pca.OjaState(frame, np.int32(0)), params, runs.mixture


STREAMS = {
    "lloyd": lambda: lloyd(5, 3),
    "in one dimension": lambda: lloyd(1, 2),
    "a single component": lambda: lloyd(3, 1),
    "over shares": lambda: lloyd(21, 6, twin=True),
    "over shares, in loops": lambda: lloyd(41, 12),
    "a twin": lambda: lloyd(5, 3, twin=True),
    "an average": lambda: lloyd(5, 3, average=10),
    "polynomial steps": lambda: lloyd(5, 3, steps=steps.polynomial(0.5, 0.7, 3.0), twin=True),
    "1/n": lambda: lloyd(5, 3, steps=steps.inverse_count(1), twin=True),
    "Adam": lambda: lloyd(5, 3, steps=steps.adam(0.01)),
    "momentum": lambda: lloyd(5, 3, steps=optax.sgd(0.01, momentum=0.9, nesterov=True)),
    "several samples a step": lambda: lloyd(5, 3, steps=optax.MultiSteps(optax.sgd(0.1), every_k_schedule=4)),
    "a schedule": lambda: lloyd(5, 3, steps=_schedule),
    "an oracle": lambda: lloyd(5, 3, algorithm=ORACLE),
    "soft": lambda: lloyd(5, 3, algorithm=SOFT, twin=True),
    "EM": lambda: pair(5, twin=True, beta=2.0),
    "power iteration": lambda: basis(5, 3),
    "power iteration over shares": lambda: basis(30, 5),
    "Oja": lambda: basis(5, 3, oja=True),
}


def _schedule(count):
    return 0.5 / (count.astype(np.float32) + 2) ** 0.7


def went(stream, *counts, block=None):
    """What a stream holds after these calls."""
    for count in counts:
        stream.advance(count, block=block)
    return stream.words(), stream.state()


@pytest.mark.parametrize("name", STREAMS)
def test_it_streams_what_the_reference_streams(name):
    with jax.numpy_dtype_promotion("standard"):  # optax's own
        _agree(STREAMS[name]())


def _agree(given):
    block = None if given[0].end is None else 20
    counts = (45, 0, 15) if block is None else (2, 1)
    words, state = went(cpu.open(*given), *counts, block=block)
    other_words, other = went(scan.open(*given), *counts, block=block)
    for mine, theirs in zip(words, other_words, strict=True):
        assert_array_equal(mine, theirs)
    assert jax.tree.structure(state) == jax.tree.structure(other)
    for mine, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        assert mine.dtype == theirs.dtype
        assert_allclose(mine, theirs, rtol=0, atol=1e-5 * max(1, np.abs(theirs).max()))  # roundings, some tens of steps


def test_rows_of_vectors_hold_every_run_once_and_the_last_again():
    x = np.arange(2 * 5, dtype=np.float32).reshape(2, 5)
    laid = strips.lay(x, 4)
    assert_array_equal(laid, [[[0, 1, 2, 3], [5, 6, 7, 8]], [[4, 4, 4, 4], [9, 9, 9, 9]]])
    assert laid.ctypes.data % 64 == 0
    assert_array_equal(strips.gather(laid, 5), x)


def test_coordinates_of_shares_lie_together():
    leaf = program.Leaf((1, 5), "float32", 1, True, None, False)
    kernel, _, state, params, mixed = lloyd(5, 1)
    of_two = build.program(kernel, state, params, mixed, shares=2)
    where = blocks.layout(of_two, 4)
    x = np.arange(5.0)[None, :, None].astype(np.float32)
    # Pairs (0, 3), (1, 4) and (2, -): the first and the third go to share 0, the second to share 1.
    assert_array_equal(strips.rows_of(x, leaf, where)[:, 0], [0, 2, 3, 0, 1, 0, 4, 0])
    assert_array_equal(strips.leaf_of(strips.rows_of(x, leaf, where), leaf, where), x)


def test_strips_are_narrower_where_there_are_few_runs():
    assert [cpu.width_for(runs, 2, 16) for runs in (1, 8, 9, 16, 17, 1000)] == [4, 4, 8, 8, 16, 16]
    assert cpu.width_for(1000, 2, 4) == 4


def test_what_is_the_same_in_every_run_of_a_strip_is_held_once():
    given = lloyd(5, 3)
    assert {"means", "scales", "thresholds"} <= cpu.open(*given).where.flat
    kernel, words, state, params, mixed = given
    scales = np.array(mixed.scales)
    scales[:, -1] *= 2
    other = mixed._replace(scales=scales)
    assert "scales" not in cpu.open(kernel, words, state, params, other).where.flat
    scales = np.broadcast_to(np.where(np.arange(RUNS) < 16, 1, 2).astype(np.float32), mixed.scales.shape)
    other = mixed._replace(scales=np.ascontiguousarray(scales))
    assert "scales" in cpu.open(kernel, words, state, params, other, width=16).where.flat


def test_only_live_strips_go_on():
    given = lloyd(2, 2, num_runs=40)
    stream = cpu.open(*given, width=8)
    before, _ = went(stream, 10)
    stream.advance(10, live=17)
    after = stream.words()
    moved = (np.asarray(before.s0) != np.asarray(after.s0)).any(axis=0)
    assert_array_equal(moved, np.arange(40) < 24)


def test_samples_are_those_that_the_reference_draws():
    _, words, _, _, mixed = lloyd(21, 6)
    ahead, x = cpu.draw(words, mixed, 13)
    other, theirs = scan.draw(words, mixed, 13)
    for mine, there in zip(ahead, other, strict=True):
        assert_array_equal(mine, there)
    assert_allclose(x, theirs, rtol=0, atol=2e-6)


def test_float64_streams_too(x64):
    given = lloyd(5, 3, twin=True)
    assert given[2].centres.offset.dtype == np.float64
    _, state = went(cpu.open(*given), 40)
    _, other = went(scan.open(*given), 40)
    # The normals are float32, with multiply-adds fused or not; what follows is not.
    assert_allclose(state.centres.offset, other.centres.offset, rtol=0, atol=1e-7)


def test_kernels_that_are_refused_are_refused_by_name():
    _, words, state, params, mixed = lloyd(5, 3)
    sums = Kernel(lambda s, x, p: s._replace(centres=s.centres._replace(offset=s.centres.offset - x.x.sum(axis=-1)[0])))
    with pytest.raises(ValueError, match="reduce_sum goes over runs"):
        cpu.open(sums, words, state, params, mixed)


@pytest.mark.parametrize("num_runs", [1, 64])
def test_a_long_call_can_be_interrupted(num_runs):
    stream = cpu.open(*lloyd(10, 5, num_runs=num_runs))
    stream.advance(1)

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begun = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            stream.advance(10**11)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.perf_counter() - begun < 5  # a second where a core is free


def test_what_moves_is_its_own_though_it_starts_as_the_means():
    kernel, words, state, params, mixed = lloyd(3, 1)  # a single mean of zeros
    state = state._replace(centres=state.centres._replace(offset=np.zeros_like(mixed.means)))
    _, after = went(cpu.open(kernel, words, state, params, mixed), 30)
    _, other = went(scan.open(kernel, words, state, params, mixed), 30)
    assert_allclose(after.centres.offset, other.centres.offset, rtol=0, atol=1e-6)
    assert np.abs(after.centres.offset).max() > 0.1


def test_choices_are_seldom_stored_under_a_mask():
    """A masked store is 12 cycles of some processors; code of any machine can be written on any."""
    target = native.Target("x86_64-unknown-linux-gnu", "x86-64-v3", "", 8)
    stream = cpu.open(*lloyd(10, 5), width=8)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    made = llvm.Target.from_triple(target.triple).create_target_machine(cpu=target.cpu, opt=2, codemodel="small")
    written = made.emit_assembly(llvm.parse_assembly(str(native.module(stream.where, target))))
    assert written.count("vfmadd") > 50
    assert written.count("vmaskmov") <= 15  # of 50 choices


@pytest.mark.parametrize("cpu_name", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_code_finds_its_constants_wherever_they_are_loaded(cpu_name):
    # Sections are linked where there is room: more than 2 GiB apart, in a process that has CUDA in it.
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    widest = {"x86-64": 4, "x86-64-v3": 8, "x86-64-v4": 16}[cpu_name]
    target = native.Target("x86_64-unknown-linux-gnu", cpu_name, "", widest)
    kernel, _, state, params, mixed = lloyd(5, 3, steps=steps.polynomial(0.5, 0.7, 3.0))
    made = build.program(kernel, state, params, mixed)
    image = native.assemble(native.module(blocks.layout(made, widest), target), target)
    found = relocations.relocations(image)
    assert found
    assert [relocations.SHORT[each.kind] for each in found if each.kind in relocations.SHORT] == []
