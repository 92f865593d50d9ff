r"""What is sampled beside a mixture: a covariance, labels that stay, means that move; and what a back end draws from.

    l_t      the label: with probability `dwell` that of the sample before, else drawn from the weights; l_1 is drawn
    x_t      mu_l + t drift max(sigma) u + sigma_l A z_t,     u = (1, -1, 1, ...)/sqrt(d), the same for all components

Of a noise whose samples differ in width (`noise.widths`), sigma_l A z_t is wider by a factor that is drawn for each.

Labels are stationary: each has the weights as its law, and two that lie t samples apart are the same draw with
probability dwell^t. All means move together, so separations stay; errors are against the means where they are then.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from jgmm import doors
from jgmm.covariance import Covariance
from jgmm.mixture import Mixture
from jgmm.steps import Numbers


class Widths(NamedTuple):
    """What a sample's noise is multiplied by: `wide` with probability `share`, else `narrow`; float64, (runs,)."""

    share: np.ndarray
    narrow: np.ndarray
    wide: np.ndarray


class Sampling(NamedTuple):
    """How samples are drawn, where that is not as it mostly is.

    covariance: of `jgmm.covariance`, for samples in its d; None: spherical. dwell: in [0, 1), the probability that a
    label stays; 0: labels are independent. drift: how far the means move a sample, in units of the largest scale; 0:
    they stay. dwell and drift: a number, or one for each run. widths: those of a noise, which a run takes from it.
    """

    covariance: Covariance | None = None
    dwell: Numbers = 0.0
    drift: Numbers = 0.0
    widths: Widths | None = None

    @property
    def plain(self) -> bool:
        """Whether it is as it mostly is."""
        return self.covariance is None and self.widths is None and not np.any(self.dwell) and not np.any(self.drift)


PLAIN = Sampling()


class Source(NamedTuple):
    """What a back end draws from: a mixture's arrays, and the numbers of a noise.

    There may be more weights than means: where there is one mean, it is that of every label.
    """

    means: Float[Array | np.ndarray, "m d *runs"]
    weights: Float[Array | np.ndarray, "k *runs"]
    scales: Float[Array | np.ndarray, "m *runs"]
    numbers: Float[Array | np.ndarray, "n *runs"]


as_source: Callable[..., Source] = Source  # of NumPy arrays, which JAX takes for its own


def source(mixture: Mixture | Source) -> Source:
    """The mixture with no numbers; a source as it is."""
    if isinstance(mixture, Source):
        return mixture
    return as_source(*mixture, np.zeros((0, *mixture.means.shape[2:]), np.float32))


def check(sampling: Sampling, d: int, runs: int, widths: Widths | None = None) -> Sampling:
    """The same, its numbers as arrays (runs,), with the widths of a noise.

    Raises ValueError for numbers outside their range, or another d.
    """
    doors.kind("sampling", sampling, Sampling, "of jgmm.sampling")
    covariance = sampling.covariance
    if covariance is not None and covariance.spread.shape != (d,):
        raise ValueError(f"covariance is one of {len(covariance.spread)} coordinates, expected d = {d}")
    dwell = doors.numbers("dwell", sampling.dwell, (), (runs,), low=0, high=1 - 2.0**-20, closed=True)
    drift = doors.numbers("drift", sampling.drift, (), (runs,), low=0, high=1, closed=True)
    return Sampling(covariance, np.broadcast_to(dwell, (runs,)), np.broadcast_to(drift, (runs,)), widths)


def velocity(sampling: Sampling, mixture: Mixture) -> Float[np.ndarray, "d runs"]:
    """How far the means of each run move a sample, in the units of the data. sampling: as `check` gives it."""
    d = mixture.means.shape[1]
    direction = np.where(np.arange(d) % 2, -1.0, 1.0) / np.sqrt(d)
    speed = np.asarray(sampling.drift) * np.asarray(mixture.scales, np.float64).max(axis=0)
    return (direction[:, None] * speed[None]).astype(mixture.means.dtype)
