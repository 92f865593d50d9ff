"""What a folder holds of a study, and what it lacks, while tasks are computed."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from jgmm.study import missing, plan
from jgmm.study.folder import store
from jgmm.study.job import Receipt
from jgmm.study.plan import Piece
from jgmm.study.share import Share, part_of
from jgmm.study.spec import Cell, Study


class Inventory:
    """The runs of each cell that a folder holds and those wanted, kept up to date as tasks are finished."""

    def __init__(self, out: Path, named: Mapping[str, Cell], share: Share | None):
        """named: the study's cells by identifier. share: of their runs, which to do. Sets damaged files aside."""
        self.out, self.named, self.share = out, named, share
        self.pieces, self.ignored = missing.stored(out, named, aside=True)
        self.wanted: dict[str, int] = {}

    def want(self, study: Study) -> bool:
        """Set the wanted runs to those of the study's present round; whether these are other than before."""
        before, self.wanted = self.wanted, missing.wanted_runs(study, self.named, self.pieces)
        return self.wanted != before

    def to_do(self, *names: str) -> list[Piece]:
        """The runs, of all cells or of these, that are wanted, belong to the share and are not stored."""
        wanted = {name: self.wanted[name] for name in names or self.wanted}
        return part_of(self.share, missing.to_do(self.named, self.pieces, wanted))

    def num_wanted(self) -> int:
        """The runs that are wanted and belong to the share, stored or not."""
        return plan.num_runs(part_of(self.share, missing.to_do(self.named, {}, self.wanted)))

    def scan(self) -> None:
        """Read the folder again, where a worker that failed may have stored a part of its task."""
        self.pieces = missing.stored(self.out, self.named).cells

    def join(self, name: str) -> None:
        """Make one file of a cell's pieces if they hold all that is wanted of it."""
        missing.join_if_whole(self.out, name, self.pieces, self.wanted[name])

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Tiles that a task has stored."""
        for name, low, high, _ in receipts:
            tile = store.Stored(store.tile(self.out, name, low, high), low, high)
            self.pieces[name] = sorted([*self.pieces.get(name, []), tile], key=lambda piece: piece.low)
            self.join(name)

    def num_whole(self) -> int:
        """Cells that have all that is wanted of them."""
        return sum(not self.to_do(name) for name in self.wanted)
