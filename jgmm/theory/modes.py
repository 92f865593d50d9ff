r"""How the estimates of a pair relax and fluctuate about their fixed point, for updates of any sharpness.

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
    """A direction in which estimates of a symmetric pair move, about their fixed point, in units of sigma.

    A sample moves its mean by -eta w J times where it is, and its noise is that of a labelled centre times V.
    """

    relaxation: float  # J
    noise: float  # V
    pull: float  # of the mean along the separation, per unit of this mode's variance


class PairModes(NamedTuple):
    """The linear theory of a symmetric pair: half the difference of its centres, and half their sum (the shift)."""

    bias: float  # of the fixed point, outward
    parallel: Mode
    across: Mode  # each of the d - 1 directions: the boundary turns
    shift: Mode  # along the separation; across it, centres that shift together relax as labelled ones do


@lru_cache(maxsize=4096)  # quadratures that many checkpoints and cells share
def pair_modes(separation, *, beta=math.inf):
    """Soft updates (beta) and Lloyd (beta = inf) of both centres of a pair, or EM of its one mean, linearised.

    Of mu_i <- mu_i + eta p_i (x - mu_i), p_1 - p_2 = T = tanh(beta <x - v, u>), u = (mu_1 - mu_2)/2 and
    v = (mu_1 + mu_2)/2 move by (eta/2) (T (x - v) - u) and (eta/2) (x - v - T u); EM is u at the rate eta, v = 0. They
    rest at u = m e, v = 0, m = E x T with T = tanh(beta m x), x ~ N(s, 1) along e (for Lloyd m = s + b(C)). With
    S = sech^2(beta m x) = 1 - T^2 the derivatives of the mean moves there, and the covariances of the moves, are

        along     J = 1 - beta E x^2 S      V = E x^2 T^2 - m^2                   pull  -beta^2 E x^3 T S
        across    J = 1 - beta E S          V = E T^2                             pull  -beta^2 E x T S
        shift     J = 1 - beta m^2 E S      V = 1 + s^2 - 2 m^2 + m^2 E T^2       pull  beta m E S - beta^2 m^2 E x T S

    and J = V = 1 for a shift across. The pull is half the second derivative of the move of u along e: fluctuations
    move the mean by the sum of pull times variance, over J of `parallel`. beta = 1 has J = V (the information
    identity), beta = inf the modes of `lloyd_pair_law`. Raises ValueError for a separation that is not positive, or a
    beta so small that the centres fall together (beta (1 + s^2) <= 1).
    """
    if not 0 < separation < 1e6:
        raise ValueError(f"separation is {separation}, expected a positive number below 1e6")
    if not beta > 0:
        raise ValueError(f"beta is {beta}, expected a positive number")
    s = float(separation) / 2
    if beta * s > 1e4:  # as Lloyd, to 1e-8
        f, b = density(s), float(lloyd_bias(2 * s))
        m = s + b
        spread = 1 - 2 * s * b - b * b  # 1 + s^2 - m^2
        return PairModes(b, Mode(1, spread, 0), Mode(1 - 2 * f / m, 1, -f / m**2), Mode(1 - 2 * f * m, spread, f))
    bias = float(em_fixed_point_bias(2 * s, beta=beta))
    m = s + bias
    if not m > 0:
        raise ValueError(f"beta is {beta} at separation {separation:g}, expected above 1/(1 + C^2/4): no fixed point")
    x, weights = grid(s, beta * m)
    t, rest = np.tanh(beta * m * x), sech_sq(beta * m * x)

    def mean(values):
        return float(weights @ values)

    flat, turned = mean(rest), mean(x * t * rest)
    spread = mean(x * x * t * t) - m * m
    return PairModes(
        bias,
        Mode(1 - beta * mean(x * x * rest), spread, -(beta**2) * mean(x**3 * t * rest)),
        Mode(1 - beta * flat, 1 - flat, -(beta**2) * turned),
        Mode(
            1 - beta * m * m * flat,
            1 + (s - m) * (s + m) - m * m * flat,
            beta * m * flat - (beta * m) ** 2 * turned,
        ),
    )
