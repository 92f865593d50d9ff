"""How many samples a second does online EM of weights, means and scales take, here and in Numba?

Two Numba contenders, both a `prange` over runs, each run drawing its own samples: `Numba, plain` as one writes it down
(np.random, float64, math.log and math.exp, the statistics s0, s1, s2 and the parameters that they have), and `Numba,
patient` with float32, xoshiro128++ and jgmm's polynomials for the normals, and the recursion on parameters that
jgmm/algorithms/online.py has. jgmm is `jgmm.run` with one checkpoint, its two measurements included. Rounds, ratios and
their ranges are those of timing.py.

Check, in every round, or the program stops: the mean squared error of all centres is that of the plain Numba within a
fifth (both settle where steps of (t + 200)^-0.6 leave them).

    python benchmarks/online_em.py [--shapes 10,5] [--runs 256] [--seconds 0.5] [--rounds 5] [--json PATH]

A shape is d,k. Device: the CPU, in the JSON, which also has the operations of jgmm's step on a number of a run.
"""

import argparse
import math
import os
from collections import Counter
from functools import lru_cache
from pathlib import Path

import jax
import numpy as np
import timing

import jgmm
from jgmm import mixture, steps
from jgmm.algorithms.online import ONLINE
from jgmm.engine import ahead, cpu, together
from jgmm.engine.operations import ordered

numba = timing.optional("numba")
rivals = timing.optional("numba_rivals") if numba else None
SEPARATION, POWER, SHIFT, LEAST = 8.0, 0.6, 200.0, 2000
PACKAGES = ("jax", "numba", "numpy")


@lru_cache
def plain():
    """As one writes it down."""

    @numba.njit(parallel=True)
    def kernel(seeds, means, n):
        k, d = means.shape
        out = np.empty((len(seeds), k, d))
        for run in numba.prange(len(seeds)):
            np.random.seed(seeds[run])  # noqa: NPY002
            w, mu, var = np.full(k, 1 / k), means.copy(), np.ones(k)
            s0, s1, s2 = w.copy(), np.empty((k, d)), np.empty(k)
            for i in range(k):
                s2[i] = w[i] * d * var[i]
                for j in range(d):
                    s1[i, j] = w[i] * mu[i, j]
                    s2[i] += w[i] * mu[i, j] ** 2
            x, p = np.empty(d), np.empty(k)
            for t in range(n):
                label = np.random.randint(k)  # noqa: NPY002
                size = 0.0
                for j in range(d):
                    x[j] = means[label, j] + np.random.normal()  # noqa: NPY002
                    size += x[j] ** 2
                most = -np.inf
                for i in range(k):
                    distance = 0.0
                    for j in range(d):
                        distance += (x[j] - mu[i, j]) ** 2
                    p[i] = math.log(w[i]) - 0.5 * (d * math.log(var[i]) + distance / var[i])
                    most = max(most, p[i])
                whole = 0.0
                for i in range(k):
                    p[i] = math.exp(p[i] - most)
                    whole += p[i]
                rate = (t + SHIFT) ** -POWER
                for i in range(k):
                    share = p[i] / whole
                    s0[i] += rate * (share - s0[i])
                    s2[i] += rate * (share * size - s2[i])
                    w[i] = s0[i]
                    norm = 0.0
                    for j in range(d):
                        s1[i, j] += rate * (share * x[j] - s1[i, j])
                        mu[i, j] = s1[i, j] / s0[i]
                        norm += mu[i, j] ** 2
                    var[i] = (s2[i] / s0[i] - norm) / d
            out[run] = mu
        return out

    return kernel


@lru_cache
def patient(k, d):
    """For these sizes, as a patient author would."""
    half, block = (d + 1) // 2, rivals.BLOCK
    pairs = block * half
    xoshiro, normals_of = rivals.xoshiro, rivals.polynomial_normals

    @numba.njit(parallel=True)
    def kernel(words, means, n):
        out = np.empty((len(words), k, d), np.float32)
        one, small = np.float32(1), np.float32(1 / d)
        for run in numba.prange(len(words)):
            s0, s1, s2, s3 = words[run, 0], words[run, 1], words[run, 2], words[run, 3]
            mu, w, var = means.copy(), np.full(k, np.float32(1 / k)), np.ones(k, np.float32)
            x, p, away = np.empty(d, np.float32), np.empty(k, np.float32), np.empty(k, np.float32)
            labels = np.empty(block, np.int64)
            first, second = np.empty(pairs, np.uint32), np.empty(pairs, np.uint32)
            normals = np.empty((2, pairs), np.float32)
            for begin in range(0, n, block):
                for sample in range(block):
                    s0, s1, s2, s3, bits = xoshiro(s0, s1, s2, s3)
                    labels[sample] = (np.uint64(bits) * np.uint64(k)) >> np.uint64(32)
                for pair in range(pairs):
                    s0, s1, s2, s3, first[pair] = xoshiro(s0, s1, s2, s3)
                    s0, s1, s2, s3, second[pair] = xoshiro(s0, s1, s2, s3)
                normals_of(first, second, normals)
                for sample in range(min(block, n - begin)):
                    label = labels[sample]
                    for j in range(half):
                        x[j] = means[label, j] + normals[0, sample * half + j]
                    for j in range(half, d):
                        x[j] = means[label, j] + normals[1, sample * half + j - half]
                    most = np.float32(-np.inf)
                    for i in range(k):
                        distance = np.float32(0)
                        for j in range(d):
                            gap = x[j] - mu[i, j]
                            distance += gap * gap
                        away[i] = distance
                        log_var = np.float32(math.log(var[i]))
                        p[i] = np.float32(math.log(w[i])) - np.float32(0.5) * (
                            np.float32(d) * log_var + distance / var[i]
                        )
                        most = max(most, p[i])
                    whole = np.float32(0)
                    for i in range(k):
                        p[i] = np.float32(math.exp(p[i] - most))
                        whole += p[i]
                    rate = np.float32(np.float32(begin + sample + SHIFT) ** np.float32(-POWER))
                    for i in range(k):
                        share = p[i] / whole
                        w[i] += rate * (share - w[i])
                        gain = rate * share / w[i]
                        for j in range(d):
                            mu[i, j] += gain * (x[j] - mu[i, j])
                        var[i] = (one - gain) * (var[i] + gain * away[i] * small)
            out[run] = mu
        return out

    return kernel


def contenders(*, d, k, runs):
    """Centres of shape (runs, k, d)."""
    mixed = mixture.simplex(k, d, separation=SEPARATION)
    means = np.asarray(mixed.means)
    batch = jgmm.batch(jax.random.key(0), range(runs), mixed)
    start = np.asarray(batch.mixture.means)
    words = np.random.default_rng(d).integers(0, 2**32, (runs, 4), np.uint32)
    size = steps.polynomial(1.0, POWER, SHIFT)
    found_by_n: dict[int, float] = {}

    def expected(n):
        # To first order: steps of gamma leave gamma/2 d/w of each centre's squared error, summed gamma k^2 d/2.
        return (n + SHIFT) ** -POWER * k * k * d / 2

    def check(found):
        centres, n = found
        error = float(((centres - means) ** 2).sum(axis=(1, 2)).mean())
        ratio = error / expected(n)
        if not 0.7 < ratio < 1.4:
            raise RuntimeError(f"the mean squared error is {ratio:.3g} times what steps of (t + 200)^-0.6 leave")
        found_by_n[n] = error
        return {"error_over_law": ratio}

    def of_jgmm(n):
        record = jgmm.run(batch, "online-em", start, steps=size, checkpoints=[n])
        return runs, n, (np.moveaxis(record.centres, -1, 0), n)

    ways = {"jgmm": of_jgmm}
    if numba:
        seeds = np.arange(runs)
        ways = {
            "Numba, plain": lambda n: (runs, n, (plain()(seeds, means.astype(float), n), n)),
            "Numba, patient": lambda n: (runs, n, (patient(k, d)(words, means, n), n)),
            **ways,
        }
    return {name: timing.Contender(way, check, {"cores": os.cpu_count()}) for name, way in ways.items()}


KINDS = {
    "fused multiply-adds": ("fma",),
    "+ - *": ("add", "sub", "mul", "neg"),
    "divisions": ("div",),
    "comparisons, choices": ("lt", "gt", "eq", "ne", "le", "ge", "select", "max", "min", "and", "or", "not", "xor"),
    "of bits": ("bitcast", "convert", "shift_left", "shift_right_arithmetic"),
}


def operations(*, d, k, runs):
    """How many of each kind the step has, and those of them that are made for a block of samples at once."""
    mixed = mixture.simplex(k, d, separation=SEPARATION)
    batch = jgmm.batch(jax.random.key(0), range(runs), mixed)
    size = steps.polynomial(1.0, POWER, SHIFT)
    ready = together.ready(batch, ONLINE, np.asarray(batch.mixture.means), steps=size)
    found = ahead.ahead(cpu.open(ready.kernel, batch.words, ready.state, ready.params, ready.source).where)

    def kinds(results):
        by_name = Counter(node.op for node in ordered(results) if node.args)
        return {kind: sum(by_name[name] for name in names) for kind, names in KINDS.items()}

    each = {"of a sample": found.rest.results.values(), "of a block, for each of its samples": found.values}
    return [{"d": d, "k": k, "operations": words, **kinds(results)} for words, results in each.items()]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shapes", nargs="+", default=["10,5"])
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main():
    asked = arguments()
    environment, records, counts = timing.environment(PACKAGES), [], []
    for shape in asked.shapes:
        d, k = map(int, shape.split(","))
        setting = {"system": "online-em", "d": d, "k": k}
        here = timing.measure(
            contenders(d=d, k=k, runs=asked.runs),
            setting=setting,
            seconds=asked.seconds,
            rounds=asked.rounds,
            least=LEAST,
        )
        records += here
        counts += operations(d=d, k=k, runs=asked.runs)
        print(f"\nonline-em, d = {d}, k = {k}", *timing.table(here), sep="\n")
        if asked.json:
            timing.save(asked.json, environment=environment, records=records, operations=counts)


if __name__ == "__main__":
    main()
