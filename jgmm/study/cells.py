"""Stored cells, read back as arrays."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jgmm.study import store
from jgmm.study.spec import Cell, Study

QUANTITIES = ("error_sq", "error_sum", "error_max")
TWINS = ("twin_error_sq", "twin_mean_sq")


class CellData(NamedTuple):
    """A stored cell; arrays are (runs, checkpoints), per-run ones (runs,)."""

    cell: Cell
    id: str
    samples: np.ndarray
    values: dict[str, np.ndarray]
    twin: dict[str, np.ndarray] | None
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


def read(folder: Path, cell: Cell, study: Study, pieces: list[store.Stored]) -> CellData:
    """A cell from its file. Raises ValueError if its runs are not all there."""
    name = cell.identifier(study.seed, study.x64)
    if not pieces or pieces[0].low or pieces[0].high < study.runs:
        there = pieces[0].high if pieces and not pieces[0].low else 0
        raise ValueError(
            f"{folder} holds {there} of {study.runs} runs of cell {name} of part {cell.part!r}:"
            " expected a finished study (jgmm run goes on with it)"
        )
    known = pq.read_schema(pieces[0].path).names
    wanted = (*QUANTITIES, "lost", *TWINS, "realised_separation", "largest_mean", "samples", "components")
    per_run = [name for name in ("displacement", "twin_displacement") if name in known]
    try:
        table = pq.read_table(
            pieces[0].path, columns=[c for c in (*wanted, *per_run) if c in known], page_checksum_verification=True
        )
    except (OSError, pa.ArrowException) as error:
        raise ValueError(
            f"{pieces[0].path} cannot be read ({error}): remove it, and jgmm run computes it again"
        ) from None
    checkpoints = 1 + len(cell.checkpoints)
    samples = table["samples"].slice(0, checkpoints).to_numpy()

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(zero_copy_only=False).reshape(-1, checkpoints)

    values = {name: column(name) for name in (*QUANTITIES, "lost")}
    twin = None if table[TWINS[0]].null_count else {name: column(name) for name in TWINS}
    ok = np.isfinite(values["error_sq"]).all(axis=1)
    components = column("components")[:, 0] if "components" in known else None
    if components is not None:
        ok &= (components == cell.k) & (values["lost"][:, 0] == 0)
    lists = {
        n: np.stack(table[n].drop_null().to_numpy(zero_copy_only=False)) if n in known else None
        for n in ("displacement", "twin_displacement")
    }
    example = folder / "examples" / f"{name}.parquet"
    return CellData(
        cell,
        name,
        samples,
        values,
        twin,
        ok,
        realised_separation=column("realised_separation")[:, 0],
        largest_mean=column("largest_mean")[:, 0],
        components=components,
        **lists,
        example=pq.read_table(example) if example.is_file() else None,
    )


def points(example: pa.Table, kind: str, axis: str, count: int) -> np.ndarray:
    """Coordinates of an example's means, starts or graph points: axis "x" or "u"."""
    mask = np.asarray(example["kind"]) == kind
    return np.stack([example[f"{axis}{j}"].to_numpy()[mask] for j in range(count)], axis=1)
