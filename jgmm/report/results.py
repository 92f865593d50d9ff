"""A study's results, as its tables and figures take them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from jgmm.study.read import CellData
from jgmm.study.spec import Study

Row = dict[str, Any]  # a row of summary.csv


class Results(NamedTuple):
    """What a study's stored cells hold.

    data: each cell's stored runs, as arrays. summary: the rows of summary.csv, one for each checkpoint of each cell;
    cells come in the order of `data`, and checkpoints in theirs.
    """

    study: Study
    data: list[CellData]
    summary: list[Row]

    def of_part(self, part: str) -> list[CellData]:
        """The cells of a part."""
        return [item for item in self.data if item.cell.part == part]

    def final(self) -> list[Row]:
        """The summary's row of each cell's last checkpoint."""
        return final(self.summary)


def final(rows: Iterable[Row]) -> list[Row]:
    """Of rows of a summary, those of each cell's last checkpoint."""
    last: dict[str, Row] = {}
    for row in rows:
        last[row["cell"]] = row
    return list(last.values())
