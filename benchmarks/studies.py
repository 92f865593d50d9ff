"""What does a study cost beside its streams?

1. packing: samples a second of four cells of 64 runs side by side (each its own N, rate, separation and sigma), against
   one cell of 256 runs, in interleaved rounds of one process (medians; warm);
2. overhead: `jgmm run` of 1,000 cells of 64 runs, everything included (start, compiling, writing, report), against the
   time that their samples take at the throughput of a single cell of 256 runs;
3. million: `jgmm run` of one small cell with 1e6 runs, its peak memory beside that with 1e5, and the most files there
   ever were in its folder.

    python benchmarks/studies.py                # about four minutes on two cores
    (2 cores of an AMD EPYC, JAX 0.12)
    packing     (5, 10): 0.89 of one cell's throughput
    million     28 s, 18 files at most, peak 0.75 GB (1e5 runs: 0.61)
    overhead    30% of 142 s

The share of the overhead is a difference of two runs on a shared machine: 26 and 30 % were seen. About 19 s of it are
the report (750 fits, figures, 1,000 summaries), 8 s the compiler, 3 s start, 3 s the files.

Writes benchmarks/results/studies-jax<version>.json.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import about
import jax

from jgmm.engine import machine

RESULTS = Path(__file__).parent / "results"
ONE = """
runs = 256
[mixture]
k = 5
d = 10
layout = "simplex"
separation = 6.0
[stream]
n = 200000
start = 0.2
checkpoints = 1
"""
FOUR = """
runs = 64
together = ["separation", "sigma", "n", "rate"]
[mixture]
k = 5
d = 10
layout = "simplex"
separation = [4.0, 6.0, 8.0, 12.0]
sigma = [1.0, 0.1, 10.0, 3.0]
[stream]
n = [200000, 180000, 160000, 200000]
rate = [0.001, 0.002, 0.004, 0.008]
start = 0.2
checkpoints = 1
"""
MANY = """
name = "many"
runs = 64
[mixture]
k = 5
d = 10
layout = "simplex"
separation = [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0]
sigma = [0.5, 1.0, 2.0, 4.0, 8.0]
[stream]
n = [50000, 75000, 100000, 150000]
rate = [0.001, 0.002, 0.005, 0.01, 0.02]
start = 0.1
checkpoints = 1
"""
MILLION = """
name = "million"
[mixture]
k = 2
d = 2
[stream]
n = 2000
start = 0.1
checkpoints = 1
"""


def simulate(text: str, folder: Path) -> float:
    """Samples a second of a study's streams, written to a new folder."""
    from jgmm.study import run as runner
    from jgmm.study import spec

    shutil.rmtree(folder, ignore_errors=True)
    done = runner.run_study(spec.parse(text, source="text", folder=Path(), default_name="bench"), folder)
    return done.samples / done.seconds


def packing(folder: Path, rounds: int = 5) -> dict:
    """Throughputs side by side and alone."""
    for text in (ONE, FOUR):
        simulate(text, folder)
    found = [(simulate(ONE, folder), simulate(FOUR, folder)) for _ in range(rounds)]
    alone, beside = (sorted(values)[rounds // 2] for values in zip(*found, strict=True))
    ratio = sorted(b / a for a, b in found)[rounds // 2]
    return {"alone": alone, "side_by_side": beside, "ratio": ratio}


def command(text: str, folder: Path, *options: str) -> dict:
    """Wall time, peak memory (GB) and files of a whole `jgmm run`."""
    spec_file = folder / "spec.toml"
    spec_file.write_text(text)
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    most = [0]
    started = time.perf_counter()
    call = [sys.executable, "-m", "jgmm.cli", "run", str(spec_file), "--out", str(out), *options]
    running = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    while running.poll() is None:
        most.append(sum(1 for path in out.rglob("*") if path.is_file()) if out.exists() else 0)
        time.sleep(0.5)
    if running.returncode:
        raise SystemExit(f"{' '.join(call)} failed with {running.returncode}")
    seconds = time.perf_counter() - started
    files = sum(1 for path in out.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {"seconds": seconds, "files": files, "most_files": max(most), "peak_gb_of_any_so_far": peak}


def main() -> None:
    """Run all three, print, and write the JSON."""
    machine.prepare()
    folder = Path(tempfile.mkdtemp())
    found: dict = {"environment": {**about.environment(), "jax": jax.__version__}}
    found["packing"] = packing(folder / "packing")
    print(f"packing     (5, 10): {found['packing']['ratio']:.2f} of one cell's throughput")
    small = command(MILLION, folder, "--runs", "100000")
    million = command(MILLION, folder, "--runs", "1000000")
    found["million"] = {"small": small, "million": million}
    print(
        f"million     {million['seconds']:.0f} s, {million['most_files']} files at most,"
        f" peak {million['peak_gb_of_any_so_far']:.2f} GB (1e5 runs: {small['peak_gb_of_any_so_far']:.2f})"
    )
    many = command(MANY, folder)
    samples = 64 * 250 * (50000 + 75000 + 100000 + 150000)
    streams = samples / found["packing"]["alone"]
    found["overhead"] = {**many, "samples": samples, "streams": streams, "share": 1 - streams / many["seconds"]}
    print(f"overhead    {found['overhead']['share']:.0%} of {many['seconds']:.0f} s")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"studies-jax{jax.__version__}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
