"""The closing table has a row for each cell, and a column for each axis that varies."""

import pytest
from made_cells import LINE, made, results, results_of, study

from jgmm.report.headline import table_of_cells
from jgmm.study import parts, settings, spec

AXES = {
    "k": [2, 3],
    "d": [3, 4],
    "sigma": [1.0, 2.0],
    "weights": [[0.5, 0.5], [0.6, 0.4]],
    "scales": [[1.0, 1.0], [1.0, 0.5]],
    "separation": [4.0, 5.0],
    "noise": ["gaussian", "uniform"],
    "start": [0.1, 0.2],
    "n": [1000, 2000],
    "batch": [1, 10],
    "rate": ["paper", 0.01],
    "average": [0.0, 0.5],
    "beta": [1.0, 2.0],
    "seeding.n": [300, 400],
    "seeding.block": [10, 20],
    "seeding.graph_points": [20, 30],
    "seeding.neighbors": [3, 4],
    "seeding.method": ["block", "oja"],
}
COLUMNS = {"seeding.n": "seeding_n"}  # of summary.csv, where they are not the axis's last word
TABLES = {"mixture": parts.MixtureSpec, "stream": parts.StreamSpec, "seeding": parts.SeedingSpec, "em": parts.EMSpec}


def along(axis):
    """Two cells that differ along an axis."""
    seeded = axis.startswith("seeding")
    tables = {
        "mixture": {"layout": "simplex", "d": 3},
        "stream": {"n": 1000, "checkpoints": 1, "start": "seeding" if seeded else 0.1},
        "seeding": {"n": 300, "block": 10, "graph_points": 20} if seeded else {},
        "em": {},
    }
    key = axis.rpartition(".")[2]
    table = "seeding" if seeded else next(name for name, model in TABLES.items() if key in model.model_fields)
    tables[table][key] = AXES[axis]
    algorithm = "soft" if axis == "beta" else "lloyd"
    cells = spec.cells(spec.Study(name="odd", part=[{"algorithm": algorithm, **tables}]))
    return [made(cell, seed=index) for index, cell in enumerate(cells)]


def test_every_axis_of_a_spec_has_a_heading_and_an_example_here():
    axes = {
        name
        for algorithm in ("lloyd", "soft")
        for cell in spec.cells(spec.Study(part=[{"algorithm": algorithm, "stream": {"n": 1000}}]))
        for name, _ in cell.axes
    }
    assert axes == set(AXES) <= set(settings.HEADINGS)


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_that_varies_is_a_column_and_in_every_name(axis):
    data = along(axis)
    assert len(data) == 2
    assert axis in settings.varying(item.cell for item in data)
    found = results_of(study(LINE), data)
    table = table_of_cells(found)
    heading = settings.HEADINGS[axis]
    column = [row[table.columns.index(heading)] for row in table.rows]
    assert len(set(column)) == 2
    assert table.dropped.index(heading) > table.dropped.index("law")
    names = {settings.words(item.cell, settings.varying(i.cell for i in data)) for item in data}
    assert len(names) == 2
    assert all(f"{heading}=" in name for name in names)
    assert len({settings.where(item.cell) for item in data}) == 2  # in sentences, too
    summary = COLUMNS.get(axis, axis.rpartition(".")[2])
    told = {(row[summary], row["rate_name"]) if axis == "rate" else row[summary] for row in found.summary}
    assert len(told) == 2


def test_equal_weights_and_scales_are_one_place_whatever_k_and_sigma_are():
    text = "[mixture]\nk = [2, 3]\nsigma = [1.0, 2.0]\nlayout = 'simplex'\n[stream]\nn = 1000\nstart = 0.1"
    assert settings.varying(item.cell for item in results(text).data) == ["k", "sigma"]


def test_a_row_is_its_cells_last_checkpoint():
    found = results(LINE)
    table = table_of_cells(found)
    assert [row[0] for row in table.rows] == [item.id for item in found.data]
    for row, last in zip(table.rows, found.final(), strict=True):
        told = dict(zip(table.columns, row, strict=True))
        assert told["error_sq"] == f"{last['error_sq_ok_mean']:.4g} ± {last['error_sq_ok_se']:.2g}"
        assert (told["N"], told["kept"]) == (str(last["n"]), "64 of 64")
