r"""With which exponent does a mean grow, and do the sizes decide it?

A power fitted to the law log(3N)/N over N = 2^10..2^20 gives -0.911 +- 0.0004 at 100,000 runs, and would "refute" -1.
So `fit_exponent` tries rival families (`families`), has each predict the largest sizes (`trials`), and claims an
exponent only if the families that no test rejects agree on it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .families import POWER, POWER_LOG_FLOOR, rivals
from .moments import batch_sizes, batches, log_moments, resample
from .trials import FamilyFit, Trial, try_family

RESOLUTION = 0.03  # families whose exponents differ by less agree
OPEN = 0.001  # a family with p between this and REJECTED is not admitted, but may be the true one: it must agree
DECIDED = 1e-12  # a family with p below this is wrong beyond any accident of the sample
WIDEST = 2.0  # an interval of an exponent that is wider says nothing, and is not given
UNDETERMINED = "undetermined"


class ExponentFit(NamedTuple):
    """What the sizes say about the exponent; family is "undetermined" if they do not decide it."""

    family: str
    exponent: float
    low: float
    high: float
    ols_exponent: float  # of a power by unweighted least squares
    chi2_df: float  # of the chosen family
    candidates: tuple[FamilyFit, ...]


def fit_exponent(x: ArrayLike, values: ArrayLike, *, resamples: int = 1000) -> ExponentFit:
    r"""The exponent b of the mean of values (sizes, runs) in x (sizes,), for three sizes or more; or "undetermined".

    Each family has two tests. It is admitted if neither rejects it at 2.5 %, open if neither rejects it at OPEN, and
    possible if neither rejects it at DECIDED. Power is chosen if it is admitted, since it has the fewest parameters and
    predicts within the noise. Else the admitted family that predicts the largest sizes best is chosen.

    The chosen family's exponent is claimed (coverage: `test_the_claimed_exponent_covers_the_truth`) if

    1. the exponent of every open family agrees with it to within RESOLUTION;
    2. power is not open, unless it is the chosen family. If power is true and rejected by accident at 2 %, power-log is
       admitted only because it bends where the sample does, and its interval misses the truth;
    3. every possible family has an interval of at most +- RESOLUTION. Power-log at 200 runs has a standard error of
       0.1: in one study of five it would agree with a wrong power by accident, or be rejected by accident.

    It is also claimed if no other family is possible. An exponent is never claimed if its interval is wider than
    WIDEST, or from three sizes, to which only one family can be fitted.

    If nothing is claimed, family is "undetermined" and exponent is the chosen family's. low and high are then the hull
    of the open families' intervals; they are nan if no family is admitted or the hull is wider than WIDEST.

    A claim cannot exclude a family that is not in the list, nor a rival whose exponent is nearer than RESOLUTION.
    log(3x)/x + F is not in the list, since power-log-floor has log x. With it as the truth, at 20,000 runs and 11
    sizes, one study in six rejects all families and gives no interval.
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
    """Whether the chosen family's exponent is claimed: the conditions of `fit_exponent`."""
    possible = [trial for trial in trials if trial.worst_p >= DECIDED]
    still_open = _open(trials)
    agree = all(abs(candidate.exponent - chosen.exponent) <= RESOLUTION for candidate in still_open)
    simplest = chosen.family == POWER.name or still_open[0].family != POWER.name
    precise = all(trial.half_width <= RESOLUTION for trial in possible)
    return len(possible) == 1 or (agree and simplest and precise)


def _open(trials: list[Trial]) -> list[FamilyFit]:
    return [trial.fit for trial in trials if trial.worst_p >= OPEN]


def _choose(trials: list[Trial]) -> Trial:
    """Power if it is among these; else the best prediction. Power-log-floor is chosen only if it is the only one."""
    if trials[0].fit.family == POWER.name:
        return trials[0]
    simpler = [trial for trial in trials if trial.fit.family != POWER_LOG_FLOOR.name]
    return min(simpler or trials, key=lambda trial: trial.squared_error)


def _hull(trials: list[Trial]) -> tuple[float, float]:
    """The limits of all open families together; nan if they are wider than WIDEST."""
    low = min(candidate.low for candidate in _open(trials))
    high = max(candidate.high for candidate in _open(trials))
    return (low, high) if high - low <= WIDEST else (np.nan, np.nan)
