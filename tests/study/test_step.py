"""A spec's `rate` as a formula: the cells that it makes, and the bits of what they run."""

import numpy as np
import pytest

from jgmm.study import spec


def cells(rate, **part):
    """The cells of a small study with this rate."""
    table = {"mixture": {"k": 2, "d": 3, "layout": "simplex"}, "stream": {"n": [1000, 4000], "start": 0.5}, **part}
    table["stream"] = {**table["stream"], "rate": rate}
    return spec.cells(spec.Study(**table))


def test_a_formula_is_a_constant_step_of_its_cell_and_is_named_by_its_text():
    for ours, papers in zip(cells("3*k*log(3*n)/n"), cells("paper"), strict=True):
        assert ours.rate == papers.rate
        assert ours.step == papers.step
        assert ours.rate_name == dict(ours.axes)["rate"] == "3*k*log(3*n)/n"
        assert ours.identifier(0, False) != papers.identifier(0, False)


def test_a_power_of_the_samples_seen_has_the_polynomial_steps_numbers_and_law():
    for ours, theirs in zip(cells("k/(t+10)**0.7"), cells({"scale": 2.0, "power": 0.7, "shift": 10.0}), strict=True):
        assert ours.step == theirs.step
        assert ours.step_law == theirs.step_law
        assert ours.has_twin


def test_any_other_schedule_is_compiled_of_its_text_and_has_no_law():
    first, second = cells("min(0.1, log(t+n)/(t+3))")
    assert first.step == ("min(0.1, log(t+n)/(t+3))", (0.1, 1000.0, 3.0))
    assert first.step_law is None
    assert first.program_fields() == second.program_fields()
    assert np.isfinite(list(second.step_size.numbers.values())).all()


@pytest.mark.parametrize(
    "rate", ["C/100", "separation/100", "start/12.5", "w_min/12.5", "w_max/12.5", "sigma*e/batch/50"]
)
def test_the_numbers_of_a_cell_have_names(rate):
    assert [cell.rate for cell in cells(rate)] == [0.04] * 2


def test_numbers_of_how_samples_are_drawn_have_names():
    mixture = {"k": 2, "d": 3, "layout": "simplex", "noise": "student", "df": 5.0, "drift": 1e-5}
    assert [cell.rate for cell in cells("df*drift*(1 + dwell)*100", mixture=mixture)] == [5.0 * 1e-5 * 100] * 2


def test_numbers_of_the_algorithm_and_of_algorithm_2_have_names():
    part = {"algorithm": "soft", "em": {"beta": 2.0}, "stream": {"n": 1000, "start": "seeding"}}
    (cell,) = cells("beta*(block + graph_points + neighbors)/n0/n", seeding={"n": 500, "block": 20}, **part)
    sizes = cell.seeding
    assert cell.rate == 2 * (20 + sizes.graph_points + 3) / 500 / 1000


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ("papper", "part 'main': rate is 'papper': expected 'paper', 'seed', 'best', '1/n', a number"),
        ("3*K/n", r"'K' is no number here, expected k, d, n, .*, t \(did you mean 'k'\?\)"),
        ("3k/n", r"'k', expected an operator at character 2; no name either \('paper', "),
        ("rate/2", "'rate' is no number here"),
        ("n/k", r"rate is 500 \(n/k at n = 1000, k = 2\)"),
        ("9**9**9", "rate is '9.*beyond the floats"),
        ("(" * 100 + "n" + ")" * 99, "deeper than 30"),
    ],
)
def test_what_gives_no_step_is_refused_in_a_line(rate, message):
    with pytest.raises(ValueError, match=message) as refused:
        cells(rate)
    assert "\n" not in str(refused.value)


def test_em_takes_schedules_and_refuses_the_steps_of_lloyd_with_the_reason():
    for rate in ("1/(t+10)", "exp(-t/n)/10", "1/n"):
        cell = cells(rate, algorithm="em", mixture={"d": 3})[0]
        assert (cell.rate, cell.theorem) == (None, "none")  # Theorem 7 is about a constant step
    for rate in ("best", "seed"):
        with pytest.raises(ValueError, match=f"rate is {rate!r}, which this algorithm does not take: it is of centres"):
            cells(rate, algorithm="em", mixture={"d": 3})
    assert cells("2*log(n)/n", algorithm="em", mixture={"d": 3})[0].rate > 0
