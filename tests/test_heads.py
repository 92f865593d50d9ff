"""Starts from data: by hand, k-means++'s probabilities, a run alone, what is consumed, and a study of them."""

from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import heads, mixture, start
from jgmm.engine import cpu
from jgmm.study import grid, spec

KEY = jax.random.key(21)
LINE = np.array([0.0, 0.0, 1.0, 4.0], np.float32)[None, :, None]  # of one run in one dimension


def word(*uniforms):
    """Words of random bits that stand for these numbers in [0, 1)."""
    return np.array([[int(u * 2**32)] for u in uniforms], np.uint32)


def test_the_first_that_differ():
    assert_array_equal(heads.first(LINE, 3, None)[:, 0, 0], np.array([0, 1, 4], np.float32))
    assert_array_equal(heads.first(LINE[:, :2], 2, None)[:, 0, 0], np.array([0, 0], np.float32))


@pytest.mark.parametrize(("uniform", "second"), [(0.0, 1.0), (0.05, 1.0), (0.06, 4.0), (0.99, 4.0)])
def test_the_next_centre_is_drawn_by_squared_distance(uniform, second):
    """From 0 the squared distances are 0, 0, 1, 16: the third is drawn with probability 1/17 = 0.0588."""
    assert_array_equal(heads.plus_plus(LINE, 2, word(0.3, uniform))[:, 0, 0], np.array([0, second], np.float32))


def test_distances_are_those_to_the_nearest_centre():
    found = heads.plus_plus(LINE, 3, word(0.99, 0.5, 0.5))  # 4, then 0 (16, 16, 9 of 41), then 1 alone is left
    assert_array_equal(found[:, 0, 0], np.array([4, 0, 1], np.float32))


def runs_of(count, offset=0, k=3):
    mixed = mixture.simplex(k, 4, separation=6.0)
    return jgmm.batch(KEY, range(offset, offset + count), mixed)


def test_random_centres_have_the_heads_mean_and_spread():
    batch = runs_of(4000)
    _, points = cpu.draw(batch.words, batch.mixture, 50)
    _, means = start.from_data(KEY, batch, "random", head=50)
    z = (means - points.mean(axis=1)[None]) / points.std(axis=1)[None]
    assert np.abs(z.mean(axis=(0, 2))).max() < 4 / np.sqrt(3 * 4000)
    assert np.abs((z**2).mean(axis=(0, 2)) - 1).max() < 4 * np.sqrt(2 / (3 * 4000))


@pytest.mark.parametrize("name", heads.STARTS)
def test_a_run_alone_starts_as_among_others_and_goes_on_behind_its_head(name):
    batch, alone = runs_of(7), runs_of(1, offset=3)
    behind, means = start.from_data(KEY, batch, name, head=20)
    only, own = start.from_data(KEY, alone, name, head=20)
    assert_array_equal(means[..., 3:4], own)
    after, points = cpu.draw(batch.words, batch.mixture, 20)
    for one, other, some in zip(behind.words, after, only.words, strict=True):
        assert_array_equal(one, other)
        assert_array_equal(one[..., 3:4], some)
    if name != "random":
        gaps = np.abs(means[:, :, None] - points[None]).sum(axis=1).min(axis=1)
        assert_array_equal(gaps, np.zeros_like(gaps))  # every centre is a sample of the head


def test_k_means_plus_plus_is_better_than_the_first():
    """At C = 6 the first three of six components' samples often share one."""
    batch = runs_of(300, k=3)
    error = {name: start.measure(start.from_data(KEY, batch, name, head=30)[1], batch).lost for name in heads.STARTS}
    lost = {name: (of_runs > 0).mean() for name, of_runs in error.items()}
    assert abs(lost["first"] - 7 / 9) < 4 * np.sqrt(7 / 9 * 2 / 9 / 300)  # 1 - 3!/27, but for few that stray
    assert lost["kmeans++"] < 0.5


def test_a_head_of_fewer_samples_than_centres_is_refused():
    with pytest.raises(ValueError, match="head is 2, expected at least 3 samples"):
        start.from_data(KEY, runs_of(2), "first", head=2)


SPEC = """
runs = 8
[mixture]
k = 3
d = 4
layout = "simplex"
separation = 6.0
[stream]
n = 50
rate = 0.05
start = ["kmeans++", "first", 0.5]
head = [20, 40]
checkpoints = 1
"""


def test_a_study_starts_from_data(tmp_path):
    text = SPEC.replace("start =", "checkpoints = 1\nstart =").replace("checkpoints = 1\n", "", 1)
    study = spec.parse(text, source="spec", folder=Path(), default_name="heads")
    cells = grid.cells(study)
    assert [(cell.start, cell.head) for cell in cells] == [
        ("kmeans++", 20),
        ("kmeans++", 40),
        ("first", 20),
        ("first", 40),
        (0.5, 0),
    ]
    jgmm.run_study(study, tmp_path / "out")
    import pyarrow.parquet as pq

    batch = jgmm.batch(jax.random.split(jax.random.key(0), 3)[1], range(8), mixture.simplex(3, 4, separation=6.0))
    key = jax.random.split(jax.random.key(0), 3)[2]
    behind, means = start.from_data(key, batch, "kmeans++", head=40)
    record = jgmm.run(behind, "lloyd", means, steps=0.05, checkpoints=[50])
    name = cells[1].identifier(study.seed, study.x64)
    stored = pq.read_table(tmp_path / "out" / "cells" / f"{name}.parquet").to_pydict()
    assert_allclose(np.reshape(stored["error_sq"], (8, 2)).T, record.error.error_sq)
