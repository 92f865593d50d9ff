"""What a law is told of a stream: its setting at one checkpoint, and its step size, as plain numbers.

A law knows no algorithm, layout or step size by name, nor what is stored of a study: whoever asks describes the
situation. Both records are hashable, so that what is costly can be kept for the many that share it.
"""

import math
from functools import lru_cache
from typing import NamedTuple

from jgmm import rates
from jgmm.theory import labelled
from jgmm.theory.labelled import Law


class StepLaw(NamedTuple):
    """What laws ask of a step size. See docs/theory.md, "Labelled centres"."""

    rule: str  # "constant", "polynomial", or "1/n"
    numbers: tuple[float, ...]  # (rate,), (scale, power, shift), or (initial,): the samples that a start counts as

    def labelled(self, samples, weight: float) -> Law:
        """The exact law of a centre that gets only the samples of its own component, of this weight."""
        if not weight:
            return labelled.untouched(samples)
        if self.rule == "1/n":
            return labelled.inverse_count(samples, weight=weight, initial=int(self.numbers[0]))
        return _of_mode(self, samples, weight, 1.0, None)

    def mode(self, samples: int, weight: float, relaxation: float, burn: int | None = None) -> Law:
        """The law of a direction that relaxes `relaxation` times as fast as a labelled centre.

        Steps of 1/n are taken as the schedule that they follow in the mean. burn: of the average of all iterates but
        the first `burn`; None: of the last iterate. Raises ValueError for an average at other than a constant rate.
        """
        return _kept_of_mode(self, samples, weight, relaxation, burn)

    @property
    def varies(self) -> bool:
        """Whether the first steps are larger than the others."""
        return self.rule != "constant"

    def fastest(self) -> float:
        """The largest step."""
        if self.rule == "polynomial":
            return float(rates.Polynomial(*self.numbers)(0))
        return 1 / (self.numbers[0] + 1) if self.rule == "1/n" else self.numbers[0]

    def now(self, samples: int, weight: float) -> float:
        """The step after so many samples."""
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


@lru_cache(maxsize=4096)  # sums that the modes of many checkpoints and cells share
def _kept_of_mode(step: StepLaw, samples: int, weight: float, relaxation: float, burn: int | None) -> Law:
    return _of_mode(step, samples, weight, relaxation, burn)


class Situation(NamedTuple):
    """A stream's setting at one checkpoint. Lengths are in the units of the data where no other unit is named."""

    k: int
    d: int
    weights: tuple[float, ...]
    scales: tuple[float, ...]  # standard deviations of the components
    separation: float  # distance of the closest two means of any run, in the largest scale; inf for k = 1
    widest: float  # the same of the run whose closest two are farthest apart
    common_separation: float | None  # what every two means are built apart (simplex, symmetric pair); None elsewhere
    largest_mean: float  # of any run
    estimates: int  # k, or 1 for the one mean of a symmetric pair
    sharpness: float | None  # beta of soft updates and EM, inf: of nearest-centre updates, None: all labels are known
    step: StepLaw | None  # None: one without a law
    samples: int  # seen so far
    n: int  # the horizon
    burn: int | None  # first iterates that an average leaves out; None: the last iterate is the estimate
    start_sq: float  # squared error of the start, summed over estimates, in the mean over runs
    start_reach: float  # how far a start is from the truth, in the largest scale; inf: some have lost a centre
    random_start: bool  # whether the start errs in uniformly random directions (an offset), not in ways of its own

    @property
    def tied(self) -> bool:
        """Whether one mean stands for both of a pair."""
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
        """Whether the nearest centre wins a sample whole, as in Lloyd's algorithm."""
        return self.sharpness == math.inf
