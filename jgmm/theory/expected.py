"""The law of a stream or a start: its expected error, exact or to first order, and the accuracy of that.

`accuracy` is how far the law may be off by its own approximations: first order in the rate, overlap, short blocks,
float32. A test of a simulation allows for it. A law that may be off by more than a tenth of itself is not given.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from jgmm.theory import em, lloyd, overlap, start
from jgmm.theory.situation import Situation, StepLaw

FLOAT32 = 1e-5  # the relative error that rounding may make in a mean squared error
WORST = 0.1  # a law that may be off by more than this share is not given
NEAR = 1 / 4  # a start farther away than this share of the separation leads to misassigned samples and lost centres
SETTLED = 1e-6  # a centre has settled when this share of its squared starting error is left


class Law(NamedTuple):
    """Expected squared error and sum of distances at a checkpoint; None where no law is known."""

    error_sq: float | None
    accuracy: float | None
    error_sum: float | None
    exact: bool = True  # False: to first order in something; `accuracy` is then larger than rounding


UNKNOWN = Law(None, None, None)


def stream(situation: Situation, alone: float) -> Law:
    """The law of a stream's estimates: `alone` plus the change by overlap.

    alone: the expected squared error of centres that get only their own components' samples, from the same starts.
    """
    if situation.sharpness is None or situation.samples == 0:
        return _accepted(situation, alone, 0.0)
    if situation.step is None or situation.start_reach > situation.separation * NEAR:
        return UNKNOWN
    if not math.isfinite(situation.separation):  # one component
        return _accepted(situation, alone, 0.0)
    if not situation.hard and len(set(situation.scales)) > 1:
        return UNKNOWN  # a narrow component gets no posterior weight once its centre is off by a few of its sigma
    try:
        return _with_overlap(situation, situation.step, alone)
    except ValueError:  # quadrature finds no fixed point
        return UNKNOWN


def streaming_em(situation: Situation, alone: float) -> Law:
    """The law of the symmetric EM: `stream`'s on a pair; on one component, once its start is forgotten, of its noise.

    See docs/theory.md, "EM with a component too many".
    """
    if situation.k > 1 or situation.samples == 0:
        return stream(situation, alone)
    step, sigma, d = situation.step, situation.scales[0], situation.d
    constant = step is not None and not step.varies and situation.burn is None
    if step is None or not constant or situation.sharpness != 1.0 or d <= em.LEAST_D or not situation.start_sq:
        return UNKNOWN
    rate, samples = step.fastest(), situation.samples
    value = float(em.em_overspecified_sq(rate=rate, sigma=sigma, d=d))
    far = max(situation.start_sq / value, value / situation.start_sq)
    left = far * math.exp(-em.overspecified_gap(rate=rate, d=d) * samples)
    return _accepted(situation, value, value * (rate + left))


def with_labels(situation: Situation) -> float | None:
    """The expected squared error of centres that get only the samples of their own components; None if not known.

    Every centre is given the mean squared start over runs and centres. None for a step size without a law. The law of
    an average needs a constant rate, equal weights and scales, and at least one sample.
    """
    step, samples, burn = situation.step, situation.samples, situation.burn
    if step is None or (burn is not None and (step.varies or samples == 0 or not situation.equal)):
        return None
    value, one_start_sq = 0.0, situation.start_sq / situation.estimates
    weights = (1.0,) if situation.tied else situation.weights
    for weight, scale in zip(weights, situation.scales, strict=False):
        law = step.labelled(samples, weight) if burn is None else step.mode(samples, weight, 1.0, burn)
        value += float(law.kept) * one_start_sq + float(law.noise) * scale**2 * situation.d
    return value


class StartSizes(NamedTuple):
    """The sizes of Algorithm 2: all its samples, the samples of a block, and the samples in the graph."""

    samples: int
    block: int
    graph_points: int


def started_by_algorithm2(situation: Situation, sizes: StartSizes, means: np.ndarray, *, fixed: bool) -> Law:
    """The law of a start by Algorithm 2, given that its graph found the components: to first order in 1/B and 1/k0.

    means: those of all runs if `fixed`, else of the first run, (k, d), or without coordinates that are 0. The accuracy
    adds up what the law leaves out: second order in 1/(B w) and 1/(k0 w); a signal that is not large beside sigma^2;
    what a finite number of blocks leaves of the power iteration's start; a component without a sample in the last
    block; and points of two components so near each other (about sigma) that the graph joins the two and splits
    another. See docs/theory.md, "The start by Algorithm 2".
    """
    if not situation.equal:
        return UNKNOWN
    k, d, sigma, weights = situation.k, situation.d, situation.scales[0], np.array(situation.weights)
    light, c = min(situation.weights), situation.separation
    block, graph_points = sizes.block, sizes.graph_points
    errors = start.seeding_error_sq(means, weights, sigma=sigma, block=block, graph_points=graph_points, d=d)
    value = float(np.sum(errors))
    signal = np.linalg.eigvalsh((means.T * weights) @ means)
    fall = sigma**2 / (sigma**2 + float(signal[signal > 1e-9 * signal.max()].min()))  # a block multiplies noise by this
    size_sq = float(np.sum(means**2))
    blocks = (sizes.samples - sizes.graph_points) // sizes.block
    near = k * (k - 1) / 2 * (sizes.graph_points * light) ** 2 * float(stats.norm.sf((c - 1) / math.sqrt(2)))
    accuracy = (2 / sizes.block + 1 / sizes.graph_points) / light * value
    accuracy += fall ** (2 if fixed else 1) * value
    accuracy += size_sq * (d * fall ** (2 * blocks) + float(start.lost_component_probability(k, block=sizes.block)))
    accuracy += near * k * (c * sigma) ** 2
    return _accepted(situation, value, accuracy)


def _with_overlap(situation: Situation, step: StepLaw, alone: float) -> Law:
    if situation.equal and situation.equidistant:
        change, accuracy = overlap.symmetric(situation, step)
        if not situation.random_start:
            accuracy += overlap.uneven(situation, step)
        value = alone + change
    else:
        value, accuracy = alone, overlap.most(situation, step)
    return _accepted(situation, value, accuracy, _settled_distance(situation) if accuracy < FLOAT32 * value else None)


def _settled_distance(situation: Situation) -> float | None:
    """The expected sum of distances of settled centres without misassigned samples; None if they have not settled."""
    step = situation.step
    if not situation.hard or step is None or step.varies or situation.burn is not None or not situation.equal:
        return None
    rate = step.fastest()
    if lloyd.contraction(rate=rate, weight=situation.weights[0]) ** situation.samples > SETTLED:
        return None
    return situation.k * float(lloyd.stationary_distance(rate=rate, sigma=situation.scales[0], d=situation.d))


def _accepted(situation: Situation, value: float, accuracy: float, distance: float | None = None) -> Law:
    """The law, or UNKNOWN if its value is outside float32's range or its accuracy is above WORST.

    Rounding samples and means to 2^-23 of the largest mean is a noise that counts where that mean is far out.
    """
    grain = situation.largest_mean * 2.0**-23 / min(situation.scales)
    accuracy += (FLOAT32 + grain * grain / 6) * abs(value)
    measurable = value == 0 or 1e-30 < abs(value) < 1e30  # not nan, not infinite, not where squares leave float32
    if not measurable or not accuracy <= WORST * abs(value):
        return UNKNOWN
    return Law(value, accuracy, distance, exact=accuracy <= 10 * FLOAT32 * abs(value))
