"""What a cell's rows are made of."""

import numpy as np
from numpy.testing import assert_allclose
from small import study

from jgmm import mixture
from jgmm.engine.run import Record
from jgmm.study import keys, spec, tables
from jgmm.study.mixtures import build_mixture


def test_displacements_stand_by_component_and_the_twins_lose_what_is_left_of_their_start():
    mixed = {"k": 3, "d": 4, "layout": "simplex"}
    stream = {"n": 50, "rate": 0.01, "start": 0.5, "displacement": True}
    (cell,) = spec.cells(study(parts=[{"name": "main", "mixture": mixed, "stream": stream}]))
    means = np.asarray(build_mixture(cell, keys.study_keys(0).mixture, range(2)).means, float)
    basis = tables.span(means)
    last, twin, start = np.random.default_rng(0).normal(size=(3, 3, 4, 2))
    component = np.array([[2, 0], [0, 1], [1, 2]])
    empty = np.zeros((0, 0))
    record = Record(
        samples=np.array([0, 50]),
        error=None,
        centres=empty,
        displacement=last,
        component=component,
        start_displacement=start,
        start_sq=empty,
        twin_sq=None,
        twin_displacement=twin,
    )
    built = mixture.Mixture(means[..., None], None, None)
    found = tables.displacements(cell, built, record)
    left = (1 - 0.01 / 3) ** 50
    for run in range(2):
        order = [list(component[:, run]).index(c) for c in range(3)]
        assert_allclose(found["displacement"][run], (last[order, :, run] @ basis).ravel())
        assert_allclose(found["twin_displacement"][run], ((twin - left * start)[order, :, run] @ basis).ravel())
