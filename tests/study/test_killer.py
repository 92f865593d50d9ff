"""Death, and a disk that fails, before and after everything that is done to a folder: the same command goes on.

A death is simulated in the process: from its moment on nothing more is done to the folder, whatever is still called;
what a lock held is let go, as the system does. The trace of an undisturbed command says how many such moments it has.
"""

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import folders
import numpy as np
import pytest

from jgmm import cli
from jgmm.study.folder import files

pytestmark = pytest.mark.usefixtures("made_up")


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


class Death(BaseException):
    """Of the process."""


class System:
    """The operating system as `files` sees it: counts what is done to a folder, and ends or fails at one such moment.

    Moment 2 i is before operation i, 2 i + 1 after it (of a write: in its middle).
    """

    def __init__(self, moment=None, error=None):
        self.moment, self.error = moment, error
        self.trace = []
        self.dead = False

    def __getattr__(self, name):
        return getattr(os, name)

    def do(self, name, operation, half=None):
        if self.dead:
            raise Death
        here = 2 * len(self.trace)
        self.trace.append(name)
        self.fail(here)
        if half and self.moment == here + 1:
            half()
        try:
            return None if half and self.moment == here + 1 else operation()
        finally:
            self.fail(here + 1)

    def fail(self, moment):
        if moment == self.moment:
            if self.error:
                raise OSError(self.error, os.strerror(self.error))
            self.dead = True
            raise Death

    def open(self, path, flags, *mode):
        if not flags & os.O_CREAT:
            return os.open(path, flags, *mode)
        return self.do("open", lambda: os.open(path, flags, *mode))

    def fdopen(self, number, mode):
        return os.fdopen(number, mode) if mode == "rb" else Written(os.fdopen(number, mode), self)

    def fsync(self, number):
        return self.do("fsync", lambda: None)  # which a death of the process, not of the machine, does not need

    def replace(self, old, new):
        return self.do("rename", lambda: os.replace(old, new))

    def unlink(self, path):
        return self.do("unlink", lambda: os.unlink(path))

    def mkdir(self, path):
        return self.do("mkdir", lambda: os.mkdir(path))

    def pwrite(self, number, data, offset):
        return self.do("write", lambda: os.pwrite(number, data, offset))


class Written:
    """A file that is being written: the first and the eighth of its writes are moments."""

    def __init__(self, file, system):
        self.file, self.system, self.count = file, system, 0

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.count += 1
        if self.system.dead:
            raise Death
        if self.count not in (1, 8):
            return self.file.write(data)
        return self.system.do("write", lambda: self.file.write(data), lambda: self.file.write(data[: len(data) // 2]))


def nothing(out):
    """A folder that is not there."""


def smaller(out):
    folders.go(out)


def another(out):
    folders.go(out, seed=1)


# What stands there, what is done, and of how many operations that consists.
COMMANDS = {
    "run": (nothing, {}, 88),
    "a run in one piece": (nothing, {"runs": 1}, 72),
    "a grown run": (smaller, {"runs": 7}, 79),
    "--fresh": (another, {"fresh": True}, 109),
}
QUICK = 8  # moments of each, drawn; all of them are among the slow tests
EVERY = pytest.mark.long


class Case(NamedTuple):
    """A command, undisturbed."""

    before: Path  # a copy of this folder is worked on
    options: dict
    trace: list[str]
    wanted: dict


@pytest.fixture(params=COMMANDS)
def case(request, tmp_path, monkeypatch):
    prepare, options, operations = COMMANDS[request.param]
    before, out = tmp_path / "before", tmp_path / "undisturbed"
    system = System()
    prepare(before)
    if before.exists():
        shutil.copytree(before, out)
    monkeypatch.setattr(files, "os", system)
    folders.go(out, **options)
    monkeypatch.undo()
    folders.make_up(monkeypatch)
    assert len(system.trace) == operations  # a new kind of operation must be one that these tests see
    return Case(before, options, system.trace, folders.everything(out))


def copied(case, out):
    if case.before.exists():
        shutil.copytree(case.before, out)
    return out


def some(moments):
    drawn = np.random.default_rng(0).choice(moments[:-1], QUICK, replace=False)
    return [*sorted(map(int, drawn)), moments[-1]]


@pytest.mark.parametrize("which", [some, pytest.param(list, marks=EVERY)], ids=["some", "all"])
def test_whenever_it_dies_the_same_command_goes_on_to_the_same_bytes(case, tmp_path, monkeypatch, which):
    for moment in which(range(2 * len(case.trace))):
        out = copied(case, tmp_path / f"out-{moment}")
        monkeypatch.setattr(files, "os", System(moment))
        with pytest.raises(Death):
            folders.go(out, **case.options)
        monkeypatch.setattr(files, "os", System())
        folders.go(out, **case.options)
        assert folders.everything(out) == case.wanted, (moment, case.trace[moment // 2])


@pytest.mark.parametrize("which", [some, pytest.param(list, marks=EVERY)], ids=["some", "all"])
def test_whatever_a_disk_refuses_is_one_line_and_the_same_command_goes_on(case, tmp_path, monkeypatch, which):
    for moment in which(range(0, 2 * len(case.trace), 2)):
        out = copied(case, tmp_path / f"out-{moment}")
        error = errno.ENOSPC if moment % 4 else errno.EIO
        monkeypatch.setattr(files, "os", System(moment, error))
        said = None
        try:
            folders.go(out, **case.options)
        except (OSError, ValueError) as refused:
            said = str(refused)
            assert os.strerror(error) in said
            assert len(said.splitlines()) == 1
            if case.trace[moment // 2] != "unlink":
                assert not [path for path in out.rglob("*") if files.TEMPORARY.fullmatch(path.name)]
        last = moment == 2 * len(case.trace) - 2  # but the word of who had the lock
        assert (said is None) == last
        monkeypatch.setattr(files, "os", System())
        folders.go(out, **case.options)
        assert folders.everything(out) == case.wanted, (moment, case.trace[moment // 2])


def test_a_disk_that_fills_up_ends_the_command_with_a_line_and_a_status(tmp_path, monkeypatch, capsys):
    (tmp_path / "tiny.toml").write_text(folders.TEXT)
    command = ["run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out")]
    for moment, status in ((4, 2), (12, 2), (40, 3), (120, 3)):  # the lock, study.toml, a tile, the report
        monkeypatch.setattr(files, "os", System(moment, errno.ENOSPC))
        assert cli.main(command) == status
        told = [line for line in capsys.readouterr().err.splitlines() if "No space left" in line]
        assert len(told) == 1
        shutil.rmtree(tmp_path / "out", ignore_errors=True) if moment < 120 else None
    monkeypatch.setattr(files, "os", System())
    assert cli.main(command) == 0
