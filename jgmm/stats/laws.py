"""Are means what exact laws say? Many cells at once, at one level for all of them together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .concentration import LEAST_RUNS
from .estimates import Mean, mean
from .intervals import Tails, mean_tails
from .lengths import length_tails, squared_length

RARE = 0.01  # the least share of rare runs that we assume, if there are any: see `against_law`
HEAVY = 100  # such a run's error over the mean of the others
TOGETHER = 0.25  # the share of the level that tests all means together


class LawCheck(NamedTuple):
    """Measured means against their laws, all cells at once."""

    agrees: bool | None  # None: no cell could be tested, or nothing is wrong but cells are `short`
    cells: int  # how many were tested
    largest: float  # the largest gap beyond a law's own accuracy, in standard errors
    worst: int | None  # the index of the least likely cell
    chance: float  # one-sided p of the worst cell by itself
    untested: int
    short: list[int]  # cells whose mean is so low that rare runs, which the sample lacks, may carry the law
    enough: int  # the number of runs at which the sample would have such rare runs
    together: Mean | None  # the mean over cells of measured / law


class CellCheck(NamedTuple):
    """One cell's mean against its law."""

    gap: float  # beyond the law's own accuracy, in standard errors
    tails: Tails
    missed: bool  # the sample is small, and the mean so low that rare runs, which it lacks, may carry the law

    def off(self, tail: float) -> bool:
        """Whether the law is contradicted by this cell alone."""
        return self.tails.high < tail or (self.tails.low < tail and not self.missed)


def against_law(samples: Sequence[np.ndarray], law: ArrayLike, accuracy: ArrayLike, level: float) -> LawCheck:
    """Is every mean what its law says, within the law's own accuracy? True laws are contradicted with chance `level`.

    samples: one for each cell. It has either the values (runs,), nan for a run that is not good, or vectors (good runs,
    p); the law is then the squared length of the vectors' mean. law and accuracy have the shape (cells,).

    Three quarters of the level are split over cells and sides (Bonferroni, so that cells may share runs). Each cell is
    tested by `mean_tails` or `length_tails`, which hold for skewed errors and few runs. The share TOGETHER of the level
    tests the mean over cells of measured / law, in the runs that all cells have. It is the first to show laws that are
    all a little off.

    No sample can exclude that runs too rare for it (a lost centre, say) carry the mean. We assume: if rare runs lift
    the mean to 1 + RARE HEAVY = 2 times that of the others, or more, then at least a share RARE of the runs are such.
    A sample of ln(tail)/ln(1 - RARE) runs lacks them with chance `tail`. If a smaller sample has a mean below half of
    its law, the cell counts as `short`, not as off.
    """
    laws, accuracies = np.asarray(law, float), np.asarray(accuracy, float)
    tail = level * (1 - (TOGETHER if len(samples) > 1 else 0)) / (2 * max(len(samples), 1))
    every = [
        _check_cell(sample, low, high, tail)
        for sample, low, high in zip(samples, laws - accuracies, laws + accuracies, strict=True)
    ]
    tested = {i: check for i, check in enumerate(every) if check is not None}
    short = [i for i, check in tested.items() if check.missed and check.tails.low < tail]

    # Cells that rare runs may carry cannot show that a law is too high. Leaving them out errs on the safe side.
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
    """The n for which n runs include no rare one with chance `tail`, if a share RARE of all runs is rare."""
    return int(np.ceil(np.log(tail) / np.log1p(-RARE)))


def _check_cell(sample: np.ndarray, low: float, high: float, tail: float) -> CellCheck | None:
    """Test one cell's mean against a law that lies between low and high; None where its runs cannot tell."""
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
    """The mean over these cells of measured / law, for each run that all of them have, shape (runs,).

    None below two cells or LEAST_RUNS.
    """
    if len(cells) < 2:
        return None
    common = min(len(samples[i]) for i in cells)
    every = np.mean([(samples[i] / laws[i])[:common] for i in cells], axis=0)
    every = every[np.isfinite(every)]
    return every if len(every) >= LEAST_RUNS else None


def _tails_of_all(
    ratio: np.ndarray | None, laws: np.ndarray, accuracies: np.ndarray, cells: list[int], level: float
) -> Tails | None:
    """Test whether the mean ratio is 1, within the mean accuracy of these cells; None where the runs cannot tell."""
    if ratio is None:
        return None
    within = float(np.mean(accuracies[cells] / laws[cells]))
    return mean_tails(ratio, 1 - within, 1 + within, level * TOGETHER / 2)
