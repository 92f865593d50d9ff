"""No name is used that is not defined. (Ruff's check of that is off for the package, whose shapes are strings.)"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKED = ["jgmm", "tests", "benchmarks", "examples", "docs"]


def undefined(*paths):
    """Where ruff finds an undefined name outside a string: (file, line, message)."""
    call = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--output-format", "json", *paths]
    found = json.loads(subprocess.run(call, capture_output=True, text=True, cwd=ROOT).stdout)
    lines = {item["filename"]: Path(item["filename"]).read_text().splitlines() for item in found}
    places = [
        (item["filename"], item["location"]["row"], item["location"]["column"], item["message"]) for item in found
    ]
    return [
        (file, row, message)
        for file, row, column, message in places
        if lines[file][row - 1][: column - 1].count('"') % 2 == 0
    ]


def test_every_name_is_defined():
    assert undefined(*CHECKED) == []


def test_an_undefined_name_is_found_and_a_shape_is_none(tmp_path):
    path = tmp_path / "planted.py"
    path.write_text('def f(x: Float[Array, "k runs"]):\n    return no_such_name\n')
    assert [(row, message) for _, row, message in undefined(path)] == [
        (1, "Undefined name `Float`"),
        (1, "Undefined name `Array`"),
        (2, "Undefined name `no_such_name`"),
    ]
