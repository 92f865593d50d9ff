"""What do other noises, covariances, labels and moving means cost, against Gaussian samples of a spherical mixture?

Streaming Lloyd on a simplex of means 8 apart at eta = 0.05, from the true means on, by the CPU's back end. A contender
streams on from call to call; in each round all take turns, and a round's ratio is that of samples a second of the
processor (of all cores together). Printed are medians of the rounds' ratios, with their range.

`student` has a df of its own in each run, which its program is told; `student, built in` has one df written into the
program as a number: what a program for each df would gain.

    python benchmarks/sampling.py [--shape 10,5] [--runs 1024] [--samples 2000] [--rounds 15] [--json PATH]
"""

import argparse
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import timing

from jgmm import covariance, mixture, noise
from jgmm.algorithms import lloyd
from jgmm.engine import cpu, together
from jgmm.engine.runs import batch
from jgmm.sampling import PLAIN, Sampling

HERE = Path(__file__).parent
BUILT_IN = 5.0


def student_of_five(a, b, more_a, more_b):
    """Student's t with df = 5 in the program."""
    return noise.student_pair(a, b, more_a, more_b, np.float32(1 / BUILT_IN), np.float32(BUILT_IN - 2))


def contenders(d, runs):
    """A noise and a sampling by name; the first is what others are compared with."""
    df = np.linspace(2.5, 30, runs)
    of = noise.NOISES
    return {
        "gaussian": (of["gaussian"], PLAIN),
        "uniform": (of["uniform"], PLAIN),
        "laplace": (of["laplace"], PLAIN),
        "student": (noise.of("student", {"df": df}), PLAIN),
        "student, built in": (of["student"]._replace(pair=student_of_five, numbers=(), told=lambda _: ()), PLAIN),
        "contaminated": (of["contaminated"], PLAIN),
        "ladder": (of["gaussian"], Sampling(covariance.ladder(d, ratio=10.0))),
        "low rank": (of["gaussian"], Sampling(covariance.low_rank(d, rank=2, factor=3.0))),
        "labels that stay": (of["gaussian"], Sampling(dwell=0.9)),
        "means that move": (of["gaussian"], Sampling(drift=1e-4)),
        "student, ladder": (noise.of("student", {"df": df}), Sampling(covariance.ladder(d, ratio=10.0))),
    }


def opened(d, k, runs, family, how):
    """A stream at the true means."""
    many = batch(jax.random.key(0), range(runs), mixture.simplex(k, d, separation=8.0))
    ready = together.ready(many, lloyd.LLOYD, np.array(many.mixture.means), steps=0.05, noise=family, sampling=how)
    return cpu.open(ready.kernel, many.words, ready.state, ready.params, ready.source)


def spent(stream, samples):
    """Processor seconds of a call."""
    before = time.process_time()
    stream.advance(samples)
    return time.process_time() - before


def main():
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="10,5", help="d,k")
    parser.add_argument("--runs", type=int, default=1024)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "sampling.json")
    options = parser.parse_args()
    d, k = map(int, options.shape.split(","))
    before = timing.environment(("jax", "llvmlite", "numpy"))
    streams, first = {}, {}
    for name, (family, how) in contenders(d, options.runs).items():
        begun = time.process_time()
        streams[name] = opened(d, k, options.runs, family, how)
        streams[name].advance(1)
        first[name] = time.process_time() - begun
    calls = {name: partial(spent, stream, options.samples) for name, stream in streams.items()}
    rounds = [{name: call() for name, call in calls.items()} for _ in range(options.rounds + 1)][1:]
    reference = next(iter(streams))
    rows = []
    for name in streams:
        ratios = np.array([each[reference] / each[name] for each in rounds])
        rate = options.runs * options.samples / np.median([each[name] for each in rounds])
        rows.append({"name": name, "of_gaussian": float(np.median(ratios)), "least": float(ratios.min())})
        rows[-1] |= {"most": float(ratios.max()), "samples_a_cpu_second": rate, "opened_cpu_seconds": first[name]}
        print(f"{name:20}{np.median(ratios):8.3f} ({ratios.min():.3f} to {ratios.max():.3f}){rate / 1e6:10.2f} M/s")
    settings = {"d": d, "k": k, "runs": options.runs, "samples": options.samples, "rounds": options.rounds}
    timing.save(options.json, environment=before, options=settings, rows=rows)


if __name__ == "__main__":
    main()
