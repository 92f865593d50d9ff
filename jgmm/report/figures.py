"""The figures of a study: which there are, and what their files are called.

Each is PNG and SVG, for print and for colour-blind readers. Whether one can be made is decided from its data before it
is begun: nothing here may raise.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jgmm.report import against_axis, comparison, drawing, floor, success_map, trajectory
from jgmm.report.drawing import Drawn, Picture
from jgmm.report.results import Results
from jgmm.study import settings
from jgmm.study.curves import Curve

OF_PART = ("floor", "phase", "samples")  # figures of a part, beside those along an axis


class Figures(NamedTuple):
    """Pictures with their captions, and a sentence on each that was left out."""

    made: Sequence[tuple[Path, str]]
    left_out: list[str]


@drawing.style()
def write_all(folder: Path, results: Results, curves: list[Curve]) -> Figures:
    """Write every figure of a study."""
    last = {row["cell"]: row for row in results.final()}
    parts = list(dict.fromkeys(item.cell.part for item in results.data))
    name = names(parts, settings.every(item.cell for item in results.data))
    drawn: list[Drawn] = []
    for part, axis in dict.fromkeys((curve.part, curve.axis) for curve in curves):
        own = [curve for curve in curves if (curve.part, curve.axis) == (part, axis)]
        if axis == "separation" and floor.measured(own):
            drawn.append(floor.draw(folder / f"{name[part, 'floor']}.png", own, last))
        else:
            drawn.append(against_axis.draw(folder / f"{name[part, axis]}.png", own, last))
    for part in parts:
        drawn.append(success_map.draw(folder / f"{name[part, 'phase']}.png", results.of_part(part), last))
    drawn.append(comparison.draw(folder / "comparison.png", results.data, last))
    for part in parts:
        drawn.append(trajectory.draw(folder / f"{name[part, 'samples']}.png", results.of_part(part), results.summary))
    return Figures(
        made=[each for each in drawn if isinstance(each, Picture)],
        left_out=[each for each in drawn if isinstance(each, str)],
    )


def names(parts: Iterable[str], axes: Iterable[str] = settings.HEADINGS) -> dict[tuple[str, str], str]:
    """A file name for each part's figure along each axis, and for its others: no two are one, on no disk.

    part-axis, as always; where that is another's ("a" along seeding.n and "a-seeding" along n; "A" and "a" where a
    disk takes these for one) a number follows. It depends on the names of the study's parts and axes alone.
    """
    axes, taken = list(axes), {"comparison"}
    stems: dict[tuple[str, str], str] = {}
    for part in parts:
        for what in (*axes, *OF_PART):
            stem = f"{part}-{what.replace('.', '-')}"[:200]
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}-{number}"
            taken.add(name.casefold())
            stems[part, what] = name
    return stems
