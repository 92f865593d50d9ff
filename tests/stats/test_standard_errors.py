"""Every standard error, against a bootstrap and against the spread of many small studies."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm import stats


def gamma_runs(rng, n):
    return (rng.gamma(2.0, 1.0, n),)


def nearly_normal_runs(rng, n):
    return (rng.gamma(20.0, 1.0, n),)


def paired_runs(rng, n):
    shared = rng.gamma(1.0, 1.0, n)
    return shared + rng.gamma(3.0, 1.0, n), shared + rng.gamma(2.0, 1.0, n)


def twin_runs(rng, n):
    twin = rng.gamma(2.0, 1.0, n)
    return twin + rng.normal(size=n) * 0.5, twin, np.full(n, 2.0)


def vector_runs(rng, n):
    return (rng.gamma(2.0, 1.0, (n, 3)) - [1.5, 2.0, 2.2],)


def size_runs(rng, n):
    shared = rng.gamma(2.0, 0.5, n)
    return ((shared + rng.gamma(2.0, 0.5, (3, n)).cumsum(axis=0)).T,)


def second_local(runs):
    """The exponent between the second and the third of three sizes."""
    local = stats.local_exponents([1.0, 3.0, 10.0], runs.T)
    return stats.Mean(local.exponent[1], local.standard_error[1], len(runs))


ERRORS = [
    (stats.mean, gamma_runs),
    (stats.root_mean, gamma_runs),
    (stats.relative_deviation, gamma_runs),
    (stats.relative_deviation, nearly_normal_runs),
    (stats.controlled, twin_runs),
    (stats.paired_difference, paired_runs),
    (stats.ratio, paired_runs),
    (stats.squared_length, vector_runs),
    (second_local, size_runs),
]


@pytest.mark.parametrize(("estimate", "draw"), ERRORS)
def test_a_standard_error_is_the_bootstraps(estimate, draw):
    rng = np.random.default_rng(1)
    data = draw(rng, 1000)
    error = estimate(*data).standard_error
    picks = rng.integers(1000, size=(700, 1000))
    again = [estimate(*(part[pick] for part in data)).value for pick in picks]
    # 700 resamples know their SD to 2.7 %; 1/n terms (0.1 %) and the pairs of equal runs are beside that.
    assert_allclose(np.std(again), error, rtol=0.08)


@pytest.mark.parametrize(("estimate", "draw"), ERRORS)
def test_a_standard_error_is_the_spread_of_many_small_studies(estimate, draw):
    rng = np.random.default_rng(2)
    values, errors = np.transpose([estimate(*draw(rng, 100))[:2] for _ in range(1200)])
    # 1200 studies know the spread to 2 %.
    assert_allclose(np.sqrt(np.mean(errors**2)), values.std(), rtol=0.08)
