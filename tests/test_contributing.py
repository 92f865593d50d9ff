"""What CONTRIBUTING.md points at is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_path_is_one():
    paths = re.findall(r"`((?:jgmm|tests|examples|docs|benchmarks)/[\w/.]*)`", TEXT)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_name_is_defined_in_its_file():
    named = re.findall(r"`(\w+)(?:\[\d\])?`(?: and `(\w+)`)?,? in `([\w/]+\.py)`", TEXT)
    assert len(named) > 10
    for *names, path in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert [n for n in names if n and not re.search(rf"^ *(def |class )?{n}\b", source, re.MULTILINE)] == [], path
