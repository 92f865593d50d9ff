"""How floors fall with the separation, and what is done where they cannot be seen."""

import math

import numpy as np
import pytest
from scipy import stats
from synthetic import displaced, floor_study, stored, verdict_of

from jgmm.study import spec
from jgmm.study.verdicts import floors


def exact(divisor):
    """Displacements that are exp(-C^2/divisor)^(1/2) in every run."""
    return lambda rng, cell, runs: np.tile([math.exp(-(cell.separation**2) / divisor / 2), 0.0], (runs, 1))


def test_floors_without_noise_fall_as_they_were_made_to():
    study = floor_study()
    (curve,) = floors.floor_curves(study, stored(study, lambda c: 1.0, displacement=exact(5.0)))
    fall = floors.falls(curve, 0.05)
    np.testing.assert_allclose(fall.measured, np.full(4, 1 / 5), rtol=1e-10)
    np.testing.assert_allclose(fall.high - fall.low, 0, atol=1e-10)
    np.testing.assert_allclose(fall.gap, fall.bound - 1 / 5, rtol=1e-10)
    # Theorem 1's ln of 8 exp(-C^2/8) (C^2 + 2): its falls are 1/8 less those of ln(C^2 + 2)
    squares = np.array([9.0, 16.0, 25.0, 36.0])
    local = 1 / 8 - np.diff(np.log(squares + 2)) / np.diff(squares)
    np.testing.assert_allclose(fall.bound, [1 / 8 - np.log(38 / 11) / 27, *local], rtol=1e-10)
    assert fall.detail.startswith("D of exp(-C^2/D) between neighbours: measured 5 5 5, exact law ")


def test_the_interval_of_a_fall_is_students_over_the_groups_of_the_jackknife():
    study = floor_study()
    (floor,) = floors.floor_curves(study, stored(study, lambda c: 1.0, displacement=displaced(5.0, noise=0.5)))
    logs, covariance = floors.floor_logs(floor.curve.items)
    fall = floors.falls(floor, 0.05)
    assert fall.measured[0] == pytest.approx((logs[0] - logs[-1]) / 27)  # C^2 from 9 to 36
    error = math.sqrt(covariance[0, 0] + covariance[-1, -1] - 2 * covariance[0, -1]) / 27
    reach = stats.t.ppf(1 - 0.05 / 4 / 2, 23) * error  # four contrasts, two sides
    assert (fall.gap[0] - fall.low[0], fall.high[0] - fall.gap[0]) == pytest.approx((reach, reach))
    finding = floors.finding(1, floor, 0.05)  # is about the fall end to end
    assert (finding.measured, finding.bound) == (fall.measured[0], fall.bound[0])
    assert (finding.gap, finding.low, finding.high) == (fall.gap[0], fall.low[0], fall.high[0])


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        ([-0.005, -0.05, -0.05], [0.005, 0.05, 0.05], "tight"),  # end to end; neighbours have wider intervals
        ([-0.005, -0.05, -0.05], [0.02, 0.05, 0.05], "inconclusive"),
        ([-0.02, -0.05, -0.05], [0.005, 0.05, 0.05], "inconclusive"),
        ([-0.05, -0.05, -0.05], [-0.02, 0.05, 0.05], "loose"),
        ([-0.05, -0.05, 0.02], [-0.02, 0.05, 0.05], "contradicted"),  # by the largest separations
        ([0.02, -0.05, -0.05], [0.05, 0.05, 0.05], "contradicted"),
        ([-0.005, 0.02, -0.05], [0.005, 0.05, 0.05], "tight"),
    ],
)
def test_the_fall_end_to_end_decides_and_a_contradiction_at_the_largest_separations(low, high, kind):
    gap = np.array([0.0, 0.0, 0.0])
    fall = floors.Falls(
        measured=gap, bound=gap, gap=gap, low=np.array(low), high=np.array(high), law=math.nan, detail=""
    )
    assert floors.kind_of(fall) == kind


@pytest.mark.parametrize(("power", "kind"), [(4.0, "consistent, loose"), (40.0, "contradicted")])
def test_a_floor_is_compared_with_exp_of_minus_c_squared_over_8(power, kind):
    for rate in (1e-3, "paper"):
        verdict = verdict_of(floor_study(rate), lambda c: 1.0, displacement=displaced(power))
        assert verdict.verdict == kind
        (finding,) = verdict.findings
        assert 1 / finding.measured == pytest.approx(power, rel=0.03)
        secant = 27 / (2 * math.log(0.0586136 / 7.64309e-4))  # of b(C)^2, about exp(-C^2/4)/C^4, from 3 to 6
        assert 1 / finding.law == pytest.approx(secant, rel=1e-4)
        fall = f"exp(-C^2/{1 / finding.measured:.3g}) end to end (a secant, no law:"
        said = verdict.sentence
        assert f"rom C = 3 to 6 the floor falls by {fall} its law's secant is exp(-C^2/{secant:.3g}))" in said
        assert ("In 4 cells the step is not the paper's: only their floors count" in said) == (rate == 1e-3)
        assert "4 of 4 cells are out" in said or rate == "paper"


def test_floors_at_separations_where_the_term_underflows_raise_nothing():
    study = floor_study(separation=(80.0, 90.0, 100.0))
    verdict = verdict_of(study, lambda c: 1.0, displacement=displaced(1e5))
    assert verdict.verdict == "contradicted"
    assert np.isfinite([finding.bound for finding in verdict.findings]).all()


def test_the_jackknife_of_a_floors_logarithm_is_its_spread_over_studies():
    study = floor_study(rate="paper", separation=(3.0, 4.0, 5.0))

    def noisy(rng, cell, runs):
        return np.array([1.0, 0.0]) + 3 * rng.standard_normal((runs, 2))

    logs, errors = [], []
    for seed in range(100):
        floor, covariance = floors.floor_logs(stored(study, lambda c: 1.0, seed=seed, runs=512, displacement=noisy))
        logs.append(floor[0])
        errors.append(covariance[0, 0])
    assert np.mean(errors) == pytest.approx(np.var(logs), rel=0.35)


def test_what_noise_the_twins_share_does_not_hide_a_floor():
    item = stored(floor_study(), lambda c: 1.0, displacement=displaced(4.0, noise=100.0))[0]
    assert floors.measured_floor(item) is None
    size = math.exp(-9 / 8)
    twins = item._replace(twin_displacement=item.displacement - np.array([size, 0.0]))
    assert floors.measured_floor(twins).value == pytest.approx(size**2, rel=1e-6)
    few = twins._replace(ok=np.arange(256) < 47)  # fewer than two for each group of the jackknife
    assert floors.measured_floor(few) is None


@pytest.mark.parametrize(
    ("noisy_from", "said"), [(5.5, "without C = 6"), (4.5, "1 of 1 floors stand above their noise")]
)
def test_a_floor_below_its_noise_is_left_out_and_said_to_be(noisy_from, said):
    above = displaced(4.0)

    def draw(rng, cell, runs):
        vectors = above(rng, cell, runs)
        return vectors if cell.separation < noisy_from else vectors + rng.standard_normal((runs, 2))

    verdict = verdict_of(floor_study(rate="paper"), lambda c: 1.0, displacement=draw)
    assert said in " ".join([verdict.sentence, *(finding.detail for finding in verdict.findings)])


def test_fits_of_floors_are_of_any_theorem_and_beside_the_first_floor_term():
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": [3.0, 4.0, 5.0]}
    stream = {"n": 10_000, "start": "truth", "displacement": True, "checkpoints": 1}
    fits = {}
    for theorem in (1, "none"):
        study = spec.Study(mixture=mixture, stream=stream, theorem=theorem)
        (fits[theorem],) = floors.floor_fits(study, stored(study, lambda c: 1.0, displacement=displaced(5.0)))
    assert fits[1] == fits["none"]
    assert fits[1].low < 1 / 5 < fits[1].high
    assert fits[1].bound == pytest.approx(1 / 8 - math.log(27 / 11) / 16, rel=1e-12)
    assert (fits[1].sizes, fits[1].runs) == (3, 256)


def test_only_parts_that_recorded_displacements_have_floors():
    mixture = {"k": 2, "d": 2, "layout": "simplex", "separation": [3.0, 4.0, 5.0]}
    parts = [{"name": "with", "stream": {"displacement": True}}, {"name": "without"}]
    study = spec.Study(part=parts, mixture=mixture, stream={"n": 10_000, "start": "truth", "checkpoints": 1}, theorem=1)
    data = [
        item if item.cell.displacement else item._replace(displacement=None)
        for item in stored(study, lambda c: 1.0, displacement=displaced(4.0))
    ]
    assert [floor.curve.part for floor in floors.floor_curves(study, data)] == ["with"]
