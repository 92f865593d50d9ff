"""The figure of a part's error as its streams go, over the checkpoints of each cell."""

from jgmm.report import drawing
from jgmm.report.axes import frame, scale_x
from jgmm.report.drawing import COLOURS, ERROR, MARKERS, SUMMED, Drawn, Picture
from jgmm.report.results import Row
from jgmm.study import settings
from jgmm.study.read import CellData

STEPS = 40  # checkpoints that are shown: more could not be told apart
LEAST = 3  # checkpoints that make a way


def draw(items: list[CellData], rows: list[Row]) -> Drawn:
    """Draw a part whose cells have checkpoints on their way. rows: of the summary."""
    if not any(len(item.cell.checkpoints) >= LEAST for item in items):
        return None
    part, shown = items[0].cell.part, drawing.spread([item for item in items if not item.cell.start_only])
    varying = settings.varying(item.cell for item in items)
    indices = [drawing.spread([i for i, count in enumerate(item.samples) if count > 0], STEPS) for item in shown]
    points = [
        [drawing.measured(item, item.samples[i], index=i) for i in at] for item, at in zip(shown, indices, strict=True)
    ]
    every = [point for points_of_cell in points for point in points_of_cell]
    if not drawing.drawable(every):
        return f"no figure of {part}, error against samples: {drawing.why_not_drawable(every)}"
    rows_of: dict[str, list[Row]] = {}
    for row in rows:
        rows_of.setdefault(row["cell"], []).append(row)
    picture, (axes,) = drawing.figure(size=(4.6, 3.8))
    scale_x(axes, [point.x for point in every])
    about = drawing.heading(shown)
    told: set[str] = set()
    lines: set[str] = set()
    for item, points_of_cell, at, colour, marker in zip(shown, points, indices, COLOURS, MARKERS, strict=False):
        label = settings.words(item.cell, varying) or "measured"
        told |= drawing.dots(axes, points_of_cell, colour=colour, label=label, fmt=marker)
        laws = [{**rows_of[item.id][i], "bound_error_sq": None, "oracle_error_sq": None} for i in at]
        drawing.theory_lines(axes, [point.x for point in points_of_cell], laws, colour=colour, labelled=lines)
    axes.set(yscale="log", title=f"{part}: one run's error as it goes", xlabel="samples", ylabel=about)
    frame(axes, every)
    drawing.legend(picture, [axes])
    words = f"{part}: mean {about.removesuffix(SUMMED.removeprefix(ERROR))} on the way"
    if max(len(item.samples) for item in shown) > STEPS + 1:
        words += f", at {STEPS} of the checkpoints"
    caption = drawing.caption(words, told=told | lines, note=drawing.note(items))
    return Picture(picture, caption)
