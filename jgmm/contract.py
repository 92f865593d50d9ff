r"""What an algorithm is: a value, of pure functions. It knows no batch, no device, no back end.

    state <- step(state, sample, params, move)          a sample x of a run, and the component that it came from

A state is any NamedTuple that has an `origin` and an `offset`, of shape (e, d, *runs): the estimate is their sum. e is
k for centres, 1 for one mean of a symmetric pair, r for a basis. With the origin near where the estimate will settle,
float32 moves of 1e-7 are not lost beside coordinates of 1e4. Arrays have the runs last; a step treats every run apart,
and every coordinate alike: what it needs to add up over the coordinates goes through `loops.over_coordinates`.

To add an algorithm: write a file as those in `algorithms`, and name its value there.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int

from jgmm import rates
from jgmm.lanes import LaneState, normal_pair
from jgmm.steps import Numbers as Numbers
from jgmm.steps import StepSize


class Sample(NamedTuple):
    """A sample and the component that it came from. Algorithms that may not know the label do not look at it."""

    x: Float[Array, "d *runs"]
    label: Int[Array, "*runs"]


class State(NamedTuple):
    """The estimates are origin + offset; memory is the step size's."""

    origin: Float[Array | np.ndarray, "e d *runs"]
    offset: Float[Array | np.ndarray, "e d *runs"]
    memory: Any = ()


def begin(
    start: Float[Array | np.ndarray, "e d *runs"], origin: Float[Array | np.ndarray, "e d *runs"], memory: Any = ()
) -> State:
    """Estimates at `start`, held relative to `origin` (the start itself will do where nothing better is known)."""
    return State(origin, start - origin, memory)


def no_params(mixture: Any, component: Any, numbers: dict) -> dict:
    """Nothing is to be known but the step size."""
    del mixture, component, numbers
    return {}


def one_each(k: int) -> int:
    """An estimate for each component."""
    return k


def any_mixture(mixture: Any) -> None:
    """Nothing is asked of it."""


def nearest_only(numbers: dict) -> float:
    """A sample moves the estimate that is nearest to it, and no other."""
    del numbers
    return math.inf


class Algorithm(NamedTuple):
    """A streaming algorithm. All of it are functions of a module, so that two of one kind are equal.

    What it does:

    step(state, sample, params, move) -> state: takes in a sample. params: what `params` gave. move: the step size, as
    move(memory, offset, pull, gate) -> (offset, memory); pull: where to, relative to the estimate, (e, d, *runs); gate:
    which estimates move, (e, *runs), flags or shares of a whole step.
    words: what it does, in a line.
    twin: the step when every label is known; None where there is none.
    init(start, origin, memory) -> state: estimates at `start`, held relative to `origin`, both (e, d, *runs); memory:
    what the step size starts from.
    params(mixture, component, numbers) -> dict of arrays, the runs last: what a step is told. The mixture is of NumPy
    arrays; where there are k estimates, they stand in the order of its components. component: which one each estimate
    stands for, (e, runs). numbers: those in `numbers`, each of shape (runs,).
    estimates(k): how many there are: k, or fewer.
    check(mixture): raises ValueError for a mixture that the algorithm is not for.
    numbers: names of what may be chosen for each run (positive), with their defaults.

    What its step size may be, for specs:

    paper_step(n, k): the step size of the paper that states it (`rate = "paper"`). paper_formula: in words.
    refuses: names of step sizes and rates that it cannot have, each with the reason.
    own_step(): its step size, where it has no other.

    What is known of it (`jgmm.theory`), each None where nothing is:

    twin_law(step, samples, weights, scales, d, start_sq, component) -> the exact mean of the twin's squared error at
    each of these counts of samples, given each run's start, (counts, runs); as `theory.twins.each_its_own`.
    law(situation, alone) -> `theory.expected.Law`: the expected squared error; alone: what it would be with every label
    known.
    floor(situation) -> the squared error that no number of samples removes.
    sharpness(numbers): beta of updates in proportion to the posterior; infinite for those of the nearest alone, None
    where labels are known.
    """

    step: Callable
    words: str
    twin: Callable | None = None
    init: Callable = begin
    params: Callable = no_params
    estimates: Callable[[int], int] = one_each
    check: Callable[[Any], None] = any_mixture
    numbers: tuple[tuple[str, float], ...] = ()
    paper_step: Callable[..., float] = rates.paper
    paper_formula: str = "3 k ln(3N)/N"
    refuses: tuple[tuple[str, str], ...] = ()
    own_step: Callable[[], StepSize] | None = None
    twin_law: Callable | None = None
    law: Callable | None = None
    floor: Callable | None = None
    sharpness: Callable[[dict], float | None] = nearest_only


class Noise(NamedTuple):
    """A noise family: how a sample differs from its mean, in units of its component's scale.

    pair(a, b) -> (z, z'): two independent numbers of mean 0 and variance 1, elementwise from two arrays of words of 32
    random bits; of + - * / sqrt, comparisons, integers, and what `elementary` and `lanes` offer. A sample's coordinates
    are made of such pairs.
    words: what it is, in a sentence's middle.
    gaussian: whether its numbers are normal. Laws that need that are not told of others; means of labelled twins are
    exact for every noise, since they depend on its variance alone.
    """

    pair: Callable
    words: str
    gaussian: bool = False


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
