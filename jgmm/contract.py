r"""What an algorithm is: a value, of pure functions. It knows no batch, no device, no back end.

    state <- step(state, sample, params, move)          a sample x of a run, and the component that it came from

A state is any NamedTuple that has an `origin` and an `offset`, of shape (e, d, *runs): the estimate is their sum. e is
k for centres, 1 for one mean of a symmetric pair, r for a basis. With the origin near where the estimate will settle,
float32 moves of 1e-7 are not lost beside coordinates of 1e4. Arrays have the runs last; a step treats every run apart,
and every coordinate alike: what it needs to add up over the coordinates goes through `loops.over_coordinates`.

To add an algorithm: write a file as those in `algorithms`, and name its value there.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

from jgmm.lanes import LaneState, normal_pair


class Sample(NamedTuple):
    """A sample and the component that it came from. Algorithms that may not know the label do not look at it."""

    x: Float[Array, "d *runs"]
    label: Int[Array, "*runs"]


class Algorithm(NamedTuple):
    """A streaming algorithm. All of it are functions of a module, so that two of one kind are equal.

    init(start, origin, memory) -> state: estimates at `start`, held relative to `origin`, both (e, d, *runs); memory:
    what the step size starts from.
    step(state, sample, params, move) -> state: takes in a sample. params: what `params` gave. move: the step size, as
    move(memory, offset, pull, gate) -> (offset, memory); pull: where to, relative to the estimate, (e, d, *runs); gate:
    which estimates move, (e, *runs), flags or shares of a whole step.
    twin: the step when every label is known; None where there is none.
    params(mixture, component, numbers) -> dict of arrays, the runs last: what a step is told. The mixture is of NumPy
    arrays; where there are k estimates, they stand in the order of its components. component: which one each estimate
    stands for, (e, runs). numbers: those in `numbers`, each of shape (runs,).
    estimates(k): how many there are.
    check(mixture): raises ValueError for a mixture that the algorithm is not for.
    numbers: names of what may be chosen for each run (positive), with their defaults.
    words: what it does, in a line.
    """

    init: Callable
    step: Callable
    twin: Callable | None
    params: Callable
    estimates: Callable
    check: Callable
    numbers: tuple[tuple[str, float], ...]
    words: str


class Kernel(NamedTuple):
    """What a back end compiles: functions of a module, so that two of the same functions are equal.

    step(state, sample, params) -> state, for each sample. end(state, params) -> state, after each block of samples.
    pair(a, b) -> (z, w): what two words of 32 random bits make of two coordinates of a sample, which are the mean plus
    the scale times z, and w: independent numbers of mean 0 and variance 1, float32, of the shape of the words. It may
    use what `lanes` and `elementary` have, + - * / sqrt, comparisons and integers; the step may use any operation that
    `engine.follow` has a rule for.
    """

    step: Callable
    end: Callable | None = None
    pair: Callable = normal_pair


class Refused(ValueError):
    """What a back end cannot do: it mixes runs, or there is no rule for it. Says what and why."""


@runtime_checkable
class Stream(Protocol):
    """Runs that a back end holds between calls: what its `open(kernel, words, state, params, mixture)` returns.

    words, state, params, mixture: pytrees of NumPy or JAX arrays whose last axis are the runs, or scalars that are the
    same for every run. An array that occurs twice, as the same object, is held once.
    """

    def advance(self, count: int, *, live: int | None = None, block: int | None = None) -> None:
        """Take in `count` more samples of each of the first `live` runs (None: of all); others may stay as they are.

        With an `end`: `count` blocks of `block` samples.
        """

    def words(self) -> LaneState:
        """The lanes as they stand, NumPy."""

    def state(self) -> Any:
        """The state as it stands, NumPy."""


class Choice(NamedTuple):
    """A back end, and why it is this one, in words."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


# One for all runs, or one each.
Numbers = float | int | np.number | np.ndarray | Array | Sequence[float] | Sequence[int]
