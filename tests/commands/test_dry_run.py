"""What a dry run says, and that it writes nothing."""

import re
from pathlib import Path

import prose
import pytest
from made_cells import study

from jgmm.commands.dry_run import dry_run
from jgmm.commands.run import How
from jgmm.study import run as runner

SMALL = """
[[part]]
name = "long"
mixture = { k = 2, d = 2 }
stream = { n = [600, 1200, 1000000000], start = 0.2, checkpoints = 1 }
[[part]]
name = "short"
mixture = { k = 2, d = 2 }
stream = { n = 600, start = 0.2, rate = 0.01, checkpoints = 1, displacement = true }
"""


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


def said(capsys, asked, out, **more):
    """The words of a dry run; which back end it is, and why, depends on the machine."""
    assert dry_run(asked, out, spec_folder=Path(), how=How(**more)) == 0
    return re.sub("back end .*", "back end BACK_END", capsys.readouterr().out)


def test_the_words_of_a_dry_run_that_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = study(SMALL, runs=4, precision=0.05)
    text = said(capsys, asked, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    prose.check(Path(__file__).parent / "dry_run.txt", prose.words(text))


def test_a_pilot_of_a_long_stream_is_cut_and_says_so(capsys, tmp_path):
    text = said(capsys, study(SMALL.replace("[600, 1200, 1000000000]", "1000000000"), runs=4), tmp_path / "out")
    assert re.search(r"│ long +│ +1 │ +\d+ │ +\d+ in place of 1000000000 │", text)


def test_what_is_stored_is_not_computed_again(capsys, tmp_path):
    asked = study(SMALL.replace(", 1000000000", ""), runs=4)
    runner.run_study(asked, tmp_path / "out")
    text = said(capsys, asked.model_copy(update={"runs": 6}), tmp_path / "out")
    assert "samples    4.8e+03 in " in text  # 2 more runs of 600, 1200 and 600 samples
    text = said(capsys, asked, tmp_path / "out")
    assert "0 with runs to do" in text
    assert "samples    0 in 0 tasks" in text


def test_of_a_share_what_it_would_take_is_told(capsys, tmp_path):
    asked = study(SMALL.replace(", 1000000000", ""), runs=4)
    text = said(capsys, asked, tmp_path / "out", share=(2, 4))
    assert "samples    2.4e+03 in " in text  # a run of 600, one of 1200 and one of 600 samples
    assert "share 2/4: 3 of 12 runs of cells, 3 of them to do" in text
    assert "workers" not in text


def test_a_folder_that_the_run_would_refuse_is_refused(capsys, tmp_path):
    asked = study(SMALL.replace(", 1000000000", ""), runs=4)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("")
    with pytest.raises(ValueError, match="holds files that are not a study's"):
        said(capsys, asked, tmp_path / "mine")
    runner.run_study(asked, tmp_path / "out")
    other = asked.model_copy(update={"seed": 5})
    with pytest.raises(ValueError, match="holds another study .its seed is 0, not 5"):
        said(capsys, other, tmp_path / "out")
    text = said(capsys, other, tmp_path / "out", fresh=True, executor="processes:2")
    assert "3 with runs to do" in text
    assert "workers    were not asked" in text


FEW = """
theorem = 1
runs = 16
[mixture]
k = 2
d = 3
layout = "simplex"
separation = 12.0
[stream]
n = [200, 400, 800]
start = 0.1
checkpoints = 1
"""


def test_how_many_runs_an_inconclusive_verdict_would_need_is_told(capsys, tmp_path):
    asked = study(FEW)
    runner.run_study(asked, tmp_path / "out")
    text = said(capsys, asked.model_copy(update={"runs": 17}), tmp_path / "out")
    found = re.search("Theorem 1: inconclusive in N at 16 runs: about ([0-9]+) runs would tell", text)
    assert int(found[1]) > 16
    assert not (tmp_path / "out" / "looks.json").exists()
    assert "would tell" not in said(capsys, asked, tmp_path / "out", fresh=True)
