"""What several tests of the engine use: a folder of kept programs."""

import pytest

from jgmm.engine import cache


@pytest.fixture
def folder(tmp_path):
    """The folder that the cache is configured for."""
    cache.configure(tmp_path / "code")
    yield tmp_path / "code"
    cache.configure(None)
