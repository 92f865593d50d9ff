"""What a stream is compared with: means of labelled samples, and the information of unlabelled ones."""

import numpy as np
import pytest
from situations import situation

from jgmm import theory
from jgmm.theory import references


def test_the_labelled_oracle_is_the_mean_of_each_components_own_samples():
    rng = np.random.default_rng(2)
    weights = (0.6, 0.3, 0.1)
    counts = rng.multinomial(400, weights, size=20_000)
    means = 10 * (1 / counts).mean(axis=0) * [1, 4, 9]  # sigma^2 d E(1/n_i), known to 0.1 %
    told = situation(samples=400, k=3, weights=weights, scales=(1.0, 2.0, 3.0))
    assert references.oracle(told) == pytest.approx(means.sum(), rel=5e-3)
    assert references.oracle(told._replace(samples=100)) is None  # a component has ten samples only


def test_the_oracle_of_one_mean_is_the_mean_of_all_samples():
    told = situation(samples=400, tied=True, sharpness=1.0, scales=(3.0, 3.0))
    assert references.oracle(told) == pytest.approx(9 * 10 / 400)
    assert references.oracle(told._replace(samples=0)) is None


def test_the_least_error_is_of_so_many_samples_and_free_means():
    told = situation(samples=400, separation=2.0, scales=(3.0, 3.0))
    asked = {"n": 400, "separation": 2.0, "sigma": 3.0, "d": 10}
    assert references.cramer_rao(told) == pytest.approx(theory.cramer_rao(**asked, free=2))
    one = situation(samples=400, separation=2.0, scales=(3.0, 3.0), tied=True, sharpness=1.0)
    assert references.cramer_rao(one) == pytest.approx(theory.cramer_rao(**asked, free=1))


@pytest.mark.parametrize(
    "told", [{"k": 3}, {"weights": (0.6, 0.4)}, {"common": False}, {"separation": 41.0}, {"samples": 0}], ids=str
)
def test_no_least_error_where_it_is_not_known(told):
    assert references.cramer_rao(situation(**{"samples": 400, "separation": 2.0, **told})) is None
