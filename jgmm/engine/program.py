r"""A stream as lists of operations: what every back end that compiles its own code compiles. `build` makes them.

The coordinates of a run are dealt out to S shares, S a function of the shape alone: pairs (j, half + j), half =
ceil(d / 2), go to the shares 0, 1, ..., S - 1, 0, 1, ... A sum over coordinates is that of each share's (in the order
of its first halves, then of its second) and then of pairs of shares, pairs of pairs, and so on: threads of a GPU's warp
add so, and a CPU does the same. With S > 1 the lists are those of one share, the same for all.
"""

from typing import Any, NamedTuple

import numpy as np

from jgmm.contract import Kernel
from jgmm.engine.operations import Node, ordered


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
    """Lists of operations, and the arrays that they are about.

    Inputs are named ("word", q) (of one lane), ("bits", i) (the first words of a pair's two lanes, then their second
    ones), ("label word",), ("threshold", i), ("mean", i) and ("other mean", i) of a pair's two coordinates,
    ("scale", i), ("number", i) of the noise; in steps and ends ("x", slot), ("label",), ("leaf", number, index) and
    ("means", (i, slot)). A slot is a coordinate of a share.
    """

    k: int  # means
    d: int
    labels: int  # k, or more where there is one mean
    draws: int  # words that a lane of coordinates gives for a sample
    numbers: int  # of the noise
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
    def means(self) -> Leaf:
        """The mixture's means as a leaf."""
        return Leaf((self.k, self.d), self.dtype, 1, False, None, False)

    @property
    def half(self) -> int:
        """How many pairs of coordinates there are."""
        return (self.d + 1) // 2


def _still(state: Any, sample: Any, params: Any) -> Any:
    del sample, params
    return state


STILL = Kernel(_still)  # of a stream that only draws


def deal(d: int, shares: int) -> np.ndarray:
    """Which coordinate is in each slot of each share, -1 where none is: (slots, shares)."""
    half = (d + 1) // 2
    pairs = np.arange(-(-half // shares) * shares).reshape(-1, shares)
    pairs = np.where(pairs < half, pairs, -1)
    second = np.where((pairs >= 0) & (pairs + half < d), pairs + half, -1)
    return np.concatenate([pairs, second]) if shares > 1 else np.arange(d)[:, None]


def text(program: Program) -> str:
    """All of it in words, the same for the same program: what machine code is found by."""
    pieces = (program.next_bits, program.label_word, program.label, program.pair, program.step, program.end)
    shape = (program.k, program.d, program.labels, program.draws, program.numbers, program.shares, program.dtype)
    lines = [repr((*shape, program.leaves, program.small_roots))]
    for piece in pieces:
        numbers: dict[int, int] = {}
        results = piece.results if piece is not None else {}
        for node in ordered(results.values()):
            numbers[id(node)] = len(numbers)
            lines.append(f"{node.op} {node.dtype} {node.data} {[numbers[id(x)] for x in node.args]}")
        lines.append(repr([(name, numbers[id(node)]) for name, node in results.items()]))
    return "\n".join(lines)
