"""The doors of the library: nonsense is told in one line that names the argument, by jgmm itself."""

import inspect
import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jgmm
from jgmm import mixture, named, rates, start, steps
from jgmm.algorithms.em import EM
from jgmm.algorithms.lloyd import LLOYD
from jgmm.engine import choose, run, runs, scan, together

KEY = jax.random.key(0)
PAIR = mixture.simplex(2, 3, separation=5.0)
RUNS = runs.batch(KEY, range(3), PAIR)
PAIRS = runs.batch(KEY, range(3), mixture.symmetric(3, separation=5.0))
START = start.offset_start(KEY, RUNS, 0.5)
READY = together.ready(RUNS, LLOYD, START, steps=0.1)
SIZES = {"n": 100, "block": 20, "graph_points": 20, "neighbors": 3}
STREAM = {"twin": False, "average": None, "back_end": "scan", "progress": None}
SHAPED = {"weights": None, "scales": 1.0}

GOOD = {
    runs.run_keys: {"key": KEY, "run_ids": [1, 2]},
    runs.batch: {"key": KEY, "run_ids": [0, 1, 2], "mixture": PAIR},
    start.offset_start: {"key": KEY, "batch": RUNS, "offset": 0.5},
    start.check_seeding: {"k": 2, "d": 3, **SIZES},
    start.check_power: {"mixture": RUNS.mixture, "block": 3},
    start.seed: {"key": KEY, "batch": RUNS, **SIZES, "method": "block", "back_end": "scan", "progress": None},
    start.oja_rate: {"mixture": RUNS.mixture},
    start.measure: {"start": START, "batch": RUNS},
    start.measure_subspace: {"basis": np.zeros((2, 3, 3)), "batch": RUNS},
    run.run: {"batch": RUNS, "algorithm": LLOYD, "start": START, "steps": 0.1, "checkpoints": [5], **STREAM},
    run.simulate: {
        **{"ready": READY, "batch": RUNS, "segments": [run.Segment(3, (5,))]},
        **{"back_end": "scan", "progress": None},
    },
    run.log_checkpoints: {"n": 100, "count": 3},
    together.ready: {"batch": RUNS, "algorithm": LLOYD, "start": START, "steps": 0.1, "twin": False},
    start.from_data: {"key": KEY, "batch": RUNS, "name": "first", "head": 10},
    named.load: {"kind": "algorithm", "name": "lloyd"},
    choose.choose: {"back_end": "scan"},
    scan.ladder: {"num_runs": 3, "devices": 2},
    mixture.given: {"means": np.eye(2), **SHAPED},
    mixture.simplex: {"k": 2, "d": 3, "separation": 4.0, **SHAPED},
    mixture.symmetric: {"d": 3, "separation": 4.0, **SHAPED},
    mixture.box: {
        **{"keys": jax.random.split(KEY, 3), "k": 2, "d": 3, "side": 10.0, "separation": 1.0, **SHAPED},
        "max_tries": 100,
    },
    mixture.symmetric_box: {
        **{"keys": jax.random.split(KEY, 3), "d": 3, "side": 10.0, "separation": 1.0, **SHAPED},
        "max_tries": 100,
    },
    mixture.separation: {"mixture": RUNS.mixture},
    mixture.closest: {"means": RUNS.mixture.means},
    mixture.replicate: {"mixture": mixture.simplex(2, 3, separation=5.0), "num_runs": 3},
    mixture.check: {"k": 2, "weights": None, "scales": 1.0},
    mixture.check_whole: {"mixture": RUNS.mixture},
    mixture.drawn_together: {"k": 2, "d": 3},
}
NONSENSE = [
    *("x", b"x", -1, 1.5, float("nan"), float("inf"), 1 + 2j, 2**70, 1e300, {"a": 1}, object(), int, Exception("a")),
    *([], [None], [[1], [2, 3]], iter([1]), slice(3), Path("x"), np.datetime64("2020"), np.zeros((2, 2))),
    *(np.array(["a"]), np.array([1, 2, 3], object), np.array([True, False, True]), np.full((2, 3, 3), np.nan)),
    *(np.array([2**32]), np.array([0.5, 0.7, 0.1]), jnp.zeros((2, 3, 5)), KEY, jax.random.key(0, impl="rbg")),
    *(RUNS, LLOYD, READY, mixture, optax.sgd, optax.clip_by_global_norm(1.0), lambda: 0, run.Segment(3, (5,))),
    *([run.Segment("a", "b")], [run.Segment(3, (5,)), 3]),  # type: ignore[arg-type]
]


def faults(function, arguments):
    """What of nonsense in place of each argument, one at a time, does not end in a line of jgmm's own."""
    plain = inspect.unwrap(function)  # without the tests' own check of types
    for name, value in ((name, value) for name in arguments for value in NONSENSE):
        if name == "progress" and callable(value):
            continue  # called: what it raises is its own
        try:
            plain(**{**arguments, name: value})
        except ValueError as error:
            text = str(error)
            ours = "jgmm" in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parts
            if "\n" in text or "expected" not in text or len(text) > 400 or not ours:
                yield f"{name} = {value!r:.40}: {text!r:.200}"
        except Exception as error:
            yield f"{name} = {value!r:.40}: {error!r:.200}"


INNER = {  # called with what others have checked
    mixture.proposed,
    mixture.mirrored,
    mixture.uniform,
    *(runs.normals, runs.repeated, runs.means_beside),
    start.frames,
    start.homes,
    run.advance,
    together.averaged,
    together.in_order,
    together.moving,
    together.estimate,
    together.as_given,
    together.stood_for,
    together.as_it_is,
    choose.opened,
    choose.obstacle,
    choose.load,
    *(steps.of, steps.constant, steps.polynomial, steps.inverse_count, steps.adam, steps.scheduled, steps.from_optax),
    *(steps.check, steps.check_moves, steps.turns, steps.shifted),
    *(named.name_of, named.at, named.step_size),
}


def test_every_public_function_is_tried():
    public = {
        function
        for module in (runs, start, run, together, named, steps, choose, mixture)
        for name, function in vars(module).items()
        if inspect.isfunction(inspect.unwrap(function)) and function.__module__ == module.__name__ and name[0] != "_"
    }
    assert public - set(GOOD) == INNER


BARE = """
import test_doors
for function, arguments in test_doors.GOOD.items():
    function(**arguments)
    for fault in test_doors.faults(function, arguments):
        print(function.__name__, fault)
"""


@pytest.mark.slow
def test_nonsense_is_told_in_one_line():
    """In a process without the tests' own check of types, which would tell it first."""
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, env=known)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


bare = SimpleNamespace(**{function.__name__: inspect.unwrap(function) for function in GOOD})  # as `plain` above
RATE = rates.Polynomial(scale=0.9, power=0.0)
ONE = {"steps": 0.1, "checkpoints": [5]}


def lloyd(rate, checkpoints=(5,)):
    return bare.run(RUNS, LLOYD, START, steps=rate, checkpoints=checkpoints)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: bare.batch(KEY, np.array([2**32 + 17]), RUNS.mixture),
            r"run_ids\[0\] is 4294967313, expected whole",
        ),
        (lambda: bare.batch(KEY, [3, -1], RUNS.mixture), r"run_ids\[1\] is -1"),
        (lambda: bare.batch(KEY, np.array([0.5, 0.7]), RUNS.mixture), "run_ids is an array of float64"),
        (lambda: bare.batch(KEY, np.array([True, False]), RUNS.mixture), "run_ids is an array of bool.* no mask"),
        (lambda: bare.batch(KEY, [1, 2], RUNS.mixture), "the mixture has 3 runs, expected 2"),
        (lambda: bare.batch(jax.random.PRNGKey(0), [1], RUNS.mixture), "key is an array of uint32.* jax.random.key"),
        (lambda: bare.batch(jax.random.key(0, impl="rbg"), [1], RUNS.mixture), "key is of key<rbg>.*threefry"),
        (lambda: lloyd(0.1, checkpoints=1000), "checkpoints is 1000, expected a list"),
        (lambda: lloyd(0.1, checkpoints=[1.5]), r"checkpoints\[0\] is 1.5, expected a w"),
        (lambda: lloyd([0.1, 0.2]), r"rate is .* shape \(2,\), .* \(3,\)"),
        (lambda: lloyd([0.1, np.nan, 0.2]), r"rate\[1\] is nan"),
        (lambda: lloyd(optax.sgd), "steps is <function sgd.*a schedule"),
        (lambda: lloyd(lambda t: 2.0), "gives 2.0 at 0"),
        (lambda: lloyd(RATE), "power is 0, expected positive"),
        (lambda: lloyd(steps.adam(0.0)), "adam is 0, expected positive"),
        (lambda: lloyd(steps.inverse_count(-1)), "initial is -1, expected"),
        (lambda: bare.run(RUNS, LLOYD, START[:1], **ONE), r"start .*\(1, 3, 3\).*\(2, 3, 3\)"),
        (lambda: bare.run(RUNS, LLOYD, START * np.float32(np.nan), **ONE), r"start\[.*\] is nan"),
        (lambda: bare.run(PAIRS, EM, START, **ONE), r"start is .*, expected float32 of shape \(1, 3, 3\)"),
        (lambda: bare.run(PAIRS, EM, START[:1], **ONE, beta=[1.0] * 4), r"beta is .* shape \(4,\)"),
        (lambda: bare.run(PAIRS, LLOYD, START, **ONE, beta=2.0), "beta is no number of the algorithm's, expected none"),
        (lambda: bare.run(PAIRS, "loyd", START, **ONE), "algorithm is 'loyd', expected one of lloyd, em, soft, oracle"),
        (lambda: bare.run(PAIRS, "jgmm.start:seed", START, **ONE), "is a function, expected jgmm.contract.Algorithm"),
        (lambda: bare.run(RUNS, "oracle", START, **ONE, twin=True), "the algorithm has none"),
        (lambda: bare.run(RUNS, LLOYD, START, **ONE, average=np.array([1, 2])), "average is an array"),
        (lambda: bare.offset_start(KEY, RUNS, np.ones(5)), r"offset is an array .*\(5,\)"),
        (lambda: bare.offset_start(KEY, RUNS, -0.5), "offset is -0.5, expected non-negative"),
        (lambda: bare.log_checkpoints(0, 5), "n is 0, expected a whole number of at least 1"),
        (lambda: bare.box(KEY, 2, 2, side=1.0), r"keys has shape \(\), expected an array of keys"),
        (lambda: bare.simplex("two", 2, separation=1.0), "k is 'two', expected a whole number"),
    ],
)
def test_a_fault_names_its_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_schedule_is_taken_as_it_is_scheduled():
    schedule = optax.exponential_decay(0.3, 10, 0.5)
    with jax.numpy_dtype_promotion("standard"):
        given = jgmm.run(RUNS, LLOYD, START, steps=schedule, checkpoints=[40])
        named = jgmm.run(RUNS, LLOYD, START, steps=optax.sgd(schedule), checkpoints=[40])
    assert_allclose(given.centres, named.centres, rtol=1e-6)
    power = rates.polynomial(0.9, 0.7, 2.0)
    by_hand = jgmm.run(RUNS, LLOYD, START, steps=lambda t: 0.9 / (t.astype(jnp.float32) + 2) ** 0.7, checkpoints=[40])
    assert_allclose(
        by_hand.centres, jgmm.run(RUNS, LLOYD, START, steps=power, checkpoints=[40]).centres, rtol=1e-5, atol=1e-6
    )


def test_a_list_is_as_good_as_an_array_and_a_name_as_its_algorithm():
    whole = jgmm.run(RUNS, LLOYD, START, steps=[0.1, 0.2, 0.1], checkpoints=[20])
    alone = jgmm.run(RUNS, "lloyd", START, steps=np.array([0.1, 0.2, 0.1]), checkpoints=(20,))
    assert_array_equal(whole.centres, alone.centres)


def test_folders_of_a_study_may_be_strings(tmp_path):
    table = {"k": 2, "d": 2}, {"n": 50, "rate": 0.1, "start": "truth", "checkpoints": 1}
    study = jgmm.Study(runs=2, mixture=table[0], stream=table[1])
    done = jgmm.run_study(study, str(tmp_path / "out"), spec_folder=str(tmp_path))
    assert done.left == 0
    jgmm.write_report(str(tmp_path / "out"), study)
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": {"runs": 2}}, "study is .*, expected a Study"),
        ({"out": 3}, "out is 3, expected a path"),
        ({"spec_folder": None}, "spec_folder is None, expected a path"),
        ({"executor": "pool"}, "executor is 'pool', expected"),
        ({"progress": 1}, "progress is 1, expected a function"),
        ({"stop": True}, "stop is True, expected a function"),
        ({"fresh": "no"}, "fresh is 'no', expected True or False"),
        ({"back_end": "quick"}, "back_end is 'quick', expected one of"),
        ({"environment": [1]}, r"environment is \[1\], expected a dict"),
    ],
)
def test_what_a_study_is_run_with_is_checked_before_anything_is_written(tmp_path, change, message):
    given = {"study": jgmm.Study(runs=2), "out": tmp_path / "out", **change}
    with pytest.raises(ValueError, match=message):
        jgmm.run_study(**given)
    assert not (tmp_path / "out").exists()


def test_what_a_report_is_written_of_is_checked(tmp_path):
    for folder, study, message in (
        (3, jgmm.Study(), "folder is 3"),
        ("x", "seed", "study is 'seed', expected a Study"),
    ):
        with pytest.raises(ValueError, match=message):
            jgmm.write_report(folder, study)
    with pytest.raises(ValueError, match="spec_folder is 3, expected a path"):
        jgmm.write_report(tmp_path, jgmm.Study(), spec_folder=3)
