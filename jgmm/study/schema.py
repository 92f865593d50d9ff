"""The tables of a spec, as pydantic models. Needs no JAX."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ROUNDS_GROW = 64  # at most so many times its `runs` has a study with a precision and no max_runs
LAYOUTS = ("symmetric", "symmetric-box", "simplex", "box")


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _listed_lists(value: Any) -> list:
    return value if isinstance(value, list) and value and isinstance(value[0], (list, str)) else [value]


def _whole(value: Any) -> Any:
    """1e4 is as good as 10000 where a count is expected."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**31, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Axis = BeforeValidator(_listed)
NonEmpty = Field(min_length=1)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MixtureSpec(Strict):
    """`[mixture]`."""

    k: Annotated[list[Count], Axis, NonEmpty] = [2]
    d: Annotated[list[Count], Axis, NonEmpty] = [10]
    sigma: Annotated[list[Positive], Axis, NonEmpty] = [1.0]
    weights: Annotated[list[Literal["equal"] | list[NonNegative]], BeforeValidator(_listed_lists), NonEmpty] = ["equal"]
    scales: Annotated[list[Literal["equal"] | list[Positive]], BeforeValidator(_listed_lists), NonEmpty] = ["equal"]
    layout: str = "symmetric"
    separation: Annotated[list[Positive], Axis, NonEmpty] = [4.0]
    side: Positive = 1e4


class Schedule(Strict):
    """`{ scale = c, power = a, shift = s }`: c / (t + s)^a. `{ adam = r }`: optax.adam(r) (Kingma and Ba 2015)."""

    scale: Positive | None = None
    power: Annotated[float, Field(gt=0, le=1)] | None = None
    shift: Positive = 1.0
    adam: Rate | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "Schedule":
        polynomial = self.scale is not None and self.power is not None
        if polynomial == (self.adam is not None) or (self.adam is not None and self.shift != 1):
            raise ValueError("expected either scale and power (and shift), or adam alone")
        return self


class StreamSpec(Strict):
    """`[stream]`."""

    n: Annotated[list[Count], Axis, NonEmpty] = [100_000]
    rate: Annotated[list[Literal["paper", "seed", "best", "1/n"] | Rate | Schedule], Axis, NonEmpty] = ["paper"]
    start: Annotated[list[Literal["seeding", "truth"] | NonNegative], Axis, NonEmpty] = ["seeding"]
    average: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Axis, NonEmpty] = [0.0]  # share of last iterates
    checkpoints: Count | Annotated[list[Count], NonEmpty] = 10
    spacing: Literal["log", "linear"] = "log"
    displacement: bool = False


class SeedingSpec(Strict):
    """`[seeding]`: "seed" stands for the seed document's size."""

    n: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    block: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    graph_points: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    neighbors: Annotated[list[Count], Axis, NonEmpty] = [3]
    method: Annotated[list[Literal["block", "oja"]], Axis, NonEmpty] = ["block"]


class EMSpec(Strict):
    """`[em]`, for the algorithms em and soft."""

    beta: Annotated[list[Positive], Axis, NonEmpty] = [1.0]


class Part(Strict):
    """One grid of one algorithm."""

    name: Name = "main"
    algorithm: Literal["lloyd", "em", "soft", "oracle", "seeding"] = "lloyd"
    theorem: Literal["auto", "none", 1, 2, 3, 7] = "auto"
    together: list[str] = []
    mixture: MixtureSpec = MixtureSpec()
    stream: StreamSpec = StreamSpec()
    seeding: SeedingSpec = SeedingSpec()
    em: EMSpec = EMSpec()


class Study(Strict):
    """A whole spec, resolved. Takes the nested tables of a TOML file as keywords."""

    name: Name = "study"
    aim: str = ""
    runs: Count = 256
    precision: Positive | None = None
    max_runs: Count | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    x64: bool = False
    report: Literal["curves", "seed"] = "curves"
    part: list[Part] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _lay_shared_tables_under_the_parts(cls, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        shared = {key: value for key, value in table.items() if key in SHARED}
        parts = table.get("part", [{}])
        if not isinstance(parts, list) or not all(isinstance(part, (dict, Part)) for part in parts):
            raise ValueError(f"part is {parts!r}, expected [[part]] tables")
        own = {key: value for key, value in table.items() if key not in SHARED}
        return {**own, "part": [part if isinstance(part, Part) else _merge(shared, part) for part in parts]}

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        names = [part.name for part in self.part]
        if len(set(names)) < len(names):
            raise ValueError(f"part names are {names}, expected each to differ")
        if self.max_runs is not None and self.max_runs < self.runs:
            raise ValueError(f"max_runs is {self.max_runs}, expected at least runs = {self.runs}")
        return self

    def rounds(self) -> list[int]:
        """The declared numbers of runs at which a study with a precision looks: doubling from `runs` to `max_runs`.

        Without a `max_runs` the last is ROUNDS_GROW times the first; a report names the cells that hit it.
        """
        if self.precision is None:
            return [self.runs]
        cap = self.max_runs or ROUNDS_GROW * self.runs
        sizes = [self.runs]
        while sizes[-1] < cap:
            sizes.append(min(2 * sizes[-1], cap))
        return sizes


SHARED = {"mixture", "stream", "seeding", "em", "algorithm", "theorem", "together"}


def _merge(shared: dict, part: dict) -> dict:
    """A part's tables laid over the shared ones."""
    merged = dict(shared)
    for key, value in part.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_tables else value
    return merged
