"""One setting of everything, of which a study computes many runs. What depends on an algorithm, a layout, a noise or a
step size is asked of its record.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jgmm import named, outside
from jgmm.study.claim_spec import Claim
from jgmm.study.fields import of_file
from jgmm.study.strict import Strict

if TYPE_CHECKING:
    from jgmm.contract import Algorithm, Noise
    from jgmm.mixture import Layout
    from jgmm.sampling import Sampling
    from jgmm.steps import StepSize
    from jgmm.theory.situation import StepLaw

ENGINE = 4  # version of stored numbers: part of every identifier, so that others are never extended
GAUSSIAN = "gaussian"  # the noise that is meant where none is named
LENGTHS = 2  # likewise, of cells whose dimension is reduced
# Fields that stand in an identifier only where they are not as always: identifiers are older than they are.
USUAL = (
    "noise",
    "noise_numbers",
    "covariance",
    "dwell",
    "drift",
    "numbers",
    "sources",
    "fitted",
    "batch",
    "head",
    "measures",
    "heldout",
    "reduced",
)
# Identifiers of this version have the numbers of these step sizes under keys of their own.
STEP_KEYS = {"polynomial": "schedule", "adam": "adam"}


class SeedingSizes(Strict):
    """The sizes of Algorithm 2."""

    n: int
    block: int
    graph_points: int
    neighbors: int
    method: str = "block"


class MixtureFields(NamedTuple):
    """What a mixture depends on, named as in `Cell`."""

    k: int
    d: int
    weights: tuple[float, ...]
    scales: tuple[float, ...]
    layout: str
    layout_hash: str | None
    separation: float
    side: float


class StepSetting(NamedTuple):
    """A step size as a cell holds it: its name among `jgmm.steps.STEP_SIZES` or "module:NAME", and its numbers."""

    name: str | None  # None: the algorithm's own, or no stream
    numbers: tuple[float, ...] = ()  # none: as they are by default


class Cell(Strict):
    """One setting of everything."""

    part: str
    algorithm: str
    theorem: str | int
    claim: Claim | None = None  # in place of a theorem
    k: int
    d: int
    sigma: float
    weights: tuple[float, ...]
    scales: tuple[float, ...]  # standard deviations, in the units of the data
    layout: str
    layout_hash: str | None  # of a file of means
    separation: float
    side: float
    noise: str = GAUSSIAN
    noise_numbers: tuple[tuple[str, float], ...] = ()
    covariance: tuple[tuple[str, float], ...] = ()  # of a rule, or the multiplier of each coordinate; none: spherical
    dwell: float = 0.0
    drift: float = 0.0
    n: int
    rate: float | None  # of a constant step; None of any other
    rate_name: str
    step: StepSetting
    average: float
    start: str | float
    beta: float | None
    batch: int = 1  # samples of a step
    head: int = 0  # samples that a start from data looks at; 0: another start
    numbers: tuple[tuple[str, float], ...] = ()  # other numbers of the algorithm's
    fitted: int | None = None  # estimates, where they are not the algorithm's own number
    measures: tuple[str, ...] = ()  # what its runs store beside errors, of `jgmm.measures`
    heldout: int = 0  # samples of a run's own that measures are taken on
    quantity: str = "error_sq"  # what its figures and verdicts are about
    reduced: int | None = None  # coordinates of its stream, where the dimension is reduced
    checkpoints: tuple[int, ...]
    displacement: bool
    seeding: SeedingSizes | None
    axes: tuple[tuple[str, str | int | float], ...] = ()  # what the spec says, axis by axis
    sources: tuple[tuple[str, str], ...] = ()  # names of what stands outside jgmm, with digests of their source

    @property
    def start_only(self) -> bool:
        """Whether the cell is about its start alone: no sample is streamed behind it."""
        return self.n == 0

    @property
    def steps(self) -> int:
        """Steps that a run takes: one a batch."""
        return self.n // self.batch

    @property
    def burn(self) -> int:
        """Iterates that an average leaves out."""
        return round(self.steps * (1 - self.average))

    @property
    def rows(self) -> int:
        """Rows of a run in the cell's file: its start and its checkpoints, or its start alone."""
        return 1 + len(self.checkpoints)

    @property
    def stored_displacements(self) -> int:
        """Numbers that a run stores of its centres' displacements."""
        return 2 * self.k * min(self.k - 1, self.d) if self.displacement else 0

    @property
    def listed(self) -> int:
        """Numbers that a row stores in lists of one a component."""
        return self.k * sum(named.load("measure", name).each is not None for name in self.measures)

    @property
    def record(self) -> "Algorithm":
        """The algorithm."""
        return named.load("algorithm", self.algorithm)

    @property
    def estimates(self) -> int:
        """How many estimates the algorithm keeps."""
        return self.record.estimates(self.k) if self.fitted is None else self.fitted

    @property
    def coordinates(self) -> int:
        """In how many coordinates its stream goes on."""
        return self.d if self.reduced is None else self.reduced

    @property
    def rank(self) -> int:
        """How many axes the means of a run span, at most."""
        dependent = 0 if self.placed is None else self.placed.dependent
        return max(1, min(self.k - dependent, self.d))

    @property
    def matched(self) -> int:
        """Over how many estimates the squared error is a sum."""
        return min(self.estimates, self.k)

    @property
    def placed(self) -> "Layout | None":
        """The layout; None for means that a file gives."""
        return None if of_file(self.layout) else named.load("layout", self.layout)

    @property
    def disturbed(self) -> "Noise":
        """The noise, with this cell's numbers."""
        return named.at("jgmm.noise:of")(self.noise, dict(self.noise_numbers))

    @property
    def sampling(self) -> "Sampling":
        """How samples are drawn, beside the noise."""
        made = None
        if self.covariance:
            made = named.at("jgmm.covariance:of")(self.d, dict(self.covariance))
        return named.at("jgmm.sampling:Sampling")(made, self.dwell, self.drift)

    @property
    def of_gaussians(self) -> bool:
        """Whether it is independent samples of one mixture of spherical Gaussians, as laws and theorems have it."""
        return self.disturbed.gaussian and not (self.covariance or self.dwell or self.drift)

    @property
    def variances(self) -> tuple[float, ...]:
        """Of each component the variance of a coordinate, on average over coordinates."""
        of = self.sampling.covariance
        return tuple(scale**2 * (1 if of is None else of.variance / self.d) for scale in self.scales)

    @property
    def step_size(self) -> "StepSize":
        """The step size, with this cell's numbers; of no use to a start alone."""
        if self.record.own_step is not None:
            return self.record.own_step()
        assert self.step.name is not None
        return named.step_size(self.step.name, self.step.numbers)

    @property
    def step_law(self) -> "StepLaw | None":
        """The step size as laws take it; None for one without a law, and for batches."""
        rule, numbers = self.step_size
        if rule.law is None or self.batch > 1:
            return None
        make = named.at("jgmm.theory.situation:StepLaw")
        return make(rule.law, tuple(float(np.asarray(numbers[name])) for name, _ in rule.numbers))

    @property
    def has_twin(self) -> bool:
        """Whether a labelled twin streams beside the estimate: where its exact mean is known."""
        has_law = self.record.twin is not None and self.record.twin_law is not None
        usual = not self.average and self.fitted is None and not self.dwell and not self.drift
        return has_law and usual and not self.start_only and self.step_law is not None

    @property
    def chosen(self) -> dict[str, float]:
        """The algorithm's own numbers."""
        given = {"beta": self.beta, **dict(self.numbers)}
        pairs = ((name, given.get(name)) for name, _ in self.record.numbers)
        return {name: value for name, value in pairs if value is not None}

    def mixture_fields(self) -> MixtureFields:
        """What the mixture depends on."""
        fields = MixtureFields(*(getattr(self, name) for name in MixtureFields._fields))
        # Of means that are not drawn, all further coordinates would be 0, in some axes.
        short = self.reduced is not None and self.placed is not None and not self.placed.drawn
        return fields._replace(d=min(self.k, self.d)) if short else fields

    def start_fields(self) -> tuple:
        """What the start depends on."""
        more = (self.noise_numbers, self.covariance, self.dwell, self.drift)
        fields = (*self.mixture_fields(), self.noise, self.start, self.seeding, self.fitted)
        head = (self.head,) if self.head else ()
        own = () if self.reduced is None else (self.d, "reduced")  # of means that are held in fewer coordinates
        return (*fields, *more, *head, *own) if any(more) else (*fields, *head, *own)

    def program_fields(self) -> tuple:
        """What must agree for cells to stream side by side in one program."""
        sampled = self.noise, self.covariance, self.dwell > 0, self.drift > 0
        taken = self.step.name, self.average > 0, self.fitted, self.batch, self.head > 0
        d = self.d if self.reduced is None else (self.reduced, self.rank, len(set(self.scales)) == 1)
        return (self.algorithm, self.k, d, *sampled, *taken)

    def identifier(self, seed: int, x64: bool) -> str:
        """A hash of all that decides the cell's numbers (not of what they are held against)."""
        content: Any = self.model_dump(
            mode="json", exclude={"theorem", "claim", "quantity", "axes", "step", *self._usual()}
        )
        content |= dict.fromkeys(STEP_KEYS.values())
        if self.step.name in STEP_KEYS:
            numbers = list(self.step.numbers)
            content[STEP_KEYS[self.step.name]] = numbers if len(numbers) > 1 else numbers[0]
        elif outside.named(self.step.name) or self.step.numbers not in ((), (self.rate,)):
            content["step"] = self.step
        if self.reduced is not None:
            content["lengths"] = LENGTHS
        if self.layout_hash:  # of the means themselves: where the file lies says nothing
            content["layout"] = Path(self.layout).name
        if self.record.version > 1:
            content["version"] = self.record.version
        text = json.dumps([content, seed, x64, ENGINE], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _usual(self) -> set[str]:
        """Fields that are left out of the hash, since they have their default."""
        fields = type(self).model_fields
        return {name for name in USUAL if getattr(self, name) == fields[name].default}


def sources_of(*names: str | None) -> tuple[tuple[str, str], ...]:
    """Those of the names that stand outside jgmm, with digests of their source."""
    return tuple((name, outside.digest(name)) for name in names if name is not None and outside.named(name))
