r"""How many samples a second does streaming Lloyd take on all cores, here and written by hand?

A printout (2 cores of a virtual AMD EPYC with AVX-512, shared with other work: the ranges show it; 1 s a call):

    Python 3.13.0, JAX 0.12.0.1, Numba 0.68.1
                     M samples/s     min     max  first call, s  error/law
    jgmm                   63.78   53.99   76.02           2.20      1.025
    Numba, NumPy            4.63    3.90    5.79           5.72      0.998
    Numba, xoshiro         16.77   14.60   17.10           4.21      0.987
    Numba, vectors         32.46   28.32   34.27           4.03      1.001
    JAX                     4.25    3.29    4.47           1.41      1.017

    jgmm over each, ratio of medians (range over rounds); Numba's best row is 'Numba, vectors'
    Numba, NumPy            13.8   (10.1 to 16.9)
    Numba, xoshiro           3.8   (3.2 to 4.5)
    Numba, vectors           2.0   (1.7 to 2.5)
    JAX                     15.0   (14.7 to 18.3)

With JAX 0.10.2 (Python 3.11) the same ratios were 8.0, 2.5, 1.3 and 9.1.

Method. Every contender does the same work: `runs` independent runs, each of which draws a sample of a mixture (general
weights, one scale, means on a simplex 20 standard deviations apart) and moves the nearest centre by eta = 0.05 of the
way, from the true means on, n samples a run and nothing else kept. The contenders:

    jgmm             `trials.run_lloyd` with one checkpoint, its two measurements of the error included
    Numba, NumPy     a prange over runs, one run at a time on a thread; `np.random.normal` inside, float64
    Numba, xoshiro   the same in float32 with xoshiro128++ and Box-Muller, 16 samples drawn at a time, sizes compiled in
    Numba, vectors   the last with jgmm's polynomials for log, cos and sin, which LLVM vectorises
    JAX              `vmap(scan(step))`, `jax.random` (threefry), 32 samples drawn at a time, runs split over the cores

fastmath is off for Numba. "Numba" without more is the fastest of its rows. Its second row calls libm one number at a
time: llvmlite 0.50 from PyPI is built without support for Intel's SVML (the printout says whether yours has it). Blocks
of 16 to 512 samples gave JAX 2.6 to 3.4 million a second on a busy machine, without a trend.

The first call is timed apart (compiler and all), the second warms up and sets n so that a call takes `--seconds`; then
come 7 rounds in which the contenders take turns, each call blocking until its centres are on the host. A ratio is that
of two medians, and its range that of the rounds' own ratios: what else the machine does shows there.

The centres that a contender ends with must have the stationary mean squared error k eta / (2 - eta) d sigma^2 within
10 % (or 4 standard errors, where so few runs cannot tell), or nothing is reported.

    python benchmarks/lloyd.py [--d 10] [--k 5] [--runs 256] [--seconds 1] [--json PATH]

Numbers depend on XLA_FLAGS, which is printed: `--xla_cpu_prefer_vector_width=512` helps where there is AVX-512.
"""

import argparse
import json
import math
import os
import sys
import time
from functools import partial
from pathlib import Path

import about
import jax
import jax.numpy as jnp
import numba
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jgmm import mixture, trials

RATE = 0.05
SEPARATION = 20.0  # no sample is ever nearer to another component's centre
ROUNDS = 7
NUMBA_BLOCK = 16
JAX_BLOCK = 32


# --- Numba, the plain way ---


@numba.njit(parallel=True)
def numba_numpy(seeds, means, thresholds, scale, rate, n):
    """Centres, shape (runs, k, d)."""
    k, d = means.shape
    out = np.empty((len(seeds), k, d))
    for run in numba.prange(len(seeds)):
        np.random.seed(seeds[run])  # noqa: NPY002
        centres = means.copy()
        x = np.empty(d)
        for _ in range(n):
            u = np.random.random()  # noqa: NPY002
            label = 0
            for i in range(k - 1):
                label += u >= thresholds[i]
            for j in range(d):
                x[j] = means[label, j] + scale * np.random.normal()  # noqa: NPY002
            best, winner = np.inf, 0
            for i in range(k):
                distance = 0.0
                for j in range(d):
                    distance += (x[j] - centres[i, j]) ** 2
                if distance < best:
                    best, winner = distance, i
            for j in range(d):
                centres[winner, j] += rate * (x[j] - centres[winner, j])
        out[run] = centres
    return out


# --- Numba, as well as a patient author would ---


@numba.njit(inline="always")
def rotate(x, by):
    return np.uint32(np.uint32(x << np.uint32(by)) | np.uint32(x >> np.uint32(32 - by)))


@numba.njit(inline="always")
def xoshiro(s0, s1, s2, s3):
    """One step of xoshiro128++: the next four words, and 32 bits."""
    bits = np.uint32(rotate(np.uint32(s0 + s3), 7) + s0)
    shifted = np.uint32(s1 << np.uint32(9))
    s2, s3 = np.uint32(s2 ^ s0), np.uint32(s3 ^ s1)
    s1, s0 = np.uint32(s1 ^ s2), np.uint32(s0 ^ s3)
    return s0, s1, np.uint32(s2 ^ shifted), rotate(s3, 11), bits


@numba.njit
def libm_normals(first, second, normals):
    """Box-Muller by libm: two words give two normals."""
    unit, turn = np.float32(2**-24), np.float32(2 * np.pi * 2**-24)
    for i in range(len(first)):
        u = (np.float32(first[i] >> np.uint32(8)) + np.float32(1)) * unit
        angle = np.float32(second[i] >> np.uint32(8)) * turn
        radius = math.sqrt(np.float32(-2) * math.log(u))
        normals[0, i] = radius * math.cos(angle)
        normals[1, i] = radius * math.sin(angle)


LOG = tuple(
    np.float32(c)
    for c in (
        *(-0.17487891, 0.287546605, -0.298981905, 0.331213921, -0.399139553),
        *(0.500043094, -0.666683674, 0.999999762, -2),
    )
)
SIN = tuple(np.float32(c) for c in (-0.0046021631, 0.0796802193, -0.64596349, 1.57079637))
COS = tuple(np.float32(c) for c in (0.000903629872, -0.0208600704, 0.253669202, -1.23370051, 1))


@numba.njit
def polynomial_normals(first, second, normals):
    """Box-Muller by the polynomials of jgmm.lanes: loops without calls, which LLVM turns into vectors."""
    one, bit, root_half = np.float32(1), np.uint32(1), np.int32(0x3F3504F3)
    mantissas = np.empty(len(first), np.float32)
    exponents = np.empty(len(first), np.float32)
    words = mantissas.view(np.int32)
    for i in range(len(first)):
        mantissas[i] = np.float32(np.int32((first[i] >> bit) | bit))
    for i in range(len(first)):
        word = np.int32(words[i] - root_half)
        exponents[i] = np.float32(np.int32((word >> np.int32(23)) - np.int32(31))) * np.float32(-2 * np.log(2))
        words[i] = np.int32((word & np.int32(0x7FFFFF)) + root_half)
    for i in range(len(first)):
        m = mantissas[i] - one
        p = (((LOG[0] * m + LOG[1]) * m + LOG[2]) * m + LOG[3]) * m + LOG[4]
        p = (((p * m + LOG[5]) * m + LOG[6]) * m + LOG[7]) * m + LOG[8]
        square = m * p + exponents[i]
        radius = math.sqrt(square if square > 0 else np.float32(0))
        t = np.float32(np.int32(second[i] << np.uint32(2))) * np.float32(2**-32) + np.float32(2**-33)
        y = t * t
        sin = t * (((SIN[0] * y + SIN[1]) * y + SIN[2]) * y + SIN[3])
        cos = (((COS[0] * y + COS[1]) * y + COS[2]) * y + COS[3]) * y + COS[4]
        quadrant = np.uint32(second[i] >> np.uint32(30))
        odd = np.uint32(quadrant & bit) == bit
        flip_first = np.uint32((quadrant ^ (quadrant >> bit)) & bit) == bit
        flip_second = np.uint32(quadrant >> bit) == bit
        normals[0, i] = (sin if odd else cos) * (-radius if flip_first else radius)
        normals[1, i] = (cos if odd else sin) * (-radius if flip_second else radius)


def compile_numba(k, d, fill_normals):
    """The kernel for these sizes: constants let LLVM unroll the loops over k and d."""
    half = (d + 1) // 2
    pairs = NUMBA_BLOCK * half

    @numba.njit(parallel=True)
    def kernel(words, means, thresholds, scale, rate, n):
        out = np.empty((len(words), k, d), np.float32)
        for run in numba.prange(len(words)):
            s0, s1, s2, s3 = words[run, 0], words[run, 1], words[run, 2], words[run, 3]
            centres = means.copy()
            x = np.empty(d, np.float32)
            uniforms = np.empty(NUMBA_BLOCK, np.float32)
            first, second = np.empty(pairs, np.uint32), np.empty(pairs, np.uint32)
            normals = np.empty((2, pairs), np.float32)
            for begin in range(0, n, NUMBA_BLOCK):
                for sample in range(NUMBA_BLOCK):
                    s0, s1, s2, s3, bits = xoshiro(s0, s1, s2, s3)
                    uniforms[sample] = np.float32(bits >> np.uint32(8)) * np.float32(2**-24)
                for pair in range(pairs):
                    s0, s1, s2, s3, first[pair] = xoshiro(s0, s1, s2, s3)
                    s0, s1, s2, s3, second[pair] = xoshiro(s0, s1, s2, s3)
                fill_normals(first, second, normals)
                for sample in range(min(NUMBA_BLOCK, n - begin)):
                    label = 0
                    for i in range(k - 1):
                        label += uniforms[sample] >= thresholds[i]
                    for j in range(half):
                        x[j] = means[label, j] + scale * normals[0, sample * half + j]
                    for j in range(half, d):
                        x[j] = means[label, j] + scale * normals[1, sample * half + j - half]
                    best, winner = np.float32(np.inf), 0
                    for i in range(k):
                        distance = np.float32(0)
                        for j in range(d):
                            difference = x[j] - centres[i, j]
                            distance += difference * difference
                        if distance < best:
                            best, winner = distance, i
                    for j in range(d):
                        centres[winner, j] += rate * (x[j] - centres[winner, j])
            out[run] = centres
        return out

    return kernel


# --- JAX, the way its manual suggests ---


def jax_step(centres, x):
    """One sample of one run: centres (k, d), x (d,)."""
    winner = jnp.argmin(jnp.sum((x[None] - centres) ** 2, axis=1))
    return centres.at[winner].add(RATE * (x - centres[winner])), None


def jax_run(key, means, thresholds, scale, blocks):
    """One run of `blocks` blocks: centres (k, d)."""

    def consume(index, centres):
        key_label, key_noise = jax.random.split(jax.random.fold_in(key, index))
        u = jax.random.uniform(key_label, (JAX_BLOCK,))
        labels = jnp.sum(u[:, None] >= thresholds[None], axis=1)
        noise = jax.random.normal(key_noise, (JAX_BLOCK, means.shape[1]))
        return lax.scan(jax_step, centres, means[labels] + scale * noise)[0]

    return lax.fori_loop(0, blocks, consume, means)


@partial(jax.jit, static_argnames="mesh")
def jax_runs(keys, means, thresholds, scale, blocks, *, mesh):
    """All runs, a share of them on each device: (runs, k, d)."""
    runs = jax.vmap(jax_run, in_axes=(0, None, None, None, None))
    specs = (P("runs"), P(), P(), P(), P())
    sharded = jax.shard_map(runs, mesh=mesh, in_specs=specs, out_specs=P("runs"), check_vma=False)
    return sharded(keys, means, thresholds, scale, blocks)


# --- the contenders: n -> (centres of shape (runs, k, d), samples that each run took) ---


def contenders(*, k, d, runs):
    """Name -> a function of n that streams n samples a run (JAX: rounded up to a block) and blocks."""
    truth = mixture.simplex(k, d, separation=SEPARATION)
    means64 = np.asarray(truth.means, np.float64)
    means32 = means64.astype(np.float32)
    thresholds64 = np.cumsum(np.asarray(truth.weights, np.float64))[:-1]
    thresholds32 = thresholds64.astype(np.float32)
    words = np.random.default_rng(0).integers(0, 2**32, (runs, 4), np.uint32)
    batch = trials.batch(jax.random.key(0), range(runs), truth)
    with_libm, with_polynomials = compile_numba(k, d, libm_normals), compile_numba(k, d, polynomial_normals)
    keys = jax.random.split(jax.random.key(1), runs)
    mesh = Mesh(np.array(jax.devices()), ("runs",))

    def engine(n):
        record = trials.run_lloyd(batch, batch.mixture.means, rate=RATE, checkpoints=[n])
        return np.moveaxis(record.centres, -1, 0), n

    def plain(n):
        return numba_numpy(words[:, 0], means64, thresholds64, 1.0, RATE, n), n

    def tuned(kernel, n):
        return kernel(words, means32, thresholds32, np.float32(1), np.float32(RATE), n), n

    def vmapped(n):
        blocks = -(-n // JAX_BLOCK)
        centres = jax_runs(keys, means32, thresholds32, np.float32(1), np.int32(blocks), mesh=mesh)
        return np.asarray(centres), blocks * JAX_BLOCK

    streams = {
        "jgmm": engine,
        "Numba, NumPy": plain,
        "Numba, xoshiro": partial(tuned, with_libm),
        "Numba, vectors": partial(tuned, with_polynomials),
        "JAX": vmapped,
    }
    return streams, means64


def timed(stream, n):
    """Seconds, and what the call returned."""
    start = time.perf_counter()
    centres, taken = stream(n)
    return time.perf_counter() - start, np.asarray(centres, np.float64), taken


def check(name, centres, means):
    """Mean squared error over the stationary law. Raises RuntimeError if it is not 1 within the tolerance."""
    runs, k, d = centres.shape
    law = k * RATE / (2 - RATE) * d
    ratio = np.sum((centres - means[None]) ** 2, axis=(1, 2)).mean() / law
    # A run's error is law / (k d) times a chi-square with k d degrees of freedom: relative deviation sqrt(2 / (k d)).
    tolerance = max(0.1, 4 * math.sqrt(2 / (k * d * runs)))
    if not abs(ratio - 1) <= tolerance:
        raise RuntimeError(f"{name}: mean squared error / law is {ratio:.3f}, expected 1 within {tolerance:.2f}")
    return ratio


def measure(*, k, d, runs, seconds):
    """Name -> rates in samples a second (one a round), first call in seconds, n, error over law."""
    streams, means = contenders(k=k, d=d, runs=runs)
    settled = math.ceil(10 * k / (RATE * (2 - RATE)))  # e^-10 of the start is left
    rows = {}
    for name, stream in streams.items():
        first = timed(stream, settled)[0]
        n = settled
        while (elapsed := timed(stream, n)[0]) < seconds / 4:
            n *= 4
        n = max(settled, round(n * seconds / elapsed))
        rows[name] = {"first_call_seconds": first, "samples_a_run": n, "samples_a_second": []}
    for turn in range(ROUNDS):
        order = list(streams)[turn % len(streams) :] + list(streams)[: turn % len(streams)]
        for name in order:
            elapsed, centres, taken = timed(streams[name], rows[name]["samples_a_run"])
            rows[name]["samples_a_second"].append(runs * taken / elapsed)
            rows[name]["error_over_law"] = check(name, centres, means)
    for row in rows.values():
        row["median"] = float(np.median(row["samples_a_second"]))
    return rows


def ratios(rows):
    """jgmm over each rival: of the medians, and the median and range of the rounds' ratios."""
    ours = np.array(rows["jgmm"]["samples_a_second"])
    result = {}
    for rival in rows.keys() - {"jgmm"}:
        each = ours / np.array(rows[rival]["samples_a_second"])
        result[rival] = {
            "ratio_of_medians": rows["jgmm"]["median"] / rows[rival]["median"],
            "median_of_ratios": float(np.median(each)),
            "smallest": float(each.min()),
            "largest": float(each.max()),
        }
    return result


def environment():
    """Device, versions and commit."""
    return {
        **about.environment(),
        "jax_devices": len(jax.devices()),
        "numba_threads": numba.get_num_threads(),
        "numba_svml": bool(numba.config.USING_SVML),
        "jax": jax.__version__,
        "numba": numba.__version__,
        "numpy": np.__version__,
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description="Samples a second of streaming Lloyd, against Numba and plain JAX.")
    parser.add_argument("--d", type=int, default=10, help="dimensions (at least k - 1)")
    parser.add_argument("--k", type=int, default=5, help="components")
    parser.add_argument("--runs", type=int, default=256, help="runs; a multiple of the number of cores")
    parser.add_argument("--seconds", type=float, default=1.0, help=f"length of a timed call; {ROUNDS} of each are made")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    args = parser.parse_args(argv)
    if args.runs < 1 or args.runs % os.cpu_count():
        parser.error(f"--runs is {args.runs}, expected a positive multiple of the {os.cpu_count()} cores")
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", os.cpu_count())
    numba.set_num_threads(os.cpu_count())

    here = environment()
    rows = measure(k=args.k, d=args.d, runs=args.runs, seconds=args.seconds)
    over = ratios(rows)

    rounds = f"medians of {ROUNDS} rounds of {args.seconds:g} s"
    print(f"streaming Lloyd, d={args.d}, k={args.k}, {args.runs} runs; {rounds}")
    print(f"{here['device']}, {here['cores']} cores; XLA_FLAGS={here['xla_flags']!r}; SVML {here['numba_svml']}")
    print(f"Python {here['python']}, JAX {here['jax']}, Numba {here['numba']}, commit {here['commit']}\n")
    print(f"{'':16}{'M samples/s':>12}{'min':>8}{'max':>8}{'first call, s':>15}{'error/law':>11}")
    for name, row in rows.items():
        rates = np.array(row["samples_a_second"]) / 1e6
        figures = f"{row['median'] / 1e6:12.2f}{rates.min():8.2f}{rates.max():8.2f}"
        print(f"{name:16}{figures}{row['first_call_seconds']:15.2f}{row['error_over_law']:11.3f}")
    best = max((name for name in rows if name.startswith("Numba")), key=lambda name: rows[name]["median"])
    print(f"\njgmm over each, ratio of medians (range over rounds); Numba's best row is {best!r}")
    for rival in [name for name in rows if name != "jgmm"]:
        ratio = over[rival]
        print(f"{rival:16}{ratio['ratio_of_medians']:12.1f}   ({ratio['smallest']:.1f} to {ratio['largest']:.1f})")

    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        options = {"d": args.d, "k": args.k, "runs": args.runs, "seconds": args.seconds, "rounds": ROUNDS}
        report = {"environment": here, "options": options, "rows": rows, "jgmm_over": over, "best_numba": best}
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
