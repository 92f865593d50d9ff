"""Where the runs of a task begin: at an offset from the truth, where their heads say, or where Algorithm 2 puts them.

Run r draws the same bits in every cell, so cells that differ only after their start share it: Algorithm 2 is computed
once for all of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jgmm import start
from jgmm.contract import Choice
from jgmm.engine.runs import Batch, as_mixture, as_words, batch, means_beside, repeated
from jgmm.mixture import Mixture
from jgmm.study import tables
from jgmm.study.folder import parquet
from jgmm.study.job import Job
from jgmm.study.mixtures import shared_mixture
from jgmm.study.plan import Piece


class Seeded(NamedTuple):
    """What Algorithm 2 leaves for a range of runs: NumPy arrays, the runs last."""

    runs: Batch  # behind the samples that it has used
    means: np.ndarray  # (k, d, runs)
    per_run: dict[str, np.ndarray]  # columns of the cell's file, (runs,)
    back_end: Choice  # of the power iteration


def by_algorithm_2(job: Job, pieces: Sequence[Piece], *, examples: Path | None = None) -> Seeded:
    """The start of a range of runs, which these pieces of cells of one start share.

    examples: a folder for the graph of run 0, a file for each cell; None: it is not kept.
    """
    cell, low, high = pieces[0]
    assert cell.seeding is not None
    job.meter.begin(cell.part)
    mixed = shared_mixture(job, pieces[0])
    d, rank = (None, None) if cell.reduced is None else (cell.d, cell.rank)
    runs, seeding, example = start.seed(
        job.keys.start,
        batch(job.keys.lanes, range(low, high), mixed, d=d, rank=rank),
        **cell.seeding.model_dump(),
        noise=cell.disturbed,
        sampling=cell.sampling,
        back_end=job.back_end,
        progress=job.meter,
    )
    per_run = {
        "components": seeding.num_components,
        "subspace_distance": start.measure_subspace(seeding.basis, runs),
    }
    if low == 0 and examples is not None:
        truth, first = means_beside(seeding.means, runs)[..., 0], seeding.means[..., 0]
        table = tables.example_table(truth, first, example, seeding.basis[..., 0])
        for piece in pieces:
            identifier = piece.cell.identifier(job.study.seed, job.study.x64)
            parquet.write_table(examples / f"{identifier}.parquet", table)
    back_end = seeding.back_end
    if cell.reduced is not None:
        few = cell.rank + cell.k
        back_end = back_end._replace(reason=f"{back_end.reason}; the dimension is reduced to {few} coordinates")
    return Seeded(runs, seeding.means, per_run, back_end)


def _from_data(job: Job, pieces: Sequence[Piece], runs: Batch) -> tuple[Batch, np.ndarray]:
    """These runs behind their heads, and the starts that their heads give."""
    found, low = [], 0
    for piece in pieces:
        high, cell = low + piece.high - piece.low, piece.cell
        some = Batch(*jax.tree.map(lambda x, low=low, high=high: x[..., low:high], tuple(runs)))
        behind = start.from_data(
            job.keys.start,
            some,
            str(cell.start),
            head=cell.head,
            estimates=cell.fitted,
            noise=cell.disturbed,
            back_end=job.back_end,
        )
        found.append(behind)
        low = high
    words = [np.concatenate(each, axis=-1) for each in zip(*(behind.words for behind, _ in found), strict=True)]
    return runs._replace(words=as_words(*words)), np.concatenate([means for _, means in found], axis=-1)


def side_by_side(
    job: Job, pieces: Sequence[Piece], mixtures: Sequence[Mixture], seeded: Seeded | None
) -> tuple[Batch, np.ndarray]:
    """The runs of these pieces as one batch, and their starting centres, (k, d, runs) or as many as are fitted.

    mixtures: of each piece. seeded: the start, if by Algorithm 2, of the runs that every piece then consists of.
    """
    sizes = [piece.high - piece.low for piece in pieces]
    run_ids = np.concatenate([np.arange(piece.low, piece.high, dtype=np.uint32) for piece in pieces])
    mixed = as_mixture(*(np.concatenate(arrays, axis=-1) for arrays in zip(*mixtures, strict=True)))
    if seeded is None and pieces[0].cell.head:
        return _from_data(job, pieces, batch(job.keys.lanes, run_ids, mixed))
    if seeded is None:
        cells = [piece.cell for piece in pieces]
        reduced = cells[0].reduced is not None  # of all of them: they share a program
        of = np.repeat([cell.d for cell in cells], sizes) if reduced else None
        runs = batch(job.keys.lanes, run_ids, mixed, d=of, rank=cells[0].rank if reduced else None)
        offsets = [0.0 if piece.cell.start == "truth" else float(piece.cell.start) for piece in pieces]
        fitted = pieces[0].cell.fitted  # of all of them: they share a program
        return runs, start.offset_start(job.keys.start, runs, np.repeat(offsets, sizes), estimates=fitted)
    return repeated(seeded.runs, len(pieces)), np.concatenate([seeded.means] * len(pieces), axis=-1)
