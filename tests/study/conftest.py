"""What several tests of studies use: a small study that is computed once, and one whose runs are made up."""

import folders
import pytest
from small import study

from jgmm.study import run as runner


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """The folder of `small.study()`, never written to again."""
    out = tmp_path_factory.mktemp("growth") / "fresh"
    runner.run_study(study(), out)
    return out


@pytest.fixture
def made_up(monkeypatch):
    """Runs are made up, not simulated."""
    folders.make_up(monkeypatch)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished study whose runs are made up, never written to again."""
    return folders.finished(tmp_path_factory.mktemp("finished"))
