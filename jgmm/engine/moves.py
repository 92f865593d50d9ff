r"""Operations that move numbers about, on arrays of nodes: nothing is computed, and every run keeps its own numbers.

An array lacks the run axis, which the traced one has last: an operation that would move it, or along it, is refused.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from jgmm.contract import Refused
from jgmm.engine.nodes import RUNS, each, last_stays
from jgmm.engine.operations import Node
from jgmm.jaxprs import Equation


def broadcast(x: np.ndarray, equation: Equation) -> np.ndarray:
    shape, dims = equation.params["shape"], equation.params["broadcast_dimensions"]
    before = equation.invars[0].aval.shape
    if not before:
        return np.broadcast_to(x, shape[:-1]) if shape else x
    last_stays(dims[-1] == len(shape) - 1, "broadcast_in_dim")
    sizes = dict(zip(dims[:-1], before[:-1], strict=True))
    return np.broadcast_to(x.reshape([sizes.get(axis, 1) for axis in range(len(shape) - 1)]), shape[:-1])


def reshape(x: np.ndarray, equation: Equation) -> np.ndarray:
    before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    last_stays(not before or (bool(after) and before[-1] == after[-1]), equation.primitive.name)
    return x.reshape(after[:-1])


def transpose(x: np.ndarray, equation: Equation) -> np.ndarray:
    order = equation.params["permutation"]
    last_stays(order[-1] == x.ndim, "transpose")
    return x.transpose(order[:-1])


def slices(x: np.ndarray, equation: Equation) -> np.ndarray:
    low, high, strides = (equation.params[name] for name in ("start_indices", "limit_indices", "strides"))
    strides = strides or (1,) * len(low)
    last_stays(low[-1] == 0 and high[-1] == equation.invars[0].aval.shape[-1] and strides[-1] == 1, "slice")
    return x[tuple(map(slice, low[:-1], high[:-1], strides[:-1]))]


def reverse(x: np.ndarray, equation: Equation) -> np.ndarray:
    last_stays(x.ndim not in equation.params["dimensions"], "rev")
    return np.flip(x, equation.params["dimensions"])


# Of one operand, with one result.
MOVES: dict[str, Callable[[np.ndarray, Equation], np.ndarray]] = {
    "broadcast_in_dim": broadcast,
    "reshape": reshape,
    "squeeze": reshape,
    "expand_dims": reshape,
    "transpose": transpose,
    "slice": slices,
    "rev": reverse,
}


def unstack(x: np.ndarray, equation: Equation) -> list[np.ndarray]:
    """Its rows along an axis."""
    last_stays(equation.params["axis"] != x.ndim, "unstack")
    rows = np.moveaxis(x, equation.params["axis"], 0)
    return [rows[i, ...] for i in range(len(rows))]


def join(equation: Equation, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """concatenate or stack."""
    stack = equation.primitive.name == "stack"
    axis = equation.params["axis" if stack else "dimension"]
    last_stays(axis != equation.outvars[0].aval.ndim - 1, equation.primitive.name)
    return np.stack(arrays, axis=axis) if stack else np.concatenate(arrays, axis=axis)


def window(equation: Equation, arrays: Sequence[np.ndarray], where: Sequence[Any]) -> np.ndarray:
    """dynamic_slice, or dynamic_update_slice, at known indices; like XLA's, inside the array."""
    x, whole = arrays[0], equation.invars[0].aval.shape
    sizes = equation.params["slice_sizes"] if len(arrays) == 1 else equation.invars[1].aval.shape
    last_stays(sizes[-1] == whole[-1], equation.primitive.name)
    lows = [min(max(int(i), 0), n - size) for i, n, size in zip(where, whole, sizes, strict=True)]
    place = tuple(slice(low, low + size) for low, size in zip(lows[:-1], sizes[:-1], strict=True))
    if len(arrays) == 1:
        return x[place]
    out = x.copy()
    out[place] = arrays[1]
    return out


def gather(equation: Equation, arrays: Sequence[np.ndarray], bind: Callable[[list[Any]], np.ndarray]) -> np.ndarray:
    """gather, or scatter, at known indices: which entry goes where is seen by moving their numbers.

    bind(arrays): the equation of numbers in the place of its data.
    """
    nodes, numbered = _numbered(equation, arrays)
    which = _followed(bind(numbered), nodes, equation.primitive.name)
    return each(lambda i: nodes[i], which)


def scatter(
    equation: Equation, arrays: Sequence[np.ndarray], where: Any, both: Callable[[Node, Node], Node]
) -> np.ndarray:
    """A scatter that combines what is written with what it is written to: both(what is there, what comes)."""
    nodes, numbered = _numbered(equation, arrays)
    keys = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    with jax.ensure_compile_time_eval():
        plain = lax.scatter(numbered[0], where, numbered[1], **{key: equation.params[key] for key in keys})
    which = _followed(np.asarray(plain), nodes, equation.primitive.name)
    before = np.arange(arrays[0].size).reshape(which.shape)
    return each(lambda old, new: nodes[old] if old == new else both(nodes[old], nodes[new]), before, which)


def _numbered(equation: Equation, arrays: Sequence[np.ndarray]) -> tuple[list[Node], list[np.ndarray]]:
    """All entries, and arrays as JAX has them of number * RUNS + run."""
    avals = [v.aval for v in (equation.invars[:1] if len(arrays) == 1 else equation.invars[::2])]
    nodes: list[Node] = []
    numbered = []
    for x, aval in zip(arrays, avals, strict=True):
        last_stays(aval.shape[-1:] == (RUNS,), equation.primitive.name)
        ids = np.arange(len(nodes), len(nodes) + x.size, dtype=np.int32).reshape(*x.shape, 1) * RUNS
        numbered.append(np.broadcast_to(ids + np.arange(RUNS, dtype=np.int32), aval.shape).astype(np.int32))
        nodes += list(x.ravel())
    return nodes, numbered


def _followed(numbers: np.ndarray, nodes: list[Node], name: str) -> np.ndarray:
    """Which entry is where. Raises Refused if a run would hold another's."""
    if numbers.shape[-1:] != (RUNS,) or (numbers < 0).any() or (numbers % RUNS != np.arange(RUNS)).any():
        raise Refused(f"{name} moves numbers from one run to another")
    which = numbers // RUNS
    if (which != which[..., :1]).any() or (which >= len(nodes)).any():
        raise Refused(f"{name} moves numbers of one run otherwise than those of another")
    return which[..., 0]
