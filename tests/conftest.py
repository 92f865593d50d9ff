"""Two devices, enforced shapes, and no silent promotion, for every test."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processes side by side, and small matrices

import jax
import pytest
from jaxtyping import install_import_hook

from jgmm import machine

machine.prepare(devices=2)  # before JAX starts
KERNELS = ["lanes", "loops", "mixture", "lloyd", "em", "soft", "pca", "stream", "metrics", "seeding", "trials"]
hook = install_import_hook([f"jgmm.{name}" for name in KERNELS], "beartype.beartype")


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
