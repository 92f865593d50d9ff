"""Means against an axis of the grid, or against samples, drawn on axes of the caller's in the style of the report."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib import pyplot
from matplotlib.axes import Axes

from jgmm import doors
from jgmm.report import drawing
from jgmm.report.axes import frame, scale_x
from jgmm.report.results import Results, Row
from jgmm.results import outcomes
from jgmm.study import settings, summary
from jgmm.study.read import CellData

SAMPLES = "samples"


class Series(NamedTuple):
    """Cells that differ along the axis of a plot alone, or one cell along its samples."""

    label: str
    points: list[drawing.Point]
    rows: list[Row]


def plot(results: Results, quantity: str, against: str, axes: Axes | None) -> Axes:
    """As `Opened.plot`."""
    outcomes.check(quantity, results.data)
    of_grid = [name for name in settings.varying(item.cell for item in results.data) if _numeric(results, name)]
    doors.choice("against", against, [SAMPLES, *of_grid])
    if axes is not None:
        doors.kind("axes", axes, Axes, "of matplotlib: pyplot.subplots() makes one")
    with drawing.style():
        if axes is None:
            _, axes = pyplot.subplots(figsize=(5.2, 3.8), layout="constrained")
        found = _over_samples(results, quantity) if against == SAMPLES else _along(results, quantity, against)
        _draw(axes, found, quantity, against, shares=outcomes.is_outcome(quantity, results.data[0]))
    return axes


def _numeric(results: Results, axis: str) -> bool:
    """Whether some cells have a number on this axis."""
    return any(isinstance(settings.place(item.cell).get(axis), (int, float)) for item in results.data)


def _along(results: Results, quantity: str, axis: str) -> list[Series]:
    """The cells that have a number on the axis, joined where they agree on all others (and on what moves with it)."""
    items = [item for item in results.data if isinstance(settings.place(item.cell).get(axis), (int, float))]
    last = {row["cell"]: row for row in results.final()}
    moving = {axis, *_walked_with(results, axis)}
    groups: dict[tuple, list[CellData]] = {}
    for item in items:
        place = settings.place(item.cell)
        fixed = tuple((name, value) for name, value in place.items() if name not in moving)
        groups.setdefault((item.cell.part, fixed), []).append(item)
    names = [name for name in settings.varying(item.cell for item in items) if name not in moving]
    found = []
    for group in groups.values():
        group = sorted(group, key=lambda item: settings.place(item.cell)[axis])
        points = [_point(item, settings.place(item.cell)[axis], quantity) for item in group]
        found.append(Series(_label(group[0], names, items), points, [last[item.id] for item in group]))
    return found


def _walked_with(results: Results, axis: str) -> list[str]:
    """The axes that a part walks together with this one."""
    return [name for part in results.study.part if axis in part.together for name in part.together if name != axis]


def _over_samples(results: Results, quantity: str) -> list[Series]:
    """Every cell that records more than its start."""
    rows: dict[str, list[Row]] = {}
    for row in results.summary:
        rows.setdefault(row["cell"], []).append(row)
    items = [item for item in results.data if len(item.samples) > 1] or results.data
    names = settings.varying(item.cell for item in items)
    return [
        Series(
            _label(item, names, items),
            [_point(item, x, quantity, i) for i, x in enumerate(item.samples)],
            rows[item.id],
        )
        for item in items
    ]


def _point(item: CellData, x: float, quantity: str, index: int = -1) -> drawing.Point:
    """The mean over good runs, or of an outcome the share of all runs, at x."""
    if not outcomes.is_outcome(quantity, item):
        return drawing.measured(item, x, index=index, quantity=quantity)
    values = outcomes.values(item, quantity, index)
    share = summary.proportion(values == 1)
    return drawing.Point(float(x), share.value, share.low, share.high, len(values))


def _label(item: CellData, names: Sequence[str], items: Sequence[CellData]) -> str:
    """What a series differs in from the others: its part where there are several, and its values on these axes."""
    parts = [item.cell.part] if len({other.cell.part for other in items}) > 1 else []
    return " ".join([*parts, settings.words(item.cell, names)]).strip() or item.cell.part


def _draw(axes: Axes, found: list[Series], quantity: str, against: str, *, shares: bool) -> None:
    """Dots with intervals, laws and bounds where the quantity has them, and a legend that says what is left out.

    shares: whether they are shares, between 0 and 1.
    """
    labelled: set[str] = set()
    shown = drawing.spread(found)
    for series, colour, marker in zip(shown, drawing.COLOURS, drawing.MARKERS, strict=False):
        if shares:
            _bars(axes, series, colour, marker)
        else:
            drawing.dots(axes, series.points, colour=colour, label=series.label, fmt=f"{marker}-")
        if quantity == "error_sq":
            xs = [point.x for point in series.points]
            drawing.theory_lines(axes, xs, series.rows, colour=colour, labelled=labelled)
    every = [point for series in shown for point in series.points]
    scale_x(axes, [point.x for point in every])
    name = drawing.AXES.get(against, settings.heading(against) if against != SAMPLES else SAMPLES)
    if shares:
        axes.set(ylim=(-0.03, 1.03), xlabel=name, ylabel=f"share of runs: {quantity}")
    else:
        axes.set(yscale="log", xlabel=name, ylabel=_words(quantity))
        frame(axes, every)
    few = f"{len(shown)} of {len(found)} settings" if len(shown) < len(found) else None
    axes.legend(fontsize=drawing.SMALL, title=few, title_fontsize=drawing.SMALL)


def _bars(axes: Axes, series: Series, colour: str, marker: str) -> None:
    """Shares with their intervals, on an axis that has a 0."""
    xs, shares = [point.x for point in series.points], [point.mean for point in series.points]
    reach = [[max(p.mean - p.low, 0) for p in series.points], [max(p.high - p.mean, 0) for p in series.points]]
    axes.errorbar(xs, shares, reach, color=colour, fmt=f"{marker}-", ms=4, lw=0.9, label=series.label)


def _words(quantity: str) -> str:
    """The name of a quantity beside an axis."""
    return drawing.SUMMED if quantity == "error_sq" else quantity
