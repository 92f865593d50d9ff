"""More or fewer estimates than components: where they start, what a step is told, and NumPy loops of Lloyd and soft."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import lanes, mixture
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD, ORACLE
from jgmm.algorithms.online import ONLINE
from jgmm.algorithms.soft import SOFT
from jgmm.engine import choose, together
from jgmm.engine.run import Segment, simulate
from jgmm.start import homes, offset_start

KEY = jax.random.key(3)
RUNS, N, RATE = 6, 80, 0.1
WEIGHTS, SCALES = [0.2, 0.5, 0.3], [1.0, 0.5, 2.0]


def batch_of():
    mixed = mixture.simplex(3, 2, separation=3.0, weights=WEIGHTS, scales=SCALES)
    return jgmm.batch(KEY, range(RUNS), mixed)


def samples_of(batch):
    """The first N samples of every run, (N, d, runs)."""
    points = choose.load("scan").draw(batch.words, batch.mixture, N, pair=lanes.normal_pair)[1]
    return np.asarray(points, float).swapaxes(0, 1)


def looped(batch, start, share):
    """Each estimate moves to each sample by its share, in a plain loop."""
    centres = np.array(start, float)
    for x in samples_of(batch):
        for run in range(RUNS):
            gaps = x[:, run] - centres[..., run]
            shares = share((gaps**2).sum(axis=1))
            centres[..., run] += RATE * shares[:, None] * gaps
    return centres


def test_more_estimates_start_at_the_components_in_turn_and_fewer_at_the_heaviest():
    weights = np.array([[0.2, 0.4], [0.5, 0.4], [0.3, 0.2]])
    assert_array_equal(homes(weights, 5), [[0, 0], [1, 1], [2, 2], [0, 0], [1, 1]])
    assert_array_equal(homes(weights, 2), [[1, 0], [2, 1]])
    batch = batch_of()
    means = np.asarray(batch.mixture.means)
    for e, at in ((2, [1, 2]), (3, [0, 1, 2]), (5, [0, 1, 2, 0, 1])):
        start = offset_start(KEY, batch, 0.25, estimates=e)
        assert_allclose(np.sqrt(((start - means[at]) ** 2).sum(axis=1)), 0.25 * 2.0, rtol=1e-5)
    assert np.abs(start[0] - start[3]).min() > 1e-3  # each in a direction of its own
    assert_array_equal(offset_start(KEY, batch, 0.25, estimates=3), offset_start(KEY, batch, 0.25))


@pytest.mark.parametrize("estimates", [1, 2, 5])
def test_lloyd_of_other_estimates_is_the_plain_loop(estimates):
    batch = batch_of()
    start = offset_start(KEY, batch, 0.5, estimates=estimates)
    found = jgmm.run(batch, LLOYD, start, steps=RATE, checkpoints=[N], estimates=estimates)
    expected = looped(batch, start, lambda distances: np.arange(estimates) == distances.argmin())
    assert_allclose(found.centres, expected, atol=2e-5)  # 80 float32 roundings


def test_soft_updates_of_other_estimates_are_the_plain_loop_with_the_weights_shared():
    batch = batch_of()
    start = offset_start(KEY, batch, 0.1, estimates=5)
    found = jgmm.run(batch, SOFT, start, steps=RATE, checkpoints=[N], estimates=5)
    assert_array_equal(found.component[:, 0], [0, 1, 2, 0, 1])
    weights = np.array([0.1, 0.25, 0.3, 0.1, 0.25])
    scales = np.array([1.0, 0.5, 2.0, 1.0, 0.5])

    def posterior(distances):
        density = weights * scales**-2.0 * np.exp(-distances / (2 * scales**2))
        return density / density.sum()

    assert_allclose(found.centres, looped(batch, start, posterior), atol=5e-5)


def test_of_fewer_estimates_the_weights_have_the_sum_1():
    batch = batch_of()
    told = together.stood_for(batch.mixture, np.array([[1] * RUNS, [2] * RUNS]))
    assert_allclose(told.weights[:, 0], [0.5 / 0.8, 0.3 / 0.8], rtol=1e-6)
    assert_allclose(told.scales[:, 0], [0.5, 2.0])


def test_as_many_estimates_as_components_are_the_algorithms_own_number():
    batch = batch_of()
    start = offset_start(KEY, batch, 0.5)
    one = jgmm.run(batch, LLOYD, start, steps=RATE, checkpoints=[N], twin=True)
    other = jgmm.run(batch, LLOYD, start, steps=RATE, checkpoints=[N], twin=True, estimates=3)
    assert_array_equal(one.centres, other.centres)


def test_what_cannot_have_other_estimates_says_so():
    batch = batch_of()
    start = offset_start(KEY, batch, 0.5, estimates=2)
    with pytest.raises(ValueError, match="estimates is 2, but the algorithm has its own number of them: expected 3"):
        jgmm.run(batch, ORACLE, start, steps=RATE, checkpoints=[N], estimates=2)
    with pytest.raises(ValueError, match="twin is True with estimates = 2 of k = 3 components: expected False"):
        jgmm.run(batch, LLOYD, start, steps=RATE, checkpoints=[N], estimates=2, twin=True)
    with pytest.raises(ValueError, match=r"start is of shape \(2, 2, 6\) and float32, expected float32 of shape \(4"):
        jgmm.run(batch, LLOYD, start, steps=RATE, checkpoints=[N], estimates=4)
    pair = jgmm.batch(KEY, range(RUNS), mixture.symmetric(2, separation=3.0))
    with pytest.raises(ValueError, match="estimates is 2, but the algorithm has its own number of them: expected 1"):
        jgmm.run(pair, EM, start, steps=RATE, checkpoints=[N], estimates=2)


def test_weights_that_are_measured_are_averaged_where_the_estimate_is():
    batch = batch_of()
    start = offset_start(KEY, batch, 0.1)
    found = {}
    for average in (None, 0, N - 1):
        ready = together.ready(batch, ONLINE, start, steps=0.05, average=average)
        (record,) = simulate(ready, batch, [Segment(RUNS, (N,), ("weights_sq",))])
        found[average] = record.measures["weights_sq"]
    assert_allclose(found[N - 1], found[None], rtol=1e-4)  # the mean of the last alone
    assert (np.abs(found[0][-1] - found[None][-1]) > 1e-4).all()
