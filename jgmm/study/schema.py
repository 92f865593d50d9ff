"""A whole spec as a pydantic model: what all its parts have in common, and the parts. Needs no JAX."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from jgmm.study import faults, limits
from jgmm.study.fields import Count, Name, Positive, about
from jgmm.study.parts import Part
from jgmm.study.plain import plain
from jgmm.study.shared import merge, of_use, split
from jgmm.study.strict import Table

ROUNDS_GROW = 64  # at most so many times its `runs` has a study with a precision and no max_runs


class Study(Table):
    """A whole spec, resolved. Takes the nested tables of a TOML file as keywords."""

    name: Annotated[
        Name,
        about("Name of the study, and of its folder below results/; a file's own name if left out.", '"my-study"'),
    ] = "study"
    aim: Annotated[
        str,
        Field(max_length=limits.AIM),
        about(
            "The question that the study asks, in a sentence for the top of its page.",
            '"Does the error grow like k^3?"',
        ),
    ] = ""
    runs: Annotated[
        Count,
        about("Independent runs of each cell; with a precision, those of the first look.", "1024", "runs"),
    ] = 256
    precision: Annotated[
        Positive | None,
        about(
            "Runs are doubled until each cell's mean squared error has a relative standard error below this.",
            "0.01",
            "share of the mean",
        ),
    ] = None
    max_runs: Annotated[
        Count | None,
        about("The most runs of a cell that a precision may lead to; 64 times runs if left out.", "65536", "runs"),
    ] = None
    seed: Annotated[
        int,
        Field(ge=0, lt=2**32),
        about("The number that all random draws of the study come from.", "7"),
    ] = 0
    x64: Annotated[
        bool,
        about("Whether streams compute in float64 instead of float32.", "true"),
    ] = False
    dimension: Annotated[
        Literal["auto", "direct", "reduced"],
        about(
            "Whether streams go on in all d coordinates, or in few with the same law; auto: where d is twice as many.",
            '"auto"',
        ),
    ] = "direct"
    report: Annotated[
        str,
        Field(pattern=r"^(curves|[\w.]+:\w+)$", max_length=limits.NAME),
        about('"curves", or module:PAGE for a page of the study\'s own.', '"curves"'),
    ] = "curves"
    part: Annotated[list[Part], Field(min_length=1, max_length=limits.PARTS)]

    def __init__(self, /, **table: Any):
        """Raises ValueError, a line for each key at fault, as the command line says it."""
        try:
            super().__init__(**table)
        except ValidationError as error:
            said = faults.told(error, table, type(self).model_fields)
            raise ValueError(said) from None

    @model_validator(mode="wrap")
    @classmethod
    def _shared_tables_lie_under_the_parts(cls, table: Any, make: ModelWrapValidatorHandler["Study"]) -> "Study":
        if not isinstance(table, Mapping):
            return make(table)
        shared, own, whole = split(plain(table))
        study = make({**whole, "part": [merge(shared, part) for part in own]})
        study.__dict__["part"] = of_use(study.part, shared, own)  # frozen for others; this one is being made
        return study

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        names: dict[str, str] = {}
        for part in self.part:
            if (key := part.name.casefold()) in names:
                both = f"{names[key]!r} and {part.name!r}"
                raise ValueError(f"two parts are named {both}: expected each to differ, whatever their case")
            names[key] = part.name
            if part.claim.bound and isinstance(part.theorem, int):
                both = f"theorem is {part.theorem} beside a claim"
                raise ValueError(f"part {part.name!r}: {both}: expected theorem = 'none' there")
        if self.max_runs is not None and self.precision is None:
            raise ValueError(f"max_runs is {self.max_runs} without a precision: expected both, or runs alone")
        if self.max_runs is not None and self.max_runs < self.runs:
            raise ValueError(f"max_runs is {self.max_runs}, expected at least runs = {self.runs}")
        if (values := sum(part.num_values() for part in self.part)) > limits.ALL_VALUES:
            raise ValueError(f"its lists hold {values} values, expected at most {limits.ALL_VALUES}")
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
