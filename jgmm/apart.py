"""Whether an optax transformation treats runs apart, read off its jaxpr.

Its arrays have shape (k, d, runs). The run axis is followed through every operation: where it is in the operands, and
where in the results. An operation that adds up, sorts or moves along it mixes runs, whatever the gradients are, and
however late or seldom it is reached (`optax.MultiSteps`, a clip that only large gradients meet). An operation without a
rule here is refused.

The transformation itself stays as it is. Mapping it over the runs by `jax.vmap` would make one norm for each run of a
norm over all elements, but the order of its sum, and so a run's bits, would depend on the runs beside it.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import optax

from jgmm.jaxprs import CALLS, Equation, Jaxpr, called, scan_operands

Place = int | None  # of the run axis in an array; None: what it holds does not depend on any run

_ELEMENTWISE = """
    abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt
    integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not optimization_barrier
    or pow reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign
    sin sinh sqrt square stop_gradient sub tan tanh xor
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
ANY_ORDER = ("reduce_max", "reduce_min", "reduce_and", "reduce_or", "argmax", "argmin")
SUMS = ("reduce_sum", "reduce_prod")
ALONG = ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")


@lru_cache(maxsize=256)  # of those that pass
def check(optimizer: optax.GradientTransformation, shape: tuple[int, int, int], dtype: Any) -> None:
    """Raises ValueError if the transformation, of gradients of this shape (k, d, runs), does not treat runs apart."""
    params = jax.ShapeDtypeStruct(shape, dtype)
    try:
        begin, state = jax.make_jaxpr(optimizer.init, return_shape=True)(params)
        leaves = jax.tree.leaves(state)
        kind: Any = jax.tree.structure(state)

        def update(gradients, params, *leaves):
            updates, after = optimizer.update(gradients, jax.tree.unflatten(kind, leaves), params)
            if kind != jax.tree.structure(after):
                raise ValueError(f"its state becomes {jax.tree.structure(after)}, from {kind}")
            return updates, *jax.tree.leaves(after)

        step, results = jax.make_jaxpr(update, return_shape=True)(params, params, *leaves)
    except Exception as error:  # whatever somebody's transformation raises
        raise ValueError(
            f"the optax transformation cannot take gradients of shape (k, d, runs) = {shape}:"
            f" {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        ) from None
    before, after = [(x.shape, x.dtype) for x in (params, *leaves)], [(x.shape, x.dtype) for x in results]
    if before != after:
        raise ValueError(f"the optax transformation turns arrays {before} into {after}: expected no change of either")
    for leaf in leaves:
        if leaf.ndim and leaf.shape[-1] != shape[-1]:
            raise ValueError(
                f"the optax transformation's state holds an array of shape {leaf.shape}: expected scalars, or arrays"
                f" whose last axis is that of the {shape[-1]} runs"
            )
    places = _walk(begin.jaxpr, [2])
    while True:
        after_step = _walk(step.jaxpr, [2, 2, *places])[1:]
        if after_step == places:
            break
        places = [_same([a, b], "state") for a, b in zip(places, after_step, strict=True)]
    for leaf, place in zip(leaves, places, strict=True):
        if place not in (None, leaf.ndim - 1):
            raise _mixed("state")


def _mixed(name: str) -> ValueError:
    return ValueError(
        f"the optax transformation mixes runs: its {name} takes numbers of one run to another (a norm over all"
        " elements?): expected one that treats every run apart"
    )


def _same(places: Sequence[Place], name: str) -> Place:
    """The one place that the run axis has in all of these that have it."""
    different = {place for place in places if place is not None}
    if len(different) > 1:
        raise _mixed(name)
    return different.pop() if different else None


def _walk(jaxpr: Jaxpr, arguments: Sequence[Place]) -> list[Place]:
    """The places of the run axis in a jaxpr's results, from those in its arguments."""
    places: dict[Any, Place] = dict.fromkeys(jaxpr.constvars)
    places.update(zip(jaxpr.invars, arguments, strict=True))

    def read(name: Any) -> Place:
        # A literal has a value. (Its class is of jax.extend, whose import takes Pallas.)
        return None if hasattr(name, "val") else places[name]

    for equation in jaxpr.eqns:
        places.update(zip(equation.outvars, _through(equation, [read(x) for x in equation.invars]), strict=True))
    return [read(name) for name in jaxpr.outvars]


def _through(equation: Equation, places: list[Place]) -> list[Place]:
    """The places of the run axis in what an operation gives."""
    name, params = equation.primitive.name, equation.params
    if name.startswith(("random_", "threefry")):
        raise ValueError(
            f"the optax transformation draws random numbers ({name}): expected one that does not, since what a run"
            " draws would depend on how many there are"
        )
    if name in CALLS:
        return _walk(called(equation)[0], places)
    if name == "cond":
        if places[0] is not None:
            raise _mixed(name)
        of_branches = [_walk(branch.jaxpr, places[1:]) for branch in params["branches"]]
        return [_same(each, name) for each in zip(*of_branches, strict=True)]
    if name == "while":
        return _while(params, places)
    if name == "scan":
        return _scan(equation, places)
    if all(place is None for place in places):
        return [None] * len(equation.outvars)
    if name in ELEMENTWISE:
        return [_same(places, name)] * len(equation.outvars)
    moved = MOVES.get(name)
    if moved is None:
        raise ValueError(
            f"the optax transformation uses {name}, of which it is not known whether it treats runs apart: expected"
            " elementwise operations, and sums over coordinates by jgmm.loops.add_up"
        )
    return [moved(equation, places)] * len(equation.outvars)


def _settled(step: Callable[[list[Place]], list[Place]], carry: Sequence[Place], name: str) -> list[Place]:
    """What a loop carries once another trip changes no place."""
    before = list(carry)
    while True:
        after = [_same([a, b], name) for a, b in zip(before, step(before), strict=True)]
        if after == before:
            return before
        before = after


def _while(params: dict, places: list[Place]) -> list[Place]:
    of_test, of_body = params["cond_nconsts"], params["body_nconsts"]
    test, body, carry = places[:of_test], places[of_test : of_test + of_body], places[of_test + of_body :]
    carry = _settled(lambda c: _walk(params["body_jaxpr"].jaxpr, [*body, *c]), carry, "while")
    if _walk(params["cond_jaxpr"].jaxpr, [*test, *carry])[0] is not None:
        raise _mixed("while")
    return carry


def _scan(equation: Equation, places: list[Place]) -> list[Place]:
    inner = equation.params["jaxpr"].jaxpr
    constants, carry, sequences = scan_operands(equation, places)
    if any(place == 0 for place in sequences):
        raise _mixed("scan")
    rows = [None if place is None else place - 1 for place in sequences]
    carried = len(carry)

    def walk(carry: list[Place]) -> list[Place]:
        return _walk(inner, [*constants, *carry, *rows])

    carry = _settled(lambda c: walk(c)[:carried], carry, "scan")
    return [*carry, *(None if place is None else place + 1 for place in walk(carry)[carried:])]


# --- how an operation moves the axis of its operand; `place` is where that is ---


def _reduced(equation: Equation, places: list[Place]) -> Place:
    place, axes = _only(equation, places), equation.params["axes"]
    if place in axes:
        raise _mixed(equation.primitive.name)
    return place - sum(axis < place for axis in axes)


def _summed(equation: Equation, places: list[Place]) -> Place:
    place = _reduced(equation, places)
    if jax.numpy.issubdtype(equation.invars[0].aval.dtype, jax.numpy.inexact):
        raise ValueError(
            f"the optax transformation's {equation.primitive.name} adds in an order that may depend on how many runs"
            " there are: expected jgmm.loops.add_up, whose order is written"
        )
    return place


def _kept(axis: Callable[[dict], Any]) -> Callable[[Equation, list[Place]], Place]:
    """An operation along the axis (or axes) that its parameters name: any but that of the runs."""

    def through(equation, places):
        place = _same(places, equation.primitive.name)
        axes = axis(equation.params)
        if place == axes or (isinstance(axes, tuple) and place in axes):
            raise _mixed(equation.primitive.name)
        return place

    return through


def _stacked(equation: Equation, places: list[Place]) -> Place:
    place = _same(places, equation.primitive.name)
    assert place is not None
    return place + (equation.params["axis"] <= place)


def _broadcast(equation: Equation, places: list[Place]) -> Place:
    place = _only(equation, places)
    moved = equation.params["broadcast_dimensions"][place]
    if equation.params["shape"][moved] != equation.invars[0].aval.shape[place]:
        raise _mixed(equation.primitive.name)
    return moved


def _reshaped(equation: Equation, places: list[Place]) -> Place:
    place, before, after = _only(equation, places), equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    for moved, size in enumerate(after):
        if size == before[place] and math.prod(after[:moved]) == math.prod(before[:place]):
            return moved
    raise _mixed(equation.primitive.name)


def _squeezed(equation: Equation, places: list[Place]) -> Place:
    place, axes = _only(equation, places), equation.params["dimensions"]
    if place in axes:
        raise _mixed(equation.primitive.name)
    return place - sum(axis < place for axis in axes)


def _sliced(equation: Equation, places: list[Place]) -> Place:
    """Slices and their like: all of the run axis, at indices that are no run's."""
    place = _only(equation, places)
    strides = equation.params.get("strides")
    if equation.outvars[0].aval.shape[place] != equation.invars[0].aval.shape[place] or (
        strides and strides[place] < 0
    ):
        raise _mixed(equation.primitive.name)
    return place


def _written(equation: Equation, places: list[Place]) -> Place:
    """dynamic_update_slice: all of the run axis, at indices that are no run's."""
    into, what = (x.aval.shape for x in equation.invars[:2])
    place = _same(places[:2], equation.primitive.name)
    if any(x is not None for x in places[2:]) or into[place] != what[place]:
        raise _mixed(equation.primitive.name)
    return place


def _padded(equation: Equation, places: list[Place]) -> Place:
    place = _only(equation, places)
    if equation.params["padding_config"][place] != (0, 0, 0):
        raise _mixed(equation.primitive.name)
    return place


def _transposed(equation: Equation, places: list[Place]) -> Place:
    return equation.params["permutation"].index(_only(equation, places))


def _only(equation: Equation, places: list[Place]) -> int:
    """The place in the first operand; the others (indices, fill values) may hold nothing of a run."""
    if places[0] is None or any(place is not None for place in places[1:]):
        raise _mixed(equation.primitive.name)
    return places[0]


MOVES: dict[str, Callable[[Equation, list[Place]], Place]] = {
    **dict.fromkeys(ANY_ORDER, _reduced),
    **dict.fromkeys(SUMS, _summed),
    **dict.fromkeys(ALONG, _kept(lambda params: params["axis"])),
    "concatenate": _kept(lambda params: params["dimension"]),
    "stack": _stacked,
    "split": _kept(lambda params: params["axis"]),
    "rev": _kept(lambda params: params["dimensions"]),
    "sort": _kept(lambda params: params["dimension"]),
    "broadcast_in_dim": _broadcast,
    "reshape": _reshaped,
    "squeeze": _squeezed,
    "slice": _sliced,
    "dynamic_slice": _sliced,
    "dynamic_update_slice": _written,
    "pad": _padded,
    "transpose": _transposed,
}
