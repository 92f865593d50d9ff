"""Families of laws, fitted to means without noise: each finds its own parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jgmm.stats import families, floors, moments

X = 2.0 ** np.arange(10, 21, 2)


def exact(law, weights=1.0):
    """The moments of means that are exactly these."""
    return moments.Moments(np.log(X), np.log(law), np.diag(np.ones(len(X)) / weights), freedom=100, full=True)


@pytest.mark.parametrize(
    ("family", "law"),
    [
        (families.POWER, 3 * X**-0.7),
        (families.POWER_LOG, 3 * X**-0.7 * np.log(X) ** 1.5),
        (families.POWER_FLOOR, 3 * X**-0.7 + 1e-3),
        (families.POWER_LOG_FLOOR, 3 * X**-0.7 * np.log(X) + 1e-3),
    ],
)
def test_a_family_finds_its_own_exponent(family, law):
    solution = families.solve(family, exact(law), np.arange(len(X)))
    assert_allclose(solution.exponent, -0.7, rtol=1e-6)
    assert_allclose(solution.residuals, 0, atol=1e-8)
    if family.floor:
        assert_allclose(solution.parameters[2] * law.min(), 1e-3, rtol=1e-6)


@pytest.mark.parametrize("family", [families.POWER_LOG, families.POWER_LOG_FLOOR])
def test_a_logarithm_may_have_another_unit(family):
    law = 3 * X**-0.7 * np.log(2 * X) + (1e-3 if family.floor else 0)
    solution = families.solve(family, exact(law), np.arange(len(X)), unit=2.0)
    assert_allclose(solution.exponent, -0.7, rtol=1e-6)
    assert abs(families.solve(family, exact(law), np.arange(len(X))).exponent + 0.7) > 1e-3


def test_a_fit_to_the_smaller_sizes_does_not_see_the_others():
    law = np.where(np.arange(len(X)) < 4, 3 * X**-0.7, 1.0)
    solution = families.solve(families.POWER, exact(law), np.arange(4))
    assert_allclose(solution.residuals[:4], 0, atol=1e-12)
    assert_allclose(solution.residuals[4:], -np.log(3 * X[4:] ** -0.7), rtol=1e-10)


def test_least_squares_are_weighted():
    y, weights = np.random.default_rng(0).normal(size=len(X)), np.arange(1.0, len(X) + 1)
    solution = families.solve(families.POWER, exact(np.exp(y), weights), np.arange(len(X)))
    assert_allclose(solution.exponent, np.polyfit(np.log(X), y, 1, w=np.sqrt(weights))[0], rtol=1e-10)
    floor = families.solve(families.POWER_FLOOR, exact(3 / X + 1e-5, weights), np.arange(len(X)))
    assert_allclose(floor.exponent, -1, rtol=1e-6)


def test_a_floor_that_would_be_negative_is_none_and_the_family_a_power():
    law = 3 * X**-0.7 * np.exp(-((np.log(X) - 10) ** 2) / 50)  # bends downwards
    power = families.solve(families.POWER, exact(law), np.arange(len(X)))
    floor = families.solve(families.POWER_FLOOR, exact(law), np.arange(len(X)))
    assert floor.parameters[2] == 0
    assert floor.jacobian.shape == power.jacobian.shape
    assert_allclose(floor.residuals, power.residuals, atol=1e-8)


def test_the_derivatives_of_a_floor_are_finite_differences():
    model = floors.FloorModel(logs=np.linspace(-3, 3, 5), added=np.linspace(0, 1, 5), scale=-4.0)
    theta = np.array([[-3.0, -0.8, 0.6], [-4.0, 0.3, 0.0]])
    values, jacobian = model.predict(theta)
    for i, shift in enumerate(np.eye(3) * 1e-6):
        assert_allclose((model.predict(theta + shift[None])[0] - values) / 1e-6, jacobian[:, :, i], atol=1e-5)


def test_fits_of_many_data_sets_are_as_each_alone():
    rng = np.random.default_rng(3)
    model = floors.FloorModel(logs=np.linspace(-3, 3, 7), added=np.zeros(7), scale=-3.0)
    y = np.log(np.exp(-0.8 * model.logs - 1) + 0.05) + 0.02 * rng.normal(size=(6, 7))
    weights, starts = np.full(7, 2500.0), np.tile([-1.0, -0.7, 0.5], (6, 1))
    together = floors.fit(model, y, weights, starts)
    alone = [floors.fit(model, row[None], weights, starts[:1])[0] for row in y]
    assert_allclose(together, alone, rtol=1e-9)


def test_sizes_have_the_families_that_they_have_room_for():
    names = [[family.name for family in families.rivals(np.array(sizes))] for sizes in ([3.0, 4, 5], [1.0, 2, 3, 4], X)]
    assert names == [["power"], ["power", "power-floor"], ["power", "power-log", "power-floor", "power-log-floor"]]
