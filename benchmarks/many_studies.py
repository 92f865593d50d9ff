r"""Verdicts on thousands of studies at once, of errors drawn from known laws. NumPy.

Arrays of errors have the axes (studies, cells, runs), or (studies, sizes of N, sizes of k, runs). What is answered for
all studies together is what `stats.against_law` and whole verdicts answer for one; tests compare them.

Errors: chi^2_1, chi^2_4, lognormal (sigma = 1), chi^2_50 (5 centres in 10 dimensions), and chi^2_4 of which 1, 2 or 3 %
of runs (a lost centre) are 300 times as large: once the law knows of these ("lost"), once it does not ("unknown").

Beside today's answers stand those of Student's t: with Bonferroni for laws, with the delta method for bounds, from 8
runs on. That is what jgmm used before.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats

from jgmm import stats
from jgmm.stats import skewed
from jgmm.study.summary import FEW

LEVEL, CELLS = 0.025, 22
NS, KS = 2.0 ** np.arange(16, 25, 2), np.arange(2.0, 7)


def chi2(freedom):
    """chi^2 errors of mean 1."""
    return lambda rng, size: rng.chisquare(freedom, size) / freedom


def lognormal(rng, size):
    """Lognormal errors of mean 1, sigma = 1."""
    return np.exp(rng.standard_normal(size) - 0.5)


def lost(share, known, times=300):
    """chi^2_4 errors, a share of them `times` as large; of mean 1 with these, or without them."""

    def draw(rng, size):
        values = chi2(4)(rng, size) * np.where(rng.random(size) < share, times, 1)
        return values / (1 + share * (times - 1) if known else 1)

    return draw


FAMILIES = {
    "chi2_1": chi2(1),
    "chi2_4": chi2(4),
    "chi2_50": chi2(50),
    "lognormal": lognormal,
    **{f"lost {p:.0%}": lost(p, True) for p in (0.01, 0.02, 0.03)},
    "lost 2%, unknown": lost(0.02, False),
}


class Answers(NamedTuple):
    """Of each study whether it is contradicted, (studies,), or the share of studies that are."""

    students: np.ndarray  # by Student's t
    todays: np.ndarray

    def shares(self):
        """The shares of studies."""
        return Answers(self.students.mean(), self.todays.mean())


def joined(answers):
    """The answers for several sets of studies, one after the other."""
    return Answers(*(np.concatenate(column) for column in zip(*answers, strict=True)))


def carried_by_few(values):
    """`stats.carried_by_few` along the last axis of positive values."""
    n = values.shape[-1]
    count = max(1, int(np.ceil(0.02 * n)))
    largest = np.partition(values, n - count, axis=-1)[..., n - count :]
    mean = values.mean(axis=-1)
    return (largest.sum(axis=-1) > 0.5 * n * mean) & (largest.mean(axis=-1) > 5 * mean)


# --- laws ---


def laws_contradicted(values, law, level=LEVEL):
    """Which studies (studies, cells, runs) contradict a law (cells,)."""
    return Answers(students=_off_by_t(values, law, level), todays=_off_today(values, law, level))


def _off_by_t(values, law, level):
    n = values.shape[-1]
    tested = ~carried_by_few(values)
    gaps = np.abs(values.mean(axis=-1) - law) / (values.std(axis=-1, ddof=1) / np.sqrt(n))
    limits = scipy.stats.t.isf(level / (2 * np.maximum(tested.sum(axis=-1), 1)), n - 1)
    return (tested & (gaps > limits[:, None])).any(axis=-1)


def _off_today(values, law, level):
    cells, n = values.shape[1:]
    tail = level * (1 - (stats.laws.TOGETHER if cells > 1 else 0)) / (2 * cells)
    tested = ~carried_by_few(values)
    missed = (law > (1 + stats.laws.RARE * stats.laws.HEAVY) * values.mean(axis=-1)) & (n < stats.runs_for_rare(tail))
    low, high = _tails(values, law, tail)
    off = (tested & (((low < tail) & ~missed) | (high < tail))).any(axis=-1)
    for side, cells_of_side in ((0, tested & ~missed), (1, tested)):
        count = cells_of_side.sum(axis=1)
        ratios = np.where(cells_of_side[..., None], values / law[:, None], 0)
        together = ratios.sum(axis=1) / np.maximum(count, 1)[:, None]
        together[count < 2] = 1.0
        chances = _tails(together, np.ones(1), level * stats.laws.TOGETHER / 2)[side]
        off |= (count > 1) & ~carried_by_few(together) & (chances < level * stats.laws.TOGETHER / 2)
    return off


def _tails(values, law, tail):
    law = np.broadcast_to(law, values.shape[:-1])
    return skewed.tails(skewed.cautious_shape(values), law, law, tail)


def false_alarms(family, runs, studies, seed=0, parts=10):
    """The shares of studies that contradict true laws."""
    rng = np.random.default_rng([seed, runs])
    size = (-(-studies // parts), CELLS, runs)
    return joined(laws_contradicted(FAMILIES[family](rng, size), np.ones(CELLS)) for _ in range(parts)).shares()


def power(off, cells_off, studies, runs=64, seed=1):
    """The shares of studies of chi^2_4 errors that contradict laws of which `cells_off` are `off` times the truth."""
    rng = np.random.default_rng(seed)
    values = FAMILIES["chi2_4"](rng, (studies, CELLS, runs))
    return laws_contradicted(values, np.where(np.arange(CELLS) < cells_off, off, 1.0)).shares()


# --- bounds ---


class _Lines(NamedTuple):
    """The curves of all studies along one axis."""

    sizes: np.ndarray
    above: float  # by how much the errors' exponent is above the bound's
    values: np.ndarray  # (studies, other sizes, sizes, runs)
    usable: np.ndarray  # (studies, other sizes)


def bounds_contradicted(values, above=(0.0, 0.0), level=LEVEL):
    """Which studies (studies, N, k, runs) contradict a bound whose exponents the errors exceed by `above` in N and k.

    As whole verdicts say where no cell is on its floor and every cell has the samples that the theorem asks for.
    """
    carried = carried_by_few(values)
    axes = []
    for axis, sizes in ((1, NS), (2, KS)):
        usable = ~np.moveaxis(carried, axis, 2).any(axis=-1) & (values.shape[-1] >= FEW)
        axes.append(_Lines(sizes, above[axis - 1], np.moveaxis(values, axis, 2), usable))
    compared = sum(lines.usable.sum(axis=1) for lines in axes)  # curves of each study
    answers = Answers(*np.zeros((2, len(values)), bool))
    for lines in axes:
        for contrast in (stats.slope_weights(lines.sizes), stats.neighbour_weights(lines.sizes)[-1]):
            exceeded = _exceeded(lines, contrast, compared, level)
            answers = Answers(*(old | new for old, new in zip(answers, exceeded, strict=True)))
    return answers


def _exceeded(lines, contrast, compared, level):
    """Which studies have a curve whose contrast is above the bound's by more than the margin, beyond its interval."""
    n = lines.values.shape[-1]
    gap, parts = stats.contrast_parts(lines.values, contrast)
    means = lines.values.mean(axis=-1)
    linear = np.einsum("c,socr->sor", contrast, lines.values / means[..., None])
    error = linear.std(axis=-1, ddof=1) / np.sqrt(n)
    least = np.full((2, *gap.shape), -np.inf)  # the low end of the gap's interval, by Student's t and today
    for count in np.unique(compared[compared > 0]):
        studies = compared == count
        # Of the level a part for each curve, and today one for the constant; of that one for each of `sizes` gaps.
        tail, todays_tail = (level / parts_of_level / (2 * len(lines.sizes)) for parts_of_level in (count, count + 1))
        reach = scipy.stats.t.isf(tail, n - 1) * error[studies]
        least[0, studies] = gap[studies] + lines.above - reach
        least[1, studies] = gap[studies] + lines.above - stats.student_reach(parts[studies], todays_tail)
    return Answers(*(lines.usable & (least > stats.bounds.MARGIN)).any(axis=-1))


def bound_shares(family, runs, studies, above=(0.0, 0.0), seed=4, parts=10):
    """The shares of studies whose verdict is "contradicted"."""
    rng = np.random.default_rng([seed, runs])
    size = (-(-studies // parts), len(NS), len(KS), runs)
    return joined(bounds_contradicted(FAMILIES[family](rng, size), above) for _ in range(parts)).shares()
