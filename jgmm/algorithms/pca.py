r"""Streaming PCA (Algorithm 2 of the paper, its first half): block power iteration, and Oja's rule in its place.

    power    S U accumulates x (x^T U) over a block of samples (never a d x d matrix),      U <- QR(S U) at its end
    Oja      U <- U + eta_t x (x^T U), eta_t = ln d / (gap (shift + t)) with d at least 3 (Oja 1982)

The moment is not centred. The QR is Gram-Schmidt twice, which is elementwise in the runs and orthogonal to working
precision (Giraud, Langou, Rozloznik 2005); Oja's span does not depend on when its basis is orthonormalised. A basis has
a row for each of its r directions, so that it is of the shape of any estimate.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jgmm.contract import Kernel, Sample
from jgmm.loops import add_up, over_coordinates


class PowerState(NamedTuple):
    """An orthonormal basis, and what the block has accumulated of S U."""

    basis: Float[Array, "r d *runs"]
    product: Float[Array, "r d *runs"]


def power_step(state: PowerState, sample: Sample, params: dict) -> PowerState:
    """Take in one sample."""
    del params
    basis, product = state
    return PowerState(basis, product + coefficients(basis, sample.x)[:, None] * sample.x[None])


def power_end(state: PowerState, params: dict) -> PowerState:
    """U <- QR(S U), and an empty product."""
    del params
    return PowerState(orthonormalize(state.product), jnp.zeros_like(state.product))


class OjaState(NamedTuple):
    """A basis, and how many samples it has seen."""

    basis: Float[Array, "r d *runs"]
    seen: Int[Array, ""]


def oja_step(state: OjaState, sample: Sample, params: dict) -> OjaState:
    """Take in one sample. params: log_d, ln max(d, 3); gap and shift, a number for each run."""
    basis, seen = state
    rate = params["log_d"] / (params["gap"] * (params["shift"] + seen.astype(basis.dtype)))
    moved = (rate[None] * sample.x)[None] * coefficients(basis, sample.x)[:, None]
    return OjaState(basis + moved, seen + 1)


def oja_end(state: OjaState, params: dict) -> OjaState:
    """The basis orthonormal again."""
    del params
    return OjaState(orthonormalize(state.basis), state.seen)


def coefficients(basis: Float[Array, "r d *runs"], x: Float[Array, "d *runs"]) -> Float[Array, "r *runs"]:
    """U^T x."""
    return over_coordinates(len(x), lambda j: x[j][None] * basis[:, j], jnp.zeros_like(basis[:, 0]))


def orthonormalize(
    vectors: Float[Array, "r d *runs"], add: Callable[..., Float[Array, "*shape"]] = over_coordinates
) -> Float[Array, "r d *runs"]:
    """An orthonormal basis of the span of the r vectors, each along what is new in its vector.

    A vector that lies in the span of those before it (up to rounding) gives some direction of rounding's choice, and a
    vector of zeros gives zeros. add: how sums over coordinates are made; `add_up` where these are not alike.
    """
    r, d = vectors.shape[:2]

    def project_out(basis, v):
        coefficients = add(d, lambda j: basis[:, j] * v[j][None], jnp.zeros_like(basis[:, 0]))
        return v - add_up(r, lambda c: basis[c] * coefficients[c][None], jnp.zeros_like(v))

    def normal(v):
        length = jnp.sqrt(add(d, lambda j: v[j] * v[j], jnp.zeros_like(v[0])))
        return v / jnp.maximum(length, jnp.finfo(v.dtype).tiny)[None]

    def row(c, basis):
        v = normal(vectors[c])
        return basis.at[c].set(normal(project_out(basis, project_out(basis, v))))

    return lax.fori_loop(0, r, row, jnp.zeros_like(vectors))


POWER = Kernel(power_step, power_end)
OJA = Kernel(oja_step, oja_end)
