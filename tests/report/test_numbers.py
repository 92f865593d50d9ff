"""Numbers as tables and the page have them."""

import math

import pytest

from jgmm.report.csv_files import floor_row, harmless
from jgmm.report.numbers import divisor, factor, limits, number, plus_minus
from jgmm.stats import Interval
from jgmm.study.curves import FitRow
from jgmm.study.verdicts import FloorFit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (plus_minus(1.23456, 0.0123), "1.235 ± 0.012"),
        (plus_minus(1.23456, 0.0123, digits=2), "1.2 ± 0.012"),
        (plus_minus(1.23456, math.nan), "1.235"),
        (plus_minus(math.nan, math.nan), "no good run"),
        (plus_minus(math.inf, math.nan), "not finite"),
        (number(0.000123456), "0.0001235"),
        (number(12), "12"),
        (number("words"), "words"),
        (number(None), ""),
        (number(math.nan), ""),
        (number(-math.inf), "not finite"),
        (limits((1.0, 2.5)), "1 to 2.5"),
        (limits(Interval(1.5, 1.0, 2.0)), "1 to 2"),
        (limits((None, 2.0)), ""),
        (limits((1.0, math.nan)), ""),
        (divisor(0.125), "8"),
        (divisor(0.0), ""),
        (divisor(math.nan), ""),
        (factor(99.4), "99.4"),
        (factor(1e7), "all of it"),
        (factor(None), ""),
    ],
)
def test_a_number_has_so_many_digits_and_nothing_stands_where_there_is_none(text, expected):
    assert text == expected


@pytest.mark.parametrize("text", ["=HYPERLINK(1).npy", "+1", "-1+1", "@SUM(1)", "\t=1"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe_and_numbers_stay(text):
    assert harmless(text) == f"'{text}"
    assert harmless(-1.5) == -1.5
    assert harmless("plain = text") == "plain = text"
    assert harmless(math.nan) is None


@pytest.mark.parametrize(("law", "verdict"), [(0.2, "agrees with the law"), (0.5, "off the law"), (math.nan, "no law")])
def test_a_floor_is_a_row_of_fits_whose_exponent_is_that_of_the_growing_exponential(law, verdict):
    floor = FloorFit(
        part="main",
        setting="k=2",
        measured=0.25,
        low=0.125,
        high=0.375,
        law=law,
        bound=0.125,
        detail="from C = 3 to 6",
        sizes=4,
        runs=64,
    )
    told = dict(zip(FitRow._fields, floor_row(floor), strict=True))
    assert (told["part"], told["setting"], told["quantity"], told["axis"]) == ("main", "k=2", "floor", "exp(C^2)")
    assert (told["exponent"], told["low"], told["high"], told["bound"]) == (-0.25, -0.375, -0.125, -0.125)
    assert (told["verdict"], told["sizes"], told["runs"]) == (verdict, 4, 64)
    assert told["chi2_df"] == ""
