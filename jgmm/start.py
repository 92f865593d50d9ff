r"""Where streams begin: at an offset from the truth, from their first samples, or by Algorithm 2 of the paper.

Algorithm 2 finds the subspace of the means from the first samples of each run, by block power iteration (or Oja's
rule), and the centres from a neighbour graph of the next samples, projected to that subspace. A back end draws the
samples and runs the power iteration; all else is NumPy and SciPy.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jgmm import doors, errors, heads, lanes, named, ordered, reach
from jgmm.algorithms import graph, pca
from jgmm.contract import Choice, Kernel, Noise, Numbers
from jgmm.engine import choose, machine, reduced_power, reduction, sampler
from jgmm.engine.run import Progress, advance
from jgmm.engine.runs import Batch, means_beside, normals
from jgmm.errors import CentreError
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture, check_whole
from jgmm.noise import told, widths
from jgmm.sampling import PLAIN, Sampling, as_source, check

POINTS_BYTES = 2**26  # of the graph points of the runs that are drawn together
NO_SAMPLES: Any = np.int32(0)  # that Oja's rule has seen


class Seeding(NamedTuple):
    """Starting centres, and how they came about."""

    means: Float[np.ndarray, "k d runs"]
    num_components: Int[np.ndarray, "runs"]  # of the graph; a run has succeeded where it is k
    basis: Float[np.ndarray, "r d runs"]
    back_end: Choice  # of the power iteration


class GraphExample(NamedTuple):
    """The graph step of the batch's first run, to look at."""

    points: np.ndarray  # (n, d)
    projected: np.ndarray  # (n, r)
    component: np.ndarray  # (n,), rank by size; k and beyond lumped as k


def offset_start(
    key: Key[Array, ""], batch: Batch, offset: Numbers, *, estimates: int | None = None
) -> Float[np.ndarray, "e d runs"]:
    """The true means, each moved by offset * max(scales) in a uniformly random direction of the run's own.

    key: of threefry. offset: a number, at least 0, or one for each run. estimates: how many; None: one for each
    component. Of more, estimate i starts at component i mod k, in a direction of its own; fewer start at the heaviest
    components (the lowest index wins a tie).
    Raises ValueError for others, and for an offset that is lost in the rounding of the means (`reach.check_start`).
    """
    doors.keys("key", key)
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    means, _, scales = map(np.asarray, batch.mixture)
    d, runs = means.shape[1:]
    offset = doors.numbers("offset", offset, (), (runs,), low=0, closed=True)
    reach.check_start("offset", offset, means=means, scales=scales)
    if estimates is not None:
        means = np.take_along_axis(means, homes(np.asarray(batch.mixture.weights), estimates)[:, None], axis=0)
    distance = np.broadcast_to(offset.astype(means.dtype), (runs,)) * scales.max(axis=0)
    if batch.space is not None:
        moves = reduction.directions(key, batch, len(means))
        beyond = np.zeros((len(means), moves.shape[1] - d, runs), means.dtype)
        means = np.concatenate([means, beyond], axis=1)
    else:
        moves = normals(key, batch.run_ids, k=len(means), d=d).astype(means.dtype)
    sizes = np.sqrt(np.stack([ordered.dot(move, move) for move in moves]))
    return means + distance[None, None] * (moves / sizes[:, None]).astype(means.dtype)


def homes(weights: Float[np.ndarray, "k runs"], estimates: int) -> Int[np.ndarray, "e runs"]:
    """The component that each of so many estimates starts at: i mod k of k or more, else the heaviest."""
    k, runs = weights.shape
    estimates = doors.whole("estimates", estimates)
    if estimates < k:
        return np.argsort(-weights, axis=0, kind="stable")[:estimates]
    return np.broadcast_to(np.arange(estimates)[:, None] % k, (estimates, runs))


def from_data(
    key: Key[Array, ""],
    batch: Batch,
    name: str,
    *,
    head: int,
    estimates: int | None = None,
    noise: Noise | str = "gaussian",
    back_end: str = "auto",
) -> tuple[Batch, Float[np.ndarray, "e d runs"]]:
    """A start from the first `head` samples of every run (`heads`), and the batch behind these.

    key: of threefry. name: "first", "kmeans++" or "random". estimates: how many centres; None: one a component.
    Raises ValueError for another name, a head of fewer samples than centres, or a back end that cannot be.
    """
    doors.keys("key", key)
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    if batch.space is not None:
        raise ValueError("the batch has a d of its own, expected all dimensions for a start that is made of samples")
    doors.choice("name", name, tuple(heads.STARTS))
    estimates = None if estimates is None else doors.whole("estimates", estimates)
    head, k = doors.whole("head", head), len(batch.mixture.means) if estimates is None else estimates
    noise = named.load("noise", noise) if isinstance(noise, str) else noise
    doors.kind("noise", noise, Noise, "of jgmm.noise")
    if head < k:
        raise ValueError(f"head is {head}, expected at least {k} samples, one a centre")
    if noise.widths is not None:
        raise ValueError(
            f"start is {name!r} with {noise.words}: expected another start, or noise of one width a sample"
        )
    draw = choose.load(choose.choose(back_end).name).draw
    source = as_source(*batch.mixture, told(noise, len(batch.run_ids)))
    words, points = draw(batch.words, source, head, pair=noise.pair, draws=noise.draws)
    means = heads.centres(name, points, k=k, key=key, run_ids=batch.run_ids)
    return batch._replace(words=words), means


def seed(
    key: Key[Array, ""],
    batch: Batch,
    *,
    n: int,
    block: int,
    graph_points: int,
    neighbors: int,
    method: str = "block",
    noise: Noise | str = "gaussian",
    sampling: Sampling = PLAIN,
    back_end: str = "auto",
    progress: Progress | None = None,
) -> tuple[Batch, Seeding, GraphExample]:
    """Algorithm 2 on the first n samples of every run; the batch returned stands behind them.

    `n - graph_points` samples go through block power iteration in blocks of `block` (what is left of the last block is
    drawn and not used), the last `graph_points` through the neighbour graph. The example is the first run's graph.
    method: "block" (the paper's), or "oja" for Oja's rule in its place, at the rate of `oja_rate`, orthonormalised
    after each block. back_end: as in `engine.run.run`. Of a batch with a d of its own (`jgmm.batch`) the law is that of
    all d dimensions; the batch returned has its means in the axes that they span, and starts, basis and points have k
    more coordinates.
    Raises ValueError if k > d, if the sizes leave no block or no graph, if squares of a block's sums leave floating
    point (`reach.check_power`), for an unknown method, or for a back end that cannot be; with a d of its own, also for
    another method than "block", for samples that are not independent, spherical and Gaussian, or if d is too small.
    """
    doors.keys("key", key)
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    k, d, runs = batch.mixture.means.shape
    d = d if batch.space is None else int(batch.space.d.min())
    sizes = {"n": n, "block": block, "graph_points": graph_points, "neighbors": neighbors}
    n, block, graph_points, neighbors = (doors.whole(name, value) for name, value in sizes.items())
    check_seeding(k=k, d=d, n=n, block=block, graph_points=graph_points, neighbors=neighbors)
    doors.choice("method", method, ("block", "oja"))
    doors.called("progress", progress)
    blocks, unused = divmod(n - graph_points, block)
    noise = named.load("noise", noise) if isinstance(noise, str) else noise
    doors.kind("noise", noise, Noise, "of jgmm.noise")
    sampling = check(sampling, batch.mixture.means.shape[1], runs, widths(noise, runs))
    given = batch
    state: Any
    params: Any
    if batch.space is None:
        check_power(batch.mixture, block=block)
        kernel, state, params = (_power if method == "block" else _oja)(frames(key, batch), batch.mixture)
    else:
        reduced_power.check(method, noise, sampling)
        check_power(batch.mixture, block=block, d=int(batch.space.d.max()))
        batch = reduced_power.prepared(batch)
        kernel, state, params = reduced_power.opened(key, batch)
    kernel = kernel._replace(pair=noise.pair, draws=noise.draws)
    drawn = _drawn_from(batch, noise, sampling)
    if drawn.given is not None:
        kernel, state, params = sampler.before(kernel), (drawn.carried, state), (drawn.given, params)
    stream, chosen = choose.opened(back_end, kernel, batch.words, state, params, drawn.source)
    advance(stream, blocks, live=runs, block=block, progress=progress)
    words, after = stream.words(), stream.state()
    if drawn.given is not None:
        drawn, after = drawn._replace(carried=after[0]), after[1]
    basis = after.basis
    words = lanes.past(words, unused, draws=noise.draws)
    words, starts, example = _by_graph(drawn, words, basis, k, graph_points, neighbors, chosen, noise)
    means = np.stack([start.means for start in starts], axis=-1)
    counts = np.stack([start.num_components for start in starts])
    stood = batch._replace(words=words)
    stood = stood if given.space is None else reduced_power.stood(given, stood, after.words)
    return stood, Seeding(means, counts, basis, chosen), example


def frames(key: Key[Array, ""], batch: Batch) -> Float[np.ndarray, "r d runs"]:
    """A uniformly random orthonormal frame for each run."""
    k, d, _ = batch.mixture.means.shape
    columns = normals(key, batch.run_ids, k=k, d=d)
    return ordered.span(columns, tolerance=0.0).astype(batch.mixture.means.dtype)


def _power(basis: Any, mixture: Mixture) -> tuple[Kernel, Any, dict[str, Any]]:
    del mixture
    return pca.POWER, pca.PowerState(basis, np.zeros_like(basis)), {}


def _oja(basis: Any, mixture: Mixture) -> tuple[Kernel, pca.OjaState, dict[str, Any]]:
    """Oja's rule from a basis: kernel, state and params."""
    gap, shift = (x.astype(basis.dtype) for x in oja_rate(mixture))
    log_d = basis.dtype.type(ordered.ln(max(basis.shape[1], 3)))
    return pca.OJA, pca.OjaState(basis, NO_SAMPLES), {"log_d": log_d, "gap": gap, "shift": shift}


def _by_graph(
    drawn: sampler.Drawn,
    words: LaneState,
    basis: np.ndarray,
    k: int,
    graph_points: int,
    neighbors: int,
    chosen: Choice,
    noise: Noise,
) -> tuple[LaneState, list[graph.GraphStart], GraphExample]:
    """The starts of all runs from their next `graph_points` samples.

    Drawn some runs at a time, as many as POINTS_BYTES allows; each run's graph is its own, so cores share them.
    """
    d, runs = basis.shape[1:]
    whole = words, drawn
    together = max(1, POINTS_BYTES // (graph_points * d * basis.itemsize))
    starts: list[graph.GraphStart] = []
    after: list[LaneState] = []
    with ThreadPoolExecutor(machine.cores()) as pool:
        for low in range(0, runs, together):
            words_of_some, drawn_of_some = jax.tree.map(lambda x, low=low: x[..., low : low + together], whole)
            ahead, points = _points(words_of_some, drawn_of_some, graph_points, chosen, noise)
            after.append(ahead)
            of_some = basis[..., low : low + together]
            cut = graph.parts(graph_points, len(basis), points.shape[-1])
            made = list(pool.map(partial(_graphs, of_some, points, k, neighbors), cut))
            starts += [start for some, _ in made for start in some]
            if low == 0:
                first, component = points[..., 0].T, made[0][1][:, 0]
    example = GraphExample(first, graph.project(basis[..., 0], first.T).T, component)
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *after), starts, example


def _graphs(basis: np.ndarray, points: np.ndarray, k: int, neighbors: int, runs: slice) -> tuple[list, np.ndarray]:
    """`graph.centres` of some runs."""
    return graph.centres(basis[..., runs], points[..., runs], k=k, neighbors=neighbors)


def _drawn_from(batch: Batch, noise: Noise, how: Sampling) -> sampler.Drawn:
    """What Algorithm 2's samples are drawn from. Raises ValueError for means that move: there is no one truth then."""
    if np.any(how.drift):
        raise ValueError("drift is above 0: expected a start at or near the truth, not Algorithm 2")
    numbers = told(noise, len(batch.run_ids))
    if how.plain:
        return sampler.Drawn(as_source(*batch.mixture, numbers))
    return sampler.Drawn(*sampler.opened(how, batch.mixture, batch.words, numbers))


def _points(
    words: LaneState, drawn: sampler.Drawn, count: int, chosen: Choice, noise: Noise
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next samples, and those; of samples that are made in a step one after the other."""
    back_end = choose.load(chosen.name)
    if drawn.given is None:
        return back_end.draw(words, drawn.source, count, pair=noise.pair, draws=noise.draws)
    kernel = sampler.before(Kernel(sampler.last, pair=noise.pair, draws=noise.draws))
    x = np.zeros_like(drawn.source.means)
    stream = back_end.open(kernel, words, (drawn.carried, x), (drawn.given, {}), drawn.source)
    points = np.empty((x.shape[1], count, x.shape[-1]), x.dtype)
    for i in range(count):
        stream.advance(1)
        points[:, i] = np.asarray(stream.state()[1])[0]
    return stream.words(), points


def oja_rate(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """gap and t0 of the rate ln d / (gap (t0 + t)) for each run (Jain, Jin, Kakade, Netrapalli and Sidford 2016).

    gap is the smallest positive eigenvalue of sum_j w_j mu_j mu_j^T (what stands out of the noise); t0 makes the first
    step at most 1 / E|x|^2. Both are known to the simulator, not to an algorithm: a baseline at its best.
    """
    check_whole(mixture)
    means, weights, scales = (np.asarray(x, np.float64) for x in mixture)
    if means.ndim != 3:
        raise ValueError(f"mixture.means has shape {means.shape}, expected (k, d, runs)")
    d = means.shape[1]
    rows = means * np.sqrt(weights)[:, None]
    # Those of the moment that are not zero are those of the k x k matrix of inner products.
    eigenvalues = ordered.eigenvalues(np.array([[ordered.dot(a, b) for b in rows] for a in rows]))
    gap = np.where(eigenvalues > 1e-9 * eigenvalues.max(axis=0), eigenvalues, np.inf).min(axis=0)
    power = ordered.add_up(ordered.dot(row, row) for row in rows) + d * ordered.dot(weights, scales * scales)
    return gap, ordered.ln(max(d, 3)) * power / gap


def check_seeding(*, k: int, d: int, n: int, block: int, graph_points: int, neighbors: int) -> None:
    """Raises ValueError if Algorithm 2 cannot run with these sizes."""
    sizes = {"k": k, "d": d, "n": n, "block": block, "graph_points": graph_points, "neighbors": neighbors}
    k, d, n, block, graph_points, neighbors = (doors.whole(name, value) for name, value in sizes.items())
    if k > d:
        raise ValueError(f"k is {k}, expected at most d = {d}: seeding needs k directions")
    if block < k:
        raise ValueError(f"block is {block}, expected at least k = {k}")
    if graph_points < k or neighbors < 1 or neighbors >= graph_points:
        raise ValueError(
            f"graph_points is {graph_points} and neighbors {neighbors}, expected graph_points >= k = {k}"
            " and 1 <= neighbors < graph_points"
        )
    if n - graph_points < block:
        raise ValueError(
            f"n is {n}, expected at least block + graph_points = {block + graph_points}: one step of power iteration"
        )


def check_power(mixture: Mixture, *, block: int, d: int | None = None) -> None:
    """Raises ValueError if the power iteration over such blocks leaves floating point (`reach.check_power`).

    d: the dimension, where the means are 0 in further coordinates; None: they are not.
    """
    check_whole(mixture)
    block = doors.whole("block", block)
    means, scales = np.asarray(mixture.means), np.asarray(mixture.scales)
    norm = float(np.sqrt((means.astype(float) ** 2).sum(axis=1).max()))
    d = means.shape[1] if d is None else doors.whole("d", d)
    for scale in (float(scales.min()), float(scales.max())):
        reach.check_power(block=block, norm=norm, scale=scale, d=d, dtype=means.dtype)


def measure(start: Float[np.ndarray, "e d runs"], batch: Batch) -> CentreError:
    """Errors of starting estimates, as NumPy arrays of shape (runs,). Raises ValueError for another shape."""
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    means = means_beside(start, batch)
    doors.floats("start", start, ("e", *means.shape[1:]))
    begin = np.asarray(start, means.dtype)
    if len(begin) > len(means):
        raise ValueError(f"start has {len(begin)} estimates, expected at most {len(means)}")
    component = errors.match(errors.squared_distances(begin, np.zeros_like(begin), means)).component
    origin = np.take_along_axis(means, component[:, None], axis=0)
    return errors.centre_errors(origin, begin - origin, means)


def measure_subspace(basis: Float[np.ndarray, "r d runs"], batch: Batch) -> np.ndarray:
    """`errors.subspace_distance` of every run. Raises ValueError for a basis of another shape."""
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    means = means_beside(basis, batch)
    doors.floats("basis", basis, ("r", *means.shape[1:]))
    return errors.subspace_distance(basis, means)
