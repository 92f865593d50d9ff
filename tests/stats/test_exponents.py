"""Exponents against exact laws: what is claimed, what is not, and how often the claims cover."""

import numpy as np
import pytest
from draws import squared_errors, within_binomial
from numpy.testing import assert_allclose

from jgmm import stats
from jgmm.stats import exponents, trials

LAWS = {
    "power": lambda x: 1 / x,
    "power-log": lambda x: np.log(3 * x) / x,
    "power-floor": lambda x: 1 / x + 1e-5,
    "power-log-floor": lambda x: 7.5 * np.log(3 * x) / x + 5.8e-4,
}


def sizes(cells):
    return 2.0 ** np.linspace(10, 20, cells)


@pytest.mark.parametrize("family", LAWS)
def test_an_exact_law_is_recognised(family):
    x = sizes(11)
    fit = stats.fit_exponent(x, np.repeat(LAWS[family](x)[:, None], 100, axis=1))
    if "log" in family:
        # log 3N is no member: without noise a bend of 0.0003 is seen, and nothing is claimed.
        assert (fit.family, np.isnan(fit.low)) == ("undetermined", True)
        member = np.log(x) / x + (1e-5 if family == "power-log-floor" else 0)
        fit = stats.fit_exponent(x, np.repeat(member[:, None], 100, axis=1))
    assert fit.family == family
    assert_allclose(fit.exponent, -1, atol=0.02 if family == "power-log" else 1e-6)
    assert fit.low <= -1 <= fit.high


def test_a_fit_does_not_mind_the_order_of_sizes_or_the_scale():
    x = sizes(6)
    values = squared_errors(np.random.default_rng(7), 1 / x, 300)
    first, shuffled = stats.fit_exponent(x, values), stats.fit_exponent(x[::-1], values[::-1])
    assert repr(first) == repr(shuffled)
    scaled = stats.fit_exponent(x, 1e-3 * values)
    assert scaled.family == first.family
    assert_allclose(scaled[1:6], first[1:6], rtol=1e-6)


def test_the_plain_slope_stands_beside_the_fit():
    x = sizes(5)
    values = squared_errors(np.random.default_rng(8), 1 / x, 60)
    relative = values.var(axis=1, ddof=1) / 60 / values.mean(axis=1) ** 2
    y = np.log(values.mean(axis=1)) + relative / 2
    assert_allclose(stats.fit_exponent(x, values).ols_exponent, np.polyfit(np.log(x), y, 1)[0], rtol=1e-12)


def trial(family, exponent, worst_p, half_width=0.01):
    fit = trials.FamilyFit(
        family=family,
        exponent=exponent,
        low=exponent - 0.01,
        high=exponent + 0.01,
        chi2_df=1.0,
        p_value=worst_p,
        heldout=1.0,
        admitted=worst_p >= 0.025,
    )
    return trials.Trial(fit=fit, squared_error=0.0, worst_p=worst_p, half_width=half_width)


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


def test_three_sizes_claim_nothing_and_small_sizes_have_no_log_log():
    rng = np.random.default_rng(10)
    fit = stats.fit_exponent([10.0, 100.0, 1000.0], squared_errors(rng, np.array([1, 0.1, 0.01]), 400))
    assert (fit.family, len(fit.candidates)) == ("undetermined", 1)
    assert fit.low < -1 < fit.high
    x = np.array([2.0, 4.0, 8.0, 16.0])
    fit = stats.fit_exponent(x, squared_errors(rng, 1 / x, 400))
    assert [candidate.family for candidate in fit.candidates] == ["power", "power-floor"]


def test_a_law_outside_every_family_leaves_no_interval():
    x = sizes(9)
    jump = np.where(x > 2.0**14, 0.1, 1.0) / x
    fit = stats.fit_exponent(x, squared_errors(np.random.default_rng(11), jump, 2000))
    assert fit.family == "undetermined"
    assert np.isnan([fit.low, fit.high]).all()
    assert fit.chi2_df > 10


@pytest.mark.parametrize(
    ("law", "runs"),
    [
        (
            lambda x: np.exp(-(x**2) / 4),
            50,
        ),  # a power with a power of the logarithm fits alone: its interval is 30 wide
        (lambda x: 1 / x, 200),  # every family fits: their hull is 6 wide
    ],
)
def test_an_interval_that_says_nothing_is_none(law, runs):
    x, rng = np.array([3.0, 4.0, 5.0, 6.0]), np.random.default_rng(16)
    fits = [stats.fit_exponent(x, squared_errors(rng, law(x), runs), resamples=100) for _ in range(5)]
    assert all(fit.family == "undetermined" and np.isnan([fit.low, fit.high]).all() for fit in fits)
    assert any(c.admitted and c.high - c.low > exponents.WIDEST for fit in fits for c in fit.candidates)


def test_runs_that_agree_but_for_float32_have_its_resolution():
    x, rng = np.array([0.5, 1.0, 2.0, 4.0]), np.random.default_rng(17)
    shared = rng.chisquare(4, 100)
    values = (x[:, None] ** 2 * shared[None] * (1 + 3e-8 * rng.standard_normal((4, 100)))).astype(np.float32)
    fit = stats.fit_exponent(x, values)
    assert fit.low < 2 < fit.high


def test_the_logarithm_is_never_taken_for_a_power():
    x, rng = sizes(11), np.random.default_rng(9)
    for runs in (200, 2000, 100_000):
        for _ in range(12):
            fit = stats.fit_exponent(x, squared_errors(rng, LAWS["power-log"](x), runs), resamples=100)
            assert fit.family in ("power-log", "undetermined")
            if runs == 100_000:
                power = fit.candidates[0]
                assert -0.92 < power.exponent < -0.90  # what a plain fit would have claimed
                assert power.high - power.low < 0.002
                assert not power.admitted
                assert power.p_value < 1e-6


# how often


def coverage(family, cells, runs, shared, studies, seed, resamples=1000):
    """Claimed intervals and hulls that hold the true exponent -1, and the families claimed."""
    x, rng = sizes(cells), np.random.default_rng(seed)
    fits = [
        stats.fit_exponent(x, squared_errors(rng, LAWS[family](x), runs, shared=shared), resamples=resamples)
        for _ in range(studies)
    ]
    claimed = [fit for fit in fits if fit.family != "undetermined"]
    hulls = [fit for fit in fits if fit.family == "undetermined" and not np.isnan(fit.low)]
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
# width covers 67 %. All of them, with 1000 studies each, are among the long tests.
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


@pytest.mark.long
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("runs", [200, 2000, 20_000])
@pytest.mark.parametrize("cells", [5, 11])
@pytest.mark.parametrize("family", LAWS)
def test_the_claimed_exponent_covers_the_truth_at_length(family, cells, runs, shared):
    check_coverage(family, *coverage(family, cells, runs, shared, 1000, [cells, runs, shared]), 1000)


@pytest.mark.parametrize(
    ("x", "values", "words"),
    [
        ([1.0, 2.0], np.ones((2, 5)), "at least 3 different positive sizes"),
        ([1.0, 2.0, 2.0], np.ones((3, 5)), "different"),
        ([0.0, 1.0, 2.0], np.ones((3, 5)), "positive"),
        ([1.0, 2.0, 4.0], np.ones((2, 5)), "shape"),
        ([1.0, 2.0, 4.0], np.ones((3, 1)), "at least 2 runs, got 1"),
        ([1.0, 2.0, 4.0], -np.ones((3, 5)), "above 0"),
        ([1.0, 2.0, 4.0], np.full((3, 5), np.nan), "finite"),
        ([1.0, 2.0, 4.0], np.zeros((3, 5)), "above 0"),
    ],
)
def test_bad_input_is_named(x, values, words):
    with pytest.raises(ValueError, match=words):
        stats.fit_exponent(x, values)
