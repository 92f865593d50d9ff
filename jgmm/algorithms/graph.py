r"""From graph points to starting centres (Algorithm 2 of the paper, its second half), for one run.

    nu = U^T x for each graph point,   a graph that joins each nu to its nearest neighbours (in either direction),
    its connected components,   the k largest:   mu_i = U mean(nu in component i)

NumPy and SciPy on the host, in float64. Sums are in a written order (`ordered`), and such sums decide a graph: no start
depends on the runs beside it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jgmm import ordered

SPARE = 2  # candidates beyond the neighbours wanted, of the search tree
ROUNDING = 1e-9  # relative, of the tree's distances: far above float64's


class GraphStart(NamedTuple):
    """Starting centres, and how they came about."""

    means: Float[np.ndarray, "k d *runs"]
    num_components: Int[np.ndarray, "*runs"]  # of the graph; a run has succeeded where it is k
    basis: Float[np.ndarray, "r d *runs"]


def project(basis: Float[np.ndarray, "r d"], points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n r"]:
    """U^T x of each point, in float64."""
    columns = points.T.astype(np.float64)
    return ordered.dot(columns[:, :, None], basis.T.astype(np.float64)[:, None])


def nearest(points: Float[np.ndarray, "n r"], *, neighbors: int) -> Int[np.ndarray, "n neighbors"]:
    """The nearest others of each point, the nearest first; of two as near the one of the lower index.

    A search tree (SciPy's) proposes; distances by difference, added coordinate by coordinate, decide. Where the tree's
    farthest proposal is no farther than the farthest neighbour, but for rounding, all others are looked at.
    """
    count = len(points)
    asked = min(neighbors + 1 + SPARE, count)
    reach, proposed = cKDTree(points).query(points, k=asked)
    nearest_of, far_sq = _closest(points, np.arange(count), proposed, neighbors)
    if asked < count:
        for point in np.flatnonzero(reach[:, -1] ** 2 <= far_sq * (1 + ROUNDING)):
            everyone = np.arange(count)[None]
            nearest_of[point] = _closest(points, np.array([point]), everyone, neighbors)[0]
    return nearest_of


def _closest(
    points: Float[np.ndarray, "n r"],
    rows: Int[np.ndarray, "m"],
    candidates: Int[np.ndarray, "m c"],
    neighbors: int,
) -> tuple[Int[np.ndarray, "m neighbors"], Float[np.ndarray, "m"]]:
    """The nearest of the candidates of each of the points at `rows`, itself left out, and the farthest's distance^2."""
    ordered_candidates = np.sort(candidates, axis=1)
    columns = points.T
    gaps = (column[ordered_candidates] - column[rows, None] for column in columns)
    gaps_sq = ordered.add_up(gap * gap for gap in gaps)
    gaps_sq[ordered_candidates == rows[:, None]] = np.inf
    first = np.argsort(gaps_sq, axis=1, kind="stable")[:, :neighbors]
    return np.take_along_axis(ordered_candidates, first, 1), np.take_along_axis(gaps_sq, first[:, -1:], 1)[:, 0]


def components(joined: Int[np.ndarray, "n neighbors"]) -> Int[np.ndarray, "n"]:
    """The lowest index in each point's connected component, each point being joined to those of its row."""
    count, each = joined.shape
    ends = np.arange(count + 1) * each
    graph = csr_array((np.ones(joined.size, np.int8), joined.ravel(), ends), shape=(count, count))
    _, labels = connected_components(graph, directed=True, connection="weak")
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return first[which].astype(np.int32)


def component_of_rank(labels: Int[np.ndarray, "n"], *, k: int) -> tuple[Int[np.ndarray, "n"], int]:
    """Rank of each point's component by size (0 the largest, k and beyond lumped as k), and how many there are.

    Of two components of one size the one that holds the lower index comes first.
    """
    roots, which, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(roots), np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(roots))
    return np.minimum(rank, k)[which], len(roots)


def centres(
    basis: Float[np.ndarray, "r d"], points: Float[np.ndarray, "n d"], *, k: int, neighbors: int
) -> tuple[GraphStart, Int[np.ndarray, "n"]]:
    """Starting centres from the graph points, and each point's component (as in `component_of_rank`).

    A graph with fewer than k components leaves some centres without one: these start at the mean of all points. Points
    that are not finite have no graph: 0 components, and no centres (NaN).
    """
    projected = project(basis, points)
    if not np.isfinite(projected).all():
        lost = np.full((k, basis.shape[1]), np.nan, points.dtype)
        return GraphStart(lost, np.array(0, np.int32), basis), np.full(len(points), k, np.int32)
    rank, count = component_of_rank(components(nearest(projected, neighbors=neighbors)), k=k)
    everyone = np.ones(len(points), bool)
    chosen = [rank == i if i < count else everyone for i in range(k)]
    means = np.stack([ordered.mean(projected[members]) for members in chosen])
    lifted = ordered.dot(basis.astype(np.float64)[:, None], means.T[:, :, None])
    return GraphStart(lifted.astype(points.dtype), np.array(count, np.int32), basis), rank
