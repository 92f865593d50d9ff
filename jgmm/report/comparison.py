"""The figure of all algorithms and step sizes on the same streams: N times a centre's squared error, over sigma^2 d."""

import math
import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes

from jgmm.report import drawing
from jgmm.report.axes import frame, label_ends, scale_x
from jgmm.report.drawing import COLOURS, MARKERS, SHOWN, Drawn, Picture, Point
from jgmm.report.results import Row
from jgmm.study import expected, pairs, settings
from jgmm.study.cell import Cell
from jgmm.study.read import CellData

PANELS = 4  # mixtures, a panel for each
LEAST = 3  # algorithms and steps on the same streams that are worth a comparison
LISTED = 6  # algorithms and steps in the legend; more are named at their lines' ends,
LABELLED = 24  # up to so many
LIMIT = "Cramér-Rao, two free means"


class Panel(NamedTuple):
    """One mixture and start: its cells, and the points of each algorithm and step."""

    items: list[CellData]
    points: dict[str, list[Point]]

    @property
    def every(self) -> list[Point]:
        """All points."""
        return [point for points in self.points.values() for point in points]


def draw(data: list[CellData], last: dict[str, Row]) -> Drawn:
    """Draw the cells that share their mixture and start. last: each cell's last row of the summary."""
    compared = _compared(data)
    if not compared:
        return None
    shown = drawing.spread(compared, PANELS)
    names_of = [names(items) for items in shown]
    every_name = list(dict.fromkeys(name for each in names_of for name in each))
    listed = drawing.spread(every_name, LABELLED)
    panels = [_panel(items, each, listed) for items, each in zip(shown, names_of, strict=True)]
    if not any(drawing.drawable(points) for panel in panels for points in panel.points.values()):
        every = [point for panel in panels for point in panel.every]
        return f"no figure of the comparison on the same streams: {drawing.why_not_drawable(every)}"
    many = len(listed) > LISTED
    size = (5.0 if many else 4.5, max(4.2, 0.16 * len(listed) + 1.0))
    columns = min(len(panels), 2)
    picture, all_axes = drawing.figure(columns, rows=math.ceil(len(panels) / columns), size=size)
    for axes in all_axes[len(panels) :]:
        axes.remove()
    all_axes = all_axes[: len(panels)]
    differing = [name for name in settings.varying(items[0].cell for items in compared) if name not in ("n", "rate")]
    cells = [item.cell for items in compared for item in items]
    in_title = [name for name in settings.every(cells) if name in ("k", "d", "separation", *differing)]
    centres = [item.cell for items in compared for item in items if expected.of_means(item.cell)]
    told: set[str] = set()
    for axes, panel in zip(all_axes, panels, strict=True):
        told |= _draw_panel(axes, panel, last, named_at_ends=many)
        title = textwrap.fill(settings.words(panel.items[0].cell, in_title), 48)
        axes.set_title(title, fontsize=8)
    for axes in all_axes[::columns]:
        axes.set_ylabel(f"N x squared {'error of a centre' if centres else 'sine of an angle'} / (σ² d)")
    drawing.legend(picture, all_axes)
    lines = [*_about(centres), *([f"dotted: {LIMIT}"] if LIMIT in told else [])]
    note = drawing.note(compared, PANELS, "mixtures") + drawing.note(every_name, LABELLED)
    return Picture(picture, drawing.caption(*lines, told=told, note=note))


def _about(centres: list[Cell]) -> list[str]:
    """What is on the upright axis, and how to read it. centres: the cells whose error is that of centres."""
    one = "error of one centre" if centres else "sine of one angle"
    lines = [f"On the same streams: N times the squared {one} over sigma^2 d"]
    if any(1 < cell.k == cell.estimates for cell in centres):
        lines.append("the labelled oracle of k centres is at k")
    if any(cell.estimates < cell.k for cell in centres):
        lines.append("an EM estimate uses both halves of the samples")
    return lines


def names(items: list[CellData]) -> list[str]:
    """Each cell's algorithm and step; its part too where another part has the same."""
    alone = [pairs.name_of(item.cell) for item in items]
    parts: dict[str, set[str]] = {}
    for name, item in zip(alone, items, strict=True):
        parts.setdefault(name, set()).add(item.cell.part)
    return [
        name if len(parts[name]) < 2 else f"{item.cell.part}: {name}" for name, item in zip(alone, items, strict=True)
    ]


def _compared(data: list[CellData]) -> list[list[CellData]]:
    """The cells of each mixture and start on which there are algorithms and steps enough."""
    groups: dict[tuple, list[CellData]] = {}
    for item in data:
        if not item.cell.start_only:
            groups.setdefault(item.cell.start_fields(), []).append(item)
    return [items for items in groups.values() if len({pairs.name_of(i.cell) for i in items}) >= LEAST]


def _panel(items: list[CellData], names_of_items: list[str], listed: list[str]) -> Panel:
    """The points of those algorithms and steps that are listed."""
    points = {}
    for name in listed:
        own = [item for item, its_name in zip(items, names_of_items, strict=True) if its_name == name]
        own.sort(key=lambda item: item.cell.n)
        points[name] = [
            drawing.measured(item, item.cell.n, quantity="error_sq", scale=_scale(item) / item.cell.matched)
            for item in own
        ]
    return Panel(items, points)


def _scale(item: CellData) -> float:
    """N / (sigma^2 d)."""
    return item.cell.n / (item.cell.scales[0] ** 2 * item.cell.d)


def _draw_panel(axes: Axes, panel: Panel, last: dict[str, Row], *, named_at_ends: bool) -> set[str]:
    """Points, the Cramér-Rao bound and, where there are many, names at the ends; which words of a caption apply."""
    scale_x(axes, [float(item.cell.n) for item in panel.items])
    told: set[str] = set()
    ends = []
    for index, (name, points) in enumerate(panel.points.items()):
        colour = COLOURS[index % SHOWN]
        fmt = MARKERS[index % SHOWN] + ("-" if index % (2 * SHOWN) < SHOWN else "--")
        told |= drawing.dots(axes, points, colour=colour, label=None if named_at_ends else name, fmt=fmt)
        above = [point for point in points if point.mean > 0]
        ends += [(above[-1].mean, name, colour)] if above else []
    free = sorted((item for item in panel.items if item.cell.estimates == item.cell.k), key=lambda item: item.cell.n)
    least = [_scale(item) * (last[item.id]["cramer_rao"] or math.nan) / item.cell.k for item in free]
    if drawing.line(axes, [item.cell.n for item in free], least, label=LIMIT, colour="#444444", style=":"):
        told.add(LIMIT)
    axes.set(yscale="log", xlabel="horizon N")
    frame(axes, panel.every)
    if named_at_ends:
        label_ends(axes, ends)
    return told
