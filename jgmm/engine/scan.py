r"""The reference back end: a kernel under `jax.jit` on whatever devices JAX has, a sample at a time.

Tests hold what the other back ends compile to it, to rounding, and accelerators that are not NVIDIA's take it. How it
rounds is left to XLA, and may differ between processors and versions of JAX.

Runs are padded to a few widths: few programs then serve all numbers of runs, and a run alone takes the same vector
instructions, and gives the same bits, as among others. Devices share the runs and exchange nothing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

from jgmm import doors, lanes
from jgmm.contract import Kernel, Sample
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Source, source

LEAST_WIDTH = 64  # runs of a device, padded: XLA makes single numbers of loops over 16, which round otherwise


class Stream:
    """Runs on these devices (by default all that JAX has), between calls; see `contract.Stream`."""

    def __init__(
        self,
        kernel: Kernel,
        words: LaneState,
        state: Any,
        params: Any,
        mixture: Mixture | Source,
        *,
        devices: Sequence | None = None,
    ):
        self.kernel = doors.kind("kernel", kernel, Kernel, "of jgmm.contract")
        self.mesh = _mesh(devices)
        self._runs = mixture.means.shape[-1]
        width = ladder(self._runs, self.mesh.size)
        self.carry, self.given = _lay(((words, state), (params, source(mixture))), self.mesh, width)

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`contract.Stream.advance`; runs that are not live go on, too."""
        del live
        if count:
            blocks, samples = (1, count) if block is None else (count, block)
            found = advanced(
                self.carry, self.given, np.int32(blocks), np.int32(samples), kernel=self.kernel, mesh=self.mesh
            )
            self.carry = jax.block_until_ready(found)

    def words(self) -> LaneState:
        """`contract.Stream.words`."""
        return self._fetched()[0]

    def state(self) -> Any:
        """`contract.Stream.state`."""
        return self._fetched()[1]

    def _fetched(self) -> Any:
        return jax.tree.map(lambda x: np.asarray(x)[..., : self._runs] if x.ndim else np.asarray(x), self.carry)


open = Stream


def draw(
    words: LaneState,
    mixture: Mixture | Source,
    n: int,
    *,
    pair: Callable = lanes.normal_pair,
    draws: int = 1,
    devices: Sequence | None = None,
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next n samples of every run, and those samples; NumPy. pair, draws: `contract.Kernel`'s."""
    n, runs, mesh = doors.whole("n", n), words.s0.shape[-1], _mesh(devices)
    laid = _lay((words, source(mixture)), mesh, ladder(runs, mesh.size))
    return jax.tree.map(lambda x: np.asarray(x)[..., :runs], drawn(*laid, n=n, pair=pair, draws=draws, mesh=mesh))


def ladder(num_runs: int, devices: int) -> int:
    """The padded width of so many runs: 64 times a power of two on each device."""
    num_runs, devices = doors.whole("num_runs", num_runs), doors.whole("devices", devices)
    each = -(-num_runs // (LEAST_WIDTH * devices))
    return LEAST_WIDTH * devices * 2 ** (each - 1).bit_length()


# --- what is compiled ---


@partial(jax.jit, static_argnames=("kernel", "mesh"))
def advanced(carry, given, blocks, samples, *, kernel, mesh):
    """The lanes and the state after some blocks of some samples each, and the kernel's end, if any, behind each."""

    def shard(carry, given, blocks, samples):
        params, mixture = given
        thresholds = lanes.thresholds(mixture.weights)

        def one(_, carry):
            words, state = carry
            words, sample = next_sample(words, mixture, thresholds, kernel.pair, kernel.draws)
            # XLA would otherwise draw it again for each of the k distances that it is used in.
            return words, kernel.step(state, lax.optimization_barrier(sample), params)

        def block(_, carry):
            words, state = lax.fori_loop(0, samples, one, carry)
            return words, state if kernel.end is None else kernel.end(state, params)

        return lax.fori_loop(0, blocks, block, carry)

    return _sharded(shard, mesh, _specs(carry), carry, given, blocks, samples)


@partial(jax.jit, static_argnames=("n", "pair", "draws", "mesh"))
def drawn(words, mixture, *, n, pair, draws=1, mesh):
    """The lanes behind the next n samples, and those samples, (d, n, runs)."""

    def shard(words, mixture):
        thresholds = lanes.thresholds(mixture.weights)

        def one(words, _):
            words, sample = next_sample(words, mixture, thresholds, pair, draws)
            return words, sample.x

        words, x = lax.scan(one, words, None, length=n)
        return words, jnp.moveaxis(x, 0, 1)

    return _sharded(shard, mesh, (_specs(words), P(None, None, "runs")), words, mixture)


def next_sample(
    words: LaneState, mixture: Source, thresholds: Int[Array, "k_less_1 *runs"], pair: Callable, draws: int = 1
) -> tuple[LaneState, Sample]:
    """The lanes behind the next sample of every run, and that sample. thresholds: those of the weights."""
    d = mixture.means.shape[1]
    half = (d + 1) // 2
    words, bits = lanes.next_bits(words)
    word = lanes.label_word(bits[:1])
    of_pairs = [bits[1 : 1 + half], bits[1 + half :]]
    for _ in range(draws - 1):
        words, more = lanes.more_bits(words)
        of_pairs += [more[:half], more[half:]]
    # An odd d leaves half of its last pair unused.
    told = (number[None] for number in mixture.numbers)
    noise = jnp.concatenate(pair(*of_pairs, *told))[:d]
    index = lax.broadcasted_iota(jnp.int32, mixture.weights.shape, 0)
    label = lanes.choose(word, thresholds, index)[0]
    scale = lanes.choose(word, thresholds, mixture.scales)
    centre = lanes.choose(word[:, None], thresholds[:, None], mixture.means)[0]
    return words, Sample(centre + scale * noise.astype(scale.dtype), label)


# --- devices ---


def _mesh(devices: Sequence | None) -> Mesh:
    devices = jax.devices() if devices is None else devices
    if not isinstance(devices, (list, tuple)) or not devices or not all(isinstance(x, jax.Device) for x in devices):
        raise doors.bad("devices", devices, "a list of some of jax.devices(), or None for all")
    return Mesh(np.array(devices), ("runs",))


def _specs(tree: Any) -> Any:
    """Runs last: every array is split along its last axis, a scalar is everywhere."""
    return jax.tree.map(lambda x: P(*[None] * (x.ndim - 1), "runs") if x.ndim else P(), tree)


def _lay(tree: Any, mesh: Mesh, width: int) -> Any:
    """The arrays padded with copies of their last run and put on the devices; the same object once."""
    laid: dict[int, tuple[Any, Array]] = {}  # the object, too: while it lives, no other has its id

    def put(x):
        if id(x) not in laid:
            array = np.asarray(x)
            if array.ndim:
                ends = np.broadcast_to(array[..., -1:], (*array.shape[:-1], width - array.shape[-1]))
                array = np.concatenate([array, ends], axis=-1)
            laid[id(x)] = x, jax.device_put(array, NamedSharding(mesh, _specs(array)))
        return laid[id(x)][1]

    return jax.tree.map(put, tree)


def _sharded(function: Callable, mesh: Mesh, out: Any, *args: Any) -> Any:
    """function(*args) with the runs split over the mesh. out: which axis of each result they are."""
    return jax.shard_map(function, mesh=mesh, in_specs=_specs(args), out_specs=out, check_vma=False)(*args)
