"""A signal stops a command, a reader who leaves does not; what workers cannot do is told."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import folders
import pytest

import jgmm
from jgmm import cli, process
from jgmm.commands import prepare
from jgmm.engine import machine, programs
from jgmm.study import plan
from jgmm.study import run as runner

SPEC = """
runs = 16
[mixture]
k = 2
d = 2
[stream]
n = 200
rate = 0.02
start = 0.2
"""


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


# --- bad input and missing things ---


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


def test_without_a_home_no_programs_are_kept_and_the_run_goes_on(monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(machine, "cache_folder", homeless)
    assert prepare.folder_of_programs() is None
    assert "compiled programs are not kept (no home folder)" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_is_told(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path / "file" / "xla")
    assert prepare.folder_of_programs() is None
    assert "file/xla: Not a directory" in capsys.readouterr().err


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


# --- compiled programs ---


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
def test_a_damaged_program_is_made_anew_and_replaced(folder, tmp_path):
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    shell(folder, f"run small.toml --out {tmp_path / 'first'}", **cache)
    entries = sorted((tmp_path / "cache").glob("*-cache"))
    whole = [entry.read_bytes() for entry in entries]
    for entry, other in zip(entries, entries[1:] + entries[:1], strict=True):  # each another's content
        entry.write_bytes(whole[entries.index(other)])
    done = shell(folder, f"run small.toml --out {tmp_path / 'second'}", **cache)
    assert done.returncode == 0, done.stderr
    assert "compilation cache" not in done.stderr
    assert sorted((tmp_path / "cache").glob("*-cache")) == entries
    assert programs.check(tmp_path / "cache") == []


# --- executors ---


def tiny():
    parts = [{"name": "main", "mixture": {"k": 2, "d": 2}, "stream": {"n": [200, 300], "rate": 0.02, "start": 0.2}}]
    return jgmm.Study(name="tiny", runs=8, part=parts)


def test_a_pool_that_forks_is_refused(tmp_path):
    with (
        ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool,
        pytest.raises(ValueError, match="executor is a process pool that forks"),
    ):
        runner.run_study(tiny(), tmp_path / "out", executor=pool)
    assert not (tmp_path / "out").exists()


class Fails(Executor):
    """Takes some tasks and then no more."""

    def __init__(self, takes, error):
        self.takes, self.error = takes, error

    def submit(self, work, *args, **more):
        if not self.takes:
            raise self.error
        self.takes -= 1
        future = Future()
        future.set_result(work(*args, **more))
        return future


def test_an_executor_that_takes_no_more_leaves_what_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-9)
    done = runner.run_study(tiny(), tmp_path, executor=Fails(1, RuntimeError("cannot schedule new futures")))
    assert 0 < done.left < 16
    assert done.computed + done.left == 16
    assert len(done.failures) == 1
    assert "not computed (RuntimeError: cannot schedule new futures)" in done.failures[0]
    assert str(done).endswith("the same call goes on from it")
    assert runner.run_study(tiny(), tmp_path).reused == done.computed


class Dies(Executor):
    """Its workers run out of memory, which has no text."""

    def submit(self, work, *args, **more):
        future = Future()
        future.set_exception(MemoryError())
        return future


def test_a_worker_without_memory_is_told_with_the_name_of_its_fault(tmp_path):
    done = runner.run_study(tiny(), tmp_path, executor=Dies())
    assert done.left == 16
    assert done.failures == ["16 runs of cells in 2 tasks were not computed (MemoryError)"] or done.failures == [
        "16 runs of cells in 1 tasks were not computed (MemoryError)"
    ]


def test_a_cancelled_task_is_told(tmp_path):
    class Cancels(Executor):
        def submit(self, work, *args, **more):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    done = runner.run_study(tiny(), tmp_path, executor=Cancels())
    assert done.left == 16
    assert "CancelledError" in done.failures[0]


def test_somebody_who_stops_is_heard_while_others_work(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 1.5)  # before our turn comes
        asked = time.perf_counter()
        with pytest.raises(runner.Stopped):
            runner.run_study(tiny(), tmp_path, executor=pool, stop=lambda: time.perf_counter() > asked + 0.2)
        assert time.perf_counter() - asked < 1.4
