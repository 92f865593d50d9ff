r"""Many samples of many runs in one launch of one GPU kernel (Pallas, Mosaic GPU, one thread for each run).

A `lax.scan` on a GPU launches its kernels again for every sample. Here a program of 128 threads reads what 128 runs own
into registers (see `registers`), goes through the whole block of the stream, and writes back. Trip counts are data, the
formulas are those of the scan path.

Needs JAX 0.11 (Mosaic's square root) and a GPU of compute capability 9.0; `kernels` decides. Imported where it is used
only: importing jgmm imports no Pallas.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.mosaic import gpu as mgpu
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Int

from jgmm import lanes, loops, registers, stream
from jgmm import threads as sharing
from jgmm.mixture import Mixture

THREADS = 128  # runs of a program: Mosaic's smallest, four warps


def advance(
    carry: Any,
    parameters: dict[str, Array],
    mixture: Mixture,
    count: Int[Array, ""],
    live: Any = None,
    *,
    step: Callable,
    threads: int = 1,
    interpret: bool = False,
) -> Any:
    """(lane state, state) after `count` more samples of every run; a state of `trials` with its parameters.

    live: how many runs stream, the first; the others may stay as they are, and cost nothing. None: all.
    threads: of a run, a power of two up to 32 (see `threads`).
    The estimates' origins are the means of the components that they were matched to. Put in the components' order they
    are the means themselves, which the draw needs anyway: k d registers less.
    """
    words, state = carry
    component, d = parameters["component"], mixture.means.shape[1]
    how: dict[str, Any] = {"live": live, "threads": threads, "interpret": interpret}
    if component.ndim == 1:  # a single estimate, whose twin has the same origin: one of the two means
        carry, given = (words, _with_origin(state, state.centres.origin)), (mixture, parameters, _steps(mixture))
        axis = lambda x: 0 if x.ndim == 2 else None  # noqa: E731
        return _launch(partial(_stream, step=step), carry, given, count, axis=axis, **how)
    rows = jnp.argsort(component, axis=0)
    known = {name: _rows(x, rows) for name, x in parameters.items() if name != "component"}
    origin, moved = state.centres.origin, jax.tree.map(partial(_rows, rows=rows), state)
    carry, given = (words, _with_origin(moved, None)), (mixture, known, _steps(mixture))
    axis = lambda x: 1 if x.ndim == 3 and x.shape[1] == d else None  # noqa: E731
    words, moved = _launch(partial(_stream_by_component, step=step), carry, given, count, axis=axis, **how)
    return words, _with_origin(jax.tree.map(partial(_rows, rows=component), moved), origin)


def power_blocks(
    carry: Any,
    mixture: Mixture,
    counts: tuple[Int[Array, ""], Int[Array, ""]],
    live: Any = None,
    *,
    blocks: Callable,
    threads: int = 1,
    interpret: bool = False,
) -> Any:
    """`blocks(fold, carry, counts)` in one launch: power iteration, each of its folds a sample at a time."""
    given: Any = mixture, {}, _steps(mixture)
    axis = lambda x: 0 if x.ndim == 3 else None  # noqa: E731
    how: dict[str, Any] = {"live": live, "threads": threads, "interpret": interpret}
    return _launch(partial(_power, blocks=blocks), carry, given, counts, axis=axis, **how)


def _steps(mixture: Mixture) -> Array:
    return lanes.thresholds(mixture.weights)


# What is launched: functions of (carry, given, counts, change), `change` being made to each sample.


def _power(carry: Any, given: Any, counts: Any, change: Callable, *, blocks: Callable) -> Any:
    mixture, _, steps = given

    def fold(step, words, state, count):
        return stream.fold_one_by_one(lambda s, x: step(s, change(x)), words, state, mixture, steps, count)

    return blocks(fold, carry, counts)


def _stream(carry: Any, given: Any, count: Array, change: Callable, *, step: Callable) -> Any:
    (words, state), (mixture, parameters, steps) = carry, given
    each = lambda s, x: step(s, change(x), parameters)  # noqa: E731
    return stream.fold_one_by_one(each, words, state, mixture, steps, count)


def _stream_by_component(carry: Any, given: Any, count: Array, change: Callable, *, step: Callable) -> Any:
    (words, state), (mixture, parameters, steps) = carry, given
    component = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)
    known = mixture, {**parameters, "component": component}, steps
    words, state = _stream((words, _with_origin(state, mixture.means)), known, count, change, step=step)
    return words, _with_origin(state, None)


def _rows(x: Array, rows: Int[Array, "k runs"]) -> Array:
    """x[rows] for each run, where x has a row for each estimate."""
    if x.ndim < 2:
        return x
    return jnp.take_along_axis(x, rows.reshape(len(rows), *[1] * (x.ndim - 2), -1), axis=0)


def _with_origin(state: Any, origin: Array | None) -> Any:
    """The state with this very array in place of its origins (None: what moves alone)."""
    twin = None if state.twin is None else state.twin._replace(origin=origin)
    return state._replace(centres=state.centres._replace(origin=origin), twin=twin)


def _launch(
    function: Callable,
    carry: Any,
    given: Any,
    counts: Any,
    *,
    axis: Callable,
    live: Any,
    threads: int,
    interpret: bool,
) -> Any:
    """`launch`, the coordinates of a run dealt out to its threads.

    carry: (lane state, ...), given: (mixture, ...); axis: which axis of an array of the carry are the coordinates.
    """
    if threads == 1:
        alone = lambda carry, given, counts: function(carry, given, counts, lambda sample: sample)  # noqa: E731
        return launch(alone, carry, given, counts, live=live, interpret=interpret)
    words, *rest = carry
    mixture, *others = given
    d, runs = mixture.means.shape[1:]
    mine, held = sharing.lanes(d, threads), sharing.coordinates(d, threads)
    memo: dict[int, Array] = {}

    def out(x, share, axis):
        if not jnp.ndim(x):
            return x
        if id(x) not in memo:  # what was one array stays one
            memo[id(x)] = sharing.spread(x, threads, share if axis is not None else None, axis or 0)
        return memo[id(x)]

    def back(x, share, axis):
        return sharing.join(x, threads, share if axis is not None else None, axis or 0) if jnp.ndim(x) else x

    spread_carry = (
        jax.tree.map(lambda x: out(x, mine, 0), words),
        *jax.tree.map(lambda x: out(x, held, axis(x)), rest),
    )
    spread_mixture = Mixture(out(mixture.means, held, 1), *(out(x, held, None) for x in mixture[1:]))
    spread_others = jax.tree.map(lambda x: out(x, held, None), others)
    # Noise where a thread holds nobody's coordinate is put out.
    partly = np.flatnonzero((held.source == sharing.NOBODY).any(axis=1))
    whole = jnp.ones((d, runs), mixture.means.dtype)
    real = sharing.spread(whole, threads, held)[partly] if len(partly) else None

    def on_threads(carry, given, counts):
        (mixture, *others), real = given
        slots = {int(slot): i for i, slot in enumerate(partly)}

        def change(sample):
            x = [sample.x[i] * real[slots[i]] if i in slots else sample.x[i] for i in range(len(sample.x))]
            return sample._replace(x=jnp.stack(x))

        with loops.over_threads(d):
            return function(carry, (mixture, *others), counts, change)

    spread_given = ((spread_mixture, *spread_others), real)
    how: dict[str, Any] = {"live": live, "threads": threads, "interpret": interpret}
    words, *rest = launch(on_threads, spread_carry, spread_given, counts, **how)
    return (
        jax.tree.map(lambda x: back(x, mine, 0), words),
        *jax.tree.map(lambda x, like: back(x, held, axis(like)), rest, list(carry[1:])),
    )


def launch(
    function: Callable,
    carry: Any,
    given: Any,
    counts: Any,
    *,
    live: Any = None,
    threads: int = 1,
    interpret: bool = False,
) -> Any:
    """carry <- function(carry, given, counts), each run by a thread of its own.

    carry, given: pytrees of arrays with one run axis, the last (a carry may hold scalars, the same for every run); an
    array that occurs twice, as the same object, is held once. counts: a pytree of integers. Programs are filled up
    with dead runs. live: programs without any of so many first runs have counts of 0 (None: there are none).
    threads: so many neighbours on the run axis are one run's (`loops.sum_over_threads`).
    interpret: on a CPU, as a test of what a GPU would do.
    Raises kernels.NotOnVectors if the function mixes runs or does what registers cannot.
    """
    leaves, tree = jax.tree.flatten((carry, given, counts))
    held = list({id(x): x for x in leaves}.values())
    place = [next(i for i, other in enumerate(held) if other is x) for x in leaves]
    runs = max(x.shape[-1] for x in held if jnp.ndim(x))
    programs = -(-runs // THREADS)
    moved, counted = len(jax.tree.leaves(carry)), len(jax.tree.leaves(counts))
    ends = [] if live is None else [jnp.asarray(live, jnp.int32) * threads]
    shapes = [
        jax.ShapeDtypeStruct((*jnp.shape(x)[:-1], THREADS) if jnp.ndim(x) else (), jnp.result_type(x)) for x in leaves
    ]
    with loops.written_out():
        closed = jax.make_jaxpr(lambda *flat: jax.tree.leaves(function(*jax.tree.unflatten(tree, flat))))(*shapes)

    def kernel(*refs):
        mine = pl.ds(lax.axis_index("program") * THREADS, THREADS)
        loaded = [_load(ref, mine, scalar=not jnp.ndim(x)) for ref, x in zip(refs[: len(held)], held, strict=True)]
        arguments = [loaded[i] for i in place]
        for end in refs[len(held) : len(held) + len(ends)]:
            alive = end[0] > lax.axis_index("program") * THREADS
            arguments[-counted:] = [jnp.where(alive, count, 0) for count in arguments[-counted:]]
        marks: dict[str, Callable] = {"sum_over_threads": partial(_sum_over, threads=threads, interpret=interpret)}
        marks |= {} if interpret else {"sqrt": _root}
        found = registers.evaluate(closed, arguments, runs=THREADS, marks=marks, settle=_settled)
        for ref, value in zip(refs[len(held) + len(ends) :], found, strict=True):
            _store(ref, mine, value)

    def filled(x):
        return _filled(x, programs * THREADS)

    found = plgpu.kernel(
        kernel,
        out_type=[jax.ShapeDtypeStruct((*s.shape[:-1], programs * THREADS), s.dtype) for s in shapes[:moved]],
        grid=(programs,),
        grid_names=("program",),
        interpret=plgpu.InterpretGPUParams() if interpret else False,  # type: ignore[attr-defined]  # JAX 0.11 has it
        compiler_params=plgpu.CompilerParams(lowering_semantics=plgpu.LoweringSemantics.Lane),
    )(*map(filled, [*held, *ends]))
    back = [x[..., :runs] if jnp.ndim(old) else x[0] for x, old in zip(found, leaves, strict=False)]
    return jax.tree.unflatten(jax.tree.structure(carry), back)


def _filled(x: Any, width: int) -> Array:
    """Dead runs behind the real ones, copies of the last; a scalar as an array of one."""
    array = jnp.asarray(x)
    if not array.ndim:
        return array[None]
    return jnp.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])], mode="edge")


def _load(ref: Any, mine: Any, *, scalar: bool) -> Any:
    if scalar:
        return ref[0]
    return registers.entries(ref.shape[:-1], lambda *index: ref[(*index, mine)])


def _store(ref: Any, mine: Any, value: Any) -> None:
    """An array of one run axis; a scalar is written for every run."""
    spread: Sequence[Any] = registers.vectors(registers.as_entries(value, THREADS), runs=THREADS)
    for index, vector in zip(np.ndindex(ref.shape[:-1]), spread, strict=True):
        ref[(*index, mine)] = vector.astype(ref.dtype)


def _settled(x: Array) -> Array:
    """A vector for a loop to start from: Mosaic gives a constant one another type than the one that moves on."""
    return plgpu.layout_cast(x, plgpu.Layout.WG_STRIDED((THREADS,), vec_size=1))


def _sum_over(x: Array, *, threads: int, interpret: bool) -> Array:
    """The sum over a run's threads, the same number in each: pairs add their parts, then pairs of pairs.

    A warp's shuffle, which no operation of Pallas stands for, nor its interpreter knows.
    """
    distance = 1
    while distance < threads:
        x = x + (_swapped(x, distance) if interpret else _shuffled(x, distance))
        distance *= 2
    return x


def _root(x: Array) -> Array:
    """Mosaic's own square root, but for results below 1e-19, which are 0: 4 instructions for each normal pair less."""
    return _inlined(x, lambda held: held._pointwise(held._lift_fast_instr("sqrt.approx.ftz.f32")))


def _swapped(x: Array, distance: int) -> Array:
    """Entry i ^ distance at i."""
    return x.reshape(-1, 2, distance)[:, ::-1].reshape(x.shape)


def _shuffled(x: Array, distance: int) -> Array:
    """Entry i ^ distance at i, distance below 32."""
    return _inlined(x, lambda held: held._pointwise(partial(mgpu.utils.shfl_bfly, distance=distance)))


def _inlined(x: Array, change: Callable) -> Array:
    """change(x), a vector again, in Mosaic's own terms."""
    layout = plgpu.Layout.WG_STRIDED((THREADS,), vec_size=1)
    there = plgpu.ShapeDtypeStruct((THREADS,), x.dtype, layout=layout)
    return plgpu.inline_mgpu(arg_types=(layout,), return_type=there)(lambda _, held: change(held))(x)
