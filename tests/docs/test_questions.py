"""The questions of docs/questions.md: specs of few lines, each below a paragraph, each of which runs."""

import re
from pathlib import Path

import pytest

import jgmm
from jgmm.study import ownership, spec

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n.*?```toml\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
LINES = 15
CODE = Path(__file__).parents[2] / "examples" / "your_algorithm"  # what a spec may name beside itself


@pytest.fixture(autouse=True)
def strict():
    """A study promotes as NumPy does."""


def study(title, **changes):
    return spec.parse(BLOCKS[title], source="question", folder=CODE, default_name="question").model_copy(update=changes)


def ends(table):
    """A table of a spec with the first and the last value of each axis."""
    axes = {name: [values[0], values[-1]] for name, values in table if isinstance(values, list) and len(values) > 2}
    return table.model_copy(update={name: axis for name, axis in axes.items() if name != "measure"})


def short(stream):
    """The stream of a part, its horizons a twentieth."""
    return ends(stream.model_copy(update={"n": [max(n // 20, 200) for n in stream.n]}))


def test_every_question_has_a_paragraph_and_one_spec():
    sections = PAGE.split("\n## ")[1:]
    assert len(sections) == len(BLOCKS)
    for section in sections:
        assert section.count("```toml") == 1
        assert len(section.partition("```toml")[0].partition("\n")[2].split()) > 30


@pytest.mark.parametrize("title", BLOCKS)
def test_a_question_is_a_spec_of_few_lines(title):
    assert len(BLOCKS[title].strip().splitlines()) <= LINES
    assert spec.cells(study(title), CODE)


@pytest.mark.slow
@pytest.mark.parametrize("title", BLOCKS)
def test_a_question_runs_and_is_answered(title, tmp_path):
    """With few runs of short streams, of each axis the ends: that it runs to its end, with a verdict on its claim."""
    asked = study(title, runs=8)
    parts = [
        part.model_copy(update={"mixture": ends(part.mixture), "stream": short(part.stream)}) for part in asked.part
    ]
    asked = asked.model_copy(update={"part": parts})
    jgmm.run_study(asked, tmp_path / "out", spec_folder=CODE)
    jgmm.write_report(tmp_path / "out", ownership.load(tmp_path / "out", trust=True))
    assert (tmp_path / "out" / "report.html").is_file()
    told = (tmp_path / "out" / "verdicts.csv").read_text(encoding="utf-8").splitlines()
    assert len(told) > 1 or not any(cell.claim for cell in spec.cells(asked, CODE))
