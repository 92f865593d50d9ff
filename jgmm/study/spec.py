"""A study's spec: TOML in, checked and resolved cells out. Needs no JAX.

A spec is one grid, or several `[[part]]`s that share its name, runs and seed. Every list is a grid axis. Sizes that a
spec leaves out are the seed document's: N0 = int(k^3 d^3 ln(k d)) samples (1,000 at least), blocks of int(d ln d)
(k at least), int(10 k ln k) graph points (10 at least), 3 neighbours.
"""

import difflib
import hashlib
import itertools
import json
import math
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from jgmm import rates


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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MixtureSpec(_Strict):
    """`[mixture]`."""

    k: Annotated[list[Count], Axis, NonEmpty] = [2]
    d: Annotated[list[Count], Axis, NonEmpty] = [10]
    sigma: Annotated[list[Positive], Axis, NonEmpty] = [1.0]
    weights: Annotated[list[Literal["equal"] | list[NonNegative]], BeforeValidator(_listed_lists), NonEmpty] = ["equal"]
    scales: Annotated[list[Literal["equal"] | list[Positive]], BeforeValidator(_listed_lists), NonEmpty] = ["equal"]
    layout: str = "symmetric"
    separation: Annotated[list[Positive], Axis, NonEmpty] = [4.0]
    side: Positive = 1e4


class StreamSpec(_Strict):
    """`[stream]`."""

    n: Annotated[list[Count], Axis, NonEmpty] = [100_000]
    rate: Annotated[list[Literal["paper", "seed", "1/n"] | Rate], Axis, NonEmpty] = ["paper"]
    start: Annotated[list[Literal["seeding", "truth"] | NonNegative], Axis, NonEmpty] = ["seeding"]
    checkpoints: Count = 10
    spacing: Literal["log", "linear"] = "log"


class SeedingSpec(_Strict):
    """`[seeding]`: "seed" stands for the seed document's size."""

    n: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    block: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    graph_points: Annotated[list[Literal["seed"] | Count], Axis, NonEmpty] = ["seed"]
    neighbors: Annotated[list[Count], Axis, NonEmpty] = [3]


class EMSpec(_Strict):
    """`[em]`."""

    beta: Annotated[list[Positive], Axis, NonEmpty] = [1.0]


class Part(_Strict):
    """One grid of one algorithm."""

    name: str = Field(default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    algorithm: Literal["lloyd", "em", "seeding"] = "lloyd"
    mixture: MixtureSpec = MixtureSpec()
    stream: StreamSpec = StreamSpec()
    seeding: SeedingSpec = SeedingSpec()
    em: EMSpec = EMSpec()


class Study(_Strict):
    """A whole spec, resolved."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    runs: Count = 256
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    x64: bool = False
    report: Literal["curves", "seed"] = "curves"
    part: list[Part] = Field(min_length=1)


class SeedingSizes(_Strict):
    """The sizes of Algorithm 2."""

    n: int
    block: int
    graph_points: int
    neighbors: int


class Cell(_Strict):
    """One setting of everything."""

    part: str
    algorithm: str
    k: int
    d: int
    sigma: float
    weights: tuple[float, ...]
    scales: tuple[float, ...]  # standard deviations, in the units of the data
    layout: str
    layout_hash: str | None  # of a file of means
    separation: float
    side: float
    n: int
    rate: float | None  # None: 1/n_i, or no rate at all (seeding)
    rate_name: str
    start: str | float
    beta: float | None
    checkpoints: tuple[int, ...]
    seeding: SeedingSizes | None

    def mixture_fields(self) -> tuple:
        """What the mixture depends on."""
        return (self.k, self.d, self.weights, self.scales, self.layout, self.layout_hash, self.separation, self.side)

    def start_fields(self) -> tuple:
        """What the start depends on."""
        return (*self.mixture_fields(), self.start, self.seeding)

    def identifier(self, seed: int, x64: bool) -> str:
        """A hash of the resolved content."""
        content = json.dumps([self.model_dump(mode="json"), seed, x64], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


SHARED = {"mixture", "stream", "seeding", "em", "algorithm"}


def presets() -> dict[str, str]:
    """The first comment line of each preset that ships with the package, by name."""
    folder = resources.files("jgmm.study") / "presets"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text().splitlines()[0].lstrip("# ") for f in files}


def load(spec: str) -> Study:
    """The study that a preset's name or a TOML file's path stands for.

    Raises ValueError, one line a fault, for an unknown preset, a file that cannot be read, malformed TOML, unknown
    keys and values outside their range.
    """
    known = presets()
    if spec in known:
        text = (resources.files("jgmm.study") / "presets" / f"{spec}.toml").read_text()
        return parse(text, source=spec, folder=Path.cwd(), default_name=spec)
    path = Path(spec)
    if not path.is_file():
        near = difflib.get_close_matches(spec, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{spec!r} is neither a preset ({', '.join(known)}) nor a TOML file{hint}")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{spec}: cannot be read: {error}") from None
    return parse(text, source=spec, folder=path.parent, default_name=path.stem)


def parse(text: str, *, source: str, folder: Path, default_name: str) -> Study:
    """The study that this TOML text describes. Raises ValueError as `load` does."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{source}: not TOML: {error}") from None
    table.pop("environment", None)  # of a study.toml: what it was made with, not what it is
    table.setdefault("name", default_name)
    table_keys = set(table)
    shared = {key: table.pop(key) for key in list(table) if key in SHARED}
    parts = table.get("part", [{}])
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{source}: part is {parts!r}, expected [[part]] tables")
    table["part"] = [_merge(shared, part) for part in parts]
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        faults = (_fault(item, "part" in table_keys) for item in error.errors())
        raise ValueError("\n".join(f"{source}: {fault}" for fault in faults)) from None
    names = [part.name for part in study.part]
    if len(set(names)) < len(names):
        raise ValueError(f"{source}: part names are {names}, expected each to differ")
    for part in study.part:
        _check_layout(part, source, folder)
    return study


def cells(study: Study, folder: Path = Path()) -> list[Cell]:
    """The cells of a study. Raises ValueError for a cell that cannot run, naming its values."""
    return [cell for part in study.part for cell in _part_cells(part, folder)]


def _merge(shared: dict, part: dict) -> dict:
    """A part's tables laid over the shared ones."""
    merged = dict(shared)
    for key, value in part.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both_tables else value
    return merged


def _fault(item: Any, has_parts: bool) -> str:
    where = ".".join(
        str(x) for x in item["loc"] if not str(x).startswith(("literal[", "constrained", "list[", "float"))
    )
    if not has_parts:
        where = where.removeprefix("part.0.")
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), _keys(), n=1)
        return f"{where}: unknown key" + (f", expected {near[0]!r}?" if near else "")
    if item["type"] == "missing":
        return f"{where}: missing"
    return f"{where} is {item['input']!r}: {item['msg'][0].lower()}{item['msg'][1:]}"


def _keys() -> list[str]:
    models = (Study, Part, MixtureSpec, StreamSpec, SeedingSpec, EMSpec)
    return sorted({name for model in models for name in model.model_fields})


LAYOUTS = ("symmetric", "symmetric-box", "simplex", "box")


def _check_layout(part: Part, source: str, folder: Path) -> None:
    layout = part.mixture.layout
    if layout in LAYOUTS or (layout.endswith(".npy") and (folder / layout).is_file()):
        return
    raise ValueError(f"{source}: mixture.layout is {layout!r}, expected one of {', '.join(LAYOUTS)} or a .npy file")


def _part_cells(part: Part, folder: Path) -> list[Cell]:
    m, s, i = part.mixture, part.stream, part.seeding
    streams = part.algorithm != "seeding"
    axes = itertools.product(
        *(m.k, m.d, m.sigma, m.weights, m.scales, m.separation),
        s.start if streams else ["seeding"],
        s.n if streams else [0],
        s.rate if streams else [None],
        part.em.beta if part.algorithm == "em" else [None],
        *(i.n, i.block, i.graph_points, i.neighbors),
    )
    made = [_cell(part, folder, *values) for values in axes]
    return list(dict.fromkeys(made))  # axes that a start does not use give the same cell again


def _cell(part, folder, k, d, sigma, weights, scales, separation, start, n, rate, beta, n0, block, points, neighbors):
    where = f"part {part.name!r}: "
    weights = (1 / k,) * k if weights == "equal" else tuple(weights)
    scales = (1.0,) * k if scales == "equal" else tuple(scales)
    layout = part.mixture.layout
    if len(weights) != k or abs(math.fsum(weights) - 1) > 1e-6:
        raise ValueError(f"{where}weights {list(weights)}: expected {k} non-negative numbers with sum 1")
    if len(scales) != k:
        raise ValueError(f"{where}scales {list(scales)}: expected {k} positive numbers")
    if layout.startswith("symmetric") and k != 2:
        raise ValueError(f"{where}k is {k}: expected 2 for layout {layout!r}")
    if layout == "simplex" and d < k - 1:
        raise ValueError(f"{where}d is {d}: expected at least k - 1 = {k - 1} for a simplex")
    if part.algorithm == "em" and not (
        layout.startswith("symmetric") and len(set(weights)) == 1 and len(set(scales)) == 1
    ):
        raise ValueError(f"{where}algorithm em: expected a symmetric layout with equal weights and scales")
    if part.algorithm == "em" and rate in ("seed", "1/n"):
        raise ValueError(f"{where}rate is {rate!r}: expected 'paper' or a number for algorithm em")
    layout_hash = None
    if layout.endswith(".npy"):
        means = np.load(folder / layout)
        if means.shape != (k, d) or not np.isfinite(means).all():
            raise ValueError(f"{where}{layout} holds shape {means.shape}: expected finite numbers of shape {(k, d)}")
        layout_hash = hashlib.sha256(means.tobytes()).hexdigest()[:12]
    sizes = _seeding_sizes(where, k, d, n0, block, points, neighbors) if start == "seeding" else None
    value, rate_name = _rate(where, part.algorithm, rate, n, k)
    return Cell(
        part=part.name,
        algorithm=part.algorithm,
        k=k,
        d=d,
        sigma=sigma,
        weights=weights,
        scales=tuple(sigma * scale for scale in scales),
        layout=layout,
        layout_hash=layout_hash,
        separation=separation,
        side=part.mixture.side,
        n=n if sizes is None or n else sizes.n,
        rate=value,
        rate_name=rate_name,
        start=start,
        beta=beta,
        checkpoints=_checkpoints(n, part.stream.checkpoints, part.stream.spacing) if n else (),
        seeding=sizes,
    )


def _seeding_sizes(where, k, d, n0, block, points, neighbors) -> SeedingSizes:
    sizes = SeedingSizes(
        n=max(int(d**3 * k**3 * math.log(d * k)), 1000) if n0 == "seed" else n0,
        block=max(int(d * math.log(d)), k) if block == "seed" else block,
        graph_points=max(int(10 * k * math.log(k)), 10) if points == "seed" else points,
        neighbors=neighbors,
    )
    if k > d:
        raise ValueError(f"{where}k is {k}: expected at most d = {d}, since seeding needs k directions")
    if sizes.block < k or sizes.graph_points < k or sizes.neighbors >= sizes.graph_points:
        raise ValueError(
            f"{where}seeding block {sizes.block}, graph_points {sizes.graph_points}, neighbors {sizes.neighbors}:"
            f" expected block and graph_points of at least k = {k}, and more graph_points than neighbors"
        )
    if sizes.n < sizes.block + sizes.graph_points:
        needed = sizes.block + sizes.graph_points
        raise ValueError(f"{where}seeding n is {sizes.n}: expected at least block + graph_points = {needed}")
    return sizes


def _rate(where: str, algorithm: str, rate: str | float | None, n: int, k: int) -> tuple[float | None, str]:
    """The number that a rate stands for (see `jgmm.rates`), and its name."""
    if rate is None or rate == "1/n":
        return None, rate or "none"
    if isinstance(rate, float):
        return rate, "given"
    value = rates.paper_em(n) if algorithm == "em" else {"paper": rates.paper, "seed": rates.seed}[rate](n, k)
    try:
        return rates.check_rate(value, why=f" (rate {rate!r} at n = {n}, k = {k})"), rate
    except ValueError as error:
        raise ValueError(f"{where}{error}: a larger n") from None


def _checkpoints(n: int, count: int, spacing: str) -> tuple[int, ...]:
    steps = range(1, count + 1)
    if spacing == "log":
        return tuple(sorted({round(n ** (i / count)) for i in steps}))
    return tuple(sorted({max(1, n * i // count) for i in steps}))
