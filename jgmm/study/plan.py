"""The runs to compute, cut into tasks: each some runs of some cells, a quarter of a minute of work. Needs no JAX.

Cells of one program (algorithm, k, d) are in one task whatever their N, rate, separation or sigma, the longest stream
first; cells that share a start by Algorithm 2 are in one task with it. How the work is cut has no effect on results.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from jgmm.study import limits
from jgmm.study.spec import Cell

TASK_SECONDS = 15.0  # estimated: the work that is lost where a task is killed
TASK_RUNS = 2**16  # at most, kept in memory until a task is stored: a million runs of a cell pass through 16 files
TASK_PIECES = 512
PAD = 32  # a task's runs on a device are a multiple of this, where they do not fill its width
CALL_SAMPLES = 3e6  # a pack of so many samples takes much longer than what happens around its stream


class Piece(NamedTuple):
    """Runs low to high - 1 of a cell."""

    cell: Cell
    low: int
    high: int


class Task(NamedTuple):
    """Pieces that are computed together."""

    pieces: list[Piece]
    seconds: float  # estimated


def num_runs(pieces: Iterable[Piece]) -> int:
    """Runs of cells in these pieces."""
    return sum(piece.high - piece.low for piece in pieces)


def samples_of(task: Task) -> int:
    """Samples that a task consumes, the power iteration of its seeding included."""
    streamed = sum(piece.cell.n * (piece.high - piece.low) for piece in task.pieces)
    cell, low, high = task.pieces[0]
    if cell.seeding is None:
        return streamed
    sizes = cell.seeding
    return streamed + (sizes.n - sizes.graph_points) // sizes.block * sizes.block * (high - low)


def program(task: Task) -> tuple:
    """What a task's programs depend on: tasks for which this is equal compile the same ones."""
    first = task.pieces[0].cell
    if first.seeding is None:
        return first.program_fields()
    d = first.d if first.reduced is None else (first.reduced, first.rank)
    return ("seeding", first.k, d, first.seeding.graph_points)


def sample_seconds(k: int, d: int, *, gpu: bool = False) -> float:
    """Seconds of one device for one sample of one run: a fit to measurements (2 cores of an EPYC, JAX 0.12).

    3.8, 30 and 240 ns measured at (k, d) = (2, 2), (5, 10), (10, 50). A GPU is taken to be 500 cores: without the twin
    an H100, full, takes 4.4, 24, 300 and 1300 ps at (2, 2), (5, 10), (10, 50), (20, 100), with it twice that.
    """
    return (1 + 0.5 * d + 0.45 * k * d) * (2e-12 if gpu else 1e-9)


def pack_width(k: int, d: int, n: int, *, devices: int, gpu: bool) -> int:
    """How many runs stream side by side: the measured best, more where the stream is short.

    On CPU 128 runs a device keep the state in the first caches: with the twin 59 to 63 M samples a second at d = 10,
    k = 5, against 52 M with 256 and 48 M with 512 (2 cores of an EPYC, JAX 0.12).
    A GPU wants tens of thousands where a run is a thread, and as many threads where it is several: from 4,096 runs to
    65,536 an H100 becomes four times as fast at d = 10, k = 5, and no faster at d = 50, k = 10.
    """
    base = (2 ** min(max(22 - (k * d - 1).bit_length(), 12), 16) if gpu else 128) * devices
    width = base
    while width < 16 * base and width * n < CALL_SAMPLES and width * k * d < 2**20:
        width *= 2
    return width


def cost(cell: Cell, runs: int, *, seeded: bool, gpu: bool = False) -> float:
    """Seconds of one device for so many runs, with or without their seeding."""
    seeding = cell.seeding.n if seeded and cell.seeding else 0
    return runs * (cell.n + seeding) * sample_seconds(max(cell.k, cell.estimates), cell.coordinates, gpu=gpu)


def check(todo: Iterable[Piece], *, devices: int, gpu: bool = False) -> None:
    """Raises ValueError if the pieces would be cut into more than may be listed (`limits.PIECES`)."""
    count, runs = 0, 0
    for (kind, _), pieces in _groups(todo).items():
        runs = max(runs, *(p.high - p.low for p in pieces))
        if kind == "seeding":
            size, _ = _seeded_size([piece.cell for piece in pieces], devices, gpu)
            count += sum((p.high - p.low) // size + 2 for p in pieces)
        else:
            count += sum((p.high - p.low) // _plain_size(p.cell, devices, gpu) + 1 for p in pieces)
    if count > limits.PIECES:
        raise ValueError(
            f"runs is {runs}: the work would be cut into {count} pieces of a quarter of a minute or {TASK_RUNS} runs"
            f" each, expected at most {limits.PIECES}"
        )


def _groups(todo: Iterable[Piece]) -> dict[tuple, list[Piece]]:
    """Pieces that may share a task: those of one start by Algorithm 2, or of one program."""
    groups: dict[tuple, list[Piece]] = {}
    for piece in todo:
        cell = piece.cell
        key = ("seeding", cell.start_fields()) if cell.seeding else ("plain", cell.program_fields())
        groups.setdefault(key, []).append(piece)
    return groups


def tasks(todo: Iterable[Piece], *, devices: int, gpu: bool = False) -> list[Task]:
    """The pieces cut and grouped into tasks, the longest streams of a program first. Raises ValueError as `check`."""
    todo = list(todo)
    check(todo, devices=devices, gpu=gpu)
    planned = []
    for (kind, _), pieces in _groups(todo).items():
        if kind == "seeding":
            planned += _seeded_tasks(pieces, devices, gpu)
        else:
            planned += _plain_tasks(sorted(pieces, key=lambda p: -p.cell.n), devices, gpu)
    return planned


def _plain_tasks(pieces: Sequence[Piece], devices: int, gpu: bool) -> list[Task]:
    """Tasks filled with pieces in their order, each up to its limits."""
    full: list[Task] = []
    filling: list[Piece] = []
    seconds, runs = 0.0, 0
    for piece in pieces:
        for part in _cut(piece, devices, gpu):
            size = part.high - part.low
            more = cost(part.cell, size, seeded=False, gpu=gpu) / devices
            too_much = seconds + more > TASK_SECONDS or runs + size > TASK_RUNS or len(filling) >= TASK_PIECES
            if filling and too_much:
                full.append(Task(filling, seconds))
                filling, seconds, runs = [], 0.0, 0
            filling.append(part)
            seconds += more
            runs += size
    return [*full, Task(filling, seconds)] if filling else full


def _seeded_tasks(pieces: Sequence[Piece], devices: int, gpu: bool) -> list[Task]:
    """Ranges of runs, each with all the cells that share its start."""
    edges = sorted({edge for piece in pieces for edge in (piece.low, piece.high)})
    planned = []
    for low, high in pairwise(edges):
        sharing = [piece.cell for piece in pieces if piece.low <= low and high <= piece.high]
        if not sharing:
            continue
        size, each = _seeded_size(sharing, devices, gpu)
        for start in range(low, high, size):
            stop = min(start + size, high)
            planned.append(Task([Piece(cell, start, stop) for cell in sharing], each * (stop - start) / devices))
    return planned


def _seeded_size(cells: Sequence[Cell], devices: int, gpu: bool) -> tuple[int, float]:
    """Runs of a task of cells that share a start, and the seconds that one run takes on one device."""
    first = cells[0]
    streams = sum(cost(cell, 1, seeded=False, gpu=gpu) for cell in cells)
    each = cost(first, 1, seeded=True, gpu=gpu) + streams
    width = pack_width(first.k, first.coordinates, 10**9, devices=devices, gpu=gpu)
    return _rounded(TASK_SECONDS * devices / each, width, devices), each


def _plain_size(cell: Cell, devices: int, gpu: bool) -> int:
    """Runs of a cell that make at most TASK_SECONDS and TASK_RUNS."""
    width = pack_width(cell.k, cell.coordinates, cell.n, devices=devices, gpu=gpu)
    return _rounded(TASK_SECONDS * devices / max(cost(cell, 1, seeded=False, gpu=gpu), 1e-12), width, devices)


def _cut(piece: Piece, devices: int, gpu: bool) -> list[Piece]:
    """A piece in parts of at most TASK_SECONDS and TASK_RUNS."""
    cell, size = piece.cell, _plain_size(piece.cell, devices, gpu)
    return [Piece(cell, low, min(low + size, piece.high)) for low in range(piece.low, piece.high, size)]


def _rounded(runs: float, width: int, devices: int) -> int:
    """About so many runs: a multiple of the width, or of the devices' padding where it is less than a width.

    Several cards, or short streams, have widths of more than a task; then TASK_RUNS is the width.
    """
    width = min(width, TASK_RUNS)
    if runs >= width:
        return int(min(runs, TASK_RUNS) // width) * width
    step = PAD * devices
    return max(int(runs) // step, 1) * step
