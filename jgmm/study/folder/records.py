"""Records beside the results: looks, the back ends of runs, and the names of our figures.

The level of a verdict depends on the number of looks, so a damaged file of looks is refused. Damaged lines about back
ends are left out, with a sentence that says so.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from jgmm.study.folder import files, seal

BACK_ENDS = ("cell", "low", "high", "device", "back_end", "reason", "seeding_back_end", "seeding_reason")
CHECK = "check"  # the last column: the beginning of a digest of the others
WRITTEN = ".written"  # the file that lists our figures, beside them
FIGURE_NAME = re.compile(r"[^./\\][^/\\]*\.(png|svg|json)")


def looks(folder: Path) -> list[dict]:
    """The looks so far, oldest first. Raises ValueError if the file is damaged."""
    path = folder / "looks.json"
    if files.kind(path) is None:
        return []
    try:
        entries = json.loads(files.read_text(path))
    except (OSError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): {_LOOKS_LOST}") from None
    if not isinstance(entries, list) or not all(isinstance(look, dict) for look in entries):
        raise ValueError(f"{path} is damaged (it is no list of looks): {_LOOKS_LOST}")
    for i, look in enumerate(entries):
        if look.get("sha256") != seal.record(look, entries[:i]) or not isinstance(look.get("runs"), int):
            raise ValueError(f"{path} is damaged (look {i + 1} is not as it was written): {_LOOKS_LOST}")
    return entries


_LOOKS_LOST = "expected the looks as jgmm wrote them; without the file they are counted from 1 again"


def record_look(folder: Path, look: dict) -> None:
    """Add a look. It replaces the last one if that is the `same`: looking twice at the same data is one look."""
    past = looks(folder)
    if past and same(past[-1], look):
        past.pop()
    sealed = {**look, "sha256": seal.record(look, past)}
    files.write_text(folder / "looks.json", json.dumps([*past, sealed], indent=1))


def same(first: Mapping, then: Mapping) -> bool:
    """Whether two looks are at the same number of runs with the same claims; earlier versions kept no claims."""
    claims = [look["claims"] for look in (first, then) if "claims" in look]
    return first["runs"] == then["runs"] and (len(claims) < 2 or claims[0] == claims[1])


def record_back_ends(folder: Path, receipts: Iterable) -> None:
    """Add the back ends that receipts (`job.Receipt`) name."""
    new = []
    for name, low, high, (device, *choices) in receipts:
        words = [word for choice in choices for word in ((choice.name, choice.reason) if choice else ("", ""))]
        new.append(dict(zip(BACK_ENDS, (name, str(low), str(high), device, *words), strict=True)))
    add_back_ends(folder, new)


def add_back_ends(folder: Path, new: Iterable[dict[str, str]]) -> None:
    """Add lines, as `back_ends` gives them, and join lines of adjoining runs with the same back ends.

    A file with damaged lines is set aside first.
    """
    path = folder / "backends.csv"
    rows, ignored = back_ends(folder)
    if ignored:
        files.set_aside(path)
    rows += new
    merged: list[dict[str, str]] = []
    for row in sorted(rows, key=lambda row: (row["cell"], int(row["low"]))):
        last = merged[-1] if merged else {}
        if last == {**row, "low": last.get("low"), "high": row["low"]}:
            merged[-1] = {**last, "high": row["high"]}
        else:
            merged.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, (*BACK_ENDS, CHECK), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, CHECK: _check(row)} for row in merged)
    files.write_text(path, text.getvalue(), durable=False)


def back_ends(folder: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The lines of backends.csv that are as they were written, and a sentence about the others."""
    path = folder / "backends.csv"
    if files.kind(path) is None:
        return [], []
    try:
        lines = list(csv.DictReader(io.StringIO(files.read_text(path), newline=""), strict=True))
    except (OSError, ValueError, csv.Error) as error:
        return [], [f"backends.csv is ignored: {error}"]
    rows = [row for row in lines if set(row) == {*BACK_ENDS, CHECK} and row[CHECK] == _check(row)]
    lost = len(lines) - len(rows)
    ignored = [f"{path} is damaged: {lost} of its {len(lines)} lines are ignored"] if lost or not lines else []
    return [{key: row[key] for key in BACK_ENDS} for row in rows], ignored


def _check(row: dict[str, str]) -> str:
    """The value of a line's last column."""
    return hashlib.sha256("\0".join(str(row[key]) for key in BACK_ENDS).encode()).hexdigest()[:12]


def write_figure(path: Path, draw: Callable[[BinaryIO], object]) -> None:
    """Write a figure. Its name is first listed as ours, since `--fresh` removes the listed files and no others."""
    listed = figures(path.parent)
    if path.name not in listed:
        files.write_text(path.parent / WRITTEN, "".join(f"{name}\n" for name in [*listed, path.name]), durable=False)
    files.write(path, draw, durable=False)


def figures(folder: Path) -> list[str]:
    """The names of our figures in a folder."""
    try:
        names = files.read_text(folder / WRITTEN).splitlines()
    except (OSError, ValueError):  # without a readable list no figure counts as ours
        return []
    return [name for name in names if FIGURE_NAME.fullmatch(name)]
