"""The notebook runs from top to bottom, at a small size."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "01_seed.ipynb"


def test_the_seed_notebook_runs_and_shows_every_section():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sized = [cell for cell in notebook.cells if "runs = 256" in cell.source]
    assert len(sized) == 1
    sized[0].source = sized[0].source.replace("runs = 256", "runs = 8")
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 9


def test_the_committed_notebook_has_its_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(cell.outputs for cell in notebook.cells[2:] if cell.cell_type == "code")
