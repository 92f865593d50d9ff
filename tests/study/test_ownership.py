"""Whose a folder is: what is refused, what is gone on with, what is removed; and that nothing outside is touched."""

import os
import shutil
import tomllib
from pathlib import Path

import folders
import pytest
import tomli_w

import jgmm
from jgmm.process import Stopped
from jgmm.study import ownership, spec, work
from jgmm.study.folder import files, seal

pytestmark = pytest.mark.usefixtures("made_up")


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


@pytest.fixture
def out(tmp_path, finished):
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


REPORTED = [*ownership.REPORTS, "figures/a-n.png", "figures/a-n.svg", "figures/.written"]


@pytest.mark.parametrize("name", [*REPORTED, "backends.csv", "kernels.csv"])
def test_a_link_in_a_files_place_is_never_written_through(out, tmp_path, name):
    away = tmp_path / "away"
    away.write_text("not ours")
    (out / name).unlink(missing_ok=True)  # kernels.csv is an earlier version's
    (out / name).symlink_to(away)
    folders.report(out, folders.tiny())
    folders.go(out, runs=7)
    folders.go(out, runs=7, fresh=True)
    assert away.read_text() == "not ours"
    assert not (out / name).is_symlink()


def test_a_study_that_comes_while_a_folder_is_looked_at_is_no_foreign_file(tmp_path, finished, monkeypatch):
    out, listed = tmp_path / "out", Path.iterdir
    out.mkdir()

    def late(folder):
        if folder == out and not list(listed(out)):
            shutil.copytree(finished, out, dirs_exist_ok=True)
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", late)
    ownership.check(out)
    (out / "study.toml").unlink()
    with pytest.raises(ValueError, match="files that are not a study's"):
        ownership.check(out)


@pytest.mark.parametrize("name", ["cells", "tiles", "examples", "figures"])
def test_a_linked_folder_is_refused(out, tmp_path, name):
    (out / name).rename(tmp_path / "away")
    (tmp_path / "away" / "0123456789ab.parquet").touch()
    (tmp_path / "away" / f".jgmm-{0:032}.tmp").touch()
    (out / name).symlink_to(tmp_path / "away")
    before = folders.bytes_of(tmp_path)
    for command in (
        lambda: folders.go(out),
        lambda: folders.go(out, fresh=True),
        lambda: folders.report(out, folders.tiny()),
    ):
        with pytest.raises(ValueError, match=f"{name} is a symbolic link, expected a folder"):
            command()
    assert folders.bytes_of(tmp_path) == before


def test_the_study_itself_may_lie_behind_a_link(out, tmp_path):
    (tmp_path / "here").symlink_to(out)
    assert folders.go(tmp_path / "here").computed == 0


@pytest.mark.parametrize("name", ["study.toml", "looks.json", ".lock"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_where_one_is_read_is_one_line_at_once(out, name, make):
    (out / name).unlink()
    make(out / name)
    for command in (lambda: folders.go(out, runs=7), lambda: folders.report(out, folders.tiny())):
        with pytest.raises(ValueError, match=f"{name} is a (pipe|folder|symbolic link), expected a file$"):
            command()
    assert not (out / "elsewhere").exists()


@pytest.mark.parametrize("name", ownership.REPORTS)
def test_a_folder_in_the_place_of_a_result_is_one_line_before_anything_is_computed(out, name):
    (out / name).unlink()
    (out / name).mkdir()
    with pytest.raises(ValueError, match=f"{name} is a folder, expected a file"):
        folders.go(out, runs=7)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_in_the_place_of_runs_is_set_aside(out, make):
    before = folders.everything(out)
    (cell,) = (out / "cells").iterdir()
    cell.unlink()
    make(cell)
    with pytest.raises(ValueError, match=f"{cell.name} is ignored: .*expected a file.*jgmm run sets it aside"):
        folders.report(out, folders.tiny())
    done = folders.go(out)
    assert done.computed == 4
    assert f"{cell.name} is damaged" in done.ignored[0]
    shutil.rmtree(aside) if (aside := cell.with_name(f"{cell.name}.damaged")).is_dir() else aside.unlink()
    assert folders.everything(out) == before


def test_a_folder_is_claimed_gone_on_with_or_refused(tmp_path):
    study = jgmm.Study(name="a", stream={"n": 1000, "start": 0.1})
    out = tmp_path / "out"
    assert ownership.claim(out, study, {"canary": [1]}, fresh=False) == study
    more = study.model_copy(update={"runs": 1000})
    assert ownership.claim(out, more, {"canary": [1]}, fresh=False).runs == 1000
    assert ownership.claim(out, study, {"canary": [1]}, fresh=False).runs == 1000
    assert spec.load(str(out / "study.toml")) == more
    before = (out / "study.toml").read_bytes()
    other = jgmm.Study(name="a", stream={"n": 2000, "start": 0.1}, seed=3)
    with pytest.raises(
        ValueError, match=r"its stream.n of part 'main' is \[1000\], not \[2000\]; its seed is 0, not 3"
    ):
        ownership.claim(out, other, {"canary": [1]}, fresh=False)
    with pytest.raises(ValueError, match="other random bits"):
        ownership.claim(out, study, {"canary": [2]}, fresh=False)
    assert (out / "study.toml").read_bytes() == before
    ownership.claim(out, other, {"canary": [2]}, fresh=True)
    assert spec.load(str(out / "study.toml")) == other


@pytest.mark.parametrize("left", [(), (".lock",), ("cells/", "tiles/"), (f".jgmm-{0:032}.tmp", "cells/")])
def test_what_a_study_leaves_that_was_killed_at_its_start_is_gone_on_with(tmp_path, left):
    for name in left:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert folders.go(tmp_path).computed == 4
    assert not [path for path in tmp_path.rglob("*") if files.TEMPORARY.fullmatch(path.name)]


@pytest.mark.parametrize("name", ["notes.txt", "cells/mine.parquet", "cells/0123456789ab.parquet", "figures/x.png"])
def test_a_folder_with_files_and_no_study_is_refused_and_stays_as_it_was(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match="holds files that are not a study's"):
        folders.go(tmp_path)
    if "0123456789ab" not in name:
        with pytest.raises(ValueError, match="holds files that are not a study's"):
            folders.go(tmp_path, fresh=True)
    assert folders.bytes_of(tmp_path) == {name: b"mine"}


def test_a_damaged_study_is_not_taken_for_another_and_can_be_replaced(out):
    path = out / "study.toml"
    path.write_text(path.read_text().replace("runs = 4", "runs = 3"))
    for command in (lambda: folders.go(out), lambda: ownership.load(out)):
        with pytest.raises(ValueError, match="study.toml is damaged: .* or --fresh to replace the study"):
            command()
    assert folders.go(out, fresh=True).computed == 4


REFUSALS = [ValueError("a step that no back end can take"), TypeError("a step with a fault")]


@pytest.mark.parametrize("error", REFUSALS)
@pytest.mark.parametrize("before", [[], ["results"], ["results", "results/new"]])
def test_nothing_is_left_of_a_study_that_is_refused_before_a_run_is_stored(tmp_path, monkeypatch, error, before):
    def refuses(study, out, task, meter=None, *, back_end="auto"):
        (out / "examples" / f"{task.pieces[0].cell.identifier(0, False)}.parquet").write_text("")
        raise error

    monkeypatch.setattr(work, "work", refuses)
    for folder in before:
        (tmp_path / folder).mkdir()
    with pytest.raises(type(error)):
        folders.go(tmp_path / "results" / "new")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == before


@pytest.mark.parametrize("error", [Stopped(), OSError(28, "No space left on device")])
def test_a_study_that_is_stopped_before_a_run_is_stored_keeps_its_folder(tmp_path, monkeypatch, error):
    def stops(*task, **more):
        raise error

    monkeypatch.setattr(work, "work", stops)
    with pytest.raises(type(error)):
        folders.go(tmp_path / "new")
    assert (tmp_path / "new" / "study.toml").exists()


def test_a_study_of_which_runs_are_stored_keeps_them_when_it_is_refused(tmp_path, monkeypatch):
    def refuses_later(study, out, task, meter=None, *, back_end="auto"):
        if task.pieces[0].low:
            raise ValueError("no")
        return folders.made_up_work(study, out, task)

    monkeypatch.setattr(work, "work", refuses_later)
    with pytest.raises(ValueError, match="no"):
        folders.go(tmp_path)
    assert len(list((tmp_path / "tiles").iterdir())) == 1
    monkeypatch.setattr(work, "work", folders.made_up_work)
    assert folders.go(tmp_path).reused == 2


def test_a_folder_that_had_the_study_before_is_left_as_it_was(out, monkeypatch):
    def refuses(*task, **more):
        raise ValueError("no")

    for cell in (out / "cells").iterdir():
        cell.unlink()
    monkeypatch.setattr(work, "work", refuses)
    before = folders.bytes_of(out)
    with pytest.raises(ValueError, match="no"):
        folders.go(out)
    assert folders.bytes_of(out) == before


def test_a_folder_that_is_older_than_a_key_is_gone_on_with_where_the_key_has_its_default(out):
    path = out / "study.toml"
    table = tomllib.loads(seal.read_text(path))
    young = {"dimension"} & set(table), {"batch", "estimates", "measure", "heldout"} & set(table["part"][0]["stream"])
    assert all(young)
    del table["dimension"]
    for part in table["part"]:
        for key in young[1]:
            part["stream"].pop(key, None)
    path.write_text(seal.text(tomli_w.dumps(table)), encoding="utf-8")
    assert folders.go(out).computed == 0
    with pytest.raises(ValueError, match="its dimension is 'direct', not 'reduced'"):
        ownership.same_study(out, folders.tiny().model_copy(update={"dimension": "reduced"}), {})
