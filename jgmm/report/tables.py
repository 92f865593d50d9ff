"""The tables of the page, as text: a column whose entries are all the same is said in a line instead."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jgmm.report.numbers import divisor, factor, limits, number, plus_minus
from jgmm.report.results import Results, Row
from jgmm.report.written import Written
from jgmm.study import quantities, settings
from jgmm.study.quantities import DEFAULT
from jgmm.study.read import CellData

MOST_PAIRS = 400  # rows of the table of pairs; more are in paired.csv


class Column(NamedTuple):
    """A column: its heading, its entry of a row, whether it holds words, and whether it stays where all are alike.

    axis: whether an empty entry says that the row has no place on it, so that all others may still be alike.
    """

    heading: str
    entry: Callable[[Any], str]
    words: bool = False
    stays: bool = False
    axis: bool = False


class Table(NamedTuple):
    """A table of the page. words: which columns hold words. same: what all rows share, as "k = 5"."""

    headings: list[str]
    words: list[bool]
    rows: list[list[str]]
    same: list[str]


def table(rows: Sequence[Any], columns: Iterable[Column]) -> Table:
    """The table of these rows."""
    texts = {column: [column.entry(row) for row in rows] for column in columns}
    alike = [c for c, entries in texts.items() if len(rows) > 1 and _alike(c, entries) and not c.stays]
    kept = [column for column in texts if column not in alike]
    return Table(
        headings=[column.heading for column in kept],
        words=[column.words for column in kept],
        rows=[list(entries) for entries in zip(*(texts[column] for column in kept), strict=True)],
        same=[_said(column.heading, texts[column]) for column in alike if any(texts[column])],
    )


def _alike(column: Column, entries: list[str]) -> bool:
    """Whether a column's entries say one thing; on an axis those of rows that have a place on it."""
    return len(set(entries) - ({""} if column.axis else set())) <= 1


def _said(heading: str, entries: list[str]) -> str:
    """What a column's rows share, in words."""
    value = next(filter(None, entries))
    return f"{heading} = {value}" + ("" if all(entries) else " (if any)")


def cells(results: Results) -> Table:
    """A row for each cell: where it stands on every axis, and what its runs came to."""
    entries = list(zip(results.data, results.final(), strict=True))

    def of_row(heading: str, entry: Callable[[Row], str], **how: bool) -> Column:
        return Column(heading, lambda pair: entry(pair[1]), **how)

    others = []
    if any(row["quantity"] != DEFAULT for _, row in entries):
        others = [
            Column("its mean", _mean, stays=True),
            of_row("95 % of it", lambda row: limits((row["quantity_ok_low"], row["quantity_ok_high"])), stays=True),
        ]
    return table(
        entries,
        [
            of_row("cell", lambda row: row["cell"], words=True, stays=True),
            of_row("part", lambda row: row["part"], words=True),
            of_row("algorithm", lambda row: row["algorithm"], words=True),
            *_axes(results),
            *([of_row("quantity", lambda row: row["quantity"], words=True), *others] if others else []),
            of_row("squared error", _error, stays=True),
            of_row("95 %", lambda row: limits((row["error_sq_ok_low"], row["error_sq_ok_high"])), stays=True),
            of_row("kept", lambda row: f"{row['runs_ok']} of {row['runs']}", stays=True),
            of_row("law", _law),
            of_row("bound", lambda row: number(row["bound_error_sq"])),
            of_row("with its twin", _controlled),
            of_row("variance divided by", lambda row: factor(row["variance_factor"])),
            of_row("median [95 %]", _median),
            of_row("oracle", lambda row: number(row["oracle_error_sq"])),
            of_row("Cramér-Rao", lambda row: number(row["cramer_rao"])),
            of_row("within C sigma/20 [95 %]", _near),
            of_row("converged [95 %]", _converged),
            of_row("failed to seed", lambda row: f"{row['runs_graph_failed']}"),
            of_row("not finite", lambda row: f"{row['runs_not_finite']}"),
            of_row("with a lost component", lambda row: f"{row['runs_lost']}"),
        ],
    )


def _mean(pair: tuple[CellData, Row]) -> str:
    item, row = pair
    return plus_minus(row["quantity_ok_mean"], row["quantity_ok_se"], 5) if quantities.has(item) else ""


def _axes(results: Results) -> list[Column]:
    """A column for each axis that the cells have, but for those that all have as usual and that none speaks of then."""
    every = [item.cell for item in results.data]
    names = [name for name in settings.every(every) if not settings.unsaid(every, name)]
    return [Column(settings.heading(name), _on_axis(name), axis=True) for name in names]


def _on_axis(name: str) -> Callable[[tuple[CellData, Row]], str]:
    """The entry of a cell's place on an axis; a step size that has a number is that number."""

    def entry(pair: tuple[CellData, Row]) -> str:
        item, row = pair
        if name == "rate" and row["rate"]:
            return number(row["rate"], 3)
        return settings.text(settings.place(item.cell).get(name))

    return entry


def _error(row: Row) -> str:
    return plus_minus(row["error_sq_ok_mean"], row["error_sq_ok_se"], 5) + (" (few)" if row["few"] else "")


def _law(row: Row) -> str:
    return number(row["law_error_sq"], 5) + (" (first order)" if row["law_exact"] is False else "")


def _controlled(row: Row) -> str:
    mean = row["error_sq_controlled"]
    return "" if mean is None else plus_minus(mean, row["error_sq_controlled_se"], 5)


def _median(row: Row) -> str:
    return _share(row, "error_sq_q50", "error_sq_q50_low", "error_sq_q50_high", 4)


def _near(row: Row) -> str:
    return _share(row, "theorem3_passed", "theorem3_low", "theorem3_high")


def _converged(row: Row) -> str:
    return _share(row, "converged", "converged_low", "converged_high")


def _share(row: Row, value: str, low: str, high: str, digits: int = 3) -> str:
    """A value with its interval; nothing where there is none."""
    if row[value] is None:
        return ""
    return f"{number(row[value], digits)} [{number(row[low], digits)}, {number(row[high], digits)}]"


def comparisons(written: Written) -> Table:
    """A row for each comparison that a verdict rests on."""
    return table(
        [(verdict.theorem, finding) for verdict in written.verdicts for finding in verdict.findings],
        [
            Column("theorem", lambda pair: pair[0], stays=True),
            Column("part", lambda pair: pair[1].part, words=True),
            Column("setting", lambda pair: pair[1].setting, words=True),
            Column("in", lambda pair: pair[1].axis, words=True, stays=True),
            Column("finding", lambda pair: pair[1].kind, words=True, stays=True),
            Column("measured", lambda pair: number(pair[1].measured), stays=True),
            Column("bound", lambda pair: number(pair[1].bound), stays=True),
            Column("gap", lambda pair: number(pair[1].gap, 3), stays=True),
            Column("simultaneous interval", lambda pair: limits(pair[1], 3), stays=True),
            Column("kept", lambda pair: f"{pair[1].runs} ({100 * pair[1].kept:.3g} %)", stays=True),
            Column("detail", lambda pair: pair[1].detail, words=True),
        ],
    )


def exponents(written: Written) -> Table:
    """A row for each fitted exponent."""
    return table(
        written.fits,
        [
            Column("part", lambda fit: fit.part, words=True, stays=True),
            Column("setting", lambda fit: fit.setting, words=True),
            Column("in", lambda fit: fit.axis, words=True, stays=True),
            Column("family", lambda fit: fit.family, words=True),
            Column("exponent", lambda fit: number(fit.exponent), stays=True),
            Column("95 %", limits, stays=True),
            Column("chi2/df", lambda fit: number(fit.chi2_df, 2)),
            Column("unweighted", lambda fit: number(fit.ols)),
            Column("plain slope", lambda fit: number(fit.slope), stays=True),
            Column("95 % of the slope", lambda fit: limits((fit.slope_low, fit.slope_high)), stays=True),
            Column("law", lambda fit: number(fit.law)),
            Column("bound", lambda fit: number(fit.bound)),
            Column("slope", lambda fit: fit.verdict, words=True),
        ],
    )


def floors(results: Results) -> Table:
    """A row for each cell whose floor is measured."""
    pairs = zip(results.data, results.final(), strict=True)
    measured = [(item, row) for item, row in pairs if row["floor_measured"] is not None]

    def gap(row: Row) -> str:
        if row["floor_error_sq"] is None or not row["floor_se"] > 0:
            return ""
        return number((row["floor_measured"] - row["floor_error_sq"]) / row["floor_se"], 2)

    return table(
        measured,
        [
            Column("cell", lambda pair: pair[1]["cell"], words=True, stays=True),
            Column("part", lambda pair: pair[1]["part"], words=True),
            *_axes(results),
            Column("floor", lambda pair: number(pair[1]["floor_measured"]), stays=True),
            Column("standard error", lambda pair: number(pair[1]["floor_se"], 2), stays=True),
            Column("law", lambda pair: number(pair[1]["floor_error_sq"])),
            Column("gap / standard error", lambda pair: gap(pair[1])),
        ],
    )


def floor_falls(written: Written) -> Table:
    """A row for each curve of floors: how they fall with C."""
    return table(
        written.floors,
        [
            Column("part", lambda fit: fit.part, words=True, stays=True),
            Column("setting", lambda fit: fit.setting, words=True),
            Column("D of exp(-C^2/D)", lambda fit: divisor(fit.measured), stays=True),
            Column("95 %", lambda fit: f"{divisor(fit.high)} to {divisor(fit.low)}", stays=True),
            Column("law", lambda fit: divisor(fit.law)),
            Column("bound", lambda fit: divisor(fit.bound)),
            Column("detail", lambda fit: fit.detail, words=True),
        ],
    )


def states(written: Written) -> Table:
    """A row for each state in which the estimates of a cell ended."""
    items = {item.id: item for item in written.data}
    last = {row["cell"]: row for row in written.results.final()}
    entries = [(items[state.cell], last[state.cell], state) for state in written.states]
    return table(
        entries,
        [
            Column("cell", lambda entry: entry[2].cell, words=True, stays=True),
            Column("part", lambda entry: entry[2].part, words=True),
            *(column._replace(entry=_of_item(column.entry)) for column in _axes(written.results)),
            Column("state", lambda entry: entry[2].state, words=True, stays=True),
            Column("runs", lambda entry: f"{entry[2].in_state} of {entry[2].runs}", stays=True),
            Column("share", lambda entry: number(entry[2].share, 3), stays=True),
            Column("95 %", lambda entry: limits((entry[2].low, entry[2].high), 3), stays=True),
            Column("squared error", lambda entry: plus_minus(entry[2].error_sq_mean, entry[2].error_sq_se), stays=True),
        ],
    )


def biases(written: Written) -> Table:
    """A row for each step with a step twice as large beside it."""
    return table(
        written.biases,
        [
            Column("cell", lambda row: row.cell, words=True, stays=True),
            Column("part", lambda row: row.part, words=True, stays=True),
            Column("setting", lambda row: row.setting, words=True),
            Column("rate", lambda row: number(row.rate), stays=True),
            Column("twice the step adds", lambda row: plus_minus(row.bias, row.bias_se), stays=True),
            Column("95 %", lambda row: limits((row.bias_low, row.bias_high), 3), stays=True),
            Column("law", lambda row: number(row.law)),
            Column("left", lambda row: "" if row.left is None else plus_minus(row.left, row.left_se), stays=True),
        ],
    )


def _of_item(entry: Callable[[Any], str]) -> Callable[[Any], str]:
    """An entry of a cell and its row, of what begins with these two."""
    return lambda values: entry(values[:2])


def pairs(written: Written) -> Table:
    """A row for each pair of algorithms or steps on the same streams, MOST_PAIRS at most."""
    return table(
        written.pairs[:MOST_PAIRS],
        [
            Column("setting", lambda pair: pair.setting, words=True),
            Column("N", lambda pair: f"{pair.n}"),
            Column("first", lambda pair: pair.first, words=True, stays=True),
            Column("second", lambda pair: pair.second, words=True, stays=True),
            Column("second - first", lambda pair: plus_minus(pair.difference, pair.difference_se), stays=True),
            Column("second / first", lambda pair: plus_minus(pair.ratio, pair.ratio_se), stays=True),
            Column("with every label known", lambda pair: number(pair.labelled)),
            Column("correlation", lambda pair: number(pair.correlation, 3)),
        ],
    )
