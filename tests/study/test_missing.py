"""Rounds of precision: how many runs a cell wants, from those that it has."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from small import PAIR, SEEDED, bytes_of, study

from jgmm.errors import estimate
from jgmm.report.write import write_report
from jgmm.study import missing, spec
from jgmm.study import run as runner


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def rounds_of(folder, tiny):
    return {p.name: pq.read_metadata(p).num_rows // 2 for p in (folder / "cells").iterdir()}, tiny.rounds()


def test_a_precision_is_reached_in_declared_rounds_or_the_cap_is(tmp_path):
    stream = {"n": [400, 900], "start": 0.2, "checkpoints": 1}
    parts = [{"name": "main", "mixture": {"k": 2, "d": [2, 40]}, "stream": stream}]
    tiny = study(16, parts, precision=0.06, max_runs=128)
    assert tiny.rounds() == [16, 32, 64, 128]
    assert study(16, parts, precision=0.06, max_runs=100).rounds() == [16, 32, 64, 100]
    runner.run_study(tiny, tmp_path / "a")
    runs, declared = rounds_of(tmp_path / "a", tiny)
    assert set(runs.values()) <= set(declared)
    assert len(set(runs.values())) > 1  # few for d = 40, the cap for d = 2
    for name, count in runs.items():
        table = pq.read_table(tmp_path / "a" / "cells" / name)
        errors = np.asarray(table["error_sq"], float)[1::2]
        reached = [estimate(errors[:r]) for r in declared if r <= count]
        precise = [r.standard_error <= 0.06 * r.mean for r in reached]
        assert not any(precise[:-1])
        assert precise[-1] or count == 128
    assert runner.run_study(tiny, tmp_path / "a").computed == 0
    assert write_report(tmp_path / "a", tiny).look == 4  # a round is a look
    asked = iter(range(1000))
    with pytest.raises(runner.Stopped):
        runner.run_study(tiny, tmp_path / "b", stop=lambda: next(asked) >= 6)
    runner.run_study(tiny, tmp_path / "b")
    assert bytes_of(tmp_path / "b") == bytes_of(tmp_path / "a")


def test_a_round_is_judged_by_its_own_good_runs(tmp_path):
    few = {**SEEDED, "seeding": {"n": 100, "block": 40, "graph_points": 12, "neighbors": 2}}
    parts = [{"name": "main", **few, "stream": {"n": 400, "checkpoints": 1}}]
    runner.run_study(study(128, parts), tmp_path)
    named = spec.named_cells(study(128, parts))
    ((name, cell),) = named.items()
    table = pq.read_table(tmp_path / "cells" / f"{name}.parquet")
    errors, good = np.asarray(table["error_sq"], float)[1::2], np.asarray(table["components"])[1::2] == cell.k
    assert 64 < good.sum() < 120  # some graphs fail
    found = []
    for runs in (16, 32, 64, 128):
        first = estimate(errors[:runs][good[:runs]])
        found.append(float(first.standard_error / first.mean))
    for precision in sorted({value * factor for value in found for factor in (0.999, 1.001)}):
        expected = next((r for r, p in zip((16, 32, 64), found, strict=False) if p <= precision), 128)
        asked = study(16, parts, precision=precision, max_runs=128)
        assert missing.wanted_runs(asked, named, missing.stored(tmp_path, named).cells) == {name: expected}


def test_one_run_has_no_precision(tmp_path):
    alone = study(1, [{"name": "main", **PAIR, "stream": {"n": 400, "start": 0.2}}], precision=0.5, max_runs=8)
    runner.run_study(alone, tmp_path)
    (path,) = (tmp_path / "cells").iterdir()
    assert pq.read_metadata(path).num_rows > 11
