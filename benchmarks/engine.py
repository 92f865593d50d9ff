"""How fast is the strict CPU back end, and how long does one wait for it?

Method. Streaming Lloyd as in rivals.py (means 20 apart, eta = 0.05, from the true means on), in one process:

    strict      `jgmm.engine.cpu`: the step as one list of operations, compiled for this machine's vectors
    scan        `jgmm.engine.scan`, the reference: the same step under `jax.jit` and `lax.scan`
    limit       the same algorithm, bits and normals in C by hand (limit.c), a run a lane of a vector register
    Numba, ...  of rivals.py: the plain way, and the vectorised one

with 256 runs against scan and limit; then one run alone and 16 against Numba. The other systems, 256 runs against scan,
the limit of Lloyd at that shape beside them as a yardstick: `em`, streaming EM of a pair at +m and -m (algorithms.py);
`soft`, posterior weights; `twin`, Lloyd with its labelled twin.

Rounds are those of timing.py. All contenders use all cores, go on from call to call where they can, and hand back no
arrays within the time that is measured, but Numba. A machine that is shared gives one more of its cores than another,
so a ratio is that of samples a second of the processor (of all cores together), and beside it that of the clock: the
median of the rounds' own ratios, with their range. In every round the squared error must follow its law (laws.py).

The first call: a process for each shape imports, makes the runs, opens the stream and takes 16 samples; less the same
once more, that is what tracing and compiling take, on the clock and of the processor. `cold`: the folder of machine
code is empty; `warm`: it is as the cold one left it; `scan`: XLA, which keeps nothing.

    python benchmarks/engine.py [--sections lloyd few systems first] [--shapes 2,2 10,5 ...] [--seconds 0.5]
                                [--rounds 5] [--quick] [--json PATH]

A shape is d,k. --quick: a smoke run of one small shape, whose figures mean nothing. What is not installed is left out.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jax
import laws
import numpy as np
import rivals
import timing

from jgmm import mixture, named, noise, steps
from jgmm.engine import machine, reduction, together
from jgmm.engine.runs import batch

SHAPES = [(2, 2), (10, 5), (20, 10), (50, 10), (100, 20)]
SECTIONS = ("lloyd", "few", "systems", "first")
SYSTEMS = ("em", "soft", "twin")
RUNS = 256
BACK_ENDS = {"strict": "cpu", "scan": "scan"}
FEW = [1, 16]
FIRST_ROUNDS = 3
HERE = Path(__file__).parent
RATE, LEAST = rivals.RATE, rivals.LEAST
PAIR_SEPARATION = 8.0
REDUCED, REDUCED_SEPARATION = 10**6, 4000.0  # a centre's error at RATE is 160
PACKAGES = ("jax", "jaxlib", "llvmlite", "numba", "numpy")


class Problem(NamedTuple):
    """What a back end opens, and how to tell that it streamed."""

    given: tuple  # kernel, words, state, params, mixture
    truth: np.ndarray  # (e, d): where the estimates are to stay
    weights: np.ndarray  # of the samples that each takes in
    d: int | None = None  # the dimensions, where the coordinates are fewer


def problem(system, *, d, k, runs):
    """A system from the truth on."""
    if system == "reduced":
        return reduced(k, runs)
    if system == "em":
        truth = mixture.symmetric(d, separation=PAIR_SEPARATION)
        means, weights = np.asarray(truth.means[:1]), np.ones(1)
    else:
        means, weights = rivals.the_means(d, k), np.full(k, 1 / k)
        truth = mixture.given(means)
    made = batch(jax.random.key(0), range(runs), truth)
    algorithm = named.load("algorithm", "lloyd" if system in ("twin", "student") else system)
    start = np.asarray(made.mixture.means)[: len(means)]
    family = noise.of("student") if system == "student" else noise.NOISES["gaussian"]
    ready = together.ready(made, algorithm, start, steps=RATE, twin=system == "twin", noise=family)
    return Problem((ready.kernel, made.words, ready.state, ready.params, ready.source), means, weights)


def reduced(k, runs):
    """Lloyd from the truth on in a million dimensions, of which few are streamed; means so far apart as needs be."""
    truth = mixture.simplex(k, k, separation=REDUCED_SEPARATION)
    made = batch(jax.random.key(0), range(runs), truth, d=REDUCED)
    algorithm, size = named.load("algorithm", "lloyd"), steps.constant(RATE)
    made, begin = reduction.prepared(made, algorithm, np.asarray(made.mixture.means), size, twin=False)
    ready = together.ready(made, algorithm, begin, steps=size)
    means = np.asarray(made.mixture.means)[..., 0].astype(float)
    given = (ready.kernel, made.words, ready.state, ready.params, ready.source)
    return Problem(given, means, np.full(k, 1 / k), REDUCED)


def opened(name, asked):
    """A stream of this back end."""
    return importlib.import_module(f"jgmm.engine.{BACK_ENDS[name]}").open(*asked.given)


def contender(name, asked):
    """This back end on this problem, opened at its first call."""
    runs, held = asked.given[1].s0.shape[-1], []

    def stream(n):
        if not held:
            held.append([opened(name, asked), 0])
        held[0][0].advance(n)
        held[0][1] += n
        return runs, n, held[0]

    def check(found):
        state, n = found[0].state(), found[1]
        told = {"factor": laws.constant_rate(RATE), "weights": asked.weights, "n": n, "d": asked.d}
        ratios = [
            laws.error_over_law(name, _estimates(estimate), asked.truth, **told)
            for estimate in (state.centres, state.twin)
            if estimate is not None
        ]
        return {"error_over_law": ratios[0], "twin_error_over_law": ratios[-1] if ratios[1:] else None}

    return timing.Contender(stream, check, {"cores": os.cpu_count()})


def _estimates(held):
    """(runs, e, d), in float64: what moves by 1e-7 beside a mean of 1e4 is not to be lost."""
    return np.moveaxis(np.asarray(held.origin, np.float64) + np.asarray(held.offset, np.float64), -1, 0)


# --- sections ---


def measured(found, *, setting, args):
    """Records of these contenders, printed."""
    mine = timing.measure(found, setting=setting, seconds=args.seconds, rounds=args.rounds, least=LEAST)
    d, k = setting["shape"]
    print(f"\n{setting['section']}, {setting['system']}: d = {d}, k = {k}, {setting['runs']} runs")
    print(*table(mine), sep="\n", flush=True)
    return mine


def streams(section, args):
    """Records of one section."""
    for d, k in args.shapes:
        for system in SYSTEMS if section == "systems" else ["lloyd"]:
            for runs in FEW if section == "few" else [RUNS]:
                names = ["limit"] if section != "few" else ["Numba, NumPy", "Numba, vectors"]
                asked = problem(system, d=d, k=k, runs=runs)
                found = {name: contender(name, asked) for name in args.back_ends if section != "few" or name != "scan"}
                others, missing = rivals.contenders(
                    d=d, k=k, runs=runs, names=[n for n in names if n not in args.without]
                )
                for name in missing:
                    print(f"{name} is left out: {missing[name]}")
                args.without |= set(missing)
                setting = {"section": section, "system": system, "shape": [d, 2 if system == "em" else k], "runs": runs}
                yield from measured(found | others, setting=setting, args=args)


def first_call(name, d, k, folder):
    """Seconds, of the clock and of the processor, that a first call takes beyond a second one."""
    jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    importlib.import_module(f"jgmm.engine.{BACK_ENDS[name]}")
    if folder:
        importlib.import_module("jgmm.engine.cache").configure(Path(folder))
    asked = problem("lloyd", d=d, k=k, runs=RUNS)
    clocks = []
    for _ in range(2):
        start = time.perf_counter(), time.process_time()
        stream = opened(name, asked)
        stream.advance(16)
        stream.state()
        clocks.append([time.perf_counter() - start[0], time.process_time() - start[1]])
    return [before - after for before, after in zip(*clocks, strict=True)]


FIRST = """
import json, sys, engine
print(json.dumps(engine.first_call(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
"""


def first(args):
    """Records of first calls, a process each, one after another."""
    states = [("strict", "cold"), ("strict", "warm"), ("scan", "scan")]
    states = [(name, state) for name, state in states if name in args.back_ends]
    print("\nfirst call less the second, s: of the processor (of the clock)")
    print(f"{'':16}" + "".join(f"{state:>18}" for _, state in states))
    for d, k in args.shapes:
        found = {state: [] for _, state in states}
        for _ in range(min(args.rounds, FIRST_ROUNDS)):
            with tempfile.TemporaryDirectory() as folder:
                for name, state in states:
                    call = [sys.executable, "-c", FIRST, name, str(d), str(k), folder if name == "strict" else ""]
                    done = subprocess.run(call, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
                    found[state].append(json.loads(done.stdout.splitlines()[-1]))
        line = f"d = {d}, k = {k}".ljust(16)
        for name, state in states:
            clock, processor = (float(x) for x in np.median(found[state], axis=0))
            line += f"{f'{processor:.2f} ({clock:.2f})':>18}"
            record = {
                "section": "first",
                "system": "lloyd",
                "shape": [d, k],
                "runs": RUNS,
                "name": name,
                "state": state,
            }
            yield record | {"cpu_seconds": processor, "seconds": clock, "each": found[state]}
        print(line, flush=True)


# --- ratios ---


def ratio(ours, theirs, clock="samples_a_cpu_second"):
    """Median, least and most of the rounds' ratios."""
    each = np.array(ours[clock]) / np.array(theirs[clock])
    return [float(x) for x in (np.median(each), each.min(), each.max())]


def table(records):
    """The records of one setting as lines, and strict over each; ratios are put into the records."""
    us = next((record for record in records if record["name"] == "strict"), None)
    yield f"{'':16}{'M/CPU-s':>10}{'M/s':>10}{'first, s':>10}{'error/law':>11}   strict over it: CPU (range); clock"
    for record in records:
        processor, clock = (np.median(record[name]) / 1e6 for name in ("samples_a_cpu_second", "samples_a_second"))
        line = f"{record['name']:16}{processor:10.4g}{clock:10.4g}{record['first_call_seconds']:10.2f}"
        line += f"{record['error_over_law']:11.3f}"
        if us is not None and record is not us:
            record["strict_over_it"] = {"cpu": ratio(us, record), "clock": ratio(us, record, "samples_a_second")}
            middle, low, high = record["strict_over_it"]["cpu"]
            line += f"   {middle:.3g} ({low:.3g} to {high:.3g}); {record['strict_over_it']['clock'][0]:.3g}"
        yield line


# --- all together ---


def main(argv=None):
    parser = argparse.ArgumentParser(description="The strict CPU back end against what else there is.")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="what to measure")
    parser.add_argument(
        "--shapes", type=rivals.shape, nargs="+", default=SHAPES, metavar="D,K", help="dimensions,components"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a timed call")
    parser.add_argument(
        "--rounds", type=int, default=5, help="timed calls of each contender, processes of a first call"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: one shape, one short round")
    default = HERE / "results" / "engine.json"
    parser.add_argument("--json", type=Path, default=default, help="where to write everything that was measured")
    args = parser.parse_args(argv)
    if args.rounds < 1 or args.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    if args.quick:
        args.shapes, args.seconds, args.rounds = [(2, 2)], 0.01, 1
    jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    args.back_ends, missing = ["strict", "scan"], None
    try:
        importlib.import_module("jgmm.engine.cpu")
    except ImportError as error:
        args.back_ends, missing = ["scan"], f"strict is left out: {error}"
    args.without = {"Numba, NumPy", "Numba, vectors"} if args.quick else set()

    here = {**rivals.environment(args.shapes), **timing.environment(PACKAGES)}
    options = {name: getattr(args, name) for name in ("sections", "shapes", "seconds", "rounds", "quick")}
    print(
        f"the strict CPU back end, {args.rounds} rounds of {args.seconds:g} s; load {here['load_average_at_start']:.1f}"
    )
    print(
        f"{here['device']}, {here['cores']} cores, limit of {here['limit_vector_width']} lanes; Python {here['python']}"
    )
    print(", ".join(f"{package} {here[package]}" for package in PACKAGES) + f"; commit {here['commit']}")
    if missing:
        print(missing)
        args.sections = [name for name in args.sections if name != "few"]
    records = []
    for section in args.sections:
        for record in first(args) if section == "first" else streams(section, args):
            records.append(record)
            timing.save(args.json, environment=here, options=options, records=records)


if __name__ == "__main__":
    sys.exit(main())
