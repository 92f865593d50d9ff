"""A study's bytes do not depend on how it was cut, stopped, killed, grown, or on who computed it."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tomli_w
from numpy.testing import assert_allclose
from small import PAIR, PARTS, SEEDED, SHORT, study

import jgmm
from jgmm import mixture
from jgmm.commands.show import show
from jgmm.engine import machine
from jgmm.engine.run import Record
from jgmm.errors import estimate
from jgmm.report.write import write_report
from jgmm.study import keys, missing, plan, spec, tables, work
from jgmm.study import run as runner
from jgmm.study.folder import columns, store
from jgmm.study.mixtures import build_mixture
from jgmm.study.replay import replay


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "cells").iterdir())}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    out = tmp_path_factory.mktemp("growth") / "fresh"
    runner.run_study(study(), out)
    return out


def test_a_folder_of_cells_is_one_table(fresh):
    together = pq.read_table(fresh / "cells")  # Algorithm 2 or not, displacements or not, a rate or not
    assert together.schema.names == columns.cells(x64=False).names
    assert together.schema.types == columns.cells(x64=False).types
    assert len(together) == sum(100 * cell.rows for cell in spec.cells(study()))


FEW = [PARTS[0], PARTS[6]]  # a plain and a seeded part, where each process compiles anew


def same(folder, fresh, parts=PARTS):
    names = {f"{cell.identifier(0, False)}.parquet" for cell in spec.cells(study(parts=parts))}
    assert bytes_of(folder) == {name: data for name, data in bytes_of(fresh).items() if name in names}
    assert not list((folder / "tiles").iterdir())


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


def test_an_absent_components_centre_stays_in_the_laws(tmp_path):
    absent = {"k": 3, "d": 3, "layout": "simplex", "weights": [0.5, 0.5, 0.0]}
    stream = {"n": 1000, "start": 0.5, "checkpoints": 1}
    parts = [{"name": "oracle", "algorithm": "oracle", "mixture": absent, "stream": stream}]
    parts += [{"name": "lloyd", "mixture": {**absent, "separation": 12.0}, "stream": {**stream, "rate": 0.01}}]
    runner.run_study(study(64, parts), tmp_path)
    oracle, one = write_report(tmp_path, study(64, parts)).summary[1::2]
    assert abs(oracle["error_sq_mean"] - oracle["law_error_sq"]) < 4 * oracle["error_sq_se"] < 0.1
    assert abs(one["twin_gap"]) < 4


def test_one_run_has_no_precision(tmp_path):
    alone = study(1, [{"name": "main", **PAIR, "stream": {"n": 400, "start": 0.2}}], precision=0.5, max_runs=8)
    runner.run_study(alone, tmp_path)
    (path,) = (tmp_path / "cells").iterdir()
    assert pq.read_metadata(path).num_rows > 11


def test_the_pairs_law_holds_where_components_overlap(tmp_path):
    near = {"k": 2, "d": 2, "separation": 2.0}
    close = study(512, [{"name": "main", "mixture": near, "stream": {"n": 2000, "rate": 0.02, "start": 0.05}}])
    runner.run_study(close, tmp_path)
    (row,) = write_report(tmp_path, close).summary[-1:]
    gap = abs(row["error_sq_mean"] - row["law_error_sq"])
    assert gap < 4 * row["error_sq_se"] + row["law_accuracy"] < 0.3 * row["law_error_sq"]


def test_progress_tells_cells_done_and_samples(tmp_path):
    heard = []
    runner.run_study(study(16, FEW), tmp_path, progress=lambda *said: heard.append(said))
    names, done, totals = zip(*heard, strict=True)
    assert names[0].startswith("0 of 4 cells; ")
    assert names[-1].split(" of 4 cells")[0] >= "2"
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1] == 16 * (2 * 1300 + (200 - 24) // 40 * 40)


class Failing(Executor):
    """Does the work, but the first task fails."""

    def __init__(self):
        self.failed = False

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        if self.failed:
            future.set_result(fn(*args, **kwargs))
        else:
            self.failed = True
            future.set_exception(RuntimeError("a worker has died"))
        return future


def test_a_failing_worker_is_told_and_the_rest_is_stored(fresh, tmp_path):
    done = runner.run_study(study(), tmp_path, executor=Failing())
    assert len(done.failures) == 1
    assert "a worker has died" in done.failures[0]
    assert 0 < done.left < 100 * len(spec.cells(study()))
    again = runner.run_study(study(), tmp_path)
    assert (again.computed, again.left) == (done.left, 0)
    same(tmp_path, fresh)


@pytest.mark.slow
def test_a_pool_of_processes_gives_the_same_bytes(fresh, tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = runner.run_study(study(parts=FEW), tmp_path, executor=pool)
    assert (done.left, done.failures) == (0, [])
    same(tmp_path, fresh, FEW)


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers_gives_the_same_bytes(fresh, tmp_path):
    code = f"""
import warnings
from pathlib import Path
from dask.distributed import Client, LocalCluster
from jgmm.study import run as runner, spec
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            tiny = spec.load({str(tmp_path / "few.toml")!r})
            done = runner.run_study(tiny, Path({str(tmp_path / "out")!r}), executor=client.get_executor())
            print(done.left, done.failures)
"""
    (tmp_path / "few.toml").write_text(tomli_w.dumps(study(parts=FEW).model_dump(exclude_none=True)))
    script = tmp_path / "with_dask.py"
    script.write_text(code)
    found = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env={**os.environ}, timeout=300
    )
    assert found.stdout.strip() == "0 []", found.stderr
    same(tmp_path / "out", fresh, FEW)


def test_other_random_bits_do_not_extend_a_store(fresh, tmp_path, monkeypatch):
    runner.run_study(study(16, PARTS[:1]), tmp_path)
    before = bytes_of(tmp_path)
    monkeypatch.setattr(keys, "canary", lambda seed: [1, 2, 3])
    with pytest.raises(ValueError, match="other random bits"):
        runner.run_study(study(32, PARTS[:1]), tmp_path)
    assert bytes_of(tmp_path) == before
    (cell,) = spec.cells(study(16, [{**PARTS[0], "stream": {**SHORT, "n": 400}}]))
    with pytest.raises(
        ValueError, match=r"other random bits or means \(canary .*, here \[1, 2, 3\]\): expected the JAX"
    ):
        show(study(16, PARTS[:1]), cell, 0, tmp_path)


def test_the_canary_sings_of_bits_and_of_means(monkeypatch):
    before = keys.canary(3)
    assert before != keys.canary(4)
    simplex = mixture.simplex

    def turned(k, d, **more):
        return mixture.given(-np.asarray(simplex(k, d, **more).means))

    monkeypatch.setattr(mixture, "simplex", turned)
    other = keys.canary(3)
    assert other[:-1] == before[:-1]
    assert other[-1] != before[-1]


BITS = """
import sys
from pathlib import Path
import jax
import numpy as np
import jgmm
from jgmm.start import offset_start
from jgmm.study import keys, spec
from jgmm.study.mixtures import build_mixture
text = "[mixture]\\nlayout = 'box'\\nk = 2\\nd = 3"
(cell,) = spec.cells(spec.parse(text, source="x", folder=Path(), default_name="x"))
study_keys = keys.study_keys(7)
batch = jgmm.batch(study_keys.lanes, range(3), build_mixture(cell, study_keys.mixture, range(3)))
start = offset_start(study_keys.start, batch, 0.5)
print(keys.canary(7), batch.words.s3.tolist(), start.tobytes().hex())
print(jax.random.key_impl(jax.random.key(0)), jax.config.jax_threefry_partitionable, file=sys.stderr)
"""


def test_bits_do_not_depend_on_the_generator_that_jax_was_told_to_take(capsys):
    exec(BITS, {})
    here = capsys.readouterr()
    env = {**os.environ, "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_THREEFRY_PARTITIONABLE": "0"}
    there = subprocess.run([sys.executable, "-c", BITS], capture_output=True, text=True, env=env, check=True)
    assert there.stdout == here.out
    assert (there.stderr, here.err) == ("rbg False\n", "threefry2x32 True\n")


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


def test_a_study_from_python_is_a_study_from_toml():
    text = "runs = 7\n[mixture]\nk = 2\nseparation = [2, 3]\n[stream]\nn = 1e4\nstart = 0.5"
    parsed = spec.parse(text, source="x", folder=Path(), default_name="x")
    made = jgmm.Study(name="x", runs=7, mixture={"k": 2, "separation": [2, 3]}, stream={"n": 1e4, "start": 0.5})
    assert made == parsed


def test_displacements_stand_by_component_and_the_twins_lose_what_is_left_of_their_start():
    mixed = {"k": 3, "d": 4, "layout": "simplex"}
    stream = {"n": 50, "rate": 0.01, "start": 0.5, "displacement": True}
    (cell,) = spec.cells(study(parts=[{"name": "main", "mixture": mixed, "stream": stream}]))
    means = np.asarray(build_mixture(cell, keys.study_keys(0).mixture, range(2)).means, float)
    basis = tables.span(means)
    last, twin, start = np.random.default_rng(0).normal(size=(3, 3, 4, 2))
    component = np.array([[2, 0], [0, 1], [1, 2]])
    empty = np.zeros((0, 0))
    record = Record(
        samples=np.array([0, 50]),
        error=None,
        centres=empty,
        displacement=last,
        component=component,
        start_displacement=start,
        start_sq=empty,
        twin_sq=None,
        twin_displacement=twin,
    )
    built = mixture.Mixture(means[..., None], None, None)
    found = tables.displacements(cell, built, record)
    left = (1 - 0.01 / 3) ** 50
    for run in range(2):
        order = [list(component[:, run]).index(c) for c in range(3)]
        assert_allclose(found["displacement"][run], (last[order, :, run] @ basis).ravel())
        assert_allclose(found["twin_displacement"][run], ((twin - left * start)[order, :, run] @ basis).ravel())


# --- as on a GPU: several tasks at once, wide packs ---


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(machine, "on_gpu", lambda: True)
    monkeypatch.setattr(plan, "pack_width", lambda *args, **more: 512)


VARIOUS = [PARTS[i] for i in (0, 1, 5, 6)]  # Lloyd, EM, averages, and after a seeding


def test_a_study_as_a_gpu_runs_it_has_the_same_bytes(fresh, as_on_a_gpu, tmp_path):
    threads = set()
    runner.run_study(study(parts=VARIOUS), tmp_path, progress=lambda *told: threads.add(threading.get_ident()))
    assert len(threads) > 1
    same(tmp_path, fresh, VARIOUS)


def test_a_failing_task_is_raised_and_the_others_stop(as_on_a_gpu, monkeypatch, tmp_path):
    stopped, failed = [], threading.Event()

    def failing(study, out, task, meter, *, back_end):
        name = task.pieces[0].cell.part
        if name == "lloyd":  # stopped for a reason of its own, before
            raise runner.Stopped
        if name == "em":
            failed.wait(1)
            raise RuntimeError("out of memory")
        try:
            for _ in range(1000):
                threading.Event().wait(0.01)
                meter(1)
        except runner.Stopped:
            stopped.append(name)
            failed.set()
            raise
        return work.work(study, out, task, meter, back_end=back_end)

    monkeypatch.setattr(work, "work", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        runner.run_study(study(70, VARIOUS), tmp_path)
    assert sorted(stopped) == ["averaged", "seeded"]


def test_a_pack_of_a_gpu_fills_it():
    widths = [plan.pack_width(k, d, 10**6, devices=1, gpu=True) for k, d in [(2, 2), (5, 10), (10, 50), (20, 100)]]
    assert widths == [65536, 65536, 8192, 4096]
