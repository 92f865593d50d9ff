r"""Standard errors, intervals, exponents and tests for Monte-Carlo studies. NumPy and SciPy; nothing of jgmm.

A study has cells (settings) and runs (independent replicates); cells may share the random numbers of a run. Values have
the shape (runs,) or (cells, runs). Every estimate has a standard error. An interval is None where the runs cannot tell.
Arguments of a wrong shape, size or range raise ValueError.

    estimates       means, ratios, differences and their standard errors
    concentration   do enough runs carry a mean, or its variance?
    student         Student's t, widened for skewness
    skewed          the mean of a few skewed errors
    intervals       confidence intervals and tails of a mean
    binomial        quantiles and shares of runs, exactly
    contrasts       slopes and ratios of means that share their runs
    control_variates  control variates
    lengths         the squared length of a mean vector
    exponents       with which exponent a mean grows: trials of rival families (families, floors, moments, trials)
    bounds          a measured mean against the shape of a bound
    laws            measured means against exact laws
    looks           the level of each look at growing data
"""

from .binomial import proportion, quantile
from .bounds import BoundCheck, Growth, against_bound, growth
from .concentration import LEAST_RUNS, carried_by_few, effective_runs
from .contrasts import (
    LocalExponents,
    above_0,
    contrast_interval,
    contrast_or_line,
    contrast_parts,
    local_exponents,
    neighbour_weights,
    slope_weights,
)
from .control_variates import Controlled, controlled, controlled_interval, controlled_values, controls
from .estimates import Difference, Mean, mean, paired_difference, ratio, relative_deviation, root_mean
from .exponents import ExponentFit, fit_exponent
from .intervals import Interval, Tails, mean_interval, mean_tails
from .laws import LawCheck, against_law, runs_for_rare
from .lengths import length_tails, squared_length
from .looks import look_level
from .student import student_reach
from .trials import FamilyFit

__all__ = [
    "LEAST_RUNS",
    "BoundCheck",
    "Controlled",
    "Difference",
    "ExponentFit",
    "FamilyFit",
    "Growth",
    "Interval",
    "LawCheck",
    "LocalExponents",
    "Mean",
    "Tails",
    "above_0",
    "against_bound",
    "against_law",
    "carried_by_few",
    "contrast_interval",
    "contrast_or_line",
    "contrast_parts",
    "controlled",
    "controlled_interval",
    "controlled_values",
    "controls",
    "effective_runs",
    "fit_exponent",
    "growth",
    "length_tails",
    "local_exponents",
    "look_level",
    "mean",
    "mean_interval",
    "mean_tails",
    "neighbour_weights",
    "paired_difference",
    "proportion",
    "quantile",
    "ratio",
    "relative_deviation",
    "root_mean",
    "runs_for_rare",
    "slope_weights",
    "squared_length",
    "student_reach",
]
