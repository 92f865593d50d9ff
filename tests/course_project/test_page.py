"""The course project's page: nine figures, and a table of its numbers beside ours, of cells made by hand."""

import numpy as np
import pyarrow as pa
import pytest
from made_cells import made, results_of, with_twin
from matplotlib.figure import Figure

from jgmm.course_project.page import PAGE
from jgmm.study import spec

SECTIONS = ["1-true-centres", "2-samples", "3-projected", "4-lifted", "5-initial-centres", "6-theorem3", "7-streaming"]
SECTIONS += ["8-small-separation", "9-pair"]


def example(k=5, d=10, count=20):
    """A first run's means, starts and graph points, as a cell with a start by Algorithm 2 stores them."""
    draws = np.random.default_rng(0)
    coordinates = {f"x{j}": draws.normal(size=2 * k + count) for j in range(d)}
    projections = {f"u{j}": draws.normal(size=2 * k + count) for j in range(k)}
    component = [*range(k), *range(k), *(np.arange(count) % (k + 1))]
    kind = ["mean"] * k + ["start"] * k + ["point"] * count
    return pa.table({"kind": kind, "component": component, **coordinates, **projections})


def with_law(cell):
    """Whether a cell gets a twin, without which there is no law (which takes seconds for some)."""
    return cell.part in ("paper-em", "paper-pair-lloyd") and (cell.separation, cell.n) == (8.0, 100_000)


@pytest.fixture(scope="module")
def found():
    """The preset's cells; the first has an example of a start."""
    study = spec.load("seed")
    cells = spec.cells(study)
    data = [(with_twin if with_law(cell) else made)(cell, seed=index) for index, cell in enumerate(cells)]
    return results_of(study, [data[0]._replace(example=example()), *data[1:]])


def last(found, part, **wanted):
    """The last row of a part's one cell that has these values."""
    (row,) = (r for r in found.final() if r["part"] == part and all(r[key] == value for key, value in wanted.items()))
    return row


def test_the_table_has_the_documents_numbers_beside_ours(found):
    table = PAGE.headline(found)
    assert table.columns == ("quantity", "seed's figure", "measured", "law", "bound", "remark")
    assert [row[0] for row in table.rows if not any(row[1:])] == ["As the seed computes it", "As the paper states it"]
    rows = {row[0]: row for row in table.rows}
    assert rows["5 start, squared distances"][1] == "827"  # 12.19^2 + 10.53^2 + 18.47^2 + 5.06^2 + 14.18^2
    assert rows["7 streaming, sum of distances"][1] == "1.979"
    em, lloyd = (last(found, part, separation=8.0, n=100_000) for part in ("paper-em", "paper-pair-lloyd"))
    measured = f"{em['error_sq_ok_mean']:.4g} ± {em['error_sq_ok_se']:.2g}"
    law, bound = f"{em['law_error_sq']:.4g}", f"{em['bound_error_sq']:.4g}"
    assert rows["9 EM, C = 8, N = 100000"][2:5] == (measured, law, bound)
    half = f"{lloyd['error_sq_ok_mean'] / 2:.4g} ± {lloyd['error_sq_ok_se'] / 2:.2g}"
    assert rows["9 Lloyd, a centre's, C = 8, N = 100000"][2:5] == (half, f"{lloyd['law_error_sq'] / 2:.4g}", "")
    assert len([name for name in rows if name.startswith("6 within C sigma/20, B")]) == 6


def test_every_section_has_its_figure(found, tmp_path, monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))
    pictures = PAGE.figures(tmp_path, found)
    assert [path.stem for path, _ in pictures] == SECTIONS
    assert all(path.is_file() and path.with_suffix(".svg").is_file() for path, _ in pictures)
    assert [caption.split(".")[0] for _, caption in pictures] == list("123456789")


def test_without_the_first_runs_example_there_is_no_page(found, tmp_path):
    bare = found._replace(data=[found.data[0]._replace(example=None), *found.data[1:]])
    with pytest.raises(ValueError, match=f"examples/{found.data[0].id}.parquet is missing"):
        PAGE.figures(tmp_path, bare)


def test_a_study_of_other_parts_is_refused():
    PAGE.check(spec.load("seed"))
    with pytest.raises(ValueError, match="expected the parts of the preset 'seed' as they are"):
        PAGE.check(spec.load("theorem7"))
