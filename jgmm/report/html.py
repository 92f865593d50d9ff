"""The page: one HTML file without a network request, from the results and what was concluded of them."""

import base64
import math
import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template

from jgmm import stats
from jgmm.report import numbers, words
from jgmm.report.results import Results, Row
from jgmm.report.written import Written
from jgmm.study import ownership, settings, shown, summary
from jgmm.study.folder import files, records
from jgmm.study.read import CellData

IN_CELLS = ("k", "d", "C", "sigma", "start", "N", "rate", "average", "beta")  # columns that the table of cells has
OF_STARTS = ("B", "k0", "N0")  # and those that it has where a part starts by Algorithm 2
IN_FLOORS = ("k", "weights", "C", "rate", "N")  # columns that the table of floors has


@lru_cache(maxsize=1)
def _template() -> Template:
    """The page's template; whatever is put into it is escaped, in attributes and in the title too."""
    environment = Environment(loader=PackageLoader("jgmm.report", "."), autoescape=True)
    for function in (numbers.number, numbers.factor, numbers.plus_minus, numbers.limits, numbers.divisor):
        environment.filters[function.__name__] = function
    return environment.get_template("page.html.jinja")


def render(folder: Path, results: Results, written: Written) -> str:
    """The page's text. Its pictures are read from the folder."""
    study, data, final = results.study, results.data, results.final()
    seeded = any(item.cell.seeding for item in data)
    varying = [settings.heading(name) for name in settings.varying(item.cell for item in data)]
    in_cells = (*IN_CELLS, *OF_STARTS) if seeded else IN_CELLS
    return _template().render(
        study=study,
        written=written,
        headline=written.headline,
        environment=ownership.environment(folder),
        final=final,
        floors=[row for row in final if row["floor_measured"] is not None],
        pictures=_pictures(written.figures),
        failures=_failures(final),
        capped=_capped(results),
        carried=[row for row in final if row["carried_by_few"]],
        looks=records.looks(folder),
        level=stats.look_level(written.look),
        mixtures=list(dict.fromkeys(words.mixture(item.cell) for item in data)),
        methods=list(dict.fromkeys((item.cell.part, words.method(item.cell)) for item in data)),
        places={item.id: _place(item) for item in data},
        more=[name for name in varying if name not in in_cells],
        more_floors=[name for name in varying if name not in IN_FLOORS],
        few=summary.FEW,
        folder=shlex.quote(shown.text(folder)),
        study_file=shlex.quote(shown.text(folder / "study.toml")),
        runs=(min(len(item.ok) for item in data), max(len(item.ok) for item in data)),
        seeded=seeded,
        **_twins(final),
        precision=_precision(final),
    )


def _pictures(figures: Sequence[tuple[Path, str]]) -> list[dict[str, str]]:
    return [
        {"data": base64.b64encode(files.read_bytes(path)).decode(), "caption": caption, "name": path.stem}
        for path, caption in figures
    ]


def _place(item: CellData) -> dict[str, str]:
    """Where a cell stands on every axis that it has, by the axis's heading."""
    return {settings.heading(name): settings.text(value) for name, value in settings.place(item.cell).items()}


def _failures(final: list[Row]) -> dict[str, int]:
    """Runs that failed, over all cells, by how."""
    return {
        "not finite": sum(row["runs_not_finite"] for row in final),
        "graph without k components": sum(row["runs_graph_failed"] for row in final),
        "a component without its own centre at the end": sum(row["runs_lost"] for row in final),
    }


def _twins(final: list[Row]) -> dict[str, Any]:
    """Of the labelled twins: how many cells have one, the largest gap, and the least, median and most gain."""
    gaps = [abs(row["twin_gap"]) for row in final if row["twin_gap"] is not None]
    factors = sorted(row["variance_factor"] for row in final if row["variance_factor"] is not None)
    return {
        "twin_cells": len(gaps),
        "twin_gap": max(gaps, default=None),
        "factors": (factors[0], factors[len(factors) // 2], factors[-1]) if factors else None,
    }


def _precision(final: list[Row]) -> tuple[float, float] | None:
    """The least and the largest relative standard error; None where no mean has one."""
    relative = [row["error_sq_ok_se"] / row["error_sq_ok_mean"] for row in final if row["error_sq_ok_mean"] > 0]
    finite = [share for share in relative if math.isfinite(share)]
    return (min(finite), max(finite)) if finite else None


def _capped(results: Results) -> list[str]:
    """Cells that have the most runs allowed and not the precision asked for."""
    study = results.study
    if study.precision is None:
        return []
    cap = study.rounds()[-1]
    capped = []
    for item, row in zip(results.data, results.final(), strict=True):
        precise = row["error_sq_ok_se"] <= study.precision * row["error_sq_ok_mean"]  # which is false of nan
        if len(item.ok) >= cap and not precise:
            capped.append(item.id)
    return capped
