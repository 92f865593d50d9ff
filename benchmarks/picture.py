"""rivals.png: samples a second of each contender, a panel for each shape, from results/rivals-py313.json.

python benchmarks/picture.py
"""

import json

from matplotlib.figure import Figure
from readme_tables import HERE, digits

RUNS = 256
COLOURS = {"jgmm": "#c8452d", "limit": "#20639b"}  # all others are grey
NAMES = {"limit": "limit (C)"}


def panel(axes, records: list[dict]) -> None:
    """A dot for each contender, and the range over the rounds."""
    for place, record in enumerate(records):
        colour = COLOURS.get(record["name"], "#8a8a8a")
        median, each = record["median"] / 1e6, [rate / 1e6 for rate in record["samples_a_second"]]
        axes.plot([min(each), max(each)], [place, place], color=colour, linewidth=3, alpha=0.5)
        axes.plot(median, place, "o", color=colour, markersize=8)
        where = {"xytext": (10, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(digits(median), (max(each), place), color=colour, fontsize=11, **where)
    d, k = records[0]["shape"]
    axes.set_title(f"d = {d}, k = {k}", fontsize=13)
    axes.set_xscale("log")
    axes.set_yticks(range(len(records)), [NAMES.get(record["name"], record["name"]) for record in records], fontsize=11)
    axes.set_ylim(len(records) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)


def draw(report: dict) -> Figure:
    """All panels, on one scale."""
    figure = Figure(figsize=(12, 8.4), dpi=100, layout="constrained")
    records = [record for record in report["records"] if record["runs"] == RUNS]
    shapes = list(dict.fromkeys(tuple(record["shape"]) for record in records))
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, shape in zip(panels.ravel(), shapes, strict=True):
        panel(axes, [record for record in records if tuple(record["shape"]) == shape])
    low, high = panels[0, 0].get_xlim()
    panels[0, 0].set_xlim(low, high * 6)  # room for the numbers
    for axes in panels[1]:
        axes.set_xlabel("M samples a second (log)", fontsize=12)
    facts, rounds = report["environment"], report["options"]["rounds"]
    figure.suptitle(f"Streaming Lloyd, {RUNS} independent runs: samples a second", fontsize=15)
    words = f"{facts['device']}, {facts['cores']} cores; JAX {facts['jax']}; Python {facts['python']}"
    figure.supxlabel(f"{words}; C with {facts['limit_vector_width']} lanes; median and range of {rounds} rounds")
    return figure


if __name__ == "__main__":
    found = json.loads((HERE / "results" / "rivals-py313.json").read_text())
    draw(found).savefig(HERE / "rivals.png", metadata={"Software": None})
