"""Formats of floating-point numbers: what `elementary` needs of each, and its polynomials' coefficients."""

from typing import NamedTuple

import numpy as np


class Format(NamedTuple):
    """A floating-point format, and what the formulas need in it. Polynomials: the highest power first."""

    word: type  # the integers of its size
    mantissa: int  # bits of the fraction
    sign: int  # the number of the sign's bit
    one: int  # 1.0 as a word
    root_half: int  # sqrt(1/2) as a word
    high: int  # keeps the upper half of the significant bits, so that a product of two halves is exact
    magic: float  # 1.5 2^mantissa: what is added to it is rounded to an integer, which stands in the lowest bits
    magic_word: int
    least: float  # the smallest normal number
    ln2: tuple[float, float]  # high bits, so that an exponent times them is exact, and the rest
    two_log2e: tuple[float, float]  # K, likewise
    exp_range: tuple[float, float]  # beyond, exp is 0 and infinity
    exponents: tuple[float, float]  # beyond, 2^w is
    lost: float  # below, e^x is nothing beside 1
    centres: tuple[tuple[float, float], tuple[float, float]]  # c below and above 1, found such that log2 c is short
    power_most: float  # a larger |y| changes no x^y
    p: tuple[float, ...]
    q: tuple[float, ...]
    r: tuple[float, ...]


SINGLE = Format(
    word=np.int32,
    mantissa=23,
    sign=31,
    one=0x3F800000,
    root_half=0x3F3504F3,
    high=-(1 << 12),
    magic=1.5 * 2.0**23,
    magic_word=0x4B400000,
    least=2.0**-126,
    ln2=(22713 * 2.0**-15, 1.4286068203094173e-06),
    two_log2e=(2955 * 2.0**-10, -0.0003521057220731853),
    exp_range=(-104.0, 89.0),
    exponents=(-151.0, 129.0),
    lost=-20.0,
    centres=((0.7905615568161011, -22220 * 2.0**-16), (1.2672804594039917, 22396 * 2.0**-16)),
    power_most=2.0**33,
    p=(0.0013882535, 0.008366519, 0.0416672, 0.16666543, 0.49999997),
    q=(0.08735165, -0.14307706, 0.14917926, -0.16570476, 0.19962075, -0.25001758, 0.3333395, -0.4999999),
    r=(0.41438258, 0.5770735, 0.9617967),
)

DOUBLE = Format(
    word=np.int64,
    mantissa=52,
    sign=63,
    one=0x3FF0000000000000,
    root_half=0x3FE6A09E667F3BCD,
    high=-(1 << 27),
    magic=1.5 * 2.0**52,
    magic_word=0x4338000000000000,
    least=2.0**-1022,
    ln2=(190530846196 * 2.0**-38, 1.6465949582897082e-12),
    two_log2e=(48408813 * 2.0**-24, -2.1085384952858276e-08),
    exp_range=(-746.0, 710.0),
    exponents=(-1076.0, 1025.0),
    lost=-40.0,
    centres=((0.7941591208160037, -365587610250 * 2.0**-40), (1.259193499829525, 365587614631 * 2.0**-40)),
    power_most=2.0**64,
    p=(
        *(2.087542636878697e-09, 2.5108980095264608e-08, 2.755740232160011e-07, 2.75572443711259e-06),
        *(2.480158717292798e-05, 0.00019841269885968274, 0.0013888888888962166, 0.008333333333321691),
        *(0.04166666666666651, 0.16666666666666677, 0.5),
    ),
    q=(
        *(0.026173221777902333, -0.06005996205129277, 0.0652951902772979, -0.0567815417311556, 0.056589847163221595),
        *(-0.061943585900711876, 0.06685931797170365, -0.07149937938311968, 0.07691433424778675, -0.08332864082278467),
        *(0.09090927425766004, -0.10000017937782194, 0.11111111099693287, -0.1249999960456066, 0.14285714279604306),
        *(-0.16666666671354144, 0.20000000000085383, -0.24999999999974937, 0.33333333333333026, -0.5000000000000003),
    ),
    r=(
        0.22431647411559216,
        0.2622968857026596,
        0.3205989245398897,
        0.41219858307958374,
        0.5770780163556026,
        0.9617966939259756,
    ),
)

FORMATS = {np.dtype(np.float32): SINGLE, np.dtype(np.float64): DOUBLE}
