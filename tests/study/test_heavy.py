"""Noise without a fourth moment: squared errors have no variance, and nothing is concluded from their means."""

import made_cells
import numpy as np
import pytest

from jgmm.commands import closing
from jgmm.study import heavy, pairs, spec, summary, verdicts

TEXT = """
runs = 64
[mixture]
d = 3
separation = 4.0
noise = "student"
df = [3.0, 5.0]
[stream]
n = [100, 200, 400]
rate = 0.05
start = 0.1
checkpoints = 1
[claim]
bound = "1/n"
[[part]]
name = "lloyd"
[[part]]
name = "medians"
algorithm = "medians"
"""


def falling(cell, seed):
    return made_cells.made(cell, 64, error=np.array([1.0, 10 / cell.n]), seed=seed)


def results(text=TEXT):
    return made_cells.results(text, falling)


def cells_of(text=TEXT):
    return spec.cells(made_cells.study(text))


def test_a_squared_error_has_no_variance_where_the_noise_has_no_fourth_moment_and_pulls_no_bound():
    found = {(cell.algorithm, dict(cell.noise_numbers)["df"]) for cell in cells_of() if heavy.without_variance(cell)}
    assert found == {("lloyd", 3.0)}
    (edge, *_) = cells_of(TEXT.replace("[3.0, 5.0]", "4.0"))
    assert heavy.without_variance(edge)  # infinite at 4, too
    assert not heavy.without_variance(edge, "error_sum")  # distances have a variance
    assert heavy.without_variance(edge, "error_sq_lightest")
    assert not any(heavy.without_variance(cell) for cell in cells_of(TEXT.replace("[3.0, 5.0]", "4.1")))
    angles = TEXT.replace('name = "medians"\nalgorithm = "medians"', 'name = "oja"\nalgorithm = "oja"')
    assert not any(heavy.without_variance(cell) for cell in cells_of(angles) if cell.algorithm == "oja")


def test_its_means_have_no_standard_error():
    for row in results().final():
        blank = row["algorithm"] == "lloyd" and "df=3" in row["numbers"]
        assert np.isnan(row["error_sq_ok_se"]) == np.isnan(row["quantity_ok_se"]) == blank
        assert (row["error_sq_ok_low"] is None) == (row["quantity_ok_high"] is None) == blank
        assert np.isfinite(row["error_sum_ok_se"])


def test_a_twin_of_such_noise_is_not_held_against_its_mean():
    item = made_cells.with_twin(cells_of()[0], 0)
    assert summary.summarize(item)[-1]["twin_gap"] is None
    usual = next(cell for cell in cells_of() if dict(cell.noise_numbers)["df"] == 5)
    assert summary.summarize(made_cells.with_twin(usual, 0))[-1]["twin_gap"] is not None


def judged(text):
    """The verdicts on the claims of a study, and the settings that they compare, of every part."""
    found = made_cells.results(text, falling)
    lloyd, medians = verdicts.verdicts(found.study, found.data, 1)
    return lloyd, [
        {f"df={df}" for f in v.findings for df in (3, 5) if f"df={df}" in f.setting} for v in (lloyd, medians)
    ]


def test_a_claim_is_not_judged_on_them():
    lloyd, settings = judged(TEXT)
    assert settings == [{"df=5"}, {"df=3", "df=5"}]
    assert "In 3 cells error_sq has no variance: nothing is concluded from them." in lloyd.sentence
    assert "so few runs" not in lloyd.sentence
    assert [constant.cells for constant in lloyd.constants] == [3]
    _, settings = judged(TEXT.replace('bound = "1/n"', 'bound = "1/n"\non = "error_sum"'))
    assert settings == [{"df=3", "df=5"}] * 2


def test_the_page_and_the_terminal_say_so_in_a_line(tmp_path, capsys):
    written = made_cells.published(tmp_path / "heavy", TEXT, falling)
    said = "In 3 of 12 cells squared errors have no variance, since the noise has no fourth moment (student, df = 3)"
    assert said in written.tails
    assert said in (tmp_path / "heavy" / "report.html").read_text(encoding="utf-8")
    closing.print_closing(written)
    assert "no variance - In 3 of 12 cells squared errors have no variance" in " ".join(capsys.readouterr().out.split())
    assert any("no exponent of lloyd in N" in line and "no variance" in line for line in written.left_out)
    usual = made_cells.published(tmp_path / "usual", TEXT.replace("[3.0, 5.0]", "5.0"), falling)
    assert usual.tails is None


def test_a_pair_with_one_of_them_has_no_standard_error():
    text = TEXT.replace("[3.0, 5.0]", "3.0").replace('bound = "1/n"', "")
    rows = pairs.paired(results(text).data)
    assert rows
    assert all(np.isnan(row.difference_se) and np.isfinite(row.difference) for row in rows)


@pytest.mark.parametrize("df", [3.0, 5.0])
def test_every_noise_without_numbers_has_all_moments(df):
    (cell, *_) = cells_of(
        TEXT.replace('"student"', '["gaussian", "laplace", "student"]').replace("[3.0, 5.0]", f"{df}")
    )
    assert not heavy.tails(cell)
