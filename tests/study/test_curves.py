"""Curves of stored cells: which there are, when they have an exponent, and which."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from synthetic import stored

from jgmm import stats
from jgmm.study import curves, expected, regime, spec


def grid(mixture, **stream):
    """A study of Theorem 1 near the truth, with one checkpoint."""
    fixed = {"d": 20, "layout": "simplex", "separation": 12.0}
    table = {"n": 1000, "start": 0.5, "checkpoints": 1}
    return spec.Study(mixture={**fixed, **mixture}, stream={**table, **stream}, theorem=1)


def test_every_axis_of_three_numbers_makes_a_curve_at_each_setting_of_the_others():
    study = grid({"k": [4, 2, 3], "d": [20, 30]}, n=[4000, 1000, 2000])
    lines = curves.curves(study, stored(study, lambda cell: cell.k / cell.n, runs=16))
    assert sorted((line.axis, line.setting) for line in lines) == [
        *(("k", f"d={d} N={n} C=12") for d in (20, 30) for n in (1000, 2000, 4000)),
        *(("n", f"k={k} d={d} C=12") for k in (2, 3, 4) for d in (20, 30)),
    ]
    for line in lines:
        assert_array_equal(line.x, [2, 3, 4] if line.axis == "k" else [1000, 2000, 4000])
        assert [getattr(item.cell, line.axis) for item in line.items] == list(line.x)


def test_axes_that_are_walked_together_make_one_curve_along_the_first():
    table = {"k": [2, 3, 4], "d": [20, 30, 40], "layout": "simplex", "separation": 12.0}
    stream = {"n": 1000, "start": 0.5, "checkpoints": 1}
    study = spec.Study(mixture=table, stream=stream, theorem=1, together=["d", "k"])
    (line,) = curves.curves(study, stored(study, lambda cell: 1.0, runs=16))
    assert (line.axis, line.setting) == ("d", "C=12 N=1000")
    assert [item.cell.k for item in line.items] == [2, 3, 4]


def test_two_values_make_no_curve_and_neither_do_words():
    study = grid({"k": [2, 3]}, start=["truth", 0.1, 0.5])
    assert curves.curves(study, stored(study, lambda cell: 1.0, runs=16)) == []


def curve_of(means, *, runs=64, study=None):
    """The one curve along N whose cells have these means."""
    sizes = [1000, 2000, 4000]
    study = study or grid({"k": 2}, n=sizes)
    (line,) = curves.curves(study, stored(study, lambda cell: means[sizes.index(cell.n)], runs=runs))
    return line


def test_a_curve_says_why_it_has_no_exponent():
    assert curves.why_not(curve_of([3.0, 2.0, 1.0])) is None
    assert curves.why_not(curve_of([3.0, 2.0, 1.0], runs=7)) == "fewer than 8 runs are good in all its cells"
    assert curves.why_not(curve_of([3.0, 2.0, 0.0])) == "a mean error is exactly 0"
    carried = curve_of([3.0, 2.0, 1.0])
    carried.items[1].values["error_sq"][0, -1] = 1e4
    assert curves.why_not(carried) == "a mean is carried by a few runs"
    zero = grid({"k": 2}, start=[0.0, 0.1, 0.5])
    (line,) = curves.curves(zero, stored(zero, lambda cell: 1.0, runs=16))
    assert curves.why_not(line) == "0 is among its sizes"


def test_values_are_those_of_the_runs_that_are_good_in_every_cell():
    line = curve_of([3.0, 2.0, 1.0])
    line.items[0].ok[5] = False
    line.items[2].ok[7] = False
    last = np.stack([item.values["error_sq"][:, -1] for item in line.items])
    assert_array_equal(curves.values(line), np.delete(last, [5, 7], axis=1))


def test_a_row_has_the_fit_the_plain_slope_and_the_bounds():
    line = curve_of([0.3, 0.2, 0.1])
    row = curves.fit(line)
    errors, log_n = curves.values(line), np.log([1000, 2000, 4000])
    fit = stats.fit_exponent(line.x, errors)
    assert (row.axis, row.family, row.exponent, row.low, row.high) == ("N", fit.family, fit.exponent, fit.low, fit.high)
    assert_allclose(row.slope, np.polyfit(log_n, np.log(errors.mean(axis=1)), 1)[0], rtol=1e-10)
    terms = [regime.variance(item) for item in line.items]
    assert_allclose(row.bound, np.polyfit(log_n, np.log(terms), 1)[0], rtol=1e-10)
    assert (row.verdict, np.isnan(row.law)) == ("no law", True)
    line.items[0].ok[:16] = False
    assert (row.sizes, row.runs, row.kept) == (3, 64, 1.0)
    assert (curves.fit(line).runs, curves.fit(line).kept) == (48, 0.75)


def oracle():
    """A study whose cells have a law at every N: that of the mean of each centre's own samples."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": 12.0}
    return spec.Study(algorithm="oracle", mixture=mixture, stream={"n": [1000, 2000, 4000], "start": "truth"})


def test_the_laws_own_slope_stands_beside_the_measured_one():
    line = curve_of([4e-3, 2e-3, 1e-3], study=oracle())
    row = curves.fit(line)
    laws = [expected.law(item, 1).error_sq for item in line.items]
    assert_array_equal(curves.law(line), laws)
    assert_allclose(row.law, np.polyfit(np.log([1000, 2000, 4000]), np.log(laws), 1)[0], rtol=1e-10)
    assert row.verdict == "agrees with the law"
    assert curves.fit(curve_of([4e-3, 2e-3, 5e-4], study=oracle())).verdict == "off the law"


def test_a_law_or_a_bound_that_is_not_known_at_every_size_is_none():
    line = curve_of([4e-3, 2e-3, 1e-3], study=oracle())
    line.items[1].ok[:] = False
    assert curves.law(line) is None
    assert curves.variance_term(line) is None  # the oracle has no bound
    separations = grid({"k": 2, "separation": [6.0, 8.0, 12.0]})
    (along,) = curves.curves(separations, stored(separations, lambda cell: 1.0, runs=16))
    assert curves.variance_term(along) is None  # and the variance term none of the separation
    assert all(regime.variance(item) for item in along.items)


def test_rounding_is_no_finding_about_a_law():
    """Runs that share their bits over sigma leave the slope an interval of rounding alone."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": 12.0, "sigma": [0.1, 1.0, 10.0]}
    study = spec.Study(algorithm="oracle", mixture=mixture, stream={"n": 1000, "start": "truth"})
    law = 4 / 498.998  # about, at sigma = 1
    for power, said in ((2 + 1e-8, "agrees with the law"), (2.001, "off the law")):
        data = stored(study, lambda cell: law)
        shared = data[0].values["error_sq"][:, -1].copy()
        for item in data:
            item.values["error_sq"][:, -1] = shared * item.cell.sigma**power
        (fit,) = (fit for fit in map(curves.fit, curves.curves(study, data)) if fit)
        assert fit.high - fit.low < 1e-5  # what float32 leaves of a mean, stats.estimates.ROUNDING, over four decades
        assert fit.slope == pytest.approx(power, rel=1e-6)
        assert fit.verdict == said


def test_no_error_is_a_power_of_the_separation():
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": [3.0, 4.0, 5.0]}
    study = spec.Study(mixture=mixture, stream={"n": 1000, "start": "truth"})
    (curve,) = curves.curves(study, stored(study, lambda cell: 1.0))
    assert curves.usable(curve)
    assert curves.fit(curve) is None
