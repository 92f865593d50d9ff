"""What twice a constant step adds to the mean estimate: exact on made displacements, laws on simulated ones."""

import csv
import math
from pathlib import Path

import made_cells
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm.commands import closing
from jgmm.report.write import write_report
from jgmm.study import bias, curves, quantities, spec, summary, verdicts
from jgmm.study import run as runner

TEXT = """
[mixture]
d = 3
separation = 4.0
[stream]
n = 400
rate = [0.01, 0.02, 0.04, 0.08]
start = 0.1
checkpoints = 1
displacement = true
[claim]
on = "bias"
bound = "rate"
"""
OUTWARD = np.array([0.6, -0.8])


def data_of(power, *, scale=1.0, spread=0.0, runs=64, text=TEXT):
    """Cells whose runs have moved by scale rate^power along OUTWARD from a limit, and by what all steps share."""
    study = made_cells.study(text, runs=runs)
    draws = np.random.default_rng(1)
    shared = draws.normal(0.3, 1.0, (runs, 2))
    data = []
    for seed, cell in enumerate(spec.cells(study)):
        moved = scale * cell.rate**power * OUTWARD + shared + spread * cell.rate * draws.normal(size=(runs, 2))
        data.append(made_cells.made(cell, runs, seed=seed)._replace(displacement=moved))
    return study, data


def test_twice_the_step_adds_what_the_step_has_added_where_the_bias_is_like_it():
    _, data = data_of(1.0)
    items = bias.beside(data)
    for item in items[:-1]:
        assert_allclose(quantities.values(item), item.cell.rate, rtol=1e-6)
    assert not quantities.has(items[-1])  # there is no cell of twice its step
    rows = bias.rows(items)
    assert_allclose([row.bias for row in rows], [0.01, 0.02, 0.04], rtol=1e-6)
    assert_allclose([row.left for row in rows[:-1]], 0, atol=1e-6)
    assert rows[-1].left is None


def test_richardson_and_romberg_leave_two_less_root_two_of_a_bias_like_the_root():
    _, data = data_of(0.5)
    rows = bias.rows(bias.beside(data))
    assert_allclose([row.bias for row in rows], (math.sqrt(2) - 1) * np.sqrt([0.01, 0.02, 0.04]), rtol=1e-6)
    assert_allclose([row.left for row in rows[:-1]], 2 - math.sqrt(2), rtol=1e-6)


def test_cells_that_differ_in_more_than_their_step_are_no_ladder():
    text = TEXT.replace("n = 400", "n = [400, 800, 1600, 3200]").replace("rate =", "average = 0.5\nrate =")
    _, data = data_of(1.0, text='together = ["n", "rate"]\n' + text)
    assert bias.ladders(data) == []
    _, data = data_of(1.0, text=TEXT.replace("0.02, 0.04, 0.08", "0.03, 0.06, 0.12"))
    assert [rung.item.cell.rate for rung in bias.ladders(data)[0]] == [0.03, 0.06]


def test_where_halves_disagree_on_a_direction_the_even_runs_are_measured_along_that_of_the_odd():
    hits = []
    _, data = data_of(1.0, runs=32, text=TEXT.replace("0.02, 0.04, 0.08", "0.02"))
    draws = np.random.default_rng(0)
    for _ in range(400):
        (row,) = bias.rows([item._replace(displacement=draws.normal(size=(32, 2))) for item in data])
        hits.append(abs(row.bias) > 2 * row.bias_se)
        assert row.runs_ok in (16, 32)
    assert np.mean(hits) < 0.1  # of t with 15 degrees of freedom .064; .15 along the direction of all runs


def test_only_runs_that_are_good_at_both_steps_count():
    _, data = data_of(1.0)
    broken = data[1].ok.copy()
    broken[7] = False
    items = bias.beside([data[0], data[1]._replace(ok=broken), *data[2:]])
    assert [item.ok.sum() for item in items] == [63, 63, 64, 64]
    assert np.isfinite(quantities.values(items[0])[items[0].ok]).all()


def test_a_claim_on_the_bias_is_judged_and_names_the_cell_without_a_double():
    study, data = data_of(1.0, spread=0.01)
    (verdict,) = verdicts.verdicts(study, bias.beside(data), 1)
    assert verdict.verdict == "consistent, tight"
    said = "1 of 4 cells are out of its regime: there is no cell of twice its step in 1 (rate = 0.08)"
    assert said in verdict.sentence
    study, data = data_of(0.5, spread=0.01)
    items = bias.beside(data)
    (verdict,) = verdicts.verdicts(study, items, 1)
    assert verdict.verdict == "contradicted"  # like the root it falls more slowly than the step
    (curve,) = curves.curves(study, items)
    assert curves.fit(curve).slope == pytest.approx(0.5, abs=0.01)


def test_each_ladder_has_a_sentence_on_the_terminal(tmp_path, capsys):
    _, data = data_of(1.0, spread=0.01)
    displaced = iter(item.displacement for item in data)
    text = TEXT.replace("[mixture]", "runs = 64\n[mixture]")
    written = made_cells.published(
        tmp_path, text, lambda cell, seed: made_cells.made(cell, 64, seed=seed)._replace(displacement=next(displaced))
    )
    closing.print_closing(written)
    said = " ".join(capsys.readouterr().out.split())
    assert "bias main: twice the step moves the mean estimate by 0.00997 ±" in said
    assert "at rate 0.04; of that 2 avg(eta) - avg(2 eta) leaves" in said


def test_no_exponent_is_taken_of_a_bias_that_may_be_0():
    study, data = data_of(1.0, scale=0.0, spread=1.0)
    (verdict,) = verdicts.verdicts(study, bias.beside(data), 1)
    assert verdict.findings == []
    row = summary.summarize(bias.beside(data)[0])[-1]
    assert row["quantity_ok_low"] is None


def test_a_bias_without_displacements_is_refused():
    with pytest.raises(ValueError, match="quantity is 'bias' with displacement = false: expected displacement = true"):
        spec.cells(made_cells.study(TEXT.replace("displacement = true", "")))


LAWS = """
runs = 64
[mixture]
d = 6
separation = 2.0
[stream]
rate = [0.01, 0.02]
start = "truth"
average = 0.8
n = 40000
checkpoints = 1
displacement = true
[claim]
on = "bias"
bound = "rate"
[[part]]
name = "soft"
algorithm = "soft"
[[part]]
name = "lloyd"
[[part]]
name = "touching"
mixture = { d = 1, noise = "uniform", separation = 3.4641016, weights = [0.6, 0.4] }
stream = { rate = [0.0025, 0.005], n = 160000 }
"""


def touching(rate, weights):
    """docs/theory.md, "A kink": the length of what twice the step adds, to first order in the weights' difference."""
    w = np.array(weights)
    drift = 1 / 8 - np.diag(w)
    lyapunov = np.kron(drift, np.eye(2)) + np.kron(np.eye(2), drift)
    variance = np.linalg.solve(lyapunov, -np.diag(w).ravel()).sum() / 4
    pulled = abs(w[0] - w[1]) / 4 * math.sqrt(2 * variance / math.pi) / (1 - 1 / (8 * w.prod()))
    return (math.sqrt(2) - 1) * math.sqrt(rate) * np.linalg.norm(pulled / w)


@pytest.mark.slow
def test_the_bias_of_a_pair_is_the_law_and_that_of_a_kink_is_like_the_root(tmp_path):
    study = spec.parse(LAWS, source="laws", folder=Path(), default_name="laws")
    runner.run_study(study, tmp_path)
    written = write_report(tmp_path, study)
    soft, lloyd, kink = written.biases
    for row in (soft, lloyd):
        assert row.bias_se < 0.05 * row.law
        assert abs(row.bias - row.law) < 4 * row.bias_se + 8 * row.rate * row.law  # the next order: 6 to 8 eta
    assert abs(kink.bias - touching(kink.rate, (0.6, 0.4))) < 4 * kink.bias_se
    assert kink.law is None
    with (tmp_path / "bias.csv").open(newline="") as file:
        assert [line["part"] for line in csv.DictReader(file)] == ["soft", "lloyd", "touching"]
    assert "twice the step moves the mean estimate by" in (tmp_path / "report.html").read_text()
