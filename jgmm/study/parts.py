"""A part of a study as a spec writes it: its tables, and which of their keys mean something to it. Needs no JAX."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from jgmm import named
from jgmm.study import limits, shown
from jgmm.study.fields import (
    AlgorithmName,
    Axis,
    Count,
    CountOrNone,
    Label,
    ListAxis,
    Name,
    NonEmpty,
    NonNegative,
    Positive,
    Rate,
    StepNumbers,
    Theorem,
    of_file,
)
from jgmm.study.plain import plain


class Strict(BaseModel):
    """A model that takes no type for another, and no key that it does not have."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Table(Strict):
    """A table of a spec; from Python it also takes what `plain` turns into TOML's types."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, table: Any) -> Any:
        return plain(table)


TABLES = ("mixture", "stream", "seeding", "em")


class MixtureSpec(Table):
    """`[mixture]`."""

    k: Annotated[list[Annotated[Count, Field(le=limits.COMPONENTS)]], Axis, NonEmpty] = [2]
    d: Annotated[list[Annotated[Count, Field(le=limits.MEANS)]], Axis, NonEmpty] = [10]
    sigma: Annotated[list[Positive], Axis, NonEmpty] = [1.0]
    weights: Annotated[list[Literal["equal"] | list[NonNegative]], ListAxis, NonEmpty] = ["equal"]
    scales: Annotated[list[Literal["equal"] | list[Positive]], ListAxis, NonEmpty] = ["equal"]
    layout: Label = "symmetric"
    layout_hash: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None = None  # of a file's means
    separation: Annotated[list[Positive], Axis, NonEmpty] = [4.0]
    side: Positive = 1e4
    noise: Annotated[list[Label], Axis, NonEmpty] = ["gaussian"]


class StreamSpec(Table):
    """`[stream]`."""

    n: Annotated[list[CountOrNone], Axis, NonEmpty] = [100_000]  # 0: the start alone
    rate: Annotated[list[Label | Rate | StepNumbers], Axis, NonEmpty] = ["paper"]
    start: Annotated[list[Literal["seeding", "truth"] | NonNegative], Axis, NonEmpty] = ["seeding"]
    average: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Axis, NonEmpty] = [0.0]  # share of last iterates
    checkpoints: Annotated[Count, Field(le=limits.CHECKPOINTS)] | Annotated[list[Count], NonEmpty] = 10
    spacing: Literal["log", "linear"] = "log"
    displacement: bool = False


class SeedingSpec(Table):
    """`[seeding]`: "seed" stands for the course project's size."""

    n: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    block: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    graph_points: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    neighbors: Annotated[list[Count], Axis, NonEmpty] = [3]
    method: Annotated[list[Literal["block", "oja"]], Axis, NonEmpty] = ["block"]


class EMSpec(Table):
    """`[em]`, for the algorithms em and soft."""

    beta: Annotated[list[Positive], Axis, NonEmpty] = [1.0]


class Part(Table):
    """One grid of one algorithm."""

    name: Name = "main"
    algorithm: AlgorithmName = "lloyd"
    theorem: Annotated[Literal["auto", "none"] | int, Theorem] = "auto"
    together: list[str] = []
    mixture: MixtureSpec = MixtureSpec()
    stream: StreamSpec = StreamSpec()
    seeding: SeedingSpec = SeedingSpec()
    em: EMSpec = EMSpec()
    numbers: dict[Label, Annotated[list[Positive], Axis, NonEmpty]] = {}  # other numbers of the algorithm

    def idle(self) -> dict[tuple[str, str], str]:
        """The keys that mean nothing to this part, by table and key, and why."""
        mixture, stream = self.mixture, self.stream
        algorithm = named.load("algorithm", self.algorithm)
        layout = None if of_file(mixture.layout) else named.load("layout", mixture.layout)
        named_layout, named_algorithm = f"layout {shown.value(mixture.layout)}", f"algorithm {self.algorithm!r}"
        twin_each = algorithm.twin is not None and all(algorithm.estimates(k) == k for k in mixture.k)
        streamed = [("stream", key) for key in StreamSpec.model_fields if key not in ("n", "start")]
        seeding = [("seeding", key) for key in SeedingSpec.model_fields]
        # Whether some keys mean something, the reason why they do not, and the keys; of two reasons the later is told.
        rules = [
            (layout is None, f"layout {mixture.layout!r} is no file", [("mixture", "layout_hash")]),
            (layout is not None and layout.drawn, f"{named_layout} has no box", [("mixture", "side")]),
            (max(mixture.k) > 1, "one component is not separate from another", [("mixture", "separation")]),
            (layout is not None, "the means are given, and so is their separation", [("mixture", "separation")]),
            ("beta" in dict(algorithm.numbers), f"{named_algorithm} has no beta", [("em", "beta")]),
            (isinstance(stream.checkpoints, int), "the checkpoints are listed", [("stream", "spacing")]),
            # That an algorithm stores no displacements is no fault where none are asked for.
            (twin_each or not stream.displacement, f"{named_algorithm} stores none", [("stream", "displacement")]),
            (algorithm.own_step is None, f"{named_algorithm} has a step size of its own", [("stream", "rate")]),
            (any(stream.n), "n is 0: nothing is streamed behind the start", streamed),
            ("seeding" in stream.start, "no start is 'seeding'", seeding),
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
        return {key: value for key, value in tables.items() if value != {}}
