"""The atlas says what its kept tables say, and these belong to the specs that it shows."""

import json
from types import SimpleNamespace

import atlas
import pyarrow.parquet as pq
import pytest
import shares

from jgmm import stats
from jgmm.study import spec

ENTRIES = atlas.entries()
RUN = [entry for entry in ENTRIES if atlas.kept(entry) is not None]


def test_the_committed_pages_are_what_the_kept_tables_make():
    stale = [path.name for path, text in atlas.pages().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"python docs/atlas.py writes {', '.join(stale)} anew"


def test_no_page_is_left_of_a_claim_that_is_gone():
    pages = {path.stem for path in atlas.ATLAS.glob("*.md")} - {"index"}
    folders = {path.name for path in (atlas.ATLAS / "kept").iterdir()}
    assert pages == folders == {entry.id for entry in RUN}


def test_every_claim_has_been_run():
    assert [entry.id for entry in ENTRIES] == [entry.id for entry in RUN]


@pytest.mark.parametrize("entry", RUN, ids=lambda entry: entry.id)
def test_what_is_kept_is_of_the_spec_that_the_page_shows(entry):
    study = spec.load(str(entry.spec))
    study = spec.changed(study.model_copy(update={"runs": entry.runs or study.runs}))
    cells = spec.named_cells(study, entry.spec.parent)
    rows = atlas._read_csv(entry.kept / "summary.csv")
    own = {name for name, cell in cells.items() if not entry.parts or cell.part in entry.parts}
    assert {row["cell"] for row in rows} == own
    assert {int(row["runs"]) for row in rows} >= {study.runs}


def test_of_a_cell_the_last_checkpoint_is_kept():
    rows = [{"cell": "a", "samples": "100"}, {"cell": "a", "samples": "20"}, {"cell": "b", "samples": "7"}]
    assert atlas.last_rows(rows) == [rows[0], rows[2]]


def test_what_was_not_tried_is_what_has_one_value():
    rows = [
        {"k": "2", "d": "3", "separation": "4", "noise": "gaussian", "weights": "0.5 0.5"},
        {"k": "4", "d": "3", "separation": "4", "noise": "gaussian", "weights": "0.7 0.3"},
    ]
    said = atlas.not_tried(rows)
    assert said[:2] == ["d other than 3", "C other than 4"]
    assert "Gaussian noise alone" in said
    assert not any("weights" in what for what in said)
    assert atlas.ranges(rows) == "k 2 to 4, d 3, C 4"


def test_numbers_that_are_not_whole_are_kept_to_eight_digits():
    assert atlas.rounded("0.12345678949") == "0.12345679"
    assert atlas.rounded("-1.000000001e-07") == "-1e-07"
    as_they_are = ["124339596", "94c879ab48fb", "123e45678901", "0.5 0.5", "true", "", "inf", "nan", "1+1+0"]
    assert [atlas.rounded(value) for value in as_they_are] == as_they_are


def test_a_share_is_judged_by_the_worst_cell_and_its_limits():
    most, few, some = (stats.proportion(hits, n) for hits, n in ((1000, 1000), (10, 10), (900, 1000)))
    assert shares.verdict(0.99, [most, most]) == "consistent"
    assert shares.verdict(0.99, [most, few]) == "inconclusive"
    assert shares.verdict(0.99, [few, some]) == "contradicted"


SPEC = """
name = "ends"
runs = 12
mixture = { k = 3, d = 2, layout = "simplex", separation = 20.0 }
stream = { n = 400, rate = 0.02, start = "first", checkpoints = 1, measure = ["holds", "from_structure_sq"] }
"""


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """A claim about a share, whose study is kept in a folder of its own."""
    monkeypatch.setattr(atlas, "ATLAS", tmp_path / "atlas")
    (tmp_path / "atlas/specs").mkdir(parents=True)
    (tmp_path / "atlas/specs/ends.toml").write_text(SPEC)
    share = atlas.Share("from_structure_sq", "3*d*sigma**2", 0.5)
    entry = atlas.Entry("ends", "Ends", "All end well.", "nobody", "ends", verdict="Ends", share=share)
    atlas.run([entry], tmp_path / "results/ends")
    return entry


def test_a_claim_about_a_share_is_kept_with_where_its_runs_ended(ended, tmp_path):
    said = atlas.kept(ended)
    (row,) = atlas._read_csv(ended.kept / "shares.csv")
    assert (row["within"], row["runs"]) == ("6.0", "12")
    assert f"of 12 runs {row['hits']} end within it" in said.verdict["sentence"]
    (cell,) = spec.named_cells(spec.load(str(ended.spec)))
    stored = pq.read_table(tmp_path / f"results/ends/cells/{cell}.parquet", filters=[("samples", "==", 400)])
    ends = stored["from_structure_sq"].to_numpy()
    assert int(row["hits"]) == (ends <= 6).sum() != (ends > 6).sum()
    assert {state["cell"] for state in said.states} == {cell}
    page = atlas.page(ended, said)
    assert "## Where runs ended" in page
    assert f"{said.states[0]['state']}: " in page


def test_a_study_that_is_kept_again_keeps_what_its_runs_took(ended, tmp_path):
    path = tmp_path / "results/ends.json"
    before = json.loads(path.read_text()) | {"machine": "another"}
    path.write_text(json.dumps(before))
    tables = {file.name: file.read_bytes() for file in ended.kept.iterdir()}
    atlas.run([ended], tmp_path / "results/ends")
    assert atlas.kept(ended).about["machine"] == "another"
    assert atlas.kept(ended).about["samples"] == 12 * 400
    del tables["about.json"]
    assert {name: (ended.kept / name).read_bytes() for name in tables} == tables


def test_a_page_names_the_card_that_streams_ran_on(tmp_path):
    rows = [
        {"device": "cpu", "back_end": "cpu", "seeding_back_end": ""},
        {"device": "NVIDIA H100", "back_end": "gpu", "seeding_back_end": ""},
    ]
    atlas._write_csv(tmp_path / "backends.csv", rows)
    assert atlas._cards(tmp_path) == ["NVIDIA H100"]
    said = atlas.kept(RUN[0])
    about = said.about | {"cards": ["NVIDIA H100"], "machine": "a processor", "cores": 16}
    assert "on NVIDIA H100 and a processor, 16 cores" in atlas.page(RUN[0], said._replace(about=about))


def test_studies_for_the_cores_come_first_and_those_that_fail_are_told(monkeypatch):
    asked = []

    def run(call, env):
        asked.append(call[3:])
        assert env["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
        return SimpleNamespace(returncode=1 if "oja" in call else 0)

    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    monkeypatch.setattr(atlas.subprocess, "run", run)
    known = {entry.id: entry for entry in ENTRIES}
    failed = atlas.rebuild([known[name] for name in ("oja", "power-iteration", "lloyd-regime", "seeding")], jobs=1)
    assert asked == [["lloyd-regime"], ["seeding"], ["oja", "power-iteration"]]
    assert failed == ["pca"]


def test_a_study_may_be_a_file_with_modules_of_its_own_beside_it():
    (entry,) = (entry for entry in ENTRIES if entry.id == "noise-trimmed")
    assert entry.command == "jgmm run examples/your_algorithm/misspecified.toml --runs 2560"
    assert entry.folder.name == "examples-your_algorithm-misspecified"
    cells = spec.cells(atlas.wanted([entry]), entry.spec.parent)
    assert {cell.algorithm for cell in cells} == {"trimmed:TRIMMED"}
    assert {cell.part for cell in cells} == {"trimmed"}
