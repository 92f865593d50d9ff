"""The contract's own example of an algorithm: it is streaming Lloyd, in every back end."""

import inspect
import textwrap

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import jgmm
from jgmm import contract, mixture
from jgmm.algorithms.lloyd import LLOYD
from jgmm.start import offset_start

IMPORTS = """
import jax.numpy as jnp
from jgmm.contract import Algorithm, State
from jgmm.loops import over_coordinates
"""


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The example of `Algorithm`, as a module that can be imported."""
    text = inspect.getdoc(contract.Algorithm)
    lines = text[text.index("    def step") : text.index("(`algorithms/lloyd.py`")]
    (tmp_path / "contracts_example.py").write_text(IMPORTS + textwrap.dedent(lines))
    monkeypatch.syspath_prepend(tmp_path)
    return "contracts_example:MINE"


@pytest.mark.parametrize("back_end", ["cpu", "scan"])
def test_the_example_is_streaming_lloyd(example, back_end):
    key = jax.random.key(3)
    batch = jgmm.batch(key, range(7), mixture.simplex(3, 4, separation=3.0))
    start = offset_start(key, batch, 0.5)
    mine, lloyds = (
        jgmm.run(batch, algorithm, start, steps=0.05, checkpoints=[200], back_end=back_end)
        for algorithm in (example, LLOYD)
    )
    assert_array_equal(mine.centres, lloyds.centres)
    assert not np.array_equal(mine.centres, start)
