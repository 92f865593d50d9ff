"""From how far away runs converge."""

import pytest
from synthetic import stored, stream_study

from jgmm.study.verdicts import basin

STARTS = [0.05, 0.1, 0.2]


def cells_that_converge_below(distance, runs=200):
    """Cells at C = 8 in which runs that start nearer than `distance` end well, and others far away."""
    items = stored(stream_study(n=[10_000], start=STARTS), lambda c: 0.5, runs=runs)
    for item in items:
        item.values["error_max"][:, -1] = 1.0 if item.cell.start < distance else 5.0  # C/2 is 4
    return items


@pytest.mark.parametrize(("distance", "reach"), [(1.0, "0.2 or more"), (0.15, "0.1"), (0.0, "none of those tried")])
def test_the_largest_start_from_which_runs_converge_is_said(distance, reach):
    said = f"Runs converge (95 % of them or more) from starts up to {reach} at C = 8, in units of sigma."
    assert basin.sentences(cells_that_converge_below(distance)) == [said]


def test_a_start_counts_only_if_all_nearer_ones_converge():
    items = cells_that_converge_below(1.0)
    items[0].values["error_max"][:, -1] = 5.0
    assert "up to none of those tried" in basin.sentences(items)[0]


def test_a_lost_centre_is_no_convergence():
    items = cells_that_converge_below(1.0)
    items[2].values["lost"][:20, -1] = 1
    assert "up to 0.1 at C = 8" in basin.sentences(items)[0]


def test_the_basin_wants_a_hundred_runs_and_says_so():
    (said,) = basin.sentences(cells_that_converge_below(1.0, runs=99))
    assert said == "From where they converge at C = 8 takes 100 runs to tell."
    assert "0.2 or more" in basin.sentences(cells_that_converge_below(1.0, runs=100))[0]


def test_one_cell_with_too_few_runs_is_too_few():
    few = cells_that_converge_below(1.0, runs=99)[0]
    (said,) = basin.sentences([few, *cells_that_converge_below(1.0)[1:]])
    assert said.startswith("From where they converge at C = 8 takes 100 runs")


def test_two_starts_are_no_basin():
    assert basin.sentences(cells_that_converge_below(1.0)[:2]) == []
