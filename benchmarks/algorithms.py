"""How many samples a second do streaming EM, block power iteration and seeding take, here and written otherwise?

A printout (part of it; 2 cores of a virtual AMD EPYC with AVX2, shared with other work, JAX 0.12.0.1):

    em, d = 10, k = 2
                     M samples/s       min       max  first call, s  error/law   jgmm over it
    Numba                  18.61     16.81     19.09           3.93      0.963   3.4 (3.32 to 3.58)
    JAX                    2.749     2.646     2.885           0.98      0.976   23 (21.9 to 24.2)
    jgmm                    63.3     58.56     66.65           2.14      1.015

    power, d = 10, k = 5
                     M samples/s       min       max  first call, s  error/law   jgmm over it
    NumPy                 0.3012    0.2942    0.3013           0.03      0.891   110 (110 to 113)
    JAX                    2.184     2.174     2.208           1.82      1.023   15.2 (15.2 to 15.4)
    jgmm                   33.29     32.98     34.02           4.49      1.044

Method. Three systems, `runs` independent runs of each, every contender doing the same work on samples that it draws:

em         streaming EM of a pair at +m and -m, |m| = 4 sigma, at eta = 0.05 from the true mean on, for the d of every
           shape. (Farther apart, tanh would be 1 by its argument's size and cost a C library next to nothing.)
    Numba        a prange over runs; float32, xoshiro128++, jgmm's polynomials for the normals, `math.tanh`
    JAX          `vmap(scan(step))`, `jax.random`, 32 samples drawn at a time, runs split over the cores
    jgmm         `jgmm.run` with one checkpoint, its two measurements of the error included
power      block power iteration for k directions of k means 20 apart on a simplex, in blocks of max(16, d ln d)
    NumPy        run after run in float32, U = qr(X^T (X U)) for a block X; at most 16 runs are streamed
    JAX          the same by `vmap`, `jnp.linalg.qr`, matrix products and `jax.random`, runs split over the cores
    jgmm         `start.seed` with the fewest graph points it takes, k of them
seeding    the whole of it: 10 such blocks, max(50, 10 k ln k) graph points, each joined to its 3 nearest in k
           dimensions, connected components, the k largest ones' means lifted back
    NumPy, SciPy the way of the notebook that this package redoes, run after run: power iteration as above (the notebook
                 draws one sample after the other and adds up a d x d matrix, which takes far longer), a k-d tree,
                 `scipy.sparse.csgraph.connected_components`
    jgmm         `start.seed`

Samples are those of all runs: n a run for em, blocks times their size for power, the graph's too for seeding. Numba,
JAX and jgmm use all cores. NumPy and SciPy use one: a process on each would at best multiply their figures by the
cores. Rounds, ratios and their ranges are those of timing.py and rivals.py.

Checks, in every round, or the program stops. em: its squared error follows its law (laws.py). power: the bases are
orthonormal, and what they leave of the means, sum |mu - U U^T mu|^2, is on average that of the NumPy way in float64
over 256 other runs, within a tenth or 5 standard errors; for k = d nothing is left. seeding: the share of the runs that
find k components is that of 128 other runs of the SciPy way in float64, and so is the mean squared error of those that
do. The column error/law holds these ratios; one run tells nothing.

    python benchmarks/algorithms.py [--systems em power seeding] [--shapes 2,2 10,5 ...] [--runs 256] [--seconds 0.5]
                                    [--rounds 5] [--json PATH]

A shape is d,k, with d >= k. Numba is left out where it is not installed. Device: the CPU, in the JSON.
"""

import argparse
import math
import os
import sys
from functools import cache, partial
from pathlib import Path

import jax
import jax_rivals
import laws
import numpy as np
import timing
from jax.sharding import Mesh
from scipy.sparse import csgraph, csr_array
from scipy.spatial import cKDTree

import jgmm
from jgmm import mixture, start
from jgmm.engine import machine

numba = timing.optional("numba")
numba_rivals = timing.optional("numba_rivals") if numba else None

SHAPES = [(2, 2), (10, 5), (50, 10), (100, 20)]
RATE = 0.05
PAIR_SEPARATION = 8.0
SEPARATION = 20.0
BLOCKS = 10
NEIGHBORS = 3
ALONE = 16  # runs of power iteration that NumPy takes one after another
OTHERS = {"power": 256, "seeding": 128}  # runs that a contender is compared with
PACKAGES = ("jax", "numba", "numpy", "scipy")


def block_size(d):
    return max(16, round(d * math.log(d)))


def num_graph_points(k):
    return max(50, round(10 * k * math.log(k)))


def over_devices(runs):
    """As many devices as divide the runs."""
    return Mesh(np.array(jax.devices()[: math.gcd(runs, len(jax.devices()))]), ("runs",))


def as_contenders(ways, check):
    """Name -> contender, from name -> stream and a check that is told the name."""
    cores = {name: 1 if name.startswith("NumPy") else os.cpu_count() for name in ways}
    return {
        name: timing.Contender(stream, partial(check, name), {"cores": cores[name]}) for name, stream in ways.items()
    }


# --- streaming EM ---


def em_contenders(*, d, k, runs):
    """Estimates of shape (runs, 1, d)."""
    del k
    truth = mixture.symmetric(d, separation=PAIR_SEPARATION)
    mean = np.asarray(truth.means[0])
    batch = jgmm.batch(jax.random.key(0), range(runs), truth)
    keys, mesh = jax.random.split(jax.random.key(1), runs), over_devices(runs)
    words = np.random.default_rng(d).integers(0, 2**32, (runs, 4), np.uint32)

    def check(name, found):
        centres, n = found
        factor = laws.constant_rate(RATE)
        return {"error_over_law": laws.error_over_law(name, centres, mean[None], factor=factor, weights=[1.0], n=n)}

    def by_numba(n):
        return runs, n, (numba_rivals.compile_em(d)(words, mean, np.float32(RATE), n)[:, None], n)

    def by_jax(n):
        blocks = -(-n // jax_rivals.BLOCK)
        n = blocks * jax_rivals.BLOCK
        given = (np.stack([mean, -mean]), np.float32([0.5]), np.float32(RATE), np.int32(blocks))
        return runs, n, (np.asarray(jax_rivals.all_runs(keys, *given, run=jax_rivals.em, mesh=mesh))[:, None], n)

    def by_jgmm(n):
        record = jgmm.run(batch, "em", batch.mixture.means[:1], steps=RATE, checkpoints=[n])
        return runs, n, (np.moveaxis(record.centres, -1, 0), n)

    ways = {"Numba": by_numba, "JAX": by_jax, "jgmm": by_jgmm}
    if not numba:
        del ways["Numba"]
    return as_contenders(ways, check)


# --- block power iteration ---


def numpy_draw(rng, means, n):
    """n samples (n, d), in the precision of the means."""
    return means[rng.integers(len(means), size=n)] + rng.standard_normal((n, means.shape[1]), means.dtype)


def numpy_power(rng, means, blocks):
    """A basis (d, k)."""
    k, d = means.shape
    basis = np.linalg.qr(rng.standard_normal((d, k), means.dtype))[0]
    for _ in range(blocks):
        x = numpy_draw(rng, means, block_size(d))
        basis = np.linalg.qr(x.T @ (x @ basis))[0]
    return basis


def left_of_means(bases, means):
    """sum_i |mu_i - U U^T mu_i|^2 for each basis (runs, d, k)."""
    left = means[None] - means @ bases @ np.moveaxis(bases, 1, 2)
    return np.sum(left**2, axis=(1, 2), dtype=np.float64)


def same_mean(name, ours, theirs):
    """The ratio of two means, None for fewer than two numbers.

    Raises RuntimeError if it is further from 1 than a tenth and 5 standard errors.
    """
    if min(len(ours), len(theirs)) < 2:
        return None
    ratio = ours.mean() / theirs.mean()
    # The spread of theirs, which are many: of a few of ours it would be too small too often.
    spread = theirs.std(ddof=1) / theirs.mean()
    tolerance = max(0.1, 5 * spread * math.sqrt(1 / len(ours) + 1 / len(theirs)))
    if not abs(ratio - 1) <= tolerance:
        raise RuntimeError(f"{name}: mean over that of other runs is {ratio:.3f}, expected 1 within {tolerance:.2f}")
    return float(ratio)


def power_contenders(*, d, k, runs):
    """Bases of shape (runs, d, k)."""
    truth = mixture.simplex(k, d, separation=SEPARATION)
    means = np.asarray(truth.means, np.float64)
    means32 = means.astype(np.float32)
    batch = jgmm.batch(jax.random.key(0), range(runs), truth)
    keys, mesh = jax.random.split(jax.random.key(1), runs), over_devices(runs)
    size = block_size(d)
    run_jax = partial(jax_rivals.power, size=size)
    rng = np.random.default_rng(d)

    @cache
    def others():
        return left_of_means(np.stack([numpy_power(rng, means, BLOCKS) for _ in range(OTHERS["power"])]), means)

    def check(name, bases):
        gram = np.moveaxis(bases, 1, 2) @ bases
        if not np.abs(gram - np.eye(k)).max() < 1e-4:
            raise RuntimeError(f"{name}: a basis is not orthonormal")
        return {"error_over_law": None if k == d else same_mean(name, left_of_means(bases, means), others())}

    def by_numpy(n):
        with timing.one_thread():
            bases = np.stack([numpy_power(rng, means32, n) for _ in range(min(runs, ALONE))])
        return len(bases), n * size, bases

    def by_jax(n):
        given = (means32, np.float32(np.arange(1, k) / k), np.int32(n))
        return runs, n * size, np.asarray(jax_rivals.all_runs(keys, *given, run=run_jax, mesh=mesh))

    def by_jgmm(n):
        sizes = {"n": n * size + k, "block": size, "graph_points": k, "neighbors": 1}
        _, found, _ = start.seed(jax.random.key(2), batch, **sizes)
        return runs, n * size, np.moveaxis(found.basis, (0, -1), (-1, 0))

    ways = {"NumPy": by_numpy, "JAX": by_jax, "jgmm": by_jgmm}
    return as_contenders(ways, check)


# --- seeding ---


def scipy_seeding(rng, means):
    """Centres (k, d), and how many components the graph had."""
    k = len(means)
    basis = numpy_power(rng, means, BLOCKS)
    projected = numpy_draw(rng, means, num_graph_points(k)) @ basis
    n = len(projected)
    nearest = cKDTree(projected).query(projected, NEIGHBORS + 1)[1][:, 1:]  # the first is the point itself
    edges = (np.repeat(np.arange(n), NEIGHBORS), nearest.ravel())
    count, labels = csgraph.connected_components(csr_array((np.ones(n * NEIGHBORS), edges), shape=(n, n)))
    largest = np.argsort(-np.bincount(labels), kind="stable")[:k]
    centres = np.tile(projected.mean(axis=0), (k, 1))  # for the component that a graph of fewer lacks
    for i, label in enumerate(largest):
        centres[i] = projected[labels == label].mean(axis=0)
    return centres @ basis.T, count


def seeding_errors(name, centres, counts, means):
    """The squared error of each run (centres of shape (runs, k, d)) whose graph had k components.

    Raises RuntimeError if two centres of such a run are next to the same mean.
    """
    good = np.asarray(centres)[np.asarray(counts) == len(means)]
    distances = np.sum((good[:, :, None] - means[None, None]) ** 2, axis=-1)
    if not (np.sort(distances.argmin(axis=2), axis=1) == np.arange(len(means))).all():
        raise RuntimeError(f"{name}: a run found k components, but two centres are next to one mean")
    return distances.min(axis=2).sum(axis=1)


def seeding_contenders(*, d, k, runs):
    """Centres and counts of components; n is how often a batch is seeded, or the number of runs one after another."""
    truth = mixture.simplex(k, d, separation=SEPARATION)
    means = np.asarray(truth.means, np.float64)
    means32 = means.astype(np.float32)
    batch = jgmm.batch(jax.random.key(0), range(runs), truth)
    rng = np.random.default_rng(d)
    graph_points = num_graph_points(k)
    samples = BLOCKS * block_size(d) + graph_points
    sizes = {"n": samples, "block": block_size(d), "graph_points": graph_points, "neighbors": NEIGHBORS}

    def one_after_another(means, n):
        centres, counts = zip(*[scipy_seeding(rng, means) for _ in range(n)], strict=True)
        return np.stack(centres), np.array(counts)

    @cache
    def others():
        centres, counts = one_after_another(means, OTHERS["seeding"])
        return seeding_errors("SciPy in float64", centres, counts, means), np.mean(counts == k)

    def check(name, found):
        centres, counts = found
        errors, expected = others()
        share = np.mean(counts == k)
        between = (share * len(counts) + expected * OTHERS["seeding"]) / (len(counts) + OTHERS["seeding"])
        tolerance = 5 * math.sqrt(between * (1 - between) * (1 / len(counts) + 1 / OTHERS["seeding"]))
        if not abs(share - expected) <= tolerance:
            raise RuntimeError(f"{name}: {share:.3f} of the runs found k components, expected {expected:.3f}")
        ratio = same_mean(name, seeding_errors(name, centres, counts, means), errors)
        return {"error_over_law": ratio, "share_with_k_components": float(share)}

    def by_scipy(n):
        with timing.one_thread():
            return n, samples, one_after_another(means32, n)

    def by_jgmm(n):
        here = batch
        for _ in range(n):
            here, found, _ = start.seed(jax.random.key(2), here, **sizes)
        return n * runs, samples, (np.moveaxis(found.means, -1, 0), found.num_components)

    ways = {"NumPy, SciPy": by_scipy, "jgmm": by_jgmm}
    return as_contenders(ways, check)


# --- all together ---

SYSTEMS = {  # contenders, and the smallest n of a call
    "em": (em_contenders, 32),
    "power": (power_contenders, BLOCKS),
    "seeding": (seeding_contenders, 1),
}


def shape(text):
    """Of "10,5" the numbers."""
    d, k = (int(number) for number in text.split(","))
    if not 2 <= k <= d:
        raise ValueError(text)
    return d, k


def main(argv=None):
    parser = argparse.ArgumentParser(description="Samples a second of streaming EM, power iteration and seeding.")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="what to measure")
    parser.add_argument("--shapes", type=shape, nargs="+", default=SHAPES, metavar="D,K", help="dimensions,components")
    parser.add_argument("--runs", type=int, default=256, help="independent runs")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a timed call")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each contender")
    version = "py{}{}".format(*sys.version_info)
    default = Path(__file__).parent / "results" / f"algorithms-{version}.json"
    parser.add_argument("--json", type=Path, default=default, help="where to write everything that was measured")
    args = parser.parse_args(argv)
    if args.runs < 1 or args.rounds < 1 or args.seconds <= 0:
        parser.error("--runs, --rounds and --seconds must be positive")
    jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    if numba:
        numba.set_num_threads(os.cpu_count())
    else:
        print("Numba is left out: numba is not installed")

    here = timing.environment(PACKAGES) | {"jax_devices": len(jax.devices())}
    options = {name: getattr(args, name) for name in ("systems", "shapes", "runs", "seconds", "rounds")}
    print(f"{args.runs} runs, medians of {args.rounds} rounds of {args.seconds:g} s")
    print(f"{here['device']}, {here['cores']} cores; Python {here['python']}")
    print(", ".join(f"{package} {here[package]}" for package in PACKAGES) + f"; commit {here['commit']}")
    records = []
    for system in args.systems:
        build, least = SYSTEMS[system]
        for d, k in args.shapes if system != "em" else dict.fromkeys((d, 2) for d, _ in args.shapes):
            setting = {"system": system, "shape": [d, k], "runs": args.runs}
            found = build(d=d, k=k, runs=args.runs)
            mine = timing.measure(found, setting=setting, seconds=args.seconds, rounds=args.rounds, least=least)
            records += mine
            timing.save(args.json, environment=here, options=options, records=records)
            print(f"\n{system}, d = {d}, k = {k}", *timing.table(mine), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
