r"""From graph points to starting centres (Algorithm 2 of the paper, its second half), for some runs at once.

    nu = U^T x for each graph point,   a graph that joins each nu to its nearest neighbours (in either direction),
    its connected components,   the k largest:   mu_i = U mean(nu in component i)

NumPy and SciPy on the host, in float64. Sums are in a written order (`ordered`), and such sums decide a graph: no start
depends on the runs beside it. Some dozen runs take as many calls of NumPy as one does, which would take turns in
Python: one graph holds the points of all, and nothing joins those of two runs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jgmm import ordered

SPARE = 2  # candidates beyond the neighbours wanted, of the search tree
ROUNDING = 1e-9  # relative, of the tree's distances: far above float64's
FEW = 200_000  # n^2 r of a run: with more, a search tree is faster than all distances
TOGETHER = 2**18  # distances of the runs whose graphs are made together: 2 MB
BESIDE = 32  # runs together where they have a search tree


class GraphStart(NamedTuple):
    """Starting centres, and how they came about."""

    means: Float[np.ndarray, "k d *runs"]
    num_components: Int[np.ndarray, "*runs"]  # of the graph; a run has succeeded where it is k
    basis: Float[np.ndarray, "r d *runs"]


def project(
    basis: Float[np.ndarray, "r d *runs"], points: Float[np.ndarray, "d n *runs"]
) -> Float[np.ndarray, "r n *runs"]:
    """U^T x of each point, in float64."""
    directions = basis.astype(np.float64).swapaxes(0, 1)
    return ordered.dot(points.astype(np.float64)[:, None], directions[:, :, None])


def parts(n: int, r: int, runs: int) -> Iterator[slice]:
    """The runs whose graphs are best made together: n points each, of r coordinates."""
    together = max(1, TOGETHER // n**2) if n * n * r <= FEW else BESIDE
    return (slice(low, min(low + together, runs)) for low in range(0, runs, together))


def centres(
    basis: Float[np.ndarray, "r d runs"], points: Float[np.ndarray, "d n runs"], *, k: int, neighbors: int
) -> tuple[list[GraphStart], Int[np.ndarray, "n runs"]]:
    """Each run's starting centres from its graph points, and the rank of each point's component (as in `ranks`).

    A graph with fewer than k components leaves some centres without one: these start at the mean of all points. Points
    that are not finite have no graph: 0 components, and no centres (NaN).
    """
    projected = project(basis, points)
    is_finite = np.isfinite(projected).all(axis=(0, 1))
    projected[..., ~is_finite] = 0
    rank, count = ranks(roots(neighbors_of(projected, neighbors=neighbors)), k=k)
    directions, of_components = basis.astype(np.float64), _means(projected, rank, count, k)
    lifted = ordered.dot(directions[:, None], of_components.swapaxes(0, 1)[:, :, None])
    means = lifted.astype(points.dtype)
    means[..., ~is_finite], rank[:, ~is_finite], count[~is_finite] = np.nan, k, 0
    starts = (GraphStart(means[..., i], np.array(count[i], np.int32), basis[..., i]) for i in range(len(count)))
    return list(starts), rank


def neighbors_of(projected: Float[np.ndarray, "r n runs"], *, neighbors: int) -> Int[np.ndarray, "runs n neighbors"]:
    """`nearest` of every run's points: by all distances where these are few."""
    r, n, runs = projected.shape
    rows = np.ascontiguousarray(np.moveaxis(projected, -1, 0))  # (runs, r, n)
    if n * n * r > FEW:
        return np.stack([nearest(row.T, neighbors=neighbors) for row in rows])
    gaps_sq, gap = np.empty((2, runs, n, n))
    for j in range(r):
        of_coordinate = gap if j else gaps_sq
        np.subtract(rows[:, j, None, :], rows[:, j, :, None], out=of_coordinate)
        np.multiply(of_coordinate, of_coordinate, out=of_coordinate)
        if j:
            gaps_sq += gap
    gaps_sq[:, np.arange(n), np.arange(n)] = np.inf
    found = np.empty((runs, n, neighbors), np.int64)
    for place in range(neighbors):
        found[..., place] = gaps_sq.argmin(axis=2)  # the first of the least
        np.put_along_axis(gaps_sq, found[..., place, None], np.inf, axis=2)
    return found


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


def roots(joined: Int[np.ndarray, "runs n neighbors"]) -> Int[np.ndarray, "runs n"]:
    """The lowest index in each point's connected component, each point being joined to those of its row."""
    runs, n, each = joined.shape
    first = np.arange(runs)[:, None] * n
    columns, ends = (joined + first[..., None]).reshape(-1), np.arange(runs * n + 1) * each
    graph = csr_array((np.ones(columns.size, np.int8), columns, ends), shape=(runs * n, runs * n))
    count, labels = connected_components(graph, directed=True, connection="weak")
    lowest = np.full(count, runs * n)
    np.minimum.at(lowest, labels, np.arange(runs * n))
    return lowest[labels].reshape(runs, n) - first


def ranks(roots: Int[np.ndarray, "runs n"], *, k: int) -> tuple[Int[np.ndarray, "n runs"], Int[np.ndarray, "runs"]]:
    """Rank of each point's component by size (0 the largest, k and beyond lumped as k), and how many there are.

    Of two components of one size the one that holds the lower index comes first.
    """
    runs, n = roots.shape
    own = roots + np.arange(runs)[:, None] * n
    sizes = np.bincount(own.reshape(-1), minlength=runs * n).reshape(runs, n)
    by_size = np.argsort(-sizes, axis=1, kind="stable")
    rank = np.empty((runs, n), np.int32)
    np.put_along_axis(rank, by_size, np.arange(n, dtype=np.int32)[None], axis=1)
    return np.minimum(np.take_along_axis(rank, roots, axis=1), k).T.copy(), (sizes > 0).sum(axis=1)


def _means(
    projected: Float[np.ndarray, "r n runs"], rank: Int[np.ndarray, "n runs"], count: Int[np.ndarray, "runs"], k: int
) -> Float[np.ndarray, "k r runs"]:
    """Of the points in each of the k largest components, or of all where there are fewer; added in their order."""
    which = np.arange(k)[:, None]
    chosen = (rank[None] == which[:, None]) | (which >= count)[:, None]  # (k, n, runs)
    total, taken = np.zeros((2, k, len(projected), rank.shape[1]))
    for point in range(len(rank)):
        np.multiply(projected[None, :, point], chosen[:, None, point], out=taken)
        total += taken
    return total / chosen.sum(axis=1)[:, None]
