"""The mean of a few skewed errors: gamma laws of known shape, estimated shapes, and many_studies."""

import many_studies  # benchmarks/many_studies.py: verdicts on thousands of studies at once
import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose
from scipy import optimize, special

from jgmm.stats import skewed


def test_of_a_known_shape_the_tails_are_a_gamma_laws():
    known = skewed.Shape(mean=np.array(1.0), kappa=np.array(2.0), freedom=np.array(1e12), excess=np.array(0.0), runs=8)
    below, above = skewed.tails(known, np.array(1.3), np.array(0.8), 0.025)
    law = scipy.stats.gamma(8 * 2.0, scale=1 / (8 * 2.0))  # of the mean of 8 runs of mean 1
    assert_allclose([below, above], [law.cdf(1 / 1.3), law.sf(1 / 0.8)], rtol=1e-5)


def test_an_excess_of_skewness_lessens_the_shape_by_the_square_of_the_widening():
    shape = skewed.Shape(mean=np.array(1.0), kappa=np.array(2.0), freedom=np.array(1e12), excess=np.array(0.0), runs=8)
    z = scipy.stats.norm.isf(0.025)
    wider = 1 + 0.7 * (2 * z**2 + 1) / (6 * z * np.sqrt(8))
    skew = skewed.tails(shape._replace(excess=np.array(0.7)), np.array(1.3), np.array(0.8), 0.025)
    assert_allclose(skew, skewed.tails(shape._replace(kappa=2 / wider**2), np.array(1.3), np.array(0.8), 0.025))


@pytest.mark.parametrize("seed", [0, 1])  # of the runs of the first the most likely shape is less, then the moments'
@pytest.mark.parametrize("kappa", [0.3, 1.0, 5.0])
def test_the_shape_is_the_lesser_of_the_most_likely_and_that_of_the_moments(kappa, seed):
    v = np.random.default_rng(seed).gamma(kappa, 1, 12)
    gap = 12 / 11 * (np.log(v.mean()) - np.log(v).mean())
    likely = optimize.brentq(lambda k: np.log(k) - special.digamma(k) - gap, 1e-3, 1e3, xtol=1e-12)
    moments = v.mean() ** 2 / v.var(ddof=1) - 1 / 12
    assert (likely < moments) == (seed == 0)
    freedom = {
        likely: 2 * 11 * likely**2 * (special.polygamma(1, likely) - 1 / likely),
        moments: 11 * moments / (1 + moments),
    }
    shape = skewed.shape(v)
    assert_allclose(shape.kappa, min(likely, moments), rtol=1e-7)
    assert_allclose(shape.freedom, freedom[min(likely, moments)], rtol=1e-7)
    deviation = v.std(ddof=1) / v.mean()
    skewness = ((v / v.mean() - 1) ** 3).mean() / deviation**3
    assert_allclose(shape.excess, max(skewness - 2 * deviation, 0), rtol=1e-10)


def test_a_lognormal_law_is_reckoned_with_unless_the_runs_forbid_it():
    rng = np.random.default_rng(2)
    likely, forbidden = rng.lognormal(0, 1, 64), rng.gamma(0.5, 1, 400)
    cautious = skewed.cautious_shape(likely)
    squared = np.expm1(np.log(likely).var(ddof=1))
    assert_allclose(cautious.kappa, min(skewed.shape(likely).kappa, 1 / squared), rtol=1e-12)
    assert_allclose(cautious.excess, max(skewed.shape(likely).excess, (squared + 1) * np.sqrt(squared)), rtol=1e-12)
    assert skewed.cautious_shape(forbidden) == skewed.shape(forbidden)


def test_samples_together_are_as_each_alone():
    values = np.random.default_rng(3).gamma(1, 1, (5, 9))
    for estimate in (skewed.shape, skewed.cautious_shape):
        together = skewed.tails(estimate(values), np.full(5, 1.2), np.full(5, 0.7), 0.01)
        alone = [skewed.tails(estimate(row), np.array(1.2), np.array(0.7), 0.01) for row in values]
        assert_allclose(np.transpose(together), alone, rtol=1e-13)


@pytest.mark.parametrize("runs", [5, 8, 300])
def test_the_limits_are_where_the_tails_reach_the_level(runs):
    shape = skewed.shape(np.random.default_rng(runs).chisquare(4, runs))
    low, high = skewed.limits(shape, 0.05)
    assert skewed.tails(shape, np.array(high), np.array(high), 0.05)[0] == pytest.approx(0.05, rel=1e-6)
    assert skewed.tails(shape, np.array(low), np.array(low), 0.05)[1] == pytest.approx(0.05, rel=1e-6)
    assert low < shape.mean < high


@pytest.mark.parametrize("runs", [5, 8, 64])
@pytest.mark.parametrize("family", ["chi2_1", "chi2_4", "lognormal"])
def test_the_interval_of_a_mean_covers_for_skewed_errors(family, runs):
    shape = skewed.shape(many_studies.FAMILIES[family](np.random.default_rng(runs), (4000, runs)))
    below, above = skewed.tails(shape, np.ones(4000), np.ones(4000), 0.025)
    covered = np.mean((below > 0.025) & (above > 0.025))
    # 93 to 97 %, and 2.5 standard errors of 4000 studies. Student's t: 78, 83, 91 % of the lognormal's.
    assert 0.93 - 0.01 <= covered <= 0.97 + 0.007
