"""A cell's theorem: whether the cell meets the theorem's conditions, and the terms of its bound for this cell.

The theorem's record (`theory.bounds.THEOREMS`) has the conditions and terms. Hidden constants are 1 in a condition, and
free in a comparison of errors. Errors along N, k, d or sigma are compared with the variance term, floors along C with
the floor term. The sum of the terms with constants of 1 would decide nothing: at k = 5, C = 6 the floor term of
Theorem 1 is 57, where the error is 1 and falls like ln N/N. The bias is not compared: its exponent is recalled as above
1, so it falls faster with N than the other terms.

The conditions are on the updates, the step size, the start, the weights, the noise and the separation. The number of
samples is no condition. N >= k^3 d^3 ln d is 4.6e7 samples at k = d = 16, where errors follow the bound's shape from
1e4 on; its constant is unknown, and no affordable study would meet it. So a cell with fewer samples may show that a
bound is consistent, or loose, but never that it is contradicted. The sentence counts such cells.
"""

import math
from typing import NamedTuple, TypeVar

import numpy as np

from jgmm.study import claim, settings
from jgmm.study.read import CellData
from jgmm.theory.bounds import THEOREMS, Theorem, theorem3_bound

ROUNDING = 1e-6  # the relative rounding of a separation or a step size
STEP = "the step size is not the paper's"
UPDATES = "the updates are not EM's"
Length = TypeVar("Length", float, np.ndarray)


class Reason(NamedTuple):
    """A condition that a cell does not meet, and what the cell has instead. A condition has one text for all cells."""

    condition: str
    detail: str


def theorem_of(item: CellData) -> Theorem | None:
    """The theorem that the cell tests."""
    number = item.cell.theorem
    return THEOREMS[number] if isinstance(number, int) else None


# --- the terms of the bound, with constant 1 ---


def variance(item: CellData) -> float | None:
    """The variance term at the cell's horizon; None if its theorem has none."""
    cell, theorem = item.cell, theorem_of(item)
    if theorem is None or theorem.variance is None:
        return None
    return theorem.variance(n=cell.n, k=cell.k, d=cell.d, sigma=max(cell.scales))


def claimed(item: CellData) -> float | None:
    """The bound of the cell's own claim, its terms with constants of 1; None without one, and outside its regime."""
    if item.cell.claim is None or claim.unmet(item.cell, float(item.realised_separation.min())):
        return None
    return claim.bound(item.cell)


def log_floor(item: CellData) -> float | None:
    """ln of the floor term; None if the cell's theorem has none."""
    theorem = theorem_of(item)
    return None if theorem is None else _log_floor(theorem, item)


def log_floor_beside(item: CellData) -> float:
    """`log_floor` of the cell's theorem, or else of the first theorem that has a floor term.

    So a table has a bound for every measured floor, whatever theorem its study tests.
    """
    own = theorem_of(item)
    terms = (_log_floor(theorem, item) for theorem in (own, *THEOREMS.values()) if theorem is not None)
    return next(term for term in terms if term is not None)


def _log_floor(theorem: Theorem, item: CellData) -> float | None:
    cell = item.cell
    if theorem.log_floor is None:
        return None
    return theorem.log_floor(k=cell.k, separation=cell.separation, sigma=max(cell.scales))


# --- its number of samples ---


def enough_samples(item: CellData) -> bool:
    """Whether N, and N0 if the start is by Algorithm 2, are as large as the theorem asks for with constant 1."""
    cell, theorem = item.cell, theorem_of(item)
    if theorem is None or theorem.samples is None:
        return True
    taken = {"N": cell.n, "N0": cell.seeding.n if cell.seeding else math.inf}
    return min(taken[name] for name in theorem.samples_of) >= theorem.samples(k=cell.k, d=cell.d)


# --- its conditions ---


def unmet(item: CellData) -> list[Reason]:
    """The conditions of its theorem that the cell does not meet; none if it tests no theorem."""
    theorem = theorem_of(item)
    if theorem is None:
        return []
    reasons = [condition(theorem, item) for condition in CONDITIONS]
    return [reason for reason in reasons if reason is not None]


def own_updates(item: CellData) -> bool:
    """Whether the cell's updates have its theorem's sharpness (beta)."""
    theorem = theorem_of(item)
    return theorem is None or theorem.beta is None or item.cell.beta in (None, theorem.beta)


def starts_near_instead(item: CellData) -> bool:
    """Whether the theorem allows a start by Algorithm 2 or one near the truth, and the cell has one near the truth."""
    theorem = theorem_of(item)
    return theorem is not None and theorem.start == "seeding or near" and item.cell.start != "seeding"


def near(separation: Length, sigma: float) -> Length:
    """C sigma/20: the limit of a start's distance in the theorems' conditions, and in Theorem 3's bound."""
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
    """All theorems are about the last iterate, of a step for each sample."""
    if item.cell.batch > 1:
        return Reason("a step is taken for a batch", f"batches of {item.cell.batch}")
    if not item.cell.average:
        return None
    return Reason("the estimate is not the last iterate", f"an average of the last {item.cell.average:.0%}")


def _method(theorem: Theorem, item: CellData) -> Reason | None:
    """A start by Algorithm 2 must use a block power iteration. A theorem about starts needs a start by Algorithm 2."""
    sizes, condition = item.cell.seeding, "the seeding is not Algorithm 2"
    if sizes is None:
        return Reason(condition, f"start = {item.cell.start}") if theorem.of_start else None
    return None if sizes.method == "block" else Reason(condition, f"{sizes.method}, not a block power iteration")


def _start(theorem: Theorem, item: CellData) -> Reason | None:
    """A start must be within C sigma/20 of the truth, or by Algorithm 2 if the theorem allows that."""
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
    """All theorems are about independent samples of a mixture of spherical Gaussians."""
    cell = item.cell
    if not cell.disturbed.gaussian:
        return Reason("the noise is not Gaussian", cell.noise)
    if cell.covariance:
        return Reason("the covariance is not spherical", settings.covariance(cell.covariance))
    if cell.dwell:
        return Reason("labels are not independent", f"dwell {cell.dwell:g}")
    return Reason("the means move", f"drift {cell.drift:g}") if cell.drift else None


CONDITIONS = (_updates, _step, _last, _method, _start, _apart, _weights, _noise)
