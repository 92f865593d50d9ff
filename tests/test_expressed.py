"""Step sizes that are formulas in t: by hand in NumPy, by the bits of the polynomial ones, on every back end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import expressed, expressions, mixture, rates, steps
from jgmm.algorithms.lloyd import LLOYD
from jgmm.start import offset_start

KEY = jax.random.key(3)
CELL = {"k": 3.0, "n": 500.0}
FORMULAS = ["min(0.2, k*log(t+3)/(t+3))", "exp(-t/n)/10", "max(1/(t+2)**1.5, 0.01*log2(t+2)/k)", "1/sqrt(4+2*t)"]


def step_size(text):
    """The step size of a formula that is no polynomial."""
    schedule = rates.of_expression(expressions.parse(text), CELL, 500)
    return expressed.step_size(text, schedule.numbers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", FORMULAS)
def test_every_step_is_the_formulas_value(text, dtype):
    with jax.enable_x64(dtype == np.float64):
        size = step_size(text)
        numbers = {name: jnp.asarray(x) for name, x in steps.check(size, (1, 1, 2), dtype).items()}
        here = jnp.zeros((1, 1, 2), dtype)
        count = size.rule.init(numbers, here)
        apply = jax.jit(size.rule.apply)
        for t in range(40):
            moved, count = apply(numbers, count, here, jnp.ones_like(here), None)
            wanted = expressions.parse(text).value(**CELL, t=float(t))
            assert_allclose(moved, np.full((1, 1, 2), wanted), rtol=40 * np.finfo(dtype).eps)


def ran(given, back_end="cpu", runs=4):
    """What a stream with this step size leaves."""
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=3.0))
    start = offset_start(KEY, batch, 0.5)
    return jgmm.run(batch, LLOYD, start, steps=given, checkpoints=[20, 500], back_end=back_end)


@pytest.mark.parametrize("text", FORMULAS)
def test_scan_and_the_compiled_list_agree(text):
    size = step_size(text)
    assert_allclose(ran(size).displacement, ran(size, "scan").displacement, rtol=2e-4, atol=2e-5)


def test_a_stream_has_the_bits_of_the_same_schedule_written_as_a_polynomial():
    """The formula with a root that is no power: by construction the same operations on the same numbers."""
    tree, names = rates.without_numbers(expressions.parse("c/(t+s)**p"))
    rule = steps.Rule(steps.POLYNOMIAL.init, expressed.Expressed(tree), words="", numbers=())
    formula = steps.StepSize(rule, dict(zip(names, (1.0, 10.0, 0.7), strict=True)))
    assert_array_equal(ran(formula).displacement, ran(steps.polynomial(1.0, 0.7, 10.0)).displacement)


def test_a_run_is_the_same_alone_and_among_others():
    size = step_size(FORMULAS[0])
    together = ran(size, runs=4).displacement
    assert_array_equal(ran(size, runs=1).displacement[..., 0], together[..., 0])


def test_formulas_that_differ_in_numbers_alone_share_their_rule():
    one, other = (step_size(text).rule.apply for text in ("exp(-t/n)/10", "exp(-t/300)/k"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != step_size("exp(-t/n)/(k+t)").rule.apply


def test_a_number_of_a_formula_may_be_zero_or_negative():
    size = expressed.step_size("0.5/(t+2) - 0*k + -1e-9", (0.5, 2.0, 0.0, -1e-9))
    numbers = steps.check(size, (1, 1, 1), np.float32)
    assert [float(value[0]) for value in numbers.values()] == [0.5, 2.0, 0.0, pytest.approx(-1e-9)]


def test_another_number_of_numbers_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        expressed.step_size("exp(-t/n)/10", (1.0,))
