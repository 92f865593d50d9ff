"""What every figure is made of: a style of our own, measured points with their intervals, lines, ticks, legends, names.

A point over fewer than FEW good runs is open, an error of exactly 0 stands on the lower edge, and what was drawn is
told to the caption, which promises nothing else.
"""

import contextlib
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jgmm.study import settings
from jgmm.study import summary as analysis
from jgmm.study.folder import records
from jgmm.study.read import CellData

# Okabe and Ito 2008: told apart by colour-blind readers; markers tell them apart in black and white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX"
STYLE: dict[Any, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=COLOURS),
    "svg.hashsalt": "jgmm",  # the same figure gives the same file
}
SMALL = 7.5  # points: the text of legends
LETTER = 0.62  # the width of a letter over its height, on the large side
FIGURES = ("floor", "phase", "samples")  # of a part, beside those along an axis

OPEN, ZERO, ABSENT, BARS, LAW, FIRST_ORDER, BOUND, ORACLE = (
    f"open: fewer than {analysis.FEW} good runs",
    "triangles on the lower edge: errors of exactly 0",
    "settings without a good run are not drawn",
    "bars: 95 % intervals, where there are runs enough for one",
    "law",
    "law, first order",
    "bound, constants 1",
    "labelled oracle",
)


class Point(NamedTuple):
    """A mean at x, its 95 % limits (nan where there are none), and the good runs behind it."""

    x: float
    mean: float
    low: float
    high: float
    runs: int


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib's own defaults and STYLE, whatever a matplotlibrc or the caller has set."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def figure(columns: int = 1, *, rows: int = 1, size: tuple[float, float] = (5.2, 3.8)) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, independent of pyplot and of the user's settings."""
    with style():
        made = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)


def save(made: Figure, path: Path) -> Path:
    """Write the figure as PNG, and as SVG beside it."""
    with style():
        records.write_figure(path, lambda file: made.savefig(file, format="png"))
        made.set_layout_engine("none")  # which has been found, and takes half of the time
        records.write_figure(path.with_suffix(".svg"), lambda file: _save_svg(made, file))
    return path


def _save_svg(made: Figure, file: BinaryIO) -> None:
    made.savefig(file, format="svg", metadata={"Date": None})


def names(parts: Iterable[str]) -> dict[tuple[str, str], str]:
    """A file name for each part's figure along each axis, and for its others: no two are one, on no disk.

    part-axis, as always; where that is another's ("a" along seeding.n and "a-seeding" along n; "A" and "a" where a
    disk takes these for one) a number follows. It depends on the names of the study's parts alone.
    """
    taken = {"comparison"}
    found = {}
    for part in parts:
        for what in (*settings.HEADINGS, *FIGURES):
            stem = f"{part}-{what.replace('.', '-')}"[:200]
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
            found[part, what] = name
    return found


def measured(item: CellData, x: float, *, index: int = -1, quantity: str = "error_sq", scale: float = 1.0) -> Point:
    """The mean over a cell's good runs, at a checkpoint."""
    values = item.values[quantity][item.ok, index].astype(float)
    if not len(values):
        return Point(float(x), math.nan, math.nan, math.nan, 0)
    low, high = (math.nan if limit is None else limit * scale for limit in analysis.limits(values))
    return Point(float(x), float(values.mean()) * scale, low, high, len(values))


def drawable(points: Iterable[Point]) -> bool:
    """Whether a logarithmic axis can show one of them."""
    return any(math.isfinite(p.mean) and p.mean > 0 for p in points)


def dots(axes: Axes, points: Sequence[Point], *, colour: str, label: str | None, fmt: str = "o") -> set[str]:
    """Draw measured points on a logarithmic axis; which of the words above apply."""
    seen = [p for p in points if math.isfinite(p.mean)]
    told = {ABSENT} if len(seen) < len(points) else set()
    above = [p for p in seen if p.mean > 0]
    marker, joined = fmt[0], fmt[1:]
    if joined and len(above) > 1:
        axes.plot([p.x for p in above], [p.mean for p in above], joined, color=colour, lw=0.9)
    for few in (False, True):
        mine = [p for p in above if (p.runs < analysis.FEW) == few]
        if not mine:
            continue
        known = [p for p in mine if math.isfinite(p.low) and math.isfinite(p.high)]
        if known:
            below = [max(p.mean - p.low, 0.0) for p in known]
            over = [max(p.high - p.mean, 0.0) for p in known]
            axes.errorbar(
                [p.x for p in known],
                [p.mean for p in known],
                [below, over],
                fmt="none",
                lw=0.9,
                capsize=2,
                ecolor=colour,
            )
            told.add(BARS)
        face = "none" if few else colour
        axes.plot([p.x for p in mine], [p.mean for p in mine], marker, ms=4, color=colour, mfc=face)
        told |= {OPEN} if few else set()
    zeros = [p.x for p in seen if p.mean == 0]
    if zeros:
        edge = axes.get_xaxis_transform()
        axes.plot(zeros, [0.015] * len(zeros), "v", ms=6, color=colour, mfc="none", transform=edge, clip_on=False)
        told.add(ZERO)
    if label is not None and seen:
        axes.plot([], [], fmt, ms=4, lw=0.9, color=colour, label=label)
    return told


def line(
    axes: Axes, xs: Iterable[float], ys: Iterable[float | None], *, label: str | None, colour: str, style: Any = "-"
) -> bool:
    """A law or a bound where it is known and above 0: a line, or a dash at one x. Whether there is one."""
    pairs = zip(xs, ys, strict=True)
    known = [(x, y) for x, y in pairs if y is not None and math.isfinite(y) and y > 0]
    if not known:
        return False
    if len(known) == 1:
        axes.plot(*zip(*known, strict=True), "_", ms=16, mew=1.3, color=colour)
    else:
        axes.plot(*zip(*known, strict=True), ls=style, color=colour, lw=1.3)
    if label is not None:
        axes.plot([], [], ls=style, color=colour, lw=1.3, label=label)
    return True


def beside(axes: Axes, xs: Sequence[float], rows: Sequence[dict], *, colour: str, labels: set[str]) -> set[str]:
    """The laws (exact, and to first order), the bound and the labelled oracle; each has a legend once."""
    exact = [row["law_error_sq"] if row["law_exact"] else None for row in rows]
    rough = [None if row["law_exact"] else row["law_error_sq"] for row in rows]
    lines = (
        (LAW, exact, "-"),
        (FIRST_ORDER, rough, (0, (6, 1.5, 1, 1.5))),
        (BOUND, [row["bound_error_sq"] for row in rows], ":"),
        (ORACLE, [row["oracle_error_sq"] for row in rows], "--"),
    )
    for name, ys, kind in lines:
        if line(axes, xs, ys, label=None if name in labels else name, colour=colour, style=kind):
            labels.add(name)
    return labels


def frame(axes: Axes, points: Iterable[Point]) -> None:
    """Limits of a logarithmic axis from what is drawn: an interval that reaches far down ends at the edge."""
    drawn = [artist for artist in axes.get_lines() if artist.get_transform() == axes.transData]
    ys = np.concatenate([np.zeros(0), *(np.asarray(artist.get_ydata(), float) for artist in drawn)])
    tops = [p.high for p in points if math.isfinite(p.high) and p.mean > 0]
    ys = np.array([*ys[np.isfinite(ys) & (ys > 0)], *(top for top in tops if top < 100 * np.max(ys, initial=0))])
    if len(ys):
        axes.set_ylim(ys.min() / 1.6, ys.max() * 1.6)


def scale_x(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis with a tick at each size that has room; a 0 among them has its place on the left."""
    sizes = sorted(set(values))
    above = [value for value in sizes if value > 0]
    if not above:
        axes.set_xscale("linear")
        axes.set_xticks(sizes, [f"{value:g}" for value in sizes])
        return
    decades = math.log10(above[-1] / above[0])
    if sizes[0] <= 0:
        axes.set_xscale("symlog", linthresh=above[0], linscale=max(decades, 0.3) / 2)
    else:
        axes.set_xscale("log")
    if sizes[0] > 0 and decades > 3 and len(sizes) > 8:
        return  # the powers of ten
    places = axes.transScale.transform([(value, 1.0) for value in sizes])[:, 0]
    points = 0.9 * axes.bbox.width * 72 / STYLE["figure.dpi"]  # of the panel, before its labels take some
    room = max(places[-1] - places[0], 1e-9) * 1.1
    kept: list[int] = []
    for i in (0, len(sizes) - 1, *range(1, len(sizes) - 1)):
        apart = (abs(places[i] - places[j]) / room * points for j in kept)
        widths = ((len(f"{sizes[i]:g}") + len(f"{sizes[j]:g}")) / 2 + 1 for j in kept)
        if all(gap > width * LETTER * STYLE["font.size"] for gap, width in zip(apart, widths, strict=True)):
            kept.append(i)
    kept.sort()
    axes.set_xticks([sizes[i] for i in kept], [f"{sizes[i]:g}" for i in kept])
    axes.set_xticks([], minor=True)


def legend(made: Figure, panels: Sequence[Axes]) -> None:
    """One legend below the panels, as wide as the figure at most; the figure grows by it."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if not handles:
        return
    width, height = made.get_size_inches()
    letters = int(width * 72 / (SMALL * LETTER)) - 10
    texts = [textwrap.fill(label, max(letters, 10)) for label in handles]
    widest = max(len(text) for label in texts for text in label.splitlines()) + 8
    columns = max(min(letters // widest, 4, len(texts)), 1)
    lines = sum(max(text.count("\n") + 1 for text in texts[i : i + columns]) for i in range(0, len(texts), columns))
    made.set_size_inches(width, height + 0.15 * lines + 0.1)
    made.legend(handles.values(), texts, fontsize=SMALL, frameon=False, loc="outside lower center", ncols=columns)


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write each line's name beside its end (y, name, colour), moved apart so that all can be read. After `frame`."""
    height = 0.9 * axes.bbox.height * 72 / STYLE["figure.dpi"]  # of the panel, in points
    step = 1.25 * SMALL / height
    order = sorted(ends)
    places = [float(axes.transAxes.inverted().transform(axes.transData.transform((1.0, y)))[1]) for y, _, _ in order]
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + step) if moved else place)
    over = max(moved[-1] - 1.0, 0.0) if moved else 0.0
    for i in range(len(moved) - 1, -1, -1):
        limit = 1.0 if i == len(moved) - 1 else moved[i + 1] - step
        moved[i] = min(moved[i], limit) if over else moved[i]
    edge = axes.transAxes
    for (_, name, colour), start, end in zip(order, places, moved, strict=True):
        axes.plot([1.0, 1.03], [start, end], "-", lw=0.5, color=colour, transform=edge, clip_on=False, in_layout=False)
        axes.text(1.04, end, name, fontsize=SMALL, color=colour, transform=edge, va="center")


def caption(*parts: str, told: Iterable[str], note: str = "") -> str:
    """What a figure shows; then the lines that it has, and its marks."""
    have = set(told)
    lines = [name for name in (LAW, FIRST_ORDER, BOUND, ORACLE) if name in have]
    marks = [mark for mark in (BARS, OPEN, ZERO, ABSENT) if mark in have]
    words = [*parts, *([f"lines: {', '.join(lines)}"] if lines else []), *marks]
    return "; ".join(words) + f"{note}."
