"""Is a mean carried by a few runs? Its variance?"""

import numpy as np
import pytest

from jgmm import stats
from jgmm.stats import concentration


def test_runs_that_deviate_by_the_same_are_counted():
    assert stats.effective_runs([1.0, -1.0, 1.0, -1.0]) == pytest.approx(4, rel=1e-14)
    rare = np.zeros(1_000_000)
    rare[:5] = 1.0
    assert stats.effective_runs(rare) == pytest.approx(5, rel=1e-4)  # the others deviate by 5e-6
    assert stats.effective_runs([2.0, 2.0]) == 0
    assert concentration.effective_number(np.array([2.0, 1.0, 1.0])) == pytest.approx(16 / 6, rel=1e-14)


def test_two_percent_of_the_runs_carry_a_mean_with_more_than_half_of_it():
    runs = np.ones(100)
    runs[:2] = 49.5
    assert stats.carried_by_few(runs)  # 99 against 98
    runs[:2] = 48.5
    assert not stats.carried_by_few(runs)
    assert not stats.carried_by_few([1.0, 5.0])  # more than half, but less than 5 means
    assert not stats.carried_by_few([1.0, -1.0] * 50)  # sizes count, not signs


@pytest.mark.parametrize(
    ("runs", "effective", "known"),
    [(4, 4.0, False), (5, 1.25, True), (5, 1.2, False), (40, 10.0, True), (1000, 10.0, True), (1000, 9.9, False)],
)
def test_ten_runs_or_a_quarter_know_a_variance(runs, effective, known):
    assert concentration.knows_variance(runs, effective) is known


@pytest.mark.parametrize("n", [64, 300, 4096])
def test_a_mean_is_carried_by_a_few_failures_but_not_by_a_tail(n):
    rng = np.random.default_rng(n)
    for _ in range(100):
        assert not stats.carried_by_few(rng.chisquare(1, n))
        assert not stats.carried_by_few(rng.lognormal(0, 1, n))
        failing = rng.chisquare(1, n)
        failing[: max(1, n // 100)] = 1000 * rng.chisquare(3, max(1, n // 100)).clip(0.2)
        assert stats.carried_by_few(failing)


def test_a_normal_variance_is_carried_by_a_third_of_the_runs():
    normal = np.random.default_rng(0).normal(size=100_000)
    assert stats.effective_runs(normal) == pytest.approx(100_000 / 3, rel=0.02)


def test_no_runs_carry_nothing():
    for ask in (stats.carried_by_few, stats.effective_runs):
        with pytest.raises(ValueError, match="at least 1 runs"):
            ask([])
