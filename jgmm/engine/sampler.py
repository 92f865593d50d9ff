r"""A sample made of its label and raw noise, as part of a kernel's step: what `jgmm.sampling` says.

    x = mu_l + t v + sigma_l w (m * z + excess V^T V z)

The back end draws z and a label, from one mean of 0 and a scale of 1 for all labels. Where labels stay, there is one
label more, the first, of probability `dwell`: the label before. Where samples differ in width w, there is each label
twice, first of narrow samples, then of wide ones. All back ends compile it as they compile a step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jgmm import lanes, sampling, threefry
from jgmm.contract import Kernel, Sample
from jgmm.lanes import LaneState
from jgmm.loops import over_coordinates
from jgmm.mixture import Mixture
from jgmm.sampling import Sampling, Source, as_source


class Given(NamedTuple):
    """What samples are made from; None: not wanted."""

    means: Float[Array, "k d *runs"]
    scales: Float[Array, "k *runs"]
    spread: Float[Array, "1 d *runs"] | None
    directions: Float[Array, "r d *runs"] | None
    excess: Float[Array, "*runs"] | None
    velocity: Float[Array, "1 d *runs"] | None
    widths: Float[Array, "2 *runs"] | None = None


class Carried(NamedTuple):
    """The label before, and how many samples there have been; None: not wanted."""

    label: Int[Array, "*runs"] | None
    seen: Int[Array, ""] | None


_given: Callable[..., Given] = Given  # of NumPy arrays
_carried: Callable[..., Carried] = Carried


def made(carried: Carried, raw: Sample, given: Given) -> tuple[Carried, Sample]:
    """The sample that the raw one stands for: z in the place of x, and a label or, 0, that it stays."""
    label, z, seen = raw.label, raw.x, carried.seen
    width = None
    if given.widths is not None:
        labels = len(given.means) + (carried.label is not None)
        wide = label >= labels
        label, width = jnp.where(wide, label - labels, label), jnp.where(wide, given.widths[1], given.widths[0])
    if carried.label is not None:
        label = jnp.where(label == 0, carried.label, label - 1)
    if given.directions is not None and given.excess is not None:
        z = z + _along(z, given.directions, given.excess)
    if given.spread is not None:
        z = given.spread[0] * z
    centre, scale = given.means[0], given.scales[0]
    for i in range(1, len(given.means)):
        here = label == i
        centre, scale = jnp.where(here[None], given.means[i], centre), jnp.where(here, given.scales[i], scale)
    if width is not None:
        scale = scale * width
    x = centre + scale[None] * z
    if given.velocity is not None and seen is not None:
        seen = seen + 1
        x = x + seen.astype(x.dtype) * given.velocity[0]
    return Carried(None if carried.label is None else label, seen), Sample(x, label)


def _along(
    z: Float[Array, "d *runs"], directions: Float[Array, "r d *runs"], excess: Float[Array, "*runs"]
) -> Float[Array, "d *runs"]:
    """excess V^T V z."""
    added = jnp.zeros_like(z)
    for direction in directions:
        part = over_coordinates(len(z), lambda j, v=direction: v[j] * z[j], jnp.zeros_like(z[0]))
        added = added + (excess * part)[None] * direction
    return added


class Opened(NamedTuple):
    """What a back end opens in the place of a mixture, and what a step is given to make samples from."""

    source: Source
    given: Given
    carried: Carried


class Drawn(NamedTuple):
    """What samples are drawn from; and where they are made in a step, what that is given and what it carries."""

    source: Source
    given: Any = None
    carried: Any = None


def opened(how: Sampling, mixture: Mixture, words: LaneState, numbers: Any) -> Opened:
    """For these runs, behind these lanes. how: as `sampling.check` gives it. numbers: of the noise."""
    means, weights, scales = mixture
    dtype, runs = means.dtype, means.shape[-1]
    spread = directions = excess = velocity = label = seen = None
    if how.covariance is not None:
        of = how.covariance
        if (of.spread != 1).any():
            spread = _of_runs(of.spread[None], dtype, runs)
        if len(of.directions):
            directions, excess = _of_runs(of.directions, dtype, runs), np.full(runs, of.excess, dtype)
    if np.any(how.drift):
        velocity, seen = sampling.velocity(how, mixture)[None], np.int32(0)
    if np.any(how.dwell):
        label = _first(words, np.asarray(weights))
        dwell = np.asarray(how.dwell, np.float64)
        weights = np.concatenate([dwell[None], (1 - dwell[None]) * np.asarray(weights, np.float64)]).astype(dtype)
    widths = None
    if how.widths is not None:
        share, narrow, wide = how.widths
        weights = np.concatenate([part[None] * np.asarray(weights, np.float64) for part in (1 - share, share)]).astype(
            dtype
        )
        widths = np.stack([narrow, wide]).astype(dtype)
    still, one = np.zeros((1, *means.shape[1:]), dtype), np.ones((1, runs), dtype)
    given = _given(np.asarray(means), np.asarray(scales), spread, directions, excess, velocity, widths)
    return Opened(as_source(still, weights, one, numbers), given, _carried(label, seen))


def _of_runs(x: np.ndarray, dtype: Any, runs: int) -> np.ndarray:
    return np.broadcast_to(x.astype(dtype)[..., None], (*x.shape, runs))


def _first(words: LaneState, weights: np.ndarray) -> np.ndarray:
    """A label for each run from its weights, from bits of its own: a hash of where the label's lane stands."""
    keys = np.stack([np.asarray(words.s1)[0], np.asarray(words.s2)[0]])
    bits = threefry.bits(keys, 1)
    word = lanes.label_word(bits)
    return (word > lanes.thresholds(np.asarray(weights))).sum(axis=0).astype(np.int32)


# --- a kernel that is not an algorithm's ---


@dataclass(frozen=True)
class Before:
    """A step on samples that are made first; two of the same step are equal. State and params: (made from, its own)."""

    step: Callable[..., Any]

    def __call__(self, state: tuple, sample: Sample, params: tuple) -> tuple:
        carried, sample = made(state[0], sample, params[0])
        return carried, self.step(state[1], sample, params[1])


@dataclass(frozen=True)
class End:
    """The end that belongs to such a step."""

    end: Callable[..., Any]

    def __call__(self, state: tuple, params: tuple) -> tuple:
        return state[0], self.end(state[1], params[1])


def before(kernel: Kernel) -> Kernel:
    """The kernel on samples that are made first."""
    return kernel._replace(step=Before(kernel.step), end=None if kernel.end is None else End(kernel.end))


def last(state: Any, sample: Sample, params: Any) -> Any:
    """A step that keeps the sample alone: the state is (1, d, *runs)."""
    del state, params
    return sample.x[None]
