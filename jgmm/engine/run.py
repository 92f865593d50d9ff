r"""Runs an algorithm on a batch: streams in calls of about half a second, and records errors at checkpoints.

Errors, and all else that is computed of a state, are NumPy, elementwise along the runs.
"""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from jgmm import doors, measures, named, ordered
from jgmm import steps as sizes
from jgmm.contract import Algorithm, Choice, Noise, Numbers, Stream
from jgmm.engine import choose, reduction, together
from jgmm.engine.runs import Batch
from jgmm.engine.together import Ready, State
from jgmm.errors import CentreError
from jgmm.mixture import Mixture
from jgmm.sampling import PLAIN, Sampling

CALL_SECONDS = 0.5  # a call's length on the host's clock
FIRST, LEAST = 512, 64  # samples of the first call, and of any but the last

Progress = Callable[[int], None]  # told how many samples (of all runs together) have been consumed since the last call


class Segment(NamedTuple):
    """Consecutive runs of a batch, and the sample counts at which their errors are recorded.

    measures: names of what is recorded beside (`jgmm.measures`). heldout: their `measures.heldout.Heldout`, for those
    that need it.
    """

    num_runs: int
    checkpoints: tuple[int, ...]
    measures: tuple[str, ...] = ()
    heldout: Any = None


class Record(NamedTuple):
    """Errors of every run at each checkpoint (the start is checkpoint 0), and where the estimates ended.

    An estimate i of the start given is set against the component `component[i]` that it was matched to: `displacement`
    is its last distance from that mean, as a vector. The twin is the same start fed the same samples with every label
    known. `back_end` says what drove the stream, and why; None where none was streamed. `measures` has what was
    measured beside, each of shape (checkpoints, runs), by the names of quantities.
    """

    samples: np.ndarray  # (checkpoints,)
    error: CentreError  # NumPy arrays of shape (checkpoints, runs)
    centres: np.ndarray  # (e, d, runs)
    displacement: np.ndarray  # as centres
    component: np.ndarray  # (e, runs)
    start_displacement: np.ndarray  # as centres
    start_sq: np.ndarray  # its squared length, as component
    twin_sq: np.ndarray | None  # squared error of the twin, shape (checkpoints, runs)
    twin_displacement: np.ndarray | None  # as centres
    back_end: Choice | None = None
    measures: dict[str, np.ndarray] | None = None

    def __repr__(self) -> str:
        e, d, runs = self.centres.shape
        sq = np.asarray(self.error.error_sq, float)
        first, last = sq[0].mean(), sq[-1].mean()
        spread = f" +- {sq[-1].std(ddof=1) / np.sqrt(runs):.2g}" if runs > 1 else ""
        by = f", by {self.back_end.name}" if self.back_end else ""
        size = f"{runs} runs of {e} estimates in {d} dimensions, {self.samples[-1]} samples{by}"
        return f"Record: {size}\nmean squared error {first:.4g} at the start, {last:.4g}{spread} at the end"


def run(
    batch: Batch,
    algorithm: Algorithm | str,
    start: np.ndarray,
    *,
    steps: sizes.Steps,
    noise: Noise | str = "gaussian",
    sampling: Sampling = PLAIN,
    checkpoints: Sequence[int],
    twin: bool = False,
    average: Numbers | None = None,
    estimates: int | None = None,
    batch_size: int = 1,
    back_end: str = "auto",
    progress: Progress | None = None,
    **numbers: Numbers,
) -> Record:
    """Stream every run of the batch from `start`; errors at the start and after each of `checkpoints` samples.

    algorithm: a value of `jgmm.algorithms`, or its name. start: finite numbers of shape (e, d, runs), e the estimates
    that the algorithm keeps. steps: a step size of `jgmm.steps`, or what stands for one: a constant in (0, 1), one for
    each run, `rates.polynomial`, any other schedule (a function of the count of samples seen that JAX can trace, its
    first step in [0, 1]), or any optax transformation of gradients of shape (e, d, runs) that treats runs apart
    (`apart`). noise: a value of `jgmm.noise`, or its name: what samples differ from their means by; with numbers of
    your own, `jgmm.noise.of("student", {"df": 3.0})`. sampling: a value of `jgmm.sampling`: covariances, labels that
    stay, means that move. twin: whether the labelled twin streams beside it. average: how many first iterates the
    average leaves out, a number or one for each run; None: the last iterate is the estimate. estimates: how many the
    algorithm keeps; None: its own number (another needs one that keeps an estimate a component, and no twin).
    batch_size: for how many samples a step is taken, with the mean of their pulls (`jgmm.batches`); checkpoints are
    multiples of it, and iterates and the count of a schedule are then of batches. back_end: auto, cpu, gpu or scan
    (`engine.choose`). numbers: those that the algorithm names (beta).
    Raises ValueError if the transformation mixes runs, if a rate is outside (0, 1) or lost beside the start
    (`reach.check_rate`), if an argument is of another kind or shape, or if the back end cannot be.
    """
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    algorithm = named.load("algorithm", algorithm) if isinstance(algorithm, str) else algorithm
    doors.kind("algorithm", algorithm, Algorithm, "of jgmm.algorithms")
    doors.floats("start", start, ("e", "d", "runs"))
    doors.numbers("start", np.asarray(start), ("e", "d", "runs"))
    noise = named.load("noise", noise) if isinstance(noise, str) else noise
    batch, start = reduction.prepared(batch, algorithm, start, sizes.of(steps), twin=twin)
    ready = together.ready(
        batch,
        algorithm,
        start,
        steps=steps,
        noise=noise,
        sampling=sampling,
        twin=twin,
        average=average,
        estimates=estimates,
        batch_size=batch_size,
        **numbers,
    )
    segments = [Segment(len(batch.run_ids), doors.wholes("checkpoints", checkpoints))]
    return simulate(ready, batch, segments, back_end=back_end, progress=progress)[0]


def simulate(
    ready: Ready,
    batch: Batch,
    segments: Sequence[Segment],
    *,
    back_end: str = "auto",
    progress: Progress | None = None,
    keep: Callable[[int, int, np.dtype], Any] = lambda checkpoints, runs, dtype: np.empty((checkpoints, runs), dtype),
) -> list[Record]:
    """Stream a batch whose runs are the segments side by side, each to its own last checkpoint; a record for each.

    Segments may differ in length: give the longest first; one that has ended may stream on unseen. keep: makes the
    arrays (checkpoints, runs) that errors are put into, a checkpoint at a time; what it makes is in the records.
    Raises ValueError if the segments are not the batch, if checkpoints do not increase, if a longer segment follows a
    shorter one, or if the back end cannot be.
    """
    doors.kind("ready", ready, Ready, "of jgmm.engine.together")
    doors.kind("batch", batch, Batch, "of jgmm.batch")
    doors.called("progress", progress)
    if not callable(keep):
        raise doors.bad("keep", keep, "a function")
    segments = _segments(segments, len(batch.run_ids))
    if batch.space is not None and any(segment.measures for segment in segments):
        raise ValueError(
            "segments have measures, expected none where the dimension is reduced: they take all coordinates"
        )
    uneven = [t for segment in segments for t in segment.checkpoints if t % ready.batch_size]
    if uneven:
        raise ValueError(f"checkpoints hold {uneven[0]}, expected multiples of batch_size = {ready.batch_size}")
    lengths = [segment.checkpoints[-1] if segment.checkpoints else 0 for segment in segments]
    edges = np.cumsum([0, *(segment.num_runs for segment in segments)])
    stream, chosen = choose.opened(back_end, ready.kernel, batch.words, ready.state, ready.params, ready.source)
    recorders = [
        _Recorder(segment, slice(int(a), int(b)), keep)
        for segment, (a, b) in zip(segments, pairwise(edges), strict=True)
    ]
    taken = 0
    for stop in sorted({0, *(t for segment in segments for t in segment.checkpoints)}):
        active = sum(recorder.runs for recorder, length in zip(recorders, lengths, strict=True) if length >= stop)
        blocks, block = stop - taken, None
        if ready.kernel.end is not None:
            blocks, block = blocks // ready.batch_size, ready.batch_size
        advance(stream, blocks, live=active, block=block, progress=progress)
        taken = stop
        due = [recorder for recorder in recorders if stop == 0 or stop in recorder.segment.checkpoints]
        state = ready.shown(ready.state if stop == 0 else stream.state())
        state = _seen_from_the_means(state, ready, stop)
        measured = _measured(state, ready.algorithm, batch.mixture, active)
        for recorder in due:
            recorder.take(measured, state, ready)
            recorder.measure(state, ready, batch.mixture)
    return [recorder.record(chosen) for recorder in recorders]


def advance(
    stream: Stream, total: int, *, live: int, block: int | None = None, progress: Progress | None = None
) -> None:
    """`total` more samples (or blocks) of the first `live` runs, in calls of about CALL_SECONDS."""
    done, piece = 0, min(total, FIRST)
    while done < total:
        count = min(piece, total - done)
        start = time.perf_counter()
        stream.advance(count, live=live, block=block)
        elapsed = max(time.perf_counter() - start, 1e-9)
        done += count
        if count == piece:
            wanted = min(4 * piece, int(piece * CALL_SECONDS / elapsed))
            # The first call's clock may hold a compiler: what it says is no reason for shorter calls.
            piece = max(LEAST if done > count else piece, wanted)
        if progress is not None:
            progress(count * (block or 1) * live)


class _Recorder:
    """Fills the record of a segment while it streams."""

    def __init__(self, segment: Segment, place: slice, keep: Callable):
        self.segment, self.place, self.keep = segment, place, keep
        self.runs = place.stop - place.start
        self.kept: list[Any] = []  # arrays of the errors, and of the twin's
        self.seen = 0
        self.beside: dict[str, Any] = {}  # arrays of what is measured beside the errors
        self.first: dict[str, np.ndarray] = {}
        self.last: dict[str, np.ndarray] = {}

    def take(self, measured: list[np.ndarray | None], state: State, ready: Ready) -> None:
        """The errors at the next checkpoint; at the first and the last, where the estimates are."""
        rows = 1 + len(self.segment.checkpoints)
        if self.seen == 0:
            self.kept = [None if x is None else self.keep(rows, self.runs, x.dtype) for x in measured]
            self.first = _started(ready, self.place)
        for kept, x in zip(self.kept, measured, strict=True):
            if x is not None:
                kept[self.seen] = x[self.place]
        self.seen += 1
        if self.seen == rows:
            self.last = _ended(state, ready, self.place)

    def measure(self, state: State, ready: Ready, mixture: Mixture) -> None:
        """What the segment measures beside the errors, of the checkpoint that was just taken."""
        if not self.segment.measures:
            return
        rows, found = 1 + len(self.segment.checkpoints), _seen(state, ready, mixture, self.place, self.segment.heldout)
        for name in self.segment.measures:
            measure = named.load("measure", name)
            values = np.asarray(measure.of(found))
            numbers = values[None] if measure.each is None else values
            for entry, number in zip(measure.entries(name, len(numbers)), numbers, strict=True):
                if self.seen == 1:
                    self.beside[entry] = self.keep(rows, self.runs, found.offset.dtype)
                self.beside[entry][self.seen - 1] = number

    def record(self, chosen: Choice) -> Record:
        """The whole record, once every checkpoint has been taken."""
        *errors_of_runs, twin_sq = self.kept
        samples = np.array([0, *self.segment.checkpoints])
        return Record(
            samples=samples,
            error=CentreError(*errors_of_runs),
            twin_sq=twin_sq,
            back_end=chosen,
            measures=self.beside or None,
            **self.first,
            **self.last,
        )


def _segments(segments: Any, num_runs: int) -> list[Segment]:
    if not isinstance(segments, (list, tuple)) or not all(isinstance(segment, Segment) for segment in segments):
        raise doors.bad("segments", segments, "a list of run.Segment")
    checked = [
        each._replace(
            num_runs=doors.whole("num_runs", each.num_runs), checkpoints=doors.wholes("checkpoints", each.checkpoints)
        )
        for each in segments
    ]
    sizes = [segment.num_runs for segment in checked]
    lengths = [segment.checkpoints[-1] if segment.checkpoints else 0 for segment in checked]
    if sum(sizes) != num_runs:
        raise ValueError(f"the segments hold {sizes} runs, expected {num_runs} in all")
    if any(later > earlier for earlier, later in pairwise(lengths)):
        raise ValueError(f"the segments are {lengths} samples long, expected the longest first")
    for segment in checked:
        if any(later <= earlier for earlier, later in pairwise([0, *segment.checkpoints])):
            raise ValueError(f"checkpoints are {list(segment.checkpoints)}, expected increasing positive sample counts")
    return checked


def _seen_from_the_means(state: State, ready: Ready, samples: int) -> State:
    """The state with offsets less what the means have moved, if they move."""
    if ready.velocity is None:
        return state
    moved = samples * ready.velocity[None]
    centres = state.centres._replace(offset=np.asarray(state.centres.offset) - moved)
    twin = None if state.twin is None else state.twin._replace(offset=np.asarray(state.twin.offset) - moved)
    average = None if state.average is None else state.average._replace(mean=np.asarray(state.average.mean) - moved)
    return State(centres, twin, average)


def _measured(state: State, algorithm: Algorithm, mixture: Mixture, runs: int) -> list[np.ndarray | None]:
    """The errors of the first `runs` runs, and their twins' squared errors."""
    origin, offset = (np.asarray(x)[..., :runs] for x in (state.centres.origin, _estimate(state)))
    error = algorithm.measure(origin, offset, Mixture(*(np.asarray(x)[..., :runs] for x in mixture)))
    if state.twin is None or state.average is not None:
        return [*error, None]
    moved = np.asarray(state.twin.offset)[..., :runs].reshape(-1, runs)  # a twin's origin is its component's mean
    # In float64, row by row: summed in float32, 5,000 squares are 6e-6 off in the mean of all runs, and its exact mean
    # is known. What is kept is rounded once, without bias.
    squares = ordered.add_up(np.square(row, dtype=np.float64) for row in moved)
    return [*error, squares.astype(moved.dtype)]


def _seen(state: State, ready: Ready, mixture: Mixture, place: slice, heldout: Any) -> measures.Seen:
    """Some runs as measures see them."""
    readout, own = ready.algorithm.readout, {}
    if readout is not None:
        told = jax.tree.map(np.asarray, (together.estimate(state), ready.params.own))
        own = {name: np.asarray(values)[..., place] for name, values in readout(*told).items()}
    mixtures = [Mixture(*(np.asarray(x)[..., place] for x in each)) for each in (mixture, ready.assumed)]
    origin, offset = (np.asarray(x)[..., place] for x in (state.centres.origin, _estimate(state)))
    return measures.begin(origin, offset, mixtures[0], assumed=mixtures[1], own=own, heldout=heldout)


def _estimate(state: State) -> Any:
    return together.estimate(state).offset


def _started(ready: Ready, place: slice) -> dict[str, np.ndarray]:
    component = ready.component[..., place]
    first = ready.shown(ready.state).centres.offset
    stood = None if ready.place is None else ready.place[..., place]
    offset = together.as_given(np.asarray(first[..., place], np.float64), stood)
    along = np.moveaxis(offset, -2, 0)  # the coordinates
    return {"start_displacement": offset, "start_sq": ordered.dot(along, along), "component": component}


def _ended(state: State, ready: Ready, place: slice) -> dict[str, Any]:
    stood = None if ready.place is None else ready.place[..., place]

    def given(x):
        return together.as_given(np.asarray(np.asarray(x)[..., place], np.float64), stood)

    displacement = given(_estimate(state))
    twin = None if state.twin is None or state.average is not None else given(state.twin.offset)
    centres = given(state.centres.origin) + displacement
    return {"centres": centres, "displacement": displacement, "twin_displacement": twin}


def log_checkpoints(n: int, count: int) -> list[int]:
    """About `count` sample counts, log-spaced, the last n (fewer where they would coincide).

    Raises ValueError unless both are whole numbers of at least 1.
    """
    n, count = doors.whole("n", n), doors.whole("count", count)
    return sorted({round(n ** (i / count)) for i in range(1, count + 1)} | {n})
