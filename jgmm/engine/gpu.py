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
from jgmm.engine import build, cache, columns, program, threads
from jgmm.engine.program import Leaf, Program
from jgmm.engine.threads import Rows
from jgmm.lanes import LaneState
from jgmm.mixture import Mixture
from jgmm.sampling import Source, as_source, source

CALL = "__gpu$xla.gpu.ptx"  # a name inside XLA: `available` looks whether it is there
# The oldest cards with what is needed: shuffles that name their threads (PTX 6.0). What is written for them runs on all
# newer ones.
CAPABILITY, TARGET, FEATURES = (7, 0), "sm_70", "+ptx60"
THREADS = threads.THREADS
KEPT = 64  # kernels that a process keeps


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


texts: dict[str, str] = {}  # of this process, by key, the oldest first


def ptx(of: Program, kernel: str = "stream") -> str:
    """The text of a program's kernel, "stream" or "drawing": written, or from the folder of machine code."""
    versions = (llvmlite.__version__, str(llvm.llvm_version_info))
    key = cache.key_of(cache.version(), program.text(of), kernel, threads.TRIPLE, TARGET, FEATURES, *versions)
    if key not in texts:
        text = cache.load(key)
        if text is None:
            text = assembled({"stream": threads.stream, "drawing": threads.drawing}[kernel](of)).encode()
            cache.store(key, text)
        texts[key] = text.decode()
        for old in list(texts)[:-KEPT]:
            del texts[old]
    return texts[key]


@lru_cache(maxsize=KEPT)
def launcher(text: str, columns: int, results: tuple[Rows, ...]) -> Callable:
    """A kernel on so many threads: (arrays ..., counts) -> results, arrays of (rows, columns)."""
    shapes = [jax.ShapeDtypeStruct((rows.rows, columns), rows.dtype) for rows in results]
    call = jax.ffi.ffi_call(CALL, shapes)
    sizes = {"grid_x": columns // THREADS, "grid_y": 1, "grid_z": 1, "block_x": THREADS, "block_y": 1, "block_z": 1}
    how = {name: np.int32(size) for name, size in (sizes | {"shared_mem_bytes": 0}).items()}
    return jax.jit(lambda *given: call(*given, name=threads.KERNEL, kernel_type="ptx", kernel_data=text, **how))


# --- streams ---


class _Card:
    """Runs `low`, low + 1, ... on one card."""

    def __init__(
        self, program: Program, low: int, runs: int, arrays: dict[str, np.ndarray], device: Any, launcher: Callable
    ):
        self.program, self.low, self.runs, self.device, self.launcher = program, low, runs, device, launcher
        self.columns = arrays["words"].shape[1]
        self.arrays = {name: jax.device_put(x, device) for name, x in arrays.items()}

    def launch(self, text: str, results: dict[str, Rows], counts: Sequence[int], live: int) -> dict[str, Any]:
        """The results by name, which need not be there yet; arrays with these names are replaced by them."""
        numbers = jax.device_put(np.array([*counts, np.clip(live - self.low, 0, self.runs)], np.int32), self.device)
        kernel = self.launcher(text, self.columns, tuple(results.values()))
        by_name = dict(zip(results, kernel(*self.arrays.values(), numbers), strict=True))
        self.arrays |= {name: x for name, x in by_name.items() if name in self.arrays}
        return by_name

    def rows(self, x: Any) -> np.ndarray:
        """On the host, without the runs that fill up a warp."""
        return np.asarray(x)[:, : self.runs * self.program.shares]


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
        mixture: Mixture | Source,
        *,
        devices: Sequence | None = None,
        shares: int | None = None,
        launcher: Callable = launcher,
    ):
        mixture = as_source(*map(np.asarray, source(mixture)))
        runs = mixture.means.shape[-1]
        self.program = build.program(kernel, state, params, mixture, shares=shares)
        of_state, self._tree = jax.tree.flatten(state)
        before = zip(self.program.state, of_state, strict=True)
        self._unmoved = [None if leaf.moves else x for leaf, x in before]
        whole = words, of_state + jax.tree.leaves(params), mixture
        devices = list(jax.devices() if devices is None else devices)
        edges = np.linspace(0, runs, min(len(devices), runs) + 1).astype(int)
        self._text = lru_cache(partial(ptx, self.program))
        self._cards = []
        for device, low, high in zip(devices, edges, edges[1:], strict=False):
            of_card = jax.tree.map(lambda x, low=low, high=high: x[..., low:high] if np.ndim(x) else x, whole)
            arrays = columns.arrays(of_card[0], of_card[1], of_card[2], self.program)
            self._cards.append(_Card(self.program, low, high - low, arrays, device, launcher))

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """`contract.Stream.advance`; the runs of a warp that has a live one all go on."""
        counts = (1, count, 0) if block is None else (count, block, 1)
        self._launch("stream", threads.moved(self.program), counts, live)

    def draw(self, count: int) -> np.ndarray:
        """The next `count` samples of every run, (d, count, runs)."""
        results = threads.drawn(self.program)
        results["x"] = results["x"]._replace(rows=count * results["x"].rows)
        by_card = self._launch("drawing", results, (1, count, 0))
        samples = Leaf((count, self.program.d), self.program.dtype, 1, False, None, False)
        rows = [card.rows(results_of_card["x"]) for card, results_of_card in zip(self._cards, by_card, strict=True)]
        return np.moveaxis(self._gathered(rows, samples), 0, 1)

    def _launch(
        self, kernel: str, results: dict[str, Rows], counts: Sequence[int], live: int | None = None
    ) -> list[dict[str, Any]]:
        """On all cards at once, and wait for them."""
        text, all_runs = self._text(kernel), np.iinfo(np.int32).max
        by_card = [card.launch(text, results, counts, all_runs if live is None else live) for card in self._cards]
        return jax.block_until_ready(by_card)

    def _gathered(self, rows: Sequence[np.ndarray], leaf: Leaf) -> np.ndarray:
        """A leaf from its rows on each card."""
        return np.concatenate([columns.gather(some, leaf, self.program) for some in rows], axis=-1)

    def words(self) -> LaneState:
        """`contract.Stream.words`."""
        by_card = [columns.gather_words(card.rows(card.arrays["words"]), self.program) for card in self._cards]
        return LaneState(*(np.concatenate(words, axis=-1) for words in zip(*by_card, strict=True)))

    def state(self) -> Any:
        """`contract.Stream.state`."""
        leaves = []
        for i, (leaf, before) in enumerate(zip(self.program.state, self._unmoved, strict=True)):
            if not leaf.moves:
                leaves.append(np.asarray(before))
                continue
            x = self._gathered([card.rows(card.arrays[f"leaf{i}"]) for card in self._cards], leaf).astype(leaf.dtype)
            leaves.append(x[..., 0].copy() if leaf.scalar else x)
        return jax.tree.unflatten(self._tree, leaves)


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
    stream = Stream(program.STILL._replace(pair=pair, draws=draws), words, (), {}, mixture, devices=devices)
    x = stream.draw(doors.whole("n", n))
    return stream.words(), x


# --- whether there is a card that will do ---


def available(device: Any, launcher: Callable = launcher) -> str | None:
    """Why no kernel can be launched on this device, in words, if none can. launcher: what launches kernels."""
    if device.platform not in ("gpu", "cuda") or "rocm" in str(getattr(device.client, "platform_version", "")).lower():
        return f"the device is {'a CPU' if device.platform == 'cpu' else device.device_kind}, not an NVIDIA GPU"
    capability = str(getattr(device, "compute_capability", ""))
    numbers = capability.split(".")
    if all(map(str.isdigit, numbers)) and tuple(map(int, numbers)) < CAPABILITY:
        return f"{device.device_kind} has compute capability {capability}, expected 7.0 or more"
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
    numbers = np.arange(THREADS, dtype=np.uint32)[None]
    try:
        (swapped,) = launcher(_TRIAL, THREADS, (Rows(1, "uint32"),))(jax.device_put(numbers, device))
        right = bool((np.asarray(swapped) == (numbers ^ 1)).all())
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return f"JAX {jax.__version__} has no custom call for PTX here ({str(error).splitlines()[0]})"
    return None if right else f"a kernel on {device.device_kind} gives a wrong result"
