"""The end of a command whose study has all its runs: the report, and on the terminal what it says."""

import time
from pathlib import Path

from rich.console import Console

from jgmm import terminal
from jgmm.commands import prepare
from jgmm.commands.closing import print_closing
from jgmm.process import Stopper, fault
from jgmm.report.write import write_report
from jgmm.study import ownership
from jgmm.study.folder.lock import Lock

UNFINISHED = 3  # the exit status


def finish(
    console: Console,
    out: Path,
    spec_folder: Path,
    *,
    lock: Lock,
    stopper: Stopper,
    started: float,
    timing: dict | None = None,
) -> int:
    """Write the report and print what it says; the exit status.

    started: when the command began, by `time.perf_counter`. timing: see `write_report`.
    """
    kept = f"all runs are stored, jgmm report {out} makes the report"
    stopper.last_words = lambda: console.print(f"stopped: {kept}", highlight=False, markup=False)
    try:
        written = write_report(out, ownership.load(out, trust=True), spec_folder, timing=timing, lock=lock)
    except OSError as error:
        console.print(f"jgmm: {fault(error)}; {kept}", markup=False)
        return UNFINISHED
    for line in written.back_ends:
        terminal.say(console, f"back end {line}")
    print_closing(written)
    terminal.say(
        console, f"{out / 'report.html'}  ({time.perf_counter() - started:.1f} s, the start of Python and JAX apart)"
    )
    prepare.tell_of_code()
    return written.status
