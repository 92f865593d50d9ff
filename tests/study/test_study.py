"""A study end to end: what it writes, and that it is the same however it is run."""

import csv
import errno
import html
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import folders
import numpy as np
import pyarrow.parquet as pq
import pytest

from jgmm import cli
from jgmm.contract import Choice
from jgmm.engine import choose
from jgmm.report.write import write_report
from jgmm.study import job, spec
from jgmm.study import run as runner
from jgmm.study.folder import parquet, records
from jgmm.study.replay import replay

TINY = """
runs = 8
[[part]]
name = "pair"
[part.mixture]
k = 2
d = 2
[part.stream]
n = [600, 1200, 2400]
start = 0.1
checkpoints = 3
[[part]]
name = "seeded"
[part.mixture]
k = 2
d = 3
layout = "box"
side = 100.0
[part.seeding]
n = 200
block = 40
graph_points = 12
[part.stream]
n = 600
checkpoints = 2
"""


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


@pytest.fixture(autouse=True)
def hastened(monkeypatch):
    folders.hasten(monkeypatch)


def study(text=TINY, **changes):
    return spec.parse(text, source="tiny", folder=Path(), default_name="tiny").model_copy(update=changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished study and its report, painted."""
    out = tmp_path_factory.mktemp("study") / "tiny"
    runner.run_study(study(), out, {"python": "any"})
    write_report(out, study())
    return out


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("cells/*"))}


def test_the_folder_holds_what_the_contract_says(done):
    names = {path.name for path in done.iterdir()}
    assert names >= {"study.toml", "cells", "summary.parquet", "summary.csv", "fits.csv", "figures", "report.html"}
    for cell in spec.cells(study()):
        table = pq.read_table(done / "cells" / f"{cell.identifier(0, False)}.parquet")
        assert table.num_rows == 8 * (1 + len(cell.checkpoints))
        wanted = "algorithm k d separation sigma n rate start run samples error_sq error_sum error_max lost"
        assert set(wanted.split()) <= set(table.column_names)
        assert table["samples"].to_pylist()[: 1 + len(cell.checkpoints)] == [0, *cell.checkpoints]


def test_the_summary_is_the_mean_of_the_cell_with_its_standard_error(done):
    for row in rows(done / "summary.csv"):
        table = pq.read_table(done / "cells" / f"{row['cell']}.parquet").to_pydict()
        values = [e for e, s in zip(table["error_sq"], table["samples"], strict=True) if s == int(row["samples"])]
        assert np.isclose(float(row["error_sq_mean"]), np.mean(values))
        assert np.isclose(float(row["error_sq_se"]), np.std(values, ddof=1) / np.sqrt(8))
        if row["part"] == "pair" and row["samples"] == "2400":
            assert float(row["law_error_sq"]) > 0


def test_runs_whose_seeding_failed_are_kept_counted_and_left_out_of_the_ok_means(done):
    row = next(row for row in rows(done / "summary.csv") if row["part"] == "seeded")
    table = pq.read_table(done / "cells" / f"{row['cell']}.parquet").to_pydict()
    first = [i for i, s in enumerate(table["samples"]) if s == 0]
    good = [i for i in first if table["components"][i] == 2 and table["lost"][i] == 0]
    assert 0 < len(good) < 8  # 12 graph points and 3 neighbours: some graphs do not have two components
    assert int(row["runs_ok"]) == len(good)
    assert np.isclose(float(row["error_sq_ok_mean"]), np.mean([table["error_sq"][i] for i in good]))


def test_the_exponent_is_fitted_beside_the_laws(done):
    (fit,) = rows(done / "fits.csv")
    assert (fit["part"], fit["axis"], fit["sizes"], fit["runs"]) == ("pair", "N", "3", "8")
    assert float(fit["slope_low"]) < float(fit["slope"]) < float(fit["slope_high"])
    assert -1 < float(fit["law"]) < 0
    assert fit["family"] == "undetermined"  # three sizes leave no room for rivals


def test_what_computed_the_runs_is_told_with_its_reason(done):
    told = rows(done / "backends.csv")
    name, reason = choose.choose("auto")
    assert sum(int(row["high"]) - int(row["low"]) for row in told) == 4 * 8  # runs of every cell
    assert {(row["back_end"], row["reason"]) for row in told} == {(name, reason)}
    seeded = [row for row in told if row["seeding_back_end"]]
    assert [(row["seeding_back_end"], row["seeding_reason"]) for row in seeded] == [(name, reason)]
    page = html.unescape((done / "report.html").read_text())
    assert f"{name} (stream, cpu): {reason}; 32 runs of cells" in page
    assert f"{name} (seeding, cpu): {reason}; 8 runs of cells" in page


def test_lines_of_back_ends_that_are_damaged_are_left_out_with_a_word_and_set_aside(tmp_path):
    driven = job.Driven("cpu", Choice("scan", "why"), None)
    path = tmp_path / "backends.csv"
    records.record_back_ends(tmp_path, [job.Receipt("a", 0, 8, driven), job.Receipt("b", 0, 8, driven)])
    records.record_back_ends(tmp_path, [job.Receipt("a", 8, 9, driven)])
    rows, told = records.back_ends(tmp_path)
    assert [(row["cell"], row["low"], row["high"]) for row in rows] == [("a", "0", "9"), ("b", "0", "8")]
    assert told == []
    for spoil in (lambda text: text.replace("b,0,8", "b,0,9"), lambda text: text[:-5], lambda text: "x,y\n1,2\n"):
        before = path.read_text()
        path.write_text(spoil(before))
        rows, told = records.back_ends(tmp_path)
        assert len(rows) < 2
        assert "backends.csv is damaged" in told[0]
        records.record_back_ends(tmp_path, [job.Receipt("b", 0, 8, driven)])
        assert records.back_ends(tmp_path)[1] == []
        assert (tmp_path / "backends.csv.damaged").read_text() == spoil(before)
        path.write_text(before)


def test_another_back_end_can_be_asked_for(tmp_path):
    runner.run_study(study(), tmp_path / "asked", back_end="scan")
    assert {row["reason"] for row in rows(tmp_path / "asked" / "backends.csv")} == {"asked for"}
    with pytest.raises(ValueError, match="back_end is 'gpu', but the device is a CPU"):
        runner.run_study(study(), tmp_path / "refused", back_end="gpu")
    assert not (tmp_path / "refused").exists()


def test_the_page_needs_no_network(done):
    page = (done / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    pictures = sorted(path.stem for path in (done / "figures").glob("*.png"))
    assert page.count("data:image/png;base64,") == len(pictures) > 0
    assert pictures == sorted(path.stem for path in (done / "figures").glob("*.svg"))
    assert len(page) < 1e6


def test_a_report_is_made_again_from_the_cells_and_is_the_same_look(done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    for name in ("summary.csv", "fits.csv", "verdicts.csv", "report.html"):
        (out / name).unlink()
    write_report(out, study())
    for name in ("summary.csv", "fits.csv", "verdicts.csv", "summary.parquet"):
        assert (out / name).read_bytes() == (done / name).read_bytes()
    assert [look["look"] for look in records.looks(out)] == [1]
    runner.run_study(study(runs=16), out)
    assert write_report(out, study(runs=16)).look == 2
    assert [look["runs"] for look in records.looks(out)] == [32, 64]


def test_a_cell_with_damaged_pages_is_refused_by_name(done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    victim = sorted((out / "cells").iterdir())[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 3] ^= 255
    victim.write_bytes(data)
    with pytest.raises(ValueError, match=victim.name):
        write_report(out, study())


def test_running_again_computes_nothing_and_a_lost_cell_comes_back_the_same(done):
    before = bytes_of(done)
    again = runner.run_study(study(), done, {})
    assert (again.computed, again.reused, again.left) == (0, 32, 0)
    victim = sorted((done / "cells").iterdir())[1]
    victim.unlink()
    assert runner.run_study(study(), done, {}).computed == 8
    assert bytes_of(done) == before


def test_fewer_runs_are_the_first_of_more(done, tmp_path):
    runner.run_study(study(runs=3), tmp_path / "few", {})
    for path in (tmp_path / "few" / "cells").iterdir():
        few, many = (pq.read_table(folder / "cells" / path.name) for folder in (tmp_path / "few", done))
        assert few.equals(many.slice(0, few.num_rows))


def test_a_replayed_run_ends_where_the_stored_one_does(done):
    for cell in spec.cells(study())[2:]:
        stored = pq.read_table(done / "cells" / f"{cell.identifier(0, False)}.parquet").to_pylist()
        replayed = {row["samples"]: row["error_sq"] for row in replay(study(), cell, 5).to_pylist()}
        for row in stored:
            if row["run"] == 5:
                assert replayed[row["samples"]] == row["error_sq"]


def test_another_study_in_the_folder_is_refused_and_nothing_changes(done):
    before = bytes_of(done)
    with pytest.raises(ValueError, match="another study .its seed is 0, not 1"):
        runner.run_study(study(seed=1), done, {})
    assert bytes_of(done) == before


def test_fresh_replaces_a_study_and_nothing_else(done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    write_report(out, study())
    mine = [
        out / "notes.txt",
        out / "figures" / "mine.png",
        out / "figures" / "pair-n.pdf",
        out / "cells" / "mine.parquet",
    ]
    for path in mine:
        path.write_text("mine")
    assert len(list((out / "figures").glob("*.svg"))) > 0
    runner.run_study(study(seed=1), out, {}, fresh=True)
    left = {".lock", "study.toml", "notes.txt", "backends.csv"}
    assert {path.name for path in out.iterdir() if path.is_file()} == left
    assert {path.name for path in (out / "figures").iterdir()} == {"mine.png", "pair-n.pdf"}
    mine[-1].unlink()
    assert sum(int(row["high"]) for row in rows(out / "backends.csv")) == 4 * 8  # of this study alone
    assert not set(bytes_of(out)) & set(bytes_of(done))
    assert all(path.read_text() == "mine" for path in mine[:-1])


def test_what_a_killed_writer_left_half_written_is_removed(done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    left = [out / name / f".jgmm-{i:032}.tmp" for i, name in enumerate(("", "cells", "tiles", "figures"))]
    for path in left:
        path.write_text("half")
    assert runner.run_study(study(), out, {}).computed == 0
    assert not any(path.exists() for path in left)


def test_a_box_that_cannot_hold_the_separation_writes_nothing(tmp_path):
    text = '[mixture]\nlayout = "box"\nside = 1.0\nseparation = 100.0\n[stream]\nn = 1000\nstart = "truth"'
    with pytest.raises(ValueError, match="separation is 100"):
        runner.run_study(study(text, runs=2), tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


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
    assert names == ["floor", "rates", "seed", "theorem1", "theorem2", "theorem3", "theorem7"]
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
    assert "part.0.mixture.sigma is [1.0], not [2.0]" in said.err
    assert "part.0.stream.start is [0.2], not [0.3]" in said.err
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
