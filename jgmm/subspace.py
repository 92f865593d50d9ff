r"""How far the span of an orthonormal basis is from that of a mixture's means: sines of principal angles.

    sum_i sin^2 theta_i = q - |U Q^T|_F^2,     Q a basis of the q leading directions of sum_j w_j mu_j mu_j^T

Principal angles, and the sum of their squared sines as a distance: Golub and Van Loan 2013, sections 2.5.3 and 6.4.3.
NumPy in float64 on the host, sums in a written order; trailing axes are runs.
"""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from jgmm import ordered
from jgmm.errors import CentreError
from jgmm.mixture import Mixture


def errors(
    origin: Float[Array | np.ndarray, "r d *runs"], offset: Float[Array | np.ndarray, "r d *runs"], mixture: Mixture
) -> CentreError:
    """Of the basis origin + offset: error_sq is the sum of the squared sines, error_sum the sum of the sines, error_max
    the largest.

    Where the means span fewer directions than r, spare vectors are free. `lost` counts angles of 45 degrees and more:
    directions that are outside the span rather than in it.
    """
    basis = np.asarray(origin, np.float64) + np.asarray(offset, np.float64)
    squares = sines_sq(basis, leading(mixture, len(basis)))
    sines = np.sqrt(squares)
    dtype = np.asarray(offset).dtype
    return CentreError(
        np.asarray(ordered.add_up(squares), dtype),
        np.asarray(ordered.add_up(sines), dtype),
        np.asarray(sines.max(axis=0), dtype),
        np.asarray((squares >= 0.5).sum(axis=0), np.int32),
    )


def leading(mixture: Mixture, count: int) -> Float[np.ndarray, "q d *runs"]:
    """Orthonormal directions of the largest eigenvalues of sum_j w_j mu_j mu_j^T, at most `count`; then zeros."""
    weights, means = (np.asarray(x, np.float64) for x in (mixture.weights, mixture.means))
    tolerance = 10 * float(np.finfo(np.asarray(mixture.means).dtype).eps) * max(means.shape[:2])
    span = ordered.span(means, tolerance=tolerance)
    if len(span) <= count:
        return span
    rows = means * np.sqrt(weights)[:, None]
    inside = np.array([[ordered.dot(direction, row) for row in rows] for direction in span])
    values, vectors = ordered.eigenvectors(np.array([[ordered.dot(a, b) for b in inside] for a in inside]))
    order: Any = np.argsort(-values, axis=0, kind="stable")[:count]
    chosen = np.take_along_axis(vectors, order[:, None], axis=0)
    return np.stack([ordered.dot(span, row[:, None]) for row in chosen])


def sines_sq(
    basis: Float[np.ndarray, "r d *runs"], directions: Float[np.ndarray, "q d *runs"]
) -> Float[np.ndarray, "q *runs"]:
    """Squared sines of the angles between what orthonormal rows span; 0 for a direction of zeros."""
    outside = []
    for direction in directions:
        inside = ordered.add_up(row * ordered.dot(row, direction)[None] for row in basis)
        outside.append(direction - inside)
    gram = np.array([[ordered.dot(a, b) for b in outside] for a in outside])
    return ordered.eigenvalues(gram).clip(0, 1)
