r"""A stream's step as a list of operations: what every strict back end compiles.

A step is written for arrays whose last axis is the runs. Its jaxpr is followed (`follow`) until there is nothing but
operations on single numbers of a run.

The coordinates of a run are dealt out to S shares, S a function of the shape alone: pairs (j, half + j), half =
ceil(d / 2), go to the shares 0, 1, ..., S - 1, 0, 1, ... A sum over coordinates is that of each share's (in the order
of its first halves, then of its second) and then of pairs of shares, pairs of pairs, and so on: threads of a GPU's warp
add so, and a CPU does the same. With S > 1 the list is that of one share, the same for all.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgmm import lanes
from jgmm.contract import Kernel, Refused, Sample
from jgmm.engine.follow import Follower, Held, each
from jgmm.engine.operations import MIXED, Node, Operations
from jgmm.mixture import Mixture

_sample: Callable[..., Sample] = Sample  # of `Held` arrays, which a follower takes for arrays
_words: Callable[..., lanes.LaneState] = lanes.LaneState  # likewise

MOST_SHARES = 32  # a warp, which adds up over its threads without going through memory
FEW_NUMBERS = 210  # of 32 bits in a GPU's thread: of its 255 registers, some 45 are for what is computed


class _NotAlike(Exception):
    """A function does not treat all coordinates alike, each by itself."""


class Leaf(NamedTuple):
    """An array of a run: its shape without the runs, and which axis of it are the coordinates, if one is.

    moves: whether the kernel changes it. alias: "means" where it is the mixture's means, and held once with them.
    scalar: it came without a run axis, the same number for all runs.
    """

    shape: tuple[int, ...]
    dtype: str
    axis: int | None
    moves: bool
    alias: str | None
    scalar: bool


class Piece(NamedTuple):
    """Results by name: ("leaf", number, index) for what moves, else as `Program` says."""

    results: dict[tuple, Node]


class Program(NamedTuple):
    """Lists of operations, and what they are told.

    Inputs are named ("word", q) (of one lane), ("bits", 0 or 1), ("label word",), ("threshold", i), ("mean", i) and
    ("other mean", i) of a pair's two coordinates, ("scale", i); in steps and ends ("x", slot), ("label",),
    ("leaf", number, index) and ("means", (i, slot)). A slot is a coordinate of a share.
    """

    k: int
    d: int
    shares: int
    dtype: str  # of samples
    state: tuple[Leaf, ...]
    params: tuple[Leaf, ...]
    next_bits: Piece  # ("word", q) for q = 0 to 3, and ("bits",)
    label_word: Piece  # ("label word",) from ("bits", 0)
    label: Piece  # ("label",) from ("label word",)
    pair: Piece  # ("x", 0) and ("x", 1)
    small_roots: bool  # whether square roots in `pair` are of 0 and of numbers from 2^-60 to 2^60, as a normal pair's
    step: Piece
    end: Piece | None

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Of the state, then of the params: a leaf's number counts here."""
        return self.state + self.params

    @property
    def half(self) -> int:
        """How many pairs of coordinates there are."""
        return (self.d + 1) // 2


def _still(state: Any, sample: Any, params: Any) -> Any:
    del sample, params
    return state


STILL = Kernel(_still)  # of a stream that only draws


def text(program: Program) -> str:
    """All of it in words, the same for the same program: what machine code is found by."""
    pieces = (program.next_bits, program.label_word, program.label, program.pair, program.step, program.end)
    lines = [repr((program.k, program.d, program.shares, program.dtype, program.leaves))]
    for piece in pieces:
        numbers: dict[int, int] = {}
        results = piece.results if piece is not None else {}
        for node in ordered(results.values()):
            numbers[id(node)] = len(numbers)
            lines.append(f"{node.op} {node.dtype} {node.data} {[numbers[id(x)] for x in node.args]}")
        lines.append(repr([(name, numbers[id(node)]) for name, node in results.items()]))
    return "\n".join(lines)


def ordered(results: Iterable[Node]) -> list[Node]:
    """All nodes that are needed, operands first."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(list(results))]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(x, False) for x in reversed(node.args)]
    return order


def deal(d: int, shares: int) -> np.ndarray:
    """Which coordinate is in each slot of each share, -1 where none is: (slots, shares)."""
    half = (d + 1) // 2
    pairs = np.arange(-(-half // shares) * shares).reshape(-1, shares)
    pairs = np.where(pairs < half, pairs, -1)
    second = np.where((pairs >= 0) & (pairs + half < d), pairs + half, -1)
    return np.concatenate([pairs, second]) if shares > 1 else np.arange(d)[:, None]


def program(kernel: Kernel, state: Any, params: Any, mixture: Mixture) -> Program:
    """The lists of a kernel for arrays like these (runs last, or numbers that are the same for all runs).

    An array (e, d, runs) of the state or the params holds coordinates along its second axis; no other does. One that
    has the values of the mixture's means is held once with them.
    Raises Refused for a kernel that mixes runs or has an operation without a rule, ValueError if a step returns
    another state than it got.
    """
    means = mixture.means
    leaves, tree = jax.tree.flatten((state, params))
    shapes = tuple(
        (np.shape(x)[:-1], np.ndim(x) == 0, str(np.asarray(x).dtype if np.ndim(x) == 0 else x.dtype), _same(x, means))
        for x in leaves
    )
    return _program(kernel, tree, len(jax.tree.leaves(state)), shapes, *means.shape[:2], str(means.dtype))


def _same(x: Any, means: Any) -> bool:
    return x is means or (np.shape(x) == means.shape and bool(np.array_equal(np.asarray(x), np.asarray(means))))


@lru_cache(maxsize=128)
def _program(kernel: Kernel, tree: Any, of_state: int, shapes: tuple, k: int, d: int, dtype: str) -> Program:
    leaves = [
        Leaf(shape, t, 1 if len(shape) == 2 and shape[1] == d else None, True, "means" if same else None, scalar)
        for shape, scalar, t, same in shapes
    ]
    apart = [leaf._replace(alias=None) for leaf in leaves]  # what moves is its own, whatever it starts from
    build = _Builder(kernel, tree, of_state, apart, k, d, dtype)
    try:
        probe = build.steps(min(d, 2))
        _check_alike(probe, dtype)
        alike = d > 1
    except (Refused, _NotAlike, TypeError, ValueError) as error:
        if d <= 2 and not isinstance(error, _NotAlike):
            raise
        probe, alike = build.steps(d), False
    moving = {
        name[1] for piece in probe.pieces for name, node in piece.items() if node.op != "input" or node.data != name
    }
    leaves = [
        leaf._replace(moves=i in moving, alias=None if i in moving else leaf.alias) for i, leaf in enumerate(leaves)
    ]
    shares = _shares(leaves, k, d, dtype) if alike else 1
    build = build._replace(leaves=leaves)
    found = build.steps(len(deal(d, shares)))
    step, *end = (Piece({name: node for name, node in piece.items() if name[1] in moving}) for piece in found.pieces)
    state, params = tuple(leaves[:of_state]), tuple(leaves[of_state:])
    drawing = build.drawing()
    small_roots = kernel.pair is lanes.normal_pair
    return Program(k, d, shares, dtype, state, params, *drawing, small_roots, step, end[0] if end else None)


def _shares(leaves: Sequence[Leaf], k: int, d: int, dtype: str) -> int:
    """The fewest shares, a power of two, that a GPU's thread holds in registers; as many as can be where none do."""
    held = [leaf for leaf in leaves if leaf.alias is None]
    size = {t: np.dtype(t).itemsize / 4 for t in {dtype, *(leaf.dtype for leaf in held)}}
    rows = k * size[dtype] + sum(np.prod(leaf.shape) / d * size[leaf.dtype] for leaf in held if leaf.axis is not None)
    others = 4 + 2 * k - 1 + sum(np.prod(leaf.shape) * size[leaf.dtype] for leaf in held if leaf.axis is None)
    pairs, shares = (d + 1) // 2, 1
    while others + (8 + 2 * rows) * -(-pairs // shares) > FEW_NUMBERS and 2 * shares <= min(pairs, MOST_SHARES):
        shares *= 2
    return shares


class _Steps(NamedTuple):
    """A kernel's lists for so many slots."""

    operations: Operations
    pieces: list[dict[tuple, Node]]
    leaves: list[Leaf]


class _Builder(NamedTuple):
    kernel: Kernel
    tree: Any
    of_state: int
    leaves: Sequence[Leaf]
    k: int
    d: int
    dtype: str

    def steps(self, slots: int) -> _Steps:
        """The step, and the end if there is one, in a run of so many coordinates."""
        operations = Operations()
        follow = Follower(operations)
        inputs = self._inputs(operations, slots)
        state, params = jax.tree.unflatten(self.tree, inputs)
        coordinates = np.arange(slots)
        x = each(lambda c: operations.input(("x", c), self.dtype, c), coordinates)
        label = each(lambda _: operations.input(("label",), "int32"), np.zeros((), int))
        sample = _sample(Held(x, self.dtype, False), Held(label, "int32", False))
        pieces = [self._results(follow.call(self.kernel.step, state, sample, params), inputs)]
        if self.kernel.end is not None:
            pieces.append(self._results(follow.call(self.kernel.end, state, params), inputs))
        return _Steps(operations, pieces, list(self.leaves))

    def _inputs(self, operations: Operations, slots: int) -> list[Held]:
        means = np.empty((self.k, slots), object)
        for i, c in np.ndindex(means.shape):
            means[i, c] = operations.input(("means", (i, c)), self.dtype, c)
        found = []
        for number, leaf in enumerate(self.leaves):
            shape = leaf.shape if leaf.axis is None else (leaf.shape[0], slots)
            at = np.empty(shape, object)
            for index in np.ndindex(shape):
                tag = None if leaf.axis is None else index[leaf.axis]
                at[index] = operations.input(("leaf", number, index), leaf.dtype, tag)
            found.append(Held(means if leaf.alias and leaf.dtype == self.dtype else at, leaf.dtype, leaf.scalar))
        return found

    def _results(self, after: Any, inputs: list[Held]) -> dict[tuple, Node]:
        """Raises ValueError if the state has changed its form."""
        held, tree = jax.tree.flatten(after, is_leaf=lambda x: isinstance(x, Held))
        state, _ = jax.tree.unflatten(self.tree, list(range(len(inputs))))
        if repr(tree) != repr(jax.tree.structure(state)):
            raise ValueError(f"the step returns a {tree}, expected the state's {jax.tree.structure(state)}")
        found: dict[tuple, Node] = {}
        for number, x in zip(jax.tree.leaves(state), held, strict=True):
            before = inputs[number]
            if (x.at.shape, x.dtype, x.scalar) != (before.at.shape, before.dtype, before.scalar):
                raise ValueError(f"the step returns {x.aval()} in the place of {before.aval()} of the state")
            for index in np.ndindex(x.at.shape):
                node = x.at[index]
                unmoved = node is before.at[index]
                name = ("leaf", number, index)
                found[name] = node if not unmoved else Node("input", (), x.dtype, name, None, 0)
        return found

    def drawing(self) -> tuple[Piece, Piece, Piece, Piece]:
        """A lane's next word; a label's word, and the label; two coordinates of a sample."""
        operations = Operations()
        follow = Follower(operations)

        def of(name: str, count: int, dtype: str) -> Held:
            return Held(each(lambda i: operations.input((name, i), dtype), np.arange(count)), dtype, False)

        words = _words(*(of("word", q + 1, "uint32").last() for q in range(4)))
        after, bits = follow.call(lanes.next_bits, words)
        moved = {("word", q): x.at[0] for q, x in enumerate(after)}
        next_bits = Piece({**moved, ("bits",): bits.at[0]})
        both = of("bits", 2, "uint32").at
        first, second = (Held(both[i : i + 1], "uint32", False) for i in range(2))
        word = follow.call(lanes.label_word, first)
        given = Held(each(lambda _: operations.input(("label word",), "int32"), np.zeros(1)), "int32", False)
        steps = of("threshold", self.k - 1, "int32")

        def label(word, steps):
            return lanes.choose(word, steps, jnp.arange(self.k, dtype=jnp.int32)[:, None])

        def pair(a, b, word, steps, means, others, scales):
            scale = lanes.choose(word, steps, scales)
            noise = (z.astype(scale.dtype) for z in _noise(self.kernel.pair, a, b))
            return [lanes.choose(word, steps, m) + scale * z for m, z in zip((means, others), noise, strict=True)]

        held = (of(name, self.k, self.dtype) for name in ("mean", "other mean", "scale"))
        x = follow.call(pair, first, second, given, steps, *held)
        return (
            next_bits,
            Piece({("label word",): word.at[0]}),
            Piece({("label",): follow.call(label, given, steps).at[0]}),
            Piece({("x", i): value.at[0] for i, value in enumerate(x)}),
        )


def _noise(pair: Callable, a: Any, b: Any) -> tuple[Any, Any]:
    """What a kernel's pair gives. Raises Refused unless these are two arrays of the words' shape."""
    found = pair(a, b)
    if not isinstance(found, tuple) or [getattr(z, "shape", None) for z in found] != [a.shape, b.shape]:
        raise Refused(f"the pair gives {found}, expected two arrays of the shape {a.shape}")
    return found


def _check_alike(found: _Steps, dtype: str) -> None:
    """Raises _NotAlike unless each coordinate's results are those of any other, told what is that other's.

    Shares add up numbers of this dtype alone.
    """
    for node in found.operations:
        if node.op == "total" and not (_is_sum(node.args[0]) and node.dtype == dtype):
            raise _NotAlike
    forms: dict[tuple[int, int], Any] = {}
    names: dict[tuple, int] = {}

    def form(node: Node, c: int) -> int:
        return forms[id(node), c] if node.tag is not None else id(node)

    for node in found.operations:
        if node.tag is None or node.tag == MIXED:
            continue
        data: Any = node.data
        if node.op == "input":
            data = (
                str(data).replace(str(node.data[-1]), "")
                if node.data[0] == "x"
                else _without(node.data, node.tag, found.leaves)
            )
        key = (node.op, node.dtype, data, tuple(form(arg, node.tag) for arg in node.args))
        forms[id(node), node.tag] = names.setdefault(key, len(names))
    for piece in found.pieces:
        alike: dict[tuple, int | None] = {}
        for (_, number, index), node in piece.items():
            leaf = found.leaves[number]
            if leaf.axis is None:
                if node.tag is not None:
                    raise _NotAlike
                continue
            if node.tag is not None and node.tag != index[leaf.axis]:
                raise _NotAlike
            unmoved = node.op == "input" and node.data == ("leaf", number, index)
            what = None if unmoved else form(node, index[leaf.axis])
            if alike.setdefault((number, index[: leaf.axis]), what) != what:
                raise _NotAlike


def _is_sum(node: Node) -> bool:
    """Whether it is 0 + t_0 + t_1 + ..., each term of one coordinate."""
    if node.tag is None:
        return False
    while node.op != "number":
        if node.op == "fma" and node.data[1] == 1:
            terms, rest = node.args[:2], node.args[2]
        elif node.op == "add":
            terms, rest = node.args[1:], node.args[0]
        else:
            return False
        if {term.tag for term in terms} - {None} in ({MIXED}, set()) or len({x.tag for x in terms} - {None}) > 1:
            return False
        node = rest
    return bool(node.number() == 0)


def _without(name: tuple, slot: int, leaves: Sequence[Leaf]) -> tuple:
    """An input's name without its coordinate, the second index."""
    return (*name[:-1], name[-1][0])
