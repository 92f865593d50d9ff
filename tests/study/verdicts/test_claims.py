"""Claims of a spec's own: false ones are contradicted, true ones rarely, and one term is judged as a theorem's is."""

import math

import numpy as np
import pytest
import true_claims  # benchmarks/true_claims.py: synthetic studies whose claims are true
from synthetic import SIZES, cell_data, spoiled, stored, verdict_of, verdict_on, wide_grid

from jgmm import stats
from jgmm.study import spec, verdicts
from jgmm.study.verdicts import claims

TERM = "k**3*d*sigma**2*log(n)/n"
FLOOR = "exp(-C**2/8)*sigma**2"


def study(bound=TERM, *, k=(2, 3, 4, 5), d=4, separation=12.0, sizes=SIZES, stream=(), mixture=(), **claimed):
    """A study of a claim over N and what else is a list."""
    mixed = {"k": k, "d": d, "layout": "simplex", "separation": separation, **dict(mixture)}
    table = {"n": [int(n) for n in sizes], "start": 0.5, "checkpoints": 1, **dict(stream)}
    return spec.Study(mixture=mixed, stream=table, claim={"bound": bound, **claimed})


def mean(cell):
    return 7 * cell.k**3 * cell.d * max(cell.scales) ** 2 * math.log(cell.n) / cell.n


def floor(cell):
    return 3 * math.exp(-(cell.separation**2) / 8)


def axes_of(verdict, kind):
    return {finding.axis for finding in verdict.findings if finding.kind == kind}


def test_a_bound_of_the_true_shape_is_consistent_and_tight():
    verdict = verdict_of(study(), mean, runs=4000)
    assert verdict.verdict == "consistent, tight"
    assert verdict.theorem == "claim"
    assert verdict.sentence.startswith("The claim is consistent with what was tried, tight in k and N")
    (constant,) = verdict.constants
    assert constant.low < 7 < constant.high
    assert f"The least constant of {TERM} is" in verdict.sentence
    assert "Tried: 20 cells of 4000 runs, N 4096 to 1048576, k 2 to 5, d 4, C 12, sigma 1." in verdict.sentence


@pytest.mark.parametrize(
    ("bound", "axis", "setting"),
    [
        ("k**3*d*sigma**2/n", "N", {}),
        ("k**2*d*sigma**2*log(n)/n", "k", {}),
        ("k**3*sqrt(d)*sigma**2*log(n)/n", "d", {"k": 3, "d": [4, 8, 16]}),
        ("k**3*d*sigma*log(n)/n", "sigma", {"k": 3, "mixture": {"sigma": [0.5, 1.0, 2.0]}}),
        (["k**3*d*sigma**2/n", FLOOR], "N", {}),
        (["k**2*d*sigma**2*log(n)/n", FLOOR], "k", {}),
    ],
)
def test_a_factor_too_small_is_contradicted_along_its_axis_alone(bound, axis, setting):
    verdict = verdict_of(study(bound, **setting), mean)
    assert verdict.verdict == "contradicted"
    assert axes_of(verdict, "contradicted") == {axis}
    assert f"contradicted in {axis}." in verdict.sentence
    assert f"error_sq / term grows with {axis}, and reaches" in verdict.sentence


def test_growth_at_the_end_alone_contradicts_and_leaves_no_constant():
    verdict = verdict_of(study(), lambda cell: mean(cell) * (1.15 if cell.n == max(SIZES) else 1), runs=4000)
    assert verdict.verdict == "contradicted"
    assert axes_of(verdict, "contradicted") == {"N"}
    assert f"No constant of {TERM} would do: error_sq / term grows with N" in verdict.sentence


def test_a_factor_too_large_is_loose_by_it():
    verdict = verdict_of(study("k**4*d*sigma**2*log(n)/n"), mean)
    assert verdict.verdict == "consistent, loose"
    assert "loose by k^" in verdict.sentence.split(".")[0] + verdict.sentence
    assert axes_of(verdict, "loose") == {"k"}


def test_what_a_sum_of_terms_allows_is_no_contradiction_and_what_one_alone_does_not_is():
    def error(cell):
        return mean(cell) + floor(cell)

    both = verdict_of(study([TERM, FLOOR], separation=[3.0, 4.0, 6.0]), error)
    assert both.verdict == "consistent"
    assert axes_of(both, "between terms") == {"k", "N", "C"}
    assert verdict_of(study([TERM], separation=[3.0, 4.0, 6.0]), error).verdict == "contradicted"
    assert [constant.term for constant in both.constants] == [TERM, FLOOR, "sum"]
    of_sum = both.constants[2]
    assert 6 < of_sum.value < 7.3  # 7 of the first term, 3 of the second
    assert f"With constants of 1 the largest term is, of 60 cells, {TERM} in 20 (" in both.sentence


def test_of_two_terms_that_count_the_one_that_the_error_follows_is_tight():
    """At C = 6 the floor term is 0.4 to 9 % of the other along N."""
    verdict = verdict_of(study([TERM, FLOOR], k=3, separation=7.0, sizes=SIZES[:3]), mean, runs=4000)
    assert verdict.verdict == "consistent, tight"
    assert "left over N^-0.00 [" in verdict.sentence
    assert verdict.sentence.count("(term 2)") == 1


def test_where_too_few_runs_could_exclude_a_contradiction_nothing_is_concluded():
    verdict = verdict_of(study([TERM, FLOOR], k=[2, 3, 4], separation=7.0, sizes=SIZES[:3]), mean, runs=8, cv=0.8)
    assert verdict.verdict == "inconclusive"


def test_a_term_that_is_too_small_to_count_excuses_nothing():
    verdict = verdict_of(study([TERM.replace("*log(n)", ""), FLOOR]), mean)
    assert verdict.verdict == "contradicted"
    assert f"Terms below 0.001 of the largest excuse no growth: {FLOOR} in 20." in verdict.sentence


def test_one_term_is_judged_as_the_theorems_variance_term_is():
    """On the same cells: kinds, gaps, intervals and constants are equal."""
    theorem, claim = wide_grid(k=[2, 3, 5], d=4), study(k=[2, 3, 5])
    for error in (mean, lambda cell: cell.k**5 * math.log(cell.n) / cell.n, lambda cell: mean(cell) / cell.k):
        by_theorem, by_claim = verdict_of(theorem, error), verdict_of(claim, error)
        assert len(by_claim.findings) == len(by_theorem.findings) == 8
        for ours, theirs in zip(by_claim.findings, by_theorem.findings, strict=True):
            assert ours.kind.replace("contradicted", "few samples") == theirs.kind.replace(
                "contradicted", "few samples"
            )
            numbers = [(f.measured, f.bound, f.gap, f.low, f.high, f.setting, f.over) for f in (ours, theirs)]
            assert numbers[0][:5] == pytest.approx(numbers[1][:5], abs=1e-12)
            assert numbers[0][5:] == numbers[1][5:]
        assert by_claim.constants[0][1:4] == pytest.approx(by_theorem.constants[0][1:4])


def test_cells_outside_the_regime_do_not_count_and_are_told():
    claim = study(k=3, separation=[4.0, 12.0], regime="C >= 5")
    verdict = verdict_of(claim, lambda cell: mean(cell) if cell.separation > 5 else cell.n**0.5, runs=4000)
    assert verdict.verdict == "consistent, tight"
    assert "5 of 10 cells are out of its regime: C >= 5 does not hold in 5 (C = 4)." in verdict.sentence
    nowhere = verdict_of(study(k=3, regime="C >= 50"), mean)
    assert nowhere.verdict == verdicts.OUT
    assert "C >= 50 does not hold in 5 (C = 12)" in nowhere.sentence


def test_a_regimes_separation_is_the_least_that_was_realised():
    claim = study(k=3, regime="C >= 5")
    realised = np.where(np.arange(256) == 7, 4.0, 12.0)
    verdict = verdict_on(claim, [item._replace(realised_separation=realised) for item in stored(claim, mean)])
    assert verdict.verdict == verdicts.OUT
    assert "C >= 5 does not hold in 5 (C = 4)" in verdict.sentence


def test_a_mean_that_a_few_runs_carry_is_compared_with_nothing():
    claim = study(k=3)
    data = stored(claim, mean)
    data[-1].values["error_sq"][:3, -1] *= 1e5
    verdict = verdict_on(claim, data)
    assert (verdict.verdict, verdict.findings) == ("inconclusive", [])
    assert "In 1 cell so few runs are good, or carry the mean" in verdict.sentence


def test_a_claim_may_be_on_another_quantity():
    def maximum(cell):
        return cell_data(cell, np.full(64, 1.0) + 0.01 * np.arange(64))._replace(
            values={"error_max": np.stack([np.ones(64), mean(cell) * (1 + 0.01 * np.arange(64))], axis=1)}
        )

    claim = study(on="error_max")
    verdict = verdict_on(claim, [maximum(cell) for cell in spec.cells(claim)])
    assert verdict.verdict == "consistent, tight"
    assert verdict.statement.startswith("E[error_max] <= c ")


def test_along_a_constant_step_the_limit_is_zero():
    claim = study("rate*d*sigma**2", k=3, sizes=SIZES[:1], stream={"rate": [0.001, 0.01, 0.1]})
    assert axes_of(verdict_of(claim, lambda cell: cell.rate**0.5), "contradicted") == {"(1/rate)"}
    assert axes_of(verdict_of(claim, lambda cell: cell.rate**1.5), "loose") == {"(1/rate)"}


def test_along_the_least_weight_the_limit_is_zero():
    weights = [[0.5, 0.5], [0.75, 0.25], [0.9, 0.1]]
    claim = study("log(n)/(w_min*n)", k=2, sizes=SIZES[:1], mixture={"weights": weights})
    for power, kind in ((2, "contradicted"), (1, "tight"), (0.5, "loose")):
        verdict = verdict_of(claim, lambda cell, power=power: 1 / min(cell.weights) ** power, cv=0.05)
        assert [(finding.axis, finding.kind) for finding in verdict.findings] == [("(1/w_min)", kind)]


def test_along_an_axis_without_a_limit_nothing_is_compared():
    verdict = verdict_of(study("d/n", k=2, stream={"start": [0.1, 0.2, 0.4], "n": 4096}), lambda cell: cell.start)
    assert verdict.findings == []
    assert verdict.verdict == "inconclusive"
    assert "Along start a bound has no limit: nothing is compared there." in verdict.sentence


def test_each_algorithm_under_one_claim_has_a_verdict_of_its_own():
    parts = [{"name": "a"}, {"name": "b", "algorithm": "soft"}]
    table = {"mixture": {"k": 2, "layout": "simplex"}, "stream": {"n": [int(n) for n in SIZES[:3]], "start": 0.5}}
    both = spec.Study(**table, part=parts, claim={"bound": "d*log(n)/n", "name": "Mine"})
    found = verdicts.verdicts(both, stored(both, mean), look=1)
    assert [verdict.theorem for verdict in found] == ["Mine (lloyd)", "Mine (soft)"]


def test_with_too_few_runs_nothing_is_concluded():
    claim = study(k=3)
    verdict = verdict_on(claim, spoiled(claim, mean, 5))
    assert verdict.verdict == "inconclusive"
    assert "In 5 cells so few runs are good, or carry the mean, that there is no interval." in verdict.sentence


def test_every_comparison_and_constant_has_an_equal_share_of_the_level():
    claim = study([TERM, FLOOR], k=[2, 3, 4])
    data = stored(claim, mean)
    verdict = verdict_on(claim, data)
    curves = claims.evidence(data[0].cell.claim, claim, data).lines
    comparisons = len(curves) + 3  # constants: of each term, and of all with one
    assert len(verdict.findings) == len(curves) == 8
    again = [claims.compare(data[0].cell.claim, curve, verdict.level / comparisons).finding for curve in curves]
    assert verdict.findings == again


# --- how often ---


def share_of(name, runs, studies, seed=0):
    """How often a true claim of a kind is contradicted, of so many studies."""
    return true_claims.shares(true_claims.KINDS[name], runs, studies, seed)


@pytest.mark.parametrize("name", true_claims.KINDS)
def test_a_true_claim_is_rarely_contradicted(name):
    """At most the level, 2.5 %, and two standard errors of it."""
    kind = true_claims.KINDS[name]
    assert share_of(name, max(kind.looks or kind.runs), 8) <= stats.look_level(1) + 2 * np.sqrt(0.025 * 0.975 / 8)


@pytest.mark.long
@pytest.mark.parametrize("runs", [8, 64])
@pytest.mark.parametrize("name", [name for name, kind in true_claims.KINDS.items() if not kind.looks])
def test_a_true_claim_is_contradicted_in_at_most_a_fortieth_of_a_thousand_studies(name, runs):
    assert share_of(name, runs, 1000, seed=runs) <= 0.025


def test_a_claim_that_is_false_by_a_logarithm_is_seen_in_nearly_every_study_at_one_look_or_more():
    """The sweep can find what it counts: of these few studies of a false claim all are contradicted."""
    for name in ("one term", "with looks"):
        false = true_claims.KINDS[name]._replace(claim={"bound": ["k**3*d*sigma**2/n"]})
        assert true_claims.shares(false, 64, 4) == 1


@pytest.mark.parametrize("look", [1, 3])
def test_the_sweeps_comparisons_are_those_of_whole_verdicts(look):
    rng, seen = np.random.default_rng(4), set()
    for name, factor in (("two terms", 1.0), ("one term", 1.3), ("a proportion", 1.0), ("by regime", 1.3)):
        kind = true_claims.KINDS[name]
        asked = true_claims.study(kind)
        cells, quantity = spec.cells(asked), kind.claim.get("on", "error_sq")
        means = np.array([kind.mean(cell) * factor ** math.log2(cell.n / 4096) for cell in cells])
        values = true_claims.drawn(rng, kind, means, 32)
        data = [true_claims.cell_data(cell, quantity, row) for cell, row in zip(cells, values, strict=True)]
        found = true_claims.contradicted(asked, data, look)
        (verdict,) = verdicts.verdicts(asked, data, look)
        assert (verdict.verdict == "contradicted") == found
        seen.add(found)
    assert seen == {True, False}
