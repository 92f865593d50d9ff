r"""Many independent runs at once: their bits, starts, streams and errors, spread over all devices.

A run is addressed by (key, run id); what it does never depends on the runs beside it, on the devices, or on how its
stream is cut into calls. Inside a device program nothing is exchanged. The run axis is padded to a multiple of 16 on
every device, so that a run alone takes the same vector instructions, and gives the same bits, as among others.

A stream is driven from the host in calls of about half a second, so that it can be watched and stopped.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Integer, Key

from jgmm import em, lanes, lloyd, metrics, pca, seeding, stream
from jgmm.lanes import LaneState
from jgmm.metrics import CentreError
from jgmm.mixture import Mixture, replicate
from jgmm.seeding import Seeding
from jgmm.stream import Sample

PAD = 16  # runs on a device are padded to a multiple of this
CALL_SECONDS = 0.5  # a device call's length on the host's clock

Progress = Callable[[int], None]  # told how many samples (of all runs together) have been consumed since the last call


class Batch(NamedTuple):
    """Runs ready to stream, padded and laid on their devices. The first `num_runs` are real."""

    run_ids: Integer[Array, "runs"]
    mixture: Mixture
    lanes: LaneState
    num_runs: int
    mesh: Mesh


class GraphExample(NamedTuple):
    """The graph step of the batch's first run, to look at."""

    points: np.ndarray  # (n, d)
    projected: np.ndarray  # (n, r)
    component: np.ndarray  # (n,), rank by size; k and beyond lumped as k


class Record(NamedTuple):
    """Errors of every run at each checkpoint (the start is checkpoint 0), and the last centres."""

    samples: np.ndarray  # (checkpoints,)
    error: CentreError  # NumPy arrays of shape (checkpoints, runs)
    centres: np.ndarray  # (k, d, runs); (d, runs) for EM


def run_keys(key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray) -> Key[Array, "runs"]:
    """A key for each run: `fold_in(key, run_id)`."""
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.asarray(np.asarray(run_ids), jnp.uint32))


def batch(
    key: Key[Array, ""], run_ids: Sequence[int] | np.ndarray, mixture: Mixture, *, devices: Sequence | None = None
) -> Batch:
    """The runs with these ids, each with its own mixture (a run axis) or all with the same (none).

    Raises ValueError if the mixture's run axis does not have one entry a run.
    """
    ids = np.asarray(run_ids, np.uint32)
    if ids.ndim != 1 or not len(ids):
        raise ValueError(f"run_ids has shape {ids.shape}, expected at least one run")
    if mixture.means.ndim == 2:
        mixture = replicate(mixture, len(ids))
    if mixture.means.shape[-1] != len(ids):
        raise ValueError(f"the mixture has {mixture.means.shape[-1]} runs, expected {len(ids)}")
    devices = list(devices or jax.devices())
    mesh = Mesh(np.array(devices), ("runs",))
    padding = -len(ids) % (PAD * len(devices))
    padded, mixture = jax.tree.map(lambda x: _pad(jnp.asarray(x), padding), (ids, mixture))
    words = lanes.seed(key, padded, d=mixture.means.shape[1])
    padded, mixture, words = _lay((padded, mixture, words), mesh)
    return Batch(padded, mixture, words, len(ids), mesh)


def offset_start(key: Key[Array, ""], batch: Batch, offset: float) -> Float[Array, "k d runs"]:
    """The true means, each moved by offset * max(scales) in a uniformly random direction of the run's own."""
    k, d = batch.mixture.means.shape[:2]

    def one(run):
        moves = jax.random.normal(jax.random.fold_in(key, run), (k, d))
        return moves / jnp.linalg.norm(moves, axis=1, keepdims=True)

    directions = jax.vmap(one, out_axes=-1)(jnp.asarray(np.asarray(batch.run_ids)))
    scale = jnp.max(batch.mixture.scales, axis=0)
    return batch.mixture.means + (offset * scale)[None, None] * _lay(directions.astype(scale.dtype), batch.mesh)


def seed_centres(
    key: Key[Array, ""],
    batch: Batch,
    *,
    n: int,
    block: int,
    graph_points: int,
    neighbors: int,
    progress: Progress | None = None,
) -> tuple[Batch, Seeding, GraphExample]:
    """Algorithm 2 on the first n samples of every run; the batch returned stands behind them.

    `n - graph_points` samples go through block power iteration in blocks of `block` (what is left of the last block is
    drawn and not used), the last `graph_points` through the neighbour graph. The result keeps the padded runs; the
    example is the first run's graph.
    Raises ValueError if k > d, or if the sizes leave no block or no graph.
    """
    k, d = batch.mixture.means.shape[:2]
    check_seeding(k=k, d=d, n=n, block=block, graph_points=graph_points, neighbors=neighbors)
    draw_frame = jax.vmap(lambda run: seeding.random_basis(jax.random.fold_in(key, run), d=d, r=k), out_axes=-1)
    basis = _lay(draw_frame(jnp.asarray(np.asarray(batch.run_ids))).astype(batch.mixture.means.dtype), batch.mesh)
    basis = _orthonormalize(basis, mesh=batch.mesh)
    state = (batch.lanes, basis)
    blocks, rest = divmod(n - graph_points, block)

    def power(state, count):
        return _power_blocks(state, batch.mixture, jnp.int32(count), block=block, mesh=batch.mesh)

    words, basis = _drive(power, state, blocks, block * batch.num_runs, progress)
    sizes = {"graph_points": graph_points, "neighbors": neighbors, "mesh": batch.mesh}
    words, found, points, rank = _graph(words, basis, batch.mixture, jnp.int32(rest), **sizes)
    points, frame = np.asarray(points[..., 0]), np.asarray(basis[..., 0])
    example = GraphExample(points, points @ frame, np.asarray(rank[..., 0]))
    return batch._replace(lanes=words), found, example


def check_seeding(*, k: int, d: int, n: int, block: int, graph_points: int, neighbors: int) -> None:
    """Raises ValueError if Algorithm 2 cannot run with these sizes."""
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


def run_lloyd(
    batch: Batch,
    start: Float[Array, "k d runs"],
    *,
    rate: float | np.ndarray | optax.GradientTransformation,
    checkpoints: Sequence[int],
    block: int = stream.BLOCK,
    progress: Progress | None = None,
) -> Record:
    """Streaming Lloyd from `start`, its errors recorded at the start and after each of `checkpoints` samples.

    rate: a constant in (0, 1), one for each run, or any optax transformation of gradients of shape (k, d, runs) that
    treats runs alike and apart. Raises ValueError if it mixes runs, or if a rate is outside (0, 1).
    """
    origin, offset = _lloyd_start(start, batch.mixture, mesh=batch.mesh)
    parameters: tuple[Array, ...] = ()
    if isinstance(rate, optax.GradientTransformation):
        check_optimizer(rate, *batch.mixture.means.shape[:2])
        step = _optimizer_step(rate)
        state = jax.jit(partial(lloyd.init, optimizer=rate))(offset, jnp.zeros_like(offset))
        state = _lay(state._replace(origin=origin, offset=offset), batch.mesh)
    else:
        step, parameters = _lloyd_step, (_per_run(rate, batch),)
        state = lloyd.LloydState(origin, offset, optax.sgd(0.0).init(offset))
    return _run(step, batch, state, parameters, checkpoints, metrics.centre_error, block, progress)


def run_em(
    batch: Batch,
    start: Float[Array, "d runs"],
    *,
    rate: float | np.ndarray,
    beta: float = 1.0,
    checkpoints: Sequence[int],
    block: int = stream.BLOCK,
    progress: Progress | None = None,
) -> Record:
    """Streaming EM for a symmetric pair from `start` (an estimate of either mean), as `run_lloyd`.

    Errors are those of the one estimate, up to sign. Raises ValueError if a mixture is not a balanced pair at +m and
    -m, if beta is not positive, or if a rate is outside (0, 1).
    """
    means, weights, scales = batch.mixture
    balanced = len(means) == 2 and bool(jnp.all(means[0] == -means[1]) & jnp.all(weights[0] == weights[1]))
    if not (balanced and bool(jnp.all(scales[0] == scales[1]))):
        raise ValueError(
            f"the mixture has k = {len(means)}, expected two balanced components of one scale at +m and -m"
        )
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta is {beta}, expected a positive finite number")
    near = jnp.sum(start * means[0], axis=0) >= 0
    origin = jnp.where(near[None], means[0], means[1])
    state = _lay(em.init(start, origin), batch.mesh)
    parameters = (_per_run(rate, batch), _lay(jnp.full_like(scales[0], beta), batch.mesh), scales[0])
    return _run(_em_step, batch, state, parameters, checkpoints, metrics.pair_error, block, progress)


def check_optimizer(optimizer: optax.GradientTransformation, k: int, d: int) -> None:
    """Raises ValueError if the transformation mixes runs: three steps of 3 runs must equal each run's own."""
    gradients = jax.random.normal(jax.random.key(0), (3, k, d, 3)) * jnp.array([1.0, 10.0, 100.0])[None, None, None]

    def walk(gradients):
        params = jnp.zeros_like(gradients[0])
        state = optimizer.init(params)
        for gradient in gradients:
            updates, state = optimizer.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return np.asarray(params)

    alone = np.concatenate([walk(gradients[..., i : i + 1]) for i in range(3)], axis=-1)
    if not np.allclose(walk(gradients), alone, rtol=1e-4, atol=1e-6):
        raise ValueError("the optax transformation mixes runs (a norm over all elements?): expected one that does not")


def log_checkpoints(n: int, count: int) -> list[int]:
    """About `count` sample counts, log-spaced, the last n (fewer where they would coincide)."""
    return sorted({round(n ** (i / count)) for i in range(1, count + 1)} | {n})


# --- device programs: everything below runs under shard_map, a shard of the runs on each device ---


def _pad(x: Array, by: int) -> Array:
    return jnp.concatenate([x, jnp.broadcast_to(x[..., -1:], (*x.shape[:-1], by))], axis=-1)


def _specs(tree: Any) -> Any:
    """Runs last: every array is split along its last axis, a scalar is everywhere."""
    return jax.tree.map(lambda x: P(*[None] * (x.ndim - 1), "runs") if x.ndim else P(), tree)


def _lay(tree: Any, mesh: Mesh) -> Any:
    return jax.tree.map(lambda x, spec: jax.device_put(x, NamedSharding(mesh, spec)), tree, _specs(tree))


def _sharded(function: Callable, mesh: Mesh, *args: Any) -> Any:
    """function(*args) with the runs split over the mesh."""
    out = _specs(jax.eval_shape(function, *args))
    return jax.shard_map(function, mesh=mesh, in_specs=_specs(args), out_specs=out, check_vma=False)(*args)


def _per_run(rate: float | np.ndarray, batch: Batch) -> Float[Array, "runs"]:
    """A rate for each run, checked, padded and laid out."""
    values = np.asarray(rate, float)
    if not ((values > 0) & (values < 1)).all():
        raise ValueError(f"rate is {rate}, expected numbers in (0, 1)")
    if values.ndim:
        values = np.asarray(_pad(jnp.asarray(values), len(batch.run_ids) - batch.num_runs))
    return _lay(jnp.broadcast_to(jnp.asarray(values, batch.mixture.means.dtype), batch.run_ids.shape), batch.mesh)


def _lloyd_step(state: lloyd.LloydState, sample: Sample, rate: Array) -> lloyd.LloydState:
    return lloyd.step(state, sample.x, optax.sgd(rate[None, None]))


def _em_step(state: em.EMState, sample: Sample, rate: Array, beta: Array, scale: Array) -> em.EMState:
    return em.step(state, sample.x, rate=rate, beta=beta, scale=scale)


def _pca_step(state: pca.PCAState, sample: Sample) -> pca.PCAState:
    return pca.step(state, sample.x)


def _custom_step(state: lloyd.LloydState, sample: Sample, *, optimizer: optax.GradientTransformation):
    return lloyd.step(state, sample.x, optimizer)


@lru_cache(maxsize=64)
def _optimizer_step(optimizer: optax.GradientTransformation) -> Callable:
    """One function object for one optimizer, so that jit knows it again."""
    return partial(_custom_step, optimizer=optimizer)


@partial(jax.jit, static_argnames=("step", "block", "mesh"))
def _advance(carry, parameters, mixture, count, *, step, block, mesh):
    def shard(carry, parameters, mixture, count):
        words, state = carry
        return stream.fold(lambda s, x: step(s, x, *parameters), words, state, mixture, count, block=block)

    return _sharded(shard, mesh, carry, parameters, mixture, count)


@partial(jax.jit, static_argnames=("block", "mesh"))
def _power_blocks(carry, mixture, count, *, block, mesh):
    # Samples are drawn in the largest even parts of a power block that are at most 32.
    draw = -(-block // -(-block // 32))

    def shard(carry, mixture, count):
        def one(_, carry):
            words, basis = carry
            words, state = stream.fold(_pca_step, words, pca.init(basis), mixture, block, block=draw)
            return words, pca.end_block(state).basis

        return lax.fori_loop(0, count, one, carry)

    return _sharded(shard, mesh, carry, mixture, count)


@partial(jax.jit, static_argnames=("mesh",))
def _orthonormalize(basis, *, mesh):
    return _sharded(pca.orthonormalize, mesh, basis)


@partial(jax.jit, static_argnames=("graph_points", "neighbors", "mesh"))
def _graph(words, basis, mixture, rest, *, graph_points, neighbors, mesh):
    k = len(mixture.means)

    def one(basis_and_points):
        return seeding.centres(*basis_and_points, k=k, neighbors=neighbors)

    def shard(words, basis, mixture, rest):
        words = stream.skip(words, rest)
        words, samples = stream.draw(words, mixture, block=graph_points)
        # A few runs at a time: a graph takes graph_points^2 numbers.
        runs_first = jax.tree.map(lambda a: jnp.moveaxis(a, -1, 0), (basis, samples.x))
        found, rank = jax.tree.map(lambda a: jnp.moveaxis(a, 0, -1), lax.map(one, runs_first, batch_size=PAD))
        return words, found, samples.x, rank

    return _sharded(shard, mesh, words, basis, mixture, rest)


@partial(jax.jit, static_argnames=("mesh",))
def _lloyd_start(start, mixture, *, mesh):
    """Origins at the means that the start is matched to, and the offsets from there."""

    def one(start, means):
        match = metrics.best_match(metrics.squared_distances(start, jnp.zeros_like(start), means))
        return means[match], start - means[match]

    return _sharded(jax.vmap(one, in_axes=-1, out_axes=-1), mesh, start, mixture.means)


@partial(jax.jit, static_argnames=("measure", "mesh"))
def _measure(origin, offset, means, *, measure, mesh):
    return _sharded(jax.vmap(measure, in_axes=-1, out_axes=-1), mesh, origin, offset, means)


def measure_starts(start: Float[Array, "k d runs"], batch: Batch) -> CentreError:
    """Errors of starting centres, as NumPy arrays of shape (runs,)."""
    origin, offset = _lloyd_start(start, batch.mixture, mesh=batch.mesh)
    error = _measure(origin, offset, batch.mixture.means, measure=metrics.centre_error, mesh=batch.mesh)
    return jax.tree.map(lambda x: np.asarray(x)[: batch.num_runs], error)


def measure_subspace(basis: Float[Array, "d r runs"], batch: Batch) -> np.ndarray:
    """`metrics.subspace_distance` of every run."""
    distance = jax.jit(jax.vmap(metrics.subspace_distance, in_axes=-1, out_axes=-1))
    return np.asarray(distance(np.asarray(basis), np.asarray(batch.mixture.means)))[: batch.num_runs]


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


def _run(step, batch, state, parameters, checkpoints, measure, block, progress) -> Record:
    checkpoints = [0, *checkpoints]
    if any(later <= earlier for earlier, later in pairwise(checkpoints)):
        raise ValueError(f"checkpoints are {checkpoints[1:]}, expected increasing positive sample counts")
    carry = (batch.lanes, state)

    def call(carry, count):
        return _advance(carry, parameters, batch.mixture, jnp.int32(count), step=step, block=block, mesh=batch.mesh)

    errors = []
    for earlier, later in zip([0, *checkpoints], checkpoints, strict=False):
        carry = _drive(call, carry, later - earlier, batch.num_runs, progress)
        _, state = carry
        error = _measure(state.origin, state.offset, batch.mixture.means, measure=measure, mesh=batch.mesh)
        errors.append(jax.tree.map(lambda x: np.asarray(x)[: batch.num_runs], error))
    centres = np.asarray(state.origin, np.float64) + np.asarray(state.offset, np.float64)
    return Record(
        np.array(checkpoints),
        jax.tree.map(lambda *values: np.stack(values), *errors),
        centres[..., : batch.num_runs],
    )
