"""Formulas of a spec: what they are worth, by hand and as Python has it, and what is refused in a line."""

import ast
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jgmm import expressions, ordered

NUMBERS = {"k": 5.0, "d": 3.0, "n": 1000.0, "C": 4.0, "sigma": 0.5}
WORTH = {
    "3*k*log(3*n)/n": 15 * ordered.ln(3000) / 1000,
    "k**3*d*sigma**2*log(n)/n": 125 * 3 * 0.25 * ordered.ln(1000) / 1000,
    "log2(n)": ordered.log2(1000),
    "-2**2": -4.0,
    "2**-1": 0.5,
    "2**3**2": 512.0,
    "(2**3)**2": 64.0,
    "7 - 2 - 1": 4.0,
    "12/3/2": 2.0,
    "+k*-d": -15.0,
    "min(k, d, 7) + max(k, d)": 8.0,
    "sqrt(C) * 1.5e1 - .5": 29.5,
    "exp(-C**2/8)": ordered.exp(-2.0),
}


@pytest.mark.parametrize("text", WORTH)
def test_a_formula_is_worth_what_is_computed_by_hand(text):
    assert expressions.parse(text).value(**NUMBERS) == WORTH[text]


def texts(rng, depth=4):
    """A formula at random."""
    if depth == 0 or rng.random() < 0.2:
        return str(rng.choice(["k", "d", "n", "2", "0.75", "3."]))
    left, right = texts(rng, depth - 1), texts(rng, depth - 1)
    forms = ["{} + {}", "{}-{}", "{}*{}", "({})/({})", "-{}*{}", "min({}, {})", "sqrt(({})**2)+{}", "{}--{}"]
    return str(rng.choice(forms)).format(left, right)


def test_precedence_is_pythons():
    """The test alone runs these texts as Python: of its own making, + - * / min and sqrt."""
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(300):
        text = texts(rng)
        names = {"min": min, "sqrt": math.sqrt, **{name: NUMBERS[name] for name in "kdn"}}
        if len(text) > expressions.LONGEST:
            continue
        try:
            wanted = eval(compile(ast.parse(text, mode="eval"), "", "eval"), {"__builtins__": {}}, names)
        except ZeroDivisionError:
            continue
        assert expressions.parse(text).value(**NUMBERS) == pytest.approx(wanted, rel=1e-12)
        checked += 1
    assert checked > 150


def test_arrays_have_the_values_of_their_numbers_one_by_one():
    formula = expressions.parse("exp(-C**2/8)*k")
    k, separation = np.array([[2.0], [3.0]]), np.linspace(1, 9, 5)
    found = formula.value(k=k, C=separation)
    assert_array_equal(found, [[formula.value(k=a, C=b) for b in separation] for a in k[:, 0]])


def test_logarithms_of_values_that_no_float_holds():
    assert expressions.parse("7*exp(-C**2/8)").log_value(C=100) == pytest.approx(math.log(7) - 1250, rel=1e-15)
    assert expressions.parse("n**n").log_value(n=1e6) == pytest.approx(1e6 * math.log(1e6), rel=1e-15)
    assert expressions.parse("9**9**9 * k").log_value(k=1) == pytest.approx(9.0**9 * math.log(9), rel=1e-15)
    assert expressions.parse("1 - exp(-C)").log_value(C=90) == pytest.approx(0, abs=1e-38)


def test_anything_to_the_power_0_is_1():
    formula = expressions.parse("(k - 5)**0")
    assert (formula.value(k=5), formula.log_value(k=5), formula.value(k=7)) == (1.0, 0.0, 1.0)


def test_names_are_those_of_the_text_once_each():
    assert expressions.parse("n*log(n)+k*min(d, exp(1))").names == ("n", "k", "d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': expected more at its end"),
        ("3*k*", r"expected more at its end"),
        ("3k", "'k', expected an operator at character 2"),
        ("k^2", r"'\^' means nothing \(a power is \*\*\) at character 2"),
        ("lg(n)", r"'lg' is no function, expected log, .* \(did you mean 'log'\?\), at character 1"),
        ("log(n", r"expected \) at its end"),
        ("log(n))", r"'\)', expected an operator at character 7"),
        ("log(n, k)", "log of 2, expected 1, at character 1"),
        ("min(n)", "min of 1, expected 2 or more"),
        ("__import__('os')", '"\'" means nothing at character 12'),
        ("n.real", r"'\.' means nothing at character 2"),
        ("k if n else d", "'if', expected an operator"),
        ("1e999", "beyond the floats"),
        ("(" * 100 + "n" + ")" * 99, "deeper than 30 within each other at character 31"),
        ("-" * 60 + "n", "deeper than 30"),
        ("**".join("2" * 60), "deeper than 30"),
        ("(" * 10_000 + "n" + ")" * 10_000, "20001 characters, expected at most 200"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_text_and_the_place(text, message):
    with pytest.raises(ValueError, match=message) as refused:
        expressions.parse(text, "bound is")
    assert str(refused.value).startswith(("bound is '", 'bound is "'))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k/(n - 1000)", r"'k/\(n - 1000\)' at k = 5, n = 1000: a division by 0"),
        ("0**-k", "a division by 0"),
        ("log(d - k)", r"at d = 3, k = 5: the logarithm of -2"),
        ("log(0)", "the logarithm of 0"),
        ("sqrt(-k)", "the square root of -5"),
        ("(-k)**0.5", r"-5 to the power 0\.5, which is not whole"),
        ("9**9**9", "beyond the floats"),
        ("exp(n)", "at n = 1000: beyond the floats"),
        ("n**n", "beyond the floats"),
        ("1e300*1e300*k", "beyond the floats"),
        ("N*sigma", r"'N' is no number here, expected k, d, n, C, sigma \(did you mean 'n'\?\)"),
        ("sgma*n", r"\(did you mean 'sigma'\?\)"),
    ],
)
def test_what_has_no_value_is_refused_with_its_numbers_and_the_reason(text, message):
    with pytest.raises(ValueError, match=message):
        expressions.parse(text).value(**NUMBERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [("k - 5", "the value is 0, expected one above 0"), ("9**9**9**9", "beyond all"), ("(0-9)**9**9**9**9", "beyond")],
)
def test_what_has_no_logarithm_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        expressions.parse(text).log_value(**NUMBERS)
