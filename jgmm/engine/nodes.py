"""Arrays over runs as arrays of nodes: an entry of a run is one `operations.Node`, the same for every run."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jgmm.contract import Refused

RUNS = 7  # of the arrays that functions are traced with: only that there are some


class NodeArray(NamedTuple):
    """An array over runs as nodes, without the run axis; or (scalar) a number that is the same for all runs."""

    nodes: np.ndarray
    dtype: str
    scalar: bool

    def last(self) -> "NodeArray":
        """Of an array of rows the last one, as an array of one."""
        return self._replace(nodes=self.nodes[-1:])

    def aval(self) -> jax.ShapeDtypeStruct:
        """What JAX traces in its place."""
        return jax.ShapeDtypeStruct(() if self.scalar else (*self.nodes.shape, RUNS), self.dtype)


def each(function: Callable, *arrays: np.ndarray) -> np.ndarray:
    """function of each entry, as an object array."""
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    out = np.empty(shape, object)
    flat = [np.broadcast_to(x, shape).ravel().tolist() for x in arrays]
    if out.ndim:
        out.ravel()[:] = list(map(function, *flat))
    else:
        out[()] = function(*(x[0] for x in flat))
    return out


def last_stays(kept: bool, name: str) -> None:
    """Raises Refused where an operation does not keep the runs, the last axis, as they are."""
    if not kept:
        raise Refused(f"{name} moves numbers from one run to another")
