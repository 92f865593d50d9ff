"""Room on a panel: limits, ticks, and names at the ends of lines that can all be read."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from jgmm.report.drawing import LETTER, SMALL, STYLE, Point, formulas


def frame(axes: Axes, points: Iterable[Point]) -> None:
    """Limits of a logarithmic axis from what is drawn: an interval that reaches far down ends at the edge."""
    drawn = [artist for artist in axes.get_lines() if artist.get_transform() == axes.transData]
    ys = np.concatenate([np.zeros(0), *(np.asarray(artist.get_ydata(), float) for artist in drawn)])
    tops = [p.high for p in points if math.isfinite(p.high) and p.mean > 0]
    ys = np.array([*ys[np.isfinite(ys) & (ys > 0)], *(top for top in tops if top < 100 * np.max(ys, initial=0))])
    if len(ys):
        axes.set_ylim(ys.min() / 1.6, ys.max() * 1.6)


def tick(value: float) -> str:
    """A size as a tick has it: in full up to six digits, then as "1.05e6"."""
    text = f"{value:g}"
    return text if "e" not in text else f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def scale_x(axes: Axes, values: Iterable[float]) -> None:
    """A logarithmic x axis with a tick at each size that has room; a 0 among them has its place on the left."""
    sizes = sorted(set(values))
    above = [value for value in sizes if value > 0]
    if not above:
        axes.set_xscale("linear")
        axes.set_xticks(sizes, [tick(value) for value in sizes])
        return
    decades = math.log10(above[-1] / above[0])
    if sizes[0] <= 0:
        axes.set_xscale("symlog", linthresh=above[0], linscale=max(decades, 0.3) / 2)
    else:
        axes.set_xscale("log")
    if len(sizes) == 1:
        axes.set_xlim(sizes[0] / 2, sizes[0] * 2)  # matplotlib's own may be a width of 0
    if sizes[0] > 0 and decades > 3 and len(sizes) > 8:
        return  # the powers of ten
    places = axes.transScale.transform([(value, 1.0) for value in sizes])[:, 0]
    points = 0.9 * axes.bbox.width * 72 / STYLE["figure.dpi"]  # of the panel, before its labels take some
    room = max(places[-1] - places[0], 1e-9) * 1.1
    kept: list[int] = []
    for i in (0, len(sizes) - 1, *range(1, len(sizes) - 1)):
        apart = (abs(places[i] - places[j]) / room * points for j in kept)
        widths = ((len(tick(sizes[i])) + len(tick(sizes[j]))) / 2 + 1 for j in kept)
        if all(gap > width * LETTER * STYLE["font.size"] for gap, width in zip(apart, widths, strict=True)):
            kept.append(i)
    kept.sort()
    axes.set_xticks([sizes[i] for i in kept], [tick(sizes[i]) for i in kept])
    axes.set_xticks([], minor=True)


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
        axes.text(1.04, end, formulas(name), fontsize=SMALL, color=colour, transform=edge, va="center")
