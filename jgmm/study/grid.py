"""The cells of a study: its axes crossed or walked together, each setting resolved and checked. Needs no JAX."""

import difflib
import hashlib
import itertools
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jgmm import ordered, rates
from jgmm.study import limits, shown
from jgmm.study import means as layouts
from jgmm.study.schema import Part, Schedule, StreamSpec, Strict, Study, of_file
from jgmm.theory.bounds import THEOREMS, theorem_about

ENGINE = 4  # of the numbers: results of another engine are not extended


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


class Cell(Strict):
    """One setting of everything."""

    part: str
    algorithm: str
    theorem: str | int
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
    rate: float | None  # None: 1/n_i, a schedule, or no rate at all (seeding)
    rate_name: str
    schedule: tuple[float, float, float] | None  # of a polynomial rate: scale, power, shift
    adam: float | None
    average: float
    start: str | float
    beta: float | None
    checkpoints: tuple[int, ...]
    displacement: bool
    seeding: SeedingSizes | None
    axes: tuple[tuple[str, str | int | float], ...] = ()  # what the spec says, axis by axis

    @property
    def start_only(self) -> bool:
        """Whether the cell is about its start alone: no sample is streamed behind it."""
        return self.n == 0

    @property
    def rows(self) -> int:
        """Rows of a run in the cell's file: its start and its checkpoints, or its start alone."""
        return 1 + len(self.checkpoints)

    @property
    def stored_displacements(self) -> int:
        """Numbers that a run stores of its centres' displacements."""
        return 2 * self.k * min(self.k - 1, self.d) if self.displacement else 0

    def mixture_fields(self) -> MixtureFields:
        """What the mixture depends on."""
        return MixtureFields(*(getattr(self, name) for name in MixtureFields._fields))

    def start_fields(self) -> tuple:
        """What the start depends on."""
        return (*self.mixture_fields(), self.start, self.seeding)

    def program_fields(self) -> tuple:
        """What must agree for cells to stream side by side in one program."""
        kind = "adam" if self.adam else "schedule" if self.schedule else "count" if self.rate is None else "constant"
        return (self.algorithm, self.k, self.d, kind, self.average > 0)

    def identifier(self, seed: int, x64: bool) -> str:
        """A hash of the resolved content (of what decides the numbers; not of the theorem they are held against)."""
        content: Any = self.model_dump(mode="json", exclude={"theorem", "axes"})
        if self.layout_hash:  # of the means themselves: where the file lies says nothing
            content["layout"] = Path(self.layout).name
        text = json.dumps([content, seed, x64, ENGINE], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def cells(study: Study, folder: Path = Path()) -> list[Cell]:
    """The cells of a study. Raises ValueError for one that cannot run, naming its values, and beyond the `limits`."""
    _check_size(study)
    layouts.check_names(study, folder)
    found = [cell for part in study.part for cell in _part_cells(part, folder)]
    runs = study.rounds()[-1]
    rows = runs * sum(cell.rows + cell.stored_displacements // 4 for cell in found)
    if rows > limits.ROWS:
        raise ValueError(
            f"{'runs' if study.precision is None else 'max_runs'} is {runs}: {len(found)} cells store {rows:.2g} rows,"
            f" expected at most {limits.ROWS:.0e}"
        )
    return found


def named_cells(study: Study, folder: Path = Path()) -> dict[str, Cell]:
    """`cells`, by identifier."""
    return {cell.identifier(study.seed, study.x64): cell for cell in cells(study, folder)}


def _check_size(study: Study) -> None:
    """Raises ValueError for more cells, or numbers in them, than the limits, before any is made."""
    total = numbers = 0
    for part in study.part:
        sizes = {name: len(values) for name, values in _axes(part).items()}
        walked = max((sizes[name] for name in part.together if name in sizes), default=1)
        count = walked * math.prod(size for name, size in sizes.items() if name not in part.together)
        total += count
        if total > limits.CELLS:
            raise ValueError(f"part {part.name!r}: its axes make {count} cells, expected at most {limits.CELLS} in all")
        listed = part.stream.checkpoints
        numbers += count * (2 * max(part.mixture.k) + (len(listed) if isinstance(listed, list) else listed))
        if numbers > limits.CELL_NUMBERS:
            raise ValueError(
                f"part {part.name!r}: {count} cells with their weights, scales and checkpoints hold {numbers} numbers,"
                f" expected at most {limits.CELL_NUMBERS} in all"
            )


AXES = {name: ("mixture", name) for name in ("k", "d", "sigma", "weights", "scales", "separation")}
AXES |= {name: ("stream", name) for name in ("start", "n", "rate", "average")}
AXES |= {"beta": ("em", "beta")}
AXES |= {f"seeding.{name}": ("seeding", name) for name in SeedingSizes.model_fields}


def _axes(part: Part) -> dict[str, list]:
    """The values along each axis that means something to the part."""
    idle = part.idle()
    return {name: getattr(getattr(part, table), key) for name, (table, key) in AXES.items() if (table, key) not in idle}


def _part_cells(part: Part, folder: Path) -> list[Cell]:
    axes = _axes(part)
    for name in part.together:
        if name not in axes:
            near = difflib.get_close_matches(name, axes, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(
                f"part {part.name!r}: together names {shown.value(name)}, expected some of {', '.join(axes)}{hint}"
            )
    sizes = {name: len(axes[name]) for name in part.together}
    if len(sizes) < len(part.together):
        raise ValueError(f"part {part.name!r}: together is {shown.value(part.together)}, expected each axis once")
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ValueError(f"part {part.name!r}: axes walked together differ in length ({told}), expected one length")
    walked = [
        dict(zip(part.together, values, strict=True)) for values in zip(*(axes[n] for n in part.together), strict=True)
    ]
    crossed = [[{name: value} for value in values] for name, values in axes.items() if name not in part.together]
    means = layouts.of_part(part, folder) if of_file(part.mixture.layout) else None
    made = []
    for settings in itertools.product(*crossed, walked or [{}]):
        point = {name: value for setting in settings for name, value in setting.items()}
        made.append(_cell(part, means, point))
    return list(dict.fromkeys(made))  # axes that a start does not use give the same cell again


def _cell(part: Part, means: layouts.Means | None, point: dict[str, Any]) -> Cell:
    where = f"part {part.name!r}: "
    k, d, sigma, n, start = point["k"], point["d"], point["sigma"], point["n"], point["start"]
    rate = point.get("rate") if n else None
    weights = (1 / k,) * k if point["weights"] == "equal" else tuple(point["weights"])
    scales = (sigma,) * k if point["scales"] == "equal" else tuple(sigma * scale for scale in point["scales"])
    layout = part.mixture.layout
    pair = layout in ("symmetric", "symmetric-box")
    if k * d > limits.MEANS:
        raise ValueError(f"{where}k d is {k} x {d}: expected at most {limits.MEANS} numbers in the means of a run")
    if len(weights) != k or not abs(sum(weights) - 1) <= 1e-6:
        raise ValueError(f"{where}weights {shown.value(list(weights))}: expected {k} non-negative numbers with sum 1")
    if len(scales) != k:
        raise ValueError(f"{where}scales {shown.value(point['scales'])}: expected {k} positive numbers")
    if not 0 < min(scales) <= max(scales) < math.inf:
        told = f"sigma {sigma:g} times scales {shown.value(point['scales'])}"
        raise ValueError(f"{where}{told}: expected positive numbers that a float holds")
    if pair and k != 2:
        raise ValueError(f"{where}k is {k}: expected 2 for layout {layout!r}")
    if layout == "simplex" and d < k - 1:
        raise ValueError(f"{where}d is {d}: expected at least k - 1 = {k - 1} for a simplex")
    if part.algorithm == "em" and not (pair and len(set(weights)) == 1 and len(set(scales)) == 1):
        told = ", ".join(f"{name} {shown.value(point[name])}" for name in ("weights", "scales"))
        raise ValueError(
            f"{where}layout {shown.value(layout)}, {told}:"
            " algorithm em: expected a symmetric layout with equal weights and scales (algorithm = 'soft' takes any)"
        )
    if part.algorithm == "em" and (rate in ("seed", "1/n", "best") or isinstance(rate, Schedule)):
        raise ValueError(f"{where}rate is {rate!r}: expected 'paper' or a number for algorithm em")
    if part.algorithm == "soft" and rate == "1/n":
        raise ValueError(
            f"{where}rate is '1/n': expected another for algorithm soft, whose centres win no whole samples"
            f" ({{ scale = {k}, power = 1, shift = {k} }} is its like)"
        )
    average = point.get("average", 0.0) if n else 0.0
    if average and round(n * (1 - average)) >= n:
        raise ValueError(f"{where}average is {average:g}: expected 0, or a share of n = {n} of a sample or more")
    if average and (part.algorithm not in ("lloyd", "soft") or not (rate == "paper" or isinstance(rate, float))):
        raise ValueError(f"{where}average is {average:g}: expected 0 but for lloyd or soft at a constant rate")
    if part.algorithm == "soft" and min(weights) == 0:
        raise ValueError(f"{where}weights {shown.value(list(weights))}: expected positive ones for algorithm soft")
    if part.stream.displacement and layout.endswith("box"):
        raise ValueError(
            f"{where}displacement is true: expected a layout that is the same in every run, not {layout!r}"
        )
    if means and means.values.shape != (k, d):
        held = " x ".join(map(str, means.values.shape))
        raise ValueError(
            f"{where}layout is {shown.path(layout)}, but it holds {held} numbers: expected k x d = {k} x {d}"
        )
    sizes = None
    if start == "seeding":
        named = {name: point[f"seeding.{name}"] for name in SeedingSizes.model_fields}
        sizes = _seeding_sizes(where, k, d, **named)
    least = min(weight for weight in weights if weight)  # no sample moves the centre of an absent component
    value, rate_name = _rate(where, part.algorithm, rate, n, k, d, start, least)
    return Cell(
        part=part.name,
        algorithm=part.algorithm,
        theorem=_theorem(where, part, n, start),
        k=k,
        d=d,
        sigma=sigma,
        weights=weights,
        scales=scales,
        layout=layout,
        layout_hash=means.digest if means else None,
        separation=means.closest / max(scales) if means else point.get("separation", part.mixture.separation[0]),
        side=part.mixture.side,
        n=n,
        rate=value,
        rate_name=rate_name,
        schedule=_polynomial(rate),
        adam=rate.adam if isinstance(rate, Schedule) else None,
        average=average,
        start=start,
        beta=point.get("beta"),
        checkpoints=_checkpoints(where, n, part.stream) if n else (),
        displacement=part.stream.displacement and n > 0,
        seeding=sizes,
        axes=_named_axes(point, rate_name),
    )


STREAMED = ("n", "rate", "average")  # axes that mean nothing to a cell without a stream


def _named_axes(point: dict[str, Any], rate_name: str) -> tuple[tuple[str, str | int | float], ...]:
    """Where a cell stands on each axis that it uses, as numbers and words."""
    unused = () if point["n"] else STREAMED

    def plain(name: str, value: Any) -> str | int | float:
        if name == "rate" and not isinstance(value, float):
            return rate_name
        return value if isinstance(value, (str, int, float)) else str(value)

    sizes = () if point["start"] == "seeding" else tuple(name for name in point if name.startswith("seeding."))
    return tuple((name, plain(name, value)) for name, value in point.items() if name not in (*unused, *sizes))


def _theorem(where: str, part: Part, n: int, start: str | float) -> str | int:
    """The theorem that a cell is held against."""
    if isinstance(part.theorem, int):
        theorem = THEOREMS[part.theorem]
        if theorem.of_start != (n == 0):
            about = "the start alone: expected n = 0" if theorem.of_start else "a stream: expected n above 0"
            raise ValueError(f"{where}theorem is {part.theorem} with n = {n}: it is about {about}, or theorem = 'none'")
        if n and part.algorithm not in theorem.algorithms:
            raise ValueError(
                f"{where}theorem is {part.theorem}: it is about algorithm {theorem.algorithms[0]!r}, not"
                f" {part.algorithm!r}: expected that, or theorem = 'none'"
            )
        return part.theorem
    plain = part.stream.rate == ["paper"] and part.stream.average == [0.0]
    if part.theorem == "none" or (n and not plain):
        return "none"
    about_it = theorem_about(part.algorithm, streams=n > 0, seeded=start == "seeding")
    return "none" if about_it is None else about_it.number


def _seeding_sizes(where, k, d, *, n, block, graph_points, neighbors, method) -> SeedingSizes:
    if k > d:
        raise ValueError(f"{where}k is {k}: expected at most d = {d}, since seeding needs k directions")
    sizes = SeedingSizes(
        n=max(int(d**3 * k**3 * ordered.ln(d * k)), 1000) if n == "seed" else n,
        block=max(int(d * ordered.ln(d)), k) if block == "seed" else block,
        graph_points=max(int(10 * k * ordered.ln(k)), 10) if graph_points == "seed" else graph_points,
        neighbors=neighbors,
        method=method,
    )
    for name, given, found, most in (
        ("n", n, sizes.n, 2**31 - 1),
        ("block", block, sizes.block, 2**31 - 1),
        ("graph_points", graph_points, sizes.graph_points, limits.GRAPH_POINTS),
    ):
        if found > most:
            told = f"{found:.4g} (the seed document's at k = {k}, d = {d})" if given == "seed" else f"{found}"
            raise ValueError(f"{where}seeding.{name} is {told}: expected at most {most}")
    if sizes.block < k or sizes.graph_points < k or sizes.neighbors >= sizes.graph_points:
        raise ValueError(
            f"{where}seeding block {sizes.block}, graph_points {sizes.graph_points}, neighbors {sizes.neighbors}:"
            f" expected block and graph_points of at least k = {k}, and more graph_points than neighbors"
        )
    if sizes.n < sizes.block + sizes.graph_points:
        needed = sizes.block + sizes.graph_points
        raise ValueError(f"{where}seeding n is {sizes.n}: expected at least block + graph_points = {needed}")
    return sizes


def _polynomial(rate: Any) -> tuple[float, float, float] | None:
    """Scale, power and shift, if the rate is such a schedule."""
    if isinstance(rate, Schedule) and rate.scale is not None and rate.power is not None:
        return rate.scale, rate.power, rate.shift
    return None


def _rate(where: str, algorithm: str, rate: Any, n: int, k: int, d: int, start, weight) -> tuple[float | None, str]:
    """The number that a rate stands for (see `jgmm.rates`), and its name."""
    if rate is None or rate == "1/n":
        return None, rate or "none"
    if isinstance(rate, Schedule) and rate.adam:
        return None, f"adam {rate.adam:g}"
    if isinstance(rate, Schedule):
        numbers = _polynomial(rate)
        assert numbers is not None
        try:
            schedule = rates.polynomial(*numbers)
        except ValueError as error:
            raise ValueError(f"{where}{error}") from None
        return None, f"{schedule.scale:g}/(t + {schedule.shift:g})^{schedule.power:g}"
    if isinstance(rate, float):
        return rate, "given"
    try:
        if rate == "best":
            if not isinstance(start, float) or not start:
                raise ValueError(f"rate is 'best' with start {start!r}, expected an offset above 0 to be best for")
            value = rates.best_constant(n, start_sq=start * start, sigma=1, d=d, weight=weight)
        elif algorithm == "em":
            value = rates.paper_em(n)
        else:
            value = {"paper": rates.paper, "seed": rates.course_project}[rate](n, k)
        return rates.check_rate(value, why=f" (rate {rate!r} at n = {n}, k = {k}; a larger n?)"), rate
    except ValueError as error:
        raise ValueError(f"{where}{error}") from None


def _checkpoints(where: str, n: int, stream: StreamSpec) -> tuple[int, ...]:
    if isinstance(stream.checkpoints, list):
        late = [count for count in stream.checkpoints if count > n]
        if late:
            raise ValueError(f"{where}checkpoints hold {late[0]}, expected none beyond n = {n}")
        return tuple(sorted({*stream.checkpoints, n}))
    return _spaced(n, stream.checkpoints, stream.spacing)


@lru_cache(maxsize=256)
def _spaced(n: int, count: int, spacing: str) -> tuple[int, ...]:
    steps = range(1, count + 1)
    if spacing == "log":
        return tuple(sorted({round(n ** (i / count)) for i in steps}))
    return tuple(sorted({max(1, n * i // count) for i in steps}))
