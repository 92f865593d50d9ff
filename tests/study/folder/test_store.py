"""The folder of a study: what is trusted, what is refused, and that nothing is ever half written."""

import errno
import os
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jgmm.study.folder import parquet, records, store

NAME = "0123456789ab"
ROWS = 3  # of a run


@pytest.fixture(autouse=True)
def strict():
    """No JAX here."""


def table(low, high):
    runs = np.repeat(np.arange(low, high), ROWS)
    lists = pa.array([[float(r)] if r % 2 else None for r in runs], pa.list_(pa.field("element", pa.float64())))
    return pa.table({"run": runs, "error": np.sin(runs * ROWS + np.arange(len(runs)) % ROWS), "where": lists})


@pytest.fixture
def folder(tmp_path):
    for name in store.FOLDERS:
        (tmp_path / name).mkdir()
    return tmp_path


def tiles(folder, edges):
    for low, high in pairwise(edges):
        store.write_runs(folder, NAME, low, high, [table(low, high)])
    return store.scan(folder, {NAME: ROWS}).cells[NAME]


@pytest.mark.parametrize("group", [7, 30, 2**16])
def test_a_joined_cell_has_the_same_bytes_however_it_was_cut(folder, monkeypatch, group):
    monkeypatch.setattr(parquet, "GROUP_ROWS", group)
    found = set()
    rng = np.random.default_rng(0)
    for cuts in (
        [],
        [1],
        [20],
        [10, 20, 30],
        *(sorted(rng.choice(np.arange(1, 40), 5, replace=False)) for _ in range(4)),
    ):
        edges = [0, *map(int, cuts), 40]
        joined = store.join(folder, NAME, tiles(folder, edges))
        assert pq.read_table(joined.path).equals(table(0, 40))
        assert not list((folder / "tiles").iterdir())
        found.add(joined.path.read_bytes())
        joined.path.unlink()
    assert len(found) == 1


def test_a_grown_cell_has_the_bytes_of_a_fresh_one(folder):
    fresh = store.join(folder, NAME, tiles(folder, [0, 50])).path.read_bytes()
    (folder / "cells" / f"{NAME}.parquet").unlink()
    store.join(folder, NAME, tiles(folder, [0, 20]))
    store.write_runs(folder, NAME, 20, 50, [table(20, 50)])
    pieces = store.scan(folder, {NAME: ROWS}).cells[NAME]
    assert [(piece.low, piece.high) for piece in pieces] == [(0, 20), (20, 50)]
    assert store.join(folder, NAME, pieces).path.read_bytes() == fresh


def test_tiles_left_behind_by_a_kill_after_joining_are_not_counted_twice(folder):
    store.join(folder, NAME, tiles(folder, [0, 40]))
    store.write_runs(folder, NAME, 10, 20, [table(10, 20)])
    assert [(piece.low, piece.high) for piece in store.scan(folder, {NAME: ROWS}).cells[NAME]] == [(0, 40)]


def test_holes_are_found():
    pieces = [store.Stored(None, 0, 10), store.Stored(None, 20, 30)]
    assert store.missing(pieces, 40) == [(10, 20), (30, 40)]
    assert store.missing(pieces, 25) == [(10, 20)]
    assert store.missing(pieces, 5) == []
    assert store.missing([], 3) == [(0, 3)]


def spoil_truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_foreign(path):
    pq.write_table(table(0, 10), path)


def spoil_metadata(said):
    def spoil(path):
        pq.write_table(table(0, 10).replace_schema_metadata({"jgmm": said}), path)

    return spoil


def spoil_sealed(said):
    """By another program that makes digests."""

    def spoil(path):
        parquet.write(path, [table(0, 10)], said)

    return spoil


def spoil_rows(path):
    store.write(path, [table(0, 9)], NAME, 0, 10)


def spoil_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def spoil_link(path):
    path.rename(path.with_name("away"))
    path.symlink_to("away")


def spoil_pipe(path):
    path.unlink()
    os.mkfifo(path)


def spoil_folder(path):
    path.unlink()
    path.mkdir()


def spoil_name(path):
    path.rename(path.with_name(f"{NAME}.30-40.parquet"))


SPOILS = [spoil_truncate, spoil_empty, spoil_foreign, spoil_rows, spoil_name, spoil_bit]
SPOILS += [spoil_link, spoil_pipe, spoil_folder]
SPOILS += [spoil_metadata(said) for said in ("3", "[]", "null", "{", "")]
SPOILS += [spoil_sealed(said) for said in ({}, {"cell": NAME}, {"cell": NAME, "low": "a", "high": None})]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_file_that_is_not_what_it_says_is_ignored_with_a_word(folder, spoil):
    path = store.write_runs(folder, NAME, 0, 10, [table(0, 10)]).path
    assert store.scan(folder, {NAME: ROWS}).cells[NAME][0].high == 10
    spoil(path)
    found = store.scan(folder, {NAME: ROWS})
    assert found.cells == {}
    (word,) = found.ignored
    assert NAME in word
    assert "is ignored" in word
    store.scan(folder, {NAME: ROWS}, aside=True)
    assert store.scan(folder, {NAME: ROWS}) == store.Done({}, [])  # nothing of that name is there any more


def test_cells_of_another_grid_are_none_of_our_business(folder):
    store.write_runs(folder, NAME, 0, 10, [table(0, 10)])
    assert store.scan(folder, {"ffffffffffff": ROWS}) == store.Done({}, [])


def test_a_damaged_page_is_noticed_when_it_is_read(folder):
    path = store.write_runs(folder, NAME, 0, 4000, [table(0, 4000)]).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="(?i)crc|corrupt|checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_a_disk_that_fills_up_leaves_what_was_there(folder, monkeypatch):
    path = store.write_runs(folder, NAME, 0, 10, [table(0, 10)]).path
    before = path.read_bytes()

    def full(*args, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        store.write_runs(folder, NAME, 0, 10, [table(0, 10)])
    assert [p.name for p in (folder / "tiles").iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_look_is_counted_once_for_the_same_runs(folder):
    for runs in (10, 10, 40, 40, 80):
        records.record_look(folder, {"runs": runs})
    assert [look["runs"] for look in records.looks(folder)] == [10, 40, 80]
