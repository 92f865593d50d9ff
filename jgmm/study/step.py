"""The step size that a spec's `rate` stands for, in a cell of so many samples."""

import difflib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jgmm import named, rates
from jgmm.study import shown
from jgmm.study.cell import StepSetting

if TYPE_CHECKING:
    from jgmm.contract import Algorithm
    from jgmm.steps import Rule

Rate: TypeAlias = float | str | dict[str, float] | None  # a number, a name, or numbers by name


class Step(NamedTuple):
    """A step size: its number where it is constant, a label for tables, and how the cell holds it."""

    value: float | None
    label: str
    setting: StepSetting


NONE = Step(None, "none", StepSetting(None))


def step_of(algorithm: "Algorithm", rate: Rate, horizon: rates.Horizon) -> Step:
    """The step size that a spec's `rate` stands for; no step without a stream, or for an algorithm with its own.

    rate: a number, the name of a rate (`rates.NAMED`) or of a step size (`steps.STEP_SIZES`), the numbers of a step
    size, or "module:NAME". Raises ValueError for what is none of these, or what the algorithm refuses.
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
    else:
        _check_name(rate, rules)
        named.step_size(rate)
        kind, step = rate, Step(None, rate, StepSetting(rate))
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


def _check_name(rate: str, rules: dict[str, "Rule"]) -> None:
    """Raises ValueError for what is neither module:NAME nor the name of a step size that needs no numbers."""
    alone = [name for name, rule in rules.items() if all(default is not None for _, default in rule.numbers)]
    if rate not in alone and ":" not in rate:
        names = ", ".join(map(repr, (*rates.NAMED, *alone)))
        raise ValueError(
            f"rate is {shown.value(rate)}: expected {names}, a number, a step size's numbers or module:NAME"
        )
