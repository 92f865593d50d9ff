"""The statistics stand alone: NumPy and SciPy, nothing of jgmm, no JAX."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jgmm import stats

FOLDER = Path(stats.__file__).parent
FILES = sorted(FOLDER.glob("*.py"))
SIBLINGS = {path.stem for path in FILES}


def imports(path):
    """The modules that a file imports: its own package's as names with a dot before them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ([f".{alias.name}" for alias in node.names] if start == "." else [start])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_imports_numpy_scipy_and_itself(path):
    for name in imports(path):
        if name.startswith("."):
            assert name.removeprefix(".") in SIBLINGS
        else:
            assert name.split(".")[0] in {"numpy", "scipy", *sys.stdlib_module_names}
            assert not name.startswith("scipy.stats")  # which takes longer to import than all the others


def test_a_copy_of_the_folder_under_another_name_runs_without_jgmm(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import sys, elsewhere\n"
        "print(elsewhere.mean([1.0, 2.0, 3.0]).value, *sorted({'jgmm', 'jax', 'scipy.stats'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2.0\n"


def test_what_the_package_offers_is_there_and_explained():
    assert sorted(stats.__all__) == sorted(set(stats.__all__))
    for name in stats.__all__:
        assert name.isupper() or getattr(stats, name).__doc__
