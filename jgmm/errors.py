r"""How far estimates are from the true means, and means over runs with their standard errors.

Errors are taken under the best matching pi of the e estimates to the k components, argmin_pi sum_i |mu_i -
mu*_pi(i)|^2, found by the Hungarian algorithm (SciPy's). A single estimate of a symmetric pair is so measured up to its
sign. Where there are more estimates than components, each component is matched to one of them, and the others do not
count. NumPy on the host, sums in a written order (`ordered`): no number depends on the runs beside it. Trailing axes
are runs; a single run has none, or one of length 1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import linear_sum_assignment

from jgmm import ordered
from jgmm.mixture import Mixture

TOGETHER_BYTES = 2**22  # of the e x k distances of the runs that are computed together: shorter rows take longer


class CentreError(NamedTuple):
    """Distances between estimates and means under the best matching, in the units of the data."""

    error_sq: Float[np.ndarray, "*runs"]  # sum over the pairs matched of the squared distance
    error_sum: Float[np.ndarray, "*runs"]  # sum of the distance
    error_max: Float[np.ndarray, "*runs"]  # the largest distance
    lost: Int[np.ndarray, "*runs"]  # see `Pairs`


class Estimate(NamedTuple):
    """A mean over runs with its Monte-Carlo standard error."""

    mean: np.ndarray
    standard_error: np.ndarray
    runs: int


class Matching(NamedTuple):
    """Which component each estimate stands for, and how many estimates share their nearest component with another."""

    component: Int[np.ndarray, "e *runs"]
    lost: Int[np.ndarray, "*runs"]  # with as many estimates as components: components that are nearest to no estimate


class Pairs(NamedTuple):
    """Estimates and components that are matched one to one, as many as the fewer of the two.

    lost: as in `Matching`; with more estimates than components, components that share their nearest estimate.
    """

    estimate: Int[np.ndarray, "pairs *runs"]
    component: Int[np.ndarray, "pairs *runs"]
    lost: Int[np.ndarray, "*runs"]


def squared_distances(
    origin: Float[Array | np.ndarray, "e d *runs"],
    offset: Float[Array | np.ndarray, "e d *runs"],
    means: Float[Array | np.ndarray, "k d *runs"],
) -> Float[np.ndarray, "e k *runs"]:
    """|origin_i + offset_i - mean_j|^2. Where an origin is a mean, nothing is lost to rounding."""
    origin, offset, means = (np.asarray(x) for x in (origin, offset, means))
    k, d, *runs = means.shape
    flat = [x.reshape(len(x), d, -1) for x in (origin, offset, means)]
    count = flat[0].shape[-1]
    distances_sq = np.zeros((len(origin), k, count), means.dtype)
    together = max(1, TOGETHER_BYTES // (max(k, len(origin)) * k * means.itemsize))
    for low in range(0, count, together):
        origins, offsets, targets = (x[..., low : low + together] for x in flat)
        total = distances_sq[..., low : low + together]
        gap = np.empty_like(total)
        with np.errstate(over="ignore", invalid="ignore"):  # what has left the floats shows in its run
            for j in range(d):  # in place: half the time
                np.subtract(origins[:, None, j], targets[None, :, j], out=gap)
                gap += offsets[:, None, j]
                gap *= gap
                total += gap
    return distances_sq.reshape(len(origin), k, *runs)


def match(distances_sq: Float[np.ndarray, "e k *runs"]) -> Matching:
    """Each estimate's component in the matching of least sum; with more than k of them, the nearest for the others.

    By the Hungarian algorithm where two share the nearest. If every estimate has its own nearest mean, that is the best
    matching: no term of the sum can be smaller. One that is not finite is nearest to none.
    """
    e, k = distances_sq.shape[:2]
    if e <= k:
        return _best(distances_sq)
    matched = pairs(distances_sq)
    component = distances_sq.argmin(axis=1).astype(np.int32)
    np.put_along_axis(component, matched.estimate, matched.component, axis=0)
    return Matching(component, matched.lost)


def pairs(distances_sq: Float[np.ndarray, "e k *runs"]) -> Pairs:
    """The pairs of the matching of least sum, in the order of the fewer: of the estimates, or of the components."""
    e, k = distances_sq.shape[:2]
    other, lost = _best(distances_sq if e <= k else distances_sq.swapaxes(0, 1))
    own = np.broadcast_to(np.arange(len(other), dtype=np.int32).reshape(-1, *[1] * (other.ndim - 1)), other.shape)
    return Pairs(own, other, lost) if e <= k else Pairs(other, own, lost)


def paired_sq(distances_sq: Float[np.ndarray, "e k *runs"], matched: Pairs) -> Float[np.ndarray, "pairs *runs"]:
    """The squared distance of each pair."""
    few = distances_sq if distances_sq.shape[0] <= distances_sq.shape[1] else distances_sq.swapaxes(0, 1)
    other = matched.component if few is distances_sq else matched.estimate
    return np.take_along_axis(few, other[:, None], axis=1)[:, 0]


def _best(distances_sq: Float[np.ndarray, "e k *runs"]) -> Matching:
    """The matching of e estimates to k components, e at most k."""
    e, k, *runs = distances_sq.shape
    flat = distances_sq.reshape(e, k, -1)
    nearest = flat.argmin(axis=1).astype(np.int32)
    finite = np.isfinite(flat).all(axis=1)
    hit = ((nearest[:, None] == np.arange(k)[None, :, None]) & finite[:, None]).any(axis=0)
    lost = (e - hit.sum(axis=0)).astype(np.int32)
    largest = np.finfo(flat.dtype).max / k**2
    for run in np.flatnonzero(lost):
        cost = np.nan_to_num(flat[..., run], nan=largest, posinf=largest)
        nearest[:, run] = linear_sum_assignment(cost)[1]
    return Matching(nearest.reshape(e, *runs), lost.reshape(runs))


def centre_errors(
    origin: Float[Array | np.ndarray, "e d *runs"],
    offset: Float[Array | np.ndarray, "e d *runs"],
    means: Float[Array | np.ndarray, "k d *runs"],
) -> CentreError:
    """The errors of the estimates origin + offset."""
    distances_sq = squared_distances(origin, offset, means)
    return errors_of(distances_sq, pairs(distances_sq))


def errors_of(distances_sq: Float[np.ndarray, "e k *runs"], matched: Pairs) -> CentreError:
    """The errors of the pairs that are matched."""
    squares = paired_sq(distances_sq, matched)
    distances = np.sqrt(squares)
    error_sq, error_sum = (np.asarray(ordered.add_up(x)) for x in (squares, distances))
    return CentreError(error_sq, error_sum, np.asarray(distances.max(axis=0)), matched.lost)


def of_centres(
    origin: Float[Array | np.ndarray, "e d *runs"], offset: Float[Array | np.ndarray, "e d *runs"], mixture: Mixture
) -> CentreError:
    """`centre_errors` of a mixture's means."""
    return centre_errors(origin, offset, mixture.means)


def subspace_distance(
    basis: Float[Array | np.ndarray, "r d *runs"], means: Float[Array | np.ndarray, "k d *runs"]
) -> Float[np.ndarray, "*runs"]:
    """sin of the largest angle between a direction in the span of the means and the span of the orthonormal basis.

    It is the root of the largest eigenvalue of R^T R, R = (I - U U^T) Q, Q an orthonormal basis of the means' span. In
    the precision of the basis; computed in float64.
    """
    basis, means = (np.asarray(x) for x in (basis, means))
    frame = basis.astype(np.float64)
    directions = ordered.span(means, tolerance=10 * float(np.finfo(means.dtype).eps) * max(means.shape[:2]))
    outside = []
    for direction in directions:
        inside = ordered.add_up(row * ordered.dot(row, direction)[None] for row in frame)
        outside.append(direction - inside)
    gram = np.array([[ordered.dot(a, b) for b in outside] for a in outside])
    return np.asarray(np.sqrt(ordered.eigenvalues(gram).max(axis=0).clip(0)), basis.dtype)


def estimate(values: Float[Array | np.ndarray, "*shape runs"]) -> Estimate:
    """Mean over the last axis, and sample standard deviation / sqrt(runs); in float64 on the host."""
    measured = np.asarray(values, np.float64)
    runs = measured.shape[-1]
    spread = measured.std(axis=-1, ddof=1) if runs > 1 else np.full(measured.shape[:-1], np.inf)
    return Estimate(measured.mean(axis=-1), spread / np.sqrt(runs), runs)
