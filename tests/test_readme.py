"""What the README shows is what runs."""

import re
import subprocess
import sys
from pathlib import Path

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
