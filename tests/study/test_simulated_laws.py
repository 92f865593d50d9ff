"""What a study simulates agrees with what is known exactly, in its own summary."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from small import PARTS, study

from jgmm.errors import estimate
from jgmm.report.write import write_report
from jgmm.study import run as runner
from jgmm.study import spec


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def test_twins_are_on_their_exact_means(fresh, tmp_path):
    parts = [{**part, "stream": {**part["stream"], "n": [900]}} for part in PARTS[:3]]
    runner.run_study(study(2000, parts), tmp_path)
    for cell in spec.cells(study(2000, parts)):
        table = pq.read_table(tmp_path / "cells" / f"{cell.identifier(0, False)}.parquet")
        for samples in cell.checkpoints:
            here = np.asarray(table["samples"]) == samples
            twin, expected = (np.asarray(table[name])[here] for name in ("twin_error_sq", "twin_mean_sq"))
            gap = estimate(twin - expected)
            assert abs(gap.mean) < 4 * gap.standard_error
            assert gap.standard_error < 0.03 * expected.mean()


def test_an_absent_components_centre_stays_in_the_laws(tmp_path):
    absent = {"k": 3, "d": 3, "layout": "simplex", "weights": [0.5, 0.5, 0.0]}
    stream = {"n": 1000, "start": 0.5, "checkpoints": 1}
    parts = [{"name": "oracle", "algorithm": "oracle", "mixture": absent, "stream": stream}]
    parts += [{"name": "lloyd", "mixture": {**absent, "separation": 12.0}, "stream": {**stream, "rate": 0.01}}]
    runner.run_study(study(64, parts), tmp_path)
    oracle, one = write_report(tmp_path, study(64, parts)).summary[1::2]
    assert abs(oracle["error_sq_mean"] - oracle["law_error_sq"]) < 4 * oracle["error_sq_se"] < 0.1
    assert abs(one["twin_gap"]) < 4


def test_the_pairs_law_holds_where_components_overlap(tmp_path):
    near = {"k": 2, "d": 2, "separation": 2.0}
    close = study(512, [{"name": "main", "mixture": near, "stream": {"n": 2000, "rate": 0.02, "start": 0.05}}])
    runner.run_study(close, tmp_path)
    (row,) = write_report(tmp_path, close).summary[-1:]
    gap = abs(row["error_sq_mean"] - row["law_error_sq"])
    assert gap < 4 * row["error_sq_se"] + row["law_accuracy"] < 0.3 * row["law_error_sq"]


@pytest.mark.parametrize("rate", ["1/(t+10)**0.7", "1/n"])
def test_ems_laws_hold_for_steps_that_fall(tmp_path, rate):
    pair = {"k": 2, "d": 4, "separation": 4.0}
    stream = {"n": 1000, "rate": rate, "start": 0.3, "checkpoints": [30, 300]}
    falling = study(2000, [{"name": "em", "algorithm": "em", "mixture": pair, "stream": stream}])
    runner.run_study(falling, tmp_path)
    _, *rows = write_report(tmp_path, falling).summary
    assert len(rows) == 3
    assert all(abs(row["twin_gap"]) < 4 for row in rows)
    gap = abs(rows[-1]["error_sq_mean"] - rows[-1]["law_error_sq"])
    assert gap < 4 * rows[-1]["error_sq_se"] + rows[-1]["law_accuracy"] < 0.2 * rows[-1]["law_error_sq"]
