"""What overlap changes, in limits and against samples that are counted."""

import math

import numpy as np
import pytest
from situations import constant, situation

from jgmm.theory import overlap


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
