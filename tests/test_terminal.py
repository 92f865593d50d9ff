"""What a terminal shows: tables of any width, text that nothing obeys, progress."""

import io
import re

import numpy as np
import pytest
from made_cells import made, results_of, study
from rich.cells import cell_len
from rich.console import Console

from jgmm import terminal
from jgmm.report.headline import table_of_cells
from jgmm.study import spec

WIDE = """
[mixture]
k = [2, 3]
d = 10
scales = ["equal"]
layout = "simplex"
separation = 12.0
[stream]
n = [1000000, 16777216]
rate = [0.0123456, 0.0123457]
start = 0.5
checkpoints = 1
"""


def headline(**how):
    """The closing table of a study with long numbers."""
    data = [made(cell, seed=index, **how) for index, cell in enumerate(spec.cells(study(WIDE)))]
    return table_of_cells(results_of(study(WIDE), data))


def printed(width, table):
    """A closing table on a terminal of so many columns."""
    console = Console(width=width, file=io.StringIO(), highlight=False)
    terminal.table(console, table.columns, table.rows, dropped=table.dropped, wrapped=table.wrapped)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_a_table_fits_any_terminal_with_its_numbers_whole_or_its_columns_said(width):
    table = headline(error=np.array([0.1, 123.456]))
    said = printed(width, table)
    lines = said.splitlines()
    assert all(cell_len(line) <= width for line in lines if "│" in line or "┃" in line)
    gone = said[said.index("left out") :] if "left out" in said else ""
    if width == 20:
        assert "no table" in said
        return
    body = [[text.strip() for text in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert len(body) == len(table.rows)  # no row is folded into two
    named = [text.strip() for text in next(line for line in lines if "┃" in line).split("┃")[1:-1]]
    told = re.split("; |: |, ", " ".join(gone.split()))
    for index, name in enumerate(table.columns):
        assert (name in named) != (name in told), name
        if name in named:
            assert [row[named.index(name)] for row in body] == [row[index] for row in table.rows]
    assert "error_sq" in named
    assert "kept" in named


def test_columns_that_do_not_vary_go_first():
    said = printed(80, headline())
    assert "1000000" in said
    assert "16777216" in said
    assert "cell, " in said[said.index("left out") :]
    assert "0.0123456" in said


def test_words_break_between_words_and_only_there():
    rows = [("a quantity with a long name", "1234567", "its remark has 12345678 and more words than there is room for")]
    console = Console(width=50, file=io.StringIO())
    terminal.table(console, ("quantity", "value", "remark"), rows, dropped=(), wrapped=("quantity", "remark"))
    said = console.file.getvalue()
    assert all(cell_len(line) <= 50 for line in said.splitlines())
    assert "1234567" in said
    assert "12345678" in said


@pytest.mark.parametrize(
    "text", ["[/]", "[bold]x", "\x1b[31mred", "two\nlines", "\u202egnp.exe", "\udcff", ":smile:\\"]
)
def test_nothing_that_a_path_or_a_reason_holds_is_obeyed(text):
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    terminal.say(console, text)
    said = console.file.getvalue()
    assert said == terminal.clean(text) + "\n"
    said.encode()
    assert not set(said[:-1]) & set("\x1b\n\r\u202e")
    terminal.table(console, ("name",), [(text,)], dropped=())
    assert terminal.clean(text) in console.file.getvalue()


# --- progress ---


def progress(calls, *, every=0.0, **how):
    """What a bar shows that is told these."""
    console = Console(width=100, file=io.StringIO(), color_system=None, **how)
    with terminal.ProgressBar(console, every=every) as bar:
        for call in calls:
            bar(*call)
    return console.file.getvalue()


def test_progress_without_a_terminal_is_a_plain_line_now_and_then():
    calls = [("0 of 2 cells; a n=100", 0, 4_000_000), ("1 of 2 cells; b n=200", 1_000_000, 4_000_000)]
    first, second = progress(calls).splitlines()
    assert re.fullmatch("0 of 2 cells; a n=100: 0 of 4 M samples, 0 M/s, compiling", first)
    assert re.fullmatch(r"1 of 2 cells; b n=200: 1 of 4 M samples, [\d,]+ M/s, \d+ s left", second)
    assert progress(calls, every=1000.0) == ""


def test_progress_on_a_terminal_is_one_bar_that_goes_away():
    shown = progress([("1 of 2 cells; b n=200", 1, 4)], force_terminal=True)
    assert "1 of 2 cells; b n=200" in shown
    assert "samples" not in shown  # there is no room
    assert shown.endswith("\x1b[2K")
