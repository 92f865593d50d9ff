"""Modes of a pair against tables, the laws that they contain, and derivatives by quadrature."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from jgmm import theory


def test_the_modes_of_a_pair_are_tabulated():
    lloyd = [theory.pair_modes(c) for c in (2, 3, 4, 6)]
    assert_allclose([m.shift.relaxation / 2 for m in lloyd], [0.218, 0.298, 0.391, 0.487], atol=6e-4)
    assert_allclose([m.across.relaxation / 2 for m in lloyd], [0.293, 0.417, 0.473, 0.499], atol=6e-4)
    assert [m.parallel.relaxation for m in lloyd] == [1, 1, 1, 1]
    em = theory.pair_modes(2, beta=1)  # its mean is moved by -.0139 at the rate .02 and d = 5
    pulled = em.parallel.pull * em.parallel.noise / em.parallel.relaxation
    pulled += 4 * em.across.pull * em.across.noise / em.across.relaxation
    assert_allclose(0.01 * pulled / em.parallel.relaxation, -0.0139, atol=5e-5)


@pytest.mark.parametrize("separation", [2.0, 4.0])
def test_the_modes_of_lloyd_are_those_of_the_pair_law(separation):
    rate, d = 0.02, 7
    law, modes = theory.lloyd_pair_law(separation, rate=rate, d=d), theory.pair_modes(separation)
    along = rate / 4 * (modes.parallel.noise / modes.parallel.relaxation + modes.shift.noise / modes.shift.relaxation)
    across = rate / 4 * (1 / modes.across.relaxation + 1) * (d - 1)
    pulled = modes.shift.pull * modes.shift.noise / modes.shift.relaxation
    pulled += (d - 1) * modes.across.pull / modes.across.relaxation
    assert_allclose(modes.bias, law.bias, rtol=1e-12)
    assert_allclose([along, across], [law.variance_parallel, law.variance_transverse], rtol=1e-12)
    assert_allclose(rate / 4 * pulled, law.shift, rtol=1e-9)
    assert_allclose(theory.outward_shift(separation, rate=rate, d=d), law.shift, rtol=1e-9)


def test_the_modes_of_soft_updates_move_each_centre_as_they_pull():
    modes = theory.pair_modes(2.0, beta=1)
    pulled = [mode.pull for mode in modes[1:]]  # beta = 1: noise and relaxation are one
    expected = 0.04 / 4 * (pulled[0] + 4 * pulled[1] + pulled[2]) / modes.parallel.relaxation
    assert_allclose(theory.outward_shift(2.0, rate=0.04, d=5, beta=1), expected, rtol=1e-9)


def test_the_modes_of_em_are_its_information_and_those_of_a_large_beta_lloyds():
    for separation in (1.0, 2.0, 6.0):
        modes, information = theory.pair_modes(separation, beta=1), theory.em_information(separation)
        assert_allclose([m.noise for m in modes[1:]], [m.relaxation for m in modes[1:]], rtol=1e-9)
        shift = 1 - (separation / 2) ** 2 * (1 - information.perpendicular)
        assert_allclose([m.relaxation for m in modes[1:]], [*information, shift], rtol=1e-7)
        sharp, hard = theory.pair_modes(separation, beta=2000), theory.pair_modes(separation)
        assert_allclose(np.hstack(sharp), np.hstack(hard), atol=2e-3)


@pytest.mark.parametrize(("separation", "beta"), [(2.0, 1.0), (3.0, 0.6), (1.5, 3.0)])
def test_modes_are_the_derivatives_of_the_mean_move(separation, beta):
    """By quadrature in two dimensions and differences; noise by the second moment of the moves."""
    s, modes = separation / 2, theory.pair_modes(separation, beta=beta)
    nodes = np.arange(-8, 8.05, 0.1)  # trapezes, exact for what is smooth on this scale
    weights = 0.1 * stats.norm.pdf(nodes)
    x = np.concatenate([nodes + s, nodes - s])[:, None]
    y = nodes[None]
    mass = np.concatenate([weights, weights])[:, None] / 2 * weights[None]

    def moves(u, v):
        side = np.tanh(beta * ((x - v[0]) * u[0] + (y - v[1]) * u[1]))
        both = [side * (x - v[0]) - u[0], side * (y - v[1]) - u[1], x - v[0] - side * u[0], y - v[1] - side * u[1]]
        return np.stack([np.broadcast_to(one, mass.shape) for one in both])

    def mean(du=(0, 0), dv=(0, 0)):
        rest = np.array([s + modes.bias, 0.0])
        return np.sum(mass * moves(rest + du, np.array(dv)), axis=(1, 2))

    h = 0.01
    steps = {"parallel": {"du": (h, 0)}, "across": {"du": (0, h)}, "shift": {"dv": (h, 0)}}
    assert_allclose(mean(), 0, atol=1e-6)
    for which, (name, step) in enumerate(steps.items()):
        back = {key: (-value[0], -value[1]) for key, value in step.items()}
        forth, behind = mean(**step), mean(**back)
        mode = getattr(modes, name)
        assert_allclose((behind - forth)[which] / (2 * h), mode.relaxation, atol=1e-3)
        assert_allclose((forth + behind)[0] / (2 * h * h), mode.pull, atol=2e-3)
        moved = moves(np.array([s + modes.bias, 0.0]), np.zeros(2))[which]
        assert_allclose(np.sum(mass * moved**2), mode.noise, atol=1e-4)
