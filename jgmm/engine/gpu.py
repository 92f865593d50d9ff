r"""The back end of NVIDIA's cards: the program of a CPU's back end as one kernel, with the same bits.

`threads` writes it, LLVM makes PTX of that (an assembler's text for any card from compute capability 7.0 on, which the
driver compiles for the card at hand), and XLA launches it: `jax.ffi` reaches XLA's own custom call for PTX. Runs stay
on the card between calls; with several cards each has some, one after another, and all stream at once.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import llvmlite
import llvmlite.binding as llvm
import numpy as np
from jaxtyping import Float

from jgmm import doors, lanes
from jgmm.contract import Kernel
from jgmm.engine import build, cache, program, threads
from jgmm.engine.program import Leaf, Program, deal
from jgmm.engine.threads import Rows
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture

as_mixture: Callable[..., Mixture] = Mixture  # of NumPy arrays, which JAX takes for its own

CALL = "__gpu$xla.gpu.ptx"  # a name inside XLA: `available` looks whether it is there
# The oldest cards with what is needed: shuffles that name their threads (PTX 6.0). What is written for them runs on all
# newer ones.
CAPABILITY, TARGET, FEATURES = (7, 0), "sm_70", "+ptx60"
THREADS = threads.THREADS
KEPT = 64  # kernels that a process keeps


# --- code ---


@lru_cache
def _machine() -> Any:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(threads.TRIPLE).create_target_machine(cpu=TARGET, features=FEATURES, opt=3)


def assembled(module: Any) -> str:
    """The PTX of a module. No pass over what is written: it is what runs."""
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return _machine().emit_assembly(parsed)


_texts: dict[str, str] = {}  # of this process, by key, the oldest first


def ptx(made: Program, kernel: str = "stream") -> str:
    """The text of a program's kernel, "stream" or "drawing": written, or from the folder of machine code."""
    versions = (llvmlite.__version__, str(llvm.llvm_version_info))
    key = cache.key_of(cache.version(), program.text(made), kernel, threads.TRIPLE, TARGET, FEATURES, *versions)
    if key not in _texts:
        found = cache.load(key)
        if found is None:
            found = assembled({"stream": threads.stream, "drawing": threads.drawing}[kernel](made)).encode()
            cache.store(key, found)
        _texts[key] = found.decode()
        for old in list(_texts)[:-KEPT]:
            del _texts[old]
    return _texts[key]


@lru_cache(maxsize=KEPT)
def launcher(text: str, columns: int, results: tuple[Rows, ...]) -> Callable:
    """(arrays ..., counts) -> results, arrays of (rows, columns): a kernel on so many threads."""
    shapes = [jax.ShapeDtypeStruct((rows.rows, columns), rows.dtype) for rows in results]
    call = jax.ffi.ffi_call(CALL, shapes)
    sizes = {"grid_x": columns // THREADS, "grid_y": 1, "grid_z": 1, "block_x": THREADS, "block_y": 1, "block_z": 1}
    how = {name: np.int32(size) for name, size in (sizes | {"shared_mem_bytes": 0}).items()}
    return jax.jit(lambda *given: call(*given, name=threads.KERNEL, kernel_type="ptx", kernel_data=text, **how))


# --- arrays ---


def spread(x: np.ndarray, leaf: Leaf, made: Program) -> np.ndarray:
    """A leaf (..., runs) as rows of a number for each thread, (rows, runs * shares)."""
    shares, runs = made.shares, x.shape[-1]
    if leaf.axis is None:
        return np.repeat(x.reshape(-1, runs), shares, axis=-1)
    dealt = deal(made.d, shares)
    found = np.where((dealt >= 0)[..., None], x[:, dealt], np.zeros((), x.dtype))  # (e, slots, shares, runs)
    return np.moveaxis(found, 2, 3).reshape(-1, runs * shares)


def gathered(rows: np.ndarray, leaf: Leaf, made: Program) -> np.ndarray:
    """The leaf that `spread` has spread."""
    shares = made.shares
    if leaf.axis is None:
        return rows[:, ::shares].reshape(*leaf.shape, -1)
    dealt = deal(made.d, shares)
    found = np.moveaxis(rows.reshape(leaf.shape[0], len(dealt), -1, shares), 3, 2)
    out = np.empty((*leaf.shape, found.shape[-1]), rows.dtype)
    out[:, dealt[dealt >= 0]] = found[:, dealt >= 0]
    return out


def _lanes(made: Program) -> np.ndarray:
    """Which lane of a run each of a share's is, -1 for none: (1 + 2 pairs, shares). All have the label's."""
    pairs = np.arange(threads.pairs_of(made) * made.shares).reshape(-1, made.shares)
    first, second = (np.where(pairs < made.half, pairs + low, -1) for low in (1, 1 + made.half))
    return np.concatenate([np.zeros((1, made.shares), int), first, second])


def spread_words(words: LaneState, made: Program) -> np.ndarray:
    """The lanes of each thread, (4 * lanes, runs * shares)."""
    there = _lanes(made)
    found = np.stack([np.asarray(word)[there] for word in words])  # (4, lanes, shares, runs)
    found = np.where((there >= 0)[None, ..., None], found, np.uint32(0))
    return np.moveaxis(found, 2, 3).reshape(4 * len(there), -1)


def gathered_words(rows: np.ndarray, made: Program) -> LaneState:
    """What `spread_words` has spread."""
    there = _lanes(made)
    found = np.moveaxis(rows.reshape(4, len(there), -1, made.shares), 3, 2)
    out = np.empty((4, 1 + 2 * made.half, found.shape[-1]), rows.dtype)
    out[:, there[there >= 0]] = found[:, there >= 0]
    return LaneState(*out)


def columns_for(count: int) -> int:
    """So many threads and up to an eighth more, whole warps: few programs of XLA's then serve all numbers of runs.

    What is too much has no samples to take in.
    """
    step = max(THREADS, 2 ** max(0, (count - 1).bit_length() - 4))
    return -(-count // step) * step


def laid(words: LaneState, leaves: Sequence, mixture: Mixture, made: Program) -> dict[str, np.ndarray]:
    """The arrays that a kernel reads, by `threads.given`: `columns_for` the threads, the last run again at the end."""
    runs = mixture.means.shape[-1]
    alike = Leaf((made.k,), made.dtype, None, False, None, False)
    thresholds = lanes.thresholds(np.asarray(mixture.weights)) if made.k > 1 else np.zeros((1, runs), np.int32)
    found = {"words": spread_words(words, made), "means": spread(np.asarray(mixture.means), made.means, made)}
    found |= {"thresholds": spread(thresholds, alike, made), "scales": spread(np.asarray(mixture.scales), alike, made)}
    for i, (x, leaf) in enumerate(zip(leaves, made.leaves, strict=True)):
        if leaf.alias is None:
            whole = np.broadcast_to(np.asarray(x), (*leaf.shape, runs))
            found[f"leaf{i}"] = spread(whole, leaf, made)
    columns = columns_for(runs * made.shares)
    filled = np.minimum(np.arange(columns // made.shares), runs - 1)
    of_column = (filled[:, None] * made.shares + np.arange(made.shares)).ravel()
    kinds = threads.given(made)
    return {name: x[:, of_column].astype(kinds[name].dtype) for name, x in found.items()}


# --- streams ---


class _Card:
    """Some runs on one card."""

    def __init__(
        self, made: Program, low: int, high: int, arrays: dict[str, np.ndarray], device: Any, launcher: Callable
    ):
        self.made, self.low, self.runs, self.device, self.launcher = made, low, high - low, device, launcher
        self.columns = arrays["words"].shape[1]
        self.held = {name: jax.device_put(x, device) for name, x in arrays.items()}

    def launch(self, text: str, results: dict[str, Rows], counts: Sequence[int], live: int) -> dict[str, Any]:
        """The results by name, which need not be there yet; what is held with these names is them from now on."""
        numbers = jax.device_put(np.array([*counts, np.clip(live - self.low, 0, self.runs)], np.int32), self.device)
        found = self.launcher(text, self.columns, tuple(results.values()))(*self.held.values(), numbers)
        named = dict(zip(results, found, strict=True))
        self.held |= {name: x for name, x in named.items() if name in self.held}
        return named

    def rows(self, x: Any) -> np.ndarray:
        """On the host, without the runs that fill up a warp."""
        return np.asarray(x)[:, : self.runs * self.made.shares]


def _cut(tree: Any, low: int, high: int) -> Any:
    """Runs low, ..., high - 1 of arrays whose last axis they are."""
    return jax.tree.map(lambda x: x[..., low:high] if np.ndim(x) else x, tree)


class Stream:
    """Runs on NVIDIA's cards (by default all that JAX has), between calls; see `contract.Stream`.

    shares: threads of a run, where its coordinates are alike (`build.program`); changes what is added up first.
    launcher: what launches kernels.
    """

    def __init__(
        self,
        kernel: Kernel,
        words: LaneState,
        state: Any,
        params: Any,
        mixture: Mixture,
        *,
        devices: Sequence | None = None,
        shares: int | None = None,
        launcher: Callable = launcher,
    ):
        mixture = as_mixture(*map(np.asarray, mixture))
        runs = mixture.means.shape[-1]
        self.program = build.program(kernel, state, params, mixture, shares=shares)
        started, self._tree = jax.tree.flatten(state)
        told = zip(self.program.state, started, strict=True)
        self._unmoved = [None if leaf.moves else x for leaf, x in told]
        leaves = started + jax.tree.leaves(params)
        devices = list(jax.devices() if devices is None else devices)
        edges = np.linspace(0, runs, min(len(devices), runs) + 1).astype(int)
        self._text = lru_cache(partial(ptx, self.program))
        self._cards = []
        for device, low, high in zip(devices, edges, edges[1:], strict=False):
            mine, some, mixed = _cut((words, leaves, mixture), low, high)
            arrays = laid(mine, some, mixed, self.program)
            self._cards.append(_Card(self.program, low, high, arrays, device, launcher))

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`contract.Stream.advance`; the runs of a warp that has a live one all go on."""
        counts = (1, count, 0) if block is None else (count, block, 1)
        self._launch("stream", threads.moved(self.program), counts, live)

    def draw(self, count: int) -> np.ndarray:
        """The next `count` samples of every run, (d, count, runs)."""
        words, x = threads.drawn(self.program).items()
        found = self._launch("drawing", dict([words, (x[0], x[1]._replace(rows=count * x[1].rows))]), (1, count, 0))
        leaf = Leaf((count, self.program.d), self.program.dtype, 1, False, None, False)
        whole = [
            gathered(card.rows(some["x"]), leaf, self.program) for card, some in zip(self._cards, found, strict=True)
        ]
        return np.moveaxis(np.concatenate(whole, axis=-1), 0, 1)

    def _launch(
        self, kernel: str, results: dict[str, Rows], counts: Sequence[int], live: int | None = None
    ) -> list[dict[str, Any]]:
        """On all cards at once, and wait for them."""
        text, most = self._text(kernel), np.iinfo(np.int32).max
        found = [card.launch(text, results, counts, most if live is None else live) for card in self._cards]
        return jax.block_until_ready(found)

    def words(self) -> LaneState:
        """`contract.Stream.words`."""
        some = [gathered_words(card.rows(card.held["words"]), self.program) for card in self._cards]
        return LaneState(*(np.concatenate(words, axis=-1) for words in zip(*some, strict=True)))

    def state(self) -> Any:
        """`contract.Stream.state`."""
        found = []
        for i, (leaf, before) in enumerate(zip(self.program.state, self._unmoved, strict=True)):
            if not leaf.moves:
                found.append(np.asarray(before))
                continue
            rows = [card.rows(card.held[f"leaf{i}"]) for card in self._cards]
            x = np.concatenate([gathered(some, leaf, self.program) for some in rows], axis=-1).astype(leaf.dtype)
            found.append(x[..., 0].copy() if leaf.scalar else x)
        return jax.tree.unflatten(self._tree, found)


open = Stream


def draw(
    words: LaneState,
    mixture: Mixture,
    n: int,
    *,
    pair: Callable = lanes.normal_pair,
    devices: Sequence | None = None,
) -> tuple[LaneState, Float[np.ndarray, "d n runs"]]:
    """The lanes behind the next n samples of every run, and those samples; NumPy. pair: see `contract.Kernel`."""
    stream = Stream(program.STILL._replace(pair=pair), words, (), {}, mixture, devices=devices)
    x = stream.draw(doors.whole("n", n))
    return stream.words(), x


# --- may it be? ---


def available(device: Any, launcher: Callable = launcher) -> str | None:
    """Why no kernel can be launched on this device, in words, if none can. launcher: what launches kernels."""
    if device.platform not in ("gpu", "cuda") or "rocm" in str(getattr(device.client, "platform_version", "")).lower():
        return f"the device is {'a CPU' if device.platform == 'cpu' else device.device_kind}, not an NVIDIA GPU"
    told = str(getattr(device, "compute_capability", "")).split(".")
    if all(map(str.isdigit, told)) and tuple(map(int, told)) < CAPABILITY:
        return f"{device.device_kind} has compute capability {'.'.join(told)}, expected 7.0 or more"
    return _tried(device, launcher)


_TRIAL = f"""
.version 6.0
.target {TARGET}
.address_size 64
.visible .entry {threads.KERNEL}(.param .u64 given, .param .u64 found) {{
    .reg .b32 %r<3>; .reg .b64 %d<6>;
    ld.param.u64 %d1, [given]; ld.param.u64 %d2, [found];
    mov.u32 %r1, %tid.x; mul.wide.u32 %d3, %r1, 4; add.s64 %d4, %d1, %d3; add.s64 %d5, %d2, %d3;
    ld.global.b32 %r2, [%d4]; shfl.sync.bfly.b32 %r2, %r2, 1, 31, -1; st.global.b32 [%d5], %r2;
    ret;
}}
"""


@lru_cache
def _tried(device: Any, launcher: Callable) -> str | None:
    """What a kernel of one warp, whose threads swap their numbers, shows: once for a device."""
    given = np.arange(THREADS, dtype=np.uint32)[None]
    try:
        (found,) = launcher(_TRIAL, THREADS, (Rows(1, "uint32"),))(jax.device_put(given, device))
        right = bool((np.asarray(found) == (given ^ 1)).all())
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return f"JAX {jax.__version__} has no custom call for PTX here ({str(error).splitlines()[0]})"
    return None if right else f"a kernel on {device.device_kind} gives a wrong result"
