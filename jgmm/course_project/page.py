"""The document's page: nine figures, one for each of its sections, and a table of its printed numbers beside ours."""

from jgmm.course_project.figures import write_figures
from jgmm.course_project.table import headline
from jgmm.report.hook import Page
from jgmm.study import spec
from jgmm.study.spec import Study


def check(study: Study) -> None:
    """Raises ValueError unless the study has the parts of the preset: the figures and the table look for them."""
    if study.part != spec.load("seed").part:
        raise ValueError(
            f"report is {study.report!r}: expected the parts of the preset 'seed' as they are, or report = 'curves'"
        )


PAGE = Page(figures=write_figures, headline=headline, check=check, lead="7-streaming")
