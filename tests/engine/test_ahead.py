"""What is computed of counts for a block of samples at once: which values those are, and that no bit hangs on it."""

import golden
import numpy as np
import pytest
from jax import tree
from numpy.testing import assert_array_equal

from jgmm import steps
from jgmm.algorithms import lloyd, online, soft
from jgmm.engine import ahead, cpu

RUNS = golden.RUNS


def stream(algorithm=soft.SOFT, *, runs=RUNS, width=8, **options):
    """Of the table's runs."""
    whole = golden.given(golden.Case(algorithm, 5, 3, options=options), runs)
    return cpu.open(*whole, width=width)


def unequal(last):
    """Schedules, of which `last` is the last run's."""
    shift = np.full(RUNS, 9.0)
    shift[-1] = last
    return steps.polynomial(1.0, 0.6, shift)


@pytest.mark.parametrize(
    ("algorithm", "options", "values", "counts"),
    [
        (soft.SOFT, {"steps": steps.polynomial(1.0, 0.6, 9.0)}, ["div"], [1]),  # the rate
        (soft.SOFT, {"steps": steps.polynomial(1.0, 0.6, 9.0), "average": 4}, ["div", "div"], [1, 1]),  # and the share
        (online.ONLINE, {"steps": steps.polynomial(1.0, 0.6, 9.0)}, ["add"], [1]),  # 0 + rate 1
        (soft.SOFT, {"steps": unequal(8.0)}, [], [1]),  # not the same for all runs of a strip
        (soft.SOFT, {"steps": 0.01}, [], []),
        (lloyd.LLOYD, {"steps": steps.inverse_count(1)}, [], []),  # a count for each centre and run
    ],
)
def test_a_rate_is_one_value_for_all_runs_where_they_have_one_schedule(algorithm, options, values, counts):
    found = ahead.ahead(stream(algorithm, **options).where)
    assert [node.op for node in found.values] == values
    assert list(found.counts.values()) == counts


def test_nothing_of_a_rate_is_left_in_the_step():
    where = stream(steps=steps.polynomial(1.0, 0.6, 9.0)).where
    before, after = (len(ahead.ordered(x.results.values())) for x in (where.program.step, ahead.ahead(where).rest))
    assert before - after > 60  # a power


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("algorithm", [soft.SOFT, lloyd.LLOYD])
def test_a_run_is_the_same_beside_others_of_its_schedule_or_of_another(algorithm, width):
    states = []
    for size in (unequal(9.0), unequal(8.0)):
        here = stream(algorithm, width=width, steps=size, average=4)
        for count in (1, 7, 16, 35):
            here.advance(count)
        states.append(tree.map(lambda x: x[..., :-1] if np.ndim(x) else x, here.state()))
    tree.map(assert_array_equal, *states)
