"""Keys and the canary: other random bits do not extend a study."""

import os
import subprocess
import sys

import numpy as np
import pytest
from small import PARTS, SHORT, bytes_of, study

from jgmm import mixture
from jgmm.commands.show import show
from jgmm.study import keys, spec
from jgmm.study import run as runner


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


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
