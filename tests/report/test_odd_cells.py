"""No cell is odd enough to fail a report, or to put a number there that is none."""

import re

import pytest
from made_cells import KINDS, STUDIES, few_good, none_good, not_finite, published, some_zero
from matplotlib.figure import Figure

from jgmm.commands.closing import print_closing

QUICK = (few_good, none_good, not_finite, some_zero)
ODD = [pytest.param(kind, id=kind.__name__, marks=() if kind in QUICK else pytest.mark.slow) for kind in KINDS]


def lay_out(figure, file, **how):
    """As `savefig`, without painting, which takes most of a report's time."""
    figure.draw_without_rendering()
    file.write(b"not painted")


@pytest.mark.parametrize("kind", ODD)
def test_no_cell_is_odd_enough_to_fail_a_report(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lay_out)
    for name, text in STUDIES.items():
        folder = tmp_path / name
        written = published(folder, text, kind)
        page = (folder / "report.html").read_text(encoding="utf-8")
        for column in ("± nan", "nan ±", ">nan<", "nan to", "[nan", ">inf<", ">None<", "None ±", "± None"):
            assert column not in page, (name, column)
        assert "nan" not in (folder / "summary.csv").read_text()
        print_closing(written)
        said = capsys.readouterr().out
        assert "nan" not in re.sub(r"\w*nan\w+|\w+nan\w*", "", said), name
        for word in written.left_out:
            assert word in " ".join(said.split())
            assert word.replace("'", "&#39;") in page
