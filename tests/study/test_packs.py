"""How pieces are cut and packed: no run is lost or doubled, no pack is too wide."""

import numpy as np

from jgmm.study import packs, spec
from jgmm.study.plan import Piece

SHORT, LONG = spec.cells(spec.Study(stream={"n": [1000, 2000], "start": 0.1}))


def test_a_piece_is_cut_into_widths_and_what_is_left():
    assert packs.cut([Piece(LONG, 3, 10), Piece(SHORT, 0, 4)], 4) == [
        Piece(LONG, 3, 7),
        Piece(LONG, 7, 10),
        Piece(SHORT, 0, 4),
    ]


def test_pieces_stand_side_by_side_while_they_fit():
    pieces = [Piece(LONG, 0, 4), Piece(LONG, 4, 7), Piece(SHORT, 0, 1), Piece(SHORT, 1, 2)]
    assert packs.packed(pieces, 4) == [pieces[:1], pieces[1:3], pieces[3:]]


def test_packs_hold_every_run_once_in_its_order_and_are_never_too_wide():
    rng = np.random.default_rng(0)
    for width in (1, 3, 32):
        ends = rng.integers(1, 100, size=5)
        pieces = packs.cut([Piece(LONG, 0, int(high)) for high in ends], width)
        packed = packs.packed(pieces, width)
        assert [piece for pack in packed for piece in pack] == pieces
        assert all(sum(piece.high - piece.low for piece in pack) <= width for pack in packed)
        assert sum(piece.high - piece.low for piece in pieces) == ends.sum()
