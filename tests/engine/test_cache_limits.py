"""The folder of machine code where it cannot be, and when it is full."""

import os
from pathlib import Path

import pytest
from entries import KEY, OTHER, SIZE, entry, names

from jgmm.engine import cache

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(autouse=True)
def strict():
    """No JAX here."""


@pytest.fixture
def stranger(monkeypatch):
    """Makes the files that are there another user's."""
    me = os.geteuid()
    return lambda: monkeypatch.setattr(cache.os, "geteuid", lambda: me + 1)


# --- no place ---


def test_a_file_in_the_folders_place_is_told_once(folder):
    place = folder.parent / "file"
    place.touch()
    for asked, said in ((place, "File exists"), (place / "in" / "it", "Not a directory")):
        cache.configure(asked)
        cache.store(KEY, b"code")
        assert cache.load(KEY) is None
        assert said in cache.fault()
        assert cache.fault() is None


def test_a_folder_that_cannot_be_written_to_is_told(folder, monkeypatch):
    monkeypatch.setattr(cache.os, "access", lambda path, mode: not mode & os.W_OK)
    cache.configure(folder)
    assert cache.fault() == f"machine code is not kept ({folder} is not writable)"
    cache.store(KEY, b"code")
    assert names(folder) == []


def test_no_home_is_told(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache.Path, "expanduser", homeless)
    cache.configure(Path("~/code"))
    assert cache.fault() == "machine code is not kept (Could not determine home directory.)"


def test_a_disk_that_is_full_is_told_once_and_leaves_nothing_half_written(folder, monkeypatch):
    def full(*paths):
        raise OSError(28, "No space left on device", str(paths[0]))

    cache.store(OTHER, b"code")
    with monkeypatch.context() as patched:
        patched.setattr(cache.os, "replace", full)
        cache.store(KEY, b"code")
        assert "No space left on device" in cache.fault()
        cache.store(KEY, b"code")
        assert cache.fault() is None
    assert names(folder) == [f"{OTHER}.code"]
    assert cache.load(OTHER) == b"code"
    assert is_replaced_beside(folder)


def is_replaced_beside(folder):
    cache.store(KEY, b"code")
    return cache.load(KEY) == b"code" and len(names(folder)) == 2


def test_a_folder_that_is_removed_is_told(folder):
    folder.rmdir()
    cache.store(KEY, b"code")
    assert cache.load(KEY) is None
    assert "No such file or directory" in cache.fault()


def test_a_file_system_that_keeps_no_times_is_well(folder, monkeypatch):
    def readonly(*told):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(cache.os, "utime", readonly)
    cache.store(KEY, b"code")
    assert cache.load(KEY) == b"code"


def test_what_is_stopped_leaves_nothing_half_written(folder, monkeypatch):
    def stopped(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        cache.store(KEY, b"code")
    assert names(folder) == []


# --- its size ---


def fill(folder, count, size=100):
    """Keys of entries of this size, the first one the longest unused."""
    keys = [cache.key_of(str(i)) for i in range(count)]
    for i, key in enumerate(keys):
        cache.store(key, bytes(size - SIZE))
        os.utime(entry(folder, key), (1e9 + i, 1e9 + i))
    return keys


def kept(folder, keys):
    return [i for i, key in enumerate(keys) if entry(folder, key).exists()]


def test_beyond_the_limit_the_least_recently_used_go(folder):
    cache.configure(folder, limit=1000)
    keys = fill(folder, 10)
    assert kept(folder, keys) == list(range(10))
    assert cache.load(keys[0]) is not None  # and is used again
    cache.store(KEY, bytes(100 - SIZE))
    assert kept(folder, [*keys, KEY]) == [0, 5, 6, 7, 8, 9, 10]


def test_nothing_goes_as_long_as_all_fits(folder):
    keys = fill(folder, 9)
    cache.configure(folder, limit=1000)  # another process
    cache.store(KEY, bytes(100 - SIZE))
    assert kept(folder, [*keys, KEY]) == list(range(10))


def test_what_was_just_written_stays_even_if_it_looks_old(folder, monkeypatch):
    cache.configure(folder, limit=1000)
    keys = fill(folder, 1, size=600)
    os.utime(entry(folder, keys[0]), (2**33, 2**33))  # of a clock that ran ahead
    cache.store(KEY, bytes(500 - SIZE))
    assert cache.load(KEY) is not None
    assert kept(folder, keys) == []


def test_more_than_the_folder_may_hold_is_not_kept(folder):
    cache.configure(folder, limit=1000)
    keys = fill(folder, 5)
    cache.store(KEY, bytes(1001 - SIZE))
    assert kept(folder, [*keys, KEY]) == [0, 1, 2, 3, 4]
    assert cache.fault() is None


def test_what_others_wrote_counts_and_what_they_remove_is_not_missed(folder, monkeypatch):
    keys = fill(folder, 12)
    cache.configure(folder, limit=1000)  # another process
    listed = cache.entries

    def listed_late(path):
        found = list(listed(path))
        for key in keys[:4]:  # a third one makes room, too
            entry(folder, key).unlink()
        return found

    monkeypatch.setattr(cache, "entries", listed_late)
    cache.store(KEY, bytes(100 - SIZE))
    assert kept(folder, [*keys, KEY]) == list(range(6, 13))


def test_only_entries_go_and_writers_that_were_killed(folder):
    cache.configure(folder, limit=200)
    strangers = ["notes.txt", ".mine.tmp", "x.code", f"{KEY}.code.bak", "sub"]
    temporaries = [f".{digit * 32}.tmp" for digit in "ab"]
    (folder / "sub").mkdir()
    (folder / "sub" / f"{KEY}.code").write_bytes(bytes(300))
    for name in [*strangers[:-1], *temporaries]:
        (folder / name).write_bytes(bytes(300))
        os.utime(folder / name, (0, 0))
    os.utime(folder / temporaries[1])  # its writer may still be there
    (folder / f"{OTHER}.code").symlink_to(folder / "notes.txt")
    cache.store(KEY, b"code")
    assert names(folder) == sorted([*strangers, temporaries[1], f"{OTHER}.code", f"{KEY}.code"])
    assert (folder / "sub" / f"{KEY}.code").exists()
    assert cache.fault() is None


def test_a_folder_that_is_far_from_full_is_listed_once_and_never_to_load(folder, monkeypatch):
    listings = []
    listed = cache.entries
    monkeypatch.setattr(cache, "entries", lambda path: listings.append(path) or listed(path))
    for key in fill(folder, 5):
        assert cache.load(key) is not None
    assert len(listings) == 1
