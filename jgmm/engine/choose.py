"""Which back end takes a stream: one function decides, and says why. Nothing falls back silently.

cpu     one program for all machines, on the cores of this one
gpu     the same program, on NVIDIA cards
scan    XLA's loops, on whatever JAX has: the reference
"""

import importlib
import importlib.util
from typing import Any

import jax

from jgmm import doors
from jgmm.contract import Choice, Kernel, Refused, Stream
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Source

NAMES = ("auto", "cpu", "gpu", "scan")
OPEN = ("cpu", "gpu", "scan")  # that have an `open` and a `draw` in this version


def opened(
    back_end: str, kernel: Kernel, words: LaneState, state: Any, params: Any, mixture: Mixture | Source
) -> tuple[Stream, Choice]:
    """A stream of these runs, opened by the back end of this name or the best one (auto); and which it is, and why.

    See `contract.Stream` for the arguments. Raises ValueError for an unknown name, and if a back end that is asked for
    cannot take the stream.
    """
    choice = choose(back_end)
    try:
        return load(choice.name).open(kernel, words, state, params, mixture), choice
    except Refused as error:
        if back_end != "auto":
            raise ValueError(f"back_end is {back_end!r}, but {error}: expected auto or scan") from None
        return load("scan").open(kernel, words, state, params, mixture), Choice("scan", str(error))


def choose(back_end: str) -> Choice:
    """The back end for this machine, before it is known what is to stream. Raises ValueError as `opened` does."""
    doors.choice("back_end", back_end, NAMES)
    if back_end == "auto":
        name, why = _best()
        why_not = obstacle(name)
        return Choice("scan", why_not) if why_not else Choice(name, why)
    why_not = obstacle(back_end)
    if why_not:
        raise ValueError(f"back_end is {back_end!r}, but {why_not}: expected auto or scan")
    return Choice(back_end, "asked for")


def obstacle(name: str) -> str | None:
    """Why this back end cannot be on this machine, if it cannot."""
    best, why = _best()
    if name == "gpu" and best != "gpu":
        return why
    if name not in OPEN:
        return f"this version has no back end {name!r}"
    if name != "scan" and importlib.util.find_spec("llvmlite") is None:
        return "llvmlite is not installed"
    return load("gpu").available(jax.devices()[0]) if name == "gpu" else None


def load(name: str) -> Any:
    """The module of a back end."""
    return importlib.import_module(f"jgmm.engine.{name}")


def _best() -> tuple[str, str]:
    """What this machine's first device is for, and what it is."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return "cpu", "the device is a CPU"
    rocm = "rocm" in str(getattr(device.client, "platform_version", "")).lower()
    if device.platform in ("gpu", "cuda") and not rocm:
        return "gpu", "the device is an NVIDIA GPU"
    return "scan", f"the device is {device.device_kind}, no CPU and no NVIDIA GPU"
