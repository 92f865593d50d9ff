r"""How the estimates of a symmetric pair relax to their fixed point and fluctuate about it, at any sharpness (beta).

See docs/theory.md, "Modes of a pair".
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from jgmm.theory.em import em_fixed_point_bias
from jgmm.theory.gaussian import density, grid, sech_sq
from jgmm.theory.lloyd import lloyd_bias


class Mode(NamedTuple):
    """A direction in which the estimates of a symmetric pair deviate from their fixed point, in units of sigma.

    A sample multiplies the mean deviation by 1 - eta w J. Its noise is V times a labelled centre's.
    """

    relaxation: float  # J
    noise: float  # V
    pull: float  # the move of u outward along the separation, per unit of this mode's variance


class PairModes(NamedTuple):
    """The linear theory of a symmetric pair: half the difference of its centres, and half their sum (the shift)."""

    bias: float  # how far outside the mean the fixed point is
    parallel: Mode
    across: Mode  # each of the d - 1 directions: the boundary turns
    shift: Mode  # along the separation; across it a shift relaxes and fluctuates as labelled centres do


def outward_shift(separation, *, rate, d, beta=math.inf):
    """How far a constant step moves the mean of each of two centres outward, to first order in it, in units of sigma.

    (rate/4) sum over modes of pull V/J, over J along: a centre's variance in a mode is (rate/4) V/J. The centres are
    Lloyd's (beta = inf) or those of soft updates; for Lloyd it is the shift of `lloyd_pair_law`.
    """
    modes = pair_modes(float(separation), beta=beta)
    each = ((modes.parallel, 1), (modes.across, d - 1), (modes.shift, 1))
    pulled = sum(count * mode.pull * mode.noise / mode.relaxation for mode, count in each)
    return rate / 4 * pulled / modes.parallel.relaxation


@lru_cache(maxsize=4096)  # quadratures that many checkpoints and cells share
def pair_modes(separation, *, beta=math.inf):
    """The modes of a pair: two centres with soft updates (beta) or Lloyd's (beta = inf), or EM's one mean.

    J, V and pull are expectations over x ~ N(s, 1) of T = tanh(beta m x) and S = sech^2(beta m x), as in the table of
    docs/theory.md; m is the fixed point, for Lloyd s + b(C). beta = 1 has J = V (the information identity). beta = inf
    has the modes of `lloyd_pair_law`. Raises ValueError for a beta so small that both centres fall together
    (beta (1 + s^2) <= 1).
    """
    if not 0 < separation < 1e6:
        raise ValueError(f"separation is {separation}, expected a positive number below 1e6")
    if not beta > 0:
        raise ValueError(f"beta is {beta}, expected a positive number")
    s = float(separation) / 2
    if beta * s > 1e4:  # equal to Lloyd's to 1e-8
        f, b = density(s), float(lloyd_bias(2 * s))
        m = s + b
        spread = 1 - 2 * s * b - b * b  # 1 + s^2 - m^2
        return PairModes(b, Mode(1, spread, 0), Mode(1 - 2 * f / m, 1, -f / m**2), Mode(1 - 2 * f * m, spread, f))
    bias = float(em_fixed_point_bias(2 * s, beta=beta))
    m = s + bias
    if not m > 0:
        raise ValueError(f"beta is {beta} at separation {separation:g}, expected above 1/(1 + C^2/4): no fixed point")
    x, weights = grid(s, beta * m)
    t, slope = np.tanh(beta * m * x), sech_sq(beta * m * x)

    def mean(values):
        return float(weights @ values)

    flat, turned = mean(slope), mean(x * t * slope)
    spread = mean(x * x * t * t) - m * m
    return PairModes(
        bias,
        Mode(1 - beta * mean(x * x * slope), spread, -(beta**2) * mean(x**3 * t * slope)),
        Mode(1 - beta * flat, 1 - flat, -(beta**2) * turned),
        Mode(
            1 - beta * m * m * flat,
            1 + (s - m) * (s + m) - m * m * flat,
            beta * m * flat - (beta * m) ** 2 * turned,
        ),
    )
