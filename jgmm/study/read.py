"""Stored cells, read back as arrays."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jgmm.study import measured
from jgmm.study.folder import columns, files, parquet, store
from jgmm.study.folder.spool import ByRun, Spool, Spooled, all_finite
from jgmm.study.spec import Cell, Study

QUANTITIES = ("error_sq", "error_sum", "error_max")
TOGETHER = 2**18  # rows, about, that are turned from (run, checkpoint) to (checkpoint, run) at once
TWINS = ("twin_error_sq", "twin_mean_sq")


class CellData(NamedTuple):
    """A stored cell. Arrays (runs, checkpoints) may lie in a file: index them as `values[name][runs, checkpoint]`."""

    cell: Cell
    id: str
    samples: np.ndarray  # counts of samples, (checkpoints,); the start is checkpoint 0
    values: dict[str, np.ndarray | ByRun]  # QUANTITIES, "lost" and what the cell measures, (runs, checkpoints)
    twin: dict[str, np.ndarray | ByRun] | None  # TWINS, (runs, checkpoints); None where the cell has no twin
    ok: np.ndarray  # (runs,): whether the start has not failed and every error is finite
    realised_separation: np.ndarray  # (runs,)
    largest_mean: np.ndarray  # (runs,)
    components: np.ndarray | None  # (runs,), of the graph; None where the start is not by Algorithm 2
    displacement: np.ndarray | None  # (runs, k r), at the last checkpoint
    twin_displacement: np.ndarray | None  # less its exact mean
    example: pa.Table | None  # run 0's means, start and graph

    @property
    def error_sq(self) -> np.ndarray:
        """Squared error of the good runs at the last checkpoint, shape (runs,)."""
        return self.values["error_sq"][self.ok, -1].astype(float)


def read(folder: Path, cell: Cell, study: Study, done: store.Done, spool: Spool | None = None) -> CellData:
    """A cell from its file. Raises ValueError if the folder lacks some of its runs, or the file cannot be read.

    spool: what makes its arrays; by default all in memory. An example that is damaged is left out, with a sentence in
    `done.ignored`.
    """
    name = cell.identifier(study.seed, study.x64)
    pieces = done.cells.get(name, [])
    if not pieces or pieces[0].low or pieces[0].high < study.runs:
        for word in done.ignored:
            if f"{name}." in word:
                raise ValueError(f"{word}; jgmm run sets it aside and computes it again")
        whole = pieces[0].high if pieces and not pieces[0].low else 0
        raise ValueError(
            f"{folder} holds {whole} of {study.runs} runs of cell {name} of part {cell.part!r}:"
            " expected a finished study (jgmm run goes on with it)"
        )
    path = pieces[0].path
    try:
        columns_of, lists = _columns(path, cell, pieces[0].high, spool or Spool(None))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read ({error}): jgmm run sets it aside and computes it again") from None
    values = {name: columns_of[name] for name in quantities(cell)}
    twin = None if np.isnan(columns_of[TWINS[0]][:, 0]).any() else {name: columns_of[name] for name in TWINS}
    ok = all_finite(values["error_sq"])
    components = columns_of["components"] if cell.seeding else None
    if components is not None:
        ok &= (components == cell.k) & (values["lost"][:, 0] == 0)
    return CellData(
        cell,
        name,
        np.array([0, *cell.checkpoints]),
        values,
        twin,
        ok,
        realised_separation=columns_of["realised_separation"].astype(float),
        largest_mean=columns_of["largest_mean"].astype(float),
        components=components,
        displacement=lists.get("displacement"),
        twin_displacement=lists.get("twin_displacement"),
        example=_example(folder / "examples" / f"{name}.parquet", done.ignored),
    )


def _example(path: Path, ignored: list[str]) -> pa.Table | None:
    """The example in a file; None if there is none, or it is damaged, with a sentence in `ignored`."""
    if files.kind(path) is None:
        return None
    try:
        return parquet.read(path)
    except (OSError, ValueError) as error:
        ignored.append(f"{path} is left out, with its figures: {error}; jgmm run --fresh makes it again")
        return None


def quantities(cell: Cell) -> list[str]:
    """The quantities that a cell's runs store."""
    beside = [entry for name in cell.measures for entry in measured.measure(name).entries(name, cell.k)]
    return [*QUANTITIES, "lost", *beside]


def _columns(path: Path, cell: Cell, runs: int, spool: Spool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers of a cell's file, float32, (runs, checkpoints) or (runs,); and its lists, float64, (runs, length).

    float32 is what the errors were computed in; whoever sums over runs does so in float64.
    """
    with files.open_file(path) as raw:
        file = pq.ParquetFile(raw, page_checksum_verification=True)
        if file.schema_arrow.names != columns.cells(x64=False, measures=cell.measures).names:
            raise ValueError(f"{path} has other columns than this version of jgmm gives to a cell")
        return _read_columns(file, cell, runs, spool)


def _read_columns(
    file: pq.ParquetFile, cell: Cell, runs: int, spool: Spool
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As `_columns`, some row groups at a time: a file may be larger than memory."""
    each_row, each_run = (*quantities(cell), *TWINS), ("realised_separation", "largest_mean", "components")
    checkpoints = cell.rows
    ranked = {name: measure.entries(name, cell.k) for name in cell.measures if (measure := measured.measure(name)).each}
    whole_columns = [name for name in (*each_row, *each_run) if not any(name in names for names in ranked.values())]
    lists = ("displacement", "twin_displacement")
    arrays = {name: spool.array(checkpoints, runs, np.float32) for name in each_row}
    alone = {name: np.empty(runs, np.float32) for name in each_run}
    vectors: dict[str, list[np.ndarray]] = {name: [] for name in lists}
    waiting: dict[str, list[np.ndarray]] = {name: [] for name in (*each_row, *each_run)}  # read, not yet in place
    placed = rows = 0  # runs that are in place, and rows that wait
    for group in range(file.metadata.num_row_groups):
        table = file.read_row_group(group, columns=[*whole_columns, *lists, *ranked])
        for name in lists:
            vectors[name] += list(table[name].drop_null().to_numpy(zero_copy_only=False))
        for name in whole_columns:
            waiting[name].append(table[name].to_numpy(zero_copy_only=False).astype(np.float32))
        for name, entries in ranked.items():
            numbers = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, cell.k)
            for entry, column in zip(entries, numbers.T, strict=True):
                waiting[entry].append(column.astype(np.float32))
        rows += len(table)
        if rows < TOGETHER and group + 1 < file.metadata.num_row_groups:
            continue
        whole = rows // checkpoints
        for name, pieces in waiting.items():
            values = np.concatenate(pieces)
            waiting[name] = [np.array(values[whole * checkpoints :])]
            block = values[: whole * checkpoints].reshape(whole, checkpoints)
            if name in alone:
                alone[name][placed : placed + whole] = block[:, 0]
                continue
            for checkpoint in range(checkpoints):
                arrays[name][checkpoint, placed : placed + whole] = block[:, checkpoint]
        placed, rows = placed + whole, rows - whole * checkpoints
    shaped = {name: ByRun(array) if isinstance(array, Spooled) else array.T for name, array in arrays.items()}
    return {**shaped, **alone}, {name: np.stack(values) for name, values in vectors.items() if values}


def points(example: pa.Table, kind: str, axis: str) -> np.ndarray:
    """Coordinates of an example's means, starts or graph points: axis "x" or "u"."""
    count = sum(name.startswith(axis) for name in example.column_names)
    mask = np.asarray(example["kind"]) == kind
    return np.stack([example[f"{axis}{j}"].to_numpy()[mask] for j in range(count)], axis=1)
