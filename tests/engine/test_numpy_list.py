"""The machine without a compiler that other tests hold compiled code to: its multiply-adds are rounded once."""

from fractions import Fraction

import numpy as np
import numpy_list
import pytest
from numpy.testing import assert_array_equal


def exact(a, b, c):
    """a b + c of rationals, to the nearest float32: its neighbours in float64 tell which."""
    value = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(value))
    others = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]

    def far(x):  # of two as near, the one whose last bit is 0
        return abs(Fraction(float(x)) - value), int(x.view(np.int32)) & 1

    return min((x for x in (near, *others) if np.isfinite(x)), key=far)


def test_multiply_adds_of_numpy_are_rounded_once():
    rng = np.random.default_rng(0)
    size = 3000

    def numbers(low, high, lowest, highest):
        return (rng.integers(low, high, size) * 2.0 ** rng.integers(lowest, highest, size)).astype(np.float32)

    a, b = (numbers(1, 2**24, -80, 10) for _ in range(2))
    c = (-a * b * (1 + numbers(-3, 4, -25, 0))).astype(np.float32)  # so that much is lost
    c[::3] = numbers(-4, 5, -149, -148)[::3]  # so that the result may be subnormal
    expected = np.array([exact(*x) for x in zip(a, b, c, strict=True)], np.float32)
    assert_array_equal(numpy_list.fma(a, b, c), expected)
    assert (a * b + c != expected).any()


def test_one_that_float64_would_round_twice_is_rounded_once():
    # 1 + 2^-23 + 2^-24 - 2^-70: float64 makes of it what is halfway between two float32.
    numbers = 2.0**-12 * (1 + 2.0**-23), 2.0**-12 * (1 - 2.0**-23), 1 + 2.0**-23
    a, b, c = (np.array([x], np.float32) for x in numbers)
    assert (a.astype(np.float64) * b + c).astype(np.float32)[0] == 1 + 2.0**-22
    assert numpy_list.fma(a, b, c)[0] == c == exact(a[0], b[0], c[0])


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        (1 + 2.0**-52, 1 + 2.0**-52, -1 - 2.0**-51, 2.0**-104),
        (1 + 2.0**-52, 1 - 2.0**-52, -1, -(2.0**-104)),
        (2.0**-27, 2.0**-27 + 2.0**-79, 1 + 2.0**-52, 1 + 2.0**-52),
        (2.0**-53, 1 + 2.0**-52, 1, 1 + 2.0**-52),
        (2.0**-53, 1, 1, 1),
        (2.0**-26 * (1 + 2.0**-52), 2.0**-27 * (1 - 2.0**-52), 1 + 2.0**-52, 1 + 2.0**-52),  # not to the even
        (np.inf, 1, -np.inf, np.nan),
        (np.inf, -1, 1, -np.inf),
    ],
)
def test_so_are_those_of_float64(a, b, c, expected):
    with np.errstate(invalid="ignore"):
        found = numpy_list.fma(*(np.array([x], np.float64) for x in (a, b, c)))
    assert_array_equal(found, [expected])
