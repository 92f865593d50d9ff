"""The atlas of verdicts: a page for each claim that was put to the test, and a table of all.

    python docs/atlas.py rebuild [ID...] [--jobs N]    keep the studies of these claims (all), N at a time; then write
    python docs/atlas.py keep ID...                    run the study of these claims, one; keep what pages are made of
    python docs/atlas.py                               write the pages

Statements stand in `atlas/claims.toml`; nothing else is written by hand. A study is a preset or a spec of
`atlas/specs/`. What it said is kept in `atlas/kept/ID/` and committed: its spec, its tables at the last checkpoint, the
figure that shows the verdict, and `about.json`, which says what ran and where. Tables are the same wherever they were
computed: their numbers have DIGITS digits, since the last ones of a logarithm are the machine's own. From the
repository's root.

Each study has a process of its own and is kept when it is done, so that a rebuild which was stopped goes on: stored
runs are not computed again, and studies that are kept as they are wanted take seconds.
"""

import argparse
import csv
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent
ATLAS = DOCS / "atlas"
PRESETS = DOCS.parent / "jgmm" / "study" / "presets"
STUDIES = DOCS.parent / "results" / "atlas"  # runs that are there are not computed again
DIGITS = 8
# Samples of a run from which a thread of a card, at 1 to 2 us each, takes longer than a machine's cores.
LONG = 2 * 10**7
FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")
STATES = 3  # that a page tells of a cell, the most frequent first
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


class Share(NamedTuple):
    """A claim about runs: in each cell at least the share `least` of them has the quantity `on` at most `within`."""

    on: str
    within: str  # a formula in a cell's numbers
    least: float


class Entry(NamedTuple):
    """A claim of the atlas, as `claims.toml` has it.

    study: the name of a preset, or of a spec of `specs/`, or the path of one from the repository's root, beside which
    the modules lie that it names. runs: of each cell; None: those of the study. verdict: the
    line of verdicts.csv that is meant, by what it is about; None: the only one. lead: the figure's name; None: the one
    that leads the report. parts: those of the study that the claim is about; none: all. share: where the claim is about
    a share of runs, of which the study itself has no verdict. unexpected: what a reader of the paper would not expect,
    if there is such a thing.
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
    share: Share | None = None
    unexpected: str | None = None

    @property
    def spec(self) -> Path:
        """The file of the study's spec."""
        if self.study.endswith(".toml"):
            return DOCS.parent / self.study
        own = ATLAS / "specs" / f"{self.study}.toml"
        return own if own.is_file() else PRESETS / f"{self.study}.toml"

    @property
    def folder(self) -> Path:
        """Where the study's runs are."""
        return STUDIES / self.study.removesuffix(".toml").replace("/", "-")

    @property
    def command(self) -> str:
        """What runs the study again."""
        whole = self.spec.parent == PRESETS or self.study.endswith(".toml")
        named = self.study if whole else f"docs/atlas/specs/{self.study}.toml"
        return f"jgmm run {named}" + (f" --runs {self.runs}" if self.runs else "")

    @property
    def kept(self) -> Path:
        """The folder of what is kept."""
        return ATLAS / "kept" / self.id


def entries() -> list[Entry]:
    """The claims, in the order of the file. Raises ValueError for two of one ID, or a study that is not there."""
    claims = tomllib.loads((ATLAS / "claims.toml").read_text(encoding="utf-8"))["claim"]
    plain = {str: lambda text: " ".join(text.split()), list: tuple, dict: lambda share: Share(**share)}
    listed = [Entry(**{key: plain.get(type(v), type(v))(v) for key, v in claim.items()}) for claim in claims]
    if len({entry.id for entry in listed}) < len(listed):
        raise ValueError("claims.toml has two claims of one id")
    for entry in listed:
        if not entry.spec.is_file():
            raise ValueError(f"{entry.id}: {entry.study} is no preset, no spec of docs/atlas/specs, and no file")
    return listed


# --- run, and keep ---


def wanted(together: list[Entry]) -> Any:
    """The study of these entries, which is one, with their runs and parts."""
    from jgmm.study import spec

    study = spec.load(str(together[0].spec))
    named = {part for each in together for part in each.parts}
    parts = [part for part in study.part if part.name in named or not named]
    return spec.changed(study.model_copy(update={"runs": together[0].runs or study.runs, "part": parts}))


def start(cells: list[Any], *, x64: bool) -> None:
    """Start JAX for a study: on the CPU, whatever else there is, where the cores are to take it."""
    import jax

    from jgmm.commands.prepare import start_jax

    if of_cores(cells):
        jax.config.update("jax_platforms", "cpu")
    start_jax(x64=x64, keep_programs=True)


def of_cores(cells: list[Any]) -> bool:
    """Whether a study is for the cores, and not for a card that is there: runs are long, or nothing but starts."""
    return max(cell.n for cell in cells) > LONG or of_starts(cells)


def of_starts(cells: list[Any]) -> bool:
    """Whether a study is of starts alone: most of it is Python's, a core for each process."""
    return all(cell.start_only for cell in cells)


def run(together: list[Entry], folder: Path) -> None:
    """Run the study of these entries in a folder, and keep what their pages are made of."""
    from jgmm.commands import executors
    from jgmm.engine import machine
    from jgmm.report.write import write_report
    from jgmm.study import ownership, plan, spec
    from jgmm.study.run import run_study

    study, spec_folder = wanted(together), together[0].spec.parent
    cells = spec.cells(study, spec_folder)
    workers = f"processes:{machine.cores()}" if of_starts(cells) else None
    begun = time.perf_counter()
    with executors.opened(workers, keep_programs=True, back_end="auto", hear=lambda: None) as executor:
        done = run_study(study, folder, executor=executor, spec_folder=spec_folder)
    if done.left:
        raise SystemExit(f"{together[0].study}: {done}")
    pieces = [plan.Piece(cell, 0, study.runs) for cell in cells]
    samples = sum(plan.samples_of(task) for task in plan.tasks(pieces, devices=1))
    ran = _ran(folder, samples, time.perf_counter() - begun if done.computed else None)
    study = ownership.load(folder, trust=True)
    written = write_report(folder, study, timing={"seconds": ran["seconds"], "samples": samples})
    for entry in together:
        keep(entry, folder, study, written, ran)


def _ran(folder: Path, samples: int, seconds: float | None) -> dict[str, Any]:
    """What a study has taken in all of its goes, and where: in a file beside its folder.

    seconds: of this go; None of one that computed nothing.
    """
    path = folder.with_suffix(".json")
    before = _before(path)
    if seconds is None and len(before) > 1:
        return before
    took = round(before["seconds"] + (seconds or 0.0), 1)
    ran = {"seconds": took, "samples": samples, **_machine(), "cards": _cards(folder)}
    path.write_text(json.dumps(ran, indent=1) + "\n", encoding="utf-8")
    return ran


def _before(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"seconds": 0.0}


def _add_seconds(folder: Path, seconds: float) -> None:
    """To what a study has taken, those of a go that failed."""
    path = folder.with_suffix(".json")
    before = _before(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**before, "seconds": round(before["seconds"] + seconds, 1)}) + "\n", encoding="utf-8")


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


def _cards(folder: Path) -> list[str]:
    """The devices that streams of a study ran on, where these are no CPUs."""
    rows = _read_csv(folder / "backends.csv")
    return sorted({row["device"] for row in rows if "gpu" in (row["back_end"], row["seeding_back_end"])})


def keep(entry: Entry, folder: Path, study: Any, written: Any, ran: dict[str, Any]) -> None:
    """Copy what an entry's page is made of from the folder of a study that is done.

    written: what `write_report` returned. ran: what the runs took, and where.
    """
    import shares

    made = entry.kept.with_name(f".{entry.id}")  # moved when it is whole
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    shutil.copyfile(folder / "study.toml", made / "study.toml")
    of_parts = [row for row in _read_csv(folder / "summary.csv") if not entry.parts or row["part"] in entry.parts]
    _write_csv(made / "summary.csv", _without_empty(last_rows(of_parts)))
    for name in ("verdicts.csv", "fits.csv"):
        _write_csv(made / name, _read_csv(folder / name))
    if entry.share is not None:
        judged = shares.judge(entry, study, folder, written.look)
        _write_csv(made / "verdicts.csv", [judged.verdict])
        _write_csv(made / "shares.csv", judged.rows)
    if (folder / "states.csv").is_file():
        rows = _read_csv(folder / "states.csv")
        _write_csv(made / "states.csv", [row for row in rows if not entry.parts or row["part"] in entry.parts])
    lead = entry.lead or written.lead
    if lead is not None:
        shutil.copyfile(folder / "figures" / f"{lead}.svg", made / "figure.svg")
    said = {
        **ran,
        "look": written.look,
        "laws": None if written.laws is None else written.laws.sentence,
        "figure": next((alt for path, alt in written.figures if path.stem == lead), ""),
    }
    (made / "about.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(entry.kept, ignore_errors=True)
    made.rename(entry.kept)


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
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: rounded(value) for name, value in row.items()} for row in rows)


def rounded(value: str) -> str:
    """A number that is not whole, to DIGITS digits; anything else as it is."""
    whole = FLOAT.fullmatch(value) is None or not ("." in value or "e" in value)
    return value if whole else repr(float(f"{float(value):.{DIGITS}g}"))


# --- pages ---


class Kept(NamedTuple):
    """What a study said, as it is kept."""

    about: dict[str, Any]
    spec: str
    verdict: dict[str, str]
    rows: list[dict[str, str]]  # of summary.csv
    figure: bool
    states: list[dict[str, str]]  # of states.csv


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
        _read_csv(entry.kept / "states.csv") if (entry.kept / "states.csv").is_file() else [],
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
    lines += ended(said)
    lines += ["## What was run", "", f"{len(rows)} cells of {runs} runs: {ranges(rows)}.", ""]
    machine = " and ".join([*about.get("cards", []), about["machine"]])
    lines += [
        f"The study, all its claims together: {float(about['samples']):.3g} samples in {seconds(about['seconds'])} on"
        f" {machine}, {about['cores']} cores, with jgmm {about['jgmm']} (results {about['results']}).",
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


def ended(said: Kept) -> list[str]:
    """A table of where the runs of each cell ended, with intervals of 95 %; no lines where that was not measured."""
    if not said.states:
        return []
    cells = {row["cell"]: row for row in said.rows}
    names = [name for name in (*SIZES, "start") if len({row.get(name) for row in said.rows}) > 1]
    heads = [
        *(SIZES.get(name, name) for name in names),
        "centres that each component holds, and in how many of the runs",
    ]
    lines = ["## Where runs ended", "", f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for cell, row in cells.items():
        own = [state for state in said.states if state["cell"] == cell]
        shares = [
            f"{state['state']}: {100 * float(state['share']):.3g} %"
            f" [{100 * float(state['low']):.3g}, {100 * float(state['high']):.3g}]"
            for state in own[:STATES]
        ]
        more = f"; {len(own) - STATES} others" if len(own) > STATES else ""
        lines.append(
            "| " + " | ".join([*(_number(row[name]) for name in names), escaped("; ".join(shares) + more)]) + " |"
        )
    return [*lines, ""]


def _number(value: str) -> str:
    return f"{float(value):g}" if FLOAT.fullmatch(value) else value


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


def rebuild(named: list[Entry], jobs: int) -> list[str]:
    """Keep the studies of these entries, so many at a time, each in a process of its own; those that failed.

    The cores' own come first: they take the longest.
    """
    from jgmm.study import spec

    studies: dict[tuple, list[Entry]] = {}
    for entry in named:
        studies.setdefault((entry.study, entry.runs), []).append(entry)
    first = [of_cores(spec.cells(wanted(each), each[0].spec.parent)) for each in studies.values()]
    ordered = [each for _, each in sorted(zip(first, studies.values(), strict=True), key=lambda pair: not pair[0])]
    # A card's memory is for all of them, not for the first.
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", **os.environ}

    def one(together: list[Entry]) -> str | None:
        ids = [entry.id for entry in together]
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, __file__, "keep", *ids], env=environment)
        ended = "kept" if done.returncode == 0 else f"failed, status {done.returncode}"
        took = time.perf_counter() - begun
        if done.returncode:  # what it stored is gone on from, and was not for nothing
            _add_seconds(together[0].folder, took)
        print(f"{together[0].study}: {ended} in {took:.0f} s", flush=True)
        return together[0].study if done.returncode else None

    with ThreadPoolExecutor(jobs) as pool:
        return [study for study in pool.map(one, ordered) if study is not None]


def main(arguments: list[str]) -> None:
    """As the module's head says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", default="write", choices=["rebuild", "keep", "write"])
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--jobs", type=int, default=1)
    asked = parser.parse_args(arguments)
    known = {entry.id: entry for entry in entries()}
    if unknown := set(asked.ids) - set(known):
        raise SystemExit(f"{unknown.pop()} is no claim of claims.toml: expected one of {', '.join(known)}")
    named = [known[name] for name in asked.ids or known]
    if asked.what == "keep":
        from jgmm.study import spec

        study = wanted(named)
        start(spec.cells(study, named[0].spec.parent), x64=study.x64)
        run(named, named[0].folder)
        return
    failed = rebuild(named, asked.jobs) if asked.what == "rebuild" else []
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    if failed:
        raise SystemExit(f"not kept: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
