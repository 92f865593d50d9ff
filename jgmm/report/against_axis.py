"""The figure of a part's error against one of its axes, and of the local exponents between neighbours."""

import numpy as np
from matplotlib.axes import Axes

from jgmm import stats
from jgmm.report import drawing
from jgmm.report.axes import frame, scale_x
from jgmm.report.drawing import AXES, COLOURS, ERROR, MARKERS, SUMMED, Drawn, Picture
from jgmm.report.results import Row
from jgmm.study import curves, quantities
from jgmm.study.curves import Curve

NARROW = 0.1  # a range of exponents that is opened to this width: a narrower one would show what does not matter


def draw(found: list[Curve], last: dict[str, Row]) -> Drawn:
    """Draw the curves of one part along one axis. last: each cell's last row of the summary."""
    part, name = found[0].part, AXES.get(found[0].axis, found[0].axis)
    shown = drawing.spread(found)
    points = [[drawing.measured(item, x) for item, x in zip(c.items, c.x, strict=True)] for c in shown]
    every = [point for points_of_curve in points for point in points_of_curve]
    if not drawing.drawable(every):
        return f"no figure of {part}, error against {name}: {drawing.why_not_drawable(every)}"
    exponents = any(curves.usable(c) for c in shown)
    picture, panels = drawing.figure(2 if exponents else 1, size=(4.4, 3.5))
    left = panels[0]
    xs = [x for c in shown for x in c.x]
    scale_x(left, xs)
    about = drawing.heading(item for c in shown for item in c.items)
    told: set[str] = set()
    lines: set[str] = set()
    for c, points_of_curve, colour, marker in zip(shown, points, COLOURS, MARKERS, strict=False):
        told |= drawing.dots(left, points_of_curve, colour=colour, label=c.setting or "measured", fmt=marker)
        drawing.theory_lines(left, c.x, [last[item.id] for item in c.items], colour=colour, labelled=lines)
        if exponents and curves.usable(c):
            _local_exponents(panels[1], c, colour, marker)
    is_error = any(item.cell.quantity == quantities.DEFAULT for c in shown for item in c.items)
    left.set(yscale="log", title=f"{part}: {'error' if is_error else about} against {name}", xlabel=name, ylabel=about)
    frame(left, every)
    words = [f"{part}: mean {about.removesuffix(SUMMED.removeprefix(ERROR))} against {name}"]
    if exponents:
        _frame_exponents(panels[1], xs, name)
        words.append("second panel: local exponents between neighbours, bars of two standard errors")
    drawing.legend(picture, [left])
    caption = drawing.caption(*words, told=told | lines, note=drawing.note(found))
    return Picture(picture, caption)


def _local_exponents(axes: Axes, c: Curve, colour: str, marker: str) -> None:
    """Measured exponents between neighbours, and those of the law and the bound."""
    local = stats.local_exponents(c.x, curves.values(c))
    axes.errorbar(local.x, local.exponent, 2 * local.standard_error, fmt=marker, ms=4, lw=0.9, capsize=2, color=colour)
    for values, style in ((curves.law(c), "-"), (curves.variance_term(c), ":")):
        if values is not None and (values > 0).all():
            axes.plot(local.x, np.diff(np.log(values)) / np.diff(np.log(c.x)), style, color=colour, lw=1.3)


def _frame_exponents(axes: Axes, xs: list[float], name: str) -> None:
    """The panel's ticks, names and limits."""
    scale_x(axes, xs)
    axes.set(title="local exponents", xlabel=name, ylabel="d log error / d log axis")
    axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    low, high = axes.get_ylim()
    if high - low < NARROW:
        axes.set_ylim((low + high) / 2 - NARROW / 2, (low + high) / 2 + NARROW / 2)
