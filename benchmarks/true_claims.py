r"""How often a claim of a spec's own is contradicted that is true: synthetic studies, whose numbers are drawn.

    one term, two terms    means that are c times the bound's only term, or its sum with constants of 1 and others
    loose                  means that fall behind the sum, which is true as well
    by regime              true where the regime holds, false in the cells outside
    another quantity       the same for error_max
    a proportion           shares of 100 held-out samples, binomial: many are 0
    with looks             looks at 8, 16, 32 and 64 runs of one study: whether any of them contradicts

Errors are gamma with a coefficient of variation of 1/2, half of it common to the cells of a run, as where cells share
random numbers. A study is judged as `jgmm.study.verdicts.claims` judges it, from its cells to its comparisons; what a
verdict says beside (constants, sentences) is left out, since it does not contradict. `coverage.py` has the table.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
import synthetic

from jgmm import stats
from jgmm.study import spec
from jgmm.study.read import CellData
from jgmm.study.verdicts import claims

SIZES = [4096, 16384, 65536, 262144]
TERM, FLOOR = "k**3*d*sigma**2*log(n)/n", "exp(-C**2/8)*sigma**2"
HELDOUT = 100  # samples of a run that a share is of


def variance(cell: Any) -> float:
    """7 of the first term."""
    return 7 * cell.k**3 * cell.d * max(cell.scales) ** 2 * math.log(cell.n) / cell.n


def floor(cell: Any) -> float:
    """3 of the second."""
    return 3 * math.exp(-(cell.separation**2) / 8)


class Kind(NamedTuple):
    """A kind of claim that is true: what a spec says of it, and the means that its studies draw from."""

    claim: dict[str, Any]
    mean: Callable[[Any], float]
    separation: Any = 12.0
    runs: Sequence[int] = (16,)  # of studies that are looked at once
    looks: Sequence[int] = ()  # runs at each look of a study that is looked at often
    heldout: int = 0


def _outside(cell: Any) -> float:
    return variance(cell) if cell.separation > 5 else cell.n**0.5


KINDS = {
    "one term": Kind({"bound": [TERM]}, variance, runs=(8, 16, 64)),
    "two terms": Kind({"bound": [TERM, FLOOR]}, lambda cell: variance(cell) + floor(cell), [3.0, 6.0]),
    "two terms, other constants": Kind(
        {"bound": [TERM, FLOOR]}, lambda cell: 0.1 * variance(cell) + 9 * floor(cell), [3.0, 6.0]
    ),
    "loose": Kind(
        {"bound": [TERM, FLOOR]}, lambda cell: variance(cell) / cell.k + floor(cell) / cell.separation, [3.0, 6.0]
    ),
    "by regime": Kind({"bound": [TERM], "regime": "C >= 5"}, _outside, [4.0, 12.0], runs=(8, 64)),
    "another quantity": Kind(
        {"bound": [f"sqrt({TERM})"], "on": "error_max"}, lambda cell: variance(cell) ** 0.5, runs=(8, 64)
    ),
    "a proportion": Kind(
        {"bound": ["k/n**0.5"], "on": "mislabelled"},
        lambda cell: 2 * cell.k / cell.n**0.5,
        heldout=HELDOUT,
        runs=(16, 64, 256),
    ),
    "with looks": Kind({"bound": [TERM]}, variance, looks=(8, 16, 32, 64)),
}


def study(kind: Kind) -> spec.Study:
    """The study that a claim of this kind is of."""
    mixture = {"k": [2, 3, 5], "d": 4, "layout": "simplex", "separation": kind.separation}
    stream = {"n": SIZES, "start": 0.5, "checkpoints": 1, "heldout": kind.heldout}
    return spec.Study(mixture=mixture, stream=stream, claim=kind.claim)


def cell_data(cell: Any, quantity: str, last: np.ndarray) -> CellData:
    """A cell as if stored, with these (runs,) at its end."""
    item = synthetic.cell_data(cell, last)
    return item._replace(values=item.values | {quantity: np.stack([np.ones_like(last), last], axis=1)})


def drawn(rng: np.random.Generator, kind: Kind, means: np.ndarray, runs: int) -> np.ndarray:
    """Values (cells, runs) with these means."""
    if kind.claim.get("on") == "mislabelled":
        return rng.binomial(HELDOUT, means[:, None], (len(means), runs)) / HELDOUT
    shared, own = rng.gamma(4, 0.25, runs), rng.gamma(4, 0.25, (len(means), runs))
    return means[:, None] * (0.5 * shared[None] + 0.5 * own)


def contradicted(asked: spec.Study, data: list[CellData], look: int = 1) -> bool:
    """Whether the claim is contradicted by these cells: a verdict's comparisons, at its level."""
    claim = data[0].cell.claim
    assert claim is not None
    found = claims.evidence(claim, asked, data)
    constants = len(claim.bound) + (len(claim.bound) > 1)
    each = stats.look_level(look) / (len(found.lines) + constants)
    return any(claims.compare(claim, curve, each).finding.kind == "contradicted" for curve in found.lines)


def shares(kind: Kind, runs: int, studies: int, seed: int = 0) -> float:
    """The share of so many studies that are contradicted, at one look or, where the kind has several, at any."""
    asked, rng = study(kind), np.random.default_rng([seed, runs])
    cells = spec.cells(asked)
    means = np.array([kind.mean(cell) for cell in cells])
    quantity = kind.claim.get("on", "error_sq")
    hits = 0
    for _ in range(studies):
        values = drawn(rng, kind, means, runs)
        looks = list(enumerate(kind.looks or [runs], start=1))
        hits += any(
            contradicted(asked, [cell_data(c, quantity, row[:n]) for c, row in zip(cells, values, strict=True)], j)
            for j, n in looks
        )
    return hits / studies
