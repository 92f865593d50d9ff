"""One run again, with its trajectory."""

import numpy as np
import pytest
from made_cells import study

from jgmm.commands.show import show
from jgmm.study import run as runner
from jgmm.study import spec
from jgmm.study.replay import replay

SMALL = """
mixture = { k = 2, d = 2 }
stream = { n = 600, start = 0.2, rate = 0.02, checkpoints = 1 }
"""


@pytest.fixture(autouse=True)
def strict():
    """The study layer promotes as NumPy does."""


def test_a_run_is_a_row_for_each_checkpoint_below_its_cell(capsys, tmp_path):
    asked = study(SMALL, runs=2)
    runner.run_study(asked, tmp_path / "out")
    (cell,) = spec.cells(asked)
    show(asked, cell, 1, tmp_path / "out")
    head, names, *rows = capsys.readouterr().out.splitlines()
    assert head == "# part main, run 1: lloyd k=2 d=2 n=600 rate=0.02"
    assert names.split() == ["samples", "error_sq", "error_sum", "error_max", "lost"]
    table = replay(asked, cell, 1, spec_folder=tmp_path / "out").to_pylist()
    assert len(rows) == len(table) > 10
    for row, stored in zip(rows, table, strict=True):
        assert np.allclose([float(text) for text in row.split()], [stored[name] for name in names.split()], rtol=1e-6)
