"""`--executor`, `--share`, `merge`: whoever computes a study, the bytes are the same; what cannot be had is a line."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest
import tomli_w
from small import FEW, study

from jgmm import cli
from jgmm.commands import executors, processes
from jgmm.study import plan, spec
from jgmm.study import run as runner


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


def test_what_an_executor_is_asked_for():
    assert executors.parse("processes:4") == ("processes", "", 4)
    assert executors.parse("dask:tcp://10.0.0.1:8786") == ("address", "tcp://10.0.0.1:8786", 1)
    assert executors.parse("dask:slurm") == ("jobs", "slurm", 1)
    assert executors.parse("dask:pbs:12") == ("jobs", "pbs", 12)
    with executors.opened(None) as nobody:
        assert nobody is None


def refused(capsys, *words):
    """The line with which a command refuses to do anything."""
    try:
        status = cli.main([*words])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr().err
    assert status == 2
    assert len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--executor", "process:4"], "--executor is 'process:4', expected processes:N, dask:tcp://HOST:PORT "),
        (["--executor", "processes:0"], "expected a whole number from 1 to 1000 in place of '0'"),
        (["--executor", "processes:²"], "expected a whole number from 1 to 1000 in place of '²'"),
        (["--executor", "dask:slurm:many"], "expected a whole number from 1 to 1000 in place of 'many'"),
        (["--executor", "dask:localhost"], "or dask:SYSTEM:JOBS with one of the systems htcondor, lsf, "),
        (["--share", "0/16"], "argument --share: '0/16' given, expected I/N with I from 1 to N, as 3/16"),
        (["--share", "17/16"], "argument --share: '17/16' given, expected I/N with I from 1 to N"),
        (["--share", "/16"], "argument --share: '/16' given, expected I/N"),
        (["--share", "1/2", "--precision", "0.1"], "share is 1/2 of a study with precision = 0.1"),
        (["--share", "1/20000"], "share[1] is 20000, expected a whole number of at least 1, below 10001"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_line(capsys, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "run", "theorem1", "--out", "out", *options).replace("theorem1: ", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "asked", "extra"), [("distributed", "dask:tcp://x:1", "dask"), ("dask_jobqueue", "dask:pbs", "jobqueue")]
)
def test_what_is_not_installed_is_told_with_the_extra_that_installs_it(monkeypatch, module, asked, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"^--executor needs {module} .* pip install '\.\[{extra}\]'$"):
        executors.opened(asked).__enter__()


def test_a_scheduler_that_does_not_answer_is_refused_in_a_line(monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", "0.2s")
    with (
        pytest.raises(ValueError, match=r"^--executor: the scheduler at tcp://127.0.0.1:1 cannot be used \(") as told,
        executors.opened("dask:tcp://127.0.0.1:1"),
    ):
        pass
    assert len(str(told.value).splitlines()) == 1


def test_jobs_are_asked_of_dask_jobqueue_and_given_back_at_the_end(monkeypatch, tmp_path):
    did = []

    class Cluster:
        def __enter__(self):
            did.append("cluster")
            return self

        def __exit__(self, *error):
            did.append("cluster is closed")

        def scale(self, *, jobs):
            did.append(f"{jobs} jobs")

    class Client(Cluster):
        def __init__(self, cluster, **more):
            did.append(f"client of a {type(cluster).__name__}")

        def __exit__(self, *error):
            did.append("client is closed")

        def run(self, fn, keep_programs, *, on_error):
            did.append("workers are asked")
            return {"tcp://10.0.0.2:1": (1, False)}

        def get_executor(self):
            return types.SimpleNamespace(submit=lambda fn, *args: did.append("task"))

    monkeypatch.setitem(sys.modules, "distributed", types.SimpleNamespace(Client=Client))
    # As dask-jobqueue does when it is imported, in a thread that is not the main one, of which a handler is not taken.
    (tmp_path / "dask_jobqueue.py").write_text("import signal\nsignal.signal(signal.SIGINT, print)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "dask_jobqueue", raising=False)
    before = signal.getsignal(signal.SIGINT)

    def use():
        with executors.opened("dask:lsf:8") as executor:
            executor.submit(print)

    with ThreadPoolExecutor(1) as thread:
        with pytest.raises(AttributeError, match="LSFCluster"):
            thread.submit(use).result()
        sys.modules["dask_jobqueue"].LSFCluster = Cluster
        thread.submit(use).result()
    assert signal.getsignal(signal.SIGINT) is before
    assert did == [
        "cluster",
        "8 jobs",
        "client of a Cluster",
        "cluster",
        "workers are asked",
        "task",
        "client is closed",
        "cluster is closed",
    ]


@pytest.mark.slow
def test_a_process_that_dies_costs_the_task_that_it_was_at():
    with processes.Processes(1) as pool:
        first = pool.submit(os.getpid).result()
        assert pool.submit(os.getpid).result() == first != os.getpid()
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
        with pytest.raises(RuntimeError, match="^a process ended, exit status 7$"):
            pool.submit(os._exit, 7).result()
        with pytest.raises(RuntimeError, match="^a process ended, killed by SIGKILL$"):
            pool.submit(os.kill, pool.submit(os.getpid).result(), 9).result()
        last = pool.submit(os.getpid)
    assert last.result() not in (first, os.getpid())
    assert not multiprocessing.active_children()


class Asked(Exception):
    """Somebody has asked to stop."""


def test_where_the_block_is_left_the_processes_are_killed_with_what_they_do():
    with pytest.raises(Asked), processes.Processes(1) as pool:  # noqa: PT012
        pool.submit(os.getpid).result()
        futures = [pool.submit(time.sleep, 600) for _ in range(2)]
        while not futures[0].running():
            time.sleep(0.01)
        raise Asked
    assert "killed by SIGKILL" in str(futures[0].exception())
    assert futures[1].cancelled()
    assert not multiprocessing.active_children()


# --- the same bytes ---

CLUSTER = """
import sys
from dask.distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def jgmm(folder, *words):
    """The command in a process of its own; what it says."""
    command = [sys.executable, "-m", "jgmm.cli", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def by_processes(folder):
    jgmm(folder, "run", "few.toml", "--out", "out", "--executor", "processes:2")


def by_dask(folder):
    (folder / "cluster.py").write_text(CLUSTER)
    command = [sys.executable, str(folder / "cluster.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        address = cluster.stdout.readline().strip()
        try:
            jgmm(folder, "run", "few.toml", "--out", "out", "--executor", f"dask:{address}")
        finally:
            cluster.communicate()


def by_shares(folder):
    said = [jgmm(folder, "run", "few.toml", "--share", f"{number}/2") for number in (1, 2)]
    assert "share 2 of 2 is complete: " in said[1]
    assert "when all 2 are: jgmm merge results/tiny-*-of-2 --out results/tiny" in said[1]
    assert not (folder / "results" / "tiny-2-of-2" / "report.html").exists()
    parts = [f"results/tiny-{number}-of-2" for number in (1, 2)]
    jgmm(folder, "merge", *parts, "--out", "out")


TIMED = {"looks.json", "report.html", ".lock"}  # files that hold the time


def contents(out):
    """Each file's bytes, but of those that hold the time."""
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in TIMED]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def at_home(tmp_path_factory):
    """What one process stores, and reports."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "few.toml").write_text(tomli_w.dumps(study(parts=FEW).model_dump(exclude_none=True)))
    jgmm(folder, "run", "few.toml", "--out", "out")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("way", [by_processes, by_dask, by_shares])
def test_whoever_computes_a_study_the_bytes_are_those_of_one_process(at_home, tmp_path, way):
    (tmp_path / "few.toml").write_text((at_home / "few.toml").read_text())
    way(tmp_path)
    assert contents(tmp_path / "out") == contents(at_home / "out")


@pytest.mark.slow
def test_a_process_that_is_killed_half_way_costs_its_part_alone(at_home, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "TASK_SECONDS", 1e-4)
    killed = []

    def progress(name, done, total):
        if done and not killed:
            killed.append(multiprocessing.active_children()[0])
            killed[0].kill()

    plain = study(parts=FEW[:1])
    with processes.Processes(2) as pool:
        done = runner.run_study(plain, tmp_path, executor=pool, progress=progress)
    (told,) = done.failures
    assert told.endswith(
        "runs of cells in 1 tasks were not computed (RuntimeError: a process ended, killed by SIGKILL)"
    )
    again = runner.run_study(plain, tmp_path)
    assert (again.computed, again.left) == (done.left, 0)
    cells = {name: content for name, content in contents(tmp_path).items() if name.startswith(("cells", "tiles"))}
    expected = contents(at_home / "out")
    assert cells == {name: expected[name] for name in cells}
    assert len(cells) == len(spec.cells(plain))
