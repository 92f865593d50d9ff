"""How findings become sentences."""

import pytest

from jgmm.study.verdicts import words
from jgmm.study.verdicts.finding import Constant, Finding
from jgmm.theory.bounds import THEOREMS

BASE = Finding(
    theorem="1",
    part="main",
    axis="N",
    setting="k=2",
    kind="tight",
    measured=-0.9,
    bound=-0.9,
    gap=0.0,
    low=-0.01,
    high=0.01,
    detail="",
)
LOOSE = BASE._replace(axis="k", kind="loose", measured=2.0, bound=3.0, gap=-1.0, low=-1.1, high=-0.9)
FLOOR = BASE._replace(axis="exp(-C^2)", kind="loose", measured=1 / 4, bound=1 / 10, gap=-0.15, over="C = 3 to 6")


@pytest.mark.parametrize(
    ("findings", "kind", "words_after"),
    [
        ([], "inconclusive", ": inconclusive: no axis with three sizes and means that can be trusted"),
        ([BASE], "consistent, tight", " is consistent with what was tried, tight in N up to its constants"),
        ([BASE, LOOSE], "consistent, loose", " is consistent with what was tried, loose by k^1.00 [0.90, 1.10]"),
        (
            [LOOSE, LOOSE._replace(gap=-1.5, low=-1.6, high=-1.4), FLOOR],
            "consistent, loose",
            " is consistent with what was tried, loose by k^1.50 [1.40, 1.60], exp(-C^2/10) against exp(-C^2/4) in the"
            " floor",
        ),
        ([BASE._replace(kind="inconclusive"), BASE], "inconclusive", ": inconclusive: too few runs to tell in N"),
        (
            [LOOSE, BASE._replace(kind="few samples")],
            "inconclusive",
            ": inconclusive: it asks for more samples than were tried in N",
        ),
        ([LOOSE, BASE._replace(kind="contradicted")], "contradicted", " is contradicted in N"),
        (
            [BASE._replace(kind="floor term"), BASE],
            "consistent",
            " is consistent with what was tried: its floor term covers the error",
        ),
    ],
)
def test_the_worst_kind_heads_a_verdict(findings, kind, words_after):
    assert words.headline(findings) == (kind, words_after)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([BASE], "in N tight: measured N^-0.9, variance term N^-0.9"),
        (
            [BASE, BASE._replace(kind="contradicted", setting="k=8")],
            "in N faster than the variance term: measured N^-0.9, variance term N^-0.9 (k=8; elsewhere tight; 2"
            " series, N^-0.9 at k=2 to N^-0.9 at k=2)",
        ),
        (
            [BASE._replace(kind="few samples")],
            "in N faster than the variance term (with fewer samples than k^3 d^3 ln(k d)): measured N^-0.9, variance"
            " term N^-0.9",
        ),
        (
            [BASE._replace(kind="floor term")],
            "in N faster than the variance term (but stays below the floor term with constant 1): measured N^-0.9,"
            " variance term N^-0.9",
        ),
        (
            [FLOOR, LOOSE],
            "from C = 3 to 6 the floor falls by exp(-C^2/4) end to end (a secant, no law), the floor term by"
            " exp(-C^2/10); in k loose: measured k^2, variance term k^3",
        ),
        (
            [FLOOR._replace(law=1 / 5, measured=-0.5)],
            "from C = 3 to 6 the floor falls by exp(0.5 C^2) end to end (a secant, no law: its law's secant is"
            " exp(-C^2/5)), the floor term by exp(-C^2/10)",
        ),
    ],
)
def test_each_axis_is_told_at_its_worst_setting(findings, said):
    assert words.along_axes(findings, THEOREMS[2]) == said


@pytest.mark.parametrize(
    ("term", "findings", "said"),
    [
        (
            "variance",
            [BASE, FLOOR._replace(kind="contradicted")],
            "The least constant of the variance term is 2 [1, 3]",
        ),
        (
            "variance",
            [BASE._replace(kind="exceeds")],
            "No constant of the variance term would do: error / term grows with N, and reaches 2 [1, 3] (main, k=2) in"
            " the 4 cells tried.",
        ),
        (
            "variance",
            [BASE._replace(kind="exceeds"), BASE, LOOSE._replace(kind="contradicted")],
            "No constant of the variance term would do: error / term grows with N and k, and reaches 2 ",
        ),
        (
            "floor",
            [FLOOR._replace(kind="contradicted")],
            "No constant of the floor term would do: floor / term grows with C, and reaches 2 [1, 3] (main, k=2) in the"
            " 4 cells tried.",
        ),
    ],
)
def test_no_constant_would_do_for_a_term_that_the_error_outgrows(term, findings, said):
    constant = Constant(term=term, value=2.0, low=1.0, high=3.0, where="main, k=2", cells=4)
    assert words.constant_words(constant, findings).startswith(said)
