"""Sums in a written order, orthonormal bases and eigenvalues made of them."""

import decimal
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm import ordered

LN_2 = 0.6931471805599453


def test_terms_are_added_one_after_another():
    terms = np.random.default_rng(3).normal(size=1000)
    by_hand = 0.0
    for term in terms:
        by_hand = by_hand + float(term)
    assert by_hand not in (terms.sum(), math.fsum(terms))  # other orders show
    assert float(ordered.add_up(terms)) == float(ordered.dot(terms, np.ones(1000))) == by_hand
    assert_array_equal(ordered.mean(terms[:, None]), [by_hand / 1000])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ordered.dot(x[0], x[1]),
        lambda x: ordered.span(x, tolerance=1e-9),
        lambda x: ordered.eigenvalues(np.array([[ordered.dot(a, b) for b in x] for a in x])),
    ],
)
def test_a_run_is_the_same_alone_and_among_others(call):
    x = np.random.default_rng(0).normal(size=(4, 9, 50))
    together = call(x)
    for width in (1, 2, 7):
        assert call(x[..., 20 : 20 + width]).tobytes() == np.ascontiguousarray(together[..., 20 : 20 + width]).tobytes()


@pytest.mark.parametrize(("k", "d", "rank"), [(3, 5, 3), (5, 5, 2), (4, 2, 2), (2, 3, 1), (1, 4, 1), (3, 3, 0)])
def test_a_span_is_orthonormal_and_holds_its_vectors(k, d, rank):
    rng = np.random.default_rng(1)
    vectors = np.einsum("krs,rds->kds", rng.normal(size=(k, rank, 6)), rng.normal(size=(rank, d, 6))) * 1e3
    basis = ordered.span(vectors, tolerance=1e-9)
    assert basis.shape == (min(k, d), d, 6)
    identity = np.diag([1.0] * rank + [0.0] * (min(k, d) - rank))[..., None]
    assert_allclose(
        np.einsum("ads,bds->abs", basis, basis), np.broadcast_to(identity, (*identity.shape[:2], 6)), atol=1e-14
    )
    inside = np.einsum("ads,aes,kes->kds", basis, basis, vectors)
    assert_allclose(inside, vectors, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_eigenvalues_agree_with_lapack(n):
    rng = np.random.default_rng(2)
    matrices = rng.normal(size=(n, n, 30)) * 10.0 ** rng.uniform(-3, 3, (n, 1, 30))
    matrices = matrices + matrices.swapaxes(0, 1)
    matrices[..., 0] = np.eye(n)  # what is diagonal, or zero, stays so
    matrices[..., 1] = 0
    found = np.sort(ordered.eigenvalues(matrices), axis=0).T
    expected = np.linalg.eigvalsh(np.moveaxis(matrices, -1, 0))
    assert_allclose(found, expected, rtol=0, atol=1e-13 * abs(expected).max())
    assert (abs(found - expected) <= 1e-13 * abs(expected).max(axis=1, keepdims=True)).all()


def test_logarithms_are_rounded_once():
    assert (ordered.ln(1), ordered.ln(0), ordered.ln(10), ordered.ln(0.5)) == (0, -math.inf, 2.302585092994046, -LN_2)
    assert [ordered.log2(2.0**i) for i in (-1074, -1, 0, 3, 1000)] == [-1074, -1, 0, 3, 1000]
    assert ordered.log2(3) == 1.584962500721156
    for x in 10.0 ** np.random.default_rng(0).uniform(-300, 300, 200):
        exact = decimal.Context(prec=60).ln(decimal.Decimal(float(x)))
        assert abs(decimal.Decimal(ordered.ln(x)) - exact) <= decimal.Decimal(math.ulp(ordered.ln(x))) / 2


def test_logarithms_are_not_those_of_the_callers_decimals():
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_UP)):
        assert ordered.ln(7.25) == 1.9810014688665833
        assert ordered.log2(7.25) == 2.8579809951275723


def test_logarithms_of_an_array_are_those_of_its_numbers():
    x = np.array([[0.5, 0.0, 3.0], [3.0, 0.5, 1.0]], np.float32)
    found = ordered.ln_each(x)
    assert_array_equal(found, [[ordered.ln(float(value)) for value in row] for row in x])
    assert found.dtype == np.float64
    assert ordered.ln_each(np.broadcast_to(x[..., None], (2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("x", [-1.0, math.nan])
def test_logarithms_of_other_numbers_are_refused(x):
    with pytest.raises(ValueError, match=f"the logarithm of {x:g}: expected"):
        ordered.ln(x)


@pytest.mark.parametrize("x", [-745.2, -26.960643530784644, -1e-9, 0.0, 1.0, 9.5125648370472, 709.7])
def test_an_exponential_is_the_nearest_float(x):
    exact = decimal.Context(prec=80).exp(decimal.Decimal(x))
    assert ordered.exp(x) == float(exact)
    assert ordered.exp(x) == pytest.approx(math.exp(x), rel=1e-15)


def test_exponentials_beyond_the_floats():
    assert (ordered.exp(-1e300), ordered.exp(-math.inf), ordered.exp(1e300)) == (0.0, 0.0, math.inf)
    assert math.isnan(ordered.exp(math.nan))


def test_powers_of_small_whole_numbers_are_exact_and_others_the_nearest_float():
    for x in (2.0, 3.0, -3.0, 10.0):
        for y in range(12):
            assert ordered.power(x, y) == x**y
    rng = np.random.default_rng(4)
    for x, y in zip(rng.uniform(1e-3, 1e3, 200), rng.uniform(-9, 9, 200), strict=True):
        exact = decimal.Context(prec=80).power(decimal.Decimal(x), decimal.Decimal(y))
        assert ordered.power(x, y) == float(exact)


@pytest.mark.parametrize(
    ("x", "y", "wanted"),
    [(0, 0, 1.0), (0, 2, 0.0), (0, -2, math.inf), (-2, 3, -8.0), (-2, -2, 0.25), (10, 400, math.inf), (10, -400, 0.0)],
)
def test_powers_at_the_edges(x, y, wanted):
    assert ordered.power(x, y) == wanted


def test_a_power_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"-2 to the power 0\.5"):
        ordered.power(-2, 0.5)
