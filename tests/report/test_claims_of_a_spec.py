"""What a report says of a spec's own claim: on the page, in its tables and figures."""

import csv

import made_cells
import pytest

CLAIMED = """
[claim]
name = "Mine"
source = "A paper, Theorem 2"
bound = ["k**2*d*log(n)/n", "exp(-C**2/8)"]
regime = "n > 150"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A report on three cells, of which the first is outside the claim's regime."""
    out = tmp_path_factory.mktemp("claim") / "out"
    made_cells.published(out, made_cells.LINE.replace("[100, 200, 400]", "[100, 200, 400, 800]") + CLAIMED)
    return out


def rows(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_claim_is_a_verdict_by_its_name(folder):
    (verdict,) = rows(folder, "verdicts.csv")
    assert verdict["theorem"] == "Mine"
    assert "1 of 4 cells are out of its regime: n > 150 does not hold in 1 (n = 100)." in verdict["sentence"]
    assert {row["theorem"] for row in rows(folder, "summary.csv")} == {"Mine"}


def test_the_page_has_the_claim_with_its_source_and_no_number_of_a_theorem(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "A paper, Theorem 2" in page
    assert "<h3>Mine</h3>" in page
    assert "Theorem Mine" not in page


def test_bounds_in_tables_are_the_terms_with_constants_of_1_where_the_regime_holds(folder):
    last = {row["n"]: row["bound_error_sq"] for row in rows(folder, "summary.csv") if row["samples"] == row["n"]}
    assert last["100"] == ""
    assert float(last["200"]) == pytest.approx(4 * 3 * 5.298317 / 200 + 0.1353353, rel=1e-5)
    assert all(float(last[n]) > 0 for n in ("400", "800"))


def test_a_fit_has_the_slope_of_the_bound_where_the_regime_holds_all_along(tmp_path):
    made_cells.published(tmp_path / "out", made_cells.LINE + CLAIMED.replace('regime = "n > 150"', ""))
    (fit,) = rows(tmp_path / "out", "fits.csv")
    assert -1 < float(fit["bound"]) < -0.3
