"""Which conditions of its theorem a cell does not meet, and its terms."""

import math

import numpy as np
import pytest
from synthetic import start_study, starts, stored, stream_study

from jgmm.study import regime, spec


def first(study):
    return stored(study, lambda cell: 1.0)[0]


@pytest.mark.parametrize(
    ("study", "condition", "detail"),
    [
        (stream_study(theorem=1, rate=0.01), regime.STEP, "0.01 in place of 0.00619 at N = 10000"),
        (stream_study(rate="1/n"), regime.STEP, "1/n in place of 0.00619 at N = 10000"),
        (stream_study(rate="seed"), regime.STEP, "0.00892 in place of 0.00619 at N = 10000"),
        (stream_study(rate={"adam": 0.001}), regime.STEP, "adam 0.001 in place of 0.00619 at N = 10000"),
        (stream_study(average=0.5), "the estimate is not the last iterate", "an average of the last 50%"),
        (stream_study(start=2.0), "the start is farther than C sigma/20", "2 sigma against 0.4"),
        (stream_study(theorem=1, start=2.0), "the start is farther than C sigma/20", "2 sigma against 0.4"),
        (stream_study(theorem=1, start=0.01, separation=1.0, k=5), "C is below (k ln k)^(1/4)", "1 against 1.68"),
        (stream_study(start=0.01, separation=0.5), "C is below sqrt(ln k)", "0.5 against 0.833"),
        (start_study(block=50, method="oja"), "the seeding is not Algorithm 2", "oja, not a block power iteration"),
    ],
)
def test_each_condition_is_told_with_what_the_cell_has(study, condition, detail):
    assert regime.unmet(first(study)) == [regime.Reason(condition, detail)]


def test_weights_must_be_equal_where_the_theorem_asks_for_that():
    mixture = {"k": 2, "d": 3, "layout": "simplex", "separation": 8.0, "weights": [[0.7, 0.3]]}
    study = spec.Study(mixture=mixture, stream={"n": 10_000, "start": 0.1}, theorem=1)
    assert regime.unmet(first(study)) == [regime.Reason("weights are not equal", "0.7 0.3")]


def test_noise_that_is_not_gaussian_is_out_of_every_theorem():
    mixture = {"k": 2, "d": 3, "layout": "simplex", "separation": 8.0, "noise": "uniform"}
    for stream, theorem in (({"n": 10_000, "start": 0.1}, 1), ({"n": 0}, 3)):
        study = spec.Study(mixture=mixture, stream=stream, theorem=theorem)
        assert regime.unmet(first(study)) == [regime.Reason("the noise is not Gaussian", "uniform")]


@pytest.mark.parametrize("start", ["truth", 0.4])
def test_a_cell_that_meets_every_condition_has_no_reason(start):
    assert regime.unmet(first(stream_study(start=start))) == []


def test_a_cell_that_is_held_against_no_theorem_has_no_reason_and_no_terms():
    item = first(stream_study(theorem="none", rate=0.3, separation=0.1))
    assert regime.unmet(item) == []
    assert regime.variance(item) is regime.log_floor(item) is regime.theorem_of(item) is None
    assert regime.enough_samples(item)


def test_a_start_by_algorithm_2_is_theorem_1s_but_theorem_2s_only_where_it_is_near():
    for theorem, far, unmet in ((1, 3, 0), (2, 0, 0), (2, 3, 1)):
        item = first(stream_study(theorem=theorem, start="seeding", separation=16.0))
        item.values["error_max"][:, 0] = 0.5
        item.values["error_max"][:far, 0] = 0.9  # C sigma/20 is 0.8
        reasons = regime.unmet(item)
        assert len(reasons) == unmet
    assert reasons[0].detail == "in 3 of 256 runs of Algorithm 2"
    assert not regime.starts_near_instead(item)
    assert regime.starts_near_instead(first(stream_study(theorem=1)))
    assert not regime.starts_near_instead(first(stream_study(theorem=2)))


def test_the_least_realised_separation_counts():
    item = first(stream_study(start=0.38))
    near = item._replace(realised_separation=np.where(np.arange(256) == 7, 7.5, 8.0))
    assert regime.unmet(near)[0].detail == "0.38 sigma against 0.375"


def test_updates_of_another_sharpness_are_not_ems():
    mixture = {"k": 2, "d": 10, "separation": 4.0}
    study = spec.Study(algorithm="em", mixture=mixture, stream={"n": 1000, "start": 0.1}, em={"beta": [1.0, 2.0]})
    em, other = stored(study, lambda cell: 1.0)
    assert regime.own_updates(em)
    assert not regime.own_updates(other)
    assert regime.unmet(em) == []
    assert regime.unmet(other) == [regime.Reason(regime.UPDATES, "beta = 2")]


def test_terms_by_hand():
    """k = 2, d = 10, C = 8, sigma = 1, N = 10,000."""
    item = first(stream_study())
    assert regime.variance(item) == pytest.approx(8 * 10 * math.log(10_000) / 10_000)
    assert regime.log_floor(item) == pytest.approx(math.log(8 * math.exp(-8) * 66))
    em = first(spec.Study(algorithm="em", mixture={"k": 2, "d": 10}, stream={"n": 10_000, "start": 0.1}))
    assert regime.variance(em) == pytest.approx(10 * math.log(10_000) / 10_000)
    assert regime.log_floor(em) is None
    assert regime.log_floor_beside(em) == pytest.approx(math.log(8 * math.exp(-2) * 18))


def test_samples_are_those_of_the_stream_and_of_algorithm_2():
    """k^3 d^3 ln d = 18,421 at k = 2, d = 10, and 287,823 at k = 5."""
    few, many = (first(stream_study(theorem=1, n=[n])) for n in (18_000, 19_000))
    assert [regime.enough_samples(item) for item in (few, many)] == [False, True]
    seeded = spec.Study(
        mixture={"k": 2, "d": 10, "layout": "simplex", "separation": 8.0},
        stream={"n": 19_000},
        seeding={"n": [18_000, 19_000]},
        theorem=1,
    )
    assert [regime.enough_samples(item) for item in stored(seeded, lambda cell: 1.0)] == [False, True]
    (alone,) = starts(start_study(n=287_900), lambda cell: 1.0)
    assert regime.enough_samples(alone)
