"""Words, tables and progress for a terminal of any width: no number is cut, and nothing that it obeys gets there."""

import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

BESIDE = 3  # columns of a terminal that a table's column takes beside its text: a blank on each side and a line
BESIDE_NAME = 14  # columns that the name of some sentences takes
NO_TERMINAL = 150  # columns where standard output is a file or a pipe
PLAIN_SECONDS = 60.0  # between lines of progress where there is no terminal
WIDE = 110  # columns of a terminal that has room for samples beside the bar


def standard_output(*, highlight: bool = True) -> Console:
    """The console for results. highlight: whether rich may colour numbers."""
    return Console(width=None if sys.stdout.isatty() else NO_TERMINAL, highlight=highlight)


def clean(text: object) -> str:
    """The text with all that is not printed (control characters, overrides of direction, halves of pairs) written out.

    File names and what others' files hold may have them: an escape sequence would recolour a terminal or retitle it, a
    newline would make two lines of one, and half of a pair is no UTF-8.
    """
    return "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else ascii(character)[1:-1]
        for character in str(text)
    )


def say(console: Console, text: str, *, lead: str = "", style: str = "") -> None:
    """Print text that may be anybody's, of which neither rich nor the terminal obeys anything; `lead` in bold."""
    console.print(Text.assemble((clean(lead), "bold"), (clean(text), style)))


def listed(console: Console, name: str, sentences: Iterable[str]) -> None:
    """Print sentences below each other beside their name, broken between words to the console's width."""
    room = max(console.width - BESIDE_NAME, 20)
    wrap = partial(textwrap.wrap, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    lead = f"  {clean(name)}"
    for sentence in sentences:
        for line in wrap(clean(sentence), room):
            console.print(Text(f"{lead:{BESIDE_NAME}}{line}"), soft_wrap=True)
            lead = ""


def table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    dropped: Sequence[str],
    wrapped: Sequence[str] = (),
    elsewhere: str = "",
) -> None:
    """Print a table that fits: columns that do not are left out in the order of `dropped`, and said below it.

    Only `wrapped` columns break, between words. Where even what is never dropped is too wide there is no table, and a
    line says so. elsewhere: where the whole of it is.
    """
    texts = [[clean(value) for value in row] for row in rows]
    full = {name: max(map(cell_len, (name, *(row[i] for row in texts)))) for i, name in enumerate(columns)}
    least = {name: _longest_word(name, i, texts) if name in wrapped else full[name] for i, name in enumerate(columns)}
    kept, left_out = list(columns), []
    for name in dropped:
        if _width(kept, least) <= console.width:
            break
        if name in kept:
            kept.remove(name)
            left_out.append(name)
    where = f"; {elsewhere}" if elsewhere else ""
    if _width(kept, least) > console.width:
        console.print(Text(f"no table: {', '.join(kept)} do not fit into {console.width} columns{where}"))
        return
    width = {name: full[name] for name in kept}
    while _width(kept, width) > console.width:
        widest = max((name for name in kept if width[name] > least[name]), key=lambda name: width[name])
        width[widest] -= 1
    shown = Table()
    for i, name in enumerate(kept):
        side: Literal["left", "right"] = "left" if i == 0 else "right"
        shown.add_column(Text(name), justify=side, width=width[name], no_wrap=name not in wrapped)
    for row in texts:
        shown.add_row(*(Text(row[columns.index(name)]) for name in kept))
    console.print(shown)
    if left_out:
        console.print(Text(f"left out, {console.width} columns being too few: {', '.join(left_out)}{where}"))


def _longest_word(name: str, column: int, texts: list[list[str]]) -> int:
    """The width of the longest word in a column, its name included."""
    words = [word for text in (name, *(row[column] for row in texts)) for word in text.split()]
    return max(map(cell_len, words), default=1)


def _width(names: Sequence[str], widths: dict[str, int]) -> int:
    """The width of a table with these columns."""
    return 1 + sum(widths[name] + BESIDE for name in names)


class ProgressBar:
    """What a study's meter tells: a live bar on a terminal, a plain line now and then elsewhere.

    every: seconds between plain lines.
    """

    def __init__(self, console: Console, *, every: float = PLAIN_SECONDS):
        self._console, self._every = console, every
        self._started = self._last = time.perf_counter()
        columns = (TextColumn("{task.description:40}"), BarColumn(), TextColumn("{task.fields[what]}"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)

    def __enter__(self) -> "ProgressBar":
        if self._console.is_terminal:
            self._bar.start()
            self._task = self._bar.add_task("compiling", total=None, what="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show what runs, and how many of all samples are consumed."""
        elapsed = time.perf_counter() - self._started
        what = f"{done / 1e6:,.0f} of {total / 1e6:,.0f} M samples, {done / elapsed / 1e6:.0f} M/s"
        if self._console.is_terminal:
            room = shutil.get_terminal_size().columns > WIDE
            self._bar.update(self._task, completed=done, total=total, description=name, what=what if room else "")
        elif time.perf_counter() - self._last > self._every:
            self._last = time.perf_counter()
            left = f"{elapsed * (total - done) / done:.0f} s left" if done else "compiling"
            self._console.print(f"{name}: {what}, {left}", highlight=False, soft_wrap=True)
