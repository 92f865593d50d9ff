r"""Many independent runs at once: their bits, starts, streams and errors, spread over all devices.

A run is addressed by (key, run id); what it does never depends on the runs beside it, on the devices, or on how its
stream is cut into calls. Inside a device program nothing is exchanged. The run axis is padded to a multiple of 32 on
every device, so that a run alone takes the same vector instructions, and gives the same bits, as among others.

What comes before and after a stream (starts, matchings, errors) is NumPy on the host, elementwise along the runs.

A stream is driven from the host in calls of about half a second, so that it can be watched and stopped.
"""

import importlib
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Integer, Key

from jgmm import (
    apart,
    doors,
    em,
    kernels,
    lanes,
    lloyd,
    machine,
    metrics,
    ordered,
    pca,
    rates,
    reach,
    seeding,
    soft,
    stream,
    threefry,
    tiling,
)
from jgmm.kernels import Choice, NotOnVectors
from jgmm.lanes import LaneState
from jgmm.metrics import CentreError
from jgmm.mixture import Mixture, check_whole, replicate
from jgmm.seeding import Seeding
from jgmm.stream import Sample

VECTORS = {"xla_cpu_prefer_vector_width": 512}  # a CPU's widest; XLA takes 256 bits unless told
LEAST_WIDTH = 64  # of a pack, on each device
WORTH_CUTTING = 1e11  # coordinates (runs x samples x k x d) that must be saved to pay for compiling a narrower program
POINTS_BYTES = 2**26  # of the graph points of the runs that are drawn together
CALL_SECONDS = 0.5  # a device call's length on the host's clock

# A step size: one number, one for each run, a schedule of samples seen, or what turns gradients into steps.
Numbers: TypeAlias = float | int | np.number | np.ndarray | Array | Sequence[float] | Sequence[int]
Rate: TypeAlias = Numbers | rates.Polynomial | optax.GradientTransformation | optax.MultiSteps | Callable
Progress = Callable[[int], None]  # told how many samples (of all runs together) have been consumed since the last call


class Batch(NamedTuple):
    """Runs ready to stream, padded and laid on `mesh`. The first `num_runs` are real.

    They stream on the devices of `streams`: the same, or the accelerators that `mesh` is beside (`machine.beside`).
    """

    run_ids: Integer[Array, "runs"]
    mixture: Mixture
    lanes: LaneState
    num_runs: int
    mesh: Mesh
    streams: Mesh


class GraphExample(NamedTuple):
    """The graph step of the batch's first run, to look at."""

    points: np.ndarray  # (n, d)
    projected: np.ndarray  # (n, r)
    component: np.ndarray  # (n,), rank by size; k and beyond lumped as k


class Record(NamedTuple):
    """Errors of every run at each checkpoint (the start is checkpoint 0), and where the centres ended.

    An estimate i is set against the component `component[i]` that its start was matched to: `displacement` is its last
    distance from that mean, as a vector. The twin is the same start fed the same samples with every label known.
    `kernel` says what drove the stream, and why; None where none was streamed.
    """

    samples: np.ndarray  # (checkpoints,)
    error: CentreError  # NumPy arrays of shape (checkpoints, runs)
    centres: np.ndarray  # (k, d, runs); (d, runs) for EM
    displacement: np.ndarray  # as centres
    component: np.ndarray  # (k, runs); (runs) for EM
    start_displacement: np.ndarray  # as centres
    start_sq: np.ndarray  # its squared length, as component
    twin_sq: np.ndarray | None  # squared error of the twin, shape (checkpoints, runs)
    twin_displacement: np.ndarray | None  # as centres
    kernel: Choice | None = None


class State(NamedTuple):
    """What a stream carries: the estimate, and beside it its twin and its average where they are wanted."""

    centres: Any
    twin: Any = None
    average: lloyd.AverageState | None = None


class Algorithm(NamedTuple):
    """A stream's step, what it starts from, and the arrays (runs last) that it is told."""

    step: Callable
    state: State
    parameters: dict[str, Array]
    measure: Callable


class Segment(NamedTuple):
    """Some consecutive runs of a batch, and the sample counts at which their errors are recorded."""

    num_runs: int
    checkpoints: tuple[int, ...]


def run_keys(key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray) -> Key[Array, "runs"]:
    """A key for each run: `fold_in(key, run_id)`. Raises ValueError as `batch` does for either."""
    doors.keys("key", key)
    ids = doors.run_ids("run_ids", run_ids)
    with machine.on_host():
        return threefry.keys(threefry.fold_in(threefry.words(key)[:, None], ids))


def batch(
    key: Key[Array, ""],
    run_ids: Sequence[int] | np.ndarray,
    mixture: Mixture,
    *,
    devices: Sequence | None = None,
    width: int | None = None,
) -> Batch:
    """The runs with these ids, each with its own mixture (a run axis) or all with the same (none).

    key: of threefry. run_ids: whole numbers of 32 bits; one that comes again is the same run again, so that its draws
    can be streamed side by side under different mixtures and rates. devices: those that stream; by default all. width:
    how many runs to pad to (a multiple of 32 on every device); by default as few as that allows.
    Raises ValueError for another key or ids, for a mixture that none of its builders would give or whose run axis does
    not have one entry a run, or if the width does not hold the runs.
    """
    doors.keys("key", key)
    ids = doors.run_ids("run_ids", run_ids)
    check_whole(mixture)
    if mixture.means.ndim == 2:
        mixture = replicate(mixture, len(ids))
    if mixture.means.shape[-1] != len(ids):
        raise ValueError(f"the mixture has {mixture.means.shape[-1]} runs, expected {len(ids)}")
    devices = _devices(devices)
    step = tiling.PAD * shards(devices)
    width = -(-len(ids) // step) * step if width is None else doors.whole("width", width)
    if width < len(ids) or width % step:
        raise ValueError(f"width is {width}, expected a multiple of {step} that holds {len(ids)} runs")
    words = lanes.seed(key, _pad(ids, width - len(ids)), d=mixture.means.shape[1])
    return lay_out(ids, mixture, words, devices=devices, width=width)


@partial(jax.jit, static_argnames=("k", "d"))
def _normals(key, run_ids, *, k, d):
    """k x d standard normals for each run."""
    return jax.vmap(lambda run: jax.random.normal(jax.random.fold_in(key, run), (k, d)), out_axes=-1)(run_ids)


def lay_out(
    run_ids: np.ndarray, mixture: Mixture, words: LaneState, *, devices: Sequence | None = None, width: int
) -> Batch:
    """A batch from what its runs hold: arrays with a run axis (of the runs or of the width), padded to the width.

    Raises ValueError for arrays of other shapes.
    """
    run_ids, devices, width = doors.run_ids("run_ids", run_ids), _devices(devices), doors.whole("width", width)
    check_whole(mixture)
    doors.kind("words", words, LaneState, "of a batch's lanes")
    sizes = {x.shape[-1] for x in jax.tree.leaves((mixture, words))}
    if not sizes <= {len(run_ids), width} or mixture.means.ndim != 3 or len(run_ids) > width:
        raise ValueError(f"mixture and words have {sorted(sizes)} runs, expected {len(run_ids)}, or the width, {width}")
    mesh, streams = (Mesh(np.array(mine), ("runs",)) for mine in (machine.beside(devices), devices))
    padded = jax.tree.map(lambda x: _pad(np.asarray(x), width - x.shape[-1]), (run_ids, mixture, words))
    laid_ids, laid_mixture, laid_words = _lay(padded, mesh)
    return Batch(laid_ids, laid_mixture, laid_words, len(run_ids), mesh, streams)


def shards(devices: Sequence | None = None) -> int:
    """The padded width of a batch on these devices (all by default) is a multiple of 32 times this."""
    devices = _devices(devices)
    return math.lcm(len(devices), len(machine.beside(devices)))


def _devices(devices: Sequence | None) -> list:
    """These, or all there are."""
    if devices is None:
        return jax.devices()
    if not isinstance(devices, (list, tuple)) or not devices or not all(isinstance(x, jax.Device) for x in devices):
        raise doors.bad("devices", devices, "a list of some of jax.devices(), or None for all")
    return list(devices)


def offset_start(key: Key[Array, ""], batch: Batch, offset: Numbers) -> Float[Array, "k d runs"]:
    """The true means, each moved by offset * max(scales) in a uniformly random direction of the run's own.

    key: of threefry. offset: a number, at least 0, or one for each run.
    Raises ValueError for others, and for an offset that is lost in the rounding of the means (`reach.check_start`).
    """
    doors.keys("key", key)
    _kind(batch)
    offset = doors.numbers("offset", offset, (), (batch.num_runs,), low=0, closed=True)
    means, scales = (np.asarray(x) for x in (batch.mixture.means, batch.mixture.scales))
    reach.check_start("offset", offset, means=means[..., : batch.num_runs], scales=scales[..., : batch.num_runs])
    k, d = means.shape[:2]
    with machine.on_host():
        moves = np.asarray(_normals(key, jnp.asarray(np.asarray(batch.run_ids)), k=k, d=d)).astype(means.dtype)
    sizes = np.sqrt(np.stack([ordered.dot(move, move) for move in moves]))
    distance = np.asarray(_spread(offset, batch)) * scales.max(axis=0)
    return _lay(means + distance[None, None] * (moves / sizes[:, None]), batch.mesh)


def seed_centres(
    key: Key[Array, ""],
    batch: Batch,
    *,
    n: int,
    block: int,
    graph_points: int,
    neighbors: int,
    method: str = "block",
    kernel: str = "auto",
    progress: Progress | None = None,
) -> tuple[Batch, Seeding, GraphExample]:
    """Algorithm 2 on the first n samples of every run; the batch returned stands behind them.

    `n - graph_points` samples go through block power iteration in blocks of `block` (what is left of the last block is
    drawn and not used), the last `graph_points` through the neighbour graph. The result keeps the padded runs; the
    example is the first run's graph. method: "block" (the paper's), or "oja" for Oja's rule in its place, at the rate
    of `oja_rate`, orthonormalised after each block. kernel: as in `run_lloyd`.
    Raises ValueError if k > d, if the sizes leave no block or no graph, if squares of a block's sums leave floating
    point (`reach.check_power`), for an unknown method, or for a kernel that cannot be.
    """
    doors.keys("key", key)
    _kind(batch)
    k, d = batch.mixture.means.shape[:2]
    named = {"n": n, "block": block, "graph_points": graph_points, "neighbors": neighbors}
    n, block, graph_points, neighbors = (doors.whole(name, value) for name, value in named.items())
    check_seeding(k=k, d=d, n=n, block=block, graph_points=graph_points, neighbors=neighbors)
    doors.choice("method", method, ("block", "oja"))
    doors.called("progress", progress)
    check_power(batch.mixture, block=block)
    draw_frame = jax.vmap(lambda run: seeding.random_basis(jax.random.fold_in(key, run), d=d, r=k), out_axes=-1)
    with machine.on_host():
        frames = draw_frame(jnp.asarray(np.asarray(batch.run_ids))).astype(batch.mixture.means.dtype)
    basis = _orthonormalize(_lay(frames, batch.mesh), mesh=batch.mesh)
    start: tuple = (batch.lanes, basis)
    blocks, rest = divmod(n - graph_points, block)

    if method == "oja":
        gap, shift = (_spread(x, batch) for x in oja_rate(batch.mixture))
        start = (*start, (gap, shift, np.int32(0)))

    chosen = choose_seeding_kernel(batch, kernel, method=method)
    # Of the scan path; one program for all larger blocks.
    draw = block if block <= 32 and chosen.kernel == "scan" else tiling.BLOCK
    state, mixture = _lay((start, batch.mixture), batch.streams)

    def power(state, count):
        counts = np.int32(count), np.int32(block)
        static = {"draw": draw, "kernel": chosen.kernel, "threads": chosen.threads, "mesh": batch.streams}
        return _power_blocks(state, mixture, counts, np.int32(batch.num_runs), **static)

    words, basis, *_ = _drive(power, state, blocks, block * batch.num_runs, progress)
    words, found, example = _seed_by_graph(batch, words, np.asarray(basis), rest, graph_points, neighbors)
    return batch._replace(lanes=_lay(words, batch.mesh)), found, example


def _seed_by_graph(
    batch: Batch, words: LaneState, basis: np.ndarray, rest: int, graph_points: int, neighbors: int
) -> tuple[LaneState, Seeding, GraphExample]:
    """The starts of all runs from their next `graph_points` samples, after `rest` that nobody looks at.

    Drawn some runs at a time, as many as POINTS_BYTES allows; each run's graph is its own, so cores share them.
    """
    k, d = batch.mixture.means.shape[:2]
    whole = jax.tree.map(np.asarray, (words, batch.mixture))
    width, least = _width(batch), tiling.PAD * batch.mesh.size
    fit = POINTS_BYTES // (graph_points * d * basis.itemsize * least)
    together = min(width, least * max(1, fit))
    starts: list[tuple[Seeding, np.ndarray]] = []
    after: list[LaneState] = []
    with ThreadPoolExecutor(machine.cores()) as pool:
        while len(starts) < width:
            low = min(len(starts), width - together)  # the last may overlap the one before: one program
            mine = jax.tree.map(lambda x, at=low: x[..., at : at + together], whole)
            ahead, points = _graph_points(
                *_lay(mine, batch.mesh), np.int32(rest), graph_points=graph_points, mesh=batch.mesh
            )
            fresh = len(starts) - low
            after.append(jax.tree.map(lambda x, at=fresh: np.asarray(x)[..., at:], ahead))
            points = np.asarray(points)
            # Padding repeats the last run, graph and all.
            runs = range(len(starts), min(low + together, batch.num_runs))
            graphs = [(basis[..., run], points[..., run - low].T) for run in runs]
            starts += pool.map(lambda graph: seeding.centres(*graph, k=k, neighbors=neighbors), graphs)
            if low == 0:
                first = points[..., 0].T
            starts += [starts[-1]] * (low + together - len(starts))
    found = Seeding(
        np.stack([start.means for start, _ in starts], axis=-1),
        np.stack([start.num_components for start, _ in starts]),
        basis,
    )
    example = GraphExample(first, seeding.project(basis[..., 0], first), starts[0][1])
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *after), found, example


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
    named = {"k": k, "d": d, "n": n, "block": block, "graph_points": graph_points, "neighbors": neighbors}
    k, d, n, block, graph_points, neighbors = (doors.whole(name, value) for name, value in named.items())
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


def check_power(mixture: Mixture, *, block: int) -> None:
    """Raises ValueError if the power iteration over such blocks leaves floating point (`reach.check_power`)."""
    check_whole(mixture)
    block = doors.whole("block", block)
    means, scales = np.asarray(mixture.means), np.asarray(mixture.scales)
    norm, d = float(np.sqrt((means.astype(float) ** 2).sum(axis=1).max())), means.shape[1]
    for scale in (float(scales.min()), float(scales.max())):
        reach.check_power(block=block, norm=norm, scale=scale, d=d, dtype=means.dtype)


def run_lloyd(
    batch: Batch,
    start: Float[Array | np.ndarray, "k d runs"],
    *,
    rate: Rate,
    checkpoints: Sequence[int],
    twin: bool = False,
    block: int = tiling.BLOCK,
    tile: int | None = None,
    kernel: str = "auto",
    progress: Progress | None = None,
) -> Record:
    """Streaming Lloyd from `start`, its errors recorded at the start and after each of `checkpoints` samples.

    start: finite numbers, for the batch's runs or for its padded width. rate: a constant in (0, 1), one for each run, a
    polynomial schedule, any other schedule (a function of the count of samples seen that JAX can trace, its first step
    in [0, 1]), or any optax transformation of gradients of shape (k, d, runs) that treats runs apart: what would add
    up, move or draw along the runs is refused (`apart`). block: samples drawn together; tile: runs of a device that
    stream together (by default what `tiling.tile_width` says on a CPU made ready by `machine.prepare`, 128 on another,
    all of them on a GPU); neither changes a result. kernel: "scan", a step at a time; "fused", many samples in one
    launch (an NVIDIA GPU; see `kernels`); "auto", fused where it can be and pays. The bits are the same; floats differ
    by roundings.
    Raises ValueError if the transformation mixes runs, if a rate is outside (0, 1) or lost beside the start
    (`reach.check_rate`), if an argument is of another kind or shape, or if the kernel cannot be.
    """
    start = _finite_start(start, batch, em=False)
    algorithm = lloyd_algorithm(batch, start, rate=rate, twin=twin)
    segments = [Segment(batch.num_runs, doors.wholes("checkpoints", checkpoints))]
    return simulate(algorithm, batch, segments, block=block, tile=tile, kernel=kernel, progress=progress)[0]


def run_em(
    batch: Batch,
    start: Float[Array | np.ndarray, "d runs"],
    *,
    rate: Numbers,
    beta: Numbers = 1.0,
    checkpoints: Sequence[int],
    twin: bool = False,
    block: int = tiling.BLOCK,
    tile: int | None = None,
    kernel: str = "auto",
    progress: Progress | None = None,
) -> Record:
    """Streaming EM for a symmetric pair from `start` (an estimate of either mean), as `run_lloyd`.

    Errors are those of the one estimate, up to sign. Raises ValueError if a mixture is not a balanced pair at +m and
    -m, if beta is not positive, if a rate is outside (0, 1), or if the kernel cannot be.
    """
    start = _finite_start(start, batch, em=True)
    algorithm = em_algorithm(batch, start, rate=rate, beta=beta, twin=twin)
    segments = [Segment(batch.num_runs, doors.wholes("checkpoints", checkpoints))]
    return simulate(algorithm, batch, segments, block=block, tile=tile, kernel=kernel, progress=progress)[0]


def lloyd_algorithm(
    batch: Batch,
    start: Float[Array | np.ndarray, "k d runs"],
    *,
    rate: Rate,
    gate: str = "nearest",
    beta: Numbers = 1.0,
    burn: np.ndarray | None = None,
    twin: bool = False,
) -> Algorithm:
    """Centres that each sample pulls: `gate` is nearest (Lloyd), soft (posterior, `beta` as in `soft`) or labelled.

    A soft gate knows the weight and scale of the component that its estimate's start was matched to.

    burn: for each run, how many first iterates its average leaves out; None takes the last iterate as the estimate.
    Raises ValueError as `run_lloyd` does, and for an unknown gate.
    """
    _kind(batch)
    doors.choice("gate", gate, tuple(GATES))
    doors.flag("twin", twin)
    rule, given = _rule(rate, batch)
    sharpness = _per_run("beta", beta, batch, low=0)
    begin = np.asarray(_start(start, batch, batch.mixture.means.shape[:2]))
    origin, offset, component, *known = _lay(_matched(begin, batch), batch.mesh)
    _check_moves(rate, offset, batch)
    parameters = {"component": component, **given}
    if gate == "soft":
        parameters |= dict(zip(("weights", "scales"), known, strict=True), beta=sharpness)
    centres = lloyd.LloydState(origin, offset, _lay(lloyd.optimizer_state(rule(parameters), offset), batch.mesh))
    averaged = None
    if burn is not None:
        burn = doors.numbers("burn", burn, (), (batch.num_runs,), low=0, high=2**31 - 1, closed=True)
        parameters["burn"] = _spread(burn, batch).astype(jnp.int32)
        averaged = lloyd.AverageState(offset, _lay(jnp.zeros(batch.run_ids.shape, jnp.int32), batch.mesh))
    state = State(centres, centres if twin else None, averaged)
    return Algorithm(_centres_step(gate, rule), state, parameters, metrics.centre_errors)


def em_algorithm(
    batch: Batch,
    start: Float[Array | np.ndarray, "d runs"],
    *,
    rate: Numbers,
    beta: Numbers = 1.0,
    twin: bool = False,
) -> Algorithm:
    """Streaming EM for a symmetric pair. Raises ValueError as `run_em` does."""
    _kind(batch)
    doors.flag("twin", twin)
    means, weights, scales = (np.asarray(x) for x in batch.mixture)
    balanced = len(means) == 2 and (means[0] == -means[1]).all() and (weights[0] == weights[1]).all()
    if not (balanced and (scales[0] == scales[1]).all()):
        raise ValueError(
            f"the mixture has k = {len(means)}, expected two balanced components of one scale at +m and -m"
        )
    begin = np.asarray(_start(start, batch, means.shape[1:2]))
    checked = {"rate": _per_run("rate", rate, batch, low=0, high=1), "beta": _per_run("beta", beta, batch, low=0)}
    near = ordered.dot(begin, means[0]) >= 0
    nearer = np.where(near[None], means[0], means[1])
    centres, component = _lay((em.EMState(nearer, begin - nearer), np.where(near, 0, 1).astype(np.int32)), batch.mesh)
    _check_moves(rate, centres.offset[None], batch)
    parameters = {**checked, "scale": batch.mixture.scales[0], "component": component}
    return Algorithm(_em_step, State(centres, centres if twin else None), parameters, metrics.pair_errors)


def _rule(rate: Rate, batch: Batch) -> tuple[Callable, dict[str, Array]]:
    """What makes the step size out of a step's parameters, and these. Raises ValueError for what is none."""
    shape, dtype = batch.mixture.means.shape, batch.mixture.means.dtype
    optimizer = rate.gradient_transformation() if isinstance(rate, optax.MultiSteps) else rate
    if isinstance(optimizer, optax.GradientTransformation):
        apart.check(optimizer, shape, dtype)
        return _given_rule(optimizer), {}
    if isinstance(rate, rates.Polynomial):
        held = {name: doors.numbers(name, x, (), (batch.num_runs,), low=0) for name, x in rate._asdict().items()}
        first = np.ravel(held["scale"] / held["shift"] ** held["power"])
        if (held["power"] > 1).any() or (first > 1).any():
            raise ValueError(
                f"rate starts at {first.max():g}, power at most {held['power'].max():g}: expected 1 at most"
            )
        return _polynomial_rule, {name: _spread(value, batch) for name, value in held.items()}
    if callable(rate):
        _check_schedule(rate)
        apart.check(lloyd.scheduled(rate), shape, dtype)
        return _scheduled_rule(rate), {}
    return _constant_rule, {"rate": _per_run("rate", rate, batch, low=0, high=1)}


def _check_schedule(rate: Callable) -> None:
    """Raises ValueError unless the function gives a step size at any count of samples, 0 at first to 1."""
    expected = "a number in (0, 1), one for each run, a schedule (count -> number) or an optax.GradientTransformation"
    try:
        hash(rate)
        found = jax.eval_shape(rate, jax.ShapeDtypeStruct((), jnp.int32))
        first = np.asarray(rate(jnp.int32(0)), float) if isinstance(found, jax.ShapeDtypeStruct) else None
    except Exception as error:  # whatever somebody's function raises
        raise ValueError(
            f"rate is {doors.told(rate)}, which fails on a count ({error!r:.80}), expected {expected}"
        ) from None
    if first is None or first.shape or not 0 <= first <= 1:
        gives = doors.told(found if first is None or first.shape else float(first))
        raise ValueError(f"rate is {doors.told(rate)}, which gives {gives} at 0, expected {expected}")


def _check_moves(rate: Rate, offset: Float[Array, "e d runs"], batch: Batch) -> None:
    """Raises ValueError if a constant rate's moves are lost beside the start (`reach.check_rate`)."""
    if callable(rate) or isinstance(rate, (rates.Polynomial, optax.GradientTransformation, optax.MultiSteps)):
        return
    if np.min(rate) < np.finfo(offset.dtype).eps:
        largest = np.abs(np.asarray(offset)).max(axis=(0, 1)) / np.asarray(batch.mixture.scales).min(axis=0)
        reach.check_rate(rate, offset=largest[: batch.num_runs], dtype=offset.dtype)


def log_checkpoints(n: int, count: int) -> list[int]:
    """About `count` sample counts, log-spaced, the last n (fewer where they would coincide).

    Raises ValueError unless both are whole numbers of at least 1.
    """
    n, count = doors.whole("n", n), doors.whole("count", count)
    return sorted({round(n ** (i / count)) for i in range(1, count + 1)} | {n})


# --- device programs: everything below runs under shard_map, a shard of the runs on each device ---


def _pad(x: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([x, np.broadcast_to(x[..., -1:], (*x.shape[:-1], by))], axis=-1)


def _specs(tree: Any) -> Any:
    """Runs last: every array is split along its last axis, a scalar is everywhere."""
    return jax.tree.map(lambda x: P(*[None] * (x.ndim - 1), "runs") if x.ndim else P(), tree)


def _lay(tree: Any, mesh: Mesh) -> Any:
    platform = mesh.devices.flat[0].platform

    def put(x, spec):
        # From one kind of device to another in one piece: JAX would cut it for its devices where it is.
        foreign = isinstance(x, jax.Array) and next(iter(x.devices())).platform != platform
        return jax.device_put(np.asarray(x) if foreign else x, NamedSharding(mesh, spec))

    return jax.tree.map(put, tree, _specs(tree))


def _shapes_on(tree: Any, mesh: Mesh) -> Any:
    """What `_lay` would return, shapes alone."""
    return jax.tree.map(
        lambda x, spec: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(mesh, spec)), tree, _specs(tree)
    )


def _on_cpu(mesh: Mesh) -> bool:
    return mesh.devices.flat[0].platform == "cpu"


def _sharded(function: Callable, mesh: Mesh, *args: Any, like: Any = None) -> Any:
    """function(*args) with the runs split over the mesh. like: a result's shapes, if they are known."""
    out = _specs(jax.eval_shape(function, *args) if like is None else like)
    return jax.shard_map(function, mesh=mesh, in_specs=_specs(args), out_specs=out, check_vma=False)(*args)


def _kind(batch: Batch) -> None:
    doors.kind("batch", batch, Batch, "of trials.batch")


def _per_run(name: str, number: Numbers, batch: Batch, *, low: int, high: Any = np.inf) -> Float[Array, "runs"]:
    """A number for each run between low and high, padded and laid out. Raises ValueError for another."""
    values = doors.numbers(name, number, (), (batch.num_runs,), low=low, high=high)
    reach.check_held(name, values, dtype=batch.mixture.means.dtype)
    return _spread(values, batch)


def _spread(values: np.ndarray, batch: Batch) -> Float[Array, "runs"]:
    """A number for each run, padded and laid out."""
    if values.ndim:
        values = np.concatenate([values, np.repeat(values[-1:], len(batch.run_ids) - len(values))])
    return _lay(np.broadcast_to(values.astype(batch.mixture.means.dtype), batch.run_ids.shape), batch.mesh)


def _start(start: Any, batch: Batch, shape: tuple[int, ...]) -> Array:
    """Starting centres of this shape for each run, padded and laid out if they are not."""
    wanted = [(*shape, batch.num_runs), (*shape, _width(batch))]
    dtype = batch.mixture.means.dtype
    if getattr(start, "shape", None) not in wanted or getattr(start, "dtype", None) not in (dtype, np.float64):
        what = f"of shape {start.shape} and {start.dtype}" if hasattr(start, "dtype") else doors.told(start)
        raise ValueError(f"start is {what}, expected {dtype} of shape {wanted[0]}, or {wanted[1]} with the padding")
    if isinstance(start, jax.Array) and start.shape == wanted[1] and start.dtype == dtype:
        return start
    return lay_like(np.asarray(start, dtype), batch)


def _finite_start(start: Any, batch: Batch, *, em: bool) -> Array:
    """Starting centres, laid out. Raises ValueError if they hold numbers that are not finite."""
    _kind(batch)
    laid = _start(start, batch, batch.mixture.means.shape[1:2] if em else batch.mixture.means.shape[:2])
    doors.numbers("start", np.asarray(laid), tuple("abc")[: laid.ndim])
    return laid


# How a sample gates the centres, and what step size they take: names of a spec become functions here.


def _nearest(state, sample, parameters, optimizer):
    return lloyd.step(state, sample.x, optimizer)


def _soft(state, sample, parameters, optimizer):
    known = {name: parameters[name] for name in ("weights", "scales", "beta")}
    return soft.step(state, sample.x, optimizer, **known)


def _labelled(state, sample, parameters, optimizer):
    return lloyd.labelled_step(state, sample.x, sample.label, parameters["component"], optimizer)


GATES = {"nearest": _nearest, "soft": _soft, "labelled": _labelled}


def _constant_rule(parameters):
    return parameters["rate"]


def _polynomial_rule(parameters):
    scale, power, shift = (parameters[name][None, None] for name in rates.Polynomial._fields)
    return lloyd.scheduled(lambda count: scale / (count.astype(shift.dtype) + shift) ** power)


def _given(parameters, *, optimizer):
    return optimizer


@lru_cache(maxsize=64)
def _given_rule(optimizer: optax.GradientTransformation) -> Callable:
    """One function object for one optimizer, so that jit knows it again."""
    return partial(_given, optimizer=optimizer)


@lru_cache(maxsize=64)
def _scheduled_rule(rate: Callable) -> Callable:
    """One function object for one schedule, as above."""
    return _given_rule(lloyd.scheduled(rate))


@lru_cache(maxsize=64)
def _centres_step(gate: str, rule: Callable) -> Callable:
    return partial(_step, gate=GATES[gate], rule=rule)


def _step(state: State, sample: Sample, parameters: dict, *, gate: Callable, rule: Callable) -> State:
    optimizer = rule(parameters)
    centres = gate(state.centres, sample, parameters, optimizer)
    twin = None if state.twin is None else _labelled(state.twin, sample, parameters, optimizer)
    average = state.average
    if average is not None:
        average = lloyd.average(average, centres.offset, parameters["burn"])
    return State(centres, twin, average)


def _em_step(state: State, sample: Sample, parameters: dict) -> State:
    rate, beta, scale, component = (parameters[name] for name in ("rate", "beta", "scale", "component"))
    centres = em.step(state.centres, sample.x, rate=rate, beta=beta, scale=scale)
    twin = state.twin
    if twin is not None:
        twin = em.labelled_step(twin, sample.x, sample.label, component, rate=rate)
    return State(centres, twin)


def _pca_step(state: pca.PCAState, sample: Sample) -> pca.PCAState:
    return pca.step(state, sample.x)


def _oja_step(state: pca.OjaState, sample: Sample) -> pca.OjaState:
    return pca.oja_step(state, sample.x)


def _tiled(function: Callable, width: int | None, carry: Any, *rest: Any) -> Any:
    """function(carry, *rest), a carry again, some `width` runs after the others. Without a width, all together (a GPU).

    Tiles read what came in and write what goes out, so the last one may overlap the one before.
    """
    runs = max(jax.tree.leaves(carry), key=jnp.ndim).shape[-1]
    tiles = 1 if width is None else -(-runs // width)
    if tiles == 1:
        return function(carry, *rest)
    each = tiling.PAD * -(-runs // (tiling.PAD * tiles))

    def one(index, out):
        start = jnp.minimum(index * each, runs - each)
        mine = jax.tree.map(
            lambda x: lax.dynamic_slice_in_dim(x, start, each, axis=-1) if x.ndim else x, (carry, *rest)
        )
        return jax.tree.map(
            lambda whole, new: lax.dynamic_update_slice_in_dim(whole, new, start, axis=-1) if new.ndim else new,
            out,
            function(*mine),
        )

    return lax.fori_loop(0, tiles, one, carry)


def _tile_on(mesh: Mesh, mixture: Mixture, tile: int | None) -> int | None:
    """The tile that is given, or the measured best: on a CPU as its compiler takes short loops, on a GPU everything."""
    if tile is not None or not _on_cpu(mesh):
        return tile
    return tiling.tile_width(*mixture.means.shape[:2]) if machine.prepared() else tiling.TILE


@partial(jax.jit, static_argnames=("step", "block", "tile", "kernel", "threads", "mesh"), compiler_options=VECTORS)
def _advance(carry, parameters, mixture, count, live=None, *, step, block, tile, kernel="scan", threads=1, mesh):
    def fused(carry, parameters, mixture, count, live):
        how = {"step": step, "threads": threads, "interpret": kernel != "fused"}
        return load_fused().advance(carry, parameters, mixture, count, _of_shard(live, mixture), **how)

    def scanned(carry, parameters, mixture, count, live):
        def fold(carry, parameters, mixture):
            words, state = carry
            return _fold(mesh, lambda s, x: step(s, x, parameters), words, state, mixture, count, block=block)

        return _tiled(fold, _tile_on(mesh, mixture, tile), carry, parameters, mixture)

    return _sharded(scanned if kernel == "scan" else fused, mesh, carry, parameters, mixture, count, live, like=carry)


@partial(jax.jit, static_argnames=("draw", "kernel", "threads", "mesh"), compiler_options=VECTORS)
def _power_blocks(carry, mixture, counts, live=None, *, draw, kernel, threads=1, mesh):
    def fused(carry, mixture, counts, live):
        how = {"blocks": _blocks, "threads": threads, "interpret": kernel != "fused"}
        return load_fused().power_blocks(carry, mixture, counts, _of_shard(live, mixture), **how)

    def scanned(carry, mixture, counts, live):
        def power(carry, mixture):
            def fold(step, words, state, count):
                return _fold(mesh, step, words, state, mixture, count, block=draw)

            return _blocks(fold, carry, counts)

        return _tiled(power, _tile_on(mesh, mixture, None), carry, mixture)

    return _sharded(scanned if kernel == "scan" else fused, mesh, carry, mixture, counts, live, like=carry)


def _of_shard(live: Array | None, mixture: Mixture) -> Array | None:
    """How many runs of this shard are among the first `live` of all."""
    return None if live is None else live - lax.axis_index("runs") * mixture.means.shape[-1]


def _fold(mesh, step, words, state, mixture, count, *, block):
    """`stream.fold` as the device likes it: loops on a CPU, on a GPU few kernels a sample."""
    fold = stream.fold if _on_cpu(mesh) else stream.fold_together
    return fold(step, words, state, mixture, count, block=block)


def _blocks(fold, carry, counts):
    """Blocks of the power iteration, or of Oja's rule: how many, and the samples of each, are `counts`."""
    count, block = counts

    def one(_, carry):
        words, basis = carry
        words, state = fold(_pca_step, words, pca.init(basis), block)
        return words, pca.end_block(state).basis

    def one_oja(_, carry):
        words, basis, (gap, shift, seen) = carry
        words, state = fold(_oja_step, words, pca.OjaState(basis, gap, shift, seen), block)
        return words, pca.orthonormalize(state.basis), (gap, shift, state.seen)

    return lax.fori_loop(0, count, one if len(carry) == 2 else one_oja, carry)


def load_fused() -> Any:
    """jgmm.fused, imported where it is used only: it takes Pallas.

    Best before anything is traced: Pallas adds settings, and what was traced without them is traced again.
    """
    return importlib.import_module("jgmm.fused")


def choose_kernel(algorithm: Algorithm, batch: Batch, kernel: str) -> Choice:
    """What drives this stream, and why; `kernel` is auto, fused or scan. Raises ValueError if it cannot be."""
    doors.kind("algorithm", algorithm, Algorithm, "of lloyd_algorithm or em_algorithm")
    _kind(batch)
    state, (means, _, scales) = algorithm.state, batch.mixture
    centres = [x._replace(origin=None) for x in (state.centres, state.twin) if x is not None]
    moving = jax.tree.leaves((centres, state.average))
    known = [x for name, x in algorithm.parameters.items() if name not in ("component", "weights", "scales")]
    if state.centres.origin.ndim == 2:  # a single estimate
        along = [means, state.centres.origin, *(x for x in moving if x.ndim == 2)]
    else:  # origins are the means
        along = [means, *(x for x in moving if x.ndim == 3 and x.shape[1] == means.shape[1])]
    others = [scales, *known, *(x for x in moving if not any(x is y for y in along))]
    return _choose(batch, kernel, along, others, partial(_obstacle, algorithm, batch))


def choose_seeding_kernel(batch: Batch, kernel: str, *, method: str = "block") -> Choice:
    """`choose_kernel` of the power iteration."""
    _kind(batch)
    doors.choice("method", method, ("block", "oja"))
    means, _, scales = batch.mixture
    return _choose(batch, kernel, [means] * (3 if method == "block" else 2), [scales], lambda threads: None)


def _choose(batch: Batch, kernel: str, along: list, others: list, obstacle: Callable[[int], str | None]) -> Choice:
    """The kernel for runs that hold, beside their lanes, arrays along the coordinates and others."""
    means, device = batch.mixture.means, batch.streams.devices.flat[0]
    k, d = means.shape[:2]
    rows = sum(x.size // (d * x.shape[-1]) for x in along)
    rest = sum(x.size // x.shape[-1] for x in others if x.ndim)
    held = kernels.Held(each_pair=8 + 2 * rows, others=4 + k - 1 + rest, pairs=(d + 1) // 2)
    told: dict[str, Any] = {"device": device, "held": held, "runs": batch.num_runs, "dtype": means.dtype}
    choice = kernels.choose(kernel, **told)
    if choice.kernel == "fused":
        load_fused()
    return kernels.choose(kernel, **told, obstacle=obstacle(choice.threads)) if choice.kernel == "fused" else choice


def _no_origin(algorithm: Algorithm, batch: Batch) -> str | None:
    """Why the centres' origins are not the means of their components, if they are not."""
    origin, component = (np.asarray(x) for x in (algorithm.state.centres.origin, algorithm.parameters["component"]))
    means = np.asarray(batch.mixture.means)
    if origin.ndim == 3 and not (origin == np.take_along_axis(means, component[:, None], 0)).all():
        return "the centres are not held relative to their components' means"
    return None


def _obstacle(algorithm: Algorithm, batch: Batch, threads: int) -> str | None:
    """Why this stream cannot be fused with so many threads a run, if it cannot."""
    moved = _no_origin(algorithm, batch)
    if moved:
        return moved
    static = {"step": algorithm.step, "block": tiling.BLOCK, "tile": None, "kernel": "fused", "mesh": batch.streams}
    static["threads"] = threads
    given = (batch.lanes, algorithm.state), algorithm.parameters, batch.mixture
    try:
        # What is traced as the stream will have it need not be traced again.
        _advance.trace(*_shapes_on(given, batch.streams), np.int32(1), np.int32(1), **static)
    except NotOnVectors as error:
        return str(error)
    return None


@partial(jax.jit, static_argnames=("mesh",))
def _orthonormalize(basis, *, mesh):
    return _sharded(pca.orthonormalize, mesh, basis)


@partial(jax.jit, static_argnames=("graph_points", "mesh"))
def _graph_points(words, mixture, rest, *, graph_points, mesh):
    """The lanes behind the next `graph_points` samples after `rest` others, and those samples (d, points, runs)."""

    def shard(words, mixture, rest):
        words, samples = stream.draw(stream.skip(words, rest), mixture, block=graph_points)
        return words, samples.x

    return _sharded(shard, mesh, words, mixture, rest)


class _Matched(NamedTuple):
    """Origins at the means that a start is matched to, the offsets from there, whose means these are, and of what."""

    origin: np.ndarray
    offset: np.ndarray
    component: np.ndarray
    weights: np.ndarray
    scales: np.ndarray


def _matched(start: np.ndarray, batch: Batch) -> _Matched:
    means, weights, scales = (np.asarray(x) for x in batch.mixture)
    component = metrics.match(metrics.squared_distances(start, np.zeros_like(start), means)).component
    origin = np.take_along_axis(means, component[:, None], axis=0)
    known = (np.take_along_axis(x, component, axis=0) for x in (weights, scales))
    return _Matched(origin, start - origin, component, *known)


def measure_starts(start: Float[Array | np.ndarray, "k d runs"], batch: Batch) -> CentreError:
    """Errors of starting centres, as NumPy arrays of shape (runs,). Raises ValueError for another shape."""
    _kind(batch)
    begin = np.asarray(_start(start, batch, batch.mixture.means.shape[:2]))
    matched = _matched(begin, batch)
    real = (x[..., : batch.num_runs] for x in (matched.origin, matched.offset, np.asarray(batch.mixture.means)))
    return metrics.centre_errors(*real)


def start_record(samples: int, error: CentreError, runs: slice) -> Record:
    """The record of some runs that go no further than their start, which took `samples` samples."""
    samples = doors.whole("samples", samples, 0)
    doors.kind("error", error, CentreError, "of measure_starts")
    doors.kind("runs", runs, slice, "of the runs' places")
    empty = np.zeros((0, 0))
    alone = jax.tree.map(lambda x: x[None, runs], error)
    return Record(np.array([samples]), alone, empty, empty, empty, empty, empty, None, None)


def lay_like(values: np.ndarray, batch: Batch) -> Array:
    """An array with a run axis, padded and laid out as the batch is. Raises ValueError for one with more runs."""
    _kind(batch)
    if not isinstance(values, (np.ndarray, jax.Array)) or str(values.dtype)[0] not in "fiu" or not values.ndim:
        raise doors.bad("values", values, "an array of numbers, its last axis the runs")
    if not 0 < values.shape[-1] <= _width(batch):
        raise ValueError(
            f"values have shape {np.shape(values)}, expected at most {_width(batch)} runs as the last axis"
        )
    return _lay(_pad(values, _width(batch) - values.shape[-1]), batch.mesh)


def measure_subspace(basis: Float[Array | np.ndarray, "d r runs"], batch: Batch) -> np.ndarray:
    """`metrics.subspace_distance` of every run. Raises ValueError for a basis of another shape."""
    _kind(batch)
    d, runs = batch.mixture.means.shape[1:]
    doors.floats("basis", basis, (d, "r", runs))
    real = (np.asarray(x)[..., : batch.num_runs] for x in (basis, batch.mixture.means))
    return metrics.subspace_distance(*real)


def _drive(call: Callable, carry: Any, total: int, samples_each: int, progress: Progress | None) -> Any:
    """carry <- call(carry, count), the counts summing to `total`, in calls of about CALL_SECONDS."""
    done, piece = 0, min(total, 512)
    while done < total:
        count = min(piece, total - done)
        start = time.perf_counter()
        carry = jax.block_until_ready(call(carry, count))
        elapsed = time.perf_counter() - start
        done += count
        if count == piece:
            # At most four times longer than the last: the first call's clock holds the compiler.
            piece = max(64, min(4 * piece, int(piece * CALL_SECONDS / elapsed))) if done > count else 4 * piece
        if progress is not None:
            progress(count * samples_each)
    return carry


def _width(batch: Batch) -> int:
    return len(batch.run_ids)


def ladder(num_runs: int, devices: int) -> int:
    """The padded width of so many runs: 64 times a power of two on each device. Few programs then serve all.

    On CPU 64 runs a device take the time of 32 (a step's fixed cost).
    """
    num_runs, devices = doors.whole("num_runs", num_runs), doors.whole("devices", devices)
    strips = -(-num_runs // (LEAST_WIDTH * devices))
    return LEAST_WIDTH * devices * 2 ** (strips - 1).bit_length()


@partial(jax.jit, static_argnames=("width",))
def _first(tree, *, width):
    return jax.tree.map(lambda x: x[..., :width] if x.ndim else x, tree)


def simulate(
    algorithm: Algorithm,
    batch: Batch,
    segments: Sequence[Segment],
    *,
    block: int = tiling.BLOCK,
    tile: int | None = None,
    kernel: str = "auto",
    progress: Progress | None = None,
    keep: Callable[[int, int, np.dtype], Any] = lambda checkpoints, runs, dtype: np.empty((checkpoints, runs), dtype),
) -> list[Record]:
    """Stream a batch whose runs are the segments side by side, each to its own last checkpoint; a record for each.

    Segments may differ in length: give the longest first, so that the run axis can be cut as the others end. A segment
    that has ended streams on unseen until then; fused, it stops. kernel: as in `run_lloyd`. keep: makes the arrays
    (checkpoints, runs) that errors are put into, a checkpoint at a time; what it makes is in the records.
    Raises ValueError if the segments are not the batch, if checkpoints do not increase, if a longer segment follows a
    shorter one, or if the kernel cannot be.
    """
    doors.kind("algorithm", algorithm, Algorithm, "of lloyd_algorithm or em_algorithm")
    _kind(batch)
    block, tile = doors.whole("block", block), None if tile is None else doors.whole("tile", tile)
    doors.called("progress", progress)
    if not callable(keep):
        raise doors.bad("keep", keep, "a function")
    segments = _segments(segments)
    sizes = [segment.num_runs for segment in segments]
    lengths = [segment.checkpoints[-1] if segment.checkpoints else 0 for segment in segments]
    if sum(sizes) != batch.num_runs:
        raise ValueError(f"the segments hold {sizes} runs, expected {batch.num_runs} in all")
    if any(later > earlier for earlier, later in pairwise(lengths)):
        raise ValueError(f"the segments are {lengths} samples long, expected the longest first")
    for segment in segments:
        if any(later <= earlier for earlier, later in pairwise([0, *segment.checkpoints])):
            raise ValueError(f"checkpoints are {list(segment.checkpoints)}, expected increasing positive sample counts")
    edges = np.concatenate([[0], np.cumsum(sizes)])
    places = [slice(int(a), int(b)) for a, b in pairwise(edges)]
    chosen = choose_kernel(algorithm, batch, kernel)
    first = _first_of(algorithm, batch)
    whole = (batch.lanes, algorithm.state), batch.mixture, algorithm.parameters
    carry, mixture, parameters = _lay(whole, batch.streams)
    origin, means = (np.asarray(x) for x in (algorithm.state.centres.origin, batch.mixture.means))
    found: list[list[Any]] = []  # arrays of the errors, and of the twin's
    ends: list[dict[str, np.ndarray]] = [{} for _ in segments]
    seen: list[int] = []
    here = 0
    for stop in sorted({0, *(t for segment in segments for t in segment.checkpoints)}):
        active = sum(size for size, length in zip(sizes, lengths, strict=True) if length >= stop)
        width, now = ladder(active, math.lcm(batch.streams.size, batch.mesh.size)), mixture.means.shape[-1]
        worth_cutting = chosen.kernel == "scan"  # fused, what has ended takes no time
        if worth_cutting and (now - width) * (lengths[0] - stop) * means[..., 0].size > WORTH_CUTTING:
            carry, mixture, parameters = _lay(_first((carry, mixture, parameters), width=width), batch.streams)

        def call(carry, count, mixture=mixture, parameters=parameters, active=active):
            static = {"step": algorithm.step, "block": block, "tile": tile, "mesh": batch.streams}
            static |= {"kernel": chosen.kernel, "threads": chosen.threads}
            return _advance(carry, parameters, mixture, np.int32(count), np.int32(active), **static)

        carry = _drive(call, carry, stop - here, active, progress)
        here = stop
        due = [i for i, segment in enumerate(segments) if stop == 0 or stop in segment.checkpoints]
        error, twin_sq = _errors(algorithm, carry[1], origin[..., :active], means[..., :active])
        last = _ends(carry[1]) if any(lengths[i] == stop for i in due) else {}
        for i in due:
            if stop == 0:
                rows, runs = 1 + len(segments[i].checkpoints), sizes[i]
                found.append([None if x is None else keep(rows, runs, x.dtype) for x in (*error, twin_sq)])
                seen.append(0)
            for kept, x in zip(found[i], (*error, twin_sq), strict=True):
                if kept is not None:
                    kept[seen[i]] = np.asarray(x)[places[i]]
            seen[i] += 1
            if lengths[i] == stop:
                ends[i] = {name: value[..., places[i]] for name, value in last.items()}
    return [
        _record(segment, errors, end, {name: value[..., place] for name, value in first.items()}, chosen)
        for segment, errors, end, place in zip(segments, found, ends, places, strict=True)
    ]


def _segments(segments: Any) -> list[Segment]:
    if not isinstance(segments, (list, tuple)) or not all(isinstance(segment, Segment) for segment in segments):
        raise doors.bad("segments", segments, "a list of trials.Segment")
    return [
        Segment(doors.whole("num_runs", runs), doors.wholes("checkpoints", checkpoints))
        for runs, checkpoints in segments
    ]


def _first_of(algorithm: Algorithm, batch: Batch) -> dict[str, np.ndarray]:
    offset = np.asarray(algorithm.state.centres.offset, np.float64)[..., : batch.num_runs]
    component = np.asarray(algorithm.parameters["component"])[..., : batch.num_runs]
    along = np.moveaxis(offset, -2, 0)  # the coordinates
    return {"start_displacement": offset, "start_sq": ordered.dot(along, along), "component": component}


def _errors(
    algorithm: Algorithm, state: State, origin: np.ndarray, means: np.ndarray
) -> tuple[CentreError, np.ndarray | None]:
    """The errors of the runs that origins and means are given of, the first; and their twins' squared errors."""
    runs = means.shape[-1]
    error = algorithm.measure(origin, np.asarray(_estimate(state))[..., :runs], means)
    if state.twin is None or state.average is not None:
        return error, None
    moved = np.asarray(state.twin.offset)[..., :runs].reshape(-1, runs)  # a twin's origin is its component's mean
    # In float64, row by row: summed in float32, 5,000 squares are 6e-6 off in the mean of all runs, and its exact mean
    # is known. What is kept is rounded once, without bias.
    squares = ordered.add_up(np.square(row, dtype=np.float64) for row in moved)
    return error, squares.astype(moved.dtype)


def _estimate(state: State) -> Array:
    return state.centres.offset if state.average is None else state.average.mean


def _ends(state: State) -> dict[str, np.ndarray]:
    values = {"origin": state.centres.origin, "displacement": _estimate(state)}
    if state.twin is not None and state.average is None:
        values["twin_displacement"] = state.twin.offset
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def _record(
    segment: Segment, errors: list, end: dict[str, np.ndarray], first: dict[str, np.ndarray], kernel: Choice
) -> Record:
    return Record(
        samples=np.array([0, *segment.checkpoints]),
        error=CentreError(*errors[:-1]),
        centres=end["origin"] + end["displacement"],
        displacement=end["displacement"],
        **first,
        twin_sq=errors[-1],
        twin_displacement=end.get("twin_displacement"),
        kernel=kernel,
    )
