"""Sections that comments cite are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECTIONS = set(re.findall(r"^## (.*)$", (ROOT / "docs" / "theory.md").read_text(encoding="utf-8"), re.MULTILINE))
CITATION = re.compile(r'docs/theory\.md((?:,?(?:\s+|and|#|")*"[^"]+")+)')


def test_every_section_that_the_package_cites_is_one():
    cited = []
    for path in sorted((ROOT / "jgmm").rglob("*.py")):
        for names in CITATION.findall(path.read_text(encoding="utf-8")):
            cited += [" ".join(name.split()) for name in re.findall(r'"([^"]+)"', names)]
    assert len(cited) > 10
    assert set(cited) <= SECTIONS
