"""What the course project drew and logged, beside the laws."""

import numpy as np
from numpy.testing import assert_allclose

from jgmm import theory
from jgmm.course_project import printed


def test_the_curve_keeps_the_slips_of_the_course_project():
    drawn = printed.theorem1_as_drawn(n=100, k=3, d=2, sigma=10, separation=4.0, mean_norm=50)
    assert_allclose(drawn, 50 / 100 + 27 * 100 * 2 * np.log(100) / 100 + np.exp(-2) * (16 + 3) * 100, rtol=1e-12)


def test_the_errors_that_the_course_project_logged_are_s2():
    # Sums of distances over five centres, logged after the start, in the document's two runs.
    logged = np.array(printed.LOGGED)[:, 1:].ravel()
    law = 5 * theory.stationary_distance(rate=15 * np.log2(3 * 978004) / 978004, sigma=10, d=10)
    natural = 5 * theory.stationary_distance(rate=15 * np.log(3 * 978004) / 978004, sigma=10, d=10)
    standard_error = logged.std(ddof=1) / np.sqrt(len(logged))
    assert abs(logged.mean() - law) < 3 * standard_error
    assert abs(logged.mean() - natural) > 3 * standard_error
