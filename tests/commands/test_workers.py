"""What workers have is asked once; tasks are sized for cards where every worker has one. No test here has a card."""

import os
from concurrent.futures import Executor, Future
from types import SimpleNamespace

import jax
import pytest
from distributed import LocalCluster
from small import FEW, bytes_of, study

from jgmm.commands import executors, processes
from jgmm.engine import choose
from jgmm.study import plan
from jgmm.study import run as runner
from jgmm.study.executors import Hardware

CARD, CORE = (1, True), (1, False)


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


class Client:
    """Has workers that tell what is planted, from the second time on that it is asked."""

    def __init__(self, told):
        self.told, self.asked = told, 0

    def run(self, fn, *args, on_error):
        self.asked += 1
        return self.told if self.asked > 1 else {}


@pytest.mark.parametrize(
    ("told", "hardware"),
    [
        ({"a": CARD, "b": (2, True)}, Hardware(1, gpu=True)),
        ({"a": (4, True), "b": (2, True), "c": OSError("it has gone")}, Hardware(2, gpu=True)),
        ({"a": (4, True), "b": (2, False), "c": (3, False)}, Hardware(2, gpu=False)),
        ({"a": CORE}, Hardware(1, gpu=False)),
    ],
)
def test_tasks_are_for_the_least_of_the_workers_once_there_are_some(monkeypatch, told, hardware):
    monkeypatch.setattr(executors, "HEARING_SECONDS", 0)
    heard = []
    assert executors.ask(Client(told), True, lambda: heard.append(1)) == hardware
    assert heard == [1]


def test_somebody_who_stops_is_heard_while_there_is_no_worker():
    def hear():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        executors.ask(Client({}), True, hear)


def test_workers_that_cannot_compute_are_told_in_a_line(monkeypatch):
    monkeypatch.setattr(executors, "HEARING_SECONDS", 0)
    told = {"a": ModuleNotFoundError("No module named 'jgmm'\nand more")}
    with pytest.raises(ValueError, match=r"no worker can compute \(ModuleNotFoundError: No module named 'jgmm'\)$"):
        executors.ask(Client(told), True, lambda: None)


def test_what_a_worker_tells_is_what_its_jax_has():
    assert executors.told_by_worker(False) == (len(jax.devices()), False)


class Counts(Executor):
    """Computes at once, and counts tasks."""

    def __init__(self):
        self.tasks = 0

    def submit(self, fn, /, *args, **more):
        self.tasks += 1
        future: Future = Future()
        future.set_result(fn(*args, **more))
        return future


def test_an_executor_says_what_its_workers_have_and_the_bytes_do_not_depend_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-4)
    of_cores, of_cards = Counts(), Counts()
    of_cards.hardware = CARD
    for name, executor in (("cores", of_cores), ("cards", of_cards)):
        runner.run_study(study(64, FEW[:1]), tmp_path / name, executor=executor)
    assert of_cards.tasks == 1
    assert of_cores.tasks > 1
    assert bytes_of(tmp_path / "cards") == bytes_of(tmp_path / "cores")


@pytest.mark.parametrize("hardware", [True, (0, True), (1, 2), (1, True, 3)])
def test_an_executor_whose_hardware_is_no_pair_is_refused(tmp_path, hardware):
    executor = Counts()
    executor.hardware = hardware
    with pytest.raises(ValueError, match=r"^executor.hardware(\[.\])? is "):
        runner.run_study(study(2, FEW[:1]), tmp_path / "out", executor=executor)
    assert not list(tmp_path.iterdir())


TO_TELL = []  # by workers, which are in this process


def planted(keep_programs):
    """What the next worker that is asked tells."""
    return TO_TELL.pop()


@pytest.mark.parametrize(("second", "gpu"), [(CARD, True), (CORE, False)])
def test_workers_of_a_dask_scheduler_are_asked_what_they_have(tmp_path, monkeypatch, second, gpu):
    TO_TELL[:] = [CARD, second]
    monkeypatch.setattr(executors, "told_by_worker", planted)
    planned, tasks = [], plan.tasks
    monkeypatch.setattr(plan, "tasks", lambda todo, **how: planned.append(how) or tasks(todo, **how))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        with executors.opened(f"dask:{cluster.scheduler_address}", keep_programs=False) as executor:
            done = runner.run_study(study(32, FEW[:1]), tmp_path / "out", executor=executor)
        with executors.opened(f"dask:{cluster.scheduler_address}", back_end="cpu") as executor:
            assert executor.hardware == Hardware()
    assert (done.left, done.failures) == (0, [])
    assert planned == [{"devices": 1, "gpu": gpu}]
    runner.run_study(study(32, FEW[:1]), tmp_path / "home")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "home")


# --- processes ---


@pytest.mark.parametrize(("visible", "names"), [(None, ["0", "1"]), ("", ["0", "1"]), ("5,GPU-7f,2", ["5", "GPU-7f"])])
def test_cards_of_this_machine_have_the_names_that_the_driver_knows(monkeypatch, visible, names):
    assert processes.cards() == []
    monkeypatch.setattr(choose, "obstacle", lambda name: None)
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(), SimpleNamespace()])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert processes.cards() == names
    with executors.opened("processes:8") as executor:
        assert executor.hardware == Hardware(1, gpu=True)
    with executors.opened("processes:8", back_end="cpu") as executor:
        assert executor.hardware == Hardware(1, gpu=False)


@pytest.mark.slow
def test_each_process_has_a_card_to_itself_and_one_that_dies_leaves_its_card_to_the_next():
    def told(pool, number):
        return [future.result() for future in [pool.submit(os.getenv, "CUDA_VISIBLE_DEVICES") for _ in range(number)]]

    with processes.Processes(4, ["0", "GPU-7f"]) as pool:
        assert set(told(pool, 8)) == {"0", "GPU-7f"}
        with pytest.raises(RuntimeError, match="exit status 7"):
            pool.submit(os._exit, 7).result()
        assert set(told(pool, 8)) == {"0", "GPU-7f"}
    with processes.Processes(1) as pool:
        assert told(pool, 1) == [os.environ.get("CUDA_VISIBLE_DEVICES")]
