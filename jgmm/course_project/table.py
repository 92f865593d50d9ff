"""The closing table: the document's printed numbers, ours with their standard errors, the laws and the bounds."""

import math
from typing import Any

import numpy as np

from jgmm.course_project import printed
from jgmm.report.headline import Headline
from jgmm.report.results import Results, Row
from jgmm.study import summary

TableRow = tuple[str, str, str, str, str, str]  # quantity, the document's number, ours, the law, the bound, a remark


def headline(results: Results) -> Headline:
    """The closing table."""
    return Headline(
        title=f"The seed document, beside {results.study.runs} runs",
        columns=("quantity", "seed's figure", "measured", "law", "bound", "remark"),
        rows=[*_as_the_document_computes(results), *_as_the_paper_states(results.final())],
        caption=(
            "measured: mean and standard error over runs whose seeding gave k components; the remark counts the others."
            " Laws are exact for streaming, to first order in 1/B and 1/k0 for starts."
        ),
        dropped=("bound", "law", "remark", "seed's figure"),
        wrapped=("quantity", "remark"),
    )


def _as_the_document_computes(results: Results) -> list[TableRow]:
    """Its sections 1 to 9, in its units."""
    final = results.final()
    start, lloyd, em, pair = (
        _only(final, part) for part in ("seed-seeding", "seed-lloyd", "seed-em", "seed-pair-seeding")
    )
    start_sq = sum(x**2 for x in printed.INITIAL_DISTANCES)
    pair_start_sq = sum(x**2 for x in printed.PAIR_INITIAL_DISTANCES)
    worst = results.of_part("seed-seeding")[0].values["error_max"][:, -1]
    as_printed = summary.proportion(worst <= printed.THEOREM3_BOUND).value
    in_samples_sigma = summary.proportion(worst <= printed.THEOREM3_BOUND_OF_SAMPLES).value
    logged = np.array(printed.LOGGED)[:, 1:].mean()
    first = next(row for row in results.summary if row["part"] == "seed-em")
    left = em["error_sq_ok_mean"] / first["error_sq_ok_mean"]
    realised = f"{start['realised_separation']:.0f}"
    return [
        ("As the seed computes it", "", "", "", "", ""),
        ("1 realised separation C", f"{printed.REALISED_SEPARATION:.0f}", realised, "", "", "its bounds use 16.8"),
        ("5 start, squared distances", f"{start_sq:.0f}", *_measured(start), "", _start_remark(start)),
        (
            "6 largest distance <= C sigma/20",
            "5 of 5",
            f"{as_printed:.0%} of runs",
            "",
            "84.2",
            "with the bounds' sigma = 100",
        ),
        (
            "6 the same, samples' sigma",
            "1 of 5",
            f"{in_samples_sigma:.0%} of runs",
            "",
            "8.42",
            "with the samples' sigma = 10",
        ),
        ("7 streaming, sum of distances", f"{logged:.3f}", *_measured(lloyd, "error_sum"), "", _failed(lloyd)),
        ("9 pair, start, squared distances", f"{pair_start_sq:.1f}", *_measured(pair), "", _start_remark(pair)),
        ("9 EM, squared distance", "", *_measured(em), "", f"{left:.0%} of its start; {_failed(em)}"),
    ]


def _as_the_paper_states(final: list[Row]) -> list[TableRow]:
    """Sections 6 to 9 with one sigma, natural logarithms, and a run and a rate for each horizon."""
    table: list[TableRow] = [("As the paper states it", "", "", "", "", "")]
    for row in _of_part(final, "paper-seeding"):
        name = f"6 within C sigma/20, B = {row['block']}, k0 = {row['graph_points']}"
        share = f"{row['theorem3_passed']:.0%} [{row['theorem3_low']:.2f}, {row['theorem3_high']:.2f}]"
        table.append((name, "", share, "", f"{row['theorem3_bound']:.1f}", "share of all runs, 95 % interval"))
    for row in _of_part(final, "paper-lloyd"):
        table.append(_error_row(f"7 Lloyd, N = {row['n']}", row))
    largest = max(row["n"] for row in _of_part(final, "paper-small"))
    for row in _of_part(final, "paper-small", n=largest):
        table.append(_error_row(f"8 Lloyd, C = {row['separation']:.3g}, N = {row['n']}", row))
    start = _only(final, "paper-pair-seeding")
    table.append(("9 pair, start, squared distances", "", *_measured(start), "", _start_remark(start)))
    for row in _of_part(final, "paper-em", n=largest):
        table.append(_error_row(f"9 EM, C = {row['separation']:g}, N = {row['n']}", row))
    for row in _of_part(final, "paper-pair-lloyd", n=largest):
        name = f"9 Lloyd, a centre's, C = {row['separation']:g}, N = {row['n']}"
        table.append(_error_row(name, {**per_centre(row), "bound_error_sq": None}))
    return table


def per_centre(row: Row) -> Row:
    """A Lloyd pair's row for one of its two centres."""
    names = ("error_sq_ok_mean", "error_sq_ok_se", "law_error_sq")
    return {**row, **{name: None if row[name] is None else row[name] / 2 for name in names}}


def _of_part(final: list[Row], part: str, **wanted: Any) -> list[Row]:
    """A part's rows that have these values."""
    return [row for row in final if row["part"] == part and all(row[key] == value for key, value in wanted.items())]


def _only(final: list[Row], part: str) -> Row:
    (row,) = _of_part(final, part)
    return row


def _error_row(name: str, row: Row) -> TableRow:
    """A squared error, its law and bound; the remark says how far it is from the law, or gives the floor."""
    law, bound, remarks = row["law_error_sq"], row["bound_error_sq"], []
    if law is not None and row["error_sq_ok_se"] > 0:  # not of one run, nor of equal ones
        gap = (row["error_sq_ok_mean"] - law) / row["error_sq_ok_se"]
        remarks.append(f"{gap:+.1f} standard errors from the law")
    elif row["floor_error_sq"] is not None:
        remarks.append(f"exact floor {row['floor_error_sq']:.4g}")
    if _failed(row):
        remarks.append(_failed(row))
    return (name, "", *_measured(row), "" if bound is None else f"{bound:.4g}", "; ".join(remarks))


def _measured(row: Row, quantity: str = "error_sq") -> tuple[str, str]:
    """Our number and the law's."""
    law, mean, error = row.get(f"law_{quantity}"), row[f"{quantity}_ok_mean"], row[f"{quantity}_ok_se"]
    measured = f"{mean:.4g} ± {error:.2g}" if math.isfinite(error) else f"{mean:.4g}"
    return measured, "" if law is None or math.isnan(law) else f"{law:.4g}"


def _failed(row: Row) -> str:
    """How many runs a mean leaves out; nothing where it leaves out none."""
    failed = row["runs"] - row["runs_ok"]
    return f"{failed} of {row['runs']} runs failed to seed" if failed else ""


def _start_remark(row: Row) -> str:
    """The median of a start's error: its mean is carried by runs whose last block missed a component."""
    median = f"median {row['error_sq_q50']:.3g}"
    return f"{median}; {_failed(row)}" if _failed(row) else median
