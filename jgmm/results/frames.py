"""Tables as pandas frames. pandas is an extra: whoever asks for a frame without it is told so in a line."""

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jgmm.report.results import Results
from jgmm.study import settings

if TYPE_CHECKING:
    import pandas


def extra(module: str, purpose: str) -> Any:
    """A module of an extra. Raises ImportError, one line that says how to install it, where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = error.name or module
        raise ImportError(f"{name} is not installed, expected for {purpose}: pip install 'jgmm[{module}]'") from None


def of_table(table: pa.Table) -> "pandas.DataFrame":
    """An Arrow table as a frame; what is absent is NaN in a column of numbers and None in one of words."""
    extra("pandas", "a frame")
    return table.to_pandas()


def of_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> "pandas.DataFrame":
    """Rows below their columns' names."""
    return extra("pandas", "a frame").DataFrame([tuple(row) for row in rows], columns=list(names))


MEANS = ("runs", "runs_ok", "error_sq_ok_mean", "error_sq_ok_se", "error_sq_ok_low", "error_sq_ok_high")
THEORY = ("law_error_sq", "bound_error_sq", "converged")


def of_cells(results: Results) -> "pandas.DataFrame":
    """A row for each cell, by its identifier: part, algorithm, its value on every axis, and its last means."""
    present = {name for item in results.data for name in settings.place(item.cell)}
    axes = [name for name in settings.every(item.cell for item in results.data) if name in present]
    rows = []
    for item, row in zip(results.data, results.final(), strict=True):
        place = settings.place(item.cell)
        rows.append(
            [item.id, item.cell.part, item.cell.algorithm]
            + [place.get(name) for name in axes]
            + [row[name] for name in (*MEANS, *THEORY)]
        )
    frame = of_rows(("cell", "part", "algorithm", *axes, *MEANS, *THEORY), rows)
    return frame.set_index("cell")
