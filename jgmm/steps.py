r"""Step sizes as values: a rule, which is compiled, and its numbers, which are not.

    constant        eta, a number for each run
    polynomial      scale / (t + shift)^power, t = 0, 1, ... samples seen (Robbins and Monro 1951)
    inverse_count   1 / n_i, n_i the samples that estimate i has won, its start counted as `initial` of them (MacQueen
                    1967): it is then the mean of its samples; 0 forgets the start
    scheduled       any function of t that JAX can trace
    from_optax      any transformation of gradients that treats runs apart: of half the squared distance to the sample
    adam            Kingma and Ba 2015, the rate a number for each run

An estimate that a sample does not hit is left as it is, not moved by zero, so that an engine may pass it over. What a
paper takes for a rate stands in `rates`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from jgmm import apart, doors, elementary, rates, reach
from jgmm.rates import Polynomial

# A number for all runs, or one for each.
Numbers: TypeAlias = float | int | np.number | np.ndarray | Array | Sequence[float] | Sequence[int]
Gate: TypeAlias = Bool[Array, "e *runs"] | Float[Array, "e *runs"] | None  # None: all move


def _of_numbers(numbers: dict[str, float]) -> str:
    return " ".join(f"{name} {value:g}" for name, value in numbers.items())


def _unchecked(numbers: dict[str, float]) -> None:
    """Any positive numbers will do."""


class Rule(NamedTuple):
    """How estimates move, for any numbers: what is compiled of a step size.

    init(numbers, offset) -> memory: what it remembers at the start. numbers: a dict of arrays (runs,); offset: the
        estimates', (e, d, runs).
    apply(numbers, memory, offset, pull, gate) -> (offset, memory): takes in one sample. pull: from each estimate to
        where it is pulled, as offset; gate: which estimates move, (e, runs), flags or shares; None: all.
    words: what it does, in a line.

    Both are functions of modules, or of a class whose values can be equal: two rules of one kind are equal, and share a
    compiled program. For specs, which name a rule by its numbers (`rate = { scale = 1.0, power = 0.7 }`):

    numbers: their names, with their defaults (None: must be given).
    label(numbers): a few characters for tables. check(numbers): raises ValueError for what gives no step in (0, 1].
    law: the name of its law in `theory.situation.StepLaw`, whose numbers are these in their order; None: has none.
    above: what its numbers are larger than.
    of_batch(numbers, memory, offset, total, hits) -> (offset, memory): takes in a batch whose pulls are added up in
        `total`, and whose gates in `hits`, (e, runs); None: `apply`, with the mean of the pulls (`batches`).
    """

    init: Callable
    apply: Callable
    words: str
    numbers: tuple[tuple[str, float | None], ...] = ()
    label: Callable[[dict[str, float]], str] = _of_numbers
    check: Callable[[dict[str, float]], None] = _unchecked
    law: str | None = None
    above: float = 0.0
    of_batch: Callable | None = None


class StepSize(NamedTuple):
    """A rule, and its numbers: one for all runs, or one each."""

    rule: Rule
    numbers: dict[str, Numbers]


Steps: TypeAlias = Numbers | StepSize | Polynomial | optax.GradientTransformation | optax.MultiSteps | Callable


def constant(rate: Numbers) -> StepSize:
    """The same rate at every sample."""
    return StepSize(CONSTANT, {"rate": rate})


def polynomial(scale: Numbers, power: Numbers, shift: Numbers = 1.0) -> StepSize:
    """scale / (t + shift)^power."""
    return StepSize(POLYNOMIAL, {"scale": scale, "power": power, "shift": shift})


def inverse_count(initial: Numbers = 1) -> StepSize:
    """1 / n_i, the start counted as `initial` samples."""
    return StepSize(INVERSE_COUNT, {"initial": initial})


def adam(rate: Numbers) -> StepSize:
    """optax.adam(rate): one program for all rates."""
    return StepSize(ADAM, {"adam": rate})


def scheduled(rate: Callable) -> StepSize:
    """Steps of rate(t). Raises ValueError unless the function gives a step size at any t, 0 to 1 at first."""
    _check_schedule(rate)
    return StepSize(Rule(_no_count, Scheduled(rate), "a schedule"), {})


def from_optax(transformation: optax.GradientTransformation | optax.MultiSteps) -> StepSize:
    """What the transformation makes of gradients."""
    if isinstance(transformation, optax.MultiSteps):
        transformation = transformation.gradient_transformation()
    doors.kind("transformation", transformation, optax.GradientTransformation, "of optax")
    rule = Rule(Started(transformation), Transformed(transformation), "an optax transformation")
    return StepSize(rule, {})


def of(steps: Steps) -> StepSize:
    """The step size that a number, a schedule or an optax transformation stands for. Raises ValueError as they do."""
    if isinstance(steps, StepSize):
        return steps
    if isinstance(steps, Polynomial):
        return polynomial(*steps)
    if isinstance(steps, (optax.GradientTransformation, optax.MultiSteps)):
        return from_optax(steps)
    return scheduled(steps) if callable(steps) else constant(steps)  # type: ignore[arg-type]


def check(steps: StepSize, shape: tuple[int, int, int], dtype: Any) -> dict[str, np.ndarray]:
    """The numbers of the rule for estimates of this shape (e, d, runs), each of shape (runs,).

    Raises ValueError for a rate outside (0, 1), for what has no first step in (0, 1], for a transformation that does
    not treat runs apart (`apart.check`), and for a number that the dtype does not hold.
    """
    doors.kind("steps", steps, StepSize, "of jgmm.steps")
    if not isinstance(steps.rule, Rule) or not isinstance(steps.numbers, dict):
        raise doors.bad("steps", steps, "a StepSize of jgmm.steps")
    low_to_high: dict[str, tuple[float, float]] = {"rate": (0, 1), "adam": (0, np.inf), "initial": (0, 2**31)}
    numbers = {}
    for name, given in steps.numbers.items():
        low, high = low_to_high.get(name, (steps.rule.above, np.inf))
        values = doors.numbers(name, given, (), (shape[-1],), low=low, high=high, closed=name == "initial")
        reach.check_held(name, values, dtype=dtype)
        numbers[name] = values
    if steps.rule == POLYNOMIAL:
        power = numbers["power"]
        first = np.ravel(numbers["scale"] / numbers["shift"] ** power)
        if (power > 1).any() or (first > 1).any():
            raise ValueError(f"rate starts at {first.max():g}, power at most {power.max():g}: expected 1 at most")
    if isinstance(steps.rule.apply, (Transformed, Scheduled)):
        apart.check(steps.rule.apply.as_optax(), shape, dtype)
    return {name: np.broadcast_to(values.astype(dtype), shape[-1:]) for name, values in numbers.items()}


def check_moves(numbers: dict[str, np.ndarray], *, offset: np.ndarray, scales: np.ndarray) -> None:
    """Raises ValueError if a constant rate's moves are lost beside the start (`reach.check_rate`).

    offset: (e, d, runs); scales: the mixture's, (k, runs).
    """
    if "rate" in numbers and np.min(numbers["rate"]) < np.finfo(offset.dtype).eps:
        largest = np.abs(offset).max(axis=(0, 1)) / scales.min(axis=0)
        reach.check_rate(numbers["rate"], offset=largest, dtype=offset.dtype)


def _check_schedule(rate: Callable) -> None:
    """Raises ValueError unless this is a function of a count that JAX can trace and that gives a step size at 0."""
    expected = "a number in (0, 1), one for each run, a schedule (count -> number) or an optax.GradientTransformation"
    try:
        hash(rate)
        kind = jax.eval_shape(rate, jax.ShapeDtypeStruct((), jnp.int32))
        first = np.asarray(rate(jnp.int32(0)), float) if isinstance(kind, jax.ShapeDtypeStruct) else None
    except Exception as error:  # whatever somebody's function raises
        raise ValueError(
            f"steps is {doors.quoted(rate)}, which fails on a count ({error!r:.80}), expected {expected}"
        ) from None
    if first is None or first.shape or not 0 <= first <= 1:
        gives = doors.quoted(kind if first is None or first.shape else float(first))
        raise ValueError(f"steps is {doors.quoted(rate)}, which gives {gives} at 0, expected {expected}")


def turns(rule: Rule) -> str | None:
    """Why a transformation does not turn its updates with the gradients, if it does not: tried on a few of them."""
    apply = rule.apply
    assert isinstance(apply, Transformed)
    tried = np.random.default_rng(0).normal(size=(6, 2, 3, 1))
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for size in (1e-3, 1.0, 1e3):
        ends = []
        for turned in (np.eye(3), axes):
            offset: Any = jnp.zeros((2, 3, 1))
            memory = rule.init({}, offset)
            with jax.numpy_dtype_promotion("standard"):  # as optax has it
                for pull in size * np.einsum("ab,nebr->near", turned, tried):
                    offset, memory = apply({}, memory, offset, jnp.asarray(pull, offset.dtype), None)
            ends.append(np.einsum("ab,ear->ebr", turned, np.asarray(offset, float)))
        if not np.abs(ends[0] - ends[1]).max() <= 1e-4 * np.abs(ends[0]).max():
            return "the step size treats coordinates each by itself (Adam does): turned gradients give other steps"
    return None


# --- what a kernel does ---


def shifted(
    offset: Float[Array, "e d *runs"],
    pull: Float[Array, "e d *runs"],
    gate: Gate,
    rate: Float[Array, "one_or_e *runs"],
) -> Float[Array, "e d *runs"]:
    """offset + gate rate pull; where gates are flags, an estimate whose flag is not set is left as it is."""
    if gate is None:
        return offset + rate[:, None] * pull
    if gate.dtype == bool:
        return jnp.where(gate[:, None], offset + rate[:, None] * pull, offset)
    return offset + (gate * rate)[:, None] * pull


def _nothing(numbers, offset):
    del numbers, offset
    return ()


def _no_count(numbers, offset):
    del numbers, offset
    return np.int32(0)


def _constant(numbers, memory, offset, pull, gate):
    return shifted(offset, pull, gate, numbers["rate"][None]), memory


def _polynomial(numbers, count, offset, pull, gate):
    base = count.astype(offset.dtype) + numbers["shift"]
    rate = numbers["scale"] / elementary.pow(base, numbers["power"])
    return shifted(offset, pull, gate, rate[None]), count + 1


def _counts(numbers, offset):
    return np.broadcast_to(numbers["initial"].astype(np.int32), (len(offset), *offset.shape[2:]))


def _inverse_count(numbers, counts, offset, pull, gate):
    del numbers
    counts = counts + (1 if gate is None else (gate if gate.dtype == bool else gate > 0).astype(counts.dtype))
    rate = 1 / jnp.maximum(counts, 1).astype(offset.dtype)
    return shifted(offset, pull, gate, rate), counts


def _inverse_count_of_batch(numbers, counts, offset, total, hits):
    del numbers
    counts = counts + hits.astype(counts.dtype)
    return offset + total / jnp.maximum(counts, 1).astype(offset.dtype)[:, None], counts


@dataclass(frozen=True)
class Scheduled:
    """Steps of rate(count)."""

    rate: Callable

    def __call__(self, numbers, count, offset, pull, gate):
        del numbers
        rate = jnp.broadcast_to(jnp.asarray(self.rate(count)).astype(offset.dtype), offset.shape[2:])
        return shifted(offset, pull, gate, rate[None]), count + 1

    def as_optax(self) -> optax.GradientTransformation:
        """The same, as a transformation of gradients."""
        return optax.scale_by_learning_rate(self.rate)


@dataclass(frozen=True)
class Started:
    """What a transformation starts from."""

    transformation: optax.GradientTransformation

    def __call__(self, numbers, offset):
        del numbers
        return self.transformation.init(offset)


@dataclass(frozen=True)
class Transformed:
    """What a transformation makes of the gradients; `adam`, where that is a number, is the rate behind it."""

    transformation: optax.GradientTransformation

    def __call__(self, numbers, memory, offset, pull, gate):
        gradients = -pull
        if gate is not None:
            gradients = jnp.where(gate[:, None], -pull, 0) if gate.dtype == bool else gate[:, None] * -pull
        updates, memory = self.transformation.update(gradients, memory, offset)
        if "adam" in numbers:
            return offset - numbers["adam"][None, None] * updates, memory
        return optax.apply_updates(offset, updates), memory

    def as_optax(self) -> optax.GradientTransformation:
        """The transformation."""
        return self.transformation


def _schedule(numbers: dict[str, float]) -> str:
    return f"{numbers['scale']:g}/(t + {numbers['shift']:g})^{numbers['power']:g}"


def _check_schedule_numbers(numbers: dict[str, float]) -> None:
    rates.polynomial(**numbers)


def _check_below_1(numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value:g}, expected a number in (0, 1)")


def _check_count(numbers: dict[str, float]) -> None:
    if not (numbers["initial"] >= 0 and float(numbers["initial"]).is_integer()):
        raise ValueError(f"initial is {numbers['initial']:g}, expected a whole number of at least 0")


CONSTANT = Rule(
    _nothing,
    _constant,
    words="a constant rate",
    numbers=(("rate", None),),
    check=_check_below_1,
    law="constant",
)
POLYNOMIAL = Rule(
    _no_count,
    _polynomial,
    words="a power of the samples seen",
    numbers=(("scale", None), ("power", None), ("shift", 1.0)),
    label=_schedule,
    check=_check_schedule_numbers,
    law="polynomial",
)
INVERSE_COUNT = Rule(
    _counts,
    _inverse_count,
    words="1/n_i, n_i the samples that centre i has won, its start among them",
    numbers=(("initial", 1.0),),
    check=_check_count,
    law="1/n",
    of_batch=_inverse_count_of_batch,
)
_ADAM = optax.scale_by_adam()
ADAM = Rule(Started(_ADAM), Transformed(_ADAM), words="Adam", numbers=(("adam", None),), check=_check_below_1)

# Those that a spec may name. To add one: its functions above, and a record here.
STEP_SIZES: dict[str, Rule] = {"constant": CONSTANT, "polynomial": POLYNOMIAL, "1/n": INVERSE_COUNT, "adam": ADAM}
