"""Tasks are what is missing, cut so that none is long, and cells that share a start go together."""

import subprocess
import sys

import numpy as np

import jgmm
from jgmm.study import plan, spec


def random_grid(rng):
    return jgmm.Study(
        runs=int(rng.integers(1, 3000)),
        part=[
            {
                "name": "a",
                "mixture": {"k": 2, "d": [2, 5], "separation": [2.0, 4.0]},
                "stream": {"n": [1000, int(rng.integers(2000, 10**6)), 10**7], "start": 0.1},
            },
            {
                "name": "b",
                "mixture": {"k": 2, "d": 4, "layout": "simplex"},
                "seeding": {"n": 1000, "graph_points": 50, "block": [20, 40]},
                "stream": {"n": [1000, 5000], "rate": [0.01, 0.1]},
            },
        ],
    )


def test_tasks_are_exactly_what_is_missing_and_none_is_long():
    rng = np.random.default_rng(1)
    for _ in range(20):
        study = random_grid(rng)
        devices = int(rng.choice([1, 2, 8]))
        cells = spec.cells(study)
        todo = [plan.Piece(cell, int(low), study.runs) for cell in cells if (low := rng.integers(0, study.runs)) >= 0]
        tasks = plan.tasks(todo, devices=devices)
        done = {cell: np.zeros(study.runs, int) for cell in cells}
        for task in tasks:
            for piece in task.pieces:
                done[piece.cell][piece.low : piece.high] += 1
            least = max(plan.cost(p.cell, 16 * devices, seeded=True) / devices for p in task.pieces)
            assert task.seconds <= 1.01 * plan.TASK_SECONDS + 6 * least
        for piece in todo:
            assert (done[piece.cell][: piece.low] == 0).all()
            assert (done[piece.cell][piece.low :] == 1).all()


def test_cells_that_share_a_seeding_go_together():
    study = random_grid(np.random.default_rng(2)).model_copy(update={"runs": 64})
    cells = [cell for cell in spec.cells(study) if cell.seeding]
    tasks = plan.tasks([plan.Piece(cell, 0, 64) for cell in cells], devices=2)
    assert [len({p.cell.start_fields() for p in task.pieces}) for task in tasks] == [1, 1]


def test_a_plan_needs_no_jax():
    code = "import sys; from jgmm.study import ownership, plan, spec; from jgmm.study.folder import store"
    code += "; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_pack_of_a_gpu_fills_it():
    widths = [plan.pack_width(k, d, 10**6, devices=1, gpu=True) for k, d in [(2, 2), (5, 10), (10, 50), (20, 100)]]
    assert widths == [65536, 65536, 8192, 4096]


def test_a_pack_wider_than_a_task_is_cut():
    short = jgmm.Study(runs=10**5, mixture={"k": 2, "d": 2}, stream={"n": 10, "start": 0.1, "rate": 0.1})
    seeded = jgmm.Study(
        runs=10**5,
        mixture={"k": 2, "d": 2},
        seeding={"n": 1000, "graph_points": 50, "block": 20},
        stream={"n": 1000},
    )
    for study, devices in [(short, 1), (short, 8), (seeded, 8)]:  # cards
        (cell,) = spec.cells(study)
        assert plan.pack_width(2, 2, 10 if study is short else 10**9, devices=devices, gpu=True) > plan.TASK_RUNS
        tasks = plan.tasks([plan.Piece(cell, 0, 10**5)], devices=devices, gpu=True)
        pieces = [piece for task in tasks for piece in task.pieces]
        assert [(piece.low, piece.high) for piece in pieces] == [(0, plan.TASK_RUNS), (plan.TASK_RUNS, 10**5)]
