"""Streams of many runs are on their laws, within 4 standard errors."""

import jax
import numpy as np
import pytest
from scipy import stats

import jgmm
from jgmm import errors, mixture, rates, steps, theory
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD, ORACLE
from jgmm.algorithms.soft import SOFT
from jgmm.start import offset_start
from jgmm.theory import labelled

KEY = jax.random.key(11)


def small_batch(runs):
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(3, 4, separation=3.0))
    return batch, offset_start(KEY, batch, 0.5)


def test_averages_are_on_their_law_when_samples_are_never_misassigned():
    runs, n, rate = 512, 2000, 0.02
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(2, 5, separation=14.0))
    record = jgmm.run(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=rate, average=1000, checkpoints=[n])
    found = errors.estimate(record.error.error_sq[-1])
    law = labelled.averaged(n, rate=rate, weight=0.5, burn=1000)
    expected = 2 * (law.kept * 0.25 + law.noise * 5)
    assert abs(found.mean - expected) < 4 * found.standard_error
    assert found.standard_error < 0.03 * expected


def test_macqueens_rate_gives_each_centre_the_mean_of_its_samples():
    batch = jgmm.batch(KEY, range(200), mixture.simplex(2, 3, separation=20.0))
    n, start_sq = 400, 0.25
    found = jgmm.run(batch, LLOYD, offset_start(KEY, batch, 0.5), steps=steps.inverse_count(), checkpoints=[n])
    counts = stats.binom(n, 0.5)
    m = np.arange(n + 1)
    law = 2 * (counts.pmf(m) * (start_sq + m * 3) / (m + 1) ** 2).sum()
    measured = errors.estimate(found.error.error_sq[-1])
    assert abs(measured.mean - law) < 4 * measured.standard_error


def test_the_oracle_is_the_mean_of_its_samples():
    law = 3 * labelled.inverse_count(500, weight=1 / 3, initial=0).noise * 4
    many, start = small_batch(800)
    record = jgmm.run(many, ORACLE, start, steps=steps.inverse_count(0), checkpoints=[500])
    found = errors.estimate(record.error.error_sq[-1])
    assert abs(found.mean - law) < 4 * found.standard_error


def test_the_error_of_separated_centres_is_s1_within_4_standard_errors():
    k, d, n, sigma = 5, 10, 20_000, 3.0
    rate = rates.paper(n, k)
    batch = jgmm.batch(KEY, range(256), mixture.simplex(k, d, separation=12.0, scales=sigma))
    checkpoints = [100, 1000, n]
    found = jgmm.run(batch, LLOYD, offset_start(KEY, batch, 2.0), steps=rate, checkpoints=checkpoints)
    for index, t in enumerate([0, *checkpoints]):
        q = (1 - rate * (2 - rate) / k) ** t
        law = k * (q * 4 * sigma**2 + (1 - q) * rate / (2 - rate) * sigma**2 * d)
        measured = errors.estimate(found.error.error_sq[index])
        assert abs(measured.mean - law) < 4 * measured.standard_error + 1e-4 * law


def test_settled_centres_are_normal_in_every_direction():
    batch = jgmm.batch(KEY, range(512), mixture.simplex(2, 4, separation=15.0))
    rate = 0.05
    found = jgmm.run(batch, LLOYD, offset_start(KEY, batch, 0.0), steps=rate, checkpoints=[1500])
    squares = (found.displacement**2).sum(axis=1).reshape(-1) / (rate / (2 - rate))
    assert stats.kstest(squares, stats.chi2(4).cdf).pvalue > 1e-4


def test_streaming_em_settles_at_half_the_rate_times_d():
    for separation in (2.0, 4.0):
        batch = jgmm.batch(KEY, range(512), mixture.symmetric(5, separation=separation))
        found = jgmm.run(batch, EM, offset_start(KEY, batch, 0.0)[:1], steps=0.005, checkpoints=[3000])
        measured = errors.estimate(found.error.error_sq[-1])
        law = 0.005 / 2 * 5
        assert abs(measured.mean - law) < 4 * measured.standard_error + 0.01 * law  # the law is to first order


@pytest.mark.slow
@pytest.mark.parametrize(("k", "d", "separation"), [(2, 3, 2.0), (3, 4, 2.0), (3, 4, 4.0)])
def test_soft_updates_settle_at_half_the_rate_at_every_separation_and_lloyd_does_not(k, d, separation):
    rate, n, runs = 0.004, 9000, 4096
    batch = jgmm.batch(KEY, range(runs), mixture.simplex(k, d, separation=separation))
    start = offset_start(KEY, batch, float(np.sqrt(rate / 2 * d)))
    law = theory.em_stationary_sq(rate=rate, sigma=1, d=d, k=k)
    gaps = []
    for algorithm in (SOFT, LLOYD):
        record = jgmm.run(batch, algorithm, start, steps=rate, checkpoints=[n])
        found = errors.estimate(record.error.error_sq[-1])
        gaps.append(((found.mean - law) / found.standard_error, found.standard_error / law))
    # The law is to first order: its own error is of the order of the rate times a few.
    assert abs(gaps[0][0]) < 4 + 0.03 / gaps[0][1]
    assert gaps[1][0] > 10
