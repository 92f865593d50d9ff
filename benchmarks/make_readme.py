"""Writes README.md and rivals.png here from what the other scripts have left in results/: no number is typed.

Ratios are those of two medians, their ranges those of the rounds' own ratios, as in timing.py. What has no JSON file,
or is not in it, has no section, row or cell. With several files of rivals.py the picture shows that of the newest JAX.

    python benchmarks/make_readme.py [--results DIR] [--out DIR]
"""

import argparse
import json
import math
import sys
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
PICTURE = "rivals.png"
SHOWN_RUNS = 256  # runs of the first table, of the picture and of the targets for throughput
RATIO_RUNS = [1, 16, 256, 4096]
RIVALS = ["limit", "Numba, NumPy", "Numba, xoshiro", "Numba, vectors"]
SAME_WORK = ["Numba, NumPy", "Numba, vectors"]  # that the targets for few runs are told against
LIMIT_TARGETS = {(2, 2): 0.50, (10, 5): 0.55, (50, 10): 0.70, (100, 20): 0.75}
NUMBA_TARGETS = {(2, 2): 20, (10, 5): 14, (50, 10): 9, (100, 20): 6}
HALVED = "0.10.2"  # the JAX on which half of these targets is asked
COLOURS = {"jgmm": "#c8452d", "limit": "#20639b"}
GREY = "#8a8a8a"
SYSTEMS = {
    "em": "Streaming EM of a symmetric pair",
    "power": "Block power iteration",
    "seeding": "Spectral seeding, whole",
}
GPU_CONTENDERS = ["fused", "scan", "scan, WHILE", "PyTorch", "CPU"]
GPU_SYSTEMS = {"twin": "Lloyd and its twin", "em": "EM", "power": "power iteration"}
STATES = ["off", "cold", "warm"]

INTRO = """\
# Benchmarks

| script | its question |
|:--|:--|
| `rivals.py` | How many samples a second does each way of doing streaming Lloyd take? From a Python loop over \
scikit-learn, river, NumPy, Numba and plain JAX to jgmm and to the same algorithm in C by hand (`limit.c`, "limit"). |
| `engine.py` | How fast is the strict CPU back end, against C by hand, the scan path and Numba, and how long is its \
first call? |
| `algorithms.py` | What `rivals.py` asks, of streaming EM, block power iteration and spectral seeding, against Numba, \
NumPy, SciPy and plain JAX. |
| `scaling.py` | How do throughput and peak memory grow with runs, dimensions, components, samples and devices? |
| `startup.py` | What does one wait for besides the stream: imports, compiler, caches, a tiny study? |
| `studies.py` | What does a study cost beside its streams: cells side by side, many small cells, a million runs? |
| `calibration.py` | Are laws as accurate as they say? Law against simulation over a grid; it fails where one is not. |
| `coverage.py` | Do verdicts contradict true laws and bounds as rarely as they say, and do intervals cover? |
| `gpu_compile.py` | What do the GPU kernels compile to, and are their bits the CPU's? Asked without a GPU. |
| `gpu.py` | Is the program right on a GPU, and how fast is it there? |

To run them, in the repository's root, on an otherwise idle machine:

    pip install -e '.[bench]'             # and '.[gpu-compile]' for gpu_compile.py
    python benchmarks/rivals.py
    python benchmarks/algorithms.py
    python benchmarks/engine.py
    python benchmarks/scaling.py
    python benchmarks/startup.py
    python benchmarks/studies.py
    python benchmarks/calibration.py      # 10 minutes
    python benchmarks/coverage.py         # 10 minutes
    python benchmarks/gpu_compile.py
    python benchmarks/gpu.py              # needs an NVIDIA GPU: 7 minutes of an H100
    python benchmarks/make_readme.py    # this page and its picture, from the JSON files in results/

Each one's first lines hold its method and options. A contender whose package, or C compiler, is missing is left out.
In `rivals.py`, `algorithms.py` and `engine.py` every contender's error must follow its law in every round, or the \
program stops.
"""

SHARED = """\
The machine was shared with other work: read ratios within one file, with their ranges, and do not compare rates between
files. "+changes" after a commit: tracked files differed from it. "Lanes" is the vector width of the C program: how many
32-bit numbers it computes at once. The load is that of the minute before the start.
"""

ENGINE_INTRO = """\
## The strict CPU back end

Samples a second of the processor, strict over each contender: medians of the rounds' ratios, with their range, and what
was asked. "scan, before": the scan path as it was before there was a strict back end, by way of the limit. The limit is
streaming Lloyd also beside the other systems. First call: tracing and compiling, seconds of the processor (of the
clock), with an empty folder of machine code (cold), with what that left (warm), and by XLA (scan).
"""

RIVALS_INTRO = f"""\
## Streaming Lloyd at {SHOWN_RUNS} runs

M samples a second of all runs together, medians, for each (d, k): d dimensions, k components. "seed's loop" is the way
of the notebook that this package redoes; it, scikit-learn and river take one run after another, NumPy all at once, on
one core. The others have all cores.
"""

RATIOS_INTRO = """\
## jgmm against the limit and Numba

Samples a second of jgmm over those of the contender, for each (d, k); in brackets the range over the rounds. More than
1: jgmm is faster.
"""

TARGETS_INTRO = f"""\
## Targets

Judged by the medians, before rounding. Against the limit and Numba: samples a second of jgmm over theirs. "Within 3
times" and "not slower" are told against the plain Numba kernel ("Numba, NumPy") and the one with vectorised normals
("Numba, vectors"). On JAX {HALVED} half of these ratios is asked at 256 runs. Memory beyond the start is of all devices
together over the state of all runs, which is also the ratio on each device; it is judged where the state is largest,
since beside a small one the compiler's own memory is what is seen.
"""

GPU_INTRO = """\
## On a GPU

First the bits are checked: they must be the CPU's. Then streaming Lloyd is timed, G samples a second of all runs
together, medians: "fused", a stream in one launch; "scan", a step at a time; "WHILE", that with XLA's loops in CUDA
graphs, in a process of its own; "PyTorch", an eager loop over samples; "CPU", all cores of that machine. "Of the
floor": of what the instructions allow the full card, which few runs do not fill. (What is of a commit before c39bc20 is
of a kernel that Mosaic compiled, whose floats differed from the CPU's by roundings.)

![G samples a second against runs](gpu.png)
"""

GPU_COMPILE_INTRO = """\
## GPU kernels, compiled

For an H100, on a machine without one: no speed here is measured. Threads: of a run. Numbers: of 32 bits, that a
thread holds. Spilled: bytes stored / loaded for each thread, of the whole kernel. Instructions: of the loop that takes
in a sample. Stall cycles: the sum of what these instructions say the same warp must wait before the next one, without
waits for memory and special functions. "Full card": the samples a second that 132 multiprocessors x 4 schedulers x 32
threads at 1.755 GHz issue the instructions for. "256 runs": what 256 runs take in if each sample takes its stall
cycles. At this clock neither can be exceeded. Compile: seconds, of tracing, LLVM and NVIDIA's assembler.

Then the PTX is executed on NumPy (`ptx.py`): words and states must be those of the CPU's back end in every bit.
"""


# --- numbers and tables ---


def digits(number):
    """Three significant digits, thousands set apart; a dash for None."""
    if number is None:
        return "-"
    if number == 0:
        return "0"
    number = float(f"{number:.3g}")
    return f"{number:,.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"


def spread(median, each):
    """The median and the range, "0.237 (0.224 to 0.252)"."""
    return f"{digits(median)} ({digits(min(each))} to {digits(max(each))})"


def table(head, rows):
    """Lines of Markdown: the first column to the left, the others to the right; none without rows."""
    if not rows:
        return
    yield ""
    for cells in (head, [":--", *["--:"] * (len(head) - 1)], *rows):
        yield "| " + " | ".join(cells) + " |"
    yield ""


def unique(items):
    return list(dict.fromkeys(items))


def version_key(version):
    """ "0.12.0.1" -> (0, 12, 0, 1)."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def versions(report):
    """Of Python and JAX."""
    return report["environment"]["python"], report["environment"]["jax"]


def heading(report):
    return "### Python {}, JAX {}".format(*versions(report))


def rounds(report):
    return f"{report['options']['rounds']} rounds of {report['options']['seconds']:g} s."


# --- records of rivals.py and algorithms.py ---


def shapes_of(records):
    """(d, k) in the order of the file."""
    return unique(tuple(record["shape"]) for record in records)


def find(records, **wanted):
    """The one record that has all of this, or None."""
    return next((r for r in records if all(r[name] == value for name, value in wanted.items())), None)


def ratio(ours, theirs):
    """(of the medians, the rounds' own); None where a record is missing."""
    if ours is None or theirs is None:
        return None
    each = [a / b for a, b in zip(ours["samples_a_second"], theirs["samples_a_second"], strict=True)]
    return ours["median"] / theirs["median"], each


def rate_table(records):
    """Contenders against shapes, of records that differ in nothing else."""
    shapes = shapes_of(records)

    def cell(name, shape):
        record = find(records, name=name, shape=list(shape))
        return digits(record and record["median"] / 1e6)

    names = unique(record["name"] for record in records)
    yield from table(["M samples/s", *map(str, shapes)], [[name, *(cell(name, s) for s in shapes)] for name in names])


def ratio_row(label, records, name, shapes):
    """jgmm over the contender, a cell for each shape; None if all would be empty."""
    found = [
        ratio(find(records, name="jgmm", shape=list(shape)), find(records, name=name, shape=list(shape)))
        for shape in shapes
    ]
    return [*label, *(spread(*one) if one else "-" for one in found)] if any(found) else None


# --- sections: a list of reports -> lines; called only if there are reports ---


def devices(files):
    """What each file was measured on."""
    yield "## Devices"
    head = ["file", "device", "cores", "lanes", "Python", "JAX", "Numba", "commit", "load"]
    rows = []
    for name, report in files:
        here = report["environment"]
        commit, *changes = (here["commit"] or "none").partition("+")
        row = [f"`{name}`", here["device"], here["cores"], here.get("limit_vector_width"), here["python"], here["jax"]]
        row += [here.get("numba"), commit[:10] + "".join(changes), f"{here['load_average_at_start']:.2f}"]
        rows.append(["-" if cell is None else str(cell) for cell in row])
    yield from table(head, rows)
    for name, report in files:
        if report["environment"]["xla_flags"]:
            yield f"`{name}` was measured with XLA_FLAGS=`{report['environment']['xla_flags']}`.\n"
    yield SHARED


def rivals(reports):
    """M samples a second, and the picture."""
    shown = [(report, at_shown_runs(report)) for report in reports]
    shown = [(report, records) for report, records in shown if records]
    if not shown:
        return
    yield RIVALS_INTRO
    python, jax = versions(shown[0][0])
    caption = f"M samples a second of each contender, Python {python}, JAX {jax}"
    yield f"![{caption}]({PICTURE})\n"
    for report, records in shown:
        yield f"{heading(report)}\n\n{rounds(report)}"
        yield from rate_table(records)


def at_shown_runs(report):
    return [record for record in report["records"] if record["runs"] == SHOWN_RUNS]


def ratios(reports):
    """jgmm over the limit and Numba."""
    told = False
    for report in reports:
        shapes = shapes_of(report["records"])
        rows = []
        for name in RIVALS:
            for runs in RATIO_RUNS:
                mine = [record for record in report["records"] if record["runs"] == runs]
                rows.append(ratio_row([name, str(runs)], mine, name, shapes))
        if not any(rows):
            continue
        if not told:
            yield RATIOS_INTRO
        told = True
        yield heading(report)
        yield from table(["jgmm over", "runs", *map(str, shapes)], [row for row in rows if row])


def algorithms(reports):
    yield "## Streaming EM, power iteration and seeding\n"
    yield "M samples a second of all runs together, medians, for each (d, k); below them jgmm over the contender, with"
    yield "the range over the rounds. NumPy and SciPy have one core, the others all.\n"
    for report in reports:
        yield f"{heading(report)}\n\n{report['options']['runs']} runs, {rounds(report)}\n"
        for system, title in SYSTEMS.items():
            records = [record for record in report["records"] if record["system"] == system]
            if not records:
                continue
            shapes, names = shapes_of(records), unique(record["name"] for record in records)
            yield f"{title}:"
            yield from rate_table(records)
            rows = [ratio_row([name], records, name, shapes) for name in names if name != "jgmm"]
            yield from table(["jgmm over", *map(str, shapes)], [row for row in rows if row])


def engine(reports):
    """Strict over each rival, and first calls."""
    yield ENGINE_INTRO
    for report in reports:
        yield f"{heading(report)}\n\n{rounds(report)}"
        yield from engine_ratios(report["records"])
        yield from first_calls([record for record in report["records"] if record["section"] == "first"])


def engine_ratios(records):
    """A row for each rival, runs and system; a column for each (d, k)."""
    over = [record for record in records if "strict_over_it" in record]
    shapes = unique(tuple(record["shape"]) for record in records if record["system"] == "lloyd")
    places = {shape[0]: shape for shape in shapes}  # EM's own k is 2
    rows = {}
    for record in over:
        row = rows.setdefault((record["system"], record["runs"], record["name"]), {})
        place = places[record["shape"][0]]
        median, *ends = record["strict_over_it"]["cpu"]
        row[place] = asked(spread(median, ends), median, record["target"])
        if found := record.get("strict_over_scan_before"):
            before = rows.setdefault((record["system"], record["runs"], "scan, before"), {})
            before[place] = asked(digits(found), found, record["before_target"])
    body = [[s, str(runs), name, *(row.get(at, "-") for at in shapes)] for (s, runs, name), row in rows.items()]
    yield from table(["system", "runs", "strict over", *map(str, shapes)], body)


def asked(text, found, wanted):
    """The figure, and what it should be at least where something was asked."""
    return text if wanted is None else f"{text}{'' if found >= wanted else ' **missed**'}, ≥ {digits(wanted)}"


def first_calls(records):
    """Seconds of the processor, and of the clock."""
    head = ["first call, s", *map(str, shapes_of(records))]
    rows = {}
    for record in records:
        row = rows.setdefault(record["state"], [])
        row.append(f"{digits(record['cpu_seconds'])} ({digits(record['seconds'])})")
        if record["target"] is not None:
            missed = "" if record["cpu_seconds"] <= record["target"] else " **missed**"
            row[-1] += f"{missed}, ≤ {digits(record['target'])}"
    yield from table(head, [[state, *row] for state, row in rows.items()])


def scaling(reports):
    yield "## Scaling of streaming Lloyd\n"
    yield "Throughput: medians, with the range over the rounds. G k d/s is samples a second times k d, in 1e9. Memory:"
    yield "each figure is the mean of fresh processes; `started` is the peak after 16 samples of 32 runs, `state` what"
    yield "the stream carries.\n"
    for report in reports:
        sections = report["sections"]
        yield f"{heading(report)}\n\n{rounds(report)}\n"
        for name, title in (("runs", "runs"), ("d", "d"), ("k", "k"), ("n", "N")):
            yield from throughput(sections[name]["rows"], name, title)
        yield from over_devices(sections["devices"])
        yield from memory(sections)


def throughput(rows, name, title):
    """Rates against one of the sizes."""
    fixed = ", ".join(f"{size} = {rows[0][size]:,}" for size in ("d", "k", "runs") if size != name)
    yield f"Against {title} ({fixed}):"
    head = [title, "M samples/s", "G k d/s", *(["cost of a sample over the last row's"] if name == "n" else [])]
    body = []
    for row in rows:
        rate = spread(row["median"] / 1e6, [each / 1e6 for each in row["samples_a_second"]])
        body.append([f"{row[name]:,}", rate, digits(row["median"] * row["d"] * row["k"] / 1e9)])
        if name == "n":
            body[-1].append(digits(row["cost_over_last"]))
    yield from table(head, body)


def over_devices(section):
    """All devices over one."""
    rows, count = section["rows"], max(row["devices"] for row in section["rows"])
    yield f"{count} devices over one, {rows[0]['runs']} runs (a device is a core; busy: processor over wall time):"
    body = []
    for found in section["ratios"]:
        busy = (f"{cores:.2f}" for cores in found["busy_cores"])
        body.append([f"({found['d']}, {found['k']})", spread(found["median"], found["each"]), *busy])
    yield from table(["(d, k)", "ratio", "busy with one", f"busy with {count}"], body)


def memory(sections):
    """Peaks in MB."""
    rows = sections["memory_against_samples"]["rows"]
    yield "Peak memory against N, MB (d = {d}, k = {k}, {runs} runs):".format(**rows[0])
    body = [[f"{r['n']:,}", *(digits(r[name] / 1e6) for name in ("started", "peak"))] for r in rows]
    yield from table(["N", "started", "peak"], body)
    rows = sections["memory_against_runs"]["rows"]
    yield "Peak memory against runs, MB (d = {d}, k = {k}, N = {n:,}):".format(**rows[0])
    names = ["started", "peak", "beyond", "state", "record"]
    body = [
        [f"{r['runs']:,}", *(digits(r[name] / 1e6) for name in names), digits(r["beyond"] / r["state"])] for r in rows
    ]
    yield from table(["runs", *names, "beyond/state"], body)


def startup(reports):
    yield "## Start-up\n"
    yield "Seconds of fresh processes, medians. The cache of compiled programs: off, cold (empty) or warm (full)."
    yield "Compile: the first call of 16 samples less the second, 256 runs; programs: made, or read from the cache.\n"
    for report in reports:
        sections = report["sections"]
        yield f"{heading(report)}\n\n{report['options']['repeats']} processes for each figure."
        body = [[name, spread(row["seconds"], row["each"])] for name, row in sections["processes"].items()]
        yield from table(["process, s", ""], body)
        body = [
            [label, *(spread(sections[name][state]["seconds"], sections[name][state]["each"]) for state in STATES)]
            for name, label in (("tiny", "one tiny cell"), ("seed", "the preset `seed`"))
            if name in sections
        ]
        yield from table(["`jgmm run`, s", *STATES], body)
        yield from compiling(sections["compile"])
        if "presets" in sections:
            head = ["preset, 32 runs", "first start, s", "compiled", "second start, s", "compiled", "read"]
            yield from table(head, [preset(*item) for item in sections["presets"].items()])


def compiling(rows):
    """Seconds without a cache, with an empty one and with a full one; programs of the last two."""
    body = []
    for d, k in unique((row["d"], row["k"]) for row in rows):
        off, cold, warm = (find(rows, d=d, k=k, cache=state) for state in STATES)
        programs = (f"{number:g}" for number in (cold["compiled"], warm["compiled"], warm["read"]))
        body.append([f"({d}, {k})", *(digits(row["compile"]) for row in (off, cold, warm)), *programs])
    head = ["compile, s; (d, k)", *STATES, "programs made, cold", "made, warm", "read, warm"]
    yield from table(head, body)


def preset(name, row):
    first, second = row["first"], row["second"]
    figures = [digits(first["seconds"]), first["compiled"], digits(second["seconds"]), second["compiled"]]
    return [f"`{name}`", *map(str, figures), str(second["read"])]


def studies(reports):
    yield "## Studies\n"
    yield "Packing: four cells of 64 runs side by side over one cell of 256 runs, samples a second. Overhead: the share"
    yield "of `jgmm run` that its samples would not need at the rate of that one cell; a difference of two runs, so"
    yield "coarse. Million: `jgmm run` of one small cell with 1e6 runs; the peak is the most of any process so far."
    body = []
    for report in reports:
        packing, overhead = report["packing"], report["overhead"]
        small, million = report["million"]["small"], report["million"]["million"]
        row = ["JAX " + report["environment"]["jax"], digits(packing["ratio"])]
        row += [f"{overhead['share']:.0%} of {overhead['seconds']:.0f} s", f"{million['seconds']:.0f} s"]
        row += [str(million["most_files"]), digits(million["peak_gb_of_any_so_far"])]
        body.append([*row, digits(small["peak_gb_of_any_so_far"])])
    head = ["", "packing", "overhead", "million", "most files", "peak, GB", "peak with 1e5, GB"]
    yield from table(head, body)


def gpu(reports):
    yield GPU_INTRO
    for report in reports:
        here, records = report["environment"], report["records"]
        right = sum(row["passed"] for row in report["checks"])
        yield f"### {here['device']}, Python {here['python']}, JAX {here['jax']}\n"
        yield f"The CPU: {here['processor']}, {here['cores']} cores. Right: {right} of {len(report['checks'])} checks."
        yield f"{rounds(report)}"
        body = []
        for row in report["ratios"]:
            mine = [one for one in records if one["system"] == "lloyd" and one["shape"] == row["shape"]]
            rates = [find(mine, runs=row["runs"], name=name) for name in GPU_CONTENDERS]
            cells = [digits(rate and rate["median"] / 1e9) for rate in rates]
            cells += [digits(row[name]) for name in ("fused_over_scan", "gpu_over_cpu", "fraction_of_floor")]
            body.append([str(tuple(row["shape"])), f"{row['runs']:,}", *cells])
        head = ["(d, k)", "runs", *(name.removeprefix("scan, ") for name in GPU_CONTENDERS)]
        yield from table([*head, "fused over scan", "fused over CPU", "of the floor"], body)
        body = []
        for system, title in GPU_SYSTEMS.items():
            mine = [one for one in records if one["system"] == system]
            if mine:
                fused, scan = (find(mine, name=name) for name in ("fused", "scan"))
                cells = [digits(rate and rate["median"] / 1e9) for rate in (fused, scan)]
                found = ratio(fused, scan)
                cells.append(spread(*found) if found else "-")
                body.append([f"{title} {tuple(mine[0]['shape'])}, {mine[0]['runs']:,} runs", *cells])
        yield from table(["G samples/s", "fused", "scan", "fused over scan"], body)
        if report["study"]:
            runs = report["study"][0]["runs"]
            yield f"`jgmm run seed` with {runs:,} runs, all in all, by the cache of compiled programs:"
            body = [
                [row["cache"], "**failed**" if row["failure"] else digits(row["seconds"]), row["commit"][:10]]
                for row in report["study"]
            ]
            yield from table(["cache", "s", "commit"], body)
        yield from (f"Left out, {text}\n" for text in report["skipped"])


def gpu_compile(reports):
    yield GPU_COMPILE_INTRO
    for report in reports:
        yield heading(report)
        compiled = [row for row in report["rows"] if "failure" not in row]
        groups = unique(group for row in compiled for group in row["mix"])
        body = []
        for row in compiled:
            spilled = f"{row['spill_stores']:,} / {row['spill_loads']:,}" if row["stack"] else "0"
            figures = [
                row["threads_of_run"],
                f"{row['numbers']:,}",
                row["registers"],
                spilled,
                f"{row['instructions']:,g}",
            ]
            figures += [f"{row['stall_cycles']:,g}", digits(row["issue_limit"] / 1e9)]
            figures += [digits(row["lone_warp_limit"] / 1e6), digits(sum(row["seconds"].values()))]
            body.append([kernel(row), *map(str, figures)])
        head = ["kernel (d, k)", "threads", "numbers", "registers", "spilled, B", "instructions", "stall cycles"]
        yield from table([*head, "full card, G/s", "256 runs, M/s", "compile, s"], body)
        yield "Instructions of a sample:"
        body = [[kernel(row), *(f"{row['mix'].get(group, 0):,g}" for group in groups)] for row in compiled]
        yield from table(["kernel (d, k)", *groups], body)
        for row in report["rows"]:
            if "failure" in row:
                yield f"**{kernel(row)} does not compile**: `{row['failure']}`\n"
        yield "Executed on NumPy, {few_runs} runs of {samples} samples, against the CPU's back end:".format(
            **report["options"]
        )
        yield from table(["kernel (d, k)", "words", "states", ""], map(check, report["checks"]))


def kernel(row):
    """Its name and sizes, "Lloyd, twin (10, 5)"."""
    over = f", {row['threads']} thread{'s' * (row['threads'] > 1)}" if row["threads"] else ""
    return f"{row['system']}{', twin' if row['twin'] else ''} ({row['d']}, {row['k']}){over}"


def check(row):
    if "failure" in row:
        return [kernel(row), "-", "-", f"**fails**: `{row['failure']}`"]
    told = ["equal" if row[name] else "**differ**" for name in ("lanes_equal", "states_equal")]
    return [kernel(row), *told, "right" if row["right"] else "**wrong**"]


# --- targets ---


def at_least(text, asked, found):
    """A row for a ratio, (median, each), that should reach `asked`."""
    return [text, f"≥ {digits(asked)}", spread(*found), found[0] >= asked]


def rivals_targets(report):
    records = report["records"]

    def against(name, shape, runs):
        ours, theirs = (find(records, name=who, shape=list(shape), runs=runs) for who in ("jgmm", name))
        return ratio(ours, theirs)

    jax = report["environment"]["jax"]
    share = 0.5 if jax == HALVED or jax.startswith(f"{HALVED}.") else 1
    wanted = [("limit", shape, SHOWN_RUNS, share * asked, "") for shape, asked in LIMIT_TARGETS.items()]
    wanted += [("Numba, NumPy", shape, SHOWN_RUNS, share * asked, "") for shape, asked in NUMBA_TARGETS.items()]
    for runs, asked, why in ((1, 1 / 3, " (within 3 times)"), (16, 1, " (not slower)")):
        wanted += [(name, shape, runs, asked, why) for name in SAME_WORK for shape in LIMIT_TARGETS]
    for name, shape, runs, asked, why in wanted:
        if found := against(name, shape, runs):
            who = name if name == "limit" else f'"{name}"'
            yield at_least(f"{shape}, {runs} run{'s' * (runs > 1)}, over {who}{why}", asked, found)


def scaling_targets(report):
    sections = report["sections"]
    if max(row["devices"] for row in sections["devices"]["rows"]) == 2:
        for found in sections["devices"]["ratios"]:
            text = f"({found['d']}, {found['k']}), {SHOWN_RUNS} runs, two cores over one"
            yield at_least(text, 1.8, (found["median"], found["each"]))
    rows = sections["memory_against_samples"]["rows"]
    peaks = [row["peak"] / rows[0]["peak"] for row in rows]
    worst = max(peaks, key=lambda peak: abs(peak - 1))
    text = f"peak memory, N = {rows[0]['n']:,} to {rows[-1]['n']:,}, furthest from the first"
    yield [text, "0.90 to 1.10", digits(worst), 0.9 <= worst <= 1.1]
    largest = max(sections["memory_against_runs"]["rows"], key=lambda row: row["state"])
    text = f"memory beyond the start over the state, {largest['runs']:,} runs"
    yield [text, "≤ 3", digits(largest["multiple"]), largest["multiple"] <= 3]


def startup_targets(report):
    sections = report["sections"]
    found = sections["processes"]["jgmm --help"]
    yield ["`jgmm --help`, s", "< 0.3", spread(found["seconds"], found["each"]), found["seconds"] < 0.3]
    if "presets" in sections:
        compiled = sum(row["second"]["compiled"] for row in sections["presets"].values())
        yield ["programs compiled in the presets' second starts", "0", str(compiled), compiled == 0]


def gpu_compile_targets(report):
    for target in report["targets"]:
        have = "-" if target["found"] is None else f"{target['found']:,}"
        yield [f"{target['kernel']}, {target['what']}", f"≤ {target['at_most']:,}", have, target["met"]]


def gpu_targets(report):
    for row in report["targets"]:
        what, _, bound = row["what"].rpartition(", ")
        unit, name = (1e9, " G") if row["asked"] > 1e6 else (1, "")
        found = "-" if row["found"] is None else f"{digits(row['found'] / unit)}{name}"
        asked = f"{'≥' if bound == 'at least' else '<'} {row['asked'] / unit:g}{name}"
        yield [f"GPU, {what}", asked, found, bool(row["met"])]


def targets(found):
    """What was asked and what was measured, for each Python and JAX."""
    makers = {"rivals": rivals_targets, "scaling": scaling_targets, "startup": startup_targets}
    makers |= {"gpu_compile": gpu_compile_targets, "gpu": gpu_targets}
    rows = {}
    for kind, make in makers.items():
        for report in found[kind]:
            rows.setdefault(versions(report), []).extend(make(report))
    if not any(rows.values()):
        return
    yield TARGETS_INTRO
    for (python, jax), mine in rows.items():
        missed = sum(not met for *_, met in mine)
        yield f"### Python {python}, JAX {jax}\n\n{len(mine) - missed} of {len(mine)} met, {missed} missed."
        body = [[*cells, "met" if met else "**missed**"] for *cells, met in mine]
        yield from table(["target", "asked", "measured", ""], body)


# --- the picture ---


def draw(report, path):
    """A panel for each shape, a dot for each contender, with the range over the rounds."""
    records, here = at_shown_runs(report), report["environment"]
    shapes, names = shapes_of(records), unique(record["name"] for record in records)
    height = math.ceil(len(shapes) / 2)
    figure = Figure(figsize=(12, 1 + 3.7 * height), dpi=100, layout="constrained")
    panels = figure.subplots(height, 2, sharex=True, sharey=True, squeeze=False).ravel()
    for panel in panels[len(shapes) :]:
        panel.set_axis_off()
    for i, (panel, (d, k)) in enumerate(zip(panels, shapes, strict=False)):
        for place, name in enumerate(names):
            record = find(records, name=name, shape=[d, k])
            if record is None:
                continue
            colour, weight = COLOURS.get(name, GREY), "bold" if name in COLOURS else "normal"
            median, each = record["median"] / 1e6, [rate / 1e6 for rate in record["samples_a_second"]]
            panel.plot([min(each), max(each)], [place, place], color=colour, linewidth=3, alpha=0.5)
            panel.plot(median, place, "o", color=colour, markersize=10 if name in COLOURS else 7)
            style = {"color": colour if name in COLOURS else "#444444", "fontweight": weight, "fontsize": 11}
            offset = {"xytext": (10, 0), "textcoords": "offset points", "va": "center"}
            panel.annotate(digits(median), (max(each), place), **offset, **style)
        panel.set_xscale("log")
        panel.set_title(f"d = {d}, k = {k}", fontsize=13)
        panel.set_yticks(range(len(names)), ["limit (C)" if name == "limit" else name for name in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.grid(axis="x", color="#dddddd")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=11, labelbottom=i + 2 >= len(shapes))
        if i + 2 >= len(shapes):
            panel.set_xlabel("M samples a second (log)", fontsize=12)
        if i % 2 == 0:
            panel.set_ylabel("contender", fontsize=12)
            for label, name in zip(panel.get_yticklabels(), names, strict=True):
                if name in COLOURS:
                    label.set(color=COLOURS[name], fontweight="bold")
    low, high = panels[0].get_xlim()
    panels[0].set_xlim(low, high * 6)  # for the numbers beside the dots
    figure.suptitle(f"Streaming Lloyd, {SHOWN_RUNS} independent runs: samples a second", fontsize=15)
    lanes = here.get("limit_vector_width")
    parts = [f"{here['device']}, {here['cores']} cores", f"JAX {here['jax']}", f"Python {here['python']}"]
    parts += [f"C with {lanes} lanes"] if lanes else []
    parts += [f"median and range of {report['options']['rounds']} rounds"]
    figure.supxlabel("; ".join(parts), fontsize=11, color="#444444")
    figure.savefig(path, metadata={"Software": None})


# --- all together ---


def read(folder):
    """Reports by kind, each with its file's name, the newest JAX first."""
    patterns = {kind: f"{kind}-py*.json" for kind in ("rivals", "algorithms", "scaling", "startup")}
    patterns |= {
        "engine": "engine.json",
        "studies": "studies-jax*.json",
        "gpu_compile": "gpu_compile*.json",
        "gpu": "gpu.json",
    }
    return {
        kind: sorted(
            ((path.name, json.loads(path.read_text())) for path in sorted(folder.glob(pattern))),
            key=lambda item: version_key(item[1]["environment"]["jax"]),
            reverse=True,
        )
        for kind, pattern in patterns.items()
    }


def readme(files):
    """The whole text."""
    found = {kind: [report for _, report in each] for kind, each in files.items()}
    lines = ["<!-- Written by `python benchmarks/make_readme.py`. Do not edit: run it again. -->\n", INTRO]
    lines += devices([item for each in files.values() for item in each])
    lines += rivals(found["rivals"])
    lines += ratios(found["rivals"]) if found["rivals"] else []
    lines += targets(found)
    for section in (engine, algorithms, scaling, startup, studies, gpu, gpu_compile):
        reports = found[section.__name__]
        lines += section(reports) if reports else []
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


def main(argv=None):
    parser = argparse.ArgumentParser(description="benchmarks/README.md and its picture, from benchmarks/results.")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON files")
    parser.add_argument("--out", type=Path, default=HERE, help="where README.md and the picture go")
    args = parser.parse_args(argv)
    files = read(args.results)
    if not any(files.values()):
        parser.error(f"{args.results} has no JSON file of these scripts, expected at least one")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "README.md").write_text(readme(files))
    print(args.out / "README.md")
    drawable = next((report for _, report in files["rivals"] if at_shown_runs(report)), None)
    if drawable:
        draw(drawable, args.out / PICTURE)
        print(args.out / PICTURE)


if __name__ == "__main__":
    sys.exit(main())
