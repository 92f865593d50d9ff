"""A step size that a spec writes as a formula in t, "min(0.1, 5*log(t+3)/(t+3))": what is compiled of it.

What does not depend on t is computed once, in float64 (`rates.Schedule`): it becomes the rule's numbers, one for each
run, and formulas that differ in these alone share a program. What does depend on t is computed at every sample, in the
stream's own float format, by + - * / and square roots and the functions of `elementary`.
"""

import functools
import operator
from dataclasses import dataclass

import jax.numpy as jnp

from jgmm import elementary, expressions, rates, steps
from jgmm.expressions import Arithmetic, Node

_LOG2_E = 1.4426950408889634

STREAM = Arithmetic(
    jnp.asarray,  # of no use: a schedule has no plain numbers left
    {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "negative": operator.neg,
        "**": elementary.pow,
        "log": elementary.log,
        "log2": lambda x: elementary.log(x) * x.dtype.type(_LOG2_E),
        "exp": elementary.exp,
        "sqrt": jnp.sqrt,
        "min": lambda *each: functools.reduce(jnp.minimum, each),
        "max": lambda *each: functools.reduce(jnp.maximum, each),
    },
)


@dataclass(frozen=True)
class Expressed:
    """Steps of a formula in t; two of the same tree are equal."""

    tree: Node

    def __call__(self, numbers, count, offset, pull, gate):
        runs = offset.shape[2:]
        seen = jnp.broadcast_to(count.astype(offset.dtype), runs)
        each = {name: jnp.broadcast_to(number, runs) for name, number in numbers.items()}
        rate = expressions.computed(self.tree, {rates.SEEN: seen, **each}, STREAM)
        return steps.shifted(offset, pull, gate, rate[None]), count + 1


def step_size(text: str, numbers: tuple[float, ...]) -> steps.StepSize:
    """The step size of a formula in t whose other numbers were computed before (`rates.Schedule.numbers`).

    Raises ValueError for what is no formula, or has another number of them.
    """
    tree, names = rates.without_numbers(expressions.parse(text, "rate is"))
    rule = steps.Rule(
        steps.POLYNOMIAL.init,
        Expressed(tree),
        words=text,
        numbers=tuple((name, None) for name in names),
        above=-float("inf"),
    )
    return steps.StepSize(rule, dict(zip(names, numbers, strict=True)))
