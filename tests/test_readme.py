"""What the README shows is what runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import jgmm
from jgmm.study import spec

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(name):
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL).group(1)


def test_the_example_runs_and_lands_on_the_law():
    lines = [line for line in block("example").splitlines() if line]
    assert len(lines) == 14
    landed = "assert abs(error.mean - law) < 4 * error.standard_error"
    call = [sys.executable, "-c", f"{block('example')}\n{landed}"]  # a process of its own: JAX has started here
    assert "exact law" in subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_the_readme_has_the_two_commands():
    assert "jgmm run seed" in block("run")
    assert "-m pytest" in block("test")


@pytest.mark.slow
def test_the_spec_comes_to_the_verdict_beside_it(tmp_path):
    shown = re.search(r"\$ jgmm run mine\.toml\n(.*?)```", README, re.DOTALL).group(1)
    lead, found = re.search(r"consistent, loose - (.*)\n  found +(.*)\n", shown).groups()
    path = tmp_path / "mine.toml"
    path.write_text(block("spec"))
    study = spec.load(str(path))
    jgmm.run_study(study, tmp_path / "mine")
    verdict, *_ = jgmm.write_report(tmp_path / "mine", study).verdicts
    assert verdict.verdict == "consistent, loose"
    assert verdict.sentence.startswith(f"{lead} {found}")
