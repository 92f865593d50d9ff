"""The document's page: nine figures, one for each of its sections, and a table of its printed numbers beside ours."""

import tomllib
from importlib import resources

from jgmm.course_project.figures import write_figures
from jgmm.course_project.table import headline
from jgmm.report.hook import Page
from jgmm.study.spec import Study


def check(study: Study) -> None:
    """Raises ValueError unless the study has the parts of the preset: the figures and the table look for them."""
    text = (resources.files("jgmm.study") / "presets" / "seed.toml").read_text(encoding="utf-8")
    if study.part != Study.model_validate(tomllib.loads(text)).part:
        raise ValueError(
            f"report is {study.report!r}: expected the parts of the preset 'seed' as they are, or report = 'curves'"
        )


PAGE = Page(figures=write_figures, headline=headline, check=check)
