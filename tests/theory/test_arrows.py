"""Formulas stand alone: no JAX, and of jgmm only step sizes and sums of a stated order."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from jgmm import theory

FOLDER = Path(inspect.getfile(theory)).parent
ALLOWED = ("jgmm.ordered", "jgmm.rates", "jgmm.theory")


def imports(path):
    """The full names that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_law_imports_step_sizes_and_sums_and_nothing_else_of_jgmm(path):
    ours = [name for name in imports(path) if name.split(".")[0] in ("jgmm", "jax")]
    assert [name for name in ours if not name.startswith(ALLOWED)] == []


@pytest.mark.parametrize(
    ("module", "unwanted"), [("jgmm.theory.expected", "jax"), ("jgmm.theory.bounds", "scipy")], ids=str
)
def test_laws_are_known_without_jax_and_theorems_without_scipy(module, unwanted):
    """In a process of its own, since other tests have loaded both here."""
    code = f"import {module}, sys; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_where_the_package_says():
    assert all(getattr(theory, name) is not None for name in theory.__all__)
