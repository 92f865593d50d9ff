"""The neighbour graph of Algorithm 2, and the starting centres that are made of it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jgmm.algorithms import graph as graph_step


def brute_graph(points, neighbors):
    gaps = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(gaps, np.inf)
    graph = np.zeros(gaps.shape, bool)
    for i, row in enumerate(gaps):
        graph[i, np.argsort(row)[:neighbors]] = True
    return graph | graph.T


def as_graph(joined):
    graph = np.zeros((len(joined), len(joined)), bool)
    np.put_along_axis(graph, joined, True, axis=1)
    return graph | graph.T


@pytest.mark.parametrize(("neighbors", "dtype"), [(1, np.float32), (3, np.float64), (39, np.float64)])
def test_the_graph_and_its_components_agree_with_brute_force(neighbors, dtype):
    rng = np.random.default_rng(1)
    for _ in range(5):
        points = rng.normal(size=(40, 3)).astype(dtype) + 4 * rng.integers(0, 3, (40, 1)).astype(dtype)
        joined = graph_step.nearest(points, neighbors=neighbors)
        graph = as_graph(joined)
        assert_array_equal(graph, brute_graph(points, neighbors))
        labels = graph_step.roots(joined[None])[0]
        count, expected = connected_components(graph)
        assert len(np.unique(labels)) == count
        assert len({*zip(labels, expected, strict=True)}) == count


@pytest.mark.parametrize("neighbors", [1, 4])
def test_of_two_points_as_near_the_lower_index_is_the_neighbour(neighbors):
    lattice = np.stack(np.meshgrid(*[np.arange(5.0)] * 2), axis=-1).reshape(-1, 2)
    points = np.concatenate([lattice, lattice[:7], lattice[:3]])[np.random.default_rng(0).permutation(35)]
    gaps = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(gaps, np.inf)
    expected = np.argsort(gaps, kind="stable")[:, :neighbors]
    assert_array_equal(graph_step.nearest(points, neighbors=neighbors), expected)
    assert_array_equal(graph_step.neighbors_of(points.T[..., None], neighbors=neighbors)[0], expected)


def test_a_search_tree_that_rounds_otherwise_changes_no_graph(monkeypatch):
    points = np.random.default_rng(5).normal(size=(200, 4))
    points[:, 0] = np.round(points[:, 0])
    before = graph_step.nearest(points, neighbors=5)

    class Rounded(cKDTree):
        def query(self, points, k):
            reach, found = super().query(points, k)
            return reach * (1 + 1e-12 * np.random.default_rng(6).choice([-1, 1], reach.shape)), found[:, ::-1]

    monkeypatch.setattr(graph_step, "cKDTree", Rounded)
    assert_array_equal(graph_step.nearest(points, neighbors=5), before)


def test_components_of_a_shuffled_path():
    rng = np.random.default_rng(2)
    order = rng.permutation(70)
    joined = np.arange(70)[:, None].copy()
    joined[order[:-1], 0] = order[1:]
    joined[order[29]] = order[29]
    labels = graph_step.roots(joined[None])[0]
    assert_array_equal(labels[order[:30]], order[:30].min())
    assert_array_equal(labels[order[30:]], order[30:].min())


def test_the_largest_components_come_first_and_the_lower_index_wins_a_tie():
    rank, count = graph_step.ranks(np.array([[0, 1, 1, 3, 3, 0, 6, 1], [0, 0, 2, 2, 2, 5, 5, 7]]), k=2)
    assert_array_equal(count, [4, 4])
    assert_array_equal(rank.T, [[1, 0, 0, 2, 2, 1, 2, 0], [1, 1, 0, 0, 0, 2, 2, 2]])


def of_one_run(basis, points, **told):
    """`graph.centres` of one run."""
    (start,), rank = graph_step.centres(basis[..., None], points.T[..., None], **told)
    return start, rank[:, 0]


def test_centres_are_the_lifted_means_of_the_components():
    rng = np.random.default_rng(3)
    truth = np.array([[10.0, 0, 0], [0, 10.0, 0]])
    label = np.repeat([0, 1], [12, 8])
    points = (truth[label] + 0.1 * rng.normal(size=(20, 3))).astype(np.float32)
    found, rank = of_one_run(np.eye(3)[:2], points, k=2, neighbors=3)
    assert int(found.num_components) == 2
    expected = np.stack([points[label == i].mean(axis=0) for i in (0, 1)]) * [1, 1, 0]
    assert_allclose(found.means, expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(rank, label)


def test_a_centre_without_a_component_starts_at_the_mean_of_all_points():
    points = np.random.default_rng(4).normal(size=(10, 2)).astype(np.float32)
    found, _ = of_one_run(np.eye(2), points, k=2, neighbors=9)
    assert int(found.num_components) == 1
    assert_allclose(found.means, np.tile(np.asarray(points).mean(axis=0), (2, 1)), rtol=1e-5, atol=1e-6)


def test_points_that_are_not_finite_have_no_graph():
    points = np.random.default_rng(4).normal(size=(10, 2)).astype(np.float32)
    points[3, 1] = np.inf
    found, rank = of_one_run(np.eye(2), points, k=2, neighbors=3)
    assert int(found.num_components) == 0
    assert np.isnan(found.means).all()
    assert_array_equal(rank, 2)


def written_down(basis, points, *, k, neighbors):
    """The start of one run, without another beside it, and by `nearest`'s tree."""
    projected = graph_step.project(basis, points.T).T
    near = graph_step.nearest(projected, neighbors=neighbors)
    _, which = connected_components(as_graph(near))
    members = [np.flatnonzero(which == i) for i in range(which.max() + 1)]
    members = sorted(members, key=lambda each: (-len(each), each[0]))
    every = [np.arange(len(points))] * k
    means = []
    for each in [*members[:k], *every][:k]:
        total = np.zeros(projected.shape[1])
        for member in each:
            total += projected[member]
        means.append(total / len(each))
    lifted = sum(mean[:, None] * row for mean, row in zip(np.transpose(means)[..., None], basis[:, None], strict=True))
    return lifted.reshape(k, -1).astype(points.dtype), len(members)


@pytest.mark.parametrize(("n", "k", "d"), [(12, 3, 4), (40, 2, 2), (90, 5, 7), (420, 2, 3)])
def test_a_start_does_not_depend_on_the_runs_beside_it(n, k, d):
    rng = np.random.default_rng(n)
    runs = 7 if n < 100 else 2
    assert (n * n * k > graph_step.FEW) == (n == 420)
    far = 9 * rng.normal(size=(k, d, runs))
    points = far[rng.integers(0, k, (n, runs)), :, np.arange(runs)].transpose(2, 0, 1) + rng.normal(size=(d, n, runs))
    points[:, 3], points[0, :, 1] = points[:, 2], np.round(points[0, :, 1])  # some are as near as others
    points = points.astype(np.float32)
    basis = np.stack([np.linalg.qr(rng.normal(size=(d, k)))[0].T for _ in range(runs)], axis=-1)
    starts, rank = graph_step.centres(basis, points, k=k, neighbors=3)
    assert len({int(start.num_components) for start in starts}) > 1 or n > 40
    for run, start in enumerate(starts):
        means, count = written_down(basis[..., run], points[..., run].T, k=k, neighbors=3)
        assert int(start.num_components) == count
        assert start.means.tobytes() == means.tobytes()
        alone, own_rank = of_one_run(basis[..., run], points[..., run].T, k=k, neighbors=3)
        assert alone.means.tobytes() == means.tobytes()
        assert_array_equal(own_rank, rank[:, run])


def test_runs_are_cut_so_that_their_distances_are_few():
    assert [(part.start, part.stop) for part in graph_step.parts(128, 2, 40)] == [(0, 16), (16, 32), (32, 40)]
    assert [part.stop for part in graph_step.parts(1000, 2, 70)] == [32, 64, 70]
    assert [part.stop for part in graph_step.parts(400, 1, 2)] == [1, 2]
