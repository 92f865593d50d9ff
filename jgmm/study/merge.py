"""Join the folders of one study, such as those of its shares, into one: the bytes are those of one command.

    check     every folder holds the same study, and runs that several of them hold are the same to the last bit
    copy      runs that `out` lacks are written there as tiles
    join      cells that then have all their runs become one file each, as in `run`

Everything is checked before a run is written, and every file is written whole: the same call goes on after a kill.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from jgmm import doors, outside
from jgmm.study import means as files_of_means
from jgmm.study import missing, ownership, plan, spec
from jgmm.study.folder import files, parquet, records, store
from jgmm.study.folder.lock import Lock, holding
from jgmm.study.inventory import Inventory
from jgmm.study.spec import Cell, Study

OTHERWISE = "folders of one study"


class Merged(NamedTuple):
    """What `merge` did, in runs of cells.

    copied: into the folder. equal: of several folders, kept once. left: wanted, and in none of them. ignored: a
    sentence about each file that was passed over.
    """

    study: Study
    copied: int
    equal: int
    left: int
    ignored: list[str]


class Segment(NamedTuple):
    """Runs `low` to `high` - 1 of a cell, out of a file that may hold more."""

    file: store.Stored
    low: int
    high: int

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Their rows; `rows` are those of one run."""
        first, end = (self.low - self.file.low) * rows, (self.high - self.file.low) * rows
        return parquet.read_rows(self.file.path, first, end)


Segments = dict[str, list[Segment]]  # of each cell, by its identifier, sorted and without overlap


def merge(folders: Iterable[Path | str], out: Path | str, *, trust: bool = False, lock: Lock | None = None) -> Merged:
    """Join the stored runs of these folders in `out`: a new folder, one of them, or one with the same study.

    The folders may differ in `runs`, precision, max_runs and claims, of which the first one's hold. They are only read.
    trust: import the code that a study names outside jgmm. lock: of `out`, if it is to be held when this ends.
    Raises ValueError, a line, where a folder is no study's, they hold different studies or a run in two versions, or
    somebody else writes in `out`; OSError where a file cannot be read or written.
    """
    if isinstance(folders, (str, Path)) or not isinstance(folders, Iterable):
        raise doors.bad("folders", folders, "a list of folders")
    paths = [doors.path(f"folders[{i}]", folder) for i, folder in enumerate(folders)]
    out = doors.path("out", out)
    if not paths:
        raise ValueError("folders is [], expected at least one folder of a study")
    ownership.check(out)
    present = files.kind(out / "study.toml") is not None
    study, named = _one_study([*paths, out] if present else paths, trust=doors.flag("trust", trust))
    sources = [path for path in paths if path.resolve() != out.resolve()]
    with holding(lock, out) as own_lock:
        own_lock.take()
        ignored = [own_lock.warning] if own_lock.warning else []
        kept = missing.stored(out, named, aside=True) if present else store.Done({}, [])
        segments = {name: [Segment(file, file.low, file.high) for file in found] for name, found in kept.cells.items()}
        ignored += kept.ignored
        added: list[tuple[Path, Segments]] = []
        equal = 0
        for source in sources:
            found = missing.stored(source, named)
            ignored += found.ignored
            new, overlap = _add(segments, found.cells, named)
            added.append((source, new))
            equal += overlap
        first = paths[0]
        study = ownership.claim(out, study, ownership.environment(first), fresh=False, code=_code(first))
        ignored += files_of_means.keep(files_of_means.contents(study, first), out)
        for source, new in added:
            _copy(source, new, named, out)
            _copy_back_ends(source, out)
            _copy_looks(source, out)
        left = _join(study, named, out)
        copied = sum(each.high - each.low for _, new in added for cell in new.values() for each in cell)
        return Merged(study, copied, equal, left, ignored)


def _one_study(folders: list[Path], *, trust: bool) -> tuple[Study, dict[str, Cell]]:
    """The study that all of these folders hold, with the most runs that one of them asks for, and its cells."""
    first = folders[0]
    study = files_of_means.at_home(ownership.load(first, trust=trust), first)
    named = spec.named_cells(study, first)
    environment = ownership.environment(first)
    for folder in folders[1:]:
        other = ownership.load(folder, trust=trust)
        study = ownership.same_study(folder, study, environment, OTHERWISE)
        if spec.named_cells(other, folder).keys() != named.keys():
            raise ValueError(f"{folder} has other cells than {first}: expected {OTHERWISE}, by one version of jgmm")
    return study, named


def _add(segments: Segments, found: missing.Pieces, named: Mapping[str, Cell]) -> tuple[Segments, int]:
    """Add what a folder holds and `segments` lacks; what was added, and how many runs both had.

    Raises ValueError, naming the cell, where both have a run and it is not the same.
    """
    added: Segments = {}
    equal = 0
    for name, pieces in found.items():
        before = segments.setdefault(name, [])
        new = []
        for file in pieces:
            for other in before:
                both = max(file.low, other.low), min(file.high, other.high)
                if both[0] < both[1]:
                    _check_equal(name, named[name], Segment(file, *both), Segment(other.file, *both))
                    equal += both[1] - both[0]
            taken = [(segment.low, segment.high) for segment in before]
            new += [Segment(file, low, high) for low, high in _lacking(taken, file.low, file.high)]
        added[name] = new
        segments[name] = sorted([*before, *new], key=lambda segment: segment.low)
    return added, equal


def _check_equal(name: str, cell: Cell, one: Segment, other: Segment) -> None:
    """Raises ValueError unless two files hold the same in these runs."""
    if not parquet.same_rows(one.tables(cell.rows), other.tables(cell.rows)):
        raise ValueError(
            f"cell {name} (part {cell.part!r}): runs {one.low} to {one.high - 1} are others in {one.file.path} than in"
            f" {other.file.path}: expected the same, for what a run is depends on its cell and the seed alone"
        )


def _lacking(taken: Iterable[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """The ranges of runs `low` to `high` - 1 that are in none of those taken."""
    pieces = [store.Stored(Path(), *each) for each in sorted(taken)]
    return [(max(first, low), end) for first, end in store.missing(pieces, high) if end > low]


def _copy(source: Path, new: Segments, named: Mapping[str, Cell], out: Path) -> None:
    """Write these runs of a folder into `out`, and its examples of cells."""
    for name, segments in new.items():
        for segment in segments:
            store.write_runs(out, name, segment.low, segment.high, segment.tables(named[name].rows))
        example = source / "examples" / f"{name}.parquet"
        if files.kind(example) == "file" and files.kind(out / "examples" / example.name) is None:
            files.write_bytes(out / "examples" / example.name, files.read_bytes(example))


def _copy_back_ends(source: Path, out: Path) -> None:
    """Add a folder's lines about what computed which runs, for runs of which `out` has none."""
    taken: dict[str, list[tuple[int, int]]] = {}
    for line in records.back_ends(out)[0]:
        taken.setdefault(line["cell"], []).append((int(line["low"]), int(line["high"])))
    new = [
        {**line, "low": str(low), "high": str(high)}
        for line in records.back_ends(source)[0]
        for low, high in _lacking(taken.get(line["cell"], []), int(line["low"]), int(line["high"]))
    ]
    if new:
        records.add_back_ends(out, new)


def _copy_looks(source: Path, out: Path) -> None:
    """Add the looks of a folder that are the same as none in `out`: they count there, too."""
    seen = records.looks(out)
    for look in records.looks(source):
        if not any(records.same(look, other) for other in seen):
            records.record_look(out, look)


def _join(study: Study, named: Mapping[str, Cell], out: Path) -> int:
    """Make one file of each cell that has all its wanted runs; how many are missing of the others."""
    inventory = Inventory(out, named, None)
    while inventory.want(study):  # with a precision, round by round
        for name in inventory.wanted:
            inventory.join(name)
    return plan.num_runs(inventory.to_do())


def _code(folder: Path) -> dict[str, bytes]:
    """The sources of what the study names outside jgmm, which its folder keeps."""
    kept = folder / outside.FOLDER
    paths = sorted(kept.iterdir()) if files.kind(kept) else []
    return {path.name: files.read_bytes(path) for path in paths if store.CODE_NAME.fullmatch(path.name)}
