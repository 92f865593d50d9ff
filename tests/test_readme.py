"""What the README shows is what runs."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(name):
    return re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL).group(1)


def test_the_example_runs_and_lands_on_the_law(capsys):
    lines = [line for line in block("example").splitlines() if line]
    assert len(lines) == 12
    scope = {}
    exec(block("example"), scope)
    assert abs(scope["error"].mean - scope["law"]) < 4 * scope["error"].standard_error
    assert "exact law" in capsys.readouterr().out


def test_the_readme_has_the_two_commands():
    assert "jgmm run seed" in block("run")
    assert "-m pytest" in block("test")
