r"""Starts from data: k centres from the first m samples of each run, its head, which its stream then has behind it.

    first        the first k samples of the head that differ from all before them
    kmeans++     a sample of the head at random, then each next one with a probability in proportion to its squared
                 distance from the nearest centre so far (Arthur and Vassilvitskii 2007)
    random       m + s z: mean and standard deviation of each coordinate over the head, z standard normal

NumPy in float64 on the host, sums in a written order. Random words are of the run's own: threefry of (key, run id).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float, Integer, Key

from jgmm import lanes, ordered, threefry

Points = Float[np.ndarray, "d m runs"]
Centres = Float[np.ndarray, "k d runs"]


def first(points: Points, k: int, words: Integer[np.ndarray, "words runs"]) -> Centres:
    """The first k points of each run that differ; where fewer do, the last of all stands for the rest."""
    del words
    _, m, runs = points.shape
    chosen = np.full((k, runs), m - 1)
    found = np.zeros(runs, int)
    for t in range(m):
        new = np.ones(runs, bool)
        for c in range(k):  # as many as have been found are looked at
            other = np.take_along_axis(points, chosen[None, c : c + 1], axis=1)[:, 0]
            new &= (c >= found) | (points[:, t] != other).any(axis=0)
        new &= found < k
        chosen[found[new], np.flatnonzero(new)] = t
        found += new
        if (found == k).all():
            break
    return _at(points, chosen)


def plus_plus(points: Points, k: int, words: Integer[np.ndarray, "words runs"]) -> Centres:
    """k-means++ on each run's points."""
    _, m, runs = points.shape
    uniform = words[:k].astype(np.float64) * 2.0**-32
    chosen = np.zeros((k, runs), int)
    chosen[0] = np.minimum((uniform[0] * m).astype(int), m - 1)
    near = np.full((m, runs), np.inf)
    for c in range(1, k):
        centre = _at(points, chosen[c - 1 : c])[0]
        gaps = (x - one[None] for x, one in zip(points.astype(np.float64), centre.astype(np.float64), strict=True))
        near = np.minimum(near, ordered.add_up(gap * gap for gap in gaps))
        reached = np.add.accumulate(near)
        below = (reached <= uniform[c][None] * reached[-1][None]).sum(axis=0)
        chosen[c] = np.minimum(below, m - 1)
    return _at(points, chosen)


def random(points: Points, k: int, words: Integer[np.ndarray, "words runs"]) -> Centres:
    """Normal about the head's mean, with the head's standard deviation in each coordinate."""
    d, m, runs = points.shape
    along = np.moveaxis(points, 1, 0).astype(np.float64)
    mean = ordered.add_up(along) / m
    spread = np.sqrt(ordered.add_up((x - mean) ** 2 for x in along) / m)
    half = (k * d + 1) // 2
    normals = np.concatenate(lanes.normal_pair(words[:half], words[half : 2 * half]))[: k * d].reshape(k, d, runs)
    return (mean[None] + spread[None] * normals).astype(points.dtype)


def centres(name: str, points: Points, *, k: int, key: Key[Array, ""], run_ids: Integer[np.ndarray, "runs"]) -> Centres:
    """The start of this name, one of STARTS; at least k points a run."""
    d = len(points)
    # Words of a key of their own: those of the key itself give offsets their directions.
    keys = threefry.fold_in(
        threefry.fold_in(threefry.words(key)[:, None], run_ids), np.full(len(run_ids), 1, np.uint32)
    )
    return STARTS[name](points, k, threefry.bits(keys, 2 * ((k * d + 1) // 2)))


def _at(points: Points, chosen: Integer[np.ndarray, "c runs"]) -> Float[np.ndarray, "c d runs"]:
    """The points of these indices."""
    return np.moveaxis(np.take_along_axis(points, chosen[None], axis=1), 0, 1)


STARTS: dict[str, Callable[[Points, int, np.ndarray], Centres]] = {
    "first": first,
    "kmeans++": plus_plus,
    "random": random,
}
