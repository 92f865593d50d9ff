"""The map of a part's success over two axes: the share of runs that end near enough."""

import numpy as np

from jgmm.report import drawing
from jgmm.report.drawing import AXES, Drawn, Picture
from jgmm.report.results import Row
from jgmm.study.read import CellData

MOST = 40  # rows or columns of a map
LEAST = 3  # values of each of its axes


def draw(items: list[CellData], last: dict[str, Row]) -> Drawn:
    """Draw a part that has two numeric axes and a success to tell. last: each cell's last row of the summary."""
    part, numeric = items[0].cell.part, _numeric_axes(items)
    if len(numeric) != 2 or "n" in numeric:
        return None
    (x, x_of), (y, y_of) = sorted(numeric.items(), key=lambda axis: len(set(axis[1])))  # upright, for narrow screens
    if len(set(zip(x_of, y_of, strict=True))) < len(items):
        return None  # they differ in something else, too
    xs, ys = sorted(set(x_of)), sorted(set(y_of))
    if max(len(xs), len(ys)) > MOST:
        return f"no map of {part}: {len(xs)} x {len(ys)} settings, more than {MOST} a side"
    column, what = _success(items[0])
    shares = np.full((len(ys), len(xs)), np.nan)
    for item, own_x, own_y in zip(items, x_of, y_of, strict=True):
        shares[ys.index(own_y), xs.index(own_x)] = last[item.id][column]
    picture, (axes,) = drawing.figure(size=(max(1.8 + 0.5 * len(xs), 3.4), 1.6 + 0.28 * len(ys)))
    image = axes.imshow(shares, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(shares):
        if np.isfinite(value):
            colour = "white" if value < 0.5 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.grid(False)
    axes.set_xticks(range(len(xs)), [f"{v:.4g}" for v in xs])
    axes.set_yticks(range(len(ys)), [f"{v:.4g}" for v in ys])
    axes.set(xlabel=AXES.get(x, x), ylabel=AXES.get(y, y))
    axes.set_title(f"{part}: share of runs,\n{what}", fontsize=8.5)
    picture.colorbar(image, ax=axes, shrink=0.9)
    caption = f"{part}: share of runs that end with {what}, of all runs. Intervals stand in the table of cells."
    return Picture(picture, caption)


def _numeric_axes(items: list[CellData]) -> dict[str, list[float]]:
    """The axes that have numbers, and enough of them, with each cell's place."""
    places = [dict(item.cell.axes) for item in items]
    axes = {}
    for name in places[0]:
        values = [value for place in places if isinstance(value := place.get(name), (int, float))]
        if len(values) == len(items) and len(set(values)) >= LEAST:
            axes[name] = values
    return axes


def _success(item: CellData) -> tuple[str, str]:
    """The column of the summary that tells a cell's success, and what it means: Theorem 3's of a start, or Lloyd's."""
    if item.cell.start_only:
        return "theorem3_passed", "every centre within C sigma/20"
    return "converged", "every centre within C sigma/2 of its mean"
