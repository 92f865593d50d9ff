r"""Streaming PCA: an orthonormal basis U of r directions, measured by its angles to the span of the means.

    Oja             U <- QR(U + eta x x^T U / sigma^2)                   Oja 1982; sigma the largest scale
    block power     U <- QR((1/B) sum x x^T U), over a batch of B        Mitliagkas, Caramanis and Jain 2013

eta has no unit. The moment is not centred. With a batch, Oja's step is taken with the mean of x x^T U over it. r is the
number of estimates. The QR is that of `pca.orthonormalize`. A start is made orthonormal, the longest estimate first.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array

from jgmm import ordered, steps, subspace
from jgmm.algorithms import pca
from jgmm.contract import Algorithm, Sample, State
from jgmm.mixture import Mixture


def begin(start: Array | np.ndarray, origin: Array | np.ndarray, memory: Any, params: dict) -> State:
    """A basis of the span of the start. Its origin is 0: coordinates of a basis are at most 1."""
    del params
    basis = ordered.span(np.asarray(start), tolerance=10 * float(np.finfo(start.dtype).eps) * max(start.shape[:2]))
    return State(np.zeros_like(origin), basis.astype(start.dtype), memory)


def step(state: Any, sample: Sample, params: dict, move: Callable) -> State:
    """Take in one sample. params: inverse, 1 / sigma^2."""
    along = params["inverse"][None] * pca.coefficients(state.offset, sample.x)
    offset, memory = move(state.memory, state.offset, along[:, None] * sample.x[None], None)
    return State(state.origin, offset, memory)


def end(state: Any, params: dict) -> State:
    """The basis orthonormal again."""
    del params
    return State(state.origin, pca.orthonormalize(state.offset), state.memory)


def params(mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """inverse: 1 / sigma^2, sigma the largest scale, (runs,)."""
    del component, numbers
    scale = np.asarray(mixture.scales, np.float64).max(axis=0)
    return {"inverse": (1 / scale**2).astype(np.asarray(mixture.means).dtype)}


def check(mixture: Mixture) -> None:
    """Raises ValueError for more components, and so directions, than coordinates."""
    k, d = np.shape(mixture.means)[:2]
    if k > d:
        raise ValueError(f"the mixture has k = {k}, expected at most d = {d}: a basis has no more directions")


def no_step() -> steps.StepSize:
    """The basis becomes what the batch gives, whatever it was."""
    return steps.StepSize(REPLACED, {})


def as_many(e: int) -> int:
    """e: fewer samples give fewer directions."""
    return e


def _nothing(numbers: dict, offset: Any) -> tuple:
    del numbers, offset
    return ()


def _replaced(numbers: dict, memory: Any, offset: Array, pull: Array, gate: Any) -> tuple[Array, Any]:
    del numbers, offset, gate
    return pull, memory


REPLACED = steps.Rule(_nothing, _replaced, words="what the batch gives")
_NUMBER = "expected a number or a schedule, as { scale = 5, power = 1, shift = 50 }"
OJA = Algorithm(
    step,
    words="Oja's rule, U <- QR(U + eta x x^T U / sigma^2)",
    init=begin,
    params=params,
    check=check,
    refuses=tuple((name, _NUMBER) for name in ("paper", "seed", "best", "1/n")),
    measure=subspace.errors,
    end=end,
)
POWER = OJA._replace(
    words="block power iteration, U <- QR of the batch's x x^T U",
    refuses=(),
    own_step=no_step,
    least_batch=as_many,
)
