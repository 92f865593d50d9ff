"""The arguments of a law: a stream's setting at one checkpoint, and its step size, as plain numbers.

A law knows no algorithm, layout or step size by name, and nothing of a stored study: the caller describes the
situation. Both records are hashable, so that costly results can be cached.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from jgmm import rates
from jgmm.theory import labelled
from jgmm.theory.labelled import Law


class StepLaw(NamedTuple):
    """A step size with a law. See docs/theory.md, "Labelled centres"."""

    rule: str  # "constant", "polynomial", or "1/n"
    numbers: tuple[float, ...]  # (rate,), (scale, power, shift), or (initial,): how many samples the start counts as

    def labelled(self, samples, weight: float) -> Law:
        """The exact law of a centre that gets only the samples of its own component, which has this weight."""
        if not weight:
            return labelled.untouched(samples)
        if self.rule == "1/n":
            return labelled.inverse_count(samples, weight=weight, initial=int(self.numbers[0]))
        return _of_mode(self, samples, weight, 1.0, None)

    def mode(self, samples: int, weight: float, relaxation: float, burn: int | None = None) -> Law:
        """The law of a direction that relaxes `relaxation` times as fast as a labelled centre.

        burn: the estimate is the average of all iterates but the first `burn`; None: it is the last iterate. Steps of
        1/n are replaced by the schedule that they follow in the mean. Raises ValueError for an average unless the rate
        is constant.
        """
        return _cached_of_mode(self, samples, weight, relaxation, burn)

    @property
    def varies(self) -> bool:
        """Whether the steps fall with the samples."""
        return self.rule != "constant"

    def fastest(self) -> float:
        """The largest step, which is the first."""
        if self.rule == "polynomial":
            return float(rates.Polynomial(*self.numbers)(0))
        return 1 / (self.numbers[0] + 1) if self.rule == "1/n" else self.numbers[0]

    def now(self, samples: int, weight: float) -> float:
        """The step after this number of samples."""
        if self.rule == "polynomial":
            return float(rates.Polynomial(*self.numbers)(samples))
        return 1 / (weight * samples + (self.numbers[0] + 1)) if self.rule == "1/n" else self.numbers[0]


def _of_mode(step: StepLaw, samples, weight: float, relaxation: float, burn: int | None) -> Law:
    if step.rule == "constant":
        (rate,) = step.numbers
        if burn is None:
            return labelled.constant(samples, rate=rate, weight=weight, relaxation=relaxation)
        return labelled.averaged(samples, rate=rate, weight=weight, burn=burn, relaxation=relaxation)
    if burn is not None:
        raise ValueError(f"rule is {step.rule!r}, expected 'constant' for the law of an average")
    if step.rule == "1/n":
        schedule = rates.Polynomial(1 / weight, 1, (step.numbers[0] + 1) / weight)
    else:
        schedule = rates.Polynomial(*step.numbers)
    return labelled.polynomial(samples, schedule=schedule, weight=weight, relaxation=relaxation)


@lru_cache(maxsize=4096)  # many checkpoints and cells ask for the same sums
def _cached_of_mode(step: StepLaw, samples: int, weight: float, relaxation: float, burn: int | None) -> Law:
    return _of_mode(step, samples, weight, relaxation, burn)


class Situation(NamedTuple):
    """A stream's setting at one checkpoint. Lengths are in units of the data unless another unit is named."""

    k: int
    d: int
    weights: tuple[float, ...]
    scales: tuple[float, ...]  # standard deviations of the components
    separation: float  # the least distance of two means over all runs, in the largest scale; inf for k = 1
    widest: float  # the largest over the runs of a run's least distance, in the same unit
    common_separation: float | None  # the distance of every two means of a simplex or symmetric pair; else None
    largest_mean: float  # the largest norm of a mean in any run
    estimates: int  # k, or 1 for the one mean of a symmetric pair
    sharpness: float | None  # beta of soft updates and EM; inf: the nearest centre moves; None: all labels are known
    step: StepLaw | None  # None: a step size without a law
    samples: int  # seen so far
    n: int  # the horizon
    burn: int | None  # how many first iterates an average leaves out; None: the estimate is the last iterate
    start_sq: float  # the start's squared error, summed over estimates, mean over runs
    start_reach: float  # the start's distance from the truth, in the largest scale; inf: a start has lost a centre
    random_start: bool  # whether the start's errors have uniformly random directions (an offset)

    @property
    def tied(self) -> bool:
        """Whether one mean is estimated for both of a symmetric pair."""
        return self.estimates < self.k

    @property
    def equal(self) -> bool:
        """Whether all components have one weight and one scale."""
        return len(set(self.weights)) == 1 and len(set(self.scales)) == 1

    @property
    def equidistant(self) -> bool:
        """Whether all pairs of means of all runs are equally far apart."""
        return self.common_separation is not None or (self.k == 2 and self.widest < self.separation * (1 + 1e-6))

    @property
    def hard(self) -> bool:
        """Whether a sample moves the nearest centre alone, as in Lloyd's algorithm."""
        return self.sharpness == math.inf
