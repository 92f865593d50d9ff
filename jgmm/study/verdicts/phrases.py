"""Phrases about cells: how many, their sizes, their samples and good runs, and which are out of a theorem's regime."""

from collections.abc import Iterable

from jgmm.study import curves, regime, settings
from jgmm.study.read import CellData
from jgmm.study.regime import Reason
from jgmm.theory.bounds import Theorem

MOST_PARTS = 8  # that a sentence tells one by one
STARTS = {"seeding": "by Algorithm 2", "truth": "at the true means"}


def cells(count: int) -> str:
    """A number of cells: "1 cell", "25 cells"."""
    return f"{count} cell{'' if count == 1 else 's'}"


def span(values: Iterable[float]) -> str:
    """The least and the largest: "2 to 16", or "12" if they are equal."""
    ends = min(values), max(values)
    return " to ".join(f"{value:.7g}" for value in dict.fromkeys(ends))


def sizes(items: list[CellData]) -> str:
    """The sizes of these cells: "N 1024 to 4096, k 2, d 10, C 8, sigma 1". Cells without a stream have no N."""
    values: dict[str, list[float]] = {
        "N": [] if all(item.cell.start_only for item in items) else [item.cell.n for item in items],
        "k": [item.cell.k for item in items],
        "d": [item.cell.d for item in items],
        "C": [round(item.cell.separation, 3) for item in items if item.cell.k > 1],
        "sigma": [item.cell.sigma for item in items],
    }
    return ", ".join(f"{name} {span(numbers)}" for name, numbers in values.items() if numbers)


def started(items: list[CellData]) -> str:
    """How the streams of these cells start: "Started by Algorithm 2 in 5 cells (N), at an offset ..."."""
    by_kind: dict[str, list[CellData]] = {}
    for item in items:
        kind = item.cell.start if isinstance(item.cell.start, str) else "offset"
        by_kind.setdefault(kind, []).append(item)
    told = []
    for kind, some in by_kind.items():
        offsets = [item.cell.start for item in some if isinstance(item.cell.start, float)]
        words = f"at an offset of {span(offsets)} sigma" if offsets else STARTS.get(kind, kind)
        parts = ", ".join(dict.fromkeys(item.cell.part for item in some))
        told.append(words if len(by_kind) == 1 else f"{words} in {cells(len(some))} ({parts})")
    return f"Started {', '.join(told)}."


def kept(items: list[CellData]) -> tuple[int, float]:
    """The number of runs that are good in every cell, and the least share of good runs in a cell."""
    return int(curves.good_in_all(items).sum()), float(min(item.ok.mean() for item in items))


def kept_words(items: list[CellData]) -> str:
    """How many runs are good in the worst cell; "" if all runs of all cells are."""
    worst = min(items, key=lambda item: item.ok.mean(), default=None)
    if worst is None or worst.ok.all():
        return ""
    return f"{worst.ok.sum()} of {len(worst.ok)} runs are good in the worst cell ({settings.where(worst.cell)})"


def samples(theorem: Theorem, items: list[CellData]) -> str:
    """How many of the cells have as many samples as the theorem asks for, and of which parts they are."""
    enough = [regime.enough_samples(item) for item in items]
    both = len(theorem.samples_of) > 1 and any(item.cell.seeding for item in items)
    first = f"{theorem.samples_of[0]} (and N0 where Algorithm 2 starts)" if both else theorem.samples_of[0]
    by_part: dict[str, list[bool]] = {}
    for item, is_enough in zip(items, enough, strict=True):
        by_part.setdefault(item.cell.part, []).append(is_enough)
    parts = ", ".join(f"{part} {sum(counts)} of {len(counts)}" for part, counts in by_part.items())
    where = f" ({parts})" if 1 < len(by_part) <= MOST_PARTS else ""
    return (
        f"{first} >= {theorem.samples_words} with constant 1 (its own is hidden) holds in {sum(enough)} of"
        f" {cells(len(items))}{where}."
    )


def reasons(unmet: list[list[Reason]]) -> str:
    """Every condition that some of these cells do not meet, with their number and an example."""
    details: dict[str, list[str]] = {}
    for of_cell in unmet:
        for reason in of_cell:
            details.setdefault(reason.condition, []).append(reason.detail)
    return "; ".join(
        f"{condition} in {len(examples)} ({examples[0]}{', ...' if len(set(examples)) > 1 else ''})"
        for condition, examples in details.items()
    )


def outside(unmet: list[list[Reason]]) -> list[str]:
    """How many of these cells are out of the regime, and why; nothing where none is."""
    count = sum(bool(of_cell) for of_cell in unmet)
    return [f"{count} of {len(unmet)} cells are out of its regime: {reasons(unmet)}."] if count else []


def joined(*parts: str) -> str:
    """The parts that are not empty, with semicolons between."""
    return "; ".join(part for part in parts if part)


def sentence(words: str) -> str:
    """The words with their first letter large."""
    return words[:1].upper() + words[1:]
