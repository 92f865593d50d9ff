"""Means from a file: where it is sought, what it may hold, and what of it is kept."""

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import folders
import numpy as np
import pytest

import jgmm
from jgmm import cli
from jgmm.study import limits, ownership, spec
from jgmm.study import means as layouts
from jgmm.study import run as runner

MEANS = np.array([[0.0, 0.0, 0.0], [3.0, 4.0, 0.0]])  # 5 apart
TEXT = """
runs = 4
mixture = { d = 3, layout = "means.npy" }
stream = { n = 200, rate = 0.01, start = 0.1, checkpoints = 1 }
"""


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


@pytest.fixture(autouse=True)
def hastened(monkeypatch):
    folders.hasten(monkeypatch)


def write(folder, text=TEXT, *, name="mine", means=MEANS, file="means.npy"):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / file, means)
    (folder / f"{name}.toml").write_text(text)
    return folder / f"{name}.toml"


def run(*arguments):
    return cli.main(["run", *map(str, arguments)])


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["mine", "rates", "seed"])
def test_a_file_is_sought_beside_the_spec_whatever_the_specs_name(tmp_path, monkeypatch, name):
    path = write(tmp_path / "spec", name=name)
    write(tmp_path / "here", means=10 * MEANS)
    monkeypatch.chdir(tmp_path / "here")
    (cell,) = spec.cells(spec.load(str(path)))
    assert cell.separation == 5
    monkeypatch.chdir(tmp_path)
    (from_elsewhere,) = spec.cells(spec.load(str(Path("spec") / f"{name}.toml")))
    assert from_elsewhere.identifier(0, False) == cell.identifier(0, False)


def test_the_separation_is_that_of_the_means_in_units_of_the_largest_scale(tmp_path):
    np.save(tmp_path / "m.npy", MEANS)
    study = jgmm.Study(
        mixture={"d": 3, "layout": tmp_path / "m.npy", "sigma": [1.0, 2.0], "scales": ["equal", [0.5, 0.25]]},
        stream={"start": 0.1},
    )
    assert [cell.separation for cell in spec.cells(study)] == [5, 10, 2.5, 5]
    with pytest.raises(ValueError, match=r"mixture.separation is \[1.5, 3.0, 6.0\]: the means are given"):
        jgmm.Study(mixture={"d": 3, "layout": "m.npy", "separation": [1.5, 3, 6]})


def test_a_study_keeps_its_means_inside_its_folder_and_can_be_read_without_the_original(tmp_path, capsys):
    write(tmp_path / "a" / "b", TEXT.replace("means.npy", "../../means.npy"))
    np.save(tmp_path / "means.npy", MEANS)
    before = tree(tmp_path)
    out = tmp_path / "deep" / "out"
    assert run(tmp_path / "a" / "b" / "mine.toml", "--out", out) == 0
    after = tree(tmp_path)
    assert {name for name in after if not name.startswith("deep/out/")} == set(before)
    assert (out / "means.npy").read_bytes() == (tmp_path / "means.npy").read_bytes()
    (part,) = spec.load(str(out / "study.toml")).part
    assert part.mixture.layout == str(out / "means.npy")
    assert part.mixture.layout_hash == layouts.read(tmp_path / "means.npy").digest
    (tmp_path / "means.npy").unlink()
    assert cli.main(["report", str(out)]) == 0
    (cell,) = spec.named_cells(spec.load(str(out / "study.toml")))
    assert cli.main(["show", str(out), cell, "--run", "1"]) == 0
    # What it left is a spec of its own.
    assert run(out / "study.toml", "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "cells" / f"{cell}.parquet").read_bytes() == after[f"deep/out/cells/{cell}.parquet"]


def test_other_means_under_the_same_name_are_refused(tmp_path, capsys):
    path, out = write(tmp_path / "spec"), tmp_path / "out"
    assert run(path, "--out", out) == 0
    before = tree(out)
    write(tmp_path / "spec", means=2 * MEANS)
    capsys.readouterr()
    assert run(path, "--out", out) == 2
    said = capsys.readouterr().err
    assert "layout_hash" in said
    assert len([line for line in said.splitlines() if line.startswith("jgmm: ")]) == 1
    assert tree(out) == before
    # The same means in another file are the same means.
    np.save(tmp_path / "spec" / "means.npy", np.asfortranarray(MEANS.astype(np.float32)))
    assert spec.named_cells(spec.load(str(path))).keys() == spec.named_cells(spec.load(str(out / "study.toml"))).keys()


def test_a_copy_that_was_changed_is_told_and_written_again(tmp_path, capsys):
    path, out = write(tmp_path / "spec"), tmp_path / "out"
    study = spec.load(str(path))
    runner.run_study(study, out)
    np.save(out / "means.npy", 2 * MEANS)
    assert cli.main(["report", str(out)]) == 2
    assert "its means have digest" in capsys.readouterr().err
    done = runner.run_study(study, out)
    assert done.computed == 0
    assert [note for note in done.ignored if "means.npy" in note]
    assert (out / "means.npy").read_bytes() == (tmp_path / "spec" / "means.npy").read_bytes()
    (out / "means.npy").unlink()
    runner.run_study(study, out)
    assert (out / "means.npy").read_bytes() == (tmp_path / "spec" / "means.npy").read_bytes()


def test_two_files_of_one_base_name_are_one_file_or_refused(tmp_path):
    for name, means in (("a", MEANS), ("b", MEANS), ("c", 2 * MEANS)):
        write(tmp_path / name, means=means)
    np.save(tmp_path / "c" / "MEANS.npy", MEANS)

    def study(*files):
        parts = [{"name": f"p{i}", "mixture": {"d": 3, "layout": tmp_path / file}} for i, file in enumerate(files)]
        return jgmm.Study(part=parts, stream={"start": 0.1})

    assert len(spec.cells(study("a/means.npy", "b/means.npy"))) == 2
    for second in ("c/means.npy", "c/MEANS.npy"):
        with pytest.raises(ValueError, match="expected names that differ, whatever their case"):
            spec.cells(study("a/means.npy", second))


ODD = ["=HYPERLINK(1).npy", "-a.npy", "a\nb.npy", ".npy", "a\x1b[31m.npy", "@a.npy", "a;b.npy"]


@pytest.mark.parametrize("name", ODD)
def test_a_file_name_that_a_table_or_a_terminal_would_obey_is_refused(tmp_path, name):
    np.save(tmp_path / name, MEANS)
    with pytest.raises(ValueError, match="expected a file name") as caught:
        spec.cells(jgmm.Study(mixture={"d": 3, "layout": tmp_path / name}, stream={"start": 0.1}))
    assert str(caught.value).isprintable()


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(text, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("means.npy", saved(MEANS))
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return print, ("unpickled",)


BAD = {
    "empty": (b"", "is none"),
    "text": (b"1 2 3\n", "is none"),
    "a zip": (zipped(), "is none"),
    "strings": (saved(np.full((2, 3), "abc")), "holds 'str96'"),
    "structs": (saved(np.zeros((2, 3), [("a", float)])), "holds 'void64'"),
    "complex numbers": (saved(MEANS + 1j), "holds 'complex128'"),
    "bools": (saved(MEANS > 0), "holds 'bool'"),
    "dates": (saved(np.zeros((2, 3), "M8[s]")), "holds 'datetime64[s]'"),
    "objects": (saved(np.array([[Bomb()] * 3] * 2)), "holds 'object'"),
    "no mean": (saved(np.zeros((0, 3))), "shape (0, 3)"),
    "a number": (saved(np.array(3.0)), "shape ()"),
    "a list": (saved(np.arange(3.0)), "shape (3,)"),
    "a cube": (saved(np.zeros((2, 3, 1))), "shape (2, 3, 1)"),
    "another shape": (saved(MEANS.T), "holds 3 x 2 numbers: expected k x d = 2 x 3"),
    "nan": (saved(MEANS * np.nan), "not finite"),
    "inf": (saved(np.where(MEANS > 0, np.inf, MEANS)), "not finite"),
    "beyond float64": (saved(np.full((2, 3), np.finfo(np.longdouble).max)), "not finite"),
    "the same mean twice": (saved(np.ones((2, 3))), "the same mean twice"),
    "cut short": (saved(MEANS)[:-8], "40 bytes behind a header"),
    "two arrays": (saved(MEANS) * 2, "bytes behind a header"),
    "a header of 30 GiB": (
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2013265920)}\n"),
        "holds 2 x 2013265920 numbers: expected k at most",
    ),
    "a long header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 1000, "is none"),
    "a negative shape": (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-2, -3)}\n"), "shape (-2, -3)"),
    "a nested header": (header("(" * 9000), "is none"),
    "a huge whole number": (
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, " + "9" * 5000 + ")}\n"),
        "",
    ),
    "an unknown version": (b"\x93NUMPY\x09\x00" + saved(MEANS)[8:], "is none"),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_file_that_holds_no_means_is_told_in_a_line(tmp_path, capsys, content, message):
    (tmp_path / "means.npy").write_bytes(content)
    (tmp_path / "x.toml").write_text(TEXT)
    assert run(tmp_path / "x.toml", "--out", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert message in said.err
    assert "layout is" in said.err
    assert len(said.err.splitlines()) == 1
    assert "unpickled" not in said.out
    assert not (tmp_path / "out").exists()


def test_a_file_larger_than_any_means_is_not_read(tmp_path):
    with (tmp_path / "means.npy").open("wb") as file:
        file.write(header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}\n"))
        file.truncate(10**10)
    with pytest.raises(ValueError, match="has 10000000000 bytes"):
        layouts.read(tmp_path / "means.npy")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes among files")
def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    subprocess.run(["mkfifo", str(tmp_path / "means.npy")], check=True)
    with pytest.raises(ValueError, match="is no file"):
        layouts.read(tmp_path / "means.npy")


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "i1", "<u8", ">i4", "g"])
def test_every_kind_of_real_number_in_either_order_is_read(tmp_path, dtype):
    for order in "CF":
        np.save(tmp_path / "means.npy", np.asarray(MEANS, dtype, order=order))
        found = layouts.read(tmp_path / "means.npy")
        np.testing.assert_array_equal(found.values, MEANS)
        assert found.closest == 5


def test_distances_between_means_neither_overflow_nor_vanish(tmp_path):
    for scale in (1e300, 1e-300):
        np.save(tmp_path / "means.npy", scale * MEANS)
        assert layouts.read(tmp_path / "means.npy").closest == pytest.approx(5 * scale, rel=1e-12)
    np.save(tmp_path / "means.npy", np.ones((1, 3)))
    assert layouts.read(tmp_path / "means.npy").closest == np.inf


def test_the_largest_means_are_read_soon(tmp_path):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(limits.COMPONENTS, limits.MEANS // limits.COMPONENTS))
    np.save(tmp_path / "means.npy", means)
    found = layouts.read(tmp_path / "means.npy")
    apart = np.sqrt(((means[:50, None] - means[None]) ** 2).sum(axis=-1))
    assert found.closest <= apart[apart > 0].min()


def test_a_layout_is_no_other_kind_for_its_name(tmp_path):
    """A file named like a layout is a file: k is its own, not a pair's."""
    means = np.concatenate([MEANS, -MEANS[1:]])
    np.save(tmp_path / "symmetric.npy", means)
    (tmp_path / "x.toml").write_text('mixture = { k = 3, d = 3, layout = "symmetric.npy" }\nstream = { start = 0.1 }')
    (cell,) = spec.cells(spec.load(str(tmp_path / "x.toml")))
    assert cell.k == 3
    study = jgmm.Study(mixture={"k": 3, "d": 3, "layout": "symmetric.npy"}, stream={"start": 0.1})
    assert len(spec.cells(study, tmp_path)) == 1


def test_nothing_is_lost_of_a_file_in_the_place_of_the_copy(tmp_path):
    path, out = write(tmp_path / "spec"), tmp_path / "out"
    study = spec.load(str(path))
    ownership.claim(out, layouts.at_home(study, Path()), {}, fresh=False)
    (out / "means.npy").write_text("mine")
    assert len(layouts.keep(layouts.contents(study, Path()), out)) == 1
    assert (out / "means.npy.damaged").read_text() == "mine"
    assert layouts.keep(layouts.contents(study, Path()), out) == []


def test_odd_files_of_means_are_read_or_refused_in_a_line(tmp_path):
    path, taken = tmp_path / "means.npy", 0
    for number in range(500):
        rng = np.random.default_rng(number)
        array = rng.normal(size=rng.integers(0, 4, size=rng.integers(0, 4)))
        kind = str(rng.choice(["<f8", ">f4", "<i4", "?", "<c8", "S3", "<M8[s]", "O"]))
        with np.errstate(invalid="ignore"):
            array = (100 * array).astype("i8").astype(kind) if kind in ("<M8[s]", "?") else array.astype(kind)
        file = io.BytesIO()
        np.save(file, array, allow_pickle=True)
        content = bytearray(file.getvalue())
        for _ in range(rng.integers(3)):
            place = int(rng.integers(len(content)))
            if rng.random() < 0.7:
                content[place] = rng.integers(256)
            else:
                del content[place : place + int(rng.integers(1, 50))]
        path.write_bytes(bytes(content))
        said = "ends in an error"
        try:
            found, said = layouts.read(path), ""
        except ValueError as error:
            said = str(error)
        assert said.isprintable(), number
        assert len(said) < 400, number
        if not said:
            taken += 1
            assert found.values.dtype == np.float64
            assert np.isfinite(found.values).all()
            assert found.closest > 0
    assert taken > 10
