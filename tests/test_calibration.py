"""Levels and coverage by simulation: what is printed as 95 % holds the truth in 93 to 97 %, or is not printed."""

import numpy as np
import pytest
from scipy import stats

from jgmm.study import inference, skewed


@pytest.fixture(autouse=True)
def strict():
    """NumPy only."""


FAMILIES = {
    "chi2_1": lambda rng, size: rng.chisquare(1, size),
    "chi2_4": lambda rng, size: rng.chisquare(4, size) / 4,
    "lognormal": lambda rng, size: np.exp(rng.standard_normal(size) - 0.5),
}


@pytest.mark.parametrize("runs", [5, 8, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_interval_of_a_mean_covers_for_skewed_errors(family, runs):
    found = skewed.shape(FAMILIES[family](np.random.default_rng(runs), (4000, runs)))
    below, above = skewed.tails(found, np.ones(4000), np.ones(4000), 0.025)
    covered = np.mean((below > 0.025) & (above > 0.025))
    # 93 to 97 %, and 2.5 standard errors of 4000 studies. Student's t: 78, 83, 91 % of the lognormal's.
    assert 0.93 - 0.01 <= covered <= 0.97 + 0.007


@pytest.mark.parametrize("runs", [5, 8, 300])
def test_the_limits_of_a_mean_are_where_the_tails_reach_the_level(runs):
    values = np.random.default_rng(runs).chisquare(4, runs)
    interval = inference.mean_interval(values, 0.9)
    found = skewed.shape(values)
    assert skewed.tails(found, interval.high, interval.high, 0.05)[0] == pytest.approx(0.05, rel=1e-6)
    assert skewed.tails(found, interval.low, interval.low, 0.05)[1] == pytest.approx(0.05, rel=1e-6)
    assert interval.low < values.mean() == interval.value < interval.high
    scaled = inference.mean_interval(1e-3 * values, 0.9)
    np.testing.assert_allclose(scaled, np.multiply(interval, 1e-3), rtol=1e-7)


def test_many_nearly_normal_runs_have_students_interval():
    values = np.random.default_rng(0).normal(10, 1, 4000)
    interval, plain = inference.mean_interval(values), inference.mean(values)
    np.testing.assert_allclose(interval[1:], plain.value + np.array([-1, 1]) * 1.96 * plain.standard_error, rtol=2e-4)


def test_runs_that_cannot_tell_have_no_interval():
    rng = np.random.default_rng(0)
    rare = np.where(np.arange(300) < 3, 1000.0, rng.chisquare(4, 300))
    signed = np.where(np.arange(300) < 3, 1.0, 1e-9 * rng.normal(size=300))
    for values in ([1.0], [1.0, 2.0, 3.0, 4.0], np.zeros(50), [0.0, *np.ones(20)], rare, signed, -rare):
        assert inference.mean_interval(values) is None
    low, high = inference.mean_interval(np.full(20, 0.3))[1:]
    assert 0.3 * (1 - 1e-4) < low < 0.3 < high < 0.3 * (1 + 1e-4)  # agreement leaves float32's rounding
    with pytest.raises(ValueError, match="finite, got inf"):
        inference.mean_interval([1.0, np.inf, 2.0])


SLOPE = np.arange(-2.0, 3.0) / 10
CONTRASTS = {"slope": SLOPE, "step": np.array([0.0, 0.0, 0.0, -1.0, 1.0])}


@pytest.mark.parametrize("runs", [5, 16, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_interval_of_a_contrast_covers_for_skewed_errors(family, runs):
    values = FAMILIES[family](np.random.default_rng(runs), (3000, 5, runs))
    for contrast in CONTRASTS.values():
        found, parts = inference.contrast_parts(values, contrast)
        reach = inference.student_reach(parts, 0.025)
        # The delta method's t interval: 89 % of chi2_1's at 5 runs.
        assert 0.93 - 0.012 <= np.mean(np.abs(found) <= reach) <= 0.97 + 0.008


def test_a_contrast_by_loop_and_a_ratio():
    values = np.random.default_rng(0).chisquare(4, (5, 9)) * np.arange(1.0, 6.0)[:, None]
    found = inference.contrast_interval(values, SLOPE)
    without = np.array([SLOPE @ np.log(np.delete(values, r, axis=1).mean(axis=1)) for r in range(9)])
    error = np.sqrt(8 * without.var())
    assert found.value == pytest.approx(SLOPE @ np.log(values.mean(axis=1)))
    skewness = np.abs(stats.skew(without))
    z = stats.norm.ppf(0.975)
    reach = stats.t.ppf(0.975, 8) * error * (1 + skewness * (2 * z**2 + 1) / (6 * z * 3))
    assert found.high - found.value == pytest.approx(reach) == pytest.approx(found.value - found.low)
    ratio = inference.ratio_interval(values[1], values[0])
    log = inference.contrast_interval(values, [-1, 1, 0, 0, 0])
    np.testing.assert_allclose(np.log(ratio), log)
    np.testing.assert_allclose(inference.contrast_interval(7.0 * values, SLOPE), found)
    assert inference.contrast_interval(values[:, :4], SLOPE) is None
    for bad, contrast, words in ((values, [1, 0, 0, 0, 0], "sum to 0"), (-values, SLOPE, "at least 0")):
        with pytest.raises(ValueError, match=words):
            inference.contrast_interval(bad, contrast)
