"""An algorithm's step, with its twin's and the average's where they are wanted, as one kernel for a back end.

    average <- average + (estimate - average) / (number of iterates after the burn)     Polyak and Ruppert's

The twin is the same start fed the same samples with every label known. Estimates are put in the order of the components
that their starts were matched to: their origins are then the mixture's own means, an array that is held only once.

With another number of estimates than the algorithm's own, e in place of k, each takes the component that its start is
matched to for its own, and several may have the same: a step is told the mixture of e components that these are, with
weights that are shared and have the sum 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jgmm import batches, doors, errors, ordered, reach
from jgmm import noise as noises
from jgmm import steps as sizes
from jgmm.contract import Algorithm, Kernel, Noise, Numbers, Sample
from jgmm.engine import reduction
from jgmm.engine.runs import Batch
from jgmm.engine.sampler import made, opened
from jgmm.mixture import Mixture
from jgmm.noise import NOISES
from jgmm.sampling import PLAIN, Sampling, Source, as_source, check
from jgmm.sampling import velocity as means_move


class AverageState(NamedTuple):
    """The mean of what moves (offsets, and an algorithm's other parameters), and how many iterates there have been."""

    mean: Any
    seen: Int[Array, ""]


_average: Callable[..., AverageState] = AverageState


class State(NamedTuple):
    """What a stream carries; None: not wanted. words: of a reduced dimension, those that lengths are drawn from."""

    centres: Any
    twin: Any = None
    average: AverageState | None = None
    words: tuple | None = None
    sampler: Any = None


class Params(NamedTuple):
    """What a step is told: of the algorithm, of the step size, how many first iterates an average leaves out, of a
    reduced dimension, and what samples are made from where a back end does not draw them whole."""

    own: dict[str, Any]
    steps: dict[str, Any]
    burn: Any = None
    reduced: reduction.Numbers | None = None
    sampler: Any = None
    share: Any = None  # 1 over the samples of a batch


@dataclass(frozen=True)
class Step:
    """The step of all of these together; two of the same functions are equal. end: the algorithm's."""

    step: Callable[..., Any]
    twin: Callable[..., Any] | None
    move: Callable[..., Any]
    end: Callable[..., Any] | None = None

    def __call__(self, state: State, sample: Sample, params: Params) -> State:
        sampler = None
        if params.sampler is not None:
            sampler, sample = made(state.sampler, sample, params.sampler)
        move = partial(self.move, params.steps)
        centres = _ended(self.end, self.step(state.centres, sample, params.own, move), params)
        twin = None
        if self.twin is not None:
            twin = _ended(self.end, self.twin(state.twin, sample, params.own, move), params)
        return State(centres, twin, _average_of(state.average, centres, params), sampler=sampler)


@dataclass(frozen=True)
class Gather:
    """A sample of a batch: pulls are gathered, nothing moves."""

    step: Callable[..., Any]
    twin: Callable[..., Any] | None

    def __call__(self, state: State, sample: Sample, params: Params) -> State:
        sampler = None
        if params.sampler is not None:
            sampler, sample = made(state.sampler, sample, params.sampler)
        centres = self.step(state.centres, sample, params.own, batches.gather)
        twin = None if self.twin is None else self.twin(state.twin, sample, params.own, batches.gather)
        return State(centres, twin, state.average, sampler=sampler)


@dataclass(frozen=True)
class Take:
    """The end of a batch: its step. rule: `apply` and `of_batch` of the step size's; end, own: the algorithm's."""

    rule: tuple[Callable[..., Any], Callable[..., Any] | None]
    end: Callable[..., Any] | None = None
    own: Callable[..., Any] | None = None

    def __call__(self, state: State, params: Params) -> State:
        centres = self._taken(state.centres, params)
        twin = None if state.twin is None else self._taken(state.twin, params)
        return State(centres, twin, _average_of(state.average, centres, params), sampler=state.sampler)

    def _taken(self, centres: Any, params: Params) -> Any:
        if self.own is not None:
            move = partial(self.rule[0], params.steps)
            return _ended(self.end, self.own(centres, params.own, move, params.share), params)
        offset, memory = batches.take(self.rule, params.steps, centres.memory, centres.offset, params.share)
        return _ended(self.end, centres._replace(offset=offset, memory=memory), params)


def _ended(end: Callable[..., Any] | None, centres: Any, params: Params) -> Any:
    return centres if end is None else end(centres, params.own)


def _average_of(average: AverageState | None, centres: Any, params: Params) -> AverageState | None:
    return None if average is None else averaged(average, moving(centres), params.burn)


def moving(centres: Any) -> Any:
    """What an average averages of an algorithm's state: all but the origin and the step size's memory."""
    return centres._replace(origin=None, memory=())


def estimate(state: State) -> Any:
    """The algorithm's state at a checkpoint: as it stands, or with the averages of what moves."""
    if state.average is None:
        return state.centres
    return state.average.mean._replace(origin=state.centres.origin, memory=state.centres.memory)


def averaged(state: AverageState, iterate: Any, burn: Int[Array, "*runs"]) -> AverageState:
    """Take in the next iterate: the average of those after the first `burn` (until then, the last)."""
    seen = state.seen + 1
    share = 1 / jnp.maximum(seen - burn, 1).astype(iterate.offset.dtype)

    def closer(mean: Array, now: Array) -> Array:
        return mean + share[(None,) * (now.ndim - 1)] * (now - mean)

    return AverageState(jax.tree.map(closer, state.mean, iterate), seen)


def as_it_is(state: State) -> State:
    """What a stream carries is what errors are computed of."""
    return state


class Ready(NamedTuple):
    """What a back end opens for some runs, and which component each estimate of the start given stands for.

    place: where each of them stands in the state; None: they stand as they were given. source: what it draws from.
    shown(state): the state with its origins at true means. velocity: how far the means move a sample, (d, runs); None:
    they stay.
    """

    kernel: Kernel
    state: State
    params: Params
    component: np.ndarray  # (e, runs)
    place: np.ndarray | None  # (e, runs)
    algorithm: Algorithm
    source: Source
    assumed: Mixture  # what the algorithm takes its estimates for, as they stand in the state
    shown: Callable[[State], State] = as_it_is
    velocity: np.ndarray | None = None
    batch_size: int = 1  # samples that a step is taken for


def ready(
    batch: Batch,
    algorithm: Algorithm,
    start: Float[np.ndarray, "e d runs"],
    *,
    steps: sizes.Steps,
    noise: Noise = NOISES["gaussian"],
    sampling: Sampling = PLAIN,
    twin: bool = False,
    average: Numbers | None = None,
    estimates: int | None = None,
    batch_size: int = 1,
    **numbers: Numbers,
) -> Ready:
    """The algorithm for the runs of a batch, from `start`; of a reduced dimension, as `reduction.prepared` has them.

    steps: a step size of `jgmm.steps`, or what stands for one. noise: of `jgmm.noise`. sampling: of `jgmm.sampling`.
    average: how many first iterates the average leaves out (a number or one for each run); None: the last iterate is
    the estimate. estimates: how many there are; None: the algorithm's own number. batch_size: for how many samples a
    step is taken (`batches`); iterates are then those of batches. numbers: those that the algorithm names.
    Raises ValueError for a start of another shape, a step size as `steps.check` does, a mixture or a batch that the
    algorithm is not for, a number that is not positive, a twin where there is none, or another number of estimates than
    the algorithm's own where that is not one a component, where it knows the labels, or beside a twin.
    """
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    doors.kind("algorithm", algorithm, Algorithm, "of jgmm.algorithms")
    means, _, scales = map(np.asarray, batch.mixture)
    algorithm.check(batch.mixture)
    k, d, runs = means.shape
    e = algorithm.estimates(k) if estimates is None else doors.whole("estimates", estimates)
    if other := e != algorithm.estimates(k):
        if not algorithm.fits_any(k):
            own = algorithm.estimates(k)
            raise ValueError(f"estimates is {e}, but the algorithm has its own number of them: expected {own}")
        if twin:
            raise ValueError(f"twin is True with estimates = {e} of k = {k} components: expected False")
    shape = (e, d, runs)
    if doors.flag("twin", twin) and algorithm.twin is None:
        raise ValueError("twin is True, but the algorithm has none: expected False")
    begin = _start(start, shape, means.dtype)
    size = sizes.of(steps)
    numbers_of_steps = sizes.check(size, shape, means.dtype)
    defaults = dict(algorithm.numbers)
    if unknown := set(numbers) - set(defaults):
        raise ValueError(f"{min(unknown)} is no number of the algorithm's, expected {sorted(defaults) or 'none'}")
    chosen = {name: _number(name, numbers.get(name, default), batch) for name, default in defaults.items()}
    component = errors.match(errors.squared_distances(begin, np.zeros_like(begin), means)).component
    place, origin, mixture = None, means, batch.mixture
    if e == k:
        begin, place = in_order(begin, component), component
    else:
        origin = np.take_along_axis(means, component[:, None], axis=0)
        mixture = stood_for(mixture, component) if other else mixture
    offset = begin - origin
    plain = slice(None if batch.space is None else batch.space.rank)  # coordinates that are held as one number
    sizes.check_moves(numbers_of_steps, offset=offset[:, plain], scales=scales)
    told = algorithm.params(mixture, component, chosen)
    memory = size.rule.init(numbers_of_steps, offset)
    size_of_batch = batches.check(algorithm, batch_size, e)
    its = algorithm.own_batches if size_of_batch > 1 else None
    if size_of_batch > 1:
        memory = batches.begin(size.rule, memory, offset) if its is None else its.begin(memory, offset)
    centres = algorithm.init(begin, origin, memory, told)
    mean: Any = None
    burn = None
    if average is not None:
        burn = doors.numbers("average", average, (), (runs,), low=0, high=2**31 - 1, closed=True)
        burn = np.broadcast_to(burn.astype(np.int32), (runs,))
        mean = _average(moving(centres), np.int32(0))
    doors.kind("noise", noise, Noise, "of jgmm.noise")
    source = as_source(*batch.mixture, noises.told(noise, runs))
    given = carried = velocity = None
    sampling = check(sampling, d, runs, noises.widths(noise, runs))
    if not sampling.plain:
        source, given, carried = opened(sampling, batch.mixture, batch.words, source.numbers)
    if np.any(sampling.drift):
        if algorithm.estimates(k) < k:
            raise ValueError("drift is above 0: expected 0 for the one mean of a symmetric pair")
        velocity = means_move(sampling, batch.mixture)
    labelled = algorithm.twin if twin else None
    params = Params(told, numbers_of_steps, burn, sampler=given)
    state = State(centres, centres if twin else None, mean, sampler=carried)
    if size_of_batch == 1:
        step: Callable[..., Any] = Step(algorithm.step, labelled, size.rule.apply, algorithm.end)
        end = None
    else:
        step = Gather(algorithm.step if its is None else its.gather, labelled)
        end = Take((size.rule.apply, size.rule.of_batch), algorithm.end, None if its is None else its.take)
        params = params._replace(share=np.full(runs, 1 / size_of_batch, means.dtype))
    kernel = Kernel(step, end, pair=noise.pair, draws=noise.draws)
    whole = Ready(
        kernel, state, params, component, place, algorithm, source, mixture, velocity=velocity, batch_size=size_of_batch
    )
    if batch.space is not None and not sampling._replace(widths=None).plain:
        raise ValueError("sampling is not plain, expected independent spherical samples where the dimension is reduced")
    return whole if batch.space is None else _reduced(whole, batch, mixture, noise)


def _reduced(whole: Ready, batch: Batch, mixture: Mixture, noise: Noise) -> Ready:
    """The same in a reduced dimension. mixture: that estimates stand for. Raises ValueError for what has none."""
    if whole.state.average is not None:
        raise ValueError("average is given, expected None where the dimension is reduced: iterates there turn")
    if whole.batch_size > 1:
        raise ValueError(f"batch_size is {whole.batch_size}, expected 1 where the dimension is reduced")
    if not noise.gaussian:
        raise ValueError(
            f"noise is {noise.words}, expected Gaussian noise where the dimension is reduced: no other turns"
        )
    space, turning = batch.space, whole.algorithm.turning
    assert space is not None
    assert turning is not None
    new = reduction.left_out if turning.alike(mixture) else reduction.taken_in
    step = reduction.Step(whole.kernel.step, new)
    own = turning.params(whole.params.own, mixture, space.d - batch.mixture.means.shape[1])
    words = tuple(np.asarray(word) for word in space.words)
    return whole._replace(
        kernel=whole.kernel._replace(step=step),
        state=reduction.laid(whole.state._replace(words=words), space.rank),
        params=whole.params._replace(own=own, reduced=reduction.numbers(batch)),
        shown=partial(reduction.shown, rank=space.rank),
    )


def stood_for(mixture: Mixture, component: Int[np.ndarray, "e runs"]) -> Mixture:
    """The mixture of e components that estimates stand for, of these components: their weights shared, with sum 1."""
    means, weights, scales = map(np.asarray, mixture)
    weights, scales = (np.take_along_axis(x, component, axis=0) for x in (weights, scales))
    sharing = ordered.add_up((component == other[None]).astype(weights.dtype) for other in component)
    shared = weights / sharing
    means = np.take_along_axis(means, component[:, None], axis=0)
    return Mixture(means, shared / ordered.add_up(shared)[None], scales)


def in_order(values: np.ndarray, component: Int[np.ndarray, "k runs"]) -> np.ndarray:
    """The values (k, ..., runs) of estimates, in the order of the components that they stand for."""
    order = np.argsort(component, axis=0)
    return _taken(values, order)


def as_given(values: np.ndarray, place: Int[np.ndarray, "e runs"] | None) -> np.ndarray:
    """The values of estimates, as they stand in a state, in the order of the start given. place: see `Ready`."""
    return values if place is None else _taken(values, place)


def _taken(values, order):
    return np.take_along_axis(values, order.reshape(len(order), *[1] * (values.ndim - 2), -1), axis=0)


def _start(start: Any, shape: tuple[int, int, int], dtype: Any) -> np.ndarray:
    if getattr(start, "shape", None) != shape or getattr(start, "dtype", None) not in (dtype, np.float64):
        what = f"of shape {start.shape} and {start.dtype}" if hasattr(start, "dtype") else doors.quoted(start)
        raise ValueError(f"start is {what}, expected {dtype} of shape {shape}")
    return np.asarray(start, dtype)


def _number(name: str, given: Numbers, batch: Batch) -> np.ndarray:
    dtype, runs = batch.mixture.means.dtype, len(batch.run_ids)
    values = doors.numbers(name, given, (), (runs,), low=0, closed=True)
    reach.check_held(name, values, dtype=dtype)
    return np.broadcast_to(values, (runs,))
