"""Runs of several cells streamed side by side: how pieces are packed, and what a pack's streams leave.

Cells stand side by side if they share a program (`Cell.program_fields`); their rates, separations and N may differ.
"""

from collections.abc import Sequence
from itertools import pairwise

import jax
import numpy as np

from jgmm import noise as noises
from jgmm import start, steps, threefry
from jgmm.contract import Choice, Noise
from jgmm.engine import reduction, together
from jgmm.engine import run as engine
from jgmm.engine.run import Record, Segment
from jgmm.engine.runs import Batch
from jgmm.errors import CentreError
from jgmm.measures.heldout import Heldout, Pairs
from jgmm.mixture import Mixture
from jgmm.sampling import Sampling
from jgmm.study import tables
from jgmm.study.cell import Cell
from jgmm.study.job import Computed, Driven, Job
from jgmm.study.mixtures import shared_mixture
from jgmm.study.plan import Piece
from jgmm.study.starts import Seeded, side_by_side


def cut(pieces: Sequence[Piece], width: int) -> list[Piece]:
    """The pieces in parts of at most `width` runs."""
    return [
        Piece(piece.cell, low, min(low + width, piece.high))
        for piece in pieces
        for low in range(piece.low, piece.high, width)
    ]


def packed(pieces: Sequence[Piece], width: int) -> list[list[Piece]]:
    """The pieces, in their order, as packs of at most `width` runs. Give the longest streams first."""
    packs: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if not packs or piece.high - piece.low > room:
            packs.append([])
            room = width
        packs[-1].append(piece)
        room -= piece.high - piece.low
    return packs


def stream(job: Job, pack: Sequence[Piece], seeded: Seeded | None) -> list[Computed]:
    """Stream the pieces of a pack side by side. seeded: their start, if by Algorithm 2."""
    first = pack[0].cell
    job.meter.begin(first.part if first.start_only else f"{first.part} n={first.n}")
    mixtures = [shared_mixture(job, piece) for piece in pack]
    runs, means = side_by_side(job, pack, mixtures, seeded)
    per_run = seeded.per_run if seeded else {}
    back_ends: list[Choice | None]
    if first.start_only:
        errors = _start_errors(pack, runs, means)
        rows = [tables.start_rows(*each, per_run) for each in zip(pack, mixtures, errors, strict=True)]
        back_ends = [None] * len(pack)
    else:
        records = _simulate(job, pack, runs, means, mixtures)
        rows = [tables.rows(*each, per_run) for each in zip(pack, mixtures, records, strict=True)]
        back_ends = [_told(record.back_end, first) for record in records]
    device, seeding = jax.devices()[0].device_kind, seeded.back_end if seeded else None
    driven = [Driven(device, back_end, seeding) for back_end in back_ends]
    return [Computed(*each) for each in zip(rows, driven, strict=True)]


def _told(back_end: Choice | None, cell: Cell) -> Choice | None:
    """What drove a stream, and in how many coordinates, if not in all."""
    if back_end is None or cell.reduced is None:
        return back_end
    return back_end._replace(reason=f"{back_end.reason}; the dimension is reduced to {cell.reduced} coordinates")


def _start_errors(pack: Sequence[Piece], runs: Batch, start_means: np.ndarray) -> list[CentreError]:
    """The errors of each piece's starts."""
    error = start.measure(start_means[: pack[0].cell.estimates], runs)
    edges = np.cumsum([0, *(piece.high - piece.low for piece in pack)])
    return [CentreError(*(values[low:high] for values in error)) for low, high in pairwise(edges)]


def _simulate(
    job: Job, pack: Sequence[Piece], runs: Batch, start_means: np.ndarray, mixtures: Sequence[Mixture]
) -> list[Record]:
    """A record for each piece."""
    cells = [piece.cell for piece in pack]
    sizes = [piece.high - piece.low for piece in pack]
    first = cells[0]
    burns = [cell.burn for cell in cells]
    numbers = {name: _of_each_run([cell.chosen[name] for cell in cells], sizes) for name in first.chosen}
    size = _step_size(pack, sizes)
    begin = start_means[: first.estimates]
    runs, begin = reduction.prepared(runs, first.record, begin, size, twin=first.has_twin)
    ready = together.ready(
        runs,
        first.record,
        begin,
        steps=size,
        noise=_noise(cells, sizes),
        sampling=_sampling(cells, sizes),
        twin=first.has_twin,
        average=np.repeat(burns, sizes) if first.average else None,
        estimates=first.fitted,
        batch_size=first.batch,
        **numbers,
    )
    segments = [_segment(job, piece, mixed) for piece, mixed in zip(pack, mixtures, strict=True)]
    return engine.simulate(ready, runs, segments, back_end=job.back_end, progress=job.meter, keep=job.spool.array)


def _noise(cells: Sequence[Cell], sizes: Sequence[int]) -> Noise:
    """The noise of a pack's cells, each run with its own cell's numbers."""
    first = cells[0].disturbed
    each = [dict(cell.noise_numbers) for cell in cells]
    numbers = tuple((name, _of_each_run([one[name] for one in each], sizes)) for name, _ in first.numbers)
    return first._replace(numbers=numbers)


def _sampling(cells: Sequence[Cell], sizes: Sequence[int]) -> Sampling:
    """How the samples of a pack's cells are drawn, likewise; their covariance is one."""
    dwell, drift = (_of_each_run([getattr(cell, name) for cell in cells], sizes) for name in ("dwell", "drift"))
    return Sampling(cells[0].sampling.covariance, dwell, drift)


def _segment(job: Job, piece: Piece, mixed: Mixture) -> Segment:
    """A piece's runs, and what is recorded of them."""
    cell, heldout = piece.cell, None
    if cell.heldout:
        run_ids = np.arange(piece.low, piece.high, dtype=np.uint32)
        noise = cell.disturbed._replace(numbers=cell.noise_numbers)
        runs = len(run_ids)
        told, widths = noises.told(noise, runs), noises.widths(noise, runs)
        pairs = Pairs(noise.pair, noise.draws, told, widths, cell.sampling.covariance)
        heldout = Heldout(threefry.words(job.keys.lanes), run_ids, mixed, cell.heldout, pairs)
    return Segment(piece.high - piece.low, cell.checkpoints, cell.measures, heldout)


def _step_size(pack: Sequence[Piece], sizes: Sequence[int]) -> steps.StepSize:
    """The step size of a pack's cells, each run with its own cell's numbers."""
    each = [piece.cell.step_size for piece in pack]
    rule, numbers = each[0]
    return steps.StepSize(rule, {name: _of_each_run([step.numbers[name] for step in each], sizes) for name in numbers})


def _of_each_run(values: Sequence[steps.Numbers], sizes: Sequence[int]) -> np.ndarray:
    """A cell's number for each of its runs, cell after cell."""
    return np.repeat(np.array(values, float), sizes)
