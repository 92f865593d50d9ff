"""What `jgmm run` and `jgmm show` do once JAX is up: simulate, report, and talk to the terminal."""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from jgmm.study import report, runner
from jgmm.study.spec import Cell, Study

PLAIN_SECONDS = 20  # between lines of progress where there is no terminal


def run(study: Study, out: Path, *, spec_folder: Path, fresh: bool) -> int:
    """Simulate what is missing in `out`, report, and print the closing table."""
    console = Console(stderr=True)
    started = time.perf_counter()
    devices = jax.devices()
    console.print(
        f"[bold]{study.name}[/]: {study.runs} runs on {len(devices)} x {devices[0].device_kind},"
        f" seed {study.seed} -> {out}"
    )
    with _meter(console) as progress:
        done = runner.run(study, out, environment(), spec_folder=spec_folder, fresh=fresh, progress=progress)
    console.print(
        f"{done.computed} cells computed, {done.reused} reused; {done.samples:.3g} samples in {done.seconds:.1f} s"
    )
    written = report.write(out, study, spec_folder)
    _print_table(written.headline)
    console.print(f"{out / 'report.html'}  ({time.perf_counter() - started:.1f} s in all)")
    return 0


def show(study: Study, cell: Cell, run_id: int, folder: Path) -> None:
    """Print one run's trajectory."""
    table = runner.replay(study, cell, run_id, spec_folder=folder)
    names = ("samples", "error_sq", "error_sum", "error_max", "lost")
    columns = [np.asarray(table[name]) for name in names]
    print(f"# part {cell.part}, run {run_id}: {cell.algorithm} k={cell.k} d={cell.d} n={cell.n} rate={cell.rate}")
    print("".join(f"{name:>14}" for name in names))
    for row in zip(*columns, strict=True):
        print("".join(f"{value:14.7g}" for value in row))


def environment() -> dict:
    """What a result was made with."""
    packages = {name: version(name) for name in ("jgmm", "jax", "jaxlib", "optax", "numpy", "scipy")}
    devices = jax.devices()
    device = {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}
    return {"python": sys.version.split()[0], "packages": packages, "device": device}


def _print_table(headline: report.Headline) -> None:
    table = Table(title=headline.title, title_justify="left", caption=headline.caption, caption_justify="left")
    for index, name in enumerate(headline.columns):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in headline.rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    console.print(table)


class _meter:
    """A live bar on a terminal, a plain line now and then elsewhere: samples done, samples a second, time left."""

    def __init__(self, console: Console):
        self.console, self.started, self.last = console, time.perf_counter(), time.perf_counter()
        columns = (TextColumn("{task.description:28}"), BarColumn(), TextColumn("{task.fields[what]}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)

    def __enter__(self):
        if self.console.is_terminal:
            self.bar.start()
            self.task = self.bar.add_task("compiling", total=None, what="")
        return self

    def __exit__(self, *error):
        if self.console.is_terminal:
            self.bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        elapsed = time.perf_counter() - self.started
        what = f"{done / 1e6:,.0f} of {total / 1e6:,.0f} M samples, {done / elapsed / 1e6:.0f} M/s"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=done, total=total, description=name, what=what)
        elif time.perf_counter() - self.last > PLAIN_SECONDS:
            self.last = time.perf_counter()
            left = elapsed * (total - done) / done
            self.console.print(f"{name}: {what}, {left:.0f} s left", highlight=False, soft_wrap=True)
