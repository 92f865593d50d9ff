"""A small study of every kind of part, computed once, for tests of what else must give its bytes."""

import pytest
from small import study

from jgmm.study import run as runner


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """The folder of `small.study()`, never written to again."""
    out = tmp_path_factory.mktemp("growth") / "fresh"
    runner.run_study(study(), out)
    return out
