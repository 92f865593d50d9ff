"""A study end to end: what it writes, and that it is the same however it is run."""

import csv
import html
import shutil
from pathlib import Path

import folders
import numpy as np
import pyarrow.parquet as pq
import pytest

from jgmm.contract import Choice
from jgmm.engine import choose
from jgmm.report.write import write_report
from jgmm.study import job, spec
from jgmm.study import run as runner
from jgmm.study.folder import records
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
    assert page.count("<img ") == len(pictures) > 0
    svg = {path.name for path in (done / "figures").glob("*.svg")}
    assert svg >= {f"{name}.svg" for name in pictures}
    assert svg <= {f"{name}{kind}.svg" for name in pictures for kind in ("", ".narrow")}
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
