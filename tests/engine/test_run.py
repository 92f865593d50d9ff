"""Runs and their records: one program, averages, twins, laws, bad input."""

import json
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import mixture, ordered
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD, ORACLE
from jgmm.algorithms.soft import SOFT
from jgmm.contract import Choice, Refused
from jgmm.engine import choose, run, scan, together
from jgmm.start import offset_start

KEY = jax.random.key(11)


def small_batch(runs=40, separation=3.0):
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=separation))
    return batch, offset_start(KEY, batch, 0.5)


# --- in words ---


def test_a_batch_and_a_record_print_themselves_in_two_lines():
    batch, start = small_batch(4)
    assert repr(batch).splitlines() == [
        "Batch: 4 runs, of ids 0 to 3",
        "3 components in 4 dimensions, scales 1, weights 0.3333",
    ]
    assert "of ids 7\n" in str(jgmm.batch(KEY, [7], mixture.given([[0.0], [4.0]], weights=[0.25, 0.75], scales=[1, 2])))
    record = jgmm.run(batch, LLOYD, start, steps=0.05, checkpoints=[20, 40], back_end="scan")
    sq = np.array([[1.0, 3.0, 2.0, 2.0], [2.0] * 4, [0.5, 0.7, 0.6, 0.6]])  # sd of the last: sqrt(0.02/3)
    made = record._replace(error=record.error._replace(error_sq=sq))
    assert repr(made).splitlines() == [
        "Record: 4 runs of 3 estimates in 4 dimensions, 40 samples, by scan",
        "mean squared error 2 at the start, 0.6 +- 0.041 at the end",
    ]
    assert made.centres is record.centres  # a tuple as before
    assert made == tuple(made)


# --- starts and their components ---


def test_estimates_are_matched_to_components_and_given_back_as_they_came():
    batch, start = small_batch(8)
    order = np.array([2, 0, 1])
    here = jgmm.run(batch, LLOYD, start, steps=0.05, checkpoints=[40], twin=True)
    there = jgmm.run(batch, LLOYD, start[order], steps=0.05, checkpoints=[40], twin=True)
    assert_array_equal(here.component, np.arange(3)[:, None] + np.zeros((1, 8), int))
    assert_array_equal(there.component, order[:, None] + np.zeros((1, 8), int))
    for name in ("centres", "displacement", "start_displacement", "start_sq", "twin_displacement"):
        assert_array_equal(getattr(there, name), getattr(here, name)[order])
    for name in ("error", "twin_sq"):
        for a, b in zip(jax.tree.leaves(getattr(here, name)), jax.tree.leaves(getattr(there, name)), strict=True):
            assert_array_equal(a, b)


def test_the_origin_is_the_mixtures_own_array():
    batch, start = small_batch(4)
    state = together.ready(batch, LLOYD, start[::-1], steps=0.05, twin=True).state
    assert state.centres.origin is batch.mixture.means
    assert state.twin.origin is batch.mixture.means
    assert_allclose(state.centres.origin + state.centres.offset, start, atol=1e-6)


@pytest.mark.parametrize("side", [0, 1])
def test_a_single_estimate_stands_for_the_component_that_its_start_is_near(side):
    batch = jgmm.batch(KEY, range(8), mixture.symmetric(3, separation=4.0))
    start = offset_start(KEY, batch, 0.5)[side : side + 1]
    record = jgmm.run(batch, EM, start, steps=0.02, checkpoints=[300], twin=True)
    assert record.centres.shape == (1, 3, 8)
    assert_array_equal(record.component, np.full((1, 8), side))
    assert_allclose(record.centres, batch.mixture.means[side : side + 1] + record.displacement, atol=1e-6)
    assert record.twin_sq[-1].mean() < record.twin_sq[0].mean() / 2


def test_soft_estimates_know_the_weight_and_scale_of_the_component_they_are_matched_to():
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    mix = mixture.given(means, weights=np.array([0.6, 0.3, 0.1]), scales=np.array([0.5, 1.0, 0.8]))
    batch = jgmm.batch(KEY, range(8), mix)
    start, order = offset_start(KEY, batch, 0.3), np.array([2, 0, 1])
    found = [jgmm.run(batch, SOFT, mine, steps=0.05, checkpoints=[40]).centres for mine in (start, start[order])]
    assert_array_equal(found[1], found[0][order])
    params = together.ready(batch, SOFT, start[order], steps=0.05, beta=2.0).params.own
    assert_allclose(params["prior"][:, 0], np.log([0.6, 0.3, 0.1]) - 2 * np.log([0.5, 1.0, 0.8]), rtol=1e-6)
    assert_allclose(params["sharpness"][:, 0], 2.0 / (2 * np.array([0.5, 1.0, 0.8]) ** 2), rtol=1e-6)


def test_a_record_says_where_the_centres_are():
    batch, start = small_batch()
    record = jgmm.run(batch, LLOYD, start, steps=0.1, twin=True, checkpoints=[20])
    means = batch.mixture.means.astype(np.float64)
    matched = np.take_along_axis(means, record.component[:, None], axis=0)
    assert_allclose(matched + record.displacement, record.centres, atol=1e-6)
    assert_allclose((record.start_displacement**2).sum(axis=1), record.start_sq)
    assert_allclose((record.twin_displacement**2).sum(axis=(0, 1)), record.twin_sq[-1], rtol=1e-5)


def test_the_squared_error_of_a_twin_of_many_coordinates_is_rounded_once():
    """Summed in float32, 5,000 squares are off by 6e-6 in the mean of all runs, and a true twin is called wrong."""
    batch = jgmm.batch(KEY, range(40), mixture.simplex(10, 500, separation=8.0))
    record = jgmm.run(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=0.1, twin=True, checkpoints=[2])
    once = np.finfo(np.float32).eps / 2
    assert_allclose(record.twin_sq[0], record.start_sq.sum(axis=0), rtol=1.01 * once)
    assert_allclose(record.twin_sq[-1], (record.twin_displacement**2).sum(axis=(0, 1)), rtol=1.01 * once)


# --- averages ---


def test_an_average_is_the_mean_of_the_iterates_after_the_burn():
    batch, start = small_batch()
    averaged = jgmm.run(batch, LLOYD, start, steps=0.1, average=np.full(40, 6.0), checkpoints=[9])
    each = [jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[n]).displacement for n in (7, 8, 9)]
    assert_allclose(averaged.displacement, np.mean(each, axis=0), atol=1e-6)
    before = jgmm.run(batch, LLOYD, start, steps=0.1, average=6, checkpoints=[5])
    last = jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[5])
    assert_allclose(before.displacement, last.displacement, atol=1e-6)


# --- one program ---


def test_one_shape_compiles_once_whatever_n_rate_scale_and_separation():
    def go(separation, scale, rate, n):
        batch = jgmm.batch(KEY, range(8), mixture.simplex(2, 6, separation=separation, scales=scale))
        start = offset_start(KEY, batch, 0.1)
        jgmm.run(batch, LLOYD, start, steps=rate, checkpoints=[n // 2, n], back_end="scan")

    go(3.0, 1.0, 0.1, 50)
    before = scan.advanced._cache_size()
    go(5.0, 20.0, 0.01, 700)
    assert scan.advanced._cache_size() == before


def test_the_step_is_traced_for_scan_once():
    calls = []

    def step(state, sample, params, move):
        calls.append(1)
        return LLOYD.step(state, sample, params, move)

    batch, start = small_batch(8)
    for rate in (0.1, 0.2):
        jgmm.run(batch, LLOYD._replace(step=step), start, steps=rate, checkpoints=[5, 300, 400], back_end="scan")
    assert len(calls) <= 2  # a loop's body may be traced twice


# --- how a stream is driven ---


class Written:
    """A back end that only notes what it is asked."""

    def __init__(self, state):
        self.calls, self.held = [], state

    def advance(self, count, *, live=None, block=None):
        self.calls.append((count, live, block))

    def words(self):
        raise NotImplementedError

    def state(self):
        return self.held


def test_calls_are_of_half_a_second_and_progress_is_told_of_each(monkeypatch):
    clock = [0.0]
    stream = Written(None)
    pace = stream.advance

    def slow(count, **more):
        clock[0] += count / 1000  # seconds a sample
        pace(count, **more)

    stream.advance = slow
    monkeypatch.setattr(run.time, "perf_counter", lambda: clock[0])
    told = []
    run.advance(stream, 5000, live=3, progress=told.append)
    counts = [count for count, *_ in stream.calls]
    assert sum(counts) == 5000
    assert counts[:2] == [512, 512]  # the first may hold a compiler
    assert max(counts[2:]) <= 500
    assert told == [3 * count for count in counts]
    run.advance(stream, 40, live=2, block=10, progress=told.append)
    assert sum(told[len(counts) :]) == 40 * 10 * 2


def test_what_has_ended_is_told_to_be_dead(monkeypatch):
    batch, start = small_batch(10)
    found = together.ready(batch, LLOYD, start, steps=0.05)
    stream = Written(found.state)
    monkeypatch.setattr(choose, "opened", lambda *given: (stream, Choice("none", "a test")))
    run.simulate(found, batch, [run.Segment(4, (5, 9)), run.Segment(3, (5,)), run.Segment(3, (2,))])
    assert stream.calls == [(2, 10, None), (3, 7, None), (4, 4, None)]


def test_errors_of_the_start_are_checkpoint_0():
    batch, start = small_batch(6)
    record = jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[3], twin=True)
    along = np.moveaxis(start - batch.mixture.means, 1, 0).astype(float)
    assert_allclose(record.error.error_sq[0], ordered.dot(along, along).sum(axis=0), rtol=1e-5)
    assert_allclose(record.twin_sq[0], record.error.error_sq[0], rtol=1e-6)
    assert_array_equal(record.samples, [0, 3])


def test_float64_streams_are_float64(x64):
    batch, start = small_batch(4)
    record = jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[30], twin=True)
    assert start.dtype == record.error.error_sq.dtype == record.twin_sq.dtype == np.float64


def test_what_streams_in_float32_stays_float32_whatever_is_given():
    batch, start = small_batch(4)
    given = mixture.Mixture(*(np.asarray(x, np.float64) for x in batch.mixture))
    wide = jgmm.batch(KEY, range(4), given)
    assert wide.mixture.means.dtype == np.float32
    record = jgmm.run(wide, LLOYD, start.astype(np.float64), steps=0.1, checkpoints=[3])
    assert record.error.error_sq.dtype == np.float32


def lengths(checkpoints, back_end):
    """Records of segments with these checkpoints, each with the same 60 runs."""
    batch = jgmm.batch(KEY, [*range(60)] * len(checkpoints), mixture.simplex(3, 4, separation=3.0))
    found = together.ready(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=0.05, twin=True)
    return run.simulate(found, batch, [run.Segment(60, c) for c in checkpoints], back_end=back_end)


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_runs_of_several_lengths_side_by_side_are_each_alone_and_checkpoints_change_nothing(back_end):
    checkpoints = [(10, 300), (7, 10, 120), (50,)]
    together = lengths(checkpoints, back_end)
    for record, own in zip(together, checkpoints, strict=True):
        (alone,) = lengths([own], back_end)
        assert_array_equal(record.samples, [0, *own])
        for a, b in zip(jax.tree.leaves(record), jax.tree.leaves(alone), strict=True):
            assert_array_equal(a, b)


# --- bad input ---


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, s: jgmm.run(b, LLOYD, s, steps=1.5, checkpoints=[10]), "rate is 1.5"),
        (lambda b, s: jgmm.run(b, LLOYD, s, steps=float("nan"), checkpoints=[10]), "rate is nan"),
        (lambda b, s: jgmm.run(b, LLOYD, s, steps=0.1, checkpoints=[10, 10]), "increasing"),
        (lambda b, s: jgmm.run(b, EM, s[:1], steps=0.1, checkpoints=[10]), "two balanced components"),
        (lambda b, s: jgmm.run(b, "oracle", s, steps=0.1, checkpoints=[10], twin=True), "the algorithm has none"),
        (lambda b, s: jgmm.run(b, LLOYD, s, steps=0.1, checkpoints=[10], back_end="gpu"), "the device is a CPU"),
        (lambda b, s: jgmm.batch(KEY, [], mixture.symmetric(2, separation=1.0)), "of at least one run"),
    ],
)
def test_bad_input_names_the_value(call, message):
    batch, start = small_batch(2)
    with pytest.raises(ValueError, match=message):
        call(batch, start)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([run.Segment(3, (5,))], "expected 4 in all"),
        ([run.Segment(2, (5,)), run.Segment(2, (9,))], "expected the longest first"),
        ([run.Segment(4, (5, 5))], "expected increasing"),
    ],
)
def test_segments_that_do_not_fit_are_refused(segments, message):
    batch, start = small_batch(4)
    with pytest.raises(ValueError, match=message):
        run.simulate(together.ready(batch, LLOYD, start, steps=0.1), batch, segments)


def test_checkpoints_are_spaced_as_powers():
    assert jgmm.log_checkpoints(1000, 3) == [10, 100, 1000]
    assert jgmm.log_checkpoints(3, 10) == [1, 2, 3]
    with pytest.raises(ValueError, match="count is 0"):
        jgmm.log_checkpoints(3, 0)


def test_an_algorithm_of_ones_own_needs_no_line_of_jgmm():
    own = LLOYD._replace(step=LLOYD.twin, twin=None, words="one's own oracle")
    batch, start = small_batch(8)
    mine, theirs = (jgmm.run(batch, a, start, steps=0.1, checkpoints=[50]) for a in (own, ORACLE))
    assert_array_equal(mine.centres, theirs.centres)


def test_a_back_end_that_refuses_is_not_fallen_back_from_in_silence(monkeypatch):
    batch, start = small_batch(4)

    def refuse(*given):
        raise Refused("the operation sort has no rule")

    monkeypatch.setattr(choose, "choose", lambda name: Choice("strict", "the device is a CPU"))
    monkeypatch.setattr(choose, "load", lambda name: scan if name == "scan" else SimpleNamespace(open=refuse))
    record = jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[3])
    assert record.back_end == Choice("scan", "the operation sort has no rule")
    with pytest.raises(ValueError, match="back_end is 'cpu', but the operation sort has no rule: expected"):
        jgmm.run(batch, LLOYD, start, steps=0.1, checkpoints=[3], back_end="cpu")


def test_importing_jgmm_and_streaming_on_a_cpu_imports_no_pallas():
    look = "; import sys, json; print(json.dumps([name for name in sys.modules if 'pallas' in name]))"
    stream = (
        "import jax, jgmm; from jgmm import mixture; mix = mixture.simplex(2, 2, separation=5.0);"
        "batch = jgmm.batch(jax.random.key(0), range(4), mix);"
        "jgmm.run(batch, 'lloyd', batch.mixture.means, steps=0.1, checkpoints=[3])"
    )
    found, alone = (
        json.loads(subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout)
        for c in (stream + look, "import jax" + look)
    )
    assert found == alone
