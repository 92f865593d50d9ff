"""Figures from summary rows: error curves with two standard errors, law and bound."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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
}
Row = dict[str, Any]


def figure(columns: int = 1, *, rows: int = 1, size: tuple[float, float] = (5.2, 3.8)) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, independent of pyplot and of the user's settings."""
    with mpl.rc_context(STYLE):
        made = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        axes = made.subplots(rows, columns, squeeze=False)
    return made, list(axes.flat)


def save(made: Figure, path: Path) -> Path:
    """Write the figure as PNG."""
    with mpl.rc_context(STYLE):
        made.savefig(path)
    return path


def curve(
    axes: Axes, rows: Sequence[Row], *, x: str, quantity: str, label: str, colour: str, marker: str = "o"
) -> None:
    """Measured means (runs with a good seeding) with bars of two standard errors."""
    axes.errorbar(
        [row[x] for row in rows],
        [row[f"{quantity}_ok_mean"] for row in rows],
        [2 * row[f"{quantity}_ok_se"] for row in rows],
        fmt=marker,
        ms=4,
        capsize=2,
        color=colour,
        label=label,
    )


def line(axes: Axes, rows: Sequence[Row], *, x: str, y: str, label: str | None, colour: str, style: str = "-") -> None:
    """A law or a bound, where it is known."""
    known = [(row[x], row[y]) for row in rows if row[y] is not None and not math.isnan(row[y])]
    if known:
        axes.plot(*zip(*known, strict=True), style, color=colour, lw=1.3, label=label)


def logarithmic(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Logarithmic axes with their names, and a legend."""
    axes.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    axes.legend(fontsize=7.5)


def final(rows: Iterable[Row]) -> list[Row]:
    """The last checkpoint of each cell."""
    last: dict[str, Row] = {}
    for row in rows:
        last[row["cell"]] = row
    return list(last.values())


def write_curves(folder: Path, rows: list[Row]) -> list[tuple[Path, str]]:
    """For each part a figure of squared error against N (several horizons) or samples (one), and its caption."""
    figures = []
    for part in dict.fromkeys(row["part"] for row in rows if row["algorithm"] != "seeding"):
        mine = [row for row in rows if row["part"] == part]
        many = len({row["n"] for row in mine}) > 1
        made, (axes,) = figure(size=(6.4, 4.4))
        settings = ("k", "d", "separation", "sigma", "start", "rate_name", "beta")
        varying = [s for s in settings if len({row[s] for row in mine}) > 1]
        chosen = final(mine) if many else [row for row in mine if row["samples"] > 0]
        groups = list(dict.fromkeys(tuple(row[s] for s in varying) for row in chosen))
        for index, group in enumerate(groups):
            group_rows = sorted(
                (r for r in chosen if tuple(r[s] for s in varying) == group), key=lambda r: r["samples"]
            )
            colour = COLOURS[index % len(COLOURS)]
            name = ", ".join(
                f"{s} {v:g}" if isinstance(v, float) else f"{s} {v}" for s, v in zip(varying, group, strict=True)
            )
            curve(axes, group_rows, x="samples", quantity="error_sq", label=name or "measured", colour=colour)
            first = index == 0
            line(axes, group_rows, x="samples", y="law_error_sq", label="law" if first else None, colour=colour)
            line(
                axes,
                group_rows,
                x="samples",
                y="bound_error_sq",
                label="bound" if first else None,
                colour=colour,
                style=":",
            )
        logarithmic(axes, title=part, x="horizon N" if many else "samples", y="squared error, sum over centres")
        path = save(made, folder / f"{part}.png")
        figures.append(
            (path, f"{part}: mean squared error with bars of two standard errors, the exact law and the bound.")
        )
    return figures
