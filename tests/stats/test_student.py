"""Student's t, widened for skewness."""

import numpy as np
import scipy.stats
from numpy.testing import assert_allclose

from jgmm import stats
from jgmm.stats import student


def test_quantiles_are_those_of_scipy():
    for tail in (0.4, 0.025, 1e-6):
        assert student.normal_quantile(tail) == scipy.stats.norm.isf(tail)
        for freedom in (1, 7, 400):
            assert student.t_quantile(tail, freedom) == scipy.stats.t.isf(tail, freedom)


def test_runs_without_skewness_have_students_interval():
    v = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) + 3
    interval = scipy.stats.ttest_1samp(v, 0).confidence_interval(0.9)
    assert_allclose(3 + stats.student_reach(v, 0.05) * np.array([-1, 1]), interval, rtol=1e-13)


def test_skewness_widens_by_the_first_edgeworth_term():
    v = np.array([0.0, 0.0, 0.0, 4.0])  # mean 1, deviations -1, -1, -1, 3: variance 3, third moment 24/4
    skewness = 6 / 3**1.5
    z = scipy.stats.norm.isf(0.05)
    wider = 1 + skewness * (2 * z**2 + 1) / (6 * z * 2)
    reach = scipy.stats.t.isf(0.05, 3) * wider * np.sqrt(4 / 4)  # s^2 = 4
    assert_allclose(stats.student_reach(v, 0.05), reach, rtol=1e-13)
    assert_allclose(stats.student_reach(-v, 0.05), reach, rtol=1e-13)
    assert_allclose(student.widened_error(v, 0.05), wider, rtol=1e-13)


def test_samples_together_are_as_each_alone():
    v = np.random.default_rng(0).gamma(1, 1, (3, 4, 9))
    alone = [[stats.student_reach(row, 0.025) for row in rows] for rows in v]
    assert_allclose(stats.student_reach(v, 0.025), alone, rtol=1e-14)
