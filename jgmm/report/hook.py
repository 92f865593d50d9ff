"""A page of a study's own, in place of the usual figures and closing table.

A spec says `report = "my_module:PAGE"`, the name of a value like this one:

    # my_module.py
    from jgmm.report import drawing
    from jgmm.report.headline import Headline
    from jgmm.report.hook import Page

    def figures(folder, results):
        '''One picture: each cell's mean squared error against its horizon.'''
        picture, (axes,) = drawing.figure()
        rows = results.final()
        axes.loglog([row["n"] for row in rows], [row["error_sq_ok_mean"] for row in rows], "o")
        return [(drawing.save(picture, folder / "errors.png"), "Mean squared error against the horizon N.")]

    def headline(results):
        '''The closing table, on the terminal and on the page.'''
        rows = [(row["cell"], f"{row['error_sq_ok_mean']:.4g}") for row in results.final()]
        return Headline(title="errors", columns=("cell", "error"), rows=rows, caption="means over runs")

    def check(study):
        '''Refuse a study that the page is not for.'''
        if len(study.part) != 1:
            raise ValueError(f"the page is for one part, and the study has {len(study.part)}")

    PAGE = Page(figures=figures, headline=headline, check=check)

Each of these may be left out: the usual figures, the usual table of cells, any study. A report asks them after the
cells are read; tables in csv files, verdicts and the rest of the page stay as they are. `check` is also asked before a
run begins. `jgmm/course_project/page.py` is a whole example.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from jgmm import outside
from jgmm.report.headline import Headline
from jgmm.report.results import Results
from jgmm.study.spec import Study


class Page(NamedTuple):
    """What a report shows in place of the usual.

    lead: the name of the figure that stands first (that of its file, without ".png").
    figures(folder, results): writes figures into the folder; the paths of the PNG files, each with its caption.
    headline(results): the closing table. check(study): raises ValueError for a study that the page is not for.
    """

    figures: Callable[[Path, Results], Sequence[tuple[Path, str]]] | None = None
    headline: Callable[[Results], Headline] | None = None
    check: Callable[[Study], None] | None = None
    lead: str | None = None


def page_of(study: Study) -> Page:
    """The page that the study's `report` names, checked against the study; an empty one for "curves".

    Raises ValueError for a name that stands for no page, and for a study that the page is not for.
    """
    if study.report == "curves":
        return Page()
    page = outside.load(study.report, "report")
    if not isinstance(page, Page):
        raise ValueError(f"report {study.report!r} is a {type(page).__name__}, expected a Page of jgmm.report.hook")
    if page.check is not None:
        page.check(study)
    return page
