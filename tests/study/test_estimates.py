"""`estimates` in a spec: an axis, an identifier that is as always where it says nothing new, and refusals in a line."""

import pytest
from made_cells import made, study

from jgmm.study import expected, regime, spec

TEXT = """
[mixture]
k = 3
d = 3
layout = "simplex"
separation = 6.0
weights = [0.5, 0.3, 0.2]
[stream]
n = 400
rate = "paper"
start = 0.5
checkpoints = 1
"""


def cells_of(more="", text=TEXT):
    return spec.cells(study(text + more))


def test_the_algorithms_own_number_has_the_identifier_of_a_spec_that_does_not_say_it():
    (plain,) = cells_of(text=TEXT)
    few, own, many = cells_of("estimates = [2, 3, 5]")
    assert own.identifier(0, False) == plain.identifier(0, False)
    assert len({cell.identifier(0, False) for cell in (few, own, many)}) == 3
    assert [cell.estimates for cell in (few, own, many)] == [2, 3, 5]
    assert [cell.matched for cell in (few, own, many)] == [2, 3, 3]
    assert [dict(cell.axes).get("estimates") for cell in (plain, few, own, many)] == [None, 2, 3, 5]


def test_steps_are_those_of_an_algorithm_that_takes_its_estimates_for_the_components():
    few, own, many = cells_of("estimates = [2, 3, 5]")
    assert few.rate == pytest.approx(own.rate * 2 / 3)
    assert many.rate == pytest.approx(own.rate * 5 / 3)


def test_laws_twins_and_theorems_are_told_of_the_algorithms_own_number_alone():
    few, own, many = cells_of("estimates = [2, 3, 5]")
    assert own.has_twin
    assert own.theorem == 2
    for cell in (few, many):
        assert not cell.has_twin
        assert cell.theorem == "none"
        item = made(cell)
        assert expected.law(item, 1).error_sq is None
        assert expected.floor(item) is expected.oracle(item, 400) is expected.cramer_rao(item, 400) is None
        assert not regime.unmet(item)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            'estimates = 2\n[[part]]\nstream = { start = "seeding" }',
            "estimates is 2 with start = 'seeding', which finds",
        ),
        (
            "estimates = 5\ndisplacement = true",
            "estimates is 5 with displacement = true: expected one for each of k = 3",
        ),
        ("estimates = 5\n[[part]]\ntheorem = 1", "theorem is 1 with estimates = 5: expected k, or theorem = 'none'"),
        ('estimates = 5\n[[part]]\nalgorithm = "oracle"', "algorithm 'oracle' has its own number of them"),
    ],
)
def test_what_needs_an_estimate_for_each_component_says_so(more, said):
    with pytest.raises(ValueError, match=said):
        cells_of(more)
