"""However a stream is cut, what a run does is the same to the last bit: company, devices, calls.

One table of ways to cut, one of what streams.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import jgmm
from jgmm import mixture, rates, start
from jgmm.algorithms import em, lloyd, soft
from jgmm.contract import Choice
from jgmm.engine import choose, run, scan
from jgmm.engine.runs import run_keys
from jgmm.engine.together import ready
from jgmm.start import offset_start

KEY = jax.random.key(11)
RUNS, SAMPLES = 150, 120  # 128 on each of two devices, padded
PAIR, TRIPLE = mixture.symmetric(3, separation=2.0), mixture.simplex(3, 4, separation=3.0)


class Way(NamedTuple):
    """Which runs, in which calls (samples, or blocks of 20), how many of them live, and how the back end lays them."""

    ids: Any = range(RUNS)
    calls: tuple[tuple[int, int | None], ...] = ((SAMPLES, None),)
    more: dict = {}  # noqa: RUF012  # read alone


def devices(count):
    return {"devices": jax.devices()[:count]}


WAYS = {
    "alone": Way(ids=[17]),
    "the same twice": Way(ids=[3, 3, 19]),
    "odd": Way(ids=range(33)),
    "one device": Way(more=devices(1)),
    "alone on one device": Way(ids=[17], more=devices(1)),
    "many calls": Way(calls=((20, None), (20, None), (40, None), (40, None))),
    "some end": Way(calls=((40, None), (40, 70), (40, 5))),
}
BLOCK = 20


def lloyds(ids, algorithm, mixed, estimates=3, **more):
    batch = jgmm.batch(KEY, ids, mixed)
    begin = offset_start(KEY, batch, 0.5)[::-1][:estimates]  # in another order than the components
    found = ready(batch, algorithm, begin, **more)
    return found.kernel, batch.words, found.state, found.params, batch.mixture


def powers(ids, method):
    batch = jgmm.batch(KEY, ids, TRIPLE)
    basis = start._frames(KEY, batch)
    found = start._power(basis) if method == "block" else start._oja(basis, batch.mixture)
    return found[0], batch.words, *found[1:], batch.mixture


STREAMS = {
    "lloyd": lambda ids: lloyds(ids, lloyd.LLOYD, TRIPLE, steps=rates.polynomial(1.0, 0.6, 10.0), twin=True),
    "em": lambda ids: lloyds(ids, em.EM, PAIR, 1, steps=0.05, beta=1.5, twin=True),
    "soft": lambda ids: lloyds(ids, soft.SOFT, TRIPLE, steps=0.05, average=30),
    "oracle": lambda ids: lloyds(ids, lloyd.ORACLE, TRIPLE, steps=jgmm.steps.inverse_count(0)),
    "power": lambda ids: powers(ids, "block"),
    "oja": lambda ids: powers(ids, "oja"),
}


def streamed(name, way):
    """What the runs of a way hold in the end, those that ended early apart."""
    kernel, *given = STREAMS[name](way.ids)
    stream = scan.open(kernel, *given, **way.more)
    live = len(way.ids)
    for count, some in way.calls:
        live = some or live
        stream.advance(count // (BLOCK if kernel.end else 1), live=some, block=BLOCK if kernel.end else None)
    leaves = jax.tree.leaves((stream.words(), stream.state()))
    assert all(isinstance(x, np.ndarray) and x.shape[-1:] in ((), (len(way.ids),)) for x in leaves)
    return [x[..., :live] if x.ndim else x for x in leaves], list(way.ids)[:live]


@pytest.fixture(scope="module")
def whole():
    found = {}

    def of(name):
        if name not in found:
            found[name] = streamed(name, Way())[0]
        return found[name]

    return of


FEW = ["alone", "odd", "some end"]  # for what is of the same shape as another
CASES = [(name, way) for name in STREAMS for way in (WAYS if name in ("lloyd", "em", "power") else FEW)]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_no_way_to_cut_a_stream_changes_a_bit(whole, name, way):
    found, ids = streamed(name, WAYS[way])
    for ours, theirs in zip(found, whole(name), strict=True):
        assert_array_equal(ours, theirs[..., ids] if theirs.ndim else theirs)


def test_checkpoints_change_nothing():
    batch = jgmm.batch(KEY, range(8), TRIPLE)
    begin = offset_start(KEY, batch, 0.5)
    ends = [
        jgmm.run(batch, lloyd.LLOYD, begin, steps=0.05, checkpoints=checkpoints).centres
        for checkpoints in ([500], [1, 2, 3, 77, 500])
    ]
    assert_array_equal(ends[0], ends[1])


def lengths(checkpoints, ids):
    """Records of segments with these checkpoints, each with the runs `ids`."""
    batch = jgmm.batch(KEY, np.concatenate([ids] * len(checkpoints)), TRIPLE)
    found = ready(batch, lloyd.LLOYD, offset_start(KEY, batch, 0.5), steps=0.05, twin=True)
    return run.simulate(found, batch, [run.Segment(len(ids), c) for c in checkpoints], back_end="scan")


def test_runs_of_several_lengths_side_by_side_are_each_alone():
    checkpoints = [(10, 300), (7, 10, 120), (50,)]
    together = lengths(checkpoints, np.arange(60))
    for record, own in zip(together, checkpoints, strict=True):
        (alone,) = lengths([own], np.arange(60))
        assert_array_equal(record.samples, [0, *own])
        for a, b in zip(jax.tree.leaves(record), jax.tree.leaves(alone), strict=True):
            assert_array_equal(a, b)


def seeded(ids, more, monkeypatch):
    monkeypatch.setattr(choose, "opened", lambda back_end, *given: (scan.open(*given, **more), Choice("scan", "")))
    mixed = mixture.box(run_keys(KEY, ids), 3, 5, side=100.0, separation=5.0)
    batch, found, example = start.seed(KEY, jgmm.batch(KEY, ids, mixed), n=500, block=37, graph_points=40, neighbors=3)
    return [*batch.words, found.means, found.num_components, found.basis], example


@pytest.mark.parametrize("way", ["alone", "one device", "few points"])
def test_no_way_to_cut_a_seeding_changes_a_bit(way, monkeypatch):
    whole, example = seeded(range(RUNS), {}, monkeypatch)
    if way == "few points":
        monkeypatch.setattr(start, "POINTS_BYTES", 2**16)
    cut = WAYS.get(way, Way())
    found, other = seeded(cut.ids, cut.more, monkeypatch)
    for ours, theirs in zip(found, whole, strict=True):
        assert_array_equal(ours, theirs[..., list(cut.ids)])
    if cut.ids == range(RUNS):
        for ours, theirs in zip(other, example, strict=True):
            assert_array_equal(ours, theirs)
