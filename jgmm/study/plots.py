"""Figures of a study, in print and for colour-blind readers, as PNG and SVG."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jgmm.study import analysis, claims, curves, inference, records
from jgmm.study.cells import CellData
from jgmm.study.curves import Curve

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
Row = dict[str, Any]
SHOWN = len(COLOURS)  # settings in one figure
PANELS = 4  # mixtures in one comparison
AXES = {"n": "horizon N", "separation": "separation C", "sigma": "sigma", "start": "start offset / sigma"}
AXES |= {"seeding.block": "block B", "seeding.graph_points": "graph points k0", "seeding.n": "seeding samples N0"}
ERROR = "squared error, sum over centres"


def figure(columns: int = 1, *, rows: int = 1, size: tuple[float, float] = (5.2, 3.8)) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, independent of pyplot and of the user's settings."""
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)


def save(made: Figure, path: Path) -> Path:
    """Write the figure as PNG, and as SVG beside it."""
    with mpl.rc_context(STYLE):
        records.write_figure(path, lambda file: made.savefig(file, format="png"))
        made.set_layout_engine("none")  # which has been found, and takes half of the time
        records.write_figure(path.with_suffix(".svg"), lambda file: _save_svg(made, file))
    return path


def _save_svg(made: Figure, file: BinaryIO) -> None:
    made.savefig(file, format="svg", metadata={"Date": None})


def curve(
    axes: Axes, rows: Sequence[Row], *, x: str, quantity: str, label: str, colour: str, marker: str = "o"
) -> None:
    """Measured means (runs with a good seeding) with bars of two standard errors."""
    means, errors = ([row[f"{quantity}_ok_{what}"] for row in rows] for what in ("mean", "se"))
    dots(axes, [row[x] for row in rows], means, 2 * np.array(errors, float), fmt=marker, colour=colour, label=label)


def dots(axes: Axes, x: Any, y: Any, bars: Any, *, fmt: str, colour: str, label: str | None) -> None:
    """Measured values with their bars."""
    axes.errorbar(x, y, bars, fmt=fmt, ms=4, lw=0.9, capsize=2, color=colour, label=label)


def line(axes: Axes, rows: Sequence[Row], *, x: str, y: str, label: str | None, colour: str, style: str = "-") -> None:
    """A law or a bound, where it is known."""
    known = [(row[x], row[y]) for row in rows if row[y] is not None and not math.isnan(row[y])]
    if known:
        axes.plot(*zip(*known, strict=True), style, color=colour, lw=1.3, label=label)


def logarithmic(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Logarithmic axes with their names, and a legend."""
    axes.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7.5, frameon=False)


def _ticks(axes: Axes, values: Sequence[float]) -> None:
    """Ticks at the sizes themselves, where they are few and near; offsets never."""
    axes.ticklabel_format(axis="y", style="plain", useOffset=False) if axes.get_yscale() == "linear" else None
    if len(values) <= 8 and max(values) <= 100 * min(values):
        axes.set_xticks(list(values), [f"{value:g}" for value in values])
        axes.set_xticks([], minor=True)


def final(rows: Iterable[Row]) -> list[Row]:
    """The last checkpoint of each cell."""
    last: dict[str, Row] = {}
    for row in rows:
        last[row["cell"]] = row
    return list(last.values())


def write_all(folder: Path, found: list[Curve], data: list[CellData], rows: list[Row]) -> list[tuple[Path, str]]:
    """Every figure of a study, with its caption."""
    last = {row["cell"]: row for row in final(rows)}
    figures = []
    for part, axis in dict.fromkeys((c.part, c.axis) for c in found):
        mine = [c for c in found if (c.part, c.axis) == (part, axis)]
        if mine[0].axis == "separation" and all(item.displacement is not None for c in mine for item in c.items):
            figures.append(_floor(folder, part, mine, last))
        else:
            figures.append(_axis(folder, part, axis, mine, last))
    figures += _phases(folder, data, last)
    figures += _comparison(folder, data, last)
    figures += _trajectories(folder, data, rows)
    return figures


def _spread(found: list, count: int = SHOWN) -> list:
    """At most `count` of them, evenly, the first and last included."""
    if len(found) <= count:
        return found
    return [found[round(i * (len(found) - 1) / (count - 1))] for i in range(count)]


def _note(found: list) -> str:
    return f" ({SHOWN} of {len(found)} settings shown)" if len(found) > SHOWN else ""


def _axis(folder: Path, part: str, axis: str, found: list[Curve], last: dict[str, Row]) -> tuple[Path, str]:
    """Error against an axis, and local exponents between neighbours."""
    exponents = any(curves.usable(c) for c in found)
    made, panels = figure(2 if exponents else 1, size=(5.6, 4.0))
    left = panels[0]
    for index, c in enumerate(_spread(found)):
        colour, marker, first = COLOURS[index], MARKERS[index], index == 0
        mine = [{**last[item.id], "axis": value} for item, value in zip(c.items, c.x, strict=True)]
        means, errors = (np.array([row[f"error_sq_ok_{what}"] for row in mine], float) for what in ("mean", "se"))
        label = c.setting or "measured"
        left.plot(c.x, means, marker, ms=4, color=colour, label=label)
        left.fill_between(
            c.x, np.maximum(means - 2 * errors, means * 1e-3), means + 2 * errors, color=colour, alpha=0.25
        )
        line(left, mine, x="axis", y="law_error_sq", label="law" if first else None, colour=colour)
        line(left, mine, x="axis", y="bound_error_sq", label="bound" if first else None, colour=colour, style=":")
        line(
            left,
            mine,
            x="axis",
            y="oracle_error_sq",
            label="labelled oracle" if first else None,
            colour=colour,
            style="--",
        )
        if exponents and curves.usable(c):
            _local(panels[1], c, colour, marker, first)
    name = AXES.get(axis, axis)
    logarithmic(left, title=f"{part}: error against {name}", x=name, y=ERROR)
    if exponents:
        panels[1].set(xscale="log", title="local exponents", xlabel=name, ylabel="d log error / d log axis")
        low, high = panels[1].get_ylim()
        if high - low < 0.1:  # a band narrower than what would matter
            panels[1].set_ylim((low + high) / 2 - 0.05, (low + high) / 2 + 0.05)
        if panels[1].get_legend_handles_labels()[0]:
            panels[1].legend(fontsize=7.5, frameon=False)
    for panel in panels:
        _ticks(panel, sorted({float(x) for c in found for x in c.x}))
    path = save(made, folder / f"{part}-{axis.replace('.', '-')}.png")
    drawn = [text for text in ("law", "bound", "labelled oracle") if text in left.get_legend_handles_labels()[1]]
    beside = f"; lines: {', '.join(drawn)}" if drawn else ""
    caption = f"{part}: mean squared error against {name}, bands of two standard errors{beside}"
    tail = "; local exponents between neighbours, bars of two standard errors" if exponents else ""
    return path, f"{caption}{tail}{_note(found)}."


def _local(axes: Axes, c: Curve, colour: str, marker: str, first: bool) -> None:
    local = inference.local_exponents(c.x, curves.values(c))
    label = "measured" if first else None
    dots(axes, local.x, local.exponent, 2 * local.standard_error, fmt=marker, colour=colour, label=label)
    for what, style in (("law", "-"), ("bound", ":")):
        values = curves.known(c, what)
        if values is not None:
            axes.plot(
                local.x,
                np.diff(np.log(values)) / np.diff(np.log(c.x)),
                style,
                color=colour,
                lw=1.3,
                label=what if first else None,
            )


def _floor(folder: Path, part: str, found: list[Curve], last: dict[str, Row]) -> tuple[Path, str]:
    """The floor against the separation."""
    made, (axes,) = figure(size=(6.4, 4.4))
    for index, c in enumerate(_spread(found)):
        colour, first = COLOURS[index], index == 0
        mine = [last[item.id] for item in c.items]
        seen = [row for row in mine if row["floor_measured"] is not None and row["floor_measured"] > 0]
        low = [min(2 * row["floor_se"], 0.9 * row["floor_measured"]) for row in seen]
        bars = [low, [2 * row["floor_se"] for row in seen]]
        label = "measured, less its twin" if first else c.setting
        x, y = ([row[name] for row in seen] for name in ("separation", "floor_measured"))
        dots(axes, x, y, bars, fmt=MARKERS[index], colour=colour, label=label)
        line(axes, mine, x="separation", y="floor_error_sq", label="law" if first else None, colour=colour)
        bound = [{"separation": i.cell.separation, "bound": math.exp(claims.log_floor(i))} for i in c.items]
        line(
            axes,
            bound,
            x="separation",
            y="bound",
            label="Theorem 1's floor, unit constants" if first else None,
            colour=colour,
            style=":",
        )
    axes.set(yscale="log", title=f"{part}: the floor", xlabel="separation C", ylabel="squared mean displacement")
    axes.legend(fontsize=7.5, frameon=False)
    caption = (
        f"{part}: squared length of the mean displacement of the centres, estimated without bias, bars of two standard"
        " errors; its law; the floor in the theorem's bound"
    )
    return save(made, folder / f"{part}-floor.png"), caption + _note(found) + "."


def _comparison(folder: Path, data: list[CellData], last: dict[str, Row]) -> list[tuple[Path, str]]:
    """All algorithms and steps on the same streams: N times a centre's squared error, a panel for each mixture."""
    groups: dict[tuple, list[CellData]] = {}
    for item in data:
        if item.cell.algorithm != "seeding":
            groups.setdefault((*item.cell.mixture_fields(), item.cell.start), []).append(item)
    groups = {key: mine for key, mine in groups.items() if len({analysis.name_of(i.cell) for i in mine}) >= 3}
    if not groups:
        return []
    shown = _spread(list(groups.values()), PANELS)
    made, panels = figure(len(shown), size=(4.6, 4.4))
    names = list(dict.fromkeys(analysis.name_of(item.cell) for mine in shown for item in mine))
    for axes, mine in zip(panels, shown, strict=True):
        for index, name in enumerate(names):
            own = sorted((i for i in mine if analysis.name_of(i.cell) == name), key=lambda i: i.cell.n)
            if not own:
                continue
            n = np.array([item.cell.n for item in own], float)
            scale = n / (own[0].cell.scales[0] ** 2 * own[0].cell.d)
            found = [inference.mean(analysis.per_centre(item)[item.ok]) for item in own]
            values, errors = (np.array([getattr(f, w) for f in found]) * scale for w in ("value", "standard_error"))
            fmt = MARKERS[index % SHOWN] + ("-" if index < SHOWN else "--")
            dots(axes, n, values, 2 * errors, fmt=fmt, colour=COLOURS[index % SHOWN], label=name)
        free = [item for item in mine if item.cell.algorithm != "em"]
        if free and all(last[item.id]["cramer_rao"] for item in free):
            own = sorted(free, key=lambda i: i.cell.n)
            ends = [item.cell.n for item in own]
            least = [last[i.id]["cramer_rao"] / i.cell.k * i.cell.n / (i.cell.scales[0] ** 2 * i.cell.d) for i in own]
            axes.plot(ends, least, ":", color="black", lw=1.3, label="Cramér-Rao, two free means")
        cell = mine[0].cell
        axes.set(xscale="log", yscale="log", title=f"k={cell.k} d={cell.d} C={cell.separation:g}", xlabel="horizon N")
    panels[0].set_ylabel("N x squared error of a centre / (sigma^2 d)")
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    made.legend(handles.values(), handles.keys(), fontsize=7.5, frameon=False, loc="outside lower center", ncols=4)
    caption = (
        "On the same streams: N times the squared error of one centre over sigma^2 d, bars of two standard errors."
        " The labelled oracle of k centres is at k; an EM estimate uses both halves of the samples"
    )
    if len(groups) > PANELS:
        caption += f" ({PANELS} of {len(groups)} mixtures shown)"
    caption += "."
    return [(save(made, folder / "comparison.png"), caption)]


def _phases(folder: Path, data: list[CellData], last: dict[str, Row]) -> list[tuple[Path, str]]:
    """A map of success over two axes for each part that has two numeric axes of three values and a success to tell."""
    figures = []
    for part in dict.fromkeys(item.cell.part for item in data):
        mine = [item for item in data if item.cell.part == part]
        seeding = mine[0].cell.algorithm == "seeding"
        column = "theorem3_passed" if seeding else "converged"
        points = [dict(item.cell.axes) for item in mine]
        numeric = [
            name
            for name in points[0]
            if all(isinstance(p.get(name), (int, float)) for p in points) and len({p[name] for p in points}) >= 3
        ]
        if len(numeric) != 2 or len({(p[numeric[0]], p[numeric[1]]) for p in points}) < len(mine) or "n" in numeric:
            continue
        y, x = numeric
        xs, ys = sorted({p[x] for p in points}), sorted({p[y] for p in points})
        grid = np.full((len(ys), len(xs)), np.nan)
        for item, p in zip(mine, points, strict=True):
            grid[ys.index(p[y]), xs.index(p[x])] = last[item.id][column]
        made, (axes,) = figure(size=(1.8 + 0.75 * len(xs), 1.6 + 0.42 * len(ys)))
        image = axes.imshow(grid, origin="lower", cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for (i, j), value in np.ndenumerate(grid):
            if np.isfinite(value):
                axes.text(
                    j,
                    i,
                    f"{value:.2f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if value < 0.5 else "black",
                )
        axes.grid(False)
        axes.set_xticks(range(len(xs)), [f"{v:g}" for v in xs])
        axes.set_yticks(range(len(ys)), [f"{v:g}" for v in ys])
        what = "every centre within C sigma/20" if seeding else "every centre within C sigma/2 of its mean"
        axes.set(xlabel=AXES.get(x, x), ylabel=AXES.get(y, y), title=f"{part}: share of runs, {what}")
        made.colorbar(image, ax=axes, shrink=0.9)
        caption = (
            f"{part}: share of runs that end with {what}, of all runs. Wilson intervals stand in the table of cells."
        )
        figures.append((save(made, folder / f"{part}-phase.png"), caption))
    return figures


def _trajectories(folder: Path, data: list[CellData], rows: list[Row]) -> list[tuple[Path, str]]:
    """Error against samples, for parts whose cells have checkpoints on their way."""
    figures = []
    for part in dict.fromkeys(item.cell.part for item in data if len(item.cell.checkpoints) > 2):
        mine = [item for item in data if item.cell.part == part]
        made, (axes,) = figure(size=(6.4, 4.4))
        varying = [n for n, _ in mine[0].cell.axes if len({dict(i.cell.axes).get(n) for i in mine}) > 1]
        for index, item in enumerate(_spread(mine)):
            own = [row for row in rows if row["cell"] == item.id and row["samples"] > 0]
            point = dict(item.cell.axes)
            label = ", ".join(f"{curves.WORDS.get(n, n)} {point.get(n)}" for n in varying) or "measured"
            curve(
                axes, own, x="samples", quantity="error_sq", label=label, colour=COLOURS[index], marker=MARKERS[index]
            )
            first = index == 0
            line(axes, own, x="samples", y="law_error_sq", label="law" if first else None, colour=COLOURS[index])
        logarithmic(axes, title=f"{part}: one run's error as it goes", x="samples", y=ERROR)
        caption = f"{part}: mean squared error on the way, bars of two standard errors, and the exact law{_note(mine)}."
        figures.append((save(made, folder / f"{part}-samples.png"), caption))
    return figures
