"""Two checks that come before any other number: is the simulator right, and over which runs are means taken?

A twin is the same start fed the same samples, with every label known. Its mean error is known exactly for any mixture.
If a twin's mean is far from that, the simulator's labels, noise or arithmetic are wrong.
"""

from typing import Any, NamedTuple

from scipy import special

from jgmm.study.summary import FEW

FAR = 5.0  # standard errors; a normal variable is farther from its mean with chance 6e-7


class Twins(NamedTuple):
    """The check of twins against their exact means. If `right` is false, the simulation is wrong."""

    right: bool
    sentence: str


def twins(rows: list[dict[str, Any]]) -> Twins | None:
    """Is every twin's mean within FAR standard errors of its exact mean? None if no cell has a twin.

    rows: the summary's (`summary.summarize`), of every checkpoint of every cell. The limit is Student's quantile with
    the probability that FAR has under a normal law, since the standard error of few runs is uncertain.
    """
    tested = [row for row in rows if row["twin_gap"] is not None]
    if not tested:
        return None
    limits = -special.stdtrit([row["runs_ok"] - 1 for row in tested], special.ndtr(-FAR))
    wrong = [row for row, limit in zip(tested, limits, strict=True) if not abs(row["twin_gap"]) <= limit]  # or nan
    if not wrong:
        largest = max(abs(row["twin_gap"]) for row in tested)
        return Twins(
            True,
            f"The means of all {len(tested)} labelled twins are within {FAR:g} standard errors of their exact means"
            f" (the largest gap: {largest:.2g}).",
        )
    worst = max(wrong, key=lambda row: abs(row["twin_gap"]))
    wrong_cells, cells = (len({row["cell"] for row in some}) for some in (wrong, tested))
    return Twins(
        False,
        f"The simulation is wrong in {wrong_cells} of {cells} cells: the mean of a labelled twin"
        f" is known exactly, and is {abs(worst['twin_gap']):.3g} standard errors away ({_where(worst)},"
        f" {worst['samples']} samples). Believe no number of these cells: this is a fault of jgmm, or float32 does not"
        " reach that far (--x64 tells).",
    )


def conditioning(rows: list[dict[str, Any]]) -> str | None:
    """Which means leave runs out, and the least share of runs kept; None if every run of every cell counts.

    rows: the summary's, of the last checkpoint of each cell.
    """
    partial = [row for row in rows if row["runs_ok"] < row["runs"]]
    few = sum(row["few"] for row in rows)
    words = []
    if partial:
        worst = min(partial, key=lambda row: row["runs_ok"] / row["runs"])
        words.append(
            f"In {len(partial)} of {len(rows)} cells means leave out {_left_out(partial)}. The fewest kept are"
            f" {worst['runs_ok']} of {worst['runs']} ({_where(worst)})."
        )
    if few:
        words.append(
            f"In {few} of {len(rows)} cells fewer than {FEW} runs are left: their means and standard errors are marked"
            " (few) and nothing is concluded from them."
        )
    return " ".join(words) or None


def _left_out(rows: list[dict[str, Any]]) -> str:
    """How many runs are not good, and why: "12 runs: 10 whose graph has not k components, 2 whose ..."."""
    graph, infinite = (sum(row[name] for row in rows) for name in ("runs_graph_failed", "runs_not_finite"))
    every = sum(row["runs"] - row["runs_ok"] for row in rows)
    counts = {
        "whose graph has not k components": graph,
        "whose error is not finite": infinite,
        "that start with a lost component": every - graph - infinite,
    }
    reasons = ", ".join(f"{count} {why}" for why, count in counts.items() if count > 0)
    return f"{every} run{'' if every == 1 else 's'}: {reasons}"


def _where(row: dict[str, Any]) -> str:
    stream = f" N={row['n']}" if row["n"] else ""
    return f"cell {row['cell']}: {row['part']}, k={row['k']} d={row['d']} C={row['separation']:g}{stream}"
