"""A verdict for each theorem that a study is held against, and one for a theorem that only a record describes."""

import math

import pytest
from synthetic import SIZES, stored, stream_study, variance, verdict_of

from jgmm.study import spec, summary, verdicts
from jgmm.theory.bounds import THEOREMS, Theorem


@pytest.fixture
def theorem_99():
    """A theorem that nobody states: E sum |mu_i - mu_i*|^2 <= c k d sigma^2/N."""
    THEOREMS[99] = Theorem(
        number=99,
        paper="nobody, nowhere",
        statement="E sum |mu_i - mu_i*|^2 <= O(1) k d sigma^2/N",
        hidden=("O(1)",),
        algorithms=("lloyd",),
        of_start=False,
        bound=lambda *, n, k, d, sigma, separation, mean_norm: k * d * sigma**2 / n,
        variance=lambda *, n, k, d, sigma: k * d * sigma**2 / n,
        log_floor=None,
        separation=lambda k: 3.0,
        separation_words="3",
        samples=lambda *, k, d: 10.0 * k * d,
        samples_words="10 k d",
        samples_of=("N",),
        start="near",
        step=None,
        beta=None,
        equal_weights=True,
    )
    yield THEOREMS[99]
    del THEOREMS[99]


def study_of_99(**mixture):
    mixture = {"k": [2, 3, 5], "d": 4, "layout": "simplex", "separation": 12.0, **mixture}
    stream = {"n": [int(n) for n in SIZES], "start": 0.1, "rate": "1/n", "checkpoints": 1}
    return spec.Study(mixture=mixture, stream=stream, theorem=99)


def test_a_theorem_needs_a_record_alone(theorem_99):
    verdict = verdict_of(study_of_99(), lambda c: 7 * c.k * c.d / c.n, runs=4000)
    assert (verdict.theorem, verdict.statement) == ("99", theorem_99.statement)
    assert verdict.verdict == "consistent, tight"
    assert verdict.sentence.startswith("Theorem 99 is consistent with what was tried, tight in k and N up to its const")
    assert "N >= 10 k d with constant 1 (its own is hidden) holds in 15 of 15 cells." in verdict.sentence
    (constant,) = verdict.constants
    assert constant.low < 7 < constant.high
    assert verdict_of(study_of_99(), lambda c: c.k * c.d / math.sqrt(c.n), runs=1000).verdict == "contradicted"


def test_the_bound_beside_the_means_of_a_cell_is_its_records(theorem_99):
    item = stored(study_of_99(), lambda c: 1.0)[0]
    start, end = summary.summarize(item)
    assert (end["theorem"], end["bound_error_sq"]) == ("99", 2 * 4 / 4096)
    assert start["bound_error_sq"] is None


def test_the_regime_of_a_theorem_is_its_records(theorem_99):
    verdict = verdict_of(study_of_99(separation=[2.0, 12.0]), lambda c: c.k * c.d / c.n)
    assert "15 of 30 cells are out of its regime: C is below 3 in 15 (2 against 3)." in verdict.sentence
    with pytest.raises(ValueError, match="it is about algorithm 'lloyd', not 'soft'"):
        spec.cells(spec.Study(theorem=99, algorithm="soft"))


def test_no_theorem_is_known_without_its_record():
    with pytest.raises(ValueError, match="expected 'auto', 'none', 1, 2, 3 or 7"):
        spec.Study(theorem=99)


def test_each_theorem_has_a_verdict_of_its_own_in_the_order_of_their_numbers():
    parts = [{"name": name, "theorem": number} for name, number in (("b", 2), ("none", "none"), ("a", 1))]
    study = spec.Study(part=parts, mixture={"k": 2, "d": 3, "separation": 8.0}, stream={"n": 1000, "start": 0.1})
    both = verdicts.verdicts(study, stored(study, variance), look=1)
    assert [verdict.theorem for verdict in both] == ["1", "2"]
    assert [verdict.statement for verdict in both] == [THEOREMS[1].statement, THEOREMS[2].statement]
    assert verdicts.verdicts(study, stored(study, variance)[1:2], look=1) == []


def test_the_level_is_the_looks():
    study = stream_study()
    (verdict,) = verdicts.verdicts(study, stored(study, variance), look=3)
    assert (verdict.look, verdict.level) == (3, 0.05 / 12)


def test_updates_with_beta_2_are_reported_and_not_called_theorem_7():
    mixture = {"k": 2, "d": 10, "separation": 4.0}
    study = spec.Study(
        algorithm="em", mixture=mixture, stream={"n": [int(n) for n in SIZES], "start": 0.1}, em={"beta": [2.0, 1.0]}
    )
    truth = {1.0: lambda c: 1.5 * c.d * math.log(c.n) / c.n, 2.0: lambda c: 0.01 + c.d * math.log(c.n) / c.n}
    em, other = verdicts.verdicts(study, stored(study, lambda c: truth[c.beta](c), runs=2000), look=1)
    assert (em.theorem, em.verdict) == ("7", "consistent, tight")
    assert (other.theorem, other.verdict) == ("7 (beta = 2)", verdicts.OUT)
    assert "updates with beta = 2, as the course project prints them, are not its algorithm" in other.sentence
    assert "in N faster than the variance term" in other.sentence
    assert "contradicted" not in other.sentence
    assert {finding.kind for finding in other.findings} == {"exceeds"}
    assert "No constant of the variance term would do" in other.sentence


def test_a_verdict_prints_itself_in_two_lines():
    study = stream_study()
    (verdict,) = verdicts.verdicts(study, stored(study, variance), look=1)
    assert repr(verdict).splitlines() == ["Theorem 2: consistent, tight (look 1, level 0.025)", verdict.sentence]
    assert verdict == tuple(verdict)
