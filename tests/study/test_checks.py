"""Wrong simulations fail loudly; what means were taken over is said."""

import math

import folders
import numpy as np
import pytest
from scipy import stats

from jgmm import cli, lanes
from jgmm.study import checks, spec

SPEC = """
runs = 64
theorem = "none"
[mixture]
k = 3
d = 7
layout = "simplex"
weights = [0.6, 0.3, 0.1]
separation = 12.0
[stream]
n = 400
rate = 0.05
start = 0.3
checkpoints = 1
"""


def row(**changes):
    base = {"cell": "abc", "part": "main", "k": 2, "d": 3, "separation": 4.0, "n": 100, "samples": 100}
    good = {"runs_graph_failed": 0, "runs_not_finite": 0}
    return {**base, "runs": 64, "runs_ok": 64, "few": False, "twin_gap": 0.5, **good, **changes}


def test_twins_within_five_standard_errors_are_right():
    said = checks.twins([row(twin_gap=gap) for gap in (-4.9, 0.0, 4.9)])
    assert said.right
    assert "all 3 labelled twins" in said.sentence
    assert "4.9" in said.sentence


@pytest.mark.parametrize("gap", [6.0, -6.0, math.inf, math.nan])
def test_one_twin_away_from_its_exact_mean_makes_the_simulation_wrong(gap):
    said = checks.twins([row(), row(cell="bad", twin_gap=gap, runs_ok=5000)])
    assert not said.right
    assert "wrong in 1 of 2 cells" in said.sentence
    assert "cell bad: main, k=2 d=3 C=4 N=100" in said.sentence


def test_cells_without_twins_are_not_held_against_them():
    assert checks.twins([row(twin_gap=None)]) is None
    assert "all 1 labelled twins" in checks.twins([row(twin_gap=None), row()]).sentence


def test_right_twins_of_few_runs_are_not_called_wrong():
    rng = np.random.default_rng(0)
    for runs in (3, 8, 64):
        errors = rng.chisquare(4, (10_000, runs))  # of two centres in two dimensions
        gaps = stats.ttest_1samp(errors, 4, axis=1).statistic
        if runs < 64:
            assert (np.abs(gaps) > checks.FAR).mean() > 1e-3  # held to a normal law's limit many would be
        assert checks.twins([row(twin_gap=gap, runs_ok=runs) for gap in gaps]).right


def test_what_means_leave_out_is_said():
    assert checks.conditioning([row(), row()]) is None
    said = checks.conditioning(
        [
            row(),
            row(runs_ok=19, runs_graph_failed=43, runs_not_finite=1),
            row(cell="worst", runs_ok=5, runs_graph_failed=58, few=True),
        ]
    )
    assert (
        "In 2 of 3 cells means leave out 104 runs: 101 whose graph has not k components, 1 whose error is not" in said
    )
    assert "finite, 2 that start with a lost component. The fewest kept are 5 of 64" in said
    assert "5 of 64 (cell worst" in said
    assert "In 1 of 3 cells fewer than 8 runs are left" in said


def test_wrong_labels_end_the_command_with_status_1_and_head_the_page(tmp_path, capsys, monkeypatch):
    """Every sample drawn from the last component: the twins forget at other speeds than their exact means say."""
    folders.hasten(monkeypatch)
    right = lanes.thresholds
    monkeypatch.setattr(lanes, "thresholds", lambda weights: right(weights) * 0)
    (tmp_path / "wrong.toml").write_text(SPEC)
    out = tmp_path / "out"
    assert cli.main(["run", str(tmp_path / "wrong.toml"), "--out", str(out), "--back-end", "scan"]) == 1
    assert "The simulation is wrong in 1 of 1 cells" in " ".join(capsys.readouterr().out.split())
    page = (out / "report.html").read_text()
    assert page.index("The simulation is wrong") < page.index('id="verdicts"')
    assert cli.main(["report", str(out)]) == 1
    assert "jgmm: The simulation is wrong in 1 of 1 cells" in capsys.readouterr().err
    assert spec.load(str(out / "study.toml")).runs == 64  # written all the same
