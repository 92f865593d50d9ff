"""Sums over a short axis as a loop.

XLA's CPU reductions along an axis that is not the last are scalar, 4 times slower than this loop, and a loop's carry is
never fused into (and computed again by) each of its readers. The order of the additions is fixed, so the bits are too.
"""

from collections.abc import Callable

from jax import lax
from jaxtyping import Array, Float


def add_up(
    count: int, term: Callable[..., Float[Array, "*shape"]], zero: Float[Array, "*shape"], *, unroll: int = 1
) -> Float[Array, "*shape"]:
    """zero + term(0) + ... + term(count - 1), in this order."""
    return lax.fori_loop(0, count, lambda j, total: total + term(j), zero, unroll=unroll)
