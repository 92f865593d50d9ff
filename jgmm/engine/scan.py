r"""The reference back end: a kernel under `jax.jit` and `lax.scan`, runs last, on whatever devices JAX has.

A sample drawn in the step that uses it would be drawn k times (XLA fuses the draw into the k distances), so a block is
drawn first, then consumed. How blocks, tiles and calls cut a stream has no effect on results: a fold that ends inside a
block advances the lanes by the samples consumed, no more.

The run axis is padded, so that a run alone takes the same vector instructions, and gives the same bits, as among
others, and so that few programs serve all numbers of runs. Inside a device program nothing is exchanged.

Measured with 256 runs on two shared cores of an AMD EPYC (Zen 3), JAX 0.12, with `machine.prepare`: M samples a second
at tiles of 32 runs and of 128 are 46 to 51 and 41 at (d, k) = (10, 5), 6.4 to 6.7 and 5.6 at (50, 10), 1.7 and 1.4 at
(100, 20), 302 and 276 to 367 at (2, 2).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

from jgmm import doors, lanes
from jgmm.contract import Kernel, Sample
from jgmm.engine import machine
from jgmm.engine.jaxprs import CALLS, called, scan_operands, scan_trips
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture

VECTORS = {"xla_cpu_prefer_vector_width": 512}  # a CPU's widest; XLA takes 256 bits unless told
PAD = 32  # runs of a device are a multiple of this: loops over 16 become single numbers, twice as slow
LEAST_WIDTH = 64  # runs of a device, padded: 64 take the time of 32 on CPU (a step's fixed cost)
BLOCK = 16  # samples drawn together: 16 and 32 are within 5 % of each other on CPU, 4 and 128 lose 15 %
TILE = 128  # runs of a device that stream together on a CPU, at most
TILE_BYTES = 2**15  # of their centres, origins and means, at most: a first cache
WORTH_CUTTING = 1e11  # coordinates (runs x samples x k x d) wasted on runs that have ended: a narrower program's price

State = TypeVar("State")


def open(
    kernel: Kernel,
    words: LaneState,
    state: Any,
    params: Any,
    mixture: Mixture,
    *,
    devices: Sequence | None = None,
    block: int = BLOCK,
    tile: int | None = None,
) -> "Scan":
    """Runs held on these devices (by default all that JAX has); see `contract.Stream`.

    block: samples drawn together; tile: runs of a device that stream together (by default what was measured). Neither
    changes a result.
    """
    doors.kind("kernel", kernel, Kernel, "of jgmm.contract")
    mesh = _mesh(devices)
    return Scan(kernel, (words, state), (params, mixture), mesh, block, tile)


class Scan:
    """Runs between calls, padded and spread over devices."""

    def __init__(self, kernel: Kernel, carry: Any, given: Any, mesh: Mesh, block: int, tile: int | None):
        self._kernel, self._mesh, self._block, self._tile = kernel, mesh, block, tile
        self._runs = carry[0][0].shape[-1]
        self._width = ladder(self._runs, mesh.size)
        self._wasted = 0.0
        self._ended: list[Any] = []  # the carry of runs that were cut off, the last first
        self._carry, self._given = _lay((carry, given), mesh, self._width)

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`contract.Stream.advance`."""
        if count:
            self._cut(self._runs if live is None else live, count * (block or 1))
            counts = np.int32(count), None if block is None else np.int32(block)
            static = {"kernel": self._kernel, "mesh": self._mesh, "tile": self._tile_width()}
            static["draw"] = block if block is not None and block <= 2 * BLOCK else self._block
            self._carry = jax.block_until_ready(_advance(self._carry, *self._given, *counts, **static))

    def words(self) -> LaneState:
        """`contract.Stream.words`."""
        return self._fetched()[0]

    def state(self) -> Any:
        """`contract.Stream.state`."""
        return self._fetched()[1]

    def _fetched(self) -> Any:
        here = jax.tree.map(np.asarray, self._carry)
        whole = jax.tree.map(lambda *x: np.concatenate(x, axis=-1) if x[0].ndim else x[0], here, *self._ended)
        return jax.tree.map(lambda x: x[..., : self._runs] if x.ndim else x, whole)

    def _tile_width(self) -> int | None:
        if self._tile is not None or not _on_cpu(self._mesh):
            return self._tile
        means = self._given[1].means
        return tile_width(*means.shape[:2]) if machine.prepared() else TILE

    def _cut(self, live: int, samples: int) -> None:
        """Leave out runs that have ended, once they have cost what a program of fewer runs would."""
        width = ladder(live, self._mesh.size)
        self._wasted += (self._width - width) * samples * self._given[1].means[..., 0].size
        if width < self._width and self._wasted > WORTH_CUTTING:
            ended = jax.tree.map(lambda x: np.asarray(x)[..., width:] if x.ndim else np.asarray(x), self._carry)
            self._ended.insert(0, ended)
            some = jax.tree.map(lambda x: np.asarray(x)[..., :width] if x.ndim else x, (self._carry, self._given))
            self._carry, self._given = _lay(some, self._mesh, width)
            self._width, self._wasted = width, 0.0


def draw(
    words: LaneState, mixture: Mixture, n: int, *, devices: Sequence | None = None
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next n samples of every run, and those samples; NumPy."""
    runs, mesh = words.s0.shape[-1], _mesh(devices)
    laid = _lay((words, mixture), mesh, ladder(runs, mesh.size))
    found = _drawn(*laid, n=doors.whole("n", n), mesh=mesh)
    return jax.tree.map(lambda x: np.asarray(x)[..., :runs], found)


def ladder(num_runs: int, devices: int) -> int:
    """The padded width of so many runs: 64 times a power of two on each device. Few programs then serve all."""
    num_runs, devices = doors.whole("num_runs", num_runs), doors.whole("devices", devices)
    strips = -(-num_runs // (LEAST_WIDTH * devices))
    return LEAST_WIDTH * devices * 2 ** (strips - 1).bit_length()


def tile_width(k: int, d: int) -> int:
    """How many runs of a device stream together on a CPU before the next tile of them does: 128, 64 or 32.

    As many as keep the state within TILE_BYTES: beyond it every step fetches its centres from further away. A tile goes
    through all samples of a call before the next one's turn, so that 4,096 runs take 16 times as long as 256.
    """
    width = TILE
    while width > PAD and 12 * k * d * width > TILE_BYTES:
        width //= 2
    return width


# --- devices ---


def _mesh(devices: Sequence | None) -> Mesh:
    devices = jax.devices() if devices is None else devices
    if not isinstance(devices, (list, tuple)) or not devices or not all(isinstance(x, jax.Device) for x in devices):
        raise doors.bad("devices", devices, "a list of some of jax.devices(), or None for all")
    return Mesh(np.array(devices), ("runs",))


def _on_cpu(mesh: Mesh) -> bool:
    return mesh.devices.flat[0].platform == "cpu"


def _specs(tree: Any) -> Any:
    """Runs last: every array is split along its last axis, a scalar is everywhere."""
    return jax.tree.map(lambda x: P(*[None] * (x.ndim - 1), "runs") if x.ndim else P(), tree)


def _lay(tree: Any, mesh: Mesh, width: int) -> Any:
    """The arrays padded with copies of their last run and put on the devices; the same object once."""
    laid: dict[int, tuple[Any, Array]] = {}

    def put(x):
        if id(x) not in laid:
            array = np.asarray(x)
            if array.ndim:
                ends = np.broadcast_to(array[..., -1:], (*array.shape[:-1], width - array.shape[-1]))
                array = np.concatenate([array, ends], axis=-1)
            laid[id(x)] = x, jax.device_put(array, NamedSharding(mesh, _specs(array)))
        return laid[id(x)][1]

    return jax.tree.map(put, tree)


def _sharded(function: Callable, mesh: Mesh, *args: Any, like: Any = None) -> Any:
    """function(*args) with the runs split over the mesh. like: a result's shapes, if they are known."""
    out = _specs(jax.eval_shape(function, *args) if like is None else like)
    return jax.shard_map(function, mesh=mesh, in_specs=_specs(args), out_specs=out, check_vma=False)(*args)


# --- device programs ---


@partial(jax.jit, static_argnames=("kernel", "draw", "tile", "mesh"), compiler_options=VECTORS)
def _advance(carry, params, mixture, count, block=None, *, kernel, draw, tile, mesh):
    fold: Callable = fold_one_by_one if _on_cpu(mesh) else fold_together

    def shard(carry, params, mixture, count, block):
        def go(carry, params, mixture):
            step = lambda s, x: kernel.step(s, x, params)  # noqa: E731
            if block is None:
                return fold(step, *carry, mixture, count, block=draw)

            def one(_, carry):
                words, state = fold(step, *carry, mixture, block, block=draw)
                return words, kernel.end(state, params)

            return lax.fori_loop(0, count, one, carry)

        return _tiled(go, tile, carry, params, mixture)

    return _sharded(shard, mesh, carry, params, mixture, count, block, like=carry)


@partial(jax.jit, static_argnames=("n", "mesh"))
def _drawn(words, mixture, *, n, mesh):
    def shard(words, mixture):
        words, samples = draw_block(words, mixture, block=n)
        return words, samples.x

    return _sharded(shard, mesh, words, mixture)


def _tiled(function: Callable, width: int | None, carry: Any, *rest: Any) -> Any:
    """function(carry, *rest), a carry again, some `width` runs after the others. Without a width, all together (a GPU).

    Tiles read what came in and write what goes out, so the last one may overlap the one before.
    """
    runs = max(jax.tree.leaves(carry), key=jnp.ndim).shape[-1]
    tiles = 1 if width is None else -(-runs // width)
    if tiles == 1:
        return function(carry, *rest)
    each = PAD * -(-runs // (PAD * tiles))

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


def fold_one_by_one(
    step: Callable[[State, Sample], State],
    words: LaneState,
    state: State,
    mixture: Mixture,
    count: Int[Array, ""] | int,
    *,
    block: int = BLOCK,
    draw: Callable[..., tuple[LaneState, Sample]] | None = None,
) -> tuple[LaneState, State]:
    """Feed the next `count` samples of every run to `step`, one at a time. `count` is traced: one program for any."""
    draw = draw_block if draw is None else draw

    def consume(index, carry):
        words, state = carry
        ahead, samples = draw(words, mixture, block=block)
        here = jnp.minimum(block, count - index * block)
        state = lax.fori_loop(0, here, lambda i, s: step(s, Sample(samples.x[:, i], samples.label[i])), state)
        words = jax.tree.map(lambda new, old: jnp.where(here == block, new, old), ahead, words)
        return words, state

    words, state = lax.fori_loop(0, (count + block - 1) // block, consume, (words, state))
    return skip(words, count % block), state


def fold_together(
    step: Callable[[State, Sample], State],
    words: LaneState,
    state: State,
    mixture: Mixture,
    count: Int[Array, ""] | int,
    *,
    block: int = BLOCK,
) -> tuple[LaneState, State]:
    """`fold_one_by_one` in few kernels for a GPU: 2 and a counter for a sample of Lloyd's, 17 for a block of 16.

    Loops over components and coordinates are written out, and whole blocks have a trip count that is known: of any
    other loop the host must read the condition after each trip.
    """
    draw = partial(draw_together, steps=lanes.thresholds(mixture.weights))
    step = written_out(step)

    def consume(_, carry):
        words, state = carry
        words, samples = draw(words, mixture, block=block)
        each = lambda i, s: step(s, Sample(samples.x[:, i], samples.label[i]))  # noqa: E731
        return words, lax.fori_loop(0, block, each, state)

    words, state = lax.fori_loop(0, count // block, consume, (words, state))
    return fold_one_by_one(step, words, state, mixture, count % block, block=block, draw=draw)


def skip(words: LaneState, count: Int[Array, ""] | int) -> LaneState:
    """The lanes after `count` samples that nobody looks at."""
    return lax.fori_loop(0, count, lambda _, words: lanes.next_bits(words)[0], words)


def draw_block(state: LaneState, mixture: Mixture, *, block: int) -> tuple[LaneState, Sample]:
    """The next `block` samples of every run: x of shape (d, block, *runs), label of shape (block, *runs).

    Coordinates come first, a pair at a time: the bits, the two normals and the k means of a pair then stay in the first
    caches for the whole block (at d = 100, k = 20 a quarter of the time of all coordinates together).
    """
    d = mixture.means.shape[1]
    half = (d + 1) // 2
    # Zero, but the compiler does not know. Where it is added, nothing is a constant, or the same on every trip:
    # - coefficients are loaded, not put into the code again for each vector (a third of the instructions on x86);
    # - the k - 1 comparisons of a label stay where they are used (kept as bytes, a select takes twice as long);
    # - a single pair is a loop too, whose radius is computed once and not for each of its normals.
    zero = jnp.minimum(mixture.weights.reshape(-1)[0], 0)
    none = zero.astype(jnp.int32)
    coefficients = jax.tree.map(lambda values: values + zero.astype(jnp.float32), lanes.COEFFICIENTS)
    steps = lanes.thresholds(mixture.weights)
    first, label_bits = _words(jax.tree.map(lambda words: words[:1], state), block)
    word = lanes.label_word(label_bits[:, 0])
    scale = lanes.choose(word, steps, mixture.scales)
    index = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)

    def pair(j, carry):
        x, rest = carry
        mine, bits = _words(jax.tree.map(lambda words: words[:, j], rest), block)
        rest = jax.tree.map(lambda words, new: words.at[:, j].set(new), rest, mine)
        word_here = word + none * j

        def coordinate(j, normal):
            return lanes.choose(word_here, steps, mixture.means[:, j]) + scale * normal.astype(scale.dtype)

        normals = lanes.normal_pair(bits[:, 0], bits[:, 1], coefficients)
        x = x.at[j].set(coordinate(j, normals[0]))
        # An odd d leaves half of its last pair unused.
        return x.at[half + j].set(coordinate(jnp.minimum(half + j, d - 1), normals[1])), rest

    rest = jax.tree.map(lambda words: words[1:].reshape(2, half, *words.shape[1:]), state)
    x = jnp.zeros((2 * half, *word.shape), scale.dtype)
    x, rest = lax.fori_loop(0, half + none, pair, (x, rest))
    rest = jax.tree.map(lambda words: words.reshape(2 * half, *words.shape[2:]), rest)
    state = jax.tree.map(lambda label, others: jnp.concatenate([label, others]), first, rest)
    return state, Sample(x[:d], lanes.choose(word, steps, index))


def draw_together(state: LaneState, mixture: Mixture, steps: Array, *, block: int) -> tuple[LaneState, Sample]:
    """`draw_block`, all coordinates at once: few kernels on a GPU. `steps`: the weights' `thresholds`.

    The same bits; samples differ by fused multiply-adds at most.
    """
    d = mixture.means.shape[1]
    half = (d + 1) // 2
    state, bits = _words(state, block)
    word = lanes.label_word(bits[:, 0])
    normals = jnp.concatenate(lanes.normal_pair(bits[:, 1 : 1 + half], bits[:, 1 + half :]), axis=1)[:, :d]
    scale = lanes.choose(word, steps, mixture.scales)
    centre = lanes.choose(word[:, None], steps[:, None], mixture.means)
    x = centre + scale[:, None] * normals.astype(scale.dtype)
    index = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)
    return state, Sample(jnp.moveaxis(x, 1, 0), lanes.choose(word, steps, index))


def _words(state: LaneState, count: int) -> tuple[LaneState, Any]:
    """The next words of every lane, (count, lanes, *runs); several steps a trip cut the traffic of the state."""
    step: Any = lambda words, _: lanes.next_bits(words)  # noqa: E731
    return lax.scan(step, state, None, length=count, unroll=4)


def written_out(function: Callable) -> Callable:
    """The function, its loops of known length written out."""

    def call(*args):
        flat, tree = jax.tree.flatten(args)
        closed, shapes = jax.make_jaxpr(lambda *x: function(*jax.tree.unflatten(tree, x)), return_shape=True)(*flat)
        return jax.tree.unflatten(jax.tree.structure(shapes), _evaluate(closed.jaxpr, closed.consts, flat))

    return call


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    read = lambda name: name.val if hasattr(name, "val") else known[name]  # noqa: E731
    for equation in jaxpr.eqns:
        operands, name = [read(x) for x in equation.invars], equation.primitive.name
        if name == "scan":
            found = _scan(equation, operands)
        elif name in CALLS:
            found = _evaluate(*called(equation), operands)
        else:
            found = equation.primitive.bind(*operands, **equation.params)
            found = found if equation.primitive.multiple_results else [found]
        known.update(zip(equation.outvars, found, strict=True))
    return [read(name) for name in jaxpr.outvars]


def _scan(equation: Any, operands: list[Any]) -> list[Any]:
    params, inner = equation.params, equation.params["jaxpr"]
    constants, carry, sequences = scan_operands(equation, operands)
    carried = len(carry)
    rows: list[list[Any]] = []
    for i in scan_trips(equation):
        found = _evaluate(inner.jaxpr, inner.consts, [*constants, *carry, *(x[i] for x in sequences)])
        carry = found[:carried]
        rows.append(found[carried:])
    if params["reverse"]:
        rows.reverse()
    return [*carry, *(jnp.stack(column) for column in zip(*rows, strict=True))]
