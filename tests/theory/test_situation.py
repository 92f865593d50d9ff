"""Step sizes as laws see them: by hand, and each rule against the exact sum that it stands for."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from situations import constant, situation

from jgmm import rates
from jgmm.theory import labelled
from jgmm.theory.situation import StepLaw

FALLING = StepLaw("polynomial", (4.0, 1.0, 20.0))
COUNT = StepLaw("1/n", (1,))


def test_steps_by_hand():
    assert [step.fastest() for step in (constant(0.1), FALLING, COUNT)] == [0.1, 0.2, 0.5]
    assert [step.now(60, 0.5) for step in (constant(0.1), FALLING, COUNT)] == [0.1, 0.05, 1 / 32]
    assert [step.varies for step in (constant(0.1), FALLING, COUNT)] == [False, True, True]


def test_a_labelled_centre_has_the_law_of_its_rule():
    times = np.array([0, 7, 300])
    assert_allclose(constant(0.1).labelled(times, 0.3), labelled.constant(times, rate=0.1, weight=0.3))
    schedule = rates.Polynomial(4.0, 1.0, 20.0)
    assert_allclose(FALLING.labelled(times, 0.3), labelled.polynomial(times, schedule=schedule, weight=0.3))
    assert_allclose(COUNT.labelled(times, 0.3), labelled.inverse_count(times, weight=0.3, initial=1))


@pytest.mark.parametrize("step", [constant(0.1), FALLING, COUNT])
def test_a_centre_without_samples_stays_at_its_start(step):
    assert_allclose(step.labelled(np.array([5, 9]), 0.0), [[1, 1], [0, 0], [1, 1]])


def test_a_mode_of_relaxation_1_is_a_labelled_centre():
    assert_allclose(constant(0.1).mode(300, 0.3, 1.0), constant(0.1).labelled(300, 0.3))
    assert_allclose(FALLING.mode(300, 0.3, 1.0), FALLING.labelled(300, 0.3))
    assert_allclose(COUNT.mode(3000, 0.3, 1.0).noise, COUNT.labelled(3000, 0.3).noise, rtol=5e-3)  # the mean schedule


def test_an_average_is_that_of_the_iterates_behind_the_first():
    expected = labelled.averaged(300, rate=0.1, weight=0.3, burn=100, relaxation=0.5)
    assert_allclose(constant(0.1).mode(300, 0.3, 0.5, 100), expected)
    with pytest.raises(ValueError, match="rule is 'polynomial', expected 'constant'"):
        FALLING.mode(300, 0.3, 0.5, 100)


def test_a_start_that_counts_for_more_samples_makes_shorter_steps():
    assert StepLaw("1/n", (9,)).fastest() == 0.1
    assert StepLaw("1/n", (9,)).now(20, 0.5) == 1 / 20


def test_what_a_situation_is_by_its_numbers():
    pair = situation(samples=9)
    assert (pair.tied, pair.equal, pair.equidistant, pair.hard) == (False, True, True, True)
    assert situation(samples=9, tied=True, sharpness=1.0).tied
    assert not situation(samples=9, k=1, separation=math.inf).tied
    assert not situation(samples=9, weights=(0.6, 0.4)).equal
    assert not situation(samples=9, scales=(1.0, 2.0)).equal
    assert not situation(samples=9, k=3, common=False).equidistant
    drawn = situation(samples=9, common=False)  # two means that are as far apart in every run, or are not
    assert drawn.equidistant
    assert not drawn._replace(widest=5.0).equidistant
