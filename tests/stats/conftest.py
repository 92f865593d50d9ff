"""Statistics are NumPy alone: no JAX to be strict about."""

import pytest


@pytest.fixture(autouse=True)
def strict():
    """In place of the fixture of all tests."""
