r"""The back end of CPUs: a program compiled for this machine's vectors (`native`), strips of runs over all cores.

A core takes a strip, as many runs as a vector holds, through all samples of a call, so that its centres stay in the
first cache, and Python's lock is not held. No result depends on the width, the strips or the threads.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from jgmm import doors, lanes
from jgmm.contract import Kernel
from jgmm.engine import ahead, blocks, build, machine, native, plan, program, strips
from jgmm.engine.program import Leaf
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Source, source

NARROWEST = 4  # runs of a vector: what every target has
CALL = 2**24  # numbers (k d) that a call goes through, about: a fraction of a second, after which it can be stopped
_words: Callable[..., LaneState] = LaneState  # of NumPy arrays, which JAX takes for its own


class Stream:
    """Runs on this machine's cores, between calls; see `contract.Stream`.

    width: runs of a strip; block: samples that are drawn together, at most; cores: threads that share the strips. None
    of them changes a result. shares: of a run, where its coordinates are alike (`build.program`); changes what is added
    up first. target, code: what code is made for, and what makes it.
    """

    def __init__(
        self,
        kernel: Kernel,
        words: LaneState,
        state: Any,
        params: Any,
        mixture: Mixture | Source,
        *,
        width: int | None = None,
        block: int = blocks.BLOCK,
        cores: int | None = None,
        shares: int | None = None,
        target: native.Target | None = None,
        code: Callable[[blocks.Layout, native.Target], Any] = native.code,
    ):
        self.runs = mixture.means.shape[-1]
        self.program = build.program(kernel, state, params, mixture, shares=shares)
        self.cores = machine.cores() if cores is None else cores
        target = target or native.host()
        width = width or width_for(self.runs, self.cores, target.widest)
        leaves, self._tree = jax.tree.flatten(state)
        layout = blocks.layout(self.program, width, block)
        self.arrays, flat = self._lay(words, leaves + jax.tree.leaves(params), mixture, layout)
        self.where = layout._replace(flat=frozenset(flat))
        before = zip(self.program.state, leaves, strict=True)
        self._unmoved = [None if leaf.moves else np.asarray(x) for leaf, x in before]
        self.code = code(self.where, target)
        self._ahead = ahead.rows(self.where)

    def _lay(
        self, words: LaneState, leaves: list, mixture: Mixture | Source, where: blocks.Layout
    ) -> tuple[dict[str, np.ndarray], list[str]]:
        """The arrays of a layout as strips, by name, and the names of those that are flat."""
        mixture, weights = source(mixture), np.asarray(mixture.weights)
        rows = {"words": np.concatenate([np.asarray(word) for word in words])}
        rows["means"] = strips.rows_of(np.asarray(mixture.means), self.program.means, where)
        # There is a row where none is needed: a pointer has to point.
        rows["thresholds"] = lanes.thresholds(weights) if len(weights) > 1 else np.zeros((1, self.runs), np.int32)
        rows["scales"] = np.asarray(mixture.scales)
        if self.program.numbers:
            rows["numbers"] = np.asarray(mixture.numbers)
        moving = {"words"}
        for i, (x, leaf) in enumerate(zip(leaves, self.program.leaves, strict=True)):
            if leaf.alias is None:
                whole = np.broadcast_to(np.asarray(x), (self.runs,)) if leaf.scalar else np.asarray(x)
                rows[f"leaf{i}"] = strips.rows_of(whole, leaf, where)
                moving |= {f"leaf{i}"} if leaf.moves else set()
        flat: list[str] = []
        arrays = {}
        for name, x in rows.items():
            same = None if name in moving else strips.flat(x, where.width)
            flat += [] if same is None else [name]
            arrays[name] = strips.lay(x, where.width) if same is None else same
        return arrays, flat

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`contract.Stream.advance`; the runs of a strip that has a live one all go on."""
        runs = self.runs if live is None else min(self.runs, live)
        of_call = max(64, CALL // (self.program.k * self.program.d + 16))
        of_call = of_call if block is None else max(1, of_call // block)
        stopped = threading.Event()
        scratch = self.scratch(self.where.block, self.cores)
        pointers = [self.arrays[name].ctypes.data for name in self.where.rows]

        def go(worker: int, strip: int) -> None:
            own = [*pointers, *(x[worker].ctypes.data for x in scratch)]
            for low in range(0, count, of_call):
                if stopped.is_set():
                    return
                some = min(of_call, count - low)
                self.code.stream(*own, strip, *((1, some) if block is None else (some, block)))

        _share(go, -(-runs // self.where.width), self.cores, stopped)

    def draw(self, count: int) -> np.ndarray:
        """The next `count` samples of every run, (d, count, runs)."""
        num_strips = len(self.arrays["words"])
        scratch = self.scratch(count, num_strips)
        pointers = [self.arrays[name].ctypes.data for name in self.where.rows]

        def go(_: int, strip: int) -> None:
            self.code.draw(*pointers, *(x[strip].ctypes.data for x in scratch), strip, count)

        _share(go, num_strips, self.cores, threading.Event())
        x = scratch[0].reshape(num_strips, -1, count, self.where.width)
        sample = Leaf((1, self.program.d), self.program.dtype, 1, False, None, False)
        (coordinates,) = strips.leaf_of(np.moveaxis(x, 0, 2).reshape(x.shape[1], -1), sample, self.where)
        return coordinates.reshape(self.program.d, count, -1)[..., : self.runs]

    def scratch(self, samples: int, workers: int) -> list[np.ndarray]:
        """The arrays of `native.SCRATCH` for each worker, for so many samples together."""
        width, dtype = self.where.width, self.program.dtype
        shapes = [((self.program.shares * self.where.room * samples, width), dtype), ((samples, width), np.int32)]
        shapes += [((rows, width), dtype) for rows in plan.scratch_rows(self.program).values()]
        shapes.append(((self._ahead, width), dtype))
        return [strips.zeros((workers, *shape), kind) for shape, kind in shapes]

    def words(self) -> LaneState:
        """`contract.Stream.words`."""
        return _words(*np.split(strips.gather(self.arrays["words"], self.runs), 4))

    def state(self) -> Any:
        """`contract.Stream.state`."""
        leaves = []
        for i, (leaf, before) in enumerate(zip(self.program.state, self._unmoved, strict=True)):
            if not leaf.moves:
                leaves.append(before)
                continue
            x = strips.leaf_of(strips.gather(self.arrays[f"leaf{i}"], self.runs), leaf, self.where)
            leaves.append(x[..., 0].copy() if leaf.scalar else x)
        return jax.tree.unflatten(self._tree, leaves)


open = Stream


def draw(
    words: LaneState, mixture: Mixture | Source, n: int, *, pair: Callable = lanes.normal_pair, draws: int = 1
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next n samples of every run, and those samples; NumPy. pair, draws: `contract.Kernel`'s."""
    stream = Stream(program.STILL._replace(pair=pair, draws=draws), words, (), {}, mixture)
    x = stream.draw(doors.whole("n", n))
    return stream.words(), x


def width_for(runs: int, cores: int, widest: int) -> int:
    """Runs of a strip: the widest vectors, or narrower ones where few runs would leave cores without a strip."""
    width = widest
    while width > NARROWEST and runs <= width // 2 * cores:
        width //= 2
    return width


@lru_cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "jgmm")


def _share(go: Callable[[int, int], None], num_strips: int, workers: int, stopped: threading.Event) -> None:
    """go(worker, strip) for all strips: each worker takes the next one that no other has taken."""
    waiting = iter(range(num_strips))
    lock = threading.Lock()

    def work(worker: int) -> None:
        while not stopped.is_set():
            with lock:
                strip = next(waiting, None)
            if strip is None:
                return
            go(worker, strip)

    if workers == 1 or num_strips == 1:
        work(0)
        return
    try:  # whatever interrupts, wherever: nobody works on
        futures = [_pool(workers).submit(work, worker) for worker in range(min(workers, num_strips))]
        for future in futures:
            future.result()
    finally:
        stopped.set()
