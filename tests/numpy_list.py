r"""A machine for the lists of `engine.program` without a compiler: NumPy, one operation after another.

Everything is IEEE 754's of the arrays' own dtype; a multiply-add is rounded once (`fma`). Arrays are (shares, runs), or
(1, runs) where all shares have the same. Coordinates that a share lacks are NaN: a sum that took one in would show it.
"""

from functools import partial
from typing import Any

import jax
import numpy as np

from jgmm import lanes
from jgmm.engine import build, operations
from jgmm.engine.operations import FLOATS, Node
from jgmm.engine.program import Piece, deal
from jgmm.lanes import LaneState
from jgmm.sampling import source

# --- a fused multiply-add ---


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a b + c, rounded once.

    float32: the product is exact in float64. Its sum with c is rounded to odd there, and then to float32, which is as
    if it had been rounded once, as 53 >= 24 + 2. float64: the same from sums without error (Boldo and Melquiond 2008,
    "Emulation of a FMA and correctly rounded sums", IEEE Transactions on Computers 57(4)), where nothing in between
    is subnormal or beyond the largest number.
    """
    if a.dtype == np.float32:
        return to_odd(a.astype(np.float64) * b, c.astype(np.float64)).astype(np.float32)
    upper, lower = _two_product(a, b)
    term, low = _two_sum(c, lower)
    high, middle = _two_sum(upper, term)
    plain = a * b + c
    return np.where(np.isfinite(plain), high + to_odd(low, middle), plain)


def to_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b of float64 where that is exact; else the one of the two numbers about it whose last bit is 1."""
    total, error = _two_sum(a, b)
    towards = np.where((error > 0) == (total > 0), 1, -1)
    even = (total.view(np.int64) & 1) == 0
    odd = (total.view(np.int64) + np.where(even, towards, 0)).view(np.float64)
    return np.where(np.isfinite(total) & (error != 0), odd, total)


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b, and what that lacks (Knuth)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a b of float64, and what that lacks (Dekker, with Veltkamp's halves)."""
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    product = a * b
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lifted = x * (2.0**27 + 1)
    high = lifted - (lifted - x)
    return high, x - high


# --- operations ---

_SAME: dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "sqrt": np.sqrt}
_SAME |= {"neg": np.negative, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "select": np.where}
_SAME |= {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert}
_SAME |= {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater}
_SAME |= {"ge": np.greater_equal, "shift_left": np.left_shift, "rem": np.fmod}
_SAME |= {
    "max": lambda a, b: np.where((b > a) | (b != b), b, a),
    "min": lambda a, b: np.where((b < a) | (b != b), b, a),
}


def computed(node: Node, x: list[np.ndarray]) -> np.ndarray:
    """What an operation makes of its operands' values."""
    if node.op == "fma":
        product, term = node.data
        return fma(-x[0] if product < 0 else x[0], x[1], -x[2] if term < 0 else x[2])
    if node.op == "bitcast":
        return np.ascontiguousarray(x[0]).view(node.dtype)
    if node.op == "convert":
        return _converted(x[0], np.dtype(node.dtype))
    if node.op.startswith("shift_right"):
        sign = "u" if node.op == "shift_right_logical" else "i"
        signed = [np.ascontiguousarray(each).view(f"{sign}{each.dtype.itemsize}") for each in x]
        return np.right_shift(*signed).view(node.dtype)
    return _SAME[node.op](*x)


def _converted(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if x.dtype.kind != "f" or dtype.kind == "f":
        return x.astype(dtype)
    if dtype.kind == "b":
        return x != 0
    limits = np.iinfo(dtype)  # what does not fit becomes the nearest that does, and NaN 0
    whole = np.trunc(np.where(np.isnan(x), 0, x).astype(np.float64))
    return np.clip(whole, float(limits.min), float(limits.max)).astype(dtype)


# --- lists ---


class Lists:
    """The lists of a program on (shares, runs) arrays. lacks: (slots, shares), whether a share lacks a slot."""

    def __init__(self, shares: int, lacks: np.ndarray):
        self.shares, self.lacks = shares, lacks

    def results(self, piece: Piece, source: Any) -> dict[tuple, np.ndarray]:
        """By name; source(name): the value of an input."""
        values: dict[int, np.ndarray] = {}
        loops: dict[int, list[np.ndarray]] = {}
        for node in operations.ordered(piece.results.values()):
            if node.op == "number":
                found = np.full((1, 1), node.number())
            elif node.op == "input":
                found = source(node.data)
            elif node.op == "total":
                found = self._total(node.args[0], values)
            elif node.op == "repeat":
                loops[id(node)] = self._repeated(node, [values[id(arg)] for arg in node.args])
                continue
            elif node.op == "item":
                found = loops[id(node.args[0])][node.data]
            else:
                found = computed(node, [values[id(arg)] for arg in node.args])
            assert found.dtype == node.dtype
            values[id(node)] = found
        return {name: values[id(node)] for name, node in piece.results.items()}

    def _repeated(self, node: Node, x: list[np.ndarray]) -> list[np.ndarray]:
        """What a loop carries in the end. A run that is done goes round with the others, and the body keeps it."""
        count = len(node.data.results)
        body = Piece({(i,): result for i, result in enumerate(node.data.results)})
        of = {"carry": x[:count], "given": x[count:]}
        while not of["carry"][0].all():
            of["carry"] = list(self.results(body, lambda name: of[name[0]][name[1]]).values())
        return of["carry"]

    def _total(self, part: Node, values: dict[int, np.ndarray]) -> np.ndarray:
        """0 + t_0 + t_1 + ... of each share, the terms that it lacks left out; then pairs of shares, and so on."""
        if self.shares == 1:
            return values[id(part)]
        terms = []
        while part.op != "number":
            rest = part.args[2] if part.op == "fma" else part.args[0]
            terms.append(part)
            part = rest
        runs = max(values[id(arg)].shape[-1] for term in terms for arg in term.args)
        total = np.broadcast_to(values[id(part)], (self.shares, runs))
        for term in reversed(terms):
            mine = term.args[:2] if term.op == "fma" else term.args[1:]
            (slot,) = {arg.tag for arg in mine} - {None}
            operands = [values[id(arg)] for arg in mine]
            after = computed(term, [*operands, total]) if term.op == "fma" else total + operands[0]
            total = np.where(self.lacks[slot][:, None], total, after)
        while len(total) > 1:
            total = total[0::2] + total[1::2]
        return total


def _missing(dtype: Any) -> Any:
    return np.nan if str(dtype) in FLOATS else 0


class Stream:
    """`contract.Stream` on NumPy."""

    def __init__(
        self, kernel: Any, words: LaneState, state: Any, params: Any, mixture: Any, *, shares: int | None = None
    ):
        self.program = made = build.program(kernel, state, params, mixture, shares=shares)
        self.dealt = deal(made.d, made.shares)
        self.lists = Lists(made.shares, self.dealt < 0)
        self.bits = np.stack([np.asarray(word) for word in words])
        self.means, _, self.scales, self.numbers = map(np.asarray, source(mixture))
        self.thresholds = lanes.thresholds(np.asarray(mixture.weights))
        leaves, self._tree = jax.tree.flatten(state)
        self.leaves = [np.array(x) for x in (*leaves, *jax.tree.leaves(params))]

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        del live
        with np.errstate(all="ignore"):
            for i in range(count * (block or 1)):
                self._consume(self.program.step, *self._draw())
                if block is not None and (i + 1) % block == 0 and self.program.end is not None:
                    self._consume(self.program.end)

    def draw(self, count: int) -> np.ndarray:
        return np.stack([self._draw()[0] for _ in range(count)], axis=1)

    def words(self) -> LaneState:
        return LaneState(*self.bits)

    def state(self) -> Any:
        return jax.tree.unflatten(self._tree, self.leaves[: len(self.program.state)])

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        """The next sample (d, runs), all lanes and all pairs at once; and its label word (1, runs)."""
        made, half, plain = self.program, self.program.half, Lists(1, self.dealt < 0)
        found = plain.results(made.next_bits, lambda name: self.bits[name[1]])
        self.bits, bits = np.stack([found["word", q] for q in range(4)]), found["bits",]
        word = plain.results(made.label_word, lambda _: bits[:1])["label word",]
        others = np.zeros((made.k, half, bits.shape[-1]), self.means.dtype)
        others[:, : made.d - half] = self.means[:, half:]
        given = {("label word",): word, ("bits", 0): bits[1 : 1 + half], ("bits", 1): bits[1 + half :]}
        for draw in range(1, made.draws):
            found = plain.results(made.next_bits, lambda name: self.bits[name[1]][1:])
            self.bits[:, 1:] = np.stack([found["word", q] for q in range(4)])
            given |= {("bits", 2 * draw): found["bits",][:half], ("bits", 2 * draw + 1): found["bits",][half:]}
        given |= {("threshold", i): self.thresholds[i][None] for i in range(made.labels - 1)}
        given |= {("number", i): self.numbers[i][None] for i in range(made.numbers)}
        for i in range(made.k):
            given |= {("mean", i): self.means[i, :half], ("other mean", i): others[i]}
            given["scale", i] = self.scales[i][None]
        x = plain.results(made.pair, given.__getitem__)
        return np.concatenate([x["x", 0], x["x", 1]])[: made.d], word

    def _dealt(self, x: np.ndarray, slot: int) -> np.ndarray:
        """A slot of all shares, of coordinates (d, runs)."""
        there = self.dealt[slot]
        return np.where((there >= 0)[:, None], x[there], np.array(_missing(x.dtype), x.dtype))

    def _of_label(self, word: np.ndarray, name: tuple) -> np.ndarray:
        return word if name[0] == "label word" else self.thresholds[name[1]][None]

    def _consume(self, piece: Piece, x: Any = None, word: Any = None) -> None:
        """A step, or an end: everything that moves, from its value before."""
        made, one = self.program, Lists(1, self.dealt < 0)

        def source(name: tuple) -> np.ndarray:
            kind = name[0]
            if kind == "x":
                return self._dealt(x, name[1])
            if kind == "label":
                return one.results(made.label, partial(self._of_label, word))["label",]
            if kind == "means":
                return self._dealt(self.means[name[1][0]], name[1][1])
            _, number, index = name
            leaf, values = made.leaves[number], self.leaves[number]
            if leaf.axis is not None:
                return self._dealt(values[index[0]], index[1])
            return values.reshape(1, 1) if leaf.scalar else values[index][None]

        found = self.lists.results(piece, source)
        for (_, number, index), value in found.items():
            leaf = made.leaves[number]
            values = self.leaves[number]
            if leaf.axis is None:
                values[index if not leaf.scalar else ...] = value[0, 0] if leaf.scalar else value[0]
                continue
            for share in np.flatnonzero(self.dealt[index[1]] >= 0):
                values[index[0], self.dealt[index[1], share]] = value[share if len(value) > 1 else 0]


open = Stream
