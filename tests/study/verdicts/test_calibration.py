"""How often whole verdicts contradict bounds of the true shape, many studies at once as one by one."""

import many_studies  # benchmarks/many_studies.py: verdicts on thousands of studies at once
import numpy as np
import pytest
from synthetic import cell_data, verdict_on

from jgmm.study import spec


def rarely(share, studies):
    """At most the level and two standard errors of it."""
    return share <= many_studies.LEVEL + 2 * np.sqrt(many_studies.LEVEL * (1 - many_studies.LEVEL) / studies)


@pytest.mark.parametrize("runs", [8, 16, 64])
@pytest.mark.parametrize("family", ["chi2_1", "lognormal", "lost 3%"])
def test_a_bound_of_the_true_shape_is_contradicted_as_rarely_as_said(family, runs):
    # The delta method's error with Student's t: 5 % at 8 runs of which 3 % are lost.
    assert rarely(many_studies.bound_shares(family, runs, 300, parts=1).todays, 300)


@pytest.mark.long
@pytest.mark.parametrize("runs", [8, 16, 64, 256])
@pytest.mark.parametrize("family", many_studies.FAMILIES)
def test_a_bound_of_the_true_shape_is_contradicted_as_rarely_as_said_at_length(family, runs):
    assert rarely(many_studies.bound_shares(family, runs, 2000, seed=5).todays, 2000)


def test_an_exponent_above_the_bounds_is_seen_at_64_runs():
    assert many_studies.bound_shares("chi2_4", 64, 100, (0.2, 0.0), parts=1).todays > 0.97
    assert many_studies.bound_shares("chi2_4", 64, 100, (0.0, 0.6), parts=1).todays > 0.9


def kind_of(values, above):
    """What is said of Theorem 1 where errors (N, k, runs) are these times its variance term and N^above."""
    mixture = {"k": [int(k) for k in many_studies.KS], "d": 5, "layout": "simplex", "separation": 12.0}
    stream = {"n": [int(n) for n in many_studies.NS], "start": 0.5, "checkpoints": 1}
    study = spec.Study(mixture=mixture, stream=stream, theorem=1)

    def errors(cell):
        mean = cell.k**3 * np.log(cell.n) / cell.n * cell.n**above
        return mean * values[list(many_studies.NS).index(cell.n), list(many_studies.KS).index(cell.k)]

    return verdict_on(study, [cell_data(cell, errors(cell)) for cell in spec.cells(study)]).verdict


def verdicts_one_by_one(family, runs, studies):
    """Half of the studies' exponents in N are above the bound's, by about what the runs can just see."""
    values = many_studies.FAMILIES[family](np.random.default_rng(12), (studies, 5, 5, runs))
    seen = []
    for above in (0.0, 0.35 / np.sqrt(runs / 16)):
        many = many_studies.bounds_contradicted(values, (above, 0.0)).todays
        assert [kind_of(study, above) == "contradicted" for study in values] == list(many)
        seen.append(many.mean())
    return seen


def test_many_bounds_at_once_are_judged_as_whole_verdicts():
    alarms, power = verdicts_one_by_one("chi2_4", 16, 5)
    assert alarms < 0.5
    assert power > 0


@pytest.mark.long
@pytest.mark.parametrize("family", ["chi2_1", "lognormal", "lost 2%"])
def test_many_bounds_at_once_are_judged_as_whole_verdicts_at_length(family):
    for runs in (8, 64):
        verdicts_one_by_one(family, runs, 20)
