"""Which runs a study still lacks: those wanted, by its rounds of precision, less those that its folder holds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jgmm import stats
from jgmm.study.folder import parquet, store
from jgmm.study.plan import Piece
from jgmm.study.spec import Cell, Study

Pieces = dict[str, list[store.Stored]]  # the files of each cell, by its identifier


def stored(out: Path, named: Mapping[str, Cell], *, aside: bool = False) -> store.Done:
    """What the folder holds of these cells, by identifier. aside: see `store.scan`."""
    return store.scan(out, {name: cell.rows for name, cell in named.items()}, aside=aside)


def to_do(named: Mapping[str, Cell], pieces: Pieces, wanted: Mapping[str, int]) -> list[Piece]:
    """The runs that are wanted and not stored. wanted: how many of each cell."""
    return [
        Piece(named[name], low, high)
        for name, runs in wanted.items()
        for low, high in store.missing(pieces.get(name, []), runs)
    ]


def wanted_runs(study: Study, named: Mapping[str, Cell], pieces: Pieces) -> dict[str, int]:
    """How many runs each cell should have: `runs`, or those of the first round at which its stored runs are precise.

    A cell that is not precise at any round that it has reached wants the next one; none wants more than the last.
    """
    if study.precision is None:
        return dict.fromkeys(named, study.runs)
    wanted = {}
    for name, cell in named.items():
        files = pieces.get(name, [])
        whole = files[0].high if files and files[0].low == 0 else 0
        errors, good = _last_errors(files[0].path, cell) if whole >= study.runs else (np.zeros(0), np.zeros(0))
        for runs in study.rounds():
            wanted[name] = runs
            if whole < runs or _relative_error(errors[:runs][good[:runs]]) <= study.precision:
                break
    return wanted


def _last_errors(path: Path, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Every run's squared error at the last checkpoint, and a flag for each whose start did not fail."""
    table = parquet.read(path, ["error_sq", "components"])
    values = table["error_sq"].to_numpy()[cell.rows - 1 :: cell.rows].astype(float)
    if cell.seeding is None:
        return values, np.ones(len(values), bool)
    return values, table["components"].to_numpy()[:: cell.rows] == cell.k


def _relative_error(values: np.ndarray) -> float:
    """The standard error of their mean over the mean; infinite where it is not known."""
    if len(values) < 2 or not values.mean() > 0:
        return np.inf
    mean = stats.mean(values)
    return mean.standard_error / mean.value


def join_if_whole(out: Path, name: str, pieces: Pieces, runs: int) -> None:
    """Make one file of a cell's pieces if they hold all its wanted runs; `pieces` is changed to what then is there.

    Runs beyond those wanted, of an earlier and larger round, stay as they are.
    """
    files = pieces.get(name, [])
    if files and not store.missing(files, runs):
        until = next(i for i, piece in enumerate(files) if piece.high >= runs)
        pieces[name] = [store.join(out, name, files[: until + 1]), *files[until + 1 :]]
