"""What cells are set to, and which of it a sentence mentions."""

import pytest

from jgmm.study import settings, spec


def cell(algorithm="lloyd", start=0.1, n=1000, beta=None, **mixture):
    em = {"em": {"beta": beta}} if beta else {}
    stream = {"n": n, "start": start}
    (only,) = spec.cells(spec.Study(algorithm=algorithm, mixture={"k": 2, "d": 3, **mixture}, stream=stream, **em))
    return only


def test_every_value_has_its_axis_in_the_order_of_the_headings():
    values = settings.place(cell())
    assert values == {
        "layout": "symmetric",
        "k": 2,
        "d": 3,
        "separation": 4.0,
        "sigma": 1.0,
        "weights": "equal",
        "scales": "equal",
        "noise": "gaussian",
        "covariance": "spherical",
        "dwell": 0.0,
        "drift": 0.0,
        "start": 0.1,
        "n": 1000,
        "batch": 1,
        "rate": "paper",
        "average": 0.0,
    }
    order = list(settings.HEADINGS)
    assert [order.index(name) for name in values] == sorted(order.index(name) for name in values)


@pytest.mark.parametrize(
    ("changes", "more", "less"),
    [
        ({"layout": "symmetric-box"}, {"side": 10000.0}, set()),
        ({"layout": "box"}, {"side": 10000.0}, set()),
        ({"algorithm": "oracle"}, {}, {"rate", "average"}),
        ({"algorithm": "em", "beta": 2.0}, {"beta": 2.0}, set()),
        ({"n": 0}, {}, {"n", "batch", "rate", "average"}),
    ],
)
def test_a_cell_has_only_the_axes_that_mean_something_to_it(changes, more, less):
    usual, values = settings.place(cell()), settings.place(cell(**changes))
    assert values.keys() == (usual.keys() | more.keys()) - less
    assert {name: values[name] for name in more} == more


def test_one_component_has_no_separation():
    assert "separation" not in settings.place(cell(k=1, layout="simplex"))


def test_a_start_by_algorithm_2_has_its_sizes():
    values = settings.place(cell(start="seeding", n=0))
    assert "start" not in values
    assert {name for name in values if name.startswith("seeding.")} == {
        "seeding.n",
        "seeding.block",
        "seeding.graph_points",
        "seeding.neighbors",
        "seeding.method",
    }


def test_cells_differ_on_the_axes_where_they_have_two_values():
    assert settings.varying([cell(), cell(d=5), cell(algorithm="oracle")]) == ["d"]
    assert settings.varying([cell(), cell(sigma=2.0, n=500)]) == ["sigma", "n"]


def test_a_sentence_mentions_what_is_not_usual():
    assert settings.where(cell()) == "main, k=2 d=3 C=4 start=0.1 N=1000"
    unusual = cell(algorithm="em", beta=2.0, sigma=3.0)
    assert settings.where(unusual) == "main, k=2 d=3 C=4 sigma=3 start=0.1 N=1000 beta=2"
    weights = cell(layout="simplex", weights=[0.75, 0.25], scales=[1.0, 0.5])
    assert settings.where(cell(noise="uniform")) == "main, k=2 d=3 C=4 noise=uniform start=0.1 N=1000"
    assert settings.where(weights) == "main, k=2 d=3 C=4 weights=(0.75 0.25) scales=(1 0.5) start=0.1 N=1000"
    assert settings.words(weights, ["scales", "beta", "n"]) == "scales=(1 0.5) N=1000"


def test_tables_have_six_digits_and_nothing_where_there_is_nothing():
    assert [settings.text(value) for value in (None, 1 / 3, 7, "paper")] == ["", "0.333333", "7", "paper"]


def test_a_table_has_no_column_of_what_no_cell_departs_from():
    cells = [cell(), cell(dwell=0.5)]
    assert settings.unsaid(cells, "drift")
    assert not settings.unsaid(cells, "dwell")
    assert not settings.unsaid(cells, "noise")
