"""Compiled programs are kept, and none is run that is not as it was written."""

import os
import subprocess
import sys
import time

import pytest
from small import SPEC

from jgmm.engine import programs


def command(folder, out, cache):
    """Run the study in a process of its own, whose programs are kept in `cache`."""
    call = [sys.executable, "-m", "jgmm.cli", "run", str(folder / "small.toml"), "--out", str(folder / out)]
    environment = {**os.environ, "NO_COLOR": "1", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    return subprocess.run(call, capture_output=True, text=True, timeout=300, env=environment)


def test_programs_that_are_not_as_they_were_written_are_taken_out(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}-cache").write_bytes(f"program {name}".encode())
    programs.seal(tmp_path)
    assert programs.check(tmp_path) == []
    a, b = (tmp_path / f"{name}-cache" for name in "ab")
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)  # swapped: each is a whole program
    b.write_bytes(first)
    (tmp_path / "c-cache").write_bytes(b"prog")  # cut short
    assert sorted(path.name for path in programs.check(tmp_path)) == ["a-cache", "b-cache", "c-cache"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d-cache", "d-digest"]


def test_a_program_that_nobody_vouches_for_is_left_to_a_process_that_may_still_run(tmp_path):
    young, old = tmp_path / "young-cache", tmp_path / "old-cache"
    for entry in (young, old):
        entry.write_bytes(b"program")
    day_before = time.time() - 1.1 * programs.UNSEALED_SECONDS
    os.utime(old, (day_before, day_before))
    assert programs.check(tmp_path) == [old]


@pytest.mark.slow
def test_a_damaged_program_is_made_anew_and_replaced(tmp_path):
    (tmp_path / "small.toml").write_text(SPEC)
    command(tmp_path, "first", tmp_path / "cache")
    entries = sorted((tmp_path / "cache").glob("*-cache"))
    whole = [entry.read_bytes() for entry in entries]
    for entry, other in zip(entries, entries[1:] + entries[:1], strict=True):  # each another's content
        entry.write_bytes(whole[entries.index(other)])
    done = command(tmp_path, "second", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "compilation cache" not in done.stderr
    assert sorted((tmp_path / "cache").glob("*-cache")) == entries
    assert programs.check(tmp_path / "cache") == []
