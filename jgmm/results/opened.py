"""A study's folder as a value: summary, cells, verdicts and fits as frames, its figures, and other folders beside it.

Cells are read from the folder when they are first asked for, and once. Opening a folder writes nothing in it.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jgmm import doors
from jgmm.report import csv_files, write
from jgmm.report.results import Results
from jgmm.results import arrays, compared, frames, page, plots
from jgmm.study import curves, ownership, verdicts
from jgmm.study import merge as merging
from jgmm.study.folder import columns, lock
from jgmm.study.run import Report
from jgmm.study.spec import Study
from jgmm.study.verdicts import Verdict

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes


class Opened:
    """What a study's folder holds.

    folder: where it lies. study: the study, as the folder's study.toml has it. done: what `jgmm.run_study` did there;
    None of a folder that was only opened.
    """

    def __init__(self, folder: Path, study: Study, done: Report | None = None):
        self.folder, self.study, self.done = folder, study, done

    def __getattr__(self, name: str) -> Any:
        """What was done (computed, reused, left, samples, seconds, ignored, failures), where something was."""
        if name in Report._fields and self.__dict__.get("done") is not None:
            return getattr(self.done, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def results(self) -> Results:
        """The cells' stored runs, and the rows of summary.csv.

        Raises ValueError where runs are missing (the same `jgmm.run_study` computes them) or a file is damaged.
        """
        return write.stored(self.folder, self.study)

    @cached_property
    def concluded(self) -> list[Verdict]:
        """The verdicts, at the level of this look at the runs.

        A look that is read off what `jgmm.run_study` returns is put down in looks.json, as that of a report is. Opening
        a folder writes nothing: there the level is that of the next look, and `jgmm.write_report` puts that down.
        """
        look, found = write.judge(self.folder, self.results)
        if self.done is not None and found:
            with lock.Lock(self.folder) as held:
                held.take()
                write.record_look(self.folder, self.results, found, look)
        return found

    def summary(self) -> "pandas.DataFrame":
        """A row for each cell and checkpoint, as in summary.csv (its columns are told in docs/files.md)."""
        return frames.of_table(columns.summary(self.results.summary))

    def cells(self) -> "pandas.DataFrame":
        """A row for each cell, by its identifier: its value on every axis that it has, and its last means.

        The mean squared error is over the runs that are good (runs_ok of them) and has its standard error beside it.
        """
        return frames.of_cells(self.results)

    def fits(self) -> "pandas.DataFrame":
        """A row for each exponent along a curve, and for each fall of a floor, as in fits.csv."""
        found = [curves.fit(curve) for curve in curves.curves(self.study, self.results.data)]
        floors = [csv_files.floor_row(floor) for floor in verdicts.floor_fits(self.study, self.results.data)]
        return frames.of_rows(curves.FitRow._fields, [*(fit for fit in found if fit is not None), *floors])

    def verdicts(self) -> "pandas.DataFrame":
        """A row for each theorem that the study's cells test: its verdict and sentence, the level and the look."""
        names = ("theorem", "verdict", "sentence", "statement", "level", "look")
        return frames.of_rows(names, [[getattr(verdict, name) for name in names] for verdict in self.concluded])

    def to_xarray(self) -> "xarray.Dataset":
        """Means over the axes that vary and over samples, each with its standard error (`arrays.dataset`)."""
        return arrays.dataset(self.results)

    def plot(self, quantity: str = "error_sq", against: str = "samples", axes: "Axes | None" = None) -> "Axes":
        """Draw means with 95 % intervals against an axis of the grid, or against samples; a colour for each setting.

        quantity: error_sq, error_sum, error_max, or another that the cells store; "converged", or an end state as
        "2+1+0" where it is measured (`jgmm.results.outcomes`), whose shares of all runs are drawn. axes: where to draw;
        new ones of pyplot if left out. The axes are returned. Raises ValueError for a quantity or axis that cells lack.
        """
        return plots.plot(self.results, quantity, against, axes)

    def compare(self, other: "Opened | Path | str", quantity: str = "error_sq") -> "pandas.DataFrame":
        """Cells of this folder beside those of another: difference and ratio of their means, with standard errors.

        Two cells are compared that agree on every axis, or, where a cell has no such partner, on all but one (the
        algorithm counts as one). Run i has the same random numbers in both folders where these have the same seed: the
        runs that both have are then compared in pairs. The column `pairing` says which. Errors that are sums over
        centres are divided by the number of estimates, since EM has one and Lloyd k. quantity: as for `plot`.
        """
        beside = other if isinstance(other, Opened) else open(other)
        places = (self.folder, beside.folder), (self.study.seed, beside.study.seed)
        found = compared.compare(self.results, beside.results, quantity, compared.pairing(*places))
        return frames.of_rows(compared.Compared._fields, found)

    def merge(self, others: "Iterable[Path | str]", out: Path | str) -> "Opened":
        """Join this folder and others of the same study in `out` (see `jgmm.merge`), and open that."""
        if isinstance(others, (str, Path)) or not isinstance(others, Iterable):
            raise doors.bad("others", others, "a list of folders")
        merging.merge([self.folder, *others], out, trust=True)  # what this folder's study names is imported already
        return Opened(Path(out), ownership.load(Path(out), trust=True))

    def __repr__(self) -> str:
        runs = f"{self.study.runs} runs each" if self.study.precision is None else f"precision {self.study.precision:g}"
        said = (
            str(self.done) if self.done is not None else "summary(), cells(), verdicts(), fits(), to_xarray(), plot()"
        )
        return f"{self.study.name}: {runs}, seed {self.study.seed}, in {self.folder}\n{said}"

    def _repr_html_(self) -> str:
        """The verdict and the figure that shows it, for a notebook."""
        try:
            return page.html(self.study.name, self.folder, page.conclusion(self.results, self.concluded))
        except ValueError as error:  # runs are missing, say: the sentence that says so is what there is to show
            return page.html(self.study.name, self.folder, page.paragraph(str(error)))


def open(folder: Path | str, *, trust: bool = False) -> Opened:
    """A study's folder, to be read. Nothing is written.

    trust: import the code that lies in the folder, if the study names any; without it such a folder is refused.
    Raises ValueError for a folder that is no study's, or whose study.toml is damaged.
    """
    path = doors.path("folder", folder)
    return Opened(path, ownership.load(path, trust=doors.flag("trust", trust)))
