"""Measures of where estimates stand: by hand, identities, NumPy loops, and each run for itself."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import covariance, errors, lanes, measures, noise, threefry
from jgmm.measures import MEASURES, exponentials
from jgmm.measures.heldout import GAUSSIAN, HELDOUT, Heldout, Pairs, log_density
from jgmm.mixture import Mixture
from jgmm.noise import NOISES


def mixture_of(means, weights, scales):
    """A mixture with a run axis, of one run for numbers without one."""
    arrays = [np.asarray(x, np.float32) for x in (means, weights, scales)]
    return Mixture(*(x if arrays[0].ndim == 3 else x[..., None] for x in arrays))


LINE = mixture_of([[0.0], [10.0], [20.0]], [0.2, 0.5, 0.3], [1.0, 1.0, 1.0])


def seen(estimates, mixture=LINE, **more):
    """Estimates of one run (or of several) beside a mixture, each taken for a component of equal weight and scale 1."""
    estimates = np.asarray(estimates, np.float32)
    estimates = estimates[..., None] if estimates.ndim == 2 else estimates
    e, _, runs = estimates.shape
    assumed = Mixture(estimates, np.full((e, runs), 1 / e), np.ones((e, runs)))
    return measures.begin(estimates, np.zeros_like(estimates), mixture, **{"assumed": assumed, **more})


def measured(name, at):
    return MEASURES[name].of(at)


def drawn(e, k, runs=40, d=3, seed=0):
    """Estimates and a mixture at random."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(k), runs).T
    mixed = mixture_of(rng.normal(0, 3, (k, d, runs)), weights, rng.uniform(0.5, 2, (k, runs)))
    return rng.normal(0, 3, (e, d, runs)), mixed


# --- where estimates stand ---


def test_components_stand_by_rank_of_weight():
    at = seen([[22.0], [1.0], [10.5]])  # of weights 0.3, 0.2, 0.5
    assert_allclose(measured("component_sq", at)[:, 0], [0.25, 4.0, 1.0])
    equal = mixture_of([[0.0], [10.0]], [0.5, 0.5], [1.0, 1.0])
    assert_allclose(measured("component_sq", seen([[9.0], [3.0]], equal))[:, 0], [9.0, 1.0])  # a tie: by index


def test_of_more_estimates_a_component_has_its_matched_one_and_of_fewer_its_nearest():
    assert_allclose(measured("component_sq", seen([[9.0], [2.0], [12.0], [19.0]]))[:, 0], [1.0, 1.0, 4.0])
    assert_allclose(measured("component_sq", seen([[9.0], [2.0]]))[:, 0], [1.0, 121.0, 4.0])


def test_the_two_sides_by_hand():
    at = seen([[9.0], [2.0], [-1.0], [14.0]])
    assert_allclose(measured("from_means_sq", at), 1 + 1 + 36)  # of 0, 10 and 20
    assert_allclose(measured("from_estimates_sq", at), (1 + 4 + 1 + 16) / 4)


def test_an_end_is_held_against_its_structure_by_hand():
    truth = measured("from_structure_sq", seen([[9.0], [1.0], [22.0]]))
    between = measured("from_structure_sq", seen([[-1.0], [1.5], [14.0]]))  # two in the first, one for the others
    assert_allclose(truth, 1 + 1 + 4)
    assert_allclose(between, 1 + 1.5**2 + (14 - (0.5 * 10 + 0.3 * 20) / 0.8) ** 2, rtol=1e-6)
    assert_allclose(measured("from_structure_sq", seen([[9.0]])), (9 - 11.0) ** 2, rtol=1e-6)
    assert np.isnan(measured("from_structure_sq", seen([[9.0], [np.nan], [np.inf]]))).all()


def test_what_each_component_holds_by_hand():
    assert_array_equal(measured("holds", seen([[9.0], [12.0], [1.0]]))[:, 0], [2, 0, 1])
    assert_array_equal(measured("holds", seen([[9.0], [np.nan], [np.inf]]))[:, 0], [1, 0, 0])


@pytest.mark.parametrize("e", [2, 3, 5])
def test_centres_are_measured_as_in_a_plain_loop(e):
    estimates, mixed = drawn(e, 3)
    at = seen(estimates, mixed)
    sides = ("from_means_sq", "from_estimates_sq", "from_structure_sq")
    found = {name: measured(name, at) for name in ("component_sq", *sides, "holds")}
    error = errors.centre_errors(at.origin, at.offset, mixed.means).error_sq
    for run in range(40):
        gaps = np.float32(estimates[:, None, :, run]) - mixed.means[None, ..., run]
        squares = (gaps.astype(float) ** 2).sum(axis=-1)
        order = sorted(range(3), key=lambda j, run=run: -mixed.weights[j, run])
        assert_allclose(found["from_means_sq"][run], squares.min(axis=0).sum(), rtol=1e-5)
        assert_allclose(found["from_estimates_sq"][run], squares.min(axis=1).mean(), rtol=1e-5)
        nearest = squares.argmin(axis=1)
        off = 0.0
        for i in range(e):
            own = np.flatnonzero(squares.argmin(axis=0) == i) if i in squares.argmin(axis=0) else [nearest[i]]
            middle = np.average(mixed.means[own, :, run], axis=0, weights=mixed.weights[own, run])
            off += ((estimates[i, :, run] - middle) ** 2).sum()
        assert_allclose(found["from_structure_sq"][run], off, rtol=1e-5)
        assert_array_equal(found["holds"][:, run], [(nearest == j).sum() for j in order])
        whole = error[run] if e >= 3 else squares.min(axis=0).sum()
        assert_allclose(found["component_sq"][:, run].sum(), whole, rtol=1e-5)
        assert (found["component_sq"][:, run] * (1 + 1e-5) >= squares.min(axis=0)[order]).all()


def test_weights_and_scales_are_compared_under_the_matching_of_the_centres():
    own = {"weights": np.array([[0.4], [0.3], [0.3]]), "scales": np.array([[2.0], [1.0], [0.5]])}
    at = seen([[19.0], [1.0], [11.0]], own=own)  # of weights 0.3, 0.2, 0.5
    assert_allclose(measured("weights_sq", at), 0.1**2 + 0.1**2 + 0.2**2, rtol=1e-6)
    assert_allclose(measured("scales_sq", at), 1 + 0 + 0.25, rtol=1e-6)
    own = {name: np.concatenate([values, values[:1]]) for name, values in own.items()}
    more = seen([[19.0], [1.0], [11.0], [40.0]], own=own)
    assert_allclose(measured("weights_sq", more), measured("weights_sq", at))


def test_a_run_is_measured_as_if_it_were_alone():
    estimates, mixed = drawn(4, 3)
    key = threefry.fold_in(np.array([[0], [5]], np.uint32), np.zeros(1, np.uint32))[:, 0]
    run_ids = np.arange(40, dtype=np.uint32)

    def of(place):
        some = Mixture(*(x[..., place] for x in mixed))
        held = Heldout(key, run_ids[place], some, 50)
        at = seen(estimates[..., place], some, heldout=held)
        needs = ("", "span", "heldout")
        return {name: measured(name, at) for name, measure in MEASURES.items() if measure.needs in needs}

    together = of(slice(0, 40))
    for place in (slice(3, 4), slice(10, 17)):
        for name, values in of(place).items():
            assert values.tobytes() == np.ascontiguousarray(together[name][..., place]).tobytes(), name


# --- samples held out ---


def heldout(mixed, count, runs, noise=GAUSSIAN):
    return Heldout(np.array([3, 4], np.uint32), np.arange(runs, dtype=np.uint32), mixed, count, noise)


def whole(held):
    blocks = list(held.blocks())
    return np.concatenate([block.x for block in blocks], -1), np.concatenate([block.label for block in blocks], -1)


def test_held_out_samples_have_the_mixtures_weights_means_and_scales():
    mixed = Mixture(*(np.repeat(x, 50, axis=-1) for x in mixture_of([[0.0] * 3, [10.0] * 3], [0.3, 0.7], [1.0, 2.0])))
    x, label = whole(heldout(mixed, 2000, 50))
    assert_allclose((label == 1).mean(), 0.7, atol=4 * np.sqrt(0.21 / 1e5))
    for component, (mean, scale) in enumerate([(0, 1), (10, 2)]):
        own = np.stack([x[:, j][label == component] for j in range(3)])
        assert_allclose(own.mean(axis=1), mean, atol=4 * scale / np.sqrt(own.shape[1]))
        assert_allclose(own.var(axis=1), scale**2, rtol=4 * np.sqrt(2 / own.shape[1]))
        assert np.abs(np.corrcoef(own) - np.eye(3)).max() < 4 / np.sqrt(own.shape[1])


def test_held_out_samples_have_the_noise_of_their_mixture():
    mixed = Mixture(*(np.repeat(x, 40, axis=-1) for x in mixture_of([[0.0, 0.0, 0.0]], [1.0], [3.0])))
    student = NOISES["student"]._replace(numbers=(("df", 6.0),))
    x, _ = whole(heldout(mixed, 1000, 40, Pairs(student.pair, student.draws, noise.told(student, 40))))
    law = scipy.stats.t(6, scale=3 * np.sqrt(4 / 6))
    for j in range(3):
        assert scipy.stats.kstest(x[:, j].ravel(), law.cdf).pvalue > 1e-3


def test_held_out_samples_are_the_same_however_often_and_in_what_pieces_they_are_drawn(monkeypatch):
    mixed = drawn(2, 2, runs=9)[1]
    x, label = whole(heldout(mixed, 20, 9))
    held = heldout(mixed, 20, 9)
    assert_array_equal(whole(held)[0], x)
    assert_array_equal(whole(held)[0], x)
    monkeypatch.setattr("jgmm.measures.heldout.TOGETHER", 20 * 3 * 4)
    monkeypatch.setattr("jgmm.measures.heldout.KEPT", 0)
    assert_array_equal(whole(heldout(mixed, 20, 9))[0], x)
    assert_array_equal(whole(heldout(mixed, 20, 9))[1], label)


@pytest.mark.parametrize("name", ["student", "outliers"])
def test_held_out_samples_have_the_numbers_of_their_own_runs_noise_in_whatever_pieces(name, monkeypatch):
    mixed = Mixture(*(np.repeat(x, 9, axis=-1) for x in mixture_of([[0.0] * 3], [1.0], [1.0])))
    numbers = {"student": {"df": 2.5 + np.arange(9)}, "outliers": {"share": np.linspace(0.1, 0.9, 9)}}[name]
    family = noise.of(name, numbers)
    of = Pairs(family.pair, family.draws, noise.told(family, 9), noise.widths(family, 9))
    x = whole(heldout(mixed, 20, 9, of))[0]
    monkeypatch.setattr("jgmm.measures.heldout.TOGETHER", 20 * 3 * 4)
    assert_array_equal(whole(heldout(mixed, 20, 9, of))[0], x)


def test_held_out_samples_are_of_no_lane_of_the_stream():
    mixed = drawn(1, 2, runs=4)[1]
    words = threefry.fold_in(np.array([[3], [4]], np.uint32), np.arange(4, dtype=np.uint32))
    lane_words = threefry.bits(words, 4 * lanes.num_lanes(1000))
    own = threefry.bits(heldout(mixed, 20, 4).keys, 100)
    assert not np.isin(own, lane_words).any()
    assert 4 * lanes.num_lanes(10**6) < HELDOUT


def test_mislabelled_by_hand():
    mixed = mixture_of([[0.0], [100.0]], [0.25, 0.75], [1.0, 1.0])
    for estimates, share_of in (
        ([[1.0], [99.0]], None),
        ([[99.0], [1.0]], None),  # each stands for the one that it is matched to
        ([[1.0], [2.0], [99.0]], None),
        ([[99.0]], 0),  # the samples of the first are given to the second
        ([[0.0]], 1),
    ):
        held = heldout(mixed, 400, 1)
        label = whole(held)[1]
        expected = 0 if share_of is None else (label == share_of).mean()
        assert_allclose(measured("mislabelled", seen(estimates, mixed, heldout=held)), expected)


def test_nothing_is_nearest_to_an_estimate_that_is_not_finite():
    mixed = mixture_of([[0.0], [100.0]], [0.25, 0.75], [1.0, 1.0])
    held = heldout(mixed, 400, 1)
    found = measured("mislabelled", seen([[np.nan], [0.0]], mixed, heldout=held))
    assert_allclose(found, (whole(held)[1] == 1).mean())  # all are given to the first


def test_the_truth_has_no_gap_and_a_shift_has_half_its_square():
    mixed = Mixture(*(np.repeat(x, 40, axis=-1) for x in mixture_of([[0.0, 0.0]], [1.0], [2.0])))
    held = heldout(mixed, 2500, 40)

    def gap(shift):
        estimates = np.repeat(np.array([[[shift], [0.0]]]), 40, axis=-1)
        assumed = Mixture(estimates, np.ones((1, 40)), np.full((1, 40), 2.0))
        return measured("log_likelihood_gap", seen(estimates, mixed, heldout=held, assumed=assumed))

    assert_array_equal(gap(0.0), 0)
    found = gap(1.0)  # KL = shift^2/(2 sigma^2)
    assert_allclose(found.mean(), 1 / 8, atol=4 * found.std() / np.sqrt(40))


SHAPES = [covariance.ladder(3, ratio=4.0), covariance.low_rank(3, rank=2, factor=3.0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_held_out_samples_have_the_covariance_and_a_density_of_it(shape):
    estimates, mixed = drawn(4, 3, runs=5)
    plain = heldout(mixed, 60, 5)
    held = heldout(mixed, 60, 5, Pairs(covariance=shape))
    (x, label), (round_x, _) = whole(held), whole(plain)
    assert_array_equal(label, whole(plain)[1])
    means = np.take_along_axis(mixed.means[None], label[:, None, None], axis=1)[:, 0]
    assert_allclose(x - means, np.einsum("cd,mdr->mcr", shape.matrix, round_x - means), rtol=1e-4, atol=1e-4)
    inside = np.linalg.inv(shape.matrix @ shape.matrix.T)

    def density(point, means, weights, scales):
        gaps = point[None] - means
        return (weights * scales**-3.0 * np.exp(-np.einsum("ic,cd,id->i", gaps, inside, gaps) / (2 * scales**2))).sum()

    found = measured("log_likelihood_gap", seen(estimates, mixed, heldout=held))
    for run in range(5):
        truth = [np.float64(part[..., run]) for part in mixed]
        fit = [np.float64(np.float32(estimates[..., run])), np.full(4, 0.25), np.ones(4)]
        gaps = [np.log(density(point, *truth)) - np.log(density(point, *fit)) for point in np.float64(x[..., run])]
        assert_allclose(found[run], np.mean(gaps), rtol=1e-5, atol=1e-5)
    at_truth = Mixture(*(np.asarray(part) for part in mixed))
    assert_array_equal(measured("log_likelihood_gap", seen(mixed.means, mixed, heldout=held, assumed=at_truth)), 0)


def test_held_out_samples_have_the_outliers_of_their_mixture():
    mixed = Mixture(*(np.repeat(x, 40, axis=-1) for x in mixture_of([[0.0] * 2, [1e3] * 2], [0.3, 0.7], [1.0, 1.0])))
    family = noise.of("outliers", {"share": 0.25, "factor": 3.0})
    x, label = whole(heldout(mixed, 1000, 40, Pairs(widths=noise.widths(family, 40))))
    z = x.astype(float) - 1e3 * label[:, None]
    narrow, many = 1 / np.sqrt(0.75 + 0.25 * 9), label.size
    assert_allclose((label == 1).mean(), 0.7, atol=4 * np.sqrt(0.21 / many))
    squares = z**2
    assert_allclose(squares.mean(axis=(0, 2)), 1, atol=4 * squares.std() / np.sqrt(many))
    both = squares.prod(axis=1)
    assert_allclose(both.mean(), (0.75 + 0.25 * 81) * narrow**4, atol=4 * both.std() / np.sqrt(many))


def test_the_gap_is_that_of_a_plain_loop_with_the_algorithms_own_weights_and_scales():
    estimates, mixed = drawn(4, 3, runs=5)
    held = heldout(mixed, 60, 5)
    rng = np.random.default_rng(8)
    own = {"weights": rng.dirichlet(np.ones(4), 5).T, "scales": rng.uniform(1, 2, (4, 5))}
    x, _ = whole(held)

    def density(point, means, weights, scales):
        squares = ((point[None] - means) ** 2).sum(axis=1)
        return (weights * scales**-3.0 * np.exp(-squares / (2 * scales**2))).sum()

    found = measured("log_likelihood_gap", seen(estimates, mixed, heldout=held, own=own))
    for run in range(5):
        truth = [np.float64(part[..., run]) for part in mixed]
        fit = [np.float64(np.float32(estimates[..., run])), own["weights"][:, run], own["scales"][:, run]]
        points = np.float64(x[..., run])
        gaps = [np.log(density(point, *truth)) - np.log(density(point, *fit)) for point in points]
        assert_allclose(found[run], np.mean(gaps), rtol=1e-9, atol=1e-9)


def test_a_density_far_from_every_centre_is_a_number():
    found = log_density(np.array([[[5e4], [6e4]]]), Mixture(None, *np.full((2, 2, 1), 0.5)), slice(None), 1)
    assert_allclose(found, np.log(0.5) - np.log(0.5) - 5e4 / 0.5, rtol=1e-12)


def test_exp_and_log_are_right_to_a_last_bit_or_two():
    x = np.concatenate([np.linspace(-745, 709, 4001), np.linspace(-1, 1, 4001), [0.0, -np.inf, np.nan]])
    with np.errstate(under="ignore"):
        assert_allclose(exponentials.exp(x[:-3]), np.exp(x[:-3]), rtol=5e-16, atol=5e-324)
    assert_array_equal(exponentials.exp(x[-3:]), [1.0, 0.0, np.nan])
    y = np.concatenate([np.exp(np.linspace(-700, 700, 4001)), np.linspace(0.5, 2, 4001), [5e-324]])
    assert_allclose(exponentials.log(y), np.log(y), rtol=5e-16)
    assert_array_equal(
        exponentials.log(np.array([0.0, -1.0, np.inf, np.nan, 1.0])), [-np.inf, np.nan, np.inf, np.nan, 0]
    )


# --- spans ---


def test_the_angle_of_a_span_by_hand():
    line = mixture_of([[3.0, 0.0], [-3.0, 0.0]], [0.5, 0.5], [1.0, 1.0])
    assert_allclose(measured("subspace_error_sq", seen([[3.0, 4.0]], line)), [0.64], rtol=1e-6)
    assert_allclose(measured("subspace_error_sq", seen([[3.0, 4.0], [6.0, 8.0]], line)), [0.64], rtol=1e-6)
    plane = mixture_of(np.eye(3)[:2], [0.5, 0.5], [1.0, 1.0])
    assert_allclose(measured("subspace_error_sq", seen([[1.0, 1.0, 0.0]] * 2, plane)), [1.0], rtol=1e-6)  # one is lost
    assert_allclose(measured("subspace_error_sq", seen([[1.0, 1.0, 0.0], [1.0, 2.0, 0.0]], plane)), [0.0], atol=1e-12)


@pytest.mark.parametrize("e", [1, 2, 3, 4])
def test_spans_are_at_scipys_angles_to_the_leading_directions(e):
    estimates, mixed = drawn(e, 3, runs=6, d=5)
    found = measured("subspace_error_sq", seen(estimates, mixed))
    for run in range(6):
        means, weights = (np.float64(part[..., run]) for part in mixed[:2])
        directions = np.linalg.eigh((means.T * weights) @ means)[1][:, ::-1][:, : min(e, 3)]
        angles = scipy.linalg.subspace_angles(np.float64(np.float32(estimates[..., run])).T, directions)
        assert_allclose(found[run], (np.sin(angles) ** 2).sum(), rtol=1e-6)


def test_a_run_that_has_left_the_floats_has_no_span_and_harms_no_other():
    estimates, mixed = drawn(2, 2, runs=3)
    alone = measured("subspace_error_sq", seen(estimates, mixed))
    estimates[0, 1, 1] = np.nan
    assert_array_equal(measured("subspace_error_sq", seen(estimates, mixed)), np.where([0, 1, 0], np.inf, alone))
