"""Parquet files sealed by a digest, with facts about their content in the metadata.

A file's bytes depend on its rows and facts alone, not on how the rows are divided into tables: row groups have a fixed
size, and each is written as one chunk.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from jgmm.study.folder import files, seal

GROUP_ROWS = 2**16  # rows in a row group
_KEY = b"jgmm"  # of the facts, in a file's metadata


def write(path: Path, tables: Iterable[pa.Table], facts: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write tables (at least one) as one file with these facts. The tables may be made as they are written."""
    metadata = {_KEY.decode(): json.dumps({**facts, "sha256": seal.BLANK})}

    def fill(file: BinaryIO) -> None:
        groups = _groups(tables)
        first = next(groups).replace_schema_metadata(None)
        with pq.ParquetWriter(file, first.schema, compression="zstd", write_page_checksum=True) as writer:
            writer.write_table(first, row_group_size=GROUP_ROWS)
            for group in groups:
                writer.write_table(group.replace_schema_metadata(None), row_group_size=GROUP_ROWS)
            writer.add_key_value_metadata(metadata)
        seal.close(file)

    files.write(path, fill, durable=durable)


def write_table(path: Path, table: pa.Table, *, durable: bool = True) -> None:
    """Write a table without facts."""
    write(path, [table], {}, durable=durable)


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A file's table, or some of its columns. Raises seal.Damaged, or OSError if it cannot be read."""
    with files.open_file(path) as file:
        seal.check(file)
        return pq.read_table(file, columns=columns)


def read_groups(path: Path) -> Iterator[pa.Table]:
    """A file's rows, a row group at a time. Raises as `read`."""
    with files.open_file(path) as file:
        seal.check(file)
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        for group in range(parquet.metadata.num_row_groups):
            yield parquet.read_row_group(group)


def read_rows(path: Path, start: int, stop: int) -> Iterator[pa.Table]:
    """Rows `start` to `stop` - 1 of a file, at most a row group at a time. Raises as `read`."""
    first = 0
    for table in read_groups(path):
        low, high = max(start - first, 0), min(stop - first, table.num_rows)
        if low < high:
            yield table.slice(low, high - low)
        first += table.num_rows


def same_rows(tables: Iterable[pa.Table], others: Iterable[pa.Table]) -> bool:
    """Whether both hold the same rows to the last bit (a NaN is itself), however they are cut into tables."""
    return all(
        one is not None and other is not None and _encoded(one) == _encoded(other)
        for one, other in zip_longest(_groups(tables), _groups(others))
    )


def _encoded(table: pa.Table) -> pa.Buffer:
    """A table of one chunk as Parquet: bytes that depend on its rows alone."""
    file = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(None), file, compression="none")
    return file.getvalue()


def facts(path: Path) -> tuple[dict[str, Any], int]:
    """A file's facts and its number of rows; every byte is checked. Raises as `read`, ValueError without facts."""
    with files.open_file(path) as file:
        seal.check(file)
        metadata = pq.read_metadata(file)
    try:
        return dict(json.loads((metadata.metadata or {})[_KEY])), metadata.num_rows
    except (KeyError, TypeError, ValueError):
        raise ValueError("its metadata holds no facts of ours") from None


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP_ROWS and one chunk each, at least one table."""
    pending: pa.Table | None = None
    yielded = False
    for table in tables:
        pending = table if pending is None else pa.concat_tables([pending, table])
        while pending.num_rows >= GROUP_ROWS:
            yielded = True
            yield pending.slice(0, GROUP_ROWS).combine_chunks()
            pending = pending.slice(GROUP_ROWS)
    if pending is not None and (pending.num_rows or not yielded):
        yield pending.combine_chunks()
