"""However a stream is cut, what a run does is the same to the last bit: one table of ways to cut, over all back ends.

The CPU's back end and a graphics card's give the same bits; XLA's, the reference, gives the same as itself.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import golden
import jax
import numpy as np
import ptx
import pytest
from jax import tree

from jgmm import steps
from jgmm.algorithms import em, lloyd, pca, soft
from jgmm.engine import cpu, gpu, native, reduced_power, scan

BACK_ENDS = {"cpu": cpu.open, "gpu": partial(gpu.open, launcher=ptx.launcher), "scan": scan.open}
KERNELS = {
    "lloyd": golden.Case(lloyd.LLOYD, 3, 3, options={"steps": steps.polynomial(0.5, 0.7, 3.0), "twin": True}),
    "em over shares": golden.Case(em.EM, 67, 2, options={"average": 10}),
    "soft": golden.Case(soft.SOFT, 4, 3, options={"average": 30}),
    "oracle": golden.Case(lloyd.ORACLE, 4, 3, options={"steps": steps.inverse_count(0)}),
    "reduced": golden.Case(lloyd.LLOYD, 4, 2, beyond=7),
    "power": golden.Case(pca.POWER, 4, 3),
    "reduced power": golden.Case(reduced_power.KERNEL, 4, 2, beyond=7),
    "oja": golden.Case(pca.OJA, 4, 3),
}
RUNS, CALLS = 257, 40  # in samples, or in blocks where blocks have an end
BLOCK = 3  # samples of such a block


class Cut(NamedTuple):
    """A way to go through the same samples: which runs, in which calls, and how the back end lays them.

    live: how many runs go on after the first call. resumed: each call by a stream of its own, from what the one before
    has left. more: what the back end is told.
    """

    runs: slice | list[int] = slice(None)
    calls: tuple[int, ...] = (CALLS,)
    live: int | None = None
    resumed: bool = False
    more: Mapping[str, Any] = MappingProxyType({})


ANY = {
    "a run alone": Cut(slice(17, 18)),
    "the same run twice": Cut([3, 3, 19]),
    "the first 33 runs": Cut(slice(0, 33)),
    "the last 5 runs": Cut(slice(RUNS - 5, None)),
    "many calls": Cut(slice(0, 33), (17, 0, 6, 1, 1, 15)),
    "resumed": Cut(slice(3, 36), (9, 31), resumed=True),
    "some end": Cut(slice(0, 33), (30, 10), live=21),
}
COMPANY = (1, 2, 3, 15, 16, 17, 31, 32, 63, 64, 65, 83, 96, 129)
CUTS: dict[str, dict[str, Cut]] = {
    "cpu": ANY
    | {f"the first {n} runs": Cut(slice(0, n)) for n in COMPANY}
    | {f"vectors of {n}": Cut(slice(30, 90), more={"width": n}) for n in (4, 8, 16)}
    | {f"blocks of {n}": Cut(slice(0, 17), more={"block": n}) for n in (3, 64)}
    | {f"{n} threads": Cut(slice(0, 129), (20, 20), more={"cores": n}) for n in (1, 2, 3)}
    | {"calls of one": Cut(slice(0, 33), (1,) * CALLS)}
    | {"resumed in wider vectors": Cut(slice(0, 129), (9, 31), resumed=True, more={"width": 8})},
    "gpu": ANY | {"two cards": Cut(slice(0, 83), more={"devices": jax.devices()[:1] * 2})},
    "scan": ANY | {"one device": Cut(slice(0, 150), more={"devices": jax.devices()[:1]})},
}
FEW = ("a run alone", "the first 33 runs", "some end")  # of kernels whose arrays are like another's
CASES = [
    pytest.param(*(back_end, kernel, cut), marks=pytest.mark.slow if "reduced" in kernel and back_end != "cpu" else ())
    for back_end, cuts in CUTS.items()
    for kernel in KERNELS
    for cut in (cuts if kernel in ("lloyd", "em over shares") else FEW)
    if back_end != "gpu"
    or kernel in ("lloyd", "power", "reduced", "reduced power")  # a card that is executed on NumPy takes seconds
]


@lru_cache
def given(kernel):
    """What a back end opens."""
    return golden.given(KERNELS[kernel], RUNS)


def streamed(back_end, kernel, cut):
    """The words and the state of a cut's runs in the end."""
    whole = given(kernel)
    problem = golden.Given(whole.kernel, *some(whole[1:], cut.runs))
    block = None if whole.kernel.end is None else BLOCK
    open_stream = partial(BACK_ENDS[back_end], **cut.more)
    stream, live = open_stream(*problem), None
    for count in cut.calls:
        stream.advance(count, live=live, block=block)
        live = cut.live
        problem = problem._replace(words=stream.words(), state=stream.state())
        if cut.resumed:
            stream = open_stream(*problem)
    return problem.words, problem.state


@lru_cache
def uncut(back_end, kernel):
    """The words and the states of all runs."""
    return streamed(back_end, kernel, Cut())


def some(arrays, runs):
    """The arrays of some of the runs."""
    return tree.map(lambda x: x[..., runs] if np.ndim(x) else x, arrays)


def assert_same_bits(found, expected):
    for one, other in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("back_end", "kernel", "name"), CASES)
def test_a_run_has_the_same_bits_however_all_is_cut(back_end, kernel, name):
    cut = CUTS[back_end][name]
    expected = some(uncut("scan" if back_end == "scan" else "cpu", kernel), cut.runs)
    live = slice(0, cut.live)
    assert_same_bits(some(streamed(back_end, kernel, cut), live), some(expected, live))


@pytest.mark.parametrize("kernel", ["lloyd", "em over shares"])
def test_runs_with_numbers_of_their_own_have_the_bits_of_those_that_share_them(kernel):
    problem = golden.Given(given(kernel).kernel, *some(given(kernel)[1:], slice(0, 33)))

    def first(x):
        return np.broadcast_to(x[..., :1], x.shape) if np.ndim(x) else x

    shared = problem._replace(mixture=tree.map(first, problem.mixture), params=tree.map(first, problem.params))
    shared = shared._replace(state=tree.map(first, problem.state))
    one = cpu.open(*shared, width=8)
    odd = np.arange(33) % 8 == 5

    def other(x, own):
        return np.where(odd, own, x) if np.ndim(x) else x

    own = golden.Given(problem.kernel, problem.words, *tree.map(other, tuple(shared[2:]), tuple(problem[2:])))
    two = cpu.open(*own, width=8)
    assert {"means", "thresholds", "scales"} <= one.where.flat
    assert not two.where.flat & {"means", "scales"}
    for stream in (one, two):
        stream.advance(25)
    assert_same_bits(some((one.words(), one.state()), ~odd), some((two.words(), two.state()), ~odd))


def test_code_that_was_let_go_is_linked_again(monkeypatch):
    problem = golden.Given(given("lloyd").kernel, *some(given("lloyd")[1:], slice(0, 5)))
    monkeypatch.setattr(native, "KEPT", 1)
    states = []
    for width in (4, 8, 4):
        stream = cpu.open(*problem, width=width)
        stream.advance(3)
        states.append(stream.state())
    assert_same_bits(states[1:], states[:-1])
