"""One schema for all cells, one for all summaries."""

import numpy as np
import pyarrow as pa
import pytest

from jgmm.study.folder import columns


@pytest.fixture(autouse=True)
def strict():
    """No JAX here."""


def test_a_table_has_every_column_whatever_is_given():
    few = columns.table(columns.cells(x64=False), {"k": 2, "weights": (0.5, 0.5), "run": np.arange(3)}, 3)
    many = {"k": 3, "weights": (0.2, 0.3, 0.5), "rate": 0.1, "block": 4, "method": "oja", "components": np.arange(3)}
    other = columns.table(columns.cells(x64=False), many, 3)
    assert few.schema == other.schema
    both = pa.concat_tables([few, other])
    assert both["weights"].to_pylist() == [[0.5, 0.5]] * 3 + [[0.2, 0.3, 0.5]] * 3
    assert both["method"].to_pylist() == [None] * 3 + ["oja"] * 3
    assert both["components"].to_pylist() == [None] * 3 + [0, 1, 2]
    assert both["displacement"].null_count == 6


def test_lists_stand_where_they_are_asked_for():
    made = columns.sparse_lists(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([False, True, False, True]))
    assert made.to_pylist() == [None, [1.0, 2.0], None, [3.0, 4.0]]


def test_an_unknown_column_and_values_of_another_type_are_refused():
    with pytest.raises(ValueError, match="columns colour are not in the schema"):
        columns.table(columns.cells(x64=False), {"colour": 1}, 1)
    with pytest.raises(ValueError, match="(?i)truncated|int"):
        columns.table(columns.cells(x64=False), {"k": 2.5}, 1)


def test_a_summary_of_nothing_but_nulls_has_the_types_of_a_full_one():
    full = {"cell": "a", "method": "oja", "block": 3, "rate": 0.1, "carried_by_few": True, "law_error_sq": 2.0}
    full |= {"theorem3_low": 1}
    found = columns.summary([full, dict.fromkeys(full)])
    assert found.schema == columns.summary([dict.fromkeys(full)]).schema
    assert found.to_pylist() == [full, dict.fromkeys(full)]
    assert found.schema.types == [pa.string(), pa.string(), pa.int64(), pa.float64(), pa.bool_(), *[pa.float64()] * 2]
