"""Exact laws of labelled centres, against sums by hand, recursions and the simulator."""

import jax
import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

import jgmm
from jgmm import errors, mixture, rates, stats, steps, theory
from jgmm.algorithms.lloyd import LLOYD
from jgmm.start import offset_start
from jgmm.theory import labelled

KEY = jax.random.key(3)


def test_one_sample_of_a_constant_rate_by_hand():
    law = labelled.constant(1, rate=0.5, weight=0.25)
    assert_allclose(law, (1 - 0.25 * 0.75, 0.25 * 0.25, 1 - 0.125))


def test_the_constant_law_is_s1():
    law = labelled.constant([0, 3, 500], rate=0.02, weight=0.2)
    s1 = theory.lloyd_error_sq(samples=np.array([0, 3, 500]), rate=0.02, weight=0.2, sigma=3, d=7, start_sq=11)
    assert_allclose(law.kept * 11 + law.noise * 9 * 7, s1)


def recursion(rate, weight, steps):
    """E|e|^2 and E e step by step: the touched and the untouched half."""
    kept, noise, drift = 1.0, 0.0, 1.0
    for t in range(steps):
        eta = rate(t)
        kept, noise = (((1 - weight) + weight * (1 - eta) ** 2) * x for x in (kept, noise))
        noise += weight * eta**2
        drift *= 1 - weight * eta
    return kept, noise, drift


def test_a_polynomial_rate_is_its_recursion():
    schedule = rates.polynomial(2.0, 0.7, 10.0)
    law = labelled.polynomial([0, 1, 400], schedule=schedule, weight=0.3)
    for i, count in enumerate([0, 1, 400]):
        assert_allclose([x[i] for x in law], recursion(schedule, 0.3, count), rtol=1e-12)


def test_a_polynomial_rate_of_one_forgets_the_start_of_a_lone_centre():
    law = labelled.polynomial([5], schedule=rates.polynomial(1.0, 1.0, 1.0), weight=1.0)
    assert_allclose(law, [[0.0], [1 / 5], [0.0]], atol=1e-12)


def test_inverse_counts_of_two_samples_by_hand():
    assert_allclose(labelled.inverse_count(2, weight=0.5, initial=1).kept, 1 / 4 + 1 / 2 / 4 + 1 / 4 / 9)
    assert_allclose(labelled.inverse_count(2, weight=0.5, initial=1).noise, 1 / 2 / 4 + 2 / 4 / 9)
    oracle = labelled.inverse_count(2, weight=0.5, initial=0)
    assert_allclose(oracle, (1 / 4, 1 / 2 + 1 / 4 / 2, 1 / 4))


def test_the_oracle_is_the_mean_of_its_samples_to_second_order():
    law = labelled.inverse_count(5000, weight=0.2, initial=0)
    own = 0.2 * 5000  # E(1/n) is 1/own (1 + (1 - w)/own) to second order
    assert_allclose(law.noise, 1 / own * (1 + 0.8 / own), rtol=2e-5)


def test_an_average_is_its_double_sum():
    rate, weight, burn, stop = 0.1, 0.4, 3, 9
    law = labelled.averaged(stop, rate=rate, weight=weight, burn=burn)
    t = np.arange(burn + 1, stop + 1)
    each = labelled.constant(np.minimum(t[:, None], t[None]), rate=rate, weight=weight)
    correlation = (1 - weight * rate) ** np.abs(t[:, None] - t[None])
    assert_allclose(law.kept, (each.kept * correlation).mean())
    assert_allclose(law.noise, (each.noise * correlation).mean())


def test_a_slower_mode_forgets_less_and_keeps_as_much_more_noise():
    plain, slow = (labelled.constant([0, 5, 90], rate=0.02, weight=0.4, relaxation=j) for j in (1.0, 0.5))
    assert_allclose(slow.kept, np.sqrt(plain.kept), rtol=1e-12)
    assert_allclose(slow.drift, np.sqrt(plain.drift), rtol=1e-12)
    assert_allclose(slow.noise, 2 * (1 - np.sqrt(plain.kept)) * 0.02 / 1.98, rtol=1e-12)
    flat = rates.Polynomial(0.02, 1e-12, 1)  # a schedule that does not fall
    summed = labelled.polynomial([0, 5, 90], schedule=flat, weight=0.4, relaxation=0.5)
    assert_allclose(summed, slow, rtol=0.01)  # the two sum noise alike to first order in the rate


def test_an_average_of_a_slow_mode_is_its_double_sum():
    rate, weight, burn, stop, slow = 0.1, 0.4, 3, 9, 0.3
    law = labelled.averaged(stop, rate=rate, weight=weight, burn=burn, relaxation=slow)
    t = np.arange(burn + 1, stop + 1)
    each = labelled.constant(np.minimum(t[:, None], t[None]), rate=rate, weight=weight, relaxation=slow)
    correlation = (1 - weight * rate * slow) ** np.abs(t[:, None] - t[None])
    assert_allclose([law.kept, law.noise], [(x * correlation).mean() for x in each[:2]])


def test_an_average_before_its_window_is_the_last_iterate():
    law, last = labelled.averaged(3, rate=0.1, weight=0.4, burn=5), labelled.constant(3, rate=0.1, weight=0.4)
    assert_allclose(law, last)


def twin_of(rate, n, law):
    """The simulated twin's squared error beside the law's, for unequal weights and scales at a small separation."""
    mix = mixture.simplex(3, 4, separation=1.0, weights=[0.5, 0.3, 0.2], scales=[1.0, 0.5, 2.0])
    runs = jgmm.batch(KEY, range(2048), mix)
    record = jgmm.run(runs, LLOYD, offset_start(KEY, runs, 0.5), steps=rate, checkpoints=[n], twin=True)
    weights, scales = np.array(mix.weights)[record.component], np.array(mix.scales)[record.component]
    expected = np.zeros(record.start_sq.shape)
    for weight in np.unique(weights):
        kept, noise, _ = law(n, weight)
        expected = np.where(weights == weight, kept * record.start_sq + noise * scales**2 * 4, expected)
    return errors.estimate(record.twin_sq[-1] - expected.sum(axis=0)), expected.sum(axis=0).mean()


@pytest.mark.parametrize(
    ("rate", "law"),
    [
        (0.05, lambda n, w: labelled.constant(n, rate=0.05, weight=w)),
        (
            rates.polynomial(2.0, 0.8, 9.0),
            lambda n, w: labelled.polynomial(n, schedule=rates.Polynomial(2, 0.8, 9), weight=w),
        ),
        (steps.inverse_count(), lambda n, w: labelled.inverse_count(n, weight=w, initial=1)),
    ],
    ids=["constant", "polynomial", "1/n"],
)
def test_the_simulated_twin_is_on_its_law_whatever_the_overlap(rate, law):
    gap, size = twin_of(rate, 100, law)
    assert abs(gap.mean) < 4 * gap.standard_error
    assert gap.standard_error < 0.02 * size  # so that a wrong weight or scale would show


def small_studies(separation, runs, key):
    """Squared errors of a pair, its twin's, and the twin's exact mean given each run's start."""
    batch = jgmm.batch(key, range(runs), mixture.symmetric(2, separation=separation))
    start = offset_start(key, batch, 0.2)
    record = jgmm.run(batch, LLOYD, start, steps=0.02, checkpoints=[400], twin=True)
    law = labelled.constant(400, rate=0.02, weight=0.5)
    expected = (law.kept * record.start_sq + law.noise * 2).sum(axis=0)
    return record.error.error_sq[-1].astype(float), record.twin_sq[-1].astype(float), expected


@pytest.mark.parametrize(("separation", "gain"), [(3.0, 1.2), (5.0, 5.0)])
def test_controlled_intervals_of_many_small_studies_cover_the_truth_as_often_as_they_claim(separation, gain):
    size, studies = 64, 600
    truth = stats.controlled(*small_studies(separation, 400_000, jax.random.key(100)))
    plain = errors.estimate(small_studies(separation, 400_000, jax.random.key(100))[0])
    assert abs(truth.value - plain.mean) < 4 * plain.standard_error  # both estimate the same
    arrays = small_studies(separation, size * studies, KEY)
    found = [stats.controlled(*(a[i * size : (i + 1) * size] for a in arrays)) for i in range(studies)]
    quantile = scipy.stats.t.ppf(0.975, size - 2)
    covered = np.mean([abs(f.value - truth.value) < quantile * f.standard_error for f in found])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / studies) + 0.005
    assert np.median([f.variance_factor for f in found]) > gain


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: labelled.constant(3, rate=1.0, weight=0.5), "rate is 1.0"),
        (lambda: labelled.constant(3, rate=0.1, weight=0.0), "weight is 0.0"),
        (lambda: labelled.constant(3, rate=0.1, weight=0.5, relaxation=0.0), "relaxation is 0.0"),
        (lambda: labelled.inverse_count(-1, weight=0.5, initial=1), "samples is -1"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
