"""What is checked of a study before anything is written: its mixtures, the size of its plan, who will compute it."""

from collections.abc import Iterable
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np

from jgmm import doors, outside, reach, start
from jgmm.engine import machine
from jgmm.mixture import Mixture, drawn_together
from jgmm.study import plan
from jgmm.study.cell import Cell
from jgmm.study.keys import study_keys
from jgmm.study.mixtures import build_mixture
from jgmm.study.plan import Piece
from jgmm.study.spec import Study

CHECKED_RUNS = 4096  # whose mixtures are drawn


def check_mixtures(study: Study, cells: Iterable[Cell], spec_folder: Path = Path()) -> None:
    """Draw the mixtures of the first runs. Raises ValueError, naming the part, where that or a cell's setting fails.

    That is: means that cannot be drawn, a mixture that the algorithm is not for, numbers beyond floating point.
    """
    alike: dict[tuple, dict[tuple, Cell]] = {}  # cells that differ in what is checked, by mixture
    for cell in cells:
        alike.setdefault(cell.mixture_fields(), {})[cell.algorithm, cell.start, cell.seeding, cell.rate] = cell
    with jax.enable_x64(study.x64), machine.on_host():
        keys = study_keys(study.seed)
        for same in alike.values():
            cell = next(iter(same.values()))
            runs, together = min(study.runs, CHECKED_RUNS), drawn_together(cell.k, cell.d)
            try:
                for low in range(0, runs, together):
                    mixed = build_mixture(cell, keys.mixture, range(low, min(low + together, runs)), spec_folder)
                    for cell in same.values():
                        cell.record.check(mixed)
                        _check_reach(cell, mixed)
            except ValueError as error:
                raise ValueError(f"part {cell.part!r}: {error}") from None


def _check_reach(cell: Cell, mixed: Mixture) -> None:
    """Raises ValueError if floating point cannot hold the cell's start, its steps or the sums of Algorithm 2."""
    means, scales = np.asarray(mixed.means), np.asarray(mixed.scales)
    offset = cell.start if isinstance(cell.start, float) else 0.0
    reach.check_start("start", offset, means=means, scales=scales)
    if cell.seeding is not None:
        start.check_power(mixed, block=cell.seeding.block, d=cell.d)
    if cell.rate is not None:
        reach.check_rate(cell.rate, offset=1.0 if cell.seeding or cell.head else offset, dtype=means.dtype)


def check_executor(executor: Executor | None, names: Iterable[str]) -> None:
    """Raises ValueError for what is no executor, and for one whose workers would hang or lack what the study names.

    names: of what stands outside jgmm. A process pool that forks would hang: JAX runs threads in this process, whose
    locks a copy would wait for.
    """
    if executor is None:
        return
    if not callable(getattr(executor, "submit", None)):
        raise doors.bad("executor", executor, "a concurrent.futures.Executor, or None")
    context = getattr(executor, "_mp_context", None)  # of a ProcessPoolExecutor; there is no public name
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor is a process pool that forks, in which JAX would hang: expected"
            ' ProcessPoolExecutor(..., mp_context=multiprocessing.get_context("spawn"))'
        )
    for name in names:
        if name.startswith(outside.HERE):
            raise ValueError(
                f"executor is given, but {name} is a value that only this process has: expected one that a module has"
                " under a name, as module:NAME"
            )


def check_plan(study: Study, cells: Iterable[Cell], *, devices: int, gpu: bool) -> None:
    """Raises ValueError if the largest of the study's rounds would be cut into more pieces than can be planned."""
    rounds = [0, *study.rounds()]
    most = max(after - before for before, after in pairwise(rounds))
    plan.check([Piece(cell, 0, most) for cell in cells], devices=devices, gpu=gpu)
