"""The figures of a study, in print and for colour-blind readers, as PNG and SVG; and a word on each that has nothing.

Whether a figure can be made is decided from its data before it is begun: nothing here may raise.
"""

import math
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jgmm import stats
from jgmm.report import drawing
from jgmm.report.drawing import COLOURS, MARKERS, Point, caption, dots, figure, frame, legend, line, measured, save
from jgmm.study import curves, regime, settings
from jgmm.study import summary as analysis
from jgmm.study.curves import Curve
from jgmm.study.read import CellData

Row = dict[str, Any]
SHOWN = len(COLOURS)  # settings in one figure
PANELS = 4  # mixtures in one comparison
LISTED = 6  # algorithms and steps in a comparison's legend; more are named at their lines' ends,
LABELLED = 24  # up to so many
STEPS = 40  # checkpoints of a trajectory: more could not be told apart
MOST = 40  # rows or columns of a map
WORDS = {"n": "horizon N", "separation": "separation C", "start": "start offset / sigma"}
WORDS |= {"seeding.block": "block B", "seeding.graph_points": "graph points k0", "seeding.n": "seeding samples N0"}
ERROR = "squared error, sum over centres"


class Figures(NamedTuple):
    """Pictures with their captions, and a word on each that was left out."""

    made: list[tuple[Path, str]]
    left_out: list[str]


def final(rows: Iterable[Row]) -> list[Row]:
    """The last checkpoint of each cell."""
    last: dict[str, Row] = {}
    for row in rows:
        last[row["cell"]] = row
    return list(last.values())


@drawing.style()
def write_all(folder: Path, found: list[Curve], data: list[CellData], rows: list[Row]) -> Figures:
    """Every figure of a study, with its caption."""
    last = {row["cell"]: row for row in final(rows)}
    named = drawing.names(dict.fromkeys(item.cell.part for item in data))
    figures = Figures([], [])
    for part, axis in dict.fromkeys((c.part, c.axis) for c in found):
        own = [c for c in found if (c.part, c.axis) == (part, axis)]
        if axis == "separation" and all(item.displacement is not None for c in own for item in c.items):
            _floor(figures, folder / f"{named[part, 'floor']}.png", part, own, last)
        else:
            _axis(figures, folder / f"{named[part, axis]}.png", part, axis, own, last)
    parts: dict[str, list[CellData]] = {}
    for item in data:
        parts.setdefault(item.cell.part, []).append(item)
    for part, mine in parts.items():
        _phase(figures, folder / f"{named[part, 'phase']}.png", part, mine, last)
    _comparison(figures, folder / "comparison.png", data, last)
    for part, mine in parts.items():
        if any(len(item.cell.checkpoints) > 2 for item in mine):
            _trajectory(figures, folder / f"{named[part, 'samples']}.png", part, mine, rows)
    return figures


def _spread(found: list, count: int = SHOWN) -> list:
    """At most `count` of them, evenly, the first and last included."""
    if len(found) <= count:
        return found
    return [found[round(i * (len(found) - 1) / (count - 1))] for i in range(count)]


def _note(found: list, count: int = SHOWN, what: str = "settings") -> str:
    return f" ({count} of {len(found)} {what} shown, all are in summary.csv)" if len(found) > count else ""


def _why_empty(points: Iterable[Point]) -> str:
    """Why a logarithmic axis has nothing to show of these."""
    if any(point.mean == 0 for point in points):
        return "every mean error is exactly 0 or has no good run"
    return "no cell has a good run"


def _axis(figures: Figures, path: Path, part: str, axis: str, found: list[Curve], last: dict[str, Row]) -> None:
    """Error against an axis, and local exponents between neighbours."""
    name = WORDS.get(axis, axis)
    shown = _spread(found)
    points = [[measured(item, x) for item, x in zip(c.items, c.x, strict=True)] for c in shown]
    every = [point for mine in points for point in mine]
    if not drawing.drawable(every):
        figures.left_out.append(f"no figure of {part}, error against {name}: {_why_empty(every)}")
        return
    exponents = any(curves.usable(c) for c in shown)
    made, panels = figure(2 if exponents else 1, size=(5.6, 3.8))
    left = panels[0]
    drawing.scale_x(left, [x for c in shown for x in c.x])
    told: set[str] = set()
    lines: set[str] = set()
    for index, (c, mine) in enumerate(zip(shown, points, strict=True)):
        colour, marker = COLOURS[index], MARKERS[index]
        told |= dots(left, mine, colour=colour, label=c.setting or "measured", fmt=marker)
        drawing.beside(left, c.x, [last[item.id] for item in c.items], colour=colour, labels=lines)
        if exponents and curves.usable(c):
            _local(panels[1], c, colour, marker)
    left.set(yscale="log", title=f"{part}: error against {name}", xlabel=name, ylabel=ERROR)
    frame(left, every)
    words = [f"{part}: mean squared error against {name}"]
    if exponents:
        right = panels[1]
        drawing.scale_x(right, [x for c in shown for x in c.x])
        right.set(title="local exponents", xlabel=name, ylabel="d log error / d log axis")
        right.ticklabel_format(axis="y", style="plain", useOffset=False)
        low, high = right.get_ylim()
        if high - low < 0.1:  # a band narrower than what would matter
            right.set_ylim((low + high) / 2 - 0.05, (low + high) / 2 + 0.05)
        words.append("right: local exponents between neighbours, bars of two standard errors")
    legend(made, [left])
    note = _note(found)
    figures.made.append((save(made, path), caption(*words, told=told | lines, note=note)))


def _local(axes, c: Curve, colour: str, marker: str) -> None:
    local = stats.local_exponents(c.x, curves.values(c))
    axes.errorbar(local.x, local.exponent, 2 * local.standard_error, fmt=marker, ms=4, lw=0.9, capsize=2, color=colour)
    for values, style in ((curves.law(c), "-"), (curves.variance_term(c), ":")):
        if values is not None and (values > 0).all():
            axes.plot(local.x, np.diff(np.log(values)) / np.diff(np.log(c.x)), style, color=colour, lw=1.3)


def _floor(figures: Figures, path: Path, part: str, found: list[Curve], last: dict[str, Row]) -> None:
    """The floor against the separation."""
    shown = _spread(found)
    points = [[_floor_point(last[item.id]) for item in c.items] for c in shown]
    above = [[point for point in mine if point.mean > 0] for mine in points]
    if not any(above):
        why = (
            "no floor is measured above 0" if any(p.runs > 2 for mine in points for p in mine) else "too few good runs"
        )
        figures.left_out.append(f"no figure of {part}, the floor: {why}")
        return
    made, (axes,) = figure(size=(6.4, 4.2))
    told: set[str] = set()
    lines: set[str] = set()
    for index, (c, mine) in enumerate(zip(shown, above, strict=True)):
        colour = COLOURS[index]
        label = c.setting or "measured, less its twin"
        told |= dots(axes, mine, colour=colour, label=label, fmt=MARKERS[index])
        law = [last[item.id]["floor_error_sq"] for item in c.items]
        claimed = [None if floor is None else math.exp(floor) for floor in map(regime.log_floor, c.items)]
        for name, ys, style in (("law", law, "-"), ("Theorem 1's floor, constant 1", claimed, ":")):
            if line(axes, c.x, ys, label=None if name in lines else name, colour=colour, style=style):
                lines.add(name)
    axes.set(yscale="log", title=f"{part}: the floor", xlabel="separation C", ylabel="squared mean displacement")
    frame(axes, [point for mine in above for point in mine])
    legend(made, [axes])
    words = [f"{part}: squared length of the mean displacement of the centres, estimated without bias"]
    words += [f"lines: {', '.join(sorted(lines))}"] if lines else []
    hidden = sum(map(len, points)) - sum(map(len, above))
    words += [f"{hidden} are not measured above 0 and not drawn"] if hidden else []
    words += ["bars of two standard errors"] if drawing.BARS in told else []
    figures.made.append((save(made, path), caption(*words, told=told - {drawing.BARS}, note=_note(found))))


def _floor_point(row: Row) -> Point:
    """A measured floor with two standard errors; nan where there is none."""
    value, error = row["floor_measured"], row["floor_se"]
    if value is None:
        return Point(row["separation"], math.nan, math.nan, math.nan, row["runs_ok"])
    return Point(row["separation"], value, value - 2 * error, value + 2 * error, row["runs_ok"])


def _comparison(figures: Figures, path: Path, data: list[CellData], last: dict[str, Row]) -> None:
    """All algorithms and steps on the same streams: N times a centre's squared error, a panel for each mixture."""
    groups: dict[tuple, list[CellData]] = {}
    for item in data:
        if not item.cell.start_only:
            groups.setdefault(item.cell.start_fields(), []).append(item)
    compared = [mine for mine in groups.values() if len({analysis.name_of(i.cell) for i in mine}) >= 3]
    if not compared:
        return
    panels_of = _spread(compared, PANELS)
    named = [_names(mine) for mine in panels_of]
    names = list(dict.fromkeys(name for mine in named for name in mine))
    listed = _spread(names, LABELLED)
    drawn = [
        {name: _scaled([i for i, its in zip(mine, told, strict=True) if its == name]) for name in listed}
        for mine, told in zip(panels_of, named, strict=True)
    ]
    if not any(drawing.drawable(points) for mine in drawn for points in mine.values()):
        every = [point for mine in drawn for points in mine.values() for point in points]
        figures.left_out.append(f"no figure of the comparison on the same streams: {_why_empty(every)}")
        return
    many = len(listed) > LISTED
    made, panels = figure(len(panels_of), size=(5.8 if many else 4.6, max(4.2, 0.16 * len(listed) + 1.0)))
    differing = [name for name in settings.varying(mine[0].cell for mine in compared) if name not in ("n", "rate")]
    told: set[str] = set()
    limit = "Cramér-Rao, two free means"
    for axes, mine, points in zip(panels, panels_of, drawn, strict=True):
        drawing.scale_x(axes, [float(item.cell.n) for item in mine])
        ends = []
        for index, name in enumerate(listed):
            colour = COLOURS[index % SHOWN]
            fmt = MARKERS[index % SHOWN] + ("-" if index % (2 * SHOWN) < SHOWN else "--")
            told |= dots(axes, points[name], colour=colour, label=None if many else name, fmt=fmt)
            above = [point for point in points[name] if point.mean > 0]
            ends += [(above[-1].mean, name, colour)] if above else []
        free = sorted((item for item in mine if item.cell.algorithm != "em"), key=lambda i: i.cell.n)
        least = [_per_sample(i) * (last[i.id]["cramer_rao"] or math.nan) / i.cell.k for i in free]
        if line(axes, [i.cell.n for i in free], least, label=limit, colour="#444444", style=":"):
            told.add(limit)
        told_of = [name for name in settings.HEADINGS if name in ("k", "d", "separation", *differing)]
        title = textwrap.fill(settings.words(mine[0].cell, told_of), 48)
        axes.set(yscale="log", xlabel="horizon N")
        axes.set_title(title, fontsize=8)
        frame(axes, [point for mine in points.values() for point in mine])
        if many:
            drawing.label_ends(axes, ends)
    panels[0].set_ylabel("N x squared error of a centre / (sigma^2 d)")
    legend(made, panels)
    words = [
        "On the same streams: N times the squared error of one centre over sigma^2 d",
        "the labelled oracle of k centres is at k, an EM estimate uses both halves of the samples",
        *([f"dotted: {limit}"] if limit in told else []),
    ]
    note = _note(compared, PANELS, "mixtures") + _note(names, LABELLED)
    figures.made.append((save(made, path), caption(*words, told=told, note=note)))


def _names(items: list[CellData]) -> list[str]:
    """Of each item its algorithm and its step; its part too where another part has the same."""
    names = [analysis.name_of(item.cell) for item in items]
    parts: dict[str, set[str]] = {}
    for name, item in zip(names, items, strict=True):
        parts.setdefault(name, set()).add(item.cell.part)
    return [
        name if len(parts[name]) < 2 else f"{item.cell.part}: {name}" for name, item in zip(names, items, strict=True)
    ]


def _per_sample(item: CellData) -> float:
    """N / (sigma^2 d)."""
    return item.cell.n / (item.cell.scales[0] ** 2 * item.cell.d)


def _scaled(items: list[CellData]) -> list[Point]:
    """N times the squared error of one centre over sigma^2 d, by N."""
    ordered = sorted(items, key=lambda item: item.cell.n)
    return [measured(i, i.cell.n, scale=_per_sample(i) / analysis.centres(i)) for i in ordered]


def _phase(figures: Figures, path: Path, part: str, mine: list[CellData], last: dict[str, Row]) -> None:
    """A map of success over two axes, for a part that has two numeric axes of three values and a success to tell."""
    seeding = mine[0].cell.start_only
    column = "theorem3_passed" if seeding else "converged"
    points = [dict(item.cell.axes) for item in mine]
    numeric = [
        name
        for name in points[0]
        if all(isinstance(p.get(name), (int, float)) for p in points) and len({p[name] for p in points}) >= 3
    ]
    if len(numeric) != 2 or len({(p[numeric[0]], p[numeric[1]]) for p in points}) < len(mine) or "n" in numeric:
        return
    y, x = numeric
    xs, ys = sorted({p[x] for p in points}), sorted({p[y] for p in points})
    if max(len(xs), len(ys)) > MOST:
        figures.left_out.append(f"no map of {part}: {len(xs)} x {len(ys)} settings, more than {MOST} a side")
        return
    grid = np.full((len(ys), len(xs)), np.nan)
    for item, p in zip(mine, points, strict=True):
        grid[ys.index(p[y]), xs.index(p[x])] = last[item.id][column]
    made, (axes,) = figure(size=(2.2 + 0.75 * len(xs), 1.8 + 0.42 * len(ys)))
    image = axes.imshow(grid, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(grid):
        if np.isfinite(value):
            colour = "white" if value < 0.5 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.grid(False)
    axes.set_xticks(range(len(xs)), [f"{v:.4g}" for v in xs])
    axes.set_yticks(range(len(ys)), [f"{v:.4g}" for v in ys])
    what = "every centre within C sigma/20" if seeding else "every centre within C sigma/2 of its mean"
    axes.set(xlabel=WORDS.get(x, x), ylabel=WORDS.get(y, y))
    axes.set_title(f"{part}: share of runs,\n{what}", fontsize=8.5)
    made.colorbar(image, ax=axes, shrink=0.9)
    said = f"{part}: share of runs that end with {what}, of all runs. Intervals stand in the table of cells."
    figures.made.append((save(made, path), said))


def _trajectory(figures: Figures, path: Path, part: str, mine: list[CellData], rows: list[Row]) -> None:
    """Error against samples, for a part whose cells have checkpoints on their way."""
    shown = _spread(mine)
    varying = settings.varying(item.cell for item in mine)
    places = [_spread([i for i, count in enumerate(item.samples) if count > 0], STEPS) for item in shown]
    points = [[measured(c, c.samples[i], index=i) for i in at] for c, at in zip(shown, places, strict=True)]
    every = [point for own in points for point in own]
    if not drawing.drawable(every):
        figures.left_out.append(f"no figure of {part}, error against samples: {_why_empty(every)}")
        return
    by_cell: dict[str, list[Row]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], []).append(row)
    made, (axes,) = figure(size=(6.4, 4.2))
    drawing.scale_x(axes, [point.x for point in every])
    told: set[str] = set()
    lines: set[str] = set()
    for index, (item, own, at) in enumerate(zip(shown, points, places, strict=True)):
        colour = COLOURS[index]
        label = settings.words(item.cell, varying) or "measured"
        told |= dots(axes, own, colour=colour, label=label, fmt=MARKERS[index])
        laws = [{**by_cell[item.id][i], "bound_error_sq": None, "oracle_error_sq": None} for i in at]
        drawing.beside(axes, [point.x for point in own], laws, colour=colour, labels=lines)
    axes.set(yscale="log", title=f"{part}: one run's error as it goes", xlabel="samples", ylabel=ERROR)
    frame(axes, every)
    legend(made, [axes])
    words = f"{part}: mean squared error on the way"
    if max(len(item.samples) for item in shown) > STEPS + 1:
        words += f", at {STEPS} of the checkpoints"
    figures.made.append((save(made, path), caption(words, told=told | lines, note=_note(mine))))
