"""A quantity's name is one number a run and checkpoint, or a line with the names that there are."""

import made_cells
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jgmm.study import quantities, spec


def cell_of(text=made_cells.ONE):
    (cell,) = spec.cells(made_cells.study(text))
    return cell


def test_a_quantity_is_that_of_every_run_at_a_checkpoint_the_last_by_default():
    item = made_cells.made(cell_of(), ok=np.arange(16) > 2)
    for name in ("error_sq", "error_sum", "error_max", "lost"):
        assert_array_equal(quantities.values(item, name), item.values[name][:, 1].astype(float))
        assert_array_equal(quantities.values(item, name, 0), item.values[name][:, 0].astype(float))
    assert_array_equal(quantities.values(item), quantities.values(item, "error_sq"))


def test_a_wrong_name_is_told_the_names_that_there_are():
    said = "quantity is 'eror_sq': expected one of error_sq, error_sum, error_max, lost .did you mean 'error_sq'.."
    with pytest.raises(ValueError, match=said):
        quantities.check(cell_of(), "eror_sq")
    with pytest.raises(ValueError, match="expected one of error_sq"):
        quantities.values(made_cells.made(cell_of()), "mass")
