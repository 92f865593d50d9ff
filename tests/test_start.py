"""Starts: offsets from the truth, and Algorithm 2."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import lanes, mixture, start
from jgmm.engine.runs import run_keys

KEY = jax.random.key(11)
SIZES = {"n": 1000, "block": 40, "graph_points": 60, "neighbors": 3}


def batch(ids, mix=None):
    return jgmm.batch(KEY, ids, mix or mixture.simplex(3, 4, separation=3.0))


def test_an_offset_is_a_distance_in_a_direction_of_the_runs_own():
    runs = batch(range(8), mixture.simplex(3, 4, separation=3.0, scales=[1.0, 2.0, 0.5]))
    moves = start.offset_start(KEY, runs, np.arange(8) / 4) - runs.mixture.means
    assert_allclose(np.sqrt((moves**2).sum(axis=1)), np.ones((3, 1)) * np.arange(8) / 2, atol=1e-6)
    directions = (moves / np.maximum(np.sqrt((moves**2).sum(axis=1)), 1e-9)[:, None])[..., 1:].reshape(3, 4, 7)
    cosines = np.einsum("idr,jds->irjs", directions, directions).reshape(21, 21)
    assert np.abs(cosines - np.eye(21)).max() < 0.999
    assert_array_equal(start.offset_start(KEY, runs, 0.0), runs.mixture.means)


def test_a_seeding_finds_separated_centres_and_counts_components():
    mix = mixture.box(run_keys(KEY, range(32)), 3, 6, side=1000.0, separation=50.0)
    runs = batch(range(32), mix)
    stood, found, example = start.seed(KEY, runs, n=5000, block=400, graph_points=60, neighbors=3)
    error = start.measure(found.means, stood)
    good = found.num_components == 3
    assert good.mean() > 0.9
    law = 3 * ((6 - 3) * 3 / 400 + 3 * 3 / 60)
    assert abs(np.median(error.error_sq[good]) / law - 1) < 0.5
    assert start.measure_subspace(found.basis, stood).max() < 0.05
    assert found.back_end.name
    assert example.points.shape == (60, 6)
    assert example.projected.shape == (60, 3)
    assert sorted(set(example.component.tolist())) <= [0, 1, 2, 3]
    moved = runs.words
    for _ in range(5000):
        moved = lanes.next_bits(moved)[0]
    for a, b in zip(stood.words, moved, strict=True):
        assert_array_equal(a, b)  # the stream goes on right behind its n samples


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_a_seeding_is_the_runs_own_however_many_there_are_and_are_drawn_together(back_end, monkeypatch):
    def seeded(ids):
        mix = mixture.box(run_keys(KEY, ids), 3, 5, side=100.0, separation=5.0)
        sizes = {"n": 500, "block": 37, "graph_points": 40, "neighbors": 3}
        stood, found, example = start.seed(KEY, batch(ids, mix), **sizes, back_end=back_end)
        return [*stood.words, found.means, found.num_components, found.basis], example

    whole, example = seeded(range(70))
    alone, _ = seeded([17])
    for one, among in zip(alone, whole, strict=True):
        assert_array_equal(one[..., 0], among[..., 17])
    monkeypatch.setattr(start, "POINTS_BYTES", 2**14)  # 20 runs at a time
    few, same = seeded(range(70))
    for one, other in zip([*few, *same], [*whole, *example], strict=True):
        assert_array_equal(one, other)


def test_frames_are_orthonormal_and_the_runs_own():
    frames = start.frames(KEY, batch(range(5)))
    assert frames.shape == (3, 4, 5)
    assert frames.dtype == np.float32
    for run in range(5):
        assert_allclose(frames[..., run] @ frames[..., run].T, np.eye(3), atol=1e-6)
    assert_array_equal(start.frames(KEY, batch([3]))[..., 0], frames[..., 3])
    assert np.abs(frames[..., 0] - frames[..., 1]).max() > 0.1


def test_ojas_rate_knows_the_gap():
    gap, shift = start.oja_rate(mixture.replicate(mixture.symmetric(4, separation=6.0), 2))
    assert_allclose(gap, 9.0)
    assert_allclose(shift, np.log(4) * (9 + 4) / 9)


def test_oja_goes_on_improving_where_small_blocks_do_not():
    runs = batch(range(64), mixture.simplex(3, 8, separation=12.0))
    found = {}
    for method in ("block", "oja"):
        for n in (1000, 16_000):
            stood, seeding, _ = start.seed(KEY, runs, **{**SIZES, "n": n}, method=method)
            # The simplex spans two directions of three: the third is noise.
            found[method, n] = np.median(start.measure_subspace(seeding.basis, stood))
    assert found["oja", 16_000] < 0.6 * found["oja", 1000]
    assert found["block", 16_000] > 0.8 * found["block", 1000]
    assert found["oja", 16_000] < 0.5 * found["block", 16_000]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": 2}, "block is 2"),
        ({"n": 90}, "n is 90"),
        ({"graph_points": 3}, "neighbors 3"),
        ({"method": "power"}, "method is 'power'"),
        ({"back_end": "quick"}, "back_end is 'quick'"),
    ],
)
def test_sizes_that_leave_no_seeding_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        start.seed(KEY, batch(range(2)), **{**SIZES, **change})


def test_a_seeding_needs_k_directions():
    runs = batch(range(2), mixture.given(np.arange(6.0).reshape(3, 2)))
    with pytest.raises(ValueError, match="k is 3, expected at most d = 2"):
        start.seed(KEY, runs, **SIZES)


def test_starts_that_are_not_finite_are_measured_as_lost():
    runs = batch(range(2))
    lost = np.full((3, 4, 2), np.nan, np.float32)
    found = start.measure(lost, runs)
    assert np.isnan(found.error_sq).all()
    assert_array_equal(found.lost, [3, 3])
