"""What the steps of a task share (its job), and what they hand on: computed runs, and receipts of those stored."""

from pathlib import Path
from typing import NamedTuple

from jgmm.contract import Choice
from jgmm.study import tables
from jgmm.study.folder.spool import Spool
from jgmm.study.keys import Keys
from jgmm.study.meter import Meter
from jgmm.study.spec import Study


class Job(NamedTuple):
    """The study, and how its runs are computed. `folder` is where its files of means lie."""

    study: Study
    folder: Path
    keys: Keys
    meter: Meter
    back_end: str
    spool: Spool


class Driven(NamedTuple):
    """On which device some runs were computed, by which back ends and why."""

    device: str
    back_end: Choice | None  # of the stream; None where a cell has none
    seeding: Choice | None  # of Algorithm 2's power iteration; None where a cell does not start by it


class Computed(NamedTuple):
    """Some runs of a cell, not stored yet, and what computed them."""

    rows: tables.Rows
    driven: Driven


class Receipt(NamedTuple):
    """Runs `low` to `high` - 1 of a cell are stored; what computed them."""

    cell: str  # its identifier
    low: int
    high: int
    driven: Driven
