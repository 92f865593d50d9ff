"""Two devices, enforced shapes, no silent promotion, and one folder of compiled programs, for every test."""

import os
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processes side by side, and small matrices

import jax
import pytest
from jaxtyping import install_import_hook

from jgmm import machine

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # once: the workers and what the tests start have it from here
    programs = tempfile.TemporaryDirectory(prefix="jgmm-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs.name
machine.prepare(devices=2, cache=machine.cache_folder())  # before JAX starts
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
