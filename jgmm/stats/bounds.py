"""Does a mean grow along an axis as a bound does? Exponents are compared, since the bound's constant is hidden."""

from typing import NamedTuple

import numpy as np

from .contrasts import contrast_or_line, neighbour_weights, slope_weights
from .intervals import Interval

MARGIN = 0.03  # exponents that differ by less are called equal


class BoundCheck(NamedTuple):
    """A measured mean against a bound along an axis. Overall exponents are least-squares slopes over all sizes."""

    kind: str  # tight | loose | contradicted | inconclusive
    slope: float  # the measured exponent, overall
    bound: float  # the bound's, overall
    gap: float  # slope - bound
    low: float  # simultaneous interval of the gap
    high: float
    local: np.ndarray  # measured exponents between neighbours, (sizes - 1,)


def against_bound(x: np.ndarray, errors: np.ndarray, bound: np.ndarray, level: float) -> BoundCheck:
    """Does the mean of errors (sizes, runs) grow faster along x (sizes,) than bound (sizes,), slower, or as fast?

    A gap is the measured exponent less the bound's, overall and between each two neighbours. All gaps get simultaneous
    intervals at 1 - level (`contrast_interval`, Bonferroni).

        contradicted    the overall gap, or that of the two largest sizes, is above MARGIN
        loose           the overall gap is below -MARGIN
        tight           the overall gap is within MARGIN
        inconclusive    none of these is certain

    Rare runs (a lost centre) that the sample has none of are assumed to carry the same share of the mean at every size.
    No sample can show that they carry more of it at the small sizes.
    """
    order = np.argsort(x)
    return growth(x[order], errors[order], level).against(np.log(bound[order]))


class Growth(NamedTuple):
    """How a mean grows along an axis: exponents overall and between neighbours, with simultaneous intervals."""

    contrasts: np.ndarray  # (exponents, sizes)
    measured: list[Interval]  # (exponents,)

    def against(self, log_bound: np.ndarray) -> BoundCheck:
        """`against_bound`, of the logarithm of a bound (sizes,), which may itself be beyond the floats."""
        shapes = self.contrasts @ log_bound
        low = np.array([interval.low for interval in self.measured]) - shapes
        high = np.array([interval.high for interval in self.measured]) - shapes
        return BoundCheck(
            kind=_kind(low, high),
            slope=self.measured[0].value,
            bound=float(shapes[0]),
            gap=self.measured[0].value - float(shapes[0]),
            low=float(low[0]),
            high=float(high[0]),
            local=np.array([interval.value for interval in self.measured[1:]]),
        )


def growth(x: np.ndarray, errors: np.ndarray, level: float) -> Growth:
    """The exponents of the mean of errors (sizes, runs) along x (sizes,), in ascending order, at 1 - level together."""
    contrasts = np.concatenate([slope_weights(x)[None], neighbour_weights(x)])
    return Growth(contrasts, [contrast_or_line(errors, contrast, 1 - level / len(contrasts)) for contrast in contrasts])


def _kind(low: np.ndarray, high: np.ndarray) -> str:
    """The answer, from the limits of all gaps: the first is overall, the last is of the two largest sizes."""
    if low[0] > MARGIN or low[-1] > MARGIN:
        return "contradicted"
    if high[0] < -MARGIN:
        return "loose"
    if low[0] >= -MARGIN and high[0] <= MARGIN:
        return "tight"
    return "inconclusive"
