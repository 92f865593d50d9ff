"""A study end to end: what it writes, and that it is the same however it is run."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jgmm import cli
from jgmm.study import report, runner, spec

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


def study(text=TINY, **changes):
    return spec.parse(text, source="tiny", folder=Path(), default_name="tiny").model_copy(update=changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "tiny"
    runner.run(study(), out, {"python": "any"})
    report.write(out, study())
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
        if row["part"] == "pair":
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
    assert (fit["part"], fit["axis"]) == ("pair", "n")
    assert float(fit["low"]) < float(fit["exponent"]) < float(fit["high"])
    assert -1 < float(fit["law"]) < 0


def test_the_page_needs_no_network(done):
    page = (done / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("data:image/png;base64,") == 2


def test_running_again_computes_nothing_and_a_lost_cell_comes_back_the_same(done):
    before = bytes_of(done)
    assert runner.run(study(), done, {}).computed == 0
    victim = sorted((done / "cells").iterdir())[1]
    victim.unlink()
    assert runner.run(study(), done, {}).computed == 1
    assert bytes_of(done) == before


def test_fewer_runs_are_the_first_of_more(done, tmp_path):
    runner.run(study(runs=3), tmp_path / "few", {})
    for path in (tmp_path / "few" / "cells").iterdir():
        few, many = (pq.read_table(folder / "cells" / path.name) for folder in (tmp_path / "few", done))
        assert few.equals(many.slice(0, few.num_rows))


def test_a_replayed_run_ends_where_the_stored_one_does(done):
    for cell in spec.cells(study())[2:]:
        stored = pq.read_table(done / "cells" / f"{cell.identifier(0, False)}.parquet").to_pylist()
        replayed = {row["samples"]: row["error_sq"] for row in runner.replay(study(), cell, 5).to_pylist()}
        for row in stored:
            if row["run"] == 5:
                assert replayed[row["samples"]] == row["error_sq"]


def test_another_study_in_the_folder_is_refused_and_nothing_changes(done):
    before = bytes_of(done)
    with pytest.raises(ValueError, match="another study .its seed differs"):
        runner.run(study(seed=1), done, {})
    assert bytes_of(done) == before


def test_fresh_replaces_a_study_and_nothing_else(done, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(done, out)
    (out / "notes.txt").write_text("mine")
    runner.run(study(seed=1), out, {}, fresh=True)
    assert not set(bytes_of(out)) & set(bytes_of(done))
    assert (out / "notes.txt").read_text() == "mine"


def test_a_box_that_cannot_hold_the_separation_writes_nothing(tmp_path):
    text = '[mixture]\nlayout = "box"\nside = 1.0\nseparation = 100.0\n[stream]\nn = 1000\nstart = "truth"'
    with pytest.raises(ValueError, match="separation is 100"):
        runner.run(study(text, runs=2), tmp_path / "out", {})
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
    assert command(capsys, "presets")[1].out.startswith("seed ")
