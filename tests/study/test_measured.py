"""What a spec asks to be measured: which quantities there are, how they are stored, told and drawn, and refusals."""

import csv
from pathlib import Path

import made_cells
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jgmm.report.write import write_report
from jgmm.study import beside, curves, missing, quantities, read, spec, summary
from jgmm.study import run as runner

TEXT = """
runs = 12
[mixture]
k = 3
d = 3
layout = "simplex"
separation = 4.0
weights = [0.2, 0.5, 0.3]
[stream]
n = 60
rate = 0.05
start = 0.5
checkpoints = 2
"""


def parsed(text):
    return spec.parse(text, source="measured", folder=Path(), default_name="measured")


def cells_of(more="", text=TEXT):
    return spec.cells(parsed(text + more))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small study of several numbers of estimates with all that has no need of an algorithm's own weights."""
    out = tmp_path_factory.mktemp("results") / "measured"
    study = parsed(
        'quantity = "error_sq_lightest"\n' + TEXT + 'estimates = [2, 3, 5]\nmeasure = "holds"\nheldout = 40\n'
    )
    runner.run_study(study, out)
    write_report(out, study)
    return out, study


def data_of(folder):
    out, study = folder
    named = spec.named_cells(study, out)
    done = missing.stored(out, named)
    return [read.read(out, cell, study, done) for cell in named.values()]


def table_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- what is asked for ---


def test_nothing_is_measured_where_nothing_is_asked_and_the_identifier_is_as_always():
    (plain,) = cells_of()
    assert plain.measures == ()
    assert plain.identifier(0, False) == "6b68ef825d1f"  # as it was before there were measures
    assert cells_of('measure = []\nheldout = 0\n[[part]]\nquantity = "error_max"')[0].identifier(0, False) == (
        plain.identifier(0, False)
    )


def test_what_is_measured_is_part_of_the_identifier():
    texts = ["", 'measure = "holds"', "heldout = 10", "heldout = 20", '[[part]]\nquantity = "error_sq_2"']
    assert len({cells_of(text)[0].identifier(0, False) for text in texts}) == len(texts)


def test_measures_come_in_the_order_of_their_table_each_once():
    (cell,) = cells_of('measure = ["from_means_sq", "holds"]\n[[part]]\nquantity = "error_sq_3"')
    assert cell.measures == ("component_sq", "holds", "from_means_sq")
    few, own, _ = cells_of("estimates = [2, 3, 5]\nheldout = 10")
    assert few.measures == ("holds", "from_means_sq", "from_estimates_sq", "mislabelled", "log_likelihood_gap")
    assert own.measures == ("mislabelled", "log_likelihood_gap")


def test_the_likelihood_is_not_taken_of_other_noise():
    (cell,) = cells_of('heldout = 10\n[[part]]\nmixture.noise = "uniform"')
    assert cell.measures == ("mislabelled",)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('measure = "mass"', "measure is 'mass', expected one of component_sq, holds, .*, or module:NAME"),
        (
            'heldout = 9\nmeasure = "log_likelihood_gap"\n[[part]]\nalgorithm = "online-em"\n'
            "stream.rate = { scale = 1, power = 0.6 }\nmixture.covariance = { ratio = 3.0 }",
            "measure is 'log_likelihood_gap' with a covariance: algorithm 'online-em' estimates the scales of spheres",
        ),
        ('measure = "mislabelled"', "measure is 'mislabelled' with heldout = 0: expected samples held out"),
        ('measure = "scales_sq"', "measure is 'scales_sq', but algorithm 'lloyd' estimates no scales"),
        (
            'heldout = 9\nmeasure = "log_likelihood_gap"\n[[part]]\nmixture.noise = "uniform"',
            "measure is 'log_likelihood_gap': expected Gaussian noise",
        ),
        (
            '[[part]]\nalgorithm = "em"\nquantity = "from_means_sq"\n'
            'mixture = { k = 2, layout = "symmetric", weights = "equal" }',
            "measure is 'from_means_sq', but algorithm 'em' keeps no centre for each component",
        ),
        (
            '[[part]]\nquantity = "eror_sq"',
            "quantity is 'eror_sq': expected one of error_sq, .* .did you mean 'error_sq'",
        ),
        ('[[part]]\nquantity = "error_sq_4"', "quantity is 'error_sq_4': expected one of .*error_sq_1, .*error_sq_3"),
        (
            '[[part]]\nstream.n = 0\nquantity = "from_means_sq"',
            "quantity is 'from_means_sq': expected one of error_sq, error_sum, error_max, lost",
        ),
        (
            '[[part]]\ntheorem = 2\nquantity = "error_max"',
            "theorem is 2 with quantity = 'error_max': it bounds error_sq",
        ),
    ],
)
def test_what_cannot_be_measured_says_so_in_a_line(more, said):
    text = TEXT.replace("rate = 0.05\n", "").replace("checkpoints = 2\n", "") if "n = 0" in more else TEXT
    with pytest.raises(ValueError, match=said) as caught:
        cells_of(more, text)
    assert "\n" not in str(caught.value)


def test_a_long_list_of_components_is_told_by_its_ends():
    (cell,) = cells_of(text=TEXT.replace("k = 3\nd = 3", "k = 40\nd = 39").replace("weights = [0.2, 0.5, 0.3]\n", ""))
    asked = cell.model_copy(update={"measures": ("component_sq",)})
    with pytest.raises(ValueError, match="error_sq_1, error_sq_2, error_sq_40, error_sq_heaviest, error_sq_lightest$"):
        quantities.check(asked, "mass")


# --- what is stored and read ---


def test_a_cell_has_a_column_for_each_of_its_measures_and_reads_them_back(folder):
    for item in data_of(folder):
        table = pq.read_table(folder[0] / "cells" / f"{item.id}.parquet")
        assert table.schema.names[-len(item.cell.measures) :] == list(item.cell.measures)
        stored = np.array(table["component_sq"].to_pylist()).reshape(12, 3, 3)
        for rank in range(3):
            assert_array_equal(item.values[f"error_sq_{rank + 1}"], stored[..., rank].astype(np.float32))
        held = np.array(table["holds"].to_pylist()).reshape(12, 3, 3)
        assert_array_equal(held.sum(axis=-1), item.cell.estimates)
        assert_array_equal(table["mislabelled"].to_numpy().reshape(12, 3), item.values["mislabelled"])


def test_quantities_of_a_cell_are_its_own_and_those_that_all_have(folder):
    few, own, many = data_of(folder)
    assert (few.values["holds_1"][:, 0] == 1).all()  # fewer start at the heaviest
    assert (few.values["holds_3"][:, 0] == 0).all()
    assert (few.values["error_sq_3"][:, 0] > few.values["error_sq_1"][:, 0]).all()
    for item in (few, own, many):
        assert_array_equal(quantities.values(item), quantities.values(item, "error_sq_3"))
        assert_array_equal(quantities.values(item, "error_sq_heaviest", 1), item.values["error_sq_1"][:, 1])
    parts = [quantities.values(own, f"error_sq_{rank}") for rank in (1, 2, 3)]
    assert_allclose(sum(parts), quantities.values(own, "error_sq"), rtol=1e-6)
    assert_allclose(
        quantities.values(few, "from_means_sq"), sum(quantities.values(few, f"error_sq_{r}") for r in (1, 2, 3))
    )
    with pytest.raises(ValueError, match="quantity is 'from_means_sq': expected one of error_sq, .*, holds_1, .*"):
        quantities.check(own.cell, "from_means_sq")


def test_the_sums_over_components_do_not_depend_on_how_runs_are_cut(folder, tmp_path):
    study = folder[1]
    again = study.model_copy(update={"runs": 5})
    runner.run_study(again, tmp_path / "again")
    for item in data_of((tmp_path / "again", again)):
        (other,) = [each for each in data_of(folder) if each.id == item.id]
        for name, values in item.values.items():
            assert_array_equal(values, other.values[name][:5])


# --- what is told ---


def test_the_summary_has_the_mean_of_each_number_with_its_standard_error(folder):
    few, own, _ = data_of(folder)
    row, other = summary.summarize(few)[-1], summary.summarize(own)[-1]
    for name in ("from_means_sq", "from_estimates_sq", "mislabelled", "log_likelihood_gap"):
        values = few.values[name][:, -1].astype(float)
        assert_allclose(row[f"{name}_ok_mean"], values.mean())
        assert_allclose(row[f"{name}_ok_se"], values.std(ddof=1) / np.sqrt(12))
    assert other["from_means_sq_ok_mean"] is None
    assert row["weights_sq_ok_mean"] is None
    assert row["quantity"] == "error_sq_lightest"
    assert_allclose(row["quantity_ok_mean"], few.values["error_sq_3"][:, -1].astype(float).mean())


def test_components_have_a_row_each_in_order_of_weight(folder):
    rows = table_of(folder[0] / "components.csv")
    item = data_of(folder)[1]
    own = [row for row in rows if row["cell"] == item.id]
    assert [(row["rank"], row["weight"]) for row in own] == [("1", "0.5"), ("2", "0.3"), ("3", "0.2")]
    for rank, row in enumerate(own, 1):
        errors = item.values[f"error_sq_{rank}"][:, -1].astype(float)
        assert_allclose(float(row["error_sq_ok_mean"]), errors.mean())
        assert_allclose(float(row["error_sq_ok_se"]), errors.std(ddof=1) / np.sqrt(12))


def test_states_are_counted_over_runs_with_exact_intervals():
    (cell,) = cells_of('measure = "holds"')
    item = made_cells.made(cell, 20)
    states = [(1, 1, 1)] * 14 + [(0, 2, 1)] * 3 + [(2, 1, 0)] * 2 + [(1, 1, 0)]
    held = {f"holds_{r + 1}": np.repeat(np.array(states, np.float32)[:, r : r + 1], 3, axis=1) for r in range(3)}
    rows = beside.states([item._replace(values={**item.values, **held})])
    assert [(row.state, row.in_state, row.runs) for row in rows] == [
        ("1+1+1", 14, 20),
        ("2+1+0", 5, 20),
        ("not finite", 1, 20),
    ]
    assert_allclose((rows[1].share, rows[1].low, rows[1].high), (0.25, 0.08657147, 0.49104587), rtol=1e-6)  # beta's
    errors = item.values["error_sq"][14:19, -1].astype(float)
    assert_allclose((rows[1].error_sq_mean, rows[1].error_sq_se), (errors.mean(), errors.std(ddof=1) / np.sqrt(5)))


def test_the_state_of_many_components_is_told_in_groups():
    assert beside.name_of([1] * 9 + [0] + [2] + [1] * 9, 20) == "1x2+18x1+1x0"
    assert beside.name_of([0, 2, 1], 3) == "2+1+0"


def test_the_page_tells_where_estimates_ended(folder):
    page = (folder[0] / "report.html").read_text(encoding="utf-8")
    assert "Where the estimates ended" in page
    assert ">2+2+1<" in page
    assert [row["state"] for row in table_of(folder[0] / "states.csv")].count("1+1+0") == 1


def test_a_fit_is_of_the_quantity_of_its_part_and_has_no_law_of_another():
    text = '[[part]]\nquantity = "error_max"\nstream.n = [100, 200, 400]'
    data = [made_cells.made(cell, 64, seed=i) for i, cell in enumerate(cells_of(text))]
    study = parsed(TEXT + text)
    (curve,) = curves.curves(study, data)
    assert_array_equal(curves.values(curve), [item.values["error_max"][:, -1].astype(float) for item in data])
    fit = curves.fit(curve)
    assert fit.quantity == "error_max"
    assert fit.verdict == "no law"
    assert curves.law(curve) is curves.variance_term(curve) is None


def test_a_curve_along_weights_is_against_the_least_of_them():
    text = TEXT.replace("[0.2, 0.5, 0.3]", "[[0.2, 0.5, 0.3], [0.1, 0.5, 0.4], [0.5, 0.45, 0.05]]")
    data = [made_cells.made(cell, 64, seed=i) for i, cell in enumerate(cells_of(text=text))]
    (curve,) = curves.of_weights(parsed(text), data)
    assert_allclose(curve.x, [0.05, 0.1, 0.2])
    assert curves.fit(curve).axis == "w_min"


def test_the_error_of_a_span_has_a_name_of_its_own_and_is_ojas(tmp_path):
    text = (
        f'quantity = "subspace_error_sq"\n{TEXT}[[part]]\nname = "oja"\nalgorithm = "oja"\n[[part]]\nname = "lloyd"\n'
    )
    study = parsed(text)
    runner.run_study(study, tmp_path)
    written = write_report(tmp_path, study)
    oja, lloyd = written.data
    assert_allclose(oja.values["subspace_error_sq"], oja.values["error_sq"], rtol=1e-5, atol=1e-6)
    assert (lloyd.values["subspace_error_sq"] < lloyd.values["error_sq"]).all()
    last = written.summary[-1]
    assert_allclose(last["subspace_error_sq_ok_mean"], lloyd.values["subspace_error_sq"][:, -1].mean(), rtol=1e-6)
