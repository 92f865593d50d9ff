"""A cell's value on each axis, and words for it: tables, legends and sentences name the axes on which cells differ."""

from collections.abc import Iterable, Sequence
from typing import Any

from jgmm.study.cell import GAUSSIAN, Cell

HEADINGS = {
    "layout": "layout",
    "side": "side",
    "k": "k",
    "d": "d",
    "separation": "C",
    "sigma": "sigma",
    "weights": "weights",
    "w_min": "w_min",
    "scales": "scales",
    "noise": "noise",
    "df": "df",
    "share": "share",
    "factor": "factor",
    "covariance": "covariance",
    "dwell": "dwell",
    "drift": "drift",
    "start": "start",
    "head": "head",
    "n": "N",
    "rate": "rate",
    "estimates": "e",
    "batch": "batch",
    "average": "average",
    "beta": "beta",
    "seeding.n": "N0",
    "seeding.block": "B",
    "seeding.graph_points": "k0",
    "seeding.neighbors": "neighbors",
    "seeding.method": "method",
}  # every axis of a spec, layout and side, which are no axes but may differ, and the least weight
USUAL = {
    "noise": GAUSSIAN,
    "covariance": "spherical",
    "dwell": 0.0,
    "drift": 0.0,
    "sigma": 1.0,
    "weights": "equal",
    "scales": "equal",
    "rate": "paper",
    "batch": 1,
    "average": 0.0,
    "beta": 1.0,
    "seeding.neighbors": 3,
    "seeding.method": "block",
}  # values that a sentence does not mention

UNSAID = ("covariance", "dwell", "drift")  # axes that a table has only where a cell has another value


def heading(axis: str) -> str:
    """The name of an axis in tables; an algorithm's own numbers keep their names."""
    return HEADINGS.get(axis, axis)


def every(cells: Iterable[Cell]) -> list[str]:
    """All axes that a spec may have, and the own numbers of these cells' algorithms."""
    own = [name for cell in cells for name, _ in (*cell.noise_numbers, *cell.numbers)]
    return list(dict.fromkeys([*HEADINGS, *own]))


def place(cell: Cell) -> dict[str, Any]:
    """The cell's value on every axis that it has, in the order of HEADINGS. Scales are in units of sigma."""
    layout = cell.placed
    values: dict[str, Any] = {
        "layout": cell.layout,
        "k": cell.k,
        "d": cell.d,
        "sigma": cell.sigma,
        "weights": weights(cell),
        "scales": scales(cell),
        "noise": cell.noise,
        **dict(cell.noise_numbers),
        "covariance": covariance(cell.covariance),
        "dwell": cell.dwell,
        "drift": cell.drift,
    }
    if layout is not None and layout.drawn:
        values["side"] = cell.side
    if layout is not None:
        values |= {"separation": cell.separation} if cell.k > 1 else {}
    if not cell.start_only or cell.start != "seeding":
        values["start"] = cell.start
    if cell.head:
        values["head"] = cell.head
    if not cell.start_only:
        values |= {"n": cell.n, "batch": cell.batch}
    if cell.rate_name != "none":
        values |= {"rate": cell.rate if cell.rate_name == "given" else cell.rate_name, "average": cell.average}
    if "estimates" in dict(cell.axes):
        values["estimates"] = cell.estimates
    if cell.beta is not None:
        values["beta"] = cell.beta
    if cell.seeding is not None:
        values |= {f"seeding.{name}": value for name, value in cell.seeding.model_dump().items()}
    own = {**dict(cell.noise_numbers), **dict(cell.numbers)}
    return {**{name: values[name] for name in HEADINGS if name in values}, **own}


def covariance(numbers: tuple[tuple[str, float], ...]) -> str:
    """ "spherical"; a rule, "ratio 10"; or the multiplier of each coordinate."""
    if not numbers:
        return "spherical"
    return " ".join(f"{value:g}" if name.isdecimal() else f"{name} {value:g}" for name, value in numbers)


def numbers(cell: Cell) -> str:
    """The numbers of the algorithm and of what is sampled, where they are not as they mostly are."""
    own = [*cell.numbers, *cell.noise_numbers]
    own += [(name, getattr(cell, name)) for name in ("dwell", "drift") if getattr(cell, name)]
    words = [f"{name}={value:g}" for name, value in own]
    return " ".join([*words, *([f"covariance=({covariance(cell.covariance)})"] if cell.covariance else [])])


def weights(cell: Cell) -> str:
    """ "equal", or the weights."""
    return "equal" if len(set(cell.weights)) == 1 else " ".join(f"{weight:.6g}" for weight in cell.weights)


def scales(cell: Cell) -> str:
    """ "equal", or the components' standard deviations in units of sigma."""
    return "equal" if len(set(cell.scales)) == 1 else " ".join(f"{scale / cell.sigma:.6g}" for scale in cell.scales)


def varying(cells: Iterable[Cell]) -> list[str]:
    """The axes on which these cells have more than one value. A cell that lacks an axis has no value on it."""
    seen: dict[str, set] = {name: set() for name in HEADINGS}
    for cell in cells:
        for name, value in place(cell).items():
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def unsaid(cells: Iterable[Cell], name: str) -> bool:
    """Whether the axis is one that is told only where a cell is not usual on it, and none of these is not."""
    return name in UNSAID and all(place(cell)[name] == USUAL[name] for cell in cells)


def text(value: Any) -> str:
    """A value as tables write it; "" for None."""
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def where(cell: Cell) -> str:
    """A cell in a sentence about this cell alone: its part, and the values that are not the usual ones."""
    unusual = [
        name for name, value in place(cell).items() if name not in ("layout", "side") and value != USUAL.get(name)
    ]
    return f"{cell.part}, {words(cell, unusual)}"


def words(cell: Cell, names: Sequence[str]) -> str:
    """The cell's values on these axes: "k=2 C=4 weights=(0.6 0.4)"."""
    values = place(cell)
    texts = [(heading(name), text(values[name])) for name in names if name in values]
    return " ".join(f"{heading}=({value})" if " " in value else f"{heading}={value}" for heading, value in texts)
