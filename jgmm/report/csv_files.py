"""The csv files of a report: numbers in full, and no text that a spreadsheet would run as a formula."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from jgmm.study import curves, verdicts
from jgmm.study.folder import files

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what begins a text that a spreadsheet would take for a formula


def harmless(value: Any) -> Any:
    """A value for a csv file: an apostrophe stands before a formula, and nothing where there is no number."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def write_table(path: Path, table: pa.Table) -> None:
    """Write an Arrow table."""
    rows = [{name: harmless(value) for name, value in row.items()} for row in table.to_pylist()]
    safe = pa.Table.from_pylist(rows, schema=table.schema)
    files.write(path, lambda file: pyarrow.csv.write_csv(safe, file), durable=False)


def write_rows(path: Path, fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows below their fields' names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([harmless(value) for value in row] for row in rows)
    files.write_text(path, text.getvalue(), durable=False)


def floor_row(floor: verdicts.FloorFit) -> list[Any]:
    """A floor's row of fits.csv: the exponent of exp(C^2), which falls as the floor does."""
    if math.isnan(floor.law):
        said = "no law"
    else:
        said = "agrees with the law" if floor.low <= floor.law <= floor.high else "off the law"
    row: dict[str, Any] = {
        "part": floor.part,
        "setting": floor.setting,
        "quantity": "floor",
        "axis": "exp(C^2)",
        "verdict": said,
        "family": "exponential",
        "sizes": floor.sizes,
        "runs": floor.runs,
        "exponent": -floor.measured,
        "low": -floor.high,
        "high": -floor.low,
        "law": -floor.law,
        "bound": -floor.bound,
    }
    return [row.get(name, "") for name in curves.FitRow._fields]
