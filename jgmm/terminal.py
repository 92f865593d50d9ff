"""Words and tables for a terminal of any width: no number is cut, and nothing that a terminal would obey gets there."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

BESIDE = 3  # columns of a terminal that a table's column takes beside its text: a blank on each side and a line


def clean(text: object) -> str:
    """The text with all that is not printed (control characters, overrides of direction, halves of pairs) written out.

    File names and what others' files hold may have them: an escape sequence would recolour a terminal or retitle it, a
    newline would make two lines of one, and half of a pair is no UTF-8.
    """
    return "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else ascii(character)[1:-1]
        for character in str(text)
    )


def table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    dropped: Sequence[str],
    wrapped: Sequence[str] = (),
    left: Sequence[str] = (),
    elsewhere: str = "",
) -> None:
    """Print a table that fits: columns that do not are left out in the order of `dropped`, and said below it.

    Only `wrapped` columns break, between words; `left` are aligned so, and the first. Where even what is never dropped
    is too wide there is no table, and a line says so. elsewhere: where the whole of it is.
    """
    texts = [[clean(value) for value in row] for row in rows]
    full = {name: max(map(cell_len, (name, *(row[i] for row in texts)))) for i, name in enumerate(columns)}
    least = dict(full)
    for i, name in enumerate(columns):
        if name in wrapped:
            words = [word for text in (name, *(row[i] for row in texts)) for word in text.split()]
            least[name] = max(map(cell_len, words), default=1)
    kept = list(columns)
    gone = []
    for name in dropped:
        if _width(kept, least) <= console.width:
            break
        if name in kept:
            kept.remove(name)
            gone.append(name)
    where = f"; {elsewhere}" if elsewhere else ""
    if _width(kept, least) > console.width:
        told = f"no table: {', '.join(kept)} do not fit into {console.width} columns{where}"
        console.print(Text(told))
        return
    width = {name: full[name] for name in kept}
    while _width(kept, width) > console.width:
        widest = max((name for name in kept if width[name] > least[name]), key=lambda name: width[name])
        width[widest] -= 1
    made = Table()
    for i, name in enumerate(kept):
        side: Literal["left", "right"] = "left" if i == 0 or name in left else "right"
        made.add_column(Text(name), justify=side, width=width[name], no_wrap=name not in wrapped)
    for row in texts:
        made.add_row(*(Text(row[columns.index(name)]) for name in kept))
    console.print(made)
    if gone:
        console.print(Text(f"left out, {console.width} columns being too few: {', '.join(gone)}{where}"))


def _width(names: Sequence[str], widths: dict[str, int]) -> int:
    return 1 + sum(widths[name] + BESIDE for name in names)
