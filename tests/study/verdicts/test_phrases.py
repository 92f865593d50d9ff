"""Cells in words."""

import numpy as np
from synthetic import start_study, starts, stored, stream_study

from jgmm.study import curves
from jgmm.study.cell import SeedingSizes
from jgmm.study.regime import Reason
from jgmm.study.verdicts import phrases
from jgmm.theory.bounds import THEOREMS

SIZES = SeedingSizes(n=10_000, block=100, graph_points=100, neighbors=3)


def items_with(*ok):
    """Cells of one study with these good runs, some with more runs than others."""
    items = stored(stream_study(), lambda c: 1.0, runs=4)
    return [item._replace(ok=np.array(good, bool)) for item, good in zip(items, ok, strict=False)]


def test_numbers_and_spans():
    assert [phrases.cells(count) for count in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]
    assert phrases.span([16, 2, 5]) == "2 to 16"
    assert phrases.span([12, 12]) == "12"
    assert phrases.span([1048576]) == "1048576"


def test_sizes_of_starts_alone_have_no_n():
    assert phrases.sizes(stored(stream_study(), lambda c: 1.0)) == "N 10000 to 40000, k 2, d 10, C 8, sigma 1"
    assert phrases.sizes(starts(start_study(), lambda c: 1.0)) == "k 5, d 10, C 16, sigma 1"


def test_runs_are_good_where_they_are_in_every_cell():
    items = items_with([1, 1, 0, 1, 1], [1, 0, 1, 1])
    assert curves.good_in_all(items).tolist() == [True, False, False, True]
    assert phrases.kept(items) == (2, 0.75)
    assert phrases.kept_words(items).startswith("3 of 4 runs are good in the worst cell (main, k=2 d=10 C=8")
    assert phrases.kept_words(items_with([1, 1])) == phrases.kept_words([]) == ""


def test_samples_that_a_theorem_asks_for_are_counted():
    """k^3 d^3 ln(k d) = 23,966 at k = 2, d = 10."""
    said = phrases.samples(THEOREMS[2], stored(stream_study(), lambda c: 1.0))
    assert said == "N >= k^3 d^3 ln(k d) with constant 1 (its own is hidden) holds in 1 of 3 cells."


def test_samples_are_told_part_by_part_and_algorithm_2s_beside_the_streams():
    """k^3 d^3 ln d is 18,421 at k = 2, d = 10; of 20,000 and 40,000 after Algorithm 2 its N0 = 10,000 is too few."""
    near = stored(stream_study(theorem=1), lambda c: 1.0)
    seeded = [
        item._replace(cell=item.cell.model_copy(update={"part": "whole", "start": "seeding", "seeding": SIZES}))
        for item in near
    ]
    assert phrases.samples(THEOREMS[1], [*near, *seeded]) == (
        "N (and N0 where Algorithm 2 starts) >= k^3 d^3 ln d with constant 1 (its own is hidden) holds in 2 of 6 cells"
        " (main 2 of 3, whole 0 of 3)."
    )


def test_every_kind_of_start_is_told_with_its_cells():
    near = stored(stream_study(start=[0.1, 0.5]), lambda c: 1.0)
    assert phrases.started(near) == "Started at an offset of 0.1 to 0.5 sigma."
    true = [item._replace(cell=item.cell.model_copy(update={"part": "whole", "start": "truth"})) for item in near[:2]]
    assert phrases.started([*true, *near]) == (
        "Started at the true means in 2 cells (whole), at an offset of 0.1 to 0.5 sigma in 6 cells (main)."
    )


def test_every_reason_is_told_with_the_number_of_cells_and_an_example():
    unmet = [[Reason("C is small", "1"), Reason("far", "a")], [], [Reason("C is small", "2")]]
    assert phrases.reasons(unmet) == "C is small in 2 (1, ...); far in 1 (a)"
    assert phrases.outside(unmet) == ["2 of 3 cells are out of its regime: C is small in 2 (1, ...); far in 1 (a)."]
    assert phrases.outside([[], []]) == []


def test_parts_are_joined_and_sentences_begin_with_a_capital():
    assert phrases.joined("a", "", "b") == "a; b"
    assert phrases.sentence("in N tight") == "In N tight"
