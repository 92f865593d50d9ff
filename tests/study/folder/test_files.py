"""One module writes: every file whole or not at all, in its own place, through no link."""

import ast
import os
import socket
from pathlib import Path

import pytest

import jgmm
from jgmm.study.folder import files


@pytest.fixture(autouse=True)
def strict():
    """No JAX here."""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- writing ---


def test_a_file_is_written_over_the_old_one_and_nothing_else_stays(tmp_path):
    files.write_text(tmp_path / "a", "old")
    files.write_text(tmp_path / "a", "é\nnew\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\nnew\n"
    assert files.read_text(tmp_path / "a") == "é\nnew\n"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, error):
    files.write_text(tmp_path / "a", "old")

    def make(file):
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        files.write(tmp_path / "a", make)
    assert names(tmp_path) == ["a"]
    assert files.read_text(tmp_path / "a") == "old"


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    files.write_text(tmp_path / ("n" * 255), "x")
    assert names(tmp_path) == ["n" * 255]


def test_temporary_names_cannot_be_told_beforehand_and_are_never_opened_twice(tmp_path, monkeypatch):
    seen = set()
    for _ in range(3):
        files.write(tmp_path / "a", lambda file: seen.update(names(tmp_path)))
    assert len(seen - {"a"}) == 3
    assert all(files.TEMPORARY.fullmatch(name) for name in seen - {"a"})
    (tmp_path / "away").write_text("not ours")
    (tmp_path / f".jgmm-{'0' * 32}.tmp").symlink_to(tmp_path / "away")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "0" * 2 * size)
    with pytest.raises(FileExistsError):
        files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "away").read_text() == "not ours"


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "away").write_text("not ours")
    (tmp_path / "a").symlink_to("away")
    files.write_text(tmp_path / "a", "ours")
    assert (tmp_path / "away").read_text() == "not ours"
    assert not (tmp_path / "a").is_symlink()


def test_a_file_has_the_permissions_that_the_user_gives_to_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_only_temporaries_of_ours_are_removed(tmp_path):
    for name in (f".jgmm-{'a1' * 16}.tmp", ".jgmm-notes.tmp", ".mine.tmp", "x.tmp"):
        (tmp_path / name).touch()
    files.remove_temporaries(tmp_path)
    assert names(tmp_path) == [".jgmm-notes.tmp", ".mine.tmp", "x.tmp"]


# --- reading ---


def make_link(path):
    (path.parent / "away").write_text("not ours")
    path.symlink_to("away")


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "word"),
    [(make_link, "symbolic link"), (os.mkfifo, "pipe"), (Path.mkdir, "folder"), (make_socket, "socket")],
)
def test_what_is_not_a_file_is_told_in_a_line_at_once(tmp_path, monkeypatch, make, word):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    make(Path("a"))
    with pytest.raises(ValueError, match=f"^a is a {word}, expected a file$"):
        files.read_bytes(Path("a"))


def test_a_device_is_told_and_a_missing_file_is_missing():
    with pytest.raises(ValueError, match="null is a device"):
        files.read_bytes(Path("/dev/null"))
    with pytest.raises(FileNotFoundError):
        files.read_bytes(Path("/nowhere"))


def test_text_that_is_not_utf_8_is_told(tmp_path):
    (tmp_path / "a").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="not text in UTF-8 .* at byte 3"):
        files.read_text(tmp_path / "a")


# --- folders ---


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    files.make_folder(tmp_path / "a")
    files.make_folder(tmp_path / "a")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").touch()
    for name, word in (("b", "symbolic link"), ("c", "file")):
        with pytest.raises(ValueError, match=f"{name} is a {word}, expected a folder"):
            files.make_folder(tmp_path / name)


# --- the package ---

WRITES = {"write_text", "write_bytes", "savefig", "unlink", "rename", "replace", "rmdir", "remove", "mkdir", "makedirs"}
WRITES |= {"symlink_to", "hardlink_to", "touch", "rmtree", "copy", "copyfile", "move", "write_csv", "truncate"}
MODULES = {"os", "shutil", "pathlib", "io", "pq", "pc", "np", "feather", "tempfile"}


def writes(code):
    """The calls that write to, or change, something in a folder; of modules and paths, not of `files`."""
    found = []
    for call in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        said = ast.unparse(call)
        if any(isinstance(argument, ast.Constant) and argument.value == "rb" for argument in call.args):
            continue  # reads what the user names
        match call.func:
            case ast.Name("open") | ast.Attribute(ast.Name("os" | "io" | "gzip"), "open"):
                found.append(said)
            case ast.Attribute(_, "open") if call.args:
                found.append(said)
            case ast.Attribute(ast.Name("files"), _):
                pass
            case ast.Attribute(_, name) if name in WRITES and not _harmless(call, name):
                found.append(said)
            case ast.Attribute(ast.Name("pq"), "ParquetWriter" | "write_table") if not _into_a_file(call):
                found.append(said)
    return found


def _into_a_file(call):
    return any(isinstance(argument, ast.Name) and argument.id == "file" for argument in call.args)


def _harmless(call, name):
    of_module = isinstance(call.func.value, ast.Name) and call.func.value.id in MODULES
    strings = name == "replace" and len(call.args) == 2  # a path's has one argument
    lists = name == "remove" and isinstance(call.func.value, ast.Name)
    return _into_a_file(call) or (not of_module and (strings or lists))


def test_a_write_is_seen():
    for code in (
        "open(path, 'w')",
        "path.open('w')",
        "path.write_text('x')",
        "figure.savefig(path)",
        "path.unlink()",
        "tmp.replace(path)",
        "os.replace(a, b, src_dir_fd=0)",
        "pq.ParquetWriter(path, schema)",
        "pq.write_table(table, path)",
        "pc.write_csv(table, path)",
        "os.remove(path)",
    ):
        assert writes(code) == [code]
    for code in (
        "figure.savefig(file)",
        "pc.write_csv(table, file)",
        "files.write_text(p, 'x')",
        "s.replace('a', 'b')",
    ):
        assert writes(code) == []


def test_nothing_but_files_writes():
    sources = sorted((Path(jgmm.__file__).parent / "study").rglob("*.py"))
    assert "store.py" in [path.name for path in sources]
    told = {path.name: writes(path.read_text(encoding="utf-8")) for path in sources if path.name != "files.py"}
    assert {name: found for name, found in told.items() if found} == {}
