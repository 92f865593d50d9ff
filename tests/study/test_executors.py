"""Tasks are computed by any executor; what its workers cannot do is told, and the same call goes on."""

import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import jgmm
from jgmm.process import Stopped
from jgmm.study import plan
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
