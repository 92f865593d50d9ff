"""A report is written: the stored cells are read, what they say is concluded, and all of it goes into the folder."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jgmm import doors
from jgmm.report import csv_files, figures, html
from jgmm.report.headline import table_of_cells
from jgmm.report.hook import Page, page_of
from jgmm.report.results import Results
from jgmm.report.written import Written
from jgmm.study import beside, bias, checks, curves, heavy, looked, ownership, read, refine, spec, summary, verdicts
from jgmm.study.folder import columns, files, parquet, records, store
from jgmm.study.folder.lock import Lock, holding
from jgmm.study.folder.spool import Spool
from jgmm.study.pairs import Paired, paired
from jgmm.study.read import CellData
from jgmm.study.spec import Study
from jgmm.study.verdicts import Verdict


def write_report(
    folder: Path | str,
    study: Study,
    spec_folder: Path | str | None = None,
    *,
    timing: dict | None = None,
    lock: Lock | None = None,
    page: Page | None = None,
) -> Written:
    """Write summary.parquet, .csv, fits.csv, verdicts.csv, paired.csv, looks.json, figures/ and report.html.

    spec_folder: where files of means lie; by default the study's folder. timing: what the simulation took (seconds,
    samples), kept with the look. lock: the folder's, if it is held. page: what to show in place of the page that the
    study names (see `jgmm.report.hook`). Raises ValueError if a run is missing, a file damaged, somebody else writes in
    the folder, or for an argument of another kind.
    """
    folder = Path(doors.path("folder", folder))
    doors.kind("study", study, Study, "of jgmm.Study(...), or of jgmm.study.spec.load")
    spec_folder = folder if spec_folder is None else Path(doors.path("spec_folder", spec_folder))
    if timing is not None:
        doors.kind("timing", timing, dict, "of numbers")
    page = page_of(study) if page is None else page
    ownership.check_study(folder)
    study = ownership.continued(folder, study)
    with holding(lock, folder) as held:
        held.take()
        data, ignored = _read(folder, study, spec_folder, scratch=folder)
        written = publish(folder, study, data, ignored, timing=timing, page=page)
        return written._replace(ignored=[held.warning, *written.ignored]) if held.warning else written


def stored(folder: Path, study: Study) -> Results:
    """A study's results from its folder, in which nothing is written. Raises ValueError as `write_report`."""
    ownership.check_study(folder)
    data, _ = _read(folder, study, folder, scratch=Path(tempfile.gettempdir()))
    return _results(study, data)


def _results(study: Study, data: list[CellData]) -> Results:
    """The cells, and their summary."""
    return Results(study, data, [row for item in data for row in summary.summarize(item)])


def _read(folder: Path, study: Study, spec_folder: Path, *, scratch: Path) -> tuple[list[CellData], list[str]]:
    """Every cell, and a word on each file that is passed over. scratch: where arrays go that memory has no room for."""
    cells = spec.named_cells(study, spec_folder)
    done = store.scan(folder, {name: cell.rows for name, cell in cells.items()})
    records.looks(folder)  # damaged ones end it here: they decide the level of all that follows
    spool = Spool(scratch)  # what is read of the cells at a time does not grow with their checkpoints
    data = [read.read(folder, cell, study, done, spool) for cell in cells.values()]
    return bias.beside(data), done.ignored


def publish(
    folder: Path,
    study: Study,
    data: list[CellData],
    ignored: list[str],
    *,
    timing: dict | None = None,
    page: Page | None = None,
) -> Written:
    """Write what these cells say. What cannot be made of them is left out with a word: no cell is too odd."""
    written = _conclude(folder, study, data, ignored, Page() if page is None else page)
    _write_tables(folder, written)
    record_look(folder, written.results, written.verdicts, written.look, timing)
    return _with_page(folder, written)


def _conclude(folder: Path, study: Study, data: list[CellData], ignored: list[str], own: Page) -> Written:
    """Everything that the cells say, its figures drawn."""
    results = _results(study, data)
    lines = [*curves.curves(study, data), *curves.of_weights(study, data)]
    look, concluded = judge(folder, results)
    files.make_folder(folder / "figures")
    if own.figures is None:
        drawn = figures.write_all(folder / "figures", results, lines)
    else:
        drawn = figures.Figures(list(own.figures(folder / "figures", results)), [])
    return Written(
        results=results,
        headline=table_of_cells(results) if own.headline is None else own.headline(results),
        own_table=own.headline is not None,
        fits=[fit for fit in map(curves.fit, lines) if fit is not None],
        floors=verdicts.floor_fits(study, data),
        pairs=paired(data),
        figures=drawn.made,
        lead=own.lead or figures.leading(concluded, results, drawn.made),
        verdicts=concluded,
        laws=verdicts.law_verdict(data, look),
        look=look,
        ignored=ignored,
        left_out=[*drawn.left_out, *_without_exponent(lines)],
        back_ends=[],
        twins=checks.twins(results.summary),
        conditioning=checks.conditioning(results.final()),
        tails=heavy.sentence(item.cell for item in data),
        states=beside.states(data),
        biases=bias.rows(data),
    )


def _write_tables(folder: Path, written: Written) -> None:
    """Write summary.parquet and the csv files."""
    table = columns.summary(written.summary)
    parquet.write_table(folder / "summary.parquet", table, durable=False)
    csv_files.write_table(folder / "summary.csv", table)
    for name, row, rows in (
        ("components.csv", beside.ComponentRow, beside.components(written.data)),
        ("states.csv", beside.StateRow, written.states),
        ("bias.csv", bias.BiasRow, written.biases),
    ):
        if rows:
            csv_files.write_rows(folder / name, row._fields, rows)
    fits = [*written.fits, *map(csv_files.floor_row, written.floors)]
    csv_files.write_rows(folder / "fits.csv", curves.FitRow._fields, fits)
    csv_files.write_rows(folder / "paired.csv", Paired._fields, written.pairs)
    concluded = [(v.theorem, v.verdict, v.sentence, v.level, v.look) for v in written.verdicts]
    csv_files.write_rows(folder / "verdicts.csv", ("theorem", "verdict", "sentence", "level", "look"), concluded)


def record_look(
    folder: Path, results: Results, found: Iterable[Verdict], look: int, timing: dict | None = None
) -> None:
    """Put down that somebody has looked at so many runs, and what was concluded. The caller holds the folder's lock."""
    entry = {
        "look": look,
        "runs": _runs(results),
        "claims": looked.claims(item.cell for item in results.data),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **(timing or {}),
        "verdicts": {verdict.theorem: verdict.sentence for verdict in found},
    }
    records.record_look(folder, entry)


def _with_page(folder: Path, written: Written) -> Written:
    """Write the page, last: it has the look, and what drove the streams."""
    back_ends, lost = back_end_lines(folder, {item.id for item in written.data})
    written = written._replace(back_ends=back_ends, ignored=[*written.ignored, *lost])
    files.write_text(folder / "report.html", html.render(folder, written.results, written), durable=False)
    return written


def _runs(results: Results) -> int:
    """Runs of cells."""
    return sum(len(item.ok) for item in results.data)


def judge(folder: Path, results: Results) -> tuple[int, list[Verdict]]:
    """Which look this is, and its verdicts. Nothing is written."""
    look = look_at(folder, results)
    late = looked.late((item.cell for item in results.data), records.looks(folder))
    return look, verdicts.verdicts(results.study, results.data, look, late)


def look_at(folder: Path, results: Results) -> int:
    """Which look this is: looking again at the same runs, with the same claims, is the same look.

    The rounds of a precision count as looks, and so do those in which an axis was refined.
    """
    now = {"runs": _runs(results), "claims": looked.claims(item.cell for item in results.data)}
    past = [look for look in records.looks(folder) if not records.same(look, now)]
    most = max(len(item.ok) for item in results.data)
    study = results.study
    rounds = sum(runs <= most for runs in study.rounds()) if study.precision is not None else 1
    before = max((int(look.get("look", 0)) for look in past), default=0)
    return max(len(past) + 1, before + 1, rounds + refine.rounds(study))


def _without_exponent(lines: list[curves.Curve]) -> list[str]:
    """A sentence for each part, axis and reason for which curves have no exponent."""
    reasons = ((curve, curves.why_not(curve)) for curve in lines)
    counts = Counter((c.part, curves.WORDS.get(c.axis, c.axis), why) for c, why in reasons if why is not None)
    settings = {key: f" at {count} settings" if count > 1 else "" for key, count in counts.items()}
    return [f"no exponent of {part} in {axis}{settings[part, axis, why]}: {why}" for part, axis, why in counts]


def back_end_lines(folder: Path, cells: set[str]) -> tuple[list[str], list[str]]:
    """What drove the streams and the starts of these cells, each with its reason, device and runs of cells.

    And a word on lines of backends.csv that are lost.
    """
    count: Counter[str] = Counter()
    rows, lost = records.back_ends(folder)
    for row in rows:
        if row["cell"] not in cells:
            continue
        runs = int(row["high"]) - int(row["low"])
        if row["back_end"]:
            count[f"{row['back_end']} (stream, {row['device']}): {row['reason']}"] += runs
        if row["seeding_back_end"]:
            count[f"{row['seeding_back_end']} (seeding, {row['device']}): {row['seeding_reason']}"] += runs
    return [f"{line}; {count[line]} runs of cells" for line in sorted(count)], lost  # tasks end in any order
