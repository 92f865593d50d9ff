"""A few runs of a cell alone, of which nothing is stored: one run again with its trajectory, or a pilot."""

import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pyarrow as pa

from jgmm.engine import machine
from jgmm.study import packs, starts, tables
from jgmm.study.folder.spool import Spool
from jgmm.study.job import Computed, Driven, Job
from jgmm.study.keys import study_keys
from jgmm.study.meter import Meter
from jgmm.study.plan import Piece
from jgmm.study.spec import Cell, Study


class Pilot(NamedTuple):
    """Squared errors of a few runs at the last checkpoint, the seconds they took once compiled, and what drove them."""

    error_sq: np.ndarray
    seconds: float
    driven: Driven


def replay(
    study: Study,
    cell: Cell,
    run_id: int,
    *,
    spec_folder: Path = Path(),
    checkpoints: int = 40,
    back_end: str = "auto",
) -> pa.Table:
    """One run alone, its errors at many checkpoints; the last row is the stored one if the back end is the same."""
    steps = {max(1, cell.n * i // checkpoints) for i in range(1, checkpoints + 1)} if cell.checkpoints else ()
    dense = cell.model_copy(update={"checkpoints": tuple(sorted({*steps, *cell.checkpoints}))})
    piece = Piece(dense, run_id, run_id + 1)
    return tables.run_table(_alone(study, piece, spec_folder, back_end).rows)


def pilot(study: Study, cell: Cell, runs: int, folder: Path, *, back_end: str = "auto") -> Pilot:
    """The first runs of a cell, computed twice: the first time compiles, the second is timed."""
    _alone(study, Piece(cell, 0, runs), folder, back_end)
    started = time.perf_counter()
    computed = _alone(study, Piece(cell, 0, runs), folder, back_end)
    seconds = time.perf_counter() - started
    return Pilot(computed.rows.errors["error_sq"][-1].astype(float), seconds, computed.driven)


def _alone(study: Study, piece: Piece, folder: Path, back_end: str) -> Computed:
    """A piece with nothing streamed beside it. folder: where files of means lie."""
    with jax.enable_x64(study.x64), machine.on_host():
        job = Job(study, folder, study_keys(study.seed), Meter(), back_end, Spool(None))
        seeded = starts.by_algorithm_2(job, [piece]) if piece.cell.seeding else None
        (computed,) = packs.stream(job, [piece], seeded)
    return computed
