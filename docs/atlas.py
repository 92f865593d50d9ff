"""The atlas of verdicts: a page for each claim that was put to the test, and a table of all.

    python docs/atlas.py rebuild [ID...]   run the studies of these claims (of all), and keep what pages are made of
    python docs/atlas.py                   write the pages

Statements stand in `atlas/claims.toml`; nothing else is written by hand. A study is a preset or a spec of
`atlas/specs/`. What it said is kept in `atlas/kept/ID/` and committed: its spec, its tables at the last checkpoint, the
figure that shows the verdict, and `about.json`, which says what ran and where. From the repository's root.
"""

import csv
import importlib
import json
import re
import shutil
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent
ATLAS = DOCS / "atlas"
PRESETS = DOCS.parent / "jgmm" / "study" / "presets"
STUDIES = DOCS.parent / "results" / "atlas"  # runs that are there are not computed again
TABLES = ("verdicts.csv", "fits.csv")
MARKED = re.compile(r"(<!-- generated: claims -->\n).*?(<!-- end -->)", re.DOTALL)
# What a study may vary, and what it says where it does not: the value that stands for "nothing special".
USUAL = {
    "noise": ("gaussian", "Gaussian noise alone"),
    "weights": (None, "one set of weights"),
    "scales": (None, "one set of scales"),
    "layout": (None, "one layout of the means"),
    "rate_name": (None, "one rule of the step size"),
    "start": (None, "one kind of start"),
}
SIZES = {"k": "k", "d": "d", "separation": "C", "sigma": "sigma", "n": "N"}


class Entry(NamedTuple):
    """A claim of the atlas, as `claims.toml` has it.

    study: the name of a preset, or of a spec of `specs/`. runs: of each cell; None: those of the study. verdict: the
    line of verdicts.csv that is meant, by what it is about; None: the only one. lead: the figure's name; None: the one
    that leads the report. parts: those of the study that the claim is about; none: all. unexpected: what a reader of
    the paper would not expect, if there is such a thing.
    """

    id: str
    title: str
    statement: str
    source: str
    study: str
    runs: int | None = None
    verdict: str | None = None
    lead: str | None = None
    parts: tuple[str, ...] = ()
    unexpected: str | None = None

    @property
    def spec(self) -> Path:
        """The file of the study's spec."""
        own = ATLAS / "specs" / f"{self.study}.toml"
        return own if own.is_file() else PRESETS / f"{self.study}.toml"

    @property
    def command(self) -> str:
        """What runs the study again."""
        named = self.study if self.spec.parent == PRESETS else f"docs/atlas/specs/{self.study}.toml"
        return f"jgmm run {named}" + (f" --runs {self.runs}" if self.runs else "")

    @property
    def kept(self) -> Path:
        """The folder of what is kept."""
        return ATLAS / "kept" / self.id


def entries() -> list[Entry]:
    """The claims, in the order of the file. Raises ValueError for two of one ID, or a study that is not there."""
    claims = tomllib.loads((ATLAS / "claims.toml").read_text(encoding="utf-8"))["claim"]
    plain = {str: lambda text: " ".join(text.split()), list: tuple}
    listed = [Entry(**{key: plain.get(type(v), type(v))(v) for key, v in claim.items()}) for claim in claims]
    if len({entry.id for entry in listed}) < len(listed):
        raise ValueError("claims.toml has two claims of one id")
    for entry in listed:
        if not entry.spec.is_file():
            raise ValueError(f"{entry.id}: {entry.study} is no preset, and no spec of docs/atlas/specs")
    return listed


# --- run, and keep ---


def rebuild(together: list[Entry], folder: Path) -> None:
    """Run the study of these entries, which is one, in a folder, and keep what their pages are made of."""
    from jgmm.commands.prepare import start_jax
    from jgmm.report.write import write_report
    from jgmm.study import ownership, spec
    from jgmm.study.run import run_study

    entry = together[0]
    study = spec.load(str(entry.spec))
    named = {part for each in together for part in each.parts}
    parts = [part for part in study.part if part.name in named or not named]
    study = spec.changed(study.model_copy(update={"runs": entry.runs or study.runs, "part": parts}))
    start_jax(x64=study.x64, keep_programs=True)
    begun = time.perf_counter()
    done = run_study(study, folder, spec_folder=entry.spec.parent)
    ran = {"seconds": round(time.perf_counter() - begun, 1), "samples": done.samples, **_machine()}
    if done.reused and not done.computed:  # what is kept already says what the runs took
        ran = {key: json.loads((entry.kept / "about.json").read_text(encoding="utf-8"))[key] for key in ran}
    timing = {"seconds": done.seconds, "samples": done.samples}
    written = write_report(folder, ownership.load(folder, trust=True), timing=timing)
    for entry in together:
        keep(entry, folder, written, ran)


def _machine() -> dict[str, Any]:
    """The processor, its cores, and the version of jgmm and of its results."""
    from jgmm import __version__
    from jgmm.study.cell import ENGINE

    sys.path.insert(0, str(DOCS.parent / "benchmarks"))
    about = importlib.import_module("about")
    return {
        "machine": about.cpu_model(),
        "cores": about.environment()["cores"],
        "jgmm": __version__,
        "results": ENGINE,
    }


def keep(entry: Entry, folder: Path, written: Any, ran: dict[str, Any]) -> None:
    """Copy what an entry's page is made of from a finished study's folder.

    written: what `write_report` returned. ran: what the runs took, and where.
    """
    shutil.rmtree(entry.kept, ignore_errors=True)
    entry.kept.mkdir(parents=True)
    for name in (*TABLES, "study.toml"):
        shutil.copyfile(folder / name, entry.kept / name)
    rows = [
        row for row in last_rows(_read_csv(folder / "summary.csv")) if not entry.parts or row["part"] in entry.parts
    ]
    _write_csv(entry.kept / "summary.csv", _without_empty(rows))
    lead = entry.lead or written.lead
    if lead is not None:
        shutil.copyfile(folder / "figures" / f"{lead}.svg", entry.kept / "figure.svg")
    said = {
        **ran,
        "look": written.look,
        "laws": None if written.laws is None else written.laws.sentence,
        "figure": next((alt for path, alt in written.figures if path.stem == lead), ""),
    }
    (entry.kept / "about.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def last_rows(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Of each cell the row of its last checkpoint."""
    last: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["cell"] not in last or int(row["samples"]) >= int(last[row["cell"]]["samples"]):
            last[row["cell"]] = row
    return list(last.values())


def _without_empty(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    used = {name for row in rows for name, value in row.items() if value}
    return [{name: value for name, value in row.items() if name in used} for row in rows]


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# --- pages ---


class Kept(NamedTuple):
    """What a study said, as it is kept."""

    about: dict[str, Any]
    spec: str
    verdict: dict[str, str]
    rows: list[dict[str, str]]  # of summary.csv
    figure: bool


def kept(entry: Entry) -> Kept | None:
    """What is kept of an entry's study; None if it has not run. Raises ValueError unless one verdict is meant."""
    if not (entry.kept / "about.json").is_file():
        return None
    found = _read_csv(entry.kept / "verdicts.csv")
    meant = [row for row in found if entry.verdict in (None, row["theorem"])]
    if len(meant) != 1:
        there = ", ".join(repr(row["theorem"]) for row in found) or "none"
        raise ValueError(f"{entry.id}: verdict is {entry.verdict!r}, expected one of {there}")
    return Kept(
        json.loads((entry.kept / "about.json").read_text(encoding="utf-8")),
        entry.spec.read_text(encoding="utf-8"),
        meant[0],
        _read_csv(entry.kept / "summary.csv"),
        (entry.kept / "figure.svg").is_file(),
    )


def ranges(rows: list[dict[str, str]]) -> str:
    """What was tried of each size: "k 2 to 16, d 16, C 12"."""
    said = []
    for name, word in SIZES.items():
        values = sorted({float(row[name]) for row in rows if row.get(name)})
        if values and values != [0.0]:
            said.append(f"{word} {values[0]:g}" + (f" to {values[-1]:g}" if len(values) > 1 else ""))
    return ", ".join(said)


def not_tried(rows: list[dict[str, str]]) -> list[str]:
    """What the study kept at one value, and so says nothing about."""
    said = []
    for name, word in SIZES.items():
        values = {row[name] for row in rows if row.get(name)}
        if len(values) == 1 and values != {"0"}:
            said.append(f"{word} other than {float(values.pop()):g}")
    for name, (usual, words) in USUAL.items():
        values = {row.get(name, "") for row in rows}
        if len(values) == 1:
            (value,) = values
            text = _short(name, value)
            said.append(words if usual is not None and value == usual else f"{words} ({text})" if text else words)
    return said


def _short(name: str, value: str) -> str:
    """A value of a column in a few words."""
    numbers = value.split()
    if name in ("weights", "scales") and numbers:
        return "equal" if len(set(numbers)) == 1 else value
    return f"{value} sigma" if name == "start" and re.fullmatch(r"[\d.e-]+", value) else value


def seconds(count: float) -> str:
    """A length of time in words."""
    return f"{count:.0f} seconds" if count < 90 else f"{count / 60:.1f} minutes"


def page(entry: Entry, said: Kept) -> str:
    """The page of an entry."""
    about, rows = said.about, said.rows
    counts = sorted({int(row["runs"]) for row in rows})
    runs = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lines = [f"# {entry.title}", "", "<!-- written by docs/atlas.py -->", "", "## The claim", "", entry.statement, ""]
    lines += [f"*{entry.source}*", "", "## The verdict", ""]
    headline, _, rest = said.verdict["sentence"].partition(". ")
    lines += [f"**{said.verdict['verdict']}.** {escaped(headline)}.", "", escaped(rest), ""]
    if entry.unexpected:
        lines += ["!!! note", f"    {entry.unexpected}", ""]
    if said.figure:
        lines += [f"![{escaped(about['figure'])}](kept/{entry.id}/figure.svg)", ""]
    if about["laws"] and any(row.get("law_error_sq") for row in rows):
        lines += ["## Laws", "", f"Of the whole study: {escaped(about['laws'])}", ""]
    lines += ["## What was run", "", f"{len(rows)} cells of {runs} runs: {ranges(rows)}.", ""]
    lines += [
        f"The study, all its claims together: {float(about['samples']):.3g} samples in {seconds(about['seconds'])} on"
        f" {about['machine']},"
        f" {about['cores']} cores, with jgmm {about['jgmm']} (results {about['results']}).",
        "",
        "```sh",
        entry.command,
        "```",
        "",
        "```toml",
        said.spec.rstrip(),
        "```",
        "",
        "## What was not tried",
        "",
        *(f"- {what}" for what in not_tried(rows)),
        "",
        f"Tables: [summary](kept/{entry.id}/summary.csv), [fits](kept/{entry.id}/fits.csv),"
        f" [verdicts](kept/{entry.id}/verdicts.csv).",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text whose * _ | < [ are no Markdown."""
    return re.sub(r"([*_|<>\[\]])", r"\\\1", text)


def front(listed: list[Entry]) -> str:
    """The table of all claims."""
    lines = ["| claim | verdict | what was found | tried | source |", "| --- | --- | --- | --- | --- |"]
    for entry in listed:
        said = kept(entry)
        if said is None:
            continue
        headline = said.verdict["sentence"].partition(". ")[0].removesuffix(".")
        cells = [f"[{entry.title}]({entry.id}.md)", said.verdict["verdict"], escaped(headline), ranges(said.rows)]
        lines.append("| " + " | ".join([*cells, entry.source]) + " |")
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """All pages as they should be, by file: those of claims that have run, and the table on the front."""
    listed = entries()
    said = {entry: kept(entry) for entry in listed}
    made = {ATLAS / f"{entry.id}.md": page(entry, what) for entry, what in said.items() if what is not None}
    index = ATLAS / "index.md"
    table = front(listed)
    made[index] = MARKED.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", index.read_text(encoding="utf-8"))
    return made


def main(arguments: list[str]) -> None:
    """As the module's head says."""
    if arguments[:1] == ["rebuild"]:
        known = {entry.id: entry for entry in entries()}
        if unknown := set(arguments[1:]) - set(known):
            raise SystemExit(f"{unknown.pop()} is no claim of claims.toml: expected one of {', '.join(known)}")
        studies: dict[tuple, list[Entry]] = {}
        for name in arguments[1:] or known:
            studies.setdefault((known[name].study, known[name].runs), []).append(known[name])
        for together in studies.values():
            rebuild(together, STUDIES / together[0].study)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
