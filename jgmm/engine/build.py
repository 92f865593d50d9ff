r"""A kernel as lists of operations: its functions followed (`follow`) on the numbers of a run.

A step is written for arrays whose last axis is the runs. Where it treats all coordinates alike (`alike`), they are
dealt out to as many shares as a GPU's registers ask for, and it is followed on the coordinates of one share.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgmm import lanes
from jgmm.contract import Kernel, Refused, Sample
from jgmm.engine.alike import alike
from jgmm.engine.follow import Follower
from jgmm.engine.nodes import NodeArray, each
from jgmm.engine.operations import Node, Operations
from jgmm.engine.program import Leaf, Piece, Program, deal
from jgmm.mixture import Mixture
from jgmm.sampling import Source, source

_sample: Callable[..., Sample] = Sample  # of `NodeArray`s, which a follower takes for arrays
_words: Callable[..., lanes.LaneState] = lanes.LaneState  # likewise

MOST_SHARES = 32  # a warp, which adds up over its threads without going through memory
FEW_NUMBERS = 210  # of 32 bits in a GPU's thread: of its 255 registers, some 45 are for what is computed


def program(
    kernel: Kernel, state: Any, params: Any, mixture: Mixture | Source, *, shares: int | None = None
) -> Program:
    """The lists of a kernel for arrays like these (runs last, or numbers that are the same for all runs).

    An array (e, d, runs) of the state or the params holds coordinates along its second axis; no other does. One that
    has the values of the mixture's means is held once with them. shares: of a run, where its coordinates are alike (a
    power of two); None: what its shape asks for.
    Raises Refused for a kernel that mixes runs or has an operation without a rule, ValueError if a step returns
    another state than it got.
    """
    means, drawn = mixture.means, source(mixture)
    leaves, tree = jax.tree.flatten((state, params))
    kinds = tuple(
        (np.shape(x)[:-1], np.ndim(x) == 0, str(np.asarray(x).dtype if np.ndim(x) == 0 else x.dtype), _same(x, means))
        for x in leaves
    )
    of_state = len(jax.tree.leaves(state))
    drawn_from = _Drawn(means.shape[0], means.shape[1], len(drawn.weights), len(drawn.numbers), str(means.dtype))
    return _program(kernel, tree, of_state, kinds, drawn_from, shares)


def _same(x: Any, means: Any) -> bool:
    return x is means or (np.shape(x) == means.shape and bool(np.array_equal(np.asarray(x), np.asarray(means))))


class _Drawn(NamedTuple):
    """What samples are drawn from: counts of means, coordinates, labels and numbers of the noise."""

    k: int
    d: int
    labels: int
    numbers: int
    dtype: str


@lru_cache(maxsize=128)
def _program(kernel: Kernel, tree: Any, of_state: int, kinds: tuple, drawn: _Drawn, shares: int | None) -> Program:
    k, d, dtype = drawn.k, drawn.d, drawn.dtype
    leaves = [
        Leaf(shape, kind, 1 if len(shape) == 2 and shape[1] == d else None, True, "means" if same else None, scalar)
        for shape, scalar, kind, same in kinds
    ]
    # What moves is its own, whatever it starts from.
    builder = _Builder(kernel, tree, [leaf._replace(alias=None) for leaf in leaves], drawn)
    pieces, coordinates_alike = _probed(builder)
    moving = {name[1] for piece in pieces for name, node in piece.items() if node.op != "input" or node.data != name}
    leaves = [
        leaf._replace(moves=i in moving, alias=None if i in moving else leaf.alias) for i, leaf in enumerate(leaves)
    ]
    if not coordinates_alike:
        shares = 1
    elif shares is None:
        shares = _shares(leaves, k, d, dtype)
    builder = builder._replace(leaves=leaves)
    pieces, _ = builder.steps(len(deal(d, shares)))
    step, *end = (Piece({name: node for name, node in piece.items() if name[1] in moving}) for piece in pieces)
    arrays = tuple(leaves[:of_state]), tuple(leaves[of_state:])
    small_roots = kernel.pair is lanes.normal_pair
    counts = k, d, drawn.labels, kernel.draws, drawn.numbers
    return Program(*counts, shares, dtype, *arrays, *builder.drawing(), small_roots, step, end[0] if end else None)


def _probed(builder: "_Builder") -> tuple[list[dict[tuple, Node]], bool]:
    """The pieces in few coordinates, and whether these are alike; where they are not, or cannot be few, in all."""
    d = builder.drawn.d
    try:
        pieces, operations = builder.steps(min(d, 2))
    except (TypeError, ValueError):
        if d <= 2:
            raise
    else:
        if alike(operations, pieces, builder.leaves, builder.drawn.dtype):
            return pieces, d > 1
    return builder.steps(d)[0], False


def _shares(leaves: Sequence[Leaf], k: int, d: int, dtype: str) -> int:
    """The fewest shares, a power of two, that a GPU's thread holds in registers; as many as can be where none do."""
    own = [leaf for leaf in leaves if leaf.alias is None]
    size = {t: np.dtype(t).itemsize / 4 for t in {dtype, *(leaf.dtype for leaf in own)}}
    rows = k * size[dtype] + sum(np.prod(leaf.shape) / d * size[leaf.dtype] for leaf in own if leaf.axis is not None)
    others = 4 + 2 * k - 1 + sum(np.prod(leaf.shape) * size[leaf.dtype] for leaf in own if leaf.axis is None)
    pairs, shares = (d + 1) // 2, 1
    while others + (8 + 2 * rows) * -(-pairs // shares) > FEW_NUMBERS and 2 * shares <= min(pairs, MOST_SHARES):
        shares *= 2
    return shares


class _Builder(NamedTuple):
    """A kernel and what it is built for; tree: of its state and params, as whose leaves `leaves` stand."""

    kernel: Kernel
    tree: Any
    leaves: Sequence[Leaf]
    drawn: _Drawn

    def steps(self, slots: int) -> tuple[list[dict[tuple, Node]], Operations]:
        """The results of the step, and of the end if there is one, in a run of so many coordinates."""
        operations = Operations()
        follow = Follower(operations)
        inputs = self._inputs(operations, slots)
        state, params = jax.tree.unflatten(self.tree, inputs)
        x = each(lambda c: operations.input(("x", c), self.drawn.dtype, c), np.arange(slots))
        label = each(lambda _: operations.input(("label",), "int32"), np.zeros((), int))
        sample = _sample(NodeArray(x, self.drawn.dtype, False), NodeArray(label, "int32", False))
        pieces = [self._results(follow.call(self.kernel.step, state, sample, params), inputs)]
        if self.kernel.end is not None:
            pieces.append(self._results(follow.call(self.kernel.end, state, params), inputs))
        return pieces, operations

    def _inputs(self, operations: Operations, slots: int) -> list[NodeArray]:
        """Each leaf as nodes."""
        means = np.empty((self.drawn.k, slots), object)
        for i, c in np.ndindex(means.shape):
            means[i, c] = operations.input(("means", (i, c)), self.drawn.dtype, c)
        arrays = []
        for number, leaf in enumerate(self.leaves):
            shape = leaf.shape if leaf.axis is None else (leaf.shape[0], slots)
            nodes = np.empty(shape, object)
            for index in np.ndindex(shape):
                tag = None if leaf.axis is None else index[leaf.axis]
                nodes[index] = operations.input(("leaf", number, index), leaf.dtype, tag)
            is_means = leaf.alias and leaf.dtype == self.drawn.dtype
            arrays.append(NodeArray(means if is_means else nodes, leaf.dtype, leaf.scalar))
        return arrays

    def _results(self, after: Any, inputs: list[NodeArray]) -> dict[tuple, Node]:
        """The state's nodes by name. Raises ValueError if it has changed its form."""
        arrays, tree = jax.tree.flatten(after, is_leaf=lambda x: isinstance(x, NodeArray))
        state, _ = jax.tree.unflatten(self.tree, list(range(len(inputs))))
        if repr(tree) != repr(jax.tree.structure(state)):
            raise ValueError(f"the step returns a {tree}, expected the state's {jax.tree.structure(state)}")
        results: dict[tuple, Node] = {}
        for number, x in zip(jax.tree.leaves(state), arrays, strict=True):
            before = inputs[number]
            if (x.nodes.shape, x.dtype, x.scalar) != (before.nodes.shape, before.dtype, before.scalar):
                raise ValueError(f"the step returns {x.aval()} in the place of {before.aval()} of the state")
            for index in np.ndindex(x.nodes.shape):
                node, name = x.nodes[index], ("leaf", number, index)
                # One of means that has not moved is an input of its own name, too.
                stays = node is before.nodes[index]
                results[name] = Node("input", (), x.dtype, name, None, 0) if stays else node
        return results

    def drawing(self) -> tuple[Piece, Piece, Piece, Piece]:
        """A lane's next word; a label's word, and the label; two coordinates of a sample."""
        operations = Operations()
        follow = Follower(operations)

        def inputs(name: str, count: int, dtype: str) -> NodeArray:
            return NodeArray(each(lambda i: operations.input((name, i), dtype), np.arange(count)), dtype, False)

        words = _words(*(inputs("word", q + 1, "uint32").last() for q in range(4)))
        after, bits = follow.call(lanes.next_bits, words)
        next_bits = {("word", q): x.nodes[0] for q, x in enumerate(after)} | {("bits",): bits.nodes[0]}
        both = inputs("bits", 2 * self.kernel.draws, "uint32").nodes
        bits_of_pair = [NodeArray(both[i : i + 1], "uint32", False) for i in range(len(both))]
        word = follow.call(lanes.label_word, bits_of_pair[0])
        label_word = NodeArray(each(lambda _: operations.input(("label word",), "int32"), np.zeros(1)), "int32", False)
        thresholds = inputs("threshold", self.drawn.labels - 1, "int32")

        def label(word, thresholds):
            return lanes.choose(word, thresholds, jnp.arange(self.drawn.labels, dtype=jnp.int32)[:, None])

        def pair(bits, numbers, word, thresholds, means, others, scales):
            scale = lanes.choose(word, thresholds, scales)
            first, second = (z.astype(scale.dtype) for z in _noise(self.kernel.pair, bits, numbers))
            mean, other = (lanes.choose(word, thresholds, m) for m in (means, others))
            return mean + scale * first, other + scale * second

        mixture = (inputs(name, self.drawn.k, self.drawn.dtype) for name in ("mean", "other mean", "scale"))
        told = [inputs("number", i + 1, "float32").last() for i in range(self.drawn.numbers)]
        x = follow.call(pair, bits_of_pair, told, label_word, thresholds, *mixture)
        return (
            Piece(next_bits),
            Piece({("label word",): word.nodes[0]}),
            Piece({("label",): follow.call(label, label_word, thresholds).nodes[0]}),
            Piece({("x", i): value.nodes[0] for i, value in enumerate(x)}),
        )


def _noise(pair: Callable, bits: Sequence[Any], numbers: Sequence[Any]) -> tuple[Any, Any]:
    """What a kernel's pair gives. Raises Refused unless these are two arrays of the words' shape."""
    noise = pair(*bits, *numbers)
    if not isinstance(noise, tuple) or [getattr(z, "shape", None) for z in noise] != [bits[0].shape] * 2:
        raise Refused(f"the pair gives {noise}, expected two arrays of the shape {bits[0].shape}")
    return noise
