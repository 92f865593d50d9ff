"""A study's bytes do not depend on who computes it; what workers cannot do is told, and the same call goes on."""

import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from small import FEW, PARTS, same, study

import jgmm
from jgmm.engine import machine
from jgmm.process import Stopped
from jgmm.study import plan, spec, work
from jgmm.study import run as runner


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


def tiny():
    parts = [{"name": "main", "mixture": {"k": 2, "d": 2}, "stream": {"n": [200, 300], "rate": 0.02, "start": 0.2}}]
    return jgmm.Study(name="tiny", runs=8, part=parts)


def test_a_pool_that_forks_is_refused(tmp_path):
    with (
        ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool,
        pytest.raises(ValueError, match="executor is a process pool that forks"),
    ):
        runner.run_study(tiny(), tmp_path / "out", executor=pool)
    assert not (tmp_path / "out").exists()


class Fails(Executor):
    """Takes some tasks and then no more."""

    def __init__(self, takes, error):
        self.takes, self.error = takes, error

    def submit(self, work, *args, **more):
        if not self.takes:
            raise self.error
        self.takes -= 1
        future = Future()
        future.set_result(work(*args, **more))
        return future


def test_an_executor_that_takes_no_more_leaves_what_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-9)
    done = runner.run_study(tiny(), tmp_path, executor=Fails(1, RuntimeError("cannot schedule new futures")))
    assert 0 < done.left < 16
    assert done.computed + done.left == 16
    assert len(done.failures) == 1
    assert "not computed (RuntimeError: cannot schedule new futures)" in done.failures[0]
    assert str(done).endswith("the same call goes on from it")
    assert runner.run_study(tiny(), tmp_path).reused == done.computed


class Dies(Executor):
    """Its workers run out of memory, which has no text."""

    def submit(self, work, *args, **more):
        future = Future()
        future.set_exception(MemoryError())
        return future


def test_a_worker_without_memory_is_told_with_the_name_of_its_fault(tmp_path):
    done = runner.run_study(tiny(), tmp_path, executor=Dies())
    assert done.left == 16
    (told,) = done.failures
    assert told in [f"16 runs of cells in {tasks} tasks were not computed (MemoryError)" for tasks in (1, 2)]


def test_a_cancelled_task_is_told(tmp_path):
    class Cancels(Executor):
        def submit(self, work, *args, **more):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    done = runner.run_study(tiny(), tmp_path, executor=Cancels())
    assert done.left == 16
    assert "CancelledError" in done.failures[0]


def test_somebody_who_stops_is_heard_while_others_work(tmp_path):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 1.5)  # before our turn comes
        asked = time.perf_counter()
        with pytest.raises(Stopped):
            runner.run_study(tiny(), tmp_path, executor=pool, stop=lambda: time.perf_counter() > asked + 0.2)
        assert time.perf_counter() - asked < 1.4


# --- the same bytes, whoever computes ---


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
            raise Stopped
        if name == "em":
            failed.wait(1)
            raise RuntimeError("out of memory")
        try:
            for _ in range(1000):
                threading.Event().wait(0.01)
                meter(1)
        except Stopped:
            stopped.append(name)
            failed.set()
            raise
        return work.work(study, out, task, meter, back_end=back_end)

    monkeypatch.setattr(work, "work", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        runner.run_study(study(70, VARIOUS), tmp_path)
    assert sorted(stopped) == ["averaged", "seeded"]
