r"""Which kernel drives a stream: `fused`, a whole block of samples in one launch on a GPU, or `scan`, a step at a time.

`choose` decides from the device, the versions and what a run holds, and says why; nothing falls back silently.
"""

import re
from typing import Any, NamedTuple

import jax
import numpy as np

NAMES = ("auto", "fused", "scan")
INTERPRETED = "interpreted"  # fused, as a test of it on a CPU
OLDEST_JAX = (0, 11)  # Mosaic has no square root before
CAPABILITY = (9, 0)  # what Mosaic compiles for
MOST_NUMBERS = 800  # of 32 bits that a run may hold; 255 registers, the rest spills (benchmarks/README.md)
RUN_RATE = 2.3e6  # samples a second that one thread takes in at d = 10, k = 5: 753 cycles at 1.755 GHz, not measured
CORE_RATE = 25e6  # and a CPU core, with many runs (benchmarks/README.md)


class NotOnVectors(ValueError):
    """A function does something that cannot be done run by run, in registers."""


class Choice(NamedTuple):
    """A kernel and the reason for it, in words."""

    kernel: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kernel}: {self.reason}"


def choose(wanted: str, *, device: Any, numbers: int, runs: int, dtype: Any, obstacle: str | None = None) -> Choice:
    """The kernel for runs of `dtype` on this device, each holding so many numbers.

    wanted: auto, fused or scan. obstacle: why the algorithm cannot be fused, if it cannot.
    Raises ValueError for another name, and where fused is wanted and impossible.
    """
    if wanted == INTERPRETED:
        return Choice(wanted, "as a test")
    if wanted not in NAMES:
        raise ValueError(f"kernel is {wanted!r}, expected one of {', '.join(NAMES)}")
    if wanted == "scan":
        return Choice("scan", "asked for")
    why_not = _impossible(device, dtype) or obstacle
    if wanted == "fused":
        if why_not:
            raise ValueError(f"kernel is 'fused', but {why_not}: expected --kernel auto or scan")
        return Choice("fused", "asked for" + _spilled(numbers))
    if why_not:
        return Choice("scan", why_not)
    if numbers > MOST_NUMBERS:
        return Choice("scan", f"a run holds {numbers} numbers, more than {MOST_NUMBERS}: a thread would live in memory")
    few = int(CORE_RATE / RUN_RATE)
    small = f"; fewer than about {few} runs for each core of a CPU go faster there" if runs < 8 * few else ""
    return Choice("fused", f"one launch for a block of the stream, {numbers} numbers a run{_spilled(numbers)}{small}")


def _impossible(device: Any, dtype: Any) -> str | None:
    if device.platform == "cpu":
        return "the device is a CPU"
    if device.platform not in ("gpu", "cuda") or "rocm" in str(getattr(device.client, "platform_version", "")).lower():
        return f"the device is {device.device_kind}, no NVIDIA GPU"
    capability = str(getattr(device, "compute_capability", "0.0"))
    if tuple(map(int, capability.split("."))) < CAPABILITY:
        return f"the GPU's compute capability is {capability}, below 9.0"
    if version(jax.__version__) < OLDEST_JAX:
        return f"JAX is {jax.__version__}, older than 0.11"
    if np.dtype(dtype) != np.float32:
        return f"the numbers are {np.dtype(dtype)}, not float32"
    return None


def _spilled(numbers: int) -> str:
    return ", some of them in local memory" if numbers > 190 else ""


def version(text: str) -> tuple[int, int]:
    """Major and minor."""
    found = re.match(r"(\d+)\.(\d+)", text)
    assert found is not None
    return int(found[1]), int(found[2])
