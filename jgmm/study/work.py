"""One task: some runs of some cells, from their mixtures and starts to the tiles that are stored.

Run r of every cell draws the same bits (they depend on the random seed and r alone), so cells are compared on common
random numbers. How runs are cut into tasks and packs has no effect on what they draw.
"""

from collections.abc import Iterator
from pathlib import Path

import jax

from jgmm import outside
from jgmm.engine import machine
from jgmm.study import packs, plan, starts, tables
from jgmm.study.folder import store
from jgmm.study.folder.spool import Spool
from jgmm.study.job import Computed, Job, Receipt
from jgmm.study.keys import study_keys
from jgmm.study.meter import Meter
from jgmm.study.plan import Piece, Task
from jgmm.study.spec import Cell, Study

UNENDING = 10**9  # samples: the length of a stream that fills a pack of the usual width


def work(study: Study, out: Path, task: Task, meter: Meter | None = None, *, back_end: str = "auto") -> list[Receipt]:
    """Compute a task and store it in the study's folder; if it is stopped half way, what is finished is stored.

    back_end: auto, cpu, gpu or scan (`engine.choose`). Raises ValueError if it cannot be.
    """
    finished: list[Computed] = []
    spool = Spool(out / "tiles")
    try:
        with jax.enable_x64(study.x64), machine.on_host(), outside.beside(out / outside.FOLDER):
            for piece in task.pieces:
                for name, _ in piece.cell.sources:
                    outside.load(name)
            job = Job(study, out, study_keys(study.seed), meter or Meter(), back_end, spool)
            for computed in _computed(job, task):
                finished.append(computed)
    finally:
        receipts = _store(study, out, finished)
        spool.close()
    return receipts


def _computed(job: Job, task: Task) -> Iterator[Computed]:
    """Compute a task, pack by pack."""
    first = task.pieces[0].cell
    longest = UNENDING if first.seeding else max(piece.cell.n for piece in task.pieces)
    width = plan.pack_width(first.k, first.coordinates, longest, devices=len(jax.devices()), gpu=machine.on_gpu())
    pieces = packs.cut(task.pieces, width)
    if first.seeding is None:
        for pack in packs.packed(pieces, width):
            yield from packs.stream(job, pack, None)
        return
    for low in sorted({piece.low for piece in pieces}):  # ranges of runs, each with all cells that share its start
        of_range = [piece for piece in pieces if piece.low == low]
        seeded = starts.by_algorithm_2(job, of_range, examples=job.folder / "examples")
        programs: dict[tuple, list[Piece]] = {}
        for piece in of_range:
            programs.setdefault(piece.cell.program_fields(), []).append(piece)
        for alike in programs.values():
            for pack in packs.packed(sorted(alike, key=lambda piece: -piece.cell.n), width):
                yield from packs.stream(job, pack, seeded)


def _store(study: Study, out: Path, finished: list[Computed]) -> list[Receipt]:
    """Write what is computed, neighbouring runs of a cell into one file."""
    by_cell: dict[Cell, list[Computed]] = {}
    for computed in finished:
        by_cell.setdefault(computed.rows.piece.cell, []).append(computed)
    receipts = []
    for cell, parts in by_cell.items():
        name = cell.identifier(study.seed, study.x64)
        for neighbours in _neighbours(parts):
            low, high = neighbours[0].rows.piece.low, neighbours[-1].rows.piece.high
            # Tables are made as they are written: they take twenty times the memory of what they are made from.
            each = (table for part in neighbours for table in tables.run_tables(part.rows))
            store.write_runs(out, name, low, high, each)
            receipts.append(Receipt(name, low, high, neighbours[0].driven))
    return receipts


def _neighbours(parts: list[Computed]) -> list[list[Computed]]:
    """Runs of one cell, sorted, in groups that have no gap."""
    groups: list[list[Computed]] = []
    for part in sorted(parts, key=lambda part: part.rows.piece.low):
        if not groups or groups[-1][-1].rows.piece.high != part.rows.piece.low:
            groups.append([])
        groups[-1].append(part)
    return groups
