r"""What an algorithm is: a value made of pure functions. It knows no batch, no device and no back end.

    state <- step(state, sample, params, move)

Symbols of array shapes, in this package and all others: k components, d dimensions, e estimates that an algorithm keeps
(k centres, or 1 mean of a symmetric pair), `*runs` any trailing axes. Runs are independent replicates; they are the
last axis of every array, and a step is written as if there were one.

Three rules for a step: it treats every run apart; it treats every coordinate alike, and adds over coordinates by
`loops.over_coordinates` alone; it is made of + - * / and square roots, comparisons, integers and what `elementary` has.
The CPU and GPU back ends then compile it as it stands, and its bits do not depend on the machine.

To add an algorithm: write a file as those in `algorithms` and name its value there, or write a module of your own and
name it in a spec, `algorithm = "my_module:MINE"`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jgmm import rates
from jgmm.errors import CentreError, of_centres
from jgmm.lanes import LaneState, normal_pair
from jgmm.mixture import Mixture
from jgmm.steps import Numbers as Numbers
from jgmm.steps import StepSize
from jgmm.theory.expected import Law
from jgmm.theory.situation import Situation, StepLaw
from jgmm.usual import (
    all_moments,
    always,
    any_mixture,
    nearest_only,
    no_numbers,
    no_params,
    one_each,
    one_sample,
    unchanged,
)


class Sample(NamedTuple):
    """A sample, and the component that it came from, which only a step that may know the label looks at."""

    x: Float[Array, "d *runs"]
    label: Int[Array, "*runs"]


class State(NamedTuple):
    """Estimates, as origin + offset, and what the step size remembers.

    The origin is near where an estimate will settle (the mean of the component that its start was matched to) and never
    changes: float32 keeps moves of 1e-7 in the offset that would be lost beside coordinates of 1e4.
    """

    origin: Float[Array | np.ndarray, "e d *runs"]
    offset: Float[Array | np.ndarray, "e d *runs"]
    memory: Any = ()


class Move(Protocol):
    """The step size, as a step uses it: moves estimates, and returns their new offsets and its new memory.

    pull: from each estimate to where it is pulled. gate: which estimates move, flags or shares of a whole step; None:
    all of them.
    """

    def __call__(
        self,
        memory: Any,
        offset: Float[Array, "e d *runs"],
        pull: Float[Array, "e d *runs"],
        gate: Bool[Array, "e *runs"] | Float[Array, "e *runs"] | None,
        /,
    ) -> tuple[Float[Array, "e d *runs"], Any]: ...


class Step(Protocol):
    """Takes in one sample. state: a `State`, or what `init` gives; params: what the algorithm's `params` gave."""

    def __call__(self, state: Any, sample: Sample, params: dict[str, Any], move: Move, /) -> Any: ...


class Params(Protocol):
    """What a step is told of a mixture: a dict of arrays, the runs last.

    mixture: NumPy arrays with a run axis; where there are k estimates, in the order of its components. component: which
    one each estimate stands for, (e, runs). numbers: those that the algorithm names, each of shape (runs,).
    """

    def __call__(
        self, mixture: Mixture, component: np.ndarray, numbers: dict[str, np.ndarray], /
    ) -> dict[str, np.ndarray]: ...


class TwinLaw(Protocol):
    """The exact mean of the twin's squared error at each count of samples, given each run's start: (counts, runs).

    samples: the counts, (counts,). start_sq: squared distances of the starts, and component: which one each estimate
    stands for, both (e, runs). `theory.twins` has two.
    """

    def __call__(
        self,
        step: StepLaw,
        samples: np.ndarray,
        weights: tuple[float, ...],
        scales: tuple[float, ...],
        d: int,
        start_sq: np.ndarray,
        component: np.ndarray,
        /,
    ) -> np.ndarray: ...


def begin(
    start: Float[Array | np.ndarray, "e d *runs"],
    origin: Float[Array | np.ndarray, "e d *runs"],
    memory: Any = (),
    params: Any = None,
) -> State:
    """Estimates at `start`, held relative to `origin` (the start itself will do where nothing better is known)."""
    del params
    return State(origin, start - origin, memory)


class Turning(NamedTuple):
    """What an algorithm says that treats all directions alike: of turned samples it makes turned estimates.

    Its dimension can then be reduced (`engine.reduction`).

    alike(mixture): whether a coordinate in which all estimates are 0 matters to the step by moving them along it alone:
        not in distances, where it adds the same to each.
    params(params, mixture, more): what a step is told, where the dimension is by `more`, (runs,), larger than that of
        the mixture's arrays.
    """

    alike: Callable[[Mixture], bool] = always
    params: Callable[[dict[str, Any], Mixture, np.ndarray], dict[str, Any]] = unchanged


class Algorithm(NamedTuple):
    """A streaming algorithm. Streaming Lloyd, for example, is

        def step(state, sample, params, move):
            pull = (sample.x[None] - state.origin) - state.offset  # from each estimate to the sample, (k, d, *runs)
            distance_sq = over_coordinates(pull.shape[1], lambda j: pull[:, j] ** 2, jnp.zeros_like(pull[:, 0]))
            gate = distance_sq == jnp.min(distance_sq, axis=0)[None]  # a flag for the nearest estimate, (k, *runs)
            offset, memory = move(state.memory, state.offset, pull, gate)
            return State(state.origin, offset, memory)

        MINE = Algorithm(step, words="streaming Lloyd, each sample moves the nearest centre")

    (`algorithms/lloyd.py` gives a tie to one of the two), and `jgmm.run(batch, MINE, start, steps=0.01, ...)` or
    `algorithm = "my_module:MINE"` in a spec runs it. Only `step` and `words` are needed. Every function stands in a
    module under its own name, so that two values of the same functions are equal and share a compiled program.

    What it does:

    step: takes in a sample.
    words: what it does, in a line, for pages and tables.
    twin: the same step told every label (`sample.label`), from the same start and fed the same samples. Its mean error
        is known exactly where there is a `twin_law`: this shows a simulation right, and takes noise off. None: no twin.
    end(state, params): what is done to a state after each step of the step size (a sample's, or a batch's), as making a
        basis orthonormal. None: nothing.
    init(start, origin, memory, params): the state in which a stream begins, with fields origin, offset and memory at
        least; start, origin: (e, d, *runs); memory: the step size's; params: what `params` gave.
    params(mixture, component, numbers): what a step is told beside the sample, computed once for each run.
    estimates(k): how many there are, e: k, or fewer.
    check(mixture): raises ValueError for a mixture that the algorithm is not for.
    numbers: names of positive numbers that may be chosen for each run, with their defaults, as `(("beta", 1.0),)`;
        axes of a study.

    own_batches: an `OwnBatches` of `jgmm.batches`, where its step is of more than pulls; it has no twin then.
    version: another one where its bits change on purpose: stored runs of the one before are not gone on with.

    What its step size may be, in a spec:

    least_batch(e): how many samples a step needs at least, for e estimates.
    paper_step(n, k): the constant step of the paper that states the algorithm, `rate = "paper"`.
    paper_formula: the same in words.
    refuses: names of step sizes and rates that it does not take, each with the reason; "batch": of batches of two and
        more samples.
    own_step(): its step size, where it can have no other.

    What is known of it (`jgmm.theory`), None where nothing is:

    twin_law: the exact mean of the twin's squared error.
    law(situation, alone): the expected squared error at a checkpoint; alone: what it would be with every label known.
    floor(situation): the squared error that no number of samples removes.
    turning: that it treats all directions alike, and how; None: it does not, or nobody has said so.
    bounded: whether one sample moves an estimate by a bounded length, however far it lies: errors then have all moments
        under any noise.
    sharpness(numbers): beta, for updates in proportion to a posterior; infinite where the nearest estimate alone
        moves; None where labels are known.

    What is measured of it:

    measure(origin, offset, mixture): the errors of the estimates origin + offset, (e, d, *runs), as a `CentreError`;
        `errors.of_centres` (distances from the means), or `subspace.errors` (sines of angles to their span).
    readout(state, params): what it estimates beside centres, by name, each (e, *runs): "weights" and "scales". state
        and params: NumPy, at a checkpoint; averaged, where an average is wanted. None: nothing.
    """

    step: Step
    words: str
    twin: Step | None = None
    init: Callable[..., Any] = begin
    params: Params = no_params
    estimates: Callable[[int], int] = one_each
    check: Callable[[Mixture], None] = any_mixture
    numbers: tuple[tuple[str, float], ...] = ()
    paper_step: Callable[..., float] = rates.paper
    paper_formula: str = "3 k ln(3N)/N"
    refuses: tuple[tuple[str, str], ...] = ()
    own_step: Callable[[], StepSize] | None = None
    twin_law: TwinLaw | None = None
    law: Callable[[Situation, float], Law] | None = None
    floor: Callable[[Situation], float | None] | None = None
    turning: Turning | None = None
    sharpness: Callable[[dict[str, float]], float | None] = nearest_only
    measure: Callable[[Any, Any, Mixture], CentreError] = of_centres
    readout: Callable[[Any, dict[str, Any]], dict[str, np.ndarray]] | None = None
    end: Callable[[Any, dict[str, Any]], Any] | None = None
    least_batch: Callable[[int], int] = one_sample
    own_batches: Any = None
    version: int = 1
    bounded: bool = False

    def fits_any(self, k: int) -> bool:
        """Whether it may keep another number of estimates than its own: a centre for each component, told no label."""
        return self.has_centres(k) and self.sharpness(dict(self.numbers)) is not None

    def has_centres(self, k: int) -> bool:
        """Whether it keeps a centre for each component, so that there are measures of it (`jgmm.measures`)."""
        return self.estimates(k) == k and self.measure is of_centres


class Noise(NamedTuple):
    """A noise family: how a sample differs from its mean, in units of its component's scale.

    pair(a, b) -> (z, z'): two independent numbers of mean 0 and variance 1 from two words of 32 random bits, for arrays
        of words elementwise; made of what a step may be made of, and of `lanes`. A sample's coordinates are such pairs.
        Of two draws: pair(a, b, a', b'). Behind the words it is given its numbers, as `told` has made them.
    words: what it is, in the middle of a sentence.
    gaussian: whether its numbers are normal. Laws that need that are not told of others; means of labelled twins are
        exact for every noise, since they depend on its variance alone.
    draws: how many words each of a pair's two lanes gives, 1 or 2.
    numbers: names of numbers that may be chosen for each run, with their values; axes of a study.
    fourth(numbers): whether its fourth moment is finite. Where it is not, squared errors have no variance.
    told(numbers) -> what `pair` is given of them in float32, a tuple of arrays. numbers: a dict of arrays in float64,
        of shape () or (runs,). Raises ValueError for numbers that the noise cannot have.
    widths(numbers) -> (share, narrow, wide): what all coordinates of a sample are multiplied by, drawn once a sample:
        `wide` with probability `share`, else `narrow`. None: nothing. Two samples of such a noise are as independent as
        of any other, a sample's coordinates are not.
    """

    pair: Callable
    words: str
    gaussian: bool = False
    draws: int = 1
    numbers: tuple[tuple[str, Numbers], ...] = ()
    told: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]] = no_numbers
    widths: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]] | None = None
    fourth: Callable[[dict[str, float]], bool] = all_moments


# --- what an engine compiles, and what a back end is ---


class Kernel(NamedTuple):
    """What a back end compiles. Its functions are a module's, so that two kernels of the same functions are equal.

    step(state, sample, params) -> state, for each sample; any operation that `engine.follow` has a rule for.
    end(state, params) -> state, after each block of samples; None: samples come in no blocks.
    pair, draws: those of a `Noise`: a sample's coordinates are its mean plus its scale times these numbers, in float32.
    """

    step: Callable
    end: Callable | None = None
    pair: Callable = normal_pair
    draws: int = 1


class Refused(ValueError):
    """A back end cannot compile a kernel: it mixes runs, or has an operation without a rule. Says which and why."""


@runtime_checkable
class Stream(Protocol):
    """Runs that a back end holds between calls: what its `open(kernel, words, state, params, mixture)` returns.

    words, state, params, mixture: pytrees of NumPy or JAX arrays whose last axis are the runs, or scalars that are the
    same for every run. An array that occurs twice, as the same object, is held once. mixture: a `Mixture`, or a
    `sampling.Source`.
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
