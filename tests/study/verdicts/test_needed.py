"""How many runs an inconclusive verdict would need, by the square-root law."""

import numpy as np
import pytest
from synthetic import stored, stream_study, variance

from jgmm.study import verdicts
from jgmm.study.verdicts import needed
from jgmm.study.verdicts.finding import FLOOR_AXIS, Finding, Verdict


def finding(axis, value, low, high, kind="inconclusive", runs=100):
    gap = value - 1 if axis == "success" else value
    return Finding("1", "p", axis, "", kind, value, 1.0, gap, low, high, "", runs=runs)


def verdict(*findings, kind="inconclusive"):
    return Verdict("1", kind, "", "", 0.05, 1, list(findings), [])


@pytest.mark.parametrize(
    ("found", "runs"),
    [
        (finding("k", 0.0, -0.06, 0.06), 400),  # tight when both ends are within 0.03: a half of the width
        (finding("k", 0.01, -0.05, 0.07), 900),  # the nearer margin is 0.02 away
        (finding("k", -0.13, -0.33, 0.07), 400),  # loose when the upper end, 0.2 away, is 0.1 away
        (finding("k", 0.13, -0.07, 0.33), 400),  # contradicted: the other side
        (finding(FLOOR_AXIS, 0.0, -0.02, 0.02), 400),  # a floor's margin is 0.01
        (finding("success", 0.8, 0.7, 1.2), 400),  # a distance over its limit: below 1
        (finding("k", 0.03, -0.1, 0.1), None),  # at the margin
        (finding("k", 0.0, -np.inf, np.inf), None),
    ],
)
def test_by_hand_the_width_falls_like_one_over_the_root_of_the_runs(found, runs):
    assert needed.runs_needed(found) == (pytest.approx(runs, abs=1) if runs else None)


def test_a_verdict_needs_what_the_worst_of_its_open_findings_needs():
    open_ = finding("k", 0.0, -0.06, 0.06), finding("n", 0.01, -0.05, 0.07), finding("d", 0.0, -9.0, 9.0, kind="tight")
    lacks = needed.of_verdict(verdict(*open_))
    assert (lacks.axes, lacks.runs, lacks.needed) == (["k", "n"], 100, pytest.approx(900, abs=1))
    assert needed.of_verdict(verdict(*open_, kind="consistent, loose")) is None
    assert needed.of_verdict(verdict(kind="inconclusive")) is None
    unknown = needed.of_verdict(verdict(open_[0], finding("n", 0.0, -np.inf, np.inf)))
    assert unknown.needed is None


def test_with_four_times_the_runs_that_are_asked_for_a_verdict_is_reached():
    study = stream_study()
    (few,) = verdicts.verdicts(study, stored(study, variance, runs=40), look=1)
    lacks = needed.of_verdict(few)
    assert lacks.needed > 40
    (many,) = verdicts.verdicts(study, stored(study, variance, runs=4 * lacks.needed), look=1)
    assert many.verdict == "consistent, tight"
