"""Which runs belong to a share: each run to one share, whatever is done; and studies computed share by share."""

from concurrent.futures import ThreadPoolExecutor

import folders
import numpy as np
import pytest

import jgmm
from jgmm.study import run as runner
from jgmm.study import spec
from jgmm.study.plan import Piece
from jgmm.study.share import Share


@pytest.fixture(autouse=True)
def strict():
    """No kernels here."""


def study(**more):
    stream = {"n": [200, 300], "start": 0.2}
    part = [{"name": "a", "mixture": {"k": 2, "d": [2, 3]}, "stream": stream}]
    return jgmm.Study(name="shared", runs=8, part=part, **more)


def owners(cell, runs, count):
    """The number of the share that each run belongs to, by asking every share; 0 where none has it."""
    owner = np.zeros(runs, int)
    for number in range(1, count + 1):
        for low, high in Share(number, count).ranges(cell, runs):
            assert (owner[low:high] == 0).all()
            owner[low:high] = number
    return owner


CELLS = spec.cells(study())
SEEDED = spec.cells(
    jgmm.Study(
        name="seeded",
        part=[
            {
                "name": "s",
                "mixture": {"k": 2, "d": 8, "separation": 12},
                "stream": {"n": [200, 300], "start": "seeding"},
            }
        ],
    )
)


def test_three_shares_of_one_cell_by_hand():
    place = int(CELLS[0].identifier(0, False), 16) % 3  # of the first share
    first = [1 + (i - place) % 3 for i in range(3)]  # the shares that have places 0, 1, 2
    expected = [*first, *first, *np.repeat(first, 2), *np.repeat(first, 4)]
    assert owners(CELLS[0], 24, 3).tolist() == expected


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 100])
@pytest.mark.parametrize("runs", [1, 5, 16, 256, 1000])
def test_every_run_belongs_to_one_share_however_many_there_are(runs, count):
    for cell in CELLS:
        owner = owners(cell, runs, count)
        assert (owner > 0).all()
        assert owner.tolist() == owners(cell, 2 * runs, count)[:runs].tolist()


def test_a_share_is_a_few_ranges_and_of_a_whole_number_of_doublings_an_equal_part():
    for number in range(1, 17):
        ranges = list(Share(number, 16).ranges(CELLS[0], 2**14))
        assert sum(high - low for low, high in ranges) == 2**10
        assert len(ranges) == 11


def test_cells_that_share_a_start_share_the_shares_of_its_runs_and_others_do_not():
    a, b = (list(Share(2, 1000).ranges(cell, 4000)) for cell in SEEDED)
    assert a == b
    assert len({tuple(Share(2, 1000).ranges(cell, 4000)) for cell in CELLS}) == len(CELLS)


def test_of_pieces_a_share_takes_what_belongs_to_it():
    cell, whole = CELLS[0], np.array(owners(CELLS[0], 40, 3))
    for number in (1, 2, 3):
        pieces = Share(number, 3).of([Piece(cell, 5, 17), Piece(cell, 30, 31)])
        taken = [run for piece in pieces for run in range(piece.low, piece.high)]
        assert taken == [run for run in (*range(5, 17), 30) if whole[run] == number]
        assert all(piece.cell is cell for piece in pieces)


@pytest.mark.parametrize(
    ("share", "more", "said"),
    [
        ((0, 16), {}, r"share\[0\] is 0, expected a whole number of at least 1"),
        ((17, 16), {}, "share is 17/16, expected a number from 1 to 16"),
        ((1, 10**6), {}, r"share\[1\] is 1000000, expected a whole number of at least 1, below 10001"),
        ("3/16", {}, "share is '3/16', expected a pair of whole numbers"),
        ((1, 2), {"precision": 0.1}, "share is 1/2 of a study with precision = 0.1, .*: expected runs alone"),
    ],
)
def test_what_is_no_share_is_refused(tmp_path, share, more, said):
    with pytest.raises(ValueError, match=f"^{said}") as refused:
        jgmm.run_study(study(**more), tmp_path / "out", share=share)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_shares_one_after_another_in_one_folder_make_the_study(tmp_path, made_up):
    folders.go(tmp_path / "whole", runs=21)
    told = []
    for number in (1, 2, 3):
        told.append(runner.run_study(folders.tiny(21), tmp_path / "out", share=(number, 3)))
        again = runner.run_study(folders.tiny(21), tmp_path / "out", share=(number, 3))
        assert (again.computed, again.reused, again.left) == (0, told[-1].computed, 0)
    assert sum(done.computed for done in told) == 21
    assert all(0 < done.computed < 21 and (done.reused, done.left) == (0, 0) for done in told)
    whole, out = folders.bytes_of(tmp_path / "whole"), folders.bytes_of(tmp_path / "out")
    assert {name for name in out if name.startswith(("cells", "tiles"))} == {n for n in whole if n.startswith("cells")}
    assert all(whole[name] == content for name, content in out.items() if name.startswith("cells"))


def test_progress_counts_the_cells_that_have_all_that_their_share_wants(tmp_path, made_up):
    told = []
    with ThreadPoolExecutor(1) as pool:
        runner.run_study(
            folders.tiny(21), tmp_path, share=(2, 3), executor=pool, progress=lambda *news: told.append(news[0])
        )
    assert told[0].startswith("0 of 1 cells")
    assert told[-1].startswith("1 of 1 cells")


def test_a_share_computes_what_is_left_of_it(tmp_path, made_up):
    folders.go(tmp_path, runs=6)
    (cell,) = spec.cells(folders.tiny())
    left = Share(2, 2).of([Piece(cell, 6, 40)])
    done = runner.run_study(folders.tiny(40), tmp_path, share=(2, 2))
    assert (done.computed, done.left) == (sum(high - low for _, low, high in left), 0)
    assert done.reused == sum(high - low for low, high in Share(2, 2).ranges(cell, 6))
