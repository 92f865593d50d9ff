"""The page: its words, and that nothing on it is obeyed."""

from pathlib import Path

import prose
import pytest
from made_cells import LINE, made, published, study, with_twin
from matplotlib.figure import Figure

from jgmm.commands.closing import print_closing
from jgmm.report.write import publish
from jgmm.study import spec
from jgmm.study.folder import seal

EVERYTHING = """
aim = "To say a little of everything."
[[part]]
name = "line"
theorem = 1
mixture = { k = 2, d = 3, layout = "simplex", separation = 12.0 }
stream = { n = [1000, 4000, 16000], start = 0.1, checkpoints = 3 }
[[part]]
name = "floor"
theorem = 2
mixture = { k = 2, d = 3, layout = "simplex", separation = [3.0, 4.0, 5.0] }
stream = { n = 4000, rate = 0.05, start = 0.1, checkpoints = 1, displacement = true }
[[part]]
name = "steps"
mixture = { k = 2, d = 3, layout = "box", side = 100.0, separation = 4.0, weights = [0.7, 0.3] }
stream = { n = 1000, rate = ["1/n", "best", { adam = 0.01 }], start = 0.1, checkpoints = 1 }
[[part]]
name = "oracle"
algorithm = "oracle"
mixture = { k = 2, d = 3, layout = "symmetric-box", side = 100.0, separation = 4.0 }
stream = { n = 1000, start = "truth", checkpoints = 1 }
[[part]]
name = "averaged"
algorithm = "soft"
mixture = { k = 2, d = 3, layout = "simplex", separation = 12.0 }
stream = { n = 1000, start = 0.1, average = 0.5, checkpoints = 1 }
[[part]]
name = "em"
algorithm = "em"
mixture = { k = 2, d = 3, separation = 4.0 }
stream = { n = [1000, 4000, 16000], start = 0.1, checkpoints = 1 }
[[part]]
name = "starts"
mixture = { k = 2, d = 3, layout = "simplex", separation = [4.0, 9.0, 16.0] }
stream = { n = 0 }
seeding = { n = 300, block = 10, graph_points = [20, 30, 40] }
[[part]]
name = "after"
mixture = { k = 2, d = 3, layout = "simplex", separation = 9.0 }
stream = { n = 1000, checkpoints = 1 }
seeding = { n = 300, block = 10, graph_points = 20, method = "oja" }
"""


def various(cell, seed):
    """Cells with twins where there may be one, and of a start some runs that failed."""
    if cell.seeding is not None:
        return made(cell, 40, seed=seed, ok=[run % 10 > 0 for run in range(40)])
    return with_twin(cell, seed) if cell.has_twin else made(cell, 40, seed=seed)


@pytest.fixture
def unpainted(monkeypatch):
    """Figures are made, and not painted: that takes most of a report's time."""
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))


def test_the_words_of_the_page_and_of_the_terminal(tmp_path, unpainted, capsys):
    folder = tmp_path / "out"
    written = published(folder, EVERYTHING, various)
    text = prose.page_text((folder / "report.html").read_text(encoding="utf-8"))
    print_closing(written)
    said = capsys.readouterr().out
    prose.check(Path(__file__).parent / "page.txt", prose.words(text, DIR=folder))
    prose.check(Path(__file__).parent / "closing.txt", prose.words(said, DIR=folder))


def test_what_others_wrote_is_escaped_on_the_page(tmp_path, unpainted):
    evil = "<script>alert(1)</script>"
    asked = study(LINE, runs=1, aim=f'"{evil}')
    cells = [cell.model_copy(update={"layout": "=a'><b>.npy"}) for cell in spec.cells(asked)]
    data = [made(cell, seed=seed) for seed, cell in enumerate(cells)]
    folder = tmp_path / f"{evil[:8]} 'x\udcff\n"
    folder.mkdir()
    (folder / "study.toml").write_text(seal.text(""))
    written = publish(folder, asked, data, [evil])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>.npy" not in page
    assert "=a&#39;&gt;&lt;b&gt;.npy" in page
    assert page.startswith('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">')
    assert evil in written.ignored
    summary = (folder / "summary.csv").read_text(encoding="utf-8")
    assert "\"'=a'><b>.npy\"" in summary
    assert ',"=a' not in summary
