"""The seed document's printed numbers, the figures that redo its sections, and the table that sets ours beside its own.

Source of the constants: "Implementation of 'Learning Mixture of Gaussians with Streaming Data'", a course project by
Ali Mortazavi and Bita Jalali (the cells' printed outputs).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from jgmm import theory
from jgmm.course_project.curves import theorem1_as_drawn
from jgmm.report import drawing, plots
from jgmm.report.drawing import COLOURS
from jgmm.report.plots import Row
from jgmm.study import read as cells
from jgmm.study import summary as analysis
from jgmm.study.read import CellData

SIGMA = 100.0  # what the document's bounds use; its samples have a standard deviation of sqrt(100)
SEPARATION = 16.84267459163545  # 10 (k ln k)^(1/4) at k = 5
REALISED_SEPARATION = 885.6  # smallest distance between its printed centres, in units of its samples' sigma = 10
INITIAL_DISTANCES = (12.185854, 10.525660, 18.466775, 5.058859, 14.183543)
THEOREM3_PRINTED = 84.21337295817725
LOGGED = (
    (
        60.42069019,
        1.87186898,
        1.8527368,
        1.94149964,
        2.03626929,
        1.96715912,
        1.65601972,
        2.21425012,
        1.97792386,
        2.13415165,
    ),
    (
        60.42069019,
        1.95681541,
        1.77998779,
        1.84137732,
        2.44125269,
        2.12873823,
        2.05096963,
        1.98234627,
        1.76737377,
        2.02814543,
    ),
)
PAIR_INITIAL_DISTANCES = (6.57026576, 6.71968489)

Parts = dict[str, list[CellData]]


@drawing.style()
def write_figures(folder: Path, data: list[CellData], rows: list[Row]) -> list[tuple[Path, str]]:
    """The nine sections' figures, with captions."""
    parts: Parts = {}
    for item in data:
        parts.setdefault(item.cell.part, []).append(item)
    first = parts["seed-seeding"][0]
    return [
        _centres(folder, first),
        _samples(folder, first),
        _graph(folder, first, axis="u", name="3-projected", where="in the k-dimensional subspace"),
        _graph(folder, first, axis="x", name="4-lifted", where="lifted back to the space of the data"),
        _initial(folder, first),
        _theorem3(folder, parts),
        _streaming(folder, parts, rows),
        _small_separation(folder, rows),
        _pair(folder, parts, rows),
    ]


def _curve(
    axes: Axes, rows: Sequence[Row], *, x: str, quantity: str, label: str, colour: str, marker: str = "o"
) -> None:
    """Measured means (runs with a good seeding) with bars of two standard errors; open over few runs."""
    points = []
    for row in rows:
        mean, error = row[f"{quantity}_ok_mean"], row[f"{quantity}_ok_se"]
        points.append(drawing.Point(row[x], mean, mean - 2 * error, mean + 2 * error, row["runs_ok"]))
    drawing.dots(axes, points, colour=colour, label=label, fmt=marker)


def _line(axes: Axes, rows: Sequence[Row], *, x: str, y: str, label: str | None, colour: str, style: str = "-") -> None:
    """A law or a bound, where it is known."""
    drawing.line(axes, [row[x] for row in rows], [row[y] for row in rows], label=label, colour=colour, style=style)


def _logarithmic(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Logarithmic axes with their names, and a legend."""
    axes.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=drawing.SMALL, frameon=False)


def _example(item: CellData, kind: str, axis: str) -> np.ndarray:
    if item.example is None:
        raise ValueError(f"examples/{item.id}.parquet is missing: expected a finished study (jgmm run, --fresh)")
    return cells.points(item.example, kind, axis, item.cell.k if axis == "u" else item.cell.d)


def _components(item: CellData) -> np.ndarray:
    assert item.example is not None
    return item.example["component"].to_numpy()[np.asarray(item.example["kind"]) == "point"]


def _heat(axes: Axes, values: np.ndarray, title: str) -> None:
    axes.imshow(values.T, cmap="cividis", aspect="auto")
    axes.grid(False)
    axes.set(
        title=title, xlabel="centre", ylabel="coordinate", xticks=range(len(values)), yticks=range(values.shape[1])
    )
    middle = (values.min() + values.max()) / 2
    for (i, j), value in np.ndenumerate(values):
        axes.text(
            i, j, f"{value:.0f}", ha="center", va="center", fontsize=7, color="white" if value < middle else "black"
        )


def _centres(folder: Path, item: CellData) -> tuple[Path, str]:
    made, (axes,) = drawing.figure(size=(5, 4.6))
    _heat(axes, _example(item, "mean", "x"), "1. True centres of run 0")
    caption = "1. True centres of the first run, uniform in a box of side 10,000 with a guaranteed minimum separation."
    return drawing.save(made, folder / "1-true-centres.png"), caption


def _samples(folder: Path, item: CellData) -> tuple[Path, str]:
    made, (axes,) = drawing.figure(size=(5, 4.2))
    points, means = _example(item, "point", "x"), _example(item, "mean", "x")
    axes.plot(*points[:, :2].T, "x", ms=5, label=f"{len(points)} samples")
    axes.plot(*means[:, :2].T, "o", ms=13, mfc="none", color=COLOURS[1], label="true centres")
    axes.set(title="2. Samples, the first two of ten coordinates", xlabel="x0", ylabel="x1")
    axes.legend(loc="best")
    caption = "2. Samples of the first run. At a separation of hundreds of sigma each cluster is a dot."
    return drawing.save(made, folder / "2-samples.png"), caption


def _graph(folder: Path, item: CellData, *, axis: str, name: str, where: str) -> tuple[Path, str]:
    made, (axes,) = drawing.figure(size=(5, 4.2))
    points, component = _example(item, "point", axis), _components(item)
    if axis == "x":  # U U^T x, which is what the document plots
        points, projected = points, _example(item, "point", "u")
        basis = np.linalg.lstsq(projected, points, rcond=None)[0]
        points = projected @ basis
    for index in range(item.cell.k + 1):
        mine = points[component == index]
        if len(mine):
            label = f"component {index}" if index < item.cell.k else "smaller components"
            axes.plot(*mine[:, :2].T, "o", ms=6, color=COLOURS[index], label=label)
    number = name.split("-")[0]
    axes.set(title=f"{number}. Graph points {where}", xlabel=f"{axis}0", ylabel=f"{axis}1")
    axes.legend(fontsize=7.5, loc="best")
    return drawing.save(
        made, folder / f"{name}.png"
    ), f"{number}. Graph points {where}, coloured by connected component."


def _initial(folder: Path, item: CellData) -> tuple[Path, str]:
    made, (left, right) = drawing.figure(2, size=(5, 4.6))
    truth, start = _example(item, "mean", "x"), _example(item, "start", "x")
    distances = np.linalg.norm(truth[:, None] - start[None], axis=-1)
    nearest = distances.argmin(axis=1)  # for the picture; errors are under the best one-to-one matching
    _heat(left, truth, "5. True centres")
    _heat(right, start[nearest], "Initial centres, in the same order")
    gaps = ", ".join(f"{distances[i, nearest[i]]:.1f}" for i in range(len(truth)))
    return drawing.save(
        made, folder / "5-initial-centres.png"
    ), f"5. Initial centres of run 0; their distances: {gaps}."


def _theorem3(folder: Path, parts: Parts) -> tuple[Path, str]:
    made, (left, right) = drawing.figure(2)
    seed = parts["seed-seeding"][0]
    worst = seed.values["error_max"][:, -1]
    bins = np.geomspace(min(3.0, worst.min()), max(100.0, np.quantile(worst, 0.99)), 50)
    left.hist(
        np.clip(worst, bins[0], bins[-1]),
        bins=list(bins),
        color=COLOURS[0],
        label=f"{len(worst)} runs, largest distance",
    )
    left.plot(INITIAL_DISTANCES, [2] * 5, "v", color=COLOURS[1], label="the document's five centres")
    left.axvline(THEOREM3_PRINTED, color=COLOURS[2], ls="--", label="bound as printed (sigma = 100)")
    left.axvline(THEOREM3_PRINTED / 10, color=COLOURS[6], label="C sigma/20 with the samples' sigma = 10")
    left.set(xscale="log", title="6. As the seed computes it", xlabel="distance to the true centre", ylabel="runs")
    left.legend(fontsize=7)
    labels, shares = [], []
    for item in parts["paper-seeding"]:
        assert item.cell.seeding is not None
        limit = theory.theorem3_bound(separation=item.cell.separation, sigma=item.cell.sigma)
        labels.append(f"{item.cell.seeding.block}\n{item.cell.seeding.graph_points}")
        shares.append(analysis.proportion(item.values["error_max"][:, -1] <= limit))
    middle, low, high = np.array(shares).T
    right.bar(range(len(labels)), middle, color=COLOURS[0])
    bars = np.maximum([middle - low, high - middle], 0)
    right.errorbar(range(len(labels)), middle, bars, fmt="none", color="black", capsize=3)
    right.set(
        title="As the paper states it (sigma = 100)",
        xlabel="samples in a block (above), graph points (below)",
        ylabel="share of runs within C sigma/20",
        ylim=(0, 1.05),
    )
    right.set_xticks(range(len(labels)), labels)
    caption = (
        "6. Theorem 3: the largest distance of a run against C sigma/20 (left), and the share of runs within it (right)"
    )
    return drawing.save(made, folder / "6-theorem3.png"), f"{caption}, with exact intervals (95 % at least)."


def _streaming(folder: Path, parts: Parts, rows: list[Row]) -> tuple[Path, str]:
    made, (left, right) = drawing.figure(2, size=(5.6, 4.2))
    seed = [row for row in rows if row["part"] == "seed-lloyd"]
    n, mean_norm = seed[-1]["n"], float(parts["seed-lloyd"][0].largest_mean.mean())
    _curve(left, seed[1:], x="samples", quantity="error_sum", label="our runs", colour=COLOURS[0])
    _line(left, seed[1:], x="samples", y="law_error_sum", label="exact law (S2)", colour=COLOURS[0])
    steps = np.arange(1, 10) * (n // 10)
    left.plot(steps, np.array(LOGGED)[:, 1:].T, "+", ms=7, color=COLOURS[1])
    left.plot([], [], "+", color=COLOURS[1], label="the document's two runs")
    grid = np.geomspace(n / 10, n, 30)
    drawn = theorem1_as_drawn(n=grid, k=5, d=10, sigma=SIGMA, separation=SEPARATION, mean_norm=mean_norm)
    left.plot(grid, drawn, ":", color=COLOURS[6], label="'Theorem 1' as the seed draws it")
    _logarithmic(left, title="7. As the seed computes it", x="samples of one run", y="sum of distances")
    paper = plots.final(row for row in rows if row["part"] == "paper-lloyd")
    _curve(right, paper, x="n", quantity="error_sq", label="runs with a good seeding", colour=COLOURS[0])
    _line(right, paper, x="n", y="law_error_sq", label="exact law (S1)", colour=COLOURS[0])
    _line(right, paper, x="n", y="bound_error_sq", label="Theorem 1, unit constants", colour=COLOURS[6], style=":")
    _line(right, paper, x="n", y="oracle_error_sq", label="labelled oracle", colour=COLOURS[2], style="--")
    _logarithmic(
        right, title="As the paper states it", x="horizon N, each with its own rate", y="sum of squared distances"
    )
    caption = (
        "7. Streaming Lloyd. One run's curve is flat (its rate was tuned to its end); horizons with their own rate fall"
    )
    return drawing.save(made, folder / "7-streaming.png"), f"{caption} like ln(3N)/N. Bars: two standard errors."


def _small_separation(folder: Path, rows: list[Row]) -> tuple[Path, str]:
    made, (axes,) = drawing.figure(size=(6.8, 4.8))
    small = plots.final(row for row in rows if row["part"] == "paper-small")
    for index, separation in enumerate(dict.fromkeys(row["separation"] for row in small)):
        mine = [row for row in small if row["separation"] == separation]
        colour = COLOURS[index]
        _curve(axes, mine, x="n", quantity="error_sq", label=f"C = {separation:.3g}", colour=colour)
        _line(axes, mine, x="n", y="floor_error_sq", label=None if index else "exact floor", colour=colour)
        _line(axes, mine, x="n", y="bound_error_sq", label="Theorem 2" if not index else None, colour=colour, style=":")
    _logarithmic(
        axes,
        title="8. Small separation, data redrawn (k = 5, simplex)",
        x="horizon N",
        y="sum of squared distances / sigma^2",
    )
    caption = "8. Regular simplex, k = 5, d = 10, start within C sigma/20. Lines: the exact floor k delta^2"
    return (
        drawing.save(made, folder / "8-small-separation.png"),
        f"{caption} that no horizon removes (it is out of sight for C = 6); dotted: Theorem 2 with unit constants.",
    )


def _pair(folder: Path, parts: Parts, rows: list[Row]) -> tuple[Path, str]:
    made, (left, middle, right) = drawing.figure(3, size=(4.8, 4.2))
    start = parts["seed-pair-seeding"][0].values["error_max"][:, -1]
    bins = np.geomspace(max(start.min(), 0.1), max(start.max(), 30.0), 40)
    left.hist(start, bins=list(bins), color=COLOURS[0], label=f"{len(start)} runs, larger distance")
    left.plot(PAIR_INITIAL_DISTANCES, [1] * 2, "v", color=COLOURS[1], label="the document's two centres")
    left.set(xscale="log", title="9. Initial centres of the pair (sigma = 10)", xlabel="distance", ylabel="runs")
    left.legend(fontsize=7.5)
    seed = [row for row in rows if row["part"] == "seed-em"]
    _curve(middle, seed, x="samples", quantity="error_sq", label="EM as the seed computes it", colour=COLOURS[0])
    _line(middle, seed, x="samples", y="law_error_sq", label="exact law", colour=COLOURS[0])
    middle.set(
        title="The seed's EM: stale rate, N = 20,000",
        xlabel="samples",
        ylabel="squared distance, up to sign",
        ylim=(0, None),
    )
    middle.legend(fontsize=7.5)
    em = plots.final(row for row in rows if row["part"] == "paper-em")
    lloyd = plots.final(row for row in rows if row["part"] == "paper-pair-lloyd")
    for index, separation in enumerate(dict.fromkeys(row["separation"] for row in em)):
        colour = COLOURS[index]
        mine = [row for row in em if row["separation"] == separation]
        _curve(right, mine, x="n", quantity="error_sq", label=f"EM, C = {separation:g}", colour=colour)
        _line(right, mine, x="n", y="law_error_sq", label="exact laws" if not index else None, colour=colour)
        beside = [_per_centre(row) for row in lloyd if row["separation"] == separation]
        _curve(right, beside, x="n", quantity="error_sq", label=f"Lloyd, C = {separation:g}", colour=colour, marker="s")
        _line(right, beside, x="n", y="law_error_sq", label=None, colour=colour, style="--")
    largest = [row for row in em if row["separation"] == 4.0]
    _line(right, largest, x="n", y="bound_error_sq", label="Theorem 7, C = 4", colour=COLOURS[6], style=":")
    _logarithmic(right, title="As the paper states it", x="horizon N", y="squared distance of a centre / sigma^2")
    caption = "9. The symmetric pair: seeding, the document's EM (18 % of its squared start is left), and EM beside"
    return drawing.save(made, folder / "9-pair.png"), f"{caption} Lloyd (a centre's share) on the same samples."


def _per_centre(row: Row) -> Row:
    """A Lloyd pair's row for one of its two centres."""
    names = ("error_sq_ok_mean", "error_sq_ok_se", "law_error_sq")
    return {**row, **{name: row[name] / 2 if row[name] is not None else None for name in names}}


TITLE = "The seed document, beside {runs} runs"
COLUMNS = ("quantity", "seed's figure", "measured", "law", "bound", "remark")
DROPPED = ("bound", "law", "remark", "seed's figure")  # on a narrow terminal, in this order
WRAPPED = ("quantity", "remark")
CAPTION = (
    "measured: mean and standard error over runs whose seeding gave k components; the remark counts the others."
    " Laws are exact for streaming, to first order in 1/B and 1/k0 for starts."
)


def headline(data: list[CellData], rows: list[Row]) -> list[tuple[str, ...]]:
    """The table's rows: quantity, the document's figure, ours, the law, the bound, a remark."""
    last = {
        (row["part"], row["separation"], row["n"], row["block"], row["graph_points"]): row for row in plots.final(rows)
    }

    def find(part: str, **wanted: Any) -> Row:
        return next(r for r in last.values() if r["part"] == part and all(r[key] == v for key, v in wanted.items()))

    seeding, lloyd, em = find("seed-seeding"), find("seed-lloyd"), find("seed-em")
    pair = find("seed-pair-seeding")
    start_sq = sum(x**2 for x in INITIAL_DISTANCES)
    worst = next(item for item in data if item.cell.part == "seed-seeding").values["error_max"][:, -1]
    printed, consistent = (
        analysis.proportion(worst <= limit).value for limit in (THEOREM3_PRINTED, THEOREM3_PRINTED / 10)
    )
    logged = np.array(LOGGED)[:, 1:]
    remaining = em["error_sq_ok_mean"] / next(r for r in rows if r["part"] == "seed-em")["error_sq_ok_mean"]
    table: list[tuple[str, ...]] = [
        ("As the seed computes it", "", "", "", "", ""),
        (
            "1 realised separation C",
            f"{REALISED_SEPARATION:.0f}",
            f"{seeding['realised_separation']:.0f}",
            "",
            "",
            "its bounds use 16.8",
        ),
        ("5 start, squared distances", f"{start_sq:.0f}", *_measured(seeding), "", _seeded(seeding)),
        (
            "6 largest distance <= C sigma/20",
            "5 of 5",
            f"{printed:.0%} of runs",
            "",
            "84.2",
            "with the bounds' sigma = 100",
        ),
        (
            "6 the same, samples' sigma",
            "1 of 5",
            f"{consistent:.0%} of runs",
            "",
            "8.42",
            "with the samples' sigma = 10",
        ),
        (
            "7 streaming, sum of distances",
            f"{logged.mean():.3f}",
            *_measured(lloyd, "error_sum"),
            "",
            _failed(lloyd),
        ),
        (
            "9 pair, start, squared distances",
            f"{sum(x**2 for x in PAIR_INITIAL_DISTANCES):.1f}",
            *_measured(pair),
            "",
            _seeded(pair),
        ),
        ("9 EM, squared distance", "", *_measured(em), "", f"{remaining:.0%} of its start; {_failed(em)}"),
        ("As the paper states it", "", "", "", "", ""),
    ]
    for row in (r for r in last.values() if r["part"] == "paper-seeding"):
        share = f"{row['theorem3_passed']:.0%} [{row['theorem3_low']:.2f}, {row['theorem3_high']:.2f}]"
        name = f"6 Theorem 3 holds, B = {row['block']}, k0 = {row['graph_points']}"
        table.append((name, "", share, "", f"{row['theorem3_bound']:.1f}", "share of all runs, 95 % interval"))
    for row in (r for r in last.values() if r["part"] == "paper-lloyd"):
        table.append(_error_row(f"7 Lloyd, N = {row['n']}", row))
    largest = max(r["n"] for r in last.values() if r["part"] == "paper-small")
    for row in (r for r in last.values() if r["part"] == "paper-small" and r["n"] == largest):
        table.append(_error_row(f"8 Lloyd, C = {row['separation']:.3g}, N = {row['n']}", row))
    pair_paper = find("paper-pair-seeding")
    table.append(("9 pair, start, squared distances", "", *_measured(pair_paper), "", _seeded(pair_paper)))
    for part, name in (("paper-em", "EM"), ("paper-pair-lloyd", "Lloyd, a centre's")):
        for row in (r for r in last.values() if r["part"] == part and r["n"] == largest):
            shown = row if part == "paper-em" else {**_per_centre(row), "bound_error_sq": None}
            table.append(_error_row(f"9 {name}, C = {row['separation']:g}, N = {row['n']}", shown))
    return table


def _error_row(name: str, row: Row) -> tuple[str, ...]:
    limit = row["bound_error_sq"]
    law = row["law_error_sq"]
    gap = ""
    if law is not None and row["error_sq_ok_se"] > 0:  # not of one run, nor of equal ones
        gap = f"{(row['error_sq_ok_mean'] - law) / row['error_sq_ok_se']:+.1f} standard errors from the law"
    elif row["floor_error_sq"] is not None:
        gap = f"exact floor {row['floor_error_sq']:.4g}"
    failed = _failed(row)
    remark = "; ".join(text for text in (gap, failed) if text)
    return (name, "", *_measured(row), "" if limit is None else f"{limit:.4g}", remark)


def _measured(row: Row, quantity: str = "error_sq") -> tuple[str, str]:
    """Ours and the law's."""
    law = row.get(f"law_{quantity}")
    mean, error = row[f"{quantity}_ok_mean"], row[f"{quantity}_ok_se"]
    said = f"{mean:.4g} ± {error:.2g}" if math.isfinite(error) else f"{mean:.4g}"
    return said, "" if law is None or math.isnan(law) else f"{law:.4g}"


def _failed(row: Row) -> str:
    failed = row["runs"] - row["runs_ok"]
    return f"{failed} of {row['runs']} runs failed to seed" if failed else ""


def _seeded(row: Row) -> str:
    """A seeding's remark: its mean is carried by the runs whose last block missed a component, so the median too."""
    return "; ".join(text for text in (f"median {row['error_sq_q50']:.3g}", _failed(row)) if text)
