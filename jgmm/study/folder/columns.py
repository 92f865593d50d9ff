"""The schemas of stored tables: all cells have the same columns of the same types, and so have all summaries.

So any reader of Parquet can read a folder of cells as one data set: `pandas.read_parquet("DIR/cells")`. If a cell has
no values for a column, the column has nulls of its type.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from jgmm import named

# Parquet calls the elements of a list "element". With another name a table would differ after it is read again.
LIST = pa.list_(pa.field("element", pa.float64()))
TEXT, COUNT, REAL = pa.string(), pa.int64(), pa.float64()

SETTING = {
    "part": TEXT,
    "algorithm": TEXT,
    "k": COUNT,
    "d": COUNT,
    "separation": REAL,
    "sigma": REAL,
    "n": COUNT,
    "rate": REAL,
    "rate_name": TEXT,
    "average": REAL,
    "beta": REAL,
    "layout": TEXT,
    "start": TEXT,
    "seeding_n": COUNT,
    "block": COUNT,
    "graph_points": COUNT,
    "neighbors": COUNT,
    "method": TEXT,
}


def cells(*, x64: bool, measures: Iterable[str] = ()) -> pa.Schema:
    """The schema of cells and tiles. Errors are stored in the precision in which they were computed.

    measures: names of `jgmm.measures` that the cell's spec asks for, each a column behind the others.
    """
    computed = pa.float64() if x64 else pa.float32()
    listed = pa.list_(pa.field("element", computed))
    columns = {
        **SETTING,
        "weights": LIST,
        "scales": LIST,
        "run": COUNT,
        "samples": COUNT,
        "error_sq": computed,
        "error_sum": computed,
        "error_max": computed,
        "lost": pa.int32(),
        "twin_error_sq": REAL,
        "twin_mean_sq": REAL,
        "realised_separation": REAL,
        "largest_mean": REAL,
        "components": pa.int32(),  # of the graph of Algorithm 2
        "subspace_distance": computed,
        "displacement": LIST,
        "twin_displacement": LIST,
        **{name: computed if named.load("measure", name).each is None else listed for name in measures},
    }
    return pa.schema(list(columns.items()))


# The columns of a summary that are not real numbers.
SUMMARY: dict[str, pa.DataType] = {
    **{name: kind for name, kind in SETTING.items() if kind != REAL},
    "cell": TEXT,
    "theorem": TEXT,
    "noise": TEXT,
    "batch": COUNT,
    "head": COUNT,
    "numbers": TEXT,
    "quantity": TEXT,
    "weights": TEXT,
    "scales": TEXT,
    "samples": COUNT,
    "runs": COUNT,
    "runs_ok": COUNT,
    "runs_not_finite": COUNT,
    "runs_graph_failed": COUNT,
    "runs_lost": COUNT,
    "few": pa.bool_(),
    "law_exact": pa.bool_(),
    "carried_by_few": pa.bool_(),
}


def table(schema: pa.Schema, columns: Mapping[str, Any], size: int) -> pa.Table:
    """A table of `size` rows with this schema. A column is an array or one value for all rows; a missing one is null.

    Raises ValueError for a column that the schema lacks, or for values of another type.
    """
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise ValueError(f"columns {', '.join(unknown)} are not in the schema")
    return pa.table([_array(columns.get(field.name), field.type, size) for field in schema], schema=schema)


def summary(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A summary with these rows and the columns of the first row: real numbers, unless `SUMMARY` has another type."""
    fields = [(name, SUMMARY.get(name, REAL)) for name in rows[0]] if rows else []
    return pa.Table.from_pylist(list(rows), schema=pa.schema(fields))


def sparse_lists(vectors: np.ndarray, where: np.ndarray) -> pa.Array:
    """A list wherever `where` is true, the next row of the array; null elsewhere."""
    offsets = np.concatenate([[0], np.cumsum(np.where(where, vectors.shape[1], 0))]).astype(np.int32)
    values = pa.array(np.asarray(vectors, float).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), values, LIST, mask=pa.array(~where))


def lists(entries: Sequence[np.ndarray]) -> pa.Array:
    """A list in every row: the row's number of each entry, in their order."""
    values = np.stack(entries, axis=1)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    flat = pa.array(values.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, pa.list_(pa.field("element", flat.type)))


def _array(values: Any, kind: pa.DataType, size: int) -> pa.Array:
    if values is None:
        return pa.nulls(size, kind)
    if isinstance(values, tuple):
        return sparse_lists(np.tile(values, (size, 1)), np.ones(size, bool))
    if isinstance(values, Iterable) and not isinstance(values, str):
        return values if isinstance(values, pa.Array) else pa.array(values).cast(kind)
    return pa.repeat(pa.array([values]).cast(kind)[0], size)  # pa.array([2.5], int64) would give 2
