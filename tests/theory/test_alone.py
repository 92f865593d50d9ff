"""Formulas stand alone: no JAX, no SciPy for theorems; what they import of jgmm is held by tests/test_arrows.py."""

import subprocess
import sys

import pytest

from jgmm import theory


@pytest.mark.parametrize(
    ("module", "unwanted"), [("jgmm.theory.expected", "jax"), ("jgmm.theory.bounds", "scipy")], ids=str
)
def test_laws_are_known_without_jax_and_theorems_without_scipy(module, unwanted):
    """In a process of its own, since other tests have loaded both here."""
    code = f"import {module}, sys; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_where_the_package_says():
    assert all(getattr(theory, name) is not None for name in theory.__all__)
