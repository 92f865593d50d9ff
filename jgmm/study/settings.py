"""What a cell is set to, axis by axis, and in words: tables, legends and sentences name what differs."""

from collections.abc import Iterable, Sequence
from typing import Any

from jgmm.study.spec import LAYOUTS, Cell

HEADINGS = {
    "layout": "layout",
    "side": "side",
    "k": "k",
    "d": "d",
    "separation": "C",
    "sigma": "sigma",
    "weights": "weights",
    "scales": "scales",
    "start": "start",
    "n": "N",
    "rate": "rate",
    "average": "average",
    "beta": "beta",
    "seeding.n": "N0",
    "seeding.block": "B",
    "seeding.graph_points": "k0",
    "seeding.neighbors": "neighbors",
    "seeding.method": "method",
}  # every axis of a spec, and the two keys of a mixture that are none but may differ between parts


def place(cell: Cell) -> dict[str, Any]:
    """Where a cell stands on every axis that it has, in the order of HEADINGS. Scales are in units of sigma."""
    found: dict[str, Any] = {"layout": cell.layout}
    if cell.layout.endswith("box"):
        found["side"] = cell.side
    found |= {"k": cell.k, "d": cell.d}
    if cell.layout in LAYOUTS:
        found["separation"] = cell.separation
    found |= {"sigma": cell.sigma, "weights": weights(cell), "scales": scales(cell)}
    if not cell.start_only or cell.start != "seeding":
        found["start"] = cell.start
    if not cell.start_only:
        found["n"] = cell.n
        if cell.algorithm != "oracle":
            found |= {"rate": cell.rate if cell.rate_name == "given" else cell.rate_name, "average": cell.average}
    if cell.beta is not None:
        found["beta"] = cell.beta
    if cell.seeding is not None:
        found |= {f"seeding.{name}": value for name, value in cell.seeding.model_dump().items()}
    return {name: found[name] for name in HEADINGS if name in found}


def weights(cell: Cell) -> str:
    """ "equal", or the weights."""
    return "equal" if len(set(cell.weights)) == 1 else " ".join(f"{weight:.6g}" for weight in cell.weights)


def scales(cell: Cell) -> str:
    """ "equal", or the components' standard deviations in units of sigma."""
    return "equal" if len(set(cell.scales)) == 1 else " ".join(f"{scale / cell.sigma:.6g}" for scale in cell.scales)


def varying(cells: Iterable[Cell]) -> list[str]:
    """The axes on which these cells stand in more than one place, of those that have them."""
    seen: dict[str, set] = {name: set() for name in HEADINGS}
    for cell in cells:
        for name, value in place(cell).items():
            seen[name].add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def text(value: Any) -> str:
    """A place on an axis as a table has it; nothing where there is none."""
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


USUAL = {"sigma": 1.0, "weights": "equal", "scales": "equal", "rate": "paper", "average": 0.0, "beta": 1.0}
USUAL |= {"seeding.neighbors": 3, "seeding.method": "block"}


def where(cell: Cell) -> str:
    """A cell in a sentence that knows no other: its part, and its place on every axis where that is not the usual."""
    here = place(cell)
    told = [name for name, value in here.items() if name not in ("layout", "side") and value != USUAL.get(name)]
    return f"{cell.part}, {words(cell, told)}"


def words(cell: Cell, names: Sequence[str]) -> str:
    """The cell's places on these axes: "k=2 C=4 weights=(0.6 0.4)"."""
    here = place(cell)
    told = [(HEADINGS[name], text(here[name])) for name in names if name in here]
    return " ".join(f"{heading}=({said})" if " " in said else f"{heading}={said}" for heading, said in told)
