"""The notebooks run from top to bottom, at a small size."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


def executed(name, runs):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    sized = [cell for cell in notebook.cells if "runs = 256" in cell.source]
    assert len(sized) == 1
    sized[0].source = sized[0].source.replace("runs = 256", f"runs = {runs}")
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.slow
def test_the_course_projects_notebook_runs_and_shows_every_section():
    outputs = executed("01_course_project.ipynb", 8)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 9


@pytest.mark.slow
def test_the_tightness_notebook_comes_to_its_verdict():
    outputs = executed("02_tightness.ipynb", 32)
    said = "".join(output.get("text", "") for output in outputs)
    assert said.count("Theorem 1 is consistent with what was tried, loose by k^") == 2
    assert "k^1: contradicted" in said
    assert "k^3: loose" in said
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


def texts(outputs):
    return "".join(output.get("text", "") for output in outputs)


@pytest.mark.slow
def test_the_floors_notebook_measures_the_law_and_none_of_soft_labels():
    outputs = executed("03_floor.ipynb", 64)
    rows = [line.split() for line in texts(outputs).splitlines() if line.startswith(("hard ", "soft "))]
    hard = [(float(row[2]), float(row[3]), float(row[4])) for row in rows if row[0] == "hard"]
    assert len(hard) == 6
    assert all(abs(floor - law) < 5 * error + 0.02 * law for floor, error, law in hard)  # 2 %: the step's own shift
    assert all(abs(float(row[2])) < 5 * float(row[3]) for row in rows if row[0] == "soft")
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1


@pytest.mark.slow
def test_the_notebook_of_an_algorithm_of_ones_own_finds_larger_floors():
    lines = texts(executed("04_your_algorithm.ipynb", 64)).splitlines()
    rows = [line.split() for line in lines if "+-" in line]
    lazy = {(row[1], row[2]): float(row[6]) for row in rows if row[:1] == ["lazy"]}
    lloyd = {row[1]: float(row[5]) for row in rows if row[:1] == ["lloyd"]}
    assert len(lazy) == 9
    assert all(floor > lloyd[separation] for (_, separation), floor in lazy.items())


@pytest.mark.slow
def test_the_notebook_of_any_dimension_has_the_same_errors_and_the_same_laws():
    outputs = executed("05_any_dimension.ipynb", 16)
    lines = texts(outputs).splitlines()
    exact = [float(line.split()[-1]) for line in lines if "inner products" in line or "largest difference" in line]
    assert len(exact) == 3
    assert max(exact) < 1e-12
    p_values = [float(line.split("p value ")[1].split(",")[0]) for line in lines if line.startswith("after")]
    assert len(p_values) == 3
    assert min(p_values) > 0.001
    ratios = [line.split("error / law ")[1].split(" +- ") for line in lines if line.startswith("reduced")]
    assert len(ratios) == 6
    assert all(abs(float(ratio) - 1) < 4 * float(error) + 1e-4 for ratio, error in ratios)  # printed to 1e-4
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5


NAMES = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebooks_have_their_outputs(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    assert all(cell.outputs for cell in notebook.cells[2:] if cell.cell_type == "code")
