r"""With which exponent does a mean grow, and do the sizes decide it?

The truth log(3N)/N, fitted by a pure power over N = 2^10..2^20, gives -0.911 +- 0.0004 at 100,000 runs and would
"refute" -1. So `fit_exponent` tries rival families (`families`), holds out the largest sizes (`trials`), and claims an
exponent only where the families that survive agree on it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .families import POWER, POWER_LOG_FLOOR, rivals
from .moments import batch_sizes, batches, log_moments, resample
from .trials import FamilyFit, Trial, try_family

RESOLUTION = 0.03  # families whose exponents differ by less are one answer
OPEN = 0.001  # a family rejected between REJECTED and this may be the true one: not admitted, it can still object
DECIDED = 1e-12  # below it a rejection is no accident of this sample
WIDEST = 2.0  # an interval of an exponent that is wider tells nothing, and is none
UNDETERMINED = "undetermined"


class ExponentFit(NamedTuple):
    """What the sizes say about the exponent; family is "undetermined" where they do not decide."""

    family: str
    exponent: float
    low: float
    high: float
    ols_exponent: float  # of a power by unweighted least squares
    chi2_df: float  # of the chosen family
    candidates: tuple[FamilyFit, ...]


def fit_exponent(x: ArrayLike, values: ArrayLike, *, resamples: int = 1000) -> ExponentFit:
    r"""The exponent b of the mean of values (sizes, runs) in x (sizes,), or that the sizes do not decide it.

    A family is admitted if neither of its two tests rejects it at 2.5 %. The chosen family is the admitted one that
    predicts the largest sizes best; to be admitted is to predict within the noise, so that power, if admitted, is never
    more than a near tie behind, and is chosen for its fewer parameters.

    Its exponent is claimed (coverage: `test_the_claimed_exponent_covers_the_truth`) if

    1. every open family, one that neither test rejects at OPEN, agrees on it to within RESOLUTION;
    2. no simpler family is open: a true power that is rejected at 2 % leaves a power-log which is only admitted
       because it bends where the sample does, and its interval then misses;
    3. no family that is not rejected below DECIDED has an interval of more than +- RESOLUTION. Power-log at 200 runs
       has a standard error of 0.1: it would agree with a wrong power by accident in one study of five, or be rejected
       by accident and leave the wrong one. Precision is what luck does not give.

    A family that is the only one not rejected below DECIDED is claimed however wide its interval. Three sizes leave
    no room for rivals and claim nothing. Otherwise family is "undetermined", exponent that of the chosen family, and
    low and high the hull of the intervals of the open families, nan if none is admitted or it is wider than WIDEST.

    log(3x)/x + F is no power-log-floor, whose logarithm has no unit: of 20,000 runs at 11 sizes a sixth see that, admit
    no family, and have no interval. What a claim cannot exclude is a family that is not in the list, or a rival whose
    exponent is nearer than RESOLUTION. Raises ValueError for fewer than three sizes, sizes that repeat or are not
    positive, fewer than two runs, values that are negative or not finite, or a cell whose mean is 0.
    """
    sizes, v = checks.by_size(x, values, 3)
    counts = batch_sizes(v.shape[1])
    means = batches(v)
    moments = log_moments(np.log(sizes), means, counts)
    replicas = resample(means, counts, resamples)
    trials = [try_family(family, moments, replicas) for family in rivals(sizes)]
    admitted = [trial for trial in trials if trial.fit.admitted]
    chosen = _choose(admitted or trials).fit
    if admitted and len(trials) > 1 and claims(chosen, trials) and chosen.high - chosen.low <= WIDEST:
        family, low, high = chosen.family, chosen.low, chosen.high
    else:
        family, (low, high) = UNDETERMINED, _hull(trials) if admitted else (np.nan, np.nan)
    return ExponentFit(
        family=family,
        exponent=chosen.exponent,
        low=low,
        high=high,
        ols_exponent=float(np.polyfit(moments.logs, moments.y, 1)[0]),
        chi2_df=chosen.chi2_df,
        candidates=tuple(trial.fit for trial in trials),
    )


def claims(chosen: FamilyFit, trials: list[Trial]) -> bool:
    """Whether the chosen family's exponent is claimed: the three conditions of `fit_exponent`, or no rival left."""
    possible = [trial for trial in trials if trial.worst_p >= DECIDED]
    still_open = _open(trials)
    agree = all(abs(candidate.exponent - chosen.exponent) <= RESOLUTION for candidate in still_open)
    simplest = chosen.family == POWER.name or still_open[0].family != POWER.name
    precise = all(trial.half_width <= RESOLUTION for trial in possible)
    return len(possible) == 1 or (agree and simplest and precise)


def _open(trials: list[Trial]) -> list[FamilyFit]:
    return [trial.fit for trial in trials if trial.worst_p >= OPEN]


def _choose(trials: list[Trial]) -> Trial:
    """Power if it is there; else the best prediction, of power-log-floor only where neither of its parts will do."""
    if trials[0].fit.family == POWER.name:
        return trials[0]
    simpler = [trial for trial in trials if trial.fit.family != POWER_LOG_FLOOR.name]
    return min(simpler or trials, key=lambda trial: trial.squared_error)


def _hull(trials: list[Trial]) -> tuple[float, float]:
    """The limits of all open families together, nan where they tell nothing."""
    low = min(candidate.low for candidate in _open(trials))
    high = max(candidate.high for candidate in _open(trials))
    return (low, high) if high - low <= WIDEST else (np.nan, np.nan)
