"""The page's tables: what varies is a column, and what does not is said."""

import pytest
from made_cells import FLOOR, LINE, MAP, none_good, results

from jgmm.report import tables
from jgmm.report.tables import Column
from jgmm.study import settings


def test_a_column_whose_entries_are_alike_is_a_word():
    columns = [
        Column("a", lambda row: row[0]),
        Column("b", lambda row: row[1], stays=True),
        Column("c", lambda row: ""),
    ]
    made = tables.table([("1", "x"), ("1", "x")], columns)
    assert (made.headings, made.rows, made.same) == (["b"], [["x"], ["x"]], ["a = 1"])
    made = tables.table([("1", "x"), ("2", "x")], columns)
    assert (made.headings, made.rows, made.same) == (["a", "b"], [["1", "x"], ["2", "x"]], [])
    assert tables.table([("1", "x")], columns).headings == ["a", "b", "c"]  # of one row nothing is left out


def test_an_axis_that_some_rows_have_no_place_on_is_a_word_where_the_others_are_alike():
    columns = [Column("B", lambda row: row[0], axis=True), Column("law", lambda row: row[0])]
    made = tables.table([("10",), ("",), ("10",)], columns)
    assert (made.headings, made.same) == (["law"], ["B = 10 (if any)"])
    assert tables.table([("10",), ("",), ("20",)], columns).headings == ["B", "law"]


@pytest.mark.parametrize("text", [LINE, FLOOR, MAP])
def test_axes_that_vary_are_columns_of_the_table_of_cells(text):
    found = results(text)
    made = tables.cells(found)
    assert len(made.rows) == len(found.data)
    varying = [settings.heading(name) for name in settings.varying(item.cell for item in found.data)]
    assert varying
    for heading in varying:
        assert len({row[made.headings.index(heading)] for row in made.rows}) > 1
    assert "k = 2" in made.same
    assert [row[0] for row in made.rows] == [item.id for item in found.data]


def test_floors_have_a_row_for_each_cell_whose_floor_is_measured():
    made = tables.floors(results(FLOOR))
    assert [row[made.headings.index("C")] for row in made.rows] == ["3", "4", "5"]
    assert tables.floors(results(LINE)).rows == []
    assert tables.floors(results(FLOOR, none_good)).rows == []
