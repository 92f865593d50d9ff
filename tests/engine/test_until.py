"""A loop that each run goes round until it is done: the same bits wherever it runs, whoever it waits for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy_list
import ptx
import pytest
from numpy.testing import assert_array_equal

import jgmm
from jgmm import lanes, loops, mixture
from jgmm.contract import Kernel, Refused
from jgmm.engine import cpu, gpu, scan

RUNS = 37
BATCH = jgmm.batch(jax.random.key(1), range(RUNS), mixture.simplex(2, 3, separation=3.0))
MACHINES = {f"vectors of {width}": partial(cpu.open, width=width) for width in (4, 8, 16)}
MACHINES |= {"NumPy": numpy_list.open, "PTX": partial(gpu.open, launcher=ptx.launcher), "scan": scan.open}


def below(carry, limit):
    words, _ = carry
    words, bits = lanes.next_bits(words)
    u = lanes.uniform(bits)[0]
    return u < limit, (words, u)


def step(state, sample, params):
    """Add up, over samples, the first number of a lane of its own that is below the run's limit."""
    words, total = state
    begin = lanes.LaneState(*(word[None] for word in words)), jnp.zeros_like(total)
    after, u = loops.until_done(below, jnp.zeros(sample.label.shape, bool), begin, params)
    return tuple(word[0] for word in after), total + u


def streamed(open_stream, runs=slice(None), samples=30):
    """The state after some samples."""
    words = tuple(np.ascontiguousarray(word[0, runs]) for word in BATCH.words)
    limits = np.linspace(0.02, 0.9, RUNS).astype(np.float32)[runs]
    arrays = jax.tree.map(lambda x: x[..., runs], (BATCH.words, BATCH.mixture))
    stream = open_stream(Kernel(step), arrays[0], (words, np.zeros_like(limits)), limits, arrays[1])
    stream.advance(samples)
    return jax.tree.leaves(stream.state())


def plain(run, samples=30):
    """The same in a loop."""
    words = lanes.LaneState(*(word[:1, run] for word in BATCH.words))
    total, limit = np.float32(0), np.linspace(0.02, 0.9, RUNS).astype(np.float32)[run]
    for _ in range(samples):
        while True:
            words, bits = lanes.next_bits(words)
            if (u := lanes.uniform(bits)[0]) < limit:
                break
        total += u
    return [*(word[0] for word in words), total]


@pytest.mark.parametrize("machine", MACHINES)
def test_each_run_goes_round_as_often_as_it_must(machine):
    found = streamed(MACHINES[machine])
    for run in (0, 1, 20, RUNS - 1):
        assert_array_equal([x[run] for x in found], plain(run))


@pytest.mark.parametrize("machine", ["vectors of 8", "scan"])
def test_a_run_alone_has_the_same_bits(machine):
    whole, alone = streamed(MACHINES[machine]), streamed(MACHINES[machine], slice(0, 1))
    assert_array_equal([x[:1] for x in whole], alone)


def test_a_loop_over_all_runs_is_refused():
    def together(state, sample, params):
        del params
        return jax.lax.while_loop(lambda x: jnp.any(x < 3), lambda x: x + sample.x[0] ** 2, state)

    with pytest.raises(Refused, match="the operation while has no rule"):
        cpu.open(Kernel(together), BATCH.words, np.zeros(RUNS, np.float32), {}, BATCH.mixture)


def test_a_loop_in_a_loop_is_refused():
    def once(carry, given):
        return carry > 0, loops.until_done(below_two, carry > 1, carry + given, given)

    def nested(state, sample, params):
        del params
        return loops.until_done(once, state > 1, state, sample.x[0] ** 2)

    with pytest.raises(Refused, match="is in another"):
        cpu.open(Kernel(nested), BATCH.words, np.zeros(RUNS, np.float32), {}, BATCH.mixture)


def below_two(carry, given):
    return carry > 2, carry + given
