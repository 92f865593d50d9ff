"""Summary, fits, figures and the page, all from the stored cells."""

import base64
import tomllib
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pc
from jinja2 import Environment, PackageLoader

from jgmm.study import analysis, plots, seed_document, spec, store
from jgmm.study.plots import Row
from jgmm.study.spec import Study

CURVE_COLUMNS = ("cell", "part", "algorithm", "k", "d", "C", "N", "error_sq", "law", "bound", "failed")


class Headline(NamedTuple):
    """The closing table, as text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str


class Written(NamedTuple):
    """What `write` made."""

    headline: Headline
    summary: list[Row]
    fits: list[analysis.Fit]
    figures: list[tuple[Path, str]]


def write(folder: Path, study: Study, spec_folder: Path | None = None) -> Written:
    """Write summary.parquet, summary.csv, fits.csv, figures/ and report.html.

    Raises ValueError if a cell is missing.
    """
    cells = spec.cells(study, spec_folder or folder)
    data = [analysis.read(folder, cell, study) for cell in cells]
    summary = analysis.summarize(data)
    fits = analysis.fits(data)
    table = pa.Table.from_pylist(summary)
    store.write_table(folder / "summary.parquet", table)
    pc.write_csv(table, folder / "summary.csv")
    fields = analysis.Fit._fields
    pc.write_csv(pa.table({name: [getattr(fit, name) for fit in fits] for name in fields}), folder / "fits.csv")
    (folder / "figures").mkdir(exist_ok=True)
    if study.report == "seed":
        figures = seed_document.write_figures(folder / "figures", data, summary)
        rows = seed_document.headline(data, summary)
        headline = Headline(
            seed_document.TITLE.format(runs=study.runs), seed_document.COLUMNS, rows, seed_document.CAPTION
        )
    else:
        figures = plots.write_curves(folder / "figures", summary)
        headline = Headline(study.name, CURVE_COLUMNS, [_curve_row(row) for row in plots.final(summary)], "")
    store.write_text(folder / "report.html", _page(folder, study, headline, summary, fits, figures))
    return Written(headline, summary, fits, figures)


def _curve_row(row: Row) -> tuple[str, ...]:
    law, bound = (row[name] for name in ("law_error_sq", "bound_error_sq"))
    numbers = f"{row['error_sq_ok_mean']:.4g} ± {row['error_sq_ok_se']:.2g}"
    known = tuple("" if value is None else f"{value:.4g}" for value in (law, bound))
    fixed = (row["cell"], row["part"], row["algorithm"], str(row["k"]), str(row["d"]), f"{row['separation']:g}")
    return (*fixed, str(row["n"]), numbers, *known, str(row["runs"] - row["runs_ok"]))


def _page(folder, study, headline, summary, fits, figures) -> str:
    stored = tomllib.loads((folder / "study.toml").read_text())
    pictures = [
        {"data": base64.b64encode(path.read_bytes()).decode(), "caption": caption, "name": path.stem}
        for path, caption in figures
    ]
    template = Environment(loader=PackageLoader("jgmm.study", "."), autoescape=True).get_template("report.html.jinja")
    return template.render(
        study=study,
        headline=headline,
        environment=stored.get("environment", {}),
        final=plots.final(summary),
        fits=fits,
        pictures=pictures,
    )
