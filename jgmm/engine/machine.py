"""What to tell JAX before it starts: a device for each core, and a place for compiled programs.

Nothing here changes a result. All of it is for the process as a whole, so it is the caller's choice: the command line
makes it, and so can a script, before it first asks JAX for anything.
"""

import atexit
import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import platformdirs

from jgmm.engine import cache as code
from jgmm.engine import programs


def prepare(*, devices: int | None = None, cache: Path | None = None) -> None:
    """Prepare JAX for CPU cores; an accelerator, if there is one, is kept.

    devices: how many devices the CPU is split into (by default the cores that this process may use). cache: the folder
    where XLA's compiled programs are kept from one process to the next, checked now and sealed at the end (`programs`),
    and in its part `code` the machine code of the CPU's and the GPU's back ends (`engine.cache`); None keeps none.
    Call it before JAX starts: afterwards JAX raises RuntimeError.
    """
    jax.config.update("jax_num_cpu_devices", cores() if devices is None else devices)
    jax.config.update("jax_compilation_cache_dir", None if cache is None else str(cache))
    code.configure(None if cache is None else cache / "code")
    if cache is not None:
        programs.check(cache)
        atexit.register(programs.seal, cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_gpu() -> bool:
    """Whether JAX's devices are GPUs."""
    return jax.devices()[0].platform == "gpu"


@contextmanager
def on_host() -> Iterator[None]:
    """Within it, JAX makes arrays on a CPU, unless it was told to have none: arrays that belong to no device yet.

    Keys give the same bits there whatever JAX_THREEFRY_PARTITIONABLE says.
    """
    with jax.default_device(host()), jax.threefry_partitionable(True):
        yield


@lru_cache
def host() -> Any:
    """A device of the CPU; of whatever there is, where JAX was told to have no CPU (JAX_PLATFORMS=cuda)."""
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:
        return jax.local_devices()[0]


def cache_folder() -> Path:
    """Where the command line keeps compiled programs: JAX_COMPILATION_CACHE_DIR, or `jgmm/xla` of the user's caches.

    There each kind of CPU has a folder: a home may be shared by machines, and one's programs can be another's illegal
    instructions, of which XLA only warns.
    """
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(given) if given else platformdirs.user_cache_path("jgmm") / "xla" / _cpu()


def _cpu() -> str:
    """A name for what this CPU can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join([platform.machine(), platform.processor(), *told]).encode()).hexdigest()[:12]
