"""The basin: from how far away nearly all runs converge."""

from jgmm.study import summary
from jgmm.study.read import CellData

LEAST_RUNS = 100  # for a word on the basin: of 71 that all converge the exact interval begins below 95 %
LEAST_STARTS = 3  # distances tried at a separation
SHARE = 0.95  # of runs, at the low end of its interval


def sentences(items: list[CellData]) -> list[str]:
    """The largest start from which, and from all smaller ones, SHARE of the runs converge, at each separation."""
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
    said = []
    if reaches:
        said.append(f"Runs converge (95 % of them or more) from starts up to {', '.join(reaches)}, in units of sigma.")
    if few:
        said.append(f"From where they converge at C = {', '.join(few)} takes {LEAST_RUNS} runs to tell.")
    return said


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
