"""A bit flipped anywhere, a file cut at any length: either told, or the numbers are those of the whole file."""

import io
import shutil

import folders
import numpy as np
import pytest

from jgmm.study import ownership, spec
from jgmm.study import run as runner
from jgmm.study.folder import files, parquet, records, seal, store

pytestmark = pytest.mark.usefixtures("made_up")


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


@pytest.fixture
def out(tmp_path, finished):
    """A finished study of four runs, of which seven are asked for by now: a cell, and a tile that waits."""
    shutil.copytree(finished, tmp_path / "out")
    (cell,) = spec.cells(folders.tiny())
    name = cell.identifier(0, False)
    store.write_runs(tmp_path / "out", name, 4, 6, [folders.made_up(cell, 4, 6)])
    parquet.write_table(tmp_path / "out" / "examples" / f"{name}.parquet", folders.made_up(cell, 0, 1))
    return tmp_path / "out"


def damages(data, rng, share=1.0):
    """Every byte with a bit flipped, and every beginning of it; or a share of them."""
    for i in range(len(data)):
        if rng.random() < share:
            changed = bytearray(data)
            changed[i] ^= 1 << int(rng.integers(8))
            yield bytes(changed)
        if rng.random() < share:
            yield data[:i]


def told(read):
    """What `read` finds, or the one line that it refuses with."""
    try:
        return read()
    except ValueError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    return said


SHARES = [0.01, pytest.param(0.2, marks=pytest.mark.long)]


def believed(data):
    try:
        seal.check(io.BytesIO(data))
    except seal.Damaged:
        return False
    return True


def test_no_digest_is_right_for_damaged_bytes(out):
    tried = 0
    for path in [*out.glob("cells/*"), *out.glob("tiles/*"), *out.glob("examples/*")]:
        whole = path.read_bytes()
        assert believed(whole)
        for data in damages(whole, np.random.default_rng(0)):
            assert not believed(data)
            tried += 1
    assert tried > 2 * 3 * 5_000


@pytest.mark.parametrize("share", SHARES)
def test_no_damaged_cell_tile_or_example_is_read(out, share):
    rng = np.random.default_rng(0)
    (cell,) = spec.cells(folders.tiny())
    rows = {cell.identifier(0, False): cell.rows}
    for path in [*out.glob("cells/*"), *out.glob("tiles/*")]:
        whole = path.read_bytes()
        for data in damages(whole, rng, share):
            path.write_bytes(data)
            found = store.scan(out, rows)
            assert path not in [piece.path for piece in found.cells.get(path.name[:12], [])]
            assert str(path) in found.ignored[0]
        path.write_bytes(whole)
        assert path in [piece.path for piece in store.scan(out, rows).cells[path.name[:12]]]
    (path,) = out.glob("examples/*")
    for data in damages(path.read_bytes(), rng, share):
        path.write_bytes(data)
        assert isinstance(told(lambda: parquet.read(path)), str)


@pytest.mark.parametrize("share", SHARES)
def test_no_damaged_spec_looks_or_back_ends_are_believed(out, share):
    rng = np.random.default_rng(0)
    readings = {
        "study.toml": lambda: (ownership.load(out), ownership.environment(out)),
        "looks.json": lambda: records.looks(out),
        "backends.csv": lambda: records.back_ends(out),
    }
    for name, read in readings.items():
        path, right = out / name, read()
        whole = path.read_bytes()
        for data in damages(whole, rng, max(share, 0.1)):
            path.write_bytes(data)
            found = told(read)
            if name == "backends.csv":
                rows, words = found
                assert words or rows == right[0]
            else:
                assert isinstance(found, str) or found == right
                assert found == right or name in found
        path.write_bytes(whole)


def test_a_damaged_list_of_figures_never_names_what_is_not_in_its_folder(out):
    path = out / "figures" / records.WRITTEN
    path.write_text("a-n.png\n../summary.csv\n../x.png\n/etc/x.png\n.png\na\\b.png\n..\n\n.hidden.svg\n")
    assert records.figures(path.parent) == ["a-n.png"]
    for data in damages(path.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(data)
        assert all((path.parent / name).parent == path.parent for name in records.figures(path.parent))


def everything_read(out):
    """What a report says, and what it leaves out with a word."""
    written = folders.report(out, ownership.load(out))
    return written.summary, written.look, written.back_ends, written.ignored


def mend(out):
    """What a user does whom the report refuses: the same command again, without what cannot be computed again."""
    done = told(lambda: runner.run_study(folders.tiny(), out, {"python": "any"}))
    if isinstance(done, str):
        assert "study.toml" in done or "looks.json" in done
        return False
    return True


@pytest.mark.parametrize("count", [16, pytest.param(150, marks=pytest.mark.long)])
def test_a_damaged_study_is_told_and_computed_again(out, tmp_path, count):
    rng = np.random.default_rng(1)
    right = everything_read(out)
    assert right[-1] == []
    read = [p for p in sorted(out.rglob("*")) if p.suffix in (".parquet", ".toml", ".json") or p.name == "backends.csv"]
    read = [path.relative_to(out) for path in read if path.parent.name != "examples" and path.stem != "summary"]
    for i in range(count):
        copy = tmp_path / f"copy-{i}"
        shutil.copytree(out, copy)
        path = copy / read[i % len(read)]
        data = bytearray(path.read_bytes())
        place = int(rng.integers(len(data)))
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data if i % 3 else data[:place])
        found = told(lambda copy=copy: everything_read(copy))
        if isinstance(found, str):
            assert path.name in found
        else:
            assert found[-1] or found == right
            assert found[:2] == right[:2]
        if mend(copy):
            again = everything_read(copy)
            assert again[:2] == right[:2]
            assert [word for word in again[-1] if "backends.csv" not in word] == []
        shutil.rmtree(copy)


@pytest.mark.parametrize("text", ["[1]", "null", "[{}]", "3", "{", "", '[{"runs": 4, "look": 1}]', "[" * 10**5])
def test_looks_that_are_not_ours_are_refused_before_anything_is_computed(out, text):
    (out / "looks.json").write_text(text)
    before = folders.bytes_of(out)
    for command in (lambda: folders.go(out, runs=7), lambda: folders.report(out, folders.tiny())):
        said = told(command)
        assert "looks.json" in said
        assert "expected the looks as jgmm wrote them" in said
    assert folders.bytes_of(out) == before
    (out / "looks.json").unlink()
    folders.go(out, runs=7)


@pytest.mark.parametrize("text", ["x,y\n1,2\n", "", "\0", "cell,low\n" + "a" * 200_000 + '\n"'])
def test_back_ends_that_are_not_ours_are_left_out_with_a_word(out, text):
    right = everything_read(out)
    (out / "backends.csv").write_text(text)
    found = everything_read(out)
    assert found[:2] == right[:2]
    assert "backends.csv" in found[-1][0]
    folders.go(out, runs=7)
    assert everything_read(out)[-1] == []
    assert files.read_text(out / "backends.csv.damaged") == text
