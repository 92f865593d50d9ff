"""The runs that are stored: which of them can be trusted, and how the files of a cell become one.

    cells/ID.parquet               the finished runs of a cell, 0 to R - 1
    tiles/ID.LOW-HIGH.parquet      runs LOW to HIGH - 1 of a cell that is not finished
    examples/ID.parquet            the first run of a cell that starts by Algorithm 2, for a figure

What is done is counted from the files, never from a plan: a file counts if its digest is right (see `seal`), its own
metadata says which cell and runs it holds, and its rows agree. Only who holds the lock writes cells; workers, late ones
too, write tiles.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jgmm.study.folder import files, seal

CELL_NAME = re.compile(r"([0-9a-f]{12})\.parquet")
TILE_NAME = re.compile(r"([0-9a-f]{12})\.(\d+)-(\d+)\.parquet")
# Our folders, and which names in them are ours; those of figures are put down (`records.figures`).
FOLDERS = {"cells": CELL_NAME, "tiles": TILE_NAME, "examples": CELL_NAME, "figures": None}
GROUP_ROWS = 2**16  # rows in a row group of a cell: fixed, so that a cell's bytes do not depend on its tiles


class Stored(NamedTuple):
    """The runs of a cell that a file holds."""

    path: Path
    low: int
    high: int


class Done(NamedTuple):
    """What is stored, by cell; and a word on each file that cannot be trusted."""

    cells: dict[str, list[Stored]]  # by first run, disjoint
    ignored: list[str]


def scan(folder: Path, rows_per_run: Mapping[str, int], *, aside: bool = False) -> Done:
    """What of these cells (a row for each checkpoint of a run) the folder holds; each file is read to its last byte.

    aside: give those that are damaged another name, so that their runs are computed again; the lock is held.
    """
    found: dict[str, list[Stored]] = {}
    ignored = []
    for path in [path for name in ("cells", "tiles") for path in _parquet(folder / name)]:
        stored = _trusted(path, rows_per_run)
        if isinstance(stored, str) and aside and _is_ours(path):
            ignored.append(
                f"{path} is damaged ({stored}): set aside as {files.set_aside(path).name}, to compute it again"
            )
        elif isinstance(stored, str):
            ignored.append(f"{path} is ignored: {stored}")
        elif stored is not None:
            name = path.name[:12]
            found.setdefault(name, []).append(stored)
    return Done({name: _disjoint(pieces) for name, pieces in found.items()}, ignored)


def missing(pieces: Iterable[Stored], runs: int) -> list[tuple[int, int]]:
    """The ranges of 0 to runs - 1 that these pieces lack."""
    holes, here = [], 0
    for piece in pieces:
        if piece.low > here:
            holes.append((here, min(piece.low, runs)))
        here = max(here, piece.high)
    if here < runs:
        holes.append((here, runs))
    return [(low, high) for low, high in holes if low < high]


def place(folder: Path, name: str, low: int, high: int) -> Path:
    """Where these runs of a cell are stored until all are there."""
    return folder / "tiles" / f"{name}.{low}-{high}.parquet"


def write_runs(folder: Path, name: str, low: int, high: int, tables: Iterable[pa.Table]) -> Stored:
    """Store runs low to high - 1 of a cell, in tables that are made as they are written, in their `place`."""
    path = place(folder, name, low, high)
    write_groups(path, tables, name, low, high)
    return Stored(path, low, high)


def join(folder: Path, name: str, pieces: list[Stored]) -> Stored:
    """Make one cell file of pieces that cover its runs from 0 on, and remove what it replaces. Memory stays flat.

    A cell is never replaced by one of fewer runs. The lock is held.
    """
    path = folder / "cells" / f"{name}.parquet"
    joined = Stored(path, 0, pieces[-1].high)
    if [piece.path for piece in pieces] != [path]:
        there = _runs_of(path)
        if there is not None and there[1] > joined.high:
            joined = Stored(path, *there)
        elif len(pieces) == 1:
            files.move(pieces[0].path, path)
        else:
            write_groups(path, _tables(pieces), name, 0, joined.high)
    for tile in (folder / "tiles").glob(f"{name}.*.parquet"):
        found = TILE_NAME.fullmatch(tile.name)
        if found and int(found[3]) <= joined.high:
            files.remove(tile)
    return joined


def write_groups(path: Path, tables: Iterable[pa.Table], name: str, low: int, high: int) -> None:
    """Write tables one after the other in row groups of GROUP_ROWS, runs of a cell in all."""
    write_sealed(path, tables, {"cell": name, "low": low, "high": high})


def write_table(path: Path, table: pa.Table, *, durable: bool = True) -> None:
    """Write a table as Parquet, whole or not at all."""
    write_sealed(path, [table], {}, durable=durable)


def write_sealed(path: Path, tables: Iterable[pa.Table], said: Mapping, *, durable: bool = True) -> None:
    """Write tables as one Parquet file, with what its metadata says and its digest."""
    meta = {"jgmm": json.dumps({**said, "sha256": seal.BLANK})}

    def write(file: BinaryIO) -> None:
        groups = _groups(tables)
        first = next(groups).replace_schema_metadata(None)
        with pq.ParquetWriter(file, first.schema, compression="zstd", write_page_checksum=True) as writer:
            writer.write_table(first, row_group_size=GROUP_ROWS)
            for group in groups:
                writer.write_table(group.replace_schema_metadata(None), row_group_size=GROUP_ROWS)
            writer.add_key_value_metadata(meta)
        seal.close(file)

    files.write(path, write, durable=durable)


def read_sealed(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A table of ours. Raises ValueError if it is damaged, OSError if it cannot be read."""
    with files.open_file(path) as file:
        seal.check(file)
        return pq.read_table(file, columns=columns)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP_ROWS, each in one chunk: the writer's pages then depend on nothing else."""
    held: pa.Table | None = None
    yielded = False
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while held.num_rows >= GROUP_ROWS:
            yielded = True
            yield held.slice(0, GROUP_ROWS).combine_chunks()
            held = held.slice(GROUP_ROWS)
    if held is not None and (held.num_rows or not yielded):
        yield held.combine_chunks()


def _tables(pieces: list[Stored]) -> Iterator[pa.Table]:
    for piece in pieces:
        with files.open_file(piece.path) as file:
            _check(piece.path, file)
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            for group in range(parquet.metadata.num_row_groups):
                yield parquet.read_row_group(group)


def _check(path: Path, file: BinaryIO) -> None:
    try:
        seal.check(file)
    except seal.Damaged as damage:
        raise ValueError(
            f"{path} is damaged ({damage}): the same command sets it aside and computes it again"
        ) from None


def _parquet(folder: Path) -> list[Path]:
    """What ends as a table does in a folder, whatever it is."""
    return sorted(folder.glob("*.parquet"))


def _is_ours(path: Path) -> bool:
    """Whether a study gives such names here."""
    name = FOLDERS[path.parent.name]
    return name is not None and name.fullmatch(path.name) is not None


def _trusted(path: Path, rows_per_run: Mapping[str, int]) -> Stored | str | None:
    """The runs that a file holds; None if it is of another cell; or why it is not to be trusted."""
    if not _is_ours(path):
        return "not a name that a study gives"
    name = path.name[:12]
    if name not in rows_per_run:
        return None
    try:
        with files.open_file(path) as file:
            seal.check(file)
            metadata = pq.read_metadata(file)
        said = json.loads((metadata.metadata or {})[b"jgmm"])
    except seal.Damaged as damage:
        return str(damage)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        return f"not whole ({str(error).splitlines()[0]})"
    low, high = said.get("low", 0), said.get("high", -1)
    tile = TILE_NAME.fullmatch(path.name)
    named = (int(tile[2]), int(tile[3])) if tile else (0, high)
    if said.get("cell") != name or (low, high) != named or metadata.num_rows != (high - low) * rows_per_run[name]:
        return f"its content is not what its name says ({said}, {metadata.num_rows} rows)"
    return Stored(path, low, high)


def _runs_of(path: Path) -> tuple[int, int] | None:
    """The runs that a whole file of a cell says it holds."""
    try:
        with files.open_file(path) as file:
            seal.check(file)
            said = json.loads(pq.read_metadata(file).metadata[b"jgmm"])
        return said["low"], said["high"]
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return None


def _disjoint(pieces: list[Stored]) -> list[Stored]:
    """Pieces by first run, without those that begin inside another (left behind by a kill after joining)."""
    kept: list[Stored] = []
    for piece in sorted(pieces, key=lambda p: (p.low, -p.high)):
        if not kept or piece.low >= kept[-1].high:
            kept.append(piece)
    return kept
