"""What is said of exact laws beside the means of a study."""

import numpy as np
from synthetic import stored

from jgmm.study import spec, verdicts


def oracle_study():
    return spec.Study(algorithm="oracle", mixture={"k": 2, "d": 2}, stream={"n": [500, 1000], "start": "truth"})


def right(cell):
    """The oracle's error, about."""
    return cell.k * cell.d / (cell.n / cell.k)


def test_means_that_agree_and_means_that_do_not():
    agrees = verdicts.law_verdict(stored(oracle_study(), right, cv=0.05), look=1)
    assert agrees.agrees is True
    assert agrees.sentence.startswith("All 2 means with a known law agree with it: the least likely is off by ")
    assert "Over all of them measured / law is " in agrees.sentence
    off = verdicts.law_verdict(stored(oracle_study(), lambda c: 1.1 * right(c), cv=0.05), look=1)
    assert off.agrees is False
    assert "2 means have a known law, the worst is off by " in off.sentence
    assert "simulation or law is wrong there, or more runs will agree." in off.sentence
    assert "k=2 d=2 C=4 N=" in off.sentence


def test_means_below_half_of_their_law_may_lack_rare_runs():
    low = verdicts.law_verdict(stored(oracle_study(), lambda c: right(c) * (0.4 if c.n == 500 else 1), runs=64), look=1)
    assert low.agrees is None
    assert "1 of 2 means with a known law agree with it. 1 are below half of theirs (main, k=2 d=2 C=4 N=500)" in (
        low.sentence
    )


def test_laws_that_are_not_held_against_a_mean_are_counted():
    data = stored(oracle_study(), right, cv=0.05)
    all_tested = verdicts.law_verdict(data, look=1)
    assert "All 2 means" in all_tested.sentence
    assert "more have" not in all_tested.sentence
    data[0].values["error_sq"][:2, -1] = 100.0  # carried by a few
    one_tested = verdicts.law_verdict(data, look=1)
    assert "All 1 means" in one_tested.sentence
    assert "1 more have fewer than 5 good runs, runs without any error, or are carried by a few" in one_tested.sentence


def test_laws_that_no_mean_can_be_held_against_are_not_silent():
    untested = verdicts.law_verdict(stored(oracle_study(), lambda c: 1.0, runs=4), look=1)
    assert untested.agrees is None
    assert untested.sentence.startswith("Not tested: all 2 means with a known law have fewer than 5 good runs")


def test_floors_are_held_against_their_law_too():
    """b(3)^2 of both centres at C = 3; the displacements of a study that settles there have no other error."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": 3.0}
    stream = {"n": 100_000, "start": "truth", "rate": 1e-3, "displacement": True, "checkpoints": 1}
    study = spec.Study(mixture=mixture, stream=stream)

    def settled(rng, cell, runs):
        return np.array([0.0586136 / np.sqrt(2), -0.0586136 / np.sqrt(2)]) + 1e-3 * rng.standard_normal((runs, 2))

    for times, agrees in ((1.0, True), (1.2, False)):
        data = stored(study, lambda c: 0.1, displacement=lambda *a, t=times: np.sqrt(2) * t * settled(*a))
        verdict = verdicts.law_verdict(data, look=1)
        assert verdict.agrees is agrees
        assert "(floor, main, k=2 d=2 C=3 N=100000)" in verdict.sentence


def test_where_estimate_and_twin_agree_the_law_tested_is_the_labelled_one_and_that_is_said():
    """Equal weights at C = 12: estimates are their twins; at the other N one run has a sample in another centre."""
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": 12.0}
    study = spec.Study(mixture=mixture, stream={"n": [500, 1000]}, theorem="none")
    data = []
    for item in stored(study, lambda c: 0.04, cv=0.7):
        errors = item.values["error_sq"]
        twin = {"twin_error_sq": errors * (1 + 1e-6), "twin_mean_sq": np.full_like(errors, 0.04)}
        if item.cell.n == 1000:
            twin["twin_error_sq"][3, -1] *= 1.01
        data.append(item._replace(twin=twin))
    said = (
        "In 1 of 2 estimate and twin agree in every run, as if every label were known: of these it is the labelled law"
        " that is tested, not what overlap does."
    )
    assert said in verdicts.law_verdict(data, look=1).sentence
    without = [item._replace(twin=None) for item in data]
    assert "estimate and twin" not in str(verdicts.law_verdict(without, look=1))
