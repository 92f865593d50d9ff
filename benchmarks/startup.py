r"""What does one wait for besides the stream?

A printout (part of it; 2 cores of a virtual AMD EPYC with AVX2, shared with other work, JAX 0.12.0.1):

    processes, s
    python                  0.02
    import jax              0.81
    import jgmm.engine.run  1.04
    jgmm --help             0.06   (target: 0.3)
    matplotlib's fonts      0.19

    jgmm run tiny.toml: 8.38 s (off), 8.89 s (cold), 5.28 s (warm)

    compile, s: the first call less the second
        d    k  cache  compile   batch  compiled  read
        2    2    off     3.03    0.51        22     0
        2    2   cold     3.57    0.58        22     0
        2    2   warm     1.27    0.11         0    22
       10    5    off     3.38    0.53        22     0
       10    5   cold     3.96    0.53        22     0
       10    5   warm     1.59    0.12         0    22

Targets: `jgmm --help` in 0.3 s; no program compiled in the second start of a preset.

Method. Every figure is the wall time of a fresh process, or was taken inside one; medians of `--repeats`, the figures
of a group taking turns. JAX can keep compiled programs in a folder: "off" is without one, "cold" with an empty one,
"warm" with the one that the cold process before it left.

    processes    Python alone, `import jax`, `import jgmm.engine.run`, `jgmm --help`; matplotlib's list of the fonts,
                 which it makes once for each user (every other figure has it)
    tiny         `jgmm run` of one cell, k = d = 2, N = 2000, 64 runs, everything included: start, report, exit
    seed         `jgmm run seed`, with --full only (minutes)
    compile      streaming Lloyd, 256 runs on all cores, from Python: the first `jgmm.run` of 16 samples less
                 the second; "batch" is `jgmm.batch` before it. "compiled" counts the programs that the compiler made
                 until the first call was over, "read" those that came from the folder
    presets      with --presets only (many minutes): `jgmm run NAME --runs 32` twice, into two folders, with one cache.
                 "compiled" in the second start should be 0

Programs are counted by `jax.monitoring`: every program that is not yet in the process makes an event
"backend_compile_duration", and another, "cache_hits", if it was read. The event "cache_misses" would count those that
were written alone, not those that were compiled anew because the cache thought them too small to keep.

The caches are temporary folders below XDG_CACHE_HOME, where `jgmm run` keeps its own on Linux; the user's is not used.

    python benchmarks/startup.py [--repeats 3] [--full] [--presets] [--json PATH]

Writes benchmarks/results/startup-py<version>.json. Five minutes on two cores without the options.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import about

RESULTS = Path(__file__).parent / "results"
JGMM = str(Path(sysconfig.get_path("scripts")) / "jgmm")
SHAPES = [(2, 2), (10, 5), (50, 10), (100, 20)]  # (d, k)
TINY = """
name = "tiny"
runs = 64
[mixture]
k = 2
d = 2
[stream]
n = 2000
start = 0.1
checkpoints = 1
"""

# Counts programs: `seen` is every one that was wanted, `hits` those of them that the cache had.
COUNT = """
import collections, json, sys, time
import jax, jax.monitoring
seen = collections.Counter()

def on_duration(event, seconds, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        seen.update({"programs": 1, "backend_seconds": seconds})

def on_event(event, **_):
    seen.update({event.rsplit("/", 1)[-1]: 1})

def counted():
    read = seen["cache_hits"]
    return {"compiled": seen["programs"] - read, "read": read, "written": seen["cache_misses"],
            "backend_seconds": seen["backend_seconds"]}

jax.monitoring.register_event_duration_secs_listener(on_duration)
jax.monitoring.register_event_listener(on_event)
"""

COMPILE = (
    COUNT
    + """
import os
import numpy as np
import jgmm
from jgmm.engine import machine
from jgmm import mixture
machine.prepare()
d, k = map(int, sys.argv[1:3])
if len(sys.argv) > 3:
    jax.config.update("jax_compilation_cache_dir", sys.argv[3])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

def timed(call):
    start = time.perf_counter()
    return call(), time.perf_counter() - start

truth = mixture.given(20 * np.random.default_rng(0).normal(size=(k, d)))
jax.devices()  # the devices start apart from the first program
batch, batch_seconds = timed(lambda: jgmm.batch(jax.random.key(0), range(256), truth))
stream = lambda: jgmm.run(batch, "lloyd", batch.mixture.means, steps=0.01, checkpoints=[16])
_, first = timed(stream)
count = counted()
_, second = timed(stream)
print(json.dumps({"batch": batch_seconds, "first": first, "second": second, "compile": first - second, **count}))
"""
)

WATCHED = (
    COUNT
    + """
from jgmm import cli
status = cli.main(sys.argv[1:])
print(json.dumps({"status": status, **counted()}))
"""
)


def run(call, cache, fonts):
    """Seconds of a process, and what it printed. Raises SystemExit if it fails. cache: its XDG_CACHE_HOME."""
    # What the user has set for JAX's cache is not what is measured.
    mine = {name: value for name, value in os.environ.items() if "COMPILATION_CACHE" not in name}
    mine = {name: value for name, value in mine.items() if "PERSISTENT_CACHE" not in name}
    mine |= {"XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": str(fonts)}
    started = time.perf_counter()
    done = subprocess.run(call, capture_output=True, text=True, env=mine)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(call)} failed with {done.returncode}: {done.stderr[-2000:]}")
    return seconds, done.stdout


def processes(folder, start, repeats):
    """Seconds of starts that simulate nothing."""
    calls = {
        "python": [sys.executable, "-c", "pass"],
        "import jax": [sys.executable, "-c", "import jax"],
        "import jgmm.engine.run": [sys.executable, "-c", "import jgmm.engine.run"],
        "jgmm --help": [JGMM, "--help"],
    }
    found = {name: [] for name in (*calls, "matplotlib's fonts")}
    for turn in range(repeats):
        for name, call in calls.items():
            found[name].append(start(call, folder / "none")[0])
        font_list = [sys.executable, "-c", "import matplotlib.font_manager"]
        first = run(font_list, folder / "none", folder / f"fonts-{turn}")[0]
        found["matplotlib's fonts"].append(first - run(font_list, folder / "none", folder / f"fonts-{turn}")[0])
    rows = {name: {"seconds": statistics.median(each), "each": each} for name, each in found.items()}
    print("processes, s")
    for name, row in rows.items():
        target = "   (target: 0.3)" if name == "jgmm --help" else ""
        print(f"{name:20}{row['seconds']:8.2f}{target}")
    print(flush=True)
    return rows


def study(folder, start, repeats, spec):
    """Seconds of a whole `jgmm run` of this spec, without a cache, with an empty one and with a full one."""
    found = {"off": [], "cold": [], "warm": []}
    for turn in range(repeats):
        cache = folder / f"cache-{turn}"
        for state, each in found.items():
            call = [JGMM, "run", spec, "--out", str(folder / f"{state}-{turn}")]
            each.append(start(call + ["--no-cache"] * (state == "off"), cache)[0])
            files = sum(path.is_file() for path in (cache / "jgmm").rglob("*"))
            if (files > 0) != (state != "off"):
                raise SystemExit(f"{spec}, {state}: {files} files in {cache / 'jgmm'}, expected some only with a cache")
    rows = {state: {"seconds": statistics.median(each), "each": each} for state, each in found.items()}
    figures = ", ".join(f"{row['seconds']:.2f} s ({state})" for state, row in rows.items())
    print(f"jgmm run {Path(spec).name}: {figures}\n", flush=True)
    return rows


def compiling(folder, start, repeats):
    """Seconds and programs of the first call at each shape, without a cache, with an empty one and with a full one."""
    found = {(shape, state): [] for shape in SHAPES for state in ("off", "cold", "warm")}
    for turn in range(repeats):
        for ((d, k), state), each in found.items():
            cache = folder / f"compile-{d}-{k}-{turn}"
            where = [str(cache)] if state != "off" else []
            each.append(json.loads(start([sys.executable, "-c", COMPILE, str(d), str(k), *where], cache)[1]))
    print("compile, s: the first call less the second")
    print(f"{'d':>5}{'k':>5}{'cache':>7}{'compile':>9}{'batch':>8}{'compiled':>10}{'read':>6}")
    rows = []
    for ((d, k), state), each in found.items():
        row = {"d": d, "k": k, "cache": state}
        row |= {name: statistics.median(one[name] for one in each) for name in each[0]} | {"each": each}
        rows.append(row)
        seconds = f"{row['compile']:9.2f}{row['batch']:8.2f}"
        print(f"{d:5d}{k:5d}{state:>7}{seconds}{row['compiled']:10g}{row['read']:6g}")
    print(flush=True)
    return rows


def presets(folder, start):
    """Programs that the first and the second start of every preset compile and read."""
    names = [line.split()[0] for line in start([JGMM, "presets"], folder / "none")[1].splitlines()]
    print("presets, 32 runs")
    print(f"{'':12}{'first, s':>10}{'compiled':>10}{'second, s':>11}{'compiled':>10}{'read':>6}")
    rows = {}
    for name in names:
        each = []
        for turn in ("first", "second"):
            call = [sys.executable, "-c", WATCHED, "run", name, "--runs", "32", "--out", str(folder / name / turn)]
            seconds, printed = start(call, folder / name / "cache")
            each.append({"seconds": seconds, **json.loads(printed.splitlines()[-1])})
            if each[-1]["status"]:
                raise SystemExit(f"{name}: jgmm run ended with {each[-1]['status']}, expected 0")
        rows[name] = dict(zip(("first", "second"), each, strict=True))
        first, second = each
        figures = f"{first['seconds']:10.1f}{first['compiled']:10d}{second['seconds']:11.1f}{second['compiled']:10d}"
        print(f"{name:12}{figures}{second['read']:6d}", flush=True)
    compiled = sum(row["second"]["compiled"] for row in rows.values())
    print(f"compiled in second starts: {compiled} (target: 0)\n")
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(description="Start, imports and compiler, with and without a compilation cache.")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each figure")
    parser.add_argument("--full", action="store_true", help="also the seed study, without a cache, cold and warm")
    parser.add_argument("--presets", action="store_true", help="also every preset twice, 32 runs")
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    parser.add_argument("--json", type=Path, default=RESULTS / f"startup-py{python}.json", help="where to write")
    args = parser.parse_args(argv)
    if args.repeats < 1:
        parser.error(f"--repeats is {args.repeats}, expected at least 1")

    here = {**about.environment(), "jax": version("jax")}
    print(f"start-up; medians of {args.repeats} processes; {here['device']}, {here['cores']} cores")
    print(f"Python {here['python']}, JAX {here['jax']}, commit {here['commit']}\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fonts = folder / "fonts"
        start = partial(run, fonts=fonts)
        # Files into the page cache, fonts into their list: neither is what the other figures are about.
        start([sys.executable, "-c", "import jgmm.report.write, jgmm.commands.run"], folder / "none")
        sections = {"processes": processes(folder, start, args.repeats)}
        (folder / "tiny.toml").write_text(TINY)
        sections["tiny"] = study(folder / "of-tiny", start, args.repeats, str(folder / "tiny.toml"))
        sections["compile"] = compiling(folder, start, args.repeats)
        if args.full:
            sections["seed"] = study(folder / "of-seed", start, args.repeats, "seed")
        if args.presets:
            sections["presets"] = presets(folder, start)

    options = {"repeats": args.repeats, "full": args.full, "presets": args.presets}
    report = {"environment": here, "options": options, "sections": sections}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(args.json)


if __name__ == "__main__":
    sys.exit(main())
