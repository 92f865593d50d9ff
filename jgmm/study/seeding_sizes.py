"""The sizes of Algorithm 2 in a cell; those that a spec leaves out are the course project's:

N0 = k^3 d^3 ln(k d) samples, 1,000 at least      d ln d samples in a block, k at least
10 k ln k graph points, 10 at least               3 neighbours
"""

from typing import Any

from jgmm import ordered
from jgmm.study import limits
from jgmm.study.cell import SeedingSizes


def seeding_sizes(point: dict[str, Any], k: int, d: int) -> SeedingSizes:
    """The sizes at a point of a grid. Raises ValueError for sizes that Algorithm 2 cannot run with, or too large."""
    if k > d:
        raise ValueError(f"k is {k}: expected at most d = {d}, since seeding needs k directions")
    given = {name: point[f"seeding.{name}"] for name in SeedingSizes.model_fields}
    usual = {
        "n": max(int(d**3 * k**3 * ordered.ln(d * k)), 1000),
        "block": max(int(d * ordered.ln(d)), k),
        "graph_points": max(int(10 * k * ordered.ln(k)), 10),
    }
    sizes = SeedingSizes.model_validate(
        {name: usual[name] if value == "seed" else value for name, value in given.items()}
    )
    most = {"n": 2**31 - 1, "block": 2**31 - 1, "graph_points": limits.GRAPH_POINTS}
    for name, largest in most.items():
        if (size := getattr(sizes, name)) > largest:
            text = f"{size:.4g} (the course project's at k = {k}, d = {d})" if given[name] == "seed" else f"{size}"
            raise ValueError(f"seeding.{name} is {text}: expected at most {largest}")
    if sizes.block < k or sizes.graph_points < k or sizes.neighbors >= sizes.graph_points:
        raise ValueError(
            f"seeding block {sizes.block}, graph_points {sizes.graph_points}, neighbors {sizes.neighbors}:"
            f" expected block and graph_points of at least k = {k}, and more graph_points than neighbors"
        )
    if sizes.n < (needed := sizes.block + sizes.graph_points):
        raise ValueError(f"seeding n is {sizes.n}: expected at least block + graph_points = {needed}")
    return sizes
