"""What every figure is made of: a style of our own, measured points with their intervals, lines, and a caption.

A point over fewer than FEW good runs is open, and an error of exactly 0 stands on the lower edge. Functions that draw
return the words for what they drew, so that a caption promises nothing else.
"""

import contextlib
import json
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from jgmm.report import live
from jgmm.report.results import Row
from jgmm.study import expected, heavy, quantities, summary
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

SHOWN = len(COLOURS)  # settings in one figure

# What the marks and lines of a figure mean, in its caption and legend.
OPEN = f"open: fewer than {summary.FEW} good runs"
ZERO = "triangles on the lower edge: errors of exactly 0"
ABSENT = "settings without a good run are not drawn"
BARS = "bars: 95 % intervals, where there are runs enough for one"
LAW = "law"
FIRST_ORDER = "first-order law"
BOUND = "bound (constants and a = 1)"
CLAIMED = "claimed bound (constants = 1)"  # of a claim of a spec's own
ORACLE = "labelled oracle"
MEAN = "mean of all samples"  # the oracle of one component, which has no labels

AXES = {  # what an axis of a spec is called on a figure, where that is more than its name
    "n": "horizon N",
    "separation": "separation C",
    "start": "start offset / sigma",
    "seeding.block": "block B",
    "seeding.graph_points": "graph points k0",
    "seeding.n": "seeding samples N0",
}
ERROR = "squared error"
SUMMED = f"{ERROR}, sum over centres"
ANGLES = "sum of squared sines of angles"  # between spans

T = TypeVar("T")


class Picture(NamedTuple):
    """A figure and its caption."""

    figure: Figure
    caption: str


Drawn = Picture | str | None  # a picture; why there is none; or nothing, where none was to be expected


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
        picture = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = picture.subplots(rows, columns, squeeze=False)
    return picture, list(axes.flat)


def legend(picture: Figure, panels: Sequence[Axes]) -> None:
    """One legend below the panels, as wide as the figure at most; the figure grows by it."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if not handles:
        return
    width, height = picture.get_size_inches()
    letters = int(width * 72 / (SMALL * LETTER)) - 10
    handles = dict(sorted(handles.items(), key=lambda entry: entry[1].get_marker() == "None"))  # points before lines
    texts = [textwrap.fill(formulas(label), max(letters, 10)) for label in handles]
    widest = max(len(text) for label in texts for text in label.splitlines()) + 8
    columns = max(min(letters // widest, 4, len(texts)), 1)
    lines = sum(max(text.count("\n") + 1 for text in texts[i : i + columns]) for i in range(0, len(texts), columns))
    picture.set_size_inches(width, height + 0.15 * lines + 0.1)
    picture.legend(handles.values(), texts, fontsize=SMALL, frameon=False, loc="outside lower center", ncols=columns)


def formulas(label: str) -> str:
    """A label with the formulas of a spec in it, "3*k*log(3*n)/n", as a figure shows them."""
    return label.replace("**", "^").replace("*", "·")


def save(picture: Figure, path: Path) -> Path:
    """Write the figure as PNG, and beside it as SVG, as the numbers that its panels show (see `live`), and narrow."""
    with style():
        records.write_figure(path, lambda file: picture.savefig(file, format="png"))
        panels = json.dumps(live.panels(picture))
        records.write_figure(path.with_suffix(".json"), lambda file: file.write(panels.encode()))
        _save_svg(picture, path.with_suffix(".svg"))
        if _in_one_column(picture):
            picture.draw_without_rendering()
            _save_svg(picture, path.with_suffix(".narrow.svg"))
    return path


def _save_svg(picture: Figure, path: Path) -> None:
    picture.set_layout_engine("none")  # the layout is found, and would take half of the time again
    records.write_figure(path, lambda file: picture.savefig(file, format="svg", metadata={"Date": None}))


def _in_one_column(picture: Figure) -> bool:
    """Put the panels that stand side by side below each other, for a narrow screen; whether there are any."""
    specs = {axes: axes.get_subplotspec() for axes in picture.axes}
    panels = [axes for axes, spec in specs.items() if spec is not None]
    grids = {spec.get_gridspec() for spec in specs.values() if spec is not None}
    columns, rows = (max((getattr(grid, name) for grid in grids), default=1) for name in ("ncols", "nrows"))
    if len(grids) != 1 or columns == 1 or len(panels) == 1:
        return False
    had_legend = bool(picture.legends)
    for old in list(picture.legends):
        old.remove()
    width, height = picture.get_size_inches()
    picture.set_size_inches(width / columns, height * len(panels) / rows)
    column = GridSpec(len(panels), 1, figure=picture)
    for i, axes in enumerate(panels):
        axes.set_subplotspec(column[i])
    picture.set_layout_engine("constrained")
    if had_legend:
        legend(picture, panels)
    return True


def spread(items: list[T], count: int = SHOWN) -> list[T]:
    """At most `count` of the items, evenly, the first and last included."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def note(items: list, count: int = SHOWN, what: str = "settings") -> str:
    """A note for the caption where `spread` leaves some out."""
    return f" ({count} of {len(items)} {what} shown, all are in summary.csv)" if len(items) > count else ""


def measured(item: CellData, x: float, *, index: int = -1, quantity: str | None = None, scale: float = 1.0) -> Point:
    """The mean over a cell's good runs, at a checkpoint. quantity: by default what the cell's figures are about."""
    values = quantities.values(item, quantity, index)[item.ok]
    if not len(values):
        return Point(float(x), math.nan, math.nan, math.nan, 0)
    known = not heavy.without_variance(item.cell, quantity or item.cell.quantity)
    ends = summary.limits(values) if known else (None, None)
    low, high = (math.nan if limit is None else limit * scale for limit in ends)
    return Point(float(x), float(values.mean()) * scale, low, high, len(values))


def heading(items: Iterable[CellData]) -> str:
    """What the upright axis of a figure of these cells shows."""
    return " or ".join(dict.fromkeys(_quantity(item) for item in items))


def _quantity(item: CellData) -> str:
    """What a cell's figures are about."""
    if item.cell.quantity != quantities.DEFAULT:
        return item.cell.quantity
    if not expected.of_means(item.cell):
        return ANGLES
    return SUMMED if item.cell.matched > 1 else ERROR


def drawable(points: Iterable[Point]) -> bool:
    """Whether a logarithmic axis can show one of them."""
    return any(math.isfinite(p.mean) and p.mean > 0 for p in points)


def why_not_drawable(points: Iterable[Point]) -> str:
    """Why a logarithmic axis has nothing to show of these."""
    if any(point.mean == 0 for point in points):
        return "every mean error is exactly 0 or has no good run"
    return "no cell has a good run"


def dots(axes: Axes, points: Sequence[Point], *, colour: str, label: str | None, fmt: str = "o") -> set[str]:
    """Draw measured points on a logarithmic axis; which of the words above apply."""
    finite = [p for p in points if math.isfinite(p.mean)]
    told = {ABSENT} if len(finite) < len(points) else set()
    above = [p for p in finite if p.mean > 0]
    marker, joined = fmt[0], fmt[1:]
    if joined and len(above) > 1:
        axes.plot([p.x for p in above], [p.mean for p in above], joined, color=colour, lw=0.9)
    for few in (False, True):
        points_of_kind = [p for p in above if (p.runs < summary.FEW) == few]
        if not points_of_kind:
            continue
        told |= _bars(axes, points_of_kind, colour)
        xs, means = [p.x for p in points_of_kind], [p.mean for p in points_of_kind]
        axes.plot(xs, means, marker, ms=4, color=colour, mfc="none" if few else colour)
        told |= {OPEN} if few else set()
    zeros = [p.x for p in finite if p.mean <= 0]
    if zeros:
        edge = axes.get_xaxis_transform()
        axes.plot(zeros, [0.015] * len(zeros), "v", ms=6, color=colour, mfc="none", transform=edge, clip_on=False)
        told.add(ZERO)
    if label is not None and finite:
        axes.plot([], [], fmt, ms=4, lw=0.9, color=colour, label=label)
    return told


def _bars(axes: Axes, points: list[Point], colour: str) -> set[str]:
    """Draw the intervals that there are."""
    known = [p for p in points if math.isfinite(p.low) and math.isfinite(p.high)]
    if not known:
        return set()
    below = [max(p.mean - p.low, 0.0) for p in known]
    over = [max(p.high - p.mean, 0.0) for p in known]
    xs, means = [p.x for p in known], [p.mean for p in known]
    axes.errorbar(xs, means, [below, over], fmt="none", lw=0.9, capsize=2, ecolor=colour)
    return {BARS}


def line(
    axes: Axes, xs: Iterable[float], ys: Iterable[float | None], *, label: str | None, colour: str, style: Any = "-"
) -> bool:
    """A law or a bound where it is known and above 0: a line, or a dash at one x. Whether there is one."""
    known = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None and math.isfinite(y) and y > 0]
    if not known:
        return False
    if len(known) == 1:
        axes.plot(*zip(*known, strict=True), "_", ms=16, mew=1.3, color=colour)
    else:
        axes.plot(*zip(*known, strict=True), ls=style, color=colour, lw=1.3)
    if label is not None:
        axes.plot([], [], ls=style, color=colour, lw=1.3, label=label)
    return True


def theory_lines(axes: Axes, xs: Iterable[float], rows: Sequence[Row], *, colour: str, labelled: set[str]) -> set[str]:
    """The laws (exact, and to first order), the bound and the labelled oracle, of the rows of one curve.

    labelled: the lines that have an entry in the legend, to which those that get one now are added; it is returned.
    """
    if any(row["quantity"] != quantities.DEFAULT for row in rows):  # a claim's bound is of its own quantity
        rows = [{**row, "law_error_sq": None, "oracle_error_sq": None} for row in rows]
    laws = [row["law_error_sq"] for row in rows]
    exact = all(row["law_exact"] is not False for row in rows)  # one line: a law that is exact here and there breaks it
    lines = (
        (LAW, laws, "-") if exact else (FIRST_ORDER, laws, (0, (6, 1.5, 1, 1.5))),
        (BOUND if rows[0]["theorem"].isdigit() else CLAIMED, [row["bound_error_sq"] for row in rows], ":"),
        (ORACLE if rows[0]["k"] > 1 else MEAN, [row["oracle_error_sq"] for row in rows], "--"),
    )
    for name, ys, kind in lines:
        if line(axes, xs, ys, label=None if name in labelled else name, colour=colour, style=kind):
            labelled.add(name)
    return labelled


def caption(*parts: str, told: Iterable[str], note: str = "") -> str:
    """What a figure shows; then the lines that it has, and its marks."""
    have = set(told)
    lines = [name for name in (LAW, FIRST_ORDER, BOUND, CLAIMED, ORACLE, MEAN) if name in have]
    marks = [mark for mark in (BARS, OPEN, ZERO, ABSENT) if mark in have]
    words = [*parts, *([f"lines: {', '.join(lines)}"] if lines else []), *marks]
    return "; ".join(words) + f"{note}."
