"""The rows that a cell stores, one for each run and checkpoint: errors, its twin's error and the exact mean of that."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from jgmm import ordered
from jgmm.algorithms import graph
from jgmm.engine.run import Record
from jgmm.errors import CentreError
from jgmm.mixture import Mixture
from jgmm.start import GraphExample
from jgmm.study import measured
from jgmm.study.folder import columns
from jgmm.study.folder.spool import Spooled
from jgmm.study.plan import Piece
from jgmm.study.spec import Cell

SOME_ROWS = 2**15  # of a table, at most: 10 MB


class Rows(NamedTuple):
    """What some runs of a cell have left. Tables are made of it some runs at a time, since they are much larger."""

    piece: Piece
    samples: np.ndarray  # (checkpoints,)
    errors: dict[str, np.ndarray | Spooled]  # by column, (checkpoints, runs)
    twin_sq: np.ndarray | Spooled | None  # (checkpoints, runs); None where there is no twin
    start_sq: np.ndarray  # (e, runs)
    component: np.ndarray  # as start_sq
    per_run: dict[str, np.ndarray]  # (runs,)
    vectors: dict[str, np.ndarray]  # (runs, length), of the last checkpoint


def rows(piece: Piece, mixed: Mixture, record: Record, per_run: dict[str, np.ndarray]) -> Rows:
    """What the runs of a record have left: errors, and displacements where they are stored; not the centres."""
    return Rows(
        piece=piece,
        samples=record.samples,
        errors={**record.error._asdict(), **(record.measures or {})},
        twin_sq=record.twin_sq,
        start_sq=record.start_sq,
        component=record.component,
        per_run={**_of_mixture(mixed), **per_run},
        vectors=displacements(piece.cell, mixed, record) if piece.cell.displacement else {},
    )


def start_rows(piece: Piece, mixed: Mixture, error: CentreError, per_run: dict[str, np.ndarray]) -> Rows:
    """One row for each run of a cell that is about its start alone. error: of shape (runs,)."""
    none = np.zeros((0, 0))
    errors = {name: values[None] for name, values in error._asdict().items()}
    return Rows(piece, np.array([0]), errors, None, none, none, {**_of_mixture(mixed), **per_run}, {})


def _of_mixture(mixed: Mixture) -> dict[str, np.ndarray]:
    """The separation and the largest distance of a mean from the origin, of each run's mixture."""
    means = np.asarray(mixed.means, float)
    largest = np.sqrt([ordered.dot(mean, mean) for mean in means]).max(axis=0)
    return {"realised_separation": _closest(means) / np.asarray(mixed.scales).max(axis=0), "largest_mean": largest}


def run_tables(left: Rows) -> Iterator[pa.Table]:
    """Tables of at most SOME_ROWS, or of one run: a row for each run and checkpoint, sorted by run."""
    runs, at_once = left.piece.high - left.piece.low, max(1, SOME_ROWS // len(left.samples))
    for low in range(0, runs, at_once):
        yield _table(left, low, min(low + at_once, runs))


def run_table(left: Rows) -> pa.Table:
    """All rows in one table."""
    return pa.concat_tables(list(run_tables(left)))


def _table(left: Rows, low: int, high: int) -> pa.Table:
    """The rows of runs `low` to `high` - 1, counted from the piece's first."""
    cell, runs, checkpoints = left.piece.cell, high - low, len(left.samples)
    size = checkpoints * runs
    cols: dict[str, Any] = {name: getattr(cell, name) for name in columns.SETTING if hasattr(cell, name)}
    cols |= {"start": str(cell.start), "weights": tuple(cell.weights), "scales": tuple(cell.scales)}
    if cell.seeding:
        sizes = cell.seeding.model_dump()
        cols |= {"seeding_n": sizes.pop("n"), **sizes}
    first = left.piece.low + low
    cols["run"] = np.repeat(np.arange(first, first + runs, dtype=np.int64), checkpoints)
    cols["samples"] = np.tile(left.samples.astype(np.int64), runs)
    rows = {name: values[:, low:high].T.reshape(-1) for name, values in left.errors.items()}
    for name in cell.measures:
        entries = [rows.pop(entry) for entry in measured.measure(name).entries(name, cell.k)]
        rows[name] = entries[0] if measured.measure(name).each is None else columns.lists(entries)
    cols |= rows
    if left.twin_sq is not None:
        start_sq, component = left.start_sq[..., low:high], left.component[..., low:high]
        assert cell.record.twin_law is not None
        assert cell.step_law is not None
        scales = cell.scales if not cell.covariance else tuple(math.sqrt(x) for x in cell.variances)
        expected = cell.record.twin_law(cell.step_law, left.samples, cell.weights, scales, cell.d, start_sq, component)
        cols["twin_error_sq"] = left.twin_sq[:, low:high].T.reshape(-1).astype(float)
        cols["twin_mean_sq"] = expected.T.reshape(-1).astype(float)
    cols |= {name: np.repeat(values[low:high], checkpoints) for name, values in left.per_run.items()}
    last = np.arange(size) % checkpoints == checkpoints - 1
    cols |= {name: columns.sparse_lists(values[low:high], last) for name, values in left.vectors.items()}
    return columns.table(
        columns.cells(x64=left.errors["error_sq"].dtype == np.float64, measures=cell.measures), cols, size
    )


def example_table(truth: np.ndarray, start: np.ndarray, example: GraphExample, basis: np.ndarray) -> pa.Table:
    """The first run's means, starting centres and graph points: coordinates x0, ... and projections u0, ..."""
    blocks = [("mean", truth, np.arange(len(truth))), ("start", start, np.arange(len(start)))]
    blocks.append(("point", example.points, example.component))
    points = np.concatenate([values for _, values, _ in blocks])
    columns = {
        "kind": np.concatenate([np.full(len(values), kind) for kind, values, _ in blocks]),
        "component": np.concatenate([component for *_, component in blocks]),
        **{f"x{j}": points[:, j] for j in range(points.shape[1])},
        **{f"u{j}": values for j, values in enumerate(graph.project(basis, points.T))},
    }
    return pa.table(columns)


def span(means: np.ndarray) -> np.ndarray:
    """An orthonormal basis (d, r) of the differences of the means (k, d): mean displacements lie in it."""
    means = np.asarray(means, float)
    centred = means - (ordered.add_up(means) / len(means))[None]
    basis = ordered.span(centred, tolerance=1e-6)
    return basis[basis.any(axis=1)].T


def displacements(cell: Cell, mixed: Mixture, record: Record) -> dict[str, np.ndarray]:
    """Displacements of each component's centre, as coordinates in the means' span: (runs, k r).

    The estimate's, and the twin's less its exact mean.
    """
    basis = span(np.asarray(mixed.means)[..., 0])
    order = np.argsort(record.component, axis=0)

    def coordinates(vectors: np.ndarray) -> np.ndarray:
        projected = ordered.dot(np.moveaxis(vectors, 1, 0)[:, :, None], basis[:, None, :, None])
        return np.take_along_axis(projected, order[:, None], axis=0)

    by_column = {"displacement": coordinates(record.displacement)}
    if record.twin_displacement is not None:
        assert cell.step_law is not None
        drift = np.array([cell.step_law.labelled(record.samples, weight).drift[-1] for weight in cell.weights])
        expected = drift[:, None, None] * coordinates(record.start_displacement)
        by_column["twin_displacement"] = coordinates(record.twin_displacement) - expected
    return {name: np.moveaxis(value, -1, 0).reshape(value.shape[-1], -1) for name, value in by_column.items()}


def _closest(means: np.ndarray) -> np.ndarray:
    """The smallest distance between two means of each run; infinite for one."""
    gaps = (means[i] - means[j] for i in range(len(means)) for j in range(i))
    pairs = [ordered.dot(gap, gap) for gap in gaps]
    return np.sqrt(np.min(pairs, axis=0)) if pairs else np.full(means.shape[-1], np.inf)
