"""README's picture: what `jgmm run theorem1` says of the exponents in k and N, measured beside the law and the bound.

    python benchmarks/front.py results/theorem1     writes docs/pictures/front.png

Points and intervals are those of the study's summary.csv; the bound has the least constant that covers the first point,
since the theorem hides its own: what is compared is how it grows.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from jgmm.report import drawing

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "front.png"
MEASURED, LAW, BOUND = drawing.COLOURS[0], "#444444", drawing.COLOURS[1]


def rows_of(folder: Path, part: str) -> list[dict[str, str]]:
    """The last checkpoint of each cell of a part."""
    with (folder / "summary.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["part"] == part and row["samples"] == row["n"]]


def fits_of(folder: Path, part: str) -> dict[str, str]:
    """The part's row of fits.csv."""
    with (folder / "fits.csv").open(newline="") as file:
        return next(row for row in csv.DictReader(file) if row["part"] == part)


def cube(k: np.ndarray) -> np.ndarray:
    """k^3, of Theorem 1's variance term."""
    return k**3


def log_over_n(n: np.ndarray) -> np.ndarray:
    """ln N/N, of the same."""
    return np.log(n) / n


def panel(
    axes: Axes, rows: list[dict[str, str]], fit: dict[str, str], axis: str, shape, words: tuple[str, str]
) -> None:
    """Measured means with their 95 % intervals, the law, and the bound's term through the first point."""
    x = np.array([float(row[axis]) for row in rows])
    mean, law, low, high = (
        np.array([float(row[name]) for row in rows])
        for name in ("error_sq_ok_mean", "law_error_sq", "error_sq_ok_low", "error_sq_ok_high")
    )
    term = shape(x) * mean[0] / shape(x[:1])
    axes.plot(x, term, "--", color=BOUND, lw=1.4)
    axes.plot(x, law, "-", color=LAW, lw=1.2)
    axes.errorbar(x, mean, [mean - low, high - mean], fmt="o", ms=5, capsize=2, color=MEASURED)
    axes.set(xscale="log", yscale="log", title=words[0], xlabel=words[1], ylabel="mean squared error")
    axes.set_xticks(x, [f"{value:g}" if value < 1e5 else f"{value / 1e6:.2g}M" for value in x])
    axes.set_xticks([], minor=True)
    name = fit["axis"]
    middle = len(x) // 2
    rising = mean[-1] > mean[0]
    for colour, text, column, y, where in (
        (BOUND, "bound", "bound", term[middle], (-10, 10) if rising else (10, 8)),
        (MEASURED, "measured", "slope", mean[middle], (10, -16) if rising else (-10, -18)),
    ):
        words_of = f"{text} {name}$^{{{round(float(fit[column]), 2):g}}}$"
        side = "right" if where[0] < 0 else "left"
        axes.annotate(words_of, (x[middle], y), xytext=where, textcoords="offset points", ha=side, color=colour)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where `jgmm run theorem1` wrote")
    folder = parser.parse_args().folder
    with drawing.style():
        picture, (left, right) = drawing.figure(2, size=(5.0, 3.4))
        panel(left, rows_of(folder, "k"), fits_of(folder, "k"), "k", cube, ("loose in k", "components k"))
        panel(right, rows_of(folder, "N"), fits_of(folder, "N"), "n", log_over_n, ("tight in N", "samples N"))
        left.plot([], [], "-", color=LAW, label="exact law, nothing fitted")
        left.legend(loc="lower right", fontsize=drawing.SMALL)
        picture.savefig(PICTURE)


if __name__ == "__main__":
    main()
