"""Are means what exact laws say? Many cells at once, at one level for all of them together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .concentration import LEAST_RUNS
from .estimates import Mean, mean
from .intervals import Tails, mean_tails
from .lengths import length_tails, squared_length

RARE = 0.01  # the share of runs, and
HEAVY = 100  # how many times the mean of the others, of the rare runs that few runs may have missed: see `against_law`
TOGETHER = 0.25  # of the level, for all means together


class LawCheck(NamedTuple):
    """Measured means against their laws, all cells at once."""

    agrees: bool | None  # None: no cell could be tested, or the only ones off are `short`
    cells: int  # tested
    largest: float  # gap beyond the law's own accuracy, in standard errors
    worst: int | None  # which cell: the least likely
    chance: float  # of a gap like the worst's, by itself, its side given
    untested: int
    short: list[int]  # cells so far below their law that runs too rare for this sample may carry it
    enough: int  # runs that would not have missed those
    together: Mean | None  # measured / law, the mean over cells


class CellCheck(NamedTuple):
    """One cell's mean against its law."""

    gap: float  # beyond the law's own accuracy, in standard errors
    tails: Tails
    missed: bool  # the mean is so low that rare runs which the sample lacks may carry the law

    def off(self, tail: float) -> bool:
        """Whether the law is contradicted by this cell alone."""
        return self.tails.high < tail or (self.tails.low < tail and not self.missed)


def against_law(samples: Sequence[np.ndarray], law: ArrayLike, accuracy: ArrayLike, level: float) -> LawCheck:
    """Is every mean what its law says, within the law's own accuracy? True laws are contradicted with chance `level`.

    samples: for each cell its runs (runs,), nan where a run is not good, or vectors (good runs, p) whose squared length
    of the mean the law gives. law and accuracy have the shape (cells,).

    Three quarters of the level are split over cells and sides (Bonferroni: whatever the cells share), with the tails of
    `mean_tails` and `length_tails`, which hold for skewed errors and few runs. The share TOGETHER of it tests the mean
    over cells of measured / law in the runs that all share: laws that are all a little off show there first.

    No sample can tell that a rarer run, with a lost centre say, does not carry the mean. What is assumed is that runs
    which lift the mean to 1 + RARE HEAVY = 2 times that of the others, or more, happen at a rate of RARE at least. Then
    ln(tail)/ln(1 - RARE) runs miss them with chance `tail` only; with fewer, a mean below half of its law is `short`,
    not off.

    Raises ValueError where lengths differ, for samples of another shape, or a level outside (0, 1).
    """
    laws, accuracies = np.asarray(law, float), np.asarray(accuracy, float)
    tail = level * (1 - (TOGETHER if len(samples) > 1 else 0)) / (2 * max(len(samples), 1))
    every = [
        _check_cell(sample, low, high, tail)
        for sample, low, high in zip(samples, laws - accuracies, laws + accuracies, strict=True)
    ]
    tested = {i: check for i, check in enumerate(every) if check is not None}
    short = [i for i, check in tested.items() if check.missed and check.tails.low < tail]

    # Too low together is what all are that no unseen run may carry: to leave out others that are low errs on the safe
    # side. Too high is what all are.
    means = [i for i in tested if samples[i].ndim == 1]
    certain = [i for i in means if not tested[i].missed]
    together = _ratio_of_all(samples, laws, means)
    too_low = _tails_of_all(_ratio_of_all(samples, laws, certain), laws, accuracies, certain, level)
    too_high = _tails_of_all(together, laws, accuracies, means, level)
    off = (
        any(check.off(tail) for check in tested.values())
        or (too_low is not None and too_low.low < level * TOGETHER / 2)
        or (too_high is not None and too_high.high < level * TOGETHER / 2)
    )
    return LawCheck(
        agrees=False if off else None if short or not tested else True,
        cells=len(tested),
        largest=max((check.gap for check in tested.values()), default=0.0),
        worst=min(tested, key=lambda i: (min(tested[i].tails), -tested[i].gap), default=None),
        chance=min((min(check.tails) for check in tested.values()), default=1.0),
        untested=len(samples) - len(tested),
        short=short,
        enough=runs_for_rare(tail),
        together=None if together is None else mean(together),
    )


def runs_for_rare(tail: float) -> int:
    """The runs that miss one which happens at rate RARE with chance `tail`."""
    return int(np.ceil(np.log(tail) / np.log1p(-RARE)))


def _check_cell(sample: np.ndarray, low: float, high: float, tail: float) -> CellCheck | None:
    """A cell against a law between low and high; None where its runs cannot tell."""
    vectors = sample.ndim == 2
    good = sample if vectors else sample[np.isfinite(sample)]
    if len(good) < LEAST_RUNS:
        return None
    tails = (length_tails if vectors else mean_tails)(good, low, high, tail)
    if tails is None:
        return None
    measured = squared_length(good) if vectors else mean(good)
    beyond = max(measured.value - high, low - measured.value, 0.0)
    return CellCheck(
        gap=beyond / max(measured.standard_error, 1e-300) if beyond else 0.0,
        tails=tails,
        missed=not vectors and low > (1 + RARE * HEAVY) * measured.value and measured.runs < runs_for_rare(tail),
    )


def _ratio_of_all(samples: Sequence[np.ndarray], laws: np.ndarray, cells: list[int]) -> np.ndarray | None:
    """measured / law, the mean over these cells in each run that all have; None below two cells or LEAST_RUNS."""
    if len(cells) < 2:
        return None
    common = min(len(samples[i]) for i in cells)
    every = np.mean([(samples[i] / laws[i])[:common] for i in cells], axis=0)
    every = every[np.isfinite(every)]
    return every if len(every) >= LEAST_RUNS else None


def _tails_of_all(
    ratio: np.ndarray | None, laws: np.ndarray, accuracies: np.ndarray, cells: list[int], level: float
) -> Tails | None:
    """Of the mean of the ratio, whether it is 1 within the mean accuracy of these cells; None where nobody can tell."""
    if ratio is None:
        return None
    within = float(np.mean(accuracies[cells] / laws[cells]))
    return mean_tails(ratio, 1 - within, 1 + within, level * TOGETHER / 2)
