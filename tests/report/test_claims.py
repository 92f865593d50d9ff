"""A verdict in sentences of one idea: each is where it belongs, and none is lost."""

import math
import re

import pytest
from synthetic import displaced, floor_study, start_study, starts, stored, stream_study, variance, verdict_on, wide_grid

from jgmm.report.claims import claim, clauses, exponents, sentences
from jgmm.study import curves


def told(study, data):
    return claim(verdict_on(study, data))


def test_the_headline_what_was_found_and_what_was_tried_are_apart():
    asked = stream_study()
    said = told(asked, stored(asked, variance, cv=0.05))
    assert said.headline.startswith("Theorem 2 is consistent with what was tried, ")
    (along_n,) = said.found
    assert along_n.startswith("In N ")
    assert ", variance term N^" in along_n
    tried, start = said.tried
    assert start == "Started at an offset of 0.1 sigma."
    assert tried.startswith("3 cells of 256 runs, N 10000 to 40000, k 2, ")
    assert all("constant of the " in sentence for sentence in said.constants)
    assert len(said.constants) == len(said.verdict.constants) > 0
    assert any("with constant 1 (its own is hidden) holds in" in sentence for sentence in said.conditions)
    assert said.tested == (
        "Look 1, level 0.025 over 1 comparison, each over all its sizes and between neighbours, and 1 constant over"
        " all cells compared. Other verdicts, and the laws together, have each a level of that size."
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: (s := wide_grid(), stored(s, variance)), id="errors"),
        pytest.param(lambda: (s := wide_grid(), stored(s, lambda cell: 1.0)), id="contradicted"),
        pytest.param(lambda: (s := stream_study(separation=2.0), stored(s, variance)), id="floor term"),
        pytest.param(lambda: (s := stream_study(start=6.0), stored(s, variance)), id="out of the regime"),
        pytest.param(
            lambda: (s := floor_study(), stored(s, lambda cell: 1.0, displacement=displaced(4.0))), id="floors"
        ),
        pytest.param(lambda: (s := start_study(), starts(s, lambda cell: 0.99)), id="starts"),
        pytest.param(lambda: (s := start_study(), starts(s, lambda cell: 0.3)), id="no starts"),
    ],
)
def test_no_sentence_of_a_verdict_is_lost(data):
    study, cells = data()
    verdict = verdict_on(study, cells)
    said = claim(verdict)
    pieces = [said.headline, *said.found, *said.tried, *said.constants, *said.conditions]
    for piece in pieces:
        assert piece[0].isupper() or piece[0].isdigit(), piece
        assert piece.endswith(".")
        for clause in sentences(piece):
            assert clause.rstrip(".")[1:] in verdict.sentence
    kept = sum(len(piece.replace(" ", "").rstrip(".;")) for piece in pieces)
    whole = len(verdict.sentence.replace("Tried: ", "").replace(" ", "").replace(".", ""))
    assert kept >= whole
    assert said.colour in ("consistent", "contradicted", "inconclusive", "out")


def test_exponents_have_a_line_for_each_part_and_axis_with_or_without_a_theorem():
    asked = stream_study(theorem="none", separation=[4.0, 8.0])
    fits = [curves.fit(curve) for curve in curves.curves(asked, stored(asked, variance, cv=0.05))]
    (line,) = exponents(fits)
    interval = r"N\^-0\.9\d* \[-0\.9\d*, -0\.9\d*\]"
    assert re.fullmatch(rf"main, in N: 2 series, {interval} at C=\d k=2 d=10 to {interval} at C=\d k=2 d=10\.", line)
    (alone,) = exponents([fits[0]._replace(axis="seeding.block", law=-1.0, bound=math.nan)])
    assert re.fullmatch(r"main, in B: B\^-0\.9\d* \[-0\.9\d*, -0\.9\d*\] \(law -1\)\.", alone)
    assert exponents([]) == []


def test_a_start_is_told_for_each_k():
    asked = start_study()
    said = told(asked, starts(asked, lambda cell: 0.99))
    (of_k,) = said.found
    assert of_k.startswith("At k = 5, 0.9 of the starts or more are within from C = 16 on (")
    assert ". The least share is 0.9" in of_k


def test_clauses_part_at_semicolons_outside_of_parentheses():
    sentence = "in k loose: k^2 (C=4; elsewhere tight); in d tight: d^1 [a; b]."
    assert clauses(sentence) == ["In k loose: k^2 (C=4; elsewhere tight).", "In d tight: d^1 [a; b]."]
    assert clauses("One.") == ["One."]
