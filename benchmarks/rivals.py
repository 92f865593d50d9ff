"""How many samples a second does each way of doing streaming Lloyd take?

A printout (part of it; 2 cores of a virtual AMD EPYC with AVX2, shared with other work, JAX 0.12.0.1):

    d = 10, k = 5, 256 runs
                     M samples/s       min       max  first call, s  error/law   jgmm over it
    seed's loop          0.00589  0.004735  0.006543           0.02      1.157   7,480 (5,170 to 9,300)
    scikit-learn        0.001242   0.00116  0.001682           0.04      0.917   35,500 (20,100 to 40,000)
    river                0.02826   0.02521   0.04568           0.01      1.037   1,560 (964 to 1,840)
    NumPy                  2.954     1.822     2.999           0.00      1.013   14.9 (11.5 to 25.5)
    Numba, NumPy           2.904     2.759      2.95           0.00      0.988   15.2 (11.7 to 16.8)
    Numba, xoshiro         10.72     10.07     11.37           0.00      1.017   4.11 (3.16 to 4.61)
    Numba, vectors         21.88     21.48     22.23           0.00      1.006   2.01 (1.55 to 2.09)
    JAX                    2.496     2.424       2.6           0.94      0.987   17.6 (13.6 to 18.2)
    jgmm                   44.06     33.84     46.44           3.63      0.980
    limit                  97.46     74.86     98.17           0.00      0.993   0.452 (0.452 to 0.473)

Method. Every contender does the same work: independent runs, each of which draws one sample after the other from a
mixture (equal weights, sigma = 1, means 20 apart on a simplex, or on a grid where d < k - 1) and moves the nearest
centre by eta = 0.05 of the way, from the true means on, nothing else kept. The contenders:

    seed's loop      the way of the notebook that this package redoes: Python, one sample at a time, a label by
                     subtracting weights, `multivariate_normal` for the sample, `linalg.norm` for the distances
    scikit-learn     `MiniBatchKMeans.partial_fit`, one row a call, no reassignment and no labels; the samples drawn
                     together by NumPy. It knows no constant rate, so it moves a centre by 1 / (N + 1). Its first call
                     wants k rows: it is given the means, which count as one sample each
    river            `cluster.KMeans.learn_one`, halflife = eta, a dictionary a sample, drawn as for scikit-learn. Its
                     start is random; its documented attribute `centers` is set to the true means before any sample
    NumPy            one loop over samples, all runs at once in float32 arrays (k, d, runs)
    Numba, NumPy     a prange over runs; `np.random.normal` inside, float64
    Numba, xoshiro   the same in float32 with xoshiro128++ and Box-Muller, 16 samples drawn at a time, sizes compiled in
    Numba, vectors   the last with jgmm's polynomials for log, cos and sin, which LLVM vectorises
    JAX              `vmap(scan(step))`, `jax.random` (threefry), 32 samples drawn at a time, runs split over the cores
    jgmm             `jgmm.run` with one checkpoint, its two measurements of the error included
    limit            the same algorithm, bits and normals in C by hand (limit.c), a run a lane of a vector register

Numba, JAX, jgmm and limit use all cores (as far as there are runs: Numba has one run on a thread, limit a vector of
runs). The first four use one core: as many processes as cores would at best multiply their figures by the cores. The
first three take one run after another, so that samples a second do not depend on the runs: at most 2 are streamed,
without threads in BLAS or OpenMP, for which they would wait longer than for a sample.

The rounds are those of timing.py: the first call apart, calls of about `--seconds`, turns within each round, medians; a
ratio is that of two medians, its range that of the rounds' own ratios. Numba and C compile once for each shape, so
that only the first number of runs has Numba's compiler in its first call (C's is never in it). jgmm's calls hold start
and errors too (1.3 s at d = 100, k = 20, 4,096 runs): they are made so long that this is a tenth.

In every round the squared error must follow its law after n samples (laws.py, scikit-learn by the law of its own
rate), or the program stops. Every call starts anew from the true means (the limit goes on). Besides, the limit's
centres must be jgmm's within 1e-4 after 100 samples of the same lanes.

    python benchmarks/rivals.py [--shapes 2,2 10,5 ...] [--runs 1 16 256 4096] [--seconds 0.5] [--rounds 5]
                                [--only NAME ...] [--json PATH]

A shape is d,k. A contender whose package (or C compiler) is missing is left out. Device: the CPU, in the JSON.
"""

import argparse
import math
import os
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import jax
import jax_rivals
import laws
import limit
import numpy as np
import timing
from jax.sharding import Mesh

import jgmm
from jgmm import mixture
from jgmm.engine import machine

numba = timing.optional("numba")
numba_rivals = timing.optional("numba_rivals") if numba else None
sklearn_cluster = timing.optional("sklearn.cluster")
river_cluster = timing.optional("river.cluster")

SHAPES = [(2, 2), (10, 5), (50, 10), (100, 20)]
RUNS = [1, 16, 256, 4096]
RATE = 0.05
CONSTANT_RATE = laws.constant_rate(RATE)
SEPARATION = 20.0  # no sample is ever nearer to another component's centre
ALONE = 2  # runs of the contenders that take one after another
NUMPY_BLOCK = 16  # samples that NumPy draws at a time
LEAST = 32  # samples a run of a call: a block of JAX's
SAME = 100  # samples after which jgmm and the limit are compared
PACKAGES = ("jax", "numba", "numpy", "scikit-learn", "river")


def the_means(d, k):
    """Means `SEPARATION` apart, (k, d)."""
    if d >= k - 1:
        return np.asarray(mixture.simplex(k, d, separation=SEPARATION).means, np.float64)
    side = next(side for side in range(2, k + 1) if side**d >= k)
    axes = math.ceil(math.log(k, side))  # that hold k points; d may be more
    grid = np.stack(np.unravel_index(np.arange(k), (side,) * axes), axis=-1)
    return SEPARATION * np.pad(grid - grid.mean(axis=0), [(0, 0), (0, d - axes)])


# --- one run after another: rng, means (k, d), n -> centres (k, d) ---


def seeds_loop(rng, means, n):
    """One sample, one distance to each centre, one blend."""
    k, d = means.shape
    centres = means.copy()
    for _ in range(n):
        left, label = rng.random() - 1 / k, 0
        while left > 0 and label < k - 1:
            left, label = left - 1 / k, label + 1
        x = rng.multivariate_normal(means[label], np.identity(d))
        winner = np.argmin(np.linalg.norm(x - centres, axis=1))
        centres[winner] = (1 - RATE) * centres[winner] + RATE * x
    return centres


def draw(rng, means, n):
    """n samples, (n, d)."""
    return means[rng.integers(len(means), size=n)] + rng.standard_normal((n, means.shape[1]))


def scikit_learn(rng, means, n):
    options = {"n_init": 1, "reassignment_ratio": 0, "compute_labels": False, "random_state": 0}
    model = sklearn_cluster.MiniBatchKMeans(len(means), init=means, **options)
    model.partial_fit(means)
    for x in draw(rng, means, n):
        model.partial_fit(x[None])
    return model.cluster_centers_


def river(rng, means, n):
    model = river_cluster.KMeans(n_clusters=len(means), halflife=RATE, seed=0)
    for centre, mean in zip(model.centers.values(), means.tolist(), strict=True):
        centre.update(enumerate(mean))
    for x in draw(rng, means, n).tolist():
        model.learn_one(dict(enumerate(x)))
    return np.array([[centre[j] for j in range(means.shape[1])] for centre in model.centers.values()])


# --- all runs at once ---


def numpy_runs(rng, means, runs, n):
    """Centres (runs, k, d)."""
    k, d = means.shape
    centres = np.repeat(means[..., None], runs, axis=2)
    index = np.arange(k)[:, None]
    move = np.empty_like(centres)
    for begin in range(0, n, NUMPY_BLOCK):
        here = min(NUMPY_BLOCK, n - begin)
        labels = rng.integers(k, size=(here, runs))
        noise = rng.standard_normal((here, d, runs), np.float32)
        for i in range(here):
            x = means.T[:, labels[i]] + noise[i]
            np.subtract(x, centres, out=move)
            winner = np.einsum("kdr,kdr->kr", move, move).argmin(axis=0)
            # A masked move of all centres: half of the time of an indexed one, which strides through memory.
            move *= np.where(winner == index, np.float32(RATE), np.float32(0))[:, None]
            centres += move
    return np.moveaxis(centres, -1, 0)


# --- the contenders ---


def contenders(*, d, k, runs, names):
    """Name -> contender, for those of the names that can run here; and the names that cannot, with the reason."""
    means = the_means(d, k)
    means32 = means.astype(np.float32)
    weights = np.full(k, 1 / k)
    thresholds = np.cumsum(weights)[:-1]
    rng = np.random.default_rng([d, k, runs])
    words = rng.integers(0, 2**32, (runs, 4), np.uint32)
    cores = os.cpu_count()
    found, missing = {}, {}

    def add(name, stream, *, factor=CONSTANT_RATE, cores=cores):
        def check(found):
            centres, n = found
            return {"error_over_law": laws.error_over_law(name, centres, means, factor=factor, weights=weights, n=n)}

        def from_the_truth(n):
            centres, taken = stream(n)
            return len(centres), taken, (centres, taken)

        found[name] = timing.Contender(from_the_truth, check, {"cores": cores})

    def alone(run, n):
        with timing.one_thread():
            return np.stack([run(rng, means, n) for _ in range(min(runs, ALONE))]), n

    if "seed's loop" in names:
        add("seed's loop", partial(alone, seeds_loop), cores=1)
    if "scikit-learn" in names and sklearn_cluster:
        add("scikit-learn", partial(alone, scikit_learn), factor=laws.running_mean, cores=1)
    if "river" in names and river_cluster:
        add("river", partial(alone, river), cores=1)
    if "NumPy" in names:
        add("NumPy", lambda n: (numpy_runs(rng, means32, runs, n), n), cores=1)

    def numba_stream(kernel, n):
        return kernel(words, means32, thresholds.astype(np.float32), np.float32(1), np.float32(RATE), n), n

    if "Numba, NumPy" in names and numba:
        plain = numba_rivals.numba_numpy
        add("Numba, NumPy", lambda n: (plain(words[:, 0], means, thresholds, 1.0, RATE, n), n))
    if "Numba, xoshiro" in names and numba:
        kernel = numba_rivals.compile_numba(k, d, numba_rivals.libm_normals)
        add("Numba, xoshiro", partial(numba_stream, kernel))
    if "Numba, vectors" in names and numba:
        kernel = numba_rivals.compile_numba(k, d, numba_rivals.polynomial_normals)
        add("Numba, vectors", partial(numba_stream, kernel))

    keys = jax.random.split(jax.random.key(1), runs)
    mesh = Mesh(np.array(jax.devices()[: math.gcd(runs, len(jax.devices()))]), ("runs",))

    def jax_stream(n):
        blocks = -(-n // jax_rivals.BLOCK)
        given = (means32, thresholds.astype(np.float32), np.float32(RATE), np.int32(blocks))
        return np.asarray(jax_rivals.all_runs(keys, *given, run=jax_rivals.lloyd, mesh=mesh)), blocks * jax_rivals.BLOCK

    if "JAX" in names:
        add("JAX", jax_stream)

    batch = jgmm.batch(jax.random.key(0), range(runs), mixture.given(means))

    def jgmm_stream(n):
        record = jgmm.run(batch, "lloyd", batch.mixture.means, steps=RATE, checkpoints=[n])
        return np.moveaxis(record.centres, -1, 0), n

    if "jgmm" in names:
        add("jgmm", jgmm_stream)

    if "limit" in names:
        try:
            limit.library(k, d)
        except (OSError, subprocess.CalledProcessError) as error:
            missing["limit"] = f"no C compiler that takes limit.c ({error})"
        else:
            found["limit"] = limit_contender(batch, means, weights, jgmm_stream)

    for name, module, package in (
        ("scikit-learn", sklearn_cluster, "scikit-learn"),
        ("river", river_cluster, "river"),
        *((name, numba, "numba") for name in NAMES if name.startswith("Numba")),
    ):
        if name in names and not module:
            missing[name] = f"{package} is not installed"
    return found, missing


def limit_contender(batch, means, weights, jgmm_stream):
    """The limit, whose check also is that it ends where jgmm does."""
    runs, cores = len(batch.run_ids), os.cpu_count()
    words = np.stack([np.asarray(lane)[:, :runs] for lane in batch.words])
    start = np.repeat(means[..., None], runs, axis=2)
    given = (words, start, weights, np.ones(runs), np.full(runs, RATE))
    program, behind = limit.Limit(*given, threads=cores), 0

    def stream(n):
        nonlocal behind
        behind += n
        return runs, n, (program(n), behind)

    @cache
    def difference():
        apart = float(np.abs(limit.Limit(*given, threads=cores)(SAME) - jgmm_stream(SAME)[0]).max())
        if not apart <= 1e-4:
            raise RuntimeError(f"limit and jgmm are {apart:.2g} apart after {SAME} samples of the same lanes")
        return apart

    def check(found):
        centres, n = found
        ratio = laws.error_over_law("limit", centres, means, factor=CONSTANT_RATE, weights=weights, n=n)
        return {"error_over_law": ratio, "largest_difference_from_jgmm": difference()}

    return timing.Contender(stream, check, {"cores": cores})


NAMES = (
    *("seed's loop", "scikit-learn", "river", "NumPy", "Numba, NumPy", "Numba, xoshiro", "Numba, vectors"),
    *("JAX", "jgmm", "limit"),
)


def shape(text):
    """ "10,5" -> (10, 5)."""
    d, k = (int(number) for number in text.split(","))
    if d < 1 or k < 2:
        raise ValueError(text)
    return d, k


def environment(shapes):
    """Device, versions, and what the compilers make use of."""
    try:
        d, k = shapes[0]
        width = limit.library(k, d).width()
    except (OSError, subprocess.CalledProcessError):
        width = None
    return {
        **timing.environment(PACKAGES),
        "jax_devices": len(jax.devices()),
        "numba_threads": numba.get_num_threads() if numba else None,
        "numba_svml": bool(numba.config.USING_SVML) if numba else None,
        "limit_vector_width": width,
        "compiler": timing.compiler(),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description="Samples a second of streaming Lloyd, in every way at hand.")
    parser.add_argument("--shapes", type=shape, nargs="+", default=SHAPES, metavar="D,K", help="dimensions,components")
    parser.add_argument("--runs", type=int, nargs="+", default=RUNS, help="independent runs")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a timed call")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each contender")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    version = "py{}{}".format(*sys.version_info)
    default = Path(__file__).parent / "results" / f"rivals-{version}.json"
    parser.add_argument("--json", type=Path, default=default, help="where to write everything that was measured")
    args = parser.parse_args(argv)
    if min(args.runs) < 1 or args.rounds < 1 or args.seconds <= 0:
        parser.error("--runs, --rounds and --seconds must be positive")
    jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    if numba:
        numba.set_num_threads(os.cpu_count())

    here = environment(args.shapes)
    options = {name: getattr(args, name) for name in ("shapes", "runs", "seconds", "rounds", "only")}
    print(f"streaming Lloyd, medians of {args.rounds} rounds of {args.seconds:g} s")
    print(
        f"{here['device']}, {here['cores']} cores, limit of {here['limit_vector_width']} lanes; Python {here['python']}"
    )
    print(", ".join(f"{package} {here[package]}" for package in PACKAGES) + f"; commit {here['commit']}")
    records, told = [], set()
    for d, k in args.shapes:
        for runs in args.runs:
            found, missing = contenders(d=d, k=k, runs=runs, names=args.only)
            for name in missing.keys() - told:
                print(f"{name} is left out: {missing[name]}")
            told |= missing.keys()
            setting = {"shape": [d, k], "runs": runs}
            mine = timing.measure(found, setting=setting, seconds=args.seconds, rounds=args.rounds, least=LEAST)
            records += mine
            timing.save(args.json, environment=here, options=options, records=records)
            print(f"\nd = {d}, k = {k}, {runs} runs", *timing.table(mine), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
