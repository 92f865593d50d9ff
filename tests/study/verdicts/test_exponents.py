"""Errors along an axis against a variance term."""

import numpy as np
import pytest
from synthetic import stored, stream_study, verdict_of, wide_grid

from jgmm.study import spec
from jgmm.study.verdicts import exponents


def curve_of(study, means, **options):
    (curve,) = exponents.lines(study, stored(study, means, **options))
    return curve


def test_a_finding_by_hand_has_the_exponents_of_the_error_and_of_the_term():
    """1/N at N = 1e4, 2e4, 4e4; the term ln N/N falls by N^(log2(ln 2e4/ln 1e4) - 1) and less."""
    curve = curve_of(stream_study(), lambda c: 100 / c.n, cv=1e-9)
    finding = exponents.finding(2, curve, 0.05)
    term = np.log(curve.x) / curve.x
    assert (finding.theorem, finding.axis, finding.part, finding.kind) == ("2", "N", "main", "loose")
    assert finding.measured == pytest.approx(-1, abs=1e-6)
    assert finding.bound == pytest.approx(np.polyfit(np.log(curve.x), np.log(term), 1)[0], rel=1e-9)
    assert finding.gap == pytest.approx(finding.measured - finding.bound, rel=1e-12)
    assert finding.low < finding.gap < finding.high
    assert finding.over == "N 10000 to 40000"
    assert finding.detail.endswith("local exponents -1.000, -1.000")


def test_curves_are_along_what_variance_terms_depend_on_and_not_along_the_separation():
    mixture = {"k": 2, "d": [2, 3, 4], "layout": "simplex", "separation": [8.0, 9.0, 10.0]}
    study = spec.Study(mixture=mixture, stream={"n": 1000, "start": 0.1}, theorem=2)
    lines = exponents.lines(study, stored(study, lambda c: 1.0))
    assert [curve.axis for curve in lines] == ["d"] * 3


def test_cells_on_their_floor_leave_a_curve():
    """The exact floor at k = 2, C = 3 is 2 b(C)^2 = 0.00172."""
    study = stream_study(separation=3.0)
    assert len(exponents.above_floor(curve_of(study, lambda c: 1.0)).items) == 3
    assert len(exponents.above_floor(curve_of(study, lambda c: 0.01)).items) == 0


@pytest.mark.parametrize(("d", "kind"), [(3, "contradicted"), (40, "few samples")])
def test_a_contradiction_wants_the_samples_that_the_theorem_asks_for(d, kind):
    """k^3 d^3 ln(k d) is 387 at d = 3 and 2.2e6 at d = 40."""
    curve = curve_of(stream_study(d=d, separation=12.0), lambda c: c.n**-0.5)
    assert exponents.finding(2, curve, 0.05).kind == kind


def test_a_contradiction_at_the_sizes_that_have_enough_samples_stands():
    """k^3 d^3 ln d is 45,082 at k = 2, d = 13, which three of five sizes have."""
    verdict = verdict_of(wide_grid(k=2, d=13), lambda c: c.n**-0.5)
    assert {finding.kind for finding in verdict.findings} == {"contradicted"}
