"""Verdicts, summary, fits, figures and the page, all from the stored cells."""

import base64
import csv
import io
import math
import shlex
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pc
from jinja2 import Environment, PackageLoader, Template

from jgmm import doors, stats, terminal
from jgmm.course_project import page as seed_document
from jgmm.report import plots
from jgmm.report.plots import Row
from jgmm.study import checks, curves, ownership, settings, spec
from jgmm.study import read as cells
from jgmm.study import summary as analysis
from jgmm.study import verdicts as verdict
from jgmm.study.folder import columns, files, parquet, records, store
from jgmm.study.folder.lock import Lock, holding
from jgmm.study.folder.spool import Spool
from jgmm.study.read import CellData
from jgmm.study.spec import Cell, Study

ALWAYS = ("k", "d", "separation", "n")  # axes that the closing table has, whether they vary or not
IN_CELLS = ("k", "d", "C", "sigma", "start", "N", "rate", "average", "beta")  # columns that the table of cells has
IN_FLOORS = ("k", "weights", "C", "rate", "N")  # and that of floors
OBEYED = ("=", "+", "-", "@", "\t", "\r", "\n")  # what begins a text that a spreadsheet would take for a formula


class Headline(NamedTuple):
    """The closing table, as text; and on a narrow terminal which columns go, in this order, and which may break."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str
    dropped: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()


class Written(NamedTuple):
    """What `write` made."""

    headline: Headline
    summary: list[Row]
    fits: list[curves.FitRow]
    figures: list[tuple[Path, str]]
    verdicts: list[verdict.Verdict]
    laws: verdict.LawVerdict | None
    look: int
    ignored: list[str]
    left_out: list[str]  # figures, fits and means that cannot be made, each with its reason
    back_ends: list[str]
    data: list[CellData]
    twins: checks.Twins | None
    conditioning: str | None

    @property
    def status(self) -> int:
        """The exit status of a command that wrote it: 1, our bug, where a twin is away from its exact mean."""
        return 1 if self.twins and not self.twins.right else 0


def write(
    folder: Path | str,
    study: Study,
    spec_folder: Path | str | None = None,
    *,
    timing: dict | None = None,
    lock: Lock | None = None,
) -> Written:
    """Write summary.parquet, .csv, fits.csv, verdicts.csv, paired.csv, looks.json, figures/ and report.html.

    timing: what the simulation took (seconds, samples), kept with the look. lock: the folder's, if it is held.
    Raises ValueError if a run is missing, a file damaged, somebody else writes in the folder, or for an argument of
    another kind.
    """
    folder = Path(doors.path("folder", folder))
    doors.kind("study", study, Study, "of jgmm.Study(...), or of jgmm.study.spec.load")
    spec_folder = folder if spec_folder is None else Path(doors.path("spec_folder", spec_folder))
    if timing is not None:
        doors.kind("timing", timing, dict, "of numbers")
    ownership.check_study(folder)
    with holding(lock, folder) as held:
        held.take()
        written = _write(folder, study, spec_folder, timing)
        return written._replace(ignored=[held.warning, *written.ignored]) if held.warning else written


def _write(folder: Path, study: Study, spec_folder: Path, timing: dict | None) -> Written:
    """Read the cells, and publish what they say."""
    named = spec.named_cells(study, spec_folder)
    done = store.scan(folder, {name: cell.rows for name, cell in named.items()})
    records.looks(folder)  # which decide the level of what follows
    kept = Spool(folder)  # of all cells: what is read of them at a time does not grow with their checkpoints
    data = [cells.read(folder, cell, study, done, kept) for cell in named.values()]
    return publish(folder, study, data, done.ignored, timing)


def publish(folder: Path, study: Study, data: list[CellData], ignored: list[str], timing: dict | None) -> Written:
    """Write what these cells say. What cannot be made of them is left out with a word: no cell is too odd."""
    summary = [row for item in data for row in analysis.summarize(item)]
    found = curves.curves(study, data)
    fits = [fit for fit in map(curves.fit, found) if fit is not None]
    look = _look(folder, study, data)
    verdicts = verdict.verdicts(study, data, look)
    law = verdict.law_verdict(data, look)
    pairs = analysis.paired(data)
    files.make_folder(folder / "figures")
    if study.report == "seed":
        figures = plots.Figures(seed_document.write_figures(folder / "figures", data, summary), [])
        rows = seed_document.headline(data, summary)
        title = seed_document.TITLE.format(runs=study.runs)
        told = seed_document.DROPPED, seed_document.WRAPPED
        headline = Headline(title, seed_document.COLUMNS, rows, seed_document.CAPTION, *told)
    else:
        figures = plots.write_all(folder / "figures", found, data, summary)
        headline = closing_table(study.name, data, summary)
    table = columns.summary(summary)
    parquet.write_table(folder / "summary.parquet", table, durable=False)
    files.write(folder / "summary.csv", lambda file: pc.write_csv(_for_csv(table), file), durable=False)
    floors = verdict.floor_fits(study, data)
    _write_csv(folder / "fits.csv", curves.FitRow._fields, [*fits, *map(_floor_row, floors)])
    _write_csv(folder / "paired.csv", analysis.Paired._fields, pairs)
    fields = ("theorem", "verdict", "sentence", "level", "look")
    _write_csv(folder / "verdicts.csv", fields, [[getattr(v, name) for name in fields] for v in verdicts])
    said = {v.theorem: v.sentence for v in verdicts}
    total = sum(len(item.ok) for item in data)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    records.record_look(folder, {"look": look, "runs": total, "time": stamp, **(timing or {}), "verdicts": said})
    back_ends, lost = back_end_lines(folder, {item.id for item in data})
    ignored.extend(lost)
    known = (checks.twins(summary), checks.conditioning(plots.final(summary)))
    left_out = [*figures.left_out, *_unfitted(found)]
    results = (headline, summary, fits, figures.made, verdicts, law, look)
    written = Written(*results, ignored, left_out, back_ends, data, *known)
    files.write_text(folder / "report.html", _page(folder, study, data, written, pairs, floors), durable=False)
    return written


def _unfitted(found: list[curves.Curve]) -> list[str]:
    """A line for each part, axis and reason for which curves have no exponent."""
    counts: dict[tuple[str, str, str], int] = {}
    for curve in found:
        why = curves.why_not(curve)
        if why is not None:
            key = (curve.part, curves.WORDS.get(curve.axis, curve.axis), why)
            counts[key] = counts.get(key, 0) + 1
    settings_of = {key: f" at {count} settings" if count > 1 else "" for key, count in counts.items()}
    return [f"no exponent of {part} in {axis}{settings_of[part, axis, why]}: {why}" for part, axis, why in counts]


def back_end_lines(folder: Path, named: set[str]) -> tuple[list[str], list[str]]:
    """What drove the streams and the seedings of these cells, each with its reason, device and runs of cells.

    And a word on lines that are lost.
    """
    count: dict[str, int] = {}
    rows, lost = records.back_ends(folder)
    for row in rows:
        for what, name, reason in (("stream", "back_end", "reason"), ("seeding", "seeding_back_end", "seeding_reason")):
            if row["cell"] in named and row[name]:
                line = f"{row[name]} ({what}, {row['device']}): {row[reason]}"
                count[line] = count.get(line, 0) + int(row["high"]) - int(row["low"])
    return [f"{line}; {count[line]} runs of cells" for line in sorted(count)], lost  # tasks end in any order


def _look(folder: Path, study: Study, data: list[CellData]) -> int:
    """Which look this is: looking again at the same runs is the same look; a precision's rounds count as looks."""
    total = sum(len(item.ok) for item in data)
    past = [look for look in records.looks(folder) if look["runs"] != total]
    most = max(len(item.ok) for item in data)
    rounds = sum(runs <= most for runs in study.rounds()) if study.precision is not None else 1
    return max(len(past) + 1, rounds)


def _write_csv(path: Path, fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([fields, *([harmless(value) for value in row] for row in rows)])
    files.write_text(path, text.getvalue(), durable=False)


def harmless(value: Any) -> Any:
    """A value for a csv file: text that a spreadsheet would run as a formula gets an apostrophe before it, and where
    there is no number there is nothing."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return f"'{value}" if isinstance(value, str) and value.startswith(OBEYED) else value


def _for_csv(table: pa.Table) -> pa.Table:
    """The table, its values `harmless`."""
    rows = [{name: harmless(value) for name, value in row.items()} for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=table.schema)


def _floor_row(fall: verdict.FloorFit) -> tuple:
    """A floor's row of fits.csv: its exponent is that of exp(C^2)."""
    ends = (-fall.measured, -fall.high, -fall.low, -fall.law, -fall.bound)
    said = (
        "no law"
        if math.isnan(fall.law)
        else "agrees with the law"
        if fall.low <= fall.law <= fall.high
        else "off the law"
    )
    row: dict[str, Any] = dict.fromkeys(curves.FitRow._fields, "")
    row |= {"part": fall.part, "setting": fall.setting, "quantity": "floor", "axis": "exp(C^2)"}
    row |= {"verdict": said, "family": "exponential", "sizes": fall.sizes, "runs": fall.runs}
    for name, value in zip(("exponent", "low", "high", "law", "bound"), ends, strict=True):
        row[name] = value
    return tuple(row.values())


def closing_table(title: str, data: list[CellData], summary: list[Row]) -> Headline:
    """A row for each cell: every axis that varies, its last mean, law and bound, and the runs that the mean is over."""
    shown = settings.varying(item.cell for item in data)
    axes = [name for name in settings.HEADINGS if name in shown or name in ALWAYS]
    headings = [settings.HEADINGS[name] for name in axes]
    last = {row["cell"]: row for row in plots.final(summary)}
    rows = []
    for item in data:
        row, here = last[item.id], settings.place(item.cell)
        mean = plus_minus(row["error_sq_ok_mean"], row["error_sq_ok_se"]) + (" (few)" if row["few"] else "")
        known = (number(row[name]) for name in ("law_error_sq", "bound_error_sq"))
        kept = f"{row['runs_ok']} of {row['runs']}"
        places = (settings.text(here.get(name)) for name in axes)
        rows.append((item.id, row["part"], row["algorithm"], *places, mean, *known, kept))
    columns = ("cell", "part", "algorithm", *headings, "error_sq", "law", "bound", "kept")
    fixed = [settings.HEADINGS[name] for name in axes if name not in shown]
    moving = [settings.HEADINGS[name] for name in reversed(axes) if name in shown]
    caption = f"kept: the runs that a mean is over; (few): fewer than {analysis.FEW}."
    dropped = ("cell", *fixed, "bound", "law", "algorithm", "part", *moving)
    return Headline(title, columns, rows, caption, dropped)


def plus_minus(mean: float, error: float, digits: int = 4) -> str:
    """A mean and its standard error; the mean alone of one run, and a word where there is none."""
    if not math.isfinite(mean):
        return "no good run" if math.isnan(mean) else "not finite"
    return f"{mean:.{digits}g} ± {error:.2g}" if math.isfinite(error) else f"{mean:.{digits}g}"


def number(value: Any, digits: int = 4) -> str:
    """A number for a table; nothing where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and math.isinf(value):
        return "not finite"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def limits(of: Any, digits: int = 4) -> str:
    """Two ends of an interval (of what has a low and a high, or of a pair); nothing where there is none."""
    low, high = of if type(of) is tuple else (of.low, of.high)
    known = [value is not None and not math.isnan(value) for value in (low, high)]
    return f"{number(low, digits)} to {number(high, digits)}" if all(known) else ""


def divisor(rate: float) -> str:
    """D of exp(-C^2/D) from 1/D; nothing where there is none."""
    return "" if rate == 0 or math.isnan(rate) else number(1 / rate)


def factor(value: float | None) -> str:
    """By how much a variance fell; where no label was ever wrong, what is left is rounding."""
    return "" if value is None else f"{value:.3g}" if value < 1e6 else "all of it"


def mechanism(cell: Cell) -> str:
    """How a cell's data are drawn."""
    places = {
        "simplex": "means at the corners of a regular simplex about the origin",
        "symmetric": "means at +m and -m",
        "box": f"means uniform in a box of side {cell.side:g}, redrawn in every run until they are far enough apart",
        "symmetric-box": f"a mean uniform in a box of side {cell.side:g} and its mirror image, redrawn in every run",
    }
    return places.get(cell.layout, f"means given by {cell.layout}")


def method(cell: Cell) -> str:
    """What a cell's algorithm does, its step size in full."""
    k0 = cell.seeding
    steps = {
        "paper": "3 ln(N)/N" if cell.algorithm == "em" else "3 k ln(3N)/N",
        "seed": "3 k log2(3N)/N",
        "best": "the best constant for the horizon",
        "1/n": "1/n_i, n_i the samples that centre i has won, its start among them",
        "given": f"{cell.rate:g}" if cell.rate else "",
    }
    step = steps.get(cell.rate_name, cell.rate_name)
    what = {
        "lloyd": f"streaming Lloyd, each sample moves the nearest centre, step {step}",
        "em": f"streaming EM, mu <- mu + eta (tanh(beta <x, mu>/sigma^2) x - mu), beta = {cell.beta}, step {step}",
        "soft": f"soft updates, mu_i <- mu_i + eta p_i (x - mu_i), beta = {cell.beta}, step {step}",
        "oracle": "labelled oracle, the mean of each component's own samples",
        "seeding": "seeding alone",
    }[cell.algorithm]
    if cell.average:
        what += f", the estimate the mean of the last {cell.average:.0%} of the iterates"
    if k0 is None:
        where = "the true means" if cell.start in ("truth", 0.0) else f"each mean moved {cell.start} sigma at random"
        return f"{what}; start: {where}"
    power = "block power iteration, blocks of B" if k0.method == "block" else "Oja's rule, orthonormalised every B"
    return f"{what}; seeding: {power} samples, then a {k0.neighbors}-nearest-neighbour graph of k0 projected points"


@lru_cache(maxsize=1)
def _template() -> Template:
    """The page; whatever is put into it is escaped, in attributes and in the title too."""
    environment = Environment(loader=PackageLoader("jgmm.report", "."), autoescape=True)
    environment.filters |= {"number": number, "factor": factor, "plus_minus": plus_minus}
    environment.filters |= {"limits": limits, "divisor": divisor}
    return environment.get_template("page.html.jinja")


def _page(folder: Path, study: Study, data: list[CellData], written: Written, pairs: list, falls: list) -> str:
    pictures = [
        {"data": base64.b64encode(files.read_bytes(path)).decode(), "caption": caption, "name": path.stem}
        for path, caption in written.figures
    ]
    final = plots.final(written.summary)
    failures = {
        "not finite": sum(row["runs_not_finite"] for row in final),
        "graph without k components": sum(row["runs_graph_failed"] for row in final),
        "a component without its own centre at the end": sum(row["runs_lost"] for row in final),
    }
    factors = [row["variance_factor"] for row in final if row["variance_factor"] is not None]
    gaps = [abs(row["twin_gap"]) for row in final if row["twin_gap"] is not None]
    relative = [row["error_sq_ok_se"] / row["error_sq_ok_mean"] for row in final if row["error_sq_ok_mean"] > 0]
    precision = [share for share in relative if math.isfinite(share)]
    capped = _capped(study, data, final)
    floors = [row for row in final if row["floor_measured"] is not None]
    places = {i.id: {settings.HEADINGS[n]: settings.text(v) for n, v in settings.place(i.cell).items()} for i in data}
    shown = [settings.HEADINGS[name] for name in settings.varying(item.cell for item in data)]
    seeded = any(item.cell.seeding for item in data)
    told = IN_CELLS if not seeded else (*IN_CELLS, "B", "k0", "N0")
    return _template().render(
        study=study,
        written=written,
        headline=written.headline,
        environment=ownership.environment(folder),
        final=final,
        floors=floors,
        falls=falls,
        fits=written.fits,
        pairs=pairs,
        pictures=pictures,
        failures=failures,
        factors=(min(factors), sorted(factors)[len(factors) // 2], max(factors)) if factors else None,
        twin_gap=max(gaps) if gaps else None,
        twin_cells=len(gaps),
        precision=(min(precision), max(precision)) if precision else None,
        capped=capped,
        carried=[row for row in final if row["carried_by_few"]],
        looks=records.looks(folder),
        level=stats.look_level(written.look),
        mechanisms=list(dict.fromkeys(mechanism(item.cell) for item in data)),
        methods=list(dict.fromkeys((item.cell.part, method(item.cell)) for item in data)),
        places=places,
        more=[name for name in shown if name not in told],
        more_floors=[name for name in shown if name not in IN_FLOORS],
        few=analysis.FEW,
        folder=shlex.quote(terminal.clean(folder)),
        study_file=shlex.quote(terminal.clean(folder / "study.toml")),
        runs=(min(len(item.ok) for item in data), max(len(item.ok) for item in data)),
        seeded=seeded,
    )


def _capped(study: Study, data: list[CellData], final: list[Row]) -> list[str]:
    """Cells that have the most runs allowed and not the precision asked for."""
    if study.precision is None:
        return []
    cap = study.rounds()[-1]
    rows = zip(data, final, strict=True)
    return [
        i.id
        for i, r in rows
        if len(i.ok) >= cap and not r["error_sq_ok_se"] <= study.precision * r["error_sq_ok_mean"]  # nan reaches none
    ]
