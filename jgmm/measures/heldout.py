r"""Samples of a run's own that its stream has never seen, and what estimates make of them.

    mislabelled            share of x whose nearest estimate stands for another component than the one that x came from
    log_likelihood_gap     mean of ln p(x) - ln q(x),
                           p(x) = sum_j w*_j N(x; mu*_j, sigma*_j^2 S),   q(x) = sum_i w_i N(x; mu_i, sigma_i^2 S)

S = A A^T is the covariance's shape, which both know: I where it is spherical.
w_i and sigma_i are the algorithm's own, or those that it takes its estimates for. The gap's mean over runs estimates
Kullback and Leibler's divergence of q from p. Samples are drawn on the host, from words of fold_in(fold_in(key, run),
HELDOUT), so that a run draws the same ones at each checkpoint and in every cell; NumPy, elementwise along the runs.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt32

from jgmm import lanes, ordered, threefry
from jgmm.covariance import Covariance
from jgmm.measures import exponentials
from jgmm.measures.record import Seen
from jgmm.mixture import Mixture
from jgmm.sampling import Widths

HELDOUT = np.uint32(0x48454C44)  # of no lane, whose words are the first few of a run's key
TOGETHER = 2**21  # coordinates that are drawn at a time
KEPT = 2**24  # coordinates, at most, that are kept from one checkpoint to the next


class Drawn(NamedTuple):
    """Held-out samples of some runs, and the components that they came from."""

    runs: slice
    x: Float[np.ndarray, "m d some"]
    label: Int[np.ndarray, "m some"]


class Pairs(NamedTuple):
    """A noise's pairs (`contract.Noise`): how many words each of the two lanes gives, and what it is told.

    widths: how wide whole samples are; None: all as wide. covariance: of what is drawn; None: spherical.
    """

    pair: Callable = lanes.normal_pair
    draws: int = 1
    told: Float[np.ndarray, "n runs"] | None = None
    widths: Widths | None = None
    covariance: Covariance | None = None

    def of(self, place: slice) -> "Pairs":
        """Those of some runs."""
        told = None if self.told is None else self.told[:, place]
        widths = None if self.widths is None else Widths(*(x[place] for x in self.widths))
        return self._replace(told=told, widths=widths)


GAUSSIAN = Pairs()


class Heldout:
    """The held-out samples of some runs: `count` of each."""

    def __init__(
        self, key: UInt32[np.ndarray, "2"], run_ids: np.ndarray, mixture: Mixture, count: int, noise: Pairs = GAUSSIAN
    ):
        self.keys = threefry.fold_in(threefry.fold_in(key[:, None], run_ids), np.full(len(run_ids), HELDOUT))
        self.mixture, self.count, self.noise = Mixture(*map(np.asarray, mixture)), count, noise
        self._kept: list[Drawn] | None = None

    def blocks(self) -> Iterator[Drawn]:
        """All samples, some runs at a time; drawn once where they are few."""
        runs, d = self.keys.shape[1], self.mixture.means.shape[1]
        if self._kept is None and runs * d * self.count <= KEPT:
            self._kept = list(self._drawn())
        return iter(self._kept) if self._kept is not None else self._drawn()

    def _drawn(self) -> Iterator[Drawn]:
        runs, d = self.keys.shape[1], self.mixture.means.shape[1]
        width = max(1, TOGETHER // (d * self.count))
        for low in range(0, runs, width):
            place = slice(low, min(low + width, runs))
            mixture = Mixture(*(x[..., place] for x in self.mixture))
            yield Drawn(place, *samples(self.keys[:, place], mixture, self.count, self.noise.of(place)))


def samples(
    keys: UInt32[np.ndarray, "2 runs"], mixture: Mixture, count: int, noise: Pairs
) -> tuple[Float[np.ndarray, "m d runs"], Int[np.ndarray, "m runs"]]:
    """`count` independent samples of each run, and their labels: of each sample's words the first is the label's."""
    means, weights, scales = mixture
    d, runs = means.shape[1:]
    pairs = (d + 1) // 2
    rows = 1 + 2 * noise.draws * pairs
    words = threefry.bits(keys, count * rows).reshape(count, rows, runs)
    if noise.widths is not None:  # each label twice, as in `engine.sampler`
        weights = np.concatenate([(1 - noise.widths.share) * weights, noise.widths.share * weights])
    steps = lanes.thresholds(weights)
    label = (lanes.label_word(words[:, 0])[:, None] > steps[None]).sum(axis=1)
    lanes_of = [words[:, low : low + pairs] for low in range(1, rows, pairs)]
    told = [] if noise.told is None else [row[None, None] for row in noise.told]
    # A noise that is told numbers may be of JAX's functions, which run one by one here: nothing is fused.
    halves = noise.pair(*map(jnp.asarray, lanes_of), *map(jnp.asarray, told)) if told else noise.pair(*lanes_of)
    z = np.concatenate([np.asarray(half) for half in halves], axis=1)[:, :d].astype(means.dtype)
    if noise.covariance is not None:
        z = shaped(z, noise.covariance, noise.covariance.excess)
    width: Any = 1
    if noise.widths is not None:
        wide, label = label >= len(means), label % len(means)
        width = np.where(wide, noise.widths.wide, noise.widths.narrow).astype(means.dtype)[:, None]
    mean = np.take_along_axis(means[None], label[:, None, None], axis=1)[:, 0]
    scale = np.take_along_axis(scales[None], label[:, None], axis=1) * width
    return mean + scale * z, label


def shaped(z: np.ndarray, of: Covariance, excess: float, *, back: int = 1) -> np.ndarray:
    """A z of a covariance's A = diag(m) (I + excess V^T V), for z of shape (m, d, runs), in the type of z.

    back = -1, and the excess of the inverse: A^-1 z, as long as m or V is of nothing (`jgmm.covariance` has no other).
    """
    for direction in of.directions.astype(z.dtype):
        along = ordered.add_up(direction[:, None, None] * z.swapaxes(0, 1))
        z = z + z.dtype.type(excess) * along[:, None] * direction[None, :, None]
    return z * of.spread.astype(z.dtype)[None, :, None] ** back


def mislabelled(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The share of held-out samples whose nearest estimate stands for another component than theirs."""
    component = seen.component
    shares = []
    for drawn in seen.heldout.blocks():
        gaps = distances_sq(drawn.x, seen.origin[..., drawn.runs], seen.offset[..., drawn.runs])
        nearest = np.where(np.isnan(gaps), np.inf, gaps).argmin(axis=1)
        said = np.take_along_axis(component[None, :, drawn.runs], nearest[:, None], axis=1)[:, 0]
        shares.append((said != drawn.label).sum(axis=0) / len(drawn.label))
    return np.concatenate(shares)


def log_likelihood_gap(seen: Seen) -> Float[np.ndarray, "runs"]:
    """The mean over held-out samples of the log-likelihood of the truth less that of the estimates."""
    gaps = []
    for drawn in seen.heldout.blocks():
        place = drawn.runs
        means = np.asarray(seen.mixture.means[..., place])
        of = seen.heldout.noise.covariance
        truth = log_density(lengths_sq(drawn.x, means, np.zeros_like(means), of), seen.mixture, place, len(means[0]))
        found = lengths_sq(drawn.x, seen.origin[..., place], seen.offset[..., place], of)
        gaps.append(ordered.mean(truth - log_density(found, seen.assumed, place, len(means[0]))))
    return np.concatenate(gaps)


def lengths_sq(x: np.ndarray, origin: np.ndarray, offset: np.ndarray, of: Covariance | None) -> np.ndarray:
    """|A^-1 (x - origin_i - offset_i)|^2, as `distances_sq`; A of the covariance, the identity of None."""
    if of is None:
        return distances_sq(x, origin, offset)
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = [(x.astype(float) - origin[None, i]) - offset[None, i] for i in range(len(origin))]
        squares = [
            ordered.add_up(shaped(gap, of, 1 / (1 + of.excess) - 1, back=-1).swapaxes(0, 1) ** 2) for gap in gaps
        ]
    return np.stack(squares, axis=1)


def distances_sq(
    x: Float[np.ndarray, "m d runs"], origin: Float[np.ndarray, "e d runs"], offset: Float[np.ndarray, "e d runs"]
) -> Float[np.ndarray, "m e runs"]:
    """|x - origin_i - offset_i|^2 in float64, by difference."""
    total = np.zeros((len(x), len(origin), x.shape[-1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for j in range(x.shape[1]):
            gap = (x[:, None, j].astype(float) - origin[None, :, j]) - offset[None, :, j]
            gap *= gap
            total += gap
    return total


def log_density(squares: Float[np.ndarray, "m e runs"], of: Mixture, place: slice, d: int) -> np.ndarray:
    """ln sum_i w_i sigma_i^-d exp(-|x - mu_i|^2/(2 sigma_i^2)): (m, runs), but for (2 pi)^(-d/2)."""
    weights, scales = (np.asarray(x[..., place], float) for x in (of.weights, of.scales))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        each = (exponentials.log(weights) - d * exponentials.log(scales))[None] - squares / (2 * scales[None] ** 2)
        top = each.max(axis=1)
        whole = ordered.add_up(exponentials.exp(each - top[:, None]).swapaxes(0, 1))
        return top + exponentials.log(whole)
