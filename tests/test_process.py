"""A signal stops a command, a reader who leaves does not."""

import errno
import io
import os
import signal
import subprocess
import sys
import time

import folders
import pytest
from small import SPEC

from jgmm import cli, process


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.toml").write_text(SPEC)
    return tmp_path


def shell(folder, arguments, *, after="", **environment):
    """The command in a shell of its own, its output piped or closed as `after` says."""
    line = f"set -o pipefail; {sys.executable} -m jgmm.cli {arguments} {after}"
    known = {**os.environ, "NO_COLOR": "1", **environment}
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=300, env=known)


# --- output ---

READERS = ["2>&1 | head -1", "| head -c 1", ">&-", ">&- 2>&-", "> /dev/null 2>&-"]


@pytest.mark.parametrize("after", READERS)
def test_a_reader_who_leaves_changes_nothing(folder, after):
    done = shell(folder, "presets", after=after)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("after", [READERS[0], READERS[3]])
def test_a_reader_who_leaves_costs_no_results(folder, after):
    assert shell(folder, "run small.toml --out out", after=after).returncode == 0
    assert (folder / "out" / "report.html").is_file()


def test_what_standard_output_cannot_hold_is_told(folder):
    done = shell(folder, "presets", after="> /dev/full")
    assert done.returncode == 2
    assert done.stderr == "jgmm: standard output: No space left on device\n"


class Broken:
    """A stream whose writes fail."""

    encoding = "utf-8"

    def __init__(self, number):
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    def flush(self):
        self.write("")

    def isatty(self):
        return False

    def fileno(self):
        raise OSError(errno.EBADF, "none")


def in_process(monkeypatch, folder, *, out, err):
    folders.hasten(monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return cli.main(["run", "small.toml", "--out", "out"])


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
def test_progress_that_cannot_be_written_does_not_end_a_run(monkeypatch, folder, number):
    assert in_process(monkeypatch, folder, out=io.StringIO(), err=Broken(number)) == 0
    assert (folder / "out" / "report.html").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_the_terminals_encoding_changes_what_is_shown_and_nothing_else(monkeypatch, folder, encoding):
    shown = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert in_process(monkeypatch, folder, out=shown, err=io.StringIO()) == 0
    assert ("+-" if encoding == "ascii" else "±").encode(encoding) in shown.buffer.getvalue()


@pytest.mark.parametrize(("number", "fault"), [(errno.EPIPE, None), (errno.EIO, None), (errno.ENOSPC, "No space left")])
def test_only_a_fault_that_is_not_the_readers_is_kept(number, fault):
    output = process.Output(Broken(number))
    assert output.write("abc") == 3
    assert (output.fault or "").startswith(fault or "")
    assert (output.fault is None) == (fault is None)


# --- bad input, and a platform that is not there ---


def test_a_name_that_is_too_long_is_bad_input(folder):
    done = shell(folder, f"run {'x' * 300}")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "finished tiles" not in done.stderr
    assert "File name too long" in done.stderr


def test_a_platform_that_is_not_there_is_told_in_a_line(folder):
    done = shell(folder, "run small.toml --out cuda", JAX_PLATFORMS="cuda")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("jgmm: JAX cannot start: JAX_PLATFORMS is 'cuda', expected")
    assert "Traceback" not in done.stderr
    assert not (folder / "cuda").exists()


# --- signals ---

DURING_IMPORT = """
import os, signal, sys
class Interrupts:
    # In the middle of JAX's imports, where an exception would be swallowed by whoever guards an optional import.
    def find_spec(self, name, path=None, target=None):
        if name == "jaxlib.xla_client" or name == "jax._src.xla_bridge":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    pass
            except KeyboardInterrupt:
                pass
sys.meta_path.insert(0, Interrupts())
from jgmm import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def test_an_interrupt_while_jax_is_imported_is_heard(folder):
    call = [sys.executable, "-c", DURING_IMPORT, "run", "small.toml", "--out", "interrupted"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert "jgmm: stopped" in done.stderr
    assert not (folder / "interrupted").exists()


def test_a_second_signal_is_not_ours(monkeypatch):
    said = []
    monkeypatch.setattr(process, "say", said.append)
    before = signal.getsignal(signal.SIGTERM)
    with process.Stopper() as stopper:
        stopper.check()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert (stopper.asked(), stopper.status, len(said)) == (True, 3, 1)
        with pytest.raises(process.Stopped):
            stopper.check()
    assert signal.getsignal(signal.SIGTERM) is before
