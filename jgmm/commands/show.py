"""`jgmm show`: one run of one cell again, with its trajectory."""

import shutil
import sys
from pathlib import Path

from jgmm.engine import choose
from jgmm.study import keys, ownership
from jgmm.study.replay import replay
from jgmm.study.spec import Cell, Study

WIDTH = 14  # characters of a column
COLUMNS = ("samples", "error_sq", "error_sum", "error_max", "lost")


def show(study: Study, cell: Cell, run_id: int, folder: Path, *, back_end: str = "auto") -> None:
    """Print one run's errors at many checkpoints."""
    ownership.check_canary(folder, keys.canary(study.seed))
    choose.choose(back_end)
    table = replay(study, cell, run_id, spec_folder=folder, back_end=back_end)
    rate = cell.rate_name if cell.rate is None else f"{cell.rate:g}"
    print(f"# part {cell.part}, run {run_id}: {cell.algorithm} k={cell.k} d={cell.d} n={cell.n} rate={rate}")
    room = shutil.get_terminal_size().columns // WIDTH if sys.stdout.isatty() else len(COLUMNS)
    shown, left_out = COLUMNS[: max(room, 1)], COLUMNS[max(room, 1) :]
    if left_out:
        print(f"# left out, the terminal being too narrow: {', '.join(left_out)}")
    print("".join(f"{name:>{WIDTH}}" for name in shown))
    for row in table.select(shown).to_pylist():
        print("".join(f"{_text(row[name]):>{WIDTH}}" for name in shown))


def _text(value: float) -> str:
    return f"{value}" if isinstance(value, int) else f"{value:.7g}"
