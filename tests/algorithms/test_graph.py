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
        labels = graph_step.components(joined)
        count, expected = connected_components(graph)
        assert len(np.unique(labels)) == count
        assert len({*zip(labels, expected, strict=True)}) == count


@pytest.mark.parametrize("neighbors", [1, 4])
def test_of_two_points_as_near_the_lower_index_is_the_neighbour(neighbors):
    lattice = np.stack(np.meshgrid(*[np.arange(5.0)] * 2), axis=-1).reshape(-1, 2)
    points = np.concatenate([lattice, lattice[:7], lattice[:3]])[np.random.default_rng(0).permutation(35)]
    gaps = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(gaps, np.inf)
    assert_array_equal(graph_step.nearest(points, neighbors=neighbors), np.argsort(gaps, kind="stable")[:, :neighbors])


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
    labels = graph_step.components(joined)
    assert_array_equal(labels[order[:30]], order[:30].min())
    assert_array_equal(labels[order[30:]], order[30:].min())


def test_the_largest_components_come_first_and_the_lower_index_wins_a_tie():
    rank, count = graph_step.component_of_rank(np.array([0, 1, 1, 3, 3, 0, 6, 1]), k=2)
    assert int(count) == 4
    assert_array_equal(rank, [1, 0, 0, 2, 2, 1, 2, 0])


def test_centres_are_the_lifted_means_of_the_components():
    rng = np.random.default_rng(3)
    truth = np.array([[10.0, 0, 0], [0, 10.0, 0]])
    label = np.repeat([0, 1], [12, 8])
    points = (truth[label] + 0.1 * rng.normal(size=(20, 3))).astype(np.float32)
    found, rank = graph_step.centres(np.eye(3)[:2], points, k=2, neighbors=3)
    assert int(found.num_components) == 2
    expected = np.stack([points[label == i].mean(axis=0) for i in (0, 1)]) * [1, 1, 0]
    assert_allclose(found.means, expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(rank, label)


def test_a_centre_without_a_component_starts_at_the_mean_of_all_points():
    points = np.random.default_rng(4).normal(size=(10, 2)).astype(np.float32)
    found, _ = graph_step.centres(np.eye(2), points, k=2, neighbors=9)
    assert int(found.num_components) == 1
    assert_allclose(found.means, np.tile(np.asarray(points).mean(axis=0), (2, 1)), rtol=1e-5, atol=1e-6)


def test_points_that_are_not_finite_have_no_graph():
    points = np.random.default_rng(4).normal(size=(10, 2)).astype(np.float32)
    points[3, 1] = np.inf
    found, rank = graph_step.centres(np.eye(2), points, k=2, neighbors=3)
    assert int(found.num_components) == 0
    assert np.isnan(found.means).all()
    assert_array_equal(rank, 2)
