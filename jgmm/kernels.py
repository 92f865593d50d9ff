r"""Which kernel drives a stream: `fused`, a whole block of samples in one launch on a GPU, or `scan`, a step at a time.

`choose` decides from the device, the versions and what a run holds, and says why; nothing falls back silently. How many
threads share a run depends on its shape alone, since sums over its coordinates are rounded in an order of theirs.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from jgmm import doors

NAMES = ("auto", "fused", "scan")
INTERPRETED = "interpreted"  # fused, as a test of it on a CPU
OLDEST_JAX = (0, 11)  # Mosaic has no square root before
CAPABILITY = (9, 0)  # what Mosaic compiles for
MOST_THREADS = 32  # of a run: a warp, which adds up over its threads without going through memory
FEW_NUMBERS = 210  # of 32 bits in a thread: of its 255 registers, some 45 are for what is computed
MOST_NUMBERS = 600  # beyond FEW_NUMBERS they spill to local memory, still a cache (benchmarks/README.md)
RUN_RATE = 2.4e6  # samples a second that one thread takes in at d = 10, k = 5, on an H100 (benchmarks/README.md)
CORE_RATE = 25e6  # and a CPU core, with many runs (benchmarks/README.md)


class NotOnVectors(ValueError):
    """A function does something that cannot be done run by run, in registers."""


@jax.tree_util.register_static  # a record that holds one is still a tree of arrays
@dataclass(frozen=True)
class Choice:
    """A kernel, the reason for it in words, and how many threads a run has where it is fused."""

    kernel: str
    reason: str
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.kernel}: {self.reason}"


class Held(NamedTuple):
    """The numbers of 32 bits that a run holds: some for each pair of coordinates, the others in each of its threads."""

    each_pair: int
    others: int
    pairs: int

    def in_thread(self, threads: int) -> int:
        """Of them in a thread, where the run has so many."""
        return self.others + self.each_pair * -(-self.pairs // threads)


def choose(wanted: str, *, device: Any, held: Held, runs: int, dtype: Any, obstacle: str | None = None) -> Choice:
    """The kernel for runs of `dtype` on this device.

    wanted: auto, fused or scan. obstacle: why the algorithm cannot be fused, if it cannot.
    Raises ValueError for another name, and where fused is wanted and impossible.
    """
    threads = threads_of(held)
    if not isinstance(wanted, str) or wanted not in (*NAMES, INTERPRETED):
        raise doors.bad("kernel", wanted, f"one of {', '.join(NAMES)}")
    if wanted == INTERPRETED:
        return Choice(wanted, "as a test", threads)
    if wanted == "scan":
        return Choice("scan", "asked for")
    why_not = _impossible(device, dtype) or obstacle
    if wanted == "fused" and why_not:
        raise ValueError(f"kernel is 'fused', but {why_not}: expected --kernel auto or scan")
    numbers = held.in_thread(threads)
    spilled = ", some in local memory" if numbers > FEW_NUMBERS else ""
    shared = f"{threads} threads a run" if threads > 1 else "a thread a run"
    what = f"{shared}, {numbers} numbers in each{spilled}"
    if wanted == "fused":
        return Choice("fused", f"asked for; {what}", threads)
    if why_not:
        return Choice("scan", why_not)
    if numbers > MOST_NUMBERS:
        return Choice("scan", f"a thread would hold {numbers} numbers, over {MOST_NUMBERS}, most of them in memory")
    few = int(CORE_RATE / RUN_RATE)
    small = f"; fewer than about {few} runs for each core of a CPU go faster there" if runs < 8 * few else ""
    return Choice("fused", f"many samples a launch, {what}{small}", threads)


def threads_of(held: Held) -> int:
    """The fewest threads, a power of two, that hold a run in registers; as many as there can be where none do."""
    threads = 1
    while held.in_thread(threads) > FEW_NUMBERS and 2 * threads <= min(held.pairs, MOST_THREADS):
        threads *= 2
    return threads


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


def version(text: str) -> tuple[int, int]:
    """Major and minor."""
    found = re.match(r"(\d+)\.(\d+)", text)
    assert found is not None
    return int(found[1]), int(found[2])
