"""What JAX is given before it starts, and what is said where it cannot have it."""

from jgmm.commands import prepare
from jgmm.engine import machine


def test_without_a_home_no_programs_are_kept_and_the_run_goes_on(monkeypatch, capsys):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(machine, "cache_folder", homeless)
    assert prepare.folder_of_programs() is None
    assert "compiled programs are not kept (no home folder)" in capsys.readouterr().err


def test_a_cache_that_cannot_be_made_is_told(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(machine, "cache_folder", lambda: tmp_path / "file" / "xla")
    assert prepare.folder_of_programs() is None
    assert "file/xla: Not a directory" in capsys.readouterr().err
