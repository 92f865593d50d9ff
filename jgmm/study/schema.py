"""The tables of a spec, as pydantic models: strict about types, and about keys that mean nothing. Needs no JAX."""

import math
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from jgmm import named, outside
from jgmm.algorithms import ALGORITHMS
from jgmm.study import limits, shown
from jgmm.theory.bounds import THEOREMS

ROUNDS_GROW = 64  # at most so many times its `runs` has a study with a precision and no max_runs
SHARED = {"mixture", "stream", "seeding", "em", "numbers", "algorithm", "theorem", "together"}
TABLES = ("mixture", "stream", "seeding", "em")


def of_file(layout: str) -> bool:
    """Whether a layout is a file of means."""
    return layout.endswith(".npy")


def _listed(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def listed_lists(value: Any) -> list:
    return value if isinstance(value, list) and value and isinstance(value[0], (list, str)) else [value]


def _whole(value: Any) -> Any:
    """1e4 is as good as 10000 where a count is expected."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _theorem(value: Any) -> Any:
    """A theorem that has a record (of exactly this type: Python takes True and 1.0 for 1), or a word."""
    words = ["auto", "none"]
    if (isinstance(value, str) and value in words) or (type(value) is int and value in THEOREMS):
        return value
    *others, last = (repr(known) for known in (*words, *THEOREMS))
    raise ValueError(f"is {shown.value(value)}: expected {', '.join(others)} or {last}")


def _algorithm(value: Any) -> Any:
    if value == "seeding":
        raise ValueError("is 'seeding': expected n = 0 after start = 'seeding' (Algorithm 2 alone), and no algorithm")
    if isinstance(value, str) and value not in ALGORITHMS and not outside.named(value):
        raise ValueError(f"is {shown.value(value)}: expected one of {', '.join(ALGORITHMS)}, or module:NAME")
    return value


def plain(value: Any, where: str = "", depth: int = 0) -> Any:
    """NumPy's numbers and arrays, tuples, ranges and paths as what TOML has for them; all else as it is.

    Raises ValueError for more values than a spec may have.
    """
    if depth > limits.DEPTH:
        raise ValueError(f"{where.split('.')[0]}: tables and lists nested deeper than {limits.DEPTH}")
    if callable(value) or hasattr(value, "_fields"):  # an algorithm, a noise, a step size: what a record is made of
        return named.name_of(value)
    if isinstance(value, _Table):
        value = {key: getattr(value, key) for key in value.model_fields_set}
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        if len(value) > limits.VALUES:
            raise ValueError(f"{where or 'the spec'} holds {len(value)} keys, expected at most {limits.VALUES}")
        return {key: plain(v, f"{where}.{shown.key(key)}".lstrip("."), depth + 1) for key, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "__array__"):
        shape = np.shape(value)
        if max((*shape, math.prod(shape) / limits.COMPONENTS)) > limits.VALUES:
            raise ValueError(f"{where} holds an array of shape {shape}: expected at most {limits.VALUES} values")
        return plain(np.asarray(value).tolist(), where, depth)
    if isinstance(value, (list, tuple, range)):
        if len(value) > limits.VALUES:
            raise ValueError(f"{where} holds {len(value)} values: expected at most {limits.VALUES}")
        return [plain(v, where, depth + 1) for v in value]
    return value


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, lt=2**31)]
CountOrNone = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**31)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Axis = BeforeValidator(_listed)
NonEmpty = Field(min_length=1)
Label = Annotated[str, Field(min_length=1, max_length=limits.LABEL)]  # of a record: jgmm's own, or module:NAME
StepNumbers = Annotated[dict[Label, Positive], Field(min_length=1, max_length=limits.STEP_NUMBERS)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=limits.NAME)]


class Strict(BaseModel):
    """No type is taken for another, and no key that is not there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Table(Strict):
    """A table of a spec: from Python, NumPy's numbers and arrays, tuples, ranges and paths are taken too."""

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, table: Any) -> Any:
        return plain(table)


class MixtureSpec(_Table):
    """`[mixture]`."""

    k: Annotated[list[Annotated[Count, Field(le=limits.COMPONENTS)]], Axis, NonEmpty] = [2]
    d: Annotated[list[Annotated[Count, Field(le=limits.MEANS)]], Axis, NonEmpty] = [10]
    sigma: Annotated[list[Positive], Axis, NonEmpty] = [1.0]
    weights: Annotated[list[Literal["equal"] | list[NonNegative]], BeforeValidator(listed_lists), NonEmpty] = ["equal"]
    scales: Annotated[list[Literal["equal"] | list[Positive]], BeforeValidator(listed_lists), NonEmpty] = ["equal"]
    layout: Label = "symmetric"
    layout_hash: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None = None  # of a file's means
    separation: Annotated[list[Positive], Axis, NonEmpty] = [4.0]
    side: Positive = 1e4
    noise: Annotated[list[Label], Axis, NonEmpty] = ["gaussian"]


class StreamSpec(_Table):
    """`[stream]`."""

    n: Annotated[list[CountOrNone], Axis, NonEmpty] = [100_000]  # 0: the start alone
    rate: Annotated[list[Label | Rate | StepNumbers], Axis, NonEmpty] = ["paper"]
    start: Annotated[list[Literal["seeding", "truth"] | NonNegative], Axis, NonEmpty] = ["seeding"]
    average: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Axis, NonEmpty] = [0.0]  # share of last iterates
    checkpoints: Annotated[Count, Field(le=limits.CHECKPOINTS)] | Annotated[list[Count], NonEmpty] = 10
    spacing: Literal["log", "linear"] = "log"
    displacement: bool = False


class SeedingSpec(_Table):
    """`[seeding]`: "seed" stands for the seed document's size."""

    n: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    block: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    graph_points: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    neighbors: Annotated[list[Count], Axis, NonEmpty] = [3]
    method: Annotated[list[Literal["block", "oja"]], Axis, NonEmpty] = ["block"]


class EMSpec(_Table):
    """`[em]`, for the algorithms em and soft."""

    beta: Annotated[list[Positive], Axis, NonEmpty] = [1.0]


class Part(_Table):
    """One grid of one algorithm."""

    name: Name = "main"
    algorithm: Annotated[Label, BeforeValidator(_algorithm)] = "lloyd"
    theorem: Annotated[Literal["auto", "none"] | int, BeforeValidator(_theorem)] = "auto"
    together: list[str] = []
    mixture: MixtureSpec = MixtureSpec()
    stream: StreamSpec = StreamSpec()
    seeding: SeedingSpec = SeedingSpec()
    em: EMSpec = EMSpec()
    numbers: dict[Label, Annotated[list[Positive], Axis, NonEmpty]] = {}  # other numbers of the algorithm

    def idle(self) -> dict[tuple[str, str], str]:
        """The keys that mean nothing to this part, by table and key, and why."""
        m, s = self.mixture, self.stream
        found: dict[tuple[str, str], str] = {}

        def need(used: bool, why: str, table: str, *keys: str) -> None:
            if not used:
                found.update({(table, key): why for key in keys})

        algorithm = named.load("algorithm", self.algorithm)
        layout = None if of_file(m.layout) else named.load("layout", m.layout)
        each = algorithm.twin is not None and all(algorithm.estimates(k) == k for k in m.k)
        need(layout is None, f"layout {m.layout!r} is no file", "mixture", "layout_hash")
        need(layout is not None and layout.drawn, f"layout {shown.value(m.layout)} has no box", "mixture", "side")
        need(max(m.k) > 1, "one component is not separate from another", "mixture", "separation")
        need(layout is not None, "the means are given, and so is their separation", "mixture", "separation")
        tempered = "beta" in dict(algorithm.numbers)
        need(tempered, f"algorithm {self.algorithm!r} has no beta", "em", *EMSpec.model_fields)
        need(isinstance(s.checkpoints, int), "the checkpoints are listed", "stream", "spacing")
        # That there is none is true of all.
        need(each or not s.displacement, f"algorithm {self.algorithm!r} stores none", "stream", "displacement")
        own = algorithm.own_step is not None
        need(not own, f"algorithm {self.algorithm!r} has a step size of its own", "stream", "rate")
        streamed = [key for key in StreamSpec.model_fields if key not in ("n", "start")]
        need(any(s.n), "n is 0: nothing is streamed behind the start", "stream", *streamed)
        need("seeding" in s.start, "no start is 'seeding'", "seeding", *SeedingSpec.model_fields)
        return found

    def written(self) -> set[tuple[str, str]]:
        """The keys that were given, by table and key."""
        tables = {name: getattr(self, name) for name in TABLES}
        return {
            (name, key)
            for name, table in tables.items()
            for key in table.model_fields_set
            if getattr(table, key) is not None
        }

    def without(self, keys: set[tuple[str, str]]) -> "Part":
        """The part as if these had not been given."""
        changed = {}
        for name in {table for table, _ in keys}:
            table = getattr(self, name)
            kept = {key: getattr(table, key) for key in table.model_fields_set if (name, key) not in keys}
            changed[name] = type(table).model_construct(_fields_set=set(kept), **kept)
        return self.model_copy(update=changed)

    @model_serializer(mode="wrap")
    def _without_idle_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What a part says is all that it uses: what is written down can be read again."""
        tables = handler(self)
        for table, key in self.idle():
            tables.get(table, {}).pop(key, None)
        return {key: value for key, value in tables.items() if value != {}}


class Study(_Table):
    """A whole spec, resolved. Takes the nested tables of a TOML file as keywords."""

    name: Name = "study"
    aim: Annotated[str, Field(max_length=limits.AIM)] = ""
    runs: Count = 256
    precision: Positive | None = None
    max_runs: Count | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    x64: bool = False
    report: Annotated[str, Field(pattern=r"^(curves|[\w.]+:\w+)$", max_length=limits.NAME)] = "curves"  # or module:NAME
    part: Annotated[list[Part], Field(min_length=1, max_length=limits.PARTS)]

    @model_validator(mode="wrap")
    @classmethod
    def _shared_tables_lie_under_the_parts(cls, table: Any, make: ModelWrapValidatorHandler["Study"]) -> "Study":
        if not isinstance(table, Mapping):
            return make(table)
        shared, own, rest = split(table := plain(table))
        study = make({**rest, "part": [merge(shared, part) for part in own]})
        study.__dict__["part"] = _of_use(study.part, shared, own)  # frozen for others; this one is being made
        return study

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        names: dict[str, str] = {}
        for part in self.part:
            if (key := part.name.casefold()) in names:
                told = f"two parts are named {names[key]!r} and {part.name!r}"
                raise ValueError(f"{told}: expected each to differ, whatever their case")
            names[key] = part.name
        if self.max_runs is not None and self.precision is None:
            raise ValueError(f"max_runs is {self.max_runs} without a precision: expected both, or runs alone")
        if self.max_runs is not None and self.max_runs < self.runs:
            raise ValueError(f"max_runs is {self.max_runs}, expected at least runs = {self.runs}")
        if (values := sum(map(_values, self.part))) > limits.ALL_VALUES:
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


def split(table: Mapping) -> tuple[dict, list, dict]:
    """What a spec's parts share, each part's own, and the rest. Raises ValueError if `part` is no list of tables."""
    shared = {key: value for key, value in table.items() if key in SHARED}
    own = table.get("part", [{}])
    if not isinstance(own, list) or not all(isinstance(part, dict) for part in own):
        raise ValueError(f"part is {shown.value(own)}, expected [[part]] tables")
    return shared, own, {key: value for key, value in table.items() if key not in SHARED}


def merge(shared: dict, part: dict) -> dict:
    """A part's tables laid over the shared ones."""
    merged = dict(shared)
    for key, value in part.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_tables else value
    return merged


def _of_use(parts: list[Part], shared: dict, own: list) -> list[Part]:
    """The parts without shared keys that mean nothing to them.

    Raises ValueError, a line each, for keys of a part's own that mean nothing to it, and shared ones that mean nothing
    to any part.
    """
    faults = []
    for name in TABLES:  # every part may have one of its own in place of it
        if name in shared and not isinstance(shared[name], Mapping):
            raise ValueError(f"{name} is {shown.value(shared[name])}, expected a table")
    idle = [part.idle() for part in parts]
    common = {(name, key) for name in TABLES for key in shared.get(name, {})}
    for part, mine, unused in zip(parts, own, idle, strict=True):
        given = {(name, key) for name in TABLES for key in mine.get(name, {})} & part.written() & set(unused)
        for table, key in sorted(given):
            faults.append(f"part {part.name!r}: {_told(part, table, key)}: {unused[table, key]}: expected it left out")
    for table, key in sorted(common):
        used = [part for part, unused in zip(parts, idle, strict=True) if (table, key) not in unused]
        if not used and any((table, key) in part.written() for part in parts):
            faults.append(f"{_told(parts[0], table, key)}: {idle[0][table, key]}: expected it left out")
    if faults:
        raise ValueError("\n".join(faults))
    return [part.without(set(unused) & part.written()) for part, unused in zip(parts, idle, strict=True)]


def _told(part: Part, table: str, key: str) -> str:
    value = getattr(getattr(part, table), key)
    return f"{table}.{key} is {shown.value(value[0] if isinstance(value, list) and len(value) == 1 else value)}"


def _values(part: Part) -> int:
    """Numbers and words in a part's lists."""
    lists = [v for name in TABLES for _, v in getattr(part, name) if isinstance(v, list)]
    return len(part.together) + sum(len(v) + sum(len(x) for x in v if isinstance(x, list)) for v in lists)
