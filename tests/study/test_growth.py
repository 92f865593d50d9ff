"""A study's bytes do not depend on how it was cut, stopped, killed or grown."""

import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import tomli_w
from small import FEW, SHORT, bytes_of, same, study

from jgmm.study import plan, spec
from jgmm.study import run as runner
from jgmm.study.folder import columns, store
from jgmm.study.replay import replay


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def test_a_folder_of_cells_is_one_table(fresh):
    together = pq.read_table(fresh / "cells")  # Algorithm 2 or not, displacements or not, a rate or not
    assert together.schema.names == columns.cells(x64=False).names
    assert together.schema.types == columns.cells(x64=False).types
    assert len(together) == sum(100 * cell.rows for cell in spec.cells(study()))


def test_a_grown_study_is_the_fresh_one_byte_for_byte(fresh, tmp_path):
    first = runner.run_study(study(40), tmp_path)
    cells = len(spec.cells(study()))
    assert (first.computed, first.reused, first.left) == (40 * cells, 0, 0)
    then = runner.run_study(study(100), tmp_path)
    assert (then.computed, then.reused, then.left) == (60 * cells, 40 * cells, 0)
    same(tmp_path, fresh)


def test_small_packs_and_tiles_change_nothing(fresh, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "pack_width", lambda *args, **more: 32)
    monkeypatch.setattr(plan, "TASK_RUNS", 32)
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-5)
    written = []
    whole = store.write_runs

    def count(*args):
        written.append(args)
        return whole(*args)

    monkeypatch.setattr(store, "write_runs", count)
    runner.run_study(study(), tmp_path)
    assert len(written) == 2 * len(spec.cells(study()))  # the padding of two devices is 64 runs, of 100
    same(tmp_path, fresh)


@pytest.mark.parametrize("calls", [1, 5, 12, 24])
def test_stopping_keeps_what_is_finished_and_going_on_gives_the_same_bytes(fresh, tmp_path, monkeypatch, calls):
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-4)
    asked = iter(range(1000))
    with pytest.raises(runner.Stopped):
        runner.run_study(study(), tmp_path, stop=lambda: next(asked) >= calls)
    done = runner.run_study(study(), tmp_path)
    assert done.left == 0
    assert done.computed + done.reused == 100 * len(spec.cells(study()))
    same(tmp_path, fresh)


KILLED = """
import sys
from pathlib import Path
from jgmm.study import plan, run as runner, spec
plan.TASK_SECONDS = 1e-4
runner.run_study(spec.load(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_study_goes_on_to_the_same_bytes(fresh, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "few.toml").write_text(tomli_w.dumps(study(parts=FEW).model_dump(exclude_none=True)))
    call = [sys.executable, "-c", KILLED, str(tmp_path / "few.toml"), str(out)]
    kept = []
    for pause in (0.02, 0.5):
        running = subprocess.Popen(call, stderr=subprocess.DEVNULL)
        already = len(list(out.glob("*/*.parquet")))
        while running.poll() is None and len(list(out.glob("*/*.parquet"))) <= already:
            time.sleep(0.01)
        time.sleep(pause)
        running.send_signal(signal.SIGKILL)
        running.wait()
        kept.append(len(list(out.glob("*/*.parquet"))))
    done = runner.run_study(study(parts=FEW), out)
    assert kept[0] > 0
    assert done.left == 0
    same(out, fresh, FEW)


def test_cells_side_by_side_are_each_cell_alone(tmp_path):
    grid = {"n": [400, 700, 900], "rate": [0.01, 0.05], "start": [0.0, 0.5], "checkpoints": 3}
    mixed = {"k": 2, "d": 3, "layout": "simplex", "separation": [2.0, 5.0], "sigma": [1.0, 10.0]}
    together = study(24, [{"name": "main", "mixture": mixed, "stream": grid}])
    runner.run_study(together, tmp_path / "all")
    cells = spec.cells(together)
    assert len(cells) == 48
    for cell in cells[::11]:
        point = dict(cell.axes)
        one = {"n": cell.n, "rate": cell.rate, "start": cell.start, "checkpoints": 3}
        mixture = {**mixed, "separation": point["separation"], "sigma": point["sigma"]}
        alone = study(24, [{"name": "main", "mixture": mixture, "stream": one}])
        runner.run_study(alone, tmp_path / cell.identifier(0, False))
        name = f"cells/{cell.identifier(0, False)}.parquet"
        assert (tmp_path / cell.identifier(0, False) / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_a_replayed_run_is_the_stored_one_for_every_algorithm(fresh):
    for cell in spec.cells(study()):
        stored = pq.read_table(fresh / "cells" / f"{cell.identifier(0, False)}.parquet").to_pylist()
        wanted = {row["samples"]: row["error_sq"] for row in stored if row["run"] == 57}
        replayed = {r["samples"]: r["error_sq"] for r in replay(study(), cell, 57, spec_folder=fresh).to_pylist()}
        assert {t: replayed[t] for t in wanted} == wanted


def test_float64_after_float32_in_one_process_is_float64_alone(tmp_path):
    part = {"name": "box", "mixture": {"k": 2, "d": 2, "layout": "box", "side": 20.0}, "stream": {**SHORT, "n": 400}}
    runner.run_study(study(8, [part]), tmp_path / "a")
    runner.run_study(study(8, [part], x64=True), tmp_path / "a", fresh=True)
    runner.run_study(study(8, [part], x64=True), tmp_path / "b")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    (cell,) = spec.cells(study(8, [part]))
    (stored,) = (pq.read_table(path).to_pylist() for path in (tmp_path / "b" / "cells").iterdir())
    again = replay(study(8, [part], x64=True), cell, 5, spec_folder=tmp_path / "b").to_pylist()[-1]
    assert {name: again[name] for name in ("error_sq", "largest_mean")} == {
        name: stored[-7][name] for name in ("error_sq", "largest_mean")
    }
