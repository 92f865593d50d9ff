"""Two devices, enforced shapes, no silent promotion, and one folder of compiled programs, for every test.

Compiled programs are kept from one run of the tests to the next, in pytest's own folder: compiling them takes longer
than the tests do. JAX_COMPILATION_CACHE_DIR names another folder.
"""

import os
import shutil
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: processes side by side, and small matrices

import jax
import pytest
from jaxtyping import install_import_hook

from jgmm.engine import machine

KEPT_BYTES = 2**28  # of programs, of which one run of all tests leaves a tenth: those of changed code pile up


def programs() -> Path:
    """The folder of compiled programs for this kind of CPU, emptied when it has grown too large."""
    folder = Path(__file__).parents[1] / ".pytest_cache" / "programs" / machine.cache_folder().name
    if sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) > KEPT_BYTES:
        shutil.rmtree(folder)
    return folder


if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # once: the workers and what the tests start have it from here
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(programs())
machine.prepare(devices=2, cache=machine.cache_folder())  # before JAX starts
SHAPED = ["elementary", "lanes", "threefry", "loops", "mixture", "algorithms", "errors", "start", "steps"]
SHAPED += ["engine.runs", "engine.together", "engine.run", "engine.scan", "engine.choose"]
hook = install_import_hook([f"jgmm.{name}" for name in SHAPED], "beartype.beartype")


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield
