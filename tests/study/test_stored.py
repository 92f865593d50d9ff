"""What a small study of every kind of part stores is what it stored before: on every machine, by every version.

stored.json holds the ID of each cell and a digest of its columns, but for those that theory makes (a twin's exact mean
and what is taken off by it). It was made once; what changes it on purpose has a new results version.

    python -m pytest tests/study/test_stored.py     compares
    python tests/study/test_stored.py               writes the file anew, from tests/ on the path
"""

import hashlib
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small import study

from jgmm.study import run, spec

TABLE = Path(__file__).with_name("stored.json")
OF_THEORY = ("twin_mean_sq", "twin_displacement")


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does; the kernels are held to it elsewhere."""


def digest(path):
    """Of a cell's file: every column that no theory is in, its name, type and values."""
    table = pq.read_table(path).drop_columns([*OF_THEORY])
    content = hashlib.sha256()
    for name in table.column_names:
        content.update(f"{name} {table.schema.field(name).type}\n{json.dumps(table[name].to_pylist())}\n".encode())
    return content.hexdigest()[:16]


def stored(folder):
    """Digests by the part, horizon, step and ID of each cell."""
    run.run_study(study(20), folder)
    cells = spec.named_cells(study(20), folder)
    return {
        f"{cell.part} n={cell.n} {cell.rate_name} {name}": digest(folder / "cells" / f"{name}.parquet")
        for name, cell in cells.items()
    }


def test_stored_cells_are_as_they_were(tmp_path):
    assert stored(tmp_path / "out") == json.loads(TABLE.read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(json.dumps(stored(Path(folder) / "out"), indent=1) + "\n")
