"""The folder of machine code: what is found is what was kept, or nothing; and nothing else is touched."""

import os
import stat
import subprocess
import sys
import threading

import pytest
from entries import KEY, OTHER, SIZE, entry, is_replaced, names

from jgmm.engine import cache

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(autouse=True)
def strict():
    """No JAX here."""


# --- an entry ---


def test_what_was_kept_is_found_under_its_key_alone(folder):
    assert cache.load(KEY) is None
    cache.store(KEY, b"code")
    assert cache.load(KEY) == b"code"
    assert cache.load(OTHER) is None
    assert names(folder) == [f"{KEY}.code"]
    assert cache.fault() is None


def test_an_entry_holds_magic_key_digest_and_code(folder):
    cache.store(KEY, b"code")
    digest = "6470fd21983eae8d706f1edd5e2dc5afe095980f8fb7bd4ebfd33550d8730246"  # printf code | b2sum -l 256
    data = entry(folder).read_bytes()
    assert data[:8] == b"jgmmcod1"
    assert data[8:40].hex() == KEY
    assert data[40:72].hex() == digest
    assert data[72:] == b"code"


def test_the_last_code_of_a_key_is_kept_and_code_may_be_empty(folder):
    for code in (b"first", b"", b"second" * 1000):
        cache.store(KEY, code)
        assert cache.load(KEY) == code
    assert names(folder) == [f"{KEY}.code"]


def test_another_process_finds_it(folder):
    cache.store(KEY, b"code")
    cache.configure(folder)
    assert cache.load(KEY) == b"code"


def test_without_a_folder_nothing_is_kept(folder):
    cache.configure(None)
    cache.store(KEY, b"code")
    assert cache.load(KEY) is None
    assert names(folder) == []
    assert cache.fault() is None


# --- keys ---


def test_a_key_changes_with_each_part_and_with_the_format(monkeypatch):
    parts = ["program", "x86_64-linux", "znver3", "+avx2,+fma", "0.50.0", "22.1.0"]
    keys = [cache.key_of(*parts)]
    keys += [cache.key_of(*parts[:i], parts[i] + " ", *parts[i + 1 :]) for i in range(len(parts))]
    keys += [cache.key_of(*parts[:i], *parts[i + 1 :]) for i in range(len(parts))]
    keys += [cache.key_of(*parts, ""), cache.key_of("".join(parts)), cache.key_of(*parts[::-1])]
    keys += [cache.key_of("ab", "c"), cache.key_of("a", "bc")]
    assert cache.key_of(*parts) == keys[0]
    monkeypatch.setattr(cache, "MAGIC", b"jgmmcod2")
    keys.append(cache.key_of(*parts))
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("key", ["", "program", KEY[1:], KEY.upper(), f"../{KEY[3:]}"])
def test_what_cannot_be_a_key_is_told(key):
    for act in (lambda: cache.load(key), lambda: cache.store(key, b"")):
        with pytest.raises(ValueError, match="expected 64 hexadecimal digits"):
            act()


# --- damage ---


def test_a_flipped_bit_anywhere_is_seen_and_the_entry_replaced(folder):
    cache.store(KEY, b"code")
    good = entry(folder).read_bytes()
    for place in range(len(good)):
        for bit in (1, 128):
            bad = bytearray(good)
            bad[place] ^= bit
            entry(folder).write_bytes(bad)
            assert cache.load(KEY) is None, place
    assert is_replaced(folder)


def test_an_entry_of_any_other_length_is_seen_and_replaced(folder):
    cache.store(KEY, b"code")
    good = entry(folder).read_bytes()
    for length in range(len(good)):
        entry(folder).write_bytes(good[:length])
        assert cache.load(KEY) is None, length
    entry(folder).write_bytes(good + b"\0")
    assert cache.load(KEY) is None
    assert is_replaced(folder)


def test_another_keys_entry_under_this_name_is_seen(folder):
    cache.store(OTHER, b"code")
    entry(folder, OTHER).rename(entry(folder))
    assert cache.load(KEY) is None
    assert is_replaced(folder)


def test_a_file_too_large_to_be_an_entry_is_not_read(folder):
    cache.configure(folder, limit=SIZE + 4)
    cache.store(KEY, b"code")
    assert cache.load(KEY) == b"code"
    cache.configure(folder, limit=SIZE + 3)
    assert cache.load(KEY) is None


# --- whose it is ---


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_entry_that_others_may_write_to_is_not_run_but_replaced(folder, mode):
    cache.store(KEY, b"code")
    entry(folder).chmod(mode)
    assert cache.load(KEY) is None
    assert is_replaced(folder)
    assert stat.S_IMODE(entry(folder).stat().st_mode) == 0o600


def test_entries_and_folder_are_the_owners_alone_whatever_the_umask(folder):
    before = os.umask(0)
    try:
        cache.configure(folder / "made")
        cache.store(KEY, b"code")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "made").stat().st_mode) == 0o700
    assert cache.load(KEY) == b"code"


@pytest.fixture
def stranger(monkeypatch):
    """Makes the files that are there another user's."""
    me = os.geteuid()
    return lambda: monkeypatch.setattr(cache.os, "geteuid", lambda: me + 1)


def test_another_users_entry_is_neither_run_nor_replaced_nor_removed(folder, stranger):
    cache.configure(folder, limit=4 * SIZE)
    for key in (KEY, OTHER):
        cache.store(key, b"code")
        os.utime(entry(folder, key), (0, 0))
    stranger()
    assert cache.load(KEY) is None
    cache.store(KEY, b"mine")
    cache.store(cache.key_of("large"), bytes(SIZE))
    assert entry(folder).read_bytes()[SIZE:] == b"code"
    assert entry(folder, OTHER).exists()
    assert cache.fault() == f"machine code is not kept ({entry(folder)} is not a file of this user)"


def test_another_users_folder_is_refused(folder, stranger):
    cache.store(KEY, b"code")
    stranger()
    cache.configure(folder)
    cache.store(OTHER, b"code")
    assert cache.load(KEY) is None
    assert cache.fault() == f"machine code is not kept ({folder} is another user's)"
    assert names(folder) == [f"{KEY}.code"]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(folder, mode):
    cache.store(KEY, b"code")
    folder.chmod(mode)
    cache.configure(folder)
    assert cache.load(KEY) is None
    assert f"{folder} has mode {mode:o}, expected" in cache.fault()


def make_link(path):
    (path.parent.parent / "away").write_bytes(b"not ours")
    path.symlink_to(path.parent.parent / "away")


@pytest.mark.parametrize("make", [make_link, os.mkfifo, os.mkdir])
def test_what_is_no_file_in_the_place_of_an_entry_stays(folder, make):
    make(entry(folder))
    before = os.lstat(entry(folder))
    opened = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    assert cache.load(KEY) is None
    cache.store(KEY, b"code")
    assert os.lstat(entry(folder)).st_ino == before.st_ino
    assert names(folder) == [f"{KEY}.code"]
    assert cache.fault() == f"machine code is not kept ({entry(folder)} is not a file of this user)"
    if make is make_link:
        assert (folder.parent / "away").read_bytes() == b"not ours"
    if opened is not None:
        assert len(os.listdir("/proc/self/fd")) == opened


def test_a_good_entry_behind_a_link_is_not_run(folder):
    cache.store(KEY, b"code")
    entry(folder).rename(folder.parent / "away")
    entry(folder).symlink_to(folder.parent / "away")
    assert cache.load(KEY) is None


# --- at once ---


def test_an_entry_that_is_replaced_is_there_all_the_time(folder):
    codes = [bytes([i]) * 1_000_000 for i in range(2)]
    cache.store(KEY, codes[0])
    found, done = [], threading.Event()

    def read():
        while not done.is_set():
            found.append(cache.load(KEY) in codes)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(60):
        cache.store(KEY, codes[turn % 2])
    done.set()
    reader.join()
    assert len(found) > 10
    assert all(found)


def test_readers_see_whole_entries_while_others_write_them(folder):
    cache.configure(folder, limit=200_000)
    codes = [bytes([i]) * 30_000 for i in range(8)]
    keys = [cache.key_of(str(i)) for i in range(8)]  # more than fit: each writer also makes room
    wrong, found, done = [], [], threading.Event()

    def write(shift):
        for turn in range(40):
            i = (turn + shift) % 8
            cache.store(keys[i], codes[i])
            cache.store(KEY, codes[i])

    def read():
        while not done.is_set():
            for i in range(8):
                code = cache.load(keys[i])
                (wrong if code not in (None, codes[i]) else found).append(code)
            code = cache.load(KEY)
            (wrong if code not in (None, *codes) else found).append(code)

    writers = [threading.Thread(target=write, args=(shift,)) for shift in range(3)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not wrong
    assert sum(code is not None for code in found) > 10
    assert not [name for name in names(folder) if name.endswith(".tmp")]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 200_000
    assert cache.fault() is None


# --- where ---


def test_it_is_a_part_of_the_folder_that_a_process_is_prepared_with(tmp_path):
    lines = [
        "import pathlib, sys",
        "from jgmm import machine",
        "from jgmm.engine import cache",
        "machine.prepare(cache=pathlib.Path(sys.argv[1]))",
        "cache.store(cache.key_of('a'), b'1')",
        "machine.prepare()",
        "cache.store(cache.key_of('b'), b'2')",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines), str(tmp_path)], check=True)
    assert [path.name for path in (tmp_path / "code").iterdir()] == [f"{cache.key_of('a')}.code"]
