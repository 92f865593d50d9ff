"""Situations that laws are asked about, as a study would tell them: a simplex, or a pair, and streams on it."""

import math

from jgmm.theory import expected
from jgmm.theory.situation import Situation, StepLaw


def constant(rate):
    """A constant step."""
    return StepLaw("constant", (rate,))


def situation(*, samples, k=2, d=10, separation=4.0, weights=None, scales=None, sharpness=math.inf, tied=False,
              step=None, n=None, burn=None, start=0.2, random_start=True, common=True, lost=False):  # fmt: skip
    """Streaming Lloyd on a symmetric pair at a constant rate, but for what is named; start in units of the scale."""
    scales = scales or (1.0,) * k
    estimates = 1 if tied else k
    return Situation(
        k=k,
        d=d,
        weights=weights or (1 / k,) * k,
        scales=scales,
        separation=separation,
        widest=separation,
        common_separation=separation if common else None,
        largest_mean=0.0 if math.isinf(separation) else separation * max(scales),
        estimates=estimates,
        sharpness=sharpness,
        step=step or constant(0.02),
        samples=samples,
        n=n or samples,
        burn=burn,
        start_sq=estimates * (start * max(scales)) ** 2,
        start_reach=math.inf if lost else start,
        random_start=random_start,
    )


def law(**told):
    """The law of this situation."""
    about = situation(**told)
    alone = expected.with_labels(about)
    assert alone is not None
    return expected.stream(about, alone)
