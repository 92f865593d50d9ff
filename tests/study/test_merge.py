"""Folders of one study are joined: the bytes are those of one command, and what does not fit is refused."""

import os
import shutil
from itertools import pairwise
from pathlib import Path

import folders
import numpy as np
import pyarrow.parquet as pq
import pytest

import jgmm
from jgmm.study import run as runner
from jgmm.study import spec
from jgmm.study.folder import files, records, store
from jgmm.study.folder.lock import Lock

RUNS = 21


pytestmark = pytest.mark.usefixtures("made_up")


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study by one command, without a report."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        folders.make_up(patch)
        runner.run_study(folders.tiny(RUNS), out, {"python": "any"})
    return out


def share(out, number, count, runs=RUNS, seed=0):
    runner.run_study(folders.tiny(runs, seed), out, {"python": "any"}, share=(number, count))
    return out


def shares(folder, count):
    return [share(folder / f"share-{number}", number, count) for number in range(1, count + 1)]


def results(out):
    """What is stored of cells and about them: all but who had the lock."""
    return {name: content for name, content in folders.bytes_of(out).items() if name != ".lock"}


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_all_shares_of_a_study_make_what_one_command_makes(whole, tmp_path, count):
    parts = shares(tmp_path, count)
    before = [folders.bytes_of(part) for part in parts]
    merged = jgmm.merge(parts, tmp_path / "out")
    assert (merged.copied, merged.equal, merged.left, merged.ignored) == (RUNS, 0, 0, [])
    assert merged.study == folders.tiny(RUNS)
    assert results(tmp_path / "out") == results(whole)
    assert [folders.bytes_of(part) for part in parts] == before
    again = jgmm.merge(reversed(parts), tmp_path / "out")
    assert (again.copied, again.equal, again.left) == (0, RUNS, 0)
    assert results(tmp_path / "out") == results(whole)


def test_the_first_folder_can_take_the_others(whole, tmp_path):
    parts = shares(tmp_path, 3)
    merged = jgmm.merge(map(str, parts), str(parts[0]))
    assert (merged.equal, merged.left) == (0, 0)
    assert results(parts[0]) == results(whole)


def test_what_is_missing_is_counted_and_the_same_call_goes_on(whole, tmp_path):
    parts = shares(tmp_path, 3)
    merged = jgmm.merge(parts[:2], tmp_path / "out")
    assert merged.left == RUNS - merged.copied > 0
    assert not list((tmp_path / "out" / "cells").iterdir())
    done = runner.run_study(folders.tiny(RUNS), tmp_path / "out")  # a command computes what no share has
    assert (done.reused, done.computed, done.left) == (merged.copied, merged.left, 0)
    assert results(tmp_path / "out")["cells/" + cell() + ".parquet"] == results(whole)["cells/" + cell() + ".parquet"]


def cell():
    (only,) = spec.cells(folders.tiny())
    return only.identifier(0, False)


def test_folders_that_overlap_and_have_other_numbers_of_runs_are_joined(whole, tmp_path):
    folders.go(tmp_path / "small", runs=6)
    small = tmp_path / "small"
    merged = jgmm.merge([small, small, *shares(tmp_path, 2)], tmp_path / "out")
    assert (merged.copied, merged.equal, merged.left) == (RUNS, 12, 0)
    assert merged.study.runs == RUNS
    out = results(tmp_path / "out")
    assert {name: content for name, content in out.items() if not name.startswith("looks")} == results(whole)


def test_looks_at_other_numbers_of_runs_are_counted_in_the_folder_that_is_made(tmp_path):
    folders.go(tmp_path / "small", runs=6)
    jgmm.merge([tmp_path / "small", share(tmp_path / "all", 1, 1)], tmp_path / "out")
    folders.report(tmp_path / "out", folders.tiny(RUNS))
    looks = records.looks(tmp_path / "out")
    assert [(look["look"], look["runs"]) for look in looks] == [(1, 6), (2, RUNS)]
    jgmm.merge([tmp_path / "out", tmp_path / "small"], tmp_path / "out")
    assert records.looks(tmp_path / "out") == looks


def test_a_study_with_a_precision_is_joined_as_far_as_its_rounds_go(tmp_path):
    precise = folders.tiny(8).model_copy(update={"precision": 0.05})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    runner.run_study(precise, whole, {"python": "any"})
    (file,) = (whole / "cells").iterdir()
    rounds = [runs for runs in precise.rounds() if runs <= pq.read_table(file)["run"].to_numpy().max() + 1]
    assert len(rounds) > 1
    shutil.copytree(whole, parts)
    (parts / "cells" / file.name).unlink()
    (only,) = spec.cells(precise)
    for low, high in pairwise([0, *rounds]):
        store.write_runs(parts, cell(), low, high, [folders.made_up(only, low, high)])
    assert jgmm.merge([parts], tmp_path / "out").left == 0
    assert (tmp_path / "out" / "cells" / file.name).read_bytes() == file.read_bytes()
    assert not list((tmp_path / "out" / "tiles").iterdir())


def changed(folder, low, high, by=1):
    """The folder's study with one tile whose numbers are of other runs."""
    (only,) = spec.cells(folders.tiny())
    table = folders.made_up(only, low + by, high + by)
    table = table.set_column(table.schema.get_field_index("run"), "run", folders.made_up(only, low, high)["run"])
    store.write_runs(folder, cell(), low, high, [table])


def test_a_run_in_two_versions_is_refused_with_its_cell_and_nothing_is_written(tmp_path):
    part = share(tmp_path / "share", 1, 1)
    other = share(tmp_path / "other", 1, 2)
    for path in (other / "tiles").iterdir():
        path.unlink()
    changed(other, 3, 5)
    with pytest.raises(ValueError, match=rf"^cell {cell()} \(part 'a'\): runs 3 to 4 are others in .*other") as refused:
        jgmm.merge([part, other], tmp_path / "out")
    assert len(str(refused.value).splitlines()) == 1
    assert set(folders.bytes_of(tmp_path / "out")) <= {".lock"}
    changed(other, 3, 5, by=0)
    assert jgmm.merge([part, other], tmp_path / "out").equal == 2


def test_a_damaged_file_is_passed_over_and_told(whole, tmp_path):
    parts = shares(tmp_path, 2)
    tile = max((parts[1] / "tiles").iterdir(), key=lambda path: path.stat().st_size)
    tile.write_bytes(tile.read_bytes()[:-1] + b"?")
    merged = jgmm.merge(parts, tmp_path / "out")
    assert merged.left > 0
    (told,) = merged.ignored
    assert told.startswith(f"{tile} is ignored: ")
    shutil.rmtree(parts[1])
    share(parts[1], 2, 2)
    assert jgmm.merge(parts, tmp_path / "out").left == 0
    assert results(tmp_path / "out") == results(whole)


def test_one_study_by_two_kinds_of_random_bits_is_refused(tmp_path):
    one = share(tmp_path / "one", 1, 2)
    runner.run_study(folders.tiny(RUNS), tmp_path / "two", {"canary": [3, 2, 1]}, share=(2, 2))
    with pytest.raises(ValueError, match=r"two was drawn from other random bits .*, folders of one study"):
        jgmm.merge([one, tmp_path / "two"], tmp_path / "out")


def test_what_is_no_folder_of_the_study_is_refused_in_a_line(tmp_path):
    part = share(tmp_path / "share", 1, 2)
    other = share(tmp_path / "other", 2, 2, seed=1)
    empty = tmp_path / "empty"
    empty.mkdir()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    for given, out, said in [
        (
            [part, other],
            tmp_path / "out",
            r"other holds another study \(its seed is 1, not 0\): expected folders of one",
        ),
        ([part], other, r"other holds another study \(its seed is 1, not 0\): expected folders of one study"),
        ([part, empty], tmp_path / "out", "empty holds no study.toml"),
        ([part, tmp_path / "none"], tmp_path / "out", "none holds no study.toml"),
        ([part], foreign, "holds files that are not a study's"),
        ([], tmp_path / "out", r"folders is \[\], expected at least one"),
        (str(part), tmp_path / "out", "expected a list of folders"),
    ]:
        with pytest.raises(ValueError, match=said) as refused:
            jgmm.merge(given, out)
        assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert os.listdir(foreign) == ["thesis.tex"]


def test_a_folder_that_somebody_writes_in_is_not_merged_into(tmp_path):
    part = share(tmp_path / "share", 1, 2)
    with Lock(tmp_path / "out") as lock:
        lock.take()
        with pytest.raises(ValueError, match="out is in use by process"):
            jgmm.merge([part], tmp_path / "out")
        assert jgmm.merge([part], tmp_path / "out", lock=lock).copied > 0


class Killed(BaseException):
    """The process is."""


def test_killed_at_any_file_the_same_call_goes_on_to_the_same_bytes(whole, tmp_path, monkeypatch):
    parts = shares(tmp_path, 2)
    write, count = files.write, 0

    def counted(*given, **more):
        nonlocal count
        count -= 1
        if count == 0:
            raise Killed
        write(*given, **more)

    moments = 0
    monkeypatch.setattr(files, "write", counted)
    while True:
        moments, out = moments + 3, tmp_path / f"out-{moments}"
        count = moments
        try:
            jgmm.merge(parts, out)
        except Killed:
            count = 0
            assert jgmm.merge(parts, out).left == 0
        ours = results(out)
        if count > 0:
            break
        assert ours == results(whole)
    assert moments > 10


EXAMPLE = Path(__file__).parents[2] / "examples" / "your_algorithm"


def test_files_of_means_and_code_of_ones_own_go_along_if_it_is_trusted(tmp_path):
    np.save(tmp_path / "means.npy", [[0.0, 0.0], [3.0, 4.0]])
    shutil.copy(EXAMPLE / "trimmed.py", tmp_path)
    text = folders.TEXT.replace("mixture = { k = 2, d = 2 }", 'mixture = { k = 2, d = 2, layout = "means.npy" }')
    text = text.replace('name = "a"', 'name = "a"\nalgorithm = "trimmed:TRIMMED"')
    (tmp_path / "own.toml").write_text(text)
    own = spec.load(str(tmp_path / "own.toml"), trust=True)
    parts = [tmp_path / f"share-{number}" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        runner.run_study(own, part, {"python": "any"}, share=(number, 2), spec_folder=tmp_path)
    runner.run_study(own, tmp_path / "whole", {"python": "any"}, spec_folder=tmp_path)
    with pytest.raises(ValueError, match=r"names code of its own \(trimmed:TRIMMED\)"):
        jgmm.merge(parts, tmp_path / "out")
    assert jgmm.merge(parts, tmp_path / "out", trust=True).left == 0
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    assert {"means.npy", "code/trimmed.py"} <= results(tmp_path / "out").keys()
