"""Streams on one device, all else on another beside it: as on a GPU, but with two CPU devices."""

import threading

import jax
import numpy as np
import pytest
import test_growth
from numpy.testing import assert_allclose

from jgmm import kernels, machine, mixture, trials
from jgmm.study import plan, records, runner, spec, store, work

KEY, RUNS = jax.random.key(0), 260
needs_mosaic = pytest.mark.skipif(
    kernels.version(jax.__version__) < kernels.OLDEST_JAX, reason="Mosaic GPU needs JAX 0.11"
)
FEW = [test_growth.PARTS[i] for i in (0, 1, 5, 6)]  # Lloyd, EM, averages, and after a seeding


@pytest.fixture
def apart(monkeypatch):
    """The second device streams, both are beside it."""
    both = jax.local_devices(backend="cpu")
    monkeypatch.setattr(machine, "beside", lambda devices: both)
    monkeypatch.setattr(trials.jax, "devices", lambda *args: both[1:])


@pytest.fixture
def as_on_a_gpu(apart, monkeypatch):
    monkeypatch.setattr(machine, "on_gpu", lambda: True)
    monkeypatch.setattr(plan, "pack_width", lambda *args, **more: 512)


def everything():
    """What streams and seedings leave, at its most various."""
    pair = trials.batch(KEY, range(RUNS), mixture.symmetric(4, separation=3.0), width=512)
    start = trials.offset_start(KEY, pair, 0.5)
    segments = [trials.Segment(100, (10, 300)), trials.Segment(RUNS - 100, (5, 20))]
    yield trials.simulate(trials.em_algorithm(pair, start[0], rate=0.01, twin=True), pair, segments)
    yield trials.simulate(trials.lloyd_algorithm(pair, start, rate=0.05, twin=True), pair, segments)
    for method in ("block", "oja"):
        sizes = {"n": 400, "block": 40, "graph_points": 60, "neighbors": 4, "method": method}
        batch, seeds, example = trials.seed_centres(KEY, pair, **sizes)
        yield batch.lanes, seeds, example, trials.measure_subspace(seeds.basis, batch)
        yield trials.measure_starts(seeds.means, batch)


def real(tree):
    """Bytes of the arrays, padding apart."""
    return [np.asarray(x)[..., :RUNS].tobytes() for x in jax.tree.leaves(tree)]


@pytest.mark.parametrize("cut", [np.inf, -1.0])
def test_what_is_beside_a_stream_changes_nothing(apart, monkeypatch, cut):
    monkeypatch.setattr(trials, "WORTH_CUTTING", cut)
    found = [real(tree) for tree in everything()]
    batch = trials.batch(KEY, range(3), mixture.symmetric(2, separation=3.0))
    assert (batch.mesh.size, batch.streams.size) == (2, 1)
    monkeypatch.undo()
    assert trials.batch(KEY, range(3), mixture.symmetric(2, separation=3.0)).mesh.size == 2
    assert found == [real(tree) for tree in everything()]


def test_a_study_as_a_gpu_runs_it_has_the_same_bytes(as_on_a_gpu, monkeypatch, tmp_path):
    threads = set()
    begin = runner._Meter.begin
    monkeypatch.setattr(runner._Meter, "begin", lambda *args: threads.add(threading.get_ident()) or begin(*args))
    spaced, widths = {"runs": 70, "parts": FEW}, set()
    simulate = trials.simulate
    monkeypatch.setattr(trials, "simulate", lambda a, b, *x, **y: widths.add(len(b.run_ids)) or simulate(a, b, *x, **y))
    runner.run_study(test_growth.study(**spaced), tmp_path / "gpu")
    assert len(threads) > 1
    assert widths == {512}
    monkeypatch.undo()
    runner.run_study(test_growth.study(**spaced), tmp_path / "cpu")
    assert test_growth.bytes_of(tmp_path / "gpu") == test_growth.bytes_of(tmp_path / "cpu")


@needs_mosaic
def test_a_program_is_traced_once_to_choose_its_kernel_and_to_run_it(apart, monkeypatch):
    fused, traced = trials.load_fused(), []
    advance = fused.advance
    monkeypatch.setattr(fused, "advance", lambda *args, **how: traced.append(1) or advance(*args, **how))
    batch = trials.batch(KEY, range(70), mixture.symmetric(3, separation=3.0))
    algorithm = trials.lloyd_algorithm(batch, trials.offset_start(KEY, batch, 0.5), rate=0.03)
    assert trials._obstacle(algorithm, batch, 1) is None
    given = trials._lay(((batch.lanes, algorithm.state), algorithm.parameters, batch.mixture), batch.streams)
    static = {"step": algorithm.step, "block": 16, "tile": None, "mesh": batch.streams, "threads": 1}
    trials._advance.trace(*given, np.int32(5), np.int32(5), kernel="fused", **static)
    assert len(traced) == 1


@needs_mosaic
def test_a_study_in_the_kernel_has_the_errors_of_the_scan_path(as_on_a_gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "GPU_THREADS", 1)  # Mosaic's interpreter keeps one memory for all of a process
    study = test_growth.study(70, [FEW[0], FEW[3]])
    runner.run_study(study, tmp_path / "fused", kernel=kernels.INTERPRETED)
    monkeypatch.undo()
    runner.run_study(study, tmp_path / "scan")
    for cell in spec.cells(study):
        name = f"{cell.identifier(0, False)}.parquet"
        fused, scan = (store.pq.read_table(tmp_path / kind / "cells" / name) for kind in ("fused", "scan"))
        for column in ("error_sq", "twin_error_sq"):
            assert_allclose(fused[column].to_numpy(), scan[column].to_numpy(), rtol=1e-4, atol=1e-6)
        assert fused["samples"].equals(scan["samples"])
    assert {row["kernel"] for row in records.kernels(tmp_path / "fused")[0]} == {kernels.INTERPRETED}


def test_a_failing_task_is_raised_and_the_others_stop(as_on_a_gpu, monkeypatch, tmp_path):
    stopped, failed = [], threading.Event()

    def failing(study, out, task, meter, *, kernel):
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
        return work.work(study, out, task, meter, kernel=kernel)

    monkeypatch.setattr(runner, "work", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        runner.run_study(test_growth.study(70, FEW), tmp_path)
    assert sorted(stopped) == ["averaged", "seeded"]


def test_beside_a_cpu_is_the_cpu_and_a_gpu_has_a_power_of_two_of_its_devices(monkeypatch):
    devices = jax.devices()
    assert machine.beside(devices) == devices
    card = type("Card", (), {"platform": "gpu"})()
    monkeypatch.setattr(machine.jax, "local_devices", lambda backend=None: devices * 6)
    assert len(machine.beside([card, card, card])) == 8
    monkeypatch.setattr(machine.jax, "local_devices", lambda backend=None: devices[:1] * 3)
    assert len(machine.beside([card])) == 2


def test_a_pack_of_a_gpu_fills_it():
    widths = [plan.pack_width(k, d, 10**6, devices=1, gpu=True) for k, d in [(2, 2), (5, 10), (10, 50), (20, 100)]]
    assert widths == [65536, 65536, 8192, 4096]
