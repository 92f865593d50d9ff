r"""Is the fused kernel right on a GPU, and how fast is it there?

First it must be right. What is not is told and stored, and the exit status is 1. If bits fail nothing is timed; if only
those do where a run has several threads, fused is not timed where it has.

    bits      256 runs, (d, k) = (2, 2), (10, 5) and (50, 10), 1e5 samples: the lane states of fused and scan on the GPU
              are those of scan on this machine's CPU; two launches leave what one does, none changes what is not live
              or has no samples to take in, other seeds leave other lanes. Free memory is filled with NaN before a
              launch: what it does not write shows.
    centres   after 200 samples within 1e-4 sigma of the CPU's and of scan's on the GPU in 99 % of the runs (one may
              part after a near tie)
    laws      in float32, each within 4 standard errors over the runs: streaming Lloyd far apart (S1 and S2, theory.py),
              its labelled twin at a separation of 3, EM's stationary law (to first order in the rate: 2 rate of it are
              allowed beside), what power iteration leaves of the means (to first order in 1/block: k/block of it); its
              bases are the CPU's too, and seeding finds k components

Then samples a second of all runs together, by the rounds of timing.py: medians, the first call (compilers and all; next
to nothing where a check has compiled it) apart, every call awaited. A call is one launch, or one scan, of
`trials._advance`, from true means 20 apart, at eta = 0.05; in every round the error of (256 of) its runs must follow
its law (laws.py). Contenders, (d, k) being (10, 5), (2, 2), (50, 10) and (100, 20), at 256, 4,096 and 65,536 runs:

    fused, scan   both kernels on the GPU; "auto" tells which of them `trials.choose_kernel` takes, and why
    CPU           scan on all cores of this machine, 256 and 4,096 runs
    scan, WHILE   scan with XLA's while loops in CUDA graphs, XLA_FLAGS=--xla_gpu_enable_command_buffer=+WHILE, in a
                  process of its own, which may crash (openxla/xla#35760)
    scan, child   its anchor, at the first shape: scan in such a process without the flag
    PyTorch       an eager loop over samples, all runs in each operation, draws included; in a process of its own too

At (10, 5) and 4,096 runs also the twin, EM and power iteration. Then `jgmm run seed` with 4,096 runs, from an empty
cache and once more. The floor is what the card could do if every scheduler issued an instruction each cycle,

    multiprocessors x 4 schedulers x 32 threads x clock / (instructions of a sample x threads of a run),

these counted by gpu_compile.py, the clock the highest that nvidia-smi tells (else 1.755 GHz). The picture's dashed line
falls where runs are too few for all schedulers; the fraction that is told is of the whole card's.

    python benchmarks/gpu.py [--seconds 0.3] [--rounds 3] [--budget 420] [--quick] [--json PATH] [--picture PATH]
    python benchmarks/gpu.py --study        # `jgmm run` alone, in place of the rows that the JSON has
    python benchmarks/gpu.py --rehearse     # without a GPU: everything, tiny, fused interpreted on the CPU

What the budget leaves no time for is skipped, and told so; the JSON is written after each setting. Needs JAX 0.11 and
an NVIDIA GPU of compute capability 9.0.
"""

import argparse
import gc
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import laws
import numpy as np
import timing
from matplotlib.figure import Figure

from jgmm import kernels, machine, metrics, mixture, theory, tiling, trials

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "numpy", "torch")
RATE = 0.05
SEPARATION, PAIR_SEPARATION = 20.0, 8.0  # of the means in the timed streams, as in algorithms.py
BLOCK, BLOCKS = 500, 6  # of power iteration
FEW = 256  # runs whose bits are compared, and whose error is looked at in a round
NEAR_SAMPLES, NEAR, NEAR_SHARE = 200, 1e-4, 0.99
LEAST = 32  # samples a run of a call
FLAGS = {"scan, WHILE": "--xla_gpu_enable_command_buffer=+WHILE"}
TARGETS = {256: (3e8, 10), 4096: (4e9, 10), 65536: (1.5e10, 4)}  # runs -> samples a second at (10, 5), times scan's
STUDY_TARGET = 30.0  # seconds
SCHEDULERS, WARP = 4, 32
H100 = {"core_count": 132, "clock_ghz": 1.755}
SETTING_SECONDS, CHILD_SECONDS = 18.0, 8.0  # guessed: a setting's compilers and rounds; start of a process
STUDY_SECONDS = 40.0  # kept back for `jgmm run`, whose target counts more than the largest shape
COLOURS = {"fused": "#c8452d", "CPU": "#20639b", "scan": "#444444", "scan, WHILE": "#8a8a8a", "PyTorch": "#b8860b"}


class Plan(NamedTuple):
    """What is done, where, and until when."""

    fused: str  # the kernel of that name, or "interpreted" in a rehearsal
    device: Any
    cpus: list
    seconds: float
    rounds: int
    deadline: float
    shapes: tuple = ((10, 5), (2, 2), (50, 10), (100, 20))
    runs: tuple = (256, 4096, 65536)
    cpu_runs: tuple = (256, 4096)
    bit_shapes: tuple = ((2, 2), (10, 5), (50, 10))
    bit_samples: int = 100_000
    poison: int = 26  # log2 of the numbers of the largest array of NaN
    law: tuple = (10, 5, 4096, 0.01, (300, 8000))  # d, k, runs, rate, samples
    em: tuple = (10, 4096, 1e-3, 6000)  # d, runs, rate, samples
    power: tuple = (10, 5, 4096)  # d, k, runs
    study: str = "seed"  # a preset's name or the text of a spec; "": none
    study_runs: int = 4096
    children: bool = True  # whether the contenders are asked that need a process of their own

    def left(self) -> float:
        return self.deadline - time.perf_counter()


QUICK = {"shapes": ((10, 5),), "bit_samples": 10_000, "study": "", "children": False}
REHEARSAL = {"shapes": ((2, 2), (3, 2)), "runs": (64, 256), "cpu_runs": (64,), "bit_shapes": ((2, 2),), "poison": 16}
REHEARSAL |= {"bit_samples": 1000, "law": (2, 2, 256, 0.05, (30, 300)), "em": (2, 256, 0.05, 300), "power": (3, 2, 256)}
REHEARSAL |= {"study": 'name = "rehearsal"\n[stream]\nn = 1000\nstart = 0.1\n', "study_runs": 32}


# --- streams ---


def simplex(d, k, separation=SEPARATION):
    return mixture.simplex(k, d, separation=separation)


def advance(batch, algorithm, count, kernel, carry=None, live=None):
    """(lanes, state) after so many samples, from the batch's start unless told. live: of how many runs (all)."""
    carry = (batch.lanes, algorithm.state) if carry is None else carry
    static = {"step": algorithm.step, "block": tiling.BLOCK, "tile": None, "kernel": kernel, "mesh": batch.streams}
    static["threads"] = 1 if kernel == "scan" else threads_of(batch, algorithm)
    live = np.int32(batch.num_runs if live is None else live)
    found = trials._advance(carry, algorithm.parameters, batch.mixture, np.int32(count), live, **static)
    return jax.block_until_ready(found)


def where_it_streams(batch, algorithm):
    """The batch and its algorithm with all that a stream takes in on the devices that stream."""
    whole = batch.lanes, batch.mixture, algorithm.state, algorithm.parameters
    lanes, mixed, state, parameters = trials._lay(whole, batch.streams)
    return batch._replace(lanes=lanes, mixture=mixed), algorithm._replace(state=state, parameters=parameters)


def threads_of(batch, algorithm):
    """Of a run, where it is fused. (Told of the interpreted kernel, which is never refused and so quickly chosen.)"""
    return trials.choose_kernel(algorithm, batch, kernels.INTERPRETED).threads


def from_the_truth(devices, system, d, k, runs):
    """A batch, and lloyd, twin or em (k is 2 then) on it.

    The algorithm is made for a few runs and spread: starts that are alike need not all be matched to the components.
    """
    truth = mixture.symmetric(d, separation=PAIR_SEPARATION) if system == "em" else simplex(d, k)
    few, batch = (trials.batch(jax.random.key(0), range(n), truth, devices=devices) for n in (1, runs))
    if system == "em":
        narrow = trials.em_algorithm(few, few.mixture.means[0], rate=RATE)
    else:
        narrow = trials.lloyd_algorithm(few, few.mixture.means, rate=RATE, twin=system == "twin")

    def spread(x):
        return trials._lay(jnp.broadcast_to(x[..., :1], (*x.shape[:-1], len(batch.run_ids))), batch.mesh)

    state, parameters = jax.tree.map(spread, (narrow.state, narrow.parameters))
    return where_it_streams(batch, narrow._replace(state=state, parameters=parameters))


def power_stream(devices, d, k, runs, kernel):
    """blocks -> bases (d, k, runs) of power iteration after so many."""
    batch = trials.batch(jax.random.key(0), range(runs), simplex(d, k), devices=devices)
    frame = np.linalg.qr(np.random.default_rng(0).standard_normal((d, k)))[0].astype(np.float32)
    frames = np.repeat(frame[..., None], len(batch.run_ids), axis=-1)
    carry, mixed = trials._lay(((batch.lanes, frames), batch.mixture), batch.streams)
    threads = 1 if kernel == "scan" else trials.choose_seeding_kernel(batch, kernels.INTERPRETED).threads
    static = {"draw": tiling.BLOCK, "kernel": kernel, "threads": threads, "mesh": batch.streams}

    def stream(blocks):
        counts = np.int32(blocks), np.int32(BLOCK)
        return np.asarray(trials._power_blocks(carry, mixed, counts, np.int32(runs), **static)[1])[..., :runs]

    return stream


def left_of_means(bases):
    """sum_i |mu_i - U U^T mu_i|^2 of each run, and its law to first order in 1/block."""
    d, k, _ = bases.shape
    bases, means = bases.astype(np.float64), np.asarray(simplex(d, k).means, np.float64)
    inside = np.einsum("djr,kjr->kdr", bases, np.einsum("djr,kd->kjr", bases, means))
    signal = SEPARATION**2 / (2 * k)  # eigenvalue of the means' second moment, in k - 1 directions
    tan_sq = theory.power_iteration_tan_sq(1 + signal, block=BLOCK, sigma=1.0, d=d, k=k)
    return np.sum((means[..., None] - inside) ** 2, axis=(0, 1)), k * (k - 1) * signal * tan_sq


# --- right? ---


def checked(name, passed, found="", *, bits_of=None):
    """A row of the report. bits_of: whose bits were compared, those of one thread a run or of several."""
    print(f"{'right' if passed else 'WRONG'}  {name}{found and ': '}{found}", flush=True)
    return {"check": name, "passed": bool(passed), "found": found, "bits_of": bits_of}


def bits_hold(report, kind):
    """Whether all kernels of this kind, one thread a run or several, left the right bits."""
    return all(row["passed"] for row in report["checks"] if row["bits_of"] == kind)


def kind_of(plan, d, k):
    few = from_the_truth([plan.device], "lloyd", d, k, 1)
    return "several threads" if threads_of(*few) > 1 else "one thread"


def on_the_law(name, values, law, allowed=0.0):
    """Whether a mean over runs is within 4 standard errors, and what is allowed, of its law."""
    mean, error, _ = metrics.estimate(values)
    found = f"{mean:.5g} +- {error:.2g}, law {law:.5g}, {abs(mean - law) / error:.1f} standard errors away"
    return checked(name, abs(mean - law) < 4 * error + allowed, found)


def poison(plan):
    """Leave NaN in the memory that the next outputs may get."""
    sizes = [2**power for power in range(8, plan.poison + 1, 3) for _ in range(3)]
    for array in jax.block_until_ready([jnp.full(n, jnp.nan, jnp.float32, device=plan.device) for n in sizes]):
        array.delete()


def on_host(tree):
    """Arrays of the runs without their padding."""
    return [np.asarray(x)[..., :FEW] for x in jax.tree.leaves(tree)]


def same_bits(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(on_host(one), on_host(other), strict=True))


def bit_checks(plan, d, k, kind):
    """Rows; on components that overlap, from half a sigma off."""
    n, where = plan.bit_samples, f"({d}, {k}), {FEW} runs: "

    def started(devices, key=0):
        batch = trials.batch(jax.random.key(key), range(FEW), simplex(d, k, 4.0), devices=devices)
        start = trials.offset_start(jax.random.key(9), batch, 0.5)
        return where_it_streams(batch, trials.lloyd_algorithm(batch, start, rate=RATE))

    def bits(name, passed, found=""):
        return checked(where + name, passed, found, bits_of=kind)

    def fused(count, carry=None, of=None, live=None):
        poison(plan)
        return advance(*(of or here), count, plan.fused, carry, live)

    here, there = started([plan.device]), started(plan.cpus)
    whole, by_cpu = fused(n), advance(*there, n, "scan")
    yield bits(f"fused's lanes after {n:,} samples are the CPU's", same_bits(whole[0], by_cpu[0]))
    yield bits("so are scan's", same_bits(advance(*here, n, "scan")[0], by_cpu[0]))
    yield bits("two launches leave what one does", same_bits(fused(n - n // 3, fused(n // 3)), whole))
    begin = here[0].lanes, here[1].state
    yield bits("no samples leave all as it was", same_bits(fused(0), begin))
    half = jax.tree.map(lambda a, b: np.concatenate([a[..., : FEW // 2], b[..., FEW // 2 :]], -1), whole, begin)
    yield bits("runs that are not live stay as they were", same_bits(fused(n, live=FEW // 2), half))
    pairs = zip(on_host(whole[0]), on_host(fused(n, of=started([plan.device], key=1))[0]), strict=True)
    alike = np.all([(a == b).all(axis=0) for a, b in pairs], axis=0).sum()
    yield bits("other seeds leave other lanes", alike == 0, f"{alike} runs end on the same")
    ours = on_host(fused(NEAR_SAMPLES)[1].centres.offset)[0]
    for name, problem in (("the CPU's", there), ("scan's here", here)):
        apart = np.abs(ours - on_host(advance(*problem, NEAR_SAMPLES, "scan")[1].centres.offset)[0]).max(axis=(0, 1))
        share, largest = np.mean(apart <= NEAR), apart[apart <= NEAR].max(initial=0.0)
        found = f"{share:.2%} of the runs within {NEAR:g} sigma, of these the furthest {largest:.1e}"
        yield checked(f"{where}centres after {NEAR_SAMPLES} samples are {name}", share >= NEAR_SHARE, found)


def lloyd_laws(plan):
    """Rows; S1 and S2 where components are far apart, and the twin's where they overlap."""
    d, k, runs, rate, samples = plan.law

    def streamed(key, separation):
        batch = trials.batch(jax.random.key(key), range(runs), simplex(d, k, separation), devices=[plan.device])
        start = trials.offset_start(jax.random.key(6), batch, 1.0)
        found = trials.run_lloyd(batch, start, rate=rate, checkpoints=samples, twin=True, kernel=plan.fused)
        told = {"rate": rate, "weight": 1 / k, "sigma": 1, "d": d, "start_sq": found.start_sq.mean()}
        return found, [k * theory.lloyd_error_sq(samples=n, **told) for n in samples]

    (far, far_laws), (near, near_laws) = streamed(5, 14.0), streamed(7, 3.0)
    for i, n in enumerate(samples):
        yield on_the_law(f"Lloyd ({d}, {k}), error^2 after {n} samples", far.error.error_sq[i + 1], far_laws[i])
        yield on_the_law(f"its twin, components overlapping, after {n}", near.twin_sq[i + 1], near_laws[i])
    if rate * samples[-1] / k > 10:  # S2 is for a start that is forgotten
        law = k * theory.stationary_distance(rate=rate, sigma=1, d=d)
        yield on_the_law(f"Lloyd ({d}, {k}), distance after {samples[-1]} samples", far.error.error_sum[-1], law)


def em_law(plan):
    """A row; from starts that are drawn from the law, so that nothing is to be forgotten."""
    d, runs, rate, samples = plan.em
    batch = trials.batch(jax.random.key(5), range(runs), mixture.symmetric(d, separation=4.0), devices=[plan.device])
    noise = np.random.default_rng(0).standard_normal((d, len(batch.run_ids))) * np.sqrt(rate / 2)
    start = batch.mixture.means[0] + trials._lay(noise.astype(np.float32), batch.mesh)
    found = trials.run_em(batch, start, rate=rate, checkpoints=[samples], kernel=plan.fused)
    law = theory.em_stationary_sq(rate=rate, sigma=1, d=d)
    yield on_the_law(f"EM, d = {d}, stationary error^2", found.error.error_sq[-1], law, allowed=2 * rate * law)


def seeding_checks(plan):
    """Rows; power iteration, and the whole of seeding."""
    d, k, runs = plan.power
    name = f"power iteration ({d}, {k}), left of the means"
    ours, law = left_of_means(power_stream([plan.device], d, k, runs, plan.fused)(BLOCKS))
    yield on_the_law(name, ours, law, allowed=k / BLOCK * law)
    theirs, _ = left_of_means(power_stream(plan.cpus, d, k, FEW, "scan")(BLOCKS))
    share = np.mean(np.abs(ours[:FEW] - theirs) <= 0.01 * law)
    yield checked(f"{name} by the CPU", share >= NEAR_SHARE, f"{share:.2%} of the runs within 1 % of the law")
    batch = trials.batch(jax.random.key(0), range(runs), simplex(d, k), devices=[plan.device])
    sizes = {"n": BLOCKS * BLOCK + 80, "block": BLOCK, "graph_points": 80, "neighbors": 5}
    seeds = trials.seed_centres(jax.random.key(2), batch, kernel=plan.fused, **sizes)[1]
    share = np.mean(np.asarray(seeds.num_components)[:runs] == k)
    yield checked(f"seeding ({d}, {k}) finds the components", share >= 0.95, f"in {share:.2%} of {runs} runs")


def correctness(plan, report, save):
    """All that was found goes to the report."""
    kinds = {f"bits {shape}": kind_of(plan, *shape) for shape in plan.bit_shapes}
    groups = {f"bits {(d, k)}": partial(bit_checks, plan, d, k, kinds[f"bits {(d, k)}"]) for d, k in plan.bit_shapes}
    groups |= {name: partial(group, plan) for name, group in LAWS.items()}
    for name, group in groups.items():
        try:
            report["checks"].extend(group())
        except Exception as error:  # the compiler's and the driver's are of many kinds
            report["checks"].append(checked(name, False, first_line(error), bits_of=kinds.get(name)))
        save()


LAWS = {"Lloyd's law": lloyd_laws, "EM's law": em_law, "seeding": seeding_checks}


def first_line(error):
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


# --- how fast? ---


def stream_contender(name, kernel, problem, system="lloyd"):
    """A call is a launch; problem() -> the batch and its algorithm."""
    batch, algorithm = problem()

    def stream(n):
        return batch.num_runs, n, (advance(batch, algorithm, n, kernel)[1].centres.offset, n)

    def check(found):
        offset = np.asarray(found[0][..., : min(batch.num_runs, FEW)])
        offset = offset[None] if system == "em" else offset  # a single estimate
        return {"error_over_law": on_its_law(name, np.moveaxis(offset, -1, 0), np.zeros(offset.shape[:2]), found[1])}

    return timing.Contender(stream, check, {"kernel": kernel})


def on_its_law(name, centres, means, n):
    told = {"factor": laws.constant_rate(RATE), "weights": [1 / len(means)] * len(means), "n": n}
    return laws.error_over_law(name, centres, means, **told)


def power_contender(name, kernel, devices, d, k, runs):
    """n blocks a call."""
    stream = power_stream(devices, d, k, runs, kernel)

    def check(bases):
        values, law = left_of_means(bases)
        mean, error, _ = metrics.estimate(values)
        if not abs(mean - law) < max(0.1 * law, 5 * error):
            raise RuntimeError(f"{name}: what is left of the means over its law is {mean / law:.3f}, expected 1")
        return {"error_over_law": float(mean / law)}

    return timing.Contender(lambda n: (runs, n * BLOCK, stream(n)), check, {"kernel": kernel})


def torch_contender(device, d, k, runs):
    """The loop that one would write first."""
    torch = importlib.import_module("torch")
    means = torch.tensor(np.asarray(simplex(d, k).means), device=device)
    index = torch.arange(runs, device=device)

    def stream(n):
        centres = means.expand(runs, k, d).clone()
        for _ in range(n):
            x = means[torch.randint(k, (runs,), device=device)] + torch.randn(runs, d, device=device)
            winner = ((x[:, None] - centres) ** 2).sum(dim=2).argmin(dim=1)
            mine = centres[index, winner]
            centres[index, winner] = mine + RATE * (x - mine)
        found = centres[:FEW].cpu().numpy()  # which waits for all of it
        return runs, n, (found, n)

    def check(found):
        return {"error_over_law": on_its_law("PyTorch", found[0], means.cpu().numpy(), found[1])}

    return timing.Contender(stream, check, {"torch": str(torch.__version__)})


def measured(ways, *, setting, seconds, rounds, least=LEAST):
    """Records of the contenders that work, and rows of the failures. ways: name -> a function that makes one."""
    works, first_calls, failures, records = {}, {}, [], []

    def failed(name, error):  # laws.py raises plain RuntimeErrors, compiler and driver kinds of their own
        failures.append({**setting, "name": name, "message": first_line(error), "wrong": type(error) is RuntimeError})

    for name, make in ways.items():
        try:
            contender = make()
            first_calls[name], *_, found = timing.timed(contender.stream, least)
            contender.check(found)
            timing.timed(contender.stream, least)  # an interpreted kernel is compiled again for this one
            works[name] = contender
        except Exception as error:  # out of memory, or not to be compiled: the others go on
            failed(name, error)
    try:
        if works:
            records = timing.measure(works, setting=setting, seconds=seconds, rounds=rounds, least=least)
    except Exception as error:
        failed("the rounds", error)
    for record in records:
        record["first_call_seconds"] = first_calls[record["name"]]
    gc.collect()  # the largest shapes hold gigabytes
    return records, failures


def skip(report, what, why):
    report["skipped"].append(f"{what}: {why}")
    print(f"skipped: {what}: {why}", flush=True)


def no_time(plan, report, what, needed):
    """Whether this must be skipped, which is told then. Seconds are kept back for the study that is still to come."""
    left = max(0.0, plan.left() - (STUDY_SECONDS if plan.study else 0.0))
    if left < needed:
        skip(report, what, f"about {needed:.0f} s needed, {left:.0f} s left")
    return left < needed


def told(report, records, failures, title):
    """Keep and print what was found at a setting."""
    report["records"] += records
    report["failures"] += failures
    print(f"\n{title}", *timing.table(records, ours="fused"), sep="\n")
    print(*[f"FAILED  {row['name']}: {row['message']}\n" for row in failures], sep="", end="", flush=True)


def setting(plan, report, system, d, k, runs):
    """The contenders of this process; of lloyd also what auto takes."""
    title, here = f"{system}, d = {d}, k = {k}, {runs} runs", [plan.device]
    if no_time(plan, report, title, SETTING_SECONDS):
        return
    if system == "power":
        make = partial(power_contender, devices=here, d=d, k=k, runs=runs)
    else:
        problem = cache(partial(from_the_truth, here, system, d, k, runs))
        make = partial(stream_contender, problem=problem, system=system)
    ways = {}
    if system == "lloyd" and not bits_hold(report, kind_of(plan, d, k)):
        skip(report, f"fused, {title}", "its bits are wrong")
    else:
        ways["fused"] = partial(make, "fused", kernel=plan.fused)
    ways["scan"] = partial(make, "scan", kernel="scan")
    if system == "lloyd" and runs in plan.cpu_runs:
        ways["CPU"] = partial(stream_contender, "CPU", "scan", partial(from_the_truth, plan.cpus, system, d, k, runs))
    where = {"system": system, "shape": [d, k], "runs": runs}
    least = BLOCKS if system == "power" else LEAST
    told(report, *measured(ways, setting=where, seconds=plan.seconds, rounds=plan.rounds, least=least), title)
    if system == "lloyd":
        batch, algorithm = problem()
        auto = str(trials.choose_kernel(algorithm, batch, "auto"))
        report["ratios"].append({**where, "auto": auto, **ratios(report, d, k, runs, auto)})
        share = report["ratios"][-1]["fraction_of_floor"]
        print(f"auto: {auto}" + (f"\nfused: {share:.3g} of the floor" if share else ""), flush=True)


# --- other processes ---


def child(text):
    """Print a line of JSON for each number of runs: the records and failures of one contender."""
    given = json.loads(text)
    (d, k), name, device = given["shape"], given["name"], "cpu" if given["rehearsal"] else "cuda"
    if given["rehearsal"] or name == "PyTorch":
        jax.config.update("jax_platforms", "cpu")
    machine.prepare()
    for runs in given["runs"]:
        problem = partial(from_the_truth, jax.devices()[:1], "lloyd", d, k, runs)
        make = partial(stream_contender, name, "scan", problem)
        if name == "PyTorch":
            make = partial(torch_contender, device, d, k, runs)
        setting = {"system": "lloyd", "shape": [d, k], "runs": runs}
        found = measured({name: make}, setting=setting, seconds=given["seconds"], rounds=given["rounds"])
        print(json.dumps(found), flush=True)
    return 0


def in_a_child(plan, report, name, d, k):
    """A contender in a process of its own, with its flags; what it printed counts if it crashes or takes too long."""
    title, needed = f"{name}, d = {d}, k = {k}", CHILD_SECONDS + len(plan.runs) * SETTING_SECONDS / 2
    if name == "PyTorch" and find_spec("torch") is None:
        return skip(report, title, "torch is not installed")
    if no_time(plan, report, title, needed):
        return None
    given = {"name": name, "shape": [d, k], "runs": plan.runs, "seconds": plan.seconds, "rounds": plan.rounds}
    given["rehearsal"] = plan.fused == kernels.INTERPRETED
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS.get(name, '')}".strip()
    call = [sys.executable, str(Path(__file__).resolve()), "--child", json.dumps(given)]
    ended, out, err, _ = ran(call, {"XLA_FLAGS": flags}, min(3 * needed, plan.left()))
    found = [json.loads(line) for line in out.splitlines() if line.startswith("[") and line.endswith("]")]
    records, failures = ([row for pair in found for row in pair[i]] for i in (0, 1))
    if ended:
        message = f"{ended} after {len(found)} of {len(plan.runs)} numbers of runs: {err[-300:]}"
        failures.append({"system": "lloyd", "shape": [d, k], "name": name, "message": message, "wrong": False})
    return told(report, records, failures, title)


def ran(call, changes, limit):
    """What went wrong (None if nothing), what was printed to each stream, and seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        try:
            told = {"env": {**os.environ, **changes}, "stdout": out, "stderr": err, "timeout": limit}
            status = subprocess.run(call, **told).returncode
            ended = f"ended with {status}" if status else None
        except subprocess.TimeoutExpired:
            ended = f"stopped after {limit:.0f} s"
        out.seek(0)
        err.seek(0)
        return ended, out.read(), err.read(), time.perf_counter() - started


def studied(plan, report, folder, cache):
    """A whole `jgmm run`; its programs are kept in the folder from one to the next."""
    if not plan.study or no_time(plan._replace(study=""), report, f"jgmm run, {cache} cache", STUDY_SECONDS / 2):
        return
    spec = plan.study
    if "\n" in spec:
        spec = str(folder / "rehearsal.toml")
        Path(spec).write_text(plan.study)
    call = [sys.executable, "-m", "jgmm.cli", "run", spec, "--runs", str(plan.study_runs), "--out", str(folder / cache)]
    changes = {"JAX_COMPILATION_CACHE_DIR": str(folder / "programs")}
    changes |= {"JAX_PLATFORMS": "cpu"} if plan.fused == kernels.INTERPRETED else {}
    ended, _, err, seconds = ran(call, changes, max(1.5 * STUDY_TARGET, plan.left()))
    by = [line for line in err.splitlines() if line.startswith("kernel ")]
    failure = ended and f"{ended}: {err[-500:]}"
    row = {"cache": cache, "runs": plan.study_runs, "seconds": seconds, "failure": failure, "kernels": by}
    row["commit"] = timing.environment(())["commit"]
    report["study"].append(row)
    print(f"\njgmm run {Path(spec).stem}, {plan.study_runs} runs, {cache} cache: {seconds:.1f} s", *by, sep="\n  ")
    print(*[f"FAILED: {failure}\n"] if failure else [], sep="", end="", flush=True)


# --- what it comes to ---


class Floor(NamedTuple):
    """What the instructions alone allow."""

    rate: float  # samples a second of the whole card
    full: int  # runs that occupy every scheduler


def floor_of(gpu, d, k):
    """None where the instructions were not counted."""
    path = RESULTS / "gpu_compile.json"
    for row in json.loads(path.read_text()).get("rows", []) if path.exists() else []:
        same = (row.get("d"), row.get("k")) == (d, k) and not row.get("twin") and not row.get("threads")
        if same and row.get("system") == "Lloyd" and row.get("instructions"):
            full = gpu["core_count"] * SCHEDULERS * WARP // row.get("threads_of_run", 1)
            return Floor(full * gpu["clock_ghz"] * 1e9 / row["instructions"], full)
    return None


def find(rows, **wanted):
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), None)


def ratios(report, d, k, runs, auto):
    """Of medians: the kernels, the one that auto takes over the CPU, and fused as a fraction of the floor."""
    at = partial(find, report["records"], system="lloyd", shape=[d, k], runs=runs)
    fused, scan, cpu = (row and row["median"] for row in (at(name=name) for name in ("fused", "scan", "CPU")))
    ours, floor = fused if auto.startswith("fused") else scan, floor_of(report["environment"]["gpu"], d, k)
    floor = floor and floor.rate
    pairs = {"fused_over_scan": (fused, scan), "gpu_over_cpu": (ours, cpu), "fraction_of_floor": (fused, floor)}
    return {"floor": floor, **{name: a / b if a and b else None for name, (a, b) in pairs.items()}}


def targets(plan, report):
    """Rows: what was asked, what was found (None: not measured), and whether that is enough."""
    (d, k), rows = plan.shapes[0], []
    for runs, (rate, times) in TARGETS.items():
        record = find(report["records"], system="lloyd", shape=[d, k], runs=runs, name="fused") or {}
        ratio = find(report["ratios"], shape=[d, k], runs=runs) or {}
        rows.append((f"({d}, {k}), {runs} runs, samples a second, at least", rate, record.get("median")))
        rows.append((f"({d}, {k}), {runs} runs, over scan, at least", times, ratio.get("fused_over_scan")))
    rows = [(*row, None if row[2] is None else row[2] >= row[1]) for row in rows]
    if cold := find(report["study"], cache="cold"):
        found = None if cold["failure"] else cold["seconds"]
        what = f"jgmm run seed, {plan.study_runs} runs, seconds, below"
        rows.append((what, STUDY_TARGET, found, found is not None and found < STUDY_TARGET))
    return [dict(zip(("what", "asked", "found", "met"), row, strict=True)) for row in rows]


def draw(report, path):
    """A panel for each shape: samples a second against runs, with the range over the rounds."""
    records = [row for row in report["records"] if row["system"] == "lloyd"]
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row in records))
    height, runs, shown = math.ceil(len(shapes) / 2), sorted({row["runs"] for row in records}), {}
    here, gpu = report["environment"], report["environment"]["gpu"]
    figure = Figure(figsize=(12, 1.4 + 3.9 * height), dpi=100, layout="constrained")
    panels = figure.subplots(height, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for panel in panels[len(shapes) :]:
        panel.set_axis_off()
    for i, (panel, (d, k)) in enumerate(zip(panels, shapes, strict=False)):
        for name, colour in COLOURS.items():
            mine = [row for row in records if row["name"] == name and row["shape"] == [d, k]]
            if mine:
                x, each = [row["runs"] for row in mine], [row["samples_a_second"] for row in mine]
                style = {"color": colour, "linewidth": 2 + (name == "fused"), "markersize": 6 + 3 * (name == "fused")}
                (shown[name],) = panel.plot(x, [row["median"] for row in mine], "o-", **style)
                panel.vlines(x, [min(y) for y in each], [max(y) for y in each], color=colour, linewidth=2, alpha=0.5)
        if floor := floor_of(gpu, d, k):
            x = np.geomspace(runs[0], runs[-1], 200)
            allowed = floor.rate * np.minimum(1, x / floor.full)
            (shown["floor"],) = panel.plot(x, allowed, "--", color="#444444", linewidth=1.2)
        panel.set(xscale="log", yscale="log")
        panel.set_title(f"d = {d}, k = {k}", fontsize=13)
        panel.set_xticks(runs, [f"{count:,}" for count in runs])
        panel.minorticks_off()
        panel.grid(color="#dddddd")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=11, labelbottom=i + 2 >= len(shapes))
        if i + 2 >= len(shapes):
            panel.set_xlabel("independent runs (log)", fontsize=12)
        if i % 2 == 0:
            panel.set_ylabel("samples a second (log)", fontsize=12)
    figure.legend(shown.values(), shown.keys(), loc="outside upper right", ncols=len(shown), frameon=False, fontsize=11)
    title = f"Streaming Lloyd on one {'CPU, a REHEARSAL' if report['rehearsal'] else 'GPU'}"
    figure.suptitle(title, fontsize=15, x=0.01, ha="left")
    parts = [here["device"], f"CPU: {here['processor']}, {here['cores']} cores", f"JAX {here['jax']}"]
    parts += [f"median and range of {report['options']['rounds']} rounds"]
    figure.supxlabel("; ".join(parts), fontsize=11, color="#444444")
    figure.savefig(path)


# --- all together ---


def times(plan, report, save):
    """All that there is time for, in the order of what it is worth."""
    first, *others = plan.shapes
    for shape in plan.shapes:
        for runs in plan.runs:
            setting(plan, report, "lloyd", *shape, runs)
            save()
        if shape == first:
            for name in ("scan, WHILE", "scan, child", "PyTorch") if plan.children else ():
                in_a_child(plan, report, name, *shape)
                save()
            setting(plan, report, "twin", *plan.law[:3])
            setting(plan, report, "em", plan.em[0], 2, plan.em[1])
            setting(plan, report, "power", *plan.power)
            save()
    with tempfile.TemporaryDirectory() as folder:
        studied(plan, report, Path(folder), "cold")
        save()
        for name in ("scan, WHILE", "PyTorch") if plan.children else ():
            for shape in others:
                in_a_child(plan._replace(study=""), report, name, *shape)
                save()
        studied(plan, report, Path(folder), "warm")


def facts(device):
    """What the floor depends on; an H100's where the device does not tell."""
    found = {"kind": device.device_kind, "capability": str(getattr(device, "compute_capability", "")), **H100}
    found["core_count"] = getattr(device, "core_count", None) or H100["core_count"]
    query = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
        return {**found, "clock_ghz": float(answer.split()[0]) / 1e3, "clock_from": "nvidia-smi"}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {**found, "clock_from": "an H100's data sheet"}


def prepare(rehearse):
    """Start JAX; the device to measure, and the CPU's. Raises ValueError if there is none that will do."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other processes need some of the memory
    platforms = "cpu" if rehearse else os.environ.get("JAX_PLATFORMS")
    if platforms:
        jax.config.update("jax_platforms", ",".join(dict.fromkeys([*platforms.split(","), "cpu"])))
    machine.prepare()
    expected = "expected an NVIDIA GPU of compute capability 9.0 and JAX 0.11 or newer (--rehearse needs no GPU)"
    if kernels.version(jax.__version__) < kernels.OLDEST_JAX:
        raise ValueError(f"JAX is {jax.__version__}, {expected}")
    try:
        device, cpus = jax.devices()[0], jax.devices("cpu")
    except RuntimeError as error:
        raise ValueError(f"{first_line(error)}, {expected}") from error
    if not rehearse:
        batch, algorithm = from_the_truth([device], "lloyd", 2, 2, 1)
        choice = trials.choose_kernel(algorithm, batch, "auto")
        if choice.kernel != "fused":
            raise ValueError(f"{choice.reason} ({device.device_kind}), {expected}")
    return device, cpus


def arguments(argv):
    parser = argparse.ArgumentParser(description="Is the fused kernel right on a GPU, and how fast is it?")
    parser.error = lambda message: parser.exit(2, f"gpu.py: {message} (see --help)\n")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a timed call")
    parser.add_argument("--rounds", type=int, default=3, help="timed calls of each contender")
    parser.add_argument("--budget", type=float, default=420.0, help="seconds in all, about")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="(10, 5) only, without other processes and studies")
    size.add_argument("--study", action="store_true", help="`jgmm run` alone, in place of the JSON's rows of it")
    size.add_argument("--rehearse", action="store_true", help="on a CPU, tiny: to see that the script works")
    parser.add_argument("--json", type=Path, help="where to write everything (results/gpu.json)")
    parser.add_argument("--picture", type=Path, help="and the picture (gpu.png)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not 0 < args.seconds < math.inf or args.rounds < 1 or not 0 < args.budget < math.inf:
        parser.error("--seconds, --rounds and --budget must be positive numbers")
    if args.picture and args.picture.suffix not in (".png", ".svg", ".pdf"):
        parser.error(f"--picture is {args.picture}, expected a name that ends in .png, .svg or .pdf")
    for path in filter(None, (args.json, args.picture)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{path}: {error.strerror}")
        if path.is_dir() or not os.access(path.parent, os.W_OK):
            parser.error(f"{path} cannot be written")
    return args


def main(argv=None):
    args, started = arguments(argv), time.perf_counter()
    if args.child:
        return child(args.child)
    try:
        device, cpus = prepare(args.rehearse)
    except ValueError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    rehearsing = Path(tempfile.mkdtemp(prefix="jgmm-gpu-")) if args.rehearse else None
    path = args.json or (rehearsing or RESULTS) / "gpu.json"
    picture = args.picture or (rehearsing or RESULTS.parent) / "gpu.png"
    sizes = REHEARSAL if args.rehearse else QUICK if args.quick else {}
    where = {"fused": kernels.INTERPRETED if args.rehearse else "fused", "device": device, "cpus": cpus}
    plan = Plan(**where, seconds=args.seconds, rounds=args.rounds, deadline=started + args.budget, **sizes)
    here = timing.environment(PACKAGES)
    here |= {"device": device.device_kind, "processor": here["device"], "gpu": facts(device)}
    options = {name: value for name, value in plan._asdict().items() if name not in ("device", "cpus", "deadline")}
    report = {"rehearsal": args.rehearse, "environment": here, "options": {**options, "budget": args.budget}}
    report |= {name: [] for name in ("checks", "records", "ratios", "failures", "skipped", "study")}

    def save():
        report["targets"] = targets(plan, report)
        if not args.study:
            report["seconds_in_all"] = time.perf_counter() - started
        timing.save(path, **report)

    print(f"{here['device']}, {here['gpu']['core_count']} multiprocessors, {here['gpu']['clock_ghz']:g} GHz", end="; ")
    print(f"{here['processor']}, {len(cpus)} cores; Python {here['python']}")
    print(", ".join(f"{package} {here[package]}" for package in PACKAGES) + f"; commit {here['commit']}\n", flush=True)
    if args.study:
        report |= {**(json.loads(path.read_text()) if path.exists() else {}), "study": []}
        with tempfile.TemporaryDirectory() as folder:
            for kept in ("cold", "warm"):
                studied(plan, report, Path(folder), kept)
    else:
        correctness(plan, report, save)
        if bits_hold(report, "one thread"):
            times(plan, report, save)
        else:
            skip(report, "every time", "the bits are wrong")
    save()
    print("\ntargets")
    for row in report["targets"]:
        verdict = {None: "not measured", True: "met", False: "MISSED"}[row["met"]]
        print(f"  {row['what']} {row['asked']:g}: {verdict}" + (f", {row['found']:.3g}" if row["found"] else ""))
    wrong = [row["check"] for row in report["checks"] if not row["passed"]]
    wrong += [f"{row['name']} at {row['shape']}" for row in report["failures"] if row["wrong"]]
    wrong += [f"jgmm run, {row['cache']} cache" for row in report["study"] if row["failure"]]
    print(f"wrong: {'; '.join(wrong) or 'nothing'}\n{time.perf_counter() - started:.0f} s in all\n{path}")
    if report["records"]:
        draw(report, picture)
        print(picture)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
