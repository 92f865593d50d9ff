r"""One family tried on the data: how well it fits, how well it predicts the largest sizes, and its exponent.

Two tests, both Hotelling's T^2, whose p holds at few runs.

    the fit           residuals at all sizes, in the directions that the parameters do not fit
    the prediction    the family is fitted to the smaller two thirds of the sizes and predicts the largest third; the
                      covariance of its errors includes the uncertainty of that fit
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from . import families, floors
from .estimates import ROUNDING
from .families import Family, Solution
from .moments import Moments, hotelling
from .student import t_quantile

REJECTED = 0.025  # the level of each of the two tests of a family, 5 % together (Bonferroni)
UNITS = 3.0  # a family with a logarithm may have log log(u x) for any u from 1/UNITS to UNITS


class FamilyFit(NamedTuple):
    """One family: its exponent, its misfit per degree of freedom, and its error where it predicts."""

    family: str
    exponent: float
    low: float
    high: float
    chi2_df: float
    p_value: float
    heldout: float  # the error of the prediction, in its standard errors
    admitted: bool  # neither test rejects it


class Trial(NamedTuple):
    """A family's fit, and the numbers that decide about it."""

    fit: FamilyFit
    squared_error: float  # of the predicted log means of the largest sizes
    worst_p: float  # the smaller p of its two tests
    half_width: float  # t times the standard error of its exponent


class Slope(NamedTuple):
    """The limits of an exponent, and t times its standard error. Uncertain units of x set the limits further apart."""

    low: float
    high: float
    half_width: float


def try_family(family: Family, moments: Moments, replicas: np.ndarray) -> Trial:
    """Fit the family to all sizes, and to the smaller two thirds of them to predict the others.

    replicas: bootstrap samples of the log means, (resamples, cells).
    """
    cells = len(moments.y)
    first = cells - max(1, cells // 3)
    solution = families.solve(family, moments, np.arange(cells))
    chi2_df, p_value = _misfit(solution, moments)
    errors, covariance = _prediction(family, moments, first)
    heldout, p_heldout = hotelling(errors, covariance, moments)
    if family.floor:
        slope = _floor_slope(family, solution, moments, replicas)
    else:
        slope = _linear_slope(family, moments, replicas)
    worst = min(p_value, p_heldout)
    return Trial(
        fit=FamilyFit(
            family=family.name,
            exponent=solution.exponent,
            low=slope.low,
            high=slope.high,
            chi2_df=chi2_df,
            p_value=p_value,
            heldout=float(np.sqrt(heldout)),
            admitted=bool(worst >= REJECTED),
        ),
        squared_error=float(np.mean(errors**2)),
        worst_p=worst,
        half_width=slope.half_width,
    )


def _misfit(solution: Solution, moments: Moments) -> tuple[float, float]:
    """The generalised chi-square of the residuals per degree of freedom, and its p."""
    jacobian = solution.jacobian
    contrasts = np.linalg.svd(jacobian)[0][:, jacobian.shape[1] :].T
    return hotelling(contrasts @ solution.residuals, contrasts @ moments.covariance @ contrasts.T, moments)


def _prediction(family: Family, moments: Moments, first: int) -> tuple[np.ndarray, np.ndarray]:
    """The family is fitted to the first sizes: its errors at the others, in log means, and their covariance."""
    cells = len(moments.y)
    small = families.solve(family, moments, np.arange(first))
    errors, jacobian = small.residuals[first:], small.jacobian
    if family.floor and jacobian.shape[1] == 2 and errors.sum() > 0:
        # F = 0 fits the smaller sizes, but a floor may show at the larger ones. So F counts as uncertain. Without this
        # a late floor (1/N + 1e-7, 2000 runs) was rejected in 30 % of studies.
        jacobian = families.floor_model(family, moments).predict(small.parameters[None])[1][0]
    roots = np.sqrt(moments.weights[:first])
    predict = jacobian[first:] @ np.linalg.pinv(roots[:, None] * jacobian[:first]) * roots
    unseen = np.concatenate([-predict, np.eye(cells - first)], axis=1)
    return errors, unseen @ moments.covariance @ unseen.T


# The limits of an exponent are b -+ t SD, with b's standard deviation over the bootstrap. Percentiles of the bootstrap
# would be too narrow at few runs: resampling B runs has the variance s^2 (B-1)/B, and a normal law's tails.


def _linear_slope(family: Family, moments: Moments, replicas: np.ndarray) -> Slope:
    """The limits of the exponent of power and power-log.

    The b of power-log depends on the unit of x. Over 2^10..2^20 the law log(3N)/N has b = -1 with log log 3N, but
    -0.991 with log log N, and no residual above 0.0004 shows which is right. So b is known only as a set: the values
    for units from 1/UNITS to UNITS (from a larger one if log(u x) would be below 1). The interval covers each point of
    this set with 95 %, by the t of Imbens and Manski 2004: T(t + width / SD) - T(-t) = 0.95. A width that is only noise
    must not lessen t (Stoye 2009), so two of the width's standard deviations are subtracted.
    """
    freedom = moments.freedom
    units = _units(moments) if family.log else (1.0, 1.0)
    columns = [families.design(family, moments.logs, unit) for unit in units]
    slopes = np.stack([floors.least_squares(each, moments.weights)[1] for each in columns])
    ends = slopes @ moments.y
    replicated = _unbiased(replicas, moments) @ slopes.T
    errors = np.maximum(replicated.std(axis=0, ddof=1), ROUNDING) * _correction(freedom)
    width = abs(ends[1] - ends[0]) - 2 * (replicated[:, 1] - replicated[:, 0]).std(ddof=1)
    t = _set_quantile(max(width, 0) / errors.max(), freedom)
    half = float(special.stdtrit(freedom, 0.975) * errors.max())
    return Slope(float((ends - t * errors).min()), float((ends + t * errors).max()), half)


def _floor_slope(family: Family, solution: Solution, moments: Moments, replicas: np.ndarray) -> Slope:
    """The limits of the exponent of a family with a floor. With a logarithm they include those for other units of x."""
    freedom = moments.freedom
    y = _unbiased(replicas, moments)
    starts = np.broadcast_to(solution.parameters, (len(y), 3))
    model = families.floor_model(family, moments)
    exponents = floors.fit(model, y, moments.weights, starts, iterations=6)[:, 1]
    deviation = max(exponents.std(ddof=1), ROUNDING)
    half = float(special.stdtrit(freedom, 0.975) * deviation * _correction(freedom))
    every = np.arange(len(moments.y))
    others = _units(moments) if family.log else ()
    ends = [solution.exponent, *(families.solve(family, moments, every, unit).exponent for unit in others)]
    return Slope(min(ends) - half, max(ends) + half, half)


def _units(moments: Moments) -> tuple[float, float]:
    """The least and the greatest u of log log(u x)."""
    return max(1 / UNITS, float(np.exp(1 - moments.logs[0]))), UNITS


def _unbiased(replicas: np.ndarray, moments: Moments) -> np.ndarray:
    """Log means of bootstrap samples, corrected for their bias."""
    return replicas + np.diag(moments.covariance) / 2


def _correction(freedom: int) -> float:
    """sqrt(B / (B-1)): the factor by which a standard deviation over the bootstrap is too small."""
    return float(np.sqrt((freedom + 1) / freedom))


def _set_quantile(width: float, freedom: int) -> float:
    """The t with T(t + width) - T(-t) = 0.95: the two-sided quantile at width 0, the one-sided one for a wide set."""

    def lacking(t: float) -> float:
        return float(special.stdtr(freedom, t + width) - special.stdtr(freedom, -t) - 0.95)

    low, high = t_quantile(0.05, freedom) - 1e-9, t_quantile(0.025, freedom) + 1e-9
    return float(optimize.brentq(lacking, low, high))
