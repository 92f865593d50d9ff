"""The figures of a study: which there are, and what their files are called.

Each is PNG and SVG, for print and for colour-blind readers. Whether one can be made is decided from its data before it
is begun: nothing here may raise.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jgmm.report import against_axis, comparison, drawing, floor, success_map, trajectory
from jgmm.report.drawing import Drawn, Picture
from jgmm.report.results import Results
from jgmm.study import settings
from jgmm.study.curves import WORDS, Curve
from jgmm.study.verdicts import Finding, Verdict
from jgmm.study.verdicts.finding import FLOOR_AXIS
from jgmm.study.verdicts.words import WORST_FIRST

OF_PART = ("floor", "phase", "samples")  # figures of a part, beside those along an axis


class Figures(NamedTuple):
    """The files of pictures with their captions, and a sentence on each that was left out."""

    made: list[tuple[Path, str]]
    left_out: list[str]


@drawing.style()
def write_all(folder: Path, results: Results, curves: list[Curve]) -> Figures:
    """Draw and write every figure of a study."""
    figures = Figures([], [])
    for name, drawn in draw_all(results, curves):
        if isinstance(drawn, Picture):
            figures.made.append((drawing.save(drawn.figure, folder / f"{name}.png"), drawn.caption))
        elif drawn is not None:
            figures.left_out.append(drawn)
    return figures


def draw_all(results: Results, curves: list[Curve]) -> Iterator[tuple[str, Drawn]]:
    """Every figure that a study may have, one at a time, with the name of its file."""
    last = {row["cell"]: row for row in results.final()}
    parts = list(dict.fromkeys(item.cell.part for item in results.data))
    name = names(parts, settings.every(item.cell for item in results.data))
    for part, axis in dict.fromkeys((curve.part, curve.axis) for curve in curves):
        own = [curve for curve in curves if (curve.part, curve.axis) == (part, axis)]
        if axis == "separation" and floor.measured(own):
            yield name[part, "floor"], floor.draw(own, last)
        else:
            yield name[part, axis], against_axis.draw(own, last)
    for part in parts:
        yield name[part, "phase"], success_map.draw(results.of_part(part), last)
    yield "comparison", comparison.draw(results.data, last)
    for part in parts:
        yield name[part, "samples"], trajectory.draw(results.of_part(part), results.summary)


def leading(verdicts: Iterable[Verdict], results: Results, made: Iterable[tuple[Path, str]]) -> str | None:
    """The name of the figure that shows the first verdict: along the axis of the finding that decides it.

    Without a finding, or a figure of one, it is the comparison of algorithms, or the first figure.
    """
    stems = [path.stem for path, _ in made]
    parts = list(dict.fromkeys(item.cell.part for item in results.data))
    name = names(parts, settings.every(item.cell for item in results.data))
    findings = [finding for verdict in verdicts for finding in _deciding_first(verdict.findings)]
    shown = [name.get((finding.part, _figure_of(finding))) for finding in findings]
    return next((stem for stem in [*shown, "comparison", *stems] if stem in stems), None)


def _deciding_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings of the worst kind first, and of these the largest gap; shares of starts as they come."""
    ranks = {kind: rank for rank, kind in enumerate(WORST_FIRST)}
    return sorted(
        findings, key=lambda finding: (0, 0) if finding.axis == "success" else (ranks[finding.kind], -abs(finding.gap))
    )


def _figure_of(finding: Finding) -> str:
    """What a finding's figure shows, as `names` has it."""
    axes = {words: axis for axis, words in WORDS.items()}
    axis = finding.axis
    if axis.startswith("(1/"):  # what falls along it
        axis = axis[len("(1/") : -1]
    return {FLOOR_AXIS: "floor", "success": "phase"}.get(axis, axes.get(axis, axis))


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
