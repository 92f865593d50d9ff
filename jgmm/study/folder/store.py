"""The runs that a folder stores: which files are intact, which runs are missing, and how tiles are joined to a cell.

    cells/ID.parquet               the finished runs of a cell, 0 to R - 1
    tiles/ID.LOW-HIGH.parquet      runs LOW to HIGH - 1 of a cell that is not finished
    examples/ID.parquet            the first run of a cell that starts by Algorithm 2, for a figure

The stored runs are those of the files, whatever a plan says. A file counts if its digest is right, its metadata and its
name have the same cell and runs, and it has as many rows. Only the holder of the lock writes cells; workers write
tiles.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from jgmm.study.folder import files, parquet, seal

CELL_NAME = re.compile(r"([0-9a-f]{12})\.parquet")
TILE_NAME = re.compile(r"([0-9a-f]{12})\.(\d+)-(\d+)\.parquet")
# A study's folders, with the form of their files' names. Names of figures are recorded (`records.figures`).
CODE_NAME = re.compile(r"[^\W\d]\w*\.py")
FOLDERS = {"code": CODE_NAME, "cells": CELL_NAME, "tiles": TILE_NAME, "examples": CELL_NAME, "figures": None}


class Stored(NamedTuple):
    """A file with runs `low` to `high` - 1 of a cell."""

    path: Path
    low: int
    high: int


class Done(NamedTuple):
    """The stored runs."""

    cells: dict[str, list[Stored]]  # the files of each cell, sorted by first run, without overlap
    ignored: list[str]  # a sentence about each file that does not count


def scan(folder: Path, rows_per_run: Mapping[str, int], *, aside: bool = False) -> Done:
    """The runs of these cells that the folder stores. Every file is read to its last byte.

    rows_per_run: by cell ID. aside: rename damaged files, so that their runs are computed again; only the holder of the
    lock may do so.
    """
    pieces: dict[str, list[Stored]] = {}
    ignored = []
    for path in [path for name in ("cells", "tiles") for path in sorted((folder / name).glob("*.parquet"))]:
        stored = _trusted(path, rows_per_run)
        if isinstance(stored, Stored):
            pieces.setdefault(path.name[:12], []).append(stored)
        elif stored is not None and aside and _is_ours(path):
            ignored.append(
                f"{path} is damaged ({stored}): set aside as {files.set_aside(path).name}, to compute it again"
            )
        elif stored is not None:
            ignored.append(f"{path} is ignored: {stored}")
    return Done({name: _disjoint(of_cell) for name, of_cell in pieces.items()}, ignored)


def missing(pieces: Iterable[Stored], runs: int) -> list[tuple[int, int]]:
    """The ranges of runs, from 0 to `runs` - 1, that no file has. pieces: the files, sorted by first run."""
    gaps, end = [], 0
    for piece in pieces:
        gaps.append((end, min(piece.low, runs)))
        end = max(end, piece.high)
    gaps.append((end, runs))
    return [(low, high) for low, high in gaps if low < high]


def tile(folder: Path, name: str, low: int, high: int) -> Path:
    """The path of a tile."""
    return folder / "tiles" / f"{name}.{low}-{high}.parquet"


def write_runs(folder: Path, name: str, low: int, high: int, tables: Iterable[pa.Table]) -> Stored:
    """Store runs of a cell as a tile. The tables may be made as they are written."""
    path = tile(folder, name, low, high)
    write(path, tables, name, low, high)
    return Stored(path, low, high)


def write(path: Path, tables: Iterable[pa.Table], name: str, low: int, high: int) -> None:
    """Write a file of runs `low` to `high` - 1 of a cell."""
    parquet.write(path, tables, {"cell": name, "low": low, "high": high})


def join(folder: Path, name: str, pieces: list[Stored]) -> Stored:
    """Join files with the runs of a cell from 0 on to one cell file, and remove the tiles that it replaces.

    A row group is read and written at a time. A cell is never replaced by one with fewer runs. Only the holder of the
    lock may call it.
    """
    path = folder / "cells" / f"{name}.parquet"
    joined = Stored(path, 0, pieces[-1].high)
    if [piece.path for piece in pieces] != [path]:
        older = _trusted(path, None) if files.kind(path) else None
        if isinstance(older, Stored) and older.high > joined.high:
            joined = older
        elif len(pieces) == 1:
            files.move(pieces[0].path, path)
        else:
            write(path, _tables(pieces), name, 0, joined.high)
    for other in (folder / "tiles").glob(f"{name}.*.parquet"):
        named = TILE_NAME.fullmatch(other.name)
        if named and int(named[3]) <= joined.high:
            files.remove(other)
    return joined


def _tables(pieces: list[Stored]) -> Iterator[pa.Table]:
    for piece in pieces:
        try:
            yield from parquet.read_groups(piece.path)
        except seal.Damaged as damage:
            again = "the same command sets it aside and computes it again"
            raise ValueError(f"{piece.path} is damaged ({damage}): {again}") from None


def _is_ours(path: Path) -> bool:
    """Whether the file's name is one that a study uses in this folder."""
    name = FOLDERS[path.parent.name]
    return name is not None and name.fullmatch(path.name) is not None


def _trusted(path: Path, rows_per_run: Mapping[str, int] | None) -> Stored | str | None:
    """The runs in a file; None if its cell is not in `rows_per_run`; or the reason why it does not count.

    rows_per_run: None if the number of rows is not known.
    """
    if not _is_ours(path):
        return "not a name that a study gives"
    name = path.name[:12]
    if rows_per_run is not None and name not in rows_per_run:
        return None
    try:
        facts, rows = parquet.facts(path)
    except seal.Damaged as damage:
        return str(damage)
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"not whole ({str(error).splitlines()[0]})"
    low, high = facts.get("low", 0), facts.get("high", -1)
    tile_name = TILE_NAME.fullmatch(path.name)
    named = (int(tile_name[2]), int(tile_name[3])) if tile_name else (0, high)
    right = facts.get("cell") == name and (low, high) == named and isinstance(high, int)
    if not right or (rows_per_run is not None and rows != (high - low) * rows_per_run[name]):
        return f"its content is not what its name says ({facts}, {rows} rows)"
    return Stored(path, low, high)


def _disjoint(pieces: list[Stored]) -> list[Stored]:
    """Files sorted by first run, without those that begin inside another (a kill after joining leaves such tiles)."""
    kept: list[Stored] = []
    for piece in sorted(pieces, key=lambda p: (p.low, -p.high)):
        if not kept or piece.low >= kept[-1].high:
            kept.append(piece)
    return kept
