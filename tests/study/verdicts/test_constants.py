"""The least constants of a bound's terms."""

import math

import numpy as np
import pytest
from scipy import stats as distributions
from synthetic import displaced, floor_study, stored, stream_study, verdict_of

from jgmm import stats
from jgmm.study import regime
from jgmm.study.verdicts import constants


def test_the_largest_ratio_is_the_least_constant():
    """Errors of exactly 3, 5 and 4 times the variance term."""
    times = {10_000: 3.0, 20_000: 5.0, 40_000: 4.0}
    items = stored(stream_study(), lambda c: 1.0)
    for item in items:
        item.values["error_sq"][:, -1] = times[item.cell.n] * regime.variance(item) * (1 + 1e-3 * np.sin(range(256)))
    by_term = constants.ratios(items, [])
    assert list(by_term) == ["variance"]
    constant = constants.constant("variance", by_term["variance"], 0.05)
    assert constant.value == pytest.approx(5, rel=1e-4)
    assert constant.low < 5 < constant.high < 5.002
    assert (constant.cells, constant.where) == (3, "main, k=2 d=10 C=8 start=0.1 N=20000")


def test_the_least_constant_of_the_floor_term_is_its_own():
    def draw(rng, cell, runs):
        size = math.sqrt(3 * math.exp(-(cell.separation**2) / 8) * (cell.separation**2 + 2) * 8)
        return np.array([size, 0.0]) + 0.05 * size * rng.standard_normal((runs, 2))

    verdict = verdict_of(floor_study(), lambda c: 1.0, displacement=draw)
    assert verdict.verdict == "consistent, tight"
    (constant,) = verdict.constants
    assert constant.term == "floor"
    assert constant.low < 3 < constant.high < 3.2
    assert "The least constant of the floor term is 3" in verdict.sentence


def test_the_interval_of_a_floor_is_students():
    rows = [
        constants.Ratio(displaced(4.0, noise=2.0)(np.random.default_rng(0), item.cell, 8), 0.0, item)
        for item in stored(floor_study(), lambda c: 1.0)[:2]
    ]
    constant = constants.constant("floor", rows, 0.05)
    floors = [stats.squared_length(row.values) for row in rows]
    reach = distributions.t.ppf(1 - 0.05 / 2 / 2, 7)  # two cells, two sides
    assert constant.value == max(floor.value for floor in floors)
    assert constant.low == pytest.approx(max(floor.value - reach * floor.standard_error for floor in floors))
    assert constant.high == pytest.approx(max(floor.value + reach * floor.standard_error for floor in floors))


def test_errors_of_a_theorem_without_a_floor_term_have_no_constant_on_the_floor():
    items = stored(stream_study(separation=3.0), lambda c: 0.002)  # 86 % of it is the floor
    assert list(constants.ratios(items, [])) == ["floor"]
    held_against_none = [item._replace(cell=item.cell.model_copy(update={"theorem": "none"})) for item in items]
    assert constants.ratios(held_against_none, []) == {}
