"""The command line's small words."""

import importlib.metadata
import re
import tomllib

import pytest

from jgmm import cli
from jgmm.study import spec


def command(capsys, *words):
    """The exit status of a command, and what it says."""
    try:
        status = cli.main(list(words))
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr()


def test_the_version_is_that_of_the_package(capsys):
    status, said = command(capsys, "--version")
    assert (status, said.out) == (0, f"jgmm {importlib.metadata.version('jgmm')}\n")


@pytest.mark.parametrize("name", spec.presets())
def test_a_preset_is_listed_and_printed_as_it_can_be_run(capsys, name, tmp_path):
    listed = command(capsys, "presets")[1].out.splitlines()
    (line,) = (line for line in listed if line.split()[0] == name)
    status, said = command(capsys, "presets", name)
    assert (status, said.out) == (0, spec.preset(name))
    assert said.out.startswith(f"# {line.partition(' ')[2].strip()}\n")
    assert tomllib.loads(said.out)["name"] == name
    path = tmp_path / "copy.toml"
    path.write_text(said.out)
    assert spec.load(str(path)) == spec.load(name)


def test_a_preset_that_there_is_not_is_refused_with_those_that_there_are(capsys):
    status, said = command(capsys, "presets", "sead")
    assert status == 2
    assert said.err.startswith("jgmm: 'sead' is no preset, expected one of floor, ")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("words", [["run", "x"], ["report", "x"], ["show", "x", "c", "--run", "0"]])
def test_code_that_a_folder_names_is_trusted_only_where_asked(words):
    assert not cli.parser().parse_args(words).trust
    assert cli.parser().parse_args([*words, "--trust"]).trust


@pytest.mark.parametrize(("words", "count"), [(["--help"], 5), (["run", "--help"], 6), (["merge", "--help"], 1)])
def test_help_ends_with_examples_that_are_commands(capsys, words, count):
    status, said = command(capsys, *words)
    _, _, examples = said.out.partition("examples:\n")
    lines = [line.strip() for line in examples.splitlines() if line.startswith("  jgmm ")]
    assert (status, len(lines)) == (0, count)
    for line in lines:
        typed = re.split(r"  +| > ", line)[0]
        assert cli.parser().parse_args(typed.split()[1:]).command in cli.COMMANDS
    assert all(len(line) <= 80 for line in examples.splitlines())
