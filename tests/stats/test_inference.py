"""Standard errors against simulation, intervals against their coverage, exponents against exact laws."""

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import stats
from jgmm.stats import exponents, families, moments, trials

# By hand


def test_a_mean_by_hand():
    found = stats.mean([1.0, 2.0, 3.0, 6.0])
    assert_allclose(found, [3.0, np.sqrt(14 / 3 / 4), 4], rtol=1e-14)
    assert np.isnan(stats.mean([5.0]).standard_error)


def test_a_root_mean_by_hand():
    found = stats.root_mean([9.0, 9.0, 25.0, 57.0])  # mean 25, squared deviations 256, 256, 0, 1024
    assert_allclose(found, [5.0, np.sqrt(1536 / 3 / 4) / 10, 4], rtol=1e-14)
    assert_array_equal(stats.root_mean([0.0, 0.0]), [0, 0, 2])


def test_a_relative_deviation_is_its_jackknife_by_loop():
    v = np.array([1.0, 2.0, 3.0, 6.0, 11.0])
    without = np.array([np.delete(v, i).std(ddof=1) / np.delete(v, i).mean() for i in range(5)])
    found = stats.relative_deviation(v)
    assert_allclose(found, [v.std(ddof=1) / v.mean(), np.sqrt(4 * without.var()), 5], rtol=1e-13)
    assert_allclose(stats.relative_deviation(7 * v), found, rtol=1e-13)
    assert np.isnan(stats.relative_deviation([0.0, 0.0, 1.0]).standard_error)


def test_a_control_variate_by_hand():
    # z = -1, 0, 1, 4 with mean 1; slope (2*1 + 1*0 + 0 + 3*5) / 14; the intercept's error is linregress's.
    v, twin = np.array([1.0, 2.0, 2.0, 7.0]), np.array([0.0, 1.0, 2.0, 5.0])
    found, line = stats.controlled(v, twin, 1.0), scipy.stats.linregress(twin - 1, v)
    assert_allclose(found.coefficient, 17 / 14, rtol=1e-14)
    assert_allclose(found[:2], [line.intercept, line.intercept_stderr], rtol=1e-13)
    assert_allclose(found.variance_factor, v.var(ddof=1) / 4 / line.intercept_stderr**2, rtol=1e-13)
    assert_allclose(stats.controlled_values(v, twin, 1.0), v - 17 / 14 * (twin - 1), rtol=1e-14)
    assert_allclose(stats.controlled_values(v, twin, np.ones(4)).mean(), found.value, rtol=1e-14)


def test_a_twin_that_does_not_vary_controls_nothing():
    v = np.array([1.0, 2.0, 4.0])
    found = stats.controlled(v, np.full(3, 0.3), 0.1 + 0.2)
    assert_allclose(found, [*stats.mean(v)[:2], 0, 1], rtol=1e-14)
    moving = np.array([0.1, 0.7, 1e6])
    assert stats.controlled(v, moving + 0.1, moving).coefficient == 0


def test_a_share_has_width_at_both_corners():
    # None of 1000 is likelier than 2.5 % while (1 - p)^1000 > 0.025.
    assert_allclose(stats.proportion(0, 1000), [0, 0, 1 - 0.025**0.001], rtol=1e-12)
    assert_allclose(stats.proportion(1000, 1000), [1, 0.025**0.001, 1], rtol=1e-12)
    by_scipy = scipy.stats.binomtest(7, 20).proportion_ci(0.9, method="exact")
    assert_allclose(stats.proportion(7, 20, 0.9), [0.35, *by_scipy], rtol=1e-9)


@pytest.mark.parametrize("n", [1, 5, 16, 64, 256])
def test_a_share_is_covered_at_least_as_often_as_said_whatever_it_is(n):
    # Exactly, by the binomial law. Wilson's interval: 85 % at 16 runs of probability 0.99.
    found = np.array([stats.proportion(hits, n) for hits in range(n + 1)])
    for p in (1e-4, 0.01, 0.1, 0.3, 0.5, 0.77, 0.9, 0.99, 0.9999):
        inside = (found[:, 1] <= p) & (p <= found[:, 2])
        assert scipy.stats.binom.pmf(np.arange(n + 1), n, p) @ inside >= 0.95 - 1e-12


def test_the_median_of_ten_lies_between_the_second_and_the_ninth():
    # P(2 <= B <= 8) = 0.9785 for B ~ Binomial(10, 1/2), and 3..7 would be 0.89: the table in every textbook.
    assert_allclose(stats.quantile(np.arange(10.0, 0, -1), 0.5), [5.5, 2, 9], rtol=1e-14)


def test_no_interval_where_order_statistics_cannot_reach_the_level():
    # The median of n lies outside all n runs with chance 2^(1-n): 1/16 for 5 runs, 1/32 for 6.
    for n in (1, 2, 3, 5):
        assert np.isnan(stats.quantile(np.arange(float(n)), 0.5)[1:]).all()
    assert_allclose(stats.quantile(np.arange(6.0), 0.5), [2.5, 0, 5])
    assert_allclose(stats.quantile(np.arange(5.0), 0.5, level=0.9), [2, 0, 4])
    assert np.isnan(stats.quantile(np.arange(50.0), 0.95)[1:]).all()  # the greatest of 50 is below it in 8 %


def test_a_difference_and_a_ratio_by_hand():
    a, b = [2.0, 4.0, 9.0], [1.0, 2.0, 3.0]
    assert_allclose(stats.paired_difference(a, b), [3, np.sqrt(7 / 3), np.corrcoef(a, b)[0, 1]], rtol=1e-13)
    # R = 2.5; a - R b = -0.5, -1, 1.5, variance 1.75
    assert_allclose(stats.ratio(a, b)[:2], [2.5, np.sqrt(1.75 / 3) / 2], rtol=1e-13)
    assert np.isnan(stats.paired_difference(a, [1.0, 1.0, 1.0]).correlation)


def test_a_squared_length_is_the_mean_over_pairs():
    v = np.random.default_rng(0).normal(size=(6, 3)) + 1
    pairs = [v[i] @ v[j] for i in range(6) for j in range(6) if i != j]
    assert_allclose(stats.squared_length(v).value, np.mean(pairs), rtol=1e-13)
    assert_allclose(stats.squared_length(np.ones((5, 4))), [4, 0, 5], atol=1e-14)


def test_looks_spend_their_level_and_no_more():
    assert_allclose([stats.look_level(j) for j in (1, 2, 3)], [0.025, 0.05 / 6, 0.05 / 12], rtol=1e-14)
    assert_allclose(sum(stats.look_level(j, 0.1) for j in range(1, 1000)), 0.1 * 999 / 1000, rtol=1e-12)


def test_batches_drop_no_run():
    v = np.random.default_rng(0).normal(size=(3, 23))
    found, sizes = moments.batches(v, 5), moments.batch_sizes(23, 5)
    by_loop = [[part.mean() for part in np.array_split(row, 5)] for row in v]
    assert_allclose(found, by_loop, rtol=1e-13)
    assert_array_equal(sizes, [5, 5, 5, 4, 4])
    assert_allclose(found @ sizes / 23, v.mean(axis=1), rtol=1e-13)
    assert_array_equal(moments.batches(v, 30), v)


def test_local_exponents_of_an_exact_law():
    x = np.array([8.0, 2.0, 4.0])
    found = stats.local_exponents(x, np.array([1.0, 2.0, 3.0])[None] / x[:, None] ** 1.5)
    assert_allclose(found.x, [np.sqrt(8), np.sqrt(32)], rtol=1e-14)
    assert_allclose(found.exponent, [-1.5, -1.5], rtol=1e-13)
    assert_allclose(found.standard_error, 0, atol=1e-14)  # runs that share one factor have no error in the exponent


@pytest.mark.parametrize("n", [64, 300, 4096])
def test_a_mean_is_carried_by_a_few_failures_but_not_by_a_tail(n):
    rng = np.random.default_rng(n)
    for _ in range(100):
        assert not stats.carried_by_few(rng.chisquare(1, n))
        assert not stats.carried_by_few(rng.lognormal(0, 1, n))
        failing = rng.chisquare(1, n)
        failing[: max(1, n // 100)] = 1000 * rng.chisquare(3, max(1, n // 100)).clip(0.2)
        assert stats.carried_by_few(failing)


# Every standard error, against a bootstrap and against the spread of many small studies


def gamma_runs(rng, n):
    return (rng.gamma(2.0, 1.0, n),)


def nearly_normal_runs(rng, n):
    return (rng.gamma(20.0, 1.0, n),)


def paired_runs(rng, n):
    shared = rng.gamma(1.0, 1.0, n)
    return shared + rng.gamma(3.0, 1.0, n), shared + rng.gamma(2.0, 1.0, n)


def twin_runs(rng, n):
    twin = rng.gamma(2.0, 1.0, n)
    return twin + rng.normal(size=n) * 0.5, twin, np.full(n, 2.0)


def vector_runs(rng, n):
    return (rng.gamma(2.0, 1.0, (n, 3)) - [1.5, 2.0, 2.2],)


def centred_runs(rng, n):
    return (rng.normal(size=(n, 8)) * np.arange(1, 9),)


def size_runs(rng, n):
    shared = rng.gamma(2.0, 0.5, n)
    return ((shared + rng.gamma(2.0, 0.5, (3, n)).cumsum(axis=0)).T,)


def first_local(runs):
    found = stats.local_exponents([1.0, 3.0, 10.0], runs.T)
    return stats.Mean(found.exponent[1], found.standard_error[1], len(runs))


ERRORS = [
    (stats.mean, gamma_runs),
    (stats.root_mean, gamma_runs),
    (stats.relative_deviation, gamma_runs),
    (stats.relative_deviation, nearly_normal_runs),
    (stats.controlled, twin_runs),
    (stats.paired_difference, paired_runs),
    (stats.ratio, paired_runs),
    (stats.squared_length, vector_runs),
    (first_local, size_runs),
]


@pytest.mark.parametrize(("estimate", "draw"), ERRORS)
def test_a_standard_error_is_the_bootstraps(estimate, draw):
    rng = np.random.default_rng(1)
    data = draw(rng, 1000)
    error = estimate(*data).standard_error
    picks = rng.integers(1000, size=(700, 1000))
    again = [estimate(*(part[pick] for part in data)).value for pick in picks]
    # 700 resamples know their SD to 2.7 %; 1/n terms (0.1 %) and the pairs of equal runs are beside that.
    assert_allclose(np.std(again), error, rtol=0.08)


@pytest.mark.parametrize(("estimate", "draw"), ERRORS)
def test_a_standard_error_is_the_spread_of_many_small_studies(estimate, draw):
    rng = np.random.default_rng(2)
    found = np.array([estimate(*draw(rng, 100))[:2] for _ in range(1200)])
    # 1200 studies know the spread to 2 %.
    assert_allclose(np.sqrt(np.mean(found[:, 1] ** 2)), found[:, 0].std(), rtol=0.08)


def test_the_error_of_a_squared_length_is_never_small_at_zero():
    rng = np.random.default_rng(2)
    found = np.array([stats.squared_length(*centred_runs(rng, 100))[:2] for _ in range(1200)])
    stated = np.sqrt(np.mean(found[:, 1] ** 2)) / found[:, 0].std()
    assert 0.95 < stated < 1.4  # the first term is clipped at 0, so its noise adds; the docstring says 1.3
    assert np.min(found[:, 1]) > 0.7 * found[:, 0].std()  # the trace of 100 runs is noisy itself


def test_a_squared_length_has_no_bias_even_at_zero():
    rng = np.random.default_rng(3)
    for length, draw in ((0.25 + 0.0 + 0.04, vector_runs), (0.0, centred_runs)):
        found = np.array([stats.squared_length(*draw(rng, 12)).value for _ in range(4000)])
        assert abs(found.mean() - length) < 3.5 * found.std() / np.sqrt(len(found))


def within_binomial(hits, expected=0.95, c=3.0, slack=0.0):
    """Coverage within c binomial standard errors of expected."""
    return abs(np.mean(hits) - expected) <= c * np.sqrt(expected * (1 - expected) / len(hits)) + slack


@pytest.mark.parametrize("correlation", [0.0, 0.7, 0.99])
def test_the_controlled_interval_covers(correlation):
    rng = np.random.default_rng(4)
    n, studies, hits = 12, 800, []
    for _ in range(studies):
        centre = rng.normal(size=n)  # a conditional mean per run
        twin = centre + rng.normal(size=n)
        values = 3 + correlation * (twin - centre) + np.sqrt(1 - correlation**2) * rng.normal(size=n)
        found = stats.controlled(values, twin, centre)
        hits.append(abs(found.value - 3) <= scipy.stats.t.ppf(0.975, n - 2) * found.standard_error)
    assert within_binomial(hits)  # exact for normal runs


def test_quantile_intervals_cover():
    rng = np.random.default_rng(5)
    for probability, n in ((0.5, 30), (0.9, 100), (0.1, 50)):
        law = scipy.stats.gamma(0.7)
        truth = law.ppf(probability)
        found = [stats.quantile(law.rvs(n, random_state=rng), probability) for _ in range(300)]
        hits = [interval.low <= truth <= interval.high for interval in found]
        low, high = scipy.stats.binom.ppf([0.025, 0.975], n, probability)
        exact = scipy.stats.binom.cdf(high, n, probability) - scipy.stats.binom.cdf(low - 1, n, probability)
        assert 0.95 <= exact < 0.99
        assert within_binomial(hits, exact)


def test_local_exponents_cover_the_truth():
    rng = np.random.default_rng(6)
    x, hits = np.array([16.0, 64.0, 128.0]), []
    for _ in range(1000):
        found = stats.local_exponents(x, squared_errors(rng, 1 / x, 200, shared=True))
        hits.append(np.abs(found.exponent + 1) <= 1.96 * found.standard_error)
    for column in np.transpose(hits):
        assert within_binomial(column, slack=0.005)


# Exponents

LAWS = {
    "power": lambda x: 1 / x,
    "power-log": lambda x: np.log(3 * x) / x,
    "power-floor": lambda x: 1 / x + 1e-5,
    "power-log-floor": lambda x: 7.5 * np.log(3 * x) / x + 5.8e-4,
}


def squared_errors(rng, law, runs, shared):
    """Gamma runs with coefficient of variation 1/2; of many runs, 400 means of equally many, which have a gamma law.

    Shared: half of the variance is common to the cells of a run.
    """
    batch = max(1, runs // 400)
    size = len(law), runs // batch
    if not shared:
        return law[:, None] * rng.gamma(4 * batch, 1, size) / (4 * batch)
    return law[:, None] * (rng.gamma(2 * batch, 1, size) + rng.gamma(2 * batch, 1, size[1])) / (4 * batch)


def sizes(cells):
    return 2.0 ** np.linspace(10, 20, cells)


@pytest.mark.parametrize("family", LAWS)
def test_an_exact_law_is_recognised(family):
    x = sizes(11)
    found = stats.fit_exponent(x, np.repeat(LAWS[family](x)[:, None], 100, axis=1))
    if "log" in family:
        # log 3N is no member: without noise a bend of 0.0003 is seen, and nothing is claimed.
        assert (found.family, np.isnan(found.low)) == ("undetermined", True)
        member = np.log(x) / x + (1e-5 if family == "power-log-floor" else 0)
        found = stats.fit_exponent(x, np.repeat(member[:, None], 100, axis=1))
    assert found.family == family
    assert_allclose(found.exponent, -1, atol=0.02 if family == "power-log" else 1e-6)
    assert found.low <= -1 <= found.high


def test_a_fit_does_not_mind_the_order_of_sizes_or_the_scale():
    x, rng = sizes(6), np.random.default_rng(7)
    values = squared_errors(rng, 1 / x, 300, shared=False)
    first, shuffled = stats.fit_exponent(x, values), stats.fit_exponent(x[::-1], values[::-1])
    assert repr(first) == repr(shuffled)
    scaled = stats.fit_exponent(x, 1e-3 * values)
    assert scaled.family == first.family
    assert_allclose(scaled[1:6], first[1:6], rtol=1e-6)


def test_the_power_slope_is_the_weighted_regression_by_loop():
    x, rng = sizes(5), np.random.default_rng(8)
    values = squared_errors(rng, 1 / x, 60, shared=False)
    m, variance = values.mean(axis=1), values.var(axis=1, ddof=1) / 60
    relative = variance / m**2
    y = np.log(m) + relative / 2
    slope = np.polyfit(np.log(x), y, 1, w=1 / np.sqrt(relative))[0]
    found = stats.fit_exponent(x, values)
    assert_allclose(found.candidates[0].exponent, slope, rtol=1e-12)
    assert_allclose(found.ols_exponent, np.polyfit(np.log(x), y, 1)[0], rtol=1e-12)
    # 1000 resamples know the SD to 2.2 %; a regression with known weights has this one.
    design = np.stack([np.ones(5), np.log(x)])
    spread = np.sqrt(np.linalg.inv(design / relative @ design.T)[1, 1])
    width = 2 * scipy.stats.t.ppf(0.975, 59) * spread
    assert_allclose(found.candidates[0].high - found.candidates[0].low, width, rtol=0.15)


def test_the_logarithm_is_never_taken_for_a_power():
    x, rng = sizes(11), np.random.default_rng(9)
    for runs in (200, 2000, 100_000):
        for _ in range(12):
            found = stats.fit_exponent(x, squared_errors(rng, LAWS["power-log"](x), runs, shared=False), resamples=100)
            assert found.family in ("power-log", "undetermined")
            if runs == 100_000:
                power = found.candidates[0]
                assert -0.92 < power.exponent < -0.90  # what a plain fit would have claimed
                assert power.high - power.low < 0.002
                assert not power.admitted
                assert power.p_value < 1e-6


def test_a_floor_that_would_be_negative_is_the_power():
    x, rng = sizes(8), np.random.default_rng(14)
    found = stats.fit_exponent(x, squared_errors(rng, np.log(x) / x, 20_000, shared=False))
    power, _, floor, _ = found.candidates
    assert_allclose([floor.exponent, floor.chi2_df], [power.exponent, power.chi2_df], rtol=1e-6)
    assert_allclose(floor.heldout, power.heldout, rtol=1e-6)


def trial(family, exponent, worst_p, half_width=0.01):
    fit = trials.FamilyFit(family, exponent, exponent - 0.01, exponent + 0.01, 1.0, worst_p, 1.0, worst_p >= 0.025)
    return trials.Trial(fit, 0.0, worst_p, half_width)


def test_a_claim_needs_agreement_precision_and_no_simpler_family_open():
    log = trial("power-log", -1.0, 0.5)
    for power, log_trial, claimed in (
        (trial("power", -1.02, 1e-5), log, True),  # power is rejected, and both are precise
        (trial("power", -1.02, 0.01), log, False),  # power is open still
        (trial("power", -1.02, 1e-5), trial("power-log", -1.0, 0.5, 0.04), False),  # too loose to reject by
        (trial("power", -1.02, 1e-20), trial("power-log", -1.0, 0.5, 0.04), True),  # nothing else is possible
    ):
        assert exponents.claims(log_trial.fit, [power, log_trial]) is claimed
    power = trial("power", -1.0, 0.5)
    assert exponents.claims(power.fit, [power, trial("power-log", -1.029, 0.5)])
    assert not exponents.claims(power.fit, [power, trial("power-log", -1.031, 0.5)])
    assert not exponents.claims(power.fit, [power, trial("power-log", -1.031, 0.002)])  # not admitted, but objects


def test_a_floor_that_the_smaller_sizes_cannot_see_is_admitted():
    x, rng = sizes(11), np.random.default_rng(15)
    found = [stats.fit_exponent(x, squared_errors(rng, 1 / x + 1e-7, 2000, False), resamples=20) for _ in range(60)]
    # 0.95 in the mean, less 2.5 standard errors of 60 studies; 0.7 where the unseen floor is forgotten.
    assert np.mean([fit.candidates[2].admitted for fit in found]) >= 0.88


def test_three_sizes_claim_nothing_and_small_sizes_have_no_log_log():
    rng = np.random.default_rng(10)
    found = stats.fit_exponent([10.0, 100.0, 1000.0], squared_errors(rng, np.array([1, 0.1, 0.01]), 400, shared=False))
    assert (found.family, len(found.candidates)) == ("undetermined", 1)
    assert found.low < -1 < found.high
    x = np.array([2.0, 4.0, 8.0, 16.0])
    found = stats.fit_exponent(x, squared_errors(rng, 1 / x, 400, shared=False))
    assert [candidate.family for candidate in found.candidates] == ["power", "power-floor"]


def test_a_law_outside_every_family_leaves_no_interval():
    x, rng = sizes(9), np.random.default_rng(11)
    jump = np.where(x > 2.0**14, 0.1, 1.0) / x
    found = stats.fit_exponent(x, squared_errors(rng, jump, 2000, shared=False))
    assert found.family == "undetermined"
    assert np.isnan([found.low, found.high]).all()
    assert found.chi2_df > 10


def test_the_misfit_test_is_right_at_few_runs():
    """40 runs, 11 cells: a chi-square with 9 degrees of freedom would reject in 9 % instead of 2.5 %."""
    x, rng = sizes(11), np.random.default_rng(12)
    counts, found = np.ones(40, int), []
    for _ in range(600):
        found_moments = moments.log_moments(np.log(x), squared_errors(rng, 1 / x, 40, shared=True), counts)
        found.append(trials.try_family(families.POWER, found_moments, found_moments.y[None] + np.zeros((2, 1))).fit)
    rejected = [fit.p_value < 0.05 for fit in found]
    assert within_binomial(rejected, 0.05, slack=0.01)  # skew of the runs: 0.01
    unseen = np.mean([fit.heldout**2 for fit in found])
    assert_allclose(unseen, 1, rtol=0.15)


def coverage(family, cells, runs, shared, studies, seed, resamples=1000):
    """Claimed intervals and hulls that hold the true exponent -1, and the families claimed."""
    x, rng = sizes(cells), np.random.default_rng(seed)
    found = [
        stats.fit_exponent(x, squared_errors(rng, LAWS[family](x), runs, shared), resamples=resamples)
        for _ in range(studies)
    ]
    claimed = [fit for fit in found if fit.family != "undetermined"]
    hulls = [fit for fit in found if fit.family == "undetermined" and not np.isnan(fit.low)]
    return (
        [fit.low <= -1 <= fit.high for fit in claimed],
        [fit.low <= -1 <= fit.high for fit in hulls],
        [fit.family for fit in claimed],
    )


def check_coverage(family, claimed, hulls, families, studies):
    """Claimed: 93 to 97 %; hulls: at least 93 %; both together: at least 93 %; plus 2.5 binomial standard errors.

    Claims in fewer than one study of twenty count only with the hulls: two lucky ones in a thousand have no share.
    Hulls in fewer than one study of twenty count only with the claimed: where nearly every study decides, the few
    that do not are those whose sample misleads, and no rule covers in them alone (log 3N, 11 cells, 2000 runs that
    share: 8 of 1000 studies are undetermined, and none of these 8 covers).
    """
    if len(claimed) >= 0.05 * studies:
        assert within_binomial(claimed, c=2.5, slack=0.02)
    both = claimed + hulls
    assert both
    assert np.mean(both) >= 0.93 - 2.5 * np.sqrt(0.93 * 0.07 / len(both))
    if len(hulls) >= 0.05 * studies:
        assert np.mean(hulls) >= 0.93 - 2.5 * np.sqrt(0.93 * 0.07 / len(hulls))
    # The true family is admitted in 95 %; log 3N above a floor is no member, which 20,000 runs see in a sixth.
    assert len(claimed) + len(hulls) >= (0.75 if family == "power-log-floor" else 0.9) * studies
    assert np.mean([name == family for name in families] or [1]) >= 0.97


# What is claimed and covers, what only leaves a hull (claimed all the same, it covers 6 %), and a floor, which only one
# family of the list fits. 100 resamples know a deviation to 7 %: 1 % of coverage. An interval of half the
# width covers 67 %. All of them, with 1000 studies each, are among the slow tests.
QUICK = [("power", 20_000), ("power-log", 200), ("power-floor", 20_000)]


@pytest.mark.parametrize(("family", "runs"), QUICK)
def test_the_claimed_exponent_covers_the_truth(family, runs):
    claimed, hulls, families = coverage(family, 11, runs, False, 50, 13, resamples=100)
    check_coverage(family, claimed, hulls, families, 50)
    if runs > 200:
        assert len(claimed) >= 42  # enough runs to say so


def test_a_logarithm_above_a_floor_is_not_claimed_to_be_another_power_above_a_floor():
    # Without power-log-floor nine studies of ten claimed a power-floor of exponent -0.92 at 2000 runs.
    for cells, runs, claims in ((7, 2000, 0), (11, 20_000, 10)):
        claimed, hulls, families = coverage("power-log-floor", cells, runs, False, 20, 14, resamples=100)
        assert set(families) <= {"power-log-floor"}
        assert np.mean(claimed + hulls) >= 0.8  # 0.95 less 3 standard errors of 20 studies
        assert len(claimed) >= claims


def test_an_interval_that_says_nothing_is_none():
    rng = np.random.default_rng(16)
    x = np.array([3.0, 4.0, 5.0, 6.0])  # exp(-x^2/4) over so short a stretch is any power with any logarithm
    found = [
        stats.fit_exponent(x, squared_errors(rng, np.exp(-(x**2) / 4), 200, False), resamples=100) for _ in range(20)
    ]
    assert all(np.isnan(fit.low) or fit.high - fit.low <= exponents.WIDEST for fit in found)
    assert any(max(c.high - c.low for c in fit.candidates) > 10 for fit in found)


def test_runs_that_agree_but_for_float32_have_its_resolution():
    x, rng = np.array([0.5, 1.0, 2.0, 4.0]), np.random.default_rng(17)
    shared = rng.chisquare(4, 100)
    values = (x[:, None] ** 2 * shared[None] * (1 + 3e-8 * rng.standard_normal((4, 100)))).astype(np.float32)
    found = stats.fit_exponent(x, values)
    assert found.low < 2 < found.high
    centred = np.log(x) - np.log(x).mean()
    slope = stats.contrast_interval(values, centred / (centred @ centred))
    assert slope.high - slope.low > 1e-6


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("runs", [200, 2000, 20_000])
@pytest.mark.parametrize("cells", [5, 11])
@pytest.mark.parametrize("family", LAWS)
def test_the_claimed_exponent_covers_the_truth_at_length(family, cells, runs, shared):
    check_coverage(family, *coverage(family, cells, runs, shared, 1000, [cells, runs, shared]), 1000)


# Bad input


def test_bad_input_is_named():
    x, values = [1.0, 2.0, 4.0], np.ones((3, 5))
    for bad_x, bad_values, words in (
        (x[:2], values[:2], "at least 3 different positive sizes"),
        ([1.0, 2.0, 2.0], values, "different"),
        ([0.0, 1.0, 2.0], values, "positive"),
        (x, values[:2], "shape"),
        (x, values[:, :1], "at least 2 runs, got 1"),
        (x, -values, "above 0"),
        (x, np.full((3, 5), np.nan), "finite"),
        (x, np.zeros((3, 5)), "above 0"),
    ):
        with pytest.raises(ValueError, match=words):
            stats.fit_exponent(bad_x, bad_values)
    for call, words in (
        (lambda: stats.mean([]), "at least 1 runs"),
        (lambda: stats.root_mean([1.0, -1.0]), "at least 0, got -1"),
        (lambda: stats.relative_deviation([1.0]), "at least 2"),
        (lambda: stats.relative_deviation([1.0, -1.0]), "at least 0"),
        (lambda: stats.controlled([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0]), "as many runs"),
        (lambda: stats.quantile([1.0], 1.0), "probability"),
        (lambda: stats.proportion(3, 2), "got 3 of 2"),
        (lambda: stats.paired_difference([1.0, 2.0], [1.0, 2.0, 3.0]), "got 2 and 3"),
        (lambda: stats.ratio([1.0, 2.0], [-1.0, 1.0]), "mean 0"),
        (lambda: stats.squared_length([1.0, 2.0, 3.0]), "shape"),
        (lambda: stats.look_level(0), "from 1"),
        (lambda: moments.batches(np.ones(3)), "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
