"""The numbers that a figure's panels show, for the page's script and for words about the figure.

They are read off the finished figure: its lines, the bars of its points, and the names in its legends.
"""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Panel = dict[str, Any]  # title, x and y (names), x_log and y_log, lines (see `_line`) and bars (x, low, high, colour)


def panels(picture: Figure) -> list[Panel]:
    """Every panel of two axes that has lines of numbers; pictures and maps have none."""
    return [panel for axes in picture.axes if axes.name == "rectilinear" and (panel := _panel(axes))["lines"]]


def _panel(axes: Axes) -> Panel:
    caps = {cap for container in axes.containers for cap in getattr(container, "lines", [()] * 2)[1]}
    own = [line for line in axes.get_lines() if line not in caps and line.get_transform() == axes.transData]
    names = {_look(line): str(line.get_label()) for line in own if not str(line.get_label()).startswith("_")}
    bars = [bar for drawn in axes.collections if isinstance(drawn, LineCollection) for bar in _bars(drawn)]
    return {
        "title": axes.get_title(),
        "x": axes.get_xlabel(),
        "y": axes.get_ylabel(),
        "x_log": axes.get_xscale() == "log",
        "y_log": axes.get_yscale() == "log",
        "lines": [_line(line, names) for line in own if np.size(line.get_xdata())],
        "bars": bars,
    }


def _look(line: Line2D) -> tuple[str, str, str]:
    """How a line looks: those of one look share a name in the legend."""
    return str(line.get_color()), str(line.get_marker()), str(line.get_linestyle())


def _line(line: Line2D, names: dict[tuple[str, str, str], str]) -> Panel:
    """A line's name, colour, whether it has marks and is joined, dashed, and its points."""
    colour, marker, style = _look(line)
    of_style = next((name for look, name in names.items() if look[1:] == (marker, style) and marker == "None"), "")
    of_marker = next((name for look, name in names.items() if look[:2] == (colour, marker) and marker != "None"), "")
    xs, ys = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return {
        "name": names.get((colour, marker, style), of_marker or of_style),
        "colour": colour,
        "marks": marker != "None",
        "joined": style != "None",
        "dashed": style not in ("-", "None"),
        "points": points,
    }


def _bars(drawn: LineCollection) -> list[tuple[float, float, float, str]]:
    """The bars of points: x, low, high, colour."""
    colours = [to_hex(rgba) for rgba in np.asarray(drawn.get_colors())]
    ends = [[(float(x), float(y)) for x, y in segment] for segment in drawn.get_segments()]
    return [
        (segment[0][0], segment[0][1], segment[-1][1], colours[i % len(colours)])
        for i, segment in enumerate(ends)
        if segment[0][0] == segment[-1][0] and all(math.isfinite(y) for _, y in segment)
    ]


def words(shown: list[Panel]) -> str:
    """What is seen: where each named row of points begins and ends, four rows of a panel at most."""
    sentences = []
    for panel in shown:
        rows = [line for line in panel["lines"] if line["marks"] and line["name"] and line["points"]][:4]
        ends = [_ends(line["name"], sorted(line["points"]), panel["x"]) for line in rows]
        sentences += [f"{panel['title']}: {'; '.join(ends)}."] if ends else []
    return " ".join(sentences)


def _ends(name: str, points: list[tuple[float, float]], axis: str) -> str:
    (x, y), (last_x, last_y) = points[0], points[-1]
    if len(points) == 1:
        return f"{name}, {y:.3g} at {axis} {x:g}"
    return f"{name}, from {y:.3g} at {axis} {x:g} to {last_y:.3g} at {last_x:g}"
