"""The tables of the READMEs are those that the results give."""

import re

import pytest
import readme_tables


@pytest.mark.parametrize("page", readme_tables.PAGES, ids=lambda path: path.parent.name)
def test_a_table_holds_the_figures_of_its_file(page):
    text = page.read_text()
    assert len(readme_tables.MARK.findall(text)) == text.count("<!-- table:") == text.count("<!-- end -->") > 0
    assert readme_tables.filled(text) == text


def test_a_figure_that_was_typed_is_replaced():
    text = (readme_tables.HERE / "README.md").read_text()
    typed = re.sub(r"\| jgmm \| [\d,]+ ", "| jgmm | 9,990 ", text, count=1)
    assert typed != text
    assert readme_tables.filled(typed) == text
