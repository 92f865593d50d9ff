"""The basin: the starts from which nearly all runs converge."""

from jgmm.study import summary
from jgmm.study.read import CellData

LEAST_RUNS = 100  # for a sentence on the basin: if 71 of 71 converge, the exact interval still begins below 95 %
LEAST_STARTS = 3  # distances of the start that a separation must have
SHARE = 0.95  # of the runs must converge, by the low end of the share's interval


def sentences(items: list[CellData]) -> list[str]:
    """For each separation the largest start such that SHARE of the runs converge from it and from all smaller ones."""
    reaches, few = [], []
    for separation in sorted({item.cell.separation for item in items}):
        by_start: dict[float, list[CellData]] = {}
        for item in items:
            if item.cell.separation == separation and isinstance(item.cell.start, float):
                by_start.setdefault(item.cell.start, []).append(item)
        if len(by_start) < LEAST_STARTS:
            continue
        if any(len(item.ok) < LEAST_RUNS for cells in by_start.values() for item in cells):
            few.append(f"{separation:g}")
        else:
            reaches.append(f"{_reach(by_start)} at C = {separation:g}")
    lines = []
    if reaches:
        lines.append(f"Runs converge (95 % of them or more) from starts up to {', '.join(reaches)}, in units of sigma.")
    if few:
        lines.append(f"From where they converge at C = {', '.join(few)} takes {LEAST_RUNS} runs to tell.")
    return lines


def _reach(by_start: dict[float, list[CellData]]) -> str:
    """The largest distance from which runs converge, in words."""
    reach = None
    for start in sorted(by_start):
        if any(summary.converged(item, len(item.samples) - 1).low < SHARE for item in by_start[start]):
            break
        reach = start
    if reach is None:
        return "none of those tried"
    return f"{reach:g} or more" if reach == max(by_start) else f"{reach:g}"
