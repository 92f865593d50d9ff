"""What a sample costs where the dimension is reduced, beside direct streams: all in turns, in one process.

    python benchmarks/reduction.py OUT.json

Rates are per second of a core's own time, times the cores, so that what else the machine does falls out of them but for
what it takes of caches and clocks; the range is that over the rounds.
"""

import json
import os
import sys
import time
from pathlib import Path

import about
import jax

import jgmm
from jgmm import mixture, start, steps
from jgmm.algorithms.lloyd import LLOYD
from jgmm.engine import cpu, reduction, together

RUNS, RATE, ROUNDS, SECONDS = 256, 0.01, 5, 1.5
CASES = {  # k, d, whether it is reduced, whether twins stream beside
    "direct (10, 5)": (5, 10, False, False),
    "direct (1000, 5)": (5, 1000, False, False),
    "reduced (100, 5)": (5, 100, True, False),
    "reduced (1000, 5)": (5, 1000, True, False),
    "reduced (1000000, 5)": (5, 10**6, True, False),
    "reduced (1000000, 5), twins": (5, 10**6, True, True),
    "reduced (1000000, 2)": (2, 10**6, True, False),
    "reduced (1000000, 3), twins": (3, 10**6, True, True),
}


def opened(k, d, reduced, twin):
    """A stream of RUNS runs."""
    made = mixture.simplex(k, k if reduced else d, separation=4.0)
    batch = jgmm.batch(jax.random.key(1), range(RUNS), made, d=d if reduced else None)
    size, begin = steps.constant(RATE), start.offset_start(jax.random.key(2), batch, 0.5)
    batch, begin = reduction.prepared(batch, LLOYD, begin, size, twin=twin)
    ready = together.ready(batch, LLOYD, begin, steps=size, twin=twin)
    return cpu.open(ready.kernel, batch.words, ready.state, ready.params, ready.source)


def rate(stream, count):
    """Samples of all runs in a second of all cores."""
    before = time.process_time()
    stream.advance(count)
    return RUNS * count / (time.process_time() - before) * (os.cpu_count() or 1)


def main(path):
    """Measure, and write."""
    environment = about.environment()
    streams = {name: opened(*case) for name, case in CASES.items()}
    counts = {name: max(64, int(SECONDS * rate(stream, 64) / RUNS)) for name, stream in streams.items()}
    rates = {name: [] for name in streams}
    for _ in range(ROUNDS):
        for name, stream in streams.items():
            rates[name].append(rate(stream, counts[name]))
    middle = {name: sorted(found)[ROUNDS // 2] for name, found in rates.items()}
    ratios = {
        "d = 1e6 over d = 100": middle["reduced (1000000, 5)"] / middle["reduced (100, 5)"],
        "d = 1000, reduced over direct": middle["reduced (1000, 5)"] / middle["direct (1000, 5)"],
        "d = 1e6 over direct (10, 5)": middle["reduced (1000000, 5)"] / middle["direct (10, 5)"],
    }
    found = {name: {"samples_per_second": middle[name], "rounds": sorted(rates[name])} for name in rates}
    with Path(path).open("w", encoding="utf-8") as file:
        json.dump({"environment": environment, "runs": RUNS, "ratios": ratios, "cases": found}, file, indent=1)
        file.write("\n")
    print(json.dumps({"ratios": ratios, "samples_per_second": middle}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
