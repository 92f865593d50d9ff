"""The step size that a spec's `rate` stands for, in a cell of so many samples."""

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jgmm import expressions, named, outside, rates
from jgmm.study import shown
from jgmm.study.cell import StepSetting

if TYPE_CHECKING:
    from jgmm.contract import Algorithm
    from jgmm.steps import Rule

Rate: TypeAlias = float | str | dict[str, float] | None  # a number, a name or a formula, or numbers by name


class Step(NamedTuple):
    """A step size: its number where it is constant, a label for tables, and how the cell holds it."""

    value: float | None
    label: str
    setting: StepSetting


NONE = Step(None, "none", StepSetting(None))


def step_of(
    algorithm: "Algorithm", rate: Rate, horizon: rates.Horizon, numbers: Mapping[str, float] | None = None
) -> Step:
    """The step size that a spec's `rate` stands for; no step without a stream, or for an algorithm with its own.

    rate: a number, the name of a rate (`rates.NAMED`) or of a step size (`steps.STEP_SIZES`), the numbers of a step
    size, "module:NAME", or a formula in `numbers` and t. Raises ValueError for what is none of these, or what the
    algorithm refuses.
    """
    if horizon.n == 0 or algorithm.own_step is not None:
        return NONE
    rules: dict[str, Rule] = named.at(named.TABLES["step size"])
    assert rate is not None  # grid.axes gives every other cell one
    if isinstance(rate, float):
        kind, step = "constant", Step(rate, "given", StepSetting("constant", (rate,)))
    elif isinstance(rate, dict):
        kind, step = _by_numbers(rate, rules)
    elif rate in rates.NAMED:
        value = rates.NAMED[rate](horizon, algorithm.paper_step)
        why = f" (rate {rate!r} at n = {horizon.n}, k = {horizon.k}; a larger n?)"
        rates.check_rate(value, why=why)
        kind, step = rate, Step(value, rate, StepSetting("constant", (value,)))
    elif rate in _alone(rules) or outside.named(rate):
        named.step_size(rate)
        kind, step = rate, Step(None, rate, StepSetting(rate))
    else:
        kind, step = _by_formula(rate, rules, horizon.n, numbers or {})
    if kind in (refused := dict(algorithm.refuses)):
        raise ValueError(f"rate is {shown.value(rate)}, which this algorithm does not take: {refused[kind]}")
    return step


def _by_numbers(given: dict[str, float], rules: dict[str, "Rule"]) -> tuple[str, Step]:
    """The step size whose numbers these are, and its name. Raises ValueError for the numbers of none."""
    for name, rule in rules.items():
        required = {number for number, default in rule.numbers if default is None}
        if required <= set(given) <= {number for number, _ in rule.numbers}:
            defaults = {number: default for number, default in rule.numbers if default is not None}
            numbers = {number: {**defaults, **given}[number] for number, _ in rule.numbers}
            rule.check(numbers)
            return name, Step(None, rule.label(numbers), StepSetting(name, tuple(numbers.values())))
    keys = [number for rule in rules.values() for number, _ in rule.numbers]
    for number in set(given) - set(keys):
        near = difflib.get_close_matches(number, keys, n=1)
        raise ValueError(f"rate.{number}: unknown key, expected {' or '.join(map(repr, near or keys))}")
    forms = "; ".join(f"{name}: {', '.join(number for number, _ in rule.numbers)}" for name, rule in rules.items())
    raise ValueError(f"rate is {shown.value(given)}: expected the numbers of one step size ({forms})")


def _alone(rules: dict[str, "Rule"]) -> list[str]:
    """The names of step sizes that need no numbers."""
    return [name for name, rule in rules.items() if all(default is not None for _, default in rule.numbers)]


def _by_formula(text: str, rules: dict[str, "Rule"], n: int, numbers: Mapping[str, float]) -> tuple[str, Step]:
    """The step size of a formula. Raises ValueError for what is none, a single word that is no name among these."""
    names = ", ".join(map(repr, (*rates.NAMED, *_alone(rules))))
    if ":" in text:
        raise ValueError(f"rate is {shown.value(text)}: expected {names}, a number, a formula or module:NAME")
    try:
        formula = expressions.parse(text, "rate is")
    except ValueError as error:
        raise ValueError(f"{shown.text(error)}; no name either ({names} or module:NAME)") from None
    if formula.tree.op == "name" and text not in numbers:
        raise ValueError(
            f"rate is {shown.value(text)}: expected {names}, a number, a step size's numbers, a formula or module:NAME"
        )
    step = rates.of_expression(formula, numbers, n)
    if isinstance(step, rates.Polynomial):
        return "polynomial", Step(None, text, StepSetting("polynomial", tuple(step)))
    if isinstance(step, rates.Schedule):
        return "polynomial", Step(None, text, StepSetting(text, step.numbers))
    return "formula", Step(step, text, StepSetting("constant", (step,)))
