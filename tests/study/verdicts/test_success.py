"""The share of starts that are near, and what a theorem about starts is said to be."""

import numpy as np
import pytest
from synthetic import start_study, starts, verdict_on

from jgmm.study import spec, verdicts
from jgmm.study.verdicts import success


def verdict_of(study, share_within, **options):
    return verdict_on(study, starts(study, share_within, **options))


def test_the_share_asked_for_is_nine_tenths_or_1_less_1_over_k():
    assert [success.asked_share(k) for k in (2, 10, 50)] == [0.9, 0.9, 0.98]


@pytest.mark.parametrize(("target", "level"), [(0.9, 0.025), (0.98, 0.05)])
def test_the_least_runs_are_the_first_whose_exact_interval_lies_above_the_share(target, level):
    runs = success.least_runs(target, level)
    assert target**runs < level / 2 <= target ** (runs - 1)


def test_a_finding_by_hand_is_the_quantile_over_the_limit():
    """Distances 1 to 100 hundredths of the limit 16/20: the 0.9 quantile is 0.9 of it or so."""
    (item,) = starts(start_study(block=[500]), lambda c: 1.0, runs=100)
    item.values["error_max"][:, -1] = 0.8 * np.arange(1, 101) / 100
    finding = success.finding(3, item, 0.05)
    assert (finding.theorem, finding.axis, finding.setting, finding.bound) == ("3", "success", "k=5 d=10 C=16", 1.0)
    assert finding.measured == pytest.approx(0.9, abs=0.011)
    assert finding.gap == finding.measured - 1
    assert finding.kind == "tight"  # all are within, and the interval of the quantile ends above 0.8
    assert finding.detail.startswith("B=500 k0=100 N0=10000 block: 100 of 100 runs within C sigma/20 [0.9638, 1.0000]")


@pytest.mark.parametrize(("shares", "kind"), [((1.0, 0.2), "consistent, loose"), ((0.1, 0.1), "inconclusive")])
def test_starts_are_told_by_their_shares(shares, kind):
    verdict = verdict_of(start_study(block=[50, 500, 2000]), lambda c: shares[c.seeding.block < 1000])
    assert verdict.verdict == kind
    if kind == "inconclusive":
        assert "no sizes tried are seen to put enough starts within C sigma/20 for k = 5" in verdict.sentence
        assert "At k = 5 the largest share is 0.1" in verdict.sentence
        assert "contradicted" not in verdict.sentence  # the constants of B, k0 and C are hidden
    else:
        assert "from C = 16 on" in verdict.sentence
        assert "B = 2000, k0 = 100, N0 = 10000); the least share is 1 [0.98" in verdict.sentence
        assert "In 2 of 3 cells fewer are within: C, B or k0 are too small there." in verdict.sentence
    tried = "Tried: 3 cells of 256 runs, k 5, d 10, C 16, sigma 1, B 50 to 2000, k0 100, N0 10000."
    assert tried in verdict.sentence
    assert "N0 >= k^3 d^3 ln d with constant 1 (its own is hidden) holds in 0 of 3 cells." in verdict.sentence


def test_65_percent_of_starts_are_no_success_at_k_2_where_1_less_1_over_k_asks_for_half():
    verdict = verdict_of(start_study(block=[500], k=2), lambda c: 0.65)
    assert verdict.verdict == "inconclusive"
    assert "1 - 1/k would ask for 0.5 at k = 2, and 0.9 is asked for here" in verdict.sentence


def test_more_than_90_percent_is_asked_for_where_1_less_1_over_k_is_more():
    study = start_study(block=[500], k=50, d=60)
    assert verdict_of(study, lambda c: 0.97, runs=4000).verdict == "inconclusive"
    assert verdict_of(study, lambda c: 0.99, runs=4000).verdict.startswith("consistent")


def test_with_too_few_runs_to_see_a_success_the_least_number_is_said():
    """One cell at the first look's 2.5 %: 41 of 41 have a chance of 0.9^41 = 1.33 % at 0.9, 42 of 42 one of 1.20 %."""
    study = start_study(block=[500])
    verdict = verdict_of(study, lambda c: 1.0, runs=41)
    assert verdict.verdict == "inconclusive"
    assert "With 1 cell tested at once it takes 42 runs, all within, to see 0.9." in verdict.sentence
    assert verdict_of(study, lambda c: 1.0, runs=42).verdict.startswith("consistent")


@pytest.mark.parametrize("k", [2, 20])
@pytest.mark.parametrize("cells", [1, 30])
def test_a_success_of_starts_has_an_interval_that_ends_within_the_limit(k, cells):
    """So no success is called tight for want of an end: `high` is no number where order statistics reach no level."""
    (item,) = starts(start_study(block=[500], k=k, d=20), lambda c: 1.0, runs=1)
    limit, seen = item.cell.separation / 20, set()
    for runs in (*range(1, 20), 41, 42, 85, 86, 144, 150, 400):
        for failed in range(0, min(runs, 12)):
            largest = np.where(np.arange(runs) < failed, np.inf, 0.5 * limit)[:, None]
            many = item._replace(values={**item.values, "error_max": largest}, ok=np.ones(runs, bool))
            finding = success.finding(3, many, 0.025 / cells)
            seen.add(finding.kind)
            assert (finding.kind in ("tight", "loose")) == (finding.high <= 1)
            assert finding.kind != "tight"  # half of the limit is loose
            assert np.isfinite([finding.measured, finding.high]).all() or finding.kind in ("inconclusive", "fails")
    assert seen == {"inconclusive", "fails", "loose"}


def test_starts_that_are_no_numbers_count_as_failed():
    study = start_study(block=[500])
    (item,) = starts(study, lambda c: 1.0)
    item.values["error_max"][:] = np.nan
    verdict = verdict_on(study, [item._replace(ok=np.zeros(256, bool))])
    assert verdict.verdict == "inconclusive"
    assert "largest share is 0 [0, 0.01" in verdict.sentence


def test_the_threshold_is_the_least_separation_from_which_on_all_larger_ones_succeed():
    """Of sizes that succeed at 8, 16, 24 and of others at 4, 12, 24: the first reach down to 8, the others to 24."""
    trials = []
    for block, separations in ((500, (8.0, 16.0, 24.0)), (50, (4.0, 12.0, 24.0))):
        for separation in (4.0, 8.0, 12.0, 16.0, 24.0):
            if separation in (4.0, 12.0) and block == 500:
                continue
            (item,) = starts(start_study(block=[block]), lambda c: 1.0, runs=100)
            cell = item.cell.model_copy(update={"separation": separation})
            near = 0.5 if separation in separations else 3.0
            item.values["error_max"][:, -1] = near * separation / 20
            item = item._replace(cell=cell)
            trials.append(success.Trial(item, success.finding(3, item, 0.05)))
    threshold = success.threshold(trials)
    assert (threshold.separation, threshold.sizes) == (8.0, "B = 500, k0 = 100, N0 = 10000")
    assert threshold.ratio == pytest.approx(0.5)
    assert threshold.share.startswith("1 [")
    assert success.threshold([trial for trial in trials if trial.finding.kind == "fails"]) is None


def test_starts_by_another_power_iteration_are_out_of_the_regime():
    verdict = verdict_of(start_study(block=50, method="oja"), lambda c: 1.0)
    assert verdict.verdict == verdicts.OUT
    start = "Theorem 3: out of the theorem's regime: the seeding is not Algorithm 2 in 1 (oja"
    assert verdict.sentence.startswith(start)


def test_starts_that_algorithm_2_did_not_make_are_out_of_the_regime():
    study = spec.Study(stream={"n": 0, "start": 0.1}, mixture={"k": 2, "d": 2}, theorem=3)
    verdict = verdict_of(study, lambda c: 1.0)
    assert verdict.verdict == verdicts.OUT
    assert "the seeding is not Algorithm 2 in 1 (start = 0.1)" in verdict.sentence
