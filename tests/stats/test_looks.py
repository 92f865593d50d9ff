"""Levels for looking again at growing data."""

import pytest
from numpy.testing import assert_allclose

from jgmm import stats


def test_looks_spend_their_level_and_no_more():
    assert_allclose([stats.look_level(j) for j in (1, 2, 3)], [0.025, 0.05 / 6, 0.05 / 12], rtol=1e-14)
    assert_allclose(sum(stats.look_level(j, 0.1) for j in range(1, 1000)), 0.1 * 999 / 1000, rtol=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="from 1"):
        stats.look_level(0)
    with pytest.raises(ValueError, match="alpha"):
        stats.look_level(1, 1.0)
