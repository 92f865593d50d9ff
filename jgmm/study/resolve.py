"""A point of a grid as a cell: every number that a spec leaves to jgmm worked out, every setting checked.

Sizes that a spec leaves out are the course project's: N0 = int(k^3 d^3 ln(k d)) samples (1,000 at least), blocks of
int(d ln d) (k at least), int(10 k ln k) graph points (10 at least), 3 neighbours.
"""

import difflib
import math
from functools import lru_cache
from typing import Any, NamedTuple

from jgmm import named, ordered, rates
from jgmm.study import limits, shown
from jgmm.study.cell import Cell, SeedingSizes, StepSetting, sources_of
from jgmm.study.means import Means
from jgmm.study.parts import Part, StreamSpec
from jgmm.theory import THEOREMS, theorem_about

STREAMED = ("n", "rate", "average")  # axes that mean nothing to a cell without a stream


def cell(part: Part, means: Means | None, point: dict[str, Any]) -> Cell:
    """The cell of a part at this point of its axes; means: of a file. Raises ValueError, naming the part."""
    try:
        return _cell(part, means, point)
    except ValueError as error:
        raise ValueError(f"part {part.name!r}: {error}") from None


def _cell(part: Part, means: Means | None, point: dict[str, Any]) -> Cell:
    k, d, sigma, n, start = point["k"], point["d"], point["sigma"], point["n"], point["start"]
    algorithm = named.load("algorithm", part.algorithm)
    weights, scales = _weights(point, k), _scales(point, k, sigma)
    _check_layout(part, means, k, d)
    sizes = _seeding_sizes(point, k, d) if start == "seeding" else None
    least = min(weight for weight in weights if weight)  # no sample moves the centre of an absent component
    horizon = rates.Horizon(n=n, k=k, d=d, start=start if isinstance(start, float) else None, weight=least)
    rate = step_of(algorithm, point.get("rate"), horizon)
    average = point.get("average", 0.0) if n else 0.0
    _check_average(algorithm, average, rate, n, k)
    own = dict(algorithm.numbers)
    return Cell(
        part=part.name,
        algorithm=part.algorithm,
        theorem=_theorem(part, n, start),
        k=k,
        d=d,
        sigma=sigma,
        weights=weights,
        scales=scales,
        layout=part.mixture.layout,
        layout_hash=means.digest if means else None,
        separation=means.closest / max(scales) if means else point.get("separation", part.mixture.separation[0]),
        side=part.mixture.side,
        noise=point["noise"],
        n=n,
        rate=rate.value,
        rate_name=rate.label,
        step=rate.setting,
        average=average,
        start=start,
        beta=point.get("beta"),
        numbers=tuple((name, float(point[name])) for name in own if name in point and name != "beta"),
        checkpoints=_checkpoints(n, part.stream) if n else (),
        displacement=part.stream.displacement and n > 0,
        seeding=sizes,
        axes=_named_axes(point, rate.label),
        sources=sources_of(part.algorithm, part.mixture.layout, point["noise"], rate.setting.name),
    )


# --- the mixture ---


def _weights(point: dict[str, Any], k: int) -> tuple[float, ...]:
    weights = (1 / k,) * k if point["weights"] == "equal" else tuple(point["weights"])
    if len(weights) != k or not abs(sum(weights) - 1) <= 1e-6:
        raise ValueError(f"weights {shown.value(list(weights))}: expected {k} non-negative numbers with sum 1")
    return weights


def _scales(point: dict[str, Any], k: int, sigma: float) -> tuple[float, ...]:
    scales = (sigma,) * k if point["scales"] == "equal" else tuple(sigma * scale for scale in point["scales"])
    if len(scales) != k:
        raise ValueError(f"scales {shown.value(point['scales'])}: expected {k} positive numbers")
    if not 0 < min(scales) <= max(scales) < math.inf:
        told = f"sigma {sigma:g} times scales {shown.value(point['scales'])}"
        raise ValueError(f"{told}: expected positive numbers that a float holds")
    return scales


def _check_layout(part: Part, means: Means | None, k: int, d: int) -> None:
    layout = part.mixture.layout
    if k * d > limits.MEANS:
        raise ValueError(f"k d is {k} x {d}: expected at most {limits.MEANS} numbers in the means of a run")
    if means:
        if means.values.shape != (k, d):
            numbers = " x ".join(map(str, means.values.shape))
            expected = f"expected k x d = {k} x {d}"
            raise ValueError(f"layout is {shown.path(layout)}, but it holds {numbers} numbers: {expected}")
        return
    record = named.load("layout", layout)
    try:
        record.check(k, d)
    except ValueError as error:
        raise ValueError(f"layout is {shown.value(layout)}, but {error}") from None
    if part.stream.displacement and record.drawn:
        raise ValueError(f"displacement is true: expected a layout that is the same in every run, not {layout!r}")


def _seeding_sizes(point: dict[str, Any], k: int, d: int) -> SeedingSizes:
    if k > d:
        raise ValueError(f"k is {k}: expected at most d = {d}, since seeding needs k directions")
    given = {name: point[f"seeding.{name}"] for name in SeedingSizes.model_fields}
    usual = {
        "n": lambda: max(int(d**3 * k**3 * ordered.ln(d * k)), 1000),
        "block": lambda: max(int(d * ordered.ln(d)), k),
        "graph_points": lambda: max(int(10 * k * ordered.ln(k)), 10),
    }
    sizes = SeedingSizes.model_validate(
        {name: usual[name]() if value == "seed" else value for name, value in given.items()}
    )
    most = {"n": 2**31 - 1, "block": 2**31 - 1, "graph_points": limits.GRAPH_POINTS}
    for name, largest in most.items():
        if (size := getattr(sizes, name)) > largest:
            told = f"{size:.4g} (the course project's at k = {k}, d = {d})" if given[name] == "seed" else f"{size}"
            raise ValueError(f"seeding.{name} is {told}: expected at most {largest}")
    if sizes.block < k or sizes.graph_points < k or sizes.neighbors >= sizes.graph_points:
        raise ValueError(
            f"seeding block {sizes.block}, graph_points {sizes.graph_points}, neighbors {sizes.neighbors}:"
            f" expected block and graph_points of at least k = {k}, and more graph_points than neighbors"
        )
    if sizes.n < (needed := sizes.block + sizes.graph_points):
        raise ValueError(f"seeding n is {sizes.n}: expected at least block + graph_points = {needed}")
    return sizes


# --- the step size ---


class Step(NamedTuple):
    """A step size worked out: the number where it is constant, a label for tables, and what the cell holds."""

    value: float | None
    label: str
    setting: StepSetting


NONE = Step(None, "none", StepSetting(None))


def step_of(algorithm: Any, rate: Any, horizon: rates.Horizon) -> Step:
    """The step size that a spec's `rate` stands for; no step without a stream, or for an algorithm with its own.

    rate: a number, the name of a rate (`rates.NAMED`) or of a step size (`steps.STEP_SIZES`), the numbers of a step
    size, or "module:NAME". Raises ValueError for what is none of these, or what the algorithm refuses.
    """
    if horizon.n == 0 or algorithm.own_step is not None:
        return NONE
    table = named.at(named.TABLES["step size"])
    if isinstance(rate, float):
        kind, step = "constant", Step(rate, "given", StepSetting("constant", (rate,)))
    elif isinstance(rate, dict):
        kind, step = _by_numbers(rate, table)
    elif rate in rates.NAMED:
        value = rates.NAMED[rate](horizon, algorithm.paper_step)
        why = f" (rate {rate!r} at n = {horizon.n}, k = {horizon.k}; a larger n?)"
        rates.check_rate(value, why=why)
        kind, step = rate, Step(value, rate, StepSetting("constant", (value,)))
    else:
        _check_name(rate, table)
        named.step_size(rate)
        kind, step = rate, Step(None, rate, StepSetting(rate))
    if kind in (refused := dict(algorithm.refuses)):
        raise ValueError(f"rate is {shown.value(rate)}, which this algorithm does not take: {refused[kind]}")
    return step


def _by_numbers(given: dict[str, float], table: dict[str, Any]) -> tuple[str, Step]:
    """The step size whose numbers these are."""
    for name, rule in table.items():
        needed = {number for number, default in rule.numbers if default is None}
        if needed <= set(given) <= {number for number, _ in rule.numbers}:
            numbers = {number: given.get(number, default) for number, default in rule.numbers}
            rule.check(numbers)
            return name, Step(None, rule.label(numbers), StepSetting(name, tuple(numbers.values())))
    known = [number for rule in table.values() for number, _ in rule.numbers]
    for number in set(given) - set(known):
        near = difflib.get_close_matches(number, known, n=1)
        raise ValueError(f"rate.{number}: unknown key, expected {' or '.join(map(repr, near or known))}")
    forms = "; ".join(f"{name}: {', '.join(number for number, _ in rule.numbers)}" for name, rule in table.items())
    raise ValueError(f"rate is {shown.value(given)}: expected the numbers of one step size ({forms})")


def _check_name(rate: str, table: dict[str, Any]) -> None:
    alone = [name for name, rule in table.items() if all(default is not None for _, default in rule.numbers)]
    if rate not in alone and ":" not in rate:
        names = ", ".join(map(repr, (*rates.NAMED, *alone)))
        raise ValueError(
            f"rate is {shown.value(rate)}: expected {names}, a number, a step size's numbers or module:NAME"
        )


def _check_average(algorithm: Any, average: float, step: Step, n: int, k: int) -> None:
    if average and round(n * (1 - average)) >= n:
        raise ValueError(f"average is {average:g}: expected 0, or a share of n = {n} of a sample or more")
    if average and (step.value is None or algorithm.estimates(k) != k):
        raise ValueError(f"average is {average:g}: expected 0 but for k estimates at a constant rate")


# --- the rest ---


def _theorem(part: Part, n: int, start: str | float) -> str | int:
    """The theorem that a cell is held against: the one named, or the one that is about it as it stands."""
    if isinstance(part.theorem, int):
        theorem = THEOREMS[part.theorem]
        if theorem.of_start != (n == 0):
            about = "the start alone: expected n = 0" if theorem.of_start else "a stream: expected n above 0"
            raise ValueError(f"theorem is {part.theorem} with n = {n}: it is about {about}, or theorem = 'none'")
        if n and part.algorithm not in theorem.algorithms:
            raise ValueError(
                f"theorem is {part.theorem}: it is about algorithm {theorem.algorithms[0]!r}, not {part.algorithm!r}:"
                " expected that, or theorem = 'none'"
            )
        return part.theorem
    plain = part.stream.rate == ["paper"] and part.stream.average == [0.0]
    if part.theorem == "none" or not (plain if n else start == "seeding"):
        return "none"
    about_it = theorem_about(part.algorithm, streams=n > 0, seeded=start == "seeding")
    return "none" if about_it is None else about_it.number


def _named_axes(point: dict[str, Any], rate_name: str) -> tuple[tuple[str, str | int | float], ...]:
    """Where a cell stands on each axis that it uses, as numbers and words."""

    def plain(name: str, value: Any) -> str | int | float:
        if name == "rate" and not isinstance(value, float):
            return rate_name
        return value if isinstance(value, (str, int, float)) else str(value)

    unused = () if point["n"] else STREAMED
    sizes = () if point["start"] == "seeding" else tuple(name for name in point if name.startswith("seeding."))
    return tuple((name, plain(name, value)) for name, value in point.items() if name not in (*unused, *sizes))


def _checkpoints(n: int, stream: StreamSpec) -> tuple[int, ...]:
    if isinstance(stream.checkpoints, list):
        late = [count for count in stream.checkpoints if count > n]
        if late:
            raise ValueError(f"checkpoints hold {late[0]}, expected none beyond n = {n}")
        return tuple(sorted({*stream.checkpoints, n}))
    return _spaced(n, stream.checkpoints, stream.spacing)


@lru_cache(maxsize=256)
def _spaced(n: int, count: int, spacing: str) -> tuple[int, ...]:
    steps = range(1, count + 1)
    if spacing == "log":
        return tuple(sorted({round(n ** (i / count)) for i in steps}))
    return tuple(sorted({max(1, n * i // count) for i in steps}))
