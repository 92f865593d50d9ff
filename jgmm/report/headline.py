"""The closing table: what the terminal shows at a run's end."""

from typing import NamedTuple

from jgmm.report.numbers import number, plus_minus
from jgmm.report.results import Results
from jgmm.study import quantities, settings, summary

ALWAYS = ("k", "d", "separation", "n")  # axes that have a column whether they vary or not
MOST = 40  # rows of the table of cells on a terminal; more are in the report


class Headline(NamedTuple):
    """A table as text.

    dropped: the columns that a narrow terminal leaves out, in this order. wrapped: those that may break between words.
    most: a terminal that would show more rows says how many there are instead; None: it shows any number.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str
    dropped: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    most: int | None = None


def table_of_cells(results: Results) -> Headline:
    """A row for each cell: every axis that varies, its last mean, law and bound, and the runs that the mean is over."""
    varying = settings.varying(item.cell for item in results.data)
    axes = [name for name in settings.every(item.cell for item in results.data) if name in varying or name in ALWAYS]
    rows = []
    for item, row in zip(results.data, results.final(), strict=True):
        place = settings.place(item.cell)
        mean = plus_minus(row["quantity_ok_mean"], row["quantity_ok_se"]) if quantities.has(item) else ""
        mean += " (few)" if row["few"] else ""
        kept = f"{row['runs_ok']} of {row['runs']}"
        texts = [settings.text(place.get(name)) for name in axes]
        law, bound = number(row["law_error_sq"]), number(row["bound_error_sq"])
        rows.append((item.id, row["part"], row["algorithm"], *texts, mean, law, bound, kept))
    about = " or ".join(dict.fromkeys(row["quantity"] for row in results.final()))
    headings = [settings.heading(name) for name in axes]
    fixed = [settings.heading(name) for name in axes if name not in varying]
    moving = [settings.heading(name) for name in reversed(axes) if name in varying]
    return Headline(
        title=results.study.name,
        columns=("cell", "part", "algorithm", *headings, about, "law", "bound", "kept"),
        rows=rows,
        caption=f"kept: the runs that a mean is over; (few): fewer than {summary.FEW}.",
        dropped=("cell", *fixed, "bound", "law", "algorithm", "part", *moving),
        most=MOST,
    )
