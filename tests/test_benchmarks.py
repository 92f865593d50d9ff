"""The tables of the READMEs are those that the results give, and what benchmarks and notebooks import is there."""

import importlib
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


def imported(text):
    """What code, or code in a text, imports from jgmm, as dotted names."""
    for module, names in re.findall(r"\bfrom (jgmm[\w.]*) import ([\w, ]+|\([^)]*)", text):
        yield from (f"{module}.{name.split()[0]}" for name in names.strip("(").split(",") if name.strip())
    for names in re.findall(r"(?<!from)\bimport (jgmm[\w., ]*)", text):
        yield from (name.split()[0] for name in names.split(","))


def there(name):
    """Whether this is a module, or something in one."""
    module, _, last = name.rpartition(".")
    try:
        return not module or hasattr(importlib.import_module(module), last) or bool(importlib.util.find_spec(name))
    except ModuleNotFoundError:
        return False


def test_what_benchmarks_and_notebooks_import_is_there():
    assert list(imported("from jgmm.a import (b, c as d)\nimport jgmm.e, jgmm")) == [
        "jgmm.a.b",
        "jgmm.a.c",
        "jgmm.e",
        "jgmm",
    ]
    root = readme_tables.HERE.parent
    sources = [*root.glob("benchmarks/*.py"), *root.glob("notebooks/*.ipynb"), *root.glob("examples/**/*.py")]
    assert len(sources) > 15
    names = {(path.name, name) for path in sources for name in imported(path.read_text())}
    assert [place for place in sorted(names) if not there(place[1])] == []
