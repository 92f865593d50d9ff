r"""Mixtures of spherical Gaussians, x ~ sum_i w_i N(mu_i, sigma_i^2 I), and the layouts that a study draws.

The separation of a mixture is C = min_{i != j} |mu_i - mu_j| / max_i sigma_i.

All is NumPy: float32, or float64 where x64 is on. What is drawn is made of words of the runs' keys (`threefry`) by
+ - * / and square roots in a written order (`ordered`), so that every machine draws the same.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

from jgmm import doors, lanes, ordered, reach, threefry

Propose = Callable[..., np.ndarray]  # as `proposed`
DRAWN = 2**20  # coordinates of a box's means that are drawn together, over all runs


class Mixture(NamedTuple):
    """Means, weights and standard deviations; trailing axes are runs."""

    means: Float[Array | np.ndarray, "k d *runs"]
    weights: Float[Array | np.ndarray, "k *runs"]
    scales: Float[Array | np.ndarray, "k *runs"]


def given(means, *, weights=None, scales=1.0) -> Mixture:
    """The mixture with these means, shape (k, d); equal weights unless given, one scale or one for each component.

    Raises ValueError for means that are not a finite (k, d) array, weights that are not k non-negative numbers with
    sum 1, scales that are not positive, or means and scales that floating point cannot hold (`reach`).
    """
    means = doors.numbers("means", means, ("k", "d"))
    if 0 in means.shape:
        raise ValueError(f"means has shape {means.shape}, expected (k, d) with k >= 1 and d >= 1")
    weights, scales = check(len(means), weights, scales)
    reach.check("means", means, norms=_norms(means), scales=scales, d=means.shape[1], dtype=_dtype())
    return Mixture(*(np.array(x, _dtype()) for x in (means, weights, scales)))


def simplex(k: int, d: int, *, separation: float, weights=None, scales=1.0) -> Mixture:
    """A regular simplex about the origin: every two means are separation * max(scales) apart.

    Its coordinates are Helmert's contrasts (Lancaster 1965, "The Helmert matrices", American Mathematical Monthly
    72(1)): a closed form, so that every machine has the same means, which rotations of equal singular values have not.
    Raises ValueError if d < k - 1, where no such simplex exists, and as `given` does.
    """
    k, d = doors.whole("k", k), doors.whole("d", d)
    if d < k - 1:
        raise ValueError(f"d is {d}, expected at least k - 1 = {k - 1} for a simplex")
    _, checked = check(k, weights, scales)
    side = _distance(separation, checked, d)
    means = np.zeros((k, d))
    for j in range(k - 1):  # orthogonal axes, each of which sets one vertex against those before it
        means[: j + 1, j] = side / math.sqrt(2 * (j + 1) * (j + 2))
        means[j + 1, j] = -(j + 1) * means[0, j]
    return given(means, weights=weights, scales=scales)


def symmetric(d: int, *, separation: float, weights=None, scales=1.0) -> Mixture:
    """Two means at +m and -m, |m| = separation max(scales) / 2, along (1, ..., 1).

    Raises ValueError as `given` does.
    """
    _, checked = check(2, weights, scales)
    d = doors.whole("d", d)
    mean = np.full(d, _distance(separation, checked, d) / 2 / math.sqrt(d))
    return given(np.stack([mean, -mean]), weights=weights, scales=scales)


def box(
    keys: Key[Array, "runs"],
    k: int,
    d: int,
    *,
    side: float,
    separation: float = 0.0,
    weights=None,
    scales=1.0,
    max_tries: int = 1000,
) -> Mixture:
    """Means uniform in [0, side]^d, given that every two are at least separation * max(scales) apart; a draw a key.

    Raises ValueError if a draw is still too close after max_tries (the box cannot hold such means, or hardly ever), and
    as `given` does, for a box whose far corner is too far as for a mean there.
    """

    return _rejection(keys, proposed, k, d, side, separation, weights, scales, max_tries)


def symmetric_box(
    keys: Key[Array, "runs"],
    d: int,
    *,
    side: float,
    separation: float = 0.0,
    weights=None,
    scales=1.0,
    max_tries: int = 1000,
) -> Mixture:
    """The course project's pair: a mean uniform in [0, side]^d and its mirror image.

    The two are at least separation * max(scales) apart.

    Raises ValueError as `box` does.
    """

    return _rejection(keys, mirrored, 2, d, side, separation, weights, scales, max_tries)


def separation(mixture: Mixture) -> Float[np.ndarray, "*runs"]:
    """min_{i != j} |mu_i - mu_j| / max_i sigma_i; infinite for one component."""
    check_whole(mixture)
    return np.asarray(closest(mixture.means) / np.asarray(mixture.scales).max(axis=0))


def closest(means: Float[Array | np.ndarray, "k d *runs"]) -> Float[np.ndarray, "*runs"]:
    """The smallest distance between two of the means; infinite for one.

    One mean after the other: beside the means it takes less than as much again.
    """
    means = np.asarray(doors.floats("means", means, ("k", "d", ...)))
    least = np.full_like(means[0, 0], np.inf)
    for i in range(1, len(means)):
        apart = (means[:i] - means[i][None]).swapaxes(0, 1)  # coordinates first: they are what is added up
        least = np.minimum(least, ordered.dot(apart, apart).min(axis=0))
    return np.asarray(np.sqrt(least))


def replicate(mixture: Mixture, num_runs: int) -> Mixture:
    """The same mixture for every run. Raises ValueError for one that has runs already."""
    check_whole(mixture)
    num_runs = doors.whole("num_runs", num_runs)
    if mixture.means.ndim != 2:
        raise ValueError(f"mixture.means has shape {mixture.means.shape}, expected (k, d)")
    return Mixture(*(np.broadcast_to(np.asarray(x)[..., None], (*x.shape, num_runs)) for x in mixture))


def check(k: int, weights, scales) -> tuple[np.ndarray, np.ndarray]:
    """The k weights and k scales that these stand for (None: equal weights; one number: the same scale for all).

    Raises ValueError for k < 1, weights that are not k non-negative numbers with sum 1, or scales not positive.
    """
    k = doors.whole("k", k)
    weights = np.full(k, 1 / k) if weights is None else doors.numbers("weights", weights, (k,))
    if not (weights >= 0).all() or not np.isclose(weights.sum(), 1, rtol=0, atol=1e-6):
        raise ValueError(f"weights {weights.tolist()} (sum {weights.sum():g}), expected non-negative numbers of sum 1")
    scales = doors.numbers("scales", scales, (), (k,), low=0)
    return weights, np.broadcast_to(scales, (k,))


def check_whole(mixture: Mixture) -> None:
    """Raises ValueError unless one of the builders could have made this mixture: it may have been made by hand."""
    doors.kind("mixture", mixture, Mixture, "of mixture.given, simplex, symmetric, box or symmetric_box")
    arrays = {name: np.asarray(x) for name, x in mixture._asdict().items()}
    means, weights, scales = arrays.values()
    for name, x in arrays.items():
        if x.dtype.kind != "f":
            raise doors.bad(f"mixture.{name}", x, "floating-point numbers")
    if means.ndim not in (2, 3) or 0 in means.shape:
        raise ValueError(f"mixture.means has shape {means.shape}, expected (k, d), or (k, d, runs)")
    for name, x in (("weights", weights), ("scales", scales)):
        if x.shape != means[:, 0].shape:
            raise ValueError(f"mixture.{name} has shape {x.shape}, expected {means[:, 0].shape} beside the means")
    for name, x, fine in (("means", means, True), ("weights", weights, weights >= 0), ("scales", scales, scales > 0)):
        if not (np.isfinite(x) & fine).all():
            raise ValueError(f"mixture.{name} holds {x[~(np.isfinite(x) & fine)][0]:g}, expected what `given` takes")
    if not np.allclose(weights.sum(axis=0), 1, rtol=0, atol=1e-5):
        raise ValueError(f"mixture.weights have the sum {np.ravel(weights.sum(axis=0))[0]:g}, expected 1")
    reach.check("mixture.means", means, norms=_norms(means), scales=scales, d=means.shape[1], dtype=means.dtype)


def _norms(means: np.ndarray) -> np.ndarray:
    """|mu_i|, in float64: (k, *runs) from (k, d, *runs), a coordinate at a time."""
    return np.sqrt(sum(np.square(means[:, j], dtype=float) for j in range(means.shape[1])))


def _dtype() -> np.dtype:
    """Of numbers that JAX makes of Python's: float64 where x64 is on."""
    return jax.dtypes.canonicalize_dtype(np.float64)


def _distance(separation, scales: np.ndarray, d: int, *, closed: bool = False) -> float:
    """separation * max(scales), checked. Raises ValueError if means so far apart are beyond floating point."""
    separation = doors.number("separation", separation, 0, closed=closed)
    distance = separation * float(scales.max())
    reach.check("separation", f"{separation:g}", norms=distance / 2, scales=scales, d=d, dtype=_dtype())
    return distance


def proposed(keys: UInt32[np.ndarray, "2 runs"], k: int, d: int, *, side: np.floating) -> Float[np.ndarray, "k d runs"]:
    """Means uniform in [0, side]^d, whatever their distances; `keys` are words of keys."""
    return uniform(keys, k * d, side.dtype).reshape(k, d, -1) * side


def mirrored(keys: UInt32[np.ndarray, "2 runs"], k: int, d: int, *, side: np.floating) -> Float[np.ndarray, "k d runs"]:
    """A mean uniform in [0, side]^d and its mirror image."""
    del k
    mean = uniform(keys, d, side.dtype) * side
    return np.stack([mean, -mean])


def uniform(keys: UInt32[np.ndarray, "2 runs"], count: int, dtype: np.dtype) -> Float[np.ndarray, "count runs"]:
    """Uniform numbers in [0, 1): the top 24 bits of a word in float32; 53 in float64, those of another word behind it.

    Both are exact, and float32's is float64's cut short: studies of either precision draw the same means.
    """
    if dtype == np.float32:
        return lanes.uniform(threefry.bits(keys, count))
    high, low = threefry.bits(keys, 2 * count).reshape(2, count, -1)
    return ((high.astype(np.uint64) << 21) | (low >> 11)).astype(dtype) * dtype.type(2**-53)


def drawn_together(k: int, d: int) -> int:
    """How many runs of a box's means are drawn together: a power of two, 32 to 1,024."""
    k, d = doors.whole("k", k), doors.whole("d", d)
    return min(max(2 ** (DRAWN // (k * d)).bit_length() // 2, 32), 1024)


def _apart(
    keys: np.ndarray, propose: Propose, k: int, d: int, side: np.floating, distance: np.floating, max_tries: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first proposal of each key whose means are this far apart, and how far apart the best proposal's were.

    A run takes the first of its tries that will do, however many are made at once: each round makes as many as all
    before it, if the width of a draw allows it.
    """
    runs, width = keys.shape[1], drawn_together(k, d)
    means, reached = np.empty((k, d, runs), side.dtype), np.zeros(runs, side.dtype)
    left, tried = np.arange(runs), 0
    while len(left) and tried < max_tries:
        more = min(max(tried, 1), width // len(left), max_tries - tried)
        tries = np.arange(tried, tried + more, dtype=np.uint32)
        of_tries = threefry.fold_in(keys[:, left, None], tries[None]).reshape(2, -1)
        proposals = propose(of_tries, k, d, side=side)
        gaps = closest(proposals).reshape(len(left), more)
        first = (gaps >= distance).argmax(axis=1)  # or 0, which is no worse than another
        reached[left] = np.maximum(reached[left], gaps.max(axis=1))
        means[..., left] = proposals[..., np.arange(len(left)) * more + first]
        left, tried = left[gaps.max(axis=1) < distance], tried + more
    return means, reached


def _rejection(keys, propose: Propose, k, d, side, separation, weights, scales, max_tries) -> Mixture:
    """Means proposed until they are far enough apart; arguments are checked here. Raises ValueError as `box` does."""
    doors.keys("keys", keys, 1)
    k, d, max_tries = (doors.whole(name, x) for name, x in (("k", k), ("d", d), ("max_tries", max_tries)))
    weights, scales = check(k, weights, scales)
    side = doors.number("side", side, 0)
    reach.check("side", f"{side:g}", norms=side * math.sqrt(d), scales=scales, d=d, dtype=_dtype())
    distance, of = _distance(separation, scales, d, closed=True), _dtype().type
    words, width = threefry.words(keys), drawn_together(k, d)
    means = np.empty((k, d, len(keys)), of)
    for low in range(0, len(keys), width):  # a draw takes several times the memory of what it keeps
        some = slice(low, low + width)
        means[..., some], reached = _apart(words[:, some], propose, k, d, of(side), of(distance), max_tries)
        if (least := reached.min()) < of(distance):
            raise ValueError(
                f"separation is {separation:g} (a distance of {distance:g}), but {max_tries} draws of {k} means in a"
                f" box of side {side:g} came no further apart than {least:.4g}: expected a smaller separation or a"
                " larger box"
            )
    fixed = (np.broadcast_to(np.array(x, of)[:, None], (k, len(keys))) for x in (weights, scales))
    return Mixture(means, *fixed)


# --- layouts, as specs name them ---


class Layout(NamedTuple):
    """Where a study's means lie.

    build(k, d, *, keys, separation, side, weights, scales) -> Mixture; keys: one for each run, where the means are
    drawn for each; side: of a box.
    check(k, d): raises ValueError for sizes that it does not have.
    words: where the means are, with {side} for a box's.
    drawn: whether they are drawn for each run. equidistant: whether every two are `separation` apart.
    dependent: how many fewer axes than k they span. Means that are not drawn need no more coordinates than k.
    """

    build: Callable[..., Mixture]
    check: Callable[[int, int], None]
    words: str
    drawn: bool = False
    equidistant: bool = False
    dependent: int = 0


def _build_symmetric(k, d, *, keys, separation, side, weights, scales) -> Mixture:
    del k, keys, side
    return symmetric(d, separation=separation, weights=weights, scales=scales)


def _build_symmetric_box(k, d, *, keys, separation, side, weights, scales) -> Mixture:
    del k
    return symmetric_box(keys, d, side=side, separation=separation, weights=weights, scales=scales)


def _build_simplex(k, d, *, keys, separation, side, weights, scales) -> Mixture:
    del keys, side
    return simplex(k, d, separation=separation, weights=weights, scales=scales)


def _build_box(k, d, *, keys, separation, side, weights, scales) -> Mixture:
    return box(keys, k, d, side=side, separation=separation, weights=weights, scales=scales)


def _pairs_only(k: int, d: int) -> None:
    del d
    if k != 2:
        raise ValueError(f"k is {k}, expected 2")


def _a_simplex(k: int, d: int) -> None:
    if d < k - 1:
        raise ValueError(f"d is {d}, expected at least k - 1 = {k - 1}")


def _any_size(k: int, d: int) -> None:
    del k, d


# To add one: a function that builds it, and a record here.
LAYOUTS: dict[str, Layout] = {
    "symmetric": Layout(_build_symmetric, _pairs_only, "means at +m and -m", equidistant=True, dependent=1),
    "symmetric-box": Layout(
        _build_symmetric_box,
        _pairs_only,
        "a mean uniform in a box of side {side:g} and its mirror image, redrawn in every run",
        drawn=True,
        dependent=1,
    ),
    "simplex": Layout(
        _build_simplex,
        _a_simplex,
        "means at the corners of a regular simplex about the origin",
        equidistant=True,
        dependent=1,
    ),
    "box": Layout(
        _build_box,
        _any_size,
        "means uniform in a box of side {side:g}, redrawn in every run until they are far enough apart",
        drawn=True,
    ),
}
