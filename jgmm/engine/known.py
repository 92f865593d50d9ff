r"""What is known while a jaxpr is followed: constants, and what is computed of them, as arrays of NumPy.

Whole numbers are computed at once. Of floats only what has one result on every machine is; the rest becomes operations,
so that a list does not depend on the library that follows it.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jgmm.engine.moves import MOVES
from jgmm.engine.operations import COMPARISONS
from jgmm.jaxprs import Equation

SAME = ("copy", "copy_p", "stop_gradient", "optimization_barrier", "reshard", "pvary", "pcast", "mesh_cast")
PLAIN = {"add", "sub", "mul", "div", "neg", "abs", "sqrt", "max", "min", "floor", "ceil", "and", "or", "xor", "not"}
PLAIN |= {"shift_left", "shift_right_logical", "shift_right_arithmetic", *COMPARISONS}


def is_known(x: Any) -> bool:
    """Whether it is a number or an array of numbers, not of nodes."""
    return not (isinstance(x, np.ndarray) and x.dtype == object)


def computed_now(equation: Equation, operands: list[Any]) -> bool:
    """Whether an equation's results are known, too."""
    exact = equation.primitive.name in EXACT or not any(np.dtype(x.aval.dtype).kind in "fc" for x in equation.outvars)
    return exact and all(map(is_known, operands))


def now(equation: Equation, operands: list[Any]) -> list[np.ndarray]:
    """The results of an equation whose operands are known."""
    results = bind(equation, operands)
    return [np.asarray(x) for x in results] if equation.primitive.multiple_results else [np.asarray(results)]


def bind(equation: Equation, operands: list[Any]) -> Any:
    """What NumPy, or JAX on a CPU, makes of an equation's operands."""
    simple = NUMPY.get(equation.primitive.name)
    if simple is not None:
        return simple(operands, equation)
    with jax.ensure_compile_time_eval(), jax.default_device(jax.local_devices(backend="cpu")[0]):
        return jax.tree.map(np.asarray, equation.primitive.bind(*operands, **equation.params))


def _slice(operands: list[Any], equation: Equation) -> np.ndarray:
    """dynamic_slice, as XLA has it: indices are moved inside."""
    x, sizes = operands[0], equation.params["slice_sizes"]
    lows = [min(max(int(i), 0), n - size) for i, n, size in zip(operands[1:], x.shape, sizes, strict=True)]
    return x[tuple(slice(low, low + size) for low, size in zip(lows, sizes, strict=True))]


def _broadcast(operands: list[Any], equation: Equation) -> np.ndarray:
    x, shape = np.asarray(operands[0]), equation.params["shape"]
    sizes = dict(zip(equation.params["broadcast_dimensions"], x.shape, strict=True))
    return np.broadcast_to(x.reshape([sizes.get(axis, 1) for axis in range(len(shape))]), shape)


def _select(operands: list[Any], equation: Equation) -> np.ndarray:
    which, *cases = operands
    if len(cases) != 2:
        return np.choose(which, cases)
    return np.where(which, cases[1], cases[0]).astype(equation.outvars[0].aval.dtype)


def _numpy(function: Callable) -> Callable:
    return lambda operands, equation: np.asarray(function(*operands), equation.outvars[0].aval.dtype)


# The most frequent: JAX itself takes 20 times as long for so little, two thirds of all tracing.
NUMPY: dict[str, Callable[[list[Any], Equation], np.ndarray]] = {
    "dynamic_slice": _slice,
    "convert_element_type": lambda x, equation: np.asarray(x[0]).astype(equation.params["new_dtype"]),
    "broadcast_in_dim": _broadcast,
    "squeeze": lambda x, equation: np.squeeze(np.asarray(x[0]), axis=tuple(equation.params["dimensions"])),
    "add": _numpy(np.add),
    "sub": _numpy(np.subtract),
    "mul": _numpy(np.multiply),
    "lt": _numpy(np.less),
    "select_n": _select,
}
EXACT = {*NUMPY, *MOVES, *PLAIN, *SAME, "concatenate", "stack"}
EXACT |= {"iota", "square", "sign", "clamp", "round", "split", "pad", "dynamic_update_slice", "gather", "scatter"}
EXACT |= {"bitcast_convert_type", "reduce_max", "reduce_min"}
