r"""What a theorem claims of a cell: its bound's terms, a hidden constant each, and whether the cell is in its regime.

    Theorems 1, 2    A max|mu*|^2/N^a + c_v k^3 sigma^2 d ln N/N + c_f k^3 exp(-C^2/8)(C^2 + k) sigma^2
    Theorem 7        A |mu*|^2/N^a    + c_v sigma^2 d ln N/N

A, a, c_v and c_f are hidden in the paper (transcribed at second hand), so no sum of terms with guessed constants
decides anything: with c_f = 1 the floor is 57 at k = 5, C = 6, where the error is 1 and falls like ln N/N. A comparison
along N, k, d or sigma is with the variance term, c_v free; one along C is of measured floors with the floor term, c_f
free. The bias is left aside: a is recalled as above 1, so that with N it falls faster than the others.

The regime is what the statement says (algorithm, step size, start, weights) and its conditions with hidden constants
(separation), read with constants of 1. Sample sizes are another matter. N >= k^3 d^3 ln d asks for 4.6e7 samples at
k = d = 16, where errors follow the bound's shape from 1e4 on; nobody knows how much less than 1 its constant is, and a
rule that refused would leave no cell of any affordable study. So a cell with fewer samples counts for what is
consistent with a bound (which then holds on more than its regime), never for a contradiction, and the sentence counts
such cells.
"""

import math
from typing import Any, NamedTuple

from jgmm import rates, theory
from jgmm.study.read import CellData

ROUNDING = 1e-6  # of a separation or a step size, relatively
STEP = "the step size is not the paper's"
BETA = "the updates are not EM's"
SEPARATIONS: dict[Any, str] = {1: "(k ln k)^(1/4)", 2: "sqrt(ln k)", 3: "(k ln k)^(1/4)", 7: "4"}
SAMPLES: dict[Any, str] = {1: "k^3 d^3 ln d", 2: "k^3 d^3 ln(k d)", 3: "k^3 d^3 ln d"}
VARIANCES: dict[Any, str] = {1: "k^3 sigma^2 d ln N/N", 2: "k^3 sigma^2 d ln N/N", 7: "sigma^2 d ln N/N"}
FLOOR = "k^3 exp(-C^2/8)(C^2 + k) sigma^2"


class Reason(NamedTuple):
    """A condition that a cell does not meet, in the same words for all cells, and what the cell has."""

    condition: str
    detail: str


def variance(item: CellData) -> float | None:
    """The bound's variance term at the cell's horizon, with constant 1; None for a theorem without one."""
    cell = item.cell
    if cell.theorem not in VARIANCES:
        return None
    alone = max(cell.scales) ** 2 * cell.d * math.log(cell.n) / cell.n
    return alone if cell.theorem == 7 else cell.k**3 * alone


def log_floor(item: CellData) -> float:
    """ln of the floor term of Theorems 1 and 2, with constant 1 (the term itself underflows at C = 80)."""
    cell = item.cell
    c, sigma = cell.separation, max(cell.scales)
    return 3 * math.log(cell.k) - c**2 / 8 + math.log(c**2 + cell.k) + 2 * math.log(sigma)


def asked_samples(item: CellData) -> float | None:
    """The samples that the theorem asks for, with constant 1; None where it says nothing."""
    cell = item.cell
    if cell.theorem not in SAMPLES:
        return None
    inside = cell.k * cell.d if cell.theorem == 2 else cell.d
    return float(cell.k) ** 3 * float(cell.d) ** 3 * math.log(inside)


def enough_samples(item: CellData) -> bool:
    """Whether N, and N0 where Algorithm 2 starts the run, are what the theorem asks for with constant 1."""
    asked, cell = asked_samples(item), item.cell
    if asked is None:
        return True
    has = [cell.n] if cell.theorem in (1, 2) else []
    if cell.seeding is not None and cell.theorem in (1, 3):
        has.append(cell.seeding.n)
    return min(has) >= asked


def outside(item: CellData) -> list[Reason]:
    """Every condition of its theorem that the cell does not meet; none if it is held against no theorem."""
    if item.cell.theorem not in SEPARATIONS:
        return []
    found = [test(item) for test in (_updates, _step, _estimate, _seeding, _start, _separation, _weights)]
    return [reason for reason in found if reason is not None]


def _updates(item: CellData) -> Reason | None:
    beta = item.cell.beta
    return None if beta in (None, 1) else Reason(BETA, f"beta = {beta:g}")


def _step(item: CellData) -> Reason | None:
    cell = item.cell
    if cell.theorem == 3:
        return None
    paper = rates.paper_em(cell.n) if cell.theorem == 7 else rates.paper(cell.n, cell.k)
    if cell.rate is not None and math.isclose(cell.rate, paper, rel_tol=ROUNDING):
        return None
    has = cell.rate_name if cell.rate is None else f"{cell.rate:.3g}"
    return Reason(STEP, f"{has} in place of {paper:.3g} at N = {cell.n}")


def _estimate(item: CellData) -> Reason | None:
    if not item.cell.average:
        return None
    return Reason("the estimate is not the last iterate", f"an average of the last {item.cell.average:.0%}")


def _seeding(item: CellData) -> Reason | None:
    sizes = item.cell.seeding
    if sizes is None or sizes.method == "block":
        return None
    return Reason("the seeding is not Algorithm 2", f"{sizes.method}, not a block power iteration")


def _start(item: CellData) -> Reason | None:
    """Theorem 1 starts by Algorithm 2 or, as Theorem 3 promises of it, within C sigma/20; 2 and 7 within that."""
    cell, condition = item.cell, "the start is farther than C sigma/20"
    if cell.theorem == 3 or cell.start == "truth" or (cell.theorem == 1 and cell.start == "seeding"):
        return None
    if isinstance(cell.start, float):
        limit = float(item.realised_separation.min()) / 20
        if cell.start <= limit * (1 + ROUNDING):
            return None
        return Reason(condition, f"{cell.start:g} sigma against {limit:.3g}")
    limits = item.realised_separation * max(cell.scales) / 20
    far = int((item.values["error_max"][item.ok, 0] > limits[item.ok] * (1 + ROUNDING)).sum())
    return Reason(condition, f"in {far} of {item.ok.sum()} runs of Algorithm 2") if far else None


def _separation(item: CellData) -> Reason | None:
    k, theorem = item.cell.k, item.cell.theorem
    known: dict[Any, float] = {2: theory.theorem2_separation(k), 7: 4.0}
    needed = float(known.get(theorem, theory.theorem1_separation(k)))
    c = float(item.realised_separation.min())
    if c >= needed * (1 - ROUNDING):
        return None
    return Reason(f"C is below {SEPARATIONS[theorem]}", f"{c:.3g} against {needed:.3g}")


def _weights(item: CellData) -> Reason | None:
    weights = item.cell.weights
    if item.cell.theorem == 7 or len(set(weights)) == 1:
        return None
    return Reason("weights are not equal", " ".join(f"{weight:.3g}" for weight in weights))


def told(reasons: list[list[Reason]]) -> str:
    """Every reason of these cells with the number of cells that it counts for, and an example."""
    count: dict[str, list[str]] = {}
    for cell in reasons:
        for reason in cell:
            count.setdefault(reason.condition, []).append(reason.detail)
    words = []
    for condition, details in count.items():
        more = ", ..." if len(set(details)) > 1 else ""
        words.append(f"{condition} in {len(details)} ({details[0]}{more})")
    return "; ".join(words)
