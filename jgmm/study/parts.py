"""A part of a study as a spec writes it: its tables, and which of their keys mean something to it. Needs no JAX."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from jgmm import named
from jgmm.study import limits, shown
from jgmm.study.claim_spec import ClaimSpec
from jgmm.study.fields import (
    FROM_DATA,
    AlgorithmName,
    Axis,
    Count,
    CountOrNone,
    Label,
    Name,
    NonEmpty,
    NonNegative,
    Positive,
    Rate,
    StepNumbers,
    Theorem,
    about,
    of_file,
)
from jgmm.study.mixture_spec import MixtureSpec
from jgmm.study.seeding_spec import SeedingSpec
from jgmm.study.strict import Table

TABLES = ("mixture", "stream", "seeding", "em", "claim")


class StreamSpec(Table):
    """`[stream]`."""

    n: Annotated[
        list[CountOrNone],
        Axis,
        NonEmpty,
        about(
            "How many samples a run takes in after its start, its horizon N; 0 studies the start alone.",
            "[1e4, 1e5]",
            "samples",
        ),
    ] = [100_000]
    rate: Annotated[
        list[Label | Rate | StepNumbers],
        Axis,
        NonEmpty,
        about(
            "Step size: a number, a name, the numbers of a rule, a formula, or module:NAME.",
            '["paper", 0.01, "2*log(n)/n", "1/(t+10)**0.7"]',
        ),
    ] = ["paper"]
    start: Annotated[
        list[Literal["seeding", "truth", "first", "kmeans++", "random"] | NonNegative],
        Axis,
        NonEmpty,
        about(
            "Where the estimates begin: Algorithm 2, the true means, so far from each at random, or by a run's"
            " own first samples: the first k of them, k by k-means++, or normal numbers of their mean and spread.",
            '["seeding", 0.5, "kmeans++"]',
            "sigma",
        ),
    ] = ["seeding"]
    estimates: Annotated[
        list[Literal["own"] | Annotated[Count, Field(le=limits.COMPONENTS)]],
        Axis,
        NonEmpty,
        about(
            'How many estimates the algorithm keeps, where it keeps one a component; "own" is its own number, k.',
            "[2, 3, 5]",
            "estimates",
        ),
    ] = ["own"]
    head: Annotated[
        list[Annotated[Count, Field(le=limits.GRAPH_POINTS)]],
        Axis,
        NonEmpty,
        about("Samples that such a start looks at; N counts those behind them.", "[100, 1000]", "samples"),
    ] = [100]
    batch: Annotated[
        list[Count],
        Axis,
        NonEmpty,
        about(
            "Samples that a step is taken for, with the mean of their pulls. N is a multiple of it, checkpoints are"
            " rounded up to one, and named rates, schedules and averages count steps (N/batch of them).",
            "[1, 10, 100]",
            "samples",
        ),
    ] = [1]
    average: Annotated[
        list[Annotated[float, Field(ge=0, lt=1)]],
        Axis,
        NonEmpty,
        about(
            "Share of the last iterates that the estimate averages; 0 takes the last iterate alone.",
            "[0.0, 0.5]",
            "share of N",
        ),
    ] = [0.0]
    checkpoints: Annotated[
        Annotated[Count, Field(le=limits.CHECKPOINTS)] | Annotated[list[Count], NonEmpty],
        about(
            "How many checkpoints record the errors, or a list of them; N is always one.",
            "[100, 1000, 10000]",
            "samples",
        ),
    ] = 10
    spacing: Annotated[
        Literal["log", "linear"],
        about("How a number of checkpoints is spaced.", '"linear"'),
    ] = "log"
    measure: Annotated[
        list[Label],
        Axis,
        about(
            "What runs store beside errors at each checkpoint: measures of jgmm, or module:NAME.",
            '["component_sq", "holds"]',
        ),
    ] = []
    heldout: Annotated[
        CountOrNone,
        about(
            "How many samples of a run's own, which its stream never sees, the measures of labels and likelihood use.",
            "1000",
            "samples",
        ),
    ] = 0
    displacement: Annotated[
        bool,
        about(
            "Whether each run stores where its centres ended relative to the truth, from which floors are measured.",
            "true",
        ),
    ] = False


class EMSpec(Table):
    """`[em]`, for the algorithms em and soft."""

    beta: Annotated[
        list[Positive],
        Axis,
        NonEmpty,
        about(
            "Sharpness of soft updates: 1 is the posterior, larger is closer to the nearest centre alone.", "[1.0, 2.0]"
        ),
    ] = [1.0]


class Part(Table):
    """One grid of one algorithm."""

    name: Annotated[
        Name,
        about("Name of the part, in tables, figures and the part column.", '"tight"'),
    ] = "main"
    algorithm: Annotated[
        AlgorithmName,
        about("The streaming algorithm: one of jgmm, or module:NAME.", '"em"'),
    ] = "lloyd"
    theorem: Annotated[
        Literal["auto", "none"] | int,
        Theorem,
        about(
            'Number of the theorem that cells are held against; "auto" takes the one about this algorithm and start.',
            "1",
        ),
    ] = "auto"
    quantity: Annotated[
        Label,
        about(
            "What figures and fits are about: error_sq, or another quantity that runs store (it is then measured).",
            '"error_sq_lightest"',
        ),
    ] = "error_sq"
    together: Annotated[
        list[str],
        about("Axes that are walked in step, value by value, instead of crossed.", '["n", "separation"]'),
    ] = []
    mixture: MixtureSpec = MixtureSpec()
    stream: StreamSpec = StreamSpec()
    seeding: SeedingSpec = SeedingSpec()
    em: EMSpec = EMSpec()
    claim: ClaimSpec = ClaimSpec()
    numbers: Annotated[
        dict[Label, Annotated[list[NonNegative], Axis, NonEmpty]],
        about("Other numbers that the algorithm names, 0 or more, each an axis.", "{ reach = [1.0, 2.0] }"),
    ] = {}
    refine: Annotated[
        Label | None,
        about(
            "Axis that grows by bisection after a look, where a share of runs crosses its target or an exponent bends.",
            '"separation"',
        ),
    ] = None
    refine_cells: Annotated[Count, about("The most cells that refine adds.", "12", "cells")] = 8
    refined: Annotated[
        list[list[int | float]],
        about(
            "Values that refine has added, a list for each round; jgmm writes them into study.toml.", "[[4.5], [4.75]]"
        ),
    ] = []

    def idle(self) -> dict[tuple[str, str], str]:
        """The keys that mean nothing to this part, by table and key, and why."""
        mixture, stream = self.mixture, self.stream
        algorithm = named.load("algorithm", self.algorithm)
        layout = None if of_file(mixture.layout) else named.load("layout", mixture.layout)
        named_layout, named_algorithm = f"layout {shown.value(mixture.layout)}", f"algorithm {self.algorithm!r}"
        noises = [named.load("noise", name) for name in mixture.noise]
        of_noise = {name for noise in noises for name, _ in noise.numbers}
        twin_each = algorithm.twin is not None and all(algorithm.estimates(k) == k for k in mixture.k)
        one_each = all(algorithm.fits_any(k) for k in mixture.k)
        streamed = [("stream", key) for key in StreamSpec.model_fields if key not in ("n", "start", "head")]
        seeding = [("seeding", key) for key in SeedingSpec.model_fields]
        claimed = [("claim", key) for key in ClaimSpec.model_fields if key != "bound"]
        # Whether some keys mean something, the reason why they do not, and the keys; of two reasons the later is told.
        rules = [
            (layout is None, f"layout {mixture.layout!r} is no file", [("mixture", "layout_hash")]),
            (layout is not None and layout.drawn, f"{named_layout} has no box", [("mixture", "side")]),
            (max(mixture.k) > 1, "one component is not separate from another", [("mixture", "separation")]),
            (layout is not None, "the means are given, and so is their separation", [("mixture", "separation")]),
            *((key in of_noise, f"no noise has {key}", [("mixture", key)]) for key in ("df", "share", "factor")),
            ("beta" in dict(algorithm.numbers), f"{named_algorithm} has no beta", [("em", "beta")]),
            (isinstance(stream.checkpoints, int), "the checkpoints are listed", [("stream", "spacing")]),
            # That an algorithm stores no displacements is no fault where none are asked for.
            (twin_each or not stream.displacement, f"{named_algorithm} stores none", [("stream", "displacement")]),
            (one_each, f"{named_algorithm} has its own number of them", [("stream", "estimates")]),
            (algorithm.own_step is None, f"{named_algorithm} has a step size of its own", [("stream", "rate")]),
            (any(stream.n), "n is 0: nothing is streamed behind the start", streamed),
            ("seeding" in stream.start, "no start is 'seeding'", seeding),
            (bool(self.claim.bound), "the claim has no bound", claimed),
            (bool(set(stream.start) & set(FROM_DATA)), "no start is from data", [("stream", "head")]),
        ]
        return {key: why for used, why, keys in rules if not used for key in keys}

    def written(self) -> set[tuple[str, str]]:
        """The keys that were given, by table and key."""
        return {
            (name, key)
            for name in TABLES
            for key in getattr(self, name).model_fields_set
            if getattr(getattr(self, name), key) is not None
        }

    def without(self, keys: set[tuple[str, str]]) -> "Part":
        """The part as if these keys, by table and key, had not been given."""
        changed = {}
        for name in {table for table, _ in keys}:
            table = getattr(self, name)
            given = {key: getattr(table, key) for key in table.model_fields_set if (name, key) not in keys}
            changed[name] = type(table).model_construct(_fields_set=set(given), **given)
        return self.model_copy(update=changed)

    def num_values(self) -> int:
        """Numbers and words in the part's lists."""
        lists = [values for name in TABLES for _, values in getattr(self, name) if isinstance(values, list)]
        inner = [value for values in lists for value in values if isinstance(value, list)]
        return len(self.together) + sum(map(len, lists)) + sum(map(len, inner))

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What a part says is all that it uses: what is written down can be read again."""
        tables = handler(self)
        for table, key in self.idle():
            tables.get(table, {}).pop(key, None)
        for key in ("refine_cells", "refined") if self.refine is None else ():
            tables.pop(key, None)
        return {key: value for key, value in tables.items() if value not in ({}, {"bound": []})}
