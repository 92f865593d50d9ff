"""The command line end to end: what it computes, refuses, says and leaves behind."""

import csv
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import folders
import pyarrow.parquet as pq
import pytest

from jgmm import cli
from jgmm.study import spec
from jgmm.study.folder import parquet


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


@pytest.fixture(autouse=True)
def hastened(monkeypatch):
    folders.hasten(monkeypatch)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("cells/*"))}


def command(capsys, *words):
    try:
        status = cli.main([str(word) for word in words])
    except SystemExit as stop:
        status = stop.code
    return status, capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "sead"], "'sead' is neither"),
        (["run", "seed", "--runs", "0"], "'0' given"),
        (["run", "seed", "--seed", "x"], "'x' given"),
        (["walk"], "invalid choice: 'walk'"),
        (["report", "nowhere"], "nowhere holds no study.toml"),
        (["show", "nowhere", "x", "--run", "0"], "nowhere holds no study.toml"),
    ],
)
def test_bad_commands_are_one_line_and_status_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said = command(capsys, *words)
    assert status == 2
    assert message in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_used_are_refused(capsys, tmp_path):
    tiny = tmp_path / "tiny.toml"
    tiny.write_text('runs = 2\n[stream]\nn = 1000\nstart = "truth"')
    (tmp_path / "file").write_text("")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "mine").write_text("")
    for out, message in (("file", "is a file"), ("file/x", "cannot be written"), ("foreign", "not a study's")):
        status, said = command(capsys, "run", tiny, "--out", tmp_path / out)
        assert status == 2
        assert message in said.err
    assert [path.name for path in (tmp_path / "foreign").iterdir()] == ["mine"]


def test_the_commands_work(capsys, tmp_path):
    tiny = tmp_path / "tiny.toml"
    tiny.write_text('runs = 2\n[stream]\nn = 1000\nstart = "truth"')
    status, said = command(capsys, "run", tiny, "--out", tmp_path / "out", "--runs", 3)
    assert status == 0
    assert "± " in said.out
    cell = next((tmp_path / "out" / "cells").iterdir()).stem
    assert command(capsys, "report", tmp_path / "out")[0] == 0
    status, said = command(capsys, "show", tmp_path / "out", cell, "--run", 2)
    assert status == 0
    stored = pq.read_table(tmp_path / "out" / "cells" / f"{cell}.parquet").to_pylist()[-1]
    assert said.out.strip().splitlines()[-1].split()[1] == f"{stored['error_sq']:.7g}"
    assert command(capsys, "show", tmp_path / "out", cell, "--run", 3)[0] == 2
    listed = command(capsys, "presets")[1].out.splitlines()
    names = [line.split()[0] for line in listed]
    assert names == sorted(path.stem for path in (Path(spec.__file__).parent / "presets").glob("*.toml"))
    assert all(len(line) < 140 for line in listed)


def small(tmp_path, text="runs = 4\n[stream]\nn = [600, 1200, 2400]\nstart = 0.2\ncheckpoints = 1"):
    path = tmp_path / "small.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the small study and its results."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        folders.hasten(patch)
        assert cli.main(["run", str(small(folder)), "--out", str(folder / "out")]) == 0
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """A copy: the spec, and the folder of its results."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path / "small.toml", tmp_path / "out"


def test_a_finished_study_grows_and_never_shrinks_by_accident(capsys, tmp_path, again):
    path, out = again
    status, said = command(capsys, "run", path, "--out", out, "--runs", 12)
    assert status == 0
    assert "24 computed, 12 reused, 0 left" in said.err
    assert command(capsys, "run", path, "--out", tmp_path / "fresh", "--runs", 12)[0] == 0
    assert bytes_of(out) == bytes_of(tmp_path / "fresh")
    assert (out / "summary.csv").read_bytes() == (tmp_path / "fresh" / "summary.csv").read_bytes()
    status, said = command(capsys, "run", path, "--out", out)
    assert status == 0
    assert "0 computed, 36 reused" in said.err
    status, said = command(capsys, "run", path, "--out", out, "--runs", 6)
    assert status == 2
    assert "--runs is 6" in said.err


def test_another_spec_is_refused_with_the_keys_that_differ(capsys, again):
    path, out = again
    before = bytes_of(out)
    path.write_text(path.read_text().replace("0.2", "0.3") + "\n[mixture]\nsigma = 2")
    status, said = command(capsys, "run", path, "--out", out)
    assert status == 2
    assert "mixture.sigma of part 'main' is [1.0], not [2.0]" in said.err
    assert "stream.start of part 'main' is [0.2], not [0.3]" in said.err
    assert bytes_of(out) == before


def test_foreign_and_half_written_files_are_ignored_with_a_word(capsys, again):
    path, out = again
    before = bytes_of(out)
    victim = sorted((out / "cells").iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:2000])
    (out / "cells" / "holiday.parquet").write_bytes(b"mine")
    status, said = command(capsys, "run", path, "--out", out)
    assert status == 0
    heard = " ".join(said.err.split())
    assert f"{victim} is damaged (it does not end as a Parquet file does): set aside" in heard
    assert "holiday.parquet is ignored: not a name that a study gives" in heard
    after = bytes_of(out)
    assert after.pop("holiday.parquet") == b"mine"
    assert len(after.pop(f"{victim.name}.damaged")) == 2000
    assert after == before
    status, said = command(capsys, "report", out)
    assert status == 0
    assert "damaged" not in said.err


def test_a_full_disk_is_told_and_loses_nothing(capsys, tmp_path):
    path, out = small(tmp_path), tmp_path / "out"
    written = []

    def full(target, *rest, write=parquet.write):
        if written:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        written.append(target)
        write(target, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "write", full)
        status, said = command(capsys, "run", path, "--out", out)
    assert status == 3
    assert "No space left on device" in said.err
    assert "finished tiles are stored" in said.err
    status, said = command(capsys, "run", path, "--out", out)
    assert status == 0
    assert "8 computed, 4 reused" in said.err


def test_a_theorem_about_another_algorithm_and_other_nonsense_is_one_line(capsys, tmp_path):
    for text, message in (
        ('theorem = 7\nalgorithm = "lloyd"', "theorem is 7: it is about algorithm 'em', not 'lloyd'"),
        ("[stream]\nn = 1000\ncheckpoints = [10, 2000]", "checkpoints hold 2000, expected none beyond n = 1000"),
        ('together = ["n", "separation"]\n[stream]\nn = [1000, 2000]', "differ in length (n has 2, separation has 1)"),
        ('together = ["m"]', "together names 'm'"),
        ("runs = 10\nprecision = 0.1\nmax_runs = 5", "max_runs is 5, expected at least runs = 10"),
        ("precision = 0", "precision is 0"),
        ("[stream]\nrate = { adm = 0.1 }", "rate.adm: unknown key, expected 'adam'"),
        ("[stream]\nrate = 'best'\nstart = 'truth'", "rate is 'best' with start None"),
    ):
        status, said = command(capsys, "run", small(tmp_path, text), "--out", tmp_path / "out")
        assert status == 2, text
        assert message in said.err, said.err
        assert len(said.err.strip().splitlines()) == 1, said.err
        assert not (tmp_path / "out").exists()


LONG = """
runs = 4
[stream]
n = [600, 1000000000]
start = 0.2
checkpoints = 1
"""


def test_an_interrupt_stops_soon_says_what_is_done_and_exits_130(tmp_path):
    path = small(tmp_path, LONG)
    call = [sys.executable, "-m", "jgmm.cli", "run", str(path), "--out", str(tmp_path / "out")]
    running = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"})
    while running.poll() is None and not (tmp_path / "out" / "study.toml").exists():
        time.sleep(0.05)
    time.sleep(0.5)  # it compiles, or streams
    asked = time.perf_counter()
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=20)[1]
    assert time.perf_counter() - asked < 5
    assert running.returncode == 130
    assert "runs of cells are stored" in said
    assert "the same command goes on" in said
    assert "\x1b" not in said


DEAF = """
import os, signal, sys, threading, time
from jgmm import cli
from jgmm.study import run as runner
def deaf(*args, **more):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(100)
runner.run_study = deaf
sys.exit(cli.main(["run", sys.argv[1], "--out", sys.argv[2]]))
"""


@pytest.mark.slow
def test_work_that_cannot_stop_is_left_behind(tmp_path):
    call = [sys.executable, "-c", DEAF, str(small(tmp_path)), str(tmp_path / "out")]
    found = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert found.returncode == 130
    assert "0 of 12 runs of cells are stored" in found.stderr


ODD = """
runs = 1
[[part]]
name = "one-component"
mixture = { k = 1, d = 3, layout = "simplex" }
stream = { n = [500, 1000, 2000], start = 0.5, checkpoints = 1 }
[[part]]
name = "an-absent-component"
mixture = { k = 3, d = 3, layout = "simplex", weights = [0.5, 0.5, 0.0] }
stream = { n = 1000, start = 0.0, rate = 0.01, checkpoints = 1 }
[[part]]
name = "its-oracle"
algorithm = "oracle"
mixture = { k = 3, d = 3, layout = "simplex", weights = [0.5, 0.5, 0.0] }
stream = { n = 1000, start = 0.1, checkpoints = 1 }
[[part]]
name = "its-average"
mixture = { k = 3, d = 3, layout = "simplex", weights = [0.5, 0.5, 0.0] }
stream = { n = 1000, start = 0.1, rate = 0.01, average = 0.5, checkpoints = 1 }
"""


@pytest.mark.parametrize("runs", [1, 3])
def test_the_least_of_everything_still_makes_a_report(capsys, tmp_path, runs):
    status, said = command(capsys, "run", small(tmp_path, ODD), "--out", tmp_path / "out", "--runs", runs)
    assert status == 0
    assert "nan" not in said.out.replace("± nan", "")
