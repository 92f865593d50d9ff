"""Room on a figure: limits, ticks, a legend and names at the ends of lines that can all be read."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jgmm.report.drawing import SMALL, STYLE, Point

LETTER = 0.62  # the width of a letter over its height, on the large side


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


def legend(picture: Figure, panels: Sequence[Axes]) -> None:
    """One legend below the panels, as wide as the figure at most; the figure grows by it."""
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if not handles:
        return
    width, height = picture.get_size_inches()
    letters = int(width * 72 / (SMALL * LETTER)) - 10
    texts = [textwrap.fill(label, max(letters, 10)) for label in handles]
    widest = max(len(text) for label in texts for text in label.splitlines()) + 8
    columns = max(min(letters // widest, 4, len(texts)), 1)
    lines = sum(max(text.count("\n") + 1 for text in texts[i : i + columns]) for i in range(0, len(texts), columns))
    picture.set_size_inches(width, height + 0.15 * lines + 0.1)
    picture.legend(handles.values(), texts, fontsize=SMALL, frameon=False, loc="outside lower center", ncols=columns)


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
