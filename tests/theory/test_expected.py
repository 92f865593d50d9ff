"""Laws of streams and starts: exact in limits, as sharp as they should be, and none where none is accurate."""

import math

import numpy as np
import pytest
from situations import constant, law, situation

from jgmm import theory
from jgmm.theory import expected
from jgmm.theory.expected import UNKNOWN
from jgmm.theory.situation import StepLaw

EM = {"tied": True, "sharpness": 1.0}


def relative(found):
    return found.accuracy / found.error_sq


def test_far_apart_the_law_is_the_twins_and_exact():
    found = law(separation=20.0, samples=5000, start=0.3)
    settled = 2 * theory.lloyd_error_sq(samples=5000, rate=0.02, weight=0.5, sigma=1, d=10, start_sq=0.09)
    assert found.error_sq == pytest.approx(settled, rel=1e-12)
    assert found.exact
    assert relative(found) == pytest.approx(expected.FLOAT32, rel=0.01)


def test_before_the_first_sample_the_law_is_the_start_however_far():
    found = law(samples=0, start=2.0)
    assert found.error_sq == 2 * 2.0**2
    assert found.exact


def test_with_labels_each_component_has_its_own_weight_and_scale():
    told = situation(samples=300, weights=(0.6, 0.4), scales=(1.0, 3.0))
    one, other = (
        theory.lloyd_error_sq(samples=300, rate=0.02, weight=weight, sigma=scale, d=10, start_sq=0.6**2)
        for weight, scale in ((0.6, 1.0), (0.4, 3.0))
    )
    assert expected.with_labels(told) == pytest.approx(one + other)
    alone = theory.lloyd_error_sq(samples=300, rate=0.02, weight=1.0, sigma=3.0, d=10, start_sq=0.6**2)
    assert expected.with_labels(situation(samples=300, scales=(3.0, 3.0), **EM)) == pytest.approx(alone)


def test_soft_updates_of_components_of_two_scales_have_no_law_even_far_apart():
    assert law(separation=20.0, samples=300, scales=(0.5, 1.0)).error_sq is not None
    assert law(separation=20.0, samples=300, scales=(0.5, 1.0), sharpness=1.0) == UNKNOWN


def test_settled_centres_far_apart_have_the_distance_of_s2_too():
    two = 2 * theory.stationary_distance(rate=0.02, sigma=1, d=10)
    assert law(separation=20.0, samples=5000).error_sum == pytest.approx(two, rel=1e-12)
    assert law(separation=20.0, samples=500).error_sum is None  # not settled
    assert law(separation=4.0, samples=5000).error_sum is None  # samples are misassigned
    assert law(separation=20.0, samples=5000, burn=2500).error_sum is None
    assert law(separation=20.0, samples=5000, sharpness=1.0).error_sum is None


def test_a_settled_pair_has_the_pair_law_and_is_said_to_be_first_order():
    found = law(samples=20_000)
    pair = 2 * float(theory.lloyd_pair_law(4.0, rate=0.02, d=10).error_sq)
    assert found.error_sq == pytest.approx(pair, rel=0.011)  # eta / 2 there, eta / (2 - eta) here
    assert not found.exact


def test_a_settled_em_has_its_mean_shift_squared_and_no_other_change():
    found = law(**EM, separation=2.0, d=30, step=constant(0.01), samples=20_000, start=0.1)
    modes = theory.pair_modes(2.0, beta=1)
    moved = 0.01 / (2 - 0.01) * (modes.parallel.pull + 29 * modes.across.pull) / modes.parallel.relaxation
    assert found.error_sq == pytest.approx(theory.stationary_sq(rate=0.01, sigma=1, d=30) + moved**2, rel=1e-6)
    assert moved**2 > 0.005 * found.error_sq


def test_ems_start_is_kept_along_and_across_at_their_own_speeds():
    """Half way of a start so large that little else is left; parallel is 1/d of a random direction."""
    rate, n, d = 1e-5, 50_000, 10
    found = law(**EM, separation=2.0, step=constant(rate), samples=n, start=0.4)
    modes = theory.pair_modes(2.0, beta=1)
    speeds = np.array([modes.parallel.relaxation, *[modes.across.relaxation] * (d - 1)])
    left = np.exp(-2 * rate * n * speeds)
    assert found.error_sq == pytest.approx(np.sum(left * 0.16 / d + (1 - left) * rate / 2), rel=1e-3)


def test_a_stream_with_all_labels_known_has_no_overlap():
    told = situation(samples=400, sharpness=None, step=StepLaw("1/n", (0,)), weights=(0.7, 0.3), start=2.0)
    alone = expected.with_labels(told)
    counts = np.random.default_rng(2).binomial(400, 0.7, size=100_000)
    assert alone == pytest.approx(10 * np.mean(1 / counts + 1 / (400 - counts)), rel=1e-3)
    assert expected.stream(told, alone).error_sq == alone


@pytest.mark.parametrize("told", [{"weights": (0.7, 0.3)}, {"step": StepLaw("1/n", (1,))}, {"samples": 0}], ids=str)
def test_an_average_has_a_law_at_a_constant_rate_and_equal_weights_only(told):
    assert expected.with_labels(situation(**{"samples": 400, "burn": 100, **told})) is None


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (0.008, {"samples": 20_000}),
        (0.03, {"samples": 20_000, "start": 0.1, "separation": 3.0}),
        (0.008, {**EM, "samples": 20_000}),
        (0.01, {**EM, "sharpness": 2.0, "samples": 20_000}),
        (0.001, {"sharpness": 1.0, "step": constant(0.004), "samples": 16_384, "start": 0.15}),
        (0.03, {"k": 5, "separation": 5.0, "step": constant(0.002), "samples": 50_000, "start": 0.1}),
        (0.01, {"step": StepLaw("polynomial", (4.0, 1.0, 20.0)), "samples": 16_384, "start": 0.15}),
        (0.02, {"step": constant(0.004), "burn": 8192, "samples": 16_384, "start": 0.15}),
    ],
)
def test_laws_of_the_normal_regime_are_sharp(limit, told):
    assert relative(law(**told)) < limit


@pytest.mark.parametrize(
    "told",
    [
        {"d": 100, "separation": 1.0, "step": constant(0.08)},  # the boundary is tilted: 11.5 for 49
        {"d": 100, "separation": 1.0},
        {**EM, "d": 100, "separation": 2.0, "step": constant(0.03)},
        {"k": 10, "d": 100, "separation": 8.0, "step": constant(0.6)},
        {"d": 20, "separation": 6.0, "weights": (0.98, 0.02), "step": constant(0.2)},  # 34 for 4.4
        {"sharpness": 1.0, "k": 4, "d": 4, "separation": 1.0, "step": constant(0.04), "samples": 400},
        {"sharpness": 0.2, "k": 3, "separation": 6.0, "step": constant(0.05)},
        {**EM, "sharpness": 0.01, "separation": 14.0},  # both means fall to the middle
        {**EM, "sharpness": 1e-30, "separation": 14.0},
        {"sharpness": 1.0, "k": 3, "scales": (0.01, 1.0, 1.0)},
        {"weights": (1.0, 0.0)},  # an idle centre takes the other's samples
        {"start": 1.1},
        {"lost": True},
    ],
    ids=str,
)
def test_no_law_where_none_was_derived_or_none_is_accurate(told):
    assert law(**{"samples": 3000, **told}) == UNKNOWN


def test_a_step_size_without_a_law_leaves_none():
    assert expected.stream(situation(samples=3000)._replace(step=None), 1.0) == UNKNOWN


def test_a_blunt_posterior_has_a_law_once_its_means_stay_apart():
    """beta C^2 decides, not C: the fixed point of beta = .3 is 9e-4 inside the mean at C = 14."""
    assert relative(law(**{**EM, "sharpness": 0.3}, separation=14.0, samples=3000)) < 0.01


@pytest.mark.parametrize(
    "told", [{"scales": (1e-30,) * 2}, {"scales": (1e30,) * 2}, {"separation": 1e20}, {"separation": 1e8}], ids=str
)
@pytest.mark.parametrize("updates", [{}, EM, {"sharpness": 1.0}], ids=str)
def test_no_law_is_an_absurd_number(told, updates):
    """Squares that leave float32, and samples whose rounding is as large as sigma."""
    assert law(**told, **updates, samples=3000) == UNKNOWN


def test_means_far_out_are_known_to_the_rounding_of_float32():
    grain = 9e5 * 2.0**-23
    assert relative(law(separation=9e5, samples=3000)) == pytest.approx(expected.FLOAT32 + grain**2 / 6, rel=1e-6)


def test_components_that_are_not_equally_far_apart_have_the_law_of_their_labels_less_accurately():
    equal, other = (law(k=3, separation=6.0, samples=3000, common=common) for common in (True, False))
    assert other.error_sq == expected.with_labels(situation(k=3, separation=6.0, samples=3000)) != equal.error_sq
    assert other.accuracy > equal.accuracy


def test_accuracy_grows_with_the_noise_that_tilts_the_boundary():
    small, large = (law(d=d, samples=3000, start=0.1) for d in (3, 60))
    assert relative(large) > 2 * relative(small)


def test_a_start_in_ways_of_its_own_is_known_less_well_than_one_in_random_directions():
    plain, own = (law(samples=100, random_start=random) for random in (True, False))
    assert own.accuracy > 1.5 * plain.accuracy
    assert own.error_sq == plain.error_sq


def started(k, separation, *, samples=30_000, block, graph_points, fixed=True, weights=None):
    """The law of Algorithm 2 on a simplex of this size about a distant origin."""
    means = np.linalg.qr(np.random.default_rng(0).standard_normal((10, k)))[0].T * separation / np.sqrt(2)
    sizes = expected.StartSizes(samples=samples, block=block, graph_points=graph_points)
    told = situation(samples=samples, k=k, separation=separation, weights=weights)
    return expected.started_by_algorithm2(told, sizes, means, fixed=fixed)


def test_the_law_of_a_start_is_told_in_its_range_only_and_as_first_order():
    inside = started(5, 16.0, block=1000, graph_points=400)
    means = np.eye(5, 10) * 16 / np.sqrt(2)
    total = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=1, block=1000, graph_points=400).sum()
    assert inside.error_sq == pytest.approx(total, rel=1e-9)
    forgotten = 1 / (1 + 0.2 * 16**2 / 2)  # of what is no signal, by a block
    assert relative(inside) == pytest.approx((2 / 1000 + 1 / 400) / 0.2 + forgotten**2, rel=0.01)
    assert not inside.exact
    assert started(5, 16.0, block=1000, graph_points=400, fixed=False).accuracy > 1.5 * inside.accuracy


def test_a_component_that_the_last_block_may_miss_takes_the_law_of_a_start():
    """8 (7/8)^220 is 1e-12, of 1e10 squared sigma that are then lost."""
    assert started(8, 1e5, block=400, graph_points=2000) != UNKNOWN
    assert started(8, 1e5, block=220, graph_points=2000) == UNKNOWN
    assert started(8, 100.0, block=220, graph_points=2000) != UNKNOWN


def test_a_start_has_a_law_for_equal_weights_only():
    assert started(5, 16.0, block=1000, graph_points=400, weights=(0.2, 0.2, 0.2, 0.15, 0.25)) == UNKNOWN


@pytest.mark.parametrize(
    ("k", "separation", "block", "graph_points"),
    [
        (8, 16.0, 23, 166),  # blocks of d ln d: 10.4 for 7.8
        (2, 3.0, 3000, 640),  # components found as one and a piece of another: 4.4 for .016
        (5, 6.0, 3000, 640),
        (5, 16.0, 1000, 20),
        (5, 16.0, 29_000, 640),  # one block alone: the start is not forgotten
    ],
)
def test_a_start_has_no_law_outside_its_range(k, separation, block, graph_points):
    assert started(k, separation, block=block, graph_points=graph_points) == UNKNOWN


def test_one_component_has_the_law_of_its_labels():
    found = law(k=1, separation=math.inf, samples=300)
    alone = theory.lloyd_error_sq(samples=300, rate=0.02, weight=1.0, sigma=1, d=10, start_sq=0.04)
    assert found.error_sq == pytest.approx(float(alone))
    assert found.exact


def test_em_with_a_component_too_many_has_a_law_once_its_start_is_forgotten():
    def told(**changed):
        base = {"samples": 200_000, "k": 1, "separation": math.inf, "sharpness": 1.0, "step": constant(0.01)}
        return expected.streaming_em(situation(**base | changed), alone=0.2)

    assert told().error_sq == pytest.approx(0.035)
    assert not told().exact
    for changed in (
        {"samples": 5_000},  # the start is not forgotten
        {"d": 3},  # there is no such law
        {"sharpness": 2.0},
        {"burn": 10},
        {"step": StepLaw("polynomial", (1.0, 0.7, 10.0))},
        {"start": 0.0},  # 0 is where EM stays
    ):
        assert told(**changed) == UNKNOWN
    assert told(k=2, separation=12.0, tied=True, samples=500).error_sq is not None  # on a pair it is `stream`'s
