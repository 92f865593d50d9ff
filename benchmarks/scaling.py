r"""How do throughput and memory grow with runs, dimensions, components, samples and devices?

A printout (part of it; 2 cores of a virtual AMD EPYC with AVX2, shared with other work, JAX 0.12.0.1):

    peak memory against N, (d, k) = (2, 2), 64 runs, MB
            N   started      peak   if kept
       100000     330.0     330.1        51
      1000000     330.4     330.4       512
     10000000     327.7     327.7      5120
    N = 1e+07 over 1e+05: 0.993 (target: 0.9 to 1.1)

    (2, 2): 2 devices over 1: 1.84 (1.82 to 2.10), busy cores 1.00 and 1.82
    (10, 5): 2 devices over 1: 1.86 (1.79 to 1.88), busy cores 1.00 and 1.89
    (50, 10): 2 devices over 1: 1.96 (1.26 to 2.02), busy cores 1.01 and 1.70
    (100, 20): 2 devices over 1: 1.52 (0.99 to 1.57), busy cores 1.04 and 1.82

Targets: the cost of a sample does not depend on N; peak memory is within 10 % from N = 1e5 to 1e7, and beyond the
start-up cost at most 3 times the state of the runs.

Throughput: samples a second (of all runs together) of `jgmm.run` with one checkpoint, its two measurements of
the error included, from random means that are far apart (what is drawn has no effect on the time). Each point compiles
in a first call and warms up while n is chosen so that a call takes `--seconds`; then all points of a section take
turns, `--rounds` times, forwards and backwards, and the median and range are told. "G k d/s" is samples a second times
k d, in 1e9: were the nearest centre all the work, it would be level. Against N, n is given, and as many calls are made
as fill `--seconds`: a call has a fixed cost (its start, its errors), measured with n = 16 and told apart. One device
against all: the ratio of each round, and the cores that were busy (processor time over wall time), since XLA may give
one device several threads.

Memory: each figure is a fresh process, the mean of two, that streams 16 samples of 32 runs ("started") and then
what the row says ("peak"). Both are `resource.getrusage(RUSAGE_SELF).ru_maxrss`, the most that the process ever held.
"state" is what the stream carries: four words a lane, the mixtures, and the origins and offsets of the centres. Peak
less started holds the compiler's work on the second program too, so it says little where the state is small. "record"
is what `run_lloyd` returns, float64 on the host, and part of the peak.

    python benchmarks/scaling.py [--seconds 0.5] [--rounds 5] [--json PATH]

Writes benchmarks/results/scaling-py<version>.json. Under ten minutes on two cores; on CPU, whatever else there is.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import about

# No JAX and no NumPy up here: a child's ru_maxrss starts at the size of the process that spawned it. The throughput,
# which needs them, comes after the memory and imports them then.

RESULTS = Path(__file__).parent / "results"
RATE = 0.01
PROCESSES = 2  # for each figure of memory
RUNS = [16, 64, 256, 1024, 4096, 16384]
DIMENSIONS = [2, 5, 10, 20, 50, 100, 200]
COMPONENTS = [2, 5, 10, 20, 40]
SAMPLES = [10**4, 10**5, 10**6]
SHAPES = [(2, 2), (10, 5), (50, 10), (100, 20)]  # (d, k)
PEAK_SAMPLES = [10**5, 10**6, 10**7]
PEAK_RUNS = [256, 4096, 65536]

CHILD = """
import json, os, platform, resource, sys
import jax
jax.config.update("jax_platforms", "cpu")
import jgmm
from jgmm.engine import machine
from jgmm import mixture
machine.prepare()
import numpy as np

d, k, runs, n = map(int, sys.argv[1:5])
rate = float(sys.argv[5])
unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes there, in KiB on Linux

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

def stream(runs, n):
    batch = jgmm.batch(jax.random.key(0), range(runs), truth)
    return batch, jgmm.run(batch, "lloyd", batch.mixture.means, steps=rate, checkpoints=[n])

def size(tree):
    return sum(x.nbytes for x in jax.tree.leaves(tree))

truth = mixture.given(20 * np.random.default_rng(0).normal(size=(k, d)))
stream(32, 16)
started = peak()
batch, record = stream(runs, n)
found = {"started": started, "peak": peak()}
assert record.samples[-1] == n and np.isfinite(record.error.error_sq).all()
found["state"] = size((batch.words, batch.mixture)) + 2 * batch.mixture.means.nbytes  # origins and offsets
print(json.dumps({**found, "record": size(record), "devices": len(jax.devices())}))
"""


def peaks(cases):
    """Peak memory of each case in bytes, means over processes that take turns; each of them under "all"."""
    found = [[] for _ in cases]
    for _ in range(PROCESSES):
        for case, mine in zip(cases, found, strict=True):
            sizes = [str(case[name]) for name in ("d", "k", "runs", "n")]
            call = [sys.executable, "-c", CHILD, *sizes, str(RATE)]
            started = time.perf_counter()
            child = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=True)
            mine.append({**json.loads(child.stdout), "seconds": time.perf_counter() - started})
    rows = []
    for case, mine in zip(cases, found, strict=True):
        mean = {name: statistics.mean(child[name] for child in mine) for name in mine[0]}
        mean["beyond"] = mean["peak"] - mean["started"]
        rows.append({**case, **mean, "multiple": mean["beyond"] / mean["state"], "all": mine})
    return rows


def memory():
    """Peak memory against samples and against runs."""
    against_samples = peaks([{"d": 2, "k": 2, "runs": 64, "n": n} for n in PEAK_SAMPLES])
    print("peak memory against N, (d, k) = (2, 2), 64 runs, MB")
    print(f"{'N':>9}{'started':>10}{'peak':>10}{'if kept':>10}")
    for row in against_samples:
        kept = 4 * row["d"] * row["n"] * row["runs"]
        print(f"{row['n']:9d}{row['started'] / 1e6:10.1f}{row['peak'] / 1e6:10.1f}{kept / 1e6:10.0f}")
    ratio = against_samples[-1]["peak"] / against_samples[0]["peak"]
    print(f"N = {PEAK_SAMPLES[-1]:.0e} over {PEAK_SAMPLES[0]:.0e}: {ratio:.3f} (target: 0.9 to 1.1)\n", flush=True)

    against_runs = peaks([{"d": 10, "k": 5, "runs": runs, "n": 1000} for runs in PEAK_RUNS])
    print("peak memory against runs, (d, k) = (10, 5), N = 1000, MB")
    print(f"{'runs':>9}{'started':>10}{'peak':>10}{'beyond':>10}{'state':>10}{'record':>10}{'beyond/state':>14}")
    for row in against_runs:
        columns = (f"{row[name] / 1e6:10.1f}" for name in ("started", "peak", "beyond", "state", "record"))
        print(f"{row['runs']:9d}{''.join(columns)}{row['multiple']:14.1f}")
    print(f"{PEAK_RUNS[-1]} runs: {against_runs[-1]['multiple']:.1f} times the state (target: at most 3)\n", flush=True)
    return {
        "memory_against_samples": {"rows": against_samples, "ratio": ratio},
        "memory_against_runs": {"rows": against_runs, "multiple": against_runs[-1]["multiple"]},
    }


def prepare(*, d, k, runs, devices=None):
    """n -> a streaming of n samples a run, on the first so many devices (all by default), that ends on the host."""
    import jax
    import numpy as np

    import jgmm
    from jgmm import mixture
    from jgmm.algorithms.lloyd import LLOYD
    from jgmm.engine import scan, together

    truth = mixture.given(20 * np.random.default_rng(0).normal(size=(k, d)))
    batch = jgmm.batch(jax.random.key(0), range(runs), truth)
    ready = together.ready(batch, LLOYD, batch.mixture.means, steps=RATE)
    given = ready.kernel, batch.words, ready.state, ready.params, batch.mixture

    def stream(n):
        if devices is None:
            found = jgmm.run(batch, LLOYD, batch.mixture.means, steps=RATE, checkpoints=[n]).centres
        else:
            opened = scan.open(*given, devices=jax.devices()[:devices])
            opened.advance(n)
            found = opened.state().centres.offset
        if not np.isfinite(found).all():
            raise RuntimeError(f"d={d}, k={k}, {runs} runs of {n} samples: expected finite centres")

    return stream


def timed(stream, n, calls=1):
    """Seconds of so many calls, and the cores that were busy meanwhile."""
    start, start_busy = time.perf_counter(), time.process_time()
    for _ in range(calls):
        stream(n)
    elapsed = time.perf_counter() - start
    return elapsed, (time.process_time() - start_busy) / elapsed


def measure(title, cases, *, seconds, rounds):
    """Rows of rates, a rate for each round, the cases taking turns. A case: d, k, runs, and maybe devices and n."""
    streams, rows = [], []
    for case in cases:
        stream = prepare(**{name: value for name, value in case.items() if name != "n"})
        first, _ = timed(stream, 16)
        fixed, _ = timed(stream, 16)
        if "n" in case:
            n = case["n"]
            elapsed, _ = timed(stream, n)
            calls = max(1, round(seconds / elapsed))
        else:
            n, calls = 256, 1
            while (elapsed := timed(stream, n)[0]) < seconds / 4:
                n *= 4
            n = max(16, round(n * seconds / elapsed))
        streams.append(stream)
        given = {"n": n, "calls": calls, "first_call_seconds": first, "fixed_seconds": fixed}
        rows.append({**case, **given, "samples_a_second": [], "busy_cores": []})
    pairs = list(zip(streams, rows, strict=True))
    for turn in range(rounds):
        for stream, row in pairs if turn % 2 == 0 else pairs[::-1]:
            elapsed, busy = timed(stream, row["n"], row["calls"])
            row["samples_a_second"].append(row["runs"] * row["n"] * row["calls"] / elapsed)
            row["busy_cores"].append(busy)
    print(title)
    print(f"{'d':>5}{'k':>5}{'runs':>7}{'devices':>9}{'N':>10}{'M samples/s':>13}{'min':>8}{'max':>8}{'G k d/s':>9}")
    for row in rows:
        row["median"] = statistics.median(row["samples_a_second"])
        sizes = f"{row['d']:5d}{row['k']:5d}{row['runs']:7d}{row.get('devices', 'all'):>9}{row['n']:10d}"
        rates = [rate / 1e6 for rate in (row["median"], min(row["samples_a_second"]), max(row["samples_a_second"]))]
        work = row["median"] * row["d"] * row["k"] / 1e9
        print(f"{sizes}{rates[0]:13.2f}{rates[1]:8.2f}{rates[2]:8.2f}{work:9.2f}")
    return rows


def throughput(seconds, rounds):
    """Samples a second against runs, d, k, N and devices."""
    import jax

    from jgmm.engine import machine

    jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    found = {}

    def section(name, title, cases):
        rows = measure(title, cases, seconds=seconds, rounds=rounds)
        found[name] = {"rows": rows}
        return rows

    section("runs", "throughput against runs", [{"d": 10, "k": 5, "runs": runs} for runs in RUNS])
    print()
    section("d", "throughput against d", [{"d": d, "k": 5, "runs": 256} for d in DIMENSIONS])
    print()
    section("k", "throughput against k", [{"d": 40, "k": k, "runs": 256} for k in COMPONENTS])
    print(flush=True)

    rows = section("n", "throughput against N", [{"d": 10, "k": 5, "runs": 256, "n": n} for n in SAMPLES])
    # Of the rounds' own ratios: what else the machine does then shows in fewer of them.
    for row in rows:
        each = zip(rows[-1]["samples_a_second"], row["samples_a_second"], strict=True)
        row["cost_over_last"] = statistics.median(last / mine for last, mine in each)
    fixed = statistics.median(row["fixed_seconds"] for row in rows)
    found["n"]["fixed_seconds"] = fixed
    costs = ", ".join(f"{row['cost_over_last']:.3f} (N = {row['n']:.0e})" for row in rows[:-1])
    print(f"cost of a sample over that at N = {SAMPLES[-1]:.0e}: {costs} (target: 1)")
    print(f"a call of 16 samples: {1e3 * fixed:.1f} ms\n", flush=True)

    count = len(jax.devices())
    cases = [{"d": d, "k": k, "runs": 256, "devices": used} for d, k in SHAPES for used in (1, count)]
    rows = section("devices", "throughput against devices (a device is a core)", cases)
    found["devices"]["ratios"] = ratios = []
    for one, every in zip(rows[::2], rows[1::2], strict=True):
        each = [b / a for a, b in zip(one["samples_a_second"], every["samples_a_second"], strict=True)]
        ratio = {"d": one["d"], "k": one["k"], "median": statistics.median(each), "each": each}
        ratio["busy_cores"] = [statistics.median(row["busy_cores"]) for row in (one, every)]
        ratios.append(ratio)
        busy = "busy cores {:.2f} and {:.2f}".format(*ratio["busy_cores"])
        spread = f"{min(each):.2f} to {max(each):.2f}"
        print(f"({one['d']}, {one['k']}): {count} devices over 1: {ratio['median']:.2f} ({spread}), {busy}")
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description="Throughput and memory of streaming Lloyd against its sizes.")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a timed call")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each point")
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    parser.add_argument("--json", type=Path, default=RESULTS / f"scaling-py{python}.json", help="where to write")
    args = parser.parse_args(argv)
    if not args.seconds > 0 or args.rounds < 1:
        parser.error(f"--seconds is {args.seconds} and --rounds {args.rounds}, expected more than 0 and at least 1")

    here = {**about.environment(), "jax": version("jax")}
    print(f"streaming Lloyd; medians of {args.rounds} rounds of {args.seconds:g} s; memory: means of {PROCESSES}")
    print(f"{here['device']}, {here['cores']} cores; Python {here['python']}, JAX {here['jax']}")
    print(f"commit {here['commit']}\n", flush=True)
    started = time.perf_counter()
    sections = memory()
    sections |= throughput(args.seconds, args.rounds)
    took = time.perf_counter() - started
    print(f"\n{took:.0f} s in all")

    options = {"seconds": args.seconds, "rounds": args.rounds, "processes": PROCESSES, "rate": RATE}
    report = {"environment": here, "options": options, "sections": sections, "seconds_in_all": took}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(args.json)


if __name__ == "__main__":
    sys.exit(main())
