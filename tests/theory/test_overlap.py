"""What overlap changes, in limits and against samples that are counted."""

import math

import numpy as np
import pytest
from situations import constant, situation

from jgmm.theory import floors, overlap
from jgmm.theory.situation import StepLaw


def test_the_separation_that_samples_see_is_that_of_noisy_centres():
    """Misassigned samples of a noisy pair, counted, beside Q(C_eff / 2)."""
    rng, d, spread, runs = np.random.default_rng(4), 40, 0.08, 60_000
    means = np.zeros((2, d))
    means[:, 0] = 2.0, -2.0
    centres = means[None] + np.sqrt(spread) * rng.standard_normal((runs, 2, d), np.float32)
    x = means[0] + rng.standard_normal((runs, d), np.float32)
    distances = np.sum((x[:, None] - centres) ** 2, axis=2)
    found = np.mean(distances[:, 0] > distances[:, 1])
    expected = 0.5 * math.erfc(overlap.seen(situation(samples=9, d=d), 4.0, spread) / 2 / math.sqrt(2))
    assert found == pytest.approx(expected, rel=0.06)  # 2,000 of them
    assert found > 1.3 * 0.5 * math.erfc(2 / math.sqrt(2))


def test_the_separation_that_samples_see_by_hand():
    """Of EM's one mean and its mirror image both ends of the gap err together."""
    two, one = situation(samples=9, d=11), situation(samples=9, d=11, tied=True, sharpness=1.0)
    assert overlap.seen(two, 4.0, 0.1) == pytest.approx(4 / math.sqrt((1 + 2 * 0.1 * 10 / 16) * 1.05))
    assert overlap.seen(one, 4.0, 0.1) == pytest.approx(4 / math.sqrt((1 + 4 * 0.1 * 10 / 16) * 1.1))


def test_at_a_small_rate_what_overlap_changes_is_the_floor():
    for k in (2, 5):
        told = situation(samples=10**6, k=k, separation=3.0, step=constant(1e-4))
        assert overlap.symmetric(told, told.step).change == pytest.approx(floors.floor(told), rel=0.02)


def test_the_fixed_point_of_more_than_two_soft_centres_is_known_to_its_own_size():
    """It is added up of those of pairs; that of Lloyd's simplex is exact."""
    soft, hard = (
        overlap.symmetric(situation(samples=10**6, k=3, separation=3.0, sharpness=beta), constant(1e-4))
        for beta in (3.0, math.inf)
    )
    assert soft.accuracy > soft.change
    assert hard.accuracy < 0.7 * hard.change


def test_a_light_component_of_soft_updates_has_its_boundary_nearer():
    """By ln(w_1/w_2)/(beta C/2), so that it may lose (w_1/w_2 + 1) phi(C'/2) of its samples."""
    told = situation(samples=10**6, separation=6.0, weights=(0.9, 0.1), sharpness=1.0)
    near = 6.0 - 2 * math.log(9) / 6
    pull = 10 * math.exp(-(near**2) / 8) / math.sqrt(2 * math.pi)
    assert overlap.most(told, constant(1e-5)) > 2 * pull**2


def test_a_centre_without_samples_of_its_own_moves_by_every_one_that_it_wins():
    told = situation(samples=10**6, separation=6.0, weights=(1.0, 0.0))
    won = 10**6 * 0.5 * math.erfc(3 / math.sqrt(2))
    assert overlap.most(told, constant(0.02)) > won * 0.02**2 * (6**2 + 10)


def test_large_first_steps_blur_a_boundary_as_a_start_does():
    gentle, sudden = (StepLaw("polynomial", (4.0, 1.0, shift)) for shift in (200.0, 20.0))
    told = situation(samples=10**5, d=40)
    assert overlap.most(told, sudden) > 1.1 * overlap.most(told, gentle)


def test_overlap_changes_nothing_far_apart():
    far = situation(samples=3000, separation=30.0)
    change = overlap.symmetric(far, far.step)
    assert abs(change.change) < 1e-12 * far.start_sq
    assert change.accuracy < 1e-12 * far.start_sq
    assert overlap.most(far, far.step) < 1e-12 * far.start_sq


def test_a_start_that_is_gone_has_no_directions_left():
    """Half of it is left after ln 2/(2 w eta) samples, if all of it is in the slowest mode a little more."""
    step = constant(0.02)
    told = [situation(samples=n, separation=2.0) for n in (35, 3000)]
    early, late = (overlap.uneven(about, step) for about in told)
    assert 0.01 * told[0].start_sq < early < told[0].start_sq
    assert late < 1e-6 * told[0].start_sq


def test_the_most_that_overlap_may_change_is_more_than_what_it_changes():
    for separation in (3.0, 4.0, 6.0):
        about = situation(samples=3000, separation=separation)
        assert overlap.most(about, about.step) > abs(overlap.symmetric(about, about.step).change)
