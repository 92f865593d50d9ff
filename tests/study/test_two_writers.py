"""Two at work on one folder: one of them is told who the other is, and nothing that is finished is lost."""

import os
import signal
import subprocess
import sys
import threading
import time

import folders
import pytest

from jgmm.study import missing, spec, work
from jgmm.study import run as runner
from jgmm.study.folder import files, lock, store
from jgmm.study.folder.lock import Lock

pytestmark = pytest.mark.usefixtures("made_up")


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


def both(*calls):
    """Call them at once; what each returned, or the line that it was refused with."""
    found, start = [None] * len(calls), threading.Barrier(len(calls))

    def run(i):
        start.wait()
        try:
            found[i] = calls[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def stored(out):
    """The runs of each cell that is finished."""
    (cell,) = spec.cells(folders.tiny())
    return [
        p.high for p in missing.stored(out, {cell.identifier(0, False): cell}).cells.get(cell.identifier(0, False), [])
    ]


REFUSED = "is in use by process {} on {} since "


def test_of_two_sizes_at_once_none_loses_what_the_other_finished(tmp_path, monkeypatch):
    rounds = 15
    refused = 0
    monkeypatch.setattr(work, "work", slow_work)
    for i in range(rounds):
        out = tmp_path / f"out-{i}"
        sizes = (4, 7) if i % 3 else (4, 4)
        found = both(*(lambda size=size, out=out: simulate(out, size) for size in sizes))
        done = [size for size, answer in zip(sizes, found, strict=True) if not isinstance(answer, Exception)]
        for answer in found:
            if isinstance(answer, Exception):
                refused += 1
                assert isinstance(answer, ValueError), answer
                # Who holds it is said, unless that one has just finished.
                said = REFUSED.format(os.getpid(), lock.socket.gethostname()), "is in use by another process"
                assert any(words in str(answer) for words in said)
                assert len(str(answer).splitlines()) == 1
            else:
                assert answer.left == 0
        assert stored(out) == [max(done)]
        for size in sizes:  # who was refused comes again
            assert simulate(out, size).left == 0
        assert stored(out) == [max(sizes)]
        assert not list((out / "tiles").iterdir())
    assert refused > rounds // 2


def slow_work(*task, **more):
    time.sleep(0.02)  # or they would not meet
    return folders.made_up_work(*task, **more)


def simulate(out, runs):
    return runner.run_study(folders.tiny(runs), out, {})


def test_a_report_is_not_written_while_a_study_is_run(tmp_path):
    out = tmp_path / "out"
    folders.go(out)
    before = folders.bytes_of(out)
    with Lock(out) as held:
        held.take()
        with pytest.raises(ValueError, match="is in use by process"):
            folders.report(out, folders.tiny())
        assert {**folders.bytes_of(out), ".lock": b""} == before
        held.take()  # it is ours already
        folders.report(out, folders.tiny(), lock=held)
        with pytest.raises(ValueError, match="is in use by process"):
            Lock(out).take()
    folders.report(out, folders.tiny())


HOLDER = """
import sys, time
from pathlib import Path
from jgmm.study.folder.lock import Lock
held = Lock(Path(sys.argv[1]))
held.take()
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_process_that_was_killed_is_nobodys(tmp_path):
    folders.go(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match=f"is in use by process {other.pid} on "):
        folders.go(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert str(other.pid).encode() in (tmp_path / ".lock").read_bytes()
    assert folders.go(tmp_path).left == 0
    assert (tmp_path / ".lock").read_bytes() == b""


def test_a_lock_that_was_removed_as_it_was_taken_is_taken_again(tmp_path, monkeypatch):
    opened, removed = files.open_lock, []

    def removed_at_first(path):
        descriptor = opened(path)
        if not removed:  # by a holder whose study was refused
            removed.append(path.unlink())
        return descriptor

    monkeypatch.setattr(files, "open_lock", removed_at_first)
    with Lock(tmp_path) as own:
        own.take()
        with pytest.raises(ValueError, match="is in use by process"):
            Lock(tmp_path).take()


def test_where_nothing_can_be_locked_that_is_said(tmp_path, monkeypatch):
    def flock(*rest):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    done = folders.go(tmp_path)
    assert "cannot be locked (Operation not supported): nobody else may write there now" in done.ignored[0]


def test_a_worker_that_comes_late_replaces_nothing(tmp_path):
    folders.go(tmp_path, runs=7)
    before = folders.everything(tmp_path)
    (cell,) = spec.cells(folders.tiny())
    name = cell.identifier(0, False)
    for low, high in ((0, 4), (0, 2), (2, 4)):  # of a smaller study, whose process is gone
        store.write_runs(tmp_path, name, low, high, [folders.made_up(cell, low, high)])
    assert stored(tmp_path) == [7]
    folders.go(tmp_path, runs=7)
    assert folders.everything(tmp_path) == before


def test_a_cell_is_never_replaced_by_one_of_fewer_runs_and_tiles_beyond_it_stay(tmp_path):
    folders.go(tmp_path, runs=7)
    (cell,) = spec.cells(folders.tiny())
    name = cell.identifier(0, False)
    few = store.write_runs(tmp_path, name, 0, 4, [folders.made_up(cell, 0, 4)])
    beyond = store.write_runs(tmp_path, name, 9, 12, [folders.made_up(cell, 9, 12)])
    assert store.join(tmp_path, name, [few]).high == 7
    assert stored(tmp_path) == [7, 12]
    assert beyond.path.exists()
