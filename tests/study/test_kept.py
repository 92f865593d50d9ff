"""A folder is gone on with by a spec that judges its runs otherwise, and by none that would store something else."""

import tomllib
from pathlib import Path

import folders
import pytest
import tomli_w

import jgmm
from jgmm.report.write import write_report
from jgmm.study import kept, looked, ownership, spec
from jgmm.study import run as runner
from jgmm.study.folder import records

CLAIM = 'bound = "d/n"'
OTHER = 'bound = ["d*log(n)/n", "exp(-C**2/8)"]\nregime = "C >= 4"'
AFTER = "It was claimed after look "


def study(claim=CLAIM, text=folders.TEXT, runs=4):
    """A study of three sizes, if not of the text given, with a claim."""
    text = text.replace("n = 400", "n = [400, 1600, 6400]").replace("checkpoints = 2", "checkpoints = [400]")
    claimed = f"\n[part.claim]\n{claim}\n" if claim else ""
    read = spec.parse(f"{text}{claimed}", source="tiny", folder=Path(), default_name="tiny")
    return read.model_copy(update={"runs": runs})


def measuring(names):
    return folders.TEXT.replace("checkpoints = 2", f"checkpoints = 2, measure = {names}")


def go(out, asked):
    """Run and report; what was done, and the one verdict."""
    done = runner.run_study(asked, out, {"python": "any"})
    (verdict,) = write_report(out, asked).verdicts
    return done, verdict


@pytest.mark.usefixtures("made_up")
def test_a_changed_claim_is_judged_on_the_runs_that_are_there_and_is_a_look_that_says_so(tmp_path):
    done, first = go(tmp_path, study())
    assert (done.computed, first.look) == (12, 1)
    assert AFTER not in first.sentence
    cells = {name: data for name, data in folders.bytes_of(tmp_path).items() if name.startswith("cells")}
    done, second = go(tmp_path, study(OTHER))
    assert (done.computed, done.reused, second.look) == (0, 12, 2)
    assert second.level == pytest.approx(0.05 / 6)
    assert second.sentence.endswith("so this tells how these runs lie to it, and runs of another seed would test it.")
    assert f"{AFTER}1 at these runs" in second.sentence
    assert {name: data for name, data in folders.bytes_of(tmp_path).items() if name in cells} == cells
    assert ownership.load(tmp_path).part[0].claim.bound == ["d*log(n)/n", "exp(-C**2/8)"]
    assert second.sentence in (tmp_path / "verdicts.csv").read_text()
    assert go(tmp_path, study(OTHER)) == (done._replace(seconds=pytest.approx(0, abs=99)), second)  # the same look
    third = go(tmp_path, study())[1]  # the claim that was there before the first look; it is a look all the same
    assert third.look == 3
    assert AFTER not in third.sentence
    fourth = go(tmp_path, study(OTHER, runs=8))[1]
    assert f"{AFTER}1 " in fourth.sentence  # and so it stays with more runs


@pytest.mark.usefixtures("made_up")
def test_a_claims_name_and_source_and_a_sight_of_it_from_python_are_no_look_of_their_own(tmp_path):
    go(tmp_path, study())
    named = f'{CLAIM}\nname = "Mine"\nsource = "a paper"'
    assert go(tmp_path, study(named))[1].look == 1
    assert [look["claims"] for look in records.looks(tmp_path)] == [["a: E[error_sq] <= c d/n"]]
    runner.run_study(study(OTHER), tmp_path)
    before = folders.bytes_of(tmp_path)
    (verdict,) = jgmm.open(tmp_path).concluded
    assert verdict.look == 2
    assert AFTER in verdict.sentence
    assert folders.bytes_of(tmp_path) == before


@pytest.mark.usefixtures("made_up")
def test_a_claim_may_take_the_place_of_a_theorem_and_of_none(tmp_path):
    runner.run_study(study(""), tmp_path)
    write_report(tmp_path, study(""))
    done, verdict = go(tmp_path, study())
    assert (done.computed, verdict.look) == (0, 2)
    assert AFTER in verdict.sentence
    runner.run_study(study(""), tmp_path)
    assert ownership.load(tmp_path) == study("")


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            study('bound = "1/n"\non = "error_sq_lightest"'),
            r"store no component_sq, and the claim of part 'a' is now on",
        ),
        (study(OTHER, folders.TEXT.replace("0.2", "0.3")), r"its stream.start of part 'a' is \[0.2\], not \[0.3\]\)"),
        (
            study(CLAIM, f"{folders.TEXT}quantity = 'error_max'"),
            r"its quantity of part 'a' is 'error_sq', not 'error_max'",
        ),
        (study(CLAIM, measuring('["holds"]')), r"stream.measure .* is \[\], not \['holds'\]"),
    ],
)
def test_what_would_store_something_else_is_refused_and_nothing_changes(tmp_path, asked, message):
    go(tmp_path, study())
    before = folders.bytes_of(tmp_path)
    with pytest.raises(ValueError, match=f"another study .*{message}.*expected another --out, or --fresh"):
        runner.run_study(asked, tmp_path)
    assert folders.bytes_of(tmp_path) == before


def stored(asked):
    return tomllib.loads(tomli_w.dumps(asked.model_dump(exclude_none=True)))


@pytest.mark.parametrize("claim", [CLAIM, 'bound = "1/n"\non = "error_sq_heaviest"'])
def test_what_was_measured_for_another_claims_sake_is_measured_on(claim):
    old = study('bound = "1/n"\non = "error_sq_lightest"')
    further = kept.going_on(study(claim), stored(old))
    assert spec.named_cells(further, Path()).keys() == spec.named_cells(old, Path()).keys()
    again = kept.going_on(study(claim), stored(further))  # the same spec, when study.toml has the new claim
    assert again == further


def test_less_is_asked_for_than_is_stored_and_more_is_not_taken_for_less():
    much = study(CLAIM, measuring('["holds", "component_sq"]'))
    assert spec.cells(kept.going_on(study(), stored(much))) == spec.cells(much)
    assert kept.going_on(much, stored(study())) == much
    assert kept.going_on(much, stored(study(CLAIM, measuring('["from_means_sq"]')))) == much


def test_looks_of_versions_that_kept_no_claims_are_the_same_look_at_the_same_runs():
    now = {"runs": 12, "claims": ["a: E[error_sq] <= c d/n"]}
    assert records.same({"runs": 12}, now)
    assert not records.same({"runs": 11}, now)
    assert not records.same(now, {"runs": 12, "claims": []})
    assert looked.late(spec.cells(study()), [{"look": 1, "runs": 12}]) == {}


@pytest.mark.usefixtures("made_up")
def test_folders_that_differ_in_their_claims_are_joined_and_the_looks_at_each_claim_count(tmp_path):
    for name, claim in (("one", CLAIM), ("two", OTHER)):
        go(tmp_path / name, study(claim))
    merged = jgmm.merge([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    assert merged.study.part[0].claim == study().part[0].claim
    assert [look["claims"][0][:25] for look in records.looks(tmp_path / "both")] == [
        "a: E[error_sq] <= c d/n",
        "a: E[error_sq] <= c1 d*lo",
    ]
