r"""What do the GPU kernels compile to, and are their instructions right? Asked on a machine without a GPU.

1. Compiling. Each kernel of `jgmm.fused`, as a study would launch it, is compiled for an H100 that need not be there.
   Read from the compiler's report and its machine code: registers, spilled bytes, and of the loop that takes in a
   sample (the largest loop that holds no other) the instructions and the sum of their stall counts, the cycles after
   which the same warp issues again at the earliest. Waiting for memory and special functions is not in that sum. So

       full card    132 multiprocessors x 4 schedulers x 32 threads x 1.755 GHz / instructions / threads of a run
       256 runs     256 runs x 1.755 GHz / stall cycles

   are samples a second that cannot be exceeded at this clock; nothing here is a measured speed. Of the scan path: how
   often it launches a kernel for a sample.
2. Running. The compiled PTX is executed on NumPy (ptx.py) and set against the scan path on this CPU: lane states to
   the last bit, estimates to 1e-5 sigma (basis: 1e-5). After a near tie a run may part from its twin: 1 % of them may.
   Where half of the runs are live the others stay as they were.

    pip install 'jgmm[gpu-compile]'
    python benchmarks/gpu_compile.py [--shapes 10,5 2,2] [--json PATH]

Writes benchmarks/results/gpu_compile.json (a selection of shapes only where --json says). The exit status is 1 if a
kernel does not compile or a result is wrong, and 2 if something is not installed. A missed target is told, no error.
"""

import argparse
import importlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import ptx
import timing
from jax.experimental import topologies

from jgmm import kernels, lloyd, rates, tiling, trials
from jgmm.mixture import Mixture

RESULTS = Path(__file__).parent / "results" / "gpu_compile.json"
WHEELS = ("jax-cuda13-plugin", "jax-cuda13-pjrt", "nvidia-cuda-nvdisasm")
MULTIPROCESSORS, SCHEDULERS, WARP = 132, 4, 32  # NVIDIA's H100 data sheet (SXM5)
CLOCK = 1.755e9  # as in `kernels.RUN_RATE`; a cool card goes up to 1.98e9
RUNS, FEW_RUNS = 1024, 256  # compiled for; executed, and of the second limit
SAMPLES = 100
TOLERANCE, PARTED = 1e-5, 0.01  # in sigmas; the share of runs that may differ more
# What the compiler asks of a card, in the format of XLA's own descriptions (xla/backends/gpu/target_config/specs); the
# numbers are those of NVIDIA's H100 data sheet and of the CUDA programming guide for compute capability 9.0.
H100 = """
gpu_device_info {
  name: "NVIDIA H100 80GB HBM3" core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_core: 233472 shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800 device_memory_size: 84942979072 memory_bandwidth: 3352320000000 device_address_bits: 64
  driver_version: "13.0.0" runtime_version: "12.8.0" compile_time_toolkit_version: "12.8.0"
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 } device_description_str: "NVIDIA H100 80GB HBM3"
"""


class Case(NamedTuple):
    """An algorithm and its sizes."""

    system: str
    d: int
    k: int
    twin: bool = False
    threads: int | None = None  # of a run; None: as many as `kernels` chooses

    @property
    def name(self) -> str:
        over = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        return f"{self.system}{', twin' if self.twin else ''} ({self.d}, {self.k}){over}"


LLOYD = [(2, 2), (5, 5), (10, 5), (10, 10), (20, 5), (20, 10), (50, 5), (50, 10), (100, 20)]
COMPILED = [Case("Lloyd", d, k) for d, k in LLOYD]
COMPILED += [Case("Lloyd", d, k, twin=True) for d, k in [(2, 2), (10, 5), (20, 5), (50, 10), (100, 20)]]
COMPILED += [Case("Lloyd", d, k, threads=1) for d, k in [(20, 5), (20, 10), (50, 10)]]  # what sharing a run saves
COMPILED += [Case("EM", d, 2) for d in (2, 10, 50)] + [Case("EM", 10, 2, twin=True)]
COMPILED += [Case("power iteration", d, k) for d, k in [(2, 2), (10, 5), (50, 10)]]
COMPILED += [Case("soft", 10, 5), Case("polynomial rate", 10, 5)]
SCANNED = [(2, 2), (10, 5), (50, 10), (100, 20)]
EXECUTED = [Case("Lloyd", 2, 2), Case("Lloyd", 3, 2, twin=True), Case("EM", 3, 2, twin=True)]
EXECUTED += [Case("power iteration", 3, 2), Case("soft", 2, 2), Case("polynomial rate", 2, 2)]
EXECUTED += [Case("Lloyd", 1, 1), Case("Lloyd", 5, 4, twin=True), Case("averaged", 2, 2), Case("labelled", 3, 2)]
EXECUTED += [Case("1/n", 2, 2), Case("Adam", 2, 2), Case("Oja's rule", 3, 2)]
EXECUTED += [Case(name, 5, 2, threads=2) for name in ("EM", "power iteration", "soft", "1/n", "Oja's rule")]
EXECUTED += [Case("Lloyd", 7, 3, twin=True, threads=4), Case("Lloyd", 20, 5), Case("Lloyd", 50, 10)]
TARGETS = {  # at most
    Case("Lloyd", 10, 5): {"spilled bytes": 0, "registers": 216, "instructions": 600},
    Case("Lloyd", 2, 2): {"instructions": 115},
}
GROUPS = {
    "float": "FFMA FADD FMUL",
    "integer": "LOP3 SHF IADD3 IADD VIADD LEA IMAD IABS PRMT SGXT BMSK",
    "select": "FSEL SEL FSETP ISETP FSET FMNMX IMNMX VIMNMX PLOP3",
    "convert": "I2FP I2F F2I F2FP FRND F2F",
    "special": "MUFU",
    "memory": "LDL STL LDG STG LDC LDS STS",
}


# --- what is compiled ---


class Problem(NamedTuple):
    """A stream's program on a GPU and on this CPU, both carry <- program(*arguments)."""

    fused: Callable
    scan: Callable
    arguments: tuple
    sigma: np.ndarray  # of every run: what its estimates are measured in
    numbers: int  # that a thread holds, as `trials` counts to choose a kernel
    threads: int  # of a run


def problem(case: Case, *, runs: int) -> Problem:
    """Runs that differ in everything: mixtures of unequal weights and scales, and a start in another order."""
    fused = importlib.import_module("jgmm.fused")  # where it is used only, as in `trials`
    batch, start = drawn(case, runs=runs)
    sigma = np.asarray(batch.mixture.scales).max(axis=0)
    if case.system in ("power iteration", "Oja's rule"):
        counts = jnp.int32(SAMPLES // 5), jnp.int32(5)  # long blocks of Oja's rule grow what rounding left
        carry, method = (batch.lanes, start), "block"
        if case.system == "Oja's rule":
            gap, shift = (trials.lay_like(x.astype(np.float32), batch) for x in trials.oja_rate(batch.mixture))
            carry, method = (*carry, (gap, shift, jnp.int32(0))), "oja"
        numbers, threads = counted(case, lambda: trials.choose_seeding_kernel(batch, "scan", method=method))
        return Problem(
            fused=partial(fused.power_blocks, blocks=trials._blocks, threads=threads),
            scan=partial(trials._power_blocks, kernel="scan", mesh=batch.mesh, draw=tiling.BLOCK),
            arguments=(carry, batch.mixture, counts, jnp.int32(runs)),
            sigma=np.ones_like(sigma),
            numbers=numbers,
            threads=threads,
        )
    algorithm = stream_of(case, batch, start)
    numbers, threads = counted(case, lambda: trials.choose_kernel(algorithm, batch, "scan"))
    whole = {"step": algorithm.step, "block": tiling.BLOCK, "tile": None, "kernel": "scan", "mesh": batch.mesh}
    return Problem(
        fused=partial(fused.advance, step=algorithm.step, threads=threads),
        scan=partial(trials._advance, **whole),
        arguments=(
            (batch.lanes, algorithm.state),
            algorithm.parameters,
            batch.mixture,
            jnp.int32(SAMPLES),
            jnp.int32(runs),
        ),
        sigma=sigma,
        numbers=numbers,
        threads=threads,
    )


def drawn(case: Case, *, runs: int) -> tuple[trials.Batch, Any]:
    """A batch on this CPU and what its runs start from."""
    d, k = case.d, case.k
    rng = np.random.default_rng(1)
    means, move = rng.normal(size=(2, k, d, runs)).astype(np.float32)
    weights = rng.uniform(1, 2, size=(k, runs)).astype(np.float32)
    weights, scales = weights / weights.sum(axis=0), rng.uniform(0.5, 1.5, size=(k, runs)).astype(np.float32)
    if case.system == "EM":
        means, weights = np.stack([means[0], -means[0]]), np.full_like(weights, 0.5)
        scales = np.broadcast_to(scales[0], scales.shape)
        start = means[1] + move[0] / 2
    elif case.system in ("power iteration", "Oja's rule"):
        start = np.stack([np.linalg.qr(move[..., run].T)[0] for run in range(runs)], axis=-1)
    else:
        means *= 3
        start = (means + move / 3)[::-1]
    mixture = Mixture(*map(jnp.asarray, (means, weights, scales)))
    batch = trials.batch(jax.random.key(0), np.arange(runs), mixture, devices=jax.devices("cpu")[:1])
    return batch, trials.lay_like(start, batch)


def stream_of(case: Case, batch: trials.Batch, start: Any) -> trials.Algorithm:
    each = np.random.default_rng(2).uniform(0.01, 0.05, size=batch.num_runs)
    if case.system == "EM":
        return trials.em_algorithm(batch, start, rate=each, twin=case.twin)
    options = {
        "soft": {"gate": "soft"},
        "labelled": {"gate": "labelled"},
        "averaged": {"burn": np.full(batch.num_runs, SAMPLES // 5)},
        "polynomial rate": {"rate": rates.Polynomial(0.5, 0.7, 2.0)},
        "1/n": {"rate": lloyd.inverse_count()},
        "Adam": {"rate": optax.adam(0.05)},
    }
    return trials.lloyd_algorithm(batch, start, **{"rate": each, "twin": case.twin, **options.get(case.system, {})})


def counted(case: Case, choose: Callable) -> tuple[int, int]:
    """The numbers of a thread and the threads of a run, from what `choose` tells to `kernels.choose`."""
    with mock.patch.object(kernels, "choose", wraps=kernels.choose) as told:
        choose()
    held = told.call_args.kwargs["held"]
    threads = case.threads or kernels.threads_of(held)
    return held.in_thread(threads), threads


# --- compiling ---


class Compiled(NamedTuple):
    """What the compiler left of one kernel."""

    ptx: str
    report: str  # of registers and spills
    code: str  # for the machine, with its control codes
    passes: str  # the kernel and its launch on their way to PTX
    seconds: dict


def compiled(case: Case, *, runs: int, sharding: Any) -> tuple[Problem, Compiled]:
    """The kernel of this case, from a folder of its own: the files of two would have the same names."""
    mine = problem(case, runs=runs)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), mine.arguments)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, MOSAIC_GPU_DUMP_TO=folder):
        start = time.perf_counter()
        lowered = jax.jit(mine.fused).lower(*shapes)
        middle = time.perf_counter()
        lowered.compile()
        seconds = {"trace": middle - start, "compile": time.perf_counter() - middle}
        endings = ("ptx", "ptxas", "sass_ctrl", "mlir-passes.log")
        return mine, Compiled(*(only(Path(folder), ending) for ending in endings), seconds)


def only(folder: Path, ending: str) -> str:
    files = list(folder.glob(f"*.{ending}"))
    if len(files) != 1:
        raise RuntimeError(f"the compiler wrote {len(files)} files .{ending}, expected 1 for one kernel")
    return files[0].read_text()


def sample_loop(code: str) -> list[tuple[str, int]]:
    """(operation, stall cycles) of the largest loop that holds no other."""
    places: dict[str, int] = {}
    lines: list[tuple[str, str]] = []
    for line in code.splitlines():
        if label := re.match(r"(\.L_x_\d+):", line):
            places[label[1]] = len(lines)
        elif found := re.match(r"\s+(\S+)\s+/\*[0-9a-f]+\*/\s+(.*?)\s*$", line):
            lines.append((found[1], found[2]))
    jumps = ((i, re.search(r"\bBRA\b.*`\((\.L_x_\d+)\)", text)) for i, (_, text) in enumerate(lines))
    # A jump to itself is where a program ends.
    loops = [(places[to[1]], i) for i, to in jumps if to and places[to[1]] < i]
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    first, last = max(inner, key=lambda loop: loop[1] - loop[0])
    return [(operation(text), int(control.split(":")[-1])) for control, text in lines[first : last + 1]]


def operation(text: str) -> str:
    """ "@!P0 FADD.FTZ R1, R2, R3" -> "FADD"."""
    return re.sub(r"^@!?U?P\w+\s+", "", text).split()[0].split(".")[0]


def row(case: Case, mine: Problem, found: Compiled) -> dict:
    """What the table tells of a kernel."""
    stack, stores, loads = map(
        int,
        re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", found.report).groups(),
    )
    loop = sample_loop(found.code)
    groups = {name: group for group, names in GROUPS.items() for name in names.split()}
    instructions, stalls = len(loop), sum(stall for _, stall in loop)
    full = MULTIPROCESSORS * SCHEDULERS * WARP * CLOCK / instructions / mine.threads
    return {
        **case._asdict(),
        "threads_of_run": mine.threads,
        "numbers": mine.numbers,
        "registers": int(re.search(r"Used (\d+) registers", found.report)[1]),
        "spill_stores": stores,
        "spill_loads": loads,
        "stack": stack,
        "instructions": instructions,
        "stall_cycles": stalls,
        "mix": dict(Counter(groups.get(name, "other") for name, _ in loop).most_common()),
        "operations": dict(Counter(name for name, _ in loop).most_common()),
        "issue_limit": full,
        "lone_warp_limit": min(full, FEW_RUNS * CLOCK / stalls),
        "seconds": found.seconds,
    }


def compile_row(case: Case, sharding: Any) -> dict:
    """The row of a kernel; of one that the compiler refuses, its message."""
    try:
        mine, found = compiled(case, runs=RUNS, sharding=sharding)
    except Exception as error:  # the compiler's own errors are of many kinds
        return {**case._asdict(), "failure": first_line(error)}
    return row(case, mine, found)


def first_line(error: Exception) -> str:
    """What it says; where it was raised if it says nothing."""
    where = traceback.extract_tb(error.__traceback__)[-1].name
    return f"{type(error).__name__}: {str(error) or f'in {where}'}".split("\n")[0]


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


def launches(d: int, k: int, sharding: Any) -> dict:
    """How often the scan path launches a kernel for each sample of streaming Lloyd, counted in XLA's own program.

    Of a block: what its loop launches, and its inner loops as often as they are known to turn.
    """
    mine = problem(Case("Lloyd", d, k), runs=RUNS)
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), mine.arguments)
    start = time.perf_counter()
    on_card = {**mine.scan.keywords, "mesh": sharding.mesh}
    program = trials._advance.lower(*shapes, **on_card).compile().as_text()
    parts: dict[str, list[str]] = {}
    for text in program.splitlines():
        if begin := re.match(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$", text):
            here = parts.setdefault(begin[1], [])
        elif " = " in text:
            here.append(text)
    blocks = [name for name, lines in parts.items() if any(f'"n":"{tiling.BLOCK}"' in text for text in lines)]
    if len(blocks) != 1:
        raise RuntimeError(f"the program has {len(blocks)} loops over blocks, expected 1")
    each = launched(parts, blocks[0]) / tiling.BLOCK
    return {"d": d, "k": k, "launches_a_sample": each, "seconds": time.perf_counter() - start}


LAUNCHED = re.compile(r"\b(fusion|copy|dynamic-update-slice|dynamic-slice|reduce|broadcast|concatenate|custom-call)\(")


def launched(parts: dict[str, list[str]], name: str) -> int:
    """The kernels that this part of a program launches."""
    count = 0
    for text in parts[name]:
        if loop := re.search(r"while\(.*body=%?([\w.\-]+)", text):
            turns = re.search(r'known_trip_count":\{"n":"(\d+)"', text)
            if turns is None:
                raise RuntimeError(f"a loop within a block turns who knows how often: {text.strip()[:100]}")
            count += int(turns[1]) * launched(parts, loop[1])
        else:
            count += bool(LAUNCHED.search(text))
    return count


# --- running ---


def executed(mine: Problem, found: Compiled) -> Any:
    """What the fused program returns when its kernel is executed on NumPy."""
    fused = importlib.import_module("jgmm.fused")

    def kernel(body, *, out_type, grid, **rest):
        def launch(*arrays):
            given = [np.array(x).reshape(-1).view(np.uint8) for x in arrays]
            # NaN or the largest integer: what is not written is seen.
            made = [np.full(x.size * x.dtype.itemsize, 255, np.uint8) for x in out_type]
            buffers = [[*given, *made][i] for i in operands(found.passes)]
            ptx.run(found.ptx, buffers, programs=int(np.prod(grid)), threads=fused.THREADS)
            return [jnp.asarray(x.view(o.dtype).reshape(o.shape)) for x, o in zip(made, out_type, strict=True)]

        return launch

    with mock.patch.object(fused.plgpu, "kernel", kernel):
        return mine.fused(*jax.tree.map(jnp.copy, mine.arguments))  # apart, as a traced program has them


def operands(passes: str) -> list[int]:
    """Which array each parameter of the PTX is: the launch leaves out those that the kernel does not read."""
    before, after = passes.rsplit("gpu.launch_func", 1)
    host = before.rsplit("func.func @", 1)[1]
    places = {name: int(i) for name, i in re.findall(r"(%\w+) = llvm\.getelementptr %\w+\[(\d+)\]", host)}
    loaded = {name: places.get(place, 0) for name, place in re.findall(r"(%\w+) = llvm\.load (%\w+) :", host)}
    return [loaded[name] for name in re.findall(r"(%\w+) :", re.search(r"args\((.*?)\)", after)[1])]


def check_row(case: Case, sharding: Any) -> dict:
    """The executed kernel against the scan path."""
    start = time.perf_counter()
    told = {**case._asdict(), "runs": FEW_RUNS, "samples": SAMPLES}
    try:
        mine, found = compiled(case, runs=FEW_RUNS, sharding=sharding)
        words, *state = executed(mine, found)
        half = executed(mine._replace(arguments=(*mine.arguments[:-1], jnp.int32(FEW_RUNS // 2))), found)
    except Exception as error:  # the compiler's, or an instruction that ptx.py does not know
        return {**told, "failure": first_line(error), "right": False}
    expected_words, *expected = mine.scan(*mine.arguments)
    stopped = all(
        bool((x == jnp.concatenate([a[..., : FEW_RUNS // 2], b[..., FEW_RUNS // 2 :]], axis=-1)).all())
        for x, a, b in zip(*map(jax.tree.leaves, (half, (words, *state), mine.arguments[0])), strict=True)
        if x.ndim
    )
    same_words = all(bool((a == b).all()) for a, b in zip(words, expected_words, strict=True))
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True)
    apart = np.max([differences(a, b, mine.sigma) for a, b in pairs], axis=0)
    parted = int((apart > TOLERANCE).sum())
    return {
        **told,
        "lanes_equal": same_words,
        "half_stopped": stopped,
        "largest_difference": float(apart[apart <= TOLERANCE].max(initial=0)),
        "parted": parted,
        "parted_by": float(apart.max()) if parted else None,
        "right": same_words and stopped and parted <= PARTED * FEW_RUNS,
        "seconds": time.perf_counter() - start,
    }


def differences(found: Any, expected: Any, sigma: np.ndarray) -> np.ndarray:
    """The largest of every run, in sigmas; infinite where an integer differs or a number is none."""
    a, b = (np.asarray(x) for x in (found, expected))
    apart = np.abs(a.astype(np.float64) - b) / sigma if a.dtype.kind == "f" else np.where(a == b, 0, np.inf)
    apart = np.broadcast_to(np.where(np.isnan(apart), np.inf, apart), (*a.shape[:-1], len(sigma)))
    return apart.reshape(-1, len(sigma)).max(axis=0)


# --- together ---


def prepare() -> None:
    """Make the compiler leave its reports behind. Raises RuntimeError if something is not installed."""
    missing = [wheel for wheel in WHEELS if timing.installed(wheel) is None]
    if missing:
        raise RuntimeError(f"{', '.join(missing)} not installed, expected: pip install 'jgmm[gpu-compile]'")
    if kernels.version(jax.__version__) < kernels.OLDEST_JAX:
        raise RuntimeError(f"JAX is {jax.__version__}, expected 0.11 or newer")
    files = metadata.files("nvidia-cuda-nvdisasm") or []
    tools = [Path(str(file.locate())) for file in files if file.stem == "nvdisasm"]
    if not tools or not tools[0].exists():
        raise RuntimeError("nvdisasm is not in its wheel, expected: pip install --force-reinstall 'jgmm[gpu-compile]'")
    importlib.import_module("jgmm.fused")  # Mosaic, which names a folder for nvdisasm when it is imported
    os.environ["MOSAIC_GPU_CUDA_ROOT"] = str(tools[0].parent.parent)
    os.environ |= dict.fromkeys(("MOSAIC_GPU_DUMP_PTX", "MOSAIC_GPU_DUMP_PTXAS", "MOSAIC_GPU_DUMP_SASS"), "1")
    os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"  # of cuDNN, which no kernel here needs
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_traceback_filtering", "off")
    jax.config.update("jax_enable_compilation_cache", False)  # from a cache comes no report


def cards(count: int) -> Any:
    """A mesh of H100s that need not be there."""
    topology = topologies.get_topology_desc(platform="cuda", target_config=H100, topology=f"1x{count}x1")
    return topologies.make_mesh(topology, (count,), ("runs",))


def exchanged(case: Case) -> list[str]:
    """What the fused program of two cards exchanges between them: operations by name, none expected."""
    mine, mesh = problem(case, runs=RUNS), cards(2)
    shapes = jax.tree.map(
        lambda x, spec: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=jax.sharding.NamedSharding(mesh, spec)),
        *(mine.arguments, trials._specs(mine.arguments)),
    )
    fused = {**mine.scan.keywords, "kernel": "fused", "threads": mine.threads, "mesh": mesh}
    program = trials._advance.lower(*shapes, **fused).compile().as_text()
    if "mosaic_gpu" not in program:
        raise RuntimeError("the program of two cards holds no kernel of ours")
    return sorted(set(re.findall(r"all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter", program)))


def line(r: dict) -> str:
    name = Case(*(r[field] for field in Case._fields)).name
    if "failure" in r:
        return f"{name:32}FAILED: {r['failure']}"
    spilled = f"{r['spill_stores']}/{r['spill_loads']}"
    sizes = f"{r['threads_of_run']:8}{r['numbers']:8}{r['registers']:10}{spilled:>13}{r['stack']:7}"
    cells = f"{sizes}{r['instructions']:13}{r['stall_cycles']:8}"
    rates = f"{r['issue_limit'] / 1e9:9.3g}{r['lone_warp_limit'] / 1e6:9.3g}{sum(r['seconds'].values()):9.1f}"
    return f"{name:32}{cells}{rates}   " + " ".join(f"{group} {count}" for group, count in r["mix"].items())


def check_line(r: dict) -> str:
    name = Case(*(r[field] for field in Case._fields)).name
    if "failure" in r:
        return f"{name:32}FAILED: {r['failure']}"
    words = "lanes equal" if r["lanes_equal"] else "LANES DIFFER"
    verdict = "right" if r["right"] else "WRONG"
    parted = f"{r['parted']} runs parted" + (f", by {r['parted_by']:.1e}" if r["parted"] else "")
    return f"{name:32}{verdict}: {words}, largest difference {r['largest_difference']:.1e}, {parted}"


def shape(text: str) -> tuple[int, int]:
    d, k = text.split(",")
    return int(d), int(k)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Compile the GPU kernels without a GPU, and execute their PTX on NumPy."
    )
    parser.add_argument("--shapes", type=shape, nargs="+", metavar="D,K", help="of the first part: only these")
    parser.add_argument("--json", type=Path, help=f"where the report goes ({RESULTS}, unless --shapes is given)")
    args = parser.parse_args(argv)
    try:
        prepare()
    except RuntimeError as error:
        print(f"gpu_compile.py: {error}", file=sys.stderr)
        return 2
    report: dict = {"environment": timing.environment(["jax", "jaxlib", *WHEELS])}
    report["options"] = {"runs": RUNS, "few_runs": FEW_RUNS, "samples": SAMPLES, "clock": CLOCK, "tolerance": TOLERANCE}
    sharding = jax.sharding.NamedSharding(cards(1), jax.sharding.PartitionSpec())
    columns = f"{'threads':>8}{'numbers':>8}{'registers':>10}{'spilled':>13}{'stack':>7}{'instructions':>13}"
    print(f"{'kernel (d, k)':32}{columns}{'stalls':>8}{'G/s':>9}{'256, M/s':>9}{'s':>9}   instructions of a sample")
    report["rows"] = []
    for case in COMPILED:
        if args.shapes is None or (case.d, case.k) in args.shapes:
            report["rows"].append(compile_row(case, sharding))
            print(line(report["rows"][-1]), flush=True)
    report["scan"] = [launches(d, k, sharding) for d, k in SCANNED]
    for found in report["scan"]:
        print(f"scan path ({found['d']}, {found['k']}): {found['launches_a_sample']:.2f} launches a sample")
    report["two_cards_exchange"] = exchanged(Case("Lloyd", 10, 5, twin=True))
    print(f"two cards exchange: {', '.join(report['two_cards_exchange']) or 'nothing'}")
    report["targets"] = targets(report["rows"])
    for target in report["targets"]:
        verdict = "met" if target["met"] else "MISSED"
        print(f"{target['kernel']}: {target['what']} {target['found']}, at most {target['at_most']} asked: {verdict}")
    print(f"\nExecuted on NumPy against the scan path, {FEW_RUNS} runs, {SAMPLES} samples:")
    report["checks"] = []
    for case in EXECUTED:
        report["checks"].append(check_row(case, sharding))
        print(check_line(report["checks"][-1]), flush=True)
    path = args.json or (None if args.shapes else RESULTS)
    if path:
        timing.save(path, **report)
        print(path)
    right = all(r["right"] for r in report["checks"]) and not report["two_cards_exchange"]
    return 0 if right and not any("failure" in r for r in report["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
