"""Step sizes of the papers, by hand, and the best of the constant ones."""

import math

import pytest

from jgmm import expressions, rates


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


CELL = {"k": 5.0, "d": 4.0, "n": 10_000.0, "C": 4.0}


def of(text):
    return rates.of_expression(expressions.parse(text), CELL, 10_000)


def test_a_formula_without_t_is_a_number_with_the_bits_of_the_named_rate():
    assert of("3*k*log(3*n)/n") == rates.paper(10_000, 5)
    assert of("3*k*log2(3*n)/n") == rates.course_project(10_000, 5)


@pytest.mark.parametrize(
    ("text", "scale", "power", "shift"),
    [
        ("1/(t+10)**0.7", 1.0, 0.7, 10.0),
        ("k/(t + k)", 5.0, 1.0, 5.0),
        ("d/2/sqrt(C + t)", 2.0, 0.5, 4.0),
        ("0.5*(t+1)**-0.6", 0.5, 0.6, 1.0),
        ("(t+2*k)**(-1/2)", 1.0, 0.5, 10.0),
    ],
)
def test_a_power_of_the_samples_seen_is_the_polynomial_schedule(text, scale, power, shift):
    assert of(text) == rates.Polynomial(scale, power, shift)


@pytest.mark.parametrize("text", ["1/(t+1)**1.5", "exp(-t/n)/10", "min(0.1, k/(t+k))", "1/(2*(t+1))", "1/(1+log(t+2))"])
def test_any_other_formula_in_t_is_a_schedule_of_its_own(text):
    assert isinstance(of(text), rates.Schedule)


def test_what_does_not_depend_on_t_is_computed_once():
    schedule = of("min(1/k, log(t + 2*d)/(t + d**2))")
    assert schedule.numbers == (0.2, 8.0, 16.0)
    assert rates.without_numbers(expressions.parse("min(1/k, log(t + 2*d)/(t + d**2))")) == (
        schedule.tree,
        ("c0", "c1", "c2"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n/k", r"rate is 2000 \(n/k at n = 10000, k = 5\), expected a number in \(0, 1\)"),
        ("2/(t+1)", r"rate is '2/\(t\+1\)': its step is 2 at t = 0, expected one in \(0, 1\]"),
        ("t/n", "its step is 0 at t = 0, n = 10000"),
        ("1/(t+1) - 0.01", r"its step is -9\.9"),
        ("1/(9999 - t)", "rate is '1/(9999 - t)' at t = 9999: a division by 0".replace("(", r"\(").replace(")", r"\)")),
        ("log(k - 5)/n", "rate is 'log"),
        ("3*K/n", r"rate is '3\*K/n': 'K' is no number here, expected k, d, n, C, t \(did you mean 'k'\?\)"),
    ],
)
def test_a_formula_that_gives_no_step_is_refused_with_its_numbers(text, message):
    with pytest.raises(ValueError, match=message):
        of(text)
