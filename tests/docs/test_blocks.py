"""Code in the documentation is right: Python runs, specs resolve to cells, and commands are known.

Blocks of a page run one after another in one namespace. What stands below `if __name__ == "__main__":` needs a cluster
or a pool of processes, and is only compiled; blocks marked `py` and `text` are not code to run.
"""

import re
import shlex
from pathlib import Path

import pytest

from jgmm import cli
from jgmm.study import spec

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "your_algorithm"  # whose study a page shows
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page, language):
    """The blocks of a page in this language."""
    return [text for name, text in BLOCK.findall(PAGES[page]) if name == language]


def pages_with(language):
    """The pages that have such a block."""
    return [page for page in PAGES if blocks(page, language)]


@pytest.fixture
def strict():
    """As a reader's session is: JAX and NumPy promote as they do by default."""


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": f"docs_{page}"}
    for number, text in enumerate(blocks(page, "python")):
        exec(compile(text, f"docs/{page}.md, block {number + 1}", "exec"), namespace)


@pytest.mark.parametrize("page", pages_with("toml"))
def test_specs_resolve(page):
    for text in blocks(page, "toml"):
        assert spec.cells(spec.parse(text, source=page, folder=EXAMPLE, default_name="block"), EXAMPLE)


@pytest.mark.parametrize("page", pages_with("sh"))
def test_commands_are_known(page):
    lines = [line for text in blocks(page, "sh") for line in text.splitlines()]
    for line in lines:
        if line.startswith("jgmm "):
            typed = line.replace("$SLURM_ARRAY_TASK_ID", "1")  # as in the first job of an array
            cli.parser().parse_args(shlex.split(typed, comments=True)[1:])


def test_commands_within_sentences_are_known_too():
    known = cli.parser().format_help()
    for page, text in PAGES.items():
        for command in re.findall(r"`jgmm (\w[\w-]*)", text):
            assert command in known, (page, command)


def test_pages_show_code_of_each_kind():
    assert {"jax", "extend", "statistics", "spec", "cluster"} <= set(pages_with("python"))
    assert {"index", "spec", "extend"} <= set(pages_with("toml"))
    assert {"index", "extend"} <= set(pages_with("sh"))
