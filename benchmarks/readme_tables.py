"""Puts the figures of results/*.json into tables (here, README.md, docs/engine.md), between the marks that name them.

    python benchmarks/readme_tables.py

A mark names a function below, a file of results, and what its records must have:

    <!-- table: rates rivals-py313 runs=256 --> (the table) <!-- end -->

Ratios are those of two medians, with the range of the rounds' own ratios in brackets.
"""

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).parent
PAGES = (HERE / "README.md", HERE.parent / "README.md", HERE.parent / "docs" / "engine.md")
MARK = re.compile(r"(<!-- table: (\w+) ([\w.-]+)((?: \w+=\w+)*) -->\n).*?(?=<!-- end -->)", re.DOTALL)
CONTENDERS = {
    "limit": "the limit: C by hand, a run in each lane of a vector",
    "jgmm": "**jgmm**",
    "Numba, vectors": "Numba, a run per thread, with jgmm's polynomials, so that LLVM vectorises the draws",
    "Numba, NumPy": "Numba, a run per thread, `np.random.normal`",
    "JAX": "`vmap(scan(step))` with `jax.random`",
    "scikit-learn": "scikit-learn, `MiniBatchKMeans.partial_fit`, a row a call",
}  # in the order of the project's README


def digits(number: float | None) -> str:
    """Three significant digits, thousands set apart; a dash for None."""
    if not number:
        return "-" if number is None else "0"
    number = float(f"{number:.3g}")
    return f"{number:,.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"


def spread(median: float, each: Iterable[float]) -> str:
    """The median and the range, "0.237 (0.224 to 0.252)"."""
    return f"{digits(median)} ({digits(min(each))} to {digits(max(each))})"


def rate(record: dict) -> str:
    """Million samples a second, and their range."""
    return spread(record["median"] / 1e6, [each / 1e6 for each in record["samples_a_second"]])


def table(head: Iterable, rows: Iterable[Iterable]) -> str:
    """Markdown: the first column is set to the left, the others to the right."""
    head = list(head)
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def pivot(corner: str, records: list[dict], row: Callable, column: Callable, cell: Callable) -> str:
    """A row and a column for each value of these, in the order in which they come; a dash where no record is."""
    cells = {(row(record), column(record)): cell(record) for record in records}
    columns = list(dict.fromkeys(at for _, at in cells))
    names = dict.fromkeys(name for name, _ in cells)
    return table([corner, *columns], ([name, *(cells.get((name, at), "-") for at in columns)] for name in names))


def listing(rows: Iterable[dict], columns: dict[str, Callable]) -> str:
    """A line for each row, a column for each heading."""
    return table(columns, ([cell(row) for cell in columns.values()] for row in rows))


def name(record: dict) -> str:
    return record["name"]


def shape(record: dict) -> str:
    """(d, k)"""
    return str(tuple(record["shape"]) if "shape" in record else (record["d"], record["k"]))


def who(record: dict) -> str:
    """ "limit, 1 run", "scan, em, 256 runs"."""
    words = [record["name"], *([record["system"]] if "strict_over_it" in record else [])]
    return ", ".join([*words, f"{record['runs']:,} run{'s' * (record['runs'] > 1)}"])


SIZES = {"(d, k)": shape, "runs": lambda r: f"{r['runs']:,}", "N": lambda r: f"{r['n']:,}"}


def over(ours: dict, rival: dict) -> str:
    each = [a / b for a, b in zip(ours["samples_a_second"], rival["samples_a_second"], strict=True)]
    return spread(ours["median"] / rival["median"], each)


# --- the tables: of a report, with those of its records that the mark asks for ---


def device(report: dict) -> str:
    """What a file was measured on."""
    facts = {**report["environment"], "commit": report["environment"]["commit"][:10]}
    columns = [key for key in ("device", "cores", "python", "jax", "numba", "commit") if facts.get(key)]
    return table(columns, [[facts[key] for key in columns]])


def rates(report: dict) -> str:
    return pivot("M samples/s", report["records"], name, shape, lambda r: digits(r["median"] / 1e6))


def speed(report: dict) -> str:
    """Some of the rates, for the project's README."""
    records = [r for contender in CONTENDERS for r in report["records"] if r["name"] == contender]
    return pivot("(d, k)", records, lambda r: CONTENDERS[r["name"]], shape, lambda r: digits(r["median"] / 1e6))


def ratios(report: dict) -> str:
    """jgmm over the contenders that have all cores."""
    ours = {(shape(r), r["runs"]): r for r in report["records"] if r["name"] == "jgmm"}
    rivals = sorted((r for r in report["records"] if r["name"] != "jgmm" and r["cores"] > 1), key=lambda r: r["runs"])
    return pivot("jgmm over", rivals, who, shape, lambda r: over(ours[shape(r), r["runs"]], r))


def contenders(report: dict) -> str:
    """Of one shape: samples a second, and jgmm over each, by the clock and by the processor's time."""
    (ours,) = (r for r in report["records"] if r["name"] == "jgmm")

    def by_processor(record: dict) -> str:
        mine, its = ours["samples_a_cpu_second"], record["samples_a_cpu_second"]
        return spread(statistics.median(mine) / statistics.median(its), [a / b for a, b in zip(mine, its, strict=True)])

    columns = {"contender": name, "M samples/s": rate, "jgmm over it": lambda r: over(ours, r)}
    return listing(report["records"], columns | {"by processor seconds": by_processor})


def operations(report: dict) -> str:
    """Of a step, by kind."""
    columns = [key for key in report["operations"][0] if key not in ("d", "k")]
    return table(columns, ([row[key] for key in columns] for row in report["operations"]))


def strict(report: dict) -> str:
    """The CPU's back end over each contender, samples a second of the processor."""
    rivals = [{**r, **r["strict_over_it"]} for r in report["records"] if "strict_over_it" in r]
    return pivot("strict over", rivals, who, lambda r: f"d = {r['shape'][0]}", lambda r: spread(r["cpu"][0], r["cpu"]))


def first_calls(report: dict) -> str:
    """Seconds of the processor."""
    calls = [record for record in report["records"] if record["section"] == "first"]
    return pivot("first call, s", calls, lambda r: r["state"], shape, lambda r: digits(r["cpu_seconds"]))


def throughput(report: dict) -> str:
    """One size varies at a time."""
    rows = [row for size in ("runs", "d", "k", "n") for row in report["sections"][size]["rows"]]
    rates = {"M samples/s": rate, "G k d/s": lambda r: digits(r["median"] * r["d"] * r["k"] / 1e9)}
    return listing(rows, SIZES | rates)


def memory(report: dict) -> str:
    """Megabytes of fresh processes."""
    rows = [row for by in ("samples", "runs") for row in report["sections"][f"memory_against_{by}"]["rows"]]
    return listing(rows, SIZES | {key: lambda r, key=key: digits(r[key] / 1e6) for key in ("started", "peak", "state")})


def cores(report: dict) -> str:
    """All cores over one."""
    columns = {"(d, k)": shape, "all cores over one": lambda r: spread(r["median"], r["each"])}
    return listing(report["sections"]["devices"]["ratios"], columns)


def startup(report: dict) -> str:
    """Seconds of fresh processes."""
    sections = report["sections"]
    rows = sections["processes"] | {f"jgmm run, programs {state}": row for state, row in sections["tiny"].items()}
    return table(["process", "s"], ([f"`{key}`", spread(row["seconds"], row["each"])] for key, row in rows.items()))


def studies(report: dict) -> str:
    overhead, million = report["overhead"], report["million"]["million"]
    cells = [digits(report["packing"]["ratio"]), f"{overhead['share']:.0%} of {overhead['seconds']:.0f} s"]
    cells += [f"{million['seconds']:.0f} s", digits(million["peak_gb_of_any_so_far"])]
    return table(["packing", "overhead", "a million runs", "peak, GB"], [cells])


def gpu(report: dict) -> str:
    records = [record for record in report["records"] if record["name"] != "scan, child"]
    return pivot(
        "G samples/s",
        records,
        lambda r: f"{shape(r)} {who({**r, 'name': r['system']})}",
        name,
        lambda r: digits(r["median"] / 1e9),
    )


def study(report: dict) -> str:
    return listing(report["study"], {"cache": lambda r: r["cache"], "s": lambda r: digits(r["seconds"])})


def compiled(report: dict) -> str:
    """What the kernels compile to."""
    figures = {key: lambda r, key=key: f"{r[key]:,g}" for key in ("registers", "instructions", "stall_cycles")}
    columns = {"kernel": lambda r: f"{r['system']}{', twin' if r['twin'] else ''} {shape(r)}"}
    columns |= {"threads": lambda r: r["threads_of_run"], **figures}
    columns |= {"spilled, B": lambda r: r["spill_stores"] + r["spill_loads"]}
    return listing(report["rows"], columns | {"full card, G/s": lambda r: digits(r["issue_limit"] / 1e9)})


def filled(page: str) -> str:
    """The page with the tables as the results give them. Raises KeyError or OSError for a mark that names nothing."""

    def fill(match: re.Match) -> str:
        mark, function, file, wanted = match.groups()
        report = json.loads((HERE / "results" / f"{file}.json").read_text())
        pairs = dict(pair.split("=") for pair in wanted.split())
        kept = [r for r in report.get("records", []) if all(str(r[key]) == value for key, value in pairs.items())]
        return mark + globals()[function]({**report, "records": kept})

    return MARK.sub(fill, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text()))
        print(path)
