"""Shares of a study: n commands that know nothing of each other compute it, each its own runs of every cell.

A cell has n places. Of its runs 0 to n - 1 each place has one. Runs n 2^g to 2 n 2^g - 1, for g = 0, 1, ..., are cut
into n ranges of 2^g runs, and each place has one. So a share is a few ranges however many runs there are, and where
these are n times a power of two all shares are equal. Which place a share has depends on the cell, so that where the
runs are another number the larger shares of one cell are not those of the next.

So the share that a run belongs to is a function of its cell, its number and n alone. Two shares never overlap, whatever
each of them finds done, and a study that is given more runs keeps its shares.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from jgmm import doors
from jgmm.study import limits
from jgmm.study.plan import Piece
from jgmm.study.spec import Cell, Study

MOST = 10_000  # shares of a study: each reads the spec, compiles its programs and has a folder


class Share(NamedTuple):
    """The share `number` (from 1) of `num_shares`."""

    number: int
    num_shares: int

    def __str__(self) -> str:
        return f"{self.number}/{self.num_shares}"

    def ranges(self, cell: Cell, high: int) -> Iterator[tuple[int, int]]:
        """The ranges (low, high) of the cell's runs below `high` that belong to the share, in order."""
        place = (self.number - 1 + _turn(cell)) % self.num_shares
        low, size = place, 1
        while low < high:
            yield low, min(low + size, high)
            size = size * 2 if low >= self.num_shares else 1
            low = size * (self.num_shares + place)

    def of(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Of these pieces, what belongs to the share."""
        return [
            Piece(piece.cell, max(low, piece.low), high)
            for piece in pieces
            for low, high in self.ranges(piece.cell, piece.high)
            if high > piece.low
        ]


def part_of(share: Share | None, pieces: Iterable[Piece]) -> list[Piece]:
    """Of these pieces, what belongs to the share; all of them where there is none."""
    return list(pieces) if share is None else share.of(pieces)


def checked(share: Any, study: Study) -> Share | None:
    """A pair as a Share, or None. Raises ValueError for another, and for a study that cannot be computed by shares."""
    if share is None:
        return None
    if not isinstance(share, (tuple, list)) or len(share) != 2:
        raise doors.bad("share", share, "a pair of whole numbers, as (3, 16)")
    count = doors.whole("share[1]", share[1], below=MOST + 1)
    number = doors.whole("share[0]", share[0])
    if number > count:
        raise ValueError(f"share is {number}/{count}, expected a number from 1 to {count}")
    if study.precision is not None:
        raise ValueError(
            f"share is {number}/{count} of a study with precision = {study.precision:g}, which needs all runs of a cell"
            " to tell how many more it needs: expected runs alone"
        )
    if refined := [part.name for part in study.part if part.refine is not None]:
        raise ValueError(
            f"share is {number}/{count} of a study that refines an axis of {refined[0]!r}, which needs all runs of a"
            " round to tell the next: expected no refine"
        )
    return Share(number, count)


@lru_cache(limits.CELLS)
def _turn(cell: Cell) -> int:
    """By how many places the shares are turned in this cell; cells that share a seeding stay together."""
    if cell.seeding is None:
        return int(cell.identifier(0, False), 16)
    return int(hashlib.sha256(repr(cell.start_fields()).encode()).hexdigest(), 16)
