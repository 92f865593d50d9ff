"""Theorems that bound an error: what whole studies of known truth are said to show, and what is left out."""

import math

import numpy as np
import pytest
from synthetic import (
    SIZES,
    displaced,
    floor_study,
    spoiled,
    stored,
    stream_study,
    variance,
    verdict_of,
    verdict_on,
    wide_grid,
)

from jgmm import rates
from jgmm.study import curves, regime, spec, verdicts
from jgmm.study.verdicts import constants, floors


def test_k_squared_against_k_cubed_is_consistent_and_loose_by_k():
    verdict = verdict_of(wide_grid(k=[2, 3, 5, 8, 12]), lambda c: 1.5 * c.k**2 * variance(c))
    assert verdict.verdict == "consistent, loose"
    assert verdict.sentence.startswith("Theorem 1 is consistent with what was tried, loose by k^")
    assert "N^" not in verdict.sentence.split(".")[0]
    assert "Tried: 25 cells of 256 runs, N 4096 to 1048576, k 2 to 12, d 20, C 12, sigma 1." in verdict.sentence
    assert (
        "Started at an offset of 0.5 sigma. In 25 cells a start within C sigma/20, Theorem 2's kind" in verdict.sentence
    )


def test_a_bound_of_the_true_shape_is_consistent_and_tight():
    verdict = verdict_of(wide_grid(k=[2, 3, 5], d=4), lambda c: 7 * c.k**3 * variance(c), runs=4000)
    assert verdict.verdict == "consistent, tight"
    assert "tight in k and N up to its constants" in verdict.sentence
    (constant,) = verdict.constants
    assert constant.low < 7 * math.log(3 * 4096) / math.log(4096) < constant.high  # the log of 3N, largest at least N
    assert constant.cells == 15
    assert "The least constant of the variance term is" in verdict.sentence


def test_a_power_of_k_too_many_is_contradicted_and_then_no_constant_would_do():
    study = wide_grid(k=[2, 3, 4, 5], d=4, n=[2**14, 2**16, 2**18, 2**20])
    verdict = verdict_of(study, lambda c: c.k**5 * variance(c))
    assert verdict.verdict == "contradicted"
    assert verdict.sentence.startswith("Theorem 1 is contradicted in k.")
    assert "No constant of the variance term would do: error / term grows with k, and reaches" in verdict.sentence
    assert "least constant" not in verdict.sentence


def test_with_fewer_samples_than_a_theorem_asks_for_nothing_contradicts_it():
    verdict = verdict_of(wide_grid(k=[2, 3, 5, 8, 12]), lambda c: c.k**5 * variance(c))
    assert verdict.verdict == "inconclusive"
    assert "it asks for more samples than were tried in k" in verdict.sentence
    assert "with fewer samples than k^3 d^3 ln d" in verdict.sentence
    assert "N >= k^3 d^3 ln d with constant 1 (its own is hidden) holds in 3 of 25 cells." in verdict.sentence


def test_a_slow_fall_with_n_is_contradicted_only_above_the_floor_term():
    """1/sqrt(N) at k = 2: the floor term with constant 1 is 1.7e-5 at C = 12 and 27 at C = 3."""
    sizes = [2**10, 2**12, 2**14, 2**16]
    for separation, kind in ((12.0, "contradicted"), (3.0, "consistent")):
        table = {"mixture": {"k": 2, "d": 3, "layout": "simplex", "separation": separation}}
        study = spec.Study(**table, stream={"n": sizes, "start": 0.1, "checkpoints": 1}, theorem=1)
        verdict = verdict_of(study, lambda c: 30 / c.n**0.5)
        assert verdict.verdict == kind
    assert "stays below the floor term with constant 1" in verdict.sentence


def test_a_floor_term_larger_than_the_error_does_not_hide_how_the_variance_term_falls():
    """At k = 5, C = 6 the floor term with constant 1 is 57: its sum with the variance term hardly falls with N."""
    table = {"mixture": {"k": 5, "d": 10, "layout": "simplex", "separation": 6.0}}
    study = spec.Study(**table, stream={"n": [int(n) for n in SIZES[:4]], "start": 0.3}, theorem=2)
    verdict = verdict_of(study, lambda c: 1.5 * c.k**2 * c.d * math.log(c.n) / c.n, runs=2000)
    assert verdict.verdict == "consistent, tight"
    assert "loose" not in verdict.sentence


def test_sizes_on_their_floor_are_left_out_of_exponents_in_n():
    """At C = 3 a simplex of 5 has the exact floor 0.0998: two of the five sizes have less than 20 times that."""
    table = {"mixture": {"k": 5, "d": 10, "layout": "simplex", "separation": 3.0}}
    study = spec.Study(**table, stream={"n": [int(n) for n in SIZES], "start": 0.1}, theorem=2)
    verdict = verdict_of(study, lambda c: 0.0998 + 30000 * math.log(c.n) / c.n, runs=4000)
    assert "In 2 cells more than 5% of the error is its floor: no exponents there." in verdict.sentence
    assert verdict.verdict == "consistent, tight"
    assert {constant.term: constant.cells for constant in verdict.constants} == {"variance": 3}
    assert "In 2 cells 5% to 50% of the error is its floor: they count for neither constant." in verdict.sentence
    on_it = verdict_of(study, lambda c: 0.12)  # 83 % of it is the floor
    (constant,) = on_it.constants
    assert (constant.term, constant.cells) == ("floor", 5)
    assert constant.low < 0.12 / (125 * math.exp(-9 / 8) * 14) < constant.high
    assert on_it.verdict == "inconclusive"


def test_every_term_has_sigma_squared():
    table = {"mixture": {"k": 3, "d": 4, "layout": "simplex", "separation": 12.0, "sigma": [0.1, 1.0, 10.0]}}
    study = spec.Study(**table, stream={"n": 65536, "start": 0.5}, theorem=1)
    for power, kind in ((2, "consistent, tight"), (3, "contradicted"), (1, "consistent, loose")):
        assert verdict_of(study, lambda c, p=power: c.sigma**p * variance(c), runs=1000).verdict == kind


@pytest.mark.parametrize("means", [lambda c: 1.0, lambda c: c.n * 1.0, variance])
def test_cells_out_of_the_regime_say_nothing_of_a_theorem(means):
    verdict = verdict_of(stream_study(average=0.5), means)
    assert verdict.verdict == verdicts.OUT
    assert verdict.sentence == (
        "Theorem 2: out of the theorem's regime. 3 of 3 cells are out of its regime: the estimate is not the last"
        " iterate in 3 (an average of the last 50%)."
    )
    assert verdict.findings == verdict.constants == []


def test_the_papers_step_may_be_given_as_a_number():
    verdict = verdict_of(stream_study(n=[10_000], rate=rates.paper(10_000, 2)), variance)
    assert verdict.verdict == "inconclusive"
    assert "out of its regime" not in verdict.sentence


def test_every_reason_is_counted_not_the_first_alone():
    study = stream_study(separation=[0.5, 8.0, 12.0], start=[0.1, 0.5], rate=["paper", 0.01])
    sentence = verdict_of(study, variance).sentence
    assert "27 of 36 cells are out of its regime" in sentence
    assert "the step size is not the paper's in 18 " in sentence
    assert "the start is farther than C sigma/20 in 18 " in sentence
    assert "C is below sqrt(ln k) in 12 " in sentence


# what cannot be trusted


def test_a_mean_that_a_few_lost_runs_carry_gets_no_exponent_and_is_said_to_be():
    study = wide_grid(k=5)
    data = stored(study, lambda c: math.log(3 * c.n) / c.n)
    for item in data:
        item.values["error_sq"][:2, -1] = 1000.0
    verdict = verdict_on(study, data)
    assert verdict.verdict == "inconclusive"
    assert "In 5 of 5 cells the mean is carried by a few runs" in verdict.sentence
    assert not any(map(curves.fit, curves.curves(study, data)))


@pytest.mark.parametrize("good", [0, 1, 2, 7])
def test_cells_whose_runs_nearly_all_fail_give_words_not_errors(good):
    study = wide_grid(k=[2, 3, 5])
    data = spoiled(study, variance, good)
    verdict = verdict_on(study, data)
    assert verdict.verdict == "inconclusive"
    assert "In 15 cells fewer than 8 runs are good: no exponent was fitted there." in verdict.sentence
    assert f"{good} of 256 runs are good in the worst cell" in verdict.sentence
    assert verdict.constants == []
    assert not any(map(curves.fit, curves.curves(study, data)))
    assert verdicts.law_verdict(data, look=1) is None


def test_the_share_of_runs_kept_stands_beside_the_numbers():
    study = wide_grid(k=[2, 3, 5])
    data = spoiled(study, variance, 64)
    verdict = verdict_on(study, data)
    assert {(finding.runs, finding.kept) for finding in verdict.findings} == {(64, 0.25)}
    assert "Means are over good runs: 64 of 256 runs are good in the worst cell" in verdict.sentence
    assert all("64 of 256 runs are good" in finding.detail for finding in verdict.findings)
    fits = [fit for fit in map(curves.fit, curves.curves(study, data)) if fit]
    assert {(fit.runs, fit.kept) for fit in fits} == {(64, 0.25)}


def test_errors_of_exactly_0_have_no_exponent_and_that_is_said():
    study = wide_grid(k=[2, 3, 5])
    data = stored(study, lambda c: 0.0)
    verdict = verdict_on(study, data)
    assert verdict.verdict == "inconclusive"
    assert "In 15 cells every error is exactly 0" in verdict.sentence
    assert not any(map(curves.fit, curves.curves(study, data)))
    for item in data:
        item.values["error_sq"][::2, -1] = 1.0
    assert "exactly 0" not in verdict_on(study, data).sentence


def test_the_level_is_split_evenly_over_comparisons_and_constants():
    """15 cells on two axes (5 curves in k, 3 in N) and one constant: 9 tests at the first look's 2.5 %."""
    study = wide_grid(k=[2, 3, 5], d=4)
    data = stored(study, lambda c: c.k**3 * variance(c))
    verdict = verdict_on(study, data)
    assert len(verdict.findings) == 8
    (constant,) = verdict.constants
    alone = [item for item in data if constant.where.endswith(f"k={item.cell.k} d=4 C=12 start=0.5 N={item.cell.n}")]
    (item,) = alone
    errors, term = item.error_sq, regime.variance(item)
    assert constant.value == pytest.approx(errors.mean() / term, rel=1e-12)
    half = (constant.high - constant.value) * term
    deviations = half / (errors.std(ddof=1) / np.sqrt(len(errors)))
    assert 3.5 < deviations < 4.2  # the normal quantile at 0.025/9/15 on both sides is 3.73, and errors are skewed


def test_floors_have_their_share_of_the_level():
    """One curve of floors, and the constant of its term."""
    study = floor_study()
    data = stored(study, lambda c: 1.0, displacement=displaced(5.0))
    verdict = verdict_on(study, data)
    (floor,) = floors.floor_curves(study, data)
    assert verdict.findings == [floors.finding(1, floor, verdict.level / 2)]
    (constant,) = verdict.constants
    assert constant == constants.constant("floor", constants.ratios([], data)["floor"], verdict.level / 2)
