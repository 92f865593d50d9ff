"""What a report says: everything that it writes, as values."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jgmm.report.headline import Headline
from jgmm.report.results import Results, Row
from jgmm.study import beside, bias, checks, curves, verdicts
from jgmm.study.pairs import Paired
from jgmm.study.read import CellData


class Written(NamedTuple):
    """What `write_report` has written.

    own_table: whether the closing table is that of a page of the study's own (see `hook`). lead: the name of the figure
    that shows the verdict, if there is one. left_out: figures, fits and means that cannot be made, each with its
    reason. ignored: files, and lines of them, that were passed over, and why.
    conditioning: a sentence where means leave runs out. tails: one where squared errors have no variance. look: which
    look at the study's runs this is.
    states: where estimates ended, of the cells that store it. biases: what constant steps leave, where that is asked.
    """

    results: Results
    headline: Headline
    own_table: bool
    fits: list[curves.FitRow]
    floors: list[verdicts.FloorFit]
    pairs: list[Paired]
    figures: Sequence[tuple[Path, str]]
    lead: str | None
    verdicts: list[verdicts.Verdict]
    laws: verdicts.LawVerdict | None
    look: int
    ignored: list[str]
    left_out: list[str]
    back_ends: list[str]
    twins: checks.Twins | None
    conditioning: str | None
    tails: str | None
    states: list[beside.StateRow]
    biases: list[bias.BiasRow]

    @property
    def data(self) -> list[CellData]:
        """The cells' runs."""
        return self.results.data

    @property
    def summary(self) -> list[Row]:
        """The rows of summary.csv."""
        return self.results.summary

    @property
    def status(self) -> int:
        """The exit status of a command that wrote it: 1, our bug, where a twin is away from its exact mean."""
        return 1 if self.twins and not self.twins.right else 0
