"""The rows of a summary, from a stored cell whose numbers are written in the test."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import cell_data

from jgmm import stats
from jgmm.study import read, spec, summary

(CELL,) = spec.cells(spec.Study(mixture={"k": 2, "d": 2}, stream={"n": 1000, "start": 0.1}))


def last_row(item):
    return summary.summarize(item)[-1]


def test_a_mean_and_its_standard_error_by_hand():
    row = last_row(cell_data(CELL, np.array([1.0, 2.0, 3.0, 6.0])))
    assert row["error_sq_mean"] == 3.0
    assert_allclose(row["error_sq_se"], math.sqrt((4 + 1 + 0 + 9) / 3) / 2)
    assert (row["runs"], row["runs_ok"], row["few"], row["kept"]) == (4, 4, True, 1.0)
    assert row["error_sq_q50"] == 2.5


def test_the_columns_of_good_runs_leave_the_others_out():
    item = cell_data(CELL, np.array([1.0, 2.0, 3.0, 100.0]))._replace(ok=np.array([True, True, True, False]))
    row = last_row(item)
    assert (row["error_sq_mean"], row["error_sq_ok_mean"], row["runs_ok"], row["kept"]) == (26.5, 2.0, 3, 0.75)


@pytest.mark.parametrize(("values", "mean"), [([], math.nan), ([2.0], 2.0), ([1.0, math.inf], math.inf)])
def test_what_has_no_standard_error_has_none(values, mean):
    assert_array_equal(summary.mean_and_error(np.array(values)), (mean, math.nan))


def test_runs_that_are_not_finite_are_worse_than_any_that_is():
    values = np.array([1.0, 3.0, math.nan, 2.0, math.inf])
    assert summary.quantile(values, 0.5).value == 3.0
    assert summary.quantile(values, 0.95).value == math.inf


def test_a_run_has_converged_where_no_centre_is_half_a_separation_away_or_lost():
    last = CELL.separation / 2 * np.array([0.9, 1.1, 0.9, 0.9])
    item = cell_data(CELL, last**2)
    item.values["lost"][2, -1] = 1
    assert summary.converged(item, -1).value == 0.5


def with_twin(errors, twin):
    """A cell whose twin's error is `twin` at the end; its exact mean is 1."""
    both = {"twin_error_sq": np.stack([np.ones_like(twin), twin], axis=1), "twin_mean_sq": np.ones((len(twin), 2))}
    assert set(both) == set(read.TWINS)
    return cell_data(CELL, errors)._replace(twin=both)


def test_a_twin_that_explains_an_error_takes_its_variance():
    rng = np.random.default_rng(0)
    twin = 1 + rng.normal(0, 0.3, 400)
    noise = rng.normal(0, 0.03, 400)
    item = with_twin(2 + twin + noise, twin)
    row = last_row(item)
    controlled = stats.controlled(2 + twin + noise, twin, np.ones(400))
    assert (row["error_sq_controlled"], row["variance_factor"]) == (controlled.value, controlled.variance_factor)
    assert 50 < row["variance_factor"] < 200  # (0.3^2 + 0.03^2) / 0.03^2 = 101
    assert_allclose(row["twin_gap"], (twin.mean() - 1) / (twin.std(ddof=1) / 20), rtol=1e-6)
    assert summary.law_sample(item).var() < 0.02 * item.error_sq.var()
    assert_allclose(row["twin_error_sq_ok_mean"], twin.mean(), rtol=1e-6)
    assert_allclose(row["twin_error_sq_ok_se"], twin.std(ddof=1) / 20, rtol=1e-6)


def test_a_twin_that_explains_nothing_is_not_taken_off():
    rng = np.random.default_rng(0)
    item = with_twin(2 + rng.normal(0, 0.3, 400), 1 + rng.normal(0, 0.3, 400))
    item = item._replace(ok=np.arange(400) > 0)
    assert_array_equal(summary.law_sample(item), [math.nan, *item.error_sq])


def test_without_a_twin_nothing_is_controlled():
    row = last_row(cell_data(CELL, np.arange(1.0, 9.0)))
    assert row["error_sq_controlled"] is row["variance_factor"] is row["twin_gap"] is None
    assert row["twin_error_sq_ok_mean"] is row["twin_error_sq_ok_se"] is None
