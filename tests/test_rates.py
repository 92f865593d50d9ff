"""Step sizes of the papers, by hand, and the best of the constant ones."""

import math

import pytest

from jgmm import rates


def test_rates_by_hand():
    assert rates.paper(1e3, 5) == pytest.approx(15 * math.log(3000) / 1000)
    assert rates.course_project(1e3, 5) == pytest.approx(15 * math.log2(3000) / 1000)
    assert rates.paper_em(2e4) == pytest.approx(1.4855e-3, rel=1e-4)
    assert rates.polynomial(2.0, 0.5, shift=4.0)(12) == 0.5
    assert rates.check_rate(0.5) == 0.5


def test_the_best_constant_is_the_best():
    n, start_sq, sigma, d, weight = 10_000, 0.25, 1.0, 10, 0.2
    best = rates.best_constant(n, start_sq=start_sq, sigma=sigma, d=d, weight=weight)

    def error(rate):
        return math.exp(-2 * weight * rate * n) * start_sq + rate * sigma**2 * d / 2

    assert error(best) < min(error(0.98 * best), error(1.02 * best))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rates.check_rate(1.5), r"rate is 1\.5.*expected a number in \(0, 1\)"),
        (lambda: rates.check_rate(math.nan), "rate is nan"),
        (lambda: rates.best_constant(100, start_sq=1e-6, sigma=1, d=10, weight=0.5), "start_sq is 1e-06"),
        (lambda: rates.polynomial(2.0, 0.5, 1.0), "starts at 2"),
        (lambda: rates.polynomial(0.5, 1.5, 1.0), "power is 1.5"),
        (lambda: rates.polynomial(0.5, 1.0, 0.0), "shift 0.0"),
    ],
)
def test_bad_input_names_the_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
