"""The site builds without a warning, and its pages ask nothing of the network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>|@import|fonts\.g""")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as strictly as can be."""
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    out = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    told = subprocess.run(call, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert told.returncode == 0, told.stdout
    return out


def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in site.glob("*.html")}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= set(pages)
    assert {page: found for page, text in pages.items() if (found := LOADED.findall(text))} == {}


def test_the_api_has_signatures_with_shapes_and_the_search_an_index(site):
    text = re.sub(r"<[^>]*>", "", (site / "api.html").read_text(encoding="utf-8"))
    assert "key: Key[Array" in text
    assert "*runs" in text
    assert (site / "search" / "search_index.js").stat().st_size > 10_000
