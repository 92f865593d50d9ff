r"""Is the program right on a GPU, and how fast is it there?

First it must be right. What is not is told and stored, the exit status is 1, and nothing is timed.

    table     the digests of tests/golden.json, which every machine reproduces
    bits      256 runs that differ in everything, 16,000 samples of the systems and shapes of gpu_compile.py's kernels:
              words and states of the card are the CPU's in every bit; so they are after two calls, of runs that are
              live, and of samples drawn
    cells     every preset with few runs, once by each back end: the cells' files are the same in every byte; so are
              those of two processes that share the card. Left out are presets of which a run alone takes minutes

Then samples a second of all runs together, by the rounds of timing.py: medians, the first call apart (tracing, LLVM,
the driver's assembler). A call is one launch of `jgmm.engine`'s back ends, as engine.py has them: streaming Lloyd from
true means 20 apart, at eta = 0.05; in every round the error must follow its law (laws.py). Contenders at 256, 4,096 and
65,536 runs, (d, k) being (10, 5), (2, 2), (50, 10) and (100, 20):

    fused     the back end gpu: a stream in one launch
    scan      the back end scan on the GPU, a step at a time (not with the largest shapes)
    CPU       the back end cpu on all cores of this machine, 256 and 4,096 runs

At (10, 5) and 4,096 runs also the twin, EM, soft, Student's noise, and a million dimensions in 11 coordinates
(reduction). Then from empty caches `jgmm run theorem1`, and `jgmm run seed`
with 4,096 runs, that once more from full ones. The floor is what the card could do if every scheduler issued an
instruction each cycle,

    multiprocessors x 4 schedulers x 32 threads x clock / (instructions of a sample x threads of a run),

these counted by gpu_compile.py, the clock the highest that nvidia-smi tells (else 1.755 GHz). The picture's dashed line
falls where runs are too few for all schedulers; the fraction that is told is of the whole card's.

    python benchmarks/gpu.py [--seconds 0.3] [--rounds 3] [--budget 420] [--quick] [--json PATH] [--picture PATH]
    python benchmarks/gpu.py --rehearse     # without a GPU: everything, tiny, kernels executed on NumPy

What the budget leaves no time for is skipped, and told so; the JSON is written after each setting. Needs an NVIDIA GPU
of compute capability 7.0 or more, and llvmlite.
"""

import argparse
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import engine
import golden
import gpu_compile
import jax
import numpy as np
import ptx
import timing
from gpu_compile import Case
from matplotlib.figure import Figure

from jgmm.engine import cpu, gpu, machine
from jgmm.study import spec

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "llvmlite", "numpy")
RUNS = 256  # whose bits are compared
DRAWN = 64  # samples
CELL_RUNS = 64  # of a preset's cells
SHARED = "theorem2"  # the preset that two processes run, too
LONGEST = 2 * 10**7  # samples of a run of a preset that is compared
PATIENCE = 300  # seconds that a preset may take
LEAST = 32  # samples a run of a call
# Samples a second at 256, 4,096 and 65,536 runs of an H100. At (10, 5) what is asked; else what the kernel did that was
# here before (commit ab068c1).
TARGETS = {(10, 5): (0.6e9, 9e9, 40e9), (2, 2): (2.8e9, 44e9, 228e9), (50, 10): (0.7e9, 3.2e9, 3.4e9)}
TARGETS |= {(100, 20): (0.24e9, 0.72e9, 0.76e9)}
FIRST_CALL = 0.5  # seconds, at (10, 5)
REDUCED = 0.3  # of the direct rate at (10, 5), a million dimensions
STUDY_TARGETS = {"theorem1": 8.0, "seed": 12.0}
STUDY_RUNS = {"theorem1": None, "seed": 4096}
SCHEDULERS, WARP = 4, 32
H100 = {"core_count": 132, "clock_ghz": 1.755}
SETTING_SECONDS = 12.0  # guessed
STUDY_SECONDS = 60.0  # kept back for `jgmm run`, whose targets count more than the largest shape
COLOURS = {"fused": "#c8452d", "CPU": "#20639b", "scan": "#444444"}
SYSTEMS = ("reduced", "twin", "em", "soft", "student")
BACK_ENDS = {"fused": "gpu", "scan": "scan", "CPU": "cpu"}


COMPARED = [Case("Lloyd", 2, 2), Case("Lloyd", 3, 2, twin=True), Case("EM", 3, 2, twin=True)]
COMPARED += [Case("power iteration", 3, 2), Case("soft", 2, 2), Case("polynomial rate", 2, 2)]
COMPARED += [Case("Lloyd", 1, 1), Case("Lloyd", 5, 4, twin=True), Case("averaged", 2, 2), Case("oracle", 3, 2)]
COMPARED += [Case("1/n", 2, 2), Case("Adam", 2, 2), Case("Oja's rule", 3, 2)]
COMPARED += [Case(name, 5, 2, threads=2) for name in ("EM", "power iteration", "soft", "1/n", "Oja's rule")]
COMPARED += [Case("Lloyd", 7, 3, twin=True, threads=4), Case("Lloyd", 20, 5), Case("Lloyd", 50, 10)]


def longest(preset: str) -> int:
    """Samples of a run of its longest cell."""
    return max(cell.n for cell in spec.cells(spec.load(preset)))


class Plan(NamedTuple):
    """What is done, and until when."""

    rehearsal: bool
    seconds: float
    rounds: int
    deadline: float
    shapes: tuple = ((10, 5), (2, 2), (50, 10), (100, 20))
    runs: tuple = (256, 4096, 65536)
    cpu_runs: tuple = (256, 4096)
    scanned: int = 10_000_000  # numbers k d of all runs, at most, with which scan is timed
    cases: tuple = tuple(dict.fromkeys([*COMPARED, *(c for c in gpu_compile.COMPILED if not c.threads)]))
    golden: tuple = tuple(golden.CASES)
    samples: int = 16_000
    systems: tuple = ((10, 5, 4096),)
    presets: tuple = tuple(name for name in spec.presets() if longest(name) <= LONGEST)
    processes: int = 8  # that check
    studies: tuple = (("theorem1", "cold"), ("seed", "cold"), ("seed", "warm"))

    def left(self) -> float:
        return self.deadline - time.perf_counter()


QUICK = {"shapes": ((10, 5),), "studies": (), "samples": 2000}
REHEARSAL = {"shapes": ((2, 2),), "runs": (32, 64), "cpu_runs": (32,), "samples": 12, "systems": ((3, 2, 32),)}
REHEARSAL |= {"golden": ("lloyd and its twin", "power, shares")}
REHEARSAL |= {"presets": (), "processes": 0}
REHEARSAL |= {"cases": (Case("Lloyd", 2, 2, twin=True), Case("power iteration", 3, 2)), "studies": ()}


# --- right? ---


def equal(one: Any, other: Any, runs: int | None = None) -> bool:
    """Whether all bits of the first so many runs are."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    cut = ((a[..., :runs], b[..., :runs]) if a.ndim else (a, b) for a, b in pairs)
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in cut)


def checked(name: str, passed: bool, found: str = "") -> dict:
    """A row of the report."""
    print(f"{'right' if passed else 'WRONG'}  {name}{found and ': '}{found}", flush=True)
    return {"check": name, "passed": bool(passed), "found": found}


def bit_checks(case: Case, samples: int) -> list[dict]:
    """Rows of this system at this shape."""
    given = gpu_compile.problem(case, runs=RUNS)
    block = None if given[0].end is None else 50
    count = samples if block is None else max(2, samples // block)
    here, twice, some = (gpu.open(*given, shares=case.threads) for _ in range(3))
    there = cpu.open(*given, shares=case.threads)
    began = time.perf_counter()
    here.advance(count, block=block)
    first = time.perf_counter() - began
    there.advance(count, block=block)
    for part in (count // 3, count - count // 3):
        twice.advance(part, block=block)
    some.advance(count, block=block, live=RUNS // 2)
    same = {
        "the CPU's": equal((here.words(), here.state()), (there.words(), there.state())),
        "in two calls": equal((twice.words(), twice.state()), (there.words(), there.state())),
        "of live runs": equal((some.words(), some.state()), (there.words(), there.state()), RUNS // 2),
        "drawn": here.draw(DRAWN).tobytes() == np.ascontiguousarray(there.draw(DRAWN)).tobytes(),
    }
    wrong = [name for name, right in same.items() if not right]
    told = f"{here.program.shares} threads a run, first call {first:.2f} s"
    return [
        checked(
            f"{case.name}, {samples:,} samples", not wrong, f"{told}; DIFFER: {', '.join(wrong)}" if wrong else told
        )
    ]


def table_checks(name: str) -> list[dict]:
    """The row of this case of the table."""
    return [checked(f"the table, {name}", golden.digests(name, gpu.open) == golden.table()[name])]


def cell_checks(name: str, folder: Path) -> list[dict]:
    """The row of a preset, run by each back end: its cells' files."""
    ways = {"gpu": ["--back-end", "gpu"], "cpu": ["--back-end", "cpu"]}
    if name == SHARED:
        ways["two processes"] = ["--executor", "processes:2"]
    found = {}
    for way, options in ways.items():
        out = folder / f"{name}-{way.replace(' ', '-')}"
        call = [sys.executable, "-m", "jgmm.cli", "run", name, "--runs", str(CELL_RUNS), "--out", str(out), *options]
        done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            return [checked(f"cells of {name}", False, f"by {way}: {done.stderr.strip()[-300:]}")]
        found[way] = {path.name: path.read_bytes() for path in (out / "cells").iterdir()}
    wrong = [way for way in found if found[way] != found["cpu"]]
    told = f"{len(found['cpu'])} files of {CELL_RUNS} runs, by {', '.join(found)}"
    return [checked(f"cells of {name}", not wrong, f"{told}; DIFFER: {', '.join(wrong)}" if wrong else told)]


def guarded(check: Any, *arguments: Any) -> list[dict]:
    """Its rows; one that says so where it fails. The compilers' and the driver's errors are of many kinds."""
    try:
        return check(*arguments)
    except Exception as error:
        return [checked(f"{check.__name__} of {getattr(arguments[0], 'name', arguments[0])}", False, first_line(error))]


def done_by(processes: int, asked: Iterable[tuple]) -> Iterator[list[dict]]:
    """Rows of the checks, by processes that share the card, or by this one."""
    if not processes:
        yield from (guarded(*each) for each in asked)
        return
    fresh = get_context("spawn")  # what has started CUDA cannot be forked
    with ProcessPoolExecutor(processes, mp_context=fresh, initializer=prepare, initargs=(False,)) as pool:
        waiting = [pool.submit(guarded, *each) for each in asked]
        yield from (each.result() for each in waiting)


def correctness(plan: Plan, report: dict, save: Any) -> None:
    """All that was found goes to the report."""
    asked: list[tuple] = [(table_checks, name) for name in plan.golden]
    asked += [(bit_checks, case, plan.samples) for case in plan.cases]
    for rows in done_by(plan.processes, asked):
        report["checks"] += rows
    save()
    for name in spec.presets() if plan.presets else ():
        if name not in plan.presets:
            skip(report, f"cells of {name}", f"a run has more than {LONGEST:,} samples")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max(1, plan.processes)) as pool:
        for rows in pool.map(lambda name: guarded(cell_checks, name, Path(folder)), plan.presets):
            report["checks"] += rows
    save()


def first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


# --- how fast? ---


def measured(ways: dict, *, setting: dict, seconds: float, rounds: int) -> tuple[list[dict], list[dict]]:
    """Records of the contenders that work, and rows of the failures. ways: name -> a function that makes one."""
    works, first_calls, failures, records = {}, {}, [], []

    def failed(name: str, error: Exception) -> None:
        # laws.py raises plain RuntimeErrors, compilers and driver kinds of their own.
        failures.append({**setting, "name": name, "message": first_line(error), "wrong": type(error) is RuntimeError})

    for name, make in ways.items():
        try:
            contender = make()
            first_calls[name], *_, found = timing.timed(contender.stream, LEAST)
            contender.check(found)
            works[name] = contender
        except Exception as error:  # out of memory, or not to be compiled: the others go on
            failed(name, error)
    try:
        if works:
            records = timing.measure(works, setting=setting, seconds=seconds, rounds=rounds, least=LEAST)
    except Exception as error:
        failed("the rounds", error)
    for record in records:
        record["first_call_seconds"] = first_calls[record["name"]]
    gc.collect()  # the largest shapes hold gigabytes
    return records, failures


def setting(plan: Plan, report: dict, system: str, d: int, k: int, runs: int) -> None:
    """The contenders at one setting."""
    title = f"{system}, d = {d}, k = {k}, {runs} runs"
    if no_time(plan, report, title, SETTING_SECONDS):
        return
    asked = engine.problem(system, d=d, k=2 if system == "em" else k, runs=runs)
    scanned = system in ("lloyd", "twin", "em", "soft") and k * d * runs <= plan.scanned
    names = ["fused"] + ["scan"] * scanned + ["CPU"] * (runs in plan.cpu_runs)
    ways = {name: partial(engine.contender, name, asked) for name in names}
    where = {"system": system, "shape": [d, 2 if system == "em" else k], "runs": runs}
    records, failures = measured(ways, setting=where, seconds=plan.seconds, rounds=plan.rounds)
    report["records"] += records
    report["failures"] += failures
    print(f"\n{title}", *timing.table(records, ours="fused"), sep="\n")
    print(*[f"FAILED  {row['name']}: {row['message']}\n" for row in failures], sep="", end="", flush=True)
    if system == "lloyd":
        report["ratios"].append({**where, **ratios(report, d, k, runs)})


def skip(report: dict, what: str, why: str) -> None:
    report["skipped"].append(f"{what}: {why}")
    print(f"skipped: {what}: {why}", flush=True)


def no_time(plan: Plan, report: dict, what: str, needed: float) -> bool:
    """Whether this must be skipped, which is told then. Seconds are kept back for the studies to come."""
    left = max(0.0, plan.left() - STUDY_SECONDS * bool(plan.studies))
    if left < needed:
        skip(report, what, f"about {needed:.0f} s needed, {left:.0f} s left")
    return left < needed


def studied(plan: Plan, report: dict, folder: Path, name: str, cache: str) -> None:
    """A whole `jgmm run`; what is compiled is kept in a folder for the preset."""
    if no_time(plan._replace(studies=()), report, f"jgmm run {name}, {cache} cache", STUDY_TARGETS[name]):
        return
    runs = STUDY_RUNS[name]
    call = [sys.executable, "-m", "jgmm.cli", "run", name, "--out", str(folder / f"{name}-{cache}")]
    call += ["--runs", str(runs)] if runs else []
    changes = {"JAX_COMPILATION_CACHE_DIR": str(folder / f"programs-{name}")}
    begin = time.perf_counter()
    try:
        done = subprocess.run(
            call, env={**os.environ, **changes}, capture_output=True, text=True, timeout=max(30.0, plan.left())
        )
        failure = f"ended with {done.returncode}: {done.stderr[-500:]}" if done.returncode else None
        by = [line for line in done.stderr.splitlines() if "back end" in line]
    except subprocess.TimeoutExpired:
        failure, by = "stopped, no time left", []
    row = {"preset": name, "cache": cache, "runs": runs, "seconds": time.perf_counter() - begin, "failure": failure}
    row |= {"back_ends": by, "commit": timing.environment(())["commit"]}
    report["study" if name == "seed" else "presets"].append(row)
    print(f"\njgmm run {name}, {cache} cache: {row['seconds']:.1f} s", *by, sep="\n  ")
    print(*[f"FAILED: {failure}\n"] if failure else [], sep="", end="", flush=True)


def times(plan: Plan, report: dict, save: Any) -> None:
    """All that there is time for, in the order of what it is worth."""
    for shape in plan.shapes:
        for runs in plan.runs:
            setting(plan, report, "lloyd", *shape, runs)
            save()
        if shape == plan.shapes[0]:
            for system in SYSTEMS:
                for d, k, runs in plan.systems:
                    for count in plan.runs if system == "reduced" else (runs,):
                        setting(plan, report, system, d, k, count)
                        save()
    with tempfile.TemporaryDirectory() as folder:
        for name, cache in plan.studies:
            studied(plan, report, Path(folder), name, cache)
            save()


# --- what it comes to ---


class Floor(NamedTuple):
    """What the instructions alone allow."""

    rate: float  # samples a second of the whole card
    full: int  # runs that occupy every scheduler


def floor_of(card: dict, d: int, k: int) -> Floor | None:
    """None where the instructions were not counted."""
    path = RESULTS / "gpu_compile.json"
    for row in json.loads(path.read_text()).get("rows", []) if path.exists() else []:
        same = (row.get("d"), row.get("k")) == (d, k) and not row.get("twin") and not row.get("threads")
        if same and row.get("system") == "Lloyd" and row.get("instructions"):
            full = card["core_count"] * SCHEDULERS * WARP // row.get("threads_of_run", 1)
            return Floor(full * card["clock_ghz"] * 1e9 / row["instructions"], full)
    return None


def find(rows: list[dict], **wanted: Any) -> dict | None:
    return next((row for row in rows if all(row.get(name) == value for name, value in wanted.items())), None)


def ratios(report: dict, d: int, k: int, runs: int) -> dict:
    """Of medians: the back ends, and fused as a fraction of the floor."""
    at = partial(find, report["records"], system="lloyd", shape=[d, k], runs=runs)
    fused, scan, by_cpu = (row and row["median"] for row in (at(name=name) for name in ("fused", "scan", "CPU")))
    floor = floor_of(report["environment"]["gpu"], d, k)
    rate = floor and floor.rate
    pairs = {"fused_over_scan": (fused, scan), "gpu_over_cpu": (fused, by_cpu), "fraction_of_floor": (fused, rate)}
    return {"floor": rate, **{name: a / b if a and b else None for name, (a, b) in pairs.items()}}


def targets(plan: Plan, report: dict) -> list[dict]:
    """Rows: what was asked, what was found (None: not measured), and whether that is enough."""
    rows = []
    for (d, k), rates in TARGETS.items():
        for runs, rate in zip((256, 4096, 65536), rates, strict=True):
            record = find(report["records"], system="lloyd", shape=[d, k], runs=runs, name="fused") or {}
            found = record.get("median")
            rows.append((f"({d}, {k}), {runs} runs, samples a second, at least", rate, found, found and found >= rate))
    first = find(report["records"], system="lloyd", shape=[10, 5], runs=256, name="fused") or {}
    found = first.get("first_call_seconds")
    rows.append(("(10, 5), first call, seconds, below", FIRST_CALL, found, found and found < FIRST_CALL))
    for row in report["records"]:
        direct = find(report["records"], system="lloyd", shape=[10, 5], runs=row["runs"], name="fused")
        if (row["system"], row["name"]) == ("reduced", "fused") and direct:
            ratio = row["median"] / direct["median"]
            rows.append(
                (f"reduced, {row['runs']} runs, over direct (10, 5), at least", REDUCED, ratio, ratio >= REDUCED)
            )
    for name, asked in STUDY_TARGETS.items():
        row = find(report["study"] + report["presets"], preset=name, cache="cold")
        if row:
            found = None if row["failure"] else row["seconds"]
            rows.append((f"jgmm run {name}, seconds, below", asked, found, bool(found and found < asked)))
    return [dict(zip(("what", "asked", "found", "met"), row, strict=True)) for row in rows]


def draw(report: dict, path: Path) -> None:
    """A panel for each shape: samples a second against runs, with the range over the rounds."""
    records = [row for row in report["records"] if row["system"] == "lloyd"]
    shapes = list(dict.fromkeys(tuple(row["shape"]) for row in records))
    height, runs, shown = math.ceil(len(shapes) / 2), sorted({row["runs"] for row in records}), {}
    here, card = report["environment"], report["environment"]["gpu"]
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
        if floor := floor_of(card, d, k):
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


def facts(device: Any) -> dict:
    """What the floor depends on; an H100's where the device does not tell."""
    found = {"kind": device.device_kind, "capability": str(getattr(device, "compute_capability", "")), **H100}
    found["core_count"] = getattr(device, "core_count", None) or H100["core_count"]
    query = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
        return {**found, "clock_ghz": float(answer.split()[0]) / 1e3, "clock_from": "nvidia-smi"}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return {**found, "clock_from": "an H100's data sheet"}


def prepare(rehearse: bool) -> Any:
    """Start JAX; the device to measure. Raises ValueError if there is none that will do."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # `jgmm run` needs some of the memory
    platforms = "cpu" if rehearse else os.environ.get("JAX_PLATFORMS")
    if platforms:
        jax.config.update("jax_platforms", ",".join(dict.fromkeys([*platforms.split(","), "cpu"])))
    machine.prepare()
    engine.BACK_ENDS |= BACK_ENDS
    if rehearse:
        gpu.open = partial(gpu.open, launcher=ptx.launcher)
        return jax.devices()[0]
    try:
        device = jax.devices()[0]
    except RuntimeError as error:
        raise ValueError(f"{first_line(error)}, expected an NVIDIA GPU (--rehearse needs none)") from error
    why_not = gpu.available(device)
    if why_not:
        raise ValueError(f"{why_not}, expected an NVIDIA GPU (--rehearse needs none)")
    return device


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Is the program right on a GPU, and how fast is it there?")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a timed call")
    parser.add_argument("--rounds", type=int, default=3, help="timed calls of each contender")
    parser.add_argument("--budget", type=float, default=420.0, help="seconds in all, about")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="(10, 5) only, without studies")
    size.add_argument("--rehearse", action="store_true", help="on a CPU, tiny: to see that the script works")
    parser.add_argument("--json", type=Path, help="where to write everything (results/gpu.json)")
    parser.add_argument("--picture", type=Path, help="and the picture (gpu.png)")
    args = parser.parse_args(argv)
    if not 0 < args.seconds < math.inf or args.rounds < 1 or not 0 < args.budget < math.inf:
        parser.error("--seconds, --rounds and --budget must be positive numbers")
    if args.picture and args.picture.suffix not in (".png", ".svg", ".pdf"):
        parser.error(f"--picture is {args.picture}, expected a name that ends in .png, .svg or .pdf")
    return args


def main(argv: list[str] | None = None) -> int:
    args, started = arguments(argv), time.perf_counter()
    try:
        device = prepare(args.rehearse)
    except ValueError as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    rehearsing = Path(tempfile.mkdtemp(prefix="jgmm-gpu-")) if args.rehearse else None
    path = args.json or (rehearsing or RESULTS) / "gpu.json"
    picture = args.picture or (rehearsing or RESULTS.parent) / "gpu.png"
    sizes = REHEARSAL if args.rehearse else QUICK if args.quick else {}
    plan = Plan(args.rehearse, args.seconds, args.rounds, started + args.budget, **sizes)
    here = timing.environment(PACKAGES)
    here |= {"device": device.device_kind, "processor": here["device"], "gpu": facts(device)}
    options = {name: value for name, value in plan._asdict().items() if name not in ("cases", "deadline")}
    report: dict = {"rehearsal": args.rehearse, "environment": here, "options": {**options, "budget": args.budget}}
    report |= {name: [] for name in ("checks", "records", "ratios", "failures", "skipped", "study", "presets")}

    def save() -> None:
        report["targets"] = targets(plan, report)
        report["seconds_in_all"] = time.perf_counter() - started
        timing.save(path, **report)

    print(f"{here['device']}, {here['gpu']['core_count']} multiprocessors, {here['gpu']['clock_ghz']:g} GHz", end="; ")
    print(f"{here['processor']}, {os.cpu_count()} cores; Python {here['python']}")
    print(", ".join(f"{package} {here[package]}" for package in PACKAGES) + f"; commit {here['commit']}\n", flush=True)
    correctness(plan, report, save)
    if all(row["passed"] for row in report["checks"]):
        times(plan, report, save)
    else:
        skip(report, "every time", "bits are wrong")
    save()
    print("\ntargets")
    for row in report["targets"]:
        verdict = "not measured" if row["found"] is None else "met" if row["met"] else "MISSED"
        print(f"  {row['what']} {row['asked']:g}: {verdict}" + (f", {row['found']:.3g}" if row["found"] else ""))
    wrong = [row["check"] for row in report["checks"] if not row["passed"]]
    wrong += [f"{row['name']} at {row['shape']}" for row in report["failures"] if row["wrong"]]
    wrong += [f"jgmm run {row['preset']}" for row in report["study"] + report["presets"] if row["failure"]]
    print(f"wrong: {'; '.join(wrong) or 'nothing'}\n{time.perf_counter() - started:.0f} s in all\n{path}")
    if report["records"]:
        draw(report, picture)
        print(picture)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
