r"""Step sizes of papers, and the best constant one: numbers and schedules, the same on every machine. Needs no JAX.

    paper            eta = 3 k ln(3N) / N        of streaming Lloyd: constant over a run, it depends on the horizon N
    paper_em         eta = 3 ln(N) / N           of streaming EM
    course_project   eta = 3 k log2(3N) / N      the paper's with another logarithm: 1.44 times larger
    polynomial       c / (t + t_0)^a             t samples seen (Robbins and Monro 1951)
    best_constant    eta = ln(4 N w e_0^2/(sigma^2 d)) / (2 w N)
    of_expression    a formula of a spec's own, "2*log(n)/n" or, in t, "1/(t+10)**0.7"

`steps` has the rules that use these numbers. Logarithms are those of `ordered`.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import NamedTuple

from jgmm import expressions, ordered
from jgmm.expressions import FLOATS, Expression, Node


def paper(n: float, k: int) -> float:
    """3 k ln(3n) / n, Algorithm 1 of the paper."""
    return 3 * k * ordered.ln(3 * n) / n


def paper_em(n: float) -> float:
    """3 ln(n) / n, Algorithm 3 of the paper."""
    return 3 * ordered.ln(n) / n


def course_project(n: float, k: int) -> float:
    """3 k log2(3n) / n, as the course project has it."""
    return 3 * k * ordered.log2(3 * n) / n


def check_rate(rate: float, *, why: str = "") -> float:
    """The rate. Raises ValueError unless 0 < rate < 1."""
    if not 0 < rate < 1:
        raise ValueError(f"rate is {rate:g}{why}, expected a number in (0, 1)")
    return rate


class Polynomial(NamedTuple):
    """The schedule scale / (t + shift)^power, t = 0, 1, ... samples seen (Robbins and Monro 1951)."""

    scale: float
    power: float
    shift: float = 1.0

    def __call__(self, count):
        return self.scale / (count + self.shift) ** self.power


def polynomial(scale: float, power: float, shift: float = 1.0) -> Polynomial:
    """The schedule, checked. Raises ValueError unless 0 < power <= 1, shift > 0 and the first step is in (0, 1]."""
    if not (0 < power <= 1 and shift > 0):
        raise ValueError(f"power is {power} and shift {shift}, expected 0 < power <= 1 and shift > 0")
    if not 0 < scale / shift**power <= 1:
        raise ValueError(f"{scale:g}/(t + {shift:g})^{power:g} starts at {scale / shift**power:g}, expected in (0, 1]")
    return Polynomial(scale, power, shift)


def best_constant(n: float, *, start_sq: float, sigma: float, d: int, weight: float) -> float:
    """The constant step with the least error after n samples at large separation, ln(4 n w e0^2/(sigma^2 d)) / (2 w n).

    start_sq is e0^2, a centre's squared starting error. The step minimises exp(-2 w eta n) e0^2 + eta sigma^2 d / 2
    (docs/theory.md, "Labelled centres"). Raises ValueError if the logarithm is not positive: n samples then give
    nothing better than the start.
    """
    inside = 4 * n * weight * start_sq / (sigma**2 * d)
    if not inside > 1:
        raise ValueError(f"start_sq is {start_sq:g} at n = {n}, expected above {sigma**2 * d / (4 * n * weight):g}")
    return ordered.ln(inside) / (2 * weight * n)


class Horizon(NamedTuple):
    """What a named rate may depend on."""

    n: int
    k: int
    d: int
    start: float | None  # the start's distance from the truth, in standard deviations; None: not known
    weight: float  # the lightest component's


def _paper(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The constant step of the paper that states the algorithm: of Lloyd 3 k ln(3N)/N."""
    return paper_step(horizon.n, horizon.k)


def _seed(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The course project's, 3 k log2(3N)/N."""
    del paper_step
    return course_project(horizon.n, horizon.k)


def _best(horizon: Horizon, paper_step: Callable[..., float]) -> float:
    """The constant step of least error after N samples, for a start that is an offset: ln(4 N w e_0^2/d) / (2 w N)."""
    del paper_step
    if not horizon.start:
        raise ValueError(f"rate is 'best' with start {horizon.start}, expected an offset above 0 to be best for")
    start_sq = horizon.start * horizon.start
    return best_constant(horizon.n, start_sq=start_sq, sigma=1, d=horizon.d, weight=horizon.weight)


# --- formulas ---

SEEN = "t"  # in a formula the samples seen, 0, 1, ...
CHECKED = 64  # values of t at which a schedule is checked


class Schedule(NamedTuple):
    """A formula in t: its tree, in which a name stands for all that does not depend on t, and what that is worth."""

    text: str
    tree: Node
    numbers: tuple[float, ...]


def of_expression(formula: Expression, numbers: Mapping[str, float], n: int) -> float | Polynomial | Schedule:
    """The step that a formula gives in a cell with these numbers, for n samples: a number, or a schedule in t.

    A schedule of the form a/(t + b)^p is the polynomial one. Raises ValueError for a name that is none of these, and
    unless the step is in (0, 1) (of a schedule the first, and those up to n that are looked at, in (0, 1]).
    """
    formula.check_names((*numbers, SEEN), "rate is")
    if SEEN not in formula.names:
        value = _value(formula, numbers)
        return check_rate(value, why=f" ({formula.text} at {_at(formula, numbers)})")
    for seen in sorted({*(round((n - 1) ** (i / CHECKED)) for i in range(1, CHECKED + 1)), 0, n - 1}):
        step = _value(formula, {**numbers, SEEN: float(seen)})
        if not 0 < step <= 1:
            where = _at(formula, {**numbers, SEEN: seen})
            raise ValueError(f"rate is {formula.text!r}: its step is {step:g} at {where}, expected one in (0, 1]")
    tree, names = without_numbers(formula)
    parts = _free_of_seen(formula.tree)
    given = {name: float(value) for name, value in numbers.items()}
    schedule = Schedule(formula.text, tree, tuple(expressions.computed(part, given, FLOATS) for part in parts))
    return _as_polynomial(tree, dict(zip(names, schedule.numbers, strict=True))) or schedule


def _value(formula: Expression, numbers: Mapping[str, float]) -> float:
    try:
        return formula.value(**numbers)
    except ValueError as error:
        raise ValueError(f"rate is {error}") from None


def without_numbers(formula: Expression) -> tuple[Node, tuple[str, ...]]:
    """The tree of a formula in t with a name, c0, c1, ..., for each largest part that does not depend on t."""
    names = (f"c{i}" for i in count())
    used: list[str] = []

    def named(node: Node) -> Node:
        if not _depends(node):
            used.append(next(names))
            return Node("name", (used[-1],))
        return node if node.op == "name" else Node(node.op, tuple(named(arg) for arg in node.args))

    return named(formula.tree), tuple(used)


def _free_of_seen(node: Node) -> Iterator[Node]:
    """The largest parts that do not depend on t, in the order of `without_numbers`."""
    if not _depends(node):
        yield node
    elif node.op != "name":
        for arg in node.args:
            yield from _free_of_seen(arg)


def _depends(node: Node) -> bool:
    if node.op in ("name", "number"):
        return _is_seen(node)
    return any(_depends(arg) for arg in node.args)


def _as_polynomial(tree: Node, numbers: Mapping[str, float]) -> Polynomial | None:
    """a/(t + b)^p, a/(t + b), a/sqrt(t + b), a (t + b)^-p or (t + b)^-p as a `Polynomial`; None if it is none."""

    def value(node: Node) -> float | None:
        return numbers.get(node.args[0]) if node.op == "name" else None

    def shift(node: Node) -> float | None:
        seen, other = node.args if node.op == "+" else (node, node)
        return value(other) if _is_seen(seen) else value(seen) if _is_seen(other) else None

    def power(node: Node) -> tuple[float | None, float | None]:
        """b and p of (t + b)^p."""
        if node.op == "**":
            return shift(node.args[0]), value(node.args[1])
        return (shift(node.args[0]), 0.5) if node.op == "sqrt" else (shift(node), 1.0)

    if tree.op == "/":
        scale, (moved, exponent) = value(tree.args[0]), power(tree.args[1])
    else:
        scale, base = (value(tree.args[0]), tree.args[1]) if tree.op == "*" else (1.0, tree)
        moved, exponent = power(base)
        exponent = None if exponent is None else -exponent
    if scale is None or moved is None or exponent is None:
        return None
    return Polynomial(scale, exponent, moved) if scale > 0 and moved > 0 and 0 < exponent <= 1 else None


def _is_seen(node: Node) -> bool:
    return node == Node("name", (SEEN,))


def _at(formula: Expression, numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {numbers[name]:g}" for name in formula.names)


# Rates by the names that specs use: functions of a horizon and of the algorithm's own step size in its paper.
NAMED: dict[str, Callable[[Horizon, Callable[..., float]], float]] = {"paper": _paper, "seed": _seed, "best": _best}
