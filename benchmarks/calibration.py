r"""Are laws as accurate as they say? Law against simulation, over a grid of algorithms and settings.

The package's own study simulates every cell. Each checkpoint that has a law gets a row with

    gap = |mean - law|,      over = gap / accuracy,      beyond = (gap - accuracy) / standard error of the mean

(the mean with the twin as control variate, where there is one). A law is honest where `beyond` is at most 4, and `main`
fails if one is not. `over` says how timid the accuracy is. A checkpoint without a law has nothing to be wrong about,
but is counted: laws that are nowhere printed would pass all this.

    python benchmarks/calibration.py                # writes results/calibration-py<version>.json
    python benchmarks/calibration.py --out FOLDER   # keeps the simulated cells there, and takes those that are there

The grid is small in samples and wide in what laws get wrong: large d eta, small C, steps of .2, unequal weights, sharp
and blunt posteriors. It has the settings where laws once were off by up to 30 times; most of them now have none.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import about
import jax
import numpy as np

from jgmm import stats
from jgmm.engine import machine
from jgmm.study import expected, missing, read, spec
from jgmm.study import run as runner

RESULTS = Path(__file__).parent / "results"
RUNS = 1024
SEED = 2017
LEAST_GOOD = 50  # runs, for a row
MOST = 4  # standard errors beyond its accuracy


def part(name, algorithm, mixture, rate, *, n=None, weight=None, start=0.2, times=10, beta=(1.0,), **stream):
    """A part of one rate, read early, half way and settled: after `times` time constants of centres of this weight."""
    n = n or math.ceil(times / (rate * (weight or 1 / mixture["k"])))
    table = {"rate": rate, "n": n, "start": start, "checkpoints": sorted({max(1, n // 20), n // 5, n}), **stream}
    em = {"em": {"beta": list(beta)}} if algorithm in ("em", "soft") else {}
    return {"name": name, "algorithm": algorithm, "theorem": "none", "mixture": mixture, "stream": table, **em}


def grid():
    """All parts."""
    return [*crossed(), *other_steps(), *once_wrong(), *seedings()]


def crossed():
    """Algorithms crossed with dimensions, separations and rates."""
    parts = []
    close, apart = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0], [3.0, 4.0, 5.0, 6.0, 8.0]
    for d in (4, 40):
        pair = {"k": 2, "d": d, "layout": "symmetric", "separation": close}
        four = {"k": 4, "d": d, "layout": "simplex", "separation": apart}
        unequal = {**pair, "separation": [6.0, 8.0], "weights": [[0.9, 0.1], [0.98, 0.02]]}
        for rate in (0.02, 0.2):
            at = f"{d}-{rate:g}"
            parts += [
                part(f"em-{at}", "em", pair, rate, weight=1, start=[0.1, 0.5], beta=[0.5, 1.0, 2.0]),
                part(f"lloyd-pair-{at}", "lloyd", pair, rate, start=[0.1, 0.5]),
                part(f"soft-pair-{at}", "soft", pair, rate, beta=[1.0, 3.0]),
                part(f"lloyd-four-{at}", "lloyd", four, rate),
                part(f"soft-four-{at}", "soft", four, rate),
                part(f"lloyd-unequal-{at}", "lloyd", unequal, rate, weight=0.1),
            ]
    return parts


PAIR = {"k": 2, "d": 4, "layout": "symmetric", "separation": [2.0, 3.0, 4.0, 6.0]}


def other_steps():
    """Step sizes that are not constant, and averaged iterates."""
    falling = {"scale": 4.0, "power": 1.0, "shift": 20.0}
    return [
        part("averaged", "lloyd", PAIR, 0.05, n=1200, average=0.5),
        part("falling", "lloyd", PAIR, falling, n=1500),
        part("count", "lloyd", PAIR, "1/n", n=1500),
    ]


def once_wrong():
    """Settings where laws were off by up to 30 times."""
    hundred = {"k": 2, "d": 100, "layout": "symmetric"}
    three = {"k": 3, "d": 4, "layout": "simplex", "separation": 6.0}
    unequal = {**hundred, "d": 20, "separation": 6.0, "weights": [0.98, 0.02]}
    return [
        part("far-lloyd", "lloyd", {**hundred, "separation": [1.0, 2.0]}, 0.08),
        part("far-em", "em", {**hundred, "separation": 2.0}, 0.03, weight=1),
        part("far-unequal", "lloyd", unequal, 0.2),
        part("blunt", "soft", three, 0.05, beta=[0.2]),
        part("blunt-em", "em", {**PAIR, "separation": [14.0]}, 0.02, weight=1, beta=[0.01, 0.1, 0.3]),
        part("narrow", "soft", {**three, "scales": [0.01, 1.0, 1.0]}, 0.05),
        part("slow", "soft", {"k": 4, "d": 4, "layout": "simplex", "separation": 1.0}, 0.04, n=400),
    ]


def seedings():
    """Algorithm 2 alone."""
    sizes = {"n": 1500, "block": [60, 250], "graph_points": [60, 240]}
    return [
        {
            "name": f"seeding-{k}",
            "stream": {"n": 0},
            "theorem": "none",
            "mixture": {"k": k, "d": 10, "layout": "simplex", "separation": [6.0, 8.0, 12.0, 20.0]},
            "seeding": sizes,
        }
        for k in (2, 5)
    ]


def measure(item, index):
    """The mean squared error of good runs at a checkpoint, with its standard error."""
    values = item.values["error_sq"][item.ok, index].astype(float)
    if item.twin is None:
        return stats.mean(values)
    return stats.controlled(values, *(item.twin[name][item.ok, index].astype(float) for name in read.TWINS))


def compare(item):
    """A row for each checkpoint of a cell."""
    cell = item.cell
    head = cell.model_dump(include={"part", "algorithm", "k", "d", "separation", "rate", "rate_name", "start", "beta"})
    head |= {"weights": cell.weights, "average": cell.average}
    if cell.seeding:
        head |= {"block": cell.seeding.block, "graph_points": cell.seeding.graph_points}
    for index, samples in enumerate(item.samples):
        if samples == 0 or item.ok.sum() < LEAST_GOOD:
            continue
        measured, law = measure(item, index), expected.law(item, index)
        row = {**head, "samples": int(samples), "mean": measured.value, "standard_error": measured.standard_error}
        if law.error_sq is not None:
            gap = abs(measured.value - law.error_sq)
            row |= {"law": law.error_sq, "accuracy": law.accuracy, "exact": law.exact, "over": gap / law.accuracy}
            row["beyond"] = (gap - law.accuracy) / measured.standard_error
        yield row


def simulate(out, runs, parts):
    """The cells of these parts: from the folder where they are stored there, else simulated."""
    study = spec.Study(name="calibration", runs=runs, seed=SEED, part=parts)
    done = runner.run_study(study, out)
    if done.failures:
        raise RuntimeError("; ".join(done.failures))
    by_name = spec.named_cells(study)
    stored = missing.stored(out, by_name)
    return [read.read(out, cell, study, stored) for cell in by_name.values()]


def summarize(rows):
    """Print for each family of parts its checkpoints, those with a law, their accuracy, and the two worst figures."""
    families = defaultdict(list)
    for row in rows:
        families[row["part"].split("-0.")[0]].append(row)
    print(f"{'part':20} checkpoints  laws  accuracy (median, most)  over  beyond")
    for name, checkpoints in families.items():
        with_law = [row for row in checkpoints if "law" in row]
        print(f"{name:20} {len(checkpoints):11d} {len(with_law):5d}", end="")
        if with_law:
            relative = [row["accuracy"] / row["law"] for row in with_law]
            print(f"  {np.median(relative):10.1e} {max(relative):12.1e}", end="")
            print(
                f"  {max(row['over'] for row in with_law):4.1f}  {max(row['beyond'] for row in with_law):6.1f}", end=""
            )
        print()


def main():
    """Simulate, compare, print, and write the JSON; exit with 1 if a law is off by more than it says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, help="folder of the simulated cells")
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    machine.prepare()
    environment = {**about.environment(), "jax": jax.__version__}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        cells = simulate(options.out or Path(scratch), options.runs, grid())
        rows = [row for item in cells for row in compare(item)]
    summarize(rows)
    wrong = [row for row in rows if row.get("beyond", 0) > MOST]
    for row in wrong:
        print("off by more than it says:", row)
    seconds = time.perf_counter() - started
    results = {"environment": environment, "runs": options.runs, "seconds": seconds, "rows": rows}
    major, minor, *_ = sys.version_info
    path = RESULTS / f"calibration-py{major}{minor}.json"
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(path)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
