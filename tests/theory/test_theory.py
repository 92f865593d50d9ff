"""Bounds and laws against hand values, tables, identities and a small simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from jgmm import theory
from jgmm.course_project import page as seed_document


def test_the_bias_of_the_pair_is_tabulated():
    expected = [0.395593, 0.166631, 0.0586136, 0.0169814, 0.00400827, 7.64309e-4, 1.42905e-5]
    assert_allclose(theory.lloyd_bias([1, 2, 3, 4, 5, 6, 8]), expected, rtol=1e-5)
    assert_allclose(theory.lloyd_bias(3, sigma=7.0), 7 * 0.0586136, rtol=1e-5)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (3, [0.2464, 0.0912, 0.02747, 0.001294]),
        (5, [0.3575, 0.1413, 0.04493, 0.002270]),
        (10, [0.5275, 0.2277, 0.07839, 0.004446]),
    ],
)
def test_the_displacement_of_the_simplex_is_tabulated(k, expected):
    assert_allclose(theory.simplex_displacement(k, [2, 3, 4, 6]), expected, rtol=5e-4)  # four digits were printed


def test_two_points_are_a_simplex():
    c = np.array([1.0, 2.5, 6.0])
    assert_allclose(theory.simplex_displacement(2, c), theory.lloyd_bias(c), rtol=1e-8)
    assert_allclose(theory.simplex_floor(2, c), 2 * theory.lloyd_bias(c) ** 2, rtol=1e-8)


def test_first_order_displacement_is_outward_and_exact_for_the_pair():
    found = theory.first_order_displacement([[6.0, 0.0], [-6.0, 0.0]], [0.5, 0.5], sigma=4.0)
    assert_allclose(found, [[theory.lloyd_bias(3, sigma=4.0), 0], [-theory.lloyd_bias(3, sigma=4.0), 0]], atol=1e-12)


def test_unequal_weights_kill_a_cancellation():
    found = theory.first_order_displacement([[3.0], [-3.0]], [0.7, 0.3], sigma=1.0)
    assert abs(found[1, 0]) > 3 * theory.lloyd_bias(6)


def test_far_apart_the_first_order_is_the_simplex():
    k, c = 5, 12.0
    means = np.eye(k) * c / np.sqrt(2)
    found = theory.first_order_displacement(means, np.full(k, 1 / k), sigma=1.0)
    assert_allclose(np.linalg.norm(found, axis=1), theory.simplex_displacement(k, c), rtol=1e-3)  # overlaps of three
    assert np.all(np.sum(found * (means - means.mean(axis=0)), axis=1) > 0)


def test_unequal_weights_by_hand():
    found = theory.first_order_displacement([[4.0], [-4.0]], [0.8, 0.2], sigma=2.0)  # C = 4: phi(2), Q(2)
    phi, q = 0.05399096651318806, 0.022750131948179195
    assert_allclose(found[:, 0], [2 * (phi - 0.2 * 4 * q) / 0.8, -2 * (phi - 0.8 * 4 * q) / 0.2], rtol=1e-12)


def test_two_fixed_points_of_very_unequal_weights_belong_to_the_truth():
    """Other roots of the same equations have both centres on the heavy component: 22.3 and 30.6 at C = 6 and 7."""

    def floor(separation, weights):
        fixed = theory.lloyd_pair_fixed_points(separation, weights)
        return np.sum((fixed - np.array([0.5, -0.5]) * separation) ** 2)

    assert_allclose([floor(6, [0.98, 0.02]), floor(7, [0.98, 0.02])], [0.0672, 0.00151], rtol=1e-3)
    assert_allclose(floor(8, [0.99, 0.01]), 1.438e-4, rtol=1e-3)
    assert_allclose(
        theory.lloyd_pair_fixed_points(6, [0.02, 0.98]), -theory.lloyd_pair_fixed_points(6, [0.98, 0.02])[::-1]
    )
    with pytest.raises(ValueError, match=r"separation is 5 at weights \[0.98, 0.02\], expected a larger one"):
        theory.lloyd_pair_fixed_points(5, [0.98, 0.02])


def _population_lloyd(separation, weights, iterations):
    """Lloyd's map on a grid of the line, from the true means on."""
    s = separation / 2
    x = np.linspace(-s - 9, s + 9, 4001)
    density = weights[0] * stats.norm.pdf(x - s) + weights[1] * stats.norm.pdf(x + s)
    first, second = s, -s
    for _ in range(iterations):
        near = np.clip((x - (first + second) / 2) / (x[1] - x[0]) + 0.5, 0, 1)  # a grid cell is cut by the boundary
        first = (near * density) @ x / (near @ density)
        second = ((1 - near) * density) @ x / ((1 - near) @ density)
    return first, second


@pytest.mark.parametrize("minor", [0.5, 0.3, 0.02])
@pytest.mark.parametrize("separation", [2.0, 5.8, 7.0])
def test_fixed_points_are_where_a_long_population_iteration_ends(minor, separation):
    first, second = _population_lloyd(separation, [1 - minor, minor], 200)
    if second > 0:
        with pytest.raises(ValueError, match="expected a larger one"):
            theory.lloyd_pair_fixed_points(separation, [1 - minor, minor])
    else:
        assert_allclose(theory.lloyd_pair_fixed_points(separation, [1 - minor, minor]), [first, second], atol=5e-5)


def test_fixed_points_move_smoothly_with_the_separation_once_there_are_any():
    found = [theory.lloyd_pair_fixed_points(c, [0.9, 0.1]) - [c / 2, -c / 2] for c in np.arange(4.0, 8.0, 0.02)]
    assert np.abs(np.diff(found, axis=0)).max() < 0.03
    assert np.all(np.diff(np.sum(np.square(found), axis=1)) < 0)


def test_a_pair_has_no_fixed_points_at_a_separation_that_is_no_length():
    for separation in (0.0, 1e20, np.inf, np.nan):
        with pytest.raises(ValueError, match="separation is"):
            theory.lloyd_pair_fixed_points(separation, [0.5, 0.5])


def test_information_is_tabulated():
    found = theory.em_information([1, 2, 3, 4, 6])
    assert_allclose(found.parallel, [0.343, 0.734, 0.916, 0.978, 0.9992], atol=5e-4)
    assert_allclose(found.perpendicular, [0.204, 0.550, 0.803, 0.931, 0.9959], atol=1e-3)


def test_the_fixed_point_of_em():
    expected = [0.3048, 0.2006, 0.1283, 0.0464, 0.01383, 0.00333, 6.4e-4, 1.2e-5]
    assert_allclose(theory.em_fixed_point_bias([1, 1.5, 2, 3, 4, 5, 6, 8], beta=2), expected, rtol=2e-2)
    assert_allclose(theory.em_fixed_point_bias([0, 0.1, 1, 2, 4], beta=1), 0, atol=1e-9)
    assert_allclose(theory.em_fixed_point_bias([2, 14], beta=0.01), [-1, -7])  # both centres fall to the middle
    flat = 3.5 + theory.em_fixed_point_bias(7, beta=0.3)
    assert_allclose(stats.norm(3.5).expect(lambda x: x * np.tanh(0.3 * flat * x)), flat, rtol=1e-6)
    pinned = theory.em_fixed_point_bias(0, beta=2)  # two components in one place: m = E[x tanh(2 m x)] all the same
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    assert_allclose(weights @ (nodes * np.tanh(2 * pinned * nodes)) / weights.sum(), pinned, rtol=1e-5)
    assert_allclose(theory.em_fixed_point_bias([1, 2, 4], beta=1000), theory.lloyd_bias([1, 2, 4]), rtol=1e-4)
    assert_allclose(theory.em_fixed_point_bias(2, beta=2, sigma=3.0), 3 * 0.1283, rtol=1e-3)


def test_the_pair_law_is_tabulated():
    totals = [theory.lloyd_pair_law(c, rate=0.02, d=5).error_sq for c in (4, 3, 2)]
    assert_allclose(totals, [0.0520, 0.0584, 0.0911], atol=6e-5)
    assert_allclose(theory.lloyd_pair_law(2, rate=0.02, d=5).shift, -0.0043, atol=5e-5)


def test_the_modes_of_a_pair_are_tabulated():
    lloyd = [theory.pair_modes(c) for c in (2, 3, 4, 6)]
    assert_allclose([m.shift.relaxation / 2 for m in lloyd], [0.218, 0.298, 0.391, 0.487], atol=6e-4)
    assert_allclose([m.across.relaxation / 2 for m in lloyd], [0.293, 0.417, 0.473, 0.499], atol=6e-4)
    assert [m.parallel.relaxation for m in lloyd] == [1, 1, 1, 1]
    em = theory.pair_modes(2, beta=1)  # its mean is moved by -.0139 at the rate .02 and d = 5
    pulled = em.parallel.pull * em.parallel.noise / em.parallel.relaxation
    pulled += 4 * em.across.pull * em.across.noise / em.across.relaxation
    assert_allclose(0.01 * pulled / em.parallel.relaxation, -0.0139, atol=5e-5)


@pytest.mark.parametrize("separation", [2.0, 4.0])
def test_the_modes_of_lloyd_are_those_of_the_pair_law(separation):
    rate, d = 0.02, 7
    law, modes = theory.lloyd_pair_law(separation, rate=rate, d=d), theory.pair_modes(separation)
    along = rate / 4 * (modes.parallel.noise / modes.parallel.relaxation + modes.shift.noise / modes.shift.relaxation)
    across = rate / 4 * (1 / modes.across.relaxation + 1) * (d - 1)
    pulled = modes.shift.pull * modes.shift.noise / modes.shift.relaxation
    pulled += (d - 1) * modes.across.pull / modes.across.relaxation
    assert_allclose(modes.bias, law.bias, rtol=1e-12)
    assert_allclose([along, across], [law.variance_parallel, law.variance_transverse], rtol=1e-12)
    assert_allclose(rate / 4 * pulled, law.shift, rtol=1e-9)


def test_the_modes_of_em_are_its_information_and_those_of_a_large_beta_lloyds():
    for separation in (1.0, 2.0, 6.0):
        modes, information = theory.pair_modes(separation, beta=1), theory.em_information(separation)
        assert_allclose([m.noise for m in modes[1:]], [m.relaxation for m in modes[1:]], rtol=1e-9)
        shift = 1 - (separation / 2) ** 2 * (1 - information.perpendicular)
        assert_allclose([m.relaxation for m in modes[1:]], [*information, shift], rtol=1e-7)
        sharp, hard = theory.pair_modes(separation, beta=2000), theory.pair_modes(separation)
        assert_allclose(np.hstack(sharp), np.hstack(hard), atol=2e-3)


@pytest.mark.parametrize(("separation", "beta"), [(2.0, 1.0), (3.0, 0.6), (1.5, 3.0)])
def test_modes_are_the_derivatives_of_the_mean_move(separation, beta):
    """By quadrature in two dimensions and differences; noise by the second moment of the moves."""
    s, modes = separation / 2, theory.pair_modes(separation, beta=beta)
    nodes = np.arange(-8, 8.05, 0.1)  # trapezes, exact for what is smooth on this scale
    weights = 0.1 * stats.norm.pdf(nodes)
    x = np.concatenate([nodes + s, nodes - s])[:, None]
    y = nodes[None]
    mass = np.concatenate([weights, weights])[:, None] / 2 * weights[None]

    def moves(u, v):
        side = np.tanh(beta * ((x - v[0]) * u[0] + (y - v[1]) * u[1]))
        both = [side * (x - v[0]) - u[0], side * (y - v[1]) - u[1], x - v[0] - side * u[0], y - v[1] - side * u[1]]
        return np.stack([np.broadcast_to(one, mass.shape) for one in both])

    def mean(du=(0, 0), dv=(0, 0)):
        rest = np.array([s + modes.bias, 0.0])
        return np.sum(mass * moves(rest + du, np.array(dv)), axis=(1, 2))

    h = 0.01
    steps = {"parallel": {"du": (h, 0)}, "across": {"du": (0, h)}, "shift": {"dv": (h, 0)}}
    assert_allclose(mean(), 0, atol=1e-6)
    for which, (name, step) in enumerate(steps.items()):
        back = {key: (-value[0], -value[1]) for key, value in step.items()}
        forth, behind = mean(**step), mean(**back)
        mode = getattr(modes, name)
        assert_allclose((behind - forth)[which] / (2 * h), mode.relaxation, atol=1e-3)
        assert_allclose((forth + behind)[0] / (2 * h * h), mode.pull, atol=2e-3)
        moved = moves(np.array([s + modes.bias, 0.0]), np.zeros(2))[which]
        assert_allclose(np.sum(mass * moved**2), mode.noise, atol=1e-4)


def test_the_pair_law_by_hand():
    f, b = 0.24197072451914337, 0.16663094117  # phi(1), and b(2) = 2 phi(1) - 2 Q(1)
    m = 1 + b
    law = theory.lloyd_pair_law(2.0, rate=0.04, d=3, sigma=3.0)
    assert_allclose(law.bias, 3 * b, rtol=1e-6)
    assert_allclose(law.variance_parallel, 9 * 0.01 * (2 - m**2) * (1 + 1 / (1 - 2 * f * m)), rtol=1e-6)
    assert_allclose(law.variance_transverse, 9 * 0.01 * 2 * (1 + 1 / (1 - 2 * f / m)), rtol=1e-6)
    parts = (law.bias + law.shift) ** 2 + law.variance_parallel + law.variance_transverse
    assert_allclose(law.error_sq, parts, rtol=1e-12)
    assert_allclose(law.shift, 3 * 2 * theory.lloyd_pair_law(2.0, rate=0.02, d=3).shift, rtol=1e-12)


def test_far_apart_the_pair_law_is_the_separated_one():
    far = theory.lloyd_pair_law(20, rate=1e-4, d=7, sigma=3.0)
    assert_allclose(far.error_sq, theory.stationary_sq(rate=1e-4, sigma=3.0, d=7), rtol=1e-4)


def test_s1_is_tabulated():
    found = theory.lloyd_error_sq(
        samples=np.array([1, 30, 100, 300]), rate=0.05, weight=0.2, sigma=1.0, d=3, start_sq=16.0
    )
    assert_allclose(found, [15.6895, 8.897, 2.299, 0.1202], rtol=2e-4)  # as printed; 16 is what t = 1 started from


def test_s1_agrees_with_a_small_simulation():
    rng = np.random.default_rng(0)
    rate, weight, d, runs = 0.1, 0.3, 2, 40_000
    e = np.full((runs, d), 1.5)
    for _ in range(25):
        hit = rng.random(runs) < weight
        e = np.where(hit[:, None], (1 - rate) * e + rate * rng.normal(size=(runs, d)), e)
    squares = (e**2).sum(axis=1)
    law = theory.lloyd_error_sq(samples=25, rate=rate, weight=weight, sigma=1.0, d=d, start_sq=4.5)
    assert abs(squares.mean() - law) < 4 * squares.std() / np.sqrt(runs)


def test_the_seeds_logged_errors_are_s2():
    # Sums of distances over five centres, logged after the start, in the document's two runs.
    logged = np.array(seed_document.LOGGED)[:, 1:].ravel()
    law = 5 * theory.stationary_distance(rate=15 * np.log2(3 * 978004) / 978004, sigma=10, d=10)
    natural = 5 * theory.stationary_distance(rate=15 * np.log(3 * 978004) / 978004, sigma=10, d=10)
    standard_error = logged.std(ddof=1) / np.sqrt(len(logged))
    assert abs(logged.mean() - law) < 3 * standard_error
    assert abs(logged.mean() - natural) > 3 * standard_error


def test_s2_is_the_mean_of_a_chi():
    exact = np.sqrt(0.1 / 1.9)
    assert_allclose(theory.stationary_distance(rate=0.1, sigma=3, d=1), 3 * exact * np.sqrt(2 / np.pi), rtol=1e-12)
    assert_allclose(theory.stationary_distance(rate=0.1, sigma=3, d=2), 3 * exact * np.sqrt(np.pi / 2), rtol=1e-12)


def test_the_law_given_a_count_settles_at_s1():
    settled = theory.centre_given_count_variance(count=10**6, rate=0.01, sigma=2.0)
    assert_allclose(5 * settled, theory.stationary_sq(rate=0.01, sigma=2.0, d=5))
    assert_allclose(theory.centre_given_count_variance(count=1, rate=0.01, sigma=2.0), (0.01 * 2) ** 2)


def test_the_law_given_counts_averages_to_s1():
    """A binomial mean of (1 - eta)^(2n) and of the variance is S1."""
    rate, weight, t, d = 0.1, 0.3, 12, 2
    counts = np.arange(t + 1)
    chances = stats.binom.pmf(counts, t, weight)
    variance = theory.centre_given_count_variance(count=counts, rate=rate, sigma=1.5)
    expected = chances @ ((1 - rate) ** (2 * counts) * 4.5 + d * variance)
    found = theory.lloyd_error_sq(samples=t, rate=rate, weight=weight, sigma=1.5, d=d, start_sq=4.5)
    assert_allclose(found, expected, rtol=1e-12)


def test_an_average_over_a_long_window_is_the_sum_of_the_autocovariance():
    rate, weight, window = 0.2, 0.4, 10**6
    lags = np.arange(1, 2000)  # the lazy chain's autocorrelation is (1 - w eta)^lag
    inflation = 1 + 2 * np.sum((1 - weight * rate) ** lags)
    expected = theory.stationary_sq(rate=rate, sigma=1.5, d=3) * inflation / window
    found = theory.averaged_sq(rate=rate, weight=weight, sigma=1.5, d=3, window=window)
    assert_allclose(found, expected, rtol=1e-10)


def test_the_oracle_is_the_exact_inverse_count_to_second_order():
    inverse = theory._mean_inverse_count(2000, np.array([0.25]))[0]
    assert_allclose(theory.oracle_sq(n=2000, weight=0.25, sigma=3.0, d=3), 9 * 3 * inverse, rtol=2e-5)  # (1/500)^2 * 3
    assert_allclose(theory.oracle_sq(n=100, weight=1.0, sigma=2.0, d=3), 0.12, rtol=1e-12)


def test_inverse_counts_by_hand():
    expected = (2 * 0.3 * 0.7 + 0.3**2 / 2) / (1 - 0.7**2)
    assert_allclose(theory._mean_inverse_count(2, np.array([0.3, 1.0])), [expected, 0.5], rtol=1e-12)


def test_em_settles_at_half_the_rate():
    """A NumPy streaming EM at C = 4, 4000 runs; c = 4 standard errors."""
    rng = np.random.default_rng(3)
    rate, d, runs = 0.05, 3, 4000
    truth = np.array([2.0, 0, 0])
    mean = np.tile(truth, (runs, 1))
    for _ in range(200):
        x = np.where(rng.random(runs) < 0.5, 1, -1)[:, None] * truth + rng.normal(size=(runs, d))
        mean += rate * (np.tanh((x * mean).sum(axis=1))[:, None] * x - mean)
    squares = ((mean - truth) ** 2).sum(axis=1)
    law = theory.em_stationary_sq(rate=rate, sigma=1, d=d)
    standard_error = squares.std() / np.sqrt(runs)
    assert abs(squares.mean() - law) < 4 * standard_error + rate * law  # the law is to first order in the rate


def test_em_settles_at_half_the_rate_by_hand():
    assert_allclose(theory.em_stationary_sq(rate=0.02, sigma=2.0, d=5), 0.01 * 4 * 5)


def test_theorem_1s_floor_is_tabulated():
    huge = {"n": 1e30, "k": 5, "d": 10, "sigma": 1.0, "mean_norm": 0.0}
    found = [theory.theorem1_bound(separation=c, **huge) for c in (3.0, 4.0, 6.0)]
    assert_allclose(found, [568, 355, 57], rtol=1e-2)
    assert theory.theorem2_bound(separation=3.0, **huge) == found[0]


def test_bounds_by_hand():
    assert_allclose(theory.theorem3_bound(separation=16.84267459163545, sigma=100), 84.21337295817725)
    seventh = theory.theorem7_bound(n=100, d=2, sigma=3, mean_norm=10, bias_exponent=2, bias_constant=3, constant=0.5)
    assert_allclose(seventh, 3 * 100 / 1e4 + 0.5 * 2 * 9 * np.log(100) / 100, rtol=1e-12)
    plain = theory.theorem7_bound(n=100, d=2, sigma=3, mean_norm=10)
    assert_allclose(plain, 1 + 2 * 9 * np.log(100) / 100, rtol=1e-12)
    call = {"n": 100, "k": 2, "d": 3, "sigma": 3, "separation": 4.0, "mean_norm": 10}
    brackets = 8 * 9 * (3 * np.log(100) / 100 + np.exp(-2) * 18)
    bound = theory.theorem1_bound(**call, bias_exponent=2, bias_constant=3, constant=0.5)
    assert_allclose(bound, 3 * 100 / 1e4 + 0.5 * brackets, rtol=1e-12)
    assert_allclose(theory.theorem1_bound(**call), 1 + brackets, rtol=1e-12)
    assert_allclose(theory.theorem1_separation(5), 1.684267459163545)
    assert_allclose(theory.theorem2_separation(5), 1.2686362411795196)


def test_the_seeds_curves_keep_its_slips():
    first = theory.seed_theorem1_curve(n=100, k=3, d=2, sigma=10, separation=4.0, mean_norm=50)
    assert_allclose(first, 50 / 100 + 27 * 100 * 2 * np.log(100) / 100 + np.exp(-2) * (16 + 3) * 100, rtol=1e-12)
    seventh = theory.seed_theorem7_curve(n=100, d=2, sigma=10, mean_norm=50)
    assert_allclose(seventh, 50 / 100 + np.log(100) / 100 * 2 * 100, rtol=1e-12)


def test_seeding_error_at_high_signal():
    means = 1e4 * np.eye(5, 10)
    found = theory.seeding_error_sq(means, np.full(5, 0.2), sigma=10.0, block=23, graph_points=80)
    assert_allclose(found, 100 * (25 / 23 + 5 * theory._mean_inverse_count(80, np.array([0.2]))[0]), rtol=1e-3)
    assert_allclose(np.sqrt(found), 11.90, rtol=1e-3)
    assert_allclose(theory.lost_component_probability(5, block=23), 0.0295, atol=1e-4)
    assert theory.lost_component_probability(50, block=1) == 1.0


def test_seeding_at_low_signal_loses_less():
    means = np.eye(2, 6) * 3.0  # weights .25 and .75, sigma 3: l = 1 / (w + 1)
    found = theory.seeding_error_sq(means, [0.25, 0.75], sigma=3.0, block=10, graph_points=40)
    inverse = theory._mean_inverse_count(40, np.array([0.25, 0.75]))
    assert_allclose(found, 9 * (4 / np.array([1.25, 1.75]) / 10 + 2 * inverse), rtol=1e-12)


def test_seeding_in_fewer_dimensions_than_centres_has_all_the_noise_and_no_more():
    means = [[9.0], [-9.0]]
    found = theory.seeding_error_sq(means, [0.5, 0.5], sigma=1.0, block=10, graph_points=40)
    assert_allclose(found, theory._mean_inverse_count(40, np.array([0.5, 0.5])), rtol=1e-12)


def test_subspace_errors_are_tabulated():
    eigenvalue = 0.2 * np.array([10.0, 20.0, 100.0]) ** 2 / 2 + 1  # simplex about a distant origin: |mu|^2 = C^2 / 2
    power = theory.power_iteration_tan_sq(eigenvalue[0], block=100, sigma=1.0, d=10, k=5)
    assert_allclose(50 * power, 0.229, atol=5e-4)
    batch = theory.batch_pca_tan_sq(eigenvalue[1:], n=2000, sigma=1.0, d=10, k=5)
    assert_allclose(batch * np.array([200.0, 5000.0]), [0.0128, 0.0125], atol=5e-5)
    found = theory.power_iteration_tan_sq(8.0, block=10, sigma=2.0, d=7, k=2)
    assert_allclose(found, 5 * 4 / 80 / 0.75, rtol=1e-12)
    assert_allclose(theory.batch_pca_tan_sq(8.0, n=10, sigma=2.0, d=7, k=2), 5 * 4 * 8 / 160, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.stationary_sq(rate=1.0, sigma=1, d=1), "rate is 1"),
        (lambda: theory.stationary_sq(rate=0.1, sigma=0, d=1), "sigma is 0"),
        (lambda: theory.theorem7_bound(n=0, d=1, sigma=1, mean_norm=1), "n is 0"),
        (lambda: theory.stationary_sq(rate=np.array([0.5, np.nan]), sigma=1, d=1), "rate is .* expected a number"),
        (lambda: theory.simplex_displacement(1, 2.0), "k is 1"),
        (lambda: theory.theorem1_separation(0), "k is 0"),
        (lambda: theory.lost_component_probability(0, block=3), "k is 0"),
        (lambda: theory.lloyd_bias(-1.0), "separation is -1.0"),
        (lambda: theory.lloyd_bias(1.0, sigma=-2.0), "sigma is -2.0"),
        (lambda: theory.lloyd_pair_law(0.0, rate=0.1, d=2), "separation is 0.0, expected a positive"),
        (lambda: theory.em_fixed_point_bias(2.0, beta=0.0), "beta is 0.0, expected a positive number"),
        (lambda: theory.em_fixed_point_bias(2.0, beta=1e5), "beta is 100000.0, expected at most"),
        (lambda: theory.pair_modes(0.0), "separation is 0.0, expected a positive number"),
        (lambda: theory.pair_modes(1e20), "separation is 1e\\+20, expected a positive number below"),
        (lambda: theory.pair_modes(2.0, beta=0.0), "beta is 0.0"),
        (lambda: theory.pair_modes(2.0, beta=0.4), "beta is 0.4 at separation 2, expected above"),
        (lambda: theory.oracle_sq(n=10, weight=0, sigma=1, d=1), "weight is 0"),
        (lambda: theory.power_iteration_tan_sq(8.0, block=9, sigma=3.0, d=5, k=2), r"expected above sigma\^2 = 9"),
        (lambda: theory.power_iteration_tan_sq(0.5, block=9, sigma=1.0, d=5, k=2), "eigenvalue is 0.5"),
        (lambda: theory.batch_pca_tan_sq(2.0, n=9, sigma=1.0, d=1, k=2), "d is 1, expected at least k = 2"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


GOOD = {
    "theorem1_bound": {"n": 9, "k": 2, "d": 3, "sigma": 1.0, "separation": 4.0, "mean_norm": 1.0},
    "theorem2_bound": {"n": 9, "k": 2, "d": 3, "sigma": 1.0, "separation": 4.0, "mean_norm": 1.0},
    "theorem1_separation": {"k": 2},
    "theorem2_separation": {"k": 2},
    "theorem3_bound": {"separation": 4.0, "sigma": 1.0},
    "theorem7_bound": {"n": 9, "d": 3, "sigma": 1.0, "mean_norm": 1.0},
    "seed_theorem1_curve": {"n": 9, "k": 2, "d": 3, "sigma": 1.0, "separation": 4.0, "mean_norm": 1.0},
    "seed_theorem7_curve": {"n": 9, "d": 3, "sigma": 1.0, "mean_norm": 1.0},
    "contraction": {"rate": 0.1, "weight": 0.5},
    "lloyd_error_sq": {"samples": 9, "rate": 0.1, "weight": 0.5, "sigma": 1.0, "d": 3, "start_sq": 1.0},
    "stationary_sq": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "stationary_distance": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "centre_given_count_variance": {"count": 9, "rate": 0.1, "sigma": 1.0},
    "averaged_sq": {"rate": 0.1, "weight": 0.5, "sigma": 1.0, "d": 3, "window": 9},
    "oracle_sq": {"n": 9, "weight": 0.5, "sigma": 1.0, "d": 3},
    "lloyd_bias": {"separation": 4.0, "sigma": 1.0},
    "simplex_displacement": {"k": 2, "separation": 4.0, "sigma": 1.0},
    "simplex_floor": {"k": 2, "separation": 4.0, "sigma": 1.0},
    "first_order_displacement": {"means": [[0.0], [4.0]], "weights": [0.5, 0.5], "sigma": 1.0},
    "lloyd_pair_law": {"separation": 4.0, "rate": 0.1, "d": 3, "sigma": 1.0},
    "em_information": {"separation": 4.0},
    "em_stationary_sq": {"rate": 0.1, "sigma": 1.0, "d": 3},
    "em_fixed_point_bias": {"separation": 4.0, "beta": 1, "sigma": 1.0},
    "seeding_error_sq": {"means": [[4.0, 0]], "weights": [1.0], "sigma": 1.0, "block": 9, "graph_points": 9},
    "lost_component_probability": {"k": 2, "block": 9},
    "power_iteration_tan_sq": {"eigenvalue": 2.0, "block": 9, "sigma": 1.0, "d": 3, "k": 2},
    "batch_pca_tan_sq": {"eigenvalue": 2.0, "n": 9, "sigma": 1.0, "d": 3, "k": 2},
}
CHECKED = ("n", "k", "rate", "separation", "sigma", "block", "window", "graph_points")


@pytest.mark.parametrize(
    ("function", "name"), [(function, name) for function, call in GOOD.items() for name in CHECKED if name in call]
)
def test_every_function_checks_what_enters_it(function, name):
    call = getattr(theory, function)
    assert np.all(np.isfinite(np.asarray(call(**GOOD[function]))))
    with pytest.raises(ValueError, match=f"{name} is -1"):
        call(**GOOD[function] | {name: -1})


@pytest.mark.parametrize(("name", "edge"), [("rate", 0), ("rate", 1), ("sigma", 0), ("separation", -1e-9)])
def test_the_edges_of_what_is_allowed(name, edge):
    with pytest.raises(ValueError, match=f"{name} is {edge}"):
        theory.lloyd_pair_law(**GOOD["lloyd_pair_law"] | {name: edge})


# --- information ---


def test_the_cramer_rao_bound_is_the_oracle_far_apart_and_more_nearby():
    far = {"n": 100, "separation": 30.0, "sigma": 2.0, "d": 5}
    assert_allclose(theory.cramer_rao(**far, free=1), 4 * 5 / 100)
    assert_allclose(theory.cramer_rao(**far, free=2), 4 * 4 * 5 / 100)  # two means, half of the samples each
    near = {**far, "separation": 2.0}
    assert theory.cramer_rao(**near, free=1) > 1.3 * theory.cramer_rao(**far, free=1)
    assert theory.cramer_rao(**near, free=2) > 2 * theory.cramer_rao(**near, free=1)


@pytest.mark.parametrize("separation", [2.0, 4.0])
def test_the_cramer_rao_bound_is_the_inverse_of_the_score_covariance(separation):
    rng = np.random.default_rng(4)
    s, size = separation / 2, 400_000
    mean = np.array([s, 0.0])
    signs = rng.choice([-1, 1], size)
    x = signs[:, None] * mean + rng.standard_normal((size, 2))
    first = 1 / (1 + np.exp(-2 * s * x[:, 0]))
    scores = np.concatenate([first[:, None] * (x - mean), (1 - first)[:, None] * (x + mean)], axis=1)
    information = scores.T @ scores / size
    assert_allclose(
        np.trace(np.linalg.inv(information)),
        theory.cramer_rao(n=1, separation=separation, sigma=1, d=2, free=2),
        rtol=0.02,
    )
    one = np.tanh(s * x[:, 0])[:, None] * x - mean
    assert_allclose(
        np.trace(np.linalg.inv(one.T @ one / size)),
        theory.cramer_rao(n=1, separation=separation, sigma=1, d=2, free=1),
        rtol=0.02,
    )


def test_fixed_points_of_equal_pairs_are_the_known_ones_and_of_others_are_fixed():
    for separation in (2.0, 4.0):
        fixed = theory.lloyd_pair_fixed_points(separation, [0.5, 0.5], sigma=3.0)
        bias = theory.lloyd_bias(separation, sigma=3.0)
        assert_allclose(fixed, [1.5 * separation + bias, -1.5 * separation - bias], rtol=1e-10)
    rng = np.random.default_rng(5)
    sides = np.where(rng.random(2_000_000) < 0.7, 1.5, -1.5)
    x = sides + rng.standard_normal(len(sides))
    fixed = theory.lloyd_pair_fixed_points(3.0, [0.7, 0.3])
    above = x > fixed.mean()
    assert_allclose([x[above].mean(), x[~above].mean()], fixed, atol=5e-3)
    threshold = fixed.mean()
    tail, density = stats.norm.sf(threshold - np.array([1.5, -1.5])), stats.norm.pdf(threshold - np.array([1.5, -1.5]))
    above = np.array([0.7, 0.3]) @ (np.array([1.5, -1.5]) * tail + density) / (np.array([0.7, 0.3]) @ tail)
    assert_allclose(fixed[0], above, rtol=1e-9)
    with pytest.raises(ValueError, match="two positive numbers"):
        theory.lloyd_pair_fixed_points(3.0, [1.0, 0.0])
