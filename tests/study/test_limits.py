"""A spec that asks for too much is refused soon, in few words and little memory; the most that is allowed works."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from jgmm.study import plan, spec


def parse(text):
    return spec.parse(text, source="x.toml", folder=Path(), default_name="x")


HUGE = {
    "checkpoints": "[stream]\ncheckpoints = 2000000000",
    "runs": "runs = 2147483647",
    "runs and n": "runs = 2147483647\n[stream]\nn = 2147483647\nstart = 0.1\nrate = 0.1\ncheckpoints = 1",
    "max_runs": "precision = 1e-9\nmax_runs = 2147483647",
    "an axis": f"[stream]\nn = {list(range(1000, 31000))}",
    "many axes": "[stream]\nstart = 0.1\n" + "\n".join(f"{name} = {[0.01] * 4000}" for name in ("rate", "average")),
    "a grid": f"[mixture]\nk = 2\nsigma = {[1.0] * 5000}\nseparation = {[2.0] * 5000}",
    "cells alone": f"[stream]\nstart = 0.1\nn = {[30000] * 80}\naverage = {[0.0] * 80}\ncheckpoints = 1",
    "cells with checkpoints": f"[stream]\nstart = 0.1\nn = {[30000] * 4000}\ncheckpoints = 10000",
    "k": "[mixture]\nk = 2000000000",
    "d": "[mixture]\nd = 2000000000",
    "bad values": f"[mixture]\nk = {[0] * 100_000}",
    "fewer bad values": f"[mixture]\nk = {[0] * 5000}\nd = {[-1] * 5000}",
    "unknown keys": "\n".join(f"a{i} = 1" for i in range(100_000)),
    "fewer unknown keys": "\n".join(f"a{i} = 1" for i in range(4000)),
    "parts": "[[part]]\n" * 10_000,
    "nested lists": "a = " + "[" * 5000 + "]" * 5000,
    "nested tables": "a = " + "{ a = " * 5000 + "1" + "}" * 5000,
    "a dotted key": "a" + ".a" * 500_000 + " = 1",
    "a quoted dotted key": "'a'" + " . 'a'" * 100_000 + " = 1",
    "digits": "runs = " + "9" * 5000,
    "more digits": "runs = " + "9" * 4000,
    "a long name": f"name = '{'a' * 100_000}'",
    "a long line": "a" * 10**7,
    "quotes": '"' * 10**6,
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_what_is_too_large_is_refused_soon_and_in_few_words(text):
    started = time.process_time()
    with pytest.raises(ValueError, match=".*") as caught:
        check(parse(text))
    assert time.process_time() - started < 2  # measured: up to 0.4 s
    lines = str(caught.value).splitlines()
    assert len(lines) <= 21
    assert max(map(len, lines)) < 400


IN_LITTLE_MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import test_limits
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before = most()
for text in test_limits.HUGE.values():
    try:
        test_limits.check(test_limits.parse(text))
    except ValueError:
        pass
print(most() - before)
"""


def test_what_is_too_large_is_refused_in_little_memory():
    call = [sys.executable, "-c", IN_LITTLE_MEMORY, str(Path(__file__).parent)]
    megabytes = float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)
    assert megabytes < 200  # measured: 60


def check(study):
    """What a run checks before JAX starts, and that its work can be planned."""
    todo = [plan.Piece(cell, 0, study.rounds()[-1]) for cell in spec.cells(study)]
    plan.check(todo, devices=2)


def test_of_many_faults_twenty_are_told_and_the_rest_counted():
    with pytest.raises(ValueError, match="x.toml") as caught:
        parse("\n".join(f"a{i} = 1" for i in range(100)))
    told = str(caught.value).splitlines()
    assert len(told) == 21
    assert told[-1] == "x.toml: and 80 more"


def test_a_long_file_is_not_read(tmp_path):
    path = tmp_path / "long.toml"
    with path.open("wb") as file:
        file.truncate(10**9)
    started = time.process_time()
    with pytest.raises(ValueError, match="longer than a spec may be"):
        spec.load(str(path))
    assert time.process_time() - started < 1


def test_the_largest_that_a_spec_may_ask_for_can_be_read_again():
    rate = [round(0.001 + i * 1e-6, 6) for i in range(5000)]
    n = [2**31 - 1 - i for i in range(5000)]
    separation = [1 + i / 7 for i in range(5000)]
    study = spec.Study(
        mixture={"separation": separation, "d": [2] * 5000},
        stream={"n": n, "rate": rate, "start": 0.1, "checkpoints": 2},
        together=["separation", "n", "rate", "d"],
        aim="a" * 10_000,
    )
    assert len(spec.cells(study)) == 5000
    text = tomli_w.dumps(study.model_dump(exclude_none=True))
    assert parse(text) == study.model_copy(update={"name": "study"})


def test_a_million_runs_and_two_thousand_million_samples_are_not_too_many():
    (cell,) = spec.cells(parse("runs = 1000000\n[stream]\nn = 2147483647\nstart = 0.1\nrate = 0.1"))
    assert cell.n == 2**31 - 1
    plan.check([plan.Piece(cell, 0, 10**6)], devices=8, gpu=True)
