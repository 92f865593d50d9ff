r"""Where estimates stand: component by component, from each side alone, and how many of them each component holds.

    error_sq_r             |mu*_j - mu_i|^2 of the component j of rank r by weight and the estimate i matched to it
    from_means_sq          sum_j min_i |mu*_j - mu_i|^2
    from_estimates_sq      (1/e) sum_i min_j |mu*_j - mu_i|^2
    from_structure_sq      sum_i |p_i - mu_i|^2,  p_i the weighted mean of S_i = {j : argmin_l |mu*_j - mu_l| is i}, or,
                           where that is empty, the component nearest to i
    holds_r                #{i : argmin_j |mu*_j - mu_i| is the component of rank r}

Ranks are by weight, 1 the heaviest; the lowest index wins a tie. The sum of error_sq_r is the squared error, and where
there are fewer estimates than components, and so none that is matched to some of these, it is from_means_sq. The states
of a local minimum are those of Qian, Zhang and Chen (arXiv 2002.06694): one component with several estimates, or one
estimate for several components, in their middle; from_structure_sq is how far from that an end is.
"""

import numpy as np
from jaxtyping import Array, Float, Int

from jgmm import errors, ordered
from jgmm.measures.record import Seen


def component_sq(seen: Seen) -> Float[np.ndarray, "k runs"]:
    """The squared distance of each component from the estimate that it is matched to, the heaviest first.

    Of fewer estimates than components: from its nearest estimate.
    """
    e, k = seen.distances_sq.shape[:2]
    if e < k:
        squares = seen.distances_sq.min(axis=0)
    else:
        matched = errors.paired_sq(seen.distances_sq, seen.pairs)
        squares = np.take_along_axis(matched, np.argsort(seen.pairs.component, axis=0), axis=0)
    return by_rank(squares, seen.mixture.weights)


def from_means_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The sum over components of the squared distance to the nearest estimate."""
    return np.asarray(ordered.add_up(seen.distances_sq.min(axis=0)))


def from_estimates_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The mean over estimates of the squared distance to the nearest component."""
    return np.asarray(ordered.add_up(seen.distances_sq.min(axis=1)) / len(seen.distances_sq))


def from_structure_sq(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The sum over estimates of the squared distance to the middle of the components that it is the nearest to.

    An estimate that is the nearest to none belongs in the component that is nearest to it.
    """
    e, k = seen.distances_sq.shape[:2]
    served = seen.distances_sq.argmin(axis=0)[None] == np.arange(e)[:, None, None]
    nearest = seen.distances_sq.argmin(axis=1)[:, None] == np.arange(k)[None, :, None]
    weights = np.where(served, np.asarray(seen.mixture.weights, float)[None], 0)
    weights = np.where(served.any(axis=1)[:, None], weights, nearest)
    means = np.asarray(seen.mixture.means, float)
    middle = ordered.add_up(np.moveaxis(weights[:, :, None] * means[None], 1, 0))
    gaps = np.asarray(seen.origin, float) - middle / ordered.add_up(np.moveaxis(weights, 1, 0))[:, None] + seen.offset
    return np.asarray(ordered.add_up(ordered.dot(gap, gap) for gap in gaps))


def holds(seen: Seen) -> Int[np.ndarray, "k runs"]:
    """How many estimates are nearest to each component, the heaviest first; none is one that is not finite."""
    finite = np.isfinite(seen.distances_sq).all(axis=1)
    nearest = np.where(finite, seen.distances_sq.argmin(axis=1), -1)
    counts = [(nearest == component).sum(axis=0) for component in range(seen.distances_sq.shape[1])]
    return by_rank(np.stack(counts).astype(np.int32), seen.mixture.weights)


def by_rank(values: np.ndarray, weights: Float[Array | np.ndarray, "k runs"]) -> np.ndarray:
    """Values of the components, (k, runs), the heaviest first."""
    return np.take_along_axis(values, np.argsort(-np.asarray(weights), axis=0, kind="stable"), axis=0)
