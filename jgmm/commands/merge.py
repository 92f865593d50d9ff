"""`jgmm merge`: join the folders of one study, and report when nothing is missing."""

import time
from pathlib import Path

from rich.console import Console

from jgmm import terminal
from jgmm.commands.finish import UNFINISHED, finish
from jgmm.process import Stopper
from jgmm.study.folder.lock import Lock
from jgmm.study.merge import merge as join_folders


def merge(folders: list[Path], out: Path, *, trust: bool, stopper: Stopper) -> int:
    """Join the folders in `out`, and report if all runs are there: 0 done, 1 as `run`, 3 if some are missing."""
    console = Console(stderr=True, soft_wrap=True)
    started = time.perf_counter()
    stopper.last_words = lambda: terminal.say(console, "stopped: whole files are stored, the same command goes on")
    with Lock(out) as lock:
        merged = join_folders(folders, out, trust=trust, lock=lock)
        for note in merged.ignored:
            terminal.say(console, note, style="yellow")
        counts = f"{merged.copied} copied, {merged.equal} in several folders, {merged.left} missing"
        terminal.say(console, f": runs of cells: {counts} -> {out}", lead=merged.study.name)
        if merged.left:
            further = "merge the folders that have them into it, or jgmm run computes them there"
            terminal.say(console, f"unfinished: {merged.left} runs of cells are missing from {out}: {further}")
            return UNFINISHED
        return finish(console, out, out, lock=lock, stopper=stopper, started=started)
