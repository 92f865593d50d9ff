"""The figures that redo the document's nine sections, as it computes them and as the paper states them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from jgmm import theory
from jgmm.course_project import printed
from jgmm.course_project.table import per_centre
from jgmm.report import drawing
from jgmm.report.axes import scale_x
from jgmm.report.drawing import COLOURS, SMALL
from jgmm.report.results import Results, Row, final
from jgmm.study import read, summary
from jgmm.study.read import CellData

Drawn = tuple[Path, str]  # a figure's PNG file, and its caption


@drawing.style()
def write_figures(folder: Path, results: Results) -> list[Drawn]:
    """Write the nine sections' figures; their paths and captions."""
    first = results.of_part("seed-seeding")[0]
    return [
        _centres(folder, first),
        _samples(folder, first),
        _projected(folder, first),
        _lifted(folder, first),
        _initial(folder, first),
        _theorem3(folder, results),
        _streaming(folder, results),
        _small_separation(folder, results),
        _pair(folder, results),
    ]


# --- what several figures draw ---


def _curve(
    axes: Axes, rows: Sequence[Row], *, x: str, quantity: str, label: str, colour: str, marker: str = "o"
) -> None:
    """Draw means over runs with a good start, bars of two standard errors; open points over few runs."""
    points = []
    for row in rows:
        mean, error = row[f"{quantity}_ok_mean"], row[f"{quantity}_ok_se"]
        points.append(drawing.Point(row[x], mean, mean - 2 * error, mean + 2 * error, row["runs_ok"]))
    drawing.dots(axes, points, colour=colour, label=label, fmt=marker)


def _line(axes: Axes, rows: Sequence[Row], *, x: str, y: str, label: str | None, colour: str, style: str = "-") -> None:
    """Draw a law or a bound, where it is known."""
    drawing.line(axes, [row[x] for row in rows], [row[y] for row in rows], label=label, colour=colour, style=style)


def _logarithmic(axes: Axes, *, title: str, x: str, y: str) -> None:
    """Logarithmic axes with their names, and a legend."""
    axes.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=SMALL, frameon=False)


def _heat(axes: Axes, values: np.ndarray, title: str) -> None:
    """Draw centres, (k, d), as a table of colours and numbers."""
    axes.imshow(values.T, cmap="cividis", aspect="auto")
    axes.grid(False)
    ticks = {"xticks": range(len(values)), "yticks": range(values.shape[1])}
    axes.set(title=title, xlabel="centre", ylabel="coordinate", **ticks)
    middle = (values.min() + values.max()) / 2
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value < middle else "black"
        axes.text(i, j, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)


def _example(item: CellData, kind: str, axis: str) -> np.ndarray:
    """Coordinates of the first run's means, starts or graph points, in the space of the data ("x") or projected ("u").

    Raises ValueError where the cell has stored none.
    """
    if item.example is None:
        raise ValueError(f"examples/{item.id}.parquet is missing: expected a finished study (jgmm run, --fresh)")
    return read.points(item.example, kind, axis)


def _by_separation(rows: list[Row]) -> dict[float, list[Row]]:
    """Rows by their separation."""
    groups: dict[float, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["separation"], []).append(row)
    return groups


def _of_part(results: Results, part: str) -> list[Row]:
    """A part's rows of the summary."""
    return [row for row in results.summary if row["part"] == part]


# --- 1 to 5: the first run ---


def _centres(folder: Path, item: CellData) -> Drawn:
    picture, (axes,) = drawing.figure(size=(5, 4.6))
    _heat(axes, _example(item, "mean", "x"), "1. True centres of run 0")
    caption = "1. True centres of the first run, uniform in a box of side 10,000 with a guaranteed minimum separation."
    return drawing.save(picture, folder / "1-true-centres.png"), caption


def _samples(folder: Path, item: CellData) -> Drawn:
    picture, (axes,) = drawing.figure(size=(5, 4.2))
    points, means = _example(item, "point", "x"), _example(item, "mean", "x")
    axes.plot(*points[:, :2].T, "x", ms=5, label=f"{len(points)} samples")
    axes.plot(*means[:, :2].T, "o", ms=13, mfc="none", color=COLOURS[1], label="true centres")
    axes.set(title="2. Samples, the first two of ten coordinates", xlabel="x0", ylabel="x1")
    axes.legend(loc="best")
    caption = "2. Samples of the first run. At a separation of hundreds of sigma each cluster is a dot."
    return drawing.save(picture, folder / "2-samples.png"), caption


def _projected(folder: Path, item: CellData) -> Drawn:
    title = "3. Graph points in the k-dimensional subspace"
    return _graph(folder / "3-projected.png", item, _example(item, "point", "u"), axis="u", title=title)


def _lifted(folder: Path, item: CellData) -> Drawn:
    """The points U U^T x, which is what the document plots."""
    points, projected = _example(item, "point", "x"), _example(item, "point", "u")
    basis = np.linalg.lstsq(projected, points, rcond=None)[0]
    title = "4. Graph points lifted back to the space of the data"
    return _graph(folder / "4-lifted.png", item, projected @ basis, axis="x", title=title)


def _graph(path: Path, item: CellData, points: np.ndarray, *, axis: str, title: str) -> Drawn:
    """Draw the first two coordinates of the graph's points, coloured by connected component."""
    picture, (axes,) = drawing.figure(size=(5, 4.2))
    assert item.example is not None  # the points are of it
    component = item.example["component"].to_numpy()[np.asarray(item.example["kind"]) == "point"]
    for index in range(item.cell.k + 1):
        of_component = points[component == index]
        if len(of_component):
            label = f"component {index}" if index < item.cell.k else "smaller components"
            axes.plot(*of_component[:, :2].T, "o", ms=6, color=COLOURS[index], label=label)
    axes.set(title=title, xlabel=f"{axis}0", ylabel=f"{axis}1")
    axes.legend(fontsize=SMALL, loc="best")
    return drawing.save(picture, path), f"{title}, coloured by connected component."


def _initial(folder: Path, item: CellData) -> Drawn:
    picture, (left, right) = drawing.figure(2, size=(5, 4.6))
    truth, start = _example(item, "mean", "x"), _example(item, "start", "x")
    distances = np.linalg.norm(truth[:, None] - start[None], axis=-1)
    nearest = distances.argmin(axis=1)  # for the picture; errors are under the best one-to-one matching
    _heat(left, truth, "5. True centres")
    _heat(right, start[nearest], "Initial centres, in the same order")
    gaps = ", ".join(f"{distances[i, nearest[i]]:.1f}" for i in range(len(truth)))
    caption = f"5. Initial centres of run 0; their distances: {gaps}."
    return drawing.save(picture, folder / "5-initial-centres.png"), caption


# --- 6 to 9: all runs ---


def _theorem3(folder: Path, results: Results) -> Drawn:
    picture, (left, right) = drawing.figure(2)
    worst = results.of_part("seed-seeding")[0].values["error_max"][:, -1]
    bins = list(np.geomspace(min(3.0, worst.min()), max(100.0, np.quantile(worst, 0.99)), 50))
    runs = f"{len(worst)} runs, largest distance"
    left.hist(np.clip(worst, bins[0], bins[-1]), bins=bins, color=COLOURS[0], label=runs)
    left.plot(printed.INITIAL_DISTANCES, [2] * 5, "v", color=COLOURS[1], label="the document's five centres")
    as_printed, with_samples = "bound as printed (sigma = 100)", "C sigma/20 with the samples' sigma = 10"
    left.axvline(printed.THEOREM3_BOUND, color=COLOURS[2], ls="--", label=as_printed)
    left.axvline(printed.THEOREM3_BOUND_OF_SAMPLES, color=COLOURS[6], label=with_samples)
    left.set(xscale="log", title="6. As the seed computes it", xlabel="distance to the true centre", ylabel="runs")
    left.legend(fontsize=7)
    labels, shares = [], []
    for item in results.of_part("paper-seeding"):
        assert item.cell.seeding is not None
        limit = theory.theorem3_bound(separation=item.cell.separation, sigma=item.cell.sigma)
        labels.append(f"{item.cell.seeding.block}\n{item.cell.seeding.graph_points}")
        shares.append(summary.proportion(item.values["error_max"][:, -1] <= limit))
    middle, low, high = np.array(shares).T
    right.bar(range(len(labels)), middle, color=COLOURS[0])
    bars = np.maximum([middle - low, high - middle], 0)
    right.errorbar(range(len(labels)), middle, bars, fmt="none", color="black", capsize=3)
    right.set(title="As the paper states it (sigma = 100)", ylabel="share of runs within C sigma/20", ylim=(0, 1.05))
    right.set(xlabel="samples in a block (above), graph points (below)")
    right.set_xticks(range(len(labels)), labels)
    caption = (
        "6. Theorem 3: the largest distance of a run against C sigma/20 (left), and the share of runs within it (right)"
        ", with exact intervals (95 % at least)."
    )
    return drawing.save(picture, folder / "6-theorem3.png"), caption


def _streaming(folder: Path, results: Results) -> Drawn:
    picture, (left, right) = drawing.figure(2, size=(5.6, 4.2))
    _streaming_of_the_document(left, results)
    paper = final(_of_part(results, "paper-lloyd"))
    _curve(right, paper, x="n", quantity="error_sq", label="runs with a good seeding", colour=COLOURS[0])
    _line(right, paper, x="n", y="law_error_sq", label="exact law (S1)", colour=COLOURS[0])
    _line(right, paper, x="n", y="bound_error_sq", label="Theorem 1, unit constants", colour=COLOURS[6], style=":")
    _line(right, paper, x="n", y="oracle_error_sq", label="labelled oracle", colour=COLOURS[2], style="--")
    horizons = "horizon N, each with its own rate"
    _logarithmic(right, title="As the paper states it", x=horizons, y="sum of squared distances")
    caption = (
        "7. Streaming Lloyd. One run's curve is flat (its rate was tuned to its end); horizons with their own rate fall"
        " like ln(3N)/N. Bars: two standard errors."
    )
    return drawing.save(picture, folder / "7-streaming.png"), caption


def _streaming_of_the_document(axes: Axes, results: Results) -> None:
    """Our runs and its two along one stream, the law, and what it draws as Theorem 1."""
    rows = _of_part(results, "seed-lloyd")
    n, mean_norm = rows[-1]["n"], float(results.of_part("seed-lloyd")[0].largest_mean.mean())
    _curve(axes, rows[1:], x="samples", quantity="error_sum", label="our runs", colour=COLOURS[0])
    _line(axes, rows[1:], x="samples", y="law_error_sum", label="exact law (S2)", colour=COLOURS[0])
    steps = np.arange(1, 10) * (n // 10)
    axes.plot(steps, np.array(printed.LOGGED)[:, 1:].T, "+", ms=7, color=COLOURS[1])
    axes.plot([], [], "+", color=COLOURS[1], label="the document's two runs")
    grid = np.geomspace(n / 10, n, 30)
    drawn = printed.theorem1_as_drawn(
        n=grid, k=5, d=10, sigma=printed.SIGMA, separation=printed.SEPARATION, mean_norm=mean_norm
    )
    axes.plot(grid, drawn, ":", color=COLOURS[6], label="'Theorem 1' as the seed draws it")
    _logarithmic(axes, title="7. As the seed computes it", x="samples of one run", y="sum of distances")


def _small_separation(folder: Path, results: Results) -> Drawn:
    picture, (axes,) = drawing.figure(size=(6.8, 4.8))
    groups = _by_separation(final(_of_part(results, "paper-small")))
    for index, (separation, rows) in enumerate(groups.items()):
        colour = COLOURS[index]
        floor, bound = ("exact floor", "Theorem 2") if index == 0 else (None, None)
        _curve(axes, rows, x="n", quantity="error_sq", label=f"C = {separation:.3g}", colour=colour)
        _line(axes, rows, x="n", y="floor_error_sq", label=floor, colour=colour)
        _line(axes, rows, x="n", y="bound_error_sq", label=bound, colour=colour, style=":")
    title = "8. Small separation, data redrawn (k = 5, simplex)"
    _logarithmic(axes, title=title, x="horizon N", y="sum of squared distances / sigma^2")
    if (inside := axes.get_legend()) is not None:  # lines are at every height: it goes below them
        inside.remove()
    drawing.legend(picture, [axes])
    caption = (
        "8. Regular simplex, k = 5, d = 10, start within C sigma/20. Lines: the exact floor k delta^2 that no horizon"
        " removes (it is out of sight for C = 6); dotted: Theorem 2 with unit constants."
    )
    return drawing.save(picture, folder / "8-small-separation.png"), caption


def _pair(folder: Path, results: Results) -> Drawn:
    picture, (left, middle, right) = drawing.figure(3, size=(4.8, 4.2))
    start = results.of_part("seed-pair-seeding")[0].values["error_max"][:, -1]
    bins = np.geomspace(max(start.min(), 0.1), max(start.max(), 30.0), 40)
    left.hist(start, bins=list(bins), color=COLOURS[0], label=f"{len(start)} runs, larger distance")
    left.plot(printed.PAIR_INITIAL_DISTANCES, [1] * 2, "v", color=COLOURS[1], label="the document's two centres")
    left.set(xscale="log", title="9. Initial centres of the pair (sigma = 10)", xlabel="distance", ylabel="runs")
    least, most = left.get_xlim()
    scale_x(left, [x for x in (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if least <= x <= most])
    left.legend(fontsize=SMALL)
    em = _of_part(results, "seed-em")
    _curve(middle, em, x="samples", quantity="error_sq", label="EM as the seed computes it", colour=COLOURS[0])
    _line(middle, em, x="samples", y="law_error_sq", label="exact law", colour=COLOURS[0])
    middle.set(title="The seed's EM: stale rate, N = 20,000", xlabel="samples", ylim=(0, None))
    middle.set(ylabel="squared distance, up to sign")
    middle.legend(fontsize=SMALL)
    _em_beside_lloyd(right, results)
    caption = (
        "9. The symmetric pair: seeding, the document's EM (18 % of its squared start is left), and EM beside"
        " Lloyd (a centre's share) on the same samples."
    )
    return drawing.save(picture, folder / "9-pair.png"), caption


def _em_beside_lloyd(axes: Axes, results: Results) -> None:
    """EM's estimate and one of Lloyd's two centres on the same samples, against the horizon."""
    em = _by_separation(final(_of_part(results, "paper-em")))
    lloyd = _by_separation([per_centre(row) for row in final(_of_part(results, "paper-pair-lloyd"))])
    for index, separation in enumerate(em):
        colour, laws = COLOURS[index], "exact laws" if index == 0 else None
        _curve(axes, em[separation], x="n", quantity="error_sq", label=f"EM, C = {separation:g}", colour=colour)
        _line(axes, em[separation], x="n", y="law_error_sq", label=laws, colour=colour)
        beside, label = lloyd[separation], f"Lloyd, C = {separation:g}"
        _curve(axes, beside, x="n", quantity="error_sq", label=label, colour=colour, marker="s")
        _line(axes, beside, x="n", y="law_error_sq", label=None, colour=colour, style="--")
    _line(axes, em[4.0], x="n", y="bound_error_sq", label="Theorem 7, C = 4", colour=COLOURS[6], style=":")
    _logarithmic(axes, title="As the paper states it", x="horizon N", y="squared distance of a centre / sigma^2")
