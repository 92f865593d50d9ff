"""The page: one HTML file without a network request, from the results and what was concluded of them."""

import base64
import json
import math
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template

from jgmm import stats
from jgmm.report import live, numbers, tables, words
from jgmm.report.claims import claim, sentences
from jgmm.report.maths import maths
from jgmm.report.results import Results, Row
from jgmm.report.written import Written
from jgmm.study import bias, ownership, shown, summary
from jgmm.study.folder import files, records

Figure = tuple[Path, str]  # its PNG file, and its caption
MOST_BYTES = 1_000_000  # of an SVG on the page; a larger picture is there as PNG


@lru_cache(maxsize=1)
def _template() -> Template:
    """The page's template; whatever is put into it is escaped, in attributes and in the title too."""
    environment = Environment(loader=PackageLoader("jgmm.report", "."), autoescape=True)
    environment.filters |= {"maths": maths, "factor": numbers.factor}
    return environment.get_template("page.html.jinja")


def render(folder: Path, results: Results, written: Written) -> str:
    """The page's text. Its pictures are read from the folder."""
    study, data, final = results.study, results.data, results.final()
    lead, others = _leading(written)
    return _template().render(
        study=study,
        written=written,
        claims=[claim(verdict) for verdict in written.verdicts],
        laws=sentences(written.laws.sentence) if written.laws else [],
        headline=written.headline,
        environment=ownership.environment(folder),
        final=final,
        lead=_picture(*lead) if lead else None,
        pictures=[_picture(*figure) for figure in others],
        comparisons=tables.comparisons(written),
        cells=tables.cells(results),
        exponents=tables.exponents(written),
        floors=tables.floors(results),
        states=tables.states(written),
        biases=tables.biases(written),
        of_bias=bias.sentences(written.biases),
        floor_falls=tables.floor_falls(written),
        pairs=tables.pairs(written),
        failures=_failures(final),
        capped=_capped(results),
        carried=[row for row in final if row["carried_by_few"]],
        looks=records.looks(folder),
        level=stats.look_level(written.look),
        mixtures=list(dict.fromkeys(words.mixture(item.cell) for item in data)),
        methods=list(dict.fromkeys((item.cell.part, words.method(item.cell)) for item in data)),
        estimands=words.estimands(item.cell for item in data),
        errors=words.errors(item.cell for item in data),
        seeded=any(item.cell.seeding for item in data),
        few=summary.FEW,
        folder=shlex.quote(shown.text(folder)),
        study_file=shlex.quote(shown.text(folder / "study.toml")),
        runs=(min(len(item.ok) for item in data), max(len(item.ok) for item in data)),
        **_twins(final),
        precision=_precision(final),
    )


def _leading(written: Written) -> tuple[Figure | None, list[Figure]]:
    """The figure that shows the verdict, if there is one of that name, and the others."""
    lead = next((figure for figure in written.figures if figure[0].stem == written.lead), None)
    return lead, [figure for figure in written.figures if figure != lead]


def _picture(path: Path, caption: str) -> dict[str, Any]:
    """A picture as the template takes it: PNG where there is no SVG, or one that is too large."""
    svg, narrow, numbers = (path.with_suffix(suffix) for suffix in (".svg", ".narrow.svg", ".json"))
    panels = json.loads(files.read_text(numbers)) if numbers.is_file() else []
    as_svg = svg.is_file() and svg.stat().st_size < MOST_BYTES
    return {
        "name": path.stem,
        "id": f"figure-{path.stem}",
        "caption": caption,
        "alt": f"{caption} {live.words(panels)}".strip(),
        "data": _data(svg, "svg+xml") if as_svg else _data(path, "png"),
        "narrow": _data(narrow, "svg+xml") if as_svg and narrow.is_file() else None,
        "panels": panels,
    }


def _data(path: Path, kind: str) -> str:
    """A file as an address that holds all of it."""
    return f"data:image/{kind};base64,{base64.b64encode(files.read_bytes(path)).decode()}"


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
