"""The numbers that a formula in a spec may name: what a cell is set to.

    k, d, n          components, coordinates, samples            sigma         the largest standard deviation
    C, separation    the distance of the two nearest means       w_min, w_max  the least and the largest weight
    e                estimates                                   start         the offset of the start, in sigma
    batch            samples of a step                           rate          a constant step, in a claim alone
    n0, block, graph_points, neighbors    of Algorithm 2, where the start is by it
    dwell, drift     how long labels stay, and how fast means move; and the noise's own numbers

and the algorithm's own numbers (beta, and those under `numbers`). A number that a cell does not have has no name there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jgmm.study.cell import Cell, SeedingSizes


def of_setting(
    *,
    sizes: Mapping[str, int],
    separation: float | None,
    scales: Sequence[float],
    weights: Sequence[float],
    start: str | float,
    seeding: SeedingSizes | None,
    sampled: Mapping[str, float],
    own: Mapping[str, float],
) -> dict[str, float]:
    """The numbers of a setting by name. sizes: k, d, n, e and batch. separation: None for one component.

    sampled: of `of_samples`. own: the algorithm's own numbers.
    """
    numbers: dict[str, Any] = {**sizes, "sigma": max(scales)}
    if separation is not None:
        numbers |= {"C": separation, "separation": separation}
    numbers |= {"w_min": min(weight for weight in weights if weight), "w_max": max(weights)}
    if not isinstance(start, str) or start == "truth":
        numbers["start"] = 0.0 if isinstance(start, str) else start
    if seeding is not None:
        numbers |= {"n0": seeding.n, "block": seeding.block}
        numbers |= {"graph_points": seeding.graph_points, "neighbors": seeding.neighbors}
    return {name: float(number) for name, number in {**numbers, **sampled, **own, **numbers}.items()}


def of_samples(noise: tuple[tuple[str, float], ...], dwell: float, drift: float) -> dict[str, float]:
    """The numbers of how samples are drawn."""
    return {"dwell": dwell, "drift": drift, **dict(noise)}


def of_cell(cell: Cell, separation: float | None = None) -> dict[str, float]:
    """The numbers of a cell. separation: what to take in place of the one that it asks for."""
    asked = cell.separation if separation is None else separation
    numbers = of_setting(
        sizes={"k": cell.k, "d": cell.d, "n": cell.n, "e": cell.estimates, "batch": cell.batch},
        separation=asked if cell.k > 1 else None,
        scales=cell.scales,
        weights=cell.weights,
        start=cell.start,
        seeding=cell.seeding,
        sampled=of_samples(cell.noise_numbers, cell.dwell, cell.drift),
        own=cell.chosen,
    )
    return numbers if cell.rate is None else {**numbers, "rate": cell.rate}
