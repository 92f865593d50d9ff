r"""Block power iteration for streaming PCA (Algorithm 2 of the paper, its first half).

    S U accumulates x (x^T U) over a block of samples (never a d x d matrix),      U <- QR(S U) at its end

The moment is not centred. Arrays may carry trailing run axes; the QR is Gram-Schmidt twice, which is elementwise in the
runs and orthogonal to working precision (Giraud, Langou, Rozloznik 2005).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jgmm.loops import add_up, dimensions, over_coordinates


class PCAState(NamedTuple):
    """An orthonormal basis, and what the block has accumulated of S U."""

    basis: Float[Array, "d r *runs"]
    product: Float[Array, "d r *runs"]


def init(basis: Float[Array, "d r *runs"]) -> PCAState:
    """Start a block from this basis."""
    return PCAState(basis=basis, product=jnp.zeros_like(basis))


def step(state: PCAState, x: Float[Array, "d *runs"]) -> PCAState:
    """Take in one sample."""
    basis, product = state
    coefficients = over_coordinates(len(x), lambda j: x[j][None] * basis[j], jnp.zeros_like(basis[0]))
    return PCAState(basis, product + x[:, None] * coefficients[None])


class OjaState(NamedTuple):
    """A basis, to be orthonormalised now and then (its span does not depend on when), and what its rate needs."""

    basis: Float[Array, "d r *runs"]
    gap: Float[Array, "*runs"]
    shift: Float[Array, "*runs"]
    seen: Int[Array, ""]


def oja_step(state: OjaState, x: Float[Array, "d *runs"]) -> OjaState:
    """Oja's rule, U <- U + eta_t x (x^T U) (Oja 1982), eta_t = ln d / (gap (shift + t)) with d at least 3."""
    basis, gap, shift, seen = state
    rate = np.float32(np.log(max(dimensions(x), 3))) / (gap * (shift + seen.astype(gap.dtype)))
    coefficients = over_coordinates(len(x), lambda j: x[j][None] * basis[j], jnp.zeros_like(basis[0]))
    return OjaState(basis + rate[None, None] * x[:, None] * coefficients[None], gap, shift, seen + 1)


def end_block(state: PCAState) -> PCAState:
    """U <- QR(S U), and an empty product."""
    return init(orthonormalize(state.product))


def orthonormalize(vectors: Float[Array, "d r *runs"]) -> Float[Array, "d r *runs"]:
    """An orthonormal basis of the span of the r columns, each along what is new in its column.

    A column that lies in the span of those before it (up to rounding) gives some direction of rounding's choice, and a
    column of zeros gives zeros.
    """
    d, r = vectors.shape[:2]

    def dot(a, b):
        return over_coordinates(d, lambda j: a[j] * b[j], jnp.zeros_like(b[0] * a[0]))

    def project_out(basis, v):
        coefficients = dot(basis, v[:, None])
        return v - add_up(r, lambda c: basis[:, c] * coefficients[c][None], jnp.zeros_like(v))

    def column(c, basis):
        v = vectors[:, c]
        v = v / jnp.maximum(jnp.sqrt(dot(v, v)), jnp.finfo(v.dtype).tiny)[None]
        v = project_out(basis, project_out(basis, v))
        v = v / jnp.maximum(jnp.sqrt(dot(v, v)), jnp.finfo(v.dtype).tiny)[None]
        return basis.at[:, c].set(v)

    return lax.fori_loop(0, r, column, jnp.zeros_like(vectors))
