r"""Does peak memory grow with the number of samples, or with the number of checkpoints?

A printout (`--n 25000 --repeats 2`):

    peak memory of streaming Lloyd, d=10, k=5, 256 runs; medians of 2 processes, MB
    AMD EPYC, 2 cores; Python 3.13.0, JAX 0.12.0.1

            n  checkpoints  warmed up  at the end   added   if kept
        25000           10      341.9       342.5     0.6       256
        25000           40      335.8       336.6     0.8       256
       100000           10      339.3       339.8     0.5      1024
       100000           40      327.0       327.5     0.5      1024

    4n over n: 0.992 (10 checkpoints), 0.973 (40 checkpoints)
    40 over 10 checkpoints: 0.983 (n), 0.964 (4n)

Method. Each row is a fresh Python process on all cores that runs `trials.run_lloyd` (d = 10, k = 5) twice: over 16
samples (to compile: "warmed up"), then over n samples a run ("at the
end"). Both are `resource.getrusage(RUSAGE_SELF).ru_maxrss`, the most memory that the process ever held, so "at the end"
less "warmed up" is what the stream added. Medians over `--repeats` processes. "if kept" is what the samples alone would
take in float32. The times on the way are not of interest here; benchmarks/lloyd.py has those.

    python benchmarks/memory.py [--n 50000] [--runs 256] [--repeats 3] [--json PATH]
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import about

# This process imports neither JAX nor NumPy: a child's ru_maxrss starts at the size of the process that spawned it.

D, K = 10, 5

CHILD = """
import json, os, platform, resource, sys
import jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", os.cpu_count())
from jgmm import mixture, trials

n, count, runs, d, k = map(int, sys.argv[1:])
unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes there, in KiB on Linux

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

def stream(checkpoints):
    return trials.run_lloyd(batch, batch.mixture.means, rate=0.01, checkpoints=checkpoints)

batch = trials.batch(jax.random.key(0), range(runs), mixture.simplex(k, d, separation=20.0))
stream([16])
warm = peak()
record = stream([n * (i + 1) // count for i in range(count)])
assert record.samples[-1] == n and len(record.samples) == count + 1
print(json.dumps({"warm": warm, "end": peak(), "jax": jax.__version__}))
"""


def peaks(n, checkpoints, runs):
    """Peak bytes of a fresh process, warmed up and at the end."""
    sizes = map(str, (n, checkpoints, runs, D, K))
    child = subprocess.run([sys.executable, "-c", CHILD, *sizes], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(child.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Peak memory of the engine at n and 4n, with 10 and 40 checkpoints.")
    parser.add_argument("--n", type=int, default=50_000, help="samples a run; the other size is four times this")
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3, help="processes for each row")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    args = parser.parse_args(argv)
    if args.n < 40 or args.repeats < 1:
        parser.error(f"--n is {args.n} and --repeats {args.repeats}, expected --n >= 40 and --repeats >= 1")

    cells = [(n, checkpoints) for n in (args.n, 4 * args.n) for checkpoints in (10, 40)]
    found = {cell: [] for cell in cells}
    for _ in range(args.repeats):
        for cell in cells:
            found[cell].append(peaks(*cell, args.runs))
    rows = [
        {
            "n": n,
            "checkpoints": checkpoints,
            "warm": statistics.median(p["warm"] for p in found[n, checkpoints]),
            "end": statistics.median(p["end"] for p in found[n, checkpoints]),
            "added": statistics.median(p["end"] - p["warm"] for p in found[n, checkpoints]),
            "all_ends": [p["end"] for p in found[n, checkpoints]],
            "if_kept": 4 * D * n * args.runs,
        }
        for n, checkpoints in cells
    ]
    here = {**about.environment(), "jax": found[cells[0]][0]["jax"]}

    print(f"peak memory of streaming Lloyd, d={D}, k={K}, {args.runs} runs; medians of {args.repeats} processes, MB")
    print(f"{here['device']}, {here['cores']} cores; Python {here['python']}, JAX {here['jax']}")
    print(f"commit {here['commit']}\n")
    print(f"{'n':>9}{'checkpoints':>13}{'warmed up':>11}{'at the end':>12}{'added':>8}{'if kept':>10}")
    for row in rows:
        peak = f"{row['warm'] / 1e6:11.1f}{row['end'] / 1e6:12.1f}{row['added'] / 1e6:8.1f}"
        print(f"{row['n']:9d}{row['checkpoints']:13d}{peak}{row['if_kept'] / 1e6:10.0f}")
    end = {(row["n"], row["checkpoints"]): row["end"] for row in rows}
    over = {
        "4n_over_n_10_checkpoints": end[4 * args.n, 10] / end[args.n, 10],
        "4n_over_n_40_checkpoints": end[4 * args.n, 40] / end[args.n, 40],
        "40_over_10_checkpoints_n": end[args.n, 40] / end[args.n, 10],
        "40_over_10_checkpoints_4n": end[4 * args.n, 40] / end[4 * args.n, 10],
    }
    small, large = over["4n_over_n_10_checkpoints"], over["4n_over_n_40_checkpoints"]
    print(f"\n4n over n: {small:.3f} (10 checkpoints), {large:.3f} (40 checkpoints)")
    small, large = over["40_over_10_checkpoints_n"], over["40_over_10_checkpoints_4n"]
    print(f"40 over 10 checkpoints: {small:.3f} (n), {large:.3f} (4n)")

    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        options = {"n": args.n, "runs": args.runs, "repeats": args.repeats, "d": D, "k": K}
        report = {"environment": here, "options": options, "rows": rows, "ratios": over}
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
