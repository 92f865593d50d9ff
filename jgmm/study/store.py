"""The folder of a study: what is in it, what of it can be trusted, and writing it whole or not at all.

    study.toml                     the resolved spec, and what it is computed with
    cells/ID.parquet               the finished runs of a cell, 0 to R - 1
    tiles/ID.LOW-HIGH.parquet      runs LOW to HIGH - 1 of a cell that is not finished
    looks.json                     each time that results were looked at: with how many runs, and what was concluded
    kernels.csv                    what computed which runs: the device, the kernels of stream and seeding, and why

What is done is counted from the files, never from a plan: a file counts if its own metadata says which cell and runs it
holds and its rows agree. Files are written under a temporary name and renamed.
"""

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from jgmm.study import files
from jgmm.study.spec import Study

TABLES = ("summary.parquet", "summary.csv", "fits.csv", "verdicts.csv", "paired.csv")
OWNED = ("study.toml", "looks.json", "kernels.csv", *TABLES, "report.html")
OWNED_FOLDERS = {
    "cells": ("*.parquet",),
    "tiles": ("*.parquet",),
    "examples": ("*.parquet",),
    "figures": ("*.png", "*.svg"),
}
GROWS = ("runs", "precision", "max_runs")  # what may differ when a folder is gone on with
WORDS = ("aim", "report")  # and what says nothing about the numbers
GROUP_ROWS = 2**16  # rows in a row group of a cell: fixed, so that a cell's bytes do not depend on its tiles
TILE_NAME = re.compile(r"^([0-9a-f]{12})\.(\d+)-(\d+)\.parquet$")


class Stored(NamedTuple):
    """The runs of a cell that a file holds."""

    path: Path
    low: int
    high: int


class Done(NamedTuple):
    """What is stored, by cell; and a word on each file that cannot be trusted."""

    cells: dict[str, list[Stored]]  # by first run, disjoint
    ignored: list[str]


def claim(folder: Path, study: Study, environment: Mapping, *, fresh: bool) -> Study:
    """Make the folder this study's, or find the same study in it; the study as it now stands.

    A folder that holds more runs than are asked for keeps them. Raises ValueError if it cannot be written, holds
    another study, other files, or results of other random bits; nothing is overwritten then.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, expected a folder")
    stored = folder / "study.toml"
    replaced = fresh and stored.is_file()
    if replaced:
        _remove_owned(folder)
    elif stored.is_file():
        study = _same_study(folder, study, environment)
        for name in ("", *OWNED_FOLDERS):
            files.remove_temporaries(folder / name)
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files that are not a study's: expected an empty or new folder")
    try:
        files.make_root(folder)
        for name in OWNED_FOLDERS:
            files.make_folder(folder / name)
        written = study.model_dump(exclude_none=True)
        text = tomli_w.dumps({**written, "environment": dict(environment)})
        if not stored.is_file() or _without_environment(stored) != tomllib.loads(tomli_w.dumps(written)):
            files.write_text(stored, text)
    except OSError as error:
        raise ValueError(f"{folder} cannot be written: {error.strerror or error}") from None
    return study


def scan(folder: Path, rows_per_run: Mapping[str, int]) -> Done:
    """What of these cells (a row for each checkpoint of a run) the folder holds."""
    found: dict[str, list[Stored]] = {}
    ignored = []
    for path in sorted([*(folder / "cells").glob("*.parquet"), *(folder / "tiles").glob("*.parquet")]):
        stored = _trusted(path, rows_per_run)
        if isinstance(stored, str):
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


def place(folder: Path, name: str, low: int, high: int, runs: int) -> Path:
    """Where these runs of a cell lie: in the cell's file if they are all of its `runs`, in a tile otherwise."""
    if (low, high) == (0, runs):
        return folder / "cells" / f"{name}.parquet"
    return folder / "tiles" / f"{name}.{low}-{high}.parquet"


def write_runs(folder: Path, name: str, low: int, table: pa.Table, rows_per_run: int, runs: int) -> Stored:
    """Store runs of a cell, the first of them `low`, in their `place`."""
    high = low + table.num_rows // rows_per_run
    path = place(folder, name, low, high, runs)
    write_groups(path, [table], name, low, high)
    return Stored(path, low, high)


def join(folder: Path, name: str, pieces: list[Stored]) -> Stored:
    """Make one cell file of pieces that cover its runs from 0 on, and remove what it replaces. Memory stays flat."""
    path = folder / "cells" / f"{name}.parquet"
    if [piece.path for piece in pieces] != [path]:
        write_groups(path, _tables(pieces), name, 0, pieces[-1].high)
    for tile in (folder / "tiles").glob(f"{name}.*.parquet"):
        files.remove(tile)
    return Stored(path, 0, pieces[-1].high)


def write_groups(path: Path, tables: Iterable[pa.Table], name: str, low: int, high: int) -> None:
    """Write tables one after the other in row groups of GROUP_ROWS."""
    meta = {"jgmm": json.dumps({"cell": name, "low": low, "high": high})}

    def write(file: BinaryIO) -> None:
        writer = None
        try:
            for group in _groups(tables):
                if writer is None:
                    schema = group.schema.with_metadata(meta)
                    writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)
                writer.write_table(group.replace_schema_metadata(meta), row_group_size=GROUP_ROWS)
        finally:
            if writer is not None:
                writer.close()

    files.write(path, write)


def write_table(path: Path, table: pa.Table, *, durable: bool = True) -> None:
    """Write a table as Parquet, whole or not at all."""
    files.write(path, lambda file: pq.write_table(table, file, compression="zstd"), durable=durable)


def looks(folder: Path) -> list[dict]:
    """The looks so far, oldest first."""
    path = folder / "looks.json"
    try:
        return json.loads(files.read_text(path)) if files.kind(path) else []
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def record_look(folder: Path, look: dict) -> None:
    """Add a look; the last is replaced if it was at the same runs: looking twice at the same data is one look."""
    past = looks(folder)
    if past and past[-1]["runs"] == look["runs"]:
        past.pop()
    files.write_text(folder / "looks.json", json.dumps([*past, look], indent=1))


KERNELS = ("cell", "low", "high", "device", "kernel", "reason", "seeding_kernel", "seeding_reason")
_RANGE = ("low", "high")


def record_kernels(folder: Path, receipts: Iterable) -> None:
    """Add what each receipt of a task (`work.Receipt`) tells; neighbouring runs of one kind are a line together."""
    rows = kernels(folder)
    for name, low, high, (device, *choices) in receipts:
        words = [word for choice in choices for word in ((choice.kernel, choice.reason) if choice else ("", ""))]
        rows.append(dict(zip(KERNELS, (name, str(low), str(high), device, *words), strict=True)))
    merged: list[dict[str, str]] = []
    for row in sorted(rows, key=lambda row: (row["cell"], int(row["low"]))):
        last = merged[-1] if merged else {}
        if last.get("high") == row["low"] and all(last[key] == row[key] for key in KERNELS if key not in _RANGE):
            merged[-1] = {**last, "high": row["high"]}
        else:
            merged.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, KERNELS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(merged)
    files.write_text(folder / "kernels.csv", text.getvalue(), durable=False)


def kernels(folder: Path) -> list[dict[str, str]]:
    """The lines of kernels.csv; a line that is cut short is left out."""
    path = folder / "kernels.csv"
    if files.kind(path) is None:
        return []
    reader = csv.DictReader(io.StringIO(files.read_text(path), newline=""))
    return [row for row in reader if None not in row.values() and None not in row]


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP_ROWS, each in one chunk: the writer's pages then depend on nothing else."""
    held: pa.Table | None = None
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while held.num_rows >= GROUP_ROWS:
            yield held.slice(0, GROUP_ROWS).combine_chunks()
            held = held.slice(GROUP_ROWS)
    if held is not None and held.num_rows:
        yield held.combine_chunks()


def _tables(pieces: list[Stored]) -> Iterator[pa.Table]:
    for piece in pieces:
        file = pq.ParquetFile(piece.path, page_checksum_verification=True)
        for group in range(file.metadata.num_row_groups):
            yield file.read_row_group(group).replace_schema_metadata(None)


def _trusted(path: Path, rows_per_run: Mapping[str, int]) -> Stored | str | None:
    """The runs that a file holds; None if it is of another cell; or why it is not to be trusted."""
    name = path.name.removesuffix(".parquet")
    tile = TILE_NAME.match(path.name)
    name = tile[1] if tile else name
    if not re.fullmatch("[0-9a-f]{12}", name):
        return "not a name that a study gives"
    if name not in rows_per_run:
        return None
    try:
        metadata = pq.read_metadata(path)
        said = json.loads((metadata.metadata or {}).get(b"jgmm", b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"not whole ({str(error).splitlines()[0]})"
    low, high = said.get("low", 0), said.get("high", -1)
    named = (int(tile[2]), int(tile[3])) if tile else (0, high)
    if said.get("cell") != name or (low, high) != named or metadata.num_rows != (high - low) * rows_per_run[name]:
        return f"its content is not what its name says ({said or 'no note of its own'}, {metadata.num_rows} rows)"
    return Stored(path, low, high)


def _disjoint(pieces: list[Stored]) -> list[Stored]:
    """Pieces by first run, without those that begin inside another (left behind by a kill after joining)."""
    kept: list[Stored] = []
    for piece in sorted(pieces, key=lambda p: (p.low, -p.high)):
        if not kept or piece.low >= kept[-1].high:
            kept.append(piece)
    return kept


def _without_environment(stored: Path) -> dict:
    there = tomllib.loads(files.read_text(stored))
    there.pop("environment", None)
    return there


def _same_study(folder: Path, study: Study, environment: Mapping) -> Study:
    """The study with the runs that the folder's has, if more. Raises ValueError if it is another one."""
    try:
        there = tomllib.loads(files.read_text(folder / "study.toml"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{folder}/study.toml cannot be read: {error}") from None
    canary = there.pop("environment", {}).get("canary")
    here = tomllib.loads(tomli_w.dumps(study.model_dump(exclude_none=True)))
    free = (*GROWS, *WORDS)
    differing = [key for key in sorted({*here, *there}) if key not in free and here.get(key) != there.get(key)]
    if differing:
        told = "; ".join(_difference(key, there.get(key), here.get(key)) for key in differing)
        raise ValueError(f"{folder} holds another study ({told}): expected another --out, or --fresh to replace it")
    if canary is not None and environment.get("canary") not in (None, canary):
        raise ValueError(
            f"{folder} was drawn from other random bits (canary {canary}, here {environment['canary']}):"
            " expected the JAX that made it, another --out, or --fresh to replace it"
        )
    return study.model_copy(update={"runs": max(study.runs, int(there.get("runs", 0)))})


def _difference(key: str, there, here) -> str:
    """The keys under `key` that differ, with their values."""
    if isinstance(there, dict) and isinstance(here, dict):
        inner = [k for k in sorted({*there, *here}) if there.get(k) != here.get(k)]
        return "; ".join(_difference(f"{key}.{k}", there.get(k), here.get(k)) for k in inner)
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        inner = [i for i in range(len(there)) if there[i] != here[i]]
        if inner and isinstance(there[inner[0]], dict):
            return "; ".join(_difference(f"{key}.{i}", there[i], here[i]) for i in inner)
    if isinstance(there, list) and isinstance(here, list) and there and isinstance(there[0], dict):
        return f"its {key} has {len(there)} entries, not {len(here)}"
    return f"its {key} is {there!r}, not {here!r}"


def _remove_owned(folder: Path) -> None:
    for name in OWNED:
        files.remove(folder / name)
    for name, patterns in OWNED_FOLDERS.items():
        for pattern in patterns:
            for path in (folder / name).glob(pattern):
                files.remove(path)
