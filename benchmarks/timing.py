"""How the benchmarks here time their contenders: in turns, in one process, the first call apart.

A contender's first call is timed by itself (compilers and all). Then n is set so that the samples of a call take about
`seconds`, or nine times what a call takes beside its samples where that is more: a study streams so long that this
hardly counts. After that come the rounds, in which the contenders take turns, each round beginning with another one.
What else the machine does falls on all of them, and shows in the range over the rounds.
"""

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import metadata
from typing import NamedTuple

import about
import numpy as np


class Contender(NamedTuple):
    """A way of doing the work, and how to tell that it did it."""

    stream: Callable  # n -> (runs, samples of each, what it found); returns when that is on the host
    check: Callable  # what it found -> entries of the record, `error_over_law` among them; RuntimeError if it is wrong
    notes: dict  # more entries of the record


def timed(stream, n):
    """Seconds, and what the call returned."""
    start = time.perf_counter()
    returned = stream(n)
    return time.perf_counter() - start, *returned


def calibrate(stream, *, seconds, least):
    """The n, no less than `least`, with which a call is long enough."""
    base = min(timed(stream, least)[0] for _ in range(2))
    n, elapsed = least, base
    while elapsed - base < seconds / 4:
        n *= 4
        elapsed = timed(stream, n)[0]
    each = (elapsed - base) / (n - least)
    beside = max(0, base - least * each)
    return max(least, round(max(seconds, 9 * beside) / each))


def measure(contenders, *, setting, seconds, rounds, least):
    """A record for each contender (a dictionary by name), `setting` in all of them.

    seconds: as above, or None where n is always `least`, the smallest n.
    """
    records, sizes = {}, {}
    for name, (stream, _, notes) in contenders.items():
        first, *_ = timed(stream, least)
        sizes[name] = least if seconds is None else calibrate(stream, seconds=seconds, least=least)
        records[name] = {**setting, "name": name, **notes, "first_call_seconds": first, "samples_a_second": []}
        records[name]["samples_a_cpu_second"] = []
    names = list(contenders)
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            before = time.process_time()
            elapsed, runs, samples, found = timed(contenders[name].stream, sizes[name])
            spent = time.process_time() - before  # of all threads
            records[name]["samples_a_second"].append(runs * samples / elapsed)
            records[name]["samples_a_cpu_second"].append(runs * samples / spent)
            records[name] |= {"runs_streamed": runs, "samples_a_run": samples, **contenders[name].check(found)}
    for record in records.values():
        record["median"] = float(np.median(record["samples_a_second"]))
    return list(records.values())


def short(number):
    """Three digits, thousands set apart."""
    return f"{float(f'{number:.3g}'):,g}"


def table(records, *, ours="jgmm"):
    """The records of one setting as lines of text, with `ours` over each: of the medians, and the rounds' range."""
    us = next((np.array(r["samples_a_second"]) for r in records if r["name"] == ours), None)
    yield f"{'':16}{'M samples/s':>12}{'min':>10}{'max':>10}{'first call, s':>15}{'error/law':>11}   {ours} over it"
    for record in records:
        rates = np.array(record["samples_a_second"])
        median, low, high = np.median(rates) / 1e6, rates.min() / 1e6, rates.max() / 1e6
        error = "" if record["error_over_law"] is None else f"{record['error_over_law']:.3f}"
        line = (
            f"{record['name']:16}{median:12.4g}{low:10.4g}{high:10.4g}{record['first_call_seconds']:15.2f}{error:>11}"
        )
        if us is not None and record["name"] != ours:
            each = us / rates
            line += f"   {short(np.median(us) / np.median(rates))} ({short(each.min())} to {short(each.max())})"
        yield line.rstrip()


def optional(module):
    """The module, or None where it, or what it needs, is not installed."""
    # Numba asks for the package `coverage`, can do without it, and cannot do with the benchmark of that name.
    before = sys.modules.get("coverage")
    sys.modules["coverage"] = None
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
    finally:
        sys.modules.pop("coverage")
        if before is not None:
            sys.modules["coverage"] = before


def one_thread():
    """BLAS and OpenMP without threads: for small work, waiting for them takes 10 times longer on a busy machine."""
    threadpoolctl = optional("threadpoolctl")
    return threadpoolctl.threadpool_limits(1) if threadpoolctl else nullcontext()


def installed(package):
    """A package's version; None if it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def compiler(command="cc"):
    """The first line of what the C compiler says of itself; None if there is none."""
    try:
        return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return None


def environment(packages):
    """Device, commit and versions."""
    return {**about.environment(), **{package: installed(package) for package in packages}}


def save(path, **report):
    """Written after each setting, so that a run that is stopped keeps what it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
