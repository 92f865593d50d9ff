r"""What do the GPU kernels compile to? Asked on a machine without a GPU. (That their bits are the CPU's is a test.)

The PTX of each kernel of `jgmm.engine.gpu`, as a study would launch it, is compiled for an H100 by NVIDIA's assembler.
Read from its report and from the machine code: registers, spilled bytes, and of the loop that takes in a sample (the
first loop that holds no other) the instructions and the sum of their stall counts, the cycles after which the same warp
issues again at the earliest. Waiting for memory and special functions is not in that sum. So

    full card    132 multiprocessors x 4 schedulers x 32 threads x 1.755 GHz / instructions / threads of a run
    256 runs     256 runs x 1.755 GHz / stall cycles

are samples a second that cannot be exceeded at this clock; nothing here is a measured speed.

    pip install 'jgmm[gpu-compile]'
    python benchmarks/gpu_compile.py [--shapes 10,5 2,2] [--json PATH]

Writes benchmarks/results/gpu_compile.json (a selection of shapes only where --json says). The exit status is 1 if a
kernel does not compile, and 2 if something is not installed. A missed target is told, no error.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
import timing

from jgmm import named, steps
from jgmm.algorithms import pca
from jgmm.engine import build, gpu, threads, together
from jgmm.engine.program import Program
from jgmm.engine.runs import batch
from jgmm.mixture import Mixture

RESULTS = Path(__file__).parent / "results" / "gpu_compile.json"
WHEELS = {"ptxas": "nvidia-cuda-nvcc", "nvdisasm": "nvidia-cuda-nvdisasm"}
CARD = "sm_90"
MULTIPROCESSORS, SCHEDULERS, WARP = 132, 4, 32  # NVIDIA's H100 data sheet (SXM5)
CLOCK = 1.755e9  # a cool card goes up to 1.98e9
FEW_RUNS = 256  # of the second limit
STALL_BIT = 41  # of the upper word of an instruction, the first of four


class Case(NamedTuple):
    """An algorithm and its sizes."""

    system: str
    d: int
    k: int
    twin: bool = False
    threads: int | None = None  # of a run; None: as many as the shape has

    @property
    def name(self) -> str:
        over = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.system}{', twin' if self.twin else ''} ({self.d}, {self.k}){over}"


LLOYD = [(2, 2), (5, 5), (10, 5), (10, 10), (20, 5), (20, 10), (50, 5), (50, 10), (100, 20)]
COMPILED = [Case("Lloyd", d, k) for d, k in LLOYD]
COMPILED += [Case("Lloyd", d, k, twin=True) for d, k in [(2, 2), (10, 5), (20, 5), (50, 10), (100, 20)]]
COMPILED += [Case("Lloyd", 10, 5, threads=2), Case("Lloyd", 20, 5, threads=1)]  # what sharing a run costs and saves
COMPILED += [Case("EM", d, 2) for d in (2, 10, 50)] + [Case("EM", 10, 2, twin=True)]
COMPILED += [Case("power iteration", d, k) for d, k in [(2, 2), (10, 5), (50, 10)]]
COMPILED += [Case("soft", 10, 5), Case("polynomial rate", 10, 5)]
TARGETS = {  # at most
    Case("Lloyd", 10, 5): {"spilled bytes": 0, "instructions": 600},
    Case("Lloyd", 2, 2): {"instructions": 115},
}
GROUPS = {
    "float": "FFMA FADD FMUL DFMA DADD DMUL",
    "integer": "LOP3 SHF IADD3 IADD VIADD LEA IMAD IABS PRMT SGXT BMSK UIADD3",
    "select": "FSEL SEL FSETP ISETP FSET FMNMX IMNMX VIMNMX PLOP3 UISETP",
    "convert": "I2FP I2F F2I F2FP FRND F2F",
    "special": "MUFU",
    "shuffle": "SHFL",
    "move": "MOV HFMA2 CS2R",
    "memory": "LDL STL LDG STG LDC LDS STS",
}


# --- what is compiled ---


def problem(case: Case, *, runs: int) -> tuple:
    """kernel, words, state, params, mixture: runs that differ in everything, from a start in another order."""
    d, k = case.d, case.k
    rng = np.random.default_rng(1)
    means, move = rng.normal(size=(2, k, d, runs)).astype(np.float32)
    weights = rng.uniform(1, 2, size=(k, runs)).astype(np.float32)
    weights, scales = weights / weights.sum(axis=0), rng.uniform(0.5, 1.5, size=(k, runs)).astype(np.float32)
    if case.system == "EM":
        means, weights = np.stack([means[0], -means[0]]), np.full_like(weights, 0.5)
        scales = np.broadcast_to(scales[0], scales.shape)
        start = (means[1] + move[0] / 2)[None]
    else:
        means = 3 * means
        start = (means + move / 3)[::-1]
    made = batch(jax.random.key(0), np.arange(runs), Mixture(means, weights, scales))
    if case.system in ("power iteration", "Oja's rule"):
        basis = np.stack([np.linalg.qr(move[..., run].T)[0].T for run in range(runs)], axis=-1)
        if case.system == "power iteration":
            return pca.POWER, made.words, pca.PowerState(basis, np.zeros_like(basis)), {}, made.mixture
        told = {"log_d": np.float32(np.log(max(d, 3))), "gap": np.full(runs, 5.0, np.float32)}
        told |= {"shift": np.full(runs, 50.0, np.float32)}
        return pca.OJA, made.words, pca.OjaState(basis, np.int32(0)), told, made.mixture
    each = np.random.default_rng(2).uniform(0.01, 0.05, size=runs)
    options: dict = {
        "averaged": {"average": np.full(runs, 20)},
        "polynomial rate": {"steps": steps.polynomial(0.5, 0.7, 2.0)},
        "1/n": {"steps": steps.inverse_count()},
        "Adam": {"steps": optax.adam(0.05)},
    }.get(case.system, {})
    algorithm = named.load("algorithm", {"EM": "em", "soft": "soft", "oracle": "oracle"}.get(case.system, "lloyd"))
    ready = together.ready(made, algorithm, start, **{"steps": each, "twin": case.twin, **options})
    return ready.kernel, made.words, ready.state, ready.params, made.mixture


# --- compiling ---


class Compiled(NamedTuple):
    """What the compilers left of one kernel."""

    made: Program
    report: str  # of registers and spills
    code: str  # for the machine, with its words
    seconds: dict


def compiled(case: Case, tools: dict[str, Path]) -> Compiled:
    """The kernel of this case. Raises RuntimeError if it is refused."""
    kernel, _, state, params, mixture = problem(case, runs=2)
    begin = time.perf_counter()
    made = build.program(kernel, state, params, mixture, shares=case.threads)
    traced = time.perf_counter()
    text = gpu.assembled(threads.stream(made))
    written = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(text)
        report = call(tools["ptxas"], "-v", f"-arch={CARD}", "kernel.ptx", "-o", "kernel.cubin", folder=folder)
        end = time.perf_counter()
        code = call(tools["nvdisasm"], "-c", "-hex", "kernel.cubin", folder=folder)
    return Compiled(made, report, code, {"trace": traced - begin, "LLVM": written - traced, "ptxas": end - written})


def call(tool: Path, *options: str, folder: str) -> str:
    """What it says. Raises RuntimeError if it fails."""
    done = subprocess.run([tool, *options], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{tool.name}: {first_line(done.stderr or done.stdout)}")
    return done.stdout + done.stderr


def first_line(text: str) -> str:
    return text.strip().split("\n")[0]


def sample_loop(code: str) -> list[tuple[str, int]]:
    """(operation, stall cycles) of the first loop that holds no other."""
    places: dict[str, int] = {}
    lines: list[str] = []
    upper: list[int] = []
    for line in code.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            places[label[1]] = len(lines)
        elif found := re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;\s*/\* 0x[0-9a-f]+ \*/", line):
            lines.append(found[1])
        elif found := re.match(r"\s*/\* 0x([0-9a-f]+) \*/", line):
            upper.append(int(found[1], 16))
    stalls = [word >> STALL_BIT & 15 for word in upper]
    jumps = ((i, re.search(r"\bBRA\b.*`\((\.L_x_\d+)\)", text)) for i, text in enumerate(lines))
    # A jump to itself is where a program ends.
    loops = [(places[to[1]], i) for i, to in jumps if to and places[to[1]] < i]
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    first, last = min(inner)
    return [(operation(lines[i]), stalls[i]) for i in range(first, last + 1)]


def operation(text: str) -> str:
    """ "@!P0 FADD.FTZ R1, R2, R3" -> "FADD"."""
    return re.sub(r"^@!?U?P\w+\s+", "", text).split()[0].split(".")[0]


def row(case: Case, found: Compiled) -> dict:
    """What the table tells of a kernel."""
    stack, stores, loads = map(
        int,
        re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", found.report).groups(),
    )
    loop = sample_loop(found.code)
    groups = {name: group for group, names in GROUPS.items() for name in names.split()}
    shares, samples = found.made.shares, threads.at_once(found.made)
    instructions, stalls = len(loop) / samples, sum(stall for _, stall in loop) / samples
    full = MULTIPROCESSORS * SCHEDULERS * WARP * CLOCK / instructions / shares
    return {
        **case._asdict(),
        "threads_of_run": shares,
        "numbers": sum(r.rows * np.dtype(r.dtype).itemsize // 4 for r in threads.given(found.made).values()),
        "registers": int(re.search(r"Used (\d+) registers", found.report)[1]),
        "spill_stores": stores,
        "spill_loads": loads,
        "stack": stack,
        "instructions": instructions,
        "stall_cycles": stalls,
        "mix": per_sample(Counter(groups.get(name, "other") for name, _ in loop), samples),
        "operations": per_sample(Counter(name for name, _ in loop), samples),
        "issue_limit": full,
        "lone_warp_limit": min(full, FEW_RUNS * CLOCK / stalls),
        "seconds": found.seconds,
    }


def per_sample(counts: Counter, samples: int) -> dict:
    return {name: count / samples for name, count in counts.most_common()}


def compile_row(case: Case, tools: dict[str, Path]) -> dict:
    """The row of a kernel; of one that a compiler refuses, its message."""
    try:
        return row(case, compiled(case, tools))
    except RuntimeError as error:
        return {**case._asdict(), "failure": first_line(str(error))}


def targets(rows: list[dict]) -> list[dict]:
    """What was asked of a kernel's row, what was found (None where it did not compile) and whether that is enough."""
    found = {Case(*(r[field] for field in Case._fields)): r for r in rows}
    told = []
    for case, asked in TARGETS.items():
        for name, most in asked.items() if case in found else ():
            have = found[case].get("spill_stores" if name == "spilled bytes" else name)
            met = have is not None and have <= most
            told.append({"kernel": case.name, "what": name, "at_most": most, "found": have, "met": met})
    return told


# --- together ---


def found_tools() -> dict[str, Path]:
    """NVIDIA's assembler and disassembler, from their wheels. Raises RuntimeError if one is not there."""
    tools = {}
    for tool, wheel in WHEELS.items():
        there = [Path(str(file.locate())) for file in metadata.files(wheel) or []] if timing.installed(wheel) else []
        there = [path for path in there if path.stem == tool and path.exists()]
        if not there:
            raise RuntimeError(f"{wheel} is not installed, expected: pip install 'jgmm[gpu-compile]'")
        if not os.access(there[0], os.X_OK):
            there[0].chmod(0o755)
        tools[tool] = there[0]
    return tools


def line(r: dict) -> str:
    name = Case(*(r[field] for field in Case._fields)).name
    if "failure" in r:
        return f"{name:32}FAILED: {r['failure']}"
    spilled = f"{r['spill_stores']}/{r['spill_loads']}"
    sizes = f"{r['threads_of_run']:8}{r['numbers']:8}{r['registers']:10}{spilled:>13}{r['stack']:7}"
    cells = f"{sizes}{r['instructions']:13g}{r['stall_cycles']:8g}"
    rates = f"{r['issue_limit'] / 1e9:9.3g}{r['lone_warp_limit'] / 1e6:9.3g}{sum(r['seconds'].values()):9.1f}"
    return f"{name:32}{cells}{rates}   " + " ".join(f"{group} {count:g}" for group, count in r["mix"].items())


def shape(text: str) -> tuple[int, int]:
    d, k = text.split(",")
    return int(d), int(k)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compile the GPU kernels without a GPU.")
    parser.add_argument("--shapes", type=shape, nargs="+", metavar="D,K", help="only these")
    parser.add_argument("--json", type=Path, help=f"where the report goes ({RESULTS}, unless --shapes is given)")
    args = parser.parse_args(argv)
    try:
        tools = found_tools()
    except RuntimeError as error:
        print(f"gpu_compile.py: {error}", file=sys.stderr)
        return 2
    jax.config.update("jax_platforms", "cpu")
    report: dict = {"environment": timing.environment(["jax", "jaxlib", "llvmlite", *WHEELS.values()])}
    report["options"] = {"few_runs": FEW_RUNS, "clock": CLOCK}
    columns = f"{'threads':>8}{'numbers':>8}{'registers':>10}{'spilled':>13}{'stack':>7}{'instructions':>13}"
    print(f"{'kernel (d, k)':32}{columns}{'stalls':>8}{'G/s':>9}{'256, M/s':>9}{'s':>9}   instructions of a sample")
    report["rows"] = []
    for case in COMPILED:
        if args.shapes is None or (case.d, case.k) in args.shapes:
            report["rows"].append(compile_row(case, tools))
            print(line(report["rows"][-1]), flush=True)
    report["targets"] = targets(report["rows"])
    for target in report["targets"]:
        verdict = "met" if target["met"] else "MISSED"
        print(f"{target['kernel']}: {target['what']} {target['found']}, at most {target['at_most']} asked: {verdict}")
    path = args.json or (None if args.shapes else RESULTS)
    if path:
        timing.save(path, **report)
        print(path)
    return 1 if any("failure" in r for r in report["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
