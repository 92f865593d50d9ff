"""Stored cells, read back as arrays."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jgmm.study.folder import columns, files, parquet, store
from jgmm.study.folder.spool import ByRun, Spool, Spooled, all_finite
from jgmm.study.spec import Cell, Study

QUANTITIES = ("error_sq", "error_sum", "error_max")
TOGETHER = 2**18  # rows that are turned round together
TWINS = ("twin_error_sq", "twin_mean_sq")


class CellData(NamedTuple):
    """A stored cell; arrays are (runs, checkpoints), read as `values[name][which runs, checkpoint]`, or (runs,)."""

    cell: Cell
    id: str
    samples: np.ndarray
    values: dict[str, Any]
    twin: dict[str, Any] | None
    ok: np.ndarray
    realised_separation: np.ndarray
    largest_mean: np.ndarray
    components: np.ndarray | None
    displacement: np.ndarray | None  # (runs, k r), at the last checkpoint
    twin_displacement: np.ndarray | None  # less its exact mean
    example: pa.Table | None

    @property
    def error_sq(self) -> np.ndarray:
        """Squared error of the good runs at the last checkpoint, shape (runs,)."""
        return self.values["error_sq"][self.ok, -1].astype(float)


def read(folder: Path, cell: Cell, study: Study, done: store.Done, kept: Spool | None = None) -> CellData:
    """A cell from its file. Raises ValueError if its runs are not all there.

    kept: where its arrays are to lie; by default all in memory. An example that is damaged is left out, with a word in
    `done.ignored`.
    """
    name = cell.identifier(study.seed, study.x64)
    pieces = done.cells.get(name, [])
    if not pieces or pieces[0].low or pieces[0].high < study.runs:
        for word in done.ignored:
            if f"{name}." in word:
                raise ValueError(f"{word}; jgmm run sets it aside and computes it again")
        there = pieces[0].high if pieces and not pieces[0].low else 0
        raise ValueError(
            f"{folder} holds {there} of {study.runs} runs of cell {name} of part {cell.part!r}:"
            " expected a finished study (jgmm run goes on with it)"
        )
    path, checkpoints = pieces[0].path, cell.rows
    try:
        found, lists = _columns(path, checkpoints, pieces[0].high, kept or Spool(None))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read ({error}): jgmm run sets it aside and computes it again") from None
    values = {name: found[name] for name in (*QUANTITIES, "lost")}
    twin = None if np.isnan(found[TWINS[0]][:, 0]).any() else {name: found[name] for name in TWINS}
    ok = all_finite(values["error_sq"])
    components = found["components"] if cell.seeding else None
    if components is not None:
        ok &= (components == cell.k) & (values["lost"][:, 0] == 0)
    return CellData(
        cell,
        name,
        np.array([0, *cell.checkpoints]),
        values,
        twin,
        ok,
        realised_separation=found["realised_separation"].astype(float),
        largest_mean=found["largest_mean"].astype(float),
        components=components,
        displacement=lists.get("displacement"),
        twin_displacement=lists.get("twin_displacement"),
        example=_example(folder / "examples" / f"{name}.parquet", done.ignored),
    )


def _example(path: Path, ignored: list[str]) -> pa.Table | None:
    if files.kind(path) is None:
        return None
    try:
        return parquet.read(path)
    except (OSError, ValueError) as error:
        ignored.append(f"{path} is left out, with its figures: {error}; jgmm run --fresh makes it again")
        return None


def _columns(path: Path, checkpoints: int, runs: int, kept: Spool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers as float32, (runs, checkpoints) or (runs,); lists as float64, (runs, length). Some row groups at a time.

    (float32 is what the errors were computed in; sums over runs are taken in float64.)
    """
    with files.open_file(path) as raw:
        file = pq.ParquetFile(raw, page_checksum_verification=True)
        if file.schema_arrow.names != columns.cells(x64=False).names:
            raise ValueError(f"{path} has other columns than this version of jgmm gives to a cell")
        return _read_columns(file, checkpoints, runs, kept)


def _read_columns(file: pq.ParquetFile, checkpoints: int, runs: int, kept: Spool) -> tuple[dict, dict]:
    each_row, each_run = (*QUANTITIES, "lost", *TWINS), ("realised_separation", "largest_mean", "components")
    lists = ("displacement", "twin_displacement")
    arrays = {name: kept.array(checkpoints, runs, np.float32) for name in each_row}
    alone = {name: np.empty(runs, np.float32) for name in each_run}
    vectors: dict[str, list[np.ndarray]] = {name: [] for name in lists}
    held: dict[str, list[np.ndarray]] = {name: [] for name in (*each_row, *each_run)}
    here = rows = 0  # runs that are in place, and rows that are not
    for group in range(file.metadata.num_row_groups):
        table = file.read_row_group(group, columns=[*each_row, *each_run, *lists])
        for name in lists:
            vectors[name] += list(table[name].drop_null().to_numpy(zero_copy_only=False))
        for name in held:
            held[name].append(table[name].to_numpy(zero_copy_only=False).astype(np.float32))
        rows += len(table)
        if rows < TOGETHER and group + 1 < file.metadata.num_row_groups:
            continue
        whole = rows // checkpoints
        for name, pieces in held.items():
            values = np.concatenate(pieces)
            held[name] = [np.array(values[whole * checkpoints :])]
            block = values[: whole * checkpoints].reshape(whole, checkpoints)
            if name in alone:
                alone[name][here : here + whole] = block[:, 0]
                continue
            for checkpoint in range(checkpoints):
                arrays[name][checkpoint, here : here + whole] = block[:, checkpoint]
        here, rows = here + whole, rows - whole * checkpoints
    shaped = {name: ByRun(array) if isinstance(array, Spooled) else array.T for name, array in arrays.items()}
    return {**shaped, **alone}, {name: np.stack(found) for name, found in vectors.items() if found}


def points(example: pa.Table, kind: str, axis: str, count: int) -> np.ndarray:
    """Coordinates of an example's means, starts or graph points: axis "x" or "u"."""
    mask = np.asarray(example["kind"]) == kind
    return np.stack([example[f"{axis}{j}"].to_numpy()[mask] for j in range(count)], axis=1)
