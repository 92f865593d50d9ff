"""The figure of a part's floor, the error that no number of samples removes, against the separation."""

import math

from jgmm.report import drawing
from jgmm.report.axes import frame
from jgmm.report.drawing import COLOURS, MARKERS, Drawn, Picture, Point
from jgmm.report.results import Row
from jgmm.study import regime
from jgmm.study.curves import Curve

CLAIM = "Theorem 1's floor, constant 1"


def measured(found: list[Curve]) -> bool:
    """Whether every cell of these curves has stored its displacements, of which a floor is measured."""
    return all(item.displacement is not None for curve in found for item in curve.items)


def draw(found: list[Curve], last: dict[str, Row]) -> Drawn:
    """Draw one part's curves along the separation. last: each cell's last row of the summary."""
    part, shown = found[0].part, drawing.spread(found)
    points = [[_point(last[item.id]) for item in c.items] for c in shown]
    above = [[point for point in points_of_curve if point.mean > 0] for points_of_curve in points]
    if not any(above):
        enough = any(point.runs > 2 for points_of_curve in points for point in points_of_curve)
        return f"no figure of {part}, the floor: {'no floor is measured above 0' if enough else 'too few good runs'}"
    picture, (axes,) = drawing.figure(size=(4.6, 3.8))
    told: set[str] = set()
    lines: set[str] = set()
    for c, points_of_curve, colour, marker in zip(shown, points, COLOURS, MARKERS, strict=False):
        told |= drawing.dots(
            axes, points_of_curve, colour=colour, label=c.setting or "measured, less its twin", fmt=marker
        )
        law = [last[item.id]["floor_error_sq"] for item in c.items]
        claimed = [None if floor is None else math.exp(floor) for floor in map(regime.log_floor, c.items)]
        for name, ys, style in (("law", law, "-"), (CLAIM, claimed, ":")):
            if drawing.line(axes, c.x, ys, label=None if name in lines else name, colour=colour, style=style):
                lines.add(name)
    axes.set(yscale="log", title=f"{part}: the floor", xlabel="separation C", ylabel="squared mean displacement")
    frame(axes, [point for points_of_curve in above for point in points_of_curve])
    drawing.legend(picture, [axes])
    words = [f"{part}: squared length of the mean displacement of the centres, estimated without bias"]
    words += [f"lines: {', '.join(sorted(lines))}"] if lines else []
    hidden = sum(point.mean <= 0 for points_of_curve in points for point in points_of_curve)
    words += [f"triangles on the lower edge: {hidden} floors that are not measured above 0"] if hidden else []
    words += ["bars of two standard errors"] if drawing.BARS in told else []
    caption = drawing.caption(*words, told=told - {drawing.BARS, drawing.ZERO}, note=drawing.note(found))
    return Picture(picture, caption)


def _point(row: Row) -> Point:
    """A measured floor with two standard errors; nan where there is none."""
    value, error = row["floor_measured"], row["floor_se"]
    if value is None:
        return Point(row["separation"], math.nan, math.nan, math.nan, row["runs_ok"])
    return Point(row["separation"], value, value - 2 * error, value + 2 * error, row["runs_ok"])
