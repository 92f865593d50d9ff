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
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Int

from jgmm import lanes, loops, registers, stream
from jgmm.mixture import Mixture

THREADS = 128  # runs of a program: Mosaic's smallest, four warps


def advance(
    carry: Any,
    parameters: dict[str, Array],
    mixture: Mixture,
    count: Int[Array, ""],
    *,
    step: Callable,
    interpret: bool = False,
) -> Any:
    """(lane state, state) after `count` more samples of every run; a state of `trials` with its parameters.

    The estimates' origins are the means of the components that they were matched to. Put in the components' order they
    are the means themselves, which the draw needs anyway: k d registers less.
    """
    words, state = carry
    component = parameters["component"]
    if component.ndim == 1:  # a single estimate, whose twin has the same origin: one of the two means
        carry = words, _with_origin(state, state.centres.origin)
        return launch(partial(_stream, step=step), carry, (mixture, parameters, _steps(mixture)), count, interpret)
    rows = jnp.argsort(component, axis=0)
    known = {name: _rows(x, rows) for name, x in parameters.items() if name != "component"}
    origin, moved = state.centres.origin, jax.tree.map(partial(_rows, rows=rows), state)
    moved = _with_origin(moved, mixture.means)
    given = (mixture, known, _steps(mixture))
    words, moved = launch(partial(_stream_by_component, step=step), (words, moved), given, count, interpret)
    return words, _with_origin(jax.tree.map(partial(_rows, rows=component), moved), origin)


def power_blocks(
    carry: Any, mixture: Mixture, counts: tuple[Int[Array, ""], Int[Array, ""]], *, blocks: Callable, interpret: bool
) -> Any:
    """`blocks(fold, carry, counts)` in one launch: power iteration, each of its folds a sample at a time."""

    def function(carry, given, counts):
        mixture, steps = given

        def fold(step, words, state, count):
            return stream.fold_one_by_one(step, words, state, mixture, steps, count)

        return blocks(fold, carry, counts)

    return launch(function, carry, (mixture, _steps(mixture)), counts, interpret)


def _steps(mixture: Mixture) -> Array:
    return lanes.thresholds(mixture.weights)


def _stream(carry: Any, given: Any, count: Array, *, step: Callable) -> Any:
    (words, state), (mixture, parameters, steps) = carry, given
    return stream.fold_one_by_one(lambda s, x: step(s, x, parameters), words, state, mixture, steps, count)


def _stream_by_component(carry: Any, given: Any, count: Array, *, step: Callable) -> Any:
    mixture, parameters, steps = given
    component = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)
    return _stream(carry, (mixture, {**parameters, "component": component}, steps), count, step=step)


def _rows(x: Array, rows: Int[Array, "k runs"]) -> Array:
    """x[rows] for each run, where x has a row for each estimate."""
    if x.ndim < 2:
        return x
    return jnp.take_along_axis(x, rows.reshape(len(rows), *[1] * (x.ndim - 2), -1), axis=0)


def _with_origin(state: Any, origin: Array) -> Any:
    """The state with this very array in place of its origins."""
    twin = None if state.twin is None else state.twin._replace(origin=origin)
    return state._replace(centres=state.centres._replace(origin=origin), twin=twin)


def launch(function: Callable, carry: Any, given: Any, counts: Any, interpret: bool = False) -> Any:
    """carry <- function(carry, given, counts), each run by a thread of its own.

    carry, given: pytrees of arrays with one run axis, the last (a carry may hold scalars, the same for every run); an
    array that occurs twice, as the same object, is held once. counts: a pytree of integers. Programs are filled up
    with dead runs. interpret: on a CPU, as a test of what a GPU would do.
    Raises kernels.NotOnVectors if the function mixes runs or does what registers cannot.
    """
    leaves, tree = jax.tree.flatten((carry, given, counts))
    held = list({id(x): x for x in leaves}.values())
    place = [next(i for i, other in enumerate(held) if other is x) for x in leaves]
    runs = max(x.shape[-1] for x in held if jnp.ndim(x))
    programs = -(-runs // THREADS)
    moved = len(jax.tree.leaves(carry))
    shapes = [
        jax.ShapeDtypeStruct((*jnp.shape(x)[:-1], THREADS) if jnp.ndim(x) else (), jnp.result_type(x)) for x in leaves
    ]
    with loops.written_out():
        closed = jax.make_jaxpr(lambda *flat: jax.tree.leaves(function(*jax.tree.unflatten(tree, flat))))(*shapes)

    def kernel(*refs):
        mine = pl.ds(lax.axis_index("program") * THREADS, THREADS)
        loaded = [_load(ref, mine, scalar=not jnp.ndim(x)) for ref, x in zip(refs[: len(held)], held, strict=True)]
        found = registers.evaluate(closed, [loaded[i] for i in place], runs=THREADS)
        for ref, value in zip(refs[len(held) :], found, strict=True):
            _store(ref, mine, value)

    def filled(x):
        return _filled(x, programs * THREADS)

    found = plgpu.kernel(
        kernel,
        out_type=[jax.ShapeDtypeStruct((*s.shape[:-1], programs * THREADS), s.dtype) for s in shapes[:moved]],
        grid=(programs,),
        grid_names=("program",),
        interpret=plgpu.InterpretGPUParams() if interpret else False,
        compiler_params=plgpu.CompilerParams(lowering_semantics=plgpu.LoweringSemantics.Lane),
    )(*map(filled, held))
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
