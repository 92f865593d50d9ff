"""Does a mean grow along an axis as a bound does? Exponents are compared, since the bound's constant is hidden."""

from typing import NamedTuple

import numpy as np

from .contrasts import contrast_or_line, neighbour_weights, slope_weights

MARGIN = 0.03  # exponents that differ by less are called equal


class BoundCheck(NamedTuple):
    """A measured mean against a bound along an axis; gap is the measured exponent less the bound's, end to end."""

    kind: str  # tight | loose | contradicted | inconclusive
    slope: float  # measured
    bound: float
    gap: float
    low: float  # of the gap
    high: float
    local: np.ndarray  # measured exponents between neighbours, (sizes - 1,)


def against_bound(x: np.ndarray, errors: np.ndarray, bound: np.ndarray, level: float) -> BoundCheck:
    """Does the mean of errors (sizes, runs) grow faster along x (sizes,) than bound (sizes,), slower, or as fast?

    A gap is the measured exponent less the bound's, end to end and between each two neighbours. All gaps get
    simultaneous intervals at 1 - level (`contrast_interval`, Bonferroni).

        contradicted    the gap end to end, or that of the two largest sizes, is above MARGIN
        loose           the gap end to end is below -MARGIN
        tight           the gap end to end is within MARGIN
        inconclusive    none of these is certain

    Rare runs (a lost centre) that the sample has none of are assumed to carry the same share of the mean at every size.
    No sample can show that they carry more of it at the small sizes.
    """
    order = np.argsort(x)
    x, errors, bound = x[order], errors[order], bound[order]
    contrasts = np.concatenate([slope_weights(x)[None], neighbour_weights(x)])
    shapes = contrasts @ np.log(bound)
    measured = [contrast_or_line(errors, contrast, 1 - level / len(contrasts)) for contrast in contrasts]
    low = np.array([interval.low for interval in measured]) - shapes
    high = np.array([interval.high for interval in measured]) - shapes
    return BoundCheck(
        kind=_kind(low, high),
        slope=measured[0].value,
        bound=float(shapes[0]),
        gap=measured[0].value - float(shapes[0]),
        low=float(low[0]),
        high=float(high[0]),
        local=np.array([interval.value for interval in measured[1:]]),
    )


def _kind(low: np.ndarray, high: np.ndarray) -> str:
    """The answer, from the limits of all gaps: the first is end to end, the last is of the two largest sizes."""
    if low[0] > MARGIN or low[-1] > MARGIN:
        return "contradicted"
    if high[0] < -MARGIN:
        return "loose"
    if low[0] >= -MARGIN and high[0] <= MARGIN:
        return "tight"
    return "inconclusive"
