"""Odd command lines: each is refused in a few plain lines."""

import subprocess
import sys

import pytest

from jgmm import cli

WHOLE = [
    "-1",
    "1e-3",
    "1e10",
    "",
    "nan",
    "inf",
    "9" * 5000,
    "4294967296",
    "1.5",
    "0x10",
    "a\x1b[31m",
    "\ud8ff",
    "--",
    "1;2",
]
WHOLE += ["\u0661.\u0662"]
BAD = {
    "--runs": [*WHOLE, "0", "2147483648"],
    "--max-runs": [*WHOLE, "0"],
    "--seed": WHOLE,
    "--precision": ["-1", "0", "", "nan", "inf", "-inf", "1e-400", "one", "\x1b[31m", "1,5", "9" * 5000 + "x"],
    "--out": ["", "a\0b", "a\nb", "\x1b]0;title\x07", "\udcff", "a" * 5000],
    "--back-end": ["", "Scan", "\x1b[31m", "auto\n"],
    "--run": WHOLE,
}


def refused(capsys, *arguments):
    """What is said on stderr by a command that must exit 2 in lines of jgmm's alone."""
    try:
        status = cli.main(list(arguments))
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert status == 2, (arguments, said)
    assert said.out == "", arguments
    lines = said.err.splitlines()
    assert lines, arguments
    assert all(line.startswith("jgmm: ") and line.isprintable() and len(line) < 1000 for line in lines), lines
    return lines


def test_odd_arguments_are_refused_in_a_line(capsys, tmp_path):
    good = tmp_path / "x.toml"
    good.write_text("[stream]\nn = 1000\nstart = 0.1")
    for option, values in BAD.items():
        for value in values:
            command = ["show", str(tmp_path), "0"] if option == "--run" else ["run", str(good), "--dry-run"]
            (line,) = refused(capsys, *command, f"{option}={value}")
            assert option in line or value == "--"  # which Python 3.11 takes away
            refused(capsys, *command, option, value)
    odd_words = ["", "\x1b[31m", "a\nb", "a\0b", "\udcff", "no such", str(tmp_path), "x" * 5000, "[/]", "--", "-"]
    for word in odd_words:
        refused(capsys, "run", word, "--dry-run")
        refused(capsys, "report", word)
        refused(capsys, "show", word, word, "--run", "1")
        refused(capsys, word)
        refused(capsys, "run", str(good), "--dry-run", f"--{word}x\x1b[31m")
        refused(capsys, "presets", word + "\x1b[31m")
    refused(capsys)
    refused(capsys, "show", str(tmp_path), "0")


def test_the_range_of_a_random_seed_is_told(capsys, tmp_path):
    good = tmp_path / "x.toml"
    good.write_text("[stream]\nn = 1000\nstart = 0.1")
    (line,) = refused(capsys, "run", str(good), "--dry-run", "--seed", "4294967296")
    assert "expected a whole number from 0 to 4294967295" in line
    assert cli.main(["run", str(good), "--dry-run", "--seed", "3000000000"]) == 0


@pytest.mark.parametrize(("text", "runs"), [("1e3", 1000), ("2.0", 2), ("2147483647", 2147483647)])
def test_a_whole_number_may_be_written_as_a_float(text, runs):
    arguments = cli.parser().parse_args(["run", "x", "--runs", text, "--max-runs", text, "--seed", text])
    assert (arguments.runs, arguments.max_runs, arguments.seed) == (runs, runs, runs)
    assert cli.parser().parse_args(["show", "x", "c", "--run", text]).run_id == runs


@pytest.mark.skipif(sys.platform == "win32", reason="arguments are text there")
def test_arguments_that_are_no_text_are_refused_in_a_line():
    call = [sys.executable.encode(), b"-m", b"jgmm.cli", b"run"]
    for arguments in ([b"\xff\xfe"], [b"seed", b"--out", b"\xff"], [b"seed", b"--runs", b"\xff"]):
        found = subprocess.run([*call, *arguments], capture_output=True)
        assert found.returncode == 2
        assert len(found.stderr.splitlines()) == 1
        assert found.stderr.startswith(b"jgmm: ")
