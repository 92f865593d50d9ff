"""A study's dimension: where it is reduced, what is then the same, and what is refused."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose

from jgmm import errors
from jgmm.report.write import write_report
from jgmm.study import run as runner
from jgmm.study import spec
from jgmm.theory.bounds import THEOREMS

SEEDED = "start = 'seeding'\n[seeding]\nn = 600\nblock = 240\ngraph_points = 60"
OJA = f"{SEEDED}\nmethod = 'oja'"


def study(
    *,
    dimension="reduced",
    mixture="d = [100, 1000000]\nseparation = 300.0",
    stream="n = 300\nstart = 0.5\ncheckpoints = 2",
):
    """Lloyd on three components."""
    layout = "" if "layout" in mixture else "layout = 'simplex'\n"
    top = f"name = 'x'\nruns = 40\nalgorithm = 'lloyd'\ndimension = '{dimension}'\n"
    text = f"{top}[mixture]\nk = 3\n{layout}{mixture}\n[stream]\n{stream}\n"
    return spec.parse(text, source="x", folder=Path(), default_name="x")


def test_a_cell_of_a_reduced_dimension_is_another_cell():
    reduced, direct = (spec.named_cells(study(mixture="d = 100", dimension=x)) for x in ("reduced", "direct"))
    assert not reduced.keys() & direct.keys()
    (cell,) = reduced.values()
    assert (cell.d, cell.coordinates, cell.rank) == (100, 2 + 6 + 1, 2)  # three centres and their twins
    assert cell.mixture_fields().d == 3


def test_it_is_reduced_by_itself_where_d_is_more_than_twice_its_coordinates():
    cells = spec.cells(study(mixture="d = [10, 18, 19, 1000]", dimension="auto"))
    assert [cell.reduced for cell in cells] == [None, None, 9, 9]


def test_the_preset_of_theorem_1s_regime_has_as_many_samples_as_the_theorem_asks_for():
    cells = spec.cells(spec.load("theorem-regime"))
    largest = max(cells, key=lambda cell: cell.n)
    needed = THEOREMS[1].samples(k=largest.k, d=largest.d)
    assert needed <= largest.n < needed + 1
    assert {cell.coordinates for cell in cells} == {9}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"stream": f"n = 300\n{OJA}"}, "Oja's rule is simulated in all dimensions: method is 'oja'"),
        ({"mixture": "d = 9", "stream": f"n = 0\n{SEEDED}"}, "d = 9 is fewer than the 8 coordinates of Algorithm 2's"),
        ({"stream": "n = 300\nstart = 0.5\nrate = 0.01\naverage = 0.5"}, "average is not 0"),
        ({"stream": "n = 300\nstart = 0.5\ndisplacement = true"}, "displacement is true"),
        ({"stream": "n = 300\nstart = 0.5\nrate = { adam = 0.01 }"}, "treats coordinates each by itself"),
        ({"mixture": "d = 100\nnoise = 'uniform'"}, "noise is 'uniform'"),
        ({"mixture": "d = 10"}, "d = 10 is fewer than its 9 coordinates and 2 more"),
    ],
)
def test_what_cannot_be_reduced_is_refused_with_the_reason_or_left_as_it_is(changes, why):
    usual = {"mixture": "d = 100\nseparation = 8.0"}
    with pytest.raises(ValueError, match=f"part 'main': dimension is 'reduced', but .*{why}"):
        spec.cells(study(**usual | changes))
    assert all(cell.reduced is None for cell in spec.cells(study(**usual | changes, dimension="auto")))


def test_a_start_by_algorithm_2_alone_needs_no_more_coordinates_than_its_own():
    (cell,) = spec.cells(study(mixture="d = 100", stream=f"n = 0\n{SEEDED}"))
    assert (cell.start_only, cell.coordinates) == (True, 2 + 3)


def test_cells_of_other_dimensions_do_not_share_a_start():
    cells = spec.cells(study(stream=f"n = [100, 300]\n{SEEDED}", mixture="d = [100, 1000]"))
    assert len(cells) == 4
    assert len({cell.start_fields() for cell in cells}) == 2


def test_a_pipeline_is_reduced_and_says_so(tmp_path):
    stream = f"n = [0, 100, 300]\ncheckpoints = 2\n{SEEDED}"
    runner.run_study(study(stream=stream, mixture="d = [30, 1000]\nseparation = 40.0"), tmp_path)
    with (tmp_path / "backends.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert all("the dimension is reduced to 5 coordinates" in row["seeding_reason"] for row in rows)
    tables = [pq.read_table(path).to_pydict() for path in sorted((tmp_path / "cells").glob("*.parquet"))]
    started = {}
    for table in tables:
        found = {
            run: error
            for run, error, n in zip(table["run"], table["error_sq"], table["samples"], strict=True)
            if n == 0
        }
        started.setdefault(table["d"][0], []).append(found)
    for same in started.values():  # cells of one dimension begin at the same starts
        assert len(same) == 3
        for other in same[1:]:
            assert_allclose(list(other.values()), list(same[0].values()), rtol=1e-4)
    assert not set(started[30][0].values()) & set(started[1000][0].values())


def test_a_pipelines_report_has_the_law_of_its_starts_in_all_dimensions(tmp_path):
    text = """
        name = "x"
        runs = 64
        algorithm = "lloyd"
        dimension = "reduced"
        [mixture]
        k = 3
        d = [30, 1000]
        layout = "box"
        side = 2000.0
        separation = 100.0
        [stream]
        n = [0, 300]
        start = "seeding"
        [seeding]
        n = 2060
        block = 1000
        graph_points = 60
    """
    made = spec.parse(text, source="x", folder=Path(), default_name="x")
    runner.run_study(made, tmp_path)
    write_report(tmp_path, made)
    with (tmp_path / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["samples"] == "0" and row["law_error_sq"]]
    assert {row["d"] for row in rows} == {"30", "1000"}
    for row in rows:
        mean, error, law = (float(row[name]) for name in ("error_sq_ok_mean", "error_sq_ok_se", "law_error_sq"))
        assert abs(mean - law) < 4 * error + 0.02 * law


def test_means_that_are_held_whole_have_their_limit():
    with pytest.raises(ValueError, match="k d is 3 x 1000000: expected at most 100000"):
        spec.cells(study(dimension="direct"))
    with pytest.raises(ValueError, match="k d is 3 x 1000000: expected at most 100000"):
        spec.cells(study(mixture="d = 1e6\nlayout = 'box'\nside = 10.0"))


def test_a_reduced_study_is_on_its_laws_and_says_how_it_was_streamed(tmp_path):
    runner.run_study(study(), tmp_path)
    with (tmp_path / "backends.csv").open() as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert len(reasons) == 2
    assert all("the dimension is reduced to 9 coordinates" in reason for reason in reasons)
    files = sorted((tmp_path / "cells").glob("*.parquet"))
    tables = [pq.read_table(path).filter(pc.field("samples") == 300).to_pydict() for path in files]
    assert sorted(table["d"][0] for table in tables) == [100, 1_000_000]
    for table in tables:
        twin = errors.estimate(np.array(table["twin_error_sq"]) - np.array(table["twin_mean_sq"]))
        assert abs(twin.mean) < 4 * twin.standard_error
