"""Whether a cell meets the conditions of the theorem that it is held against, and the terms of that theorem's bound.

Every question goes to the theorem's record (`theory.bounds.THEOREMS`). Its hidden constants are read as 1 in a
condition, and are left free where errors are compared: with a constant of 1 the floor term of Theorem 1 is 57 at k = 5,
C = 6, where the error is 1 and falls like ln N/N, so a sum of terms with guessed constants decides nothing. Errors
along N, k, d or sigma are compared with the variance term, floors along C with the floor term. The bias is left aside:
its exponent is recalled as above 1, so that with N it falls faster than the other terms.

Conditions are the updates, their step size, the start, weights, noise and separation. Sample sizes are another matter.
N >= k^3 d^3 ln d asks for 4.6e7 samples at k = d = 16, where errors follow the bound's shape from 1e4 on; nobody knows
how much less than 1 its constant is, and a rule that refused would leave no cell of any affordable study. So a cell
with fewer samples counts for what is consistent with a bound (which then holds on more than its regime), never for a
contradiction, and the sentence counts such cells.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np

from jgmm.study.read import CellData
from jgmm.theory.bounds import THEOREMS, Theorem, theorem3_bound

ROUNDING = 1e-6  # of a separation or a step size, relatively
STEP = "the step size is not the paper's"
UPDATES = "the updates are not EM's"
Length = TypeVar("Length", float, np.ndarray)


class Reason(NamedTuple):
    """A condition that a cell does not meet, in the same words for all cells, and what the cell has."""

    condition: str
    detail: str


def theorem_of(item: CellData) -> Theorem | None:
    """The theorem that the cell is held against."""
    number = item.cell.theorem
    return THEOREMS[number] if isinstance(number, int) else None


# --- the terms of the bound, with constant 1 ---


def variance(item: CellData) -> float | None:
    """The term that falls with the samples, at the cell's horizon; None where its theorem has none."""
    cell, theorem = item.cell, theorem_of(item)
    if theorem is None or theorem.variance is None:
        return None
    return theorem.variance(n=cell.n, k=cell.k, d=cell.d, sigma=max(cell.scales))


def log_floor(item: CellData) -> float | None:
    """ln of the term that no number of samples reduces; None where the cell's theorem has none."""
    theorem = theorem_of(item)
    return None if theorem is None else _log_floor(theorem, item)


def log_floor_beside(item: CellData) -> float:
    """`log_floor` of the cell's theorem, or else of the first theorem that has such a term.

    A measured floor has something to stand beside in a table, whatever its study is held against.
    """
    own = theorem_of(item)
    terms = (_log_floor(theorem, item) for theorem in (own, *THEOREMS.values()) if theorem is not None)
    return next(term for term in terms if term is not None)


def _log_floor(theorem: Theorem, item: CellData) -> float | None:
    cell = item.cell
    if theorem.log_floor is None:
        return None
    return theorem.log_floor(k=cell.k, separation=cell.separation, sigma=max(cell.scales))


# --- the samples that it asks for ---


def enough_samples(item: CellData) -> bool:
    """Whether N, and N0 where Algorithm 2 starts the run, are what the theorem asks for with constant 1."""
    cell, theorem = item.cell, theorem_of(item)
    if theorem is None or theorem.samples is None:
        return True
    taken = {"N": cell.n, "N0": cell.seeding.n if cell.seeding else math.inf}
    return min(taken[name] for name in theorem.samples_of) >= theorem.samples(k=cell.k, d=cell.d)


# --- its conditions ---


def unmet(item: CellData) -> list[Reason]:
    """Every condition of its theorem that the cell does not meet; none if it is held against no theorem."""
    theorem = theorem_of(item)
    if theorem is None:
        return []
    reasons = [condition(theorem, item) for condition in CONDITIONS]
    return [reason for reason in reasons if reason is not None]


def own_updates(item: CellData) -> bool:
    """Whether the cell's updates have the sharpness (beta) that its theorem is about."""
    theorem = theorem_of(item)
    return theorem is None or theorem.beta is None or item.cell.beta in (None, theorem.beta)


def starts_near_instead(item: CellData) -> bool:
    """Whether the cell starts near the truth, by a theorem that is about starts by Algorithm 2 too."""
    theorem = theorem_of(item)
    return theorem is not None and theorem.start == "seeding or near" and item.cell.start != "seeding"


def near(separation: Length, sigma: float) -> Length:
    """C sigma/20: the distance within which theorems ask that a start is, and promise that Algorithm 2's is."""
    return theorem3_bound(separation=separation, sigma=sigma)


def _updates(theorem: Theorem, item: CellData) -> Reason | None:
    return None if own_updates(item) else Reason(UPDATES, f"beta = {item.cell.beta:g}")


def _step(theorem: Theorem, item: CellData) -> Reason | None:
    cell = item.cell
    if theorem.step is None:
        return None
    paper = theorem.step(n=cell.n, k=cell.k)
    if cell.rate is not None and math.isclose(cell.rate, paper, rel_tol=ROUNDING):
        return None
    actual = cell.rate_name if cell.rate is None else f"{cell.rate:.3g}"
    return Reason(STEP, f"{actual} in place of {paper:.3g} at N = {cell.n}")


def _last(theorem: Theorem, item: CellData) -> Reason | None:
    """All theorems are about the last iterate."""
    if not item.cell.average:
        return None
    return Reason("the estimate is not the last iterate", f"an average of the last {item.cell.average:.0%}")


def _method(theorem: Theorem, item: CellData) -> Reason | None:
    """A start by Algorithm 2 must have its power iteration, and theorems about starts are about no other."""
    sizes, condition = item.cell.seeding, "the seeding is not Algorithm 2"
    if sizes is None:
        return Reason(condition, f"start = {item.cell.start}") if theorem.of_start else None
    return None if sizes.method == "block" else Reason(condition, f"{sizes.method}, not a block power iteration")


def _start(theorem: Theorem, item: CellData) -> Reason | None:
    """Starts are by Algorithm 2, where the theorem is about those, or within C sigma/20 of the truth."""
    cell, condition = item.cell, "the start is farther than C sigma/20"
    if theorem.start == "any" or cell.start == "truth":
        return None
    if cell.start == "seeding" and theorem.start == "seeding or near":
        return None
    if isinstance(cell.start, float):  # in units of sigma
        limit = near(float(item.realised_separation.min()), 1.0)
        if cell.start <= limit * (1 + ROUNDING):
            return None
        return Reason(condition, f"{cell.start:g} sigma against {limit:.3g}")
    limits = near(item.realised_separation, max(cell.scales))
    far = int(np.sum(item.values["error_max"][item.ok, 0] > limits[item.ok] * (1 + ROUNDING)))
    return Reason(condition, f"in {far} of {item.ok.sum()} runs of Algorithm 2") if far else None


def _apart(theorem: Theorem, item: CellData) -> Reason | None:
    asked, separation = float(theorem.separation(item.cell.k)), float(item.realised_separation.min())
    if separation >= asked * (1 - ROUNDING):
        return None
    return Reason(f"C is below {theorem.separation_words}", f"{separation:.3g} against {asked:.3g}")


def _weights(theorem: Theorem, item: CellData) -> Reason | None:
    weights = item.cell.weights
    if not theorem.equal_weights or len(set(weights)) == 1:
        return None
    return Reason("weights are not equal", " ".join(f"{weight:.3g}" for weight in weights))


def _noise(theorem: Theorem, item: CellData) -> Reason | None:
    """All theorems are about mixtures of Gaussians."""
    return None if item.cell.disturbed.gaussian else Reason("the noise is not Gaussian", item.cell.noise)


CONDITIONS = (_updates, _step, _last, _method, _start, _apart, _weights, _noise)
