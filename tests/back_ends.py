"""One stream on every back end: CPU, the list in NumPy, the GPU's program run by NumPy, and the reference."""

from collections.abc import Callable
from functools import partial

import jax
import numpy_list
import ptx
from numpy.testing import assert_allclose, assert_array_equal

from jgmm.contract import Stream
from jgmm.engine import cpu, gpu, scan

OPENS: tuple[Callable[..., Stream], ...] = (
    cpu.open,
    numpy_list.open,
    partial(gpu.open, launcher=ptx.launcher),
    scan.open,
)


def assert_alike(streams):
    """Streams as OPENS opened them take in 7 samples: the bits are the same, but for the reference's rounding."""
    for stream in streams:
        stream.advance(7)
    first, *same, rounded = (jax.tree.leaves((stream.words(), stream.state())) for stream in streams)
    for each in same:
        for a, b in zip(each, first, strict=True):
            assert_array_equal(a, b)
    for a, b in zip(rounded, first, strict=True):
        assert_allclose(a, b, rtol=2e-5, atol=2e-5)
