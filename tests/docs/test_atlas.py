"""The atlas says what its kept tables say, and these belong to the specs that it shows."""

import atlas
import pytest

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
    from jgmm.study import spec

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
