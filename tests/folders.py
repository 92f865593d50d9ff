"""Studies whose numbers are made up, for tests of what happens to a folder: run and report as they are, but quick."""

import os
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from jgmm.contract import Choice
from jgmm.engine import programs
from jgmm.report.hook import Page
from jgmm.report.write import write_report
from jgmm.study import job, keys, plan, preflight, spec, work
from jgmm.study import run as runner
from jgmm.study.folder import columns, records, store
from jgmm.study.folder.lock import Lock

TEXT = """
runs = 4
[[part]]
name = "a"
mixture = { k = 2, d = 2 }
stream = { n = 400, start = 0.2, checkpoints = 2 }
"""
PARSED = spec.parse(TEXT, source="tiny", folder=Path(), default_name="tiny")
DRIVEN = job.Driven("cpu", Choice("scan", "made up"), None)


def made_up(cell, low, high):
    """The table of some runs: numbers that depend on the cell and the run alone."""
    runs = np.repeat(np.arange(low, high), cell.rows)
    samples = np.tile([0, *cell.checkpoints], high - low)
    value = (1 + np.sin(runs * 7.0 + samples + cell.n) ** 2) / (1 + samples)
    found = {"part": cell.part, "k": cell.k, "weights": cell.weights, "run": runs, "samples": samples}
    found |= {name: value.astype(np.float32) for name in ("error_sq", "error_sum", "error_max")}
    found |= {"lost": np.zeros(len(runs), np.int32), "realised_separation": 4.0, "largest_mean": 2.0}
    return columns.table(columns.cells(x64=False), found, len(runs))


def made_up_work(study, out, task, meter=None, *, back_end="auto"):
    """As `work.work`: some pieces of a task, stored as tiles."""
    receipts = []
    for cell, low, high in task.pieces:
        name = cell.identifier(study.seed, study.x64)
        store.write_runs(out, name, low, high, [made_up(cell, low, high)])
        receipts.append(job.Receipt(name, low, high, DRIVEN))
    return receipts


def in_two(todo, **more):
    """As `plan.tasks`: a task for each half of a piece."""
    halves = [(cell, low, (low + high + 1) // 2, high) for cell, low, high in todo]
    ends = [(cell, *ends) for cell, low, mid, high in halves for ends in ((low, mid), (mid, high))]
    return [plan.Task([plan.Piece(cell, low, high)], 0.0) for cell, low, high in ends if low < high]


def make_up(monkeypatch):
    """Replace what takes time: streams, checks of mixtures, waiting for the disk."""
    monkeypatch.setattr(work, "work", made_up_work)
    monkeypatch.setattr(plan, "tasks", in_two)
    monkeypatch.setattr(preflight, "check_mixtures", lambda *rest: None)
    monkeypatch.setattr(keys, "canary", lambda seed: [1, 2, 3])
    hasten(monkeypatch)


def hasten(monkeypatch):
    """Leave out what takes most of a small command's time: painting figures, which are made all the same, reading all
    compiled programs again, which were checked when the tests began, and waiting for the disk.
    """
    monkeypatch.setattr(Figure, "savefig", lambda made, file, **how: file.write(b"not painted"))
    monkeypatch.setattr(programs, "check", lambda folder: [])
    monkeypatch.setattr(os, "fsync", lambda number: None)


def made_up_figures(folder, results):
    """As `figures` of a page: one, that is not painted."""
    for name in ("a-n.png", "a-n.svg"):
        records.write_figure(folder / name, lambda file: file.write(b"drawn"))
    return [(folder / "a-n.png", "a figure")]


def report(out, study=None, *, lock=None):
    """As `write_report`, with the figure above."""
    return write_report(out, tiny() if study is None else study, lock=lock, page=Page(figures=made_up_figures))


def tiny(runs=4, seed=0):
    """The study."""
    return PARSED.model_copy(update={"runs": runs, "seed": seed})


def go(out, *, runs=4, seed=0, fresh=False):
    """What `jgmm run` does, without words."""
    with Lock(out) as lock:
        done = runner.run_study(tiny(runs, seed), out, {"python": "any"}, fresh=fresh, lock=lock)
        report(out, tiny(runs, seed), lock=lock)
    return done


def finished(folder):
    """A finished study in a folder that is to be copied, made outside of any test; where it is."""
    with pytest.MonkeyPatch.context() as patch:
        make_up(patch)
        go(folder / "finished")
    return folder / "finished"


def bytes_of(out):
    """Each file's bytes."""
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def everything(out):
    """Each file's bytes; of those that hold the time, what does not depend on it.

    Of the page, what stands before the looks. Who holds the lock is said in its file until another does. A tile is
    stored before its receipt: the line of the last one in backends.csv may be missing.
    """
    found = bytes_of(out)
    found[".lock"] = b""
    assert all(row["reason"] == "made up" for row in records.back_ends(out)[0])
    found.pop("backends.csv", None)
    if "report.html" in found:
        found["report.html"], _, _ = found["report.html"].partition(b"<dt>Looks")
    found["looks.json"] = [(look["look"], look["runs"]) for look in records.looks(out)]
    return found
