"""JAX as a command needs it: programs that are kept, float32 or float64, and a device."""

import os
import sys
from pathlib import Path

import jax

from jgmm.engine import cache, machine
from jgmm.process import fault


def start_jax(*, x64: bool, keep_programs: bool) -> None:
    """Set JAX up as `machine.prepare` does, and start it.

    Raises ValueError, a line, where JAX finds no device of the platform that it is told to take.
    """
    machine.prepare(cache=folder_of_programs() if keep_programs else None)
    tell_of_code()
    jax.config.update("jax_enable_x64", x64)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        asked = os.environ.get("JAX_PLATFORMS")
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        told = f"JAX_PLATFORMS is {asked!r}, expected platforms that this machine has" if asked else "no device"
        raise ValueError(f"JAX cannot start: {told} ({why})") from None


def folder_of_programs() -> Path | None:
    """The folder of compiled programs, made if need be; None, with a note on standard error, if there is no place."""
    try:
        folder = machine.cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except OSError as error:
        why = fault(error)
    except (RuntimeError, KeyError):  # no home, and a user that is not known
        why = "no home folder"
    print(f"jgmm: compiled programs are not kept ({why}); JAX_COMPILATION_CACHE_DIR names a place", file=sys.stderr)
    return None


def tell_of_code() -> None:
    """A note on standard error where machine code cannot be kept, once."""
    why = cache.fault()
    if why:
        print(f"jgmm: {why}", file=sys.stderr)
