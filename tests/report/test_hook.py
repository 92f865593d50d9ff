"""A study may have a page of its own."""

import re
import types

import pytest
from made_cells import LINE, ONE, published, study

from jgmm.report import hook
from jgmm.report.headline import Headline
from jgmm.report.hook import Page, page_of
from jgmm.report.write import write_report


def example():
    """The page that the module's docstring shows how to write, run as it stands there."""
    lines = re.search(r"    # my_module.py\n(.*?)\n\nEach", hook.__doc__, re.DOTALL)[1].splitlines()
    module = types.ModuleType("my_module")
    exec("\n".join(line[4:] for line in lines), module.__dict__)
    return module.PAGE


def test_the_example_draws_its_figure_and_its_table(tmp_path):
    written = published(tmp_path / "out", LINE, page=example())
    assert written.figures == [(tmp_path / "out" / "figures" / "errors.png", written.figures[0][1])]
    assert (tmp_path / "out" / "figures" / "errors.svg").is_file()
    assert written.headline.columns == ("cell", "error")
    assert len(written.headline.rows) == 3
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<th scope="col" class="text">cell</th><th scope="col" class="text">error</th>' in page
    assert "Mean squared error against the horizon N." in page
    assert page.count("data:image/svg+xml;base64,") == 1


def test_the_example_refuses_a_study_of_two_parts():
    page = example()
    page.check(study(LINE))
    with pytest.raises(ValueError, match="for one part, and the study has 2"):
        page.check(study("[[part]]\nname = 'a'\n[[part]]\nname = 'b'"))


def test_what_a_page_leaves_out_is_as_usual(tmp_path):
    usual = published(tmp_path / "usual", LINE)
    table = Headline(title="mine", columns=("a",), rows=[("1",)], caption="none")
    own = published(tmp_path / "table", LINE, page=Page(headline=lambda results: table))
    assert own.headline == table
    assert [path.name for path, _ in own.figures] == [path.name for path, _ in usual.figures] != []
    own = published(tmp_path / "figures", ONE, page=Page(figures=lambda folder, results: []))
    assert list(own.figures) == []
    assert own.headline.columns == usual.headline.columns
    for name in ("usual", "figures"):  # no table of cells at the top, which has one below
        assert 'class="headline"' not in (tmp_path / name / "report.html").read_text(encoding="utf-8")


def test_a_study_names_its_page_and_the_page_must_be_one_and_for_it(tmp_path):
    assert page_of(study(ONE)) == Page()
    seed = "jgmm.course_project.page:PAGE"
    for name, message in (
        ("jgmm.course_project.page:NONE", "has no attribute 'NONE'"),
        ("jgmm.none:PAGE", "No module named 'jgmm.none'"),
        ("jgmm.course_project.page:check", "is a function, expected a Page of jgmm.report.hook"),
        (seed, "expected the parts of the preset 'seed' as they are"),
    ):
        with pytest.raises(ValueError, match=message):
            page_of(study(ONE, report=name))
    with pytest.raises(ValueError, match="expected the parts of the preset"):  # before anything is read
        write_report(tmp_path, study(ONE, report=seed))
