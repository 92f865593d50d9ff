"""A spec's own claim: what its table says, which cells its regime holds in, and what its terms are worth there."""

import math
from pathlib import Path

import pytest

from jgmm.study import claim, preflight, spec
from jgmm.study.claim_spec import comparisons

BOUND = ["k**2*d*sigma**2*log(n)/n", "exp(-C**2/8)*sigma**2"]
SPEC = """
[mixture]
k = [2, 3]
d = 4
sigma = 0.5
layout = "simplex"
separation = [4.0, 8.0]
[stream]
n = [1000, 4000]
start = 0.5
"""


def study(text=SPEC, claimed=f"bound = {BOUND}"):
    return spec.parse(f"{text}\n[claim]\n{claimed}\n", source="mine", folder=Path(), default_name="mine")


def test_terms_are_worth_what_is_computed_by_hand():
    for cell in spec.cells(study()):
        terms = [cell.k**2 * 4 * 0.25 * math.log(cell.n) / cell.n, math.exp(-(cell.separation**2) / 8) * 0.25]
        assert claim.log_terms(cell) == pytest.approx([math.log(term) for term in terms])
        assert claim.bound(cell) == pytest.approx(sum(terms))


def test_a_term_that_no_float_holds_has_its_logarithm():
    (cell,) = spec.cells(
        study(SPEC.replace("[2, 3]", "2").replace("[4.0, 8.0]", "100.0").replace("[1000, 4000]", "1000"))
    )
    assert claim.log_terms(cell)[1] == pytest.approx(-1250 + 2 * math.log(0.5))
    assert claim.bound(cell) > 0


def test_a_claim_takes_the_place_of_a_theorem_and_changes_no_identifier():
    claimed, plain = spec.cells(study()), spec.cells(spec.parse(SPEC, source="x", folder=Path(), default_name="mine"))
    for with_claim, without in zip(claimed, plain, strict=True):
        assert (with_claim.theorem, without.theorem) == ("none", 2)
        assert with_claim.identifier(0, False) == without.identifier(0, False)
        assert with_claim.claim.statement.startswith("E[error_sq] <= c1 k**2*d*sigma**2*log(n)/n + c2 exp(-C**2/8)")


def test_the_statement_names_constants_regime_and_source():
    said = spec.cells(study(claimed='bound = "d/n - 1/n**2"\nregime = "C >= 4"\nsource = "Somebody, Theorem 2"'))
    assert said[0].claim.statement == "E[error_sq] <= c (d/n - 1/n**2), where C >= 4 (Somebody, Theorem 2)"


def test_what_is_written_down_can_be_read_again():
    asked = study(claimed=f'bound = {BOUND}\nname = "Mine, 2"\nregime = "C > 4 and n >= k**3"')
    again = spec.changed(asked)
    assert again == asked
    assert [cell.claim for cell in spec.cells(again)] == [cell.claim for cell in spec.cells(asked)]


def test_a_part_may_have_its_own_claim_or_none():
    own = '[[part]]\nname = "b"\nclaim = { bound = "d/n" }\n[[part]]\nname = "c"\nclaim = { bound = [] }'
    parts = f'[[part]]\nname = "a"\n{own}'
    asked = spec.parse(f"{SPEC}\n[claim]\nbound = {BOUND}\n{parts}", source="mine", folder=Path(), default_name="mine")
    claims = {cell.part: cell.claim for cell in spec.cells(asked)}
    assert claims["a"].bound == tuple(BOUND)
    assert claims["b"].bound == ("d/n",)
    assert claims["c"] is None
    assert spec.cells(spec.changed(asked)) == spec.cells(asked)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("C >= 4", True),
        ("C > 4", False),
        ("C == 4.0000000001", True),
        ("3 < C <= 4 and n > k**3", True),
        ("n < k**3", False),
        ("C < 4.0000000001", False),
        ("C >= 4 and k > 2", False),
        ("max(C, k) >= sqrt(log(n)) and 1 == 1", True),
    ],
)
def test_a_regime_holds_where_all_of_its_comparisons_do(text, met):
    numbers = {"C": 4.0, "k": 2.0, "n": 1000.0}
    assert all(comparison.holds(numbers) for comparison in comparisons(text)) == met


def test_what_does_not_hold_is_told_with_the_numbers_of_the_cell():
    cells = spec.cells(study(claimed=f'bound = {BOUND}\nregime = "C > 4 and n > k"'))
    near, far = (next(cell for cell in cells if cell.separation == at) for at in (4.0, 8.0))
    assert claim.unmet(near) == [("C > 4", "C = 4")]
    assert claim.unmet(far) == []
    assert claim.unmet(far, 3.0) == [("C > 4", "C = 3")]  # the realised separation, where that is another


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        ('bound = "k**2*lg(n)/n"', "claim.bound is 'k.*'lg' is no function, expected log, "),
        (
            'bound = "k**2*log(N)/n"',
            r"part 'main': claim.bound is 'k.*'N' is no number here, .* \(did you mean 'n'\?\)",
        ),
        ('bound = ["1/n", "log(k - 2)"]', r"claim.bound\[1\] is 'log\(k - 2\)' at k = 2: the logarithm of 0"),
        ('bound = "k - 2"', "claim.bound is 'k - 2' at k = 2: the value is 0, expected one above 0"),
        ('bound = "9**9**9**9"', "beyond all numbers"),
        (f'bound = "{"(" * 90}n{")" * 90}"', "deeper than 30"),
        ('bound = "1/n"\nregime = "C"', "claim.regime is 'C': expected a comparison, as C >= 4, or several"),
        ('bound = "1/n"\nregime = "C >= 4 and"', "claim.regime is ''"),
        ('bound = "1/n"\nregime = "c >= 4"', r"claim.regime is 'c': .*did you mean 'C'"),
        ('name = "x"', "claim.name is 'x': the claim has no bound: expected it left out"),
        ('bund = "1/n"', r"claim.bund: unknown key, expected 'bound'\?"),
        ('bound = "1/n"\nname = "1"', "claim.name is '1'"),
    ],
)
def test_what_is_no_claim_is_refused_in_a_line(claimed, message):
    with pytest.raises(ValueError, match=message) as refused:
        spec.cells(study(claimed=claimed))
    assert "\n" not in str(refused.value)


def test_a_term_needs_no_value_where_the_regime_does_not_hold():
    cells = spec.cells(study(claimed='bound = "log(k - 2) + 1"\nregime = "k > 2"'))
    assert len(cells) == 8


def test_a_theorem_beside_a_claim_is_refused():
    with pytest.raises(ValueError, match="part 'main': theorem is 1 beside a claim: expected theorem = 'none' there"):
        study("theorem = 1\n" + SPEC)


def test_a_claim_on_what_is_not_stored_is_refused_before_anything_runs():
    asked = study(claimed='bound = "1/n"\non = "eror_max"')
    with pytest.raises(ValueError, match=r"part 'main': .* is 'eror_max': expected one of error_sq, .*'error_max'"):
        preflight.check_mixtures(asked, spec.cells(asked))


def test_a_dry_run_tells_where_a_claim_holds_and_which_term_is_the_largest():
    asked = study(claimed=f'bound = {BOUND}\nname = "Mine"\nregime = "C > 4"')
    largest = f"the largest term, with constants of 1, is {BOUND[0]} in 4, {BOUND[1]} in 0"
    assert claim.forecast(spec.cells(asked)) == [f"Mine: its regime holds in 4 of 8 cells; {largest}"]
